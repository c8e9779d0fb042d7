//! The thermodynamics of a machine: what Gibbs chains of it say about energy and magnetization, from two starts that must agree before they can be believed.

use crate::error::Result;
use crate::exact;
use crate::lattice::SquareTorus;
use crate::ledger::{Entry, Ledger};
use crate::measure::{Measurement, Series};
use crate::random::{Purpose, Stream};
use crate::rbm::Rbm;
use crate::rbm::gibbs::GibbsChains;
use crate::sampler::snapshot::Reader;
use crate::spins::{BitMatrix, Configuration};
use crate::statistics::jackknife::{self, Moments};
use rayon::prelude::*;

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

/// What chains of a machine say.
#[derive(Debug, Clone, PartialEq)]
pub struct Thermodynamics {
    /// The energy on the way, at sweeps that grow by about a fifth.
    pub relaxation: Vec<Relaxation>,
    /// The table.
    pub observables: Vec<Thermodynamic>,
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
        let mut series = vec![Series::default(); chains];
        // What does not fit is not used: the same bits come out from the beginning.
        let found = entry.found().and_then(|words| restored(&words, chains, sweeps, &mut gibbs).ok());
        match found {
            Some(found) => series = found,
            None => {
                gibbs = GibbsChains::new(rbm, start, seed, index);
                record(&mut series, start, torus);
            }
        }
        for _ in series.first().map_or(1, Series::len)..=sweeps {
            gibbs.sweep();
            record(&mut series, &gibbs.visible(), torus);
            entry.step(chains as u64, || state(&series, &gibbs));
        }
        entry.finish(|| state(&series, &gibbs));
        (series, gibbs.visible())
    };
    let (data_series, states) = run(&from_data, 0);
    let (random_series, _) = run(&from_random, 1);
    summarize(torus, coupling, &data_series, &random_series, states)
}

/// The chains of both starts, which have measured before their first sweep and after every one, and the last states of those that started from data.
pub(super) fn summarize(
    torus: SquareTorus,
    coupling: f64,
    data_series: &[Series],
    random_series: &[Series],
    states: BitMatrix,
) -> Thermodynamics {
    let (sites, sweeps) = (torus.sites() as f64, data_series.first().map_or(0, |chain| chain.len().saturating_sub(1)));
    let energy_at = |series: &[Series], sweep: usize| over_chains(series.iter().map(|chain| chain.energy[sweep] as f64 / sites));
    let relaxation = sweeps_shown(sweeps)
        .map(|sweep| Relaxation { sweep, from_data: energy_at(data_series, sweep), from_random: energy_at(random_series, sweep) })
        .collect();
    Thermodynamics { relaxation, observables: observables(torus, coupling, data_series, random_series), states }
}

/// The chains on their way as words: draws; energies and magnetizations, chain after chain; the chains themselves.
fn state(series: &[Series], gibbs: &GibbsChains) -> Vec<u64> {
    let mut words = vec![series.first().map_or(0, Series::len) as u64];
    words.extend(series.iter().flat_map(|chain| chain.energy.iter().chain(&chain.magnetization)).map(|&value| value as u64));
    words.extend(gibbs.words());
    words
}

fn restored(words: &[u64], chains: usize, sweeps: usize, gibbs: &mut GibbsChains) -> Result<Vec<Series>> {
    let mut reader = Reader::new(words);
    let draws = reader.count(sweeps + 1)?;
    let mut numbers = || Ok(reader.words(draws)?.iter().map(|&word| word as i64).collect());
    let series = (0..chains).map(|_| Ok(Series { energy: numbers()?, magnetization: numbers()?, ..Series::default() }));
    let series = series.collect::<Result<Vec<Series>>>()?;
    gibbs.restore(reader.rest())?;
    Ok(series)
}

/// Measures every chain once.
pub(super) fn record(series: &mut [Series], states: &BitMatrix, torus: SquareTorus) {
    series.par_iter_mut().enumerate().for_each(|(chain, series)| {
        let configuration = Configuration::from_words(torus, states.row(chain).to_vec());
        series.push(Measurement { energy: energy(&configuration), magnetization: configuration.magnetization() });
    });
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

fn observables(torus: SquareTorus, coupling: f64, data: &[Series], random: &[Series]) -> Vec<Thermodynamic> {
    let sites = torus.sites() as f64;
    let reference = exact::square(torus.side(), coupling);
    let second_half = |series: &[Series]| {
        let tail = |chain: &Series| {
            let first = chain.len() / 2;
            Series { energy: chain.energy[first..].to_vec(), magnetization: chain.magnetization[first..].to_vec(), ..Series::default() }
        };
        series.iter().map(tail).collect::<Vec<Series>>()
    };
    let (data, random) = (second_half(data), second_half(random));
    let mean_of = |series: &[Series], value: &dyn Fn(&Series, usize) -> f64| {
        let of_chain = |chain: &Series| (0..chain.len()).map(|draw| value(chain, draw)).sum::<f64>() / chain.len() as f64;
        over_chains(series.iter().map(of_chain))
    };
    let row = |name, long_name, units, exact, value: &dyn Fn(&Series, usize) -> f64| Thermodynamic {
        name,
        long_name,
        units,
        from_data: mean_of(&data, value),
        from_random: mean_of(&random, value),
        exact,
    };
    let specific_heat = |series: &[Series]| {
        let blocks = jackknife::blocks(series, f64::INFINITY);
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
            from_data: specific_heat(&data),
            from_random: specific_heat(&random),
            exact: Some(reference.specific_heat_per_site),
        },
        row(
            "nearest_neighbour_correlation",
            "nearest-neighbour correlation",
            "1",
            Some(-reference.energy_per_site / 2.0),
            &|chain, draw| -energy(chain, draw) / 2.0,
        ),
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
    }
}
