//! One rank: a workstation, a laptop, or a build without MPI.

use super::Comm;

/// The group of one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Solo;

impl Comm for Solo {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn gather(&self, own: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        Some(vec![own])
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8> {
        bytes
    }

    fn all_gather(&self, _counts: &[usize], _all: &mut [f32]) {}

    fn all_to_all(&self, _own: &[f32], _sent: &[usize], _all: &mut [f32], _received: &[usize], _longest: usize) {}

    fn maximum(&self, own: u64) -> u64 {
        own
    }

    // There is nobody else.
    fn send(&self, _to: usize, _bytes: &[u8]) {}

    fn receive(&self, _from: usize) -> Vec<u8> {
        Vec::new()
    }
}
