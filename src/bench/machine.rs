//! The machine under the clock: a fixed piece of work that is done once in every round of every row. Where it takes longer than it ever did, somebody else had the core, or the
//! core ran slower, and the row suffered with it.
//!
//! The work is a few thousand steps of the lane generator: vector arithmetic in the nearest cache, which other programs and the clock of the core slow down as they do kernels.

use crate::kernels::{InstructionSet, bernoulli};
use crate::random::{LaneStream, Purpose};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Words that are filled again and again: 16 KiB.
const WORDS: usize = 2048;
/// How often, for one piece of the work: some hundred microseconds.
const FILLS: usize = 128;
/// Pieces of one look, together some milliseconds: longer than the core is lent to one program at a time.
const PIECES: usize = 32;

/// The shortest time of one piece so far, in nanoseconds.
static BEST: AtomicU64 = AtomicU64::new(u64::MAX);

/// The fixed work, and how long it took during one row.
pub struct Machine {
    words: Vec<u64>,
    stream: LaneStream,
    pieces: u64,
    nanoseconds: u64,
}

impl Machine {
    /// Ready to look.
    pub fn new() -> Self {
        let mut machine = Machine { words: vec![0; WORDS], stream: LaneStream::new(0, Purpose::Check, 0), pieces: 0, nanoseconds: 0 };
        // What it can do is known before the first row.
        (0..4).for_each(|_| machine.look());
        (machine.pieces, machine.nanoseconds) = (0, 0);
        machine
    }

    /// Does the work once.
    pub fn look(&mut self) {
        for _ in 0..PIECES {
            let began = Instant::now();
            for _ in 0..FILLS {
                bernoulli::fill_uniform(InstructionSet::chosen(), &mut self.stream.lanes, &mut self.words);
            }
            std::hint::black_box(&self.words);
            let taken = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1);
            BEST.fetch_min(taken, Ordering::Relaxed);
            self.nanoseconds = self.nanoseconds.saturating_add(taken);
            self.pieces += 1;
        }
    }

    /// The mean speed as a share of the best of this process: 1 on a quiet machine.
    pub fn share(&self) -> f64 {
        if self.nanoseconds == 0 { 1.0 } else { BEST.load(Ordering::Relaxed) as f64 * self.pieces as f64 / self.nanoseconds as f64 }
    }
}
