//! One Swendsen-Wang sweep over tiled spins ([`super::tiles`]). What follows is the definition of the results; the reference sampler
//! (`sampler/reference/swendsen_wang.rs`) says the same one bond at a time, and the tests hold the two together spin by spin.
//!
//! **Random bits.** A strip of [`STRIP`] rows of tiles (the last one may be lower) has a lane stream of its own. For each of its rows of tiles it gives one word
//! a tile (and, to fill whole blocks, words that nobody reads) of the bonds to the right, then one of the bonds downwards, both with the bits of
//! [`super::bernoulli::fill`], then one of [`super::bernoulli::fill_uniform`] for the signs. A bond between equal spins is open if its bit is set: bit b of the first
//! (second) word belongs to the bond from the site of bit b to the right (down). A cluster flips if the bit of its first site is set in the word for the
//! signs: that of the site's number. Tiles and numbers are in the order of [`super::tiles`].
//!
//! **Passes.** For each strip, on any thread:
//! 1. [`decompose`]: bonds; clusters inside each tile, where every site gets the number of the first site of its cluster as its label; consecutive *nodes* for
//!    those clusters that touch the rim of their tile; union of the nodes over the bonds from tile to tile ([`forest`]).
//! 2. [`join_strips`], on one thread: union over the bonds from strip to strip; then the trees are cut apart again, where a node whose parent is in another
//!    strip takes over the sign of its root.
//! 3. [`flip_clusters`]: one ascending pass carries the signs from parents to nodes, then every tile flips the sites whose label's sign is set.
//!
//! Nodes stand in the order of their first sites and the smaller node always becomes the parent, so that the root of a cluster is its first site, in whatever
//! order the bonds are looked at. The results depend on nothing else: neither on the numbers of the nodes nor on threads.

pub mod census;
pub mod forest;
mod plain;
#[cfg(target_arch = "x86_64")]
mod register;

#[cfg(target_arch = "x86_64")]
use super::Chosen;
use super::bernoulli;
use super::generator::Lanes;
use super::tiles::{Bytes, RIM, SITES, TILE, TileGrid};
use super::vector::Vector;
use super::{InstructionSet, dispatch};
use crate::error::Result;
use std::ops::Range;

/// Rows of tiles that share a random stream. Part of the definition of every result.
pub const STRIP: usize = 16;
/// Tiles that are labelled at one time, about.
const BAND: usize = 512;
/// Spare places after the nodes of a strip: entries are written 32 at a time.
const SPARE: usize = 32;

/// The clusters of a tile, as far as the flips need them beside the labels.
#[derive(Debug, Clone, Copy, Default)]
pub struct Head {
    /// The random bits for the signs, by the numbers of the sites.
    signs: u64,
    /// The numbers of the first sites of the clusters that touch the rim: the nodes of the tile, in ascending order.
    rim_roots: u32,
    /// The first of these nodes.
    first_node: u32,
}

/// The rim of a tile.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
struct Rim {
    /// For the sites along the top, left, bottom and right edge, which node of the tile they belong to, counted from `first_node`.
    nodes: [[u8; TILE]; 4],
    first_node: u32,
    /// Open bonds to the tile on the right, bit y for row y, and to the tile below, bit x for column x.
    open_right: u8,
    open_down: u8,
}

/// A strip of the lattice: its random stream, and what is needed while its clusters are found.
#[derive(Debug, Clone)]
pub struct Strip {
    /// Its random numbers.
    pub lanes: Lanes,
    rows: Range<usize>,
    /// Where its nodes begin, and how many there are.
    base: u32,
    nodes: u32,
    /// Words of a band: bonds to the right, downwards, and signs.
    right: Vec<u64>,
    down: Vec<u64>,
    signs: Vec<u64>,
    /// The rims of the row of tiles above the band (at the end: of the last row), then those of the band.
    rims: Vec<Rim>,
    /// The rims of the first row.
    first: Vec<Rim>,
    /// Pairs of nodes that a bond joins.
    pairs: forest::Pairs,
}

impl Strip {
    /// The strips of a lattice, each with its stream.
    ///
    /// # Errors
    /// Those of `lanes`.
    ///
    /// # Panics
    /// If the nodes cannot be numbered in 32 bits.
    pub fn all(grid: &TileGrid, lanes: impl Fn(usize) -> Result<Lanes>) -> Result<Vec<Strip>> {
        let (per_side, stride) = (grid.per_side(), grid.stride());
        let strip = |number: usize| {
            let rows = number * STRIP..per_side.min(number * STRIP + STRIP);
            let band = band_rows(grid).min(rows.len());
            Ok(Strip {
                lanes: lanes(number)?,
                base: u32::try_from(number * node_stride(grid)).expect("the side is bounded so that nodes have 32 bits"),
                nodes: 0,
                right: vec![0; band * stride],
                down: vec![0; band * stride],
                signs: vec![0; band * stride],
                rims: vec![Rim::default(); (band + 1) * per_side],
                first: vec![Rim::default(); per_side],
                pairs: forest::Pairs::new(2 * TILE * per_side + TILE),
                rows,
            })
        };
        (0..per_side.div_ceil(STRIP)).map(strip).collect()
    }
}

fn band_rows(grid: &TileGrid) -> usize {
    (BAND / grid.per_side()).clamp(1, STRIP)
}

/// Places for the nodes of a whole strip.
pub fn node_stride(grid: &TileGrid) -> usize {
    STRIP * grid.per_side() * RIM + SPARE
}

/// What is found out about a lattice, strip after strip.
#[derive(Debug, Clone)]
pub struct Clusters {
    labels: Vec<Bytes>,
    heads: Vec<Head>,
    /// A place for each node: its parent, at most as large as itself; and the sign of its cluster, all bits alike.
    parents: Vec<u32>,
    signs: Vec<u8>,
    per_strip: usize,
    node_stride: usize,
    crossing: Vec<u32>,
}

/// The part of [`Clusters`] that belongs to one strip.
#[derive(Debug)]
pub struct Part<'a> {
    labels: &'a mut [Bytes],
    heads: &'a mut [Head],
    parents: &'a mut [u32],
    signs: &'a mut [u8],
}

impl Clusters {
    /// Room for the clusters of a lattice. Places of nodes that never come up are never touched.
    pub fn new(grid: &TileGrid) -> Self {
        let tiles = grid.per_side() * grid.per_side();
        let places = grid.per_side().div_ceil(STRIP) * node_stride(grid);
        Clusters {
            labels: vec![Bytes([0; SITES]); tiles],
            heads: vec![Head::default(); tiles],
            parents: vec![0; places],
            signs: vec![0; places],
            per_strip: STRIP * grid.per_side(),
            node_stride: node_stride(grid),
            crossing: Vec::new(),
        }
    }

    /// The parts of all strips.
    pub fn parts(&mut self) -> Vec<Part<'_>> {
        let places = self.parents.chunks_mut(self.node_stride).zip(self.signs.chunks_mut(self.node_stride));
        let tiles = self.labels.chunks_mut(self.per_strip).zip(self.heads.chunks_mut(self.per_strip));
        tiles.zip(places).map(|((labels, heads), (parents, signs))| Part { labels, heads, parents, signs }).collect()
    }
}

/// A band of tiles on its way: rows of tiles whose bonds are known.
struct Band<'a> {
    grid: &'a TileGrid,
    first_row: usize,
    rows: usize,
    right: &'a [u64],
    down: &'a [u64],
    sign_words: &'a [u64],
    labels: &'a mut [Bytes],
    heads: &'a mut [Head],
    rims: &'a mut [Rim],
    parents: &'a mut [u32],
    signs: &'a mut [u8],
    base: u32,
    /// The next node.
    next: u32,
}

impl Band<'_> {
    /// Row, column, and place of its words, of the tile number `tile` of the band.
    #[inline(always)]
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let (row, column) = (tile / self.grid.per_side(), tile % self.grid.per_side());
        (self.first_row + row, column, row * self.grid.stride() + column)
    }
}

/// How an instruction set does the three steps that are not plain loops.
trait Engine {
    /// The vectors of random bits.
    type Random: Vector;
    /// Labels, nodes (each its own parent, with its own sign) and rims of all tiles of a band.
    fn label(band: &mut Band);
    /// The pairs of nodes that are joined by bonds from a row of tiles to the tiles on the left and, where `above` is known, above; the older node first.
    /// A bond may be left out if the one before it on the same edge joins the same two.
    fn pairs(rims: &[Rim], above: Option<&[Rim]>, pairs: &mut forest::Pairs);
    /// Flips the sites of a row of tiles.
    fn flip(grid: &TileGrid, row: usize, spins: &mut [u64], labels: &[Bytes], heads: &[Head], signs: &[u8], base: u32);
}

#[inline(always)]
fn decompose_body<E: Engine>(grid: &TileGrid, spins: &[u64], threshold: u64, strip: &mut Strip, part: &mut Part) {
    let (per_side, stride) = (grid.per_side(), grid.stride());
    let mut next = strip.base;
    let band_rows = band_rows(grid);
    for first_row in strip.rows.clone().step_by(band_rows) {
        let rows = band_rows.min(strip.rows.end - first_row);
        for row in 0..rows {
            let words = row * stride..(row + 1) * stride;
            let (right, down) = (&mut strip.right[words.clone()], &mut strip.down[words.clone()]);
            bernoulli::fill_body::<E::Random>(threshold, &mut strip.lanes, right);
            bernoulli::fill_body::<E::Random>(threshold, &mut strip.lanes, down);
            bernoulli::uniform_body::<E::Random>(&mut strip.lanes, &mut strip.signs[words]);
            grid.keep_equal(spins, first_row + row, right, down);
        }
        let tiles = (first_row - strip.rows.start) * per_side;
        let mut band = Band {
            grid,
            first_row,
            rows,
            right: &strip.right,
            down: &strip.down,
            sign_words: &strip.signs,
            labels: &mut part.labels[tiles..tiles + rows * per_side],
            heads: &mut part.heads[tiles..tiles + rows * per_side],
            rims: &mut strip.rims[per_side..(rows + 1) * per_side],
            parents: part.parents,
            signs: part.signs,
            base: strip.base,
            next,
        };
        E::label(&mut band);
        next = band.next;
        for row in 0..rows {
            let (above, own) = strip.rims[row * per_side..(row + 2) * per_side].split_at(per_side);
            let above = if first_row + row == strip.rows.start { None } else { Some(above) };
            strip.pairs.clear();
            E::pairs(own, above, &mut strip.pairs);
            strip.pairs.attach(part.parents, strip.base);
            let (first, last) = (&own[0], &own[per_side - 1]);
            plain::push(last.open_right, last.edge(super::tiles::RIGHT), first.edge(super::tiles::LEFT), &mut strip.pairs);
            strip.pairs.unite(part.parents, strip.base, |_, _| ());
        }
        if first_row == strip.rows.start {
            strip.first.copy_from_slice(&strip.rims[per_side..2 * per_side]);
        }
        strip.rims.copy_within(rows * per_side.., 0);
    }
    strip.nodes = next - strip.base;
}

impl Rim {
    /// The nodes along an edge.
    #[inline(always)]
    fn edge(&self, edge: usize) -> [u32; TILE] {
        self.nodes[edge].map(|node| self.first_node + u32::from(node))
    }
}

/// Joins the clusters of all strips over the bonds between them, and gives every node whose parent is in another strip the sign of its root and itself
/// as its parent.
pub fn join_strips(strips: &mut [Strip], clusters: &mut Clusters) {
    for number in 0..strips.len() {
        let mut pairs = std::mem::take(&mut strips[number].pairs);
        pairs.clear();
        let below = &strips[(number + 1) % strips.len()].first;
        for (above, below) in strips[number].rims.iter().zip(below) {
            plain::push(above.open_down, above.edge(super::tiles::BOTTOM), below.edge(super::tiles::TOP), &mut pairs);
        }
        let (stride, crossing) = (clusters.node_stride as u32, &mut clusters.crossing);
        pairs.unite(&mut clusters.parents, 0, |node, parent| {
            if node / stride != parent / stride {
                crossing.push(node);
            }
        });
        strips[number].pairs = pairs;
    }
}

/// See [`join_strips`].
pub fn cut_strips(clusters: &mut Clusters) {
    // A root that is only its own since a moment ago has the right sign already, so that it does not matter where the way to the root ends.
    for node in clusters.crossing.drain(..) {
        let root = forest::root(&clusters.parents, node);
        clusters.signs[node as usize] = clusters.signs[root as usize];
        clusters.parents[node as usize] = node;
    }
}

#[inline(always)]
fn flip_clusters_body<E: Engine>(grid: &TileGrid, spins: &mut [u64], strip: &Strip, part: &mut Part) {
    forest::carry_signs(&part.parents[..strip.nodes as usize], strip.base, part.signs);
    let (per_side, stride) = (grid.per_side(), grid.stride());
    for (place, row) in strip.rows.clone().enumerate() {
        let tiles = place * per_side..(place + 1) * per_side;
        let spins = &mut spins[place * stride..][..per_side];
        E::flip(grid, row, spins, &part.labels[tiles.clone()], &part.heads[tiles], part.signs, strip.base);
    }
}

macro_rules! doors {
    ($(#[$meta:meta])* $name:ident = $body:ident ($($argument:ident: $kind:ty),*)) => {
        $(#[$meta])*
        pub fn $name(set: InstructionSet, $($argument: $kind),*) {
            #[cfg(target_arch = "x86_64")]
            dispatch! {
                fn with_registers($($argument: $kind),*) = $body::<register::Registers>;
            }
            dispatch! {
                fn plain($($argument: $kind),*) = $body::<plain::Plain>;
            }
            match set.chosen_kind() {
                #[cfg(target_arch = "x86_64")]
                Chosen::Avx512 => with_registers(set, $($argument),*),
                _ => plain(set, $($argument),*),
            }
        }
    };
}

doors! {
    /// Draws the bonds of a strip (`threshold` / 2^64 is the probability of a bond between equal spins), finds the clusters inside its tiles and joins them to
    /// trees within the strip. `spins` are those of the whole lattice, `part` the part of the strip.
    decompose = decompose_body(grid: &TileGrid, spins: &[u64], threshold: u64, strip: &mut Strip, part: &mut Part)
}

doors! {
    /// Flips the clusters of a strip; `spins` are its own.
    flip_clusters = flip_clusters_body(grid: &TileGrid, spins: &mut [u64], strip: &Strip, part: &mut Part)
}

#[inline(always)]
fn count_body(grid: &TileGrid, spins: &[u64]) -> (i64, i64) {
    let (mut right, mut down) = (vec![0; grid.stride()], vec![0; grid.stride()]);
    grid.magnetization_and_energy(spins, &mut right, &mut down)
}

dispatch! {
    /// M and E of tiled spins, see [`TileGrid::magnetization_and_energy`].
    pub fn count(grid: &TileGrid, spins: &[u64]) -> (i64, i64) = count_body;
}

#[cfg(test)]
mod tests;
