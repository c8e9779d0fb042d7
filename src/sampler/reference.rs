//! Samplers that move one spin at a time, written for the eye: slow, plain, and by another hand than the kernels. They share the definition of the
//! random numbers with the fast samplers, so that the tests ask for the same chain, not for a similar one.

pub mod metropolis;
pub mod swendsen_wang;
pub mod wolff;

pub use metropolis::Metropolis;
