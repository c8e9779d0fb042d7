//! Restricted Boltzmann machines with 0/1 units.
//!
//! Inside the program the machine-learning sign is used: p(v, h) = exp(sum c_i v_i + sum b_j h_j + sum v_i W_ij h_j) / Z. The paper (Eq. 10) writes
//! E = sum b h + sum v w h + sum c v with p = exp(-E) / Z, so its parameters are the negatives of ours.

mod awake;
pub mod bond_machine;
pub mod data;
pub mod deep;
pub mod exact;
pub mod gibbs;
pub mod likelihood;
pub mod matrix;
pub mod monitor;
pub mod options;
pub mod panels;
pub mod train;

pub use data::TrainingData;
pub use exact::ExactRbm;
pub use matrix::Matrix;
pub use options::{GradientKind, InitialWindow, Method, Reconstruction, Schedule, TrainingOptions, VisibleBias};

/// A restricted Boltzmann machine in single precision.
#[derive(Debug, Clone, PartialEq)]
pub struct Rbm {
    /// W_ij, one row a visible unit i, one column a hidden unit j.
    pub weights: Matrix,
    /// Visible biases c_i (the paper's -c_i).
    pub visible_bias: Vec<f32>,
    /// Hidden biases b_j (the paper's -b_j).
    pub hidden_bias: Vec<f32>,
}

impl Rbm {
    /// A machine whose parameters are all zero.
    pub fn zero(visible: usize, hidden: usize) -> Self {
        Rbm { weights: Matrix::zero(visible, hidden), visible_bias: vec![0.0; visible], hidden_bias: vec![0.0; hidden] }
    }

    /// The number of visible units.
    pub fn visible(&self) -> usize {
        self.weights.rows()
    }

    /// The number of hidden units.
    pub fn hidden(&self) -> usize {
        self.weights.columns()
    }

    /// Whether every parameter is a finite number.
    pub fn is_finite(&self) -> bool {
        self.weights.is_finite() && self.visible_bias.iter().chain(&self.hidden_bias).all(|value| value.is_finite())
    }
}
