//! The command line: one file a subcommand, each with its arguments and what it does.

pub mod run;
