//! Speed of the cluster algorithms at the critical coupling, in configurations of equilibrium: sites a second for Swendsen-Wang, flipped spins a second for Wolff.
//! A nanosecond per site is 1 Gelem/s.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kadanoff::lattice::SquareTorus;
use kadanoff::sampler::{Sampler, Start, SwendsenWang, Wolff};

const SIDES: [usize; 4] = [64, 256, 1024, 4096];

fn equilibrated(side: usize) -> SwendsenWang {
    let torus = SquareTorus::new(side).expect("a valid side");
    let mut sampler = SwendsenWang::new(torus, 0.5 * 2f64.sqrt().ln_1p(), Start::Hot, 1, 0).expect("a valid coupling");
    for _ in 0..30 {
        sampler.sweep();
    }
    sampler
}

fn swendsen_wang(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("swendsen-wang");
    for side in SIDES {
        let mut sampler = equilibrated(side);
        group.throughput(Throughput::Elements((side * side) as u64));
        group.sample_size(10).bench_function(side.to_string(), |bencher| bencher.iter(|| sampler.sweep()));
        // What was timed is a chain at K_c: its energy is that of Kaufman within a few percent.
        let energy = sampler.measure().energy as f64 / (side * side) as f64;
        assert!((energy + 2f64.sqrt()).abs() < 0.2, "e = {energy}");
    }
    group.finish();
}

/// Clusters differ in size by orders of magnitude, so one iteration is as many as make N flipped spins; what an iteration flips above N is credited to the next,
/// so that the mean is N exactly.
fn wolff(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("wolff");
    for side in SIDES {
        let torus = SquareTorus::new(side).expect("a valid side");
        let mut sampler = Wolff::new(torus, 0.5 * 2f64.sqrt().ln_1p(), Start::Cold, 1, 0).expect("a valid coupling");
        sampler.set_configuration(&equilibrated(side).configuration());
        let wanted = (side * side) as u64;
        let mut credit = 0u64;
        group.throughput(Throughput::Elements(wanted));
        group.sample_size(10).bench_function(side.to_string(), |bencher| {
            bencher.iter(|| {
                while credit < wanted {
                    credit += sampler.flip_cluster();
                }
                credit -= wanted;
            });
        });
    }
    group.finish();
}

criterion_group!(benches, swendsen_wang, wolff);
criterion_main!(benches);
