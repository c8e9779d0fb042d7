//! Training on configurations that another program wrote: every way to write them gives the same network as sampling them, and what cannot be trained on is refused in a sentence.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use kadanoff::record::LayerRecord;
use runs::{kadanoff, outcome, python, succeed, write_job};
use std::path::Path;
use std::process::Command;

const TRAIN: &str = "layers = [20, 8]\nepochs = 5\nminibatch = 20\nheld_out = 40\n[report]\nfigures = false\n";

/// Writes the configurations of a run in many forms, and damaged ones.
const WRITE: &str = r#"
import sys, numpy, h5py
kept, folder = sys.argv[1:]
packed = h5py.File(kept + "/configurations.h5")["L8_K0.4/packed"][:]
bits = numpy.unpackbits(packed, axis=1, count=64, bitorder="little")
signs = bits.astype("i1") * 2 - 1
numpy.save(folder + "/bits.npy", bits)
numpy.save(folder + "/signs.npy", signs.reshape(-1, 8, 8))
numpy.save(folder + "/floats.npy", signs.astype(">f8"))
numpy.save(folder + "/bools.npy", bits.astype(bool))
numpy.save(folder + "/packed.npy", packed)
numpy.save(folder + "/other.npy", bits.reshape(-1, 16, 4))
numpy.save(folder + "/half.npy", bits.astype("f2"))
with h5py.File(folder + "/x.h5", "w") as file:
    file["a/bits"] = bits
    file.create_dataset("a/signs", data=signs.astype("i8").reshape(-1, 8, 8), compression="gzip", chunks=(50, 8, 8))
    file["floats"] = signs.astype("f4")
    file["bools"] = bits.astype(bool)
    file["packed"] = packed
    file["names"] = h5py.SoftLink("/floats")
    file["words"] = ["one", "two"]
    file["empty"] = numpy.zeros((0, 64), "u1")
    file["spins3"] = numpy.full((400, 64), 3, "i4")
    wrong = signs.copy(); wrong[7, 5] = 0
    file["mixed"] = wrong
    nan = signs.astype("f4"); nan[3, 2] = numpy.nan
    file["nan"] = nan
    file["few"] = bits[:10]
    file["narrow"] = bits[:, :60]
    file["flat"] = bits[:, 0]
    file["half"] = bits.astype("f2")
    file["other"] = bits.reshape(-1, 4, 16)
    file["lzf"] = bits; del file["lzf"]; file.create_dataset("lzf", data=bits, compression="lzf")
numpy.save(folder + "/fortran.npy", numpy.asfortranarray(bits))
numpy.save(folder + "/complex.npy", bits.astype("c8"))
whole = open(folder + "/bits.npy", "rb").read()
open(folder + "/cut.npy", "wb").write(whole[:-100])
open(folder + "/head.npy", "wb").write(whole[:60])
open(folder + "/noise.npy", "wb").write(b"spins")
whole = open(folder + "/x.h5", "rb").read()
open(folder + "/cut.h5", "wb").write(whole[:len(whole) // 2])
"#;

fn job(data: &str) -> String {
    format!("seed = 7\n[lattice]\nsizes = [8]\n[train]\ndata = {{ {data}, coupling = 0.4, configurations = 400 }}\n{TRAIN}")
}

fn layers(directory: &Path) -> Vec<LayerRecord> {
    outcome(directory).0.training.unwrap().layers
}

#[test]
fn configurations_of_other_programs_train_the_same_network_in_whatever_form_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path();
    let sampled = format!(
        "seed = 7\n[lattice]\nsizes = [8]\n[sample]\ncouplings = [0.4]\nreplicas = 4\nthermalization = 50\nsweeps = 400\nconfigurations = 400\n[train]\n{TRAIN}"
    );
    let run = |name: &str, text: &str| {
        let file = write_job(place, text);
        let directory = place.join(name);
        succeed(kadanoff().arg("run").arg(&file).arg("--out").arg(&directory));
        directory
    };
    let expected = layers(&run("sampled", &sampled));
    succeed(Command::new(python()).args(["-c", WRITE]).arg(place.join("sampled")).arg(place));
    let forms = [
        "file = \"bits.npy\"",
        "file = \"signs.npy\"",
        "file = \"floats.npy\"",
        "file = \"bools.npy\"",
        "file = \"packed.npy\"",
        "file = \"x.h5\", path = \"/a/bits\"",
        "file = \"x.h5\", path = \"a/signs\"",
        "file = \"x.h5\", path = \"/floats\"",
        "file = \"x.h5\", path = \"/bools\"",
        "file = \"x.h5\", path = \"/packed\"",
        "file = \"sampled/configurations.h5\", path = \"/L8_K0.4/packed\"",
    ];
    for (number, data) in forms.into_iter().enumerate() {
        let directory = run(&format!("form{number}"), &job(data));
        assert!(layers(&directory) == expected, "{data}");
        succeed(kadanoff().arg("check").arg(&directory));
    }
    // They follow the law at K = 0.4, and the report says so; that at 0.36 they do not, which is warned of.
    let report = |directory: &Path| {
        succeed(kadanoff().arg("report").arg(directory));
        std::fs::read_to_string(directory.join("report.html")).unwrap()
    };
    let page = report(&place.join("form0"));
    assert!(page.contains("Configurations of another program") && !page.contains("do not follow the law"));
    let page = report(&run("other-law", &job(forms[0]).replace("coupling = 0.4,", "coupling = 0.36,")));
    assert!(page.contains("do not follow the law that the run file states"));
    succeed(kadanoff().arg("check").arg(place.join("other-law")));

    // The run keeps what it took in: the same command goes on without the file.
    std::fs::remove_file(place.join("bits.npy")).unwrap();
    let file = write_job(place, &job(forms[0]));
    succeed(kadanoff().arg("run").arg(&file).arg("--out").arg(place.join("form0")));

    for (data, words) in [
        ("file = \"bits.npy\"", "is not there"),
        ("file = \"fortran.npy\"", "ascontiguousarray"),
        ("file = \"complex.npy\"", "of the kind <c8"),
        ("file = \"cut.npy\"", "is cut"),
        ("file = \"head.npy\"", "is cut in its head"),
        ("file = \"noise.npy\"", "does not begin as a file of numpy"),
        ("file = \"cut.h5\", path = \"/floats\"", "cannot be read"),
        ("file = \"x.h5\", path = \"/nothing\"", "there is no nothing in it"),
        ("file = \"x.h5\", path = \"/names\"", "a link to elsewhere"),
        ("file = \"x.h5\", path = \"/words\"", "no number"),
        ("file = \"x.h5\", path = \"/empty\"", "it is empty"),
        ("file = \"x.h5\", path = \"/spins3\"", "site 0 of configuration 0 (both from 0) holds 3"),
        ("file = \"x.h5\", path = \"/mixed\"", "site 5 of configuration 7 (both from 0) holds 0"),
        ("file = \"x.h5\", path = \"/nan\"", "site 2 of configuration 3 (both from 0) holds NaN"),
        ("file = \"x.h5\", path = \"/few\"", "it has 10 configurations, and the run file asks for 400"),
        ("file = \"x.h5\", path = \"/narrow\"", "a row has 60 numbers, and the lattice of the run file has 64 sites"),
        ("file = \"x.h5\", path = \"/flat\"", "its shape is [400]"),
        ("file = \"x.h5\", path = \"/lzf\"", "another filter"),
        ("file = \"x.h5\", path = \"/a\"", "it is a group, not a data set"),
        ("file = \"x.h5\", path = \"/\"", "it is a group, not a data set"),
        ("file = \"x.h5\", path = \"/half\"", "floats of 32 or 64 bits"),
        ("file = \"x.h5\", path = \"/other\"", "a configuration of the run file is (8, 8), or 64 numbers"),
        ("file = \"other.npy\"", "its shape is [400, 16, 4]"),
        ("file = \"half.npy\"", "of the kind <f2"),
    ] {
        let file = write_job(place, &job(data));
        let output = kadanoff().arg("run").arg(&file).arg("--out").arg(place.join("refused")).output().unwrap();
        let sentence = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(3) && sentence.contains(words), "{data}: {sentence}");
        std::fs::remove_dir_all(place.join("refused")).unwrap();
    }
    for (data, words) in
        [("file = \"bits.npy\", path = \"/x\"", "holds one array"), ("file = \"x.h5\"", "write path"), ("path = \"/x\"", "file is missing")]
    {
        let file = write_job(place, &job(data));
        let output = kadanoff().arg("run").arg(&file).arg("--out").arg(place.join("refused")).output().unwrap();
        let sentence = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && sentence.contains(words), "{data}: {sentence}");
    }
}
