//! One Swendsen-Wang sweep over tiled spins ([`super::tiles`]), in three passes; written once and compiled for each instruction set.
//!
//! 1. [`find_clusters`]: bonds of a batch of 64 tiles, clusters inside each tile, consecutive numbers (nodes) for those clusters. The 64 tiles lie along
//!    the lanes of a register, one byte a tile: the label of a site is the smallest site it is joined to, and labels spread by byte minima in raster order,
//!    forward and backward in turn, until nothing changes. No branch depends on a single site.
//! 2. [`join_tiles`]: union-find of the nodes over the bonds that cross from tile to tile (Rem's algorithm with splicing; the smaller node wins, so that the
//!    root of a cluster is its smallest node whatever the order of the unions).
//! 3. [`flip_clusters`]: a cluster flips if the random bit of its root says so. One ascending pass carries the bit from roots to nodes; inside the tiles it
//!    spreads from the labelled site along the bonds as pure bit logic, 64 tiles a word.
//!
//! Everything, the numbers of the nodes included, is fixed by lattice, spins and random words.

use crate::kernels::bernoulli::{self, BLOCK};
use crate::kernels::dispatch;
use crate::kernels::generator::Lanes;
use crate::kernels::tiles::{BATCH, TILE, TileGrid, Words, transpose};

/// The low bit of every byte.
const LOW_BITS: u64 = 0x0101_0101_0101_0101;

/// One byte for each tile of a batch; [`lane`] says where.
type Bytes = [u8; BATCH];

/// Labels of the sites on one edge of the tiles of a batch, and whether each is the label of the site before it on the edge.
#[derive(Debug, Clone)]
struct Edge {
    labels: [Bytes; TILE],
    repeats: [u64; TILE],
}

/// The bonds and the clusters of a batch of tiles: one byte a site.
#[derive(Debug, Clone)]
#[repr(align(64))]
pub struct BatchClusters {
    /// Open bonds to the right, bit t of word j from site j of tile t. Column 7 holds the bonds that leave the tile, also where the tile is cut.
    right: Words,
    /// Open bonds downwards; row 7 holds those that leave the tile.
    down: Words,
    /// For each tile, the sites that are the smallest of their cluster inside the tile.
    roots: Words,
    /// For each tile, the node of its first root; the others follow.
    first_node: [u32; BATCH],
    left_edge: Edge,
    right_edge: Edge,
    top_edge: Edge,
    bottom_edge: Edge,
}

impl BatchClusters {
    /// No bonds, no clusters.
    pub const EMPTY: BatchClusters = {
        const EDGE: Edge = Edge { labels: [[0; BATCH]; TILE], repeats: [0; TILE] };
        BatchClusters {
            right: [0; BATCH],
            down: [0; BATCH],
            roots: [0; BATCH],
            first_node: [0; BATCH],
            left_edge: EDGE,
            right_edge: EDGE,
            top_edge: EDGE,
            bottom_edge: EDGE,
        }
    };

    /// The node of the cluster of tile `tile` that has label `label`.
    #[inline(always)]
    fn node(&self, tile: usize, label: u8) -> u32 {
        self.first_node[tile] + (self.roots[tile] & ((1 << label) - 1)).count_ones()
    }
}

/// The byte of tile t in [`Bytes`]: bit 8 k + i of a word is byte 8 i + k, so that eight shifts of one word give all bytes.
#[inline(always)]
fn lane(tile: usize) -> usize {
    tile % 8 * 8 + tile / 8
}

/// 0xFF for the tiles whose bit is clear.
#[inline(always)]
fn closed_bytes(word: u64, bytes: &mut Bytes) {
    for shift in 0..8 {
        let ones = !word >> shift & LOW_BITS;
        bytes[8 * shift..8 * shift + 8].copy_from_slice(&(ones << 8).wrapping_sub(ones).to_le_bytes());
    }
}

/// The bits of the tiles at which two rows of bytes are equal.
#[inline(always)]
fn equal_bits(first: &Bytes, second: &Bytes) -> u64 {
    let mut equal = [0u8; BATCH];
    for lane in 0..BATCH {
        equal[lane] = u8::from(first[lane] == second[lane]);
    }
    let mut word = 0;
    for shift in 0..8 {
        let mut eight = [0; 8];
        eight.copy_from_slice(&equal[8 * shift..8 * shift + 8]);
        word |= u64::from_le_bytes(eight) << shift;
    }
    word
}

/// A row of labels lowered to those of its neighbours `from`, except where the bond is `closed` (0xFF).
#[inline(always)]
fn lower(label: &mut Bytes, from: &Bytes, closed: &Bytes) {
    for lane in 0..BATCH {
        label[lane] = label[lane].min(from[lane] | closed[lane]);
    }
}

/// Labels, and the bonds they spread along.
#[repr(align(64))]
struct Labelling {
    labels: [Bytes; BATCH],
    closed_right: [Bytes; BATCH],
    closed_down: [Bytes; BATCH],
}

impl Labelling {
    /// Spreads labels to the right and downwards. Says whether one changed.
    #[inline(always)]
    fn forward(&mut self) -> bool {
        let mut changed = [0u8; BATCH];
        for site in 1..BATCH {
            let mut label = self.labels[site];
            if site % TILE != 0 {
                lower(&mut label, &self.labels[site - 1], &self.closed_right[site - 1]);
            }
            if site >= TILE {
                lower(&mut label, &self.labels[site - TILE], &self.closed_down[site - TILE]);
            }
            for lane in 0..BATCH {
                changed[lane] |= label[lane] ^ self.labels[site][lane];
            }
            self.labels[site] = label;
        }
        changed.iter().fold(0, |any, byte| any | byte) != 0
    }

    /// Spreads labels to the left and upwards.
    #[inline(always)]
    fn backward(&mut self) {
        for site in (0..BATCH - 1).rev() {
            let mut label = self.labels[site];
            if site % TILE != TILE - 1 {
                lower(&mut label, &self.labels[site + 1], &self.closed_right[site]);
            }
            if site < BATCH - TILE {
                lower(&mut label, &self.labels[site + TILE], &self.closed_down[site]);
            }
            self.labels[site] = label;
        }
    }

    /// Every site gets the smallest site of its cluster inside the tile. After a backward pass no backward step can change a label, so a forward pass that
    /// changes none ends the spreading.
    #[inline(always)]
    fn settle(&mut self, right: &Words, down: &Words) {
        for site in 0..BATCH {
            self.labels[site] = [site as u8; BATCH];
            closed_bytes(right[site], &mut self.closed_right[site]);
            closed_bytes(down[site], &mut self.closed_down[site]);
        }
        while self.forward() {
            self.backward();
        }
    }

    /// One edge of the tiles: the site at `place` of each tile, but that at `cut` for the tiles in `ends`.
    #[inline(always)]
    fn edge(&self, edge: &mut Edge, place: impl Fn(usize) -> usize, cut: impl Fn(usize) -> usize, ends: u64) {
        for along in 0..TILE {
            edge.labels[along] = self.labels[place(along)];
            let mut left = if place(0) == cut(0) { 0 } else { ends };
            while left != 0 {
                let lane = lane(left.trailing_zeros() as usize);
                edge.labels[along][lane] = self.labels[cut(along)][lane];
                left &= left - 1;
            }
        }
        for along in 1..TILE {
            edge.repeats[along] = equal_bits(&edge.labels[along], &edge.labels[along - 1]);
        }
    }
}

/// Draws the open bonds of a batch: each bond between equal spins is open with probability `threshold` / 2^64. All 64 words to the right are drawn first,
/// then all 64 downwards. The bonds that leave a cut tile move to column (row) 7.
#[inline(always)]
fn open_bonds(grid: &TileGrid, spins: &[Words], batch: usize, threshold: u64, lanes: &mut Lanes, clusters: &mut BatchClusters) {
    let (right, down) = grid.neighbours(spins, batch);
    let existing = grid.existing(batch);
    let own = &spins[batch];
    for (neighbour, open) in [(&right, &mut clusters.right), (&down, &mut clusters.down)] {
        for start in (0..BATCH).step_by(BLOCK) {
            let random = bernoulli::block(threshold, lanes);
            for word in 0..BLOCK {
                let site = start + word;
                open[site] = !(own[site] ^ neighbour[site]) & random[word] & existing[site];
            }
        }
    }
    let (ends, bottoms, cut) = (grid.ends(batch), grid.bottoms(batch), grid.last() - 1);
    if cut != TILE - 1 {
        for along in 0..TILE {
            let (from, to) = (along * TILE + cut, along * TILE + TILE - 1);
            clusters.right[to] = clusters.right[to] & !ends | clusters.right[from] & ends;
            clusters.right[from] &= !ends;
            let (from, to) = (cut * TILE + along, (TILE - 1) * TILE + along);
            clusters.down[to] = clusters.down[to] & !bottoms | clusters.down[from] & bottoms;
            clusters.down[from] &= !bottoms;
        }
    }
}

#[inline(always)]
fn find_clusters_body(grid: &TileGrid, spins: &[Words], threshold: u64, lanes: &mut Lanes, clusters: &mut [BatchClusters]) -> u32 {
    let mut local = *lanes;
    let mut labelling = Labelling { labels: [[0; BATCH]; BATCH], closed_right: [[0; BATCH]; BATCH], closed_down: [[0; BATCH]; BATCH] };
    let mut nodes = 0;
    for (batch, found) in clusters.iter_mut().enumerate() {
        open_bonds(grid, spins, batch, threshold, &mut local, found);
        labelling.settle(&found.right, &found.down);
        let (ends, bottoms, cut) = (grid.ends(batch), grid.bottoms(batch), grid.last() - 1);
        let last = TILE - 1;
        labelling.edge(&mut found.left_edge, |y| y * TILE, |y| y * TILE, 0);
        labelling.edge(&mut found.right_edge, |y| y * TILE + last, |y| y * TILE + cut, ends);
        labelling.edge(&mut found.top_edge, |x| x, |x| x, 0);
        labelling.edge(&mut found.bottom_edge, |x| last * TILE + x, |x| cut * TILE + x, bottoms);
        let existing = grid.existing(batch);
        for site in 0..BATCH {
            found.roots[site] = equal_bits(&labelling.labels[site], &[site as u8; BATCH]) & existing[site];
        }
        transpose(&mut found.roots);
        for tile in 0..BATCH {
            found.first_node[tile] = nodes;
            nodes += found.roots[tile].count_ones();
        }
    }
    *lanes = local;
    nodes
}

/// Joins two nodes: Rem's algorithm with splicing. A parent is never larger than its child.
#[inline(always)]
fn join(parents: &mut [u32], first: u32, second: u32) {
    let (mut first, mut second) = (first as usize, second as usize);
    let (mut over_first, mut over_second) = (parents[first], parents[second]);
    while over_first != over_second {
        if over_first < over_second {
            std::mem::swap(&mut first, &mut second);
            std::mem::swap(&mut over_first, &mut over_second);
        }
        // Now the parent of `first` is the larger: hang `first` under the smaller parent and go on from where it hung.
        parents[first] = over_second;
        if over_first as usize == first {
            return;
        }
        first = over_first as usize;
        over_first = parents[first];
    }
}

#[inline(always)]
fn join_tiles_body(grid: &TileGrid, clusters: &[BatchClusters], parents: &mut [u32]) {
    for (node, parent) in parents.iter_mut().enumerate() {
        *parent = node as u32;
    }
    for (batch, own) in clusters.iter().enumerate() {
        let (ends, bottoms) = (grid.ends(batch), grid.bottoms(batch));
        let (mut right_before, mut down_before) = (0, 0);
        for along in 0..TILE {
            // A bond is superfluous if the bond before it on the same edge is open and joins the same two labels.
            let open = own.right[along * TILE + TILE - 1];
            let mut left = open;
            if along > 0 {
                left &= !(right_before
                    & own.right_edge.repeats[along]
                    & grid.from_right(batch, |index| clusters[index].left_edge.repeats[along]));
            }
            right_before = open;
            while left != 0 {
                let tile = left.trailing_zeros() as usize;
                left &= left - 1;
                let other = grid.tile_right(batch * BATCH + tile, ends >> tile & 1 == 1);
                let (there, other) = (&clusters[other / BATCH], other % BATCH);
                let first = own.node(tile, own.right_edge.labels[along][lane(tile)]);
                join(parents, first, there.node(other, there.left_edge.labels[along][lane(other)]));
            }
            let open = own.down[(TILE - 1) * TILE + along];
            let mut left = open;
            if along > 0 {
                left &= !(down_before
                    & own.bottom_edge.repeats[along]
                    & grid.from_below(batch, |index| clusters[index].top_edge.repeats[along]));
            }
            down_before = open;
            while left != 0 {
                let tile = left.trailing_zeros() as usize;
                left &= left - 1;
                let other = grid.tile_below(batch * BATCH + tile, bottoms >> tile & 1 == 1);
                let (there, other) = (&clusters[other / BATCH], other % BATCH);
                let first = own.node(tile, own.bottom_edge.labels[along][lane(tile)]);
                join(parents, first, there.node(other, there.top_edge.labels[along][lane(other)]));
            }
        }
    }
}

/// Spreads set bits along the open bonds inside the tiles until nothing changes.
#[inline(always)]
fn flood(bits: &mut Words, right: &Words, down: &Words) {
    loop {
        let mut changed = 0;
        for site in 1..BATCH {
            let mut reached = bits[site];
            if site % TILE != 0 {
                reached |= bits[site - 1] & right[site - 1];
            }
            if site >= TILE {
                reached |= bits[site - TILE] & down[site - TILE];
            }
            changed |= reached ^ bits[site];
            bits[site] = reached;
        }
        if changed == 0 {
            return;
        }
        for site in (0..BATCH - 1).rev() {
            let mut reached = bits[site];
            if site % TILE != TILE - 1 {
                reached |= bits[site + 1] & right[site];
            }
            if site < BATCH - TILE {
                reached |= bits[site + TILE] & down[site];
            }
            bits[site] = reached;
        }
    }
}

#[inline(always)]
fn flip_clusters_body(spins: &mut [Words], clusters: &[BatchClusters], parents: &mut [u32], random: &[u64]) {
    let mut node = 0;
    for (own, found) in spins.iter_mut().zip(clusters) {
        let mut flips = [0; BATCH];
        for tile in 0..BATCH {
            let mut left = found.roots[tile];
            while left != 0 {
                // Nodes below this one already hold their bit in place of their parent.
                let parent = parents[node] as usize;
                let own_bit = (random[node / 64] >> (node % 64) & 1) as u32;
                let bit = if parent == node { own_bit } else { parents[parent] };
                parents[node] = bit;
                flips[tile] |= u64::from(bit) << left.trailing_zeros();
                left &= left - 1;
                node += 1;
            }
        }
        transpose(&mut flips);
        flood(&mut flips, &found.right, &found.down);
        for site in 0..BATCH {
            own[site] ^= flips[site];
        }
    }
}

dispatch! {
    /// Draws the bonds of all batches (`threshold` / 2^64 is the probability of a bond between equal spins), finds the clusters inside the tiles and numbers
    /// them. Returns the number of nodes. `clusters` holds one entry a batch and is overwritten.
    pub fn find_clusters(grid: &TileGrid, spins: &[Words], threshold: u64, lanes: &mut Lanes, clusters: &mut [BatchClusters]) -> u32 = find_clusters_body;
}

dispatch! {
    /// Joins the nodes over the bonds between tiles. `parents` has one entry a node and is overwritten: afterwards no parent is larger than its child, and
    /// following parents leads to the smallest node of the cluster.
    pub fn join_tiles(grid: &TileGrid, clusters: &[BatchClusters], parents: &mut [u32]) = join_tiles_body;
}

dispatch! {
    /// Flips the clusters whose root has a set bit in `random` (node n: bit n mod 64 of word n / 64). Uses up `parents`.
    pub fn flip_clusters(spins: &mut [Words], clusters: &[BatchClusters], parents: &mut [u32], random: &[u64]) = flip_clusters_body;
}

#[inline(always)]
fn count_body(grid: &TileGrid, spins: &[Words]) -> (i64, i64) {
    grid.magnetization_and_energy(spins)
}

dispatch! {
    /// M and E of tiled spins, see [`TileGrid::magnetization_and_energy`].
    pub fn count(grid: &TileGrid, spins: &[Words]) -> (i64, i64) = count_body;
}

#[cfg(test)]
mod tests;
