//! Swendsen and Wang's algorithm, PRL 58, 86 (1987), one bond at a time, on any torus and with random numbers of its own.

use super::root;
use crate::error::Result;
use crate::lattice::Torus;
use crate::measure::Measurement;
use crate::random::{Purpose, Stream};
use crate::sampler::{
    Sampler, Start, bond_threshold, initial_configuration,
    snapshot::{Reader, TakeWords},
};
use crate::spins::Configuration;

/// A Swendsen-Wang chain on spins +1 and -1, with the stream (seed, Reference, chain).
#[derive(Debug, Clone)]
pub struct TorusSwendsenWang {
    torus: Torus,
    spins: Vec<i8>,
    threshold: u64,
    stream: Stream,
}

impl TorusSwendsenWang {
    /// The chain number `chain` at coupling K = J / k_B T.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] if the coupling is negative or not finite.
    pub fn new(torus: impl Into<Torus>, coupling: f64, start: Start, seed: u64, chain: u64) -> Result<Self> {
        let torus = torus.into();
        let spins = super::unpacked(&initial_configuration(torus, start, seed, chain));
        Ok(TorusSwendsenWang { torus, spins, threshold: bond_threshold(coupling)?, stream: Stream::new(seed, Purpose::Reference, chain) })
    }
}

impl Sampler for TorusSwendsenWang {
    fn sweep(&mut self) -> u64 {
        let sites = self.torus.sites();
        let mut parents: Vec<usize> = (0..sites).collect();
        for site in 0..sites {
            for axis in 0..self.torus.dimension() {
                let neighbour = self.torus.next(site, axis);
                if self.spins[site] == self.spins[neighbour] && self.stream.word() < self.threshold {
                    let (first, second) = (root(&parents, site), root(&parents, neighbour));
                    parents[first.max(second)] = first.min(second);
                }
            }
        }
        // A root is the first site of its cluster, so that its new spin is drawn before the others read it.
        for site in 0..sites {
            let first = root(&parents, site);
            self.spins[site] = if first == site { 1 - 2 * (self.stream.word() >> 63) as i8 } else { self.spins[first] };
        }
        sites as u64
    }

    fn measure(&self) -> Measurement {
        super::count(&self.configuration())
    }

    fn configuration(&self) -> Configuration {
        super::packed(self.torus, &self.spins)
    }

    /// The state of the stream, then the configuration.
    fn put_snapshot(&self, take: &mut TakeWords) {
        take(&self.stream.state());
        take(self.configuration().words());
    }

    fn restore(&mut self, words: &[u64]) -> Result<()> {
        let mut reader = Reader::new(words);
        self.stream = reader.stream()?;
        self.spins = super::unpacked(&reader.configuration(self.torus)?);
        reader.end()
    }
}
