//! The speeds of all samplers on the cubic lattice at its critical coupling, each in turn with a program that moves one spin at a time.

use super::{Contender, Request, Row, Subject, Unit, row_against};
use crate::error::{Error, Result};
use crate::lattice::{Geometry, Torus};
use crate::random::{Purpose, Stream};
use crate::sampler::lanes::LaneGroup;
use crate::sampler::reference::{torus_swendsen_wang::TorusSwendsenWang, wolff::ReferenceWolff};
use crate::sampler::{Algorithm, Sampler, Start, build};
use rayon::prelude::*;

const SEED: u64 = 14103831;
/// The rivals run on a lattice that stays in the cache.
const RIVAL_SIDE: usize = 32;
const THERMALIZATION: usize = 50;
/// A cluster sampler of this side has eight bytes a site, and 512 replicas half a gigabyte, each thread.
const LARGEST: usize = 256;

fn critical() -> f64 {
    Geometry::Cubic.critical_coupling().unwrap_or(0.0)
}

/// One lattice a thread by every algorithm, and 512 replicas a thread; the name of the algorithm stands in the size.
pub fn rows(request: &Request) -> Result<Vec<Row>> {
    let (flips, sites, spins) =
        (Unit::WorkPerNanosecond("flips/ns"), Unit::NanosecondsPerWork("ns/site"), Unit::NanosecondsPerWork("ns/flipped spin"));
    let mut all = Vec::new();
    for (algorithm, unit, usual) in [
        (Algorithm::Metropolis, flips, [64, 128, 256]),
        (Algorithm::HeatBath, flips, [64, 128, 256]),
        (Algorithm::SwendsenWang, sites, [16, 48, 128]),
        (Algorithm::Wolff, spins, [16, 48, 128]),
    ] {
        for &side in request.sides_or(&usual) {
            if side > LARGEST {
                return Err(Error::Usage(format!(
                    "a cubic lattice of side {side} is too large for a benchmark: write sides up to {LARGEST}, or name the other benchmarks"
                )));
            }
            all.push(row(algorithm, unit, side, request.threads)?);
        }
    }
    for &side in request.sides_or(&[16, 32, 48]) {
        all.push(replicas(side, request.threads)?);
    }
    Ok(all)
}

/// Metropolis as one writes it first, on 32 x 32 x 32 spins: does a sweep and says how many spins it looked at.
fn plain_metropolis() -> impl FnMut() -> u64 {
    const SIDE: usize = RIVAL_SIDE;
    let mut spins = vec![1i8; SIDE * SIDE * SIDE];
    let mut stream = Stream::new(SEED, Purpose::Check, 6);
    let accepted = [2.0, 4.0, 6.0].map(|field: f64| (-2.0 * critical() * field).exp());
    move || {
        for z in 0..SIDE {
            for y in 0..SIDE {
                for x in 0..SIDE {
                    let at = |x: usize, y: usize, z: usize| (z % SIDE * SIDE + y % SIDE) * SIDE + x % SIDE;
                    let around = spins[at(x + 1, y, z)]
                        + spins[at(x + SIDE - 1, y, z)]
                        + spins[at(x, y + 1, z)]
                        + spins[at(x, y + SIDE - 1, z)]
                        + spins[at(x, y, z + 1)]
                        + spins[at(x, y, z + SIDE - 1)];
                    let along = spins[at(x, y, z)] * around;
                    if along <= 0 || stream.uniform() < accepted[along as usize / 2 - 1] {
                        spins[at(x, y, z)] *= -1;
                    }
                }
            }
        }
        (SIDE * SIDE * SIDE) as u64
    }
}

fn rival(algorithm: Algorithm) -> Result<Contender<'static>> {
    let torus = Torus::new(Geometry::Cubic, RIVAL_SIDE)?;
    let name = "one spin at a time".to_string();
    Ok(match algorithm {
        Algorithm::Metropolis | Algorithm::HeatBath => {
            let mut plain = plain_metropolis();
            Contender { name, turn: Box::new(move || plain() as f64) }
        }
        Algorithm::SwendsenWang => {
            let mut plain = TorusSwendsenWang::new(torus, critical(), Start::Cold, SEED, 0)?;
            Contender { name, turn: Box::new(move || plain.sweep() as f64) }
        }
        Algorithm::Wolff => {
            let mut plain = ReferenceWolff::new(torus, critical(), Start::Cold, SEED, 0)?;
            Contender { name, turn: Box::new(move || plain.sweep() as f64) }
        }
    })
}

fn subject(name: &str, side: usize, threads: usize, unit: Unit) -> Subject {
    Subject { name: "cubic", size: format!("{name} {side}").into(), threads, unit }
}

/// What was timed is verified: energy and magnetization must be those of the configuration counted bond by bond.
fn row(algorithm: Algorithm, unit: Unit, side: usize, threads: usize) -> Result<Row> {
    let torus = Torus::new(Geometry::Cubic, side)?;
    let mut samplers: Vec<Box<dyn Sampler>> =
        (0..threads as u64).map(|chain| build(algorithm, torus, critical(), Start::Cold, SEED, chain)).collect::<Result<_>>()?;
    samplers.par_iter_mut().for_each(|sampler| {
        (0..THERMALIZATION).for_each(|_| _ = sampler.sweep());
        sampler.end_thermalization();
    });
    let contender = Contender {
        name: algorithm.name().to_string(),
        turn: Box::new(|| samplers.par_iter_mut().map(|sampler| sampler.sweep()).sum::<u64>() as f64),
    };
    let row = row_against(subject(algorithm.name(), side, threads, unit), contender, rival(algorithm)?);
    for sampler in &samplers {
        let (measured, configuration) = (sampler.measure(), sampler.configuration());
        if (measured.energy, measured.magnetization) != (configuration.energy(), configuration.magnetization()) {
            return Err(Error::Bug(format!(
                "the {} sampler of the cube of side {side} measures another energy than its configuration has.",
                algorithm.name()
            )));
        }
    }
    Ok(row)
}

fn replicas(side: usize, threads: usize) -> Result<Row> {
    let torus = Torus::new(Geometry::Cubic, side)?;
    let make = |thread: u64| LaneGroup::new(torus, critical(), Start::Cold, SEED, thread);
    let mut groups: Vec<LaneGroup> = (0..threads as u64).map(make).collect::<Result<_>>()?;
    groups.par_iter_mut().for_each(|group| (0..THERMALIZATION).for_each(|_| group.sweep()));
    let work = (torus.sites() * 512 * threads) as f64;
    let contender = Contender {
        name: "replicas".to_string(),
        turn: Box::new(|| {
            groups.par_iter_mut().for_each(LaneGroup::sweep);
            work
        }),
    };
    let unit = Unit::WorkPerNanosecond("flips/ns");
    let row = row_against(subject("replicas", side, threads, unit), contender, rival(Algorithm::Metropolis)?);
    for group in &groups {
        let (measured, configuration) = (group.measurements()[7], group.configuration(7));
        if (measured.energy, measured.magnetization) != (configuration.energy(), configuration.magnetization()) {
            return Err(Error::Bug(format!("replicas of the cube of side {side} measure another energy than their configurations have.")));
        }
    }
    Ok(row)
}
