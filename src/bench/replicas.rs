//! The speeds of replicas across the bits, with and without exchange, each in turn with Metropolis one spin at a time. Energies are held against Kaufman's exact ones.

use super::sampling::reference_of;
use super::{Contender, Request, Row, Subject, Unit, row_against};
use crate::error::{Error, Result};
use crate::exact::{self, critical_coupling};
use crate::lattice::SquareTorus;
use crate::sampler::tempering::Ladders;
use crate::sampler::{Algorithm, Start};
use rayon::prelude::*;

const SEED: u64 = 14103831;
/// Sweeps of which the energy is averaged.
const MEASURED: usize = 40;
/// The couplings of the ladder.
const COUPLINGS: usize = 16;

/// Attempted flips a nanosecond of 512 lattices at K_c across the bits, one group a thread.
pub fn replicas(request: &Request) -> Result<Vec<Row>> {
    request.sides_or(&[16, 64, 256]).iter().map(|&side| row("replicas", side, &[critical_coupling()], request.threads)).collect()
}

/// Attempted flips a nanosecond of 512 ladders of 16 couplings around K_c, with a swap attempt every sweep, one group a thread.
pub fn tempering(request: &Request) -> Result<Vec<Row>> {
    let couplings: Vec<f64> = (0..COUPLINGS).map(|place| critical_coupling() + 0.002 * (place as f64 - 7.5)).collect();
    request.sides_or(&[64]).iter().map(|&side| row("tempering", side, &couplings, request.threads)).collect()
}

fn row(name: &'static str, side: usize, couplings: &[f64], threads: usize) -> Result<Row> {
    let torus = SquareTorus::new(side)?;
    let numbered: Vec<(f64, u64)> = couplings.iter().copied().zip(0..).collect();
    let ladders = |thread: u64| {
        let numbered: Vec<(f64, u64)> = numbered.iter().map(|&(coupling, number)| (coupling, thread * 100 + number)).collect();
        Ladders::new(torus, &numbered, Start::Cold, SEED, thread, 512, 1)
    };
    let mut ladders: Vec<Ladders> = (0..threads as u64).map(ladders).collect::<Result<_>>()?;
    // Ladders share their couplings out over all threads there are: here, as many as the row says.
    let pool = super::pool(threads)?;
    // Relaxation from the ordered start at K_c: the energy is off by t^(-1/(nu z)) until t is some L^z.
    pool.install(|| {
        ladders.par_iter_mut().for_each(|ladders| {
            (0..(side * side).clamp(1000, 6000)).for_each(|_| {
                ladders.sweep();
            });
        });
    });
    verify(name, side, couplings, &mut ladders)?;
    let unit = Unit::WorkPerNanosecond("flips/ns");
    let mut slow = reference_of(Algorithm::Metropolis)?;
    let work = couplings.len() as u64;
    // Some tens of milliseconds: the way into the pool does not count.
    let sweeps = ((1 << 22) / (side * side * couplings.len())).max(1);
    let several = |ladders: &mut Ladders| (0..sweeps).map(|_| ladders.sweep() * work).sum::<u64>();
    let turn = || pool.install(|| ladders.par_iter_mut().map(several).sum::<u64>()) as f64;
    let contender = Contender { name: name.to_string(), turn: Box::new(turn) };
    let rival = Contender { name: "one spin at a time".to_string(), turn: Box::new(move || slow.sweep() as f64) };
    let row = row_against(Subject { name, size: side.into(), threads, unit }, contender, rival);
    Ok(row)
}

/// Holds the mean energy of each coupling against the exact one: the replicas are independent, so their variance gives the error.
fn verify(name: &str, side: usize, couplings: &[f64], ladders: &mut [Ladders]) -> Result<()> {
    let mut sums: Vec<Vec<f64>> = vec![vec![0.0; 512 * ladders.len()]; couplings.len()];
    for _ in 0..MEASURED {
        for (group, ladders) in ladders.iter_mut().enumerate() {
            ladders.sweep();
            for (sums, measurements) in sums.iter_mut().zip(ladders.measurements()) {
                sums[512 * group..].iter_mut().zip(measurements).for_each(|(sum, measurement)| *sum += measurement.energy as f64);
            }
        }
    }
    let scale = 1.0 / (MEASURED * side * side) as f64;
    for (&coupling, sums) in couplings.iter().zip(&sums) {
        let count = sums.len() as f64;
        let mean = sums.iter().sum::<f64>() / count;
        let variance = sums.iter().map(|sum| (sum - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let (mean, error) = (mean * scale, (variance / count).sqrt() * scale);
        let exact = exact::square(side, coupling).energy_per_site;
        if (mean - exact).abs() > 5.0 * error {
            return Err(Error::Bug(format!(
                "the benchmark {name} of side {side} at K = {coupling} has an energy of {mean} +- {error} a site, and {exact} is exact."
            )));
        }
    }
    Ok(())
}
