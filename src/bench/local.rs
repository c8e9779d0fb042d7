//! The speeds of the local updates: by side at K_c, by temperature, and of one lattice on several threads. Energies are held against Kaufman's exact ones.

use super::{Contender, Request, Row, Subject, Unit, pool, row_against};
use crate::error::{Error, Result};
use crate::exact::{self, critical_coupling};
use crate::lattice::SquareTorus;
use crate::random::{Purpose, Stream};
use crate::sampler::{Algorithm, Sampler, Start, build};

const SEED: u64 = 14103831;
/// Powers of two, and sides beside them whose lines do not fill whole words.
const SIDES: [usize; 8] = [64, 256, 1000, 1022, 1024, 4096, 4098, 16384];
/// The one that is run at all temperatures.
const SIDE: usize = 1024;
const TEMPERATURES: [f64; 9] = [0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, 30.0];
/// A lattice large enough to be shared by several threads.
const SHARED: usize = 16384;
/// A temperature at which chains forget their start within ten sweeps.
const HOT: f64 = 5.0;

/// Attempted flips a nanosecond of one lattice: by side at K_c, by temperature, and on all threads. If sides are asked for, only those at K_c.
pub fn rows(name: &'static str, algorithm: Algorithm, request: &Request) -> Result<Vec<Row>> {
    let (threads, usual) = (request.threads, request.sides.is_empty());
    let sides = request.sides_or(&SIDES).iter().map(|&side| row(name, algorithm, side, None));
    let temperatures = TEMPERATURES.into_iter().filter(|_| usual).map(|temperature| row(name, algorithm, SIDE, Some(temperature)));
    let together = (usual && threads > 1).then(|| shared(name, algorithm, threads));
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

/// One thread, in turn with a plain program. At K_c, where large lattices would take ages to forget their start, it is a chain at [`HOT`] of the same side whose
/// energy is verified: the same kernel with other tables.
fn row(name: &'static str, algorithm: Algorithm, side: usize, temperature: Option<f64>) -> Result<Row> {
    let pool = pool(1)?;
    let coupling = temperature.map_or(critical_coupling(), f64::recip);
    let mut timed = chain(algorithm, side, coupling)?;
    match temperature {
        Some(_) => pool.install(|| verify(name, timed.as_mut(), side, coupling))?,
        None => pool.install(|| verify(name, chain(algorithm, side, 1.0 / HOT)?.as_mut(), side, 1.0 / HOT))?,
    }
    let size = temperature.map_or(side.into(), |temperature| format!("{side} T={temperature}").into());
    let mut slow = plain_metropolis(coupling);
    let turn = || pool.install(|| several(timed.as_mut(), side)) as f64;
    let contender = Contender { name: name.to_string(), turn: Box::new(turn) };
    let rival = Contender { name: "plain".to_string(), turn: Box::new(move || slow() as f64) };
    Ok(row_against(Subject { name, size, threads: 1, unit: Unit::WorkPerNanosecond("flips/ns") }, contender, rival))
}

/// One lattice on all threads, in turn with the same on one: the ratio is the gain.
fn shared(name: &'static str, algorithm: Algorithm, threads: usize) -> Result<Row> {
    let (one, all) = (pool(1)?, pool(threads)?);
    let (mut alone, mut timed) = (chain(algorithm, SHARED, critical_coupling())?, chain(algorithm, SHARED, critical_coupling())?);
    for _ in 0..3 {
        one.install(|| alone.sweep());
        all.install(|| timed.sweep());
    }
    if alone.measure() != timed.measure() {
        return Err(Error::Bug(format!("the {name} sampler gives other spins on {threads} threads than on one.")));
    }
    let contender = Contender { name: name.to_string(), turn: Box::new(|| all.install(|| timed.sweep()) as f64) };
    let rival = Contender { name: "one thread".to_string(), turn: Box::new(|| one.install(|| alone.sweep()) as f64) };
    Ok(row_against(Subject { name, size: SHARED.into(), threads, unit: Unit::WorkPerNanosecond("flips/ns") }, contender, rival))
}

/// Sweeps of about a hundred million spins, some milliseconds: the way into the pool, which is a sweep's time at side 1024, does not count.
fn several(chain: &mut dyn Sampler, side: usize) -> u64 {
    (0..(1usize << 27).div_ceil(side * side)).map(|_| chain.sweep()).sum()
}

/// Holds the energy of a chain that starts cold, away from K_c, against the exact one: the mean of measurements ten sweeps apart, in which it all but forgets.
pub(super) fn verify(name: &str, chain: &mut dyn Sampler, side: usize, coupling: f64) -> Result<()> {
    let measured = if side > 2048 { 2 } else { 50 };
    (0..if side > 2048 { 30 } else { 300 }).for_each(|_| {
        chain.sweep();
    });
    let mut sum = 0;
    for _ in 0..measured {
        (0..10).for_each(|_| {
            chain.sweep();
        });
        sum += chain.measure().energy;
    }
    let exact = exact::square(side, coupling);
    let samples = (measured * side * side) as f64;
    // Var(E) = C / K^2. Where hardly any spin is turned the counts are those of Poisson, and a measurement is worth less than it seems.
    let error = (2.0 * exact.specific_heat_per_site / samples).sqrt() / coupling + 4.0 / samples;
    let mean = sum as f64 / samples;
    if (mean - exact.energy_per_site).abs() > 5.0 * error {
        return Err(Error::Bug(format!(
            "the benchmark {name} of side {side} at K = {coupling} has an energy of {mean} +- {error} a site, and {} is exact.",
            exact.energy_per_site
        )));
    }
    Ok(())
}
