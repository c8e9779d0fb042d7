//! 512 replicas, one spin at a time: the chains of [`super::super::replicas`] and [`super::super::tempering`], in plain numbers. The blocks of random bits come from the byte
//! queues, whose own tests hold them to their definition; where each bit goes is said here again.

use crate::error::Result;
use crate::kernels::byte_queue::GROUP;
use crate::kernels::local_update::{Laws, Rule, Source};
use crate::kernels::metropolis::Metropolis;
use crate::kernels::replicas::REPLICAS;
use crate::kernels::vector::{Generator, Halves, Vector};
use crate::lattice::SquareTorus;
use crate::measure::Measurement;
use crate::random::{LaneStream, Purpose};
use crate::sampler::{Start, local_update::refuse_unfit};
use crate::spins::Configuration;

/// 512 chains at one coupling.
#[derive(Debug, Clone)]
pub struct ReferenceReplicas {
    torus: SquareTorus,
    /// The spins +1 and -1 of each replica, in site order.
    spins: Vec<Vec<i8>>,
    laws: Laws,
    source: Source,
    /// What becomes of the random bits of a replica before they are used; the truth unless a test lies.
    take_bits_of: fn(usize) -> usize,
}

impl ReferenceReplicas {
    /// As [`crate::sampler::replicas::ReplicaGroup::new`].
    ///
    /// # Errors
    /// As there.
    pub fn new(torus: SquareTorus, coupling: f64, start: Start, seed: u64, group: u64) -> Result<Self> {
        refuse_unfit("metropolis", torus, coupling)?;
        let mut stream = LaneStream::new(seed, Purpose::Replicas, group);
        let mut spins = vec![vec![1; torus.sites()]; REPLICAS];
        if start == Start::Hot {
            for site in 0..torus.sites() {
                let words = stream.words();
                for (replica, spins) in spins.iter_mut().enumerate() {
                    spins[site] = if words[replica / 64] >> (replica % 64) & 1 == 1 { 1 } else { -1 };
                }
            }
            for spins in &mut spins {
                let unsatisfied =
                    |site: usize| torus.neighbours(site).into_iter().filter(|&neighbour| spins[neighbour] != spins[site]).count();
                if (0..torus.sites()).all(|site| unsatisfied(site) == 2) {
                    *spins = vec![1; torus.sites()];
                }
            }
        }
        Ok(ReferenceReplicas {
            torus,
            spins,
            laws: Metropolis::laws(coupling),
            source: Source::new(stream.lanes),
            take_bits_of: |replica| replica,
        })
    }

    /// The same chains, where replica r uses the random bits of replica `lie(r)`: a mutant for the tests of independence.
    #[must_use]
    pub fn with_shared_bits(self, lie: fn(usize) -> usize) -> Self {
        ReferenceReplicas { take_bits_of: lie, ..self }
    }

    /// The sites of a sweep in their order.
    fn order(&self) -> Vec<usize> {
        let side = self.torus.side();
        let row = |row: usize, colour: usize| {
            (0..side).map(move |column| self.torus.site(column, row)).filter(move |&site| self.torus.colour(site) == colour)
        };
        let mut order: Vec<usize> = Vec::new();
        for step in 0..side {
            order.extend(row(step, 0));
            if step >= 2 {
                order.extend(row(step - 1, 1));
            }
        }
        order.extend(row(side - 1, 1));
        order.extend(row(0, 1));
        order
    }

    /// One sweep of every replica.
    pub fn sweep(&mut self) {
        let mut generator = Generator::<Halves>::new(&self.source.lanes);
        for sites in self.order().chunks(GROUP) {
            let [mut never, mut once] = [[Halves::splat(0); GROUP]; 2];
            let [none, single] = &mut self.source.queues;
            none.fill(&self.laws.0[0], &mut generator, &mut never[..sites.len()]);
            single.fill(&self.laws.0[1], &mut generator, &mut once[..sites.len()]);
            for (place, &site) in sites.iter().enumerate() {
                let neighbours = self.torus.neighbours(site);
                let (never, once) = (never[place].to_block(), once[place].to_block());
                for (replica, spins) in self.spins.iter_mut().enumerate() {
                    let unsatisfied = neighbours.iter().filter(|&&neighbour| spins[neighbour] != spins[site]).count();
                    let source = (self.take_bits_of)(replica);
                    let is_set = |block: &[u64; 8]| block[source / 64] >> (source % 64) & 1 == 1;
                    if unsatisfied >= 2 || is_set(&never) || (unsatisfied == 1 && is_set(&once)) {
                        spins[site] = -spins[site];
                    }
                }
            }
        }
        self.source.lanes = generator.lanes();
    }

    /// Exchanges one replica with that of another coupling.
    pub fn exchange(&mut self, other: &mut ReferenceReplicas, replica: usize) {
        std::mem::swap(&mut self.spins[replica], &mut other.spins[replica]);
    }

    /// The present configuration of one replica.
    pub fn configuration(&self, replica: usize) -> Configuration {
        super::packed(self.torus, &self.spins[replica])
    }

    /// Energy and magnetization of one replica, bond by bond.
    pub fn measure(&self, replica: usize) -> Measurement {
        super::count(&self.configuration(replica))
    }

    /// The random stream, where the next sweep will go on.
    pub fn stream(&self) -> LaneStream {
        LaneStream { lanes: self.source.lanes }
    }
}
