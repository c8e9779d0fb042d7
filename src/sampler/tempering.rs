//! Parallel tempering (Swendsen and Wang, PRL 57, 2607 (1986); Hukushima and Nemoto, J. Phys. Soc. Jpn. 65, 1604 (1996)) of 512 independent ladders: each bit lane of a
//! [`LaneGroup`] is a chain, and the chains of one lane at all couplings are a ladder. With one coupling it is 512 chains without exchange.
//!
//! **Exchange.** Before a sweep whose number (from 1 on, those already done) is a multiple of `exchange_every`, neighbouring couplings are paired, in turn (0, 1), (2, 3) ...
//! and (1, 2), (3, 4) ... in the order of the couplings. In every lane a pair a, b exchanges its two replicas with probability min(1, exp((K_a - K_b) (E_a - E_b))), which
//! leaves the product of both laws as it is. With U unsatisfied bonds, E = 2U - d N, and K_a < K_b that is 1 for U_a <= U_b, else exp(-4 (K_b - K_a) n), n = (U_a - U_b) / 2:
//! U is even on every lattice of even side. A 64-bit random number below 2^64 times that probability accepts. A pair takes 64 steps of the lane stream (seed, Exchange, ladder),
//! whatever it decides; lane r takes word r mod 8 of step r / 8. The pairs come in the order of the couplings.
//!
//! **What is told.** Swaps tried and made for each pair; round trips of each ladder: how often a replica comes to the lowest coupling that had been there before and has been
//! at the highest since; and for each coupling how many of the replicas that came by had last been at the lowest of all, and how many at the highest (their share is the flow of
//! Katzgraber, Trebst, Huse and Troyer, J. Stat. Mech. (2006) P03018). Only what happens after thermalization counts.

use super::lanes::LaneGroup;
use super::{
    Start,
    snapshot::{Reader, TakeWords},
};
use crate::error::Result;
use crate::kernels::InstructionSet;
use crate::kernels::fixed_point::Probability;
use crate::kernels::replicas::{REPLICAS, Word};
use crate::kernels::vector::BLOCK;
use crate::lattice::Torus;
use crate::measure::Measurement;
use crate::random::{LaneStream, Purpose};
use crate::spins::WORD_BITS;
use rayon::prelude::*;

/// What a ladder tells of its exchanges. Sums over lanes and ladders are sums of these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExchangeCounts {
    /// Swaps tried of each pair of neighbouring couplings.
    pub tried: Vec<u64>,
    /// Swaps made of each pair.
    pub made: Vec<u64>,
    /// Round trips of each ladder.
    pub round_trips: Vec<u64>,
    /// After each exchange, at each coupling: replicas that were last at the lowest coupling.
    pub from_lowest: Vec<u64>,
    /// The same, last at the highest.
    pub from_highest: Vec<u64>,
}

impl ExchangeCounts {
    /// The share of swaps made of each pair; of none before any was tried.
    pub fn rates(&self) -> Vec<f64> {
        let pairs = self.made.iter().zip(&self.tried).filter(|(_, tried)| **tried > 0);
        pairs.map(|(&made, &tried)| made as f64 / tried as f64).collect()
    }

    /// Adds what other ladders of the same couplings tell: their round trips come after those here, the rest is summed.
    pub fn absorb(&mut self, other: &ExchangeCounts) {
        self.round_trips.extend(&other.round_trips);
        for (sums, list) in [
            (&mut self.tried, &other.tried),
            (&mut self.made, &other.made),
            (&mut self.from_lowest, &other.from_lowest),
            (&mut self.from_highest, &other.from_highest),
        ] {
            sums.resize(list.len(), 0);
            sums.iter_mut().zip(list).for_each(|(sum, count)| *sum += count);
        }
    }
}

/// Where replicas have been, one bit a lane. It travels with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Past {
    /// Last at the lowest coupling.
    from_lowest: Word,
    /// Last at the highest.
    from_highest: Word,
    /// Ever at the lowest.
    begun: Word,
}

/// exp(-4 n (K_b - K_a)) times 2^64 for a pair, as the product of two tables.
#[derive(Debug, Clone)]
struct Ratios {
    coarse: Vec<f64>,
    fine: [f64; 64],
}

impl Ratios {
    fn new(lower: f64, upper: f64, torus: Torus) -> Self {
        let ratio = |n: usize| Probability::decay(4.0 * (upper - lower) * n as f64).value();
        // U is at most the number of bonds, and n half of it.
        Ratios { coarse: (0..=torus.bonds() / 128).map(|n| ratio(64 * n)).collect(), fine: std::array::from_fn(ratio) }
    }

    fn accepts(&self, lower_unsatisfied: u32, upper_unsatisfied: u32, random: u64) -> bool {
        if lower_unsatisfied <= upper_unsatisfied {
            return true;
        }
        let n = (lower_unsatisfied - upper_unsatisfied) as usize / 2;
        random < (self.coarse[n / 64] * self.fine[n % 64] * 64f64.exp2()) as u64
    }
}

/// 512 ladders of couplings.
#[derive(Debug, Clone)]
pub struct Ladders {
    groups: Vec<LaneGroup>,
    ratios: Vec<Ratios>,
    pasts: Vec<Past>,
    /// The lanes that are somebody's.
    used: Word,
    exchange_every: u64,
    sweeps: u64,
    is_counting: bool,
    counts: ExchangeCounts,
    stream: LaneStream,
}

impl Ladders {
    /// Ladders at `couplings`, ascending, whose group numbers are given beside them; `number` names the stream of their exchanges, and `used` of the 512 lanes count.
    ///
    /// # Errors
    /// What [`LaneGroup::new`] refuses.
    pub fn new(
        torus: impl Into<Torus>,
        couplings: &[(f64, u64)],
        start: Start,
        seed: u64,
        number: u64,
        used: usize,
        exchange_every: u64,
    ) -> Result<Self> {
        let torus = torus.into();
        let make = |&(coupling, group)| LaneGroup::new(torus, coupling, start, seed, group);
        let groups = couplings.iter().map(make).collect::<Result<Vec<_>>>()?;
        let count = groups.len();
        let none = Past { from_lowest: Word::ZERO, from_highest: Word::ZERO, begun: Word::ZERO };
        let used = used.min(REPLICAS);
        let mask =
            |word: usize| if used >= (word + 1) * WORD_BITS { u64::MAX } else { (1u64 << used.saturating_sub(word * WORD_BITS)) - 1 };
        let mut ladders = Ladders {
            groups,
            ratios: couplings.windows(2).map(|pair| Ratios::new(pair[0].0, pair[1].0, torus)).collect(),
            pasts: vec![none; count],
            used: Word(std::array::from_fn(mask)),
            exchange_every,
            sweeps: 0,
            is_counting: false,
            counts: ExchangeCounts {
                tried: vec![0; count - 1],
                made: vec![0; count - 1],
                round_trips: vec![0; used],
                from_lowest: vec![0; count],
                from_highest: vec![0; count],
            },
            stream: LaneStream::new(seed, Purpose::Exchange, number),
        };
        ladders.mark_ends();
        Ok(ladders)
    }

    /// The same ladders, run on another instruction set; the results do not depend on it.
    #[must_use]
    pub fn with_instruction_set(mut self, set: InstructionSet) -> Self {
        self.groups = self.groups.into_iter().map(|group| group.with_instruction_set(set)).collect();
        self
    }

    /// The chains at each coupling, in their order.
    pub fn groups(&self) -> &[LaneGroup] {
        &self.groups
    }

    /// What happened since thermalization ended.
    pub fn counts(&self) -> &ExchangeCounts {
        &self.counts
    }

    /// From now on exchanges are counted.
    pub fn end_thermalization(&mut self) {
        self.is_counting = true;
    }

    /// An exchange if one is due, then one sweep at every coupling. Returns the work of the lanes that are used, in spins, at each coupling.
    pub fn sweep(&mut self) -> u64 {
        self.sweep_and(false)
    }

    /// [`Self::sweep`] before a measurement: the same spins, with the energies counted on the way.
    pub fn sweep_counted(&mut self) -> u64 {
        self.sweep_and(true)
    }

    fn sweep_and(&mut self, counted: bool) -> u64 {
        let exchange = self.sweeps > 0 && self.groups.len() > 1 && self.sweeps.is_multiple_of(self.exchange_every);
        self.sweeps += 1;
        // The next exchange needs energies.
        let counted = counted || (self.groups.len() > 1 && self.sweeps.is_multiple_of(self.exchange_every));
        let sweep = |group: &mut LaneGroup| if counted { group.sweep_counted() } else { group.sweep() };
        if exchange {
            let first = ((self.sweeps - 1) / self.exchange_every - 1) as usize % 2;
            let masks = self.decide(first);
            let (alone, rest) = self.groups.split_at_mut(first);
            let pairs = rest.par_chunks_mut(2).zip(masks.into_par_iter().chain([Word::ZERO]));
            rayon::join(
                || alone.iter_mut().for_each(sweep),
                || {
                    pairs.for_each(|(pair, mask)| match pair {
                        [lower, upper] => lower.exchange_and_sweep(upper, &mask),
                        others => others.iter_mut().for_each(sweep),
                    });
                },
            );
        } else {
            self.groups.par_iter_mut().for_each(sweep);
        }
        self.groups[0].torus().sites() as u64 * ones(&self.used)
    }

    /// Which lanes exchange, for the pairs that begin with coupling `first`, `first` + 2 ...; and all that follows from it but the swaps of the spins.
    fn decide(&mut self, first: usize) -> Vec<Word> {
        let unsatisfied: Vec<[u32; REPLICAS]> = self.groups.par_iter().map(LaneGroup::unsatisfied).collect();
        let mut masks = Vec::with_capacity(self.groups.len() / 2);
        for lower in (first..self.ratios.len()).step_by(2) {
            let ratios = &self.ratios[lower];
            let mut mask = Word::ZERO;
            for step in 0..REPLICAS / BLOCK {
                let random = self.stream.words();
                for (word, random) in random.into_iter().enumerate() {
                    let lane = step * BLOCK + word;
                    let accepted = ratios.accepts(unsatisfied[lower][lane], unsatisfied[lower + 1][lane], random);
                    mask.0[lane / WORD_BITS] |= u64::from(accepted) << (lane % WORD_BITS);
                }
            }
            if let [one, other, ..] = &mut self.pasts[lower..] {
                for (one, other) in [
                    (&mut one.from_lowest, &mut other.from_lowest),
                    (&mut one.from_highest, &mut other.from_highest),
                    (&mut one.begun, &mut other.begun),
                ] {
                    swap(one, other, &mask);
                }
            }
            if self.is_counting {
                self.counts.tried[lower] += ones(&self.used);
                self.counts.made[lower] += ones(&both(&mask, &self.used));
            }
            masks.push(mask);
        }
        self.mark_ends();
        if self.is_counting {
            for (place, past) in self.pasts.iter().enumerate() {
                self.counts.from_lowest[place] += ones(&both(&past.from_lowest, &self.used));
                self.counts.from_highest[place] += ones(&both(&past.from_highest, &self.used));
            }
        }
        masks
    }

    /// Replicas at the ends are told so; those that have just closed a round trip are counted.
    fn mark_ends(&mut self) {
        let Some(lowest) = self.pasts.first_mut() else { return };
        let closed = both(&both(&lowest.from_highest, &lowest.begun), &self.used);
        *lowest = Past { from_lowest: Word::ONES, from_highest: Word::ZERO, begun: Word::ONES };
        if self.is_counting {
            for (word, mut bits) in closed.0.into_iter().enumerate() {
                while bits != 0 {
                    self.counts.round_trips[word * WORD_BITS + bits.trailing_zeros() as usize] += 1;
                    bits &= bits - 1;
                }
            }
        }
        if let [_, .., highest] = &mut self.pasts[..] {
            (highest.from_lowest, highest.from_highest) = (Word::ZERO, Word::ONES);
        }
    }

    /// Energy and magnetization of every lane at each coupling.
    pub fn measurements(&self) -> Vec<Vec<Measurement>> {
        self.groups.par_iter().map(LaneGroup::measurements).collect()
    }

    /// The power of the longest waves of every lane at each coupling; `None` on the square lattice, where it is not measured across the bits.
    pub fn wave_powers(&self) -> Option<Vec<Vec<f64>>> {
        self.groups.par_iter().map(LaneGroup::wave_powers).collect()
    }

    /// All that the rest of the chains depends on, as words, in pieces: sweeps; whether exchanges are counted, and the counts; the stream of the exchanges; where the replicas have been;
    /// the groups.
    pub fn put_snapshot(&self, take: &mut TakeWords) {
        let counts = &self.counts;
        take(&[self.sweeps, u64::from(self.is_counting)]);
        for list in [&counts.tried, &counts.made, &counts.round_trips, &counts.from_lowest, &counts.from_highest] {
            take(list);
        }
        take(&self.stream.state());
        for past in &self.pasts {
            [past.from_lowest, past.from_highest, past.begun].iter().for_each(|word| take(&word.0));
        }
        self.groups.iter().for_each(|group| group.put_snapshot(take));
    }

    /// [`Self::put_snapshot`] as one list.
    pub fn snapshot(&self) -> Vec<u64> {
        let mut words = Vec::new();
        self.put_snapshot(&mut |part| words.extend_from_slice(part));
        words
    }

    /// Goes on from the snapshot of ladders that were made alike, with the same bits as if nothing had happened.
    ///
    /// # Errors
    /// [`crate::error::Error::Refused`] if the words do not fit; the ladders are then unusable.
    pub fn restore(&mut self, words: &[u64]) -> Result<()> {
        let mut reader = Reader::new(words);
        self.sweeps = reader.word()?;
        self.is_counting = reader.count(1)? == 1;
        let counts = &mut self.counts;
        for list in [&mut counts.tried, &mut counts.made, &mut counts.round_trips, &mut counts.from_lowest, &mut counts.from_highest] {
            let count = list.len();
            list.copy_from_slice(reader.words(count)?);
        }
        self.stream = reader.lanes()?;
        for past in &mut self.pasts {
            for word in [&mut past.from_lowest, &mut past.from_highest, &mut past.begun] {
                word.0.copy_from_slice(reader.words(BLOCK)?);
            }
        }
        self.groups.iter_mut().try_for_each(|group| group.restore(&mut reader))?;
        reader.end()
    }
}

fn both(one: &Word, other: &Word) -> Word {
    Word(std::array::from_fn(|word| one.0[word] & other.0[word]))
}

fn ones(word: &Word) -> u64 {
    word.0.iter().map(|word| u64::from(word.count_ones())).sum()
}

fn swap(one: &mut Word, other: &mut Word, mask: &Word) {
    for ((one, other), mask) in one.0.iter_mut().zip(&mut other.0).zip(mask.0) {
        let swapped = (*one ^ *other) & mask;
        *one ^= swapped;
        *other ^= swapped;
    }
}
