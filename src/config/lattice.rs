//! `[lattice]`: which lattices.

use super::reader::{Field, Section};
pub use crate::lattice::Geometry;
use crate::lattice::Torus;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &["geometry", "sizes"];

/// `[lattice]`, understood.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LatticeSection {
    /// `geometry`; default `"square"`.
    pub geometry: Geometry,
    /// `sizes`: the sides L, ascending whatever their order in the file, no two alike. Required.
    pub sizes: Vec<usize>,
}

impl LatticeSection {
    /// The lattices, in the order of the sizes.
    pub fn tori(&self) -> crate::error::Result<Vec<Torus>> {
        self.sizes.iter().map(|&size| Torus::new(self.geometry, size)).collect()
    }
}

const GEOMETRIES: &[(&str, Geometry)] = &[("chain", Geometry::Chain), ("square", Geometry::Square), ("cubic", Geometry::Cubic)];

/// Reads the section. The algorithm of `[sample]` decides whether odd sides can be updated; networks and renormalization are at home on the square lattice.
pub(super) fn read(section: &Section, sample: Option<&Section>, others: [Option<&Section>; 2]) -> Option<LatticeSection> {
    let geometry = section.optional("geometry", Geometry::Square, |field| field.choice(GEOMETRIES))?;
    let checkerboard = sample.is_some_and(super::sample::needs_checkerboard);
    let sizes = section.required("sizes", "sizes = [40]", |field| field.distinct("sides", |field| side(field, geometry, checkerboard)));
    if geometry != Geometry::Square && others.iter().any(Option::is_some) {
        section.refuse(
            "geometry",
            "[train] and [renormalize] work on the square lattice alone: write geometry = \"square\", or leave those sections out",
        );
    }
    let mut sizes = sizes?;
    sizes.sort_unstable();
    Some(LatticeSection { geometry, sizes })
}

fn side(field: &Field, geometry: Geometry, checkerboard: bool) -> Option<usize> {
    let range = Torus::SMALLEST_SIDE..=geometry.largest_side();
    let rule = format!("sides are whole numbers from {} to {}", range.start(), range.end());
    let Some(written) = field.whole() else {
        return field.refuse(&rule);
    };
    if written > *range.end() as i128 {
        let bytes = (0..geometry.dimension()).fold(1u128, |sites, _| sites.saturating_mul(written.unsigned_abs())) / 8;
        return field.refuse(&format!("one lattice of this side needs {} for its packed spins; {rule}", super::memory::in_words(bytes)));
    }
    let Some(side) = usize::try_from(written).ok().filter(|side| range.contains(side)) else {
        return field.refuse(&format!("{rule} (below 3 two bonds would join the same pair of spins)"));
    };
    if checkerboard && side % 2 == 1 {
        return field.refuse(
            "the checkerboard of the algorithm \"metropolis\" needs an even side: write an even number, or algorithm = \"swendsen-wang\" or \"wolff\" in [sample]",
        );
    }
    Some(side)
}
