//! The persistent, the tempered and the exact method, and what moves rates and limits gradients.

use super::*;

/// The options of the persistent methods at awkward sizes: chains that do not divide by the shards, more of them than samples, schedules, penalties and limits on.
fn persistent_options() -> [TrainingOptions; 2] {
    let common = TrainingOptions {
        gradient: GradientKind::Centred,
        chains: 37,
        gibbs_steps: 2,
        l1: 1e-3,
        l2: 1e-2,
        gradient_limit: 0.02,
        last_learning_rate: Some(0.01),
        last_momentum: Some(0.8),
        momentum_epochs: 2,
        ..TrainingOptions::new(21, 9, 1)
    };
    let tempered = TrainingOptions { method: Method::Tempered, temperatures: 4, lowest_inverse_temperature: 0.25, ..common.clone() };
    [TrainingOptions { method: Method::Persistent, ..common }, tempered]
}

#[test]
fn ranks_threads_and_instruction_sets_leave_no_trace_in_persistent_chains() {
    let (data, held_out) = (random_data(true, 303, 37, 1), random_data(true, 50, 37, 2));
    let pool = |threads: usize| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    for options in persistent_options() {
        let without_chains = |(snapshot, epochs): (Snapshot, Vec<Epoch>)| (Snapshot { chains: Default::default(), ..snapshot }, epochs);
        let expected = pool(1).install(|| train(&data, &held_out, &options, &Alone, InstructionSet::PORTABLE));
        for set in InstructionSet::available() {
            for threads in [1, 2] {
                let found = pool(threads).install(|| train(&data, &held_out, &options, &Alone, set));
                assert!(found == expected, "{set}, {threads} threads, {options:?}");
            }
        }
        for size in [2, 3, 4] {
            let found: Vec<(Snapshot, Vec<Epoch>)> = std::thread::scope(|scope| {
                let run = |rank: FakeRank| {
                    let (data, held_out, options) = (&data, &held_out, &options);
                    scope.spawn(move || pool(1).install(|| train(data, held_out, options, &rank, InstructionSet::chosen())))
                };
                let threads: Vec<_> = fake_ranks(size).into_iter().map(run).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            // Each rank has the chains of its own shards; all ranks together have those of all.
            let chains = found.iter().flat_map(|(snapshot, _)| snapshot.chains.clone()).collect();
            assert_eq!(expected.0.chains, chains, "{size} ranks");
            assert!(found.into_iter().all(|found| without_chains(found) == without_chains(expected.clone())), "{size} ranks, {options:?}");
        }
    }
}

#[test]
fn persistent_chains_go_on_after_any_minibatch() {
    let (data, held_out) = (random_data(true, 303, 37, 1), random_data(true, 50, 37, 2));
    for options in persistent_options() {
        let mut whole = Trainer::new(&data, &held_out, options.clone(), &Alone).unwrap();
        let expected: Vec<Epoch> = (0..2).map(|_| whole.epoch().unwrap()).collect();
        assert!(options.method == Method::Persistent || whole.swap_rates().iter().all(|&rate| rate > 0.2 && rate <= 1.0));
        let mut epochs = Vec::new();
        let mut snapshot = Trainer::new(&data, &held_out, options.clone(), &Alone).unwrap().snapshot();
        while epochs.len() < 2 {
            // As after a kill: nothing but the snapshot is left.
            let mut next = Trainer::new(&data, &held_out, options.clone(), &Alone).unwrap();
            next.restore(&snapshot).unwrap();
            epochs.extend(next.advance(1).unwrap());
            snapshot = next.snapshot();
            if epochs.len() == 2 {
                assert_eq!(next.swap_rates(), whole.swap_rates());
            }
        }
        assert!(epochs == expected && snapshot == whole.snapshot(), "{options:?}");
        let mut other = Trainer::new(&data, &held_out, options, &Alone).unwrap();
        snapshot.chains.remove(&2);
        assert!(matches!(other.restore(&snapshot), Err(Error::Refused(_))));
    }
}

#[test]
fn many_persistent_chains_and_the_tempered_ones_give_the_exact_gradient() {
    // As for CD-60 below, but the chains are not helped by the data: they forget their random starts in 100 sweeps (the first epoch, learning rate 0 but for rounding).
    let machine = random_machine(8, 5, 1.2, 40);
    let data = samples_of(&ring_law(8, 0.5), 8, 10_000, 41);
    let exact = machine.gradient(&empirical(&data));
    for method in [Method::Persistent, Method::Tempered] {
        let worst = |steps: usize| {
            let options = TrainingOptions {
                method,
                chains: 10_000,
                temperatures: 3,
                lowest_inverse_temperature: 0.3,
                learning_rate: 1.0,
                momentum: 0.0,
                minibatch: 10_000,
                gibbs_steps: steps,
                ..TrainingOptions::new(5, 3, 0)
            };
            let nothing = random_data(true, 0, 8, 0);
            let start = numbers_of(&machine, GradientKind::Plain);
            let mut mean = vec![0.0; start.len()];
            for seed in 0..5 {
                let mut trainer = Trainer::new(&data, &nothing, TrainingOptions { seed, ..options.clone() }, &Alone).unwrap();
                let mut snapshot = trainer.snapshot();
                snapshot.numbers[..start.len()].copy_from_slice(&start);
                trainer.restore(&snapshot).unwrap();
                trainer.epoch().unwrap();
                let found = trainer.snapshot().numbers;
                mean.iter_mut().zip(found.iter().zip(&start)).for_each(|(mean, (new, old))| *mean += f64::from(new - old) / 5.0);
            }
            let expected = exact.weights.iter().chain(&exact.visible_bias).chain(&exact.hidden_bias);
            expected.zip(mean).map(|(expected, found)| (expected - found).abs()).fold(0.0, f64::max)
        };
        // 5 x 10^4 chains: five times 0.5 / sqrt(5 10^4) = 0.0112. One sweep from random states is far from the law.
        let (long, short) = (worst(60), worst(1));
        assert!(long < 0.0112, "{method:?}: off by {long}");
        assert!(short > 0.03, "{method:?}: off by {short} only after one sweep: the test has no power");
    }
}

#[test]
fn an_exact_step_is_the_gradient_with_its_penalties() {
    // One step from a random machine: learning rate times the slope of ln-likelihood - l1 sum |W| - l2 / 2 sum W^2, by central differences of the exact likelihood in double precision.
    let machine = random_machine(6, 5, 0.8, 42);
    let law = ring_law(6, 0.4);
    let probabilities: Vec<f64> = law.iter().map(|&(_, probability)| probability).collect();
    let (l1, l2) = (0.02, 0.3);
    let objective = |machine: &ExactRbm| {
        let size: f64 = machine.weights.iter().map(|weight| f64::from(l1) * weight.abs() + f64::from(l2) / 2.0 * weight * weight).sum();
        machine.log_likelihood(&law) - size
    };
    let data = samples_of(&law, 6, 10, 1);
    let nothing = random_data(true, 0, 6, 0);
    for gradient in [GradientKind::Plain, GradientKind::Centred] {
        let options = TrainingOptions {
            method: Method::Exact,
            gradient,
            l1,
            l2,
            // A power of two, large beside the rounding of the parameters.
            learning_rate: 64.0,
            minibatch: 10,
            ..TrainingOptions::new(5, 3, 0)
        };
        let mut trainer = Trainer::new(&data, &nothing, options, &Alone).unwrap().with_law(probabilities.clone()).unwrap();
        let mut snapshot = trainer.snapshot();
        let start = numbers_of(&machine, gradient);
        snapshot.numbers[..start.len()].copy_from_slice(&start);
        trainer.restore(&snapshot).unwrap();
        trainer.epoch().unwrap();
        let found: Vec<f64> = trainer.snapshot().numbers[start.len()..].iter().map(|&step| f64::from(step) / 64.0).collect();
        let half = if gradient == GradientKind::Centred { 0.5 } else { 0.0 };
        let step = 1e-3;
        let slope = |place: usize| {
            let value = |by: f64| {
                let mut moved = ExactRbm::from(&{
                    let mut rbm = Rbm::zero(6, 5);
                    let numbers: Vec<f32> = start.clone();
                    rbm.weights = crate::rbm::Matrix::from_unpadded(6, 5, &numbers[..30]);
                    rbm
                });
                let mut c: Vec<f64> = start[30..36].iter().map(|&number| f64::from(number)).collect();
                let mut b: Vec<f64> = start[36..].iter().map(|&number| f64::from(number)).collect();
                match place {
                    0..30 => moved.weights[place] += by * step,
                    30..36 => c[place - 30] += by * step,
                    _ => b[place - 36] += by * step,
                }
                for i in 0..6 {
                    for j in 0..5 {
                        c[i] -= half * moved.weights[i * 5 + j];
                        b[j] -= half * moved.weights[i * 5 + j];
                    }
                }
                (moved.visible_bias, moved.hidden_bias) = (c, b);
                objective(&moved)
            };
            (8.0 * (value(1.0) - value(-1.0)) - (value(2.0) - value(-2.0))) / (12.0 * step)
        };
        for (place, found) in found.iter().enumerate() {
            let expected = slope(place);
            assert!((found - expected).abs() < 1e-6 * expected.abs().max(0.1), "{gradient:?}, number {place}: {found} and {expected}");
        }
    }
}

#[test]
fn training_that_begins_at_the_exact_machine_stays_there() {
    // The bond machine of 4 x 4 spins, 20,000 samples of its own law, persistent chains: the divergence is 0 at the start and stays near it; CD-1 stays too, but a machine from
    // random weights after the same few epochs is far away.
    let torus = crate::lattice::SquareTorus::new(4).unwrap();
    let machine = crate::rbm::bond_machine::torus_machine(torus, 0.408).unwrap();
    let weights = exact::log_weights(&machine).unwrap();
    let log_z = exact::log_sum(&weights);
    let law: Vec<(u64, f64)> = weights.iter().enumerate().map(|(state, weight)| (state as u64, (weight - log_z).exp())).collect();
    let mut order: Vec<(u64, f64)> = law.clone();
    order.sort_by(|one, other| other.1.total_cmp(&one.1));
    let data = samples_of(&order, 16, 20_000, 44);
    let nothing = random_data(true, 0, 16, 0);
    let divergence = |from_the_machine: bool| {
        let options = TrainingOptions {
            method: Method::Persistent,
            gradient: GradientKind::Centred,
            chains: 500,
            learning_rate: 0.02,
            ..TrainingOptions::new(32, 3, 0)
        };
        let mut trainer = Trainer::new(&data, &nothing, options, &Alone).unwrap();
        if from_the_machine {
            let mut snapshot = trainer.snapshot();
            let start = numbers_of(&ExactRbm::from(&machine), GradientKind::Centred);
            snapshot.numbers[..start.len()].copy_from_slice(&start);
            trainer.restore(&snapshot).unwrap();
        }
        for _ in 0..3 {
            trainer.epoch().unwrap();
        }
        let weights = exact::log_weights(trainer.rbm()).unwrap();
        let log_z = exact::log_sum(&weights);
        law.iter().zip(&weights).map(|((_, probability), weight)| probability * (probability.ln() - weight + log_z)).sum::<f64>()
    };
    let (stays, arrives) = (divergence(true), divergence(false));
    assert!(stays < 0.02, "{stays} nats away");
    assert!(arrives > 0.2, "{arrives} nats: the test has no power");
}

#[test]
fn rates_follow_their_schedules_and_gradients_are_limited() {
    let options = TrainingOptions {
        epochs: 5,
        last_learning_rate: Some(0.001),
        last_momentum: Some(0.9),
        momentum_epochs: 2,
        ..TrainingOptions::new(3, 1, 0)
    };
    let rates: Vec<f32> = (0..6).map(|epoch| options.learning_rate_in(epoch)).collect();
    let expected = [0.1, 0.031_622_78, 0.01, 0.003_162_278, 0.001, 0.001];
    assert!(rates.iter().zip(expected).all(|(found, expected)| (found / expected - 1.0).abs() < 1e-6), "{rates:?}");
    let linear = TrainingOptions { schedule: crate::rbm::Schedule::Linear, ..options.clone() };
    assert!((linear.learning_rate_in(2) - 0.0505).abs() < 1e-7);
    let momenta: Vec<f32> = (0..4).map(|epoch| options.momentum_in(epoch)).collect();
    assert!(momenta.iter().zip([0.5, 0.7, 0.9, 0.9]).all(|(found, expected)| (found - expected).abs() < 1e-6), "{momenta:?}");
    // A limit far below the gradient: no weight moves by more than the learning rate times the limit in the first step.
    let (data, nothing) = (random_data(true, 100, 20, 6), random_data(true, 0, 20, 7));
    let moved = |gradient_limit: f32| {
        let options = TrainingOptions { gradient_limit, ..TrainingOptions::new(10, 1, 2) };
        let mut trainer = Trainer::new(&data, &nothing, options, &Alone).unwrap();
        trainer.epoch().unwrap();
        trainer.snapshot().numbers[20 * 10 + 30..][..200].iter().fold(0f32, |most, step| most.max(step.abs()))
    };
    assert!(moved(1e-4) <= 1.0001e-5 && moved(f32::INFINITY) > 1e-3, "{} and {}", moved(1e-4), moved(f32::INFINITY));
}
