//! `kadanoff bench`: the speeds of this machine.

use crate::comm;
use crate::error::Result;

/// Measure the speeds of this machine
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Benchmarks: random, metropolis, heat-bath, replicas, tempering, swendsen-wang, wolff, measurement, cubic, cd1, gibbs, scaling; mehta-schwab, the whole experiment of the paper, which takes minutes and is measured only where it is named\n\nExamples:\n  kadanoff bench\n  kadanoff bench metropolis swendsen-wang --json\n  kadanoff bench wolff --side 512,2048\n\
      KADANOFF_INSTRUCTION_SET=portable kadanoff bench metropolis\n\n\
    Each figure was taken in turns with a rival, whose speed is the denominator of the ratio: a plain one-spin-at-a-time program, or for networks the same \
    estimator on the matrix products of the crate gemm. With --threads N networks are measured on one thread and on N, a lattice of swendsen-wang from side 1024 on, and of metropolis and heat-bath where it is \
    cut into strips enough (16384, or what --side says), is shared by all threads, \
    and `scaling` tells how much more N threads do than one; `mpirun -n N kadanoff bench scaling` tells how much more N ranks do. \
    The column `machine` says how fast a fixed piece of work ran in turn with both, as a share of its best: well below 100 % other programs disturbed the row."
)]
pub struct BenchArguments {
    /// Which ones; by default all but mehta-schwab
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,

    /// One JSON object a line on stdout
    #[arg(long)]
    pub json: bool,

    /// Lattices of these sides, instead of the usual ones
    #[arg(long, value_name = "L", value_delimiter = ',')]
    pub side: Vec<usize>,

    /// Threads that work at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub threads: u16,
}

/// Measures and prints.
///
/// # Errors
/// An unknown name, or a result that turned out wrong.
pub fn run(arguments: &BenchArguments) -> Result<()> {
    let comm = comm::start()?;
    let speaks = comm.is_root();
    if comm.size() > 1 {
        super::run::start_threads(Some(arguments.threads))?;
    }
    if !arguments.json && speaks {
        crate::console::say(format_args!(
            "{:<14} {:>22} {:>7} {:>9} {:>16} {:>10} {:>10} {:>8} {:>8}  rival",
            "name", "size", "threads", "set", "unit", "median", "best", "ratio", "machine"
        ));
    }
    let mut written = Ok(());
    let request =
        crate::bench::Request { names: arguments.names.clone(), sides: arguments.side.clone(), threads: usize::from(arguments.threads) };
    crate::bench::run(&request, comm.as_ref(), &mut |row| {
        if !speaks {
            return;
        }
        if arguments.json {
            written = written.clone().and_then(|()| super::write_stdout(&format!("{}\n", serde_json::json!(row))));
        } else {
            let size = row.size.as_str().map_or_else(|| row.size.to_string(), str::to_string);
            let ratio = row.ratio.map_or_else(|| "-".to_string(), |ratio| format!("{ratio:.2}"));
            let rival = row.rival.as_deref().unwrap_or("-");
            crate::console::say(format_args!(
                "{:<14} {size:>22} {:>7} {:>9} {:>16} {:>10.4} {:>10.4} {ratio:>8} {:>6.0} %  {rival}",
                row.name,
                row.threads,
                row.instruction_set,
                row.unit,
                row.median,
                row.best,
                100.0 * row.machine
            ));
        }
    })?;
    written
}
