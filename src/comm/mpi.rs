//! Many ranks by MPI. The only file that names the crate `mpi`.
//!
//! MPI is initialised for calls from the main thread only (FUNNELED); threads of a rank never call it. A panic on one rank would unwind through the end of MPI
//! and leave the others waiting for ever, so a hook ends the whole job instead.

use super::Comm;
use crate::error::{Error, Result};
use ::mpi::collective::SystemOperation;
use ::mpi::datatype::{Partition, PartitionMut};
use ::mpi::environment::Universe;
use ::mpi::topology::SimpleCommunicator;
use ::mpi::traits::{Communicator, CommunicatorCollectives, Destination, Root, Source};

/// Counts of MPI are C integers: longer messages go in pieces of this many elements.
const LONGEST_MESSAGE: usize = 1 << 30;
/// A test may lower it, so that messages in pieces are seen to arrive whole.
const LONGEST_MESSAGE_VARIABLE: &str = "KADANOFF_LONGEST_MESSAGE";
/// So many numbers are gathered by the library, which knows how to do that in few steps.
const FEW_NUMBERS: usize = 1 << 14;

/// The ranks of MPI_COMM_WORLD.
pub struct Mpi {
    world: SimpleCommunicator,
    longest_message: usize,
    // Dropped last: its end is MPI_Finalize.
    _universe: Universe,
}

impl Mpi {
    /// Initialises MPI, once a process.
    ///
    /// # Errors
    /// [`Error::Usage`] if MPI runs already or has no support for threads.
    pub fn start() -> Result<Self> {
        let (universe, threading) = ::mpi::initialize_with_threading(::mpi::Threading::Funneled)
            .ok_or_else(|| Error::Usage("MPI was initialised before kadanoff could do it".to_string()))?;
        if threading < ::mpi::Threading::Funneled {
            return Err(Error::Usage("this MPI library has no support for threads (MPI_THREAD_FUNNELED): use another one".to_string()));
        }
        let world = universe.world();
        if world.size() > 1 {
            let (rank, previous) = (world.rank(), std::panic::take_hook());
            std::panic::set_hook(Box::new(move |panic| {
                previous(panic);
                crate::console::say(format_args!("kadanoff: rank {rank} failed; ending all ranks"));
                SimpleCommunicator::world().abort(70);
            }));
        }
        let lowered = std::env::var(LONGEST_MESSAGE_VARIABLE).ok().and_then(|text| text.parse().ok());
        let longest_message = lowered.unwrap_or(LONGEST_MESSAGE).clamp(1, LONGEST_MESSAGE);
        Ok(Mpi { world, longest_message, _universe: universe })
    }
}

impl Comm for Mpi {
    fn rank(&self) -> usize {
        self.world.rank() as usize
    }

    fn size(&self) -> usize {
        self.world.size() as usize
    }

    fn gather(&self, own: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        if self.rank() != 0 {
            self.send(0, &own);
            return None;
        }
        Some(std::iter::once(own).chain((1..self.size()).map(|rank| self.receive(rank))).collect())
    }

    fn send(&self, to: usize, bytes: &[u8]) {
        let receiver = self.world.process_at_rank(to as i32);
        receiver.send(&(bytes.len() as u64));
        for piece in bytes.chunks(self.longest_message) {
            receiver.send(piece);
        }
    }

    fn receive(&self, from: usize) -> Vec<u8> {
        let sender = self.world.process_at_rank(from as i32);
        let (length, _) = sender.receive::<u64>();
        let mut bytes = vec![0u8; length as usize];
        for piece in bytes.chunks_mut(self.longest_message) {
            sender.receive_into(piece);
        }
        bytes
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8> {
        let root = self.world.process_at_rank(0);
        let mut length = bytes.len() as u64;
        root.broadcast_into(&mut length);
        let mut message = if self.rank() == 0 { bytes } else { vec![0u8; length as usize] };
        for piece in message.chunks_mut(self.longest_message) {
            root.broadcast_into(piece);
        }
        message
    }

    fn all_gather(&self, counts: &[usize], all: &mut [f32]) {
        let (rank, size) = (self.rank(), self.size());
        if all.len() <= FEW_NUMBERS.min(self.longest_message) {
            let start = counts[..rank].iter().sum::<usize>();
            let own = all[start..start + counts[rank]].to_vec();
            let [lengths, starts] = lengths_and_starts(counts);
            self.world.all_gather_varcount_into(&own, &mut PartitionMut::new(all, lengths, starts));
            return;
        }
        // Every rank to every other one, a step further each time, from where the numbers stand to where they go: the library's own way copies this rank's part twice more.
        let mut rest = &mut *all;
        let mut parts = Vec::with_capacity(size);
        for &count in counts {
            let (part, after) = std::mem::take(&mut rest).split_at_mut(count);
            parts.push(part);
            rest = after;
        }
        for step in 1..size {
            let (to, from) = ((rank + step) % size, (rank + size - step) % size);
            let mut taken = std::mem::take(&mut parts[from]);
            let (own, other) = (&*parts[rank], &mut taken);
            for piece in 0..own.len().max(other.len()).div_ceil(self.longest_message) {
                let range = |length: usize| (piece * self.longest_message).min(length)..((piece + 1) * self.longest_message).min(length);
                let (sent, received) = (&own[range(own.len())], range(other.len()));
                ::mpi::request::scope(|scope| {
                    let into = (!received.is_empty())
                        .then(|| self.world.process_at_rank(from as i32).immediate_receive_into(scope, &mut other[received]));
                    let out = (!sent.is_empty()).then(|| self.world.process_at_rank(to as i32).immediate_send(scope, sent));
                    into.into_iter().for_each(|request| _ = request.wait());
                    out.into_iter().for_each(|request| _ = request.wait());
                });
            }
        }
    }

    fn all_to_all(&self, own: &[f32], sent: &[usize], all: &mut [f32], received: &[usize], longest: usize) {
        if longest <= self.longest_message {
            let ([mut sent, from], [received, to]) = (lengths_and_starts(sent), lengths_and_starts(received));
            sent[self.rank()] = 0;
            self.world.all_to_all_varcount_into(&Partition::new(own, sent, from), &mut PartitionMut::new(all, received, to));
            return;
        }
        // Pair after pair, in the same order on all ranks, so that none waits for one that waits for it.
        let (rank, start) = (self.rank(), |counts: &[usize], of: usize| counts[..of].iter().sum::<usize>());
        for from in 0..self.size() {
            for to in 0..self.size() {
                if from == to {
                    continue;
                }
                if from == rank {
                    let part = &own[start(sent, to)..][..sent[to]];
                    part.chunks(self.longest_message).for_each(|piece| self.world.process_at_rank(to as i32).send(piece));
                } else if to == rank {
                    let part = &mut all[start(received, from)..][..received[from]];
                    for piece in part.chunks_mut(self.longest_message) {
                        self.world.process_at_rank(from as i32).receive_into(piece);
                    }
                }
            }
        }
    }

    fn maximum(&self, own: u64) -> u64 {
        let mut largest = 0;
        self.world.all_reduce_into(&own, &mut largest, SystemOperation::max());
        largest
    }
}

/// Lengths and starts of parts that stand one after the other, as MPI wants them.
fn lengths_and_starts(counts: &[usize]) -> [Vec<i32>; 2] {
    let lengths: Vec<i32> = counts.iter().map(|&count| count as i32).collect();
    let after = |sum: &mut i32, &length: &i32| {
        let start = *sum;
        *sum += length;
        Some(start)
    };
    let starts = lengths.iter().scan(0, after).collect();
    [lengths, starts]
}
