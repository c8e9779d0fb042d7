//! The ranks of a job and the few things they say to each other. Physics does not know of them; `run` does.
//!
//! Reading order: this trait; [`solo`], one rank; `mpi`, many; [`timed`], with a clock. Every method but the pair of `send` and `receive` is collective: all ranks call it, in the same order. Nothing here decides what a
//! result is: ranks exchange exact integers and floats in a fixed order, so that the number of ranks cannot change a bit.

#[cfg(feature = "mpi")]
pub mod mpi;
pub mod solo;
pub mod timed;

use crate::error::{Error, Result};
use std::time::Duration;

/// A group of ranks.
pub trait Comm {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn size(&self) -> usize;

    /// Every rank's bytes on rank 0, in rank order; nothing on the others.
    fn gather(&self, own: Vec<u8>) -> Option<Vec<Vec<u8>>>;

    /// The bytes of rank 0 on every rank.
    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8>;

    /// Every rank's numbers on every rank, in rank order: this one's stand in their place in `all` already. `counts[r]` is the length of rank r's part; `all` has the length of their sum.
    fn all_gather(&self, counts: &[usize], all: &mut [f32]);

    /// To every other rank numbers of its own: `sent[r]` of `own` go to rank r, `received[r]` of `all` come from it, both in rank order. What `own` has for this rank itself stays there, and
    /// `all` has no place for it: `received` is 0 there. No rank sends or receives more than `longest`, which is the same on all.
    fn all_to_all(&self, own: &[f32], sent: &[usize], all: &mut [f32], received: &[usize], longest: usize);

    /// The largest number that any rank brought.
    fn maximum(&self, own: u64) -> u64;

    /// Gives bytes to another rank, which waits for them in [`Self::receive`]: the one thing here that two ranks do without the others.
    fn send(&self, to: usize, bytes: &[u8]);

    /// The next bytes that another rank gives this one.
    fn receive(&self, from: usize) -> Vec<u8>;

    /// The time that this rank has spent here, talking and waiting; zero where nobody takes it.
    fn time_together(&self) -> Duration {
        Duration::ZERO
    }

    /// Whether this is the rank that writes files and speaks.
    fn is_root(&self) -> bool {
        self.rank() == 0
    }
}

/// The collective error point: if any rank failed, every rank returns the error of the first one that did, so that a job ends with one message and one exit code.
///
/// # Errors
/// The first failing rank's error, on all ranks.
pub fn agree<T>(comm: &dyn Comm, own: Result<T>) -> Result<T> {
    let failing = match &own {
        Ok(_) => 0,
        // The smallest failing rank wins a maximum over (size - rank).
        Err(_) => (comm.size() - comm.rank()) as u64,
    };
    let first = comm.maximum(failing);
    if first == 0 {
        return own;
    }
    let speaker = comm.size() - first as usize;
    let message = match &own {
        Err(error) if comm.rank() == speaker => [&[error.exit_code()], error.to_string().as_bytes()].concat(),
        _ => Vec::new(),
    };
    let gathered = comm.gather(message).map(|mut parts| parts.swap_remove(speaker)).unwrap_or_default();
    let message = comm.broadcast(gathered);
    match own {
        Err(error) if comm.rank() == speaker => Err(error),
        _ => {
            let (code, sentence) =
                message.split_first().map_or((70, String::new()), |(code, text)| (*code, String::from_utf8_lossy(text).into_owned()));
            Err(Error::from_exit_code(code, sentence))
        }
    }
}

/// Bytes that a rank gives rank 0 at once in [`gather_pieces`].
const PIECE: usize = 4 << 20;

/// What every rank puts, in rank order and piece by piece, for rank 0 to take: no rank holds more of it than a piece at a time, whatever all of them have together. Collective.
pub fn gather_pieces(comm: &dyn Comm, put: impl FnOnce(&mut dyn FnMut(&[u8])), take: &mut dyn FnMut(&[u8])) {
    if comm.is_root() {
        put(take);
        for rank in 1..comm.size() {
            // An empty piece is the end.
            while let Some(piece) = Some(comm.receive(rank)).filter(|piece| !piece.is_empty()) {
                take(&piece);
            }
        }
        return;
    }
    let mut piece = Vec::with_capacity(PIECE);
    put(&mut |mut bytes| {
        while !bytes.is_empty() {
            let (head, rest) = bytes.split_at(bytes.len().min(PIECE - piece.len()));
            piece.extend_from_slice(head);
            bytes = rest;
            if piece.len() == PIECE {
                comm.send(0, &piece);
                piece.clear();
            }
        }
    });
    if !piece.is_empty() {
        comm.send(0, &piece);
    }
    comm.send(0, &[]);
}

/// The part of `items` equal pieces of work that belongs to `rank` of `size`: contiguous, in order, as even as can be.
pub fn share(items: usize, rank: usize, size: usize) -> std::ops::Range<usize> {
    let bound = |rank: usize| (items as u128 * rank as u128 / size as u128) as usize;
    bound(rank)..bound(rank + 1)
}

/// The ranks of this process's job: MPI when the program was built with it, otherwise one rank.
///
/// # Errors
/// [`Error::Usage`] when a launcher started several copies that do not know of each other: each would do the whole job and write the same files.
pub fn start() -> Result<Box<dyn Comm>> {
    #[cfg(feature = "mpi")]
    let comm: Box<dyn Comm> = Box::new(mpi::Mpi::start()?);
    #[cfg(not(feature = "mpi"))]
    let comm: Box<dyn Comm> = Box::new(solo::Solo);
    if comm.size() == 1 {
        let count = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<usize>().ok()).unwrap_or(1);
        let by_slurm = if std::env::var_os("SLURM_STEP_ID").is_some() { count("SLURM_STEP_NUM_TASKS") } else { 1 };
        let launched = by_slurm.max(count("OMPI_COMM_WORLD_SIZE")).max(count("PMI_SIZE"));
        if launched > 1 {
            let remedy = if cfg!(feature = "mpi") {
                "start it with the launcher of the MPI it was built with (for SLURM: srun --mpi=pmix)"
            } else {
                "this build has no MPI: build with --features mpi, or start one task with more threads"
            };
            return Err(Error::Usage(format!("{launched} copies of kadanoff were started, but each sees itself alone; {remedy}")));
        }
    }
    Ok(comm)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_all_work_once() {
        for items in [0, 1, 4, 7, 100] {
            for size in 1..=9 {
                let parts: Vec<usize> = (0..size).flat_map(|rank| share(items, rank, size)).collect();
                assert_eq!(parts, (0..items).collect::<Vec<_>>(), "{items} items, {size} ranks");
                let longest = (0..size).map(|rank| share(items, rank, size).len()).max().expect("a rank");
                assert!(longest <= items.div_ceil(size));
            }
        }
    }

    #[test]
    fn one_rank_agrees_with_itself() {
        assert_eq!(agree(&solo::Solo, Ok(3)), Ok(3));
        let error = Error::Refused("no".to_string());
        assert_eq!(agree::<()>(&solo::Solo, Err(error.clone())), Err(error));
    }
}
