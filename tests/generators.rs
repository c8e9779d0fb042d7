//! The test of Ferrenberg, Landau and Wong, PRL 69, 3382 (1992): the energy of the 16 x 16 lattice at the critical point, where Wolff's algorithm with a bad generator was tens of errors
//! off. A relative error of 1e-5 takes 143 million independent draws: half a minute of one core for Metropolis with 512 replicas across the bits, and a quarter of an hour each for
//! Swendsen-Wang and Wolff. KADANOFF_LONG=1 does the first, and a sixth of the others (2.5e-5, three minutes each); KADANOFF_LONG=2 does all. Without it there is a rehearsal of a second each.
//!
//! Power: a generator that moves the energy by 1e-4 of itself is four errors away from the exact value with KADANOFF_LONG=1.

#![allow(clippy::unwrap_used)]

use kadanoff::exact;
use kadanoff::lattice::{SquareTorus, Torus};
use kadanoff::sampler::lanes::LaneGroup;
use kadanoff::sampler::{Sampler, Start, SwendsenWang, Wolff};
use rayon::prelude::*;

const SIDE: usize = 16;
const SEED: u64 = 1992;
/// Independent parts of a chain, or of a group of replicas: their means give the error.
const PARTS: usize = 64;

/// Draws of each part, and the relative error that they must reach; for the rehearsal, KADANOFF_LONG=1 and KADANOFF_LONG=2.
type Lengths = [(usize, f64); 3];

/// Mean energy a site and its error, from independent parts of equal length, each with a mean.
fn mean_and_error(parts: &[f64]) -> [f64; 2] {
    let count = parts.len() as f64;
    let mean = parts.iter().sum::<f64>() / count;
    let variance = parts.iter().map(|part| (part - mean).powi(2)).sum::<f64>() / (count - 1.0);
    [mean, (variance / count).sqrt()]
}

/// Parts are far longer than the memory of the chains.
fn check(name: &str, lengths: Lengths, part: impl Fn(u64, usize) -> f64 + Sync) {
    let asked = std::env::var("KADANOFF_LONG").unwrap_or_default();
    let (draws, wanted) = lengths[if asked.is_empty() { 0 } else { 1 + usize::from(asked == "2") }];
    let parts: Vec<f64> = (0..PARTS).into_par_iter().with_max_len(1).map(|number| part(number as u64, draws)).collect();
    let [mean, error] = mean_and_error(&parts);
    let exact = exact::square(SIDE, exact::critical_coupling()).energy_per_site;
    let (relative, pull) = (error / exact.abs(), (mean - exact) / error);
    println!("{name}: e = {mean:.7}({error:.7}), exact {exact:.7}, relative error {relative:.2e}, {pull:+.2} errors off");
    assert!(pull.abs() < 4.0, "{name}: {mean} +- {error}, exact {exact}");
    // The error of 64 parts has an error of 9 %.
    assert!(relative < 1.2 * wanted, "{name}: relative error {relative}");
}

fn torus() -> SquareTorus {
    SquareTorus::new(SIDE).unwrap()
}

/// Mean energy a site of a chain that moves by `step`.
fn energies(chain: &mut dyn Sampler, draws: usize, step: &mut dyn FnMut(&mut dyn Sampler)) -> f64 {
    let mut sum = 0i64;
    for _ in 0..draws {
        step(chain);
        sum += chain.measure().energy;
    }
    sum as f64 / draws as f64 / (SIDE * SIDE) as f64
}

#[test]
fn metropolis_has_the_exact_energy() {
    // 64 groups of 512 replicas, a draw every 8 sweeps.
    check("metropolis", [(60, 1.3e-4), (12_000, 1e-5), (12_000, 1e-5)], |number, draws| {
        let mut group = LaneGroup::new(Torus::from(torus()), exact::critical_coupling(), Start::Cold, SEED, number).unwrap();
        (0..3000).for_each(|_| group.sweep());
        let mut sum = 0i64;
        for _ in 0..draws {
            (0..7).for_each(|_| group.sweep());
            group.sweep_counted();
            let sites = (SIDE * SIDE) as i64;
            sum += group.unsatisfied().iter().map(|&unsatisfied| 2 * (i64::from(unsatisfied) - sites)).sum::<i64>();
        }
        sum as f64 / draws as f64 / 512.0 / (SIDE * SIDE) as f64
    });
}

#[test]
fn swendsen_wang_has_the_exact_energy() {
    check("swendsen-wang", [(30_000, 2.3e-4), (2_600_000, 2.5e-5), (16_000_000, 1e-5)], |number, draws| {
        let mut chain = SwendsenWang::new(torus(), exact::critical_coupling(), Start::Hot, SEED, number).unwrap();
        (0..200).for_each(|_| _ = chain.sweep());
        energies(&mut chain, draws, &mut |chain| _ = chain.sweep())
    });
}

#[test]
fn wolff_has_the_exact_energy() {
    check("wolff", [(15_000, 2.2e-4), (900_000, 2.6e-5), (6_200_000, 1e-5)], |number, draws| {
        let mut chain = Wolff::new(torus(), exact::critical_coupling(), Start::Hot, SEED, number).unwrap();
        (0..200).for_each(|_| _ = chain.sweep());
        chain.end_thermalization();
        energies(&mut chain, draws, &mut |chain| _ = chain.sweep())
    });
}
