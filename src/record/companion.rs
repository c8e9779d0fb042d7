//! Networks that were trained beside the main one, each with one thing changed: other random numbers, shuffled sites, no penalty, a point of a scan, another coupling or another method.

use super::{LayerRecord, TrainingRecord};
use serde::{Deserialize, Serialize};

/// One of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CompanionRecord {
    /// What is different, in words.
    pub name: String,
    /// "seed", "shuffled-sites", "no-penalty", "scan", "coupling" or "method".
    pub role: String,
    /// Which of the seeds of the run file its random numbers are, from 1.
    pub seed_number: usize,
    /// The seed of its random numbers.
    pub seed: u64,
    /// Training configurations.
    pub samples: usize,
    /// The L1 penalty of each of its layers.
    pub l1: Vec<f32>,
    /// Its layers, from the lattice up.
    pub layers: Vec<LayerRecord>,
}

impl TrainingRecord {
    /// The layers trained so far, those of companions among them.
    pub fn trained_layers(&self) -> usize {
        self.layers.len() + self.companions.iter().map(|companion| companion.layers.len()).sum::<usize>()
    }
}
