//! The speeds of this machine, measured honestly: contenders take turns inside one run, work is counted as it is done, and what was timed is verified.
//!
//! Absolute figures of a shared machine drift; the ratio to a rival that ran in turn with the contender does not. Median and best are both shown.

mod cubic;
mod gemm;
mod local;
mod machine;
mod network;
mod random;
mod replicas;
mod sampling;
mod scaling;
mod whole;

use crate::comm::Comm;
use crate::error::{Error, Result};
use crate::kernels::InstructionSet;
use crate::sampler::Algorithm;
use machine::Machine;
use serde::Serialize;
use std::time::{Duration, Instant};

/// The names of the benchmarks, as in the table of the README.
pub const NAMES: [&str; 13] = [
    "random",
    "metropolis",
    "heat-bath",
    "replicas",
    "tempering",
    "swendsen-wang",
    "wolff",
    "measurement",
    "cubic",
    "cd1",
    "gibbs",
    SCALING,
    WHOLE,
];

/// What ranks or threads do together.
const SCALING: &str = "scaling";

/// The whole experiment of the paper: minutes, so only where it is named.
const WHOLE: &str = "mehta-schwab";

/// One measured figure; `bench --json` prints one a line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The benchmark.
    pub name: String,
    /// The side of the lattice, or "visible x hidden" of a network.
    pub size: serde_json::Value,
    /// Threads that worked at once.
    pub threads: usize,
    /// The instruction set of the kernels.
    pub instruction_set: String,
    /// What is counted: "flips/ns", "ns/site", "ns/flipped spin", "ns", "s/epoch", "ns/unit", "s".
    pub unit: String,
    /// The median over the turns.
    pub median: f64,
    /// The best turn.
    pub best: f64,
    /// Who took turns with it, if anybody.
    pub rival: Option<String>,
    /// How many times faster than the rival, by the medians.
    pub ratio: Option<f64>,
    /// How fast a fixed piece of work was that took turns with both, as a share of its best so far: well below 1 the machine was busy with something else.
    pub machine: f64,
}

/// What is to be measured.
#[derive(Debug, Clone)]
pub struct Request {
    /// The benchmarks; all but the whole experiment if none is named.
    pub names: Vec<String>,
    /// The sides of the lattices, instead of those each benchmark has; without rows at other temperatures.
    pub sides: Vec<usize>,
    /// Threads that work at once.
    pub threads: usize,
}

impl Request {
    /// The sides that were asked for, or else those of the benchmark.
    fn sides_or<'a>(&'a self, usual: &'a [usize]) -> &'a [usize] {
        if self.sides.is_empty() { usual } else { &self.sides }
    }
}

/// What a turn of a contender is measured in.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Unit {
    /// Work a time: more is better.
    WorkPerNanosecond(&'static str),
    /// Time a work: less is better.
    NanosecondsPerWork(&'static str),
    /// Seconds for a turn's work, which is a fraction of the unit.
    SecondsPerWork(&'static str),
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Unit::WorkPerNanosecond(name) | Unit::NanosecondsPerWork(name) | Unit::SecondsPerWork(name) => name,
        }
    }

    fn figure(self, work: f64, time: Duration) -> f64 {
        match self {
            Unit::WorkPerNanosecond(_) => work / (time.as_secs_f64() * 1e9),
            Unit::NanosecondsPerWork(_) => time.as_secs_f64() * 1e9 / work,
            Unit::SecondsPerWork(_) => time.as_secs_f64() / work,
        }
    }

    fn more_is_better(self) -> bool {
        matches!(self, Unit::WorkPerNanosecond(_))
    }
}

/// One of those who take turns: does some work and says how much.
struct Contender<'a> {
    name: String,
    turn: Box<dyn FnMut() -> f64 + 'a>,
}

/// The time a turn should take at least, so that the clock does not matter.
const TURN: Duration = Duration::from_millis(60);

/// Lets the contenders take `rounds` turns each, after one round that does not count, with a look at the machine between them. Returns (median, best) of each.
fn take_turns(contenders: &mut [Contender], machine: &mut Machine, unit: Unit, rounds: usize) -> Vec<(f64, f64)> {
    let mut figures = vec![Vec::with_capacity(rounds); contenders.len()];
    for round in 0..=rounds {
        for (contender, figures) in contenders.iter_mut().zip(&mut figures) {
            machine.look();
            let started = Instant::now();
            let mut work = 0.0;
            while started.elapsed() < TURN {
                work += (contender.turn)();
            }
            if round > 0 {
                figures.push(unit.figure(work, started.elapsed()));
            }
        }
    }
    figures
        .into_iter()
        .map(|mut turns| {
            turns.sort_by(f64::total_cmp);
            let best = if unit.more_is_better() { turns[turns.len() - 1] } else { turns[0] };
            (turns[turns.len() / 2], best)
        })
        .collect()
}

/// What is measured, and in what.
struct Subject {
    name: &'static str,
    size: serde_json::Value,
    threads: usize,
    unit: Unit,
}

/// Threads for a row, and no more.
fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|why| Error::InputOutput(format!("cannot start {threads} threads: {why}")))
}

/// The number of turns that count.
const ROUNDS: usize = 7;

/// The row of a contender that takes turns with a rival.
fn row_against(subject: Subject, contender: Contender, rival: Contender) -> Row {
    let rival_name = rival.name.clone();
    let mut machine = Machine::new();
    let figures = take_turns(&mut [contender, rival], &mut machine, subject.unit, ROUNDS);
    let ((median, best), (rival_median, _)) = (figures[0], figures[1]);
    Row {
        name: subject.name.to_string(),
        size: subject.size,
        threads: subject.threads,
        instruction_set: InstructionSet::chosen().name().to_string(),
        unit: subject.unit.name().to_string(),
        median,
        best,
        rival: Some(rival_name),
        ratio: Some(if subject.unit.more_is_better() { median / rival_median } else { rival_median / median }),
        machine: machine.share(),
    }
}

/// Runs the named benchmarks (all of them but the whole experiment if none is named) and hands each row over as soon as it is known. Several ranks measure how they scale, and nothing else. Collective.
///
/// # Errors
/// [`Error::Usage`] for an unknown name; [`Error::Bug`] when what was timed turns out to be wrong.
pub fn run(request: &Request, comm: &dyn Comm, show: &mut dyn FnMut(&Row)) -> Result<()> {
    let (names, threads) = (&request.names, request.threads);
    for name in names {
        if !NAMES.contains(&name.as_str()) {
            return Err(Error::Usage(format!("there is no benchmark `{name}`: write any of {}", NAMES.join(", "))));
        }
    }
    if comm.size() > 1 {
        if let Some(name) = names.iter().find(|name| *name != SCALING) {
            return Err(Error::Usage(format!("`{name}` is measured by one process: several ranks measure `{SCALING}`")));
        }
        scaling::scaling(threads, comm)?.iter().for_each(show);
        return Ok(());
    }
    let wanted = |name: &str| names.is_empty() && name != WHOLE || names.iter().any(|wanted| wanted == name);
    for name in NAMES.into_iter().filter(|name| wanted(name)) {
        let rows = match name {
            "random" => random::rows()?,
            "metropolis" => local::rows("metropolis", Algorithm::Metropolis, request)?,
            "heat-bath" => local::rows("heat-bath", Algorithm::HeatBath, request)?,
            "replicas" => replicas::replicas(request)?,
            "tempering" => replicas::tempering(request)?,
            "swendsen-wang" => sampling::swendsen_wang(request)?,
            "wolff" => sampling::wolff(request)?,
            "measurement" => sampling::measurement(request)?,
            "cubic" => cubic::rows(request)?,
            "cd1" => network::contrastive_divergence(threads)?,
            // One thread does not scale.
            SCALING if threads == 1 => Vec::new(),
            SCALING => scaling::scaling(threads, comm)?,
            WHOLE => vec![whole::row(threads)?],
            _ => network::gibbs(threads)?,
        };
        rows.iter().for_each(&mut *show);
    }
    Ok(())
}
