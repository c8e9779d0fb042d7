//! Swendsen and Wang's cluster algorithm, PRL 58, 86 (1987), on packed spins.
//!
//! A sweep opens every bond between equal spins with probability 1 - e^(-2K) and gives each cluster of open bonds a new sign at random. This file holds the
//! chain and its conversions; the sweep itself is `kernels::swendsen_wang`. Any side from 3 on, odd ones too: clusters need no colours.

use super::{
    Algorithm, Sampler, Start, bond_threshold,
    local_update::stream_index,
    looking::Looking,
    refuse_too_large,
    snapshot::{Reader, TakeWords},
    start::initial_configuration,
};
use crate::error::{Error, Result};
use crate::kernels::swendsen_wang::{self as kernel, Clusters, STRIP, Strip, census};
use crate::kernels::tiles::TileGrid;
use crate::kernels::{InstructionSet, profile};
use crate::lattice::SquareTorus;
use crate::measure::{ClusterMoments, Measurement, Observer};
use crate::random::{LaneStream, Purpose};
use crate::spins::{Configuration, WORD_BITS};
use rayon::prelude::*;

/// A Swendsen-Wang chain. Its random numbers come from the streams (seed, SwendsenWang, chain + strip 2^40), one for each strip of 128 rows of the lattice;
/// what each bit decides is written in `kernels::swendsen_wang`. Lattices of several strips are updated on all threads that have nothing else to do.
///
/// Memory: one bit a site for the spins, about one and a half bytes a site for labels and rims of tiles, and five bytes for each cluster of a tile that touches its rim
/// (an eighth of the sites at the critical point, at most 28 in 64).
#[derive(Debug, Clone)]
pub struct SwendsenWang {
    torus: SquareTorus,
    grid: TileGrid,
    spins: Vec<u64>,
    strips: Vec<Strip>,
    clusters: Clusters,
    threshold: u64,
    instruction_set: InstructionSet,
    looking: Looking,
}

impl SwendsenWang {
    /// The largest side: nodes are numbered in 32 bits.
    pub const LARGEST_SIDE: usize = 65535;

    /// The chain number `chain` of the run with seed `seed`, at coupling K = J / k_B T, on the best instruction set.
    ///
    /// # Errors
    /// [`Error::Usage`] if the coupling is negative or not finite, the side above [`Self::LARGEST_SIDE`], or the chain above 2^40.
    pub fn new(torus: SquareTorus, coupling: f64, start: Start, seed: u64, chain: u64) -> Result<Self> {
        Self::with_instruction_set(InstructionSet::chosen(), torus, coupling, start, seed, chain)
    }

    /// [`Self::new`] on a given instruction set; the chain is the same.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with_instruction_set(
        instruction_set: InstructionSet,
        torus: SquareTorus,
        coupling: f64,
        start: Start,
        seed: u64,
        chain: u64,
    ) -> Result<Self> {
        let threshold = bond_threshold(coupling)?;
        refuse_too_large(Algorithm::SwendsenWang, torus.into()).map_or(Ok(()), |sentence| Err(Error::Usage(sentence)))?;
        let grid = TileGrid::new(torus.side());
        let lanes = |strip| Ok(LaneStream::new(seed, Purpose::SwendsenWang, stream_index(chain, strip)?).lanes);
        let mut sampler = SwendsenWang {
            torus,
            spins: vec![0; grid.words()],
            strips: Strip::all(&grid, lanes)?,
            clusters: Clusters::new(&grid),
            threshold,
            instruction_set,
            looking: Looking::default(),
            grid,
        };
        sampler.set_configuration(&initial_configuration(torus, start, seed, chain));
        Ok(sampler)
    }

    /// Replaces the spins.
    ///
    /// # Panics
    /// If the configuration is of another lattice.
    pub fn set_configuration(&mut self, configuration: &Configuration) {
        assert_eq!(configuration.torus(), self.torus, "a configuration of the lattice of the chain");
        let (words, spins) = (configuration.words(), &mut self.spins);
        spins.fill(0);
        self.grid.pieces(|first, count, word, bit| {
            let (place, shift) = (first / WORD_BITS, first % WORD_BITS);
            let next = words.get(place + 1).copied().unwrap_or(0);
            let piece = words[place] >> shift | (next << 1) << (WORD_BITS - 1 - shift);
            spins[word] |= (piece & ((1 << count) - 1)) << bit;
        });
    }
}

impl Sampler for SwendsenWang {
    fn sweep(&mut self) -> u64 {
        let (set, grid, threshold) = (self.instruction_set, &self.grid, self.threshold);
        let spins = &self.spins;
        let parts = self.strips.iter_mut().zip(self.clusters.parts()).collect();
        on_all_threads(parts, |(strip, mut part)| kernel::decompose(set, grid, spins, threshold, strip, &mut part));
        kernel::join_strips(&mut self.strips, &mut self.clusters);
        let clusters = &self.clusters;
        self.looking
            .look(|found, numbers| census::visit(grid, clusters, numbers, |cluster, corner, sites| found.add_tile(cluster, corner, sites)));
        kernel::cut_strips(&mut self.clusters);
        let rows = self.spins.chunks_mut(STRIP * grid.stride());
        let parts = self.strips.iter().zip(self.clusters.parts()).zip(rows).collect();
        on_all_threads(parts, |((strip, mut part), spins)| kernel::flip_clusters(set, grid, spins, strip, &mut part));
        self.torus.sites() as u64
    }

    fn measure(&self) -> Measurement {
        let (magnetization, energy) = kernel::count(self.instruction_set, &self.grid, &self.spins);
        Measurement { energy, magnetization }
    }

    fn observe(&self, observer: &mut Observer) -> (Measurement, f64) {
        profile::count_tiles(self.instruction_set, &self.grid, &self.spins, &mut observer.counters);
        (self.measure(), observer.wave_power(self.instruction_set))
    }

    fn expect_clusters(&mut self, with_waves: bool) {
        self.looking.expect(self.torus, with_waves);
    }

    fn cluster_moments(&mut self) -> Option<ClusterMoments> {
        self.looking.take()
    }

    fn configuration(&self) -> Configuration {
        let mut words = vec![0; self.torus.sites().div_ceil(WORD_BITS)];
        self.grid.pieces(|first, count, word, bit| {
            let piece = self.spins[word] >> bit & ((1 << count) - 1);
            let (place, shift) = (first / WORD_BITS, first % WORD_BITS);
            words[place] |= piece << shift;
            if shift + count > WORD_BITS {
                words[place + 1] |= piece >> (WORD_BITS - shift);
            }
        });
        Configuration::from_words(self.torus, words)
    }

    /// The states of the lanes of all strips, then the words of the tiles. Clusters are made anew in every sweep.
    fn put_snapshot(&self, take: &mut TakeWords) {
        self.strips.iter().for_each(|strip| take(&LaneStream { lanes: strip.lanes }.state()));
        take(&self.spins);
    }

    fn restore(&mut self, words: &[u64]) -> Result<()> {
        let mut reader = Reader::new(words);
        for strip in &mut self.strips {
            strip.lanes = reader.lanes()?.lanes;
        }
        let words = reader.words(self.spins.len())?;
        for (place, (own, word)) in self.spins.iter_mut().zip(words).enumerate() {
            *own = word & self.grid.existing(place);
        }
        reader.end()
    }
}

/// Does `work` on every part, on the threads that are free; without a detour where there is one part.
fn on_all_threads<T: Send>(parts: Vec<T>, work: impl Fn(T) + Sync + Send) {
    if parts.len() == 1 {
        parts.into_iter().for_each(work);
    } else {
        parts.into_par_iter().for_each(work);
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::swendsen_wang::ReferenceSwendsenWang;
    use super::*;

    /// Spin by spin against the sampler that looks at one bond at a time. The sides have one tile and many, whole and cut ones, of one row or column too, one
    /// strip and several, and rows of tiles that end inside a block.
    #[test]
    fn every_instruction_set_gives_the_chain_of_the_reference() {
        let sweeps_of = |side: usize| if side < 30 { 1000 } else { (2_000_000 / (side * side)).clamp(3, 300) };
        for side in
            [3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 30, 31, 57, 63, 64, 65, 72, 100, 126, 127, 128, 129, 130, 250, 257, 300, 513, 1000, 1022]
        {
            let torus = SquareTorus::new(side).expect("a valid side");
            for (chain, coupling) in [(0, 0.2), (1, 0.4407), (2, 0.0), (3, 1.0)] {
                let sweeps = if chain < 2 { sweeps_of(side) } else { 5 };
                let start = if chain == 1 { Start::Hot } else { Start::Cold };
                let mut reference = ReferenceSwendsenWang::new(torus, coupling, start, 14103831, chain).expect("a fit coupling");
                let make = |set| SwendsenWang::with_instruction_set(set, torus, coupling, start, 14103831, chain).expect("a fit coupling");
                let mut chains: Vec<SwendsenWang> = InstructionSet::available().into_iter().map(make).collect();
                for sweep in 0..sweeps {
                    reference.sweep();
                    let expected = reference.configuration();
                    for fast in &mut chains {
                        fast.sweep();
                        assert!(fast.configuration() == expected, "{}, side {side}, K {coupling}, sweep {sweep}", fast.instruction_set);
                    }
                }
                for fast in &chains {
                    assert_eq!(fast.measure(), reference.measure(), "{}, side {side}", fast.instruction_set);
                    let states: Vec<u64> = fast.strips.iter().flat_map(|strip| LaneStream { lanes: strip.lanes }.state()).collect();
                    assert!(
                        reference.snapshot().starts_with(&states),
                        "{}, side {side}: another number of random words",
                        fast.instruction_set
                    );
                }
            }
        }
    }

    #[test]
    fn threads_change_nothing() {
        for side in [40, 257, 400, 1000] {
            let torus = SquareTorus::new(side).expect("a valid side");
            let run = |threads: usize| {
                let mut chain = SwendsenWang::new(torus, 0.4407, Start::Hot, 14103831, 9).expect("a fit coupling");
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads");
                pool.install(|| (0..20).for_each(|_| assert_eq!(chain.sweep(), (side * side) as u64)));
                chain.snapshot()
            };
            let alone = run(1);
            for threads in [2, 3, 5] {
                assert!(run(threads) == alone, "side {side}, {threads} threads");
            }
        }
    }
}
