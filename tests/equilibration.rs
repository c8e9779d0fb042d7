//! Runs that were not given time to reach equilibrium say so at the top of their report, by the drift of their chains and by how they began; runs that were, do not.
//!
//! A warning is a probability below 1e-5, so that the quiet runs here are quiet for almost any seed. The energy of a hot start is ten errors off over the first ten sweeps.

#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

const DRIFT: &str = "Chains that still drift";
const REMEMBERS: &str = "Chains that remember how they began";

fn report(algorithm: &str, start: &str, thermalization: usize, sweeps: usize) -> String {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "seed = 8\n[lattice]\nsizes = [32]\n[sample]\ncouplings = [0.42]\nalgorithm = \"{algorithm}\"\nstart = \"{start}\"\nreplicas = 16\nthermalization = {thermalization}\nsweeps = {sweeps}\n"
    );
    let job = runs::write_job(folder.path(), &text);
    runs::succeed(runs::kadanoff().arg("run").arg(&job).arg("--out").arg(folder.path().join("run")));
    std::fs::read_to_string(folder.path().join("run/report.html")).unwrap()
}

#[test]
fn chains_on_their_way_are_warned_of() {
    for algorithm in ["metropolis", "heat-bath"] {
        let page = report(algorithm, "both", 0, 100);
        assert!(page.contains(REMEMBERS), "{algorithm}");
        let page = report(algorithm, "hot", 0, 100);
        assert!(page.contains(DRIFT) && !page.contains(REMEMBERS), "{algorithm}");
    }
}

#[test]
fn chains_in_equilibrium_are_not() {
    for (algorithm, thermalization, sweeps) in
        [("metropolis", 4000, 8000), ("heat-bath", 6000, 8000), ("swendsen-wang", 200, 2000), ("wolff", 200, 2000)]
    {
        let page = report(algorithm, "both", thermalization, sweeps);
        assert!(!page.contains(REMEMBERS) && !page.contains(DRIFT), "{algorithm}");
    }
}

#[test]
fn replicas_across_the_bits_begin_alike() {
    let text = "seed = 8\n[lattice]\nsizes = [32]\n[sample]\ncouplings = [0.42]\nalgorithm = \"metropolis\"\nstart = \"both\"\nreplicas = 512\nthermalization = 1\nsweeps = 10\n";
    let refusal = kadanoff::config::RunFile::parse_for(text, "job.toml", None).map(|_| ()).unwrap_err().to_string();
    assert!(refusal.contains("begin alike"), "{refusal}");
    let text = text.replace("replicas = 512", "replicas = 512\nlayout = \"lattice\"");
    assert!(kadanoff::config::RunFile::parse_for(&text, "job.toml", None).is_ok());
}
