//! Units of the stage `[sample]` as words on their way: into a checkpoint, out of it to the ranks that work on them, and together at the end. What is on its way is one unit or a piece of one, so that a job
//! needs no more memory for it than that, whatever its ranks hold together.

use super::sample::{Chain, Outcome, Plan};
use super::units::Work;
use crate::comm::{self, Comm};
use crate::error::{Error, Result};
use crate::kernels::heap;
use crate::sampler::tempering::ExchangeCounts;
use crate::store::checkpoint::{Items, State, StoredItems, put_words};
use std::collections::BTreeMap;

/// What a rank puts into a checkpoint: its units that have begun, by their numbers.
pub struct Begun<'a>(pub &'a [Work]);

impl State for Begun<'_> {
    fn put(&self, take: &mut dyn FnMut(&[u8])) {
        for unit in self.0.iter().filter(|unit| unit.has_begun()) {
            let mut count = 0;
            unit.put_words(&mut |words| count += words.len() as u64);
            put_words(&[unit.number() as u64, count], take);
            unit.put_words(&mut |words| put_words(words, take));
        }
    }
}

/// The units of this rank, from the items of a checkpoint, which rank 0 has, or from the beginning. Collective.
///
/// # Errors
/// [`Error::Refused`] if an item does not fit the plan; [`Error::InputOutput`]; on all ranks.
pub fn own_units(plan: &Plan, comm: &dyn Comm, mut stored: Option<StoredItems>) -> Result<Vec<Work>> {
    let begun = comm::agree(comm, begun(plan, stored.as_mut()))?;
    let begun: Vec<u64> = comm.broadcast(begun).as_chunks().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    // A unit costs what is left of it.
    let done: Vec<usize> =
        begun.iter().map(|&begun| usize::try_from(begun.saturating_sub(1)).unwrap_or(usize::MAX).min(plan.sweeps())).collect();
    let units_of = |rank: usize| plan.units_of(rank, comm.size(), &done);
    let work = |unit: usize, item: Option<Vec<u8>>| match item {
        Some(item) => {
            let words = Items::words(&item);
            drop(item);
            Work::from_words(plan, unit, &words)
        }
        None => Ok(Work::new(plan, unit)),
    };
    // What rank 0 cannot read arrives as nothing, and the error is agreed on at the end.
    let mut unread = Ok(());
    if let Some(stored) = &mut stored {
        for rank in 1..comm.size() {
            for unit in units_of(rank).filter(|&unit| begun[unit] > 0) {
                let item = stored.item(unit as u64).map(Option::unwrap_or_default).unwrap_or_else(|error| {
                    unread = Err(error);
                    Vec::new()
                });
                comm.send(rank, &item);
            }
        }
    }
    let own = units_of(comm.rank()).map(|unit| match &mut stored {
        _ if begun[unit] == 0 => work(unit, None),
        Some(stored) => work(unit, stored.item(unit as u64)?),
        None => work(unit, Some(comm.receive(0))),
    });
    // All of them, whatever is wrong with one: rank 0 gives them all.
    let own: Vec<Result<Work>> = own.collect();
    comm::agree(comm, unread.and_then(|()| own.into_iter().collect()))
}

/// For every unit, as bytes: 0 if it has no item, else one more than its sweeps done.
fn begun(plan: &Plan, stored: Option<&mut StoredItems>) -> Result<Vec<u8>> {
    let mut begun = vec![0; plan.units().len()];
    if let Some(stored) = stored {
        for number in stored.numbers().collect::<Vec<u64>>() {
            let first = stored.beginning(number, 1)?.unwrap_or_default();
            let place = usize::try_from(number).ok().and_then(|number| begun.get_mut(number)).ok_or_else(|| no_such_unit(number))?;
            // An item begins with the sweeps that are done.
            *place = first.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)).saturating_add(1);
        }
    }
    Ok(begun.into_iter().flat_map(u64::to_le_bytes).collect())
}

fn no_such_unit(number: u64) -> Error {
    Error::Refused(format!("the state has a unit of work number {number}, which the run file has not"))
}

/// Whether the items of a checkpoint are chains of this plan; how many.
///
/// # Errors
/// [`Error::Refused`] if they are not; [`Error::InputOutput`].
pub fn fit(plan: &Plan, stored: &mut StoredItems) -> Result<usize> {
    let numbers: Vec<u64> = stored.numbers().collect();
    for &number in &numbers {
        let item = stored.item(number)?.unwrap_or_default();
        Work::from_words(plan, usize::try_from(number).map_err(|_| no_such_unit(number))?, &Items::words(&item))?;
    }
    Ok(numbers.len())
}

/// All chains at the end of the stage, on rank 0; nothing elsewhere. Collective.
///
/// # Errors
/// [`Error::Bug`] if they are not complete; on all ranks.
pub fn all_chains(plan: &Plan, comm: &dyn Comm, own: Vec<Work>) -> Result<Outcome> {
    let mut bytes = Vec::new();
    Begun(&own).put(&mut |piece| bytes.extend_from_slice(piece));
    // What is in the bytes need not be in memory twice.
    drop(own);
    heap::give_back();
    if !comm.is_root() {
        comm.send(0, &bytes);
        return comm::agree(comm, Ok(Outcome::default()));
    }
    let mut arrived = Arrived::new(plan);
    let mut result = arrived.take(&bytes);
    drop(bytes);
    for rank in 1..comm.size() {
        // Whatever went wrong: they wait for this.
        let part = comm.receive(rank);
        result = result.and_then(|()| arrived.take(&part));
    }
    comm::agree(comm, result.and_then(|()| arrived.finish()))
}

/// Chains that have come to rank 0, in the order of the ranks, which is that of the units.
struct Arrived<'a> {
    plan: &'a Plan,
    chains: Vec<Option<Chain>>,
    exchanges: BTreeMap<usize, ExchangeCounts>,
    units: usize,
}

impl<'a> Arrived<'a> {
    fn new(plan: &'a Plan) -> Self {
        Arrived { plan, chains: vec![None; plan.chains()], exchanges: BTreeMap::new(), units: 0 }
    }

    /// The units of the next rank.
    fn take(&mut self, part: &[u8]) -> Result<()> {
        for (number, item) in Items::parse(part)? {
            let work = Work::from_words(self.plan, self.units, &Items::words(item))?;
            if number != self.units as u64 || !work.is_done(self.plan) {
                return Err(lost());
            }
            self.units += 1;
            let (of_unit, counts) = work.into_chains(self.plan)?;
            of_unit.into_iter().for_each(|(number, chain)| self.chains[number] = Some(chain));
            if let Some((first, counts)) = counts {
                self.exchanges.entry(first).or_default().absorb(&counts);
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Outcome> {
        let chains = self.chains.into_iter().collect::<Option<Vec<Chain>>>().ok_or_else(lost)?;
        Ok(Outcome { chains, exchanges: self.exchanges.into_values().collect() })
    }
}

fn lost() -> Error {
    Error::Bug("the series of a rank arrived incomplete.".to_string())
}

#[cfg(test)]
mod tests {
    use super::super::progress::Progress;
    use super::super::sample;
    use super::super::watch::Round;
    use super::*;
    use crate::comm::solo::Solo;
    use crate::store::checkpoint::{CheckpointFolder, read_generation};

    const HASH: [u8; 32] = [3; 32];

    fn bytes(state: &dyn State) -> Vec<u8> {
        let mut bytes = Vec::new();
        state.put(&mut |piece| bytes.extend_from_slice(piece));
        assert_eq!(bytes.len() as u64, state.length());
        bytes
    }

    /// The same units by way of a checkpoint on the disk.
    fn restarted(plan: &Plan, units: &[Work]) -> Result<Vec<Work>> {
        let directory = tempfile::tempdir().unwrap();
        let (mut folder, _) = CheckpointFolder::open(directory.path()).unwrap();
        let state = Begun(units);
        folder.write(HASH, 1, &[], state.length(), |take| state.put(take)).unwrap();
        let mut stored = read_generation(&folder.newest(), HASH).unwrap().items;
        assert_eq!(stored.bytes().unwrap(), bytes(&state));
        assert_eq!(fit(plan, &mut stored).ok(), Some(units.iter().filter(|unit| unit.has_begun()).count()));
        own_units(plan, &Solo, Some(stored))
    }

    fn together(plan: &Plan, parts: &[&[u8]]) -> Result<Outcome> {
        let mut arrived = Arrived::new(plan);
        parts.iter().try_for_each(|part| arrived.take(part))?;
        let mut outcome = arrived.finish()?;
        outcome.chains.iter_mut().for_each(|chain| chain.seconds = 0.0);
        Ok(outcome)
    }

    #[test]
    fn chains_survive_the_way_to_rank_zero_and_every_stop_on_it() {
        let plan = sample::tests::plan(&[6, 9], 2);
        let progress = Progress::new("test", "spins", 1, false);
        let run = |sweeps_a_round: usize| {
            let mut units = own_units(&plan, &Solo, None).unwrap();
            while !units.iter().all(|unit| unit.is_done(&plan)) {
                for unit in &mut units {
                    for _ in 0..sweeps_a_round {
                        if !unit.is_done(&plan) {
                            unit.advance(&plan, &Round::of_one_sweep(), &progress).unwrap();
                        }
                    }
                }
                units = restarted(&plan, &units).unwrap();
            }
            bytes(&Begun(&units))
        };
        let whole = run(plan.sweeps());
        let outcome = together(&plan, &[&whole]).unwrap();
        let chains = &outcome.chains;
        assert_eq!(chains.iter().map(|chain| chain.kept.len()).collect::<Vec<_>>(), [4, 3, 4, 3]);
        assert_eq!(chains[0].kept_draws.last(), Some(&9));
        for sweeps in [1, 2, 5, 7] {
            assert_eq!(together(&plan, &[&run(sweeps)]).unwrap(), outcome, "{sweeps} sweeps a round");
        }
        // In two parts, as from two ranks; in the wrong order, cut, incomplete, and of another plan.
        let items = Items::parse(&whole).unwrap();
        let second = 16 * 2 + items[0].1.len() + items[1].1.len();
        assert_eq!(together(&plan, &[&whole[..second], &whole[second..]]).unwrap(), outcome);
        assert!(together(&plan, &[&whole[second..], &whole[..second]]).is_err());
        assert!(together(&plan, &[&whole[8..]]).is_err());
        assert!(together(&plan, &[&whole[..second]]).is_err());
        assert!(together(&plan, &[]).is_err());
        assert!(together(&sample::tests::plan(&[6, 12], 2), &[&whole]).is_err());
    }

    #[test]
    fn a_state_of_another_plan_is_refused() {
        let (plan, fewer) = (sample::tests::plan(&[6, 9], 2), sample::tests::plan(&[6], 2));
        let mut units = own_units(&plan, &Solo, None).unwrap();
        for unit in &mut units {
            unit.advance(&plan, &Round::of_one_sweep(), &Progress::new("test", "spins", 1, false)).unwrap();
        }
        let directory = tempfile::tempdir().unwrap();
        let (mut folder, _) = CheckpointFolder::open(directory.path()).unwrap();
        let state = Begun(&units);
        folder.write(HASH, 1, &[], state.length(), |take| state.put(take)).unwrap();
        let stored = || read_generation(&folder.newest(), HASH).unwrap().items;
        assert!(matches!(own_units(&fewer, &Solo, Some(stored())), Err(Error::Refused(sentence)) if sentence.contains("has not")));
        assert!(fit(&fewer, &mut stored()).is_err() && fit(&plan, &mut stored()).is_ok());
    }
}
