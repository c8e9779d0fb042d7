//! The speeds of the local updates: by side at K_c, by temperature, and of one lattice on several threads. Energies are held against Kaufman's exact ones.

use super::{Contender, Request, Row, Subject, Unit, pool, row_against};
use crate::error::{Error, Result};
use crate::exact::{self, critical_coupling};
use crate::lattice::SquareTorus;
use crate::random::{Purpose, Stream};
use crate::sampler::{Algorithm, Sampler, Start, build};
use crate::spins::checkerboard::strips;

const SEED: u64 = 14103831;
/// Powers of two, and sides beside them whose lines do not fill whole words.
const SIDES: [usize; 8] = [64, 256, 1000, 1022, 1024, 4096, 4098, 16384];
/// The one that is run at all temperatures.
const SIDE: usize = 1024;
const TEMPERATURES: [f64; 9] = [0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 30.0];
/// The lattice that several threads share, if no sides are asked for.
const SHARED: usize = 16384;
/// A temperature at which chains forget their start within ten sweeps.
const HOT: f64 = 5.0;

/// Attempted flips a nanosecond of one lattice: by side at K_c, by temperature, and on all threads. If sides are asked for, only those at K_c; on all threads where there
/// is a strip for each.
pub fn rows(name: &'static str, algorithm: Algorithm, request: &Request) -> Result<Vec<Row>> {
    let (threads, usual) = (request.threads, request.sides.is_empty());
    let sides = request.sides_or(&SIDES).iter().map(|&side| row(name, algorithm, side, None));
    let temperatures = TEMPERATURES.into_iter().filter(|_| usual).map(|temperature| row(name, algorithm, SIDE, Some(temperature)));
    let can_share = |side: &usize| threads > 1 && strips(*side) >= threads;
    let together = request.sides_or(&[SHARED]).iter().filter(|side| can_share(side)).map(|&side| shared(name, algorithm, side, threads));
    sides.chain(temperatures).chain(together).collect()
}

/// Metropolis as one writes it first, site after site with a random number each, on a lattice that stays in the cache: does a sweep and says how many spins
/// it looked at.
fn plain_metropolis(coupling: f64) -> impl FnMut() -> u64 {
    const SIDE: usize = 256;
    let mut spins = vec![1i8; SIDE * SIDE];
    let mut stream = Stream::new(SEED, Purpose::Check, 5);
    let accepted = [2.0, 4.0].map(|field: f64| (-2.0 * coupling * field).exp());
    move || {
        for y in 0..SIDE {
            for x in 0..SIDE {
                let at = |y: usize, x: usize| y % SIDE * SIDE + x % SIDE;
                let around = spins[at(y, x + 1)] + spins[at(y, x + SIDE - 1)] + spins[at(y + 1, x)] + spins[at(y + SIDE - 1, x)];
                let along = spins[at(y, x)] * around;
                if along <= 0 || stream.uniform() < accepted[usize::from(along > 2)] {
                    spins[at(y, x)] *= -1;
                }
            }
        }
        (SIDE * SIDE) as u64
    }
}

fn chain(algorithm: Algorithm, side: usize, coupling: f64) -> Result<Box<dyn Sampler>> {
    build(algorithm, SquareTorus::new(side)?, coupling, Start::Cold, SEED, 0)
}

/// One thread, in turn with a plain program. The chain that was timed is verified at its own coupling; only at K_c, where lattices above [`LARGEST_AT_ITS_COUPLING`] would take ages to
/// forget their start, it is a chain at [`HOT`] of the same side: the same kernel with other tables.
fn row(name: &'static str, algorithm: Algorithm, side: usize, temperature: Option<f64>) -> Result<Row> {
    let pool = pool(1)?;
    let coupling = temperature.map_or(critical_coupling(), f64::recip);
    let mut timed = chain(algorithm, side, coupling)?;
    match temperature {
        Some(_) => pool.install(|| verify(name, timed.as_mut(), side, coupling))?,
        None if side <= LARGEST_AT_ITS_COUPLING => {}
        None => pool.install(|| verify(name, chain(algorithm, side, 1.0 / HOT)?.as_mut(), side, 1.0 / HOT))?,
    }
    let size = temperature.map_or(side.into(), |temperature| format!("{side} T={temperature}").into());
    let mut slow = plain_metropolis(coupling);
    let turn = || pool.install(|| several(timed.as_mut(), side)) as f64;
    let contender = Contender { name: name.to_string(), turn: Box::new(turn) };
    let rival = Contender { name: "plain".to_string(), turn: Box::new(move || slow() as f64) };
    let row = row_against(Subject { name, size, threads: 1, unit: Unit::WorkPerNanosecond("flips/ns") }, contender, rival);
    if temperature.is_none() && side <= LARGEST_AT_ITS_COUPLING {
        pool.install(|| verify_at_its_coupling(name, algorithm, timed.as_mut(), side))?;
    }
    Ok(row)
}

/// One lattice on all threads, in turn with the same on one: the ratio is the gain.
fn shared(name: &'static str, algorithm: Algorithm, side: usize, threads: usize) -> Result<Row> {
    let (one, all) = (pool(1)?, pool(threads)?);
    let (mut alone, mut timed) = (chain(algorithm, side, critical_coupling())?, chain(algorithm, side, critical_coupling())?);
    for _ in 0..3 {
        one.install(|| alone.sweep());
        all.install(|| timed.sweep());
    }
    if alone.measure() != timed.measure() {
        return Err(Error::Bug(format!("the {name} sampler gives other spins on {threads} threads than on one.")));
    }
    let contender = Contender { name: name.to_string(), turn: Box::new(|| all.install(|| several(timed.as_mut(), side)) as f64) };
    let rival = Contender { name: "one thread".to_string(), turn: Box::new(|| one.install(|| several(alone.as_mut(), side)) as f64) };
    Ok(row_against(Subject { name, size: side.into(), threads, unit: Unit::WorkPerNanosecond("flips/ns") }, contender, rival))
}

/// Sweeps of about a hundred million spins, some milliseconds: the way into the pool, which is a sweep's time at side 1024, does not count.
fn several(chain: &mut dyn Sampler, side: usize) -> u64 {
    (0..(1usize << 27).div_ceil(side * side)).map(|_| chain.sweep()).sum()
}

/// Up to this side a chain comes to equilibrium at K_c soon enough that the very one that was timed is verified there.
pub(super) const LARGEST_AT_ITS_COUPLING: usize = 128;
/// Parts of a chain at K_c that serve as independent measurements.
const BINS: usize = 32;

/// Holds the energy of a chain that starts cold, away from K_c, against the exact one: the mean of measurements ten sweeps apart, in which it all but forgets. There are so many that a
/// coupling that is 1 % off, which changes the energy by C / (100 K) a site, would be some fourteen errors off; fewer at low temperatures, where hardly any spin is turned, and on the largest
/// lattices.
pub(super) fn verify(name: &str, chain: &mut dyn Sampler, side: usize, coupling: f64) -> Result<()> {
    let exact = exact::square(side, coupling);
    let sites = (side * side) as f64;
    let wanted = (4e6 / exact.specific_heat_per_site).min(5e8) / sites;
    let measured = if side > 2048 { 2 } else { (wanted.ceil() as usize).max(50) };
    (0..if side > 2048 { 30 } else { 300 }).for_each(|_| {
        chain.sweep();
    });
    // Only from here on does a sweep of Wolff's algorithm end without a look at what it flipped.
    chain.end_thermalization();
    let mut sum = 0;
    for _ in 0..measured {
        (0..10).for_each(|_| {
            chain.sweep();
        });
        sum += chain.measure().energy;
    }
    let samples = measured as f64 * sites;
    // Var(E) = C / K^2. Where hardly any spin is turned the counts are those of Poisson, and a measurement is worth less than it seems.
    let error = (2.0 * exact.specific_heat_per_site / samples).sqrt() / coupling + 4.0 / samples;
    judge(name, side, coupling, sum as f64 / samples, error, exact.energy_per_site)
}

/// Holds the energy of a chain at K_c against the exact one: after so many sweeps that it has forgotten its start, the means of [`BINS`] parts of so many sweeps, each many autocorrelation times
/// long. 1 % of the coupling changes the energy by more than ten errors.
pub(super) fn verify_at_its_coupling(name: &str, algorithm: Algorithm, chain: &mut dyn Sampler, side: usize) -> Result<()> {
    let coupling = critical_coupling();
    let (ahead, part) = match algorithm {
        Algorithm::Metropolis | Algorithm::HeatBath => (12 * side * side, 4 * side * side),
        Algorithm::SwendsenWang | Algorithm::Wolff => (500, 600),
    };
    (0..ahead).for_each(|_| {
        chain.sweep();
    });
    chain.end_thermalization();
    let sites = (side * side) as f64;
    let bins: Vec<f64> = (0..BINS)
        .map(|_| {
            let mut sum = 0;
            for _ in 0..part / 4 {
                (0..4).for_each(|_| {
                    chain.sweep();
                });
                sum += chain.measure().energy;
            }
            sum as f64 / ((part / 4) as f64 * sites)
        })
        .collect();
    let mean = bins.iter().sum::<f64>() / BINS as f64;
    let variance = bins.iter().map(|bin| (bin - mean).powi(2)).sum::<f64>() / (BINS * (BINS - 1)) as f64;
    judge(name, side, coupling, mean, variance.sqrt(), exact::square(side, coupling).energy_per_site)
}

/// Five errors are too many.
pub(super) fn judge(name: &str, side: usize, coupling: f64, mean: f64, error: f64, exact: f64) -> Result<()> {
    if (mean - exact).abs() <= 5.0 * error {
        return Ok(());
    }
    Err(Error::Bug(format!(
        "the benchmark {name} of side {side} at K = {coupling} has an energy of {mean} +- {error} a site, and {exact} is exact."
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::sampling::VERIFIED_COUPLING;

    const ALGORITHMS: [Algorithm; 4] = [Algorithm::Metropolis, Algorithm::HeatBath, Algorithm::SwendsenWang, Algorithm::Wolff];

    /// Right chains pass; those at 1.01 K, which are the mutant exp(-1.01 dE K), do not.
    #[test]
    fn one_percent_of_the_coupling_is_noticed() {
        let at = |algorithm, side, coupling| chain(algorithm, side, coupling).expect("a fit lattice");
        for algorithm in ALGORITHMS {
            let coupling = if matches!(algorithm, Algorithm::SwendsenWang | Algorithm::Wolff) { VERIFIED_COUPLING } else { 1.0 / HOT };
            for side in [64, 250] {
                let found = |factor: f64| verify("test", at(algorithm, side, factor * coupling).as_mut(), side, coupling);
                assert!(found(1.0).is_ok(), "{algorithm:?}, side {side}");
                assert!([0.99, 1.01].iter().all(|&factor| found(factor).is_err()), "{algorithm:?}, side {side}");
            }
            let found = |factor: f64| {
                let mut chain = at(algorithm, 64, factor * critical_coupling());
                verify_at_its_coupling("test", algorithm, chain.as_mut(), 64)
            };
            assert!(found(1.0).is_ok() && found(0.99).is_err() && found(1.01).is_err(), "{algorithm:?} at K_c");
        }
    }
}
