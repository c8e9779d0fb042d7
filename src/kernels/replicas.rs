//! Checkerboard updates of 512 lattices at once, one bit lane a lattice: the word of a site holds its spin in every replica. What follows is the
//! definition of the results; the reference (`sampler/reference/replicas.rs`) says the same one spin at a time.
//!
//! **Order.** Colour 0 holds the sites with (x + y) mod 2 = 0. A sweep updates all of colour 0, then all of colour 1, in an order that passes over memory
//! once: row by row, row y of colour 0 followed by row y - 1 of colour 1, whose neighbours are then up to date. Rows 1 to L - 2 of colour 1 come that way;
//! its rows L - 1 and 0 come last. Inside a row, x ascends.
//!
//! **Acceptance.** The rule, its two bits a spin and their laws are those of [`super::metropolis`], written out once more below, because here the bonds are counted on the way.
//! The bits come from byte laws ([`super::byte_queue`]): the sites of a sweep, in the order above, are taken 16 a group (the last one may be shorter); a group draws
//! its blocks of first bits, one a site, then its blocks of second bits. Every spin has its own bits, whether it needs them or not.
//!
//! **Energy.** Every bond has one end of colour 1, so the unsatisfied bonds are counted where a site of colour 1 has just been updated: its neighbours
//! will not change any more in this sweep.
//!
//! **Exchange.** Two lattices of neighbouring couplings swap the replicas of a mask by swapping the bits of the mask at every site. The swap runs just
//! ahead of the next sweep of both, so that it costs no pass over memory either.

use super::byte_look_up::Bytes;
use super::byte_queue::{Drawn, GROUP};
use super::local_update::{Laws, Source};
use super::vector::{BLOCK, Block, Generator, Halves, Vector};
use super::vertical_counter::{Counter, DIGITS};
#[cfg(target_arch = "x86_64")]
use super::{Chosen, pair::Pair, vector::Register};
use super::{InstructionSet, dispatch};
use std::ops::Range;

/// The replicas of a word.
pub const REPLICAS: usize = 64 * BLOCK;

/// One site of 512 replicas: replica r is bit r mod 64 of word r / 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Word(pub Block);

impl Word {
    /// No bit set.
    pub const ZERO: Word = Word([0; BLOCK]);
    /// All bits set.
    pub const ONES: Word = Word([u64::MAX; BLOCK]);
}

/// The lattices of 512 replicas of one coupling, with all that a sweep needs.
pub struct Lattices<'a> {
    /// The words of the sites, row by row.
    pub words: &'a mut [Word],
    /// The side L, even and at least 4.
    pub side: usize,
    /// The laws of the coupling.
    pub laws: &'a Laws,
    /// Where the random bits come from.
    pub source: &'a mut Source,
    /// Becomes the number of unsatisfied bonds of each replica after the sweep, by binary digits.
    pub unsatisfied: &'a mut [Block; DIGITS],
}

/// A sweep of one coupling. Unless it is `counted`, `unsatisfied` is left as it is.
pub fn sweep(set: InstructionSet, lattices: &mut Lattices, counted: bool) {
    match set.chosen_kind() {
        #[cfg(target_arch = "x86_64")]
        Chosen::Avx512 => sweep_register(set, lattices, counted),
        #[cfg(target_arch = "x86_64")]
        Chosen::Avx2 => sweep_pair(set, lattices, counted),
        _ => sweep_halves(set, lattices, counted),
    }
}

/// Swaps the replicas of `mask` between two couplings, then sweeps both.
pub fn exchange_and_sweep(set: InstructionSet, pair: &mut [Lattices; 2], mask: &Word) {
    match set.chosen_kind() {
        #[cfg(target_arch = "x86_64")]
        Chosen::Avx512 => exchange_and_sweep_register(set, pair, mask),
        #[cfg(target_arch = "x86_64")]
        Chosen::Avx2 => exchange_and_sweep_pair(set, pair, mask),
        _ => exchange_and_sweep_halves(set, pair, mask),
    }
}

#[cfg(target_arch = "x86_64")]
dispatch! {
    fn sweep_register(lattices: &mut Lattices, counted: bool) = sweep_body::<Register>;
}
#[cfg(target_arch = "x86_64")]
dispatch! {
    fn sweep_pair(lattices: &mut Lattices, counted: bool) = sweep_body::<Pair>;
}
dispatch! {
    fn sweep_halves(lattices: &mut Lattices, counted: bool) = sweep_body::<Halves>;
}
#[cfg(target_arch = "x86_64")]
dispatch! {
    fn exchange_and_sweep_register(pair: &mut [Lattices; 2], mask: &Word) = exchange_and_sweep_body::<Register>;
}
#[cfg(target_arch = "x86_64")]
dispatch! {
    fn exchange_and_sweep_pair(pair: &mut [Lattices; 2], mask: &Word) = exchange_and_sweep_body::<Pair>;
}
dispatch! {
    fn exchange_and_sweep_halves(pair: &mut [Lattices; 2], mask: &Word) = exchange_and_sweep_body::<Halves>;
}

#[inline(always)]
fn sweep_body<V: Bytes>(lattices: &mut Lattices, counted: bool) {
    let mut state = State::<V>::new(lattices);
    if counted {
        steps::<V, true>(lattices, 0..lattices.side + 1, &mut state);
        state.finish(lattices);
    } else {
        steps::<V, false>(lattices, 0..lattices.side + 1, &mut state);
        lattices.source.lanes = state.generator.lanes();
    }
}

/// Rows of a coupling that are done in one before the other coupling has its turn.
const ROWS_A_TURN: usize = 4;

#[inline(always)]
fn exchange_and_sweep_body<V: Bytes>(pair: &mut [Lattices; 2], mask: &Word) {
    let (side, mask) = (pair[0].side, V::from_block(mask.0));
    let mut states = [State::<V>::new(&pair[0]), State::<V>::new(&pair[1])];
    // Step y reads the rows y - 1, y and y + 1.
    exchange_rows(pair, side - 1..side, mask);
    exchange_rows(pair, 0..1, mask);
    let mut first = 0;
    while first <= side {
        let last = (first + ROWS_A_TURN).min(side + 1);
        exchange_rows(pair, (first + 1).min(side - 1)..(last + 1).min(side - 1), mask);
        // One body for both: the code is large.
        for (lattices, state) in pair.iter_mut().zip(&mut states) {
            steps::<V, true>(lattices, first..last, state);
        }
        first = last;
    }
    for (lattices, state) in pair.iter_mut().zip(states) {
        state.finish(lattices);
    }
}

#[inline(always)]
fn exchange_rows<V: Vector>([lower, upper]: &mut [Lattices; 2], rows: Range<usize>, mask: V) {
    let range = rows.start * lower.side..rows.end * lower.side;
    for (one, other) in lower.words[range.clone()].iter_mut().zip(&mut upper.words[range]) {
        let (first, second) = (V::from_block(one.0), V::from_block(other.0));
        let swapped = (first ^ second) & mask;
        one.0 = (first ^ swapped).to_block();
        other.0 = (second ^ swapped).to_block();
    }
}

/// A sweep under way.
struct State<V> {
    generator: Generator<V>,
    never: [V; GROUP],
    once: [V; GROUP],
    /// Sites updated.
    sites: usize,
    bonds: Counter<V>,
    /// What the two lowest digits of `bonds` carry.
    fours: [V; GROUP],
}

impl<V: Bytes> State<V> {
    #[inline(always)]
    fn new(lattices: &Lattices) -> Self {
        let (generator, zeros) = (Generator::new(&lattices.source.lanes), [V::splat(0); GROUP]);
        State { generator, never: zeros, once: zeros, sites: 0, bonds: Counter::zero(), fours: zeros }
    }

    #[inline(always)]
    fn finish(self, lattices: &mut Lattices) {
        lattices.source.lanes = self.generator.lanes();
        *lattices.unsatisfied = self.bonds.finish();
    }
}

/// Steps y of a sweep: row y of colour 0, then row y - 1 of colour 1. Steps 0 and 1 have no row of colour 1 that is ready; step L has no row of colour 0 and two of
/// colour 1.
#[inline(always)]
fn steps<V: Bytes, const COUNTED: bool>(lattices: &mut Lattices, range: Range<usize>, state: &mut State<V>) {
    let side = lattices.side;
    for step in range {
        if step < side {
            update_row::<V, false>(lattices, step, 0, state);
        }
        if step >= 2 {
            update_row::<V, COUNTED>(lattices, step - 1, 1, state);
        }
        if step == side {
            update_row::<V, COUNTED>(lattices, 0, 1, state);
        }
    }
}

/// How many rows ahead of those in work words are called into the second cache: the rows of the next turn.
const ROWS_AHEAD: usize = ROWS_A_TURN + 1;

/// Calls a word into the second cache. Any address will do.
#[inline(always)]
fn prefetch(word: *const Word) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing and never faults, whatever the address; the instruction is as old as the target.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(word.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = word;
}

/// Updates the sites of one colour in a row.
#[inline(always)]
fn update_row<V: Bytes, const COUNTED: bool>(lattices: &mut Lattices, row: usize, colour: usize, state: &mut State<V>) {
    let side = lattices.side;
    let range = |row: usize| row * side..(row + 1) * side;
    let rows = [range((row + side - 1) % side), range(row), range((row + 1) % side)];
    let Ok([above, own, below]) = lattices.words.get_disjoint_mut(rows) else { return };
    let own = &mut own[..side];
    let (above, below) = (&above[..side], &below[..side]);
    let (Source { queues: [any, single], .. }, Laws([law_of_any, law_of_single])) = (&mut *lattices.source, lattices.laws);
    let mut column = (row + colour) % 2;
    while column < side {
        let place = state.sites % GROUP;
        if place == 0 {
            let blocks = (side * side - state.sites).min(GROUP);
            any.fill(law_of_any, &mut state.generator, &mut state.never[..blocks]);
            if single.begin(law_of_single, &mut state.generator).is_none() {
                single.fill(law_of_single, &mut state.generator, &mut state.once[..blocks]);
            }
        }
        let sites = (GROUP - place).min((side - column).div_ceil(2));
        let pairs = column / 2..column / 2 + sites;
        let vertical = [above, below].map(|row| &row.as_chunks::<2>().0[pairs.clone()]);
        let State { generator, never, once, bonds, fours, .. } = &mut *state;
        let sites_of_row =
            Sites { own, vertical, column, never: &never[place..place + sites], fours: &mut fours[..sites], bonds, generator };
        let called = colour == 0;
        match single.one_by_one(law_of_single) {
            Some(mut single) => {
                sites_of_row.update::<_, COUNTED>(&mut single, called);
                single.finish();
            }
            None => sites_of_row.update::<_, COUNTED>(&mut &once[place..place + sites], called),
        }
        column += 2 * sites;
        state.sites += sites;
    }
}

/// Sites of one colour in a row, one after the other, inside a group.
struct Sites<'a, V> {
    own: &'a mut [Word],
    /// The rows above and below: for each site, its column and the other one of the pair.
    vertical: [&'a [[Word; 2]]; 2],
    /// Of the first one.
    column: usize,
    never: &'a [V],
    fours: &'a mut [V],
    bonds: &'a mut Counter<V>,
    generator: &'a mut Generator<V>,
}

impl<V: Bytes> Sites<'_, V> {
    /// Updates them, with their second bits. The words that will be wanted next may be `called` meanwhile.
    #[inline(always)]
    fn update<S: Drawn<V>, const COUNTED: bool>(self, single: &mut S, called: bool) {
        let Sites { own, vertical: [above, below], mut column, never, fours, bonds, generator } = self;
        let (side, parity) = (own.len(), column % 2);
        let [mut ones, mut twos] = bonds.lowest();
        let mut state = *generator;
        // The neighbour on the right is the next site's neighbour on the left.
        let ahead = own.as_ptr().wrapping_add(ROWS_AHEAD * side);
        let mut left = V::from_block(own[if column == 0 { side - 1 } else { column - 1 }].0);
        for (site, (((above, below), never), fours)) in above.iter().zip(below).zip(never).zip(&mut *fours).enumerate() {
            // SAFETY: `site` is less than the number of `never`, which is that of the sites that are left of the group, and of the bits if they were drawn before.
            let once = unsafe { single.block(site, &mut state) };
            let right = V::from_block(own[if column + 1 == side { 0 } else { column + 1 }].0);
            let (spin, above, below) = (V::from_block(own[column].0), V::from_block(above[parity].0), V::from_block(below[parity].0));
            // Among three bonds; the spin enters late, because sum and majority change sign with all of their bits.
            let (odd, majority) = left.full_adder(right, above);
            let fourth = odd.majority(below, once ^ spin);
            let new = spin ^ ((majority ^ spin) | (fourth ^ spin) | *never);
            own[column].0 = new.to_block();
            if COUNTED {
                let carry;
                (ones, carry) = ones.full_adder(odd ^ new, below ^ new);
                (twos, *fours) = twos.full_adder(carry, majority ^ new);
            }
            if called {
                prefetch(ahead.wrapping_add(column));
                prefetch(ahead.wrapping_add(column ^ 1));
            }
            left = right;
            column += 2;
        }
        *generator = state;
        if COUNTED {
            bonds.set_lowest([ones, twos]);
            bonds.add(2, fours);
        }
    }
}

dispatch! {
    /// The unsatisfied bonds of each replica, by binary digits, counted afresh; `words` are the sites of a torus of side `side`, row by row.
    pub fn count_unsatisfied(words: &[Word], side: usize) -> [Block; DIGITS] = count_unsatisfied_body;
}

#[inline(always)]
fn count_unsatisfied_body(words: &[Word], side: usize) -> [Block; DIGITS] {
    let mut counter = Counter::<Halves>::zero();
    let mut bonds = [Halves::splat(0); 2];
    for (row, own) in words.chunks(side).enumerate() {
        let below = &words[(row + 1) % side * side..][..side];
        for column in 0..side {
            let spin = Halves::from_block(own[column].0);
            bonds[0] = spin ^ Halves::from_block(own[(column + 1) % side].0);
            bonds[1] = spin ^ Halves::from_block(below[column].0);
            counter.add(0, &mut bonds);
        }
    }
    counter.finish()
}

dispatch! {
    /// The number of set bits of each replica, of the words of a row or column: `count` words from `first` on, `step` apart.
    pub fn count_line(words: &[Word], first: usize, step: usize, count: usize) -> [Block; DIGITS] = count_line_body;
}

#[inline(always)]
fn count_line_body(words: &[Word], first: usize, step: usize, count: usize) -> [Block; DIGITS] {
    let mut counter = Counter::<Halves>::zero();
    let mut group = [Halves::splat(0); GROUP];
    let mut done = 0;
    while done < count {
        let size = (count - done).min(GROUP);
        for (index, vector) in group[..size].iter_mut().enumerate() {
            *vector = Halves::from_block(words[first + (done + index) * step].0);
        }
        counter.add(0, &mut group[..size]);
        done += size;
    }
    counter.finish()
}
