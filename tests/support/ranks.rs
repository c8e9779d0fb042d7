//! Ranks that are threads of one process, so that what ranks do together can be tested where there is no MPI.

use kadanoff::comm::Comm;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Barrier, Mutex};

/// What the ranks share.
struct Meeting {
    barrier: Barrier,
    brought: Mutex<Vec<Vec<u8>>>,
}

/// One of them.
pub struct Thread {
    rank: usize,
    meeting: Arc<Meeting>,
    /// To each of the others, and from each.
    senders: Vec<Sender<Vec<u8>>>,
    receivers: Vec<Receiver<Vec<u8>>>,
}

/// So many ranks.
pub fn ranks(size: usize) -> Vec<Thread> {
    let meeting = Arc::new(Meeting { barrier: Barrier::new(size), brought: Mutex::new(vec![Vec::new(); size]) });
    let mut all: Vec<Thread> =
        (0..size).map(|rank| Thread { rank, meeting: Arc::clone(&meeting), senders: Vec::new(), receivers: Vec::new() }).collect();
    for from in 0..size {
        for to in 0..size {
            let (sender, receiver) = channel();
            // In the order of the ranks at both ends.
            all[from].senders.push(sender);
            all[to].receivers.push(receiver);
        }
    }
    all
}

impl Thread {
    /// What everybody brought, in rank order.
    fn meet(&self, own: Vec<u8>) -> Vec<Vec<u8>> {
        self.meeting.brought.lock().unwrap()[self.rank] = own;
        self.meeting.barrier.wait();
        let all = self.meeting.brought.lock().unwrap().clone();
        self.meeting.barrier.wait();
        all
    }
}

impl Comm for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.senders.len()
    }

    fn gather(&self, own: Vec<u8>) -> Option<Vec<Vec<u8>>> {
        let all = self.meet(own);
        (self.rank == 0).then_some(all)
    }

    fn broadcast(&self, bytes: Vec<u8>) -> Vec<u8> {
        self.meet(bytes).swap_remove(0)
    }

    fn all_gather(&self, counts: &[usize], all: &mut [f32]) {
        assert_eq!(all.len(), counts.iter().sum::<usize>());
        let own = &all[counts[..self.rank].iter().sum()..][..counts[self.rank]];
        let bytes = self.meet(own.iter().flat_map(|number| number.to_le_bytes()).collect()).concat();
        all.iter_mut().zip(bytes.as_chunks().0).for_each(|(number, bytes)| *number = f32::from_le_bytes(*bytes));
    }

    fn all_to_all(&self, own: &[f32], sent: &[usize], all: &mut [f32], received: &[usize], longest: usize) {
        assert!(sent.iter().chain(received).all(|&count| count <= longest), "{sent:?} {received:?} {longest}");
        assert_eq!((own.len(), all.len()), (sent.iter().sum(), received.iter().sum()));
        let counts = self.meet(sent.iter().flat_map(|&count| (count as u64).to_le_bytes()).collect());
        let numbers = self.meet(own.iter().flat_map(|number| number.to_le_bytes()).collect());
        let mut parts = Vec::new();
        for (from, (counts, numbers)) in counts.iter().zip(&numbers).enumerate() {
            let count = |bytes: &[u8; 8]| u64::from_le_bytes(*bytes) as usize;
            let counts: Vec<usize> = counts.as_chunks().0.iter().map(count).collect();
            if from == self.rank {
                assert_eq!(received[from], 0);
                continue;
            }
            assert_eq!(counts[self.rank], received[from]);
            let start: usize = counts[..self.rank].iter().sum();
            parts.extend_from_slice(&numbers.as_chunks().0[start..start + received[from]]);
        }
        all.iter_mut().zip(parts).for_each(|(number, bytes)| *number = f32::from_le_bytes(bytes));
    }

    fn maximum(&self, own: u64) -> u64 {
        let all = self.meet(own.to_le_bytes().to_vec());
        all.iter().map(|bytes| u64::from_le_bytes(*bytes.first_chunk().unwrap())).max().unwrap()
    }

    fn send(&self, to: usize, bytes: &[u8]) {
        self.senders[to].send(bytes.to_vec()).unwrap();
    }

    fn receive(&self, from: usize) -> Vec<u8> {
        self.receivers[from].recv().unwrap()
    }
}
