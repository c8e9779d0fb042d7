//! What a machine is trained on: the configurations, or the activities of the layer below.

use super::Matrix;
use super::panels::{Machine, Units, WIDTH};
use crate::spins::BitMatrix;
use std::sync::Arc;

/// Training samples, one a row.
#[derive(Debug, Clone, PartialEq)]
pub enum TrainingData {
    /// Each unit is 0 or 1.
    Binary(BitMatrix),
    /// Each unit is a probability, 0 to 1.
    Real(Matrix),
    /// The probabilities p(h = 1 | v) of a machine over other data, which are made anew whenever they are wanted: they would take too much memory. The numbers are those that
    /// would be kept.
    Above(Arc<Machine>, Arc<TrainingData>),
}

/// Samples of [`TrainingData::Above`] whose mean is taken together.
const BLOCK: usize = 256;

impl TrainingData {
    /// The number of samples.
    pub fn samples(&self) -> usize {
        match self {
            TrainingData::Binary(matrix) => matrix.rows(),
            TrainingData::Real(matrix) => matrix.rows(),
            TrainingData::Above(_, below) => below.samples(),
        }
    }

    /// The number of units a sample.
    pub fn units(&self) -> usize {
        match self {
            TrainingData::Binary(matrix) => matrix.columns(),
            TrainingData::Real(matrix) => matrix.columns(),
            TrainingData::Above(machine, _) => machine.hidden,
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
            TrainingData::Above(machine, below) => {
                let mut sums = vec![0.0; machine.hidden];
                let mut units = Units::like(self);
                for start in (0..below.samples()).step_by(BLOCK) {
                    let rows = start..below.samples().min(start + BLOCK);
                    let samples = rows.len();
                    units.load(self, rows);
                    let Units::Numbers(numbers) = &units else { continue };
                    for (sums, panel) in sums.chunks_mut(WIDTH).zip(numbers.chunks_exact(samples)) {
                        for numbers in panel {
                            sums.iter_mut().zip(&numbers.0).for_each(|(sum, &value)| *sum += f64::from(value));
                        }
                    }
                }
                sums.into_iter().map(|sum| sum / below.samples().max(1) as f64).collect()
            }
        }
    }
}
