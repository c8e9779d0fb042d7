//! Wolff's algorithm, PRL 62, 361 (1989), one bond at a time.

use crate::error::Result;
use crate::lattice::Torus;
use crate::measure::Measurement;
use crate::random::{Purpose, Stream};
use crate::sampler::{
    Sampler, Start, bond_threshold, initial_configuration,
    snapshot::{Reader, TakeWords},
};
use crate::spins::Configuration;

/// A Wolff chain on spins +1 and -1, with the stream (seed, Reference, chain). A sweep is one cluster.
#[derive(Debug, Clone)]
pub struct ReferenceWolff {
    torus: Torus,
    spins: Vec<i8>,
    threshold: u64,
    stream: Stream,
}

impl ReferenceWolff {
    /// The chain number `chain` at coupling K = J / k_B T.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] if the coupling is negative or not finite.
    pub fn new(torus: impl Into<Torus>, coupling: f64, start: Start, seed: u64, chain: u64) -> Result<Self> {
        let torus = torus.into();
        let spins = super::unpacked(&initial_configuration(torus, start, seed, chain));
        Ok(ReferenceWolff { torus, spins, threshold: bond_threshold(coupling)?, stream: Stream::new(seed, Purpose::Reference, chain) })
    }
}

impl Sampler for ReferenceWolff {
    fn sweep(&mut self) -> u64 {
        let first = self.stream.below(self.torus.sites() as u64) as usize;
        let mut in_cluster = vec![false; self.torus.sites()];
        in_cluster[first] = true;
        let mut cluster = vec![first];
        // The list is the queue too: sites before `next` have tried all their bonds.
        let mut next = 0;
        while next < cluster.len() {
            let site = cluster[next];
            for neighbour in self.torus.neighbours(site) {
                if !in_cluster[neighbour] && self.spins[neighbour] == self.spins[site] && self.stream.word() < self.threshold {
                    in_cluster[neighbour] = true;
                    cluster.push(neighbour);
                }
            }
            next += 1;
        }
        for &site in &cluster {
            self.spins[site] = -self.spins[site];
        }
        cluster.len() as u64
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
