//! Checkerboard updates of one large lattice: all sites of one colour, then all of the other.
//!
//! The rules with the exact meaning of every random bit are in [`crate::kernels::local_update`]; the layout of the spins and the order of the strips in
//! [`crate::spins::checkerboard`]; the same chains written for the eye in [`super::reference::local_update`].

use super::{
    Sampler, Start,
    snapshot::{Reader, TakeWords, put_source},
    start::{InitialSpins, unlocked},
};
use crate::error::{Error, Result};
use crate::kernels::InstructionSet;
use crate::kernels::local_update::{Laws, Rule, Source};
use crate::lattice::{SquareTorus, Torus};
use crate::measure::{Measurement, Observer};
use crate::random::{LaneStream, Purpose};
use crate::spins::{Configuration, checkerboard::Checkerboard};
use std::marker::PhantomData;

/// What streams a rule has.
pub trait Local: Rule {
    /// The purpose of its streams.
    const PURPOSE: Purpose;
    /// The name of the algorithm in run files.
    const NAME: &'static str;
    /// Whether the rule turns all spins over at every sweep where every site has two unsatisfied bonds, so that no chain may begin there.
    const LOCKS: bool;
}

impl Local for crate::kernels::metropolis::Metropolis {
    const PURPOSE: Purpose = Purpose::Metropolis;
    const NAME: &'static str = "metropolis";
    const LOCKS: bool = true;
}

impl Local for crate::kernels::heat_bath::HeatBath {
    const PURPOSE: Purpose = Purpose::HeatBath;
    const NAME: &'static str = "heat-bath";
    const LOCKS: bool = false;
}

/// One chain at one coupling.
#[derive(Debug, Clone)]
pub struct LocalUpdate<R: Local> {
    board: Checkerboard,
    laws: Laws,
    /// One for each strip.
    sources: Vec<Source>,
    instruction_set: InstructionSet,
    rule: PhantomData<R>,
}

/// A chain and a strip share the index of a stream: chain + 2^40 strip.
const CHAINS: u64 = 1 << 40;

/// The index of the stream of a strip of a chain.
///
/// # Errors
/// [`Error::Usage`] if there cannot be so many chains.
pub(super) fn stream_index(chain: u64, strip: usize) -> Result<u64> {
    if chain < CHAINS {
        Ok(chain + strip as u64 * CHAINS)
    } else {
        Err(Error::Usage(format!("chain {chain} has no random stream of its own: number the chains below 2^40")))
    }
}

impl<R: Local> LocalUpdate<R> {
    /// The chain number `chain` at the coupling K = J / k_B T. The random numbers of strip s are those of the lane stream
    /// (seed, purpose of the rule, chain + 2^40 s). It begins with the [initial configuration](super::initial_configuration) of its number; by Metropolis's rule with all spins up
    /// instead where every site of that has exactly two unsatisfied bonds, because it would never leave such states (36 of the 65,536 states of the 4 x 4 torus are of that kind, and
    /// next to none of a larger one: (2^(L/2 + 1) - 2)^2 of 2^(L^2)).
    ///
    /// # Errors
    /// [`Error::Usage`] for a lattice of odd side, a coupling that is negative, not finite or [too small for Metropolis's rule](refuse_too_hot), or a chain above 2^40.
    pub fn new(torus: SquareTorus, coupling: f64, start: Start, seed: u64, chain: u64) -> Result<Self> {
        refuse_unfit(R::NAME, torus, coupling)?;
        let start = if R::LOCKS { unlocked(torus, start, seed, chain) } else { start };
        let mut spins = InitialSpins::new(start, seed, chain);
        let board = Checkerboard::from_words(torus, || spins.word());
        let source = |strip| Ok(Source::new(LaneStream::new(seed, R::PURPOSE, stream_index(chain, strip)?).lanes));
        Ok(LocalUpdate {
            sources: (0..board.strips()).map(source).collect::<Result<_>>()?,
            board,
            laws: R::laws(coupling),
            instruction_set: InstructionSet::chosen(),
            rule: PhantomData,
        })
    }

    /// The same chain, run on another instruction set; the results do not depend on it.
    pub fn with_instruction_set(self, instruction_set: InstructionSet) -> Self {
        LocalUpdate { instruction_set, ..self }
    }

    /// The sources of random bits, one a strip, where the next sweep will go on.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }
}

impl<R: Local> Sampler for LocalUpdate<R> {
    fn sweep(&mut self) -> u64 {
        let (set, laws) = (self.instruction_set, &self.laws);
        self.board.sweep(&mut self.sources, |source, own, other, rows, masks, ahead| {
            R::update_rows(set, own, other, rows, masks, laws, source, ahead);
        });
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

    /// For each strip the state of the lanes and what waits in its queues; then the lines of both colours.
    fn put_snapshot(&self, take: &mut TakeWords) {
        self.sources.iter().for_each(|source| put_source(source.lanes, &source.queues, take));
        self.board.put_words(take);
    }

    fn restore(&mut self, words: &[u64]) -> Result<()> {
        let mut reader = Reader::new(words);
        for source in &mut self.sources {
            *source = reader.source()?;
        }
        self.board.set_words(reader.words(self.board.word_count())?);
        reader.end()
    }
}

/// The smallest coupling of Metropolis's rule. At K = 0 it accepts every flip, so that each sweep turns all spins over and the energy is for ever that of
/// the first configuration; near it some 2K of the flips are refused, and the energy is new only after hundreds of sweeps or more. No series of a run would be long enough to tell.
pub const SMALLEST_METROPOLIS_COUPLING: f64 = 1e-3;

/// Why Metropolis's rule cannot sample at this coupling, if it cannot. (On a chain a flip that costs nothing is made with probability 1/2, but the states with all bonds alike stay even there.)
pub fn refuse_too_hot(coupling: f64) -> Option<String> {
    (coupling < SMALLEST_METROPOLIS_COUPLING).then(|| {
        format!(
            "metropolis flips all spins in nearly every sweep at the coupling K = {coupling:?}, so that the energy hardly ever changes: write couplings from \
             {SMALLEST_METROPOLIS_COUPLING} (temperatures up to 1000), or algorithm = \"heat-bath\", \"swendsen-wang\" or \"wolff\" (without tempering, and with layout = \"lattice\")"
        )
    })
}

/// Says why a checkerboard chain cannot run here.
pub(super) fn refuse_unfit(algorithm: &str, torus: impl Into<Torus>, coupling: f64) -> Result<()> {
    let torus = torus.into();
    if !torus.is_bipartite() {
        return Err(Error::Usage(format!(
            "a lattice of side {} has no checkerboard, which the {algorithm} algorithm needs: write an even side, or algorithm = \"swendsen-wang\"",
            torus.side()
        )));
    }
    if !(coupling.is_finite() && coupling >= 0.0) {
        return Err(Error::Usage(format!(
            "the coupling K = {coupling} is not that of a ferromagnet: write a finite number, zero or larger (the critical one of the square lattice is 0.44068679350977)"
        )));
    }
    match refuse_too_hot(coupling) {
        Some(sentence) if algorithm == super::Algorithm::Metropolis.name() => Err(Error::Usage(sentence)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Algorithm, HeatBath, Metropolis, build, initial_configuration, lanes::LaneGroup, reference};
    use super::*;
    use crate::lattice::Geometry;

    /// Spin by spin and random word by random word, on each instruction set, against the sampler that moves one spin at a time. The sides have rows
    /// shorter than a word, of whole words, with clear slots, several rows a block, several blocks a row, groups that end inside a row, and several strips.
    /// `KADANOFF_LONG=1` runs 1000 sweeps.
    #[test]
    fn every_instruction_set_gives_the_chain_of_the_reference() {
        let long = std::env::var_os("KADANOFF_LONG").is_some();
        for (side, sweeps) in [
            (4, 300),
            (6, 300),
            (8, 100),
            (10, 100),
            (12, 50),
            (14, 50),
            (30, 50),
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
            (1000, 1),
            (1022, 1),
            (1024, 1),
            (3602, 1),
        ] {
            let sweeps = if long && side < 2000 { 1000 } else { sweeps };
            agree::<crate::kernels::metropolis::Metropolis>(side, sweeps);
            if !(1000..=3000).contains(&side) {
                agree::<crate::kernels::heat_bath::HeatBath>(side, sweeps);
            }
        }
    }

    fn agree<R: reference::local_update::Plain>(side: usize, sweeps: usize) {
        let torus = SquareTorus::new(side).expect("a valid side");
        let is_metropolis = R::NAME == Algorithm::Metropolis.name();
        for (chain, coupling) in [(0, 0.2), (1, 0.44), (2, 0.0), (3, 0.03), (4, SMALLEST_METROPOLIS_COUPLING)] {
            if (side > 1000 && chain != 1) || (is_metropolis && coupling == 0.0) {
                continue;
            }
            let start = if chain == 1 { Start::Cold } else { Start::Hot };
            let mut reference = reference::LocalUpdate::<R>::new(torus, coupling, start, 14103831, chain).expect("a fit lattice");
            let mut chains: Vec<LocalUpdate<R>> = InstructionSet::available()
                .into_iter()
                .map(|set| LocalUpdate::new(torus, coupling, start, 14103831, chain).expect("a fit lattice").with_instruction_set(set))
                .collect();
            for sweep in 0..sweeps {
                reference.sweep();
                for fast in &mut chains {
                    let place = format!("{}, {}, side {side}, K {coupling}, sweep {sweep}", R::NAME, fast.instruction_set);
                    assert_eq!(fast.sweep(), torus.sites() as u64);
                    // Not assert_eq: nobody wants to read a million spins.
                    assert!(fast.configuration() == reference.configuration(), "{place}");
                    assert_eq!(fast.measure(), reference.measure(), "{place}");
                    let next: Vec<[u64; 8]> = fast.sources.iter().map(|source| source.lanes.clone().step()).collect();
                    assert_eq!(next, reference.next_words(), "{place}");
                }
            }
        }
    }

    /// One lattice of four strips, on one thread and on three.
    #[test]
    fn threads_change_nothing() {
        let torus = SquareTorus::new(4098).expect("a valid side");
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let mut chain = Metropolis::new(torus, 0.44, Start::Hot, 14103831, 1).expect("a fit lattice");
            assert_eq!(chain.sources.len(), 4);
            pool.install(|| (0..3).for_each(|_| assert_eq!(chain.sweep(), 4098 * 4098)));
            (chain.snapshot(), pool.install(|| chain.measure()))
        };
        assert!(run(1) == run(3));
    }

    #[test]
    fn what_cannot_be_sampled_is_refused_in_words() {
        let odd = SquareTorus::new(5).expect("a valid side");
        let even = SquareTorus::new(6).expect("a valid side");
        assert!(Metropolis::new(odd, 0.4, Start::Hot, 1, 0).is_err_and(|error| error.to_string().contains("even side")));
        assert!(HeatBath::new(odd, 0.4, Start::Hot, 1, 0).is_err_and(|error| error.to_string().contains("heat-bath")));
        assert!(HeatBath::new(even, 0.4, Start::Hot, 1, CHAINS).is_err_and(|error| error.to_string().contains("2^40")));
        for coupling in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(Metropolis::new(even, coupling, Start::Hot, 1, 0).is_err_and(|error| error.to_string().contains("coupling")));
        }
    }

    /// Among the first 10,000 chains some five would begin where Metropolis flips all spins for ever; these begin with all spins up, in the reference too, and no others do. (The mutant is
    /// the heat bath, which begins there and leaves.)
    #[test]
    fn no_metropolis_chain_begins_where_it_would_stay() {
        let torus = SquareTorus::new(4).expect("a valid side");
        let mut locked = 0;
        for chain in 0..10_000 {
            let configuration = initial_configuration(torus, Start::Hot, 14103831, chain);
            let sum = |site: usize| torus.neighbours(site).map(|neighbour| configuration.spin(neighbour)).iter().sum::<i64>();
            let is_locked = (0..16).all(|site| sum(site) == 0);
            let metropolis = Metropolis::new(torus, 0.3, Start::Hot, 14103831, chain).expect("a fit lattice");
            let expected = if is_locked { initial_configuration(torus, Start::Cold, 0, 0) } else { configuration.clone() };
            assert!(metropolis.configuration() == expected, "chain {chain}");
            if is_locked {
                locked += 1;
                let reference = reference::Metropolis::new(torus, 0.3, Start::Hot, 14103831, chain).expect("a fit lattice");
                assert!(reference.configuration() == expected, "chain {chain}");
                let mut heat_bath = HeatBath::new(torus, 0.3, Start::Hot, 14103831, chain).expect("a fit lattice");
                assert!(heat_bath.configuration() == configuration, "chain {chain}");
                (0..20).for_each(|_| {
                    heat_bath.sweep();
                });
                assert!((0..16).any(|site| heat_bath.configuration().spin(site) != configuration.spin(site)));
            }
        }
        assert!((1..=20).contains(&locked), "{locked} of 10,000, expected 5.5");
    }

    /// In every layout, and by that rule alone.
    #[test]
    fn couplings_at_which_metropolis_stands_still_are_refused() {
        let torus = |geometry| Torus::new(geometry, 6).expect("a valid side");
        for geometry in Geometry::ALL {
            for coupling in [0.0, 1e-15, 1e-6, 0.000_999] {
                let alone = build(Algorithm::Metropolis, torus(geometry), coupling, Start::Hot, 1, 0).map(|_| ());
                let across = LaneGroup::new(torus(geometry), coupling, Start::Hot, 1, 0).map(|_| ());
                for refused in [alone, across] {
                    assert!(refused.is_err_and(|error| error.to_string().contains("energy hardly ever changes")), "{geometry}, {coupling}");
                }
                for algorithm in [Algorithm::HeatBath, Algorithm::SwendsenWang, Algorithm::Wolff] {
                    assert!(build(algorithm, torus(geometry), coupling, Start::Hot, 1, 0).is_ok());
                }
            }
            assert!(build(Algorithm::Metropolis, torus(geometry), SMALLEST_METROPOLIS_COUPLING, Start::Hot, 1, 0).is_ok());
        }
    }
}
