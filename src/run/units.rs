//! The pieces of work of the stage `[sample]` that ranks and threads share out: a chain, or a group of 512 replicas across the bits (with tempering: of all couplings of a size). What is a
//! group is fixed by the run file alone.

use super::chains::{Chain, Running};
use super::groups::RunningGroup;
use super::progress::Progress;
use super::sample::Plan;
use super::watch::Round;
use crate::error::{Error, Result};
use crate::kernels::replicas::REPLICAS;
use crate::sampler::snapshot::TakeWords;
use crate::sampler::tempering::ExchangeCounts;
use std::ops::Range;

/// What a piece of work is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unit {
    /// The chain of this number.
    Chain(usize),
    /// Replicas across the bits.
    Group(Group),
}

/// Up to 512 replicas of some ensembles of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The ensembles: one, or all of a size that exchange replicas.
    pub ensembles: Range<usize>,
    /// Which of the groups of these ensembles.
    pub number: usize,
    /// Its replicas.
    pub replicas: Range<usize>,
}

impl Unit {
    /// All units of a plan, size after size.
    pub fn all(plan: &Plan) -> Vec<Unit> {
        let (section, couplings) = (&plan.section, plan.section.coupling_count());
        let replicas = section.replicas;
        let groups = |ensembles: Range<usize>| {
            let group = move |number: usize| Group {
                ensembles: ensembles.clone(),
                number,
                replicas: number * REPLICAS..((number + 1) * REPLICAS).min(replicas),
            };
            (0..replicas.div_ceil(REPLICAS)).map(move |number| Unit::Group(group(number)))
        };
        let mut units = Vec::new();
        for first in (0..plan.ensembles.len()).step_by(couplings.max(1)) {
            let ensembles = first..first + couplings;
            if section.tempering {
                units.extend(groups(ensembles));
            } else if section.across_the_bits(plan.ensembles[first].0) {
                ensembles.for_each(|ensemble| units.extend(groups(ensemble..ensemble + 1)));
            } else {
                units.extend((ensembles.start * replicas..ensembles.end * replicas).map(Unit::Chain));
            }
        }
        units
    }

    /// The side of its lattices.
    pub fn side(&self, plan: &Plan) -> usize {
        match self {
            Unit::Chain(chain) => plan.ensembles[plan.place(*chain).0].0,
            Unit::Group(group) => plan.ensembles[group.ensembles.start].0,
        }
    }

    /// The work of one sweep, in spins: unused lanes are moved as well.
    pub fn sweep_cost(&self, plan: &Plan) -> u128 {
        let sites = plan.sites(self.side(plan));
        match self {
            Unit::Chain(_) => sites,
            Unit::Group(group) => sites * (group.ensembles.len() * REPLICAS) as u128,
        }
    }
}

/// Chains by their numbers in the whole problem; and what was exchanged between the ensembles that begin with the one named, if anything was.
pub type Finished = (Vec<(usize, Chain)>, Option<(usize, ExchangeCounts)>);

/// A unit that may not have begun, may be on its way, or may be done.
pub struct Work {
    number: usize,
    state: State,
}

enum State {
    Chain(Running),
    Group(Box<RunningGroup>),
}

impl Work {
    /// The unit `number` before its first sweep.
    pub fn new(plan: &Plan, number: usize) -> Self {
        let state = match &plan.units()[number] {
            Unit::Chain(chain) => State::Chain(Running::new(*chain)),
            Unit::Group(group) => State::Group(Box::new(RunningGroup::new(group.clone()))),
        };
        Work { number, state }
    }

    /// The unit `number` from what [`Self::put_words`] gave.
    ///
    /// # Errors
    /// [`Error::Refused`] if they do not fit the plan.
    pub fn from_words(plan: &Plan, number: usize, words: &[u64]) -> Result<Self> {
        let state = match plan.units().get(number) {
            Some(Unit::Chain(chain)) => State::Chain(Running::from_words(plan, *chain, words)?),
            Some(Unit::Group(group)) => State::Group(Box::new(RunningGroup::from_words(plan, group.clone(), words)?)),
            None => return Err(Error::Refused(format!("the state has a unit of work number {number}, which the run file has not"))),
        };
        Ok(Work { number, state })
    }

    /// The number of the unit in the plan.
    pub fn number(&self) -> usize {
        self.number
    }

    /// Sweeps done.
    pub fn sweeps(&self) -> usize {
        match &self.state {
            State::Chain(chain) => chain.sweeps(),
            State::Group(group) => group.sweeps(),
        }
    }

    /// Work left, in spins.
    pub fn work_left(&self, plan: &Plan) -> u128 {
        plan.cost(self.number, self.sweeps())
    }

    /// Whether there is anything to keep.
    pub fn has_begun(&self) -> bool {
        match &self.state {
            State::Chain(chain) => chain.has_begun(),
            State::Group(group) => group.sweeps() > 0,
        }
    }

    /// Whether all sweeps are done.
    pub fn is_done(&self, plan: &Plan) -> bool {
        self.sweeps() == plan.sweeps()
    }

    /// Sweeps until the unit or the round ends, at least once; a long sweep may be left before its end.
    ///
    /// # Errors
    /// What the sampler refuses.
    pub fn advance(&mut self, plan: &Plan, round: &Round, progress: &Progress) -> Result<()> {
        match &mut self.state {
            State::Chain(chain) => chain.advance(plan, round, progress),
            State::Group(group) => group.advance(plan, round, progress),
        }
    }

    /// Hands the unit over as words, piece by piece: the first is the number of sweeps done.
    pub fn put_words(&self, take: &mut TakeWords) {
        match &self.state {
            State::Chain(chain) => chain.put_words(take),
            State::Group(group) => group.put_words(take),
        }
    }

    /// The chains by their numbers in the whole problem, and the exchanges between the ensembles that begin with the one named, if there were any.
    ///
    /// # Errors
    /// [`Error::Refused`] if its words are damaged.
    pub fn into_chains(self, plan: &Plan) -> Result<Finished> {
        match self.state {
            State::Chain(chain) => Ok((vec![(chain.number(), chain.into_chain())], None)),
            State::Group(group) => group.into_chains(plan),
        }
    }
}
