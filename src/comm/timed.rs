//! Ranks that take the time they spend with each other: what is left of the wall time is work. The ratio of the two is the efficiency of a job across its ranks.

use super::Comm;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// A group of ranks with a clock that runs while this rank talks to the others or waits for them.
pub struct Timed<'a> {
    comm: &'a dyn Comm,
    spent: Cell<Duration>,
}

impl<'a> Timed<'a> {
    /// The clock at zero.
    pub fn new(comm: &'a dyn Comm) -> Self {
        Timed { comm, spent: Cell::new(Duration::ZERO) }
    }

    fn take<T>(&self, talk: impl FnOnce(&dyn Comm) -> T) -> T {
        let begun = Instant::now();
        let result = talk(self.comm);
        self.spent.set(self.spent.get() + begun.elapsed());
        result
    }
}

impl Comm for Timed<'_> {
    fn rank(&self) -> usize {
        self.comm.rank()
    }

    fn size(&self) -> usize {
        self.comm.size()
    }

    fn gather(&self, own: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        self.take(|comm| comm.gather(own))
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.take(|comm| comm.broadcast(bytes))
    }

    fn all_gather(&self, counts: &[usize], all: &mut [f32]) {
        self.take(|comm| comm.all_gather(counts, all));
    }

    fn all_to_all(&self, own: &[f32], sent: &[usize], all: &mut [f32], received: &[usize], longest: usize) {
        self.take(|comm| comm.all_to_all(own, sent, all, received, longest));
    }

    fn maximum(&self, own: u64) -> u64 {
        self.take(|comm| comm.maximum(own))
    }

    fn send(&self, to: usize, bytes: &[u8]) {
        self.take(|comm| comm.send(to, bytes));
    }

    fn receive(&self, from: usize) -> Vec<u8> {
        self.take(|comm| comm.receive(from))
    }

    fn time_together(&self) -> Duration {
        self.spent.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::comm::solo::Solo;

    #[test]
    fn only_talking_takes_time() {
        let timed = Timed::new(&Solo);
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(timed.time_together(), Duration::ZERO);
        assert_eq!((timed.maximum(3), timed.broadcast(vec![1]), timed.gather(vec![2])), (3, vec![1], Some(vec![vec![2]])));
        let mut all = [1.0, 2.0];
        timed.all_gather(&[2], &mut all);
        assert_eq!(all, [1.0, 2.0]);
        assert!(timed.time_together() > Duration::ZERO && timed.time_together() < Duration::from_millis(15));
    }
}
