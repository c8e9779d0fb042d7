//! The bond machine, which is the Ising model, against Kaufman's solution; each test must also notice a machine at 1.02 times the coupling.

use super::thermodynamics::PairCorrelation;
use super::*;
use crate::ledger::{Calls, Ledger, Nobody};
use crate::rbm::bond_machine::{bond_machine_constant, torus_machine};
use crate::rbm::gibbs::GibbsChains;
use crate::sampler::Sampler;
use crate::sampler::{Start, swendsen_wang::SwendsenWang};
use crate::statistics::autocorrelation;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

const COUPLING: f64 = 0.408;

fn torus(side: usize) -> SquareTorus {
    SquareTorus::new(side).unwrap()
}

/// ln Z of the bond machine from Kaufman's ln Z of the Ising model.
fn exact_log_z(torus: SquareTorus, coupling: f64) -> f64 {
    square(torus.side(), coupling).log_partition_function_per_site * torus.sites() as f64 + bond_machine_constant(torus.bonds(), coupling)
}

/// Whether the test asks for its full samples.
fn long() -> bool {
    std::env::var("KADANOFF_LONG").is_ok_and(|value| value == "1")
}

#[test]
fn the_bond_machine_has_kaufmans_partition_function() {
    // 3 x 3: the nine visible units can be enumerated.
    for coupling in [0.0, 0.1, COUPLING, 0.7] {
        let found = exact::log_partition_function(&torus_machine(torus(3), coupling).unwrap()).unwrap();
        // The weight is rounded to single precision, the coupling by 1e-7 at most.
        assert!((found - exact_log_z(torus(3), coupling)).abs() < 1e-5, "K = {coupling}: {found}");
    }
    let mutant = exact::log_partition_function(&torus_machine(torus(3), 1.02 * COUPLING).unwrap()).unwrap();
    assert!((mutant - exact_log_z(torus(3), COUPLING)).abs() > 0.05);
}

#[test]
fn gibbs_sampling_of_the_bond_machine_gives_kaufmans_energy() {
    // Row 51 of the reference: L = 8, e = -1.2775829757512. Four standard errors, which are about 0.007; the mutant is 0.056 away.
    let energy = |coupling: f64, seed: u64| {
        let machine = torus_machine(torus(8), coupling).unwrap();
        let found = thermodynamics::sample(&machine, &BitMatrix::new(1, 64), torus(8), COUPLING, [100, 2000], seed, &Nobody);
        let mut chains = GibbsChains::new(&machine, &found.states, seed, 2);
        let mut series = vec![Vec::new(); 100];
        for _ in 0..1000 {
            chains.sweep();
            let states = chains.visible();
            for (chain, series) in series.iter_mut().enumerate() {
                series.push(Configuration::from_words(torus(8), states.row(chain).to_vec()).energy() as f64 / 64.0);
            }
        }
        let analysis = autocorrelation::analyse(series).unwrap();
        (found, analysis)
    };
    let (found, analysis) = energy(COUPLING, 1);
    println!("energy {analysis:?}\n{:?}", found.observables);
    assert!(analysis.error < 0.008 && analysis.window_closed && analysis.chains_agree > 1e-3, "{analysis:?}");
    assert!((analysis.mean + 1.2775829757512).abs() < 4.0 * analysis.error, "{analysis:?}");
    for row in &found.observables {
        for side in [row.from_data, row.from_random] {
            assert!((side[0] - row.exact.unwrap()).abs() < 4.0 * side[1], "{row:?}");
        }
    }
    // The two-point function of the torus at all distances, 1 to 4.
    println!("{:?}", found.correlations);
    let away = |row: &PairCorrelation| [row.from_data, row.from_random].map(|[value, error]| (value - row.exact) / error);
    assert_eq!(found.correlations.len(), 4);
    for row in &found.correlations {
        assert!(away(row).iter().all(|errors| errors.abs() < 4.0) && row.from_random[1] < 0.015, "{row:?}");
    }
    let (mutant, analysis) = energy(1.02 * COUPLING, 2);
    assert!(mutant.correlations.iter().any(|row| away(row).iter().any(|errors| errors.abs() > 4.0)), "{:?}", mutant.correlations);
    assert!((analysis.mean + 1.2775829757512).abs() > 4.0 * analysis.error, "{analysis:?}");
    let row = mutant.observables[0];
    assert!((row.from_data[0] - row.exact.unwrap()).abs() > 4.0 * row.from_data[1], "{row:?}");
}

#[test]
fn annealing_of_the_bond_machine_gives_kaufmans_partition_function() {
    // Row 52 of the reference at L = 8: within 0.1 nat, and inside the interval of 95 % for 19 of 20 seeds, from both sides (here always within four errors).
    let torus = torus(8);
    let machine = torus_machine(torus, COUPLING).unwrap();
    let expected = exact_log_z(torus, COUPLING);
    let path = Path::new(&machine, &[0.5; 64]);
    let seeds = if long() { 20 } else { 1 };
    let mut inside = [0; 2];
    for seed in 0..seeds {
        let states = equilibrium(torus, COUPLING, 512, seed);
        let both = [path.forward(512, 2000, seed, 0, &Nobody), path.reverse(&states, 2000, seed, 0, &Nobody)];
        println!("exact {expected}: {both:?}");
        for (found, inside) in both.iter().zip(&mut inside) {
            let difference = (found.log_partition_function - expected).abs();
            assert!(difference < 0.1 && difference < 4.0 * found.error, "{found:?} and {expected}");
            let [low, high] = found.interval();
            *inside += usize::from((low..=high).contains(&expected));
        }
    }
    println!("inside the interval of 95 %, of {seeds}: {inside:?}");
    assert!(inside.iter().all(|&inside| 20 * inside >= 19 * seeds as usize), "{inside:?} of {seeds}");
    let mutant = Path::new(&torus_machine(torus, 1.02 * COUPLING).unwrap(), &[0.5; 64]).forward(128, 500, 0, 0, &Nobody);
    assert!((mutant.log_partition_function - expected).abs() > 0.5, "{mutant:?}");
}

/// Independent configurations of the Ising model itself.
fn equilibrium(torus: SquareTorus, coupling: f64, count: usize, seed: u64) -> BitMatrix {
    let mut chain = SwendsenWang::new(torus, coupling, Start::Hot, seed, 0).unwrap();
    (0..100).for_each(|_| {
        chain.sweep();
    });
    let configurations: Vec<Configuration> = (0..count)
        .map(|_| {
            (0..20).for_each(|_| {
                chain.sweep();
            });
            chain.configuration()
        })
        .collect();
    BitMatrix::from_configurations(configurations.iter(), torus.sites())
}

#[test]
fn the_perfect_machine_has_no_divergence_and_a_wrong_one_has() {
    // KL of the law at K' from the law at K: ln Z' - ln Z - (K' - K) <-E>, about C (dK / K)^2 N / 2 = 0.0147 nats at dK / K = 0.02 and 0.42 at 0.1.
    let torus = torus(8);
    let held_out = equilibrium(torus, COUPLING, 400, 7);
    let options = Options { annealing_chains: 128, annealing_temperatures: 500, sampling_chains: 128, sampling_sweeps: 400, seed: 3 };
    let judge = |coupling: f64| {
        let machine = torus_machine(torus, coupling).unwrap();
        assess(&machine, &[0.5; 64], &held_out, torus, COUPLING, &options, &Nobody)
    };
    let perfect = judge(COUPLING);
    let divergence = perfect.divergence().unwrap();
    assert!(divergence[0].abs() < 4.0 * divergence[1] && divergence[1] < 0.2, "{divergence:?}");
    assert!(perfect.trace_violation[0] < 1e-6, "{:?}", perfect.trace_violation);
    let likelihood = perfect.negative_log_likelihood().unwrap();
    assert!((perfect.entropy - 23.879103904048).abs() < 1e-9 && (likelihood[0] - perfect.entropy).abs() < 4.0 * likelihood[1]);
    let wrong = judge(1.4 * COUPLING);
    let log_z = |coupling: f64| square(8, coupling).log_partition_function_per_site * 64.0;
    let exact = log_z(1.4 * COUPLING) - log_z(COUPLING) + 0.4 * COUPLING * square(8, COUPLING).energy_per_site * 64.0;
    let divergence = wrong.divergence().unwrap();
    assert!((divergence[0] - exact).abs() < 4.0 * divergence[1] && exact > 3.0, "{divergence:?} and {exact}");
    assert!(wrong.trace_violation[0] > 1.0 && wrong.trace_violation[1] < 0.2 * wrong.trace_violation[0], "{:?}", wrong.trace_violation);
}

#[test]
fn an_estimate_of_one_effective_chain_gives_no_divergence() {
    let of = |effective_samples: f64, error: f64| Annealed { log_partition_function: 100.0, error, effective_samples, chains: 128 };
    let good = of(20.0, 0.3);
    assert_eq!(accepted(None, &good, &good), Some([100.0, 0.3f64.hypot(0.3) / 2.0]));
    for bad in [of(1.99, 0.3), of(1.0, 0.0), of(f64::NAN, 0.3), of(20.0, f64::INFINITY)] {
        assert_eq!((accepted(None, &bad, &good), accepted(None, &good, &bad)), (None, None), "{bad:?}");
        assert_eq!(accepted(Some(99.0), &bad, &bad), Some([99.0, 0.0]));
    }
}

#[test]
fn estimates_that_disagree_give_no_divergence() {
    let torus = torus(8);
    let held_out = equilibrium(torus, COUPLING, 20, 7);
    let options = Options { annealing_chains: 4, annealing_temperatures: 1, sampling_chains: 4, sampling_sweeps: 0, seed: 3 };
    let machine = torus_machine(torus, 2.0).unwrap();
    let found = assess(&machine, &[0.5; 64], &held_out, torus, COUPLING, &options, &Nobody);
    assert!((found.forward.log_partition_function - found.reverse.log_partition_function).abs() > LARGEST_DISAGREEMENT);
    assert_eq!(
        (found.exact, found.log_partition_function(), found.divergence(), found.negative_log_likelihood()),
        (None, None, None, None)
    );
    let by_forward = found.divergence_by(&found.forward);
    assert!(by_forward[0].is_finite());
}

/// Asks for states at every `period`-th step, and keeps what was there each time.
struct Interrupted {
    calls: Calls,
    steps: AtomicUsize,
    period: usize,
    kept: Mutex<BTreeMap<String, Vec<u64>>>,
    checkpoints: Mutex<Vec<BTreeMap<String, Vec<u64>>>>,
}

impl Interrupted {
    fn new(period: usize, kept: BTreeMap<String, Vec<u64>>) -> Self {
        let (calls, steps, checkpoints) = (Calls::default(), AtomicUsize::new(0), Mutex::new(Vec::new()));
        Interrupted { calls, steps, period, kept: Mutex::new(kept), checkpoints }
    }
}

impl Ledger for Interrupted {
    fn advance(&self, _work: u64) {
        if (self.steps.fetch_add(1, Ordering::Relaxed) + 1).is_multiple_of(self.period) {
            self.checkpoints.lock().unwrap().push(self.kept.lock().unwrap().clone());
            self.calls.ask();
        }
    }

    fn found(&self, name: &str) -> Option<Vec<u64>> {
        self.kept.lock().unwrap().get(name).cloned()
    }

    fn keep(&self, name: &str, words: Vec<u64>) {
        self.kept.lock().unwrap().insert(name.to_string(), words);
    }

    fn calls(&self) -> Option<&Calls> {
        Some(&self.calls)
    }
}

#[test]
fn what_is_interrupted_goes_on_with_the_same_bits() {
    let torus = torus(4);
    let held_out = equilibrium(torus, COUPLING, 30, 7);
    let options = Options { annealing_chains: 70, annealing_temperatures: 30, sampling_chains: 20, sampling_sweeps: 25, seed: 3 };
    let machine = torus_machine(torus, COUPLING).unwrap();
    let run = |ledger: &dyn Ledger| assess(&machine, &[0.5; 16], &held_out, torus, COUPLING, &options, ledger);
    let expected = run(&Nobody);
    let whole = Interrupted::new(7, BTreeMap::new());
    assert!(run(&whole) == expected);
    let checkpoints = whole.checkpoints.into_inner().unwrap();
    // 25 sweeps of each of two sets of chains, and 30 steps of two strips forward and one in reverse: 140 steps.
    assert_eq!((whole.steps.load(Ordering::Relaxed), checkpoints.len()), (140, 20));
    let mut fewest = usize::MAX;
    for kept in checkpoints {
        let again = Interrupted::new(usize::MAX, kept.clone());
        assert!(run(&again) == expected, "{:?}", kept.keys());
        let steps = again.steps.into_inner();
        assert!(steps <= 140);
        fewest = fewest.min(steps);
    }
    assert!(fewest < 40, "the last checkpoint saves most of the work, not all but {fewest} steps");
    // What does not fit is not used.
    let foreign = whole.kept.into_inner().unwrap().into_keys().map(|name| (name, vec![5, 6, 7])).collect();
    assert!(run(&Interrupted::new(usize::MAX, foreign)) == expected);
}
