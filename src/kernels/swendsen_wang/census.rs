//! The clusters of a sweep, tile by tile, for whoever wants to know more of them than their signs. Plain loops: this is done for measured sweeps alone.

use super::{Clusters, forest};
use crate::kernels::tiles::{SITES, TILE, TileGrid};

/// Numbers the clusters from 0 in the order in which they are met, tile after tile, and calls `visit(cluster, [x, y], sites)` for every cluster of every tile: the corner of the tile, and
/// the sites of the cluster in it as bits (bit 8 y + x). The order of the calls and the numbers depend neither on the instruction set nor on threads. `numbers` is room for the numbers of the nodes, one a node.
///
/// To be called between [`super::join_strips`] and [`super::cut_strips`], while the trees are whole.
pub fn visit(grid: &TileGrid, clusters: &Clusters, numbers: &mut Vec<u32>, mut visit: impl FnMut(usize, [usize; 2], u64)) {
    numbers.resize(clusters.parents.len(), 0);
    let mut next = 0u32;
    for (tile, (labels, head)) in clusters.labels.iter().zip(&clusters.heads).enumerate() {
        let (row, column) = (tile / grid.per_side(), tile % grid.per_side());
        let kind = grid.kind(column, row);
        let mut node = head.first_node;
        let (mut of_label, mut sites_of_label) = ([0u32; SITES], [0u64; SITES]);
        let mut roots = 0u64;
        // In the order of the numbers, the first site of a cluster comes before its others.
        for number in 0..kind.existing.count_ones() {
            let bit = usize::from(kind.bits.0[number as usize]) % SITES;
            let label = usize::from(labels.0[bit]) % SITES;
            sites_of_label[label] |= 1 << bit;
            if label == number as usize {
                roots |= 1 << label;
                of_label[label] = next;
                let mut is_new = true;
                if number < kind.rim {
                    // A root is the smallest node of its tree: it was met before all others.
                    let root = forest::root(&clusters.parents, node);
                    is_new = root == node;
                    if !is_new {
                        of_label[label] = numbers[root as usize];
                    }
                    numbers[node as usize] = of_label[label];
                    node += 1;
                }
                next += u32::from(is_new);
            }
        }
        while roots != 0 {
            let label = roots.trailing_zeros() as usize;
            roots &= roots - 1;
            visit(of_label[label] as usize, [TILE * column, TILE * row], sites_of_label[label]);
        }
    }
}
