//! The clusters against a flood fill over the bonds, one site at a time.

use super::*;
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

/// For every site the first site (in site order) of its cluster, over the bonds that `open(site, direction)` calls open.
fn flood_fill(side: usize, open: &dyn Fn(usize, usize) -> bool) -> Vec<usize> {
    let site_at = |x: usize, y: usize| y % side * side + x % side;
    let neighbours = |site: usize| {
        let (x, y) = (site % side, site / side);
        let (right, down) = (site_at(x + 1, y), site_at(x, y + 1));
        let (left, up) = (site_at(x + side - 1, y), site_at(x, y + side - 1));
        let mut found = Vec::new();
        for (from, direction, other) in [(site, 0, right), (site, 1, down), (left, 0, left), (up, 1, up)] {
            if open(from, direction) {
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

/// The cluster of a site: its node's root, or, inside a tile, where its first site is.
fn cluster_of(grid: &TileGrid, clusters: &Clusters, x: usize, y: usize) -> (u32, usize) {
    let (word, bit) = grid.address(x, y);
    let (row, column) = (word / grid.stride(), word % grid.stride());
    let tile = row * grid.per_side() + column;
    let label = clusters.labels[tile].0[bit];
    let head = clusters.heads[tile];
    if u32::from(label) >= grid.kind(column, row).rim {
        return (u32::MAX, SITES * tile + usize::from(label));
    }
    assert_eq!(head.rim_roots >> label & 1, 1, "a label is the number of the first site");
    let node = head.first_node + (head.rim_roots & ((1 << label) - 1)).count_ones();
    (forest::root(&clusters.parents, node), 0)
}

#[test]
fn clusters_are_those_of_a_flood_fill() {
    for side in [3, 4, 5, 8, 9, 31, 40, 63, 64, 65, 100, 130, 250, 263] {
        for (probability, number) in [(0.0, 0), (0.3, 1), (0.586, 2), (0.7, 3), (0.95, 4), (1.0, 5)] {
            let grid = TileGrid::new(side);
            let mut stream = Stream::new(8, Purpose::Check, (side * 10 + number) as u64);
            // Mostly equal spins, so that the clusters wind through many tiles.
            let mut some = || stream.word() | stream.word() | stream.word() | stream.word();
            let spins: Vec<u64> = (0..grid.words()).map(|word| grid.existing(word) & some()).collect();
            let spin = |site: usize| {
                let (word, bit) = grid.address(site % side, site / side);
                spins[word] >> bit & 1
            };
            let threshold = bernoulli::threshold(probability);
            let lanes = |strip: usize| LaneStream::new(8, Purpose::Check, (side * 100 + strip) as u64).lanes;
            // The same bonds from the same words.
            let (mut words, mut after) = (Vec::new(), Vec::new());
            for row in 0..grid.per_side() {
                if row % STRIP == 0 {
                    after.push(lanes(row / STRIP));
                }
                let mut drawn = vec![0; 3 * grid.stride()];
                let (bonds, signs) = drawn.split_at_mut(2 * grid.stride());
                bernoulli::fill(InstructionSet::PORTABLE, threshold, &mut after[row / STRIP], bonds);
                bernoulli::fill_uniform(InstructionSet::PORTABLE, &mut after[row / STRIP], signs);
                words.push(drawn);
            }
            let open = |site: usize, direction: usize| {
                let (x, y) = (site % side, site / side);
                let (word, bit) = grid.address(x, y);
                let neighbour = if direction == 0 { y * side + (x + 1) % side } else { (y + 1) % side * side + x };
                let drawn = words[word / grid.stride()][direction * grid.stride() + word % grid.stride()];
                spin(site) == spin(neighbour) && drawn >> bit & 1 == 1
            };
            let expected = flood_fill(side, &open);
            for set in InstructionSet::available() {
                let (mut strips, mut clusters) = (Strip::all(&grid, |strip| Ok(lanes(strip))).expect("streams"), Clusters::new(&grid));
                for (strip, mut part) in strips.iter_mut().zip(clusters.parts()) {
                    decompose(set, &grid, &spins, threshold, strip, &mut part);
                }
                assert!(strips.iter().map(|strip| strip.lanes).eq(after.iter().copied()), "side {side}, {set}: random words used");
                join_strips(&mut strips, &mut clusters);
                // The map from clusters to roots is one to one.
                let found: Vec<_> = (0..side * side).map(|site| cluster_of(&grid, &clusters, site % side, site / side)).collect();
                let mut root_of = std::collections::HashMap::new();
                for site in 0..side * side {
                    let root = *root_of.entry(expected[site]).or_insert(found[site]);
                    assert_eq!(root, found[site], "side {side}, p {probability}, {set}, site {site}");
                }
                let distinct: std::collections::HashSet<_> = root_of.values().copied().collect();
                assert_eq!(distinct.len(), root_of.len(), "side {side}, p {probability}, {set}");
                // Nodes stand in the order of their first sites, so that no parent is above its child.
                for strip in &strips {
                    let nodes = strip.base..strip.base + strip.nodes;
                    assert!(nodes.into_iter().all(|node| clusters.parents[node as usize] <= node));
                }
            }
        }
    }
}
