//! `kadanoff export DIR --to FORMAT`: what a run has left, for other programs.

use crate::error::Result;
use std::path::PathBuf;

/// Write configurations and network of a run in the format of another program
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Formats:\n  rbms   HDF5 as the Python package rbms (0.6) loads it, one layer a file: rbms.io.load_model(FILE, UPDATE, device, dtype); UPDATE is the number of epochs\n  \
    numpy  an .npz with configurations_L40_K0.408 (one byte a spin, 1 = up, one row a configuration), chain_..., draw_..., layer1_weights, layer1_visible_bias, layer1_hidden_bias, ...;\n         networks beside the main one, in the order of network.h5, as network1_layer1_weights, ...\n\n\
    Examples:\n  kadanoff export runs/quickstart --to numpy\n  kadanoff export runs/quickstart --to rbms --layer 2 --out second.h5"
)]
pub struct ExportArguments {
    /// The run directory
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,

    /// The format
    #[arg(long, value_name = "FORMAT")]
    pub to: Format,

    /// The layer of the main network, from 1, for rbms
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub layer: usize,

    /// The file; by default in DIR: rbms-layerN.h5 or run.npz
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// A format of other programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The Python package rbms.
    Rbms,
    /// numpy's .npz.
    Numpy,
}

/// Reads the files of the run, verifies them, and writes the other one.
///
/// # Errors
/// Nothing to export; damaged files; a file that cannot be written.
pub fn run(arguments: &ExportArguments) -> Result<()> {
    let (directory, out) = (&arguments.directory, arguments.out.as_deref());
    match arguments.to {
        Format::Rbms => {
            let (file, update) = crate::run::export::to_rbms(directory, arguments.layer, out)?;
            crate::console::say(format_args!("{} holds layer {} as update {update}", file.display(), arguments.layer));
        }
        Format::Numpy => {
            let (file, beside) = crate::run::export::to_numpy(directory, out)?;
            crate::console::say(format_args!("{} is written", file.display()));
            beside.iter().for_each(|network| crate::console::say(format_args!("{network}")));
        }
    }
    Ok(())
}
