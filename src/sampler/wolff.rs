//! Wolff's single-cluster algorithm, PRL 62, 361 (1989), on packed spins.
//!
//! A cluster grows from a random site: a neighbour with the same spin joins with probability 1 - e^(-2K); then all its spins are flipped. Here a spin is
//! flipped when it joins, so that it is no longer equal to the cluster spin and needs no mark. The four neighbours of a site are treated without a branch: each
//! takes one bit of a pool of Bernoulli words (`kernels::bernoulli`), is written to the end of the queue in any case, and moves the end only if it joins. First in,
//! first out: the site taken next was written long ago, so that the processor can work on many sites at a time.

use super::{Sampler, Start, bond_threshold, snapshot::Reader, start::initial_configuration};
use crate::error::{Error, Result};
use crate::kernels::{InstructionSet, bernoulli, profile};
use crate::lattice::SquareTorus;
use crate::measure::{Measurement, Observer};
use crate::random::{LaneStream, Purpose};
use crate::spins::{Configuration, WORD_BITS};

/// Bernoulli words drawn at once; a site takes four bits.
const POOL: usize = 256;
/// Sites served by one of them.
const SITES_PER_WORD: usize = WORD_BITS / DIRECTIONS;
/// Directions of the square lattice.
const DIRECTIONS: usize = 4;

/// Spins flipped between two questions whether a sweep is to be left: about a millisecond.
const WORK_BETWEEN_QUESTIONS: u64 = 1 << 17;

/// A Wolff chain. All its random numbers come from the stream (seed, Wolff, chain).
///
/// What a sweep is: during thermalization, clusters until at least N spins were flipped. [`Sampler::end_thermalization`] fixes the number of clusters of every
/// later sweep, max(1, N / mean cluster size rounded), the mean taken over the second half of the thermalization sweeps; without any thermalization it is one
/// cluster a sweep. A fixed number matters: stopping when enough spins are flipped would favour measurements just after large clusters, which is a bias.
#[derive(Debug, Clone)]
pub struct Wolff {
    torus: SquareTorus,
    /// Row y starts at bit y * 2^row_shift, a power of two and at least a word, so that the coordinates of a site are bits of its position.
    row_shift: u32,
    spins: Vec<u64>,
    threshold: u64,
    stream: LaneStream,
    /// Random words for the first site of a cluster, and how many are used up.
    seeds: [u64; bernoulli::BLOCK],
    seeds_used: usize,
    pool: Vec<u64>,
    pool_used: usize,
    /// Sites that joined and have not tried their bonds yet, as a ring.
    queue: Vec<u32>,
    instruction_set: InstructionSet,
    /// (clusters, flipped spins) of each thermalization sweep; nothing once thermalization has ended.
    thermalization: Option<Vec<(u64, u64)>>,
    clusters_per_sweep: u64,
    /// Clusters and flipped spins of a sweep that was left before its end; zero between sweeps.
    begun: (u64, u64),
    clusters: u64,
    flipped_spins: u64,
}

impl Wolff {
    /// The largest side: positions in the queue have 32 bits.
    pub const LARGEST_SIDE: usize = 1 << 16;

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
                "wolff numbers the sites in 32 bits and cannot update a lattice of side {}: write a side up to {}, or choose metropolis",
                torus.side(),
                Self::LARGEST_SIDE
            )));
        }
        let row_bits = torus.side().next_power_of_two().max(WORD_BITS);
        let mut sampler = Wolff {
            torus,
            row_shift: row_bits.trailing_zeros(),
            spins: vec![0; torus.side() * (row_bits / WORD_BITS)],
            threshold,
            stream: LaneStream::new(seed, Purpose::Wolff, chain),
            seeds: [0; bernoulli::BLOCK],
            seeds_used: bernoulli::BLOCK,
            pool: vec![0; POOL],
            pool_used: POOL,
            queue: vec![0; 1024],
            instruction_set,
            thermalization: Some(Vec::new()),
            clusters_per_sweep: 1,
            begun: (0, 0),
            clusters: 0,
            flipped_spins: 0,
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
        let side = self.torus.side();
        let words = configuration.words();
        let width = self.row_words();
        for y in 0..side {
            for (place, word) in self.spins[y * width..(y + 1) * width].iter_mut().enumerate() {
                let first = place * WORD_BITS;
                let count = side.saturating_sub(first).min(WORD_BITS);
                *word = if count == 0 { 0 } else { bits_from(words, y * side + first) & (u64::MAX >> (WORD_BITS - count)) };
            }
        }
    }

    /// Grows one cluster and flips it. Returns its size.
    pub fn flip_cluster(&mut self) -> u64 {
        let side = self.torus.side() as u64;
        let site = self.random_site();
        let first = (((site / side) << self.row_shift) + site % side) as u32;
        let spin = &mut self.spins[first as usize / WORD_BITS];
        let differs = (*spin >> (first % 64) & 1).wrapping_sub(1);
        *spin ^= 1 << (first % 64);
        self.queue[0] = first;
        let (mut size, mut reached) = (0, 1);
        while size < reached {
            if self.queue.len() < (reached - size) as usize + DIRECTIONS * SITES_PER_WORD {
                enlarge(&mut self.queue, size, reached);
            }
            if self.pool_used == POOL {
                bernoulli::fill(self.instruction_set, self.threshold, &mut self.stream.lanes, &mut self.pool);
                self.pool_used = 0;
            }
            let end = reached.min(size + SITES_PER_WORD as u64);
            let bits = self.pool[self.pool_used];
            self.pool_used += 1;
            reached = spread(&mut self.spins, &mut self.queue, size..end, reached, bits, differs, (side as u32 - 1, self.row_shift));
            size = end;
        }
        self.clusters += 1;
        self.flipped_spins += size;
        size
    }

    /// The number of clusters that make a sweep after thermalization.
    pub fn clusters_per_sweep(&self) -> u64 {
        self.clusters_per_sweep
    }

    /// Clusters flipped since thermalization ended (or, before, since the start).
    pub fn clusters(&self) -> u64 {
        self.clusters
    }

    /// Spins flipped since thermalization ended (or, before, since the start). Divided by [`Self::clusters`] and by N it estimates `<m^2>`.
    pub fn flipped_spins(&self) -> u64 {
        self.flipped_spins
    }

    /// The mean size of those clusters: an improved estimator of the susceptibility, `<cluster size> = N <m^2>`.
    pub fn mean_cluster_size(&self) -> f64 {
        self.flipped_spins as f64 / self.clusters.max(1) as f64
    }

    fn row_words(&self) -> usize {
        (1 << self.row_shift) / WORD_BITS
    }

    /// A site with equal probability (Lemire, ACM TOMACS 29, 3 (2019)).
    fn random_site(&mut self) -> u64 {
        let sites = self.torus.sites() as u64;
        let refused = sites.wrapping_neg() % sites;
        loop {
            if self.seeds_used == self.seeds.len() {
                self.seeds = self.stream.words();
                self.seeds_used = 0;
            }
            let product = u128::from(self.seeds[self.seeds_used]) * u128::from(sites);
            self.seeds_used += 1;
            if product as u64 >= refused {
                return (product >> 64) as u64;
            }
        }
    }
}

/// Tries the bonds of the sites number `sites` of the cluster, four bits of `bits` a site, and appends those that join: number n stands at n modulo the length
/// of the queue, a power of two. `differs` is all ones if the cluster spin is down. Returns the number of sites reached so far.
#[inline]
fn spread(
    spins: &mut [u64],
    queue: &mut [u32],
    sites: std::ops::Range<u64>,
    mut reached: u64,
    mut bits: u64,
    differs: u64,
    (last, row_shift): (u32, u32),
) -> u64 {
    let (column_mask, row_step, last_row) = ((1u32 << row_shift) - 1, 1u32 << row_shift, last << row_shift);
    let ring = queue.len() - 1;
    for number in sites {
        let position = queue[number as usize & ring];
        let (column, row) = (position & column_mask, position & !column_mask);
        let right = if column == last { row } else { position + 1 };
        let left = if column == 0 { position + last } else { position - 1 };
        let down = if row == last_row { column } else { position + row_step };
        let up = if row == 0 { position + last_row } else { position - row_step };
        // The four are different sites: all are read before one is written, so that no decision waits for a store.
        let equal = |neighbour: u32| (spins[neighbour as usize / WORD_BITS] ^ differs) >> (neighbour % 64);
        let joins_right = equal(right) & bits & 1;
        let joins_left = equal(left) & bits >> 1 & 1;
        let joins_down = equal(down) & bits >> 2 & 1;
        let joins_up = equal(up) & bits >> 3 & 1;
        bits >>= DIRECTIONS;
        let mut add = |neighbour: u32, joins: u64| {
            spins[neighbour as usize / WORD_BITS] ^= joins << (neighbour % 64);
            queue[reached as usize & ring] = neighbour;
            reached += joins;
        };
        add(right, joins_right);
        add(left, joins_left);
        add(down, joins_down);
        add(up, joins_up);
    }
    reached
}

/// Doubles the queue in which the sites `first..end` wait.
#[cold]
fn enlarge(queue: &mut Vec<u32>, first: u64, end: u64) {
    let old = queue.len();
    let waiting: Vec<u32> = (first..end).map(|number| queue[number as usize % old]).collect();
    queue.resize(2 * old, 0);
    for (number, position) in (first..end).zip(waiting) {
        queue[number as usize % (2 * old)] = position;
    }
}

/// 64 bits of a string of bits from bit `start` on, clear past the end.
fn bits_from(words: &[u64], start: usize) -> u64 {
    let (place, shift) = (start / WORD_BITS, start % WORD_BITS);
    let get = |index: usize| words.get(index).copied().unwrap_or(0);
    get(place) >> shift | (get(place + 1) << 1) << (WORD_BITS - 1 - shift)
}

impl Sampler for Wolff {
    fn sweep(&mut self) -> u64 {
        self.sweep_unless(&mut || false).unwrap_or(0)
    }

    /// A sweep can be long: a fixed number of clusters, found while the clusters were smaller, may flip the lattice many times over. It is left between two clusters.
    fn sweep_unless(&mut self, leave: &mut dyn FnMut() -> bool) -> Option<u64> {
        let (sites, mut work) = (self.torus.sites() as u64, 0);
        let is_over = |chain: &Wolff| match chain.thermalization {
            None => chain.begun.0 >= chain.clusters_per_sweep,
            Some(_) => chain.begun.1 >= sites,
        };
        while !is_over(self) {
            let size = self.flip_cluster();
            self.begun = (self.begun.0 + 1, self.begun.1 + size);
            work += size;
            if work >= WORK_BETWEEN_QUESTIONS {
                work = 0;
                if leave() && !is_over(self) {
                    return None;
                }
            }
        }
        let (clusters, flipped) = std::mem::take(&mut self.begun);
        if let Some(sweeps) = &mut self.thermalization {
            sweeps.push((clusters, flipped));
        }
        Some(flipped)
    }

    fn end_thermalization(&mut self) {
        let Some(sweeps) = self.thermalization.take() else { return };
        let second_half = &sweeps[sweeps.len() / 2..];
        let clusters: u64 = second_half.iter().map(|sweep| sweep.0).sum();
        let flipped: u64 = second_half.iter().map(|sweep| sweep.1).sum();
        if flipped > 0 {
            let wanted = u128::from(self.torus.sites() as u64) * u128::from(clusters);
            self.clusters_per_sweep = ((wanted + u128::from(flipped / 2)) / u128::from(flipped)).max(1) as u64;
        }
        (self.clusters, self.flipped_spins) = (0, 0);
    }

    fn measure(&self) -> Measurement {
        let (side, width) = (self.torus.side(), self.row_words());
        let used = side.div_ceil(WORD_BITS);
        let (mut up, mut equal) = (0u64, 0u64);
        for y in 0..side {
            let row = &self.spins[y * width..][..used];
            let below = &self.spins[(y + 1) % side * width..][..used];
            for word in 0..used {
                let count = (side - word * WORD_BITS).min(WORD_BITS);
                let existing = u64::MAX >> (WORD_BITS - count);
                // The bit past the end of the row is the first of the row.
                let next = if word + 1 < used { row[word + 1] } else { row[0] };
                let right = (row[word] & existing) >> 1 | next << (count - 1);
                up += u64::from(row[word].count_ones());
                equal += u64::from((!(row[word] ^ right) & existing).count_ones());
                equal += u64::from((!(row[word] ^ below[word]) & existing).count_ones());
            }
        }
        let sites = self.torus.sites() as i64;
        Measurement { energy: 2 * (sites - equal as i64), magnetization: 2 * up as i64 - sites }
    }

    fn observe(&self, observer: &mut Observer) -> (Measurement, f64) {
        profile::count_packed(self.instruction_set, &self.spins, self.row_words(), &mut observer.counters);
        (self.measure(), observer.wave_power(self.instruction_set))
    }

    fn configuration(&self) -> Configuration {
        let (side, width) = (self.torus.side(), self.row_words());
        let mut words = vec![0; self.torus.sites().div_ceil(WORD_BITS)];
        for y in 0..side {
            for word in 0..side.div_ceil(WORD_BITS) {
                let piece = self.spins[y * width + word];
                let first = y * side + word * WORD_BITS;
                let (place, shift) = (first / WORD_BITS, first % WORD_BITS);
                words[place] |= piece << shift;
                let over = (piece >> 1) >> (WORD_BITS - 1 - shift);
                if over != 0 {
                    words[place + 1] |= over;
                }
            }
        }
        Configuration::from_words(self.torus, words)
    }

    /// The state of the lanes; the words in store for first sites and for bonds, each with their number; clusters a sweep, those and the
    /// flipped spins of the sweep that has begun, clusters, flipped spins; 1 and the
    /// pairs of the thermalization with their number, or 0 if that has ended; the configuration.
    fn snapshot(&self) -> Vec<u64> {
        let mut words = self.stream.state().to_vec();
        for stored in [&self.seeds[self.seeds_used..], &self.pool[self.pool_used..]] {
            words.push(stored.len() as u64);
            words.extend(stored);
        }
        words.extend([
            self.clusters_per_sweep,
            self.begun.0,
            self.begun.1,
            self.clusters,
            self.flipped_spins,
            u64::from(self.thermalization.is_some()),
        ]);
        if let Some(sweeps) = &self.thermalization {
            words.push(sweeps.len() as u64);
            words.extend(sweeps.iter().flat_map(|&(clusters, flipped)| [clusters, flipped]));
        }
        words.extend(self.configuration().words());
        words
    }

    fn restore(&mut self, words: &[u64]) -> Result<()> {
        let mut reader = Reader::new(words);
        self.stream = reader.lanes()?;
        let stores: [(&mut [u64], &mut usize); 2] = [(&mut self.seeds, &mut self.seeds_used), (&mut self.pool, &mut self.pool_used)];
        for (store, used) in stores {
            let left = reader.count(store.len())?;
            *used = store.len() - left;
            store[*used..].copy_from_slice(reader.words(left)?);
        }
        self.clusters_per_sweep = reader.word()?;
        self.begun = (reader.word()?, reader.word()?);
        self.clusters = reader.word()?;
        self.flipped_spins = reader.word()?;
        self.thermalization = match reader.count(1)? {
            0 => None,
            _ => {
                let sweeps = reader.count(words.len() / 2)?;
                Some(reader.words(2 * sweeps)?.as_chunks().0.iter().map(|&[clusters, flipped]| (clusters, flipped)).collect())
            }
        };
        let configuration = reader.configuration(self.torus)?;
        self.set_configuration(&configuration);
        reader.end()
    }
}
