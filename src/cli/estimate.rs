//! `kadanoff estimate RUN.toml`: what a run will need, before it begins.

use crate::config::{RunFile, in_words};
use crate::console::plural;
use crate::error::Result;
use crate::run::estimate::{self, Estimate};
use indicatif::HumanDuration;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

/// Say what a run will need: memory, disk, time on this machine
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The kernels of the run are measured on this machine for some seconds; run it on a node like that of the job, with the threads of one rank. With --ranks N the time is\n\
    that of N such ranks without the time on the network; the bytes that each rank receives are given, so that the bandwidth tells the rest.\n\n\
    Examples:\n  kadanoff estimate jobs/quickstart.toml\n  kadanoff estimate RUN.toml --threads 16 --json\n  kadanoff estimate RUN.toml --ranks 256 --threads 8"
)]
pub struct EstimateArguments {
    /// The run file
    #[arg(value_name = "RUN.toml")]
    pub run_file: PathBuf,

    /// MPI ranks of the run
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub ranks: u32,

    /// Threads of each rank; by default as many as this process may use
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub threads: Option<u16>,

    /// One JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

/// Measures and prints.
///
/// # Errors
/// Mistakes in the run file; what the stages refuse.
pub fn run(arguments: &EstimateArguments) -> Result<()> {
    super::run::start_threads(arguments.threads)?;
    // A run that is too large for this machine is one to ask about: it is not refused here.
    let job = RunFile::load_for(&arguments.run_file, None)?;
    let found = estimate::estimate(&job, arguments.ranks as usize)?;
    if arguments.json {
        return super::write_stdout(&format!("{}\n", serde_json::json!(found)));
    }
    crate::console::say(format_args!("{}", words(&found).trim_end()));
    Ok(())
}

fn words(found: &Estimate) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "Configuration, defaults included:");
    if let Some(sections) = found.configuration.as_object() {
        for (name, section) in sections {
            match section.as_object() {
                Some(keys) => keys.iter().for_each(|(key, value)| text.push_str(&format!("  [{name}] {key} = {value}\n"))),
                None => drop(writeln!(text, "  {name} = {section}")),
            }
        }
    }
    let memory = &found.memory;
    let _ = writeln!(text, "Memory of rank 0 at its peak: {}", in_words(found.memory_of_rank_0));
    if found.memory_with_checkpoint > found.memory_of_rank_0 {
        let with = in_words(found.memory_with_checkpoint);
        let _ = writeln!(
            text,
            "  {with:>10}  where it goes on from a checkpoint, or one of a large layer is written: ask a batch system for this much"
        );
    }
    for (bytes, what) in [
        (memory.program, "the program"),
        (memory.figures, "figures"),
        (memory.machine_chains, "chains by which the machine is judged"),
        (memory.lattices, "lattices being updated"),
        (memory.lattice_checkpoint, "these once more, where a job goes on from a checkpoint"),
        (memory.series, "series"),
        (memory.chains, "what stands around each chain"),
        (memory.scaling, "the analysis across sizes"),
        (memory.configurations, "kept configurations"),
        (memory.network, "network"),
        (memory.training, "training of its largest layer"),
        (memory.fresh, "fresh configurations of an epoch, several times while they are drawn"),
    ] {
        if bytes > 0 {
            let _ = writeln!(text, "  {:>10}  {what}", in_words(bytes));
        }
    }
    if let Some(others) = found.memory_of_other_ranks {
        let _ = writeln!(text, "Memory of every other rank: {}", in_words(others));
    }
    if let Some(available) = found.memory_available {
        let warning = if u128::from(available) < memory.total() { ": this machine would refuse the run" } else { "" };
        let _ = writeln!(text, "Available here: {}{warning}", in_words(available.into()));
    }
    let disk = &found.disk;
    let _ = writeln!(text, "Disk: at most {}, of which {} for checkpoints while it runs", in_words(disk.total), in_words(disk.checkpoints));
    let time = &found.time;
    let _ = writeln!(
        text,
        "Time on {} with {} each, like those of this machine: {}",
        plural(found.ranks, "rank"),
        plural(found.threads, "thread"),
        span(time.total)
    );
    let mut line = |seconds: f64, what: &str| text.push_str(&format!("  {seconds:>10.1} s  {what}\n"));
    line(time.sampling, "sampling");
    line(time.analysis, "error bars, exact values, files");
    for (layer, seconds) in time.training.iter().enumerate() {
        line(*seconds, &format!("training layer {}", layer + 1));
    }
    line(time.between_layers, "between the layers");
    if time.companions > 0.0 {
        line(time.companions, "networks beside the main one");
    }
    line(time.renormalization, "renormalization");
    line(time.report, "report");
    if found.ranks > 1 {
        let between = &found.communication;
        let _ = writeln!(text, "Between ranks: nothing for a sweep (chains never speak to each other)");
        for (layer, bytes) in between.bytes_per_minibatch.iter().enumerate() {
            let _ = writeln!(
                text,
                "  layer {}: {bytes} bytes to each rank for a minibatch of {:.2e} s; at {:.1e} bytes a second they take as long as the work",
                layer + 1,
                between.seconds_per_minibatch[layer],
                between.break_even_bandwidth[layer]
            );
        }
        let _ = writeln!(text, "  {} to rank 0 at the end of the sampling, and as much for a checkpoint", in_words(between.bytes_gathered));
    }
    text
}

fn span(seconds: f64) -> String {
    if seconds < 120.0 {
        format!("{seconds:.1} seconds")
    } else {
        HumanDuration(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)).to_string()
    }
}
