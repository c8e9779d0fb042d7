//! Attempted flips of the checkerboard Metropolis sampler at K_c, by side and instruction set: `cargo bench --bench metropolis`.
//! Criterion reports spins a second ("elements"); 1 Gelem/s is one flip per nanosecond.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kadanoff::kernels::InstructionSet;
use kadanoff::lattice::SquareTorus;
use kadanoff::sampler::{Metropolis, Sampler, Start};
use std::time::Duration;

const CRITICAL_COUPLING: f64 = 0.440_686_793_509_771_5;

fn sweeps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("metropolis");
    group.sample_size(10).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(1));
    for side in [64, 256, 1024, 4096] {
        for set in InstructionSet::available() {
            let torus = SquareTorus::new(side).expect("a valid side");
            let mut chain =
                Metropolis::new(torus, CRITICAL_COUPLING, Start::Hot, 14103831, 0).expect("a fit lattice").with_instruction_set(set);
            (0..20).for_each(|_| {
                chain.sweep();
            });
            group.throughput(Throughput::Elements(torus.sites() as u64));
            group.bench_function(BenchmarkId::new(set.name(), side), |bencher| bencher.iter(|| chain.sweep()));
            // The time is only worth something if the chain is right: the energy after some hundred sweeps from disorder is between -1 and -1.5 per site.
            let energy = chain.measure().energy as f64 / torus.sites() as f64;
            assert!((-1.7..-1.0).contains(&energy), "energy per site {energy} at side {side}");
        }
    }
    group.finish();
}

criterion_group!(benches, sweeps);
criterion_main!(benches);
