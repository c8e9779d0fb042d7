//! The speeds of the samplers at K_c, each in turn with its one-spin-at-a-time reference.

use super::local::{LARGEST_AT_ITS_COUPLING, verify, verify_at_its_coupling};
use super::{Contender, Request, Row, Subject, Unit, row_against};
use crate::error::{Error, Result};
use crate::exact::critical_coupling;
use crate::lattice::SquareTorus;
use crate::measure::Observer;
use crate::sampler::reference;
use crate::sampler::{Algorithm, Metropolis, Sampler, Start, build};
use rayon::prelude::*;

const SEED: u64 = 14103831;
/// The reference runs on a lattice that stays in the cache, which is its best case.
const REFERENCE_SIDE: usize = 256;
/// Sweeps from the ordered start before the clock runs; large lattices take fewer, they are far from the wall of the cache anyway.
const THERMALIZATION: usize = 100;

/// The coupling at which energies are held against Kaufman: clusters of all sizes up to some hundred spins, and chains that forget within ten sweeps.
pub(super) const VERIFIED_COUPLING: f64 = 0.4;

/// From this side on the threads share one lattice of Swendsen-Wang; smaller ones, and all of Wolff, they have one each.
const SHARED_SIDE: usize = 1024;

/// Nanoseconds a site and sweep of Swendsen-Wang.
pub fn swendsen_wang(request: &Request) -> Result<Vec<Row>> {
    rows(
        "swendsen-wang",
        Algorithm::SwendsenWang,
        request.sides_or(&[64, 100, 256, 1000, 1022, 1024, 4096]),
        request.threads,
        Unit::NanosecondsPerWork("ns/site"),
    )
}

/// Nanoseconds a flipped spin of Wolff, one lattice a thread.
pub fn wolff(request: &Request) -> Result<Vec<Row>> {
    rows("wolff", Algorithm::Wolff, request.sides_or(&[64, 256, 1024, 4096]), request.threads, Unit::NanosecondsPerWork("ns/flipped spin"))
}

/// Nanoseconds for E, M and the longest waves of one Metropolis lattice, in turn with a sweep: the ratio is sweep / measurement. One thread.
pub fn measurement(request: &Request) -> Result<Vec<Row>> {
    let pool = super::pool(1)?;
    pool.install(|| request.sides_or(&[64, 256, 1024, 4096]).iter().map(|&side| measurement_row(side)).collect())
}

fn measurement_row(side: usize) -> Result<Row> {
    let torus = SquareTorus::new(side)?;
    let make = || Metropolis::new(torus, critical_coupling(), Start::Cold, SEED, 0);
    let (mut measured, mut swept) = (make()?, make()?);
    for _ in 0..THERMALIZATION {
        measured.sweep();
        swept.sweep();
    }
    let (mut observer, mut sum) = (Observer::new(torus), 0.0);
    let contender = Contender {
        name: "measurement".to_string(),
        turn: Box::new(|| {
            sum += measured.observe(&mut observer).1;
            1.0
        }),
    };
    let rival = Contender {
        name: "metropolis sweep".to_string(),
        turn: Box::new(|| {
            swept.sweep();
            1.0
        }),
    };
    let subject = Subject { name: "measurement", size: side.into(), threads: 1, unit: Unit::NanosecondsPerWork("ns") };
    let row = row_against(subject, contender, rival);
    let (found, configuration) = (measured.observe(&mut observer).0, measured.configuration());
    if (found.energy, found.magnetization) != (configuration.energy(), configuration.magnetization()) || !sum.is_finite() {
        return Err(Error::Bug(format!("the packed measurement of side {side} differs from the configuration counted bond by bond.")));
    }
    Ok(row)
}

fn rows(name: &'static str, algorithm: Algorithm, sides: &[usize], threads: usize, unit: Unit) -> Result<Vec<Row>> {
    sides.iter().map(|&side| row(Subject { name, size: side.into(), threads, unit }, algorithm, side)).collect()
}

/// One row. What was timed is verified: energy and magnetization, which the sampler keeps in packed form, must be those of its configuration counted bond by bond;
/// and up to [`LARGEST_AT_ITS_COUPLING`] one of the chains that were timed must have the exact energy at K_c, above it a chain of the same side at [`VERIFIED_COUPLING`].
fn row(subject: Subject, algorithm: Algorithm, side: usize) -> Result<Row> {
    let (name, torus) = (subject.name, SquareTorus::new(side)?);
    let is_shared = side >= SHARED_SIDE && algorithm != Algorithm::Wolff;
    let mut samplers: Vec<Box<dyn Sampler>> = (0..if is_shared { 1 } else { subject.threads as u64 })
        .map(|chain| build(algorithm, torus, critical_coupling(), Start::Cold, SEED, chain))
        .collect::<Result<_>>()?;
    let sweeps = if side > 4096 { 2 } else { THERMALIZATION };
    // A chain uses all threads there are: here, as many as the row says.
    let pool = super::pool(subject.threads)?;
    if side > LARGEST_AT_ITS_COUPLING {
        let mut verified = build(algorithm, torus, VERIFIED_COUPLING, Start::Cold, SEED, 0)?;
        pool.install(|| verify(name, verified.as_mut(), side, VERIFIED_COUPLING))?;
    }
    let mut slow = reference_of(algorithm)?;
    pool.install(|| {
        samplers.par_iter_mut().for_each(|sampler| {
            for _ in 0..sweeps {
                sampler.sweep();
            }
            sampler.end_thermalization();
        })
    });
    // Sweeps of some million spins at a time: the way into the pool takes longer than a sweep of a small lattice, and does not count.
    let together = (1usize << 22).div_ceil(side * side);
    let several = |sampler: &mut Box<dyn Sampler>| (0..together).map(|_| sampler.sweep()).sum::<u64>();
    let turn = || pool.install(|| samplers.par_iter_mut().map(several).sum::<u64>()) as f64;
    let contender = Contender { name: algorithm.name().to_string(), turn: Box::new(turn) };
    let rival = Contender { name: "one spin at a time".to_string(), turn: Box::new(move || slow.sweep() as f64) };
    let row = row_against(subject, contender, rival);
    if let Some(sampler) = samplers.first_mut().filter(|_| side <= LARGEST_AT_ITS_COUPLING) {
        pool.install(|| verify_at_its_coupling(name, algorithm, sampler.as_mut(), side))?;
    }
    for sampler in &samplers {
        let (measured, configuration) = (sampler.measure(), sampler.configuration());
        if (measured.energy, measured.magnetization) != (configuration.energy(), configuration.magnetization()) {
            return Err(Error::Bug(format!("the {name} sampler of side {side} measures another energy than its configuration has.")));
        }
    }
    Ok(row)
}

pub(super) fn reference_of(algorithm: Algorithm) -> Result<Box<dyn Sampler>> {
    let (torus, coupling) = (SquareTorus::new(REFERENCE_SIDE)?, critical_coupling());
    Ok(match algorithm {
        Algorithm::Metropolis => Box::new(reference::Metropolis::new(torus, coupling, Start::Cold, SEED, 0)?),
        Algorithm::HeatBath => Box::new(reference::HeatBath::new(torus, coupling, Start::Cold, SEED, 0)?),
        Algorithm::SwendsenWang => Box::new(reference::swendsen_wang::ReferenceSwendsenWang::new(torus, coupling, Start::Cold, SEED, 0)?),
        Algorithm::Wolff => Box::new(reference::wolff::ReferenceWolff::new(torus, coupling, Start::Cold, SEED, 0)?),
    })
}
