//! Wolff's single-cluster algorithm, PRL 62, 361 (1989), on packed spins.
//!
//! A cluster grows from a random site: a neighbour with the same spin joins with probability 1 - e^(-2K); then all its spins are flipped. Here a spin is
//! flipped when it joins, so that it is no longer equal to the cluster spin and needs no mark. The two, four or six neighbours of a site are treated without a branch: each
//! takes one bit of a pool of Bernoulli words (`kernels::bernoulli`), is written to the end of the queue in any case, and moves the end only if it joins. First in,
//! first out: the site taken next was written long ago, so that the processor can work on many sites at a time.

use super::{
    Algorithm, Sampler, Start, bond_threshold, refuse_too_large,
    snapshot::{Reader, TakeWords, put_each},
    start::initial_configuration,
};
use crate::error::{Error, Result};
use crate::kernels::{InstructionSet, bernoulli};
use crate::lattice::Torus;
use crate::measure::{ClusterMoments, Measurement, Observer};
use crate::random::{LaneStream, Purpose};
use crate::spins::{Configuration, WORD_BITS, rows::Rows};

/// Bernoulli words drawn at once; a site takes a bit for each neighbour, and a word serves as many whole sites as it can.
const POOL: usize = 256;

/// Spins flipped between two questions whether a sweep is to be left: about a millisecond.
const WORK_BETWEEN_QUESTIONS: u64 = 1 << 17;

/// A Wolff chain. All its random numbers come from the stream (seed, Wolff, chain).
///
/// What a sweep is: during thermalization, clusters until at least N spins were flipped. [`Sampler::end_thermalization`] fixes the number of clusters of every
/// later sweep, max(1, N / mean cluster size rounded), the mean taken over the second half of the thermalization sweeps; without any thermalization it is one
/// cluster a sweep. A fixed number matters: stopping when enough spins are flipped would favour measurements just after large clusters, which is a bias. Where a cluster is hardly more than one site
/// (fewer than two on average), a fair coin adds one to the number of each sweep.
#[derive(Debug, Clone)]
pub struct Wolff {
    torus: Torus,
    spins: Rows,
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
    /// The largest side: positions in the queue have 32 bits, which are shared out among the axes.
    pub fn largest_side(torus: Torus) -> usize {
        match torus.dimension() {
            1 => 1 << 31,
            2 => 1 << 16,
            _ => 1 << 10,
        }
    }

    /// The chain number `chain` of the run with seed `seed`, at coupling K = J / k_B T, on the best instruction set.
    ///
    /// # Errors
    /// [`Error::Usage`] if the coupling is negative or not finite, or the side above [`Self::largest_side`].
    pub fn new(torus: impl Into<Torus>, coupling: f64, start: Start, seed: u64, chain: u64) -> Result<Self> {
        Self::with_instruction_set(InstructionSet::chosen(), torus, coupling, start, seed, chain)
    }

    /// [`Self::new`] on a given instruction set; the chain is the same.
    ///
    /// # Errors
    /// As for [`Self::new`].
    pub fn with_instruction_set(
        instruction_set: InstructionSet,
        torus: impl Into<Torus>,
        coupling: f64,
        start: Start,
        seed: u64,
        chain: u64,
    ) -> Result<Self> {
        let (torus, threshold) = (torus.into(), bond_threshold(coupling)?);
        refuse_too_large(Algorithm::Wolff, torus).map_or(Ok(()), |sentence| Err(Error::Usage(sentence)))?;
        let mut sampler = Wolff {
            torus,
            spins: Rows::all_down(torus),
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
        self.spins.set_configuration(configuration);
    }

    /// Grows one cluster and flips it. Returns its size.
    pub fn flip_cluster(&mut self) -> u64 {
        match self.torus.dimension() {
            1 => self.grow::<2>(),
            2 => self.grow::<4>(),
            _ => self.grow::<6>(),
        }
    }

    /// [`Self::flip_cluster`] where a site has so many neighbours.
    fn grow<const DIRECTIONS: usize>(&mut self) -> u64 {
        let sites_per_word = WORD_BITS / DIRECTIONS;
        let axes = Axes::new(&self.spins);
        let site = self.random_site();
        let first = self.spins.position(site) as u32;
        let spin = &mut self.spins.words_mut()[first as usize / WORD_BITS];
        let differs = (*spin >> (first % 64) & 1).wrapping_sub(1);
        *spin ^= 1 << (first % 64);
        self.queue[0] = first;
        let (mut size, mut reached) = (0, 1);
        while size < reached {
            if self.queue.len() < (reached - size) as usize + DIRECTIONS * sites_per_word {
                enlarge(&mut self.queue, size, reached);
            }
            if self.pool_used == POOL {
                bernoulli::fill(self.instruction_set, self.threshold, &mut self.stream.lanes, &mut self.pool);
                self.pool_used = 0;
            }
            let end = reached.min(size + sites_per_word as u64);
            let bits = self.pool[self.pool_used];
            self.pool_used += 1;
            reached = spread::<DIRECTIONS>(self.spins.words_mut(), &mut self.queue, size..end, reached, bits, differs, &axes);
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

    /// Clusters flipped since thermalization ended (or, before, since the start), or since [`Sampler::cluster_moments`] was asked for.
    pub fn clusters(&self) -> u64 {
        self.clusters
    }

    /// Spins flipped in these clusters. Divided by [`Self::clusters`] and by N it estimates `<m^2>`.
    pub fn flipped_spins(&self) -> u64 {
        self.flipped_spins
    }

    /// The mean size of those clusters: an improved estimator of the susceptibility, `<cluster size> = N <m^2>`.
    pub fn mean_cluster_size(&self) -> f64 {
        self.flipped_spins as f64 / self.clusters.max(1) as f64
    }

    /// A site with equal probability (Lemire, ACM TOMACS 29, 3 (2019)).
    fn random_site(&mut self) -> u64 {
        let sites = self.torus.sites() as u64;
        let refused = sites.wrapping_neg() % sites;
        loop {
            let product = u128::from(self.random_word()) * u128::from(sites);
            if product as u64 >= refused {
                return (product >> 64) as u64;
            }
        }
    }

    fn random_word(&mut self) -> u64 {
        if self.seeds_used == self.seeds.len() {
            self.seeds = self.stream.words();
            self.seeds_used = 0;
        }
        self.seeds_used += 1;
        self.seeds[self.seeds_used - 1]
    }
}

/// Where the coordinates of a position are: for each axis the bits, a step, and the bits of the last coordinate.
struct Axes {
    mask: [u32; 3],
    step: [u32; 3],
    last: [u32; 3],
}

impl Axes {
    fn new(spins: &Rows) -> Self {
        let ([_, y, z], last) = (spins.shifts(), spins.torus().side() as u32 - 1);
        let upper = |shift: u32| u32::MAX.checked_shl(shift).unwrap_or(0);
        let mask = match spins.torus().dimension() {
            1 => [u32::MAX, 0, 0],
            2 => [!upper(y), upper(y), 0],
            _ => [!upper(y), upper(y) & !upper(z), upper(z)],
        };
        let shifted = |number: u32| [number, number << (y % 32), number << (z % 32)];
        Axes { mask, step: shifted(1), last: shifted(last) }
    }
}

/// Tries the bonds of the sites number `sites` of the cluster, a bit of `bits` for each, and appends those that join: number n stands at n modulo the length
/// of the queue, a power of two. `differs` is all ones if the cluster spin is down. Returns the number of sites reached so far.
#[inline]
fn spread<const DIRECTIONS: usize>(
    spins: &mut [u64],
    queue: &mut [u32],
    sites: std::ops::Range<u64>,
    mut reached: u64,
    mut bits: u64,
    differs: u64,
    axes: &Axes,
) -> u64 {
    let ring = queue.len() - 1;
    for number in sites {
        let position = queue[number as usize & ring];
        let mut neighbours = [0; DIRECTIONS];
        for (axis, pair) in neighbours.as_chunks_mut::<2>().0.iter_mut().enumerate() {
            let (mask, step, last) = (axes.mask[axis], axes.step[axis], axes.last[axis]);
            let (own, rest) = (position & mask, position & !mask);
            *pair = [if own == last { rest } else { position + step }, if own == 0 { rest | last } else { position - step }];
        }
        // All neighbours are different sites: all are read before one is written, so that no decision waits for a store.
        let mut joins = [0; DIRECTIONS];
        for (direction, joins) in joins.iter_mut().enumerate() {
            let neighbour = neighbours[direction];
            *joins = (spins[neighbour as usize / WORD_BITS] ^ differs) >> (neighbour % 64) & bits >> direction & 1;
        }
        bits >>= DIRECTIONS;
        for (neighbour, joins) in neighbours.into_iter().zip(joins) {
            spins[neighbour as usize / WORD_BITS] ^= joins << (neighbour % 64);
            queue[reached as usize & ring] = neighbour;
            reached += joins;
        }
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
        // A fixed even number of clusters of one site each would keep the parity of the spins up for ever at K = 0, and for long near it.
        if self.thermalization.is_none() && 2 * self.clusters_per_sweep > sites && self.random_word() >> 63 == 1 {
            self.begun = (self.begun.0 + 1, self.begun.1 + self.flip_cluster());
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
        self.spins.measure()
    }

    fn observe(&self, observer: &mut Observer) -> (Measurement, f64) {
        self.spins.observe(self.instruction_set, observer)
    }

    /// The mean size of a fixed number of clusters, over N.
    fn cluster_moments(&mut self) -> Option<ClusterMoments> {
        let square = self.mean_cluster_size() / self.torus.sites() as f64;
        (self.clusters, self.flipped_spins) = (0, 0);
        Some(ClusterMoments { square, fourth_power: None, wave_power: None })
    }

    fn configuration(&self) -> Configuration {
        self.spins.configuration()
    }

    /// The state of the lanes; the words in store for first sites and for bonds, each with their number; clusters a sweep, those and the
    /// flipped spins of the sweep that has begun, clusters, flipped spins; 1 and the
    /// pairs of the thermalization with their number, or 0 if that has ended; the configuration.
    fn put_snapshot(&self, take: &mut TakeWords) {
        take(&self.stream.state());
        for stored in [&self.seeds[self.seeds_used..], &self.pool[self.pool_used..]] {
            take(&[stored.len() as u64]);
            take(stored);
        }
        take(&[
            self.clusters_per_sweep,
            self.begun.0,
            self.begun.1,
            self.clusters,
            self.flipped_spins,
            u64::from(self.thermalization.is_some()),
        ]);
        if let Some(sweeps) = &self.thermalization {
            take(&[sweeps.len() as u64]);
            put_each(sweeps.iter().flat_map(|&(clusters, flipped)| [clusters, flipped]), take);
        }
        take(self.configuration().words());
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
