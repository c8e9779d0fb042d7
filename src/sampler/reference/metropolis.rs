//! The checkerboard Metropolis chain, one spin at a time over a plain vector of +1 and -1. The definition it follows is at the top of
//! [`crate::kernels::metropolis`]; nothing of the kernel is used here but its constants.
//!
//! [`Metropolis::with_neighbours`] and [`Metropolis::with_random_filter`] make wrong samplers, so that a statistical test can show that it would notice.

use super::super::{Sampler, Start, metropolis::refuse_unfit, snapshot::Reader, start::initial_configuration};
use crate::error::Result;
use crate::kernels::metropolis::{FIRST_PLANES, GROUP, Thresholds};
use crate::lattice::SquareTorus;
use crate::measure::Measurement;
use crate::random::{Purpose, Stream};
use crate::spins::{Configuration, WORD_BITS, checkerboard::folds};
use std::collections::{BTreeMap, VecDeque};

/// Words of a block: one from each lane of the stream.
const LANES: usize = 8;

/// One chain at one coupling, with the random numbers of [`crate::sampler::metropolis::Metropolis`] of the same seed and chain number.
#[derive(Debug, Clone)]
pub struct Metropolis {
    torus: SquareTorus,
    spins: Vec<i8>,
    neighbours: Vec<[usize; 4]>,
    thresholds: Thresholds,
    lanes: Vec<Stream>,
    filter: fn(usize, u64) -> u64,
}

/// A spin that may or may not flip against the odds: `drawn` are the bits of its u so far, from the top.
struct Candidate {
    site: usize,
    lane: usize,
    bit: usize,
    threshold: u64,
    drawn: u64,
    planes: usize,
}

impl Candidate {
    fn draw(&mut self, words: &[u64; LANES]) {
        self.planes += 1;
        self.drawn |= (words[self.lane] >> self.bit & 1) << (WORD_BITS - self.planes);
    }

    /// Whether the bits so far leave open if u < threshold.
    fn is_open(&self) -> bool {
        self.planes < WORD_BITS && (self.drawn ^ self.threshold).leading_zeros() as usize >= self.planes
    }

    fn flips(&self) -> bool {
        self.drawn < self.threshold
    }
}

impl Metropolis {
    /// The chain number `chain` at the coupling K.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] for a lattice of odd side, or a coupling that is negative or not finite.
    pub fn new(torus: SquareTorus, coupling: f64, start: Start, seed: u64, chain: u64) -> Result<Self> {
        refuse_unfit(torus, coupling)?;
        let configuration = initial_configuration(torus, start, seed, chain);
        let mut lanes = vec![Stream::new(seed, Purpose::Metropolis, chain)];
        for lane in 1..LANES {
            let mut next = lanes[lane - 1].clone();
            next.jump();
            lanes.push(next);
        }
        Ok(Metropolis {
            torus,
            spins: (0..torus.sites()).map(|site| configuration.spin(site) as i8).collect(),
            neighbours: (0..torus.sites()).map(|site| torus.neighbours(site)).collect(),
            thresholds: Thresholds::new(coupling),
            lanes,
            filter: |_, word| word,
        })
    }

    /// The same chain with other neighbours: a wrong sampler, for tests.
    pub fn with_neighbours(mut self, neighbours: impl Fn(usize) -> [usize; 4]) -> Self {
        self.neighbours = (0..self.torus.sites()).map(neighbours).collect();
        self
    }

    /// The same chain, where each random word first passes through `filter` (number of its lane, word): a wrong sampler, for tests.
    pub fn with_random_filter(self, filter: fn(usize, u64) -> u64) -> Self {
        Metropolis { filter, ..self }
    }

    /// The random words that the next sweep will begin with.
    pub fn next_words(&self) -> [u64; LANES] {
        self.clone().plane()
    }

    /// The next 512 random bits.
    fn plane(&mut self) -> [u64; LANES] {
        std::array::from_fn(|lane| (self.filter)(lane, self.lanes[lane].word()))
    }

    fn update_colour(&mut self, colour: usize) {
        let width = (self.torus.side() / 2).div_ceil(WORD_BITS);
        let words = self.torus.side() / folds(self.torus.side()) * width;
        for first in (0..words).step_by(GROUP * LANES) {
            self.update_group(colour, width, first..words.min(first + GROUP * LANES));
        }
    }

    /// Updates the spins of some flat words of one colour.
    fn update_group(&mut self, colour: usize, width: usize, words: std::ops::Range<usize>) {
        let mut flips = Vec::new();
        let mut queues: BTreeMap<(usize, usize), VecDeque<Candidate>> = BTreeMap::new();
        for block in 0..words.len().div_ceil(LANES) {
            let planes: Vec<[u64; LANES]> = (0..FIRST_PLANES).map(|_| self.plane()).collect();
            for mut candidate in self.candidates(colour, width, words.clone(), block, &mut flips) {
                for plane in &planes {
                    if candidate.is_open() {
                        candidate.draw(plane);
                    }
                }
                if candidate.is_open() {
                    queues.entry((candidate.lane, candidate.bit)).or_default().push_back(candidate);
                } else if candidate.flips() {
                    flips.push(candidate.site);
                }
            }
        }
        loop {
            let mut heads: Vec<Candidate> = queues.values_mut().filter_map(VecDeque::pop_front).collect();
            if heads.is_empty() {
                break;
            }
            while heads.iter().any(Candidate::is_open) {
                let plane = self.plane();
                heads.iter_mut().filter(|head| head.is_open()).for_each(|head| head.draw(&plane));
            }
            flips.extend(heads.iter().filter(|head| head.flips()).map(|head| head.site));
        }
        for site in flips {
            self.spins[site] = -self.spins[site];
        }
    }

    /// The spins of a block that need a random number. Those that flip without one go to `flips`.
    fn candidates(
        &self,
        colour: usize,
        width: usize,
        words: std::ops::Range<usize>,
        block: usize,
        flips: &mut Vec<usize>,
    ) -> Vec<Candidate> {
        let (columns, folds) = (self.torus.side() / 2, folds(self.torus.side()));
        let mut candidates = Vec::new();
        for (lane, word) in words.skip(block * LANES).take(LANES).enumerate() {
            for bit in 0..WORD_BITS {
                // A bit is a column, or, where rows are folded, a row of the word and a column.
                let (fold, column) = if width == 1 { (bit / columns, bit % columns) } else { (0, bit * width + word % width) };
                if fold >= folds || column >= columns {
                    break;
                }
                let y = word / width + fold * (self.torus.side() / folds);
                let site = self.torus.site(2 * column + (y + colour) % 2, y);
                let unsatisfied = self.neighbours[site].iter().filter(|&&neighbour| self.spins[neighbour] != self.spins[site]).count();
                let threshold = match unsatisfied {
                    0 => self.thresholds.none,
                    1 => self.thresholds.single,
                    _ => {
                        flips.push(site);
                        continue;
                    }
                };
                candidates.push(Candidate { site, lane, bit, threshold, drawn: 0, planes: 0 });
            }
        }
        candidates
    }
}

impl Sampler for Metropolis {
    fn sweep(&mut self) -> u64 {
        self.update_colour(0);
        self.update_colour(1);
        self.torus.sites() as u64
    }

    fn measure(&self) -> Measurement {
        super::count(&self.configuration())
    }

    fn configuration(&self) -> Configuration {
        super::packed(self.torus, &self.spins)
    }

    /// The states of the lanes, then the configuration.
    fn snapshot(&self) -> Vec<u64> {
        let mut words: Vec<u64> = self.lanes.iter().flat_map(Stream::state).collect();
        words.extend(self.configuration().words());
        words
    }

    fn restore(&mut self, words: &[u64]) -> Result<()> {
        let mut reader = Reader::new(words);
        for lane in &mut self.lanes {
            *lane = reader.stream()?;
        }
        self.spins = super::unpacked(&reader.configuration(self.torus)?);
        reader.end()
    }
}
