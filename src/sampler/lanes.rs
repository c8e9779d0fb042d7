//! 512 chains of one coupling across the bits of words, on any lattice: the square one by [`super::replicas`], chains and cubic lattices by [`DomainGroup`] here. A ladder of
//! couplings ([`super::tempering`]) is made of these.

use super::domains::{Named, read_source};
use super::local_update::refuse_unfit;
use super::replicas::ReplicaGroup;
use super::{
    Start,
    snapshot::{Reader, TakeWords, put_source},
};
use crate::elementary::sine_and_cosine;
use crate::error::{Error, Result};
use crate::kernels::InstructionSet;
use crate::kernels::byte_law::ByteLaw;
use crate::kernels::domains::{ChainMetropolis, CubicMetropolis, Planes, Rule, Source};
use crate::kernels::replicas::{REPLICAS, Word};
use crate::kernels::vector::BLOCK;
use crate::lattice::{Geometry, Torus};
use crate::measure::Measurement;
use crate::random::{LaneStream, Purpose};
use crate::spins::{Configuration, domains::Domains};

/// The largest side of which 512 lattices lie across the bits: 16 MiB a coupling on the square lattice, 54 MiB on the cubic one, 64 MiB for chains.
pub fn largest_side(geometry: Geometry) -> usize {
    match geometry {
        Geometry::Chain => 1 << 20,
        Geometry::Square => super::replicas::LARGEST_SIDE,
        Geometry::Cubic => 96,
    }
}

/// 512 Metropolis chains at one coupling on the chain or the cubic lattice. Its random numbers are the lane stream (seed, Replicas, group). A hot start takes one step of it
/// a site, in site order; a cubic lattice in which every site has exactly three unsatisfied bonds begins with all spins up instead, because all its spins would flip in every sweep for ever.
#[derive(Debug, Clone)]
pub struct DomainGroup {
    domains: Domains,
    laws: Vec<ByteLaw>,
    source: Source,
    instruction_set: InstructionSet,
}

impl DomainGroup {
    /// The group number `group` of a run, at the coupling K = J / k_B T.
    ///
    /// # Errors
    /// [`Error::Usage`] for a lattice of odd side or a side above [`largest_side`], or a coupling that is negative, not finite or too small for
    /// Metropolis's rule ([`super::local_update::refuse_too_hot`]).
    pub fn new(torus: Torus, coupling: f64, start: Start, seed: u64, group: u64) -> Result<Self> {
        refuse_unfit(ChainMetropolis::NAME, torus, coupling)?;
        let largest = largest_side(torus.geometry());
        if torus.side() > largest {
            return Err(Error::Usage(format!(
                "a {} lattice of side {} is too large to have 512 of them across the bits: write a side up to {largest}, or layout = \"lattice\" without tempering",
                torus.geometry(),
                torus.side()
            )));
        }
        let mut stream = LaneStream::new(seed, Purpose::Replicas, group);
        let mut domains = Domains::of_replicas(torus);
        for site in 0..torus.sites() {
            let (colour, place) = domains.shape().place(torus.coordinates(site));
            domains.colours[colour][place].0 = if start == Start::Hot { stream.words() } else { [u64::MAX; BLOCK] };
        }
        let mut group = DomainGroup {
            domains,
            laws: if torus.dimension() == 1 { ChainMetropolis::laws(coupling) } else { CubicMetropolis::laws(coupling) },
            source: Source::new(stream.lanes),
            instruction_set: InstructionSet::chosen(),
        };
        if start == Start::Hot && torus.dimension() == 3 {
            group.raise_balanced();
        }
        Ok(group)
    }

    fn raise_balanced(&mut self) {
        let torus = self.domains.torus();
        let at = |site: usize| {
            let (colour, place) = self.domains.shape().place(torus.coordinates(site));
            self.domains.colours[colour][place].0
        };
        let mut balanced = [u64::MAX; BLOCK];
        for site in 0..torus.sites() {
            let own = at(site);
            let mut digits = [[0u64; 3]; BLOCK];
            for neighbour in torus.neighbours(site).map(at) {
                for word in 0..BLOCK {
                    let mut carry = own[word] ^ neighbour[word];
                    for digit in &mut digits[word] {
                        (*digit, carry) = (*digit ^ carry, *digit & carry);
                    }
                }
            }
            for (balanced, [ones, twos, fours]) in balanced.iter_mut().zip(digits) {
                *balanced &= ones & twos & !fours;
            }
        }
        for word in self.domains.colours.iter_mut().flatten() {
            word.0.iter_mut().zip(balanced).for_each(|(word, balanced)| *word |= balanced);
        }
    }

    fn sweep(&mut self) {
        let shape = *self.domains.shape();
        for colour in 0..2 {
            let [first, second] = &mut self.domains.colours;
            let (own, other) = if colour == 0 { (first, second) } else { (second, first) };
            let planes = Planes { shape: &shape, range: 0..shape.extents[2], colour };
            if shape.extents[1] == 1 {
                ChainMetropolis::update(self.instruction_set, own, other, planes, &self.laws, &mut self.source);
            } else {
                CubicMetropolis::update(self.instruction_set, own, other, planes, &self.laws, &mut self.source);
            }
        }
    }

    fn exchange(&mut self, other: &mut DomainGroup, mask: &Word) {
        for (one, other) in self.domains.colours.iter_mut().flatten().zip(other.domains.colours.iter_mut().flatten()) {
            for ((one, other), mask) in one.0.iter_mut().zip(&mut other.0).zip(mask.0) {
                let swapped = (*one ^ *other) & mask;
                *one ^= swapped;
                *other ^= swapped;
            }
        }
    }

    fn unsatisfied(&self) -> [u32; REPLICAS] {
        // Sides are bounded so that all bonds fit.
        self.domains.unsatisfied(self.instruction_set).map(|count| count as u32)
    }

    fn measurement(&self, unsatisfied: u32, up: u64) -> Measurement {
        let torus = self.domains.torus();
        Measurement { energy: 2 * i64::from(unsatisfied) - torus.bonds() as i64, magnetization: 2 * up as i64 - torus.sites() as i64 }
    }

    fn measurements(&self) -> Vec<Measurement> {
        let up = self.domains.up(self.instruction_set);
        self.unsatisfied().into_iter().zip(up).map(|(unsatisfied, up)| self.measurement(unsatisfied, up)).collect()
    }

    /// [`crate::measure::Observer::wave_power`] of every replica, but for rounding.
    fn wave_powers(&self) -> Vec<f64> {
        let (torus, set) = (self.domains.torus(), self.instruction_set);
        let mut powers = vec![0.0; REPLICAS];
        for axis in 0..torus.dimension() {
            let (mut real, mut imaginary) = ([0.0; REPLICAS], [0.0; REPLICAS]);
            // Layers with as many spins up as all others have no wave, and what the sum over their phases leaves is rounding.
            let (mut first, mut alike) = (None, [true; REPLICAS]);
            for (coordinate, layer) in self.domains.layers(set, axis).enumerate() {
                let (sine, cosine) = sine_and_cosine(std::f64::consts::TAU * coordinate as f64 / torus.side() as f64);
                let first = *first.get_or_insert(layer);
                for (lane, up) in layer.into_iter().enumerate() {
                    alike[lane] &= up == first[lane];
                    real[lane] += f64::from(up) * cosine;
                    imaginary[lane] += f64::from(up) * sine;
                }
            }
            for (lane, power) in powers.iter_mut().enumerate().filter(|(lane, _)| !alike[*lane]) {
                // Spins are twice the up spins, less a constant that has no part in the wave.
                *power += 4.0 * (real[lane] * real[lane] + imaginary[lane] * imaginary[lane]) / torus.dimension() as f64;
            }
        }
        powers
    }
}

/// 512 chains at one coupling.
#[derive(Debug, Clone)]
pub enum LaneGroup {
    /// On the square lattice.
    Square(ReplicaGroup),
    /// On the chain or the cubic lattice.
    Domains(DomainGroup),
}

impl LaneGroup {
    /// The group number `group` of a run, at the coupling K = J / k_B T.
    ///
    /// # Errors
    /// What [`ReplicaGroup::new`] and [`DomainGroup::new`] refuse.
    pub fn new(torus: impl Into<Torus>, coupling: f64, start: Start, seed: u64, group: u64) -> Result<Self> {
        let torus = torus.into();
        Ok(match torus.square() {
            Some(torus) => LaneGroup::Square(ReplicaGroup::new(torus, coupling, start, seed, group)?),
            None => LaneGroup::Domains(DomainGroup::new(torus, coupling, start, seed, group)?),
        })
    }

    /// The same chains, run on another instruction set; the results do not depend on it.
    #[must_use]
    pub fn with_instruction_set(self, instruction_set: InstructionSet) -> Self {
        match self {
            LaneGroup::Square(group) => LaneGroup::Square(group.with_instruction_set(instruction_set)),
            LaneGroup::Domains(group) => LaneGroup::Domains(DomainGroup { instruction_set, ..group }),
        }
    }

    /// One sweep of every replica.
    pub fn sweep(&mut self) {
        match self {
            LaneGroup::Square(group) => group.sweep(),
            LaneGroup::Domains(group) => group.sweep(),
        }
    }

    /// One sweep of every replica before a measurement: on the square lattice the energies are counted on the way.
    pub fn sweep_counted(&mut self) {
        match self {
            LaneGroup::Square(group) => group.sweep_counted(),
            LaneGroup::Domains(group) => group.sweep(),
        }
    }

    /// Swaps the replicas of `mask` between two groups of one lattice, then does one sweep of both.
    pub fn exchange_and_sweep(&mut self, upper: &mut LaneGroup, mask: &Word) {
        match (self, upper) {
            (LaneGroup::Square(lower), LaneGroup::Square(upper)) => lower.exchange_and_sweep(upper, mask),
            (LaneGroup::Domains(lower), LaneGroup::Domains(upper)) => {
                lower.exchange(upper, mask);
                lower.sweep();
                upper.sweep();
            }
            // Groups of a ladder are made of one lattice.
            _ => {}
        }
    }

    /// The unsatisfied bonds of every replica: E = 2 unsatisfied - d N.
    pub fn unsatisfied(&self) -> [u32; REPLICAS] {
        match self {
            LaneGroup::Square(group) => group.unsatisfied(),
            LaneGroup::Domains(group) => group.unsatisfied(),
        }
    }

    /// Energy and magnetization of every replica.
    pub fn measurements(&self) -> Vec<Measurement> {
        match self {
            LaneGroup::Square(group) => group.measurements(),
            LaneGroup::Domains(group) => group.measurements(),
        }
    }

    /// [`crate::measure::Observer::wave_power`] of every replica; not measured on the square lattice in this layout.
    pub fn wave_powers(&self) -> Option<Vec<f64>> {
        match self {
            LaneGroup::Square(_) => None,
            LaneGroup::Domains(group) => Some(group.wave_powers()),
        }
    }

    /// The present configuration of one replica.
    pub fn configuration(&self, replica: usize) -> Configuration {
        match self {
            LaneGroup::Square(group) => group.configuration(replica),
            LaneGroup::Domains(group) => group.domains.replica(replica),
        }
    }

    /// The lattice.
    pub fn torus(&self) -> Torus {
        match self {
            LaneGroup::Square(group) => group.torus().into(),
            LaneGroup::Domains(group) => group.domains.torus(),
        }
    }

    /// Hands over all that the rest of the chains depends on: the state of the lanes, the queues, the words of the sites.
    pub fn put_snapshot(&self, take: &mut TakeWords) {
        match self {
            LaneGroup::Square(group) => group.put_snapshot(take),
            LaneGroup::Domains(group) => {
                put_source(group.source.lanes, &group.source.queues, take);
                group.domains.colours.iter().flatten().for_each(|word| take(&word.0));
            }
        }
    }

    /// Goes on from what [`Self::put_snapshot`] gave of a group of the same lattice and coupling.
    ///
    /// # Errors
    /// [`Error::Refused`] if the words do not fit.
    pub fn restore(&mut self, reader: &mut Reader) -> Result<()> {
        match self {
            LaneGroup::Square(group) => group.restore(reader),
            LaneGroup::Domains(group) => {
                group.source = read_source(reader)?;
                let count = group.domains.torus().sites() * BLOCK;
                for (site, words) in group.domains.colours.iter_mut().flatten().zip(reader.words(count)?.as_chunks().0) {
                    site.0 = *words;
                }
                Ok(())
            }
        }
    }
}
