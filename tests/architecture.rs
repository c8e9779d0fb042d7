//! The rules of the tree, read from its own text: who may use whom, how long a file may be, where unsafe code lives.

use std::path::{Path, PathBuf};

/// Modules in reading order. One may name those before it in the physics and learning part, and `kernels` and `error`.
const SCIENCE: [&str; 9] = ["lattice", "measure", "spins", "random", "sampler", "statistics", "exact", "rbm", "rg"];
/// Those which only the program may name.
const RIM: [&str; 10] = ["comm", "record", "store", "bench", "check", "cli", "config", "report", "run", "main"];

fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("src can be read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a source file can be read");
                found.push((path.strip_prefix(env!("CARGO_MANIFEST_DIR")).expect("below the manifest").to_path_buf(), text));
            }
        }
    }
    assert!(found.len() > 20, "the tree was found");
    found
}

/// The first module below src/ that a file belongs to: `src/rbm/train.rs` belongs to `rbm`.
fn module_of(path: &Path) -> String {
    let name = path.components().nth(1).expect("a file below src").as_os_str().to_string_lossy().into_owned();
    name.trim_end_matches(".rs").to_string()
}

/// Code without its comments and without its tests, which may look further.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..end].lines().map(|line| line.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

fn names_module(code: &str, module: &str) -> bool {
    code.contains(&format!("crate::{module}::")) || code.contains(&format!("crate::{module};"))
}

#[test]
fn science_names_only_what_stands_before_it() {
    for (path, text) in sources() {
        let (module, code) = (module_of(&path), code(&text));
        let Some(position) = SCIENCE.iter().position(|science| *science == module) else { continue };
        for later in SCIENCE[position + 1..].iter().chain(&RIM) {
            assert!(!names_module(&code, later), "{}: `{module}` may not use `{later}`", path.display());
        }
    }
}

#[test]
fn kernels_and_errors_stand_below_everything() {
    for (path, text) in sources() {
        let module = module_of(&path);
        if module == "kernels" || module == "error" {
            for other in RIM.iter().chain(&["sampler", "statistics", "exact", "rg", "measure"]) {
                assert!(!names_module(&code(&text), other), "{}: `{module}` may not use `{other}`", path.display());
            }
        }
    }
}

#[test]
fn foreign_libraries_have_one_door_each() {
    for (path, text) in sources() {
        let (path, code) = (path.to_string_lossy().into_owned(), code(&text));
        assert!(path == "src/comm/mpi.rs" || !code.contains("use ::mpi"), "{path} names the crate mpi");
        assert!(
            path.starts_with("src/store/hdf5") || !(code.contains("use ::hdf5") || code.contains("use hdf5")),
            "{path} names the crate hdf5"
        );
        assert!(path == "src/elementary.rs" || !code.contains("libm::"), "{path} names the crate libm");
        // Matrix products whose bits depend on the machine serve as a rival in the benchmarks, and nowhere else.
        assert!(path == "src/kernels/rival.rs" || !code.replace("super::gemm::", "").contains("gemm::"), "{path} names the crate gemm");
        assert!(path == "src/bench/gemm.rs" || !code.contains("kernels::rival"), "{path} uses the rival of the benchmarks");
    }
}

#[test]
fn unsafe_code_is_argued_for_and_stays_in_its_rooms() {
    for (path, text) in sources() {
        let here = path.to_string_lossy().into_owned();
        let mut lines = 0;
        for (number, line) in text.lines().enumerate() {
            if line.split("//").next().unwrap_or("").contains("unsafe {") || line.contains("unsafe impl") {
                lines += 1;
                let before: Vec<&str> = text.lines().take(number).collect();
                // An argument stands right above, or once for a whole module of one-line intrinsics.
                let argued = before.iter().rev().take(8).any(|line| line.contains("SAFETY:"))
                    || before.iter().any(|line| line.contains("SAFETY, of each `unsafe` in this module"));
                assert!(argued, "{here}:{}: unsafe code without its argument", number + 1);
            }
        }
        let allowed = here.starts_with("src/kernels") || here == "src/store/hdf5.rs";
        assert!(lines == 0 || allowed, "{here} holds unsafe code");
    }
}

#[test]
fn files_stay_readable() {
    for (path, text) in sources() {
        assert!(text.lines().count() <= 460, "{} has {} lines", path.display(), text.lines().count());
        assert!(text.starts_with("//!"), "{} does not say what it is for", path.display());
        assert_ne!(path.file_name().and_then(|name| name.to_str()), Some("mod.rs"));
    }
}
