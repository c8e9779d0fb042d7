//! `kadanoff export` on the real binary: the files are what other programs read. The package `rbms` itself, which brings PyTorch along, is asked where KADANOFF_RBMS_PYTHON names
//! a Python that has it; otherwise its layout is read with h5py.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use runs::{kadanoff, succeed, write_job};
use std::path::Path;
use std::process::Command;

const JOB: &str = "seed = 3\n[lattice]\nsizes = [6]\n[sample]\ncouplings = [0.3, 0.4]\nreplicas = 2\nthermalization = 10\nsweeps = 50\nconfigurations = 40\n\
    [train]\ncoupling = 0.4\nlayers = [10, 4]\nepochs = 7\nminibatch = 8\nheld_out = 9\n[report]\nfigures = false\n";

/// The numbers as this program reads them, for the other side to compare with.
fn write_expected(directory: &Path) {
    let (_, training) = kadanoff::store::read_network(&directory.join("network.h5")).unwrap();
    let sets = kadanoff::store::read_configurations(&directory.join("configurations.h5")).unwrap().1;
    let spins: Vec<Vec<Vec<u8>>> = sets
        .iter()
        .map(|set| (0..set.spins.rows()).map(|row| set.spins.bits(row).iter().map(|bit| u8::from(*bit)).collect()).collect())
        .collect();
    let expected = serde_json::json!({ "layers": training.layers, "spins": spins });
    std::fs::write(directory.join("expected.json"), expected.to_string()).unwrap();
}

#[test]
fn numpy_and_rbms_read_what_is_exported() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    let job = write_job(folder.path(), JOB);
    let export = |arguments: &[&str]| {
        let mut command = kadanoff();
        command.arg("export").arg(&directory).args(arguments);
        command
    };
    assert_eq!(export(&["--to", "numpy"]).output().unwrap().status.code(), Some(4), "no such folder");
    let mut stopped = kadanoff();
    let stopped = stopped.arg("run").arg(&job).arg("--out").arg(&directory).args(["--stop-after", "0s"]).output().unwrap();
    assert_eq!(stopped.status.code(), Some(75));
    for format in ["numpy", "rbms"] {
        let nothing = export(&["--to", format]).output().unwrap();
        assert_eq!(nothing.status.code(), Some(2), "{}", String::from_utf8_lossy(&nothing.stderr));
    }
    succeed(kadanoff().arg("run").arg(&job).arg("--out").arg(&directory));
    succeed(&mut export(&["--to", "numpy"]));
    succeed(&mut export(&["--to", "rbms"]));
    let said = succeed(&mut export(&["--to", "rbms", "--layer", "2", "--out", directory.join("second.h5").to_str().unwrap()]));
    assert!(String::from_utf8_lossy(&said.stderr).contains("update 7"));
    assert_eq!(export(&["--to", "rbms", "--layer", "3"]).output().unwrap().status.code(), Some(2));
    assert_eq!(export(&["--to", "rbms", "--layer", "0"]).output().unwrap().status.code(), Some(2));
    assert_eq!(export(&["--to", "matlab"]).output().unwrap().status.code(), Some(2));
    let first = std::fs::read(directory.join("run.npz")).unwrap();
    succeed(&mut export(&["--to", "numpy"]));
    assert!(first == std::fs::read(directory.join("run.npz")).unwrap(), "equal results give equal bytes");
    write_expected(&directory);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/check_exports.py");
    let python = runs::python();
    let output = Command::new(&python).arg(&script).arg(&directory).output().unwrap();
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if let Some(python) = std::env::var_os("KADANOFF_RBMS_PYTHON") {
        let output = Command::new(python).arg(&script).arg(&directory).arg("--rbms").output().unwrap();
        assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    }
    // A damaged source is refused, and nothing is written.
    let network = directory.join("network.h5");
    let mut bytes = std::fs::read(&network).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&network, bytes).unwrap();
    let refused = export(&["--to", "numpy", "--out", folder.path().join("x.npz").to_str().unwrap()]).output().unwrap();
    assert_eq!(refused.status.code(), Some(3));
    assert!(!folder.path().join("x.npz").exists());
}

#[test]
fn networks_beside_the_main_one_are_exported_too() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    let job = write_job(folder.path(), &JOB.replace("[train]\n", "[train]\nseeds = 2\nother_methods = [\"pcd\"]\n"));
    succeed(kadanoff().arg("run").arg(&job).arg("--out").arg(&directory));
    let said = succeed(kadanoff().arg("export").arg(&directory).args(["--to", "numpy"]));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.contains("network1_... is ") && said.contains("network2_... is "), "{said}");
    // Every weight and bias of network.h5, under its own name and nothing else.
    let check = r#"
import sys, numpy, h5py
found, names = numpy.load(sys.argv[1] + "/run.npz"), set()
with h5py.File(sys.argv[1] + "/network.h5") as file:
    for prefix, group in [("", file["training"])] + [(name + "_", one) for name, one in file["training/companions"].items()]:
        for layer in (name for name in group if name.startswith("layer") and name != "layer"):
            for what in "weights", "visible_bias", "hidden_bias":
                names.add(f"{prefix}{layer}_{what}")
                assert numpy.array_equal(found[f"{prefix}{layer}_{what}"], group[layer][what][:]), (prefix, layer, what)
assert names == {name for name in found if "layer" in name} and len(names) == 3 * 3 * 2, names
assert not numpy.array_equal(found["layer1_weights"], found["network1_layer1_weights"])
"#;
    succeed(Command::new(runs::python()).args(["-c", check]).arg(&directory));
}
