//! The clusters against a flood fill over the bonds, one site at a time.

use super::*;
use crate::kernels::InstructionSet;
use crate::random::{LaneStream, Purpose, Stream};

/// Marks everything that `neighbours` connects to `start` with `mark`.
fn fill(marks: &mut [Option<usize>], start: usize, mark: usize, neighbours: &dyn Fn(usize) -> Vec<usize>) {
    let mut waiting = vec![start];
    marks[start] = Some(mark);
    while let Some(site) = waiting.pop() {
        for next in neighbours(site) {
            if marks[next].is_none() {
                marks[next] = Some(mark);
                waiting.push(next);
            }
        }
    }
}

/// For every site the first site (in site order) of its cluster, over the bonds that `open(site, direction)` calls open; `inside` forbids leaving a tile.
fn flood_fill(side: usize, open: &dyn Fn(usize, usize) -> bool, inside: bool) -> Vec<usize> {
    let site_at = |x: usize, y: usize| y % side * side + x % side;
    let may =
        |from: usize, to: usize| !inside || to > from && (from % side / TILE, from / side / TILE) == (to % side / TILE, to / side / TILE);
    let neighbours = |site: usize| {
        let (x, y) = (site % side, site / side);
        let (right, down) = (site_at(x + 1, y), site_at(x, y + 1));
        let (left, up) = (site_at(x + side - 1, y), site_at(x, y + side - 1));
        let mut found = Vec::new();
        for (from, to, direction, other) in [(site, right, 0, right), (site, down, 1, down), (left, site, 0, left), (up, site, 1, up)] {
            if open(from, direction) && may(from, to) {
                found.push(other);
            }
        }
        found
    };
    let mut marks = vec![None; side * side];
    for site in 0..side * side {
        if marks[site].is_none() {
            fill(&mut marks, site, site, &neighbours);
        }
    }
    marks.into_iter().map(|mark| mark.expect("every site is in a cluster")).collect()
}

#[test]
fn clusters_are_those_of_a_flood_fill() {
    for side in [3, 4, 5, 8, 31, 40, 63, 64, 65, 100, 128, 130] {
        for (probability, number) in [(0.0, 0), (0.3, 1), (0.586, 2), (0.95, 3), (1.0, 4)] {
            let grid = TileGrid::new(side);
            let mut stream = Stream::new(8, Purpose::Check, (side * 10 + number) as u64);
            // Mostly equal spins, so that the clusters wind through many tiles.
            let mut spins = vec![[0; BATCH]; grid.batches()];
            for (batch, words) in spins.iter_mut().enumerate() {
                *words = grid.existing(batch).map(|existing| existing & (stream.word() | stream.word() | stream.word() | stream.word()));
            }
            let spin = |site: usize| {
                let (batch, word, bit) = grid.address(site % side, site / side);
                spins[batch][word] >> bit & 1
            };
            let threshold = bernoulli::threshold(probability);
            let lanes = LaneStream::new(8, Purpose::Check, side as u64).lanes;
            // The same bonds from the same words: 64 to the right, 64 downwards a batch.
            let mut words = vec![0; 2 * BATCH * grid.batches()];
            let mut after = lanes;
            bernoulli::fill(InstructionSet::PORTABLE, threshold, &mut after, &mut words);
            let open = |site: usize, direction: usize| {
                let (x, y) = (site % side, site / side);
                let (batch, word, bit) = grid.address(x, y);
                let neighbour = if direction == 0 { y * side + (x + 1) % side } else { (y + 1) % side * side + x };
                spin(site) == spin(neighbour) && words[(2 * batch + direction) * BATCH + word] >> bit & 1 == 1
            };
            let expected = flood_fill(side, &open, false);
            let pieces = flood_fill(side, &open, true);
            for set in InstructionSet::available() {
                let mut used = lanes;
                let mut clusters = vec![BatchClusters::EMPTY; grid.batches()];
                let nodes = find_clusters(set, &grid, &spins, threshold, &mut used, &mut clusters);
                assert_eq!(used, after, "side {side}, {set}: random words used");
                let mut parents = vec![0; nodes as usize];
                join_tiles(set, &grid, &clusters, &mut parents);
                let cluster_of = |site: usize| {
                    let (x, y) = (pieces[site] % side, pieces[site] / side);
                    let (batch, word, bit) = grid.address(x, y);
                    assert_eq!(clusters[batch].roots[bit] >> word & 1, 1, "the first site of a piece is its root");
                    let mut node = clusters[batch].node(bit, word as u8);
                    while parents[node as usize] != node {
                        assert!(parents[node as usize] < node);
                        node = parents[node as usize];
                    }
                    node
                };
                // The map from clusters to nodes is one to one.
                let mut node_of = std::collections::HashMap::new();
                for site in 0..side * side {
                    let node = cluster_of(site);
                    assert_eq!(*node_of.entry(expected[site]).or_insert(node), node, "side {side}, p {probability}, {set}, site {site}");
                }
                let distinct: std::collections::HashSet<u32> = node_of.values().copied().collect();
                assert_eq!(distinct.len(), node_of.len(), "side {side}, p {probability}, {set}");

                // With the same random bits every cluster flips as a whole, by the bit of its node.
                let mut random = vec![0; (nodes as usize).div_ceil(64).next_multiple_of(BLOCK)];
                bernoulli::fill_uniform(set, &mut used, &mut random);
                let bits: Vec<u64> =
                    (0..side * side).map(|site| random[cluster_of(site) as usize / 64] >> (cluster_of(site) % 64) & 1).collect();
                let mut flipped = spins.clone();
                flip_clusters(set, &mut flipped, &clusters, &mut parents, &random);
                for site in 0..side * side {
                    let (batch, word, bit) = grid.address(site % side, site / side);
                    assert_eq!(
                        flipped[batch][word] >> bit & 1,
                        spin(site) ^ bits[site],
                        "side {side}, p {probability}, {set}, site {site}"
                    );
                }
                let strays = flipped
                    .iter()
                    .enumerate()
                    .any(|(batch, words)| words.iter().zip(grid.existing(batch)).any(|(word, existing)| word & !existing != 0));
                assert!(!strays, "side {side}: a site that does not exist was set");
            }
        }
    }
}
