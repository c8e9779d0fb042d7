//! Integer observables of a configuration, and their time series.

use serde::{Deserialize, Serialize};

/// What is recorded of a configuration: exact integers, so that sums do not depend on their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measurement {
    /// E = -sum over bonds of s_i s_j, in units of J.
    pub energy: i64,
    /// M = sum of s_i.
    pub magnetization: i64,
}

/// The measurements of one chain, in the order they were taken.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// E of each measurement.
    pub energy: Vec<i64>,
    /// M of each measurement.
    pub magnetization: Vec<i64>,
}

impl Series {
    /// Appends one measurement.
    pub fn push(&mut self, measurement: Measurement) {
        self.energy.push(measurement.energy);
        self.magnetization.push(measurement.magnetization);
    }

    /// The number of measurements.
    pub fn len(&self) -> usize {
        self.energy.len()
    }

    /// Whether nothing was measured yet.
    pub fn is_empty(&self) -> bool {
        self.energy.is_empty()
    }
}
