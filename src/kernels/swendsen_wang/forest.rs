//! Trees of nodes: union by Rem's algorithm with splicing, one step of every pair at a time.
//!
//! A parent is never larger than its child, so a root is the smallest node of its tree. To unite two nodes, look at their parents: if they are equal,
//! nothing is left to do. Otherwise the child of the larger parent is hung under the smaller one; if that child was a root the two are united, else the larger
//! parent, from which it was taken, has still to be united with the smaller. No step needs to follow another at once, so all pairs of a row of tiles take a
//! step in turn, and those that are done are dropped without a branch: on data like these, branches are what union-find costs.

/// Pairs of nodes that have to be united.
#[derive(Debug, Clone, Default)]
pub struct Pairs {
    older: Vec<u32>,
    newer: Vec<u32>,
    count: usize,
}

impl Pairs {
    /// Pairs are written sixteen at a time.
    pub const SPARE: usize = 16;

    /// Room for so many pairs.
    pub fn new(most: usize) -> Self {
        Pairs { older: vec![0; most + Self::SPARE], newer: vec![0; most + Self::SPARE], count: 0 }
    }

    /// Forgets all pairs.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// One more pair.
    #[inline(always)]
    pub fn push(&mut self, older: u32, newer: u32) {
        self.older[self.count] = older;
        self.newer[self.count] = newer;
        self.count += 1;
    }

    /// Both lists from the end of the pairs on, and the number of pairs.
    #[inline(always)]
    pub fn end(&mut self) -> (&mut [u32], &mut [u32], &mut usize) {
        (&mut self.older[self.count..], &mut self.newer[self.count..], &mut self.count)
    }

    /// A first step of every pair, where `older` < `newer`; node n stands at `parents[n - base]`. Most of the newer nodes are roots, and hang under the parent of
    /// the older one from now on; the pairs that are not united thereby remain.
    #[inline(always)]
    pub fn attach(&mut self, parents: &mut [u32], base: u32) {
        let mut left = 0;
        let (older, newer) = (&mut self.older[..self.count], &mut self.newer[..self.count]);
        for pair in 0..older.len() {
            let (old, new) = (older[pair], newer[pair]);
            let (over_old, over_new) = (parents[(old - base) as usize], parents[(new - base) as usize]);
            // Neither is larger than the newer node, which is written in any case: its place is known early.
            parents[(new - base) as usize] = over_old.min(over_new);
            (older[left], newer[left]) = (over_old, over_new);
            left += usize::from((over_new != new) & (over_new != over_old));
        }
        self.count = left;
    }

    /// Unites all pairs. `changed` hears of every node that got a parent.
    #[inline(always)]
    pub fn unite(&mut self, parents: &mut [u32], base: u32, mut changed: impl FnMut(u32, u32)) {
        while self.count > 0 {
            let mut left = 0;
            let (older, newer) = (&mut self.older[..self.count], &mut self.newer[..self.count]);
            for pair in 0..older.len() {
                let (first, second) = (older[pair], newer[pair]);
                let (over_first, over_second) = (parents[(first - base) as usize], parents[(second - base) as usize]);
                let (small, large) = (over_first.min(over_second), over_first.max(over_second));
                let child = if over_first > over_second { first } else { second };
                parents[(child - base) as usize] = small;
                changed(child, small);
                (older[left], newer[left]) = (small, large);
                left += usize::from((large != child) & (large != small));
            }
            self.count = left;
        }
    }
}

/// The root of a node; `parents` are those of all nodes.
pub fn root(parents: &[u32], mut node: u32) -> u32 {
    while parents[node as usize] != node {
        node = parents[node as usize];
    }
    node
}

/// Every node takes over the sign of its parent, in ascending order; a root keeps its own. Node n stands at n - `base`.
#[inline(always)]
pub fn carry_signs(parents: &[u32], base: u32, signs: &mut [u8]) {
    for node in 0..parents.len() {
        signs[node] = signs[(parents[node] - base) as usize];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    /// Random pairs of nodes in random order, against labels that are joined one by one.
    #[test]
    fn trees_are_the_classes_of_the_pairs() {
        let mut stream = Stream::new(3, Purpose::Check, 0);
        for round in 0..300 {
            let (nodes, base) = (1 + stream.below(200) as u32, 1000 * (round % 3));
            let mut parents: Vec<u32> = (base..base + nodes).collect();
            let mut classes = parents.clone();
            let mut pairs = Pairs::new(1000);
            for turn in 0..4 {
                pairs.clear();
                for _ in 0..stream.below(80) {
                    let (first, second) = (base + stream.below(nodes.into()) as u32, base + stream.below(nodes.into()) as u32);
                    if turn % 2 == 0 || first != second {
                        pairs.push(first.min(second), first.max(second));
                        let (old, new) = (classes[(first - base) as usize], classes[(second - base) as usize]);
                        classes.iter_mut().filter(|class| **class == old.max(new)).for_each(|class| *class = old.min(new));
                    }
                }
                if turn % 2 == 1 {
                    pairs.attach(&mut parents, base);
                }
                pairs.unite(&mut parents, base, |node, parent| assert!(parent <= node));
            }
            let mut whole = vec![0; base as usize];
            whole.extend(&parents);
            let mut signs: Vec<u8> = (0..nodes).map(|_| stream.word() as u8).collect();
            let own = signs.clone();
            carry_signs(&parents, base, &mut signs);
            for node in 0..nodes {
                assert_eq!(root(&whole, base + node), classes[node as usize]);
                assert_eq!(signs[node as usize], own[(classes[node as usize] - base) as usize]);
            }
        }
    }
}
