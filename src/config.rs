//! The run file: one TOML text that says everything a run does, read into plain values with every mistake reported at once, each with its line.
//!
//! Reading order: this file (what a run file is, how it is loaded), `config/{lattice,sample,train,renormalize,report}.rs` (one section each: its keys, their
//! rules, the values they become), `config/companions.rs` (networks beside the main one), `config/memory.rs` (what the run will need), and last the tools
//! `config/reader.rs` and `config/mistakes.rs`. README.md documents the same keys for the person who writes the file.
//!
//! Rules that hold for all sections: an unknown key is refused with the nearest known one; numbers must be finite; a list is never empty; whatever is not
//! written has the default documented at its field; the seed is never guessed. TOML syntax is checked first; if it holds, all other mistakes come together.

mod companions;
mod couplings;
mod decimation;
mod distribute;
mod figures;
mod flow;
mod foreign;
mod lattice;
mod learning;
mod memory;
mod mistakes;
mod reader;
mod renormalize;
mod report;
mod sample;
mod train;

#[cfg(test)]
mod tests;

pub use companions::{Companion, Role, ScanSection};
pub use couplings::Couplings;
pub use decimation::DecimationSection;
pub use distribute::Distribute;
pub use flow::FlowSection;
pub use foreign::ForeignSection;
pub use lattice::{Geometry, LatticeSection};
pub use learning::LearningSection;
pub use memory::{Memory, available_memory, in_words};
pub use renormalize::{LikelihoodSection, RenormalizeSection};
pub use report::ReportSection;
pub use sample::{Kept, Layout, SampleSection, Starts};
pub use train::TrainSection;

use crate::error::{Error, Result};
use mistakes::Mistakes;
use reader::Section;
use std::io::Read;
use std::path::Path;

/// The largest run file that is read, in bytes: 1 MiB. Anything longer is not a run file.
pub const LARGEST_FILE: u64 = 1 << 20;

/// The keys and sections at the top of a run file.
const TOP: &[&str] = &["seed", "lattice", "sample", "train", "renormalize", "report"];

/// Every section with its keys, for the hint that a key belongs elsewhere.
const SECTIONS: &[(&str, &[&str])] = &[
    ("lattice", lattice::KEYS),
    ("sample", sample::KEYS),
    ("train", train::KEYS),
    ("renormalize", renormalize::KEYS),
    ("report", report::KEYS),
];

/// A run file, understood: every key resolved to a value, every rule between keys checked.
#[derive(Debug, Clone, PartialEq)]
pub struct RunFile {
    /// The file's name as it was given, for messages.
    pub name: String,
    /// The text, byte for byte: what `run.toml` and the provenance of every file will hold.
    pub text: String,
    /// `seed`: the seed of every random stream of the run, 0 to 2^63 - 1. Required.
    pub seed: u64,
    /// `[lattice]`. Required.
    pub lattice: LatticeSection,
    /// `[sample]`, if configurations are wanted.
    pub sample: Option<SampleSection>,
    /// `[train]`, if a network is wanted.
    pub train: Option<TrainSection>,
    /// `[renormalize]`, if the analysis is wanted.
    pub renormalize: Option<RenormalizeSection>,
    /// `[report]`; its defaults where the section is absent.
    pub report: ReportSection,
}

impl RunFile {
    /// Reads and understands the run file at `path`.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no such file, if it is a directory, longer than [`LARGEST_FILE`] or not UTF-8, or for any mistake in it (one line each);
    /// [`Error::InputOutput`] if reading fails.
    pub fn load(path: &Path) -> Result<RunFile> {
        RunFile::load_for(path, available_memory())
    }

    /// The same for a machine with `available` bytes of free memory (`None`: unknown, nothing is refused for its size).
    ///
    /// # Errors
    /// As [`RunFile::load`].
    pub fn load_for(path: &Path, available: Option<u64>) -> Result<RunFile> {
        let name = path.display().to_string();
        if path.is_dir() {
            return Err(Error::Usage(format!("{name} is a directory: name the run file in it (a .toml file)")));
        }
        let file = std::fs::File::open(path).map_err(|why| match why.kind() {
            std::io::ErrorKind::NotFound => {
                Error::Usage(format!("there is no run file {name}: `kadanoff template quickstart > my-run.toml` writes one to begin with"))
            }
            _ => Error::file("read the run file", path, why),
        })?;
        let mut bytes = Vec::new();
        file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(|why| Error::file("read the run file", path, why))?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(Error::Usage(format!("{name} is longer than 1 MiB, so it is not a run file: name a .toml file")));
        }
        let text = String::from_utf8(bytes).map_err(|why| {
            let place = why.utf8_error().valid_up_to();
            let line = 1 + why.as_bytes()[..place].iter().filter(|&&byte| byte == b'\n').count();
            Error::Usage(format!("{name}:{line}: byte {place} is not UTF-8 text: save the run file as UTF-8"))
        })?;
        RunFile::parse_for(&text, &name, available)
    }

    /// Understands the text of a run file; `name` is the file's name in messages. The run is held against the memory of this machine.
    ///
    /// # Errors
    /// [`Error::Usage`] with one line per mistake: `name:line: [section] key = value: what is wrong and what to write`.
    pub fn parse(text: &str, name: &str) -> Result<RunFile> {
        RunFile::parse_for(text, name, available_memory())
    }

    /// The same for a machine with `available` bytes of free memory (`None`: unknown, nothing is refused for its size).
    ///
    /// # Errors
    /// As [`RunFile::parse`].
    pub fn parse_for(text: &str, name: &str, available: Option<u64>) -> Result<RunFile> {
        let mistakes = Mistakes::new(name, text);
        let (document, syntax) = toml::de::DeTable::parse_recoverable(text);
        for error in &syntax {
            let place = error.span().map_or(0, |span| span.start);
            mistakes.add(place, &format!("this is not TOML: {}", error.message().replace('\n', "; ")));
        }
        mistakes.into_result()?;

        let mistakes = Mistakes::new(name, text);
        let top = Section::top(document.get_ref(), TOP, &mistakes);
        top.refuse_unknown(&[]);
        let seed = top.required("seed", "seed = 14103831 (any whole number; it fixes every random number of the run)", |field| {
            field.integer("from 0 to 2^63 - 1", 0..=i64::MAX as u64)
        });

        let section = |title: &'static str, keys| {
            let section = top.section(title, keys)?;
            section.refuse_unknown(SECTIONS);
            Some(section)
        };
        let lattice_section = section("lattice", lattice::KEYS);
        let sample_section = section("sample", sample::KEYS);
        let train_section = section("train", train::KEYS);
        let renormalize_section = section("renormalize", renormalize::KEYS);
        let report_section = section("report", report::KEYS);
        if lattice_section.is_none() && !top.has("lattice") {
            mistakes.add(0, "section [lattice] is missing: write [lattice] with sizes = [40] below it");
        }
        if ["sample", "train", "renormalize"].iter().all(|title| !top.has(title)) {
            mistakes.add(0, "this file asks for nothing: write at least one of the sections [sample] and [renormalize]");
        }
        let brings_data = train_section.as_ref().is_some_and(|section| section.has_table("data"));
        if let (true, true, Some(section)) = (brings_data, top.has("sample"), &train_section) {
            section.refuse("data", "the configurations come from a file, and [sample] draws others: leave one of the two out");
        }
        if top.has("train") && !top.has("sample") && !brings_data {
            let place = train_section.as_ref().map_or(0, Section::place);
            mistakes.add(place, "[train] needs configurations to train on: write a section [sample] with configurations = 20000, or data = { file = ... } in [train]");
        }

        let others = [train_section.as_ref(), renormalize_section.as_ref()];
        let lattice = lattice_section.as_ref().and_then(|section| lattice::read(section, sample_section.as_ref(), others));
        let sample = sample_section.as_ref().and_then(|section| sample::read(section, lattice.as_ref()));
        let train = train_section.as_ref().and_then(|section| train::read(section, lattice.as_ref(), sample.as_ref()));
        let renormalize = renormalize_section
            .as_ref()
            .and_then(|section| renormalize::read(section, lattice.as_ref(), sample.as_ref(), train.as_ref(), top.has("train")));
        let report = report_section.as_ref().map_or(Some(ReportSection::default()), report::read);

        if let (true, Some(seed), Some(lattice), Some(report)) = (mistakes.is_empty(), seed, lattice, report) {
            let run = RunFile { name: name.to_owned(), text: text.to_owned(), seed, lattice, sample, train, renormalize, report };
            if let Some(available) = available {
                memory::refuse_excess(&run, available, sample_section.as_ref(), train_section.as_ref(), &mistakes);
            }
            mistakes.into_result()?;
            return Ok(run);
        }
        mistakes.into_result()?;
        Err(Error::Bug(format!("{name} was refused without a reason.")))
    }

    /// Every value of the run file, defaults included, as a JSON object with one member a section.
    ///
    /// # Errors
    /// [`Error::Bug`] if a value is none that JSON knows.
    pub fn resolved(&self) -> Result<serde_json::Value> {
        let bug = |why: serde_json::Error| Error::Bug(format!("a run file is not JSON: {why}."));
        let mut sections = serde_json::Map::new();
        sections.insert("seed".to_string(), self.seed.into());
        let mut add = |name: &str, value: serde_json::Value| {
            if !value.is_null() {
                sections.insert(name.to_string(), value);
            }
        };
        add("lattice", serde_json::to_value(&self.lattice).map_err(bug)?);
        add("sample", serde_json::to_value(&self.sample).map_err(bug)?);
        add("train", serde_json::to_value(&self.train).map_err(bug)?);
        add("renormalize", serde_json::to_value(&self.renormalize).map_err(bug)?);
        add("report", serde_json::to_value(self.report).map_err(bug)?);
        let mut resolved = sections.into();
        as_written(&mut resolved);
        Ok(resolved)
    }

    /// What the run needs of memory on rank 0 with so many threads, by estimate.
    pub fn memory(&self, threads: usize) -> Memory {
        memory::estimate(self, threads)
    }

    /// The logical pixels of figures that each thread draws for the report, where so many of them draw.
    pub fn pixels_drawn_by_a_thread(&self, threads: usize) -> f64 {
        figures::pixels_of_thread(self, threads)
    }
}

/// Numbers in single precision as they were written: 0.001, and not the 0.0010000000474974513 that they are in double precision.
fn as_written(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Number(number) if number.is_f64() => {
            let exact = number.as_f64().unwrap_or_default();
            let single = exact as f32;
            let short = single.to_string().parse().ok().and_then(serde_json::Number::from_f64);
            if let (true, Some(short)) = (f64::from(single) == exact, short) {
                *number = short;
            }
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(as_written),
        serde_json::Value::Object(members) => members.values_mut().for_each(as_written),
        _ => {}
    }
}
