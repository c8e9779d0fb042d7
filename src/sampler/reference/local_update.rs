//! The checkerboard chains, one spin at a time over a plain vector of +1 and -1. The definition they follow is at the top of
//! [`crate::kernels::local_update`] and [`crate::kernels::byte_queue`]; of the kernels nothing is used here but the tables of the laws and the constants.
//!
//! [`LocalUpdate::with_neighbours`], [`LocalUpdate::with_random_filter`] and [`LocalUpdate::with_laws`] make wrong samplers, so that a statistical test can
//! show that it would notice.

use super::super::local_update::{Local, refuse_unfit, stream_index};
use super::super::{
    Sampler, Start,
    snapshot::{Reader, TakeWords},
    start::initial_configuration,
};
use crate::error::Result;
use crate::kernels::byte_law::{Alias, ByteLaw, First};
use crate::kernels::byte_queue::{ByteQueue, FULL, GROUP, LOW};
use crate::kernels::local_update::Laws;
use crate::lattice::SquareTorus;
use crate::measure::Measurement;
use crate::random::Stream;
use crate::spins::checkerboard::{folds, strip_lines, strips};
use crate::spins::{Configuration, WORD_BITS};
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::Range;

/// A rule for one spin, in words.
pub trait Plain: Local {
    /// The new spin of one that is `spin`, with the sum `neighbours` of the four around it.
    fn new_spin(spin: i8, neighbours: i8, first: bool, second: bool, fair: bool) -> i8;
}

impl Plain for crate::kernels::metropolis::Metropolis {
    fn new_spin(spin: i8, neighbours: i8, first: bool, second: bool, _fair: bool) -> i8 {
        let flips = match (4 - spin * neighbours) / 2 {
            0 => first,
            1 => first || second,
            _ => true,
        };
        if flips { -spin } else { spin }
    }
}

impl Plain for crate::kernels::heat_bath::HeatBath {
    fn new_spin(_spin: i8, neighbours: i8, first: bool, second: bool, fair: bool) -> i8 {
        let with_majority = match neighbours.abs() {
            4 => !first,
            2 => !(first || second),
            _ => return if fair { 1 } else { -1 },
        };
        if with_majority { neighbours.signum() } else { -neighbours.signum() }
    }
}

/// Words of a block: one from each lane of the stream.
const LANES: usize = 8;

/// One chain at one coupling, with the random numbers of [`crate::sampler::LocalUpdate`] of the same rule, seed and chain number.
#[derive(Debug, Clone)]
pub struct LocalUpdate<R: Plain> {
    torus: SquareTorus,
    spins: Vec<i8>,
    neighbours: Vec<[usize; 4]>,
    laws: Laws,
    sources: Vec<Source>,
    rule: PhantomData<R>,
}

/// The random bits of a strip.
#[derive(Debug, Clone)]
struct Source {
    lanes: Vec<Stream>,
    queues: [VecDeque<u8>; 2],
    filter: fn(usize, u64) -> u64,
}

impl Source {
    /// The next 512 random bits: one word of each lane.
    fn step(&mut self) -> [u64; LANES] {
        std::array::from_fn(|lane| (self.filter)(lane, self.lanes[lane].word()))
    }

    fn step_bytes(&mut self) -> Vec<u8> {
        self.step().into_iter().flat_map(u64::to_le_bytes).collect()
    }

    /// 64 bytes by an alias table.
    fn by_alias(&mut self, alias: &Alias) -> Vec<u8> {
        let (columns, chances) = (self.step_bytes(), self.step_bytes());
        let choose = |(column, chance): (u8, u8)| {
            if chance < alias.chances[usize::from(column)] { column } else { alias.others[usize::from(column)] }
        };
        columns.into_iter().zip(chances).map(choose).collect()
    }

    /// The bits of one law for a group of blocks, 64 bytes a block.
    fn bits(&mut self, kind: usize, law: &ByteLaw, blocks: usize) -> Vec<u8> {
        if self.queues[kind].len() < LOW {
            let mut added = Vec::new();
            while self.queues[kind].len() + added.len() < FULL {
                added.extend(self.by_alias(&law.second));
            }
            let mut words = VecDeque::new();
            for byte in added.iter_mut().filter(|byte| **byte == law.second_marker) {
                if words.is_empty() {
                    words = VecDeque::from(self.step());
                }
                *byte = words.pop_front().map_or(0, |word| law.third.look_up(word));
            }
            self.queues[kind].extend(added);
        }
        let mut bits = Vec::new();
        for _ in 0..blocks {
            let drawn = match &law.first {
                First::Columns(columns) => self.step_bytes().into_iter().map(|byte| columns.0[usize::from(byte) % 128]).collect(),
                First::Alias(alias) => self.by_alias(alias),
            };
            bits.extend(drawn.into_iter().map(|byte| {
                if byte == law.marker { self.queues[kind].pop_front().expect("a full queue is enough for a group") } else { byte }
            }));
        }
        bits
    }
}

impl<R: Plain> LocalUpdate<R> {
    /// The chain number `chain` at the coupling K.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] for a lattice of odd side, a coupling that is negative or not finite, or a chain above 2^40.
    pub fn new(torus: SquareTorus, coupling: f64, start: Start, seed: u64, chain: u64) -> Result<Self> {
        refuse_unfit(R::NAME, torus, coupling)?;
        let configuration = initial_configuration(torus, start, seed, chain);
        let mut spins: Vec<i8> = (0..torus.sites()).map(|site| configuration.spin(site) as i8).collect();
        let unlike = |site: usize| torus.neighbours(site).into_iter().filter(|&neighbour| spins[neighbour] != spins[site]).count();
        // Metropolis's rule never leaves these states, so that no chain of it may begin in one.
        if R::LOCKS && (0..torus.sites()).all(|site| unlike(site) == 2) {
            spins.fill(1);
        }
        let source = |strip| {
            let mut lanes = vec![Stream::new(seed, R::PURPOSE, stream_index(chain, strip)?)];
            for lane in 1..LANES {
                let mut next = lanes[lane - 1].clone();
                next.jump();
                lanes.push(next);
            }
            Ok(Source { lanes, queues: [VecDeque::new(), VecDeque::new()], filter: |_, word| word })
        };
        Ok(LocalUpdate {
            torus,
            spins,
            neighbours: (0..torus.sites()).map(|site| torus.neighbours(site)).collect(),
            laws: R::laws(coupling),
            sources: (0..strips(torus.side())).map(source).collect::<Result<_>>()?,
            rule: PhantomData,
        })
    }

    /// The same chain with other neighbours: a wrong sampler, for tests.
    pub fn with_neighbours(mut self, neighbours: impl Fn(usize) -> [usize; 4]) -> Self {
        self.neighbours = (0..self.torus.sites()).map(neighbours).collect();
        self
    }

    /// The same chain, where each random word first passes through `filter` (number of its lane, word): a wrong sampler, for tests.
    pub fn with_random_filter(mut self, filter: fn(usize, u64) -> u64) -> Self {
        self.sources.iter_mut().for_each(|source| source.filter = filter);
        self
    }

    /// The same chain with other tables: a wrong sampler, for tests.
    pub fn with_laws(self, laws: Laws) -> Self {
        LocalUpdate { laws, ..self }
    }

    /// The random words that each strip would take next.
    pub fn next_words(&self) -> Vec<[u64; LANES]> {
        self.sources.clone().iter_mut().map(Source::step).collect()
    }

    /// Updates some lines of one colour of a strip.
    fn update_lines(&mut self, strip: usize, colour: usize, lines: Range<usize>) {
        let width = (self.torus.side() / 2).div_ceil(WORD_BITS);
        let end = lines.end * width;
        for first in (lines.start * width..end).step_by(GROUP * LANES) {
            let blocks = (end - first).div_ceil(LANES).min(GROUP);
            let bits = [0, 1].map(|kind| self.sources[strip].bits(kind, &self.laws.0[kind], blocks));
            for block in 0..blocks {
                let fair: Vec<u8> = if R::FAIR { self.sources[strip].step_bytes() } else { vec![0; 8 * LANES] };
                let words = first + block * LANES..end.min(first + (block + 1) * LANES);
                for (slot, site) in self.sites(colour, words) {
                    let bit = |bytes: &[u8], from: usize| bytes[from + slot / 8] >> (slot % 8) & 1 == 1;
                    let neighbours = self.neighbours[site].iter().map(|&neighbour| self.spins[neighbour]).sum();
                    let (first, second) = (bit(&bits[0], 64 * block), bit(&bits[1], 64 * block));
                    self.spins[site] = R::new_spin(self.spins[site], neighbours, first, second, bit(&fair, 0));
                }
            }
        }
    }

    /// The slots of some flat words of one colour that exist, counted from the first word's lowest bit, and their sites.
    fn sites(&self, colour: usize, words: Range<usize>) -> Vec<(usize, usize)> {
        let (side, folds) = (self.torus.side(), folds(self.torus.side()));
        let (columns, width) = (side / 2, (side / 2).div_ceil(WORD_BITS));
        let mut sites = Vec::new();
        for (place, word) in words.enumerate() {
            for bit in 0..WORD_BITS {
                // A bit is a column, or, where rows are folded, a row of the word and a column.
                let (fold, column) = if width == 1 { (bit / columns, bit % columns) } else { (0, bit * width + word % width) };
                if fold < folds && column < columns {
                    let y = word / width + fold * (side / folds);
                    sites.push((place * WORD_BITS + bit, self.torus.site(2 * column + (y + colour) % 2, y)));
                }
            }
        }
        sites
    }
}

impl<R: Plain> Sampler for LocalUpdate<R> {
    fn sweep(&mut self) -> u64 {
        let (lines, number) = (self.torus.side() / folds(self.torus.side()), self.sources.len());
        let side = self.torus.side();
        let of = |strip: usize| strip_lines(side, strip);
        if number == 1 {
            (0..2).for_each(|colour| self.update_lines(0, colour, 0..lines));
        } else {
            for strip in 0..number {
                self.update_lines(strip, 0, of(strip));
            }
            for strip in 0..number {
                let (first, last) = (of(strip).start, of(strip).end - 1);
                self.update_lines(strip, 1, first + 1..last);
                self.update_lines(strip, 1, first..first + 1);
                self.update_lines(strip, 1, last..last + 1);
            }
        }
        self.torus.sites() as u64
    }

    fn measure(&self) -> Measurement {
        super::count(&self.configuration())
    }

    fn configuration(&self) -> Configuration {
        super::packed(self.torus, &self.spins)
    }

    /// For each strip the states of the lanes and the bytes of the queues, then the configuration.
    fn put_snapshot(&self, take: &mut TakeWords) {
        for source in &self.sources {
            source.lanes.iter().for_each(|lane| take(&lane.state()));
            source.queues.iter().for_each(|queue| take(&ByteQueue::from_bytes(queue.iter().copied()).words()));
        }
        take(self.configuration().words());
    }

    fn restore(&mut self, words: &[u64]) -> Result<()> {
        let mut reader = Reader::new(words);
        for source in &mut self.sources {
            for lane in &mut source.lanes {
                *lane = reader.stream()?;
            }
            for queue in &mut source.queues {
                *queue = reader.queue()?.waiting().iter().copied().collect();
            }
        }
        self.spins = super::unpacked(&reader.configuration(self.torus)?);
        reader.end()
    }
}
