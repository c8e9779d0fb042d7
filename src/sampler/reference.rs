//! One spin at a time, written for the eye: what the fast samplers are held against. They share no code and no random numbers with them.

pub mod swendsen_wang;
pub mod wolff;
