//! `kadanoff export`: what a run leaves, in the formats of neighbouring programs. Files of others carry no seal and no labels of ours; each is replaced whole.

mod numpy;
mod rbms;

pub use numpy::{Array, write_npz};
pub use rbms::{HyperParameters, write_rbms};
