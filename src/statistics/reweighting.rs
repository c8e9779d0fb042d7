//! Several couplings of one size as one ensemble: the multi-histogram method of Ferrenberg and Swendsen, PRL 63, 1195 (1989), in the form of Shirts and Chodera,
//! J. Chem. Phys. 129, 124105 (2008), which needs no bins.
//!
//! A draw with energy E of the coupling K_k has the law exp(f_k - K_k E) times what all couplings share. All n draws together are a sample of the mixture
//! D(E) = sum_k n_k exp(f_k - K_k E), so that averages at any K near them weigh each draw with exp(-K E) / D(E). The f_k are those that give back n_k draws of each coupling:
//! the minimum of a convex function, found by Newton's method. The weight of a draw depends on its energy alone, an integer: the draws are kept as sums by energy.
//!
//! One coupling alone is the single-histogram method.

use super::least_squares;
use crate::lattice::Geometry;
use crate::measure::Series;
use std::sync::Arc;

/// Sums of a draw: 1, |m|, m^2, m^4, and the power of the longest waves over N^2.
const SUMS: usize = 5;
type Sums = [f64; SUMS];
/// Levels in ascending order with their sums: those that differ from others, or from nothing.
type Sparse = Vec<(u32, Sums)>;

/// Steps of Newton's method, of which a handful are needed.
const MOST_STEPS: usize = 60;

/// Where the search for free energies begins.
#[derive(Debug, Clone, Copy)]
pub enum Begin<'a> {
    /// At a first guess.
    Nowhere,
    /// At those of similar draws.
    Near(&'a [f64]),
    /// At what it found before: there is nothing to search.
    There(&'a [f64]),
}

/// The draws of all couplings of one size, as sums by energy in blocks of the jackknife.
#[derive(Debug, Clone)]
pub struct Histograms {
    side: f64,
    sites: f64,
    couplings: Vec<f64>,
    /// Energies that occurred, ascending, less the mean energy at the middle coupling.
    energies: Arc<[f64]>,
    middle: f64,
    /// The sums of each block. A large lattice hardly ever has an energy twice, so that a block has few of the levels.
    blocks: Vec<Sparse>,
    /// The sums of all blocks.
    total: Arc<[Sums]>,
    /// `draws[block][coupling]`.
    draws: Vec<Vec<f64>>,
    /// The mean energy at each coupling.
    means: Vec<f64>,
    has_waves: bool,
}

/// Averages at one coupling, and their derivatives in K.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Averages {
    /// K.
    pub coupling: f64,
    /// L.
    pub side: f64,
    /// N.
    pub sites: f64,
    /// `<E>/N`.
    pub energy: f64,
    /// `K^2 (<E^2> - <E>^2) / N`.
    pub specific_heat: f64,
    /// `<|m|>`, `<m^2>`, `<m^4>`, `<power>/N^2`.
    pub moments: [f64; SUMS - 1],
    /// Their derivatives in K: minus the covariance with E.
    pub derivatives: [f64; SUMS - 1],
    /// The number of draws with equal weights that are worth as much, before autocorrelation.
    pub effective_draws: f64,
}

impl Averages {
    /// U = `1 - <m^4> / (3 <m^2>^2)`, and dU/dK.
    pub fn binder_cumulant(&self) -> [f64; 2] {
        let ([_, square, fourth, _], [_, square_slope, fourth_slope, _]) = (self.moments, self.derivatives);
        let ratio = fourth / (3.0 * square * square);
        [1.0 - ratio, ratio * (2.0 * square_slope / square - fourth_slope / fourth)]
    }

    /// xi / L of the second moment, `sqrt(chi / F - 1) / (2 L sin(pi / L))`, and its derivative in K; not a number without the waves.
    pub fn correlation_length(&self) -> [f64; 2] {
        let ([_, square, _, wave], [_, square_slope, _, wave_slope]) = (self.moments, self.derivatives);
        let side = self.side;
        let scale = 0.5 / (side * (std::f64::consts::PI / side).sin());
        let ratio = square / wave;
        let root = (ratio - 1.0).max(0.0).sqrt();
        [scale * root, scale * ratio * (square_slope / square - wave_slope / wave) / (2.0 * root)]
    }

    /// `N (<m^2> - <|m|>^2)`, which has a peak near the critical coupling.
    pub fn connected_susceptibility(&self) -> f64 {
        self.sites * (self.moments[1] - self.moments[0] * self.moments[0])
    }
}

impl Histograms {
    /// The ensembles of one square lattice of side L = `side`: couplings with their chains, which are cut into `parts` blocks each. Block b holds the same stretch of the same chain of every
    /// coupling, so that leaving it out is one step of a jackknife over everything; beyond `most` blocks, several share one.
    pub fn new(side: usize, ensembles: &[(f64, &[Series])], parts: usize, most: usize) -> Self {
        Self::on(Geometry::Square, side, ensembles, parts, most)
    }

    /// [`Self::new`] on any lattice.
    pub fn on(geometry: Geometry, side: usize, ensembles: &[(f64, &[Series])], parts: usize, most: usize) -> Self {
        let sites = side.pow(geometry.dimension() as u32) as f64;
        let every = || ensembles.iter().flat_map(|(_, chains)| chains.iter());
        let mut levels: Vec<i64> = every().flat_map(|chain| chain.energy.iter().copied()).collect();
        levels.sort_unstable();
        levels.dedup();
        let has_waves = every().all(|chain| chain.wave_power.len() == chain.len());
        let chains = ensembles.iter().map(|(_, chains)| chains.len()).max().unwrap_or(0);
        let count = (chains * parts).clamp(1, most);
        let draws_of = |chain: &Series, part: usize| part * chain.len() / parts..(part + 1) * chain.len() / parts;
        let mut draws = vec![vec![0.0; ensembles.len()]; count];
        let mut means = Vec::with_capacity(ensembles.len());
        for (index, (_, chains)) in ensembles.iter().enumerate() {
            for (place, chain) in chains.iter().enumerate() {
                (0..parts).for_each(|part| draws[(place * parts + part) % count][index] += draws_of(chain, part).len() as f64);
            }
            let energies = || chains.iter().flat_map(|chain| &chain.energy);
            means.push(energies().map(|&energy| energy as f64).sum::<f64>() / energies().count() as f64);
        }
        // One block after the other, so that only one has room for all levels.
        let mut sums = vec![[0.0; SUMS]; levels.len()];
        let block = |block: usize| -> Sparse {
            let mut touched = Vec::new();
            for (_, chains) in ensembles {
                for (place, chain) in chains.iter().enumerate() {
                    for draw in (0..parts).filter(|part| (place * parts + part) % count == block).flat_map(|part| draws_of(chain, part)) {
                        let level = levels.binary_search(&chain.energy[draw]).unwrap_or_else(|above| above);
                        let square = (chain.magnetization[draw] as f64 / sites).powi(2);
                        let wave = if has_waves { chain.wave_power[draw] / (sites * sites) } else { f64::NAN };
                        if sums[level][0] == 0.0 {
                            touched.push(level as u32);
                        }
                        for (sum, value) in sums[level].iter_mut().zip([1.0, square.sqrt(), square, square * square, wave]) {
                            *sum += value;
                        }
                    }
                }
            }
            touched.sort_unstable();
            touched.into_iter().map(|level| (level, std::mem::take(&mut sums[level as usize]))).collect()
        };
        let blocks: Vec<Sparse> = (0..count).map(block).collect();
        let middle = means[means.len() / 2];
        Histograms {
            side: side as f64,
            sites,
            couplings: ensembles.iter().map(|&(coupling, _)| coupling).collect(),
            total: added(&blocks, &vec![1.0; count], levels.len()).into(),
            energies: levels.into_iter().map(|energy| energy as f64 - middle).collect(),
            middle,
            blocks,
            draws,
            means,
            has_waves,
        }
    }

    /// The number of blocks.
    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Whether the longest waves were measured in every draw.
    pub fn has_waves(&self) -> bool {
        self.has_waves
    }

    /// The number of energies that occurred.
    pub fn levels(&self) -> usize {
        self.energies.len()
    }

    /// The number of couplings.
    pub fn couplings(&self) -> usize {
        self.couplings.len()
    }

    /// The lowest and the highest coupling.
    pub fn range(&self) -> [f64; 2] {
        let fold = |start: f64, pick: fn(f64, f64) -> f64| self.couplings.iter().copied().fold(start, pick);
        [fold(f64::INFINITY, f64::min), fold(f64::NEG_INFINITY, f64::max)]
    }

    /// All draws as one ensemble, or all but those of a block.
    pub fn combine(&self, without: Option<usize>, begin: Begin) -> Reweighting {
        let times: Vec<f64> = (0..self.blocks.len()).map(|block| f64::from(u8::from(Some(block) != without))).collect();
        let changed = without.map_or(Vec::new(), |block| self.without(block));
        self.solved(Levels { sums: Arc::clone(&self.total), changed }, &times, begin)
    }

    /// All draws as one ensemble, those of each block so many times.
    pub fn combine_times(&self, times: &[f64], begin: Begin) -> Reweighting {
        let sums = added(&self.blocks, times, self.energies.len()).into();
        self.solved(Levels { sums, changed: Vec::new() }, times, begin)
    }

    /// The sums of all blocks but one, for the levels that it has.
    fn without(&self, block: usize) -> Sparse {
        let mut others: Vec<_> =
            self.blocks.iter().enumerate().filter(|(other, _)| *other != block).map(|(_, sums)| sums.iter().peekable()).collect();
        let mut changed = self.blocks[block].clone();
        for (level, sums) in &mut changed {
            *sums = [0.0; SUMS];
            for other in &mut others {
                while other.next_if(|(place, _)| place < level).is_some() {}
                if let Some((_, sum)) = other.next_if(|(place, _)| place == level) {
                    add(sums, 1.0, sum);
                }
            }
        }
        changed
    }

    fn solved(&self, levels: Levels, times: &[f64], begin: Begin) -> Reweighting {
        let mut draws = vec![0.0; self.couplings.len()];
        for (numbers, &times) in self.draws.iter().zip(times).filter(|(_, times)| **times != 0.0) {
            for (total, number) in draws.iter_mut().zip(numbers) {
                *total += times * number;
            }
        }
        let mut reweighting = Reweighting {
            side: self.side,
            sites: self.sites,
            couplings: self.couplings.clone(),
            energies: Arc::clone(&self.energies),
            middle: self.middle,
            levels,
            draws,
            free_energies: match begin {
                Begin::Nowhere => self.first_guess(self.middle),
                Begin::Near(energies) | Begin::There(energies) => energies.to_vec(),
            },
            log_mixture: Vec::new(),
        };
        reweighting.solve(if matches!(begin, Begin::There(_)) { 0 } else { MOST_STEPS });
        reweighting
    }

    /// f = -ln Z by the trapezoidal rule: df/dK = `<E>`.
    fn first_guess(&self, middle: f64) -> Vec<f64> {
        let mut order: Vec<usize> = (0..self.couplings.len()).collect();
        order.sort_by(|&one, &other| self.couplings[one].total_cmp(&self.couplings[other]));
        let mut free = vec![0.0; self.couplings.len()];
        for pair in order.windows(2) {
            let energy = 0.5 * (self.means[pair[0]] + self.means[pair[1]]) - middle;
            free[pair[1]] = free[pair[0]] + energy * (self.couplings[pair[1]] - self.couplings[pair[0]]);
        }
        free
    }
}

fn add(total: &mut Sums, times: f64, sums: &Sums) {
    for (total, sum) in total.iter_mut().zip(sums) {
        *total += times * sum;
    }
}

/// The sums of blocks, each so many times.
fn added(blocks: &[Sparse], times: &[f64], levels: usize) -> Vec<Sums> {
    let mut total = vec![[0.0; SUMS]; levels];
    for (block, &times) in blocks.iter().zip(times).filter(|(_, times)| **times != 0.0) {
        block.iter().for_each(|(level, sums)| add(&mut total[*level as usize], times, sums));
    }
    total
}

/// Sums by level. The replicates of a jackknife have most of them in common.
#[derive(Debug, Clone)]
struct Levels {
    sums: Arc<[Sums]>,
    /// Those that are others here.
    changed: Sparse,
}

impl Levels {
    /// All, in the order of the levels.
    fn iter(&self) -> impl Iterator<Item = &Sums> {
        let mut changed = self.changed.iter().peekable();
        self.sums.iter().enumerate().map(move |(level, sums)| match changed.next_if(|(place, _)| *place as usize == level) {
            Some((_, others)) => others,
            None => sums,
        })
    }
}

/// Draws of several couplings with the free energies that make them one ensemble.
#[derive(Debug, Clone)]
pub struct Reweighting {
    side: f64,
    sites: f64,
    couplings: Vec<f64>,
    /// Energies less `middle`.
    energies: Arc<[f64]>,
    middle: f64,
    levels: Levels,
    draws: Vec<f64>,
    free_energies: Vec<f64>,
    /// ln D at each level.
    log_mixture: Vec<f64>,
}

impl Reweighting {
    /// At most so many steps of Newton's method for the free energies; the last one is fixed.
    fn solve(&mut self, most_steps: usize) {
        const PRECISION: f64 = 1e-11;
        let count = self.couplings.len();
        let total: f64 = self.draws.iter().sum();
        for step in 0..=most_steps {
            let mut given = vec![0.0; count];
            let mut products = vec![vec![0.0; count]; count];
            let mut shares = vec![0.0; count];
            self.log_mixture = vec![0.0; self.energies.len()];
            for ((level, &energy), sums) in self.energies.iter().enumerate().zip(self.levels.iter()) {
                let exponent = |index: usize| self.draws[index].ln() + self.free_energies[index] - self.couplings[index] * energy;
                let largest = (0..count).map(exponent).fold(f64::NEG_INFINITY, f64::max);
                for (index, share) in shares.iter_mut().enumerate() {
                    *share = (exponent(index) - largest).exp();
                }
                let sum: f64 = shares.iter().sum();
                self.log_mixture[level] = largest + sum.ln();
                let number = sums[0];
                if number == 0.0 {
                    continue;
                }
                for one in 0..count {
                    let share = shares[one] / sum;
                    given[one] += number * share;
                    for other in 0..=one {
                        products[one][other] += number * share * shares[other] / sum;
                    }
                }
            }
            let gradient: Vec<f64> = given.iter().zip(&self.draws).map(|(given, draws)| given - draws).collect();
            let error = gradient.iter().fold(0.0f64, |largest, value| largest.max(value.abs())) / total;
            if count == 1 || error < PRECISION || step == most_steps {
                return;
            }
            let free = count - 1;
            let curvature: Vec<Vec<f64>> = (0..free)
                .map(|one| {
                    let entry = |other: usize| f64::from(u8::from(one == other)) * given[one] - products[one.max(other)][one.min(other)];
                    (0..free).map(entry).collect()
                })
                .collect();
            // Far from the solution the simple iteration is safe; near it, Newton's step converges at once.
            match least_squares::solve(&curvature, &gradient[..free]).filter(|_| error < 0.05 || step > 20) {
                Some(change) => self.free_energies.iter_mut().zip(change).for_each(|(free, change)| *free -= change),
                None => {
                    let last = (given[count - 1] / self.draws[count - 1]).ln();
                    for index in 0..count {
                        self.free_energies[index] -= (given[index] / self.draws[index]).ln() - last;
                    }
                }
            }
        }
    }

    /// -ln Z of each coupling, but for a common constant.
    pub fn free_energies(&self) -> &[f64] {
        &self.free_energies
    }

    /// Averages at the coupling K.
    pub fn at(&self, coupling: f64) -> Averages {
        let exponents = self.energies.iter().zip(&self.log_mixture).map(|(energy, mixture)| -coupling * energy - mixture);
        let largest = exponents.clone().fold(f64::NEG_INFINITY, f64::max);
        let (mut sums, mut with_energy, mut squares, mut energy_squared) = ([0.0; SUMS], [0.0; SUMS], 0.0, 0.0);
        for ((exponent, &energy), level) in exponents.zip(self.energies.iter()).zip(self.levels.iter()) {
            let weight = (exponent - largest).exp();
            for value in 0..SUMS {
                sums[value] += weight * level[value];
                with_energy[value] += weight * level[value] * energy;
            }
            squares += weight * weight * level[0];
            energy_squared += weight * level[0] * energy * energy;
        }
        let mean = with_energy[0] / sums[0];
        let moments: [f64; SUMS - 1] = std::array::from_fn(|value| sums[value + 1] / sums[0]);
        Averages {
            coupling,
            side: self.side,
            sites: self.sites,
            energy: (mean + self.middle) / self.sites,
            specific_heat: coupling * coupling * (energy_squared / sums[0] - mean * mean) / self.sites,
            moments,
            derivatives: std::array::from_fn(|value| moments[value] * mean - with_energy[value + 1] / sums[0]),
            effective_draws: sums[0] * sums[0] / squares,
        }
    }

    /// For each pair of neighbouring couplings the overlap of their energies: the sum of the smaller of the two probabilities of each energy, 1 for equal laws. Below 0.05 the
    /// free energy between them is not known.
    pub fn overlaps(&self) -> Vec<f64> {
        let mut order: Vec<usize> = (0..self.couplings.len()).collect();
        order.sort_by(|&one, &other| self.couplings[one].total_cmp(&self.couplings[other]));
        let law = |index: usize| {
            let levels = self.energies.iter().zip(&self.log_mixture).zip(self.levels.iter());
            let weights: Vec<f64> = levels
                .map(|((energy, mixture), sums)| {
                    let exponent = self.free_energies[index] - self.couplings[index] * energy - mixture;
                    exponent.exp() * sums[0]
                })
                .collect();
            let sum: f64 = weights.iter().sum();
            weights.into_iter().map(move |weight| weight / sum).collect::<Vec<f64>>()
        };
        let laws: Vec<Vec<f64>> = order.into_iter().map(law).collect();
        laws.windows(2).map(|pair| pair[0].iter().zip(&pair[1]).map(|(one, other)| one.min(*other)).sum()).collect()
    }
}
