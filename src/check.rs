//! `kadanoff check`: does this machine and this build compute correctly? Every kernel on every instruction set the processor has, exact identities, known answers.
//!
//! A user runs it on the node where the job will run. Each check can fail: it compares two computations that share no code, or one with a published number.
//! With a run directory it asks whether the files there are what kadanoff wrote: [`directory`].

pub mod directory;
mod files;
mod kernels;
mod known;

use crate::error::{Error, Result};

/// One question with its answer.
#[derive(Clone, Copy)]
pub struct Check {
    /// What is asked, in words.
    pub question: &'static str,
    /// Finds out: what was compared, or the sentence that says how it failed.
    pub answer: fn() -> std::result::Result<String, String>,
}

/// All checks, quick ones first.
pub fn all() -> Vec<Check> {
    [kernels::CHECKS, known::CHECKS, files::CHECKS].concat()
}

/// Asks all questions and tells each answer as it comes: (question, answer).
///
/// # Errors
/// [`Error::Bug`] naming how many checks failed.
pub fn run(tell: &mut dyn FnMut(&str, &std::result::Result<String, String>)) -> Result<()> {
    let mut failed = 0;
    let checks = all();
    for check in &checks {
        let answer = (check.answer)();
        failed += usize::from(answer.is_err());
        tell(check.question, &answer);
    }
    if failed == 0 {
        Ok(())
    } else {
        Err(Error::Bug(format!("{failed} of {} checks failed: do not trust results of this machine and build.", checks.len())))
    }
}

/// Fails with a sentence unless a number is within a tolerance of what it should be.
fn close(what: &str, found: f64, expected: f64, tolerance: f64) -> std::result::Result<(), String> {
    if (found - expected).abs() <= tolerance { Ok(()) } else { Err(format!("{what} is {found}, not {expected} within {tolerance:e}")) }
}

/// Any error of the program as the sentence of a failed check.
fn sentence(error: impl std::fmt::Display) -> String {
    error.to_string()
}
