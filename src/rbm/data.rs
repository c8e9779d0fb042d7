//! What a machine is trained on: the configurations, or the activities of the layer below.

use super::Matrix;
use crate::spins::BitMatrix;

/// Training samples, one a row.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainingData {
    /// Each unit is 0 or 1.
    Binary(BitMatrix),
    /// Each unit is a probability, 0 to 1.
    Real(Matrix),
}

impl TrainingData {
    /// The number of samples.
    pub fn samples(&self) -> usize {
        match self {
            TrainingData::Binary(matrix) => matrix.rows(),
            TrainingData::Real(matrix) => matrix.rows(),
        }
    }

    /// The number of units a sample.
    pub fn units(&self) -> usize {
        match self {
            TrainingData::Binary(matrix) => matrix.columns(),
            TrainingData::Real(matrix) => matrix.columns(),
        }
    }

    /// The mean of each unit, summed in f64 in the order of the samples.
    pub fn means(&self) -> Vec<f64> {
        match self {
            TrainingData::Binary(matrix) => matrix.column_means(),
            TrainingData::Real(matrix) => {
                let mut sums = vec![0.0; matrix.columns()];
                for row in 0..matrix.rows() {
                    sums.iter_mut().zip(matrix.row(row)).for_each(|(sum, &value)| *sum += f64::from(value));
                }
                sums.into_iter().map(|sum| sum / matrix.rows().max(1) as f64).collect()
            }
        }
    }
}
