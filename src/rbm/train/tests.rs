//! The trainer held to enumeration, to itself on fake ranks, and to its promises about numbers that are not finite.

use super::*;
use crate::rbm::exact::ExactRbm;
use crate::rbm::exact::tests::{random_machine, ring_law};
use crate::rbm::{GradientKind, InitialWindow, Reconstruction};
use crate::spins::BitMatrix;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

mod persistent;

/// Samples of a law over states of `units` bits.
pub(crate) fn samples_of(law: &[(u64, f64)], units: usize, count: usize, index: u64) -> TrainingData {
    let mut stream = Stream::new(14103831, Purpose::Check, index);
    let mut matrix = BitMatrix::new(count, units);
    for row in 0..count {
        let mut rest = stream.uniform();
        let state = law.iter().find(|(_, probability)| {
            rest -= probability;
            rest < 0.0
        });
        matrix.row_mut(row)[0] = state.unwrap_or(&law[0]).0;
    }
    TrainingData::Binary(matrix)
}

fn empirical(data: &TrainingData) -> Vec<(u64, f64)> {
    let TrainingData::Binary(matrix) = data else { panic!("bits") };
    let mut counts = std::collections::BTreeMap::new();
    (0..matrix.rows()).for_each(|row| *counts.entry(matrix.row(row)[0]).or_insert(0u32) += 1);
    counts.into_iter().map(|(state, count)| (state, f64::from(count) / matrix.rows() as f64)).collect()
}

fn random_data(binary: bool, samples: usize, units: usize, index: u64) -> TrainingData {
    let mut stream = Stream::new(5, Purpose::Check, index);
    if binary {
        let mut matrix = BitMatrix::new(samples, units);
        (0..samples).for_each(|row| (0..units).for_each(|unit| matrix.set(row, unit, stream.uniform() < 0.4)));
        TrainingData::Binary(matrix)
    } else {
        let values: Vec<f32> = (0..samples * units).map(|_| stream.uniform() as f32).collect();
        TrainingData::Real(crate::rbm::Matrix::from_unpadded(samples, units, &values))
    }
}

/// One of several ranks that are threads: everyone sends its part to everyone.
struct FakeRank {
    rank: usize,
    size: usize,
    to: Vec<Sender<Vec<f32>>>,
    from: Vec<Mutex<Receiver<Vec<f32>>>>,
}

impl ShardExchange for FakeRank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.size
    }

    fn part_of(&self, rank: usize, items: usize) -> Range<usize> {
        items * rank / self.size..items * (rank + 1) / self.size
    }

    fn gather_parts(&self, counts: &[usize], all: &mut [f32]) {
        assert_eq!(all.len(), counts.iter().sum::<usize>());
        let start: usize = counts[..self.rank].iter().sum();
        let own = all[start..start + counts[self.rank]].to_vec();
        self.to.iter().for_each(|to| to.send(own.clone()).unwrap());
        self.receive(counts, all);
    }

    fn scatter(&self, own: &[f32], sent: &[usize], all: &mut [f32], received: &[usize], longest: usize) {
        assert_eq!((own.len(), all.len()), (sent.iter().sum(), received.iter().sum()));
        assert!(own.len() <= longest && all.len() <= longest && received[self.rank] == 0);
        let mut rest = own;
        for (to, (&count, target)) in sent.iter().zip(&self.to).enumerate() {
            let (part, after) = rest.split_at(count);
            rest = after;
            target.send(if to == self.rank { Vec::new() } else { part.to_vec() }).unwrap();
        }
        self.receive(received, all);
    }
}

impl FakeRank {
    fn receive(&self, counts: &[usize], all: &mut [f32]) {
        let parts: Vec<Vec<f32>> = self.from.iter().map(|from| from.lock().unwrap().recv().unwrap()).collect();
        assert!(parts.iter().zip(counts).all(|(part, &count)| part.len() == count));
        all.copy_from_slice(&parts.concat());
    }
}

fn fake_ranks(size: usize) -> Vec<FakeRank> {
    let mut ranks: Vec<FakeRank> = (0..size).map(|rank| FakeRank { rank, size, to: Vec::new(), from: Vec::new() }).collect();
    for receiver in 0..size {
        for sender in 0..size {
            let (to, from) = channel();
            ranks[sender].to.push(to);
            ranks[receiver].from.push(Mutex::new(from));
        }
    }
    ranks
}

fn train(
    data: &TrainingData,
    held_out: &TrainingData,
    options: &TrainingOptions,
    exchange: &dyn ShardExchange,
    set: InstructionSet,
) -> (Snapshot, Vec<Epoch>) {
    let mut trainer = Trainer::new(data, held_out, options.clone(), exchange).unwrap().on(set);
    let epochs = (0..3).map(|_| trainer.epoch().unwrap()).collect();
    (trainer.snapshot(), epochs)
}

#[test]
fn ranks_threads_and_instruction_sets_leave_no_trace() {
    // Awkward sizes: padded panels on both sides, a short last minibatch that leaves shards of different sizes, one of them empty.
    for (binary, gradient, reconstruction, gibbs_steps) in [
        (true, GradientKind::Plain, Reconstruction::States, 1),
        (true, GradientKind::Centred, Reconstruction::States, 3),
        (false, GradientKind::Plain, Reconstruction::States, 2),
        (false, GradientKind::Centred, Reconstruction::Probabilities, 1),
        (true, GradientKind::Plain, Reconstruction::Probabilities, 2),
    ] {
        let (data, held_out) = (random_data(binary, 303, 37, 1), random_data(binary, 50, 37, 2));
        let options = TrainingOptions {
            minibatch: 100,
            gradient,
            reconstruction,
            gibbs_steps,
            l1: 1e-3,
            visible_bias: VisibleBias::LogOdds,
            ..TrainingOptions::new(21, 9, 1)
        };
        let pool = |threads: usize| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let expected = pool(1).install(|| train(&data, &held_out, &options, &Alone, InstructionSet::PORTABLE));
        for set in InstructionSet::available() {
            for threads in [1, 2] {
                let found = pool(threads).install(|| train(&data, &held_out, &options, &Alone, set));
                assert!(found == expected, "{set}, {threads} threads, {options:?}");
            }
        }
        for size in [1, 2, 3, 4] {
            let found: Vec<(Snapshot, Vec<Epoch>)> = std::thread::scope(|scope| {
                let run = |rank: FakeRank| {
                    let (data, held_out, options) = (&data, &held_out, &options);
                    scope.spawn(move || pool(1).install(|| train(data, held_out, options, &rank, InstructionSet::chosen())))
                };
                let threads: Vec<_> = fake_ranks(size).into_iter().map(run).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert!(found.iter().all(|found| *found == expected), "{size} ranks, {options:?}");
        }
        // A mutant that this test must see: one more shard is another experiment.
        let other = TrainingOptions { shards: 5, ..options };
        assert!(train(&data, &held_out, &other, &Alone, InstructionSet::chosen()) != expected);
    }
}

#[test]
fn a_snapshot_goes_on_with_the_same_bits() {
    let (data, held_out) = (random_data(true, 250, 40, 3), random_data(true, 0, 40, 4));
    for gradient in [GradientKind::Plain, GradientKind::Centred] {
        let options = TrainingOptions { gradient, ..TrainingOptions::new(17, 3, 0) };
        let (expected, _) = train(&data, &held_out, &options, &Alone, InstructionSet::chosen());
        let mut first = Trainer::new(&data, &held_out, options.clone(), &Alone).unwrap();
        first.epoch().unwrap();
        let json = serde_json::to_string(&first.snapshot()).unwrap();
        let mut second = Trainer::new(&data, &held_out, options, &Alone).unwrap();
        second.restore(&serde_json::from_str(&json).unwrap()).unwrap();
        assert_eq!(second.rbm(), first.rbm());
        second.epoch().unwrap();
        second.epoch().unwrap();
        assert_eq!(second.snapshot(), expected);
        assert!(matches!(
            second.restore(&Snapshot { epochs: 1, numbers: vec![0.0; 3], pass: None, chains: Default::default() }),
            Err(Error::Refused(_))
        ));
    }
}

/// Two epochs on several ranks, stopped after every number of minibatches and gone on with on another number of ranks.
#[test]
fn a_snapshot_inside_an_epoch_goes_on_on_any_number_of_ranks() {
    let (data, held_out) = (random_data(true, 230, 40, 3), random_data(true, 20, 40, 4));
    let options = TrainingOptions { minibatch: 50, gibbs_steps: 2, momentum: 0.5, ..TrainingOptions::new(17, 3, 0) };
    type Part = (Snapshot, Vec<Epoch>);
    // Does `steps` minibatches from `start` on, on each of `size` ranks.
    let part = |size: usize, start: Option<&Snapshot>, steps: usize| -> Vec<Part> {
        std::thread::scope(|scope| {
            let run = |rank: FakeRank| {
                let (data, held_out, options) = (&data, &held_out, options.clone());
                scope.spawn(move || {
                    let mut trainer = Trainer::new(data, held_out, options, &rank).unwrap();
                    start.iter().for_each(|start| trainer.restore(start).unwrap());
                    let epochs = (0..steps).filter_map(|_| trainer.advance(1).unwrap()).collect();
                    (trainer.snapshot(), epochs)
                })
            };
            let threads: Vec<_> = fake_ranks(size).into_iter().map(run).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    };
    let (expected, epochs) = part(1, None, 10).remove(0);
    assert!(expected.epochs == 2 && epochs.len() == 2 && expected.pass.is_none());
    for steps in 1..10 {
        let (before, after) = (1 + steps % 3, 1 + (steps + 1) % 4);
        let mut parts = part(before, None, steps).into_iter();
        let (mut joined, first) = parts.next().unwrap();
        for (other, _) in parts {
            assert_eq!(other.numbers, joined.numbers);
            joined.pass.iter_mut().zip(other.pass).for_each(|(joined, other)| joined.streams.extend(other.streams));
        }
        for (end, second) in part(after, Some(&joined), 10 - steps) {
            assert!(end == expected && [first.clone(), second].concat() == epochs, "{steps} minibatches, {before} ranks, then {after}");
        }
        if let Some(pass) = &mut joined.pass {
            pass.streams.remove(&2);
            let mut trainer = Trainer::new(&data, &held_out, options.clone(), &Alone).unwrap();
            assert!(matches!(trainer.restore(&joined), Err(Error::Refused(_))));
        }
    }
}

/// The mean step of a trainer that always starts from `machine`, with learning rate 1 and no momentum: its estimate of the gradient in W, c, b of its coordinates.
fn mean_step(machine: &ExactRbm, data: &TrainingData, gradient: GradientKind, gibbs_steps: usize, repetitions: u64) -> Vec<f64> {
    let options = TrainingOptions {
        minibatch: data.samples(),
        learning_rate: 1.0,
        momentum: 0.0,
        gradient,
        gibbs_steps,
        ..TrainingOptions::new(machine.hidden, 11, 0)
    };
    let nothing = random_data(true, 0, machine.visible, 0);
    let mut trainer = Trainer::new(data, &nothing, options, &Alone).unwrap();
    let start = numbers_of(machine, gradient);
    let mut sums = vec![0.0; start.len()];
    for epochs in 0..repetitions {
        let numbers = [start.clone(), vec![0.0; start.len()]].concat();
        trainer.restore(&Snapshot { epochs, numbers, pass: None, chains: Default::default() }).unwrap();
        trainer.epoch().unwrap();
        let end = trainer.snapshot().numbers;
        sums.iter_mut().zip(&end[start.len()..]).for_each(|(sum, &step)| *sum += f64::from(step) / repetitions as f64);
    }
    sums
}

/// W, c, b of a machine in the coordinates of the gradient.
fn numbers_of(machine: &ExactRbm, gradient: GradientKind) -> Vec<f32> {
    let half = if gradient == GradientKind::Centred { 0.5 } else { 0.0 };
    let weight = |i: usize, j: usize| machine.weights[i * machine.hidden + j];
    let c = (0..machine.visible).map(|i| machine.visible_bias[i] + half * (0..machine.hidden).map(|j| weight(i, j)).sum::<f64>());
    let b = (0..machine.hidden).map(|j| machine.hidden_bias[j] + half * (0..machine.visible).map(|i| weight(i, j)).sum::<f64>());
    machine.weights.iter().copied().chain(c).chain(b).map(|number| number as f32).collect()
}

#[test]
fn long_chains_give_the_exact_gradient_in_both_coordinates() {
    // 10^5 chains: the standard error of a mean of products of numbers in [0, 1] is at most 0.5 / sqrt(10^5) = 0.0016; five of them are allowed for each of
    // the 53 numbers. CD-1 is biased by more than that and must be caught.
    let machine = random_machine(8, 5, 1.2, 40);
    let data = samples_of(&ring_law(8, 0.5), 8, 10_000, 41);
    let exact = machine.gradient(&empirical(&data));
    for gradient in [GradientKind::Plain, GradientKind::Centred] {
        let half = if gradient == GradientKind::Centred { 0.5 } else { 0.0 };
        let weights = (0..8).flat_map(|i| (0..5).map(move |j| (i, j)));
        let expected: Vec<f64> = weights
            .map(|(i, j)| exact.weights[i * 5 + j] - half * exact.visible_bias[i] - half * exact.hidden_bias[j])
            .chain(exact.visible_bias.iter().copied())
            .chain(exact.hidden_bias.iter().copied())
            .collect();
        let worst = |steps: usize| {
            let found = mean_step(&machine, &data, gradient, steps, 10);
            expected.iter().zip(found).map(|(expected, found)| (expected - found).abs()).fold(0.0, f64::max)
        };
        let (long, short) = (worst(60), worst(1));
        assert!(long < 5.0 * 0.0016, "{gradient:?}: CD-60 is off by {long}");
        assert!(short > 10.0 * 0.0016, "{gradient:?}: CD-1 is off by {short} only: the test has no power");
    }
}

#[test]
fn the_centred_gradient_is_the_slope_in_its_coordinates() {
    // d/dW at fixed c', b' of ln p, by central differences of the exact likelihood: what the centred trainer follows.
    let machine = random_machine(5, 3, 0.8, 42);
    let law = ring_law(5, 0.4);
    let exact = machine.gradient(&law);
    let step = 1e-4;
    for i in 0..5 {
        for j in 0..3 {
            let likelihood = |by: f64| {
                let mut moved = machine.clone();
                moved.weights[i * 3 + j] += by * step;
                moved.visible_bias[i] -= 0.5 * by * step;
                moved.hidden_bias[j] -= 0.5 * by * step;
                moved.log_likelihood(&law)
            };
            let slope = (8.0 * (likelihood(1.0) - likelihood(-1.0)) - (likelihood(2.0) - likelihood(-2.0))) / (12.0 * step);
            let formula = exact.weights[i * 3 + j] - 0.5 * exact.visible_bias[i] - 0.5 * exact.hidden_bias[j];
            assert!((slope - formula).abs() < 1e-6 * formula.abs().max(1e-3), "{slope} and {formula}");
        }
    }
}

#[test]
fn a_small_machine_learns_the_ring() {
    // 20,000 samples of the ring of 8 spins at K = 0.5. Held against the law itself: its entropy is the best possible -ln likelihood, and 117 parameters
    // learned from 20,000 samples cost about 117 / 40,000 = 0.003 nats. Independent units would miss by 0.8.
    let law = ring_law(8, 0.5);
    let data = samples_of(&law, 8, 20_000, 43);
    let nothing = random_data(true, 0, 8, 0);
    for gradient in [GradientKind::Plain, GradientKind::Centred] {
        let options = TrainingOptions { gibbs_steps: 5, gradient, minibatch: 200, initial_weight: 0.1, ..TrainingOptions::new(12, 12, 0) };
        let mut trainer = Trainer::new(&data, &nothing, options, &Alone).unwrap();
        let entropy = -law.iter().map(|(_, probability)| probability * probability.ln()).sum::<f64>();
        let divergence = |rbm: &Rbm| -entropy - ExactRbm::from(rbm).log_likelihood(&law);
        let before = divergence(trainer.rbm());
        for rate in [0.5, 0.5, 0.5, 0.2, 0.05, 0.01] {
            trainer.set_learning_rate(rate);
            for _ in 0..8 {
                trainer.epoch().unwrap();
            }
        }
        let after = divergence(trainer.rbm());
        assert!(before > 0.5 && after < 0.01, "{gradient:?}: divergence {before} before and {after} after training");
    }
}

#[test]
fn what_is_not_finite_is_named() {
    let (data, nothing) = (random_data(true, 200, 20, 6), random_data(true, 0, 20, 7));
    let options = TrainingOptions { learning_rate: 1e30, ..TrainingOptions::new(10, 1, 2) };
    let error = Trainer::new(&data, &nothing, options, &Alone).unwrap().epoch().unwrap_err();
    let text = error.to_string();
    assert_eq!(error.exit_code(), 5);
    assert!(["layer 3", "epoch 1 of 200", "minibatch", "learning_rate"].iter().all(|words| text.contains(words)), "{text}");
    // One NaN anywhere is found, although a NaN compares false and its unit is never on.
    let options = TrainingOptions::new(10, 1, 0);
    for place in [0, 20 * 10 - 1, 20 * 10 + 19, 20 * 10 + 20 + 9] {
        let mut trainer = Trainer::new(&data, &nothing, options.clone(), &Alone).unwrap();
        let mut snapshot = trainer.snapshot();
        snapshot.numbers[place] = f32::NAN;
        trainer.restore(&snapshot).unwrap();
        assert!(matches!(trainer.epoch(), Err(Error::NotFinite(_))), "place {place}");
    }
}

#[test]
fn windows_hold_the_first_weights_and_the_penalty_moves() {
    let (data, nothing) = (random_data(true, 50, 64, 8), random_data(true, 0, 64, 9));
    let window = InitialWindow { side: 8, range: 1 };
    let options =
        TrainingOptions { initial_window: Some(window), l1: 1e-2, last_l1: Some(1e-4), epochs: 3, ..TrainingOptions::new(32, 1, 0) };
    let everywhere = Trainer::new(&data, &nothing, TrainingOptions { initial_window: None, ..options.clone() }, &Alone).unwrap();
    let trainer = Trainer::new(&data, &nothing, options.clone(), &Alone).unwrap();
    let mut seen = [0; 64];
    for unit in 0..32 {
        let sites: Vec<usize> = (0..64).filter(|&site| trainer.rbm().weights.row(site)[unit] != 0.0).collect();
        assert_eq!(sites.len(), 9, "unit {unit}");
        // All of them lie within two steps of each other on the torus.
        let away = |one: usize, other: usize| one.abs_diff(other).min(8 - one.abs_diff(other));
        assert!(sites.iter().all(|site| away(site % 8, sites[0] % 8).max(away(site / 8, sites[0] / 8)) <= 2), "unit {unit}: {sites:?}");
        sites.iter().for_each(|&site| {
            seen[site] += 1;
            assert_eq!(trainer.rbm().weights.row(site)[unit], everywhere.rbm().weights.row(site)[unit]);
        });
    }
    // 288 weights over 64 sites: 4.5 each.
    assert!(seen.iter().all(|count| (2..=8).contains(count)), "{seen:?}");
    let strengths = [0, 1, 2, 7].map(|epoch| options.l1_in(epoch));
    assert!(
        strengths[0] == 1e-2
            && (strengths[1] / 1e-3 - 1.0).abs() < 1e-6
            && (strengths[2] / 1e-4 - 1.0).abs() < 1e-6
            && strengths[3] == strengths[2]
    );
    let to_zero = TrainingOptions { last_l1: Some(0.0), ..options.clone() };
    assert!((to_zero.l1_in(1) / 5e-3 - 1.0).abs() < 1e-6 && to_zero.l1_in(2) == 0.0);
    let wrong = TrainingOptions { initial_window: Some(InitialWindow { side: 7, range: 1 }), ..options };
    assert!(matches!(Trainer::new(&data, &nothing, wrong, &Alone).err(), Some(Error::Usage(_))));
}

#[test]
fn l1_makes_weights_small_and_settings_are_checked() {
    let (data, nothing) = (random_data(true, 500, 30, 8), random_data(true, 0, 30, 9));
    let norm = |l1: f32| {
        let options = TrainingOptions { l1, learning_rate: 0.01, ..TrainingOptions::new(12, 1, 0) };
        train(&data, &nothing, &options, &Alone, InstructionSet::chosen()).1[2].weight_norm
    };
    assert!(norm(0.05) < norm(0.0));
    for options in [
        TrainingOptions { minibatch: 0, ..TrainingOptions::new(3, 1, 0) },
        TrainingOptions { momentum: 1.0, ..TrainingOptions::new(3, 1, 0) },
        TrainingOptions { learning_rate: f32::NAN, ..TrainingOptions::new(3, 1, 0) },
        TrainingOptions::new(0, 1, 0),
    ] {
        assert!(matches!(Trainer::new(&data, &nothing, options, &Alone).err(), Some(Error::Usage(_))));
    }
}
