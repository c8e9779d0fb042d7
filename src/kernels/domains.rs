//! Checkerboard updates on the chain and the cubic lattice, 512 spins at a time, each with random bits of its own. What follows is the definition of the results.
//!
//! **Layout.** 512 lanes (bits of a block of eight words) hold 512 small lattices of the same extents, either independent replicas, each periodic by itself, or the domains of
//! one large lattice: of a cubic lattice of side L, cut into B x B x B cubes of side D = L / B, lane x + 8 y + 64 z holds the cube (x, y, z); of a chain, cut into B pieces, lane b
//! the piece b. Then a neighbour inside a domain is the block of another site, and across its border that of the first (or last) site with the lanes turned by one. B is the
//! largest power of two, at most 8 (512 for the chain), for which D is even: all lanes work where L is a multiple of 16 (of 1024), and fewer do elsewhere, the others being idle.
//!
//! **Colours.** The extents are even, so that a site has the same colour, (x + y + z) mod 2, in all lanes. The sites of a colour lie apart, row by row, i-th site of row (y, z) at
//! x = 2 i + (y + z + colour) mod 2.
//!
//! **Order.** A sweep updates all of colour 0, then all of colour 1; the planes of constant z are shared out among strips with a [`Source`] each. A strip takes its sites
//! in order, [`GROUP`] a group (the last one may be shorter): a group draws its blocks of first bits, one a site, then of second bits, then of third bits, as far as the rule
//! has them ([`super::byte_queue`]). A rule that wants fair bits takes one step of the lane stream at each site besides.

/// [`Rule::update`] of a rule: [`update`] for each instruction set.
macro_rules! on_every_instruction_set {
    ($rule:ident) => {
        fn update(set: InstructionSet, own: &mut [Word], other: &[Word], planes: Planes, laws: &[ByteLaw], source: &mut Source) {
            #[cfg(target_arch = "x86_64")]
            dispatch! {
                fn register(own: &mut [Word], other: &[Word], planes: Planes, laws: &[ByteLaw], source: &mut Source) = update::<$rule, Register>;
            }
            #[cfg(target_arch = "x86_64")]
            dispatch! {
                fn pair(own: &mut [Word], other: &[Word], planes: Planes, laws: &[ByteLaw], source: &mut Source) = update::<$rule, Pair>;
            }
            match set.chosen_kind() {
                #[cfg(target_arch = "x86_64")]
                Chosen::Avx512 => register(set, own, other, planes, laws, source),
                #[cfg(target_arch = "x86_64")]
                Chosen::Avx2 => pair(set, own, other, planes, laws, source),
                _ => update::<$rule, Halves>(own, other, planes, laws, source),
            }
        }
    };
}

mod rules;

pub use rules::{ChainHeatBath, ChainMetropolis, CubicHeatBath, CubicMetropolis};

use super::byte_law::ByteLaw;
use super::byte_look_up::Bytes;
use super::byte_queue::{ByteQueue, GROUP};
use super::generator::Lanes;
use super::replicas::{REPLICAS, Word};
use super::vector::{BLOCK, Block, Generator, Halves, Vector};
use super::vertical_counter::{Counter, DIGITS, values};
use super::{InstructionSet, dispatch};
use std::ops::Range;

/// The most laws of a rule.
pub const LAWS: usize = 3;

/// Where a strip takes its random bits from: a lane stream, and what was drawn from it ahead for each law.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The stream.
    pub lanes: Lanes,
    /// One queue for each law; those of laws that the rule has not stay empty.
    pub queues: [ByteQueue; LAWS],
}

impl Source {
    /// From the beginning of a stream.
    pub fn new(lanes: Lanes) -> Self {
        Source { lanes, queues: std::array::from_fn(|_| ByteQueue::new()) }
    }
}

/// How the sites lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The sites along x, y and z of the lattice of a lane; those along x even, and along y and z 1 for a chain.
    pub extents: [usize; 3],
    /// Domains along an axis, a power of two; 1 where lanes do not speak to each other.
    pub domains: usize,
    /// The lanes that hold spins.
    pub used: Block,
}

/// How the lanes of a neighbour are turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    None,
    /// Each lane looks at the next domain along the axis.
    Next(usize),
    /// At the one before.
    Previous(usize),
}

impl Shape {
    /// 512 replicas of a lattice of these extents.
    pub fn of_replicas(extents: [usize; 3]) -> Self {
        Shape { extents, domains: 1, used: [u64::MAX; BLOCK] }
    }

    /// One cubic lattice of an even side.
    pub fn of_cube(side: usize) -> Self {
        let domains = [8, 4, 2, 1].into_iter().find(|&domains| side.is_multiple_of(2 * domains)).unwrap_or(1);
        let row = (1u64 << domains) - 1;
        let square = (0..domains).fold(0, |square, y| square | row << (8 * y));
        let used = std::array::from_fn(|word| if word < domains { square } else { 0 });
        Shape { extents: [side / domains; 3], domains, used }
    }

    /// One chain of an even number of spins.
    pub fn of_chain(side: usize) -> Self {
        let domains = (0..=9).rev().map(|power| 1 << power).find(|&domains| side.is_multiple_of(2 * domains)).unwrap_or(1);
        let used = std::array::from_fn(|word| match domains.saturating_sub(64 * word) {
            0 => 0,
            lanes if lanes >= 64 => u64::MAX,
            lanes => (1 << lanes) - 1,
        });
        Shape { extents: [side / domains, 1, 1], domains, used }
    }

    /// 1 for a chain, else 3.
    fn dimension(&self) -> usize {
        if self.extents[1] == 1 { 1 } else { 3 }
    }

    /// Sites of a colour in a row.
    pub fn half(&self) -> usize {
        self.extents[0] / 2
    }

    /// Sites of a colour in a plane of constant z.
    pub fn plane(&self) -> usize {
        self.half() * self.extents[1]
    }

    /// Sites of a colour.
    pub fn words(&self) -> usize {
        self.plane() * self.extents[2]
    }

    /// The colour of a site and its place there.
    pub fn place(&self, [x, y, z]: [usize; 3]) -> (usize, usize) {
        ((x + y + z) % 2, (z * self.extents[1] + y) * self.half() + x / 2)
    }

    #[inline(always)]
    fn turned<V: Vector>(&self, spins: V, turn: Turn) -> V {
        let (axis, next) = match turn {
            Turn::None => return spins,
            Turn::Next(axis) => (axis, true),
            Turn::Previous(axis) => (axis, false),
        };
        if self.domains == 1 {
            return spins;
        }
        if self.dimension() == 1 {
            return V::from_block(if next { self.chain_next(spins.to_block()) } else { self.chain_previous(spins.to_block()) });
        }
        if axis == 2 {
            let (block, count) = (spins.to_block(), self.domains);
            let mut found = block;
            for (word, found) in found.iter_mut().enumerate().take(count) {
                *found = block[if next { word + 1 } else { word + count - 1 } % count];
            }
            return V::from_block(found);
        }
        // Domains of an axis are `step` lanes apart; the first (or last) of them look over the border of the lattice.
        let (step, far) = (if axis == 0 { 1 } else { 8 }, if axis == 0 { self.domains as u32 - 1 } else { 8 * (self.domains as u32 - 1) });
        let first: u64 = if axis == 0 { 0x0101_0101_0101_0101 } else { 0xFF };
        if next {
            let border = V::splat(first << far);
            (spins.shift_right_by(step) & !border) | (spins.shift_left_by(far) & border)
        } else {
            let border = V::splat(first);
            (spins.shift_left_by(step) & !border) | (spins.shift_right_by(far) & border)
        }
    }

    fn chain_next(&self, block: Block) -> Block {
        let count = self.domains / 64;
        if count == 0 {
            let lanes = block[0];
            let mut found = [0; BLOCK];
            found[0] = lanes >> 1 | (lanes & 1) << (self.domains - 1);
            return found;
        }
        std::array::from_fn(|word| if word < count { block[word] >> 1 | block[(word + 1) % count] << 63 } else { 0 })
    }

    fn chain_previous(&self, block: Block) -> Block {
        let count = self.domains / 64;
        if count == 0 {
            let lanes = block[0];
            let mut found = [0; BLOCK];
            found[0] = (lanes << 1 | lanes >> (self.domains - 1)) & self.used[0];
            return found;
        }
        std::array::from_fn(|word| if word < count { block[word] << 1 | block[(word + count - 1) % count] >> 63 } else { 0 })
    }
}

/// How a spin moves.
pub trait Rule: Copy + Send + Sync + std::fmt::Debug + 'static {
    /// Dimensions, 1 or 3.
    const DIMENSION: usize;
    /// Laws it has, at most [`LAWS`].
    const LAWS: usize;
    /// Whether it wants fair bits.
    const FAIR: bool;

    /// The laws of its bits at the coupling K >= 0.
    fn laws(coupling: f64) -> Vec<ByteLaw>;

    /// 512 new spins (set bits are spins up) from the old ones, their neighbours (two for a chain, the others clear) and the bits. `fair` is clear unless [`Self::FAIR`].
    fn new_spins<V: Vector>(spins: V, neighbours: [V; 6], bits: [V; LAWS], fair: V) -> V;

    /// Updates the planes of constant z in a range of one colour once. `own` are the sites of these planes, `other` all sites of the other colour.
    fn update(set: InstructionSet, own: &mut [Word], other: &[Word], planes: Planes, laws: &[ByteLaw], source: &mut Source);
}

/// Some planes of a colour.
#[derive(Debug, Clone)]
pub struct Planes<'a> {
    /// The lattice.
    pub shape: &'a Shape,
    /// Which planes.
    pub range: Range<usize>,
    /// Which colour.
    pub colour: usize,
}

/// The rows of the other colour around a row, and how each is turned.
struct Around<'a> {
    same: &'a [Word],
    /// y + 1, y - 1, z + 1, z - 1.
    rows: [(&'a [Word], Turn); 4],
    /// Whether the first site of the row is at x = 1.
    odd: bool,
}

impl<'a> Around<'a> {
    #[inline(always)]
    fn new(other: &'a [Word], shape: &Shape, y: usize, z: usize, colour: usize) -> Self {
        let [_, height, depth] = shape.extents;
        let row = |y: usize, z: usize| &other[(z * height + y) * shape.half()..][..shape.half()];
        let (last, behind) = (y + 1 == height, z + 1 == depth);
        let turn = |is_border: bool, turn: Turn| if is_border { turn } else { Turn::None };
        Around {
            same: row(y, z),
            rows: [
                (row(if last { 0 } else { y + 1 }, z), turn(last, Turn::Next(1))),
                (row(if y == 0 { height - 1 } else { y - 1 }, z), turn(y == 0, Turn::Previous(1))),
                (row(y, if behind { 0 } else { z + 1 }), turn(behind, Turn::Next(2))),
                (row(y, if z == 0 { depth - 1 } else { z - 1 }), turn(z == 0, Turn::Previous(2))),
            ],
            odd: (y + z + colour) % 2 == 1,
        }
    }

    /// The neighbours of the site number `place` of the row.
    #[inline(always)]
    fn of<V: Vector>(&self, shape: &Shape, place: usize, dimension: usize) -> [V; 6] {
        let none = V::splat(0);
        let half = self.same.len();
        let far = match (self.odd, place) {
            (true, place) if place + 1 == half => shape.turned(V::from_block(self.same[0].0), Turn::Next(0)),
            (true, place) => V::from_block(self.same[place + 1].0),
            (false, 0) => shape.turned(V::from_block(self.same[half - 1].0), Turn::Previous(0)),
            (false, place) => V::from_block(self.same[place - 1].0),
        };
        let mut neighbours = [V::from_block(self.same[place].0), far, none, none, none, none];
        if dimension == 3 {
            for (neighbour, (row, turn)) in neighbours[2..].iter_mut().zip(&self.rows) {
                *neighbour = shape.turned(V::from_block(row[place].0), *turn);
            }
        }
        neighbours
    }
}

/// The body of [`Rule::update`], which each rule compiles for every instruction set.
#[inline(always)]
fn update<R: Rule, V: Bytes>(own: &mut [Word], other: &[Word], planes: Planes, laws: &[ByteLaw], source: &mut Source) {
    let shape = *planes.shape;
    let (half, height) = (shape.half(), shape.extents[1]);
    let total = own.len();
    let used = V::from_block(shape.used);
    // The state stays in registers or on the stack of this function for all rows.
    let mut generator = Generator::<V>::new(&source.lanes);
    let mut bits = [[V::splat(0); GROUP]; LAWS];
    let (mut done, mut drawn, mut place) = (0, 0, 0);
    for (index, own) in own.chunks_exact_mut(half).enumerate() {
        let (y, z) = (index % height, planes.range.start + index / height);
        let around = Around::new(other, &shape, y, z, planes.colour);
        let mut from = 0;
        while from < half {
            if place == drawn {
                (drawn, place) = ((total - done).min(GROUP), 0);
                for ((queue, law), bits) in source.queues.iter_mut().zip(laws).zip(&mut bits).take(R::LAWS) {
                    queue.fill(law, &mut generator, &mut bits[..drawn]);
                }
            }
            let count = (drawn - place).min(half - from);
            for offset in 0..count {
                let spins = V::from_block(own[from + offset].0);
                let neighbours = around.of::<V>(&shape, from + offset, R::DIMENSION);
                let fair = if R::FAIR { generator.step() } else { V::splat(0) };
                let new =
                    R::new_spins(spins, neighbours, [bits[0][place + offset], bits[1][place + offset], bits[2][place + offset]], fair);
                own[from + offset].0 = (new & used).to_block();
            }
            (from, place, done) = (from + count, place + count, done + count);
        }
    }
    source.lanes = generator.lanes();
}

dispatch! {
    /// Adds the unsatisfied bonds of each lane that have an end of colour 1 in the planes of a range, which is each bond of the lattice once if it is all of them.
    pub fn count_unsatisfied(shape: &Shape, colours: [&[Word]; 2], range: Range<usize>) -> [Block; DIGITS] = count_unsatisfied_body;
}

#[inline(always)]
fn count_unsatisfied_body(shape: &Shape, colours: [&[Word]; 2], range: Range<usize>) -> [Block; DIGITS] {
    let mut counter = Counter::<Halves>::zero();
    let used = Halves::from_block(shape.used);
    for z in range {
        for y in 0..shape.extents[1] {
            let around = Around::new(colours[0], shape, y, z, 1);
            let own = &colours[1][(z * shape.extents[1] + y) * shape.half()..][..shape.half()];
            for (place, own) in own.iter().enumerate() {
                let own = Halves::from_block(own.0);
                let mut unlike = around.of::<Halves>(shape, place, shape.dimension());
                // No closures: they do not have the instructions.
                for bond in &mut unlike {
                    *bond = (*bond ^ own) & used;
                }
                if shape.dimension() == 1 {
                    counter.add(0, &mut [unlike[0], unlike[1]]);
                } else {
                    let (first, second) = (unlike[0].full_adder(unlike[1], unlike[2]), unlike[3].full_adder(unlike[4], unlike[5]));
                    counter.add(0, &mut [first.0, second.0]);
                    counter.add(1, &mut [first.1, second.1]);
                }
            }
        }
    }
    counter.finish()
}

dispatch! {
    /// The spins up of each lane in the layer of the sites whose coordinate along an axis is `coordinate`.
    pub fn count_layer(shape: &Shape, colours: [&[Word]; 2], axis: usize, coordinate: usize) -> [Block; DIGITS] = count_layer_body;
}

#[inline(always)]
fn count_layer_body(shape: &Shape, colours: [&[Word]; 2], axis: usize, coordinate: usize) -> [Block; DIGITS] {
    let mut spins = Gathered { counter: Counter::zero(), group: [Halves::splat(0); GROUP], waiting: 0 };
    let [_, height, depth] = shape.extents;
    let half = shape.half();
    for z in 0..depth {
        if axis == 2 && z != coordinate {
            continue;
        }
        for y in 0..height {
            if axis == 1 && y != coordinate {
                continue;
            }
            let row = (z * height + y) * half;
            if axis == 0 {
                spins.take(&colours[(coordinate + y + z) % 2][row + coordinate / 2]);
            } else {
                for colour in colours {
                    for word in &colour[row..row + half] {
                        spins.take(word);
                    }
                }
            }
        }
    }
    spins.counter.add(0, &mut spins.group[..spins.waiting]);
    spins.counter.finish()
}

/// Words that are counted by groups.
struct Gathered {
    counter: Counter<Halves>,
    group: [Halves; GROUP],
    waiting: usize,
}

impl Gathered {
    #[inline(always)]
    fn take(&mut self, word: &Word) {
        self.group[self.waiting] = Halves::from_block(word.0);
        self.waiting += 1;
        if self.waiting == GROUP {
            self.counter.add(0, &mut self.group);
            self.waiting = 0;
        }
    }
}

/// The unsatisfied bonds of every lane.
pub fn unsatisfied(set: InstructionSet, shape: &Shape, colours: [&[Word]; 2]) -> [u64; REPLICAS] {
    let depth = shape.extents[2];
    // So many planes at a time that no counter overflows.
    let most = ((1usize << DIGITS) - 1) / (2 * shape.dimension() * shape.plane()).max(1);
    let mut sums = [0; REPLICAS];
    let mut counts = [0; REPLICAS];
    for first in (0..depth).step_by(most.max(1)) {
        values(set, &count_unsatisfied(set, shape, colours, first..(first + most.max(1)).min(depth)), &mut counts);
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += u64::from(count));
    }
    sums
}
