//! Checkerboard updates on the chain and the cubic lattice, one spin at a time: the chains of [`super::super::domains`] and [`super::super::lanes`], in plain numbers and on a
//! lattice in site order. The blocks of random bits come from the byte queues, whose own tests hold them to their definition; where each bit goes is said here again.

use crate::error::Result;
use crate::kernels::byte_law::ByteLaw;
use crate::kernels::byte_queue::GROUP;
use crate::kernels::domains::{ChainHeatBath, ChainMetropolis, CubicHeatBath, CubicMetropolis, Shape, Source};
use crate::kernels::replicas::REPLICAS;
use crate::kernels::vector::{Generator, Halves, Vector};
use crate::lattice::Torus;
use crate::random::LaneStream;
use crate::sampler::domains::{Named, planes_of, strips};
use crate::sampler::{Start, initial_configuration};
use crate::spins::Configuration;

/// A rule in words.
pub trait Plain: Named {
    /// The new spin, +1 or -1, of a spin whose neighbours sum to `field`.
    fn new_spin(spin: i8, field: i8, bits: [bool; 3], fair: bool) -> i8;
}

/// -1 if `is_against`, for the majority `field`.
fn heat_bath(field: i8, is_against: bool, fair: bool) -> i8 {
    match field {
        0 => 2 * i8::from(fair) - 1,
        _ if is_against => -field.signum(),
        _ => field.signum(),
    }
}

impl Plain for CubicMetropolis {
    fn new_spin(spin: i8, field: i8, [first, second, third]: [bool; 3], _fair: bool) -> i8 {
        let flips = match spin * field {
            6 => first,
            4 => first || second,
            2 => first || second || third,
            _ => true,
        };
        if flips { -spin } else { spin }
    }
}

impl Plain for CubicHeatBath {
    fn new_spin(_spin: i8, field: i8, [first, second, third]: [bool; 3], fair: bool) -> i8 {
        let is_against = match field.abs() {
            6 => first,
            4 => first || second,
            _ => first || second || third,
        };
        heat_bath(field, is_against, fair)
    }
}

impl Plain for ChainMetropolis {
    fn new_spin(spin: i8, field: i8, [first, ..]: [bool; 3], fair: bool) -> i8 {
        let flips = match spin * field {
            2 => first,
            0 => fair,
            _ => true,
        };
        if flips { -spin } else { spin }
    }
}

impl Plain for ChainHeatBath {
    fn new_spin(_spin: i8, field: i8, [first, ..]: [bool; 3], fair: bool) -> i8 {
        heat_bath(field, first, fair)
    }
}

/// Lattices of spins +1 and -1 in site order: one cut into domains, or 512 replicas.
#[derive(Debug, Clone)]
pub struct ReferenceDomains<R: Plain> {
    torus: Torus,
    shape: Shape,
    lattices: Vec<Vec<i8>>,
    laws: Vec<ByteLaw>,
    sources: Vec<Source>,
    rule: std::marker::PhantomData<R>,
}

impl<R: Plain> ReferenceDomains<R> {
    /// As [`crate::sampler::domains::DomainUpdate::new`].
    ///
    /// # Errors
    /// As there, for a chain above 2^40.
    pub fn of_one(torus: Torus, coupling: f64, start: Start, seed: u64, chain: u64) -> Result<Self> {
        let shape = if R::DIMENSION == 1 { Shape::of_chain(torus.side()) } else { Shape::of_cube(torus.side()) };
        let source = |strip| {
            let index = crate::sampler::local_update::stream_index(chain, strip)?;
            Ok(Source::new(LaneStream::new(seed, R::PURPOSE, index).lanes))
        };
        Ok(ReferenceDomains {
            torus,
            lattices: vec![super::unpacked(&initial_configuration(torus, start, seed, chain))],
            laws: R::laws(coupling),
            sources: (0..strips(&shape)).map(source).collect::<Result<_>>()?,
            shape,
            rule: std::marker::PhantomData,
        })
    }

    /// 512 replicas from a cold start with the random bits of `stream`, as [`crate::sampler::lanes::DomainGroup::new`].
    pub fn of_replicas(torus: Torus, coupling: f64, stream: LaneStream) -> Self {
        ReferenceDomains {
            torus,
            shape: Shape::of_replicas(if R::DIMENSION == 1 { [torus.side(), 1, 1] } else { [torus.side(); 3] }),
            lattices: vec![vec![1; torus.sites()]; REPLICAS],
            laws: R::laws(coupling),
            sources: vec![Source::new(stream.lanes)],
            rule: std::marker::PhantomData,
        }
    }

    /// The site of a lane whose coordinates inside the domain are given, and its lattice; `None` for an idle lane.
    fn site(&self, inside: [usize; 3], lane: usize) -> Option<(usize, usize)> {
        let side = self.torus.side();
        let index = |[x, y, z]: [usize; 3]| x + side * (y + side * z);
        if self.lattices.len() > 1 {
            return Some((lane, index(inside)));
        }
        let domain = if R::DIMENSION == 1 { [lane, 0, 0] } else { [lane % 8, lane / 8 % 8, lane / 64] };
        if domain.iter().any(|&domain| domain >= self.shape.domains) {
            return None;
        }
        Some((0, index([0, 1, 2].map(|axis| domain[axis] * self.shape.extents[axis] + inside[axis]))))
    }

    /// One sweep.
    pub fn sweep(&mut self) {
        for colour in 0..2 {
            for strip in 0..self.sources.len() {
                let range = if self.lattices.len() > 1 { 0..self.shape.extents[2] } else { planes_of(&self.shape, strip) };
                let [width, height, _] = self.shape.extents;
                let coordinates = range.flat_map(|z| (0..height).flat_map(move |y| (0..width).map(move |x| [x, y, z])));
                let own: Vec<[usize; 3]> = coordinates.filter(|[x, y, z]| (x + y + z) % 2 == colour).collect();
                for group in own.chunks(GROUP) {
                    self.update(strip, group);
                }
            }
        }
    }

    fn update(&mut self, strip: usize, group: &[[usize; 3]]) {
        let mut generator = Generator::<Halves>::new(&self.sources[strip].lanes);
        let mut bits = [[Halves::splat(0); GROUP]; 3];
        for ((law, bits), queue) in self.laws.iter().zip(&mut bits).zip(&mut self.sources[strip].queues) {
            queue.fill(law, &mut generator, &mut bits[..group.len()]);
        }
        for (place, &inside) in group.iter().enumerate() {
            let fair = if R::FAIR { generator.step() } else { Halves::splat(0) }.to_block();
            let drawn = bits.map(|bits| bits[place].to_block());
            for lane in 0..REPLICAS {
                let Some((lattice, site)) = self.site(inside, lane) else { continue };
                let is_set = |block: &[u64; 8]| block[lane / 64] >> (lane % 64) & 1 == 1;
                let spins = &self.lattices[lattice];
                let field = self.torus.neighbours(site).map(|neighbour| spins[neighbour]).sum();
                let new = R::new_spin(spins[site], field, [is_set(&drawn[0]), is_set(&drawn[1]), is_set(&drawn[2])], is_set(&fair));
                self.lattices[lattice][site] = new;
            }
        }
        self.sources[strip].lanes = generator.lanes();
    }

    /// The configuration of a lattice: number 0, or a replica.
    pub fn configuration(&self, lattice: usize) -> Configuration {
        super::packed(self.torus, &self.lattices[lattice])
    }

    /// The sources of random bits, where the next sweep will go on.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }
}
