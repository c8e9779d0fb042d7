//! Periodic lattices: sizes, sites, neighbours, colours. No spins and no randomness. [`Torus`] is any of the chain, the square and the cubic lattice; [`SquareTorus`] the
//! square one by itself, where only that makes sense (networks, block spins, Kaufman's formulas).
//!
//! Site (x, y) of the square torus of side L has the index `y * L + x`; this order is the order of bits in [`crate::spins::Configuration`], in
//! `configurations.h5` and of the visible units of a network.

mod torus;

pub use torus::{Geometry, Torus};

use crate::error::{Error, Result};

/// The critical coupling of the square lattice, ln(1 + sqrt 2) / 2: written down, because chains that run at it must have the same bits everywhere.
pub const CRITICAL_COUPLING: f64 = 0.440_686_793_509_771_5;

/// The periodic square lattice (torus) of side L, N = L^2 sites, 2N bonds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SquareTorus {
    side: usize,
}

impl SquareTorus {
    /// Sides run from 3 (below, two bonds would join the same pair) to 2^17 (2 GiB of packed spins).
    pub const SMALLEST_SIDE: usize = 3;
    /// The largest side: 2^34 sites.
    pub const LARGEST_SIDE: usize = 1 << 17;

    /// A torus of `side` x `side` sites.
    ///
    /// # Errors
    /// [`Error::Usage`] if the side is outside `SMALLEST_SIDE..=LARGEST_SIDE`.
    pub fn new(side: usize) -> Result<Self> {
        if (Self::SMALLEST_SIDE..=Self::LARGEST_SIDE).contains(&side) {
            Ok(SquareTorus { side })
        } else {
            Err(Error::Usage(format!(
                "a square lattice of side {side} cannot be built: write a side from {} to {}",
                Self::SMALLEST_SIDE,
                Self::LARGEST_SIDE
            )))
        }
    }

    /// The side L.
    pub fn side(self) -> usize {
        self.side
    }

    /// The number of sites N = L^2.
    pub fn sites(self) -> usize {
        self.side * self.side
    }

    /// The number of bonds, 2N.
    pub fn bonds(self) -> usize {
        2 * self.sites()
    }

    /// Whether the sites fall into two colours with no bond inside a colour (even side): what a checkerboard update needs.
    pub fn is_bipartite(self) -> bool {
        self.side.is_multiple_of(2)
    }

    /// The index of site (x, y), both taken modulo L.
    pub fn site(self, x: usize, y: usize) -> usize {
        (y % self.side) * self.side + x % self.side
    }

    /// The coordinates (x, y) of a site.
    pub fn coordinates(self, site: usize) -> (usize, usize) {
        (site % self.side, site / self.side)
    }

    /// The neighbours of a site in the order right, left, down (y + 1), up (y - 1).
    pub fn neighbours(self, site: usize) -> [usize; 4] {
        let (x, y) = self.coordinates(site);
        let last = self.side - 1;
        [self.site(x + 1, y), self.site(x + last, y), self.site(x, y + 1), self.site(x, y + last)]
    }

    /// The checkerboard colour of a site: (x + y) mod 2.
    pub fn colour(self, site: usize) -> usize {
        let (x, y) = self.coordinates(site);
        (x + y) % 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bond_is_seen_from_both_ends() {
        for side in [3, 4, 5, 8, 10] {
            let torus = SquareTorus::new(side).expect("a valid side");
            for site in 0..torus.sites() {
                for (direction, neighbour) in torus.neighbours(site).into_iter().enumerate() {
                    assert_eq!(torus.neighbours(neighbour)[direction ^ 1], site);
                }
            }
        }
    }

    #[test]
    fn colours_alternate_on_even_tori_only() {
        for side in [4, 5, 6, 7] {
            let torus = SquareTorus::new(side).expect("a valid side");
            let alternates = (0..torus.sites()).all(|site| torus.neighbours(site).iter().all(|&n| torus.colour(n) != torus.colour(site)));
            assert_eq!(alternates, torus.is_bipartite(), "side {side}");
        }
    }

    #[test]
    fn absurd_sides_are_refused() {
        for side in [0, 1, 2, (1 << 17) + 1, 1 << 40, usize::MAX] {
            assert!(SquareTorus::new(side).is_err(), "side {side}");
        }
    }
}
