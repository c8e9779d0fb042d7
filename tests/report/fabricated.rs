//! Records made up for the tests of the report: plausible shapes and numbers, no physics.

use kadanoff::measure::{Measurement, Series};
use kadanoff::record::*;

/// A small deterministic generator (Steele, Lea and Flood 2014): uniform numbers in [0, 1).
pub struct Uniform(pub u64);

impl Uniform {
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About a standard normal number.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.next()).sum::<f64>() - 6.0
    }
}

pub fn empty() -> RunRecord {
    RunRecord {
        provenance: Provenance {
            program_version: "0.1.0".to_string(),
            git_commit: "71fbff8a0c52d14be17ad7c5a0e1d3c45f2b9aa0".to_string(),
            run_file: "seed = 14103831\n\n[lattice]\nsizes = [40]  # < 64 & even\n\n[sample]\ncouplings = [0.408]\nalgorithm = \"swendsen-wang\"\n".to_string(),
            run_file_hash: "0f".repeat(32),
            seed: 14_103_831,
            submissions: vec![Submission {
                started: 1_413_279_001,
                host: "node017".to_string(),
                instruction_set: "avx2".to_string(),
                ranks: 4,
                threads: 16,
                slurm_job: "881234".to_string(),
                binding: "4 ranks with 16 threads each; node017: rank 0 on 0-15".to_string(),
                worked: Some(0.973),
            }],
        },
        sampling: None,
        scaling: None,
        analyses: Vec::new(),
        training: None,
        renormalization: None,
    }
}

fn series(random: &mut Uniform, draws: usize, sites: f64, energy: f64, spread: f64, magnetization: f64) -> Series {
    let mut series = Series::default();
    let (mut slow, mut fast) = (random.normal(), random.normal());
    for _ in 0..draws {
        fast = 0.6 * fast + 0.8 * random.normal();
        slow = 0.9 * slow + 0.436 * random.normal();
        series.push(Measurement {
            energy: 4 * (sites * (energy + spread * fast) / 4.0).round() as i64,
            magnetization: 2 * (sites * (magnetization * slow).clamp(-1.0, 1.0) / 2.0).round() as i64,
        });
    }
    series
}

fn observable(name: &str, long_name: &str, units: &str, mean: f64, error: f64, exact: Option<f64>) -> Observable {
    let estimate = Estimate { mean, error, autocorrelation_time: 2.31, effective_samples: 5540.0 };
    Observable { name: name.to_string(), long_name: long_name.to_string(), units: units.to_string(), estimate, exact }
}

/// The paper's run: 40 x 40, three layers.
pub fn record() -> RunRecord {
    let mut random = Uniform(1);
    let chains = (0..64).map(|_| series(&mut random, 400, 1600.0, -1.1518, 0.025, 0.24)).collect();
    let observables = vec![
        observable("energy_per_site", "energy per site", "J", -1.152, 0.000_41, Some(-1.151_821_150_767_7)),
        observable("specific_heat_per_site", "specific heat per site", "k_B", 0.9902, 0.0081, Some(0.994_670_47)),
        observable("absolute_magnetization", "absolute magnetization per site", "1", 0.196, 0.001, None),
        observable("magnetization_squared", "squared magnetization per site", "1", 0.0574, 0.0004, None),
        observable("susceptibility", "susceptibility per site", "1", 91.8, 0.62, None),
        observable("binder_cumulant", "Binder cumulant", "1", 0.167, 0.004, None),
    ];
    let ensemble =
        Ensemble { size: 40, coupling: 0.408, chains, histograms: Vec::new(), observables, spin_updates: 2_150_400_000, seconds: 31.2 };
    let mut record = empty();
    record.sampling = Some(SamplingRecord {
        geometry: kadanoff::lattice::Geometry::Square,
        tempering: Vec::new(),
        algorithm: "swendsen-wang".to_string(),
        sizes: vec![40],
        couplings: vec![0.408],
        start: "hot".to_string(),
        replicas: 64,
        thermalization: 1000,
        measure_every: 5,
        draws: 400,
        ensembles: vec![ensemble],
    });
    record.training = Some(training(&mut random));
    record.renormalization = Some(renormalization(&mut random));
    record
}

fn training(random: &mut Uniform) -> TrainingRecord {
    let layers = [(1600, 400, 60), (400, 100, 100), (100, 25, 100)];
    let layers = layers.into_iter().enumerate().map(|(index, (visible, hidden, epochs))| {
        let epochs = (0..epochs).map(|epoch| {
            let progress = 1.0 - (-f64::from(epoch) / 12.0).exp();
            EpochRecord {
                reconstruction_error: 0.22 - (0.13 - 0.03 * index as f64) * progress + 0.0008 * random.normal(),
                free_energy_gap: 0.4 * progress + 0.25 * random.normal() + 0.01 * f64::from(epoch),
                free_energy_gap_error: 0.25,
                pseudo_likelihood: (index == 0).then_some(-0.6 + 0.3 * progress),
                learning_rate: 0.1,
                weight_norm: 0.01 + 0.16 * progress,
                weight_maximum: 0.05 + (3.4 - 0.6 * index as f64) * progress,
                gradient_norm: 0.004 + 0.02 * (1.0 - progress) + 0.0003 * random.normal(),
                seconds: [1.92, 0.41, 0.06][index] * (1.0 + 0.02 * random.normal()),
            }
        });
        LayerRecord {
            visible,
            hidden,
            epochs: epochs.collect(),
            weights: (0..visible * hidden).map(|_| (0.01 * random.normal()) as f32).collect(),
            visible_bias: vec![0.0; visible],
            hidden_bias: vec![0.0; hidden],
            dead_units: (0..[12, 0, 0][index]).collect(),
            swap_rates: Vec::new(),
            stopped_early: false,
        }
    });
    TrainingRecord {
        gradient: "plain".to_string(),
        activations: "probabilities".to_string(),
        method: "cd".to_string(),
        chains: 0,
        gibbs_steps: 1,
        fresh: false,
        couplings: vec![0.408],
        size: 40,
        samples: 20_000,
        held_out: 2000,
        layers: layers.collect(),
        companions: Vec::new(),
        peak_memory: 143_654_912,
    }
}

/// Gaussian blobs on a jittered grid, in random order, with noise; the first layer has a few dead units.
fn fields(random: &mut Uniform, across: usize, radius: f64) -> ReceptiveFieldSummary {
    const SIDE: usize = 40;
    let units = across * across;
    let mut order: Vec<usize> = (0..units).collect();
    for index in (1..units).rev() {
        order.swap(index, (random.next() * (index + 1) as f64) as usize);
    }
    let (mut all, mut measures) = (Vec::new(), Vec::new());
    for place in order {
        let step = SIDE as f64 / across as f64;
        let jitter = || 0.4 * step;
        let centre = [
            ((place % across) as f64 + 0.5) * step + jitter() * (random.next() - 0.5),
            ((place / across) as f64 + 0.5) * step + jitter() * (random.next() - 0.5),
        ];
        let width = radius * (0.85 + 0.3 * random.next());
        let is_dead = across == 20 && place.is_multiple_of(37);
        let sign = if random.next() < 0.5 { -1.0 } else { 1.0 };
        for site in 0..SIDE * SIDE {
            let distance = |here: usize, there: f64| {
                let difference = (here as f64 - there).abs();
                difference.min(SIDE as f64 - difference)
            };
            let squared = distance(site % SIDE, centre[0]).powi(2) + distance(site / SIDE, centre[1]).powi(2);
            let value = sign * 2.4 * (-squared / (2.0 * width * width)).exp() + 0.05 * random.normal();
            all.push(if is_dead { 0.0 } else { value as f32 });
        }
        measures.push(FieldMeasures {
            centre: if is_dead { [f64::NAN; 2] } else { centre },
            radius_of_gyration: if is_dead { f64::NAN } else { 1.6 * width },
            participation_ratio: if is_dead { f64::NAN } else { 4.0 * std::f64::consts::PI * width * width },
            window_share: [0.8, 0.93, 0.98],
            sign_coherence: 0.9,
        });
    }
    let live = measures.iter().map(|measures: &FieldMeasures| measures.participation_ratio.is_finite()).collect();
    ReceptiveFieldSummary {
        units,
        fields: all,
        measures,
        mean_window_share: [0.890, 0.937, 0.961],
        median_window_share: [0.912, 0.955, 0.978],
        median_participation_ratio: 4.0 * std::f64::consts::PI * radius * radius,
        random_window_share: [0.025, 0.064, 0.198],
        live,
        median_radius_of_gyration: 1.6 * radius,
        mean_sign_coherence: 0.9,
        tiling: 0.86,
        overlap: 0.31,
        duplicates: 2,
    }
}

fn renormalization(random: &mut Uniform) -> RenormalizationRecord {
    let receptive_fields = vec![fields(random, 20, 0.8), fields(random, 10, 1.65), fields(random, 5, 3.1)];
    let reconstruction = |units, agreement: [f64; 2], block: usize, direct: [f64; 2], iterated, correlation| ReconstructionRecord {
        units,
        agreement,
        block_side: Some(block),
        block_agreement: Some(direct),
        iterated_block_agreement: Some(iterated),
        // Direct blocks are the better ones of all three.
        advantage: Some([agreement[0] - direct[0], agreement[1].hypot(direct[1])]),
        block_correlation: Some(correlation),
    };
    let reconstructions = vec![
        reconstruction(400, [0.8526, 0.0007], 2, [0.8617, 0.0005], [0.8616, 0.0005], [0.4839, 0.005]),
        reconstruction(100, [0.7910, 0.0006], 4, [0.7915, 0.0006], [0.7773, 0.0006], [0.3769, 0.008]),
        reconstruction(25, [0.7257, 0.0008], 8, [0.7250, 0.0009], [0.7031, 0.0010], [0.2556, 0.014]),
    ];
    let examples = (0..4).map(|_| example(random)).collect();
    let machine = |name: &str, difference, data: f64, machine: f64, divergence, violation| NamedMapping {
        name: name.to_string(),
        summary: MappingSummary {
            hamiltonian_difference: difference,
            log_partition_function: data,
            machine_log_partition_function: machine,
            free_energy_difference: data - machine,
            divergence,
            mean_trace: (machine - data).exp(),
            trace_violation: violation,
        },
    };
    let mappings = vec![
        machine("random weights, 3 × 3 lattice, 4 hidden <units>", 4.1e-16, 7.312_345, 9.018_273, 1.2345, 3.02),
        machine("trained, 3 × 3 lattice, 4 hidden units", 2.2e-16, 7.312_345, 7.338_001, 0.0231, 0.047),
        machine("decimation of a ring of 8", 0.0, 6.100_001, 6.100_001, 0.0, 0.0),
    ];
    RenormalizationRecord { mappings, receptive_fields, reconstructions, likelihood: Some(likelihood()), tables: Vec::new(), examples }
}

/// A machine that is 42 nats from its data by both directions, and whose chains from random starts have not arrived.
fn likelihood() -> LikelihoodRecord {
    let annealing = |log_partition_function: f64, effective_samples, divergence| AnnealingRecord {
        log_partition_function,
        error: 0.31,
        effective_samples,
        chains: 128,
        divergence: [divergence, 0.52],
    };
    let relaxation = (0..20).map(|step| {
        let sweep = f64::from(step * step);
        RelaxationRecord {
            sweep: (step * step) as usize,
            from_data: [-1.15 + 0.03 * (1.0 - (-sweep / 40.0).exp()), 0.002],
            from_random: [-1.1 * (1.0 - (-sweep / 60.0).exp()), 0.004],
        }
    });
    let row = |name: &str, long_name: &str, units: &str, from_data, from_random, exact| ThermodynamicRecord {
        name: name.to_string(),
        long_name: long_name.to_string(),
        units: units.to_string(),
        from_data,
        from_random,
        exact,
    };
    // The infinite lattice for the exact values; the machine falls off too fast.
    let pair = |distance: usize| {
        let exact = 0.576 * (-(distance as f64 - 1.0) / 7.0).exp();
        PairRecord { distance, from_data: [exact * 0.98, 0.004], from_random: [exact * (1.0 - 0.02 * distance as f64), 0.004], exact }
    };
    LikelihoodRecord {
        visible: 1600,
        hidden: 400,
        held_out: 2000,
        temperatures: 1000,
        exact_log_partition_function: None,
        forward: annealing(1834.5, 17.3, 41.1),
        reverse: annealing(1836.3, 25.1, 42.9),
        log_partition_function: Some([1835.4, 0.9]),
        free_energy: [-1123.9, 0.42],
        negative_log_likelihood: Some([711.5, 0.99]),
        entropy: 669.5237262,
        divergence: Some([42.0, 0.93]),
        trace_violation: [31.7, 1.2],
        chains: 128,
        sweeps: 361,
        relaxation: relaxation.collect(),
        observables: vec![
            row("energy_per_site", "energy per site", "J", [-1.1210, 0.0021], [-1.0973, 0.0032], Some(-1.151_821_150_767_7)),
            row("specific_heat_per_site", "specific heat per site", "k_B", [0.912, 0.031], [0.871, 0.033], Some(0.994_670_474_677_41)),
            row("absolute_magnetization", "absolute magnetization per site", "1", [0.151, 0.012], [0.144, 0.013], None),
        ],
        correlations: (1..=20).map(pair).collect(),
    }
}

/// Domains: the sign of a few waves; reconstructions are block means pulled towards a half.
fn example(random: &mut Uniform) -> Example {
    const SIDE: usize = 40;
    let waves: Vec<[f64; 4]> = (0..9)
        .map(|_| [(random.next() * 7.0).floor() - 3.0, (random.next() * 7.0).floor() - 3.0, random.next(), random.normal()])
        .collect();
    let height = |x: usize, y: usize| {
        waves
            .iter()
            .map(|wave| wave[3] * (std::f64::consts::TAU * ((wave[0] * x as f64 + wave[1] * y as f64) / SIDE as f64 + wave[2])).cos())
            .sum::<f64>()
    };
    let spins: Vec<bool> = (0..SIDE * SIDE).map(|site| height(site % SIDE, site / SIDE) + 1.2 * random.normal() > 0.0).collect();
    let (mut reconstructions, mut blocks) = (Vec::new(), Vec::new());
    for block in [2, 4, 8] {
        let mean = |site: usize| {
            let (x, y) = (site % SIDE / block * block, site / SIDE / block * block);
            let up = (0..block * block).filter(|k| spins[(y + k / block) * SIDE + x + k % block]).count();
            up as f64 / (block * block) as f64
        };
        reconstructions
            .push((0..SIDE * SIDE).map(|site| (0.05 + 0.9 * mean(site) + 0.03 * random.normal()).clamp(0.0, 1.0) as f32).collect());
        blocks.push((0..SIDE * SIDE).map(|site| mean(site) > 0.5).collect());
    }
    Example { spins, reconstructions, blocks }
}

/// Four sizes at nine couplings, no training. A deviation of six errors and a slow mode are planted.
pub fn scaling() -> RunRecord {
    let mut random = Uniform(2);
    let sizes = vec![8, 16, 32, 64];
    let couplings: Vec<f64> = (0..9).map(|index| ((0.41 + 0.01 * f64::from(index)) * 100.0).round() / 100.0).collect();
    let mut ensembles = Vec::new();
    for &size in &sizes {
        for (index, &coupling) in couplings.iter().enumerate() {
            let scaled = (coupling - 0.4407) / 0.4407 * size as f64;
            let order = 1.0 / (1.0 + (-2.0 * scaled).exp());
            let energy = -1.414 - 2.2 * (coupling - 0.4407) * (size as f64).ln().max(1.0);
            let heat = 0.3 + 0.5 * (size as f64).ln() / (1.0 + 2.0 * (coupling - 0.437).abs() * size as f64);
            let mut measured = |name: &str, long_name: &str, units: &str, value: f64, error: f64, is_exact: bool| {
                observable(name, long_name, units, value + error * random.normal().clamp(-2.5, 2.5), error, is_exact.then_some(value))
            };
            let mut observables = vec![
                measured("energy_per_site", "energy per site", "J", energy, 0.0012, true),
                measured("specific_heat_per_site", "specific heat per site", "k_B", heat, 0.012, true),
                measured("absolute_magnetization", "absolute magnetization per site", "1", 0.15 + 0.65 * order, 0.006, false),
                measured(
                    "susceptibility",
                    "susceptibility per site",
                    "1",
                    0.9 * (size as f64).powf(1.75) * (0.1 + order),
                    0.02 * (size as f64).powf(1.75),
                    false,
                ),
                measured("binder_cumulant", "Binder cumulant", "1", 0.1 + 0.56 * order, 0.008, false),
            ];
            if size == 16 && index == 2 {
                observables[1].estimate.mean = heat + 6.0 * 0.012;
                observables[1].exact = Some(heat);
            }
            if size == 64 && index == 3 {
                observables[2].estimate.autocorrelation_time = 40.0;
            }
            let chains = (0..4).map(|_| series(&mut random, 300, (size * size) as f64, energy, 0.4 / size as f64, 0.4)).collect();
            ensembles.push(Ensemble {
                size,
                coupling,
                chains,
                observables,
                histograms: Vec::new(),
                spin_updates: 3_000_000 * size as u64,
                seconds: 0.02 * size as f64,
            });
        }
    }
    let mut record = empty();
    record.sampling = Some(SamplingRecord {
        geometry: kadanoff::lattice::Geometry::Square,
        tempering: Vec::new(),
        algorithm: "wolff".to_string(),
        sizes,
        couplings,
        start: "hot".to_string(),
        replicas: 4,
        thermalization: 500,
        measure_every: 1,
        draws: 300,
        ensembles,
    });
    record
}
