//! The analysis of an ensemble against exact values, on chains of known law and known memory.
//!
//! Each chain of this test draws (E, M) from the exact joint law of the 4 x 4 torus, but keeps its last draw with probability a: every observable of it then
//! has the autocorrelation function a^t and tau = 1/2 (1 + a)/(1 - a).

use kadanoff::exact::enumeration::Census;
use kadanoff::lattice::SquareTorus;
use kadanoff::measure::{Measurement, Series};
use kadanoff::random::{Purpose, Stream};
use kadanoff::statistics::{self, jackknife};

const SIDE: usize = 4;
const COUPLING: f64 = 0.408;
const MEMORY: f64 = 0.8;

struct Law {
    states: Vec<Measurement>,
    cumulative: Vec<f64>,
}

impl Law {
    fn chain(&self, draws: usize, stream: &mut Stream) -> Series {
        let mut series = Series::default();
        let fresh = |stream: &mut Stream| {
            let target = stream.uniform();
            self.states[self.cumulative.partition_point(|&sum| sum <= target).min(self.states.len() - 1)]
        };
        let mut state = fresh(stream);
        for _ in 0..draws {
            if stream.uniform() >= MEMORY {
                state = fresh(stream);
            }
            series.push(state);
        }
        series
    }
}

#[test]
fn every_observable_agrees_with_enumeration_within_its_error() {
    let census = Census::of(SquareTorus::new(SIDE).expect("a valid side"));
    let mut sum = 0.0;
    let (states, cumulative) = census
        .joint_law(COUPLING)
        .into_iter()
        .map(|((energy, magnetization), probability)| {
            sum += probability;
            (Measurement { energy, magnetization }, sum)
        })
        .unzip();
    let law = Law { states, cumulative };
    let exact = census.moments(COUPLING);
    let sites = (SIDE * SIDE) as f64;
    let expected = [
        ("energy_per_site", exact.energy / sites),
        ("specific_heat_per_site", COUPLING * COUPLING * exact.energy_variance / sites),
        ("absolute_magnetization", exact.magnetic.absolute_magnetization),
        ("magnetization_squared", exact.magnetic.magnetization_squared),
        ("susceptibility", exact.magnetic.magnetization_squared * sites),
        ("binder_cumulant", exact.magnetic.binder_cumulant),
    ];

    // 200 ensembles of 4 chains of 4000 draws. The variance of the pulls is 1 with standard error 0.1, their mean 0 with 0.07. The mutant, a naive error without
    // autocorrelation, gives a variance of 2 tau = 9, which the bounds refuse.
    let repeats = 200;
    let mut pulls = vec![Vec::new(); expected.len()];
    let mut times = vec![0.0; expected.len()];
    let mut stream = Stream::new(2004, Purpose::Check, 0);
    for _ in 0..repeats {
        let chains: Vec<Series> = (0..4).map(|_| law.chain(4000, &mut stream)).collect();
        for (index, observable) in statistics::observables(SIDE, COUPLING, &chains).into_iter().enumerate() {
            assert_eq!(observable.name, expected[index].0);
            let estimate = observable.estimate;
            pulls[index].push((estimate.mean - expected[index].1) / estimate.error);
            times[index] += estimate.autocorrelation_time / repeats as f64;
            assert!((estimate.effective_samples * 2.0 * estimate.autocorrelation_time / 16_000.0 - 1.0).abs() < 1e-12);
        }
    }
    for (index, (name, _)) in expected.iter().enumerate() {
        let mean = pulls[index].iter().sum::<f64>() / repeats as f64;
        let variance = pulls[index].iter().map(|pull| pull * pull).sum::<f64>() / repeats as f64;
        assert!(mean.abs() < 0.3, "{name}: mean pull {mean}");
        assert!((variance - 1.0).abs() < 0.4, "{name}: variance of the pulls {variance}");
        assert!((times[index] / 4.5 - 1.0).abs() < 0.05, "{name}: autocorrelation time {}", times[index]);
    }
}

/// Magnetizations and waves as of a lattice with `<M^2>/<P>` = 1 + excess: normal numbers, and means of two exponential ones. 200 ensembles of 4 chains of 500 draws know the excess to 0.035. Where it is
/// below that, no length is many errors away from the true one, and none claims to be known exactly; the mutant, which corrects the bias of the root there, is off by up to a hundred. Well above, pulls
/// have unit variance: it has an error of 0.1, and an error bar a quarter too small or too large would be off by four of these.
#[test]
fn a_correlation_length_below_its_noise_claims_nothing() {
    const SIDE: usize = 32;
    let sites = (SIDE * SIDE) as f64;
    let scale = 0.5 / (SIDE as f64 * (std::f64::consts::PI / SIDE as f64).sin());
    let mut stream = Stream::new(2005, Purpose::Check, 0);
    for excess in [0.0, 1e-4, 1e-2, 0.5] {
        let (mut pulls, mut of_blocks) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            let mut chain = || {
                let magnetization = (0..500).map(|_| (1e3 * (sites * (1.0 + excess)).sqrt() * stream.normal()).round() as i64).collect();
                let power = |stream: &mut Stream| -0.5 * (stream.uniform().ln() + stream.uniform().ln());
                let wave_power = (0..500).map(|_| 1e6 * sites * power(&mut stream)).collect();
                Series { energy: vec![0; 500], magnetization, wave_power, ..Series::default() }
            };
            let chains: Vec<Series> = (0..4).map(|_| chain()).collect();
            let found = statistics::observables(SIDE, 0.1, &chains);
            let length = found.iter().find(|one| one.name == "correlation_length_over_side").expect("the waves are there").estimate;
            assert!(length.error > 0.0 && length.error.is_finite(), "excess {excess}: {length:?}");
            pulls.push((length.mean - scale * excess.sqrt()) / length.error);
            // The same from blocks that are known to be independent.
            let [mean, error] = statistics::correlation_length_of_blocks(SIDE, &jackknife::blocks(&chains, 50.0));
            assert!(mean >= 0.0 && error > 0.0, "excess {excess}: {mean} +- {error}");
            of_blocks.push((mean - scale * excess.sqrt()) / error);
        }
        for pulls in [pulls, of_blocks] {
            let largest = pulls.iter().fold(0f64, |largest, pull| largest.max(pull.abs()));
            let variance = pulls.iter().map(|pull| pull * pull).sum::<f64>() / pulls.len() as f64;
            println!("excess {excess}: largest pull {largest:.2}, variance {variance:.3}");
            if excess < 0.1 {
                assert!(largest < 3.0 && variance < 1.5, "excess {excess}: {largest}, {variance}");
            } else {
                assert!(largest < 4.5 && (variance - 1.0).abs() < 0.4, "excess {excess}: {largest}, {variance}");
            }
        }
    }
}

/// In the cold a single draw may have all the waves there are: without its block the length is infinite, and so there is no estimate of it.
#[test]
fn a_length_that_hangs_on_one_draw_is_left_out() {
    let chain = |waves: f64| Series {
        energy: (0..1000).map(|draw| -32 + 8 * i64::from(draw == 500)).collect(),
        magnetization: (0..1000).map(|draw| 16 - 2 * i64::from(draw == 500)).collect(),
        wave_power: (0..1000).map(|draw| if draw == 500 { waves } else { 0.0 }).collect(),
        ..Series::default()
    };
    let found = statistics::observables(SIDE, 1.4, &[chain(4.0), chain(0.0), chain(0.0)]);
    assert!(found.len() == 6 && found.iter().all(|one| one.estimate.mean.is_finite() && one.estimate.error.is_finite()), "{found:?}");
}

/// Two draws are equally far from their mean: nothing is known of the error of their variance, which is not the same as no error.
#[test]
fn two_draws_do_not_tell_the_error_of_a_specific_heat() {
    let chain = Series { energy: vec![-32, -24], magnetization: vec![16, 14], ..Series::default() };
    let found = statistics::observables(SIDE, 0.4, &[chain]);
    let heat = found.iter().find(|one| one.name == "specific_heat_per_site").expect("it is there").estimate;
    assert!(heat.mean > 0.0 && heat.error == f64::INFINITY, "{heat:?}");
    // Two energies in turn over many blocks: the jackknife knows.
    let chain = Series { energy: [-32, -24].repeat(500), magnetization: vec![16; 1000], ..Series::default() };
    let found = statistics::observables(SIDE, 0.4, &[chain]);
    let heat = found.iter().find(|one| one.name == "specific_heat_per_site").expect("it is there").estimate;
    assert!((heat.mean - 0.16).abs() < 1e-3 && heat.error < 1e-3, "{heat:?}");
}

#[test]
fn degenerate_ensembles_give_finite_numbers() {
    assert!(statistics::observables(4, 0.4, &[]).is_empty());
    assert!(statistics::observables(4, 0.4, &[Series { energy: vec![0], magnetization: vec![0], ..Series::default() }]).is_empty());
    let aligned = Series { energy: vec![-32; 100], magnetization: vec![16; 100], ..Series::default() };
    let disordered = Series { energy: vec![0; 3], magnetization: vec![0; 3], ..Series::default() };
    for (coupling, chains) in [(9.0, vec![aligned.clone(), aligned]), (0.0, vec![disordered.clone(), disordered])] {
        for observable in statistics::observables(4, coupling, &chains) {
            let estimate = observable.estimate;
            assert!(estimate.mean.is_finite() && estimate.error == 0.0 && estimate.effective_samples > 0.0, "{observable:?}");
        }
    }
}

#[test]
fn the_analysis_does_not_depend_on_the_number_of_threads() {
    let mut stream = Stream::new(7, Purpose::Check, 0);
    let chains: Vec<Series> = (0..5)
        .map(|_| {
            let mut series = Series::default();
            for _ in 0..3000 {
                let energy = 4 * stream.below(9) as i64 - 32;
                series.push(Measurement { energy, magnetization: 2 * stream.below(17) as i64 - 16 });
            }
            series
        })
        .collect();
    let with_threads = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
        pool.install(|| statistics::observables(4, 0.4, &chains))
    };
    assert_eq!(with_threads(1), with_threads(3));
}
