//! The one error type of the program: sentences for people, exit codes for scripts.
//!
//! Each variant is one exit code. The text says what happened, where (file, key, line, numbers) and what to do about it; it is written where the
//! failure is understood, not where it is printed.

use std::path::Path;

/// Why a command could not do what was asked. The exit codes are part of the contract with job scripts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The command line or the run file asks for something that cannot be done (exit code 2). All mistakes of one run file come together.
    #[error("{0}")]
    Usage(String),
    /// A file is corrupt, foreign, or belongs to another run; it was not used and not changed (exit code 3).
    #[error("{0}")]
    Refused(String),
    /// Reading or writing failed (exit code 4).
    #[error("{0}")]
    InputOutput(String),
    /// A number of the calculation stopped being finite (exit code 5).
    #[error("{0}")]
    NotFinite(String),
    /// Stopped cleanly with work left; the same command goes on from there (exit code 75).
    #[error("{0}")]
    Stopped(String),
    /// A promise of the program to itself was broken (exit code 70).
    #[error("{0}")]
    Bug(String),
}

/// The result of anything that can fail.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// The exit code of the process that ends with this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Refused(_) => 3,
            Error::InputOutput(_) => 4,
            Error::NotFinite(_) => 5,
            Error::Bug(_) => 70,
            Error::Stopped(_) => 75,
        }
    }

    /// An [`Error::InputOutput`] that names the file and what was being done to it, as in "cannot write results.h5: disk full".
    pub fn file(doing: &str, path: &Path, why: impl std::fmt::Display) -> Error {
        Error::InputOutput(format!("cannot {doing} {}: {why}", path.display()))
    }

    /// The same kind of error with more words: ranks exchange errors as (exit code, sentence) and rebuild them with this.
    pub fn from_exit_code(code: u8, sentence: String) -> Error {
        match code {
            2 => Error::Usage(sentence),
            3 => Error::Refused(sentence),
            4 => Error::InputOutput(sentence),
            5 => Error::NotFinite(sentence),
            75 => Error::Stopped(sentence),
            _ => Error::Bug(sentence),
        }
    }
}
