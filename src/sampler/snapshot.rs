//! Writing a snapshot of a chain piece by piece, reading it word by word, and the proof that a restart changes nothing: see the tests below.

use crate::error::{Error, Result};
use crate::kernels::byte_queue::ByteQueue;
use crate::kernels::generator::Lanes;
use crate::kernels::local_update::Source;
use crate::lattice::Torus;
use crate::random::{LaneStream, Stream};
use crate::spins::{Configuration, WORD_BITS};

/// Whoever is handed words, piece by piece in order. A piece may be empty.
pub type TakeWords<'a> = dyn FnMut(&[u64]) + 'a;

/// The words of a snapshot that have not been read yet.
pub struct Reader<'a> {
    rest: &'a [u64],
}

impl<'a> Reader<'a> {
    /// All words of a snapshot.
    pub fn new(words: &'a [u64]) -> Self {
        Reader { rest: words }
    }

    /// The next `count` words.
    ///
    /// # Errors
    /// [`Error::Refused`] if there are not as many.
    pub fn words(&mut self, count: usize) -> Result<&'a [u64]> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or_else(misfit)?;
        self.rest = rest;
        Ok(head)
    }

    /// The next word.
    ///
    /// # Errors
    /// As for [`Self::words`].
    pub fn word(&mut self) -> Result<u64> {
        Ok(self.words(1)?[0])
    }

    /// The next word as a count of at most `most` things.
    ///
    /// # Errors
    /// As for [`Self::words`], and if the count is larger.
    pub fn count(&mut self, most: usize) -> Result<usize> {
        usize::try_from(self.word()?).ok().filter(|&count| count <= most).ok_or_else(misfit)
    }

    /// The state of a lane stream.
    ///
    /// # Errors
    /// As for [`Self::words`].
    pub fn lanes(&mut self) -> Result<LaneStream> {
        let words = self.words(LaneStream::STATE_WORDS)?.first_chunk().ok_or_else(misfit)?;
        Ok(LaneStream::from_state(words))
    }

    /// The state of a scalar stream.
    ///
    /// # Errors
    /// As for [`Self::words`].
    pub fn stream(&mut self) -> Result<Stream> {
        self.words(4)?.first_chunk().map(|state| Stream::from_state(*state)).ok_or_else(misfit)
    }

    /// A queue of random bytes.
    ///
    /// # Errors
    /// As for [`Self::words`].
    pub fn queue(&mut self) -> Result<ByteQueue> {
        let (queue, used) = ByteQueue::from_words(self.rest).ok_or_else(misfit)?;
        self.rest = &self.rest[used..];
        Ok(queue)
    }

    /// What [`put_source`] wrote.
    ///
    /// # Errors
    /// As for [`Self::words`].
    pub fn source(&mut self) -> Result<Source> {
        Ok(Source { lanes: self.lanes()?.lanes, queues: [self.queue()?, self.queue()?] })
    }

    /// The words of a configuration.
    ///
    /// # Errors
    /// As for [`Self::words`].
    pub fn configuration(&mut self, torus: impl Into<Torus>) -> Result<Configuration> {
        let torus = torus.into();
        Ok(Configuration::from_words(torus, self.words(torus.sites().div_ceil(WORD_BITS))?.to_vec()))
    }

    /// All words that are left.
    pub fn rest(self) -> &'a [u64] {
        self.rest
    }

    /// Says that the snapshot ends here.
    ///
    /// # Errors
    /// [`Error::Refused`] if it does not.
    pub fn end(self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(misfit()) }
    }
}

/// Hands over a source of random bits: the state of its lanes, then what waits in its queues.
pub fn put_source(lanes: Lanes, queues: &[ByteQueue], take: &mut TakeWords) {
    take(&LaneStream { lanes }.state());
    queues.iter().for_each(|queue| take(&queue.words()));
}

/// Hands over words that lie nowhere side by side.
pub fn put_each(words: impl IntoIterator<Item = u64>, take: &mut TakeWords) {
    const AT_ONCE: usize = 512;
    let (mut some, mut count) = ([0; AT_ONCE], 0);
    for word in words {
        some[count] = word;
        count += 1;
        if count == AT_ONCE {
            take(&some);
            count = 0;
        }
    }
    take(&some[..count]);
}

fn misfit() -> Error {
    Error::Refused("the snapshot of a chain does not fit its algorithm and size: it belongs to another run".to_string())
}

#[cfg(test)]
mod tests {
    use super::super::domains::DomainUpdate;
    use super::super::{HeatBath, Metropolis, Sampler, SiteClusters, Start, SwendsenWang, Wolff, reference};
    use crate::kernels::InstructionSet;
    use crate::kernels::domains::{ChainMetropolis, CubicHeatBath};
    use crate::lattice::{Geometry, SquareTorus, Torus};
    use crate::measure::{Measurement, Observer};

    const STEPS: usize = 20;
    /// Sweeps before the end of thermalization.
    const THERMALIZATION: usize = 7;

    fn step(chain: &mut dyn Sampler, number: usize) -> (u64, Measurement) {
        if number == THERMALIZATION {
            chain.end_thermalization();
        }
        (chain.sweep(), chain.measure())
    }

    /// Restarts at every split of a run of 20 sweeps, on every instruction set, and asks for the undisturbed run: work, measurements, last configuration, and
    /// the last snapshot, in which all random streams are.
    fn survives_every_split(name: &str, make: &dyn Fn(InstructionSet) -> Box<dyn Sampler>) {
        let mut undisturbed = make(InstructionSet::PORTABLE);
        let mut snapshots = vec![undisturbed.snapshot()];
        let mut steps = Vec::new();
        for number in 0..STEPS {
            steps.push(step(undisturbed.as_mut(), number));
            snapshots.push(undisturbed.snapshot());
        }
        for set in InstructionSet::available() {
            for (split, snapshot) in snapshots.iter().enumerate() {
                let mut chain = make(set);
                // A sampler with a past: nothing of it may stay.
                chain.sweep();
                chain.end_thermalization();
                chain.restore(snapshot).unwrap();
                assert_eq!(&chain.snapshot(), snapshot, "{name}, {set}, split {split}");
                for number in split..STEPS {
                    assert_eq!(step(chain.as_mut(), number), steps[number], "{name}, {set}, split {split}, sweep {number}");
                }
                assert_eq!(chain.snapshot(), snapshots[STEPS], "{name}, {set}, split {split}");
                assert_eq!(chain.configuration(), undisturbed.configuration(), "{name}, {set}, split {split}");
            }
        }
        let words = &snapshots[STEPS];
        for damaged in [&words[..words.len() - 1], &[words.as_slice(), &[0]].concat(), &[]] {
            assert!(make(InstructionSet::PORTABLE).restore(damaged).is_err(), "{name}: {} words for {}", damaged.len(), words.len());
        }
    }

    #[test]
    fn a_restart_at_every_split_leaves_no_trace() {
        for side in [3, 4, 7, 8, 12, 36, 64, 66, 100, 129, 200] {
            let torus = SquareTorus::new(side).unwrap();
            for (start, coupling) in [(Start::Hot, 0.2), (Start::Cold, 0.44)] {
                let name = |algorithm: &str| format!("{algorithm}, side {side}, K {coupling}");
                if torus.is_bipartite() {
                    survives_every_split(&name("metropolis"), &|set| {
                        Box::new(Metropolis::new(torus, coupling, start, 14103831, 3).unwrap().with_instruction_set(set))
                    });
                    survives_every_split(&name("heat-bath"), &|set| {
                        Box::new(HeatBath::new(torus, coupling, start, 14103831, 3).unwrap().with_instruction_set(set))
                    });
                }
                survives_every_split(&name("swendsen-wang"), &|set| {
                    Box::new(SwendsenWang::with_instruction_set(set, torus, coupling, start, 14103831, 3).unwrap())
                });
                survives_every_split(&name("wolff"), &|set| {
                    Box::new(Wolff::with_instruction_set(set, torus, coupling, start, 14103831, 3).unwrap())
                });
            }
        }
    }

    /// A sweep of this lattice asks once or more whether it is to be left; it is, each time, and goes on in another chain.
    #[test]
    fn a_sweep_that_was_left_goes_on_with_the_same_bits() {
        let torus = SquareTorus::new(600).unwrap();
        let make = || Wolff::new(torus, 0.44, Start::Hot, 14103831, 3).unwrap();
        let (mut whole, mut pieces, mut left) = (make(), make(), 0);
        for sweep in 0..8 {
            if sweep == 4 {
                whole.end_thermalization();
                pieces.end_thermalization();
            }
            let flipped = loop {
                if let Some(flipped) = pieces.sweep_unless(&mut || true) {
                    break flipped;
                }
                left += 1;
                let mut other = make();
                other.restore(&pieces.snapshot()).unwrap();
                pieces = other;
            };
            assert_eq!(flipped, whole.sweep());
            assert_eq!(pieces.snapshot(), whole.snapshot());
        }
        assert!(left >= 4, "{left}");
    }

    #[test]
    fn a_restart_on_other_lattices_leaves_no_trace() {
        for (geometry, side) in
            [(Geometry::Chain, 3), (Geometry::Chain, 70), (Geometry::Cubic, 3), (Geometry::Cubic, 6), (Geometry::Cubic, 16)]
        {
            let torus = Torus::new(geometry, side).unwrap();
            let name = |algorithm: &str| format!("{algorithm}, {geometry}, side {side}");
            survives_every_split(&name("swendsen-wang"), &|set| {
                Box::new(SiteClusters::new(torus, 0.3, Start::Hot, 14103831, 3).unwrap().with_instruction_set(set))
            });
            survives_every_split(&name("wolff"), &|set| {
                Box::new(Wolff::with_instruction_set(set, torus, 0.3, Start::Hot, 14103831, 3).unwrap())
            });
            if !torus.is_bipartite() {
                continue;
            }
            if geometry == Geometry::Chain {
                survives_every_split(&name("metropolis"), &|set| {
                    Box::new(DomainUpdate::<ChainMetropolis>::new(torus, 0.3, Start::Hot, 1, 3).unwrap().with_instruction_set(set))
                });
            } else {
                survives_every_split(&name("heat-bath"), &|set| {
                    Box::new(DomainUpdate::<CubicHeatBath>::new(torus, 0.3, Start::Hot, 1, 3).unwrap().with_instruction_set(set))
                });
            }
        }
    }

    #[test]
    fn columns_rows_and_waves_are_those_of_the_configuration() {
        for side in
            [3, 4, 5, 6, 7, 8, 10, 12, 16, 30, 40, 64, 66, 100, 126, 129, 200, 250, 256, 500, 900, 962, 1000, 1022, 1024, 1026, 1930, 2048]
        {
            let torus = SquareTorus::new(side).unwrap();
            for set in InstructionSet::available() {
                let mut chains: Vec<Box<dyn Sampler>> = Vec::new();
                if torus.is_bipartite() {
                    chains.push(Box::new(Metropolis::new(torus, 0.3, Start::Hot, 5, 1).unwrap().with_instruction_set(set)));
                    chains.push(Box::new(Metropolis::new(torus, 0.3, Start::Cold, 5, 2).unwrap().with_instruction_set(set)));
                }
                chains.push(Box::new(SwendsenWang::with_instruction_set(set, torus, 0.43, Start::Hot, 5, 1).unwrap()));
                chains.push(Box::new(Wolff::with_instruction_set(set, torus, 0.43, Start::Hot, 5, 1).unwrap()));
                for chain in &mut chains {
                    if side < 300 {
                        chain.sweep();
                    }
                    let mut observer = Observer::new(torus);
                    let configuration = chain.configuration();
                    // Twice: what a measurement leaves behind may not enter the next.
                    for _ in 0..2 {
                        let (measurement, power) = chain.observe(&mut observer);
                        assert_eq!(
                            (measurement.energy, measurement.magnetization),
                            (configuration.energy(), configuration.magnetization()),
                            "side {side}, {set}"
                        );
                        let (mut columns, mut rows) = (vec![0u32; side], vec![0u32; side]);
                        for site in configuration.bits().iter_ones() {
                            let (x, y) = torus.coordinates(site);
                            columns[x] += 1;
                            rows[y] += 1;
                        }
                        assert_eq!((&observer.counters.columns, &observer.counters.rows), (&columns, &rows), "side {side}, {set}");
                        let modulus = |counts: &[u32]| {
                            let phase = |place: usize| std::f64::consts::TAU * place as f64 / side as f64;
                            let (mut real, mut imaginary) = (0.0, 0.0);
                            for (place, &up) in counts.iter().enumerate() {
                                let magnetization = 2.0 * f64::from(up) - side as f64;
                                real += magnetization * phase(place).cos();
                                imaginary += magnetization * phase(place).sin();
                            }
                            real * real + imaginary * imaginary
                        };
                        let expected = 0.5 * (modulus(&columns) + modulus(&rows));
                        assert!(
                            (power - expected).abs() < 1e-10 * (torus.sites() as f64 + expected),
                            "side {side}, {set}: {power} {expected}"
                        );
                        assert_eq!(power.to_bits(), observer.wave_power(InstructionSet::PORTABLE).to_bits());
                    }
                }
            }
        }
    }

    #[test]
    fn the_references_go_on_as_well() {
        let torus = SquareTorus::new(8).unwrap();
        survives_every_split("reference metropolis", &|_| Box::new(reference::Metropolis::new(torus, 0.4, Start::Hot, 2, 1).unwrap()));
        survives_every_split("reference heat-bath", &|_| Box::new(reference::HeatBath::new(torus, 0.4, Start::Hot, 2, 1).unwrap()));
        survives_every_split("reference swendsen-wang", &|_| {
            Box::new(reference::swendsen_wang::ReferenceSwendsenWang::new(torus, 0.4, Start::Hot, 2, 1).unwrap())
        });
        survives_every_split("reference wolff", &|_| {
            Box::new(reference::wolff::ReferenceWolff::new(torus, 0.4, Start::Hot, 2, 1).unwrap())
        });
    }
}
