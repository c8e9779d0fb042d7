//! A good run file, a table of bad ones, and the sentence and line each must be refused with.

use super::{Couplings, RunFile};
use crate::error::Error;
use std::path::Path;

/// Line numbers in the table below are those of this text.
const GOOD: &str = "\
seed = 1
[lattice]
sizes = [16]
[sample]
couplings = [0.4, 0.408]
algorithm = \"metropolis\"
replicas = 8
thermalization = 100
sweeps = 1000
configurations = 2000
[train]
coupling = 0.408
layers = [64, 16]
epochs = 10
minibatch = 100
[renormalize]
examples = 3
";

fn parse(text: &str) -> crate::error::Result<RunFile> {
    RunFile::parse_for(text, "run.toml", Some(8 << 30))
}

fn refusal(text: &str) -> String {
    match parse(text) {
        Err(Error::Usage(sentences)) => sentences,
        other => panic!("expected a refusal of\n{text}\nbut got {other:?}"),
    }
}

/// (what is replaced in the good file, by what, the line of the mistake, a fragment of the sentence)
const BAD: &[(&str, &str, usize, &str)] = &[
    // The top.
    ("seed = 1\n", "\n", 1, "seed is missing: write seed = 14103831"),
    ("seed = 1", "seed = -1", 1, "seed = -1: must be a whole number from 0 to 2^63 - 1"),
    ("seed = 1", "seed = 1.5", 1, "must be a whole number"),
    ("seed = 1", "seed = 9223372036854775808", 1, "must be a whole number"),
    ("seed = 1", "sed = 1", 1, "sed: unknown key; did you mean `seed`?"),
    ("seed = 1", "seed = 1\nseed = 2", 2, "this is not TOML"),
    ("seed = 1", "seed = ", 1, "this is not TOML"),
    ("seed = 1", "seed = 1\nreport = true", 2, "report is a section: write [report]"),
    ("[train]", "[trian]", 11, "trian: unknown key; did you mean `train`?"),
    // [lattice]
    ("[lattice]\nsizes = [16]\n", "\n\n", 1, "section [lattice] is missing"),
    ("sizes = [16]", "", 2, "[lattice] sizes is missing: write sizes = [40]"),
    ("sizes = [16]", "sizes = 16", 3, "must be a list of sides in square brackets"),
    ("sizes = [16]", "sizes = []", 3, "must not be empty"),
    ("sizes = [16]", "sizes = [16, 8, 16]", 3, "16 is there twice"),
    ("sizes = [16]", "sizes = [0]", 3, "sides are whole numbers from 3 to 131072"),
    ("sizes = [16]", "sizes = [1]", 3, "sides are whole numbers from 3 to 131072"),
    ("sizes = [16]", "sizes = [2]", 3, "two bonds would join the same pair"),
    ("sizes = [16]", "sizes = [-16]", 3, "sides are whole numbers"),
    ("sizes = [16]", "sizes = [16.0]", 3, "sides are whole numbers"),
    ("sizes = [16]", "sizes = [1099511627776]", 3, "needs 1.4e14 GiB for its packed spins"),
    ("sizes = [16]", "sizes = [9223372036854775808]", 3, "needs 9.9e27 GiB for its packed spins"),
    ("sizes = [16]", "sizes = [99999999999999999999999999999999999999999999]", 3, "GiB for its packed spins"),
    ("sizes = [16]", "sizes = [15]", 3, "needs an even side"),
    (
        "sizes = [16]",
        "geometry = \"sqare\"\nsizes = [16]",
        3,
        "geometry = \"sqare\": must be \"chain\" or \"square\" or \"cubic\"; did you mean \"square\"?",
    ),
    ("sizes = [16]", "sizes = [16]\nsweeps = 5", 4, "[lattice] sweeps: unknown key; it belongs in the section [sample]"),
    // [sample]
    ("couplings = [0.4, 0.408]", "", 4, "[sample] couplings is missing"),
    ("couplings = [0.4, 0.408]", "couplings = []", 5, "must not be empty"),
    ("couplings = [0.4, 0.408]", "couplings = [0.408, nan]", 5, "couplings = nan: must be a coupling"),
    ("couplings = [0.4, 0.408]", "couplings = [0.408, inf]", 5, "couplings = inf: must be a coupling"),
    ("couplings = [0.4, 0.408]", "couplings = [0.408, 1e999]", 5, "must be a coupling"),
    ("couplings = [0.4, 0.408]", "couplings = [0.408, -0.1]", 5, "the model is the ferromagnet, K >= 0"),
    ("couplings = [0.4, 0.408]", "couplings = [0.408, 0.408]", 5, "0.408 is there twice"),
    ("couplings = [0.4, 0.408]", "couplings = [0.0, 0.408]", 5, "metropolis flips all spins in nearly every sweep at the coupling K = 0.0"),
    ("couplings = [0.4, 0.408]", "couplings = [0.408, 1e-15]", 5, "couplings from 0.001 (temperatures up to 1000)"),
    ("couplings = [0.4, 0.408]", "temperatures = [2.4509804, 1e6]", 5, "or algorithm = \"heat-bath\""),
    ("couplings = [0.4, 0.408]", "tempering = true\ncouplings = [0.0009, 0.408]", 6, "hardly ever changes"),
    ("couplings = [0.4, 0.408]", "window = { center = 0.0015, width = 30, points = 3 }", 5, "hardly ever changes"),
    ("couplings = [0.4, 0.408]", "couplings = [0.408, \"0.4\"]", 5, "couplings = \"0.4\": must be a coupling"),
    ("couplings = [0.4, 0.408]", "coupling = [0.408]", 5, "[sample] coupling: unknown key; did you mean `couplings`?"),
    ("couplings = [0.4, 0.408]", "couplings = [0.408]\ntemperatures = [2.0]", 6, "`couplings` is there too"),
    ("couplings = [0.4, 0.408]", "temperatures = [0.0, 2.4509804]", 5, "must be a temperature"),
    ("couplings = [0.4, 0.408]", "window = 3", 5, "must be { center"),
    ("couplings = [0.4, 0.408]", "window = { width = 2.0, points = 1 }", 5, "points = 1: must be a whole number from 2"),
    ("couplings = [0.4, 0.408]", "window = { width = 32.0, points = 3 }", 5, "reaches zero temperature at size 16"),
    ("couplings = [0.4, 0.408]", "window = { width = 1e-16, points = 5 }", 5, "too close to differ at size 16"),
    ("couplings = [0.4, 0.408]", "temperatures = [1.7000000000000002, 1.7000000000000004]", 5, "too close to have different couplings"),
    ("couplings = [0.4, 0.408]", "window = { center = \"critcal\", width = 1.0, points = 3 }", 5, "must be \"critical\""),
    ("couplings = [0.4, 0.408]", "window = { centre = 0.4, width = 1.0, points = 3 }", 5, "did you mean `center`?"),
    ("\"metropolis\"", "\"metropolys\"", 6, "did you mean \"metropolis\"?"),
    ("\"metropolis\"", "7", 6, "algorithm = 7: must be \"metropolis\" or"),
    ("replicas = 8", "replicas = 0", 7, "must be a whole number from 1"),
    ("replicas = 8", "replicas = true", 7, "must be a whole number from 1"),
    ("replicas = 8", "start = \"warm\"", 7, "must be \"hot\" or \"cold\""),
    ("thermalization = 100\n", "\n", 4, "[sample] thermalization is missing"),
    ("thermalization = 100", "thermalisation = 100", 8, "did you mean `thermalization`?"),
    ("sweeps = 1000", "sweeps = -5", 9, "sweeps = -5: must be a whole number from 1"),
    ("sweeps = 1000", "sweeps = \"1000\"", 9, "must be a whole number"),
    ("sweeps = 1000", "sweeps = 9223372036854775807", 9, "must be a whole number from 1 to 10^12"),
    ("sweeps = 1000", "sweeps = 1000000000000", 9, "available are 8.0 GiB: reduce sweeps"),
    ("sweeps = 1000", "sweeps = 1000\nmeasure_every = 1001", 10, "leave none in 1000 sweeps: write at most 1000"),
    ("configurations = 2000", "configurations = 8001", 10, "write at most 8000"),
    ("configurations = 2000", "configurations = 2000\nboundary = true", 11, "boundary: unknown key; the keys here are"),
    ("algorithm = \"metropolis\"", "algorithm = \"wolff\"\ntempering = true", 7, "moved by algorithm = \"metropolis\" alone"),
    (
        "replicas = 8",
        "replicas = 512\ncorrelation_length = true",
        8,
        "not measured on square lattices across the bits, as those of side 16 would be: write layout = \"lattice\"",
    ),
    ("replicas = 8", "tempering = true\ncorrelation_length = true", 8, "write tempering = false, or leave this key out"),
    (
        "algorithm = \"metropolis\"",
        "layout = \"replicas\"\nalgorithm = \"metropolis\"\ncorrelation_length = true",
        8,
        "as those of side 16",
    ),
    ("replicas = 8", "replicas = 8\nexchange_every = 5", 8, "there is no exchange without tempering"),
    ("replicas = 8", "replicas = 8\nseries = \"histogram\"", 8, "did you mean \"histograms\"?"),
    // [train]
    ("configurations = 2000", "", 13, "[train] needs configurations, and [sample] keeps 0"),
    ("coupling = 0.408\n", "\n", 11, "[train] coupling is missing"),
    ("coupling = 0.408", "couplings = [0.408, 0.409]", 12, "couplings = 0.409: is not sampled at this size"),
    ("coupling = 0.408", "couplings = [0.408, 0.40800001]", 12, "0.408 is there twice"),
    ("coupling = 0.408", "couplings = \"every\"", 12, "must be \"all\""),
    ("coupling = 0.408", "couplings = 0.408", 12, "must be a list of couplings, or \"all\", in square brackets"),
    ("coupling = 0.408", "coupling = 0.408\ncouplings = \"all\"", 13, "coupling is there as well"),
    ("coupling = 0.408", "coupling = 0.409", 12, "is not sampled at this size: write one of 0.4000000, 0.4080000"),
    ("coupling = 0.408", "coupling = 0.408\nsize = 32", 13, "is not one of the sizes of [lattice]"),
    ("layers = [64, 16]", "layers = [64, 0]", 13, "layers = 0: must be a whole number of units from 1"),
    ("layers = [64, 16]", "layers = []", 13, "must not be empty"),
    ("layers = [64, 16]", "layers = 64", 13, "must be a list of hidden layer sizes"),
    ("layers = [64, 16]", "layers = [1000000000000, 16]", 13, "must be a whole number of units from 1 to 4194304"),
    ("layers = [64, 16]", "layers = [4194304, 4194304]", 13, "for the network and its training; available are 8.0 GiB: reduce layers"),
    ("epochs = 10", "epochs = [10, 10, 10]", 14, "has 3 values for 2 layers"),
    ("epochs = 10", "epochs = 0", 14, "must be a whole number from 1"),
    ("epochs = 10", "epochs = [10, \"ten\"]", 14, "epochs = \"ten\": must be a whole number"),
    ("minibatch = 100", "minibatch = 1801", 15, "more than the 1800 configurations to train on (2000 kept, 200 held out)"),
    ("minibatch = 100", "minibatch = 0", 15, "must be a whole number from 1"),
    ("minibatch = 100", "minibatch = 2\nshards = 3", 16, "3 parts cannot be made of a minibatch of 2"),
    ("minibatch = 100", "learning_rate = nan", 15, "must be a number above 0"),
    ("minibatch = 100", "learning_rate = [0.1, 0.0]", 15, "learning_rate = 0.0: must be a number above 0"),
    ("minibatch = 100", "learning_rate = 1e300", 15, "fits single precision"),
    ("minibatch = 100", "learning_rate = 1e-300", 15, "fits single precision"),
    ("minibatch = 100", "momentum = 1.0", 15, "must be a number from 0 to below 1"),
    ("minibatch = 100", "momentum = 0.99999999999", 15, "must be a number from 0 to below 1"),
    ("minibatch = 100", "l1 = -1e-4", 15, "must be a number of at least 0"),
    ("minibatch = 100", "L1 = 1e-4", 15, "did you mean `l1`?"),
    ("minibatch = 100", "initial_weight = 0", 15, "must be a number above 0"),
    ("minibatch = 100", "gradient = \"centered\"", 15, "did you mean \"centred\"?"),
    ("minibatch = 100", "activations = \"mean\"", 15, "must be \"probabilities\" or \"states\""),
    ("minibatch = 100", "reconstruction = 0.5", 15, "must be \"probabilities\" or \"states\""),
    ("minibatch = 100", "visible_bias = \"logodds\"", 15, "did you mean \"log-odds\"?"),
    ("sizes = [16]", "sizes = [4096]", 11, "more than 4194304 visible units"),
    ("minibatch = 100", "method = \"pdc\"", 15, "must be \"cd\" or \"pcd\""),
    ("minibatch = 100", "chains = 100", 15, "it belongs to method = \"pcd\""),
    ("minibatch = 100", "method = \"exact\"", 15, "exact method"),
    ("minibatch = 100", "method = \"natural\"", 15, "natural method"),
    ("minibatch = 100", "samples = 100", 15, "it belongs to data = \"fresh\""),
    ("minibatch = 100", "last_learning_rate = 0", 15, "above 0"),
    ("minibatch = 100", "gradient_limit = -1", 15, "above 0"),
    ("minibatch = 100", "l2 = -1", 15, "at least 0"),
    ("minibatch = 100", "gibbs_steps = 0", 15, "must be a whole number from 1"),
    ("minibatch = 100", "held_out = 2000", 15, "from 1 to 1999, because 2000 configurations are kept"),
    ("minibatch = 100", "held_out = 0", 15, "from 1 to 1999"),
    // [renormalize] and [report]
    ("examples = 3", "examples = 201", 17, "only 200 configurations are held out"),
    ("examples = 3", "reconstructions = false\nexamples = 1", 18, "which are off here"),
    ("examples = 3", "mapping = 1", 17, "must be true or false"),
    ("examples = 3", "mappings = true", 17, "did you mean `mapping`?"),
    ("examples = 3", "flow_steps = 5", 17, "it belongs to the flow, which is off here"),
    ("examples = 3", "flow = true\nflow_chains = 2001", 18, "must be a whole number from 2 to 2000"),
    ("examples = 3", "decimation_sites = 64", 17, "it belongs to the decimation of a chain"),
    ("examples = 3", "decimation = true\ndecimation_sites = 48", 18, "that is a power of two from 8 to 4096"),
    ("examples = 3", "decimation = true\ndecimation_layers = 5", 18, "must be a whole number from 1 to 4"),
    ("coupling = 0.408\n", "couplings = \"all\"\nheld_out = 1\n", 13, "must be a whole number from 2 to 3998"),
    ("examples = 3", "likelihood = 1", 17, "must be true or false"),
    ("examples = 3", "likelyhood = true", 17, "did you mean `likelihood`?"),
    ("examples = 3", "annealing_chains = 1", 17, "must be a whole number from 2 to 100000"),
    ("examples = 3", "annealing_temperatures = 0", 17, "must be a whole number from 1 to 10^7"),
    ("examples = 3", "annealing_temperatures = 1e3", 17, "must be a whole number from 1 to 10^7"),
    ("examples = 3", "sampling_chains = 201", 17, "from 1 to 200, because a chain starts from a held-out configuration"),
    ("examples = 3", "sampling_sweeps = -1", 17, "must be a whole number from 1 to 10^7"),
    ("examples = 3", "likelihood = false\nsampling_sweeps = 5", 18, "it belongs to the likelihood, which is off here"),
    ("examples = 3", "[report]\nfigures = \"yes\"", 18, "must be true or false, without quotes"),
];

#[test]
fn the_good_file_is_understood() {
    let run = parse(GOOD).unwrap_or_else(|error| panic!("{error}"));
    let (sample, train) = (run.sample.as_ref().unwrap(), run.train.as_ref().unwrap());
    assert_eq!((run.seed, run.lattice.sizes.as_slice(), sample.draws()), (1, &[16][..], 1000));
    assert_eq!((train.size, train.couplings.as_slice(), train.coupling()), (16, &[0.408][..], Some(0.408)));
    assert_eq!((train.epochs.as_slice(), train.held_out, train.samples, train.shards), (&[10, 10][..], 200, 1800, 4));
    let likelihood = run.renormalize.as_ref().unwrap().likelihood.unwrap();
    assert_eq!((likelihood.annealing_chains, likelihood.annealing_temperatures), (128, 1000));
    assert_eq!((likelihood.sampling_chains, likelihood.sampling_sweeps), (128, 1000));
    assert_eq!(run.memory(1).series, 2 * 8 * 1000 * 24);
    assert_eq!(run.memory(1).configurations, 2 * 2000 * 32);
    assert_eq!(run.text, GOOD);
}

#[test]
fn fresh_configurations_are_counted_beside_those_that_are_learned_from() {
    let fresh = |samples: usize| {
        GOOD.replace("minibatch = 100", &format!("minibatch = 100\ndata = \"fresh\"\nsamples = {samples}")).replace("[64, 16]", "[16]")
    };
    let run = parse(&fresh(5_000_000)).unwrap_or_else(|error| panic!("{error}"));
    let memory = run.memory(1);
    assert_eq!((memory.fresh, memory.training_set), (5_000_000 * 32, 5_002_000 * 32));
    assert!(memory.peak(false) > 4 * memory.fresh && memory.peak(true) > 5 * memory.fresh);
    assert!(refusal(&fresh(100_000_000)).contains("for the fresh configurations of an epoch; available are 8.0 GiB: reduce samples"));
    assert_eq!(parse(GOOD).unwrap_or_else(|error| panic!("{error}")).memory(1).fresh, 0);
}

#[test]
fn every_bad_file_is_refused_in_one_sentence_at_its_line() {
    for (old, new, line, fragment) in BAD {
        assert_eq!(GOOD.matches(old).count(), 1, "{old:?} must occur once in the good file");
        let sentences = refusal(&GOOD.replace(old, new));
        let place = format!("run.toml:{line}: ");
        assert!(
            sentences.lines().any(|sentence| sentence.starts_with(&place) && sentence.contains(fragment)),
            "{new:?}: expected line {line} with {fragment:?}, got\n{sentences}"
        );
    }
}

#[test]
fn a_single_mistake_gives_a_single_sentence() {
    // Keys that other keys depend on: their absence must not be reported as mistakes of the others.
    for (old, new) in [
        ("sizes = [16]", "sizes = [0]"),
        ("couplings = [0.4, 0.408]", "couplings = [nan]"),
        ("sweeps = 1000", "sweeps = 0"),
        ("layers = [64, 16]", "layers = [0]"),
        ("configurations = 2000", ""),
        ("minibatch = 100", "minibatch = 0"),
        ("coupling = 0.408", "coupling = 0.5"),
    ] {
        let sentences = refusal(&GOOD.replace(old, new));
        assert_eq!(sentences.lines().count(), 1, "{sentences}");
    }
}

#[test]
fn all_mistakes_come_together_in_the_order_of_their_lines() {
    let text = GOOD
        .replace("seed = 1", "seed = 0.5")
        .replace("sizes = [16]", "sizes = [16, -2, 16.5]")
        .replace("replicas = 8", "replicaz = 8")
        .replace("layers = [64, 16]", "layers = [0, 0]")
        .replace("examples = 3", "examples = \"three\"");
    let sentences = refusal(&text);
    let lines: Vec<usize> = sentences.lines().map(|sentence| sentence.split(':').nth(1).unwrap().parse().unwrap()).collect();
    assert_eq!(lines, [1, 3, 3, 7, 13, 13, 17], "{sentences}");
}

#[test]
fn a_stage_without_its_data_is_refused() {
    assert!(refusal("seed = 1\n[lattice]\nsizes = [8]\n").contains("asks for nothing"));
    assert!(
        refusal("seed = 1\n[lattice]\nsizes = [8]\n[train]\nlayers = [4]\nepochs = 1\n")
            .contains("run.toml:4: [train] needs configurations")
    );
    let mapping = "seed = 1\n[lattice]\nsizes = [8]\n[renormalize]\n";
    let run = parse(mapping).unwrap().renormalize.unwrap();
    assert!(run.mapping && !run.receptive_fields && !run.block_spins && run.examples == 0);
    assert!(
        refusal(&format!("{mapping}receptive_fields = true\n"))
            .contains("run.toml:5: [renormalize] receptive_fields = true: there is no network")
    );
    assert!(refusal(&format!("{mapping}mapping = false\nstandards = false\n")).contains("nothing is left to do"));
}

#[test]
fn several_sizes_need_the_one_to_train_on() {
    let text = GOOD.replace("sizes = [16]", "sizes = [16, 8]");
    assert!(refusal(&text).contains("run.toml:11: [train] size is missing"));
    let run = parse(&text.replace("coupling = 0.408", "size = 8\ncoupling = 0.408")).unwrap();
    assert_eq!((run.lattice.sizes, run.train.unwrap().size), (vec![8, 16], 8));
}

#[test]
fn odd_sides_are_for_cluster_algorithms() {
    for algorithm in ["swendsen-wang", "wolff"] {
        parse(&GOOD.replace("sizes = [16]", "sizes = [15]").replace("metropolis", algorithm)).unwrap_or_else(|error| panic!("{error}"));
    }
    parse(&GOOD.replace("sizes = [16]", "sizes = [15]").replace("algorithm = \"metropolis\"\n", ""))
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn lattices_beyond_the_memory_ask_for_smaller_sizes() {
    let text = "seed = 1\n[lattice]\nsizes = [65534]\n[sample]\ncouplings = [0.4]\nalgorithm = \"metropolis\"\nreplicas = 1\nthermalization = 0\nsweeps = 1\n";
    let error = RunFile::parse_for(text, "run.toml", Some(1 << 20)).expect_err("too large").to_string();
    assert!(error.contains("run.toml:6: the run needs") && error.contains("available are 1.0 MiB: write smaller sizes"), "{error}");
    let many = text.replace("65534", "4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24").replace("replicas = 1\n", "replicas = 1000000\n");
    let error = RunFile::parse_for(&many, "run.toml", None).expect_err("too many").to_string();
    assert!(error.contains("run.toml:7: ") && error.contains("write at most 909090"), "{error}");
}

/// Refused where the algorithm is written, or else where its section begins, before anything is built.
#[test]
fn sizes_beyond_the_numbers_of_an_algorithm_are_refused_at_its_line() {
    let text = |geometry: &str, size: usize, algorithm: &str| {
        format!(
            "seed = 1\n[lattice]\ngeometry = \"{geometry}\"\nsizes = [8, {size}]\n[sample]\n{algorithm}couplings = [0.2]\nreplicas = 1\nthermalization = 0\nsweeps = 1\n"
        )
    };
    let read = |text: &str| RunFile::parse_for(text, "run.toml", None);
    let (wang, wolff) = ("algorithm = \"swendsen-wang\"\n", "algorithm = \"wolff\"\n");
    for (geometry, size, algorithm, line, most) in [
        ("square", 65536, wang, 6, "up to 65535"),
        ("square", 65536, "", 5, "up to 65535"),
        ("square", 131072, wolff, 6, "up to 65536"),
        ("square", 65537, wolff, 6, "up to 65536"),
        ("cubic", 1626, wang, 6, "up to 1625"),
        ("cubic", 1025, wolff, 6, "up to 1024"),
    ] {
        let Err(error) = read(&text(geometry, size, algorithm)) else { panic!("accepted: {geometry}, {size}, {algorithm}") };
        let sentences = error.to_string();
        let is_there = |sentence: &str| sentence.contains(&format!("run.toml:{line}: ")) && sentence.contains(most);
        assert!(sentences.lines().any(is_there), "{geometry}, {size}, {algorithm}: {sentences}");
    }
    for (geometry, size, algorithm) in [("square", 65535, wang), ("square", 65536, wolff), ("cubic", 1625, wang), ("cubic", 1024, wolff)] {
        read(&text(geometry, size, algorithm)).unwrap_or_else(|error| panic!("{geometry}, {size}: {error}"));
    }
}

#[test]
fn temperatures_and_couplings_are_inverse() {
    let run =
        parse(&GOOD.replace("couplings = [0.4, 0.408]", "temperatures = [2.5, 2]").replace("coupling = 0.408", "coupling = 0.5")).unwrap();
    assert_eq!(run.sample.unwrap().couplings, Couplings::Listed(vec![0.4, 0.5]));
    for algorithm in ["heat-bath", "swendsen-wang", "wolff"] {
        let text = GOOD.replace("[0.4, 0.408]", "[0, 0.408]").replace("metropolis", algorithm);
        parse(&text).unwrap_or_else(|error| panic!("K = 0 is a model too: {error}"));
    }
}

#[test]
fn a_window_closes_in_on_the_critical_point() {
    let text = "seed = 1\n[lattice]\nsizes = [8, 64]\n[sample]\nwindow = { width = 2.0, points = 5 }\nthermalization = 0\nsweeps = 10\n";
    let sample = parse(text).unwrap().sample.unwrap();
    let critical = (1.0 + 2f64.sqrt()).ln() / 2.0;
    for size in [8usize, 64] {
        let couplings = sample.couplings_of(size);
        let scaled: Vec<f64> = couplings.iter().map(|coupling| (critical / coupling - 1.0) * size as f64).collect();
        for (scaled, expected) in scaled.iter().zip([-1.0, -0.5, 0.0, 0.5, 1.0]) {
            assert!((scaled - expected).abs() < 1e-12, "size {size}: x = {scaled}, expected {expected}");
        }
    }
}

#[test]
fn kept_configurations_are_spread_evenly_and_add_up() {
    for (replicas, sweeps, every, kept) in [(8, 1000, 1, 2000), (7, 100, 3, 100), (3, 5, 1, 15), (4, 9, 2, 3), (5, 10, 1, 0)] {
        let text = GOOD[..GOOD.find("[train]").unwrap()]
            .replace("replicas = 8", &format!("replicas = {replicas}\nmeasure_every = {every}"))
            .replace("sweeps = 1000", &format!("sweeps = {sweeps}"))
            .replace("configurations = 2000", &format!("configurations = {kept}"));
        let sample = parse(&text).unwrap_or_else(|error| panic!("{error}")).sample.unwrap();
        let mut total = 0;
        for replica in 0..replicas {
            let draws: Vec<usize> = sample.kept_draws(replica).collect();
            assert!(draws.windows(2).all(|pair| pair[0] < pair[1]), "{draws:?}");
            assert!(draws.iter().all(|&draw| draw < sample.draws()));
            assert!(draws.is_empty() || draws.last() == Some(&(sample.draws() - 1)));
            total += draws.len();
        }
        assert_eq!(total, kept);
    }
}

#[test]
fn methods_that_look_at_no_data_are_refused_with_those_of_another_program() {
    let text = |method: &str| {
        format!(
            "seed = 1\n[lattice]\nsizes = [4]\n[train]\ndata = {{ file = \"x.npy\", coupling = 0.4, configurations = 400 }}\nlayers = [8]\nepochs = 3\nmethod = \"{method}\"\n"
        )
    };
    for method in ["exact", "natural"] {
        let sentence = refusal(&text(method));
        assert!(sentence.contains("run.toml:8") && sentence.contains("those of `data` would not be learned"), "{sentence}");
    }
    for method in ["cd", "pcd", "tempered"] {
        parse(&text(method)).unwrap();
    }
}

#[test]
fn what_is_not_a_run_file_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let refuse = |path: &Path| match RunFile::load(path) {
        Err(Error::Usage(sentence)) => sentence,
        other => panic!("{other:?}"),
    };
    assert!(refuse(&folder.path().join("none.toml")).contains("there is no run file"));
    assert!(refuse(folder.path()).contains("is a directory"));
    let path = folder.path().join("bad.toml");
    std::fs::write(&path, b"seed = 1\n# \xff\n").unwrap();
    assert!(refuse(&path).contains("bad.toml:2: byte 11 is not UTF-8"));
    std::fs::write(&path, vec![b'#'; (1 << 20) + 1]).unwrap();
    assert!(refuse(&path).contains("longer than 1 MiB"));
    std::fs::write(&path, "").unwrap();
    assert!(refuse(&path).contains("seed is missing"));
    std::fs::write(&path, GOOD).unwrap();
    assert_eq!(RunFile::load(&path).unwrap().text, GOOD);
}

#[test]
fn every_job_is_understood() {
    let mut jobs = 0;
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let text = std::fs::read_to_string(&path).unwrap();
            RunFile::parse_for(&text, &path.display().to_string(), None).unwrap_or_else(|error| panic!("{error}"));
            jobs += 1;
        }
    }
    assert!(jobs >= 4);
}

proptest::proptest! {
    /// Whatever is written, the answer is a run file or sentences: never a panic, never an overflow.
    #[test]
    fn no_text_breaks_the_reader(line in 0usize..17, value in "(-?[0-9]{0,30}|\\[-?[0-9.,e]{0,20}\\]|nan|\"[a-z]{0,9}\"|\\{.{0,9}\\}|.{0,20})") {
        let lines: Vec<String> = GOOD
            .lines()
            .enumerate()
            .map(|(number, text)| match text.split_once(" = ") {
                Some((key, _)) if number == line => format!("{key} = {value}"),
                _ if number == line => value.clone(),
                _ => text.to_owned(),
            })
            .collect();
        if let Err(error) = parse(&lines.join("\n")) {
            proptest::prop_assert_eq!(error.exit_code(), 2);
        }
    }
}
