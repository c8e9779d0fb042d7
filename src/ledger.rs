//! What long work tells whoever waits for it: how far it is, and what it could go on from if it were interrupted. Physics writes into a [`Ledger`] without knowing who reads it; the stage
//! `[renormalize]` puts the notes into checkpoints. Everything here may be left out ([`Nobody`]): notes never change a result.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Takes the notes of calculations, from any thread.
pub trait Ledger: Sync {
    /// So much more work is done, in steps of one chain.
    fn advance(&self, work: u64);

    /// What a calculation of this name kept, in this process or an earlier one.
    fn found(&self, name: &str) -> Option<Vec<u64>>;

    /// Keeps the state or the result of the calculation `name`, in the place of what was kept before.
    fn keep(&self, name: &str, words: Vec<u64>);

    /// How often states were asked for, who works on something, and who has answered.
    fn calls(&self) -> Option<&Calls> {
        None
    }
}

/// The numbers that a calculation of this name kept, or that are calculated now and kept.
pub fn kept_numbers(ledger: &dyn Ledger, name: &str, calculate: impl FnOnce() -> Vec<f64>) -> Vec<f64> {
    if let Some(words) = ledger.found(name) {
        return words.into_iter().map(f64::from_bits).collect();
    }
    let numbers = calculate();
    ledger.keep(name, numbers.iter().map(|number| number.to_bits()).collect());
    numbers
}

/// Nobody waits.
pub struct Nobody;

impl Ledger for Nobody {
    fn advance(&self, _work: u64) {}

    fn found(&self, _name: &str) -> Option<Vec<u64>> {
        None
    }

    fn keep(&self, _name: &str, _words: Vec<u64>) {}
}

/// The calls for states, and the answers.
#[derive(Debug, Default)]
pub struct Calls {
    asked: AtomicU64,
    at_work: AtomicUsize,
    answers: AtomicUsize,
}

impl Calls {
    /// Asks all calculations on their way for their states.
    pub fn ask(&self) {
        self.answers.store(0, Ordering::SeqCst);
        self.asked.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether all that are at work have answered.
    pub fn are_answered(&self) -> bool {
        self.answers.load(Ordering::SeqCst) >= self.at_work.load(Ordering::SeqCst)
    }
}

/// One calculation on its way.
pub struct Entry<'a> {
    ledger: &'a dyn Ledger,
    name: String,
    answered: u64,
}

impl<'a> Entry<'a> {
    /// At the beginning.
    pub fn new(ledger: &'a dyn Ledger, name: String) -> Self {
        let answered = ledger.calls().map_or(0, |calls| {
            calls.at_work.fetch_add(1, Ordering::SeqCst);
            calls.asked.load(Ordering::SeqCst)
        });
        Entry { ledger, name, answered }
    }

    /// What it kept.
    pub fn found(&self) -> Option<Vec<u64>> {
        self.ledger.found(&self.name)
    }

    /// After `work` more: keeps the state if somebody asked for it since the last answer.
    pub fn step(&mut self, work: u64, state: impl FnOnce() -> Vec<u64>) {
        self.ledger.advance(work);
        let Some(calls) = self.ledger.calls() else { return };
        let asked = calls.asked.load(Ordering::Relaxed);
        if asked != self.answered {
            self.answered = asked;
            self.ledger.keep(&self.name, state());
            calls.answers.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Keeps the result.
    pub fn finish(self, result: impl FnOnce() -> Vec<u64>) {
        if self.ledger.calls().is_some() {
            self.ledger.keep(&self.name, result());
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        if let Some(calls) = self.ledger.calls() {
            calls.at_work.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
