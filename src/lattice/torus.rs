//! The periodic lattices of all three dimensions behind one type: the ring, the square torus, the cubic torus.

use super::{CRITICAL_COUPLING, SquareTorus};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A kind of lattice, each periodic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Geometry {
    /// The ring: two neighbours.
    Chain,
    /// The square torus: four neighbours.
    #[default]
    Square,
    /// The cubic torus: six neighbours.
    Cubic,
}

impl Geometry {
    /// All of them, from the lowest dimension up.
    pub const ALL: [Geometry; 3] = [Geometry::Chain, Geometry::Square, Geometry::Cubic];

    /// The name in run files and in the files of a run.
    pub fn name(self) -> &'static str {
        match self {
            Geometry::Chain => "chain",
            Geometry::Square => "square",
            Geometry::Cubic => "cubic",
        }
    }

    /// The geometry of a name.
    pub fn of_name(name: &str) -> Option<Geometry> {
        Self::ALL.into_iter().find(|geometry| geometry.name() == name)
    }

    /// The dimension d.
    pub fn dimension(self) -> usize {
        match self {
            Geometry::Chain => 1,
            Geometry::Square => 2,
            Geometry::Cubic => 3,
        }
    }

    /// The critical coupling K_c: none of the chain; ln(1 + sqrt 2) / 2 of the square lattice (Kramers and Wannier 1941); of the cubic lattice the measured 0.221654626(5)
    /// (Ferrenberg, Xu and Landau, PRE 97, 043301 (2018)), which no theory gives.
    pub fn critical_coupling(self) -> Option<f64> {
        match self {
            Geometry::Chain => None,
            Geometry::Square => Some(CRITICAL_COUPLING),
            Geometry::Cubic => Some(0.221_654_626),
        }
    }

    /// The exponent nu of the correlation length: 1 in two dimensions (Onsager 1944), 0.629971 in three (conformal bootstrap: Kos, Poland, Simmons-Duffin and Vichi, JHEP 08
    /// (2016) 036). The chain has no critical point.
    pub fn correlation_exponent(self) -> Option<f64> {
        match self {
            Geometry::Chain => None,
            Geometry::Square => Some(1.0),
            Geometry::Cubic => Some(0.629_971),
        }
    }

    /// The largest side of a lattice: 2^34 sites in two dimensions (2 GiB of packed spins), 2^33 in three, 2^30 in one.
    pub fn largest_side(self) -> usize {
        match self {
            Geometry::Chain => 1 << 30,
            Geometry::Square => SquareTorus::LARGEST_SIDE,
            Geometry::Cubic => 1 << 11,
        }
    }
}

impl std::fmt::Display for Geometry {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A periodic lattice of side L in d dimensions: N = L^d sites, d N bonds. Site (x, y, z) has the index x + L (y + L z); this order is the order of bits in
/// [`crate::spins::Configuration`] and in `configurations.h5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Torus {
    geometry: Geometry,
    side: usize,
}

impl Torus {
    /// The smallest side: below 3, two bonds would join the same pair.
    pub const SMALLEST_SIDE: usize = SquareTorus::SMALLEST_SIDE;

    /// The lattice of a side.
    ///
    /// # Errors
    /// [`Error::Usage`] if the side is outside `SMALLEST_SIDE..=geometry.largest_side()`.
    pub fn new(geometry: Geometry, side: usize) -> Result<Self> {
        if (Self::SMALLEST_SIDE..=geometry.largest_side()).contains(&side) {
            Ok(Torus { geometry, side })
        } else {
            Err(Error::Usage(format!(
                "a {geometry} lattice of side {side} cannot be built: write a side from {} to {}",
                Self::SMALLEST_SIDE,
                geometry.largest_side()
            )))
        }
    }

    /// The kind of lattice.
    pub fn geometry(self) -> Geometry {
        self.geometry
    }

    /// The dimension d.
    pub fn dimension(self) -> usize {
        self.geometry.dimension()
    }

    /// The side L.
    pub fn side(self) -> usize {
        self.side
    }

    /// The number of sites N = L^d.
    pub fn sites(self) -> usize {
        self.side.pow(self.dimension() as u32)
    }

    /// The number of bonds, d N.
    pub fn bonds(self) -> usize {
        self.dimension() * self.sites()
    }

    /// Whether the sites fall into two colours with no bond inside a colour (even side): what a checkerboard update needs.
    pub fn is_bipartite(self) -> bool {
        self.side.is_multiple_of(2)
    }

    /// The square torus, if it is one.
    pub fn square(self) -> Option<SquareTorus> {
        if self.geometry == Geometry::Square { SquareTorus::new(self.side).ok() } else { None }
    }

    /// The coordinates (x, y, z) of a site; those that the lattice has not are 0.
    pub fn coordinates(self, site: usize) -> [usize; 3] {
        [site % self.side, site / self.side % self.side, site / self.side / self.side]
    }

    /// The checkerboard colour of a site: the sum of its coordinates mod 2.
    pub fn colour(self, site: usize) -> usize {
        self.coordinates(site).into_iter().sum::<usize>() % 2
    }

    /// The neighbour of a site one step up along an axis (0 for x, 1 for y, 2 for z).
    pub fn next(self, site: usize, axis: usize) -> usize {
        let stride = self.side.pow(axis as u32);
        if site / stride % self.side + 1 == self.side { site + stride - self.side * stride } else { site + stride }
    }

    /// The neighbour of a site one step down along an axis.
    pub fn previous(self, site: usize, axis: usize) -> usize {
        let stride = self.side.pow(axis as u32);
        if (site / stride).is_multiple_of(self.side) { site + self.side * stride - stride } else { site - stride }
    }

    /// The neighbours of a site: for each axis the one up, then the one down.
    pub fn neighbours(self, site: usize) -> impl Iterator<Item = usize> {
        (0..self.dimension()).flat_map(move |axis| [self.next(site, axis), self.previous(site, axis)])
    }
}

impl From<SquareTorus> for Torus {
    fn from(torus: SquareTorus) -> Self {
        Torus { geometry: Geometry::Square, side: torus.side() }
    }
}

impl PartialEq<SquareTorus> for Torus {
    fn eq(&self, other: &SquareTorus) -> bool {
        *self == Torus::from(*other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bond_is_seen_from_both_ends_and_joins_two_colours_on_even_sides() {
        for (geometry, side) in
            [(Geometry::Chain, 3), (Geometry::Chain, 10), (Geometry::Square, 6), (Geometry::Cubic, 3), (Geometry::Cubic, 6)]
        {
            let torus = Torus::new(geometry, side).expect("a valid side");
            let mut alternates = true;
            for site in 0..torus.sites() {
                for axis in 0..torus.dimension() {
                    assert_eq!(torus.previous(torus.next(site, axis), axis), site);
                    let mut moved = torus.coordinates(site);
                    moved[axis] = (moved[axis] + 1) % side;
                    assert_eq!(torus.coordinates(torus.next(site, axis)), moved);
                    alternates &= torus.colour(torus.next(site, axis)) != torus.colour(site);
                }
                assert_eq!(torus.neighbours(site).count(), 2 * torus.dimension());
            }
            assert_eq!(alternates, torus.is_bipartite());
        }
    }

    #[test]
    fn the_square_one_is_the_square_torus() {
        let (one, other) = (Torus::new(Geometry::Square, 5).expect("a valid side"), SquareTorus::new(5).expect("a valid side"));
        assert_eq!(one, other);
        for site in 0..25 {
            assert!(one.neighbours(site).eq(other.neighbours(site)));
        }
    }

    #[test]
    fn absurd_sides_are_refused() {
        for (geometry, side) in [(Geometry::Cubic, 2), (Geometry::Cubic, 2049), (Geometry::Chain, 1 << 31), (Geometry::Square, usize::MAX)]
        {
            assert!(Torus::new(geometry, side).is_err());
        }
    }
}
