//! What the ranks divide among themselves in training: all layers at once, or networks of several couplings. Any number of ranks, and a run that was stopped again and again, leave the bits of an
//! undisturbed run on one rank; the first layer learns as it would alone, and a network of one of several couplings as it would without the others.
#![allow(clippy::unwrap_used)]

#[path = "support/ranks.rs"]
mod ranks;
#[path = "support/runs.rs"]
mod runs;

use kadanoff::error::Error;
use kadanoff::record::{LayerRecord, RunRecord};
use kadanoff::run::Options;
use kadanoff::run::desk::Stage;
use kadanoff::run::watch::{Limits, Signals};
use ranks::{Thread, ranks};
use runs::{kadanoff, mpirun, outcome, succeed, write_job};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

fn head(couplings: &str) -> String {
    format!(
        "seed = 21\n[lattice]\nsizes = [8]\n[sample]\ncouplings = {couplings}\nreplicas = 4\nthermalization = 50\nsweeps = 800\nconfigurations = 1000\n\
         [report]\nfigures = false\n[train]\nminibatch = 30\nheld_out = 100\ngradient = \"centred\"\nlearning_rate = 0.05\n"
    )
}

/// Runs a file on one rank, without a pause.
fn whole(folder: &Path, name: &str, text: &str) -> RunRecord {
    let job = write_job(folder, text);
    let directory = folder.join(name);
    succeed(kadanoff().arg("run").arg(&job).arg("--out").arg(&directory).args(["--threads", "1"]));
    succeed(kadanoff().arg("check").arg(&directory));
    outcome(&directory).0
}

/// Runs a file in pieces, each on another number of ranks: of MPI, or else threads.
fn in_pieces(folder: &Path, name: &str, text: &str, sizes: &[usize]) -> RunRecord {
    let job = write_job(folder, text);
    let directory = folder.join(name);
    for submission in 0..200 {
        let size = sizes[submission % sizes.len()];
        if one_piece(&job, &directory, size) {
            assert!(submission > 0, "the run was too short to be interrupted");
            return outcome(&directory).0;
        }
        succeed(kadanoff().arg("check").arg(&directory));
    }
    panic!("200 submissions did not finish the run");
}

/// Whether the run is done after a piece of it.
fn one_piece(job: &Path, directory: &Path, size: usize) -> bool {
    if size == 1 || cfg!(feature = "mpi") {
        let mut command: Command = if size == 1 { kadanoff() } else { mpirun(&size.to_string()) };
        command.arg("run").arg(job).arg("--out").arg(directory).args(["--threads", "2", "--stop-after", "200ms"]);
        let output = command.output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 75)), "{}", String::from_utf8_lossy(&output.stderr));
        return output.status.success();
    }
    let limits = Limits { stop_after: Some(Duration::from_millis(200)), checkpoint_every: Duration::from_secs(600) };
    let options = Options { force_lock: false, limits, signals: Signals::default(), until: Stage::Renormalization };
    let work = |rank: &Thread| match kadanoff::run::run(job, directory, &options, rank) {
        Ok(()) => true,
        Err(Error::Stopped(_)) => false,
        Err(error) => panic!("{error}"),
    };
    std::thread::scope(|scope| {
        let ranks: Vec<_> = ranks(size).into_iter().map(|rank| scope.spawn(move || work(&rank))).collect();
        let done: Vec<bool> = ranks.into_iter().map(|rank| rank.join().unwrap()).collect();
        assert!(done.iter().all(|one| *one == done[0]));
        done[0]
    })
}

fn same_machine(one: &LayerRecord, other: &LayerRecord) -> bool {
    one.weights == other.weights && one.visible_bias == other.visible_bias && one.hidden_bias == other.hidden_bias
}

#[test]
fn all_layers_learn_at_once_with_the_same_bits_on_any_ranks_and_wherever_they_were_stopped() {
    for rest in [
        "layers = [40, 20, 10]\nepochs = 100\nvisible_bias = \"log-odds\"\n",
        "layers = [40, 20]\nepochs = 40\nactivations = \"states\"\nmethod = \"pcd\"\nchains = 30\ndata = \"fresh\"\nsamples = 900\nsweeps_between = 2\n",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{}{rest}", head("[0.43]"));
        let fresh = rest.contains("fresh");
        let text = if fresh { text.replace("held_out = 100\n", "") } else { text };
        let together = format!("{text}distribute = \"layers\"\n");
        let expected = whole(folder.path(), "whole", &together);
        let found = in_pieces(folder.path(), "pieces", &together, &[1, 2, 3]);
        assert!(expected == without_run_file(found, &expected), "{rest}");
        // From the bottom up the first layer has the same weights, and the others have not.
        let greedy = whole(folder.path(), "greedy", &text).training.unwrap();
        let joint = expected.training.unwrap();
        assert_eq!(joint.layers.len(), greedy.layers.len());
        assert!(same_machine(&joint.layers[0], &greedy.layers[0]), "{rest}");
        assert!(!same_machine(&joint.layers[1], &greedy.layers[1]), "{rest}");
        assert!(joint.layers.iter().all(|layer| layer.epochs.len() == greedy.layers[0].epochs.len()));
        if !fresh {
            let curves = |layer: &LayerRecord| layer.epochs.clone();
            assert_eq!(curves(&joint.layers[0]), curves(&greedy.layers[0]));
            assert_eq!(joint.layers[0].dead_units, greedy.layers[0].dead_units);
            // What they learn is as good: the reconstruction error of the second layer falls below that of a machine without weights.
            let [at_once, greedily] = [&joint, &greedy].map(|stack| stack.layers[1].epochs.last().unwrap().reconstruction_error);
            assert!((at_once - greedily).abs() < 0.5 * greedily, "{at_once} and {greedily}");
        }
    }
}

/// The same record with the provenance of the other: the runs share a run file.
fn without_run_file(mut record: RunRecord, other: &RunRecord) -> RunRecord {
    record.provenance = other.provenance.clone();
    record
}

#[test]
fn networks_of_several_couplings_are_those_that_learn_alone() {
    let folder = tempfile::tempdir().unwrap();
    let rest = "layers = [30, 12]\nepochs = [60, 40]\n";
    let text = format!("{}{rest}distribute = \"temperatures\"\ncouplings = \"all\"\nseeds = 2\n", head("[0.3, 0.4, 0.5]"));
    let expected = whole(folder.path(), "whole", &text);
    let found = in_pieces(folder.path(), "pieces", &text, &[1, 3, 2]);
    assert!(expected == without_run_file(found, &expected));
    let together = expected.training.unwrap();
    let names: Vec<&str> = together.companions.iter().map(|companion| companion.role.as_str()).collect();
    assert_eq!(names, ["seed", "coupling", "coupling"]);
    for (coupling, layers) in [(0.3, &together.layers), (0.4, &together.companions[1].layers), (0.5, &together.companions[2].layers)] {
        let text = format!("{}{rest}coupling = {coupling}\n", head("[0.3, 0.4, 0.5]"));
        let alone = whole(folder.path(), &format!("alone {coupling}"), &text).training.unwrap();
        assert_eq!(layers.len(), 2);
        assert!(layers.iter().zip(&alone.layers).all(|(one, other)| one == other), "K = {coupling}");
    }
}

#[test]
fn what_cannot_be_distributed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (rest, words) in [
        ("layers = [30, 12]\nepochs = [3, 2]\ndistribute = \"layers\"\n", "one number of epochs"),
        ("layers = [30, 12]\nepochs = 3\ndistribute = \"layers\"\nlargest_free_energy_gap = 1\n", "no layer is done before"),
        ("layers = [30]\nepochs = 3\ndistribute = \"temperatures\"\n", "there is one coupling"),
        ("layers = [30]\nepochs = 3\ndistribute = \"temperature\"\n", "did you mean \"temperatures\""),
        ("layers = [30]\nepochs = 3\nother_methods = [\"cd\"]\n", "is the method of the main network"),
    ] {
        let job = write_job(folder.path(), &format!("{}{rest}", head("[0.4]")));
        let output = kadanoff().arg("run").arg(&job).arg("--out").arg(folder.path().join("run")).output().unwrap();
        let sentence = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && sentence.contains(words), "{rest}: {sentence}");
    }
}
