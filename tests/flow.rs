//! Networks of several couplings, their flow, and the chain beside them, as whole runs of the binary.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use kadanoff::exact::square;
use runs::{kadanoff, mpirun, outcome, succeed, write_job};

/// Two layers on kept configurations of three couplings in equal shares, and the flow of the first.
const SEVERAL: &str = r#"
seed = 5
[lattice]
sizes = [8]
[sample]
couplings = [0.2, 0.6, 0.408]
replicas = 10
thermalization = 50
sweeps = 1000
measure_every = 5
configurations = 400
[train]
couplings = "all"
layers = [24, 8]
epochs = 4
minibatch = 50
gradient = "centred"
held_out = 100
[renormalize]
flow = true
flow_steps = 6
flow_chains = 300
standards = false
mapping = false
"#;

#[test]
fn a_network_of_several_couplings_and_its_flow_are_the_same_wherever_they_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let job = write_job(folder.path(), SEVERAL);
    let (whole, pieces) = (folder.path().join("whole"), folder.path().join("pieces"));
    succeed(kadanoff().arg("run").arg(&job).arg("--out").arg(&whole).args(["--threads", "1"]));
    for until in ["sampling", "training", "renormalization"] {
        let mut command = kadanoff();
        command.arg("run").arg(&job).arg("--out").arg(&pieces).args(["--threads", "2", "--until", until]);
        succeed(command.env("KADANOFF_INSTRUCTION_SET", "portable"));
    }
    let expected = outcome(&whole);
    assert!(expected == outcome(&pieces));
    if cfg!(feature = "mpi") {
        let many = folder.path().join("many");
        succeed(mpirun("3").arg("run").arg(&job).arg("--out").arg(&many).args(["--threads", "1"]));
        assert!(expected == outcome(&many), "three ranks changed the result");
    }

    let record = expected.0;
    let training = record.training.unwrap();
    assert_eq!((training.couplings.as_slice(), training.samples, training.held_out), (&[0.2, 0.6, 0.408][..], 1100, 100));
    let renormalization = record.renormalization.unwrap();
    assert!(renormalization.likelihood.is_none(), "there is no Ising law of several couplings");
    let flow = renormalization.table("flow").unwrap();
    let steps: Vec<f64> = (0..flow.rows.len()).map(|row| flow.get(row, "step").unwrap()[0]).collect();
    assert_eq!(steps, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0].repeat(3));
    for (start, coupling) in [0.2, 0.408, 0.6].into_iter().enumerate() {
        let exact = square(8, coupling);
        let [energy, error] = flow.get(7 * start, "energy_per_site").unwrap();
        // 300 configurations of 400 kept ones, five sweeps apart.
        assert!((energy - exact.energy_per_site).abs() < 5.0 * error && error < 0.05, "K = {coupling}: {energy} +- {error}");
        let [found, error] = flow.get(7 * start, "coupling").unwrap();
        assert!((found - coupling).abs() < 5.0 * error, "K = {coupling}: {found} +- {error}");
        assert!(flow.get(7 * start + 6, "correlation_length").unwrap()[1] > 0.0);
    }
    assert_eq!(renormalization.table("flow_ends").unwrap().rows.len(), 3);
    let fixed_points = renormalization.table("flow_fixed_points").unwrap();
    assert!(fixed_points.rows[0].0.starts_with("after 6 steps, mean over 3 starts"), "{:?}", fixed_points.rows);

    let page = std::fs::read_to_string(whole.join("report.html")).unwrap();
    for words in
        ["The flow of the machine", "in equal shares at K = 0.2, 0.6 and 0.408", "Of 3 starts of the flow", "The flow ends after 6 steps"]
    {
        assert!(page.contains(words), "the page lacks \"{words}\"");
    }
    let summary: serde_json::Value = serde_json::from_slice(&std::fs::read(whole.join("summary.json")).unwrap()).unwrap();
    assert_eq!(summary["renormalization"]["tables"]["flow"]["rows"].as_array().unwrap().len(), 21);
    assert_eq!(summary["training"]["couplings"].as_array().unwrap().len(), 3);
}

#[test]
fn the_chain_is_decimated_to_rounding_and_a_stack_learns_it_beside() {
    let folder = tempfile::tempdir().unwrap();
    let text = "seed = 2\n[lattice]\nsizes = [4]\n[renormalize]\nmapping = false\nstandards = false\ndecimation = true\ndecimation_samples = 2000\ndecimation_epochs = 10\n";
    let directory = folder.path().join("run");
    succeed(kadanoff().arg("run").arg(write_job(folder.path(), text)).arg("--out").arg(&directory));
    let renormalization = kadanoff::store::read_run(&directory).unwrap().renormalization.unwrap();
    let by_hand = renormalization.table("decimation").unwrap();
    assert_eq!(by_hand.rows.len(), 7);
    for (row, coupling) in [1.0, 0.6625013737, 0.3500611389, 0.1136720675, 0.0128115420].into_iter().enumerate() {
        assert!((by_hand.get(row, "coupling").unwrap()[0] - coupling).abs() < 1e-10);
        assert!((by_hand.get(row, "weight").unwrap()[0] - 4.0 * coupling).abs() < 1e-9);
        assert!(by_hand.get(row, "marginal_difference").unwrap()[0] < 1e-12);
    }
    for row in 0..7 {
        let [total, _] = by_hand.get(row, "log_partition_function").unwrap();
        assert!((total - 72.1233927336848).abs() < 1e-12 * 72.0, "row {row}: {total}");
    }
    let beside = renormalization.table("decimation_stack").unwrap();
    assert_eq!(beside.rows.len(), 7);
    assert!((beside.get(1, "correlation").unwrap()[0] - 1f64.tanh().powi(2)).abs() < 1e-7);
    assert!(beside.get(2, "divergence").is_none_or(|[divergence, error]| divergence > -4.0 * error));
    assert!(beside.get(2, "agreement").unwrap()[0] > 0.6 && beside.get(2, "trace_violation").unwrap()[1] > 0.0);
    let page = std::fs::read_to_string(directory.join("report.html")).unwrap();
    assert!(page.contains("One dimension: decimation and a trained stack"));
}

#[test]
fn the_exact_method_learns_the_mean_of_the_laws_of_its_couplings() {
    let folder = tempfile::tempdir().unwrap();
    let text = "seed = 3\n[lattice]\nsizes = [4]\n[sample]\ncouplings = [0.2, 0.5]\nthermalization = 100\nsweeps = 1000\nconfigurations = 500\n[train]\ncouplings = [0.2, 0.5]\nlayers = [32]\nmethod = \"exact\"\nepochs = 60\nheld_out = 200\nminibatch = 80\ngradient = \"centred\"\nlearning_rate = 1.0\nlast_momentum = 0.9\ninitial_weight = 0.1\n[report]\nfigures = false\n";
    let directory = folder.path().join("run");
    succeed(kadanoff().arg("run").arg(write_job(folder.path(), text)).arg("--out").arg(&directory));
    let layer = kadanoff::store::read_run(&directory).unwrap().training.unwrap().layers.remove(0);
    let double = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
    let weights = double(&layer.weights);
    let torus = kadanoff::lattice::SquareTorus::new(4).unwrap();
    let energy = |state: u64| kadanoff::spins::Configuration::from_words(torus, vec![state]).energy() as f64;
    let energies: Vec<f64> = (0..1 << 16).map(energy).collect();
    let law = |coupling: f64| {
        let weights: Vec<f64> = energies.iter().map(|energy| (-coupling * energy).exp()).collect();
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / total).collect::<Vec<f64>>()
    };
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    let machine: Vec<f64> = (0..1u64 << 16)
        .map(|state| {
            let units: Vec<usize> = (0..16).filter(|unit| state >> unit & 1 == 1).collect();
            let bias: f64 = units.iter().map(|&unit| f64::from(layer.visible_bias[unit])).sum();
            let field =
                |hidden: usize| f64::from(layer.hidden_bias[hidden]) + units.iter().map(|&unit| weights[unit * 32 + hidden]).sum::<f64>();
            bias + (0..32).map(|hidden| softplus(field(hidden))).sum::<f64>()
        })
        .collect();
    let largest = machine.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_z = largest + machine.iter().map(|value| (value - largest).exp()).sum::<f64>().ln();
    let divergence = |law: &[f64]| law.iter().zip(&machine).map(|(p, value)| p * (p.ln() - value + log_z)).sum::<f64>();
    let (warm, cold) = (law(0.2), law(0.5));
    let mean: Vec<f64> = warm.iter().zip(&cold).map(|(one, other)| (one + other) / 2.0).collect();
    let found = [divergence(&mean), divergence(&warm), divergence(&cold)];
    assert!(found[0] < 0.15 && found[1] > 0.25 && found[2] > 0.25, "{found:?}");
}

/// The job itself, in minutes: with KADANOFF_LONG=1 alone. The published direction is towards T_c from all temperatures.
#[test]
fn the_flow_of_the_job_leads_towards_the_critical_point() {
    if std::env::var("KADANOFF_LONG").is_ok_and(|value| value == "1") {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("run");
        succeed(kadanoff().arg("run").arg(write_job(folder.path(), include_str!("../jobs/flow.toml"))).arg("--out").arg(&directory));
        let renormalization = kadanoff::store::read_run(&directory).unwrap().renormalization.unwrap();
        let (ends, fixed_points) = (renormalization.table("flow_ends").unwrap(), renormalization.table("flow_fixed_points").unwrap());
        let closer = (0..22).filter(|&row| ends.get(row, "approach").is_some_and(|[approach, error]| approach > 3.0 * error)).count();
        assert!(ends.rows.len() == 22 && closer >= 20, "{closer} of 22");
        let [difference, _] = fixed_points.get(0, "difference").unwrap();
        assert!(difference.abs() < 0.05 && fixed_points.get(0, "chi_squared").unwrap()[0] < 2.0, "{fixed_points:?}");
    }
}
