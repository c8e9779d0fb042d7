//! `kadanoff exact`: the exact values of an Ising model at one coupling, as a table for people (stderr) or one JSON object (stdout). Runs on one rank.

use crate::error::{Error, Result};
use crate::exact::{self, BulkReference, ChainReference, Reference, SquareReference};
use crate::lattice::SquareTorus;
use serde::Serialize;
use std::fmt::Write as _;
use std::io::Write as _;
use std::str::FromStr;

/// The longest ring: beyond it, the number of spins is no longer exact as a floating number.
const LONGEST_CHAIN: usize = 1 << 53;

/// What `kadanoff exact` takes.
#[derive(Debug, Clone, PartialEq, clap::Args)]
#[command(
    about = "Exact values of the Ising model: finite lattices, the infinite square lattice, the chain",
    long_about = "Exact values of the Ising ferromagnet at one coupling K = J / k_B T: ln Z, energy, specific heat and entropy of the L x L torus (Kaufman 1949) and of the \
                  infinite square lattice (Onsager 1944, Yang 1952); moments of the magnetization up to L = 10 (transfer matrix); the periodic chain; the cubic \
                  torus of side 3 (enumeration) and, but for specific heat and Binder cumulant, of side 4 (transfer matrix).\n\n\
                  The table goes to stderr; with --json, one object goes to stdout.",
    after_help = "Examples:\n  \
                  kadanoff exact --size 40 --coupling 0.408        the data set of Mehta and Schwab\n  \
                  kadanoff exact --size 8 --coupling critical      with <|m|>, <m^2>, Binder cumulant, xi/L\n  \
                  kadanoff exact --temperature 2.5                 the infinite lattice\n  \
                  kadanoff exact --geometry chain --size 64 --coupling 1\n  \
                  kadanoff exact --geometry cubic --size 3 --coupling 0.2216546\n  \
                  kadanoff exact --size 128 --coupling 0.44 --json | jq .energy_per_site"
)]
pub struct ExactArguments {
    /// The lattice, periodic in every direction
    #[arg(long, value_enum, default_value_t = Geometry::Square)]
    pub geometry: Geometry,
    /// Side L of the square or cubic lattice, or number of spins of the chain; without it, the infinite square lattice or chain
    #[arg(long, value_name = "L")]
    pub size: Option<usize>,
    /// K = J / k_B T, at least 0 (the ferromagnet), or the word `critical`
    #[arg(long, value_name = "K", allow_negative_numbers = true, required_unless_present = "temperature", conflicts_with = "temperature")]
    pub coupling: Option<Strength>,
    /// k_B T / J, greater than 0, or the word `critical`
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    pub temperature: Option<Strength>,
    /// Print one JSON object to stdout instead of a table to stderr
    #[arg(long)]
    pub json: bool,
}

/// The lattices with an exact solution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Geometry {
    /// L x L sites on a torus
    Square,
    /// L spins on a ring
    Chain,
    /// L x L x L sites on a torus, L = 3 or 4
    Cubic,
}

/// A number, or the critical point.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Strength {
    /// The critical point of the lattice.
    Critical,
    /// A number.
    Number(f64),
}

impl FromStr for Strength {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        if text.eq_ignore_ascii_case("critical") {
            return Ok(Strength::Critical);
        }
        text.trim()
            .parse()
            .map(Strength::Number)
            .map_err(|_| format!("\"{text}\" is not a number; write for example 0.408, or the word critical"))
    }
}

/// What is printed: the fields of the reference, headed by what was asked.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Answer {
    Square {
        geometry: Geometry,
        temperature: Option<f64>,
        #[serde(flatten)]
        reference: Box<SquareReference>,
    },
    Infinite {
        geometry: Geometry,
        size: Option<usize>,
        coupling: f64,
        temperature: Option<f64>,
        entropy_per_site: f64,
        #[serde(flatten)]
        reference: BulkReference,
    },
    Chain {
        geometry: Geometry,
        temperature: Option<f64>,
        #[serde(flatten)]
        reference: ChainReference,
    },
    Cubic {
        geometry: Geometry,
        size: usize,
        coupling: f64,
        temperature: Option<f64>,
        #[serde(flatten)]
        reference: Reference,
    },
}

/// Prints what was asked for.
///
/// # Errors
/// [`Error::Usage`] for a lattice or a coupling without an answer, [`Error::InputOutput`] if the output cannot be written.
pub fn run(arguments: &ExactArguments) -> Result<()> {
    let answer = answer(arguments)?;
    if arguments.json {
        let text =
            serde_json::to_string(&answer).map_err(|why| Error::Bug(format!("the exact values cannot be written as JSON: {why}.")))?;
        super::write_stdout(&format!("{text}\n"))
    } else {
        write!(std::io::stderr().lock(), "{}", table(&answer))
            .map_err(|why| Error::InputOutput(format!("cannot write to the standard error: {why}")))
    }
}

fn answer(arguments: &ExactArguments) -> Result<Answer> {
    let coupling = coupling_of(arguments)?;
    let temperature = Some(1.0 / coupling).filter(|temperature| temperature.is_finite());
    let geometry = arguments.geometry;
    match (geometry, arguments.size) {
        (Geometry::Square, Some(size)) => {
            let torus = SquareTorus::new(size)?;
            Ok(Answer::Square { geometry, temperature, reference: Box::new(exact::square(torus.side(), coupling)) })
        }
        (Geometry::Square, None) => {
            let reference = exact::bulk(coupling);
            let entropy_per_site = (reference.log_partition_function_per_site + coupling * reference.energy_per_site).max(0.0);
            Ok(Answer::Infinite { geometry, size: None, coupling, temperature, entropy_per_site, reference })
        }
        (Geometry::Chain, size) => {
            if let Some(size) = size.filter(|size| !(3..=LONGEST_CHAIN).contains(size)) {
                return Err(Error::Usage(format!(
                    "a chain of {size} spins has no exact values here: write a --size from 3 to {LONGEST_CHAIN}, or leave it out for the infinite chain"
                )));
            }
            Ok(Answer::Chain { geometry, temperature, reference: exact::chain(size, coupling) })
        }
        (Geometry::Cubic, Some(size @ 3..=4)) => {
            let reference = exact::reference(crate::lattice::Geometry::Cubic, size, coupling);
            Ok(Answer::Cubic { geometry, size, coupling, temperature, reference })
        }
        (Geometry::Cubic, size) => Err(Error::Usage(format!(
            "{} has no exact values here, for nobody has solved it: write --size 3 or 4, which can be counted",
            size.map_or("the infinite cubic lattice".to_string(), |size| format!("a cubic lattice of side {size}"))
        ))),
    }
}

fn coupling_of(arguments: &ExactArguments) -> Result<f64> {
    let (option, strength) = match (arguments.coupling, arguments.temperature) {
        (Some(coupling), None) => ("--coupling", coupling),
        (None, Some(temperature)) => ("--temperature", temperature),
        (Some(_), Some(_)) => return Err(Error::Usage("--coupling and --temperature say the same thing: write one of them".to_string())),
        (None, None) => {
            return Err(Error::Usage("no coupling given: write --coupling K, --temperature T or --coupling critical".to_string()));
        }
    };
    match strength {
        Strength::Critical if arguments.geometry == Geometry::Chain => {
            Err(Error::Usage(format!("{option} critical: the chain has no critical point at a temperature above zero; write a number")))
        }
        Strength::Critical if arguments.geometry == Geometry::Cubic => {
            Ok(crate::lattice::Geometry::Cubic.critical_coupling().unwrap_or(f64::NAN))
        }
        Strength::Critical => Ok(exact::critical_coupling()),
        Strength::Number(number) if !number.is_finite() => {
            Err(Error::Usage(format!("{option} {number} is not a finite number; write for example 0.408")))
        }
        Strength::Number(coupling) if option == "--coupling" => {
            if coupling < 0.0 {
                return Err(Error::Usage(format!("--coupling {coupling} is an antiferromagnet; kadanoff treats the ferromagnet, K >= 0")));
            }
            Ok(coupling.abs())
        }
        Strength::Number(temperature) => {
            let coupling = 1.0 / temperature;
            if temperature <= 0.0 || !coupling.is_finite() {
                return Err(Error::Usage(format!(
                    "--temperature {temperature} gives no finite coupling K = 1/T >= 0; write a temperature greater than 0, for example 2.5"
                )));
            }
            Ok(coupling)
        }
    }
}

/// The answer in lines of name, value and units.
fn table(answer: &Answer) -> String {
    let mut lines = Lines(String::new());
    match answer {
        Answer::Square { reference, temperature, .. } => {
            let size = reference.size;
            lines.heading(&format!("Square lattice, {size} x {size}, periodic"), reference.coupling, *temperature);
            lines.thermodynamics(
                reference.log_partition_function_per_site,
                reference.energy_per_site,
                Some(reference.specific_heat_per_site),
                reference.entropy_per_site,
            );
            lines.value("entropy per configuration", Some(reference.entropy_per_site * (size * size) as f64), "nats");
            if reference.absolute_magnetization.is_some() {
                lines.value("absolute magnetization <|m|>", reference.absolute_magnetization, "");
                lines.value("squared magnetization <m^2>", reference.magnetization_squared, "");
                lines.value("susceptibility <M^2>/N", reference.susceptibility, "");
                lines.value("Binder cumulant", reference.binder_cumulant, "");
                lines.value("correlation length / L", reference.correlation_length_over_side, "(second moment)");
            } else {
                lines
                    .text("moments of the magnetization", &format!("not known exactly above L = {}", exact::transfer_matrix::LARGEST_SIDE));
            }
            lines.0.push_str("\nInfinite lattice\n");
            let bulk = &reference.bulk;
            lines.bulk(bulk, bulk.log_partition_function_per_site + reference.coupling * bulk.energy_per_site);
        }
        Answer::Infinite { reference, coupling, temperature, entropy_per_site, .. } => {
            lines.heading("Square lattice, infinite", *coupling, *temperature);
            lines.bulk(reference, *entropy_per_site);
        }
        Answer::Chain { reference, temperature, .. } => {
            let heading = match reference.size {
                Some(sites) => format!("Chain of {sites} spins, periodic"),
                None => "Chain, infinite".to_string(),
            };
            lines.heading(&heading, reference.coupling, *temperature);
            lines.thermodynamics(
                reference.log_partition_function_per_site,
                reference.energy_per_site,
                Some(reference.specific_heat_per_site),
                reference.entropy_per_site,
            );
            lines.value("susceptibility <M^2>/N", reference.susceptibility, "");
            lines.value("correlation length", reference.correlation_length, "sites (infinite chain)");
        }
        Answer::Cubic { size, coupling, temperature, reference, .. } => {
            lines.heading(&format!("Cubic lattice, {size} x {size} x {size}, periodic"), *coupling, *temperature);
            for (name, value, units) in [
                ("ln Z per site", reference.log_partition_function_per_site, ""),
                ("energy per site", reference.energy_per_site, "J"),
                ("specific heat per site", reference.specific_heat_per_site, "k_B"),
                ("absolute magnetization <|m|>", reference.absolute_magnetization, ""),
                ("squared magnetization <m^2>", reference.magnetization_squared, ""),
                ("susceptibility <M^2>/N", reference.susceptibility, ""),
                ("Binder cumulant", reference.binder_cumulant, ""),
                ("correlation length over L", reference.correlation_length_over_side, ""),
            ] {
                if value.is_some() {
                    lines.value(name, value, units);
                }
            }
        }
    }
    lines.0
}

struct Lines(String);

impl Lines {
    fn text(&mut self, name: &str, text: &str) {
        self.0.push_str(&format!("  {name:<30} {text}\n"));
    }

    fn value(&mut self, name: &str, value: Option<f64>, units: &str) {
        let mut text = String::new();
        match value {
            // Writing to a String cannot fail.
            Some(value) if value == 0.0 || (1e-4..1e6).contains(&value.abs()) => _ = write!(text, "{value:>20.13} {units}"),
            Some(value) => _ = write!(text, "{value:>20.13e} {units}"),
            None => _ = write!(text, "{:>20}", "infinite"),
        }
        self.text(name, text.trim_end());
    }

    fn heading(&mut self, lattice: &str, coupling: f64, temperature: Option<f64>) {
        self.0.push_str(lattice);
        self.0.push('\n');
        self.value("coupling K = J / k_B T", Some(coupling), "");
        match temperature {
            Some(temperature) => self.value("temperature k_B T / J", Some(temperature), ""),
            None => self.text("temperature k_B T / J", &format!("{:>20}", "infinite")),
        }
    }

    fn thermodynamics(&mut self, log_partition_function: f64, energy: f64, specific_heat: Option<f64>, entropy: f64) {
        self.value("ln Z per site", Some(log_partition_function), "");
        self.value("energy per site", Some(energy), "J");
        self.value("specific heat per site", specific_heat, "k_B");
        self.value("entropy per site", Some(entropy), "nats");
    }

    fn bulk(&mut self, bulk: &BulkReference, entropy: f64) {
        self.thermodynamics(bulk.log_partition_function_per_site, bulk.energy_per_site, bulk.specific_heat_per_site, entropy.max(0.0));
        self.value("correlation length", bulk.correlation_length, "sites, along an axis");
        self.value("spontaneous magnetization", Some(bulk.spontaneous_magnetization), "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, clap::Parser)]
    struct Command {
        #[command(flatten)]
        exact: ExactArguments,
    }

    fn parsed(line: &str) -> std::result::Result<ExactArguments, clap::Error> {
        Command::try_parse_from(std::iter::once("exact").chain(line.split_whitespace())).map(|command| command.exact)
    }

    fn json(line: &str) -> serde_json::Value {
        serde_json::to_value(answer(&parsed(line).expect("a valid line")).expect("an answer")).expect("plain data")
    }

    #[test]
    fn one_object_with_the_promised_names() {
        let value = json("--geometry square --size 40 --coupling 0.408 --json");
        assert_eq!(value["geometry"], "square");
        assert_eq!(value["size"], 40);
        for (name, expected) in [
            ("log_partition_function_per_site", 0.888395358418808),
            ("energy_per_site", -1.1518211507677),
            ("specific_heat_per_site", 0.99467047467741),
        ] {
            assert!((value[name].as_f64().expect("a number") - expected).abs() < 1e-12, "{name}");
        }
        assert!(value["binder_cumulant"].is_null());
        let critical = json("--size 8 --coupling critical");
        assert_eq!(critical, json("--size 8 --temperature critical"));
        assert!((critical["binder_cumulant"].as_f64().expect("a number") - 0.6130453849).abs() < 1e-9);
        assert!(critical["bulk"]["specific_heat_per_site"].is_null());
        assert!((json("--temperature 2.5")["coupling"].as_f64().expect("a number") - 0.4).abs() < 1e-15);
        assert_eq!(json("--geometry chain --size 8 --coupling 1")["size"], 8);
        let cubic = json("--geometry cubic --size 3 --coupling critical");
        assert!((cubic["energy_per_site"].as_f64().expect("a number") + 1.434444011468).abs() < 1e-11);
        assert!((cubic["binder_cumulant"].as_f64().expect("a number") - 0.501322950249).abs() < 1e-11);
        assert!(json("--coupling 0")["temperature"].is_null());
    }

    #[test]
    fn what_cannot_be_answered_is_refused_in_a_sentence() {
        for (line, word) in [
            ("--size 0 --coupling 0.4", "side 0"),
            ("--size 2 --coupling 0.4", "side 2"),
            ("--size 18446744073709551615 --coupling 0.4", "write a side from"),
            ("--coupling -0.4", "ferromagnet, K >= 0"),
            ("--coupling NaN", "finite"),
            ("--coupling inf", "finite"),
            ("--temperature 0", "greater than 0"),
            ("--temperature -1", "greater than 0"),
            ("--temperature 1e-320", "greater than 0"),
            ("--geometry chain --size 2 --coupling 1", "from 3"),
            ("--geometry chain --coupling critical", "no critical point"),
            ("--geometry cubic --coupling 1", "--size 3 or 4"),
            ("--geometry cubic --coupling 0.2 --size 5", "--size 3 or 4"),
        ] {
            match answer(&parsed(line).expect("a line clap accepts")) {
                Err(Error::Usage(sentence)) => assert!(sentence.contains(word), "{line}: {sentence}"),
                other => panic!("{line}: {other:?}"),
            }
        }
        for line in [
            "",
            "--size 8",
            "--coupling 0.4 --temperature 2",
            "--coupling warm",
            "--size -3 --coupling 1",
            "--geometry hexagonal --coupling 1",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn the_table_shows_values_with_units() {
        let text = table(&answer(&parsed("--size 8 --coupling critical").expect("a valid line")).expect("an answer"));
        for part in ["Square lattice, 8 x 8", "-1.4915891074397", "J\n", "k_B", "infinite", "Binder cumulant"] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }
}
