//! Swendsen and Wang's cluster algorithm, PRL 58, 86 (1987), on packed spins.
//!
//! A sweep opens every bond between equal spins with probability 1 - e^(-2K) and gives each cluster of open bonds a new sign at random. This file holds the
//! chain and its conversions; the sweep itself is `kernels::swendsen_wang`. Any side from 3 on, odd ones too: clusters need no colours.

use super::{Sampler, Start, bond_threshold, snapshot::Reader, start::initial_configuration};
use crate::error::{Error, Result};
use crate::kernels::swendsen_wang::{self as kernel, BatchClusters};
use crate::kernels::tiles::{BATCH, TileGrid, Words};
use crate::kernels::{InstructionSet, bernoulli, profile};
use crate::lattice::SquareTorus;
use crate::measure::{Measurement, Observer};
use crate::random::{LaneStream, Purpose};
use crate::spins::{Configuration, WORD_BITS};

/// A Swendsen-Wang chain. All its random numbers come from the stream (seed, SwendsenWang, chain): for each batch of tiles the bonds to the right and
/// downwards, then one bit for each node (cluster inside a tile) of the lattice.
///
/// Memory: one bit a site for the spins, one byte a site for bonds and edges of tiles, and four bytes for each cluster inside a tile (a fifth of the sites
/// at the critical point, all of them at infinite temperature).
#[derive(Debug, Clone)]
pub struct SwendsenWang {
    torus: SquareTorus,
    grid: TileGrid,
    spins: Vec<Words>,
    clusters: Vec<BatchClusters>,
    parents: Vec<u32>,
    signs: Vec<u64>,
    threshold: u64,
    stream: LaneStream,
    instruction_set: InstructionSet,
}

impl SwendsenWang {
    /// The largest side: nodes are numbered in 32 bits.
    pub const LARGEST_SIDE: usize = 65535;

    /// The chain number `chain` of the run with seed `seed`, at coupling K = J / k_B T, on the best instruction set.
    ///
    /// # Errors
    /// [`Error::Usage`] if the coupling is negative or not finite, or the side above [`Self::LARGEST_SIDE`].
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
        if torus.side() > Self::LARGEST_SIDE {
            return Err(Error::Usage(format!(
                "swendsen-wang numbers its clusters in 32 bits and cannot update a lattice of side {}: write a side up to {}, or choose metropolis",
                torus.side(),
                Self::LARGEST_SIDE
            )));
        }
        let grid = TileGrid::new(torus.side());
        let mut sampler = SwendsenWang {
            torus,
            spins: vec![[0; BATCH]; grid.batches()],
            clusters: vec![BatchClusters::EMPTY; grid.batches()],
            parents: Vec::new(),
            signs: Vec::new(),
            threshold,
            stream: LaneStream::new(seed, Purpose::SwendsenWang, chain),
            instruction_set,
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
        spins.fill([0; BATCH]);
        self.grid.pieces(|first, count, batch, word, bit| {
            let (place, shift) = (first / WORD_BITS, first % WORD_BITS);
            let next = words.get(place + 1).copied().unwrap_or(0);
            let piece = words[place] >> shift | (next << 1) << (WORD_BITS - 1 - shift);
            for offset in 0..count {
                spins[batch][word + offset] |= (piece >> offset & 1) << bit;
            }
        });
    }
}

impl Sampler for SwendsenWang {
    fn sweep(&mut self) -> u64 {
        let set = self.instruction_set;
        let nodes =
            kernel::find_clusters(set, &self.grid, &self.spins, self.threshold, &mut self.stream.lanes, &mut self.clusters) as usize;
        if self.parents.len() < nodes {
            self.parents.resize(nodes, 0);
        }
        let parents = &mut self.parents[..nodes];
        kernel::join_tiles(set, &self.grid, &self.clusters, parents);
        let words = nodes.div_ceil(WORD_BITS).next_multiple_of(bernoulli::BLOCK);
        if self.signs.len() < words {
            self.signs.resize(words, 0);
        }
        let signs = &mut self.signs[..words];
        bernoulli::fill_uniform(set, &mut self.stream.lanes, signs);
        kernel::flip_clusters(set, &mut self.spins, &self.clusters, parents, signs);
        self.torus.sites() as u64
    }

    fn measure(&self) -> Measurement {
        let (magnetization, energy) = kernel::count(self.instruction_set, &self.grid, &self.spins);
        Measurement { energy, magnetization }
    }

    fn observe(&self, observer: &mut Observer) -> (Measurement, f64) {
        profile::count_tiles(self.instruction_set, self.grid.per_side(), &self.spins, &mut observer.counters);
        (self.measure(), observer.wave_power(self.instruction_set))
    }

    fn configuration(&self) -> Configuration {
        let mut words = vec![0; self.torus.sites().div_ceil(WORD_BITS)];
        self.grid.pieces(|first, count, batch, word, bit| {
            let piece = (0..count).fold(0, |piece, offset| piece | (self.spins[batch][word + offset] >> bit & 1) << offset);
            let (place, shift) = (first / WORD_BITS, first % WORD_BITS);
            words[place] |= piece << shift;
            if shift + count > WORD_BITS {
                words[place + 1] |= piece >> (WORD_BITS - shift);
            }
        });
        Configuration::from_words(self.torus, words)
    }

    /// The state of the lanes, then the batches of tiles. Clusters and signs are made anew in every sweep.
    fn snapshot(&self) -> Vec<u64> {
        [self.stream.state().as_slice(), self.spins.as_flattened()].concat()
    }

    fn restore(&mut self, words: &[u64]) -> Result<()> {
        let mut reader = Reader::new(words);
        self.stream = reader.lanes()?;
        let spins = reader.words(self.spins.len() * BATCH)?;
        for (batch, (own, words)) in self.spins.iter_mut().zip(spins.as_chunks::<BATCH>().0).enumerate() {
            let existing = self.grid.existing(batch);
            *own = std::array::from_fn(|site| words[site] & existing[site]);
        }
        reader.end()
    }
}
