//! Checkerboard Metropolis of one large lattice (Metropolis et al., J. Chem. Phys. 21, 1087 (1953)): all sites of one colour, then all of the other.
//!
//! The update itself, with the exact meaning of every random bit, is in [`crate::kernels::metropolis`]; the layout of the spins in
//! [`crate::spins::checkerboard`]; the same chain written for the eye in [`super::reference::Metropolis`].

use super::{Sampler, Start, snapshot::Reader, start::initial_configuration};
use crate::error::{Error, Result};
use crate::kernels::InstructionSet;
use crate::kernels::metropolis::{Thresholds, update_rows};
use crate::lattice::SquareTorus;
use crate::measure::{Measurement, Observer};
use crate::random::{LaneStream, Purpose};
use crate::spins::{Configuration, checkerboard::Checkerboard};

/// One chain at one coupling.
#[derive(Debug, Clone)]
pub struct Metropolis {
    board: Checkerboard,
    thresholds: Thresholds,
    stream: LaneStream,
    instruction_set: InstructionSet,
}

impl Metropolis {
    /// The chain number `chain` at the coupling K = J / k_B T. Its random numbers are the lane stream (seed, Metropolis, chain).
    ///
    /// # Errors
    /// [`Error::Usage`] for a lattice of odd side, or a coupling that is negative or not finite.
    pub fn new(torus: SquareTorus, coupling: f64, start: Start, seed: u64, chain: u64) -> Result<Self> {
        refuse_unfit(torus, coupling)?;
        Ok(Metropolis {
            board: Checkerboard::new(&initial_configuration(torus, start, seed, chain)),
            thresholds: Thresholds::new(coupling),
            stream: LaneStream::new(seed, Purpose::Metropolis, chain),
            instruction_set: InstructionSet::chosen(),
        })
    }

    /// The same chain, run on another instruction set; the results do not depend on it.
    pub fn with_instruction_set(self, instruction_set: InstructionSet) -> Self {
        Metropolis { instruction_set, ..self }
    }

    /// The random stream, where the next sweep will go on.
    pub fn stream(&self) -> &LaneStream {
        &self.stream
    }
}

impl Sampler for Metropolis {
    fn sweep(&mut self) -> u64 {
        for colour in 0..2 {
            let lanes = &mut self.stream.lanes;
            let (set, thresholds) = (self.instruction_set, self.thresholds);
            self.board.update_colour(colour, |own, other, rows, valid| update_rows(set, own, other, rows, valid, thresholds, lanes));
        }
        self.board.torus().sites() as u64
    }

    fn measure(&self) -> Measurement {
        self.board.measure(self.instruction_set)
    }

    fn observe(&self, observer: &mut Observer) -> (Measurement, f64) {
        let measurement = self.board.observe(self.instruction_set, observer);
        (measurement, observer.wave_power(self.instruction_set))
    }

    fn configuration(&self) -> Configuration {
        self.board.configuration()
    }

    /// The state of the lanes, then the lines of both colours.
    fn snapshot(&self) -> Vec<u64> {
        [self.stream.state().as_slice(), &self.board.words()].concat()
    }

    fn restore(&mut self, words: &[u64]) -> Result<()> {
        let mut reader = Reader::new(words);
        self.stream = reader.lanes()?;
        self.board.set_words(reader.words(self.board.word_count())?);
        reader.end()
    }
}

/// Says why a checkerboard chain cannot run here.
pub(super) fn refuse_unfit(torus: SquareTorus, coupling: f64) -> Result<()> {
    if !torus.is_bipartite() {
        return Err(Error::Usage(format!(
            "a lattice of side {} has no checkerboard, which the metropolis algorithm needs: write an even side, or algorithm = \"swendsen-wang\"",
            torus.side()
        )));
    }
    if !(coupling.is_finite() && coupling >= 0.0) {
        return Err(Error::Usage(format!(
            "the coupling K = {coupling} is not that of a ferromagnet: write a finite number, zero or larger (the critical one is 0.44068679350977)"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::reference;
    use super::*;

    /// Spin by spin and random word by random word, on each instruction set, against the sampler that moves one spin at a time. The sides have rows
    /// shorter than a word, of whole words, with clear slots, several rows a block, several blocks a row, and groups that end inside a row.
    #[test]
    fn every_instruction_set_gives_the_chain_of_the_reference() {
        for (side, sweeps) in [
            (4, 300),
            (6, 300),
            (8, 100),
            (10, 100),
            (12, 50),
            (14, 50),
            (32, 20),
            (36, 20),
            (40, 20),
            (64, 20),
            (96, 10),
            (100, 10),
            (126, 10),
            (128, 10),
            (130, 10),
            (250, 6),
            (1022, 1),
            (1024, 1),
        ] {
            let torus = SquareTorus::new(side).expect("a valid side");
            for (chain, coupling) in [(0, 0.2), (1, 0.44), (2, 0.0)] {
                if side > 1000 && chain != 1 {
                    continue;
                }
                let start = if chain == 1 { Start::Cold } else { Start::Hot };
                let mut reference = reference::Metropolis::new(torus, coupling, start, 14103831, chain).expect("a fit lattice");
                let mut chains: Vec<Metropolis> = InstructionSet::available()
                    .into_iter()
                    .map(|set| Metropolis::new(torus, coupling, start, 14103831, chain).expect("a fit lattice").with_instruction_set(set))
                    .collect();
                for sweep in 0..sweeps {
                    reference.sweep();
                    for fast in &mut chains {
                        assert_eq!(fast.sweep(), torus.sites() as u64);
                        assert_eq!(
                            fast.configuration(),
                            reference.configuration(),
                            "{}, side {side}, K {coupling}, sweep {sweep}",
                            fast.instruction_set
                        );
                        assert_eq!(fast.measure(), reference.measure());
                        assert_eq!(fast.stream().clone().words(), reference.next_words(), "{}, side {side}", fast.instruction_set);
                    }
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_sampled_is_refused_in_words() {
        let odd = SquareTorus::new(5).expect("a valid side");
        let even = SquareTorus::new(6).expect("a valid side");
        assert!(Metropolis::new(odd, 0.4, Start::Hot, 1, 0).is_err_and(|error| error.to_string().contains("even side")));
        for coupling in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(Metropolis::new(even, coupling, Start::Hot, 1, 0).is_err_and(|error| error.to_string().contains("coupling")));
        }
    }
}
