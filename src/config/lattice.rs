//! `[lattice]`: which lattices.

use super::reader::{Field, Section};
use crate::lattice::SquareTorus;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &["geometry", "sizes"];

/// The kind of lattice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Geometry {
    /// The periodic square lattice.
    Square,
}

impl Geometry {
    /// The exponent nu of the correlation length, which scales a `window` of couplings: 1 in two dimensions (Onsager 1944).
    pub fn correlation_exponent(self) -> f64 {
        match self {
            Geometry::Square => 1.0,
        }
    }

    /// The critical coupling K_c: ln(1 + sqrt 2) / 2 on the square lattice (Kramers and Wannier 1941).
    pub fn critical_coupling(self) -> f64 {
        match self {
            Geometry::Square => std::f64::consts::SQRT_2.ln_1p() / 2.0,
        }
    }
}

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
    pub fn tori(&self) -> crate::error::Result<Vec<SquareTorus>> {
        self.sizes.iter().map(|&size| SquareTorus::new(size)).collect()
    }
}

/// Reads the section. The algorithm of `[sample]` decides whether odd sides can be updated.
pub(super) fn read(section: &Section, sample: Option<&Section>) -> Option<LatticeSection> {
    let geometry = section.optional("geometry", Geometry::Square, |field| field.choice(&[("square", Geometry::Square)]));
    let checkerboard = sample.is_some_and(super::sample::needs_checkerboard);
    let sizes = section.required("sizes", "sizes = [40]", |field| field.distinct("sides", |field| side(field, checkerboard)));
    let mut sizes = sizes?;
    sizes.sort_unstable();
    Some(LatticeSection { geometry: geometry?, sizes })
}

fn side(field: &Field, checkerboard: bool) -> Option<usize> {
    let range = SquareTorus::SMALLEST_SIDE..=SquareTorus::LARGEST_SIDE;
    let rule = format!("sides are whole numbers from {} to {}", range.start(), range.end());
    let Some(written) = field.whole() else {
        return field.refuse(&rule);
    };
    if written > *range.end() as i128 {
        let bytes = written.unsigned_abs().saturating_mul(written.unsigned_abs()) / 8;
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
