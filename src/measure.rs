//! Observables of a configuration, and their time series.

pub mod clusters;
pub mod histogram;
pub mod two_point;

use crate::elementary::sine_and_cosine;
use crate::kernels::InstructionSet;
use crate::kernels::profile::{self, Counters};
use crate::lattice::Torus;
pub use clusters::ClusterMoments;
pub use histogram::Histogram;
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
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// E of each measurement.
    pub energy: Vec<i64>,
    /// M of each measurement.
    pub magnetization: Vec<i64>,
    /// The power of the longest waves of each measurement, see [`Observer::wave_power`]; empty where it was not measured.
    pub wave_power: Vec<f64>,
    /// The improved estimators of each measurement, see [`clusters`]; empty where they were not asked for.
    pub improved: Vec<ClusterMoments>,
}

impl Series {
    /// Appends one measurement of E and M.
    pub fn push(&mut self, measurement: Measurement) {
        self.energy.push(measurement.energy);
        self.magnetization.push(measurement.magnetization);
    }

    /// Appends one measurement with the power of the longest waves.
    pub fn push_all(&mut self, measurement: Measurement, wave_power: f64) {
        self.push(measurement);
        self.wave_power.push(wave_power);
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

/// Counters and phases for the longest waves on one lattice: made once, used for every measurement.
#[derive(Debug, Clone)]
pub struct Observer {
    torus: Torus,
    /// Up spins of columns x and, on the square lattice, rows y, filled by whoever knows where the spins are. On the cubic lattice these are planes of constant x and y.
    pub counters: Counters,
    /// Up spins of planes of constant z on the cubic lattice; empty elsewhere.
    pub layers: Vec<u32>,
    cosine: Vec<f64>,
    sine: Vec<f64>,
}

impl Observer {
    /// For the lattices of a torus.
    pub fn new(torus: impl Into<Torus>) -> Self {
        let torus = torus.into();
        let side = torus.side();
        let terms = if side.is_multiple_of(2) { side / 2 } else { side };
        let phases = (0..terms).map(|place| std::f64::consts::TAU * place as f64 / side as f64);
        let (sine, cosine) = phases.map(sine_and_cosine).unzip();
        let layers = vec![0; if torus.dimension() == 3 { side } else { 0 }];
        Observer { torus, counters: Counters::new(side), layers, cosine, sine }
    }

    /// The lattice.
    pub fn torus(&self) -> Torus {
        self.torus
    }

    /// M, from the columns of a chain, the rows of a square lattice or the layers of a cubic one.
    pub fn magnetization(&self) -> i64 {
        let counts = match self.torus.dimension() {
            1 => &self.counters.columns,
            2 => &self.counters.rows,
            _ => &self.layers,
        };
        2 * counts.iter().map(|&up| i64::from(up)).sum::<i64>() - self.torus.sites() as i64
    }

    /// The power of the longest waves, the mean over the axes of `|M_a|^2`, where M_x = `sum of s e^(2 pi i x / L)` and the others alike: its mean is N F, with the structure
    /// factor F at k = 2 pi / L, from which the second-moment correlation length comes. The magnetizations of columns, rows and layers are exact integers; the sums over the
    /// phases run in a fixed order, so that the number is the same everywhere.
    pub fn wave_power(&self, set: InstructionSet) -> f64 {
        // Where all counts are equal there is no wave. On odd sides, where no two phases are opposite, the sum over the phases would leave rounding errors, and a correlation length of 10^15 made of them.
        let if_any = |up: &[u32], power: f64| if up.iter().all(|count| *count == up[0]) { 0.0 } else { power };
        let along = |up: &[u32]| if_any(up, profile::power(set, up, &self.cosine, &self.sine));
        match self.torus.dimension() {
            1 => along(&self.counters.columns),
            2 => {
                let Counters { columns, rows, .. } = &self.counters;
                let [along_rows, along_columns] = profile::power_of_both(set, columns, rows, &self.cosine, &self.sine);
                0.5 * (if_any(columns, along_rows) + if_any(rows, along_columns))
            }
            _ => (along(&self.counters.columns) + along(&self.counters.rows) + along(&self.layers)) / 3.0,
        }
    }
}
