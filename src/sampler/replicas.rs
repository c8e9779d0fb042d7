//! 512 chains of one coupling across the bits of a word, moved by checkerboard Metropolis (Metropolis et al., J. Chem. Phys. 21, 1087 (1953)). They share a
//! word, not a random number: every spin of every replica has its own bits, so that the 512 are as independent as chains that run one after the other.
//!
//! The update itself is in [`crate::kernels::replicas`], the layout in [`crate::spins::replicas`], the same chains written for the eye in
//! [`super::reference::replicas`]. A ladder of couplings that exchange replicas is in [`super::tempering`].

use super::{
    Start,
    local_update::refuse_unfit,
    snapshot::{Reader, TakeWords, put_source},
};
use crate::error::{Error, Result};
use crate::kernels::InstructionSet;
use crate::kernels::local_update::{Laws, Rule, Source};
use crate::kernels::metropolis::Metropolis;
use crate::kernels::replicas::{Lattices, REPLICAS, Word, exchange_and_sweep, sweep};
use crate::kernels::vector::{BLOCK, Block};
use crate::kernels::vertical_counter::{DIGITS, values};
use crate::lattice::SquareTorus;
use crate::measure::Measurement;
use crate::random::{LaneStream, Purpose};
use crate::spins::{Configuration, replicas::Replicas};

/// The largest side: 16 MiB a coupling.
pub const LARGEST_SIDE: usize = 512;

/// 512 chains at one coupling.
#[derive(Debug, Clone)]
pub struct ReplicaGroup {
    replicas: Replicas,
    laws: Laws,
    source: Source,
    unsatisfied: Box<[Block; DIGITS]>,
    /// Whether `unsatisfied` is that of the present spins.
    is_counted: bool,
    instruction_set: InstructionSet,
}

impl ReplicaGroup {
    /// The group number `group` of a run, at the coupling K = J / k_B T. Its random numbers are the lane stream (seed, Replicas, group). A hot start takes one step
    /// of it a site, in site order; a replica in which every site has exactly two unsatisfied bonds begins with all spins up instead, because it would never leave such states
    /// (all its spins flip in every sweep; 36 of the 65,536 states of the 4 x 4 torus are of that kind, and next to none of a larger one).
    ///
    /// # Errors
    /// [`Error::Usage`] for a lattice of odd side or a side above [`LARGEST_SIDE`], or a coupling that is negative, not finite or too small for
    /// Metropolis's rule ([`super::local_update::refuse_too_hot`]).
    pub fn new(torus: SquareTorus, coupling: f64, start: Start, seed: u64, group: u64) -> Result<Self> {
        refuse_unfit("metropolis", torus, coupling)?;
        if torus.side() > LARGEST_SIDE {
            return Err(Error::Usage(format!(
                "a lattice of side {} is too large to have 512 of them across the bits: write a side up to {LARGEST_SIDE}, or layout = \"lattice\" without tempering",
                torus.side()
            )));
        }
        let mut stream = LaneStream::new(seed, Purpose::Replicas, group);
        let mut replicas = Replicas::all_up(torus);
        if start == Start::Hot {
            replicas.words_mut().iter_mut().for_each(|word| word.0 = stream.words());
            let stuck = replicas.balanced();
            replicas.words_mut().iter_mut().for_each(|word| word.0.iter_mut().zip(stuck.0).for_each(|(word, stuck)| *word |= stuck));
        }
        let instruction_set = InstructionSet::chosen();
        let unsatisfied = Box::new(replicas.unsatisfied(instruction_set));
        Ok(ReplicaGroup {
            replicas,
            laws: Metropolis::laws(coupling),
            source: Source::new(stream.lanes),
            unsatisfied,
            is_counted: true,
            instruction_set,
        })
    }

    /// The same chains, run on another instruction set; the results do not depend on it.
    #[must_use]
    pub fn with_instruction_set(self, instruction_set: InstructionSet) -> Self {
        ReplicaGroup { instruction_set, ..self }
    }

    /// One sweep of every replica.
    pub fn sweep(&mut self) {
        self.is_counted = false;
        sweep(self.instruction_set, &mut self.lattices(), false);
    }

    /// One sweep of every replica, with the energies on the way: cheaper than to count them afterwards.
    pub fn sweep_counted(&mut self) {
        self.is_counted = true;
        sweep(self.instruction_set, &mut self.lattices(), true);
    }

    /// Swaps the replicas of `mask` between two groups, then does one sweep of both.
    pub fn exchange_and_sweep(&mut self, upper: &mut ReplicaGroup, mask: &Word) {
        let set = self.instruction_set;
        (self.is_counted, upper.is_counted) = (true, true);
        exchange_and_sweep(set, &mut [self.lattices(), upper.lattices()], mask);
    }

    fn lattices(&mut self) -> Lattices<'_> {
        let side = self.replicas.torus().side();
        Lattices { words: self.replicas.words_mut(), side, laws: &self.laws, source: &mut self.source, unsatisfied: &mut self.unsatisfied }
    }

    /// The unsatisfied bonds of every replica: E = 2 unsatisfied - 2N.
    pub fn unsatisfied(&self) -> [u32; REPLICAS] {
        let mut counts = [0; REPLICAS];
        if self.is_counted {
            values(self.instruction_set, &self.unsatisfied, &mut counts);
        } else {
            values(self.instruction_set, &self.replicas.unsatisfied(self.instruction_set), &mut counts);
        }
        counts
    }

    /// Energy and magnetization of every replica.
    pub fn measurements(&self) -> Vec<Measurement> {
        let torus = self.replicas.torus();
        let (unsatisfied, up) = (self.unsatisfied(), self.replicas.up(self.instruction_set));
        let measurement = |(unsatisfied, up): (u32, u32)| Measurement {
            energy: 2 * i64::from(unsatisfied) - torus.bonds() as i64,
            magnetization: 2 * i64::from(up) - torus.sites() as i64,
        };
        unsatisfied.into_iter().zip(up).map(measurement).collect()
    }

    /// The present configuration of one replica.
    pub fn configuration(&self, replica: usize) -> Configuration {
        self.replicas.configuration(replica)
    }

    /// The words of the sites.
    pub fn words(&self) -> &[Word] {
        self.replicas.words()
    }

    /// The lattice.
    pub fn torus(&self) -> SquareTorus {
        self.replicas.torus()
    }

    /// The random stream, where the next sweep will go on.
    pub fn stream(&self) -> LaneStream {
        LaneStream { lanes: self.source.lanes }
    }

    /// Hands over all that the rest of the chains depends on: the state of the lanes, the queues, the words of the sites.
    pub fn put_snapshot(&self, take: &mut TakeWords) {
        put_source(self.source.lanes, &self.source.queues, take);
        self.replicas.words().iter().for_each(|word| take(&word.0));
    }

    /// Goes on from what [`Self::put_snapshot`] gave of a group of the same side and coupling.
    ///
    /// # Errors
    /// [`Error::Refused`] if the words do not fit.
    pub fn restore(&mut self, reader: &mut Reader) -> Result<()> {
        self.source = reader.source()?;
        let sites = self.replicas.torus().sites();
        for (site, words) in self.replicas.words_mut().iter_mut().zip(reader.words(sites * BLOCK)?.as_chunks().0) {
            site.0 = *words;
        }
        *self.unsatisfied = self.replicas.unsatisfied(self.instruction_set);
        self.is_counted = true;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::replicas::ReferenceReplicas;
    use super::super::tempering::Ladders;
    use super::*;

    fn torus(side: usize) -> SquareTorus {
        SquareTorus::new(side).expect("a valid side")
    }

    /// Spin by spin and measurement by measurement, and the same next random word.
    #[test]
    fn every_instruction_set_gives_the_replicas_of_the_reference() {
        for (side, coupling, start, sweeps) in [
            (4, 0.44, Start::Hot, 12),
            (6, 0.3, Start::Cold, 8),
            (6, 0.02, Start::Hot, 4),
            (10, 1e-3, Start::Hot, 2),
            (10, 1.2, Start::Hot, 3),
            (34, 0.44, Start::Cold, 2),
        ] {
            let torus = torus(side);
            let mut plain = ReferenceReplicas::new(torus, coupling, start, 14103831, 3).expect("a fit lattice");
            let make = |set| ReplicaGroup::new(torus, coupling, start, 14103831, 3).expect("a fit lattice").with_instruction_set(set);
            let mut groups: Vec<ReplicaGroup> = InstructionSet::available().into_iter().map(make).collect();
            for sweep in 0..sweeps {
                plain.sweep();
                let expected: Vec<Configuration> = (0..REPLICAS).map(|replica| plain.configuration(replica)).collect();
                for group in &mut groups {
                    if sweep % 2 == 0 {
                        group.sweep_counted()
                    } else {
                        group.sweep()
                    }
                    let measured = group.measurements();
                    for (replica, expected) in expected.iter().enumerate() {
                        let name = || format!("{}, side {side}, K {coupling}, sweep {sweep}, replica {replica}", group.instruction_set);
                        assert_eq!(&group.configuration(replica), expected, "{}", name());
                        assert_eq!(
                            (measured[replica].energy, measured[replica].magnetization),
                            (expected.energy(), expected.magnetization()),
                            "{}",
                            name()
                        );
                    }
                    assert_eq!(group.stream(), plain.stream());
                }
            }
        }
    }

    /// The whole state of ladders, over many sweeps, at sides with ends of rows and groups everywhere.
    #[test]
    fn every_instruction_set_gives_the_same_ladders() {
        for (side, sweeps) in [(4, 1000), (6, 1000), (30, 200), (64, 40), (100, 20), (126, 10), (128, 10), (130, 10), (510, 2)] {
            let couplings = [(0.40, 7), (0.42, 8), (0.44, 9), (0.46, 10), (0.6, 11)];
            let couplings = if side == 510 { &couplings[..2] } else { &couplings[..] };
            let run = |set| {
                let mut ladders =
                    Ladders::new(torus(side), couplings, Start::Cold, 5, 2, 300, 1).expect("a fit lattice").with_instruction_set(set);
                ladders.end_thermalization();
                (0..sweeps).for_each(|_| {
                    ladders.sweep();
                });
                ladders.snapshot()
            };
            let portable = run(InstructionSet::PORTABLE);
            for set in InstructionSet::available() {
                assert!(run(set) == portable, "{set}, side {side}");
            }
        }
    }

    #[test]
    fn a_restart_at_every_split_leaves_no_trace() {
        for (side, couplings) in [(4, vec![(0.3, 1), (0.35, 2), (0.4, 3)]), (20, vec![(0.44, 5)]), (18, vec![(0.44, 5), (0.45, 6)])] {
            let make =
                |set| Ladders::new(torus(side), &couplings, Start::Hot, 9, 4, 77, 2).expect("a fit lattice").with_instruction_set(set);
            let step = |ladders: &mut Ladders, number: usize| {
                if number == 5 {
                    ladders.end_thermalization();
                }
                ladders.sweep();
                ladders.measurements()
            };
            let mut undisturbed = make(InstructionSet::PORTABLE);
            let (mut snapshots, mut steps) = (vec![undisturbed.snapshot()], Vec::new());
            for number in 0..14 {
                steps.push(step(&mut undisturbed, number));
                snapshots.push(undisturbed.snapshot());
            }
            for set in InstructionSet::available() {
                for (split, snapshot) in snapshots.iter().enumerate() {
                    let mut ladders = make(set);
                    ladders.sweep();
                    ladders.restore(snapshot).expect("its own snapshot");
                    assert!(&ladders.snapshot() == snapshot, "{set}, split {split}");
                    for number in split..14 {
                        assert!(step(&mut ladders, number) == steps[number], "{set}, split {split}, sweep {number}");
                    }
                    assert!(Some(&ladders.snapshot()) == snapshots.last(), "{set}, split {split}");
                }
            }
            let words = &snapshots[14];
            for damaged in [&words[..words.len() - 1], &[words.as_slice(), &[0]].concat(), &[]] {
                assert!(make(InstructionSet::PORTABLE).restore(damaged).is_err());
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_in_words() {
        let refused = |side: usize, coupling: f64| {
            ReplicaGroup::new(torus(side), coupling, Start::Hot, 1, 0).map(|_| ()).expect_err("unfit").to_string()
        };
        assert!(refused(5, 0.4).contains("even side") && refused(514, 0.4).contains("512") && refused(6, f64::NAN).contains("coupling"));
    }
}
