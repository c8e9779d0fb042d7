//! The thermodynamics of a machine: what Gibbs chains of it say about energy, magnetization and the two-point function, from two starts that must agree before they can be believed.

use crate::error::Result;
use crate::exact;
use crate::lattice::SquareTorus;
use crate::ledger::{Entry, Ledger};
use crate::measure::two_point::{PairCounter, distances};
use crate::measure::{Measurement, Series};
use crate::random::{Purpose, Stream};
use crate::rbm::Rbm;
use crate::rbm::gibbs::GibbsChains;
use crate::sampler::snapshot::Reader;
use crate::spins::{BitMatrix, Configuration};
use crate::statistics::jackknife::{self, Moments};
use rayon::prelude::*;

/// Draws of the second half of the sweeps in which pairs of spins are counted, at least, where there are as many: counting takes longer than the other observables, and draws that follow
/// each other say nearly the same.
const DRAWS_OF_PAIRS: usize = 100;

/// The energy per site along the chains: mean and standard error over chains after so many sweeps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relaxation {
    /// Sweeps since the start.
    pub sweep: usize,
    /// Of the chains that started from data.
    pub from_data: [f64; 2],
    /// Of the chains that started from random states.
    pub from_random: [f64; 2],
}

/// One observable of the machine, averaged over the second half of the sweeps of all chains; errors are those of independent chains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thermodynamic {
    /// The name in files.
    pub name: &'static str,
    /// The words of an axis.
    pub long_name: &'static str,
    /// "J", "k_B" or "1".
    pub units: &'static str,
    /// Mean and standard error over the chains that started from data.
    pub from_data: [f64; 2],
    /// The same for random starts.
    pub from_random: [f64; 2],
    /// The Ising model at the coupling of the data.
    pub exact: Option<f64>,
}

/// The two-point function along the axes at one distance, `<s(x) s(x + r)>`: mean and standard error over the chains of each start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PairCorrelation {
    /// r, in lattice units.
    pub distance: usize,
    /// Of the chains that started from data.
    pub from_data: [f64; 2],
    /// Of the chains that started from random states.
    pub from_random: [f64; 2],
    /// The Ising model on the same torus at the coupling of the data.
    pub exact: f64,
}

/// What chains of a machine say.
#[derive(Debug, Clone, PartialEq)]
pub struct Thermodynamics {
    /// The energy on the way, at sweeps that grow by about a fifth.
    pub relaxation: Vec<Relaxation>,
    /// The table.
    pub observables: Vec<Thermodynamic>,
    /// The two-point function up to half the side.
    pub correlations: Vec<PairCorrelation>,
    /// The last states of the chains that started from data.
    pub states: BitMatrix,
}

/// Runs `chains` chains from rows of `data` and as many from random states through `sweeps` Gibbs sweeps. Row r of the data starts chain r, again from the first row after the
/// last. `ledger` takes the notes.
///
/// # Panics
/// If the machine does not see the sites of the torus, or there are no data.
pub fn sample(
    rbm: &Rbm,
    data: &BitMatrix,
    torus: SquareTorus,
    coupling: f64,
    [chains, sweeps]: [usize; 2],
    seed: u64,
    ledger: &dyn Ledger,
) -> Thermodynamics {
    assert!(rbm.visible() == torus.sites() && data.columns() == torus.sites() && data.rows() > 0, "the machine sees the spins of the data");
    let (mut from_data, mut from_random) = (BitMatrix::new(chains, torus.sites()), BitMatrix::new(chains, torus.sites()));
    for chain in 0..chains {
        from_data.row_mut(chain).copy_from_slice(data.row(chain % data.rows()));
        let mut stream = Stream::new(seed, Purpose::NetworkSampling, 1 << 63 | chain as u64);
        let words = from_random.row(chain).iter().map(|_| stream.word()).collect();
        from_random.row_mut(chain).copy_from_slice(Configuration::from_words(torus, words).words());
    }
    let run = |start: &BitMatrix, index: u64| {
        let mut entry = Entry::new(ledger, format!("Gibbs chains {index}"));
        let mut gibbs = GibbsChains::new(rbm, start, seed, index);
        let mut watch = Watch::new(torus, chains, sweeps);
        // What does not fit is not used: the same bits come out from the beginning.
        let found = entry.found().and_then(|words| watch.restored(&words, &mut gibbs).ok());
        match found {
            Some(found) => watch = found,
            None => {
                gibbs = GibbsChains::new(rbm, start, seed, index);
                watch.record(start);
            }
        }
        let state = |watch: &Watch, gibbs: &GibbsChains| watch.words_before(&gibbs.words());
        for _ in watch.draws()..=sweeps {
            gibbs.sweep();
            watch.record(&gibbs.visible());
            entry.step(chains as u64, || state(&watch, &gibbs));
        }
        entry.finish(|| state(&watch, &gibbs));
        (watch, gibbs.visible())
    };
    let (from_data, states) = run(&from_data, 0);
    let (from_random, _) = run(&from_random, 1);
    summarize(coupling, &from_data, &from_random, states)
}

/// The chains of both starts, which have measured before their first sweep and after every one, and the last states of those that started from data.
pub(super) fn summarize(coupling: f64, data: &Watch, random: &Watch, states: BitMatrix) -> Thermodynamics {
    let (torus, sweeps) = (data.torus, data.sweeps);
    let sites = torus.sites() as f64;
    let energy_at = |watch: &Watch, sweep: usize| over_chains(watch.chains.iter().map(|chain| chain.series.energy[sweep] as f64 / sites));
    let relaxation = sweeps_shown(sweeps)
        .map(|sweep| Relaxation { sweep, from_data: energy_at(data, sweep), from_random: energy_at(random, sweep) })
        .collect();
    let exact = exact::torus_correlations(torus.side(), coupling, &data.distances);
    let correlation = |(index, (&distance, exact)): (usize, (&usize, f64))| PairCorrelation {
        distance,
        from_data: data.correlation(index),
        from_random: random.correlation(index),
        exact,
    };
    let correlations = data.distances.iter().zip(exact).enumerate().map(correlation).collect();
    Thermodynamics { relaxation, observables: observables(coupling, data, random), correlations, states }
}

/// What is measured of chains on their way, all of one start: before the first sweep, and after every one.
#[derive(Debug, Clone)]
pub(super) struct Watch {
    torus: SquareTorus,
    sweeps: usize,
    distances: Vec<usize>,
    chains: Vec<WatchedChain>,
}

#[derive(Debug, Clone)]
struct WatchedChain {
    series: Series,
    /// For each distance the sum of s(x) s(x + r) over sites, axes and the draws in which pairs are counted.
    pairs: Vec<i64>,
}

impl Watch {
    /// For so many chains, before their first draw.
    pub fn new(torus: SquareTorus, chains: usize, sweeps: usize) -> Self {
        let distances = distances(torus.side());
        // As long as they will be: thousands of series that grow side by side leave holes in the memory.
        let series =
            || Series { energy: Vec::with_capacity(sweeps + 1), magnetization: Vec::with_capacity(sweeps + 1), ..Series::default() };
        let chain = |_| WatchedChain { series: series(), pairs: vec![0; distances.len()] };
        Watch { torus, sweeps, chains: (0..chains).map(chain).collect(), distances }
    }

    /// Draws of each chain so far.
    fn draws(&self) -> usize {
        self.chains.first().map_or(1, |chain| chain.series.len())
    }

    /// The first draw of the second half, and how many draws after one in which pairs are counted the next one is.
    fn pair_draws(&self) -> (usize, usize) {
        let first = self.sweeps.div_ceil(2);
        (first, ((self.sweeps + 1 - first) / DRAWS_OF_PAIRS).max(1))
    }

    /// Measures every chain once.
    pub fn record(&mut self, states: &BitMatrix) {
        let (torus, distances, (first, step), draw) =
            (self.torus, &self.distances, self.pair_draws(), self.chains.first().map_or(0, |chain| chain.series.len()));
        let counts_pairs = draw >= first && (draw - first).is_multiple_of(step);
        let measure = |counter: &mut PairCounter, (row, chain): (usize, &mut WatchedChain)| {
            let configuration = Configuration::from_words(torus, states.row(row).to_vec());
            chain.series.push(Measurement { energy: energy(&configuration), magnetization: configuration.magnetization() });
            if counts_pairs {
                let sums = counter.sums(configuration.words(), distances);
                chain.pairs.iter_mut().zip(sums).for_each(|(sum, new)| *sum += new);
            }
        };
        self.chains.par_iter_mut().enumerate().for_each_init(|| PairCounter::new(torus), measure);
    }

    /// The two-point function at the distance number `index`, with its error over the chains.
    fn correlation(&self, index: usize) -> [f64; 2] {
        let (first, step) = self.pair_draws();
        let pairs = (self.sweeps - first) / step + 1;
        over_chains(self.chains.iter().map(|chain| chain.pairs[index] as f64 / (2 * self.torus.sites() * pairs) as f64))
    }

    /// The chains on their way as words: draws; energies, magnetizations and pairs, chain after chain; then what follows.
    fn words_before(&self, following: &[u64]) -> Vec<u64> {
        let of_chain = 2 * self.draws() + self.distances.len();
        let mut words = Vec::with_capacity(1 + self.chains.len() * of_chain + following.len());
        words.push(self.draws() as u64);
        for chain in &self.chains {
            words.extend(chain.series.energy.iter().chain(&chain.series.magnetization).chain(&chain.pairs).map(|&number| number as u64));
        }
        words.extend_from_slice(following);
        words
    }

    /// From such words, which are followed by those of the Gibbs chains.
    fn restored(&self, words: &[u64], gibbs: &mut GibbsChains) -> Result<Self> {
        let mut reader = Reader::new(words);
        let draws = reader.count(self.sweeps + 1)?;
        let mut numbers = |count: usize| Ok(reader.words(count)?.iter().map(|&word| word as i64).collect());
        let chain = |_| {
            let series = Series { energy: numbers(draws)?, magnetization: numbers(draws)?, ..Series::default() };
            Ok(WatchedChain { series, pairs: numbers(self.distances.len())? })
        };
        let chains = (0..self.chains.len()).map(chain).collect::<Result<Vec<WatchedChain>>>()?;
        gibbs.restore(reader.rest())?;
        Ok(Watch { chains, ..self.clone() })
    }
}

/// [`Configuration::energy`] a row at a time: every bond is broken or not.
fn energy(configuration: &Configuration) -> i64 {
    let (torus, bits) = (configuration.torus(), configuration.bits());
    let side = torus.side();
    let row = |y: usize| &bits[y % side * side..(y % side + 1) * side];
    let mut broken = 0;
    for y in 0..side {
        let (here, below) = (row(y), row(y + 1));
        let spins: Vec<bool> = here.iter().by_vals().collect();
        broken += spins.iter().zip(below.iter().by_vals()).filter(|(one, other)| **one != *other).count();
        broken += spins.windows(2).filter(|pair| pair[0] != pair[1]).count() + usize::from(spins[0] != spins[side - 1]);
    }
    2 * broken as i64 - torus.bonds() as i64
}

/// 0, 1, 2, ... and then steps of about a fifth, with the last sweep.
fn sweeps_shown(sweeps: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(0usize), move |&sweep| (sweep < sweeps).then(|| (sweep + 1 + sweep / 5).min(sweeps)))
}

/// Mean and standard error over independent chains; the error of one chain is infinite.
pub(super) fn over_chains(values: impl Iterator<Item = f64>) -> [f64; 2] {
    let values: Vec<f64> = values.collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    [mean, if values.len() < 2 { f64::INFINITY } else { (squares / (count * (count - 1.0))).sqrt() }]
}

fn observables(coupling: f64, data: &Watch, random: &Watch) -> Vec<Thermodynamic> {
    let torus = data.torus;
    let sites = torus.sites() as f64;
    let reference = exact::square(torus.side(), coupling);
    let second_half = |series: &Series| series.len() / 2..series.len();
    let mean_of = |watch: &Watch, value: &dyn Fn(&Series, usize) -> f64| {
        let of_chain = |WatchedChain { series, .. }: &WatchedChain| {
            second_half(series).map(|draw| value(series, draw)).sum::<f64>() / second_half(series).len() as f64
        };
        over_chains(watch.chains.iter().map(of_chain))
    };
    let row = |name, long_name, units, exact, value: &dyn Fn(&Series, usize) -> f64| Thermodynamic {
        name,
        long_name,
        units,
        from_data: mean_of(data, value),
        from_random: mean_of(random, value),
        exact,
    };
    let specific_heat = |watch: &Watch| {
        // A block a chain.
        let blocks: Vec<Moments> = watch.chains.iter().map(|chain| Moments::of_draws(&chain.series, second_half(&chain.series))).collect();
        let found = jackknife::estimate(&blocks, &|moments: &Moments| coupling * coupling * moments.energy_variance() / sites);
        [found.mean, found.error]
    };
    let energy = |chain: &Series, draw: usize| chain.energy[draw] as f64 / sites;
    let magnetization = |chain: &Series, draw: usize| chain.magnetization[draw] as f64 / sites;
    vec![
        row("energy_per_site", "energy per site", "J", Some(reference.energy_per_site), &energy),
        Thermodynamic {
            name: "specific_heat_per_site",
            long_name: "specific heat per site",
            units: "k_B",
            from_data: specific_heat(data),
            from_random: specific_heat(random),
            exact: Some(reference.specific_heat_per_site),
        },
        row("absolute_magnetization", "absolute magnetization per site", "1", reference.absolute_magnetization, &|chain, draw| {
            magnetization(chain, draw).abs()
        }),
        row("magnetization_squared", "squared magnetization per site", "1", reference.magnetization_squared, &|chain, draw| {
            magnetization(chain, draw).powi(2)
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Nobody;

    #[test]
    fn the_fast_energy_is_the_energy() {
        for side in [3, 4, 8, 9, 40] {
            let torus = SquareTorus::new(side).unwrap();
            let mut stream = Stream::new(2, Purpose::Check, side as u64);
            let words = (0..torus.sites().div_ceil(64)).map(|_| stream.word()).collect();
            let configuration = Configuration::from_words(torus, words);
            assert_eq!(energy(&configuration), configuration.energy());
        }
        assert_eq!(sweeps_shown(0).collect::<Vec<usize>>(), [0]);
        assert_eq!(sweeps_shown(9).collect::<Vec<usize>>(), [0, 1, 2, 3, 4, 5, 7, 9]);
    }

    #[test]
    fn a_machine_without_weights_has_free_spins() {
        // 200 chains of 20 draws on 36 free spins: the error of the energy per site is 0.0037 J; from "data" that are all down, one sweep forgets them.
        let torus = SquareTorus::new(6).unwrap();
        let found = sample(&Rbm::zero(36, 5), &BitMatrix::new(3, 36), torus, 0.0, [200, 39], 5, &Nobody);
        assert_eq!((found.relaxation[0].from_data, found.relaxation.last().unwrap().sweep), ([-2.0, 0.0], 39));
        for row in &found.observables {
            for side in [row.from_data, row.from_random] {
                let exact = row.exact.unwrap();
                assert!((side[0] - exact).abs() <= 4.0 * side[1] && side[1] < 0.01, "{row:?}");
            }
        }
        assert_eq!(found.correlations.iter().map(|row| (row.distance, row.exact)).collect::<Vec<_>>(), [(1, 0.0), (2, 0.0), (3, 0.0)]);
        for row in &found.correlations {
            for [value, error] in [row.from_data, row.from_random] {
                assert!(value.abs() <= 4.0 * error && error > 1e-4 && error < 0.01, "{row:?}");
            }
        }
    }

    #[test]
    fn pairs_are_counted_in_the_second_half_alone() {
        // All spins up but in the first half, where they stand in columns: what is counted then would lower the mean at odd distances.
        let torus = SquareTorus::new(4).unwrap();
        let (mut columns, mut up) = (BitMatrix::new(2, 16), BitMatrix::new(2, 16));
        (0..2).for_each(|row| (columns.row_mut(row)[0], up.row_mut(row)[0]) = (0x5555, 0xFFFF));
        for sweeps in [0, 1, 7, 8, 450, 999] {
            let mut watch = Watch::new(torus, 2, sweeps);
            (0..=sweeps).for_each(|draw| watch.record(if draw < sweeps.div_ceil(2) { &columns } else { &up }));
            assert_eq!([0, 1].map(|index| watch.correlation(index)), [[1.0, 0.0]; 2], "{sweeps} sweeps");
            let mut late = Watch::new(torus, 2, sweeps);
            (0..=sweeps).for_each(|draw| late.record(if draw <= sweeps.div_ceil(2) { &columns } else { &up }));
            assert!(late.correlation(0)[0] < 1.0, "{sweeps} sweeps");
        }
    }
}
