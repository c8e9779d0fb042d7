//! A run that never was: every part of a record, its numbers made of distinct primes.

use kadanoff::measure::{ClusterMoments, Series};
use kadanoff::record::*;
use kadanoff::spins::BitMatrix;
use kadanoff::statistics::least_squares::Goodness;
use kadanoff::statistics::scaling::{Bootstrap, Collapse, Crossing, Curves, Peak, ScalingFit, ScalingResult};
use kadanoff::store::ConfigurationSet;

/// Hands out distinct primes, so that no two numbers of a record can be exchanged unnoticed.
struct Primes(u64);

impl Primes {
    fn next(&mut self) -> u64 {
        loop {
            self.0 += 1;
            if (2..).take_while(|divisor| divisor * divisor <= self.0).all(|divisor| !self.0.is_multiple_of(divisor)) {
                return self.0;
            }
        }
    }

    fn integer(&mut self) -> i64 {
        self.next() as i64 * if self.0.is_multiple_of(4) { 1 } else { -1 }
    }

    /// Not a short decimal, so that any detour over text or f32 would show.
    fn real(&mut self) -> f64 {
        (self.next() as f64).sqrt()
    }

    fn single(&mut self) -> f32 {
        self.real() as f32
    }

    fn reals<const N: usize>(&mut self) -> [f64; N] {
        std::array::from_fn(|_| self.real())
    }
}

const CHAINS: usize = 3;
const DRAWS: usize = 5;

fn ensemble(primes: &mut Primes, size: usize, coupling: f64) -> Ensemble {
    let observable = |primes: &mut Primes, name: &str, units: &str, exact: bool| Observable {
        name: name.to_string(),
        long_name: format!("{} ({units})", name.replace('_', " ")),
        units: units.to_string(),
        estimate: Estimate {
            mean: primes.real(),
            error: primes.real(),
            autocorrelation_time: primes.real(),
            effective_samples: primes.real(),
        },
        exact: exact.then(|| primes.real()),
    };
    Ensemble {
        size,
        coupling,
        chains: (0..CHAINS)
            .map(|_| Series {
                energy: (0..DRAWS).map(|_| primes.integer()).collect(),
                magnetization: (0..DRAWS).map(|_| primes.integer()).collect(),
                wave_power: (0..DRAWS).map(|_| primes.real()).collect(),
                improved: (0..DRAWS).map(|_| ClusterMoments::of_numbers(primes.reals())).collect(),
            })
            .collect(),
        observables: vec![
            observable(primes, "energy_per_site", "J", true),
            observable(primes, "binder_cumulant", "1", size == 4),
            observable(primes, "susceptibility", "1", false),
        ],
        histograms: Vec::new(),
        spin_updates: primes.next(),
        seconds: primes.real(),
    }
}

fn layer(primes: &mut Primes, visible: usize, hidden: usize) -> LayerRecord {
    let mut singles = |count: usize| (0..count).map(|_| primes.single()).collect::<Vec<f32>>();
    let (weights, visible_bias, hidden_bias) = (singles(visible * hidden), singles(visible), singles(hidden));
    LayerRecord {
        visible,
        hidden,
        weights,
        visible_bias,
        hidden_bias,
        epochs: (0..3)
            .map(|_| EpochRecord {
                reconstruction_error: primes.real(),
                free_energy_gap: primes.real(),
                free_energy_gap_error: primes.real(),
                weight_norm: primes.real(),
                weight_maximum: primes.real(),
                gradient_norm: primes.real(),
                pseudo_likelihood: Some(primes.real()),
                learning_rate: primes.real(),
                seconds: primes.real(),
            })
            .collect(),
        dead_units: (0..hidden).step_by(3).collect(),
        swap_rates: (0..4).map(|_| primes.real()).collect(),
        stopped_early: true,
    }
}

fn companion(primes: &mut Primes, name: &str, role: &str) -> CompanionRecord {
    CompanionRecord {
        name: name.to_string(),
        role: role.to_string(),
        seed_number: primes.next() as usize,
        seed: primes.next(),
        samples: primes.next() as usize,
        l1: vec![primes.single(), primes.single()],
        layers: vec![layer(primes, 16, 4), layer(primes, 4, 2)],
    }
}

fn renormalization(primes: &mut Primes) -> RenormalizationRecord {
    let fields = |primes: &mut Primes, units: usize| ReceptiveFieldSummary {
        units,
        fields: (0..units * 16).map(|_| primes.single()).collect(),
        measures: (0..units)
            .map(|_| FieldMeasures {
                centre: primes.reals(),
                radius_of_gyration: primes.real(),
                participation_ratio: primes.real(),
                window_share: primes.reals(),
                sign_coherence: primes.real(),
            })
            .collect(),
        mean_window_share: primes.reals(),
        median_window_share: primes.reals(),
        median_participation_ratio: primes.real(),
        random_window_share: primes.reals(),
        live: (0..units).map(|_| primes.next() % 4 == 1).collect(),
        median_radius_of_gyration: primes.real(),
        mean_sign_coherence: primes.real(),
        tiling: primes.real(),
        overlap: primes.real(),
        duplicates: primes.next() as usize,
    };
    let reconstruction = |primes: &mut Primes, block: bool| ReconstructionRecord {
        units: primes.next() as usize,
        agreement: primes.reals(),
        block_side: block.then(|| primes.next() as usize),
        block_agreement: block.then(|| primes.reals()),
        iterated_block_agreement: None,
        advantage: block.then(|| primes.reals()),
        block_correlation: block.then(|| primes.reals()),
    };
    let mapping = |primes: &mut Primes, name: &str| NamedMapping {
        name: name.to_string(),
        summary: MappingSummary {
            hamiltonian_difference: primes.real(),
            log_partition_function: primes.real(),
            machine_log_partition_function: primes.real(),
            free_energy_difference: primes.real(),
            divergence: primes.real(),
            mean_trace: primes.real(),
            trace_violation: primes.real(),
        },
    };
    let example = |primes: &mut Primes| Example {
        spins: (0..16).map(|_| primes.next() % 4 == 1).collect(),
        reconstructions: (0..2).map(|_| (0..16).map(|_| primes.single()).collect()).collect(),
        blocks: vec![(0..16).map(|_| primes.next() % 4 == 1).collect(), Vec::new()],
    };
    RenormalizationRecord {
        mappings: vec![mapping(primes, "2 x 2 with 1 hidden unit, λ = 0"), mapping(primes, "chain")],
        receptive_fields: vec![fields(primes, 5), fields(primes, 3)],
        reconstructions: vec![reconstruction(primes, true), reconstruction(primes, false)],
        likelihood: Some(likelihood(primes)),
        tables: vec![table(primes, "one"), table(primes, "another"), TableRecord::new("empty", "thing", "no rows", &[])],
        examples: vec![example(primes), example(primes)],
    }
}

fn table(primes: &mut Primes, name: &str) -> TableRecord {
    let mut table = TableRecord::new(name, "scheme", "numbers in a table", &[("thermal", "y_T", "1"), ("magnetic", "y_H", "J")]);
    table.push("first, with a λ", vec![Cell::exact(primes.real()), Cell::NONE]);
    table.push("second", vec![Cell::exact(primes.real()), Cell::estimate(primes.reals())]);
    table
}

fn likelihood(primes: &mut Primes) -> LikelihoodRecord {
    let annealing = |primes: &mut Primes| AnnealingRecord {
        log_partition_function: primes.real(),
        error: primes.real(),
        effective_samples: primes.real(),
        chains: primes.next() as usize,
        divergence: primes.reals(),
    };
    let relaxation =
        |primes: &mut Primes| RelaxationRecord { sweep: primes.next() as usize, from_data: primes.reals(), from_random: primes.reals() };
    let row = |primes: &mut Primes, name: &str, exact: bool| ThermodynamicRecord {
        name: name.to_string(),
        long_name: name.replace('_', " "),
        units: "J".to_string(),
        from_data: primes.reals(),
        from_random: primes.reals(),
        exact: exact.then(|| primes.real()),
    };
    let pair = |primes: &mut Primes, distance: usize| PairRecord {
        distance,
        from_data: primes.reals(),
        from_random: primes.reals(),
        exact: primes.real(),
    };
    LikelihoodRecord {
        visible: primes.next() as usize,
        hidden: primes.next() as usize,
        held_out: primes.next() as usize,
        temperatures: primes.next() as usize,
        exact_log_partition_function: None,
        forward: annealing(primes),
        reverse: annealing(primes),
        log_partition_function: Some(primes.reals()),
        free_energy: primes.reals(),
        negative_log_likelihood: Some(primes.reals()),
        entropy: primes.real(),
        divergence: None,
        trace_violation: primes.reals(),
        chains: primes.next() as usize,
        sweeps: primes.next() as usize,
        relaxation: (0..3).map(|_| relaxation(primes)).collect(),
        observables: vec![row(primes, "energy_per_site", true), row(primes, "absolute_magnetization", false)],
        correlations: (1..=3).map(|distance| pair(primes, distance)).collect(),
    }
}

/// A whole record.
pub fn record() -> RunRecord {
    let mut primes = Primes(10);
    let run_file = "# Größe\nseed = 14103831\n".to_string();
    let submission = |primes: &mut Primes, host: &str, slurm_job: &str| Submission {
        started: 1_700_000_000 + primes.next(),
        host: host.to_string(),
        instruction_set: "avx2".to_string(),
        ranks: primes.next() as usize,
        threads: primes.next() as usize,
        slurm_job: slurm_job.to_string(),
        binding: format!("1 rank with 1 thread; {host}: rank 0 on 0"),
        worked: (!slurm_job.is_empty()).then_some(0.75),
    };
    let (sizes, couplings) = (vec![4, 6], vec![0.25, 0.440_686_793_509_771_5]);
    let places = sizes.iter().flat_map(|&size| couplings.iter().map(move |&coupling| (size, coupling)));
    let ensembles = places.map(|(size, coupling)| ensemble(&mut primes, size, coupling)).collect();
    let submissions = vec![submission(&mut primes, "node1", "17"), submission(&mut primes, "", "")];
    RunRecord {
        provenance: Provenance {
            program_version: "0.1.0".to_string(),
            git_commit: "unknown".to_string(),
            run_file_hash: blake_of(&run_file),
            run_file,
            seed: u64::MAX - 58,
            submissions,
        },
        sampling: Some(SamplingRecord {
            geometry: kadanoff::lattice::Geometry::Square,
            tempering: Vec::new(),
            algorithm: "swendsen-wang".to_string(),
            sizes,
            couplings,
            start: "both".to_string(),
            replicas: CHAINS,
            thermalization: primes.next() as usize,
            measure_every: primes.next() as usize,
            draws: DRAWS,
            ensembles,
        }),
        scaling: Some(scaling(&mut primes)),
        analyses: vec![table(&mut primes, "first"), table(&mut primes, "second")],
        training: Some(TrainingRecord {
            gradient: "centred".to_string(),
            activations: "states".to_string(),
            method: "tempered".to_string(),
            chains: primes.next() as usize,
            gibbs_steps: primes.next() as usize,
            fresh: true,
            couplings: (0..3).map(|_| primes.real()).collect(),
            size: 4,
            samples: primes.next() as usize,
            held_out: primes.next() as usize,
            layers: vec![layer(&mut primes, 16, 5), layer(&mut primes, 5, 3)],
            companions: vec![companion(&mut primes, "seed 2", "seed"), companion(&mut primes, "sites shuffled", "shuffled-sites")],
            peak_memory: primes.next(),
        }),
        renormalization: Some(renormalization(&mut primes)),
    }
}

fn scaling(primes: &mut Primes) -> Scaling {
    let pairs = |primes: &mut Primes, count: usize| (0..count).map(|_| primes.reals::<2>()).collect::<Vec<[f64; 2]>>();
    let result = |primes: &mut Primes, name: &str, exact: bool| ScalingResult {
        name: name.to_string(),
        long_name: format!("{name} in words"),
        value: primes.real(),
        error: primes.real(),
        smallest_size: primes.next() as usize,
        exact: exact.then(|| primes.real()),
        bootstrap: exact.then(|| Bootstrap { error: primes.real(), interval: primes.reals() }),
    };
    let results = vec![result(primes, "nu", true), result(primes, "beta_over_nu", false), result(primes, "critical_coupling", true)];
    let fit = |primes: &mut Primes, name: &str, flag: bool| ScalingFit {
        name: name.to_string(),
        long_name: format!("{name} in words"),
        smallest_size: primes.next() as usize,
        corrected: flag,
        value: primes.reals(),
        goodness: Goodness { chi_squared: primes.real(), degrees_of_freedom: primes.next() as usize, p_value: primes.real() },
        chosen: !flag,
    };
    let peak = |primes: &mut Primes, observable: &str, exact: bool| Peak {
        observable: observable.to_string(),
        size: primes.next() as usize,
        coupling: primes.reals(),
        height: primes.reals(),
        exact: exact.then(|| primes.reals()),
    };
    let curves = |primes: &mut Primes| Curves {
        size: primes.next() as usize,
        coupling: (0..3).map(|_| primes.real()).collect(),
        binder_cumulant: pairs(primes, 3),
        correlation_length: Vec::new(),
        magnetization: pairs(primes, 3),
        connected_susceptibility: pairs(primes, 3),
        specific_heat: pairs(primes, 3),
        energy: pairs(primes, 3),
        effective_draws: (0..3).map(|_| primes.real()).collect(),
        smallest_overlap: primes.real(),
    };
    Scaling {
        geometry: kadanoff::lattice::Geometry::Cubic,
        correction_exponent: primes.real(),
        blocks: primes.next() as usize,
        covariance: (0..results.len().pow(2)).map(|_| primes.real()).collect(),
        results,
        fits: vec![fit(primes, "nu", true), fit(primes, "nu", false)],
        crossings: vec![Crossing {
            observable: "binder_cumulant".to_string(),
            sizes: [primes.next() as usize, primes.next() as usize],
            coupling: primes.reals(),
            value: primes.reals(),
        }],
        peaks: vec![peak(primes, "specific_heat", true), peak(primes, "binder_slope", false)],
        curves: vec![curves(primes), curves(primes)],
        collapses: vec![Collapse {
            observable: "magnetization".to_string(),
            quality: primes.real(),
            smallest_size: primes.next() as usize,
        }],
    }
}

fn blake_of(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// Configurations of L = 6 (36 sites: five bytes, the last one half used) and L = 4, whose magnetizations are entered into the series.
pub fn configurations(record: &mut RunRecord) -> Vec<ConfigurationSet> {
    let sampling = record.sampling.as_mut().unwrap();
    let mut sets = Vec::new();
    for (index, chains, draws) in [(3, vec![2, 0, 1], vec![4, 0, 2]), (0, vec![1], vec![3])] {
        let ensemble: &mut Ensemble = &mut sampling.ensembles[index];
        let sites = ensemble.size * ensemble.size;
        let mut spins = BitMatrix::new(chains.len(), sites);
        for row in 0..chains.len() {
            for site in 0..sites {
                spins.set(row, site, (site * site + row + index).is_multiple_of(7) || site == sites - 1);
            }
            let up = spins.bits(row).count_ones() as i64;
            ensemble.chains[chains[row] as usize].magnetization[draws[row] as usize] = 2 * up - sites as i64;
        }
        sets.push(ConfigurationSet {
            geometry: kadanoff::lattice::Geometry::Square,
            size: ensemble.size,
            coupling: ensemble.coupling,
            spins,
            chains,
            draws,
        });
    }
    sets
}
