//! kadanoff
pub mod error;
pub mod kernels;
pub mod lattice;
pub mod measure;
pub mod random;
pub mod rbm;
pub mod record;
pub mod report;
pub mod sampler;
pub mod spins;
