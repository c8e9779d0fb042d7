//! Swendsen and Wang's cluster algorithm, PRL 58, 86 (1987), on the chain and the cubic lattice: bonds by words, clusters by a union-find over the sites.
//!
//! A sweep opens every bond between equal spins with probability 1 - e^(-2K) and gives each cluster of open bonds a new sign at random. (The square lattice has a kernel of its
//! own, [`super::swendsen_wang`].) Bonds along x join the sites of a run in one pass without a search; only the bonds from row to row and from layer to layer are united by the
//! algorithm of Rem (Dijkstra, A Discipline of Programming (1976), chapter 23), in which a site always points at one that is not after it. So one ascending pass at the
//! end finds the first site of each cluster, whose random bit is the new spin of all.

use super::{
    Algorithm, Sampler, Start, bond_threshold,
    looking::Looking,
    refuse_too_large,
    snapshot::{Reader, TakeWords},
    start::initial_configuration,
};
use crate::error::{Error, Result};
use crate::kernels::{InstructionSet, bernoulli};
use crate::lattice::{Geometry, Torus};
use crate::measure::{ClusterMoments, Measurement, Observer};
use crate::random::{LaneStream, Purpose};
use crate::spins::{Configuration, WORD_BITS, rows::Rows};

/// A Swendsen-Wang chain on any lattice. All its random numbers come from the stream (seed, SwendsenWang, chain): for each axis in turn the bonds of all rows, ceil(L / 64)
/// words a row; then one bit for each site. Each of these four draws is rounded up to blocks of eight words.
///
/// Memory: five bytes a site.
#[derive(Debug, Clone)]
pub struct SiteClusters {
    torus: Torus,
    spins: Rows,
    /// The open bonds of each axis, row after row: bit x of row r joins site (x, r) to the next one along the axis.
    bonds: Vec<Vec<u64>>,
    /// New signs, one bit a site in site order.
    signs: Vec<u64>,
    /// For each site one of its cluster that is not after it.
    parents: Vec<u32>,
    threshold: u64,
    stream: LaneStream,
    instruction_set: InstructionSet,
    looking: Looking,
}

impl SiteClusters {
    /// The largest side: sites are numbered in 32 bits, and one number means none.
    pub fn largest_side(geometry: Geometry) -> usize {
        match geometry {
            Geometry::Chain => u32::MAX as usize,
            Geometry::Square => 65535,
            Geometry::Cubic => 1625,
        }
    }

    /// The chain number `chain` of the run with seed `seed`, at coupling K = J / k_B T, on the best instruction set.
    ///
    /// # Errors
    /// [`Error::Usage`] if the coupling is negative or not finite, or if there are 2^32 sites or more.
    pub fn new(torus: impl Into<Torus>, coupling: f64, start: Start, seed: u64, chain: u64) -> Result<Self> {
        let (torus, threshold) = (torus.into(), bond_threshold(coupling)?);
        refuse_too_large(Algorithm::SwendsenWang, torus).map_or(Ok(()), |sentence| Err(Error::Usage(sentence)))?;
        let lines = torus.sites() / torus.side();
        let blocks = |words: usize| words.next_multiple_of(bernoulli::BLOCK);
        let mut spins = Rows::all_down(torus);
        spins.set_configuration(&initial_configuration(torus, start, seed, chain));
        Ok(SiteClusters {
            spins,
            bonds: vec![vec![0; blocks(lines * torus.side().div_ceil(WORD_BITS))]; torus.dimension()],
            signs: vec![0; blocks(torus.sites().div_ceil(WORD_BITS))],
            parents: vec![0; torus.sites()],
            threshold,
            stream: LaneStream::new(seed, Purpose::SwendsenWang, chain),
            instruction_set: InstructionSet::chosen(),
            looking: Looking::default(),
            torus,
        })
    }

    /// The same chain, run on another instruction set; the results do not depend on it.
    #[must_use]
    pub fn with_instruction_set(self, instruction_set: InstructionSet) -> Self {
        SiteClusters { instruction_set, ..self }
    }

    /// Opens the bonds.
    fn open_bonds(&mut self) {
        let (side, width) = (self.torus.side(), self.spins.row_words());
        let used = side.div_ceil(WORD_BITS);
        let last_count = side - (used - 1) * WORD_BITS;
        let words = self.spins.words();
        // Where the row after a row along an axis begins; rows are numbered in site order.
        let line = |row: usize| (self.spins.position((row * side) as u64) / WORD_BITS as u64) as usize;
        debug_assert!(width >= used);
        for (axis, bonds) in self.bonds.iter_mut().enumerate() {
            bernoulli::fill(self.instruction_set, self.threshold, &mut self.stream.lanes, bonds);
            for (row, bonds) in bonds.chunks_exact_mut(used).take(self.torus.sites() / side).enumerate() {
                let own = &words[line(row)..][..used];
                let next_row = if axis == 0 { row } else { self.torus.next(row * side, axis) / side };
                let next = &words[line(next_row)..][..used];
                for (place, bonds) in bonds.iter_mut().enumerate() {
                    let count = if place + 1 == used { last_count } else { WORD_BITS };
                    let existing = u64::MAX >> (WORD_BITS - count);
                    let neighbours = if axis == 0 {
                        let after = if place + 1 < used { own[place + 1] } else { own[0] };
                        own[place] >> 1 | after << (count - 1)
                    } else {
                        next[place]
                    };
                    *bonds &= !(own[place] ^ neighbours) & existing;
                }
            }
        }
    }

    /// Joins the sites of open bonds: afterwards each site points at one of its cluster that is not after it, and the first one of each cluster at itself.
    fn join(&mut self) {
        let side = self.torus.side();
        let used = side.div_ceil(WORD_BITS);
        let parents = self.parents.as_mut_slice();
        for (row, bonds) in self.bonds[0].chunks_exact(used).take(parents.len() / side).enumerate() {
            let first = (row * side) as u32;
            let mut start = first;
            let mut joined = 0;
            for (x, parent) in parents[row * side..][..side].iter_mut().enumerate() {
                let site = first + x as u32;
                start = if joined == 1 { start } else { site };
                *parent = start;
                joined = bonds[x / WORD_BITS] >> (x % WORD_BITS) & 1;
            }
            if joined == 1 {
                unite(parents, first, first + side as u32 - 1);
            }
        }
        for (axis, bonds) in self.bonds.iter().enumerate().skip(1) {
            for (row, bonds) in bonds.chunks_exact(used).take(parents.len() / side).enumerate() {
                let (own, next) = ((row * side) as u32, self.torus.next(row * side, axis) as u32);
                for (place, &word) in bonds.iter().enumerate() {
                    let mut left = word;
                    while left != 0 {
                        let x = place as u32 * WORD_BITS as u32 + left.trailing_zeros();
                        left &= left - 1;
                        unite(parents, own + x, next + x);
                    }
                }
            }
        }
    }

    /// Counts the clusters, after [`Self::flip`] has led every site to the first one of its cluster.
    fn look(&mut self) {
        let (side, parents) = (self.torus.side(), &self.parents);
        self.looking.look(|census, numbers| {
            numbers.resize(parents.len(), 0);
            let mut next = 0;
            for (site, &first) in parents.iter().enumerate() {
                if first as usize == site {
                    numbers[site] = next;
                    next += 1;
                }
                let row = site / side;
                census.add(numbers[first as usize] as usize, [site % side, row % side, row / side]);
            }
        });
    }

    /// Gives each cluster the sign of its first site.
    fn flip(&mut self) {
        bernoulli::fill_uniform(self.instruction_set, &mut self.stream.lanes, &mut self.signs);
        let side = self.torus.side();
        for row in 0..self.parents.len() / side {
            let line = (self.spins.position((row * side) as u64) / WORD_BITS as u64) as usize;
            for place in 0..side.div_ceil(WORD_BITS) {
                let first = row * side + place * WORD_BITS;
                let mut word = 0;
                for x in 0..(side - place * WORD_BITS).min(WORD_BITS) {
                    let site = first + x;
                    // The parent has found its first site already.
                    let root = self.parents[self.parents[site] as usize];
                    self.parents[site] = root;
                    word |= (self.signs[root as usize / WORD_BITS] >> (root % 64) & 1) << x;
                }
                self.spins.words_mut()[line + place] = word;
            }
        }
    }
}

/// Joins two trees in which every site points at one that is not after it.
#[inline(always)]
fn unite(parents: &mut [u32], mut one: u32, mut other: u32) {
    loop {
        let (mut up, mut across) = (parents[one as usize], parents[other as usize]);
        if up == across {
            return;
        }
        if up < across {
            (one, other) = (other, one);
            (up, across) = (across, up);
        }
        parents[one as usize] = across;
        if up == one {
            return;
        }
        one = up;
    }
}

impl Sampler for SiteClusters {
    fn sweep(&mut self) -> u64 {
        self.open_bonds();
        self.join();
        self.flip();
        self.look();
        self.torus.sites() as u64
    }

    fn measure(&self) -> Measurement {
        self.spins.measure()
    }

    fn observe(&self, observer: &mut Observer) -> (Measurement, f64) {
        self.spins.observe(self.instruction_set, observer)
    }

    fn expect_clusters(&mut self, with_waves: bool) {
        self.looking.expect(self.torus, with_waves);
    }

    fn cluster_moments(&mut self) -> Option<ClusterMoments> {
        self.looking.take()
    }

    fn configuration(&self) -> Configuration {
        self.spins.configuration()
    }

    /// The state of the lanes, then the configuration. Bonds and clusters are made anew in every sweep.
    fn put_snapshot(&self, take: &mut TakeWords) {
        take(&self.stream.state());
        take(self.spins.configuration().words());
    }

    fn restore(&mut self, words: &[u64]) -> Result<()> {
        let mut reader = Reader::new(words);
        self.stream = reader.lanes()?;
        self.spins.set_configuration(&reader.configuration(self.torus)?);
        reader.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bonds are open between equal spins alone, clusters are those of a flood over the open bonds, and all spins of a cluster become what its first site's bit says.
    #[test]
    fn clusters_are_those_of_a_flood_over_the_bonds() {
        for (geometry, side, coupling, sweeps) in [
            (Geometry::Chain, 3, 0.5, 200),
            (Geometry::Chain, 70, 1.0, 100),
            (Geometry::Chain, 64, 30.0, 3),
            (Geometry::Square, 7, 0.44, 50),
            (Geometry::Cubic, 3, 0.2, 100),
            (Geometry::Cubic, 4, 0.0, 3),
            (Geometry::Cubic, 8, 0.2216, 30),
            (Geometry::Cubic, 65, 0.2216, 2),
        ] {
            let torus = Torus::new(geometry, side).expect("a valid side");
            let mut chain = SiteClusters::new(torus, coupling, Start::Hot, 14103831, 2).expect("a valid chain");
            let (sites, used) = (torus.sites(), side.div_ceil(64));
            for _ in 0..sweeps {
                let before = chain.configuration();
                chain.open_bonds();
                let open = |site: usize, axis: usize| {
                    let (row, x) = (site / side, site % side);
                    chain.bonds[axis][row * used + x / 64] >> (x % 64) & 1 == 1
                };
                let mut labels = vec![usize::MAX; sites];
                for first in 0..sites {
                    if labels[first] != usize::MAX {
                        continue;
                    }
                    let mut waiting = vec![first];
                    labels[first] = first;
                    while let Some(site) = waiting.pop() {
                        for axis in 0..torus.dimension() {
                            let (up, down) = (torus.next(site, axis), torus.previous(site, axis));
                            assert!(!open(site, axis) || before.spin(site) == before.spin(up));
                            for (neighbour, is_open) in [(up, open(site, axis)), (down, open(down, axis))] {
                                if is_open && labels[neighbour] == usize::MAX {
                                    labels[neighbour] = first;
                                    waiting.push(neighbour);
                                }
                            }
                        }
                    }
                }
                chain.join();
                chain.flip();
                let after = chain.configuration();
                for site in 0..sites {
                    assert_eq!(chain.parents[site] as usize, labels[site], "{geometry} {side}");
                    assert_eq!(after.bits()[site], chain.signs[labels[site] / 64] >> (labels[site] % 64) & 1 == 1);
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_sampled_is_refused_in_words() {
        let torus = |side| Torus::new(Geometry::Cubic, side).expect("a valid side");
        let refused =
            |side, coupling| SiteClusters::new(torus(side), coupling, Start::Hot, 1, 0).map(|_| ()).expect_err("unfit").to_string();
        assert!(refused(2048, 0.2).contains("32 bits") && refused(4, -0.1).contains("coupling"));
    }
}
