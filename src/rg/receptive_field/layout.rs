//! How the receptive fields of one layer share the lattice: whether their centres tile it, how much they overlap, and which of them are the same.

use crate::lattice::SquareTorus;
use crate::rbm::Matrix;
use rayon::prelude::*;

/// Two fields whose normalized product is at least this, in absolute value, are duplicates of each other.
pub const DUPLICATE: f64 = 0.9;

/// The share of cells that hold at least one centre, when the torus is cut into g x g equal cells with g^2 as near to the number of units as a square can be: 2 x 2
/// sites for 400 units on a lattice of side 40, 4 x 4 for 100, 8 x 8 for 25. The cut is fixed (the first cell begins at site (0, 0)), so that centres at
/// random fill 1 - (1 - 1/n)^n, about 0.63, of n cells.
pub fn tiling(torus: SquareTorus, units: usize, centres: impl Iterator<Item = [f64; 2]>) -> f64 {
    if units == 0 {
        return 0.0;
    }
    let lower = units.isqrt().max(1);
    let grid = if units - lower * lower <= ((lower + 1) * (lower + 1)).saturating_sub(units) { lower } else { lower + 1 };
    let mut holds_a_centre = vec![false; grid * grid];
    let cell = |position: f64| ((position / torus.side() as f64 * grid as f64) as usize).min(grid - 1);
    for [x, y] in centres {
        holds_a_centre[cell(y) * grid + cell(x)] = true;
    }
    holds_a_centre.iter().filter(|&&held| held).count() as f64 / (grid * grid) as f64
}

/// How live units of a layer repeat each other.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Repetition {
    /// Mean over units of the largest overlap with any other unit, where the overlap of two fields is sum |r r'| / sqrt(sum r^2 sum r'^2): 0 for fields on different sites, 1
    /// for equal magnitudes. 0 for fewer than two units.
    pub overlap: f64,
    /// Units that repeat an earlier one: |sum r r'| / sqrt(sum r^2 sum r'^2) of at least [`DUPLICATE`].
    pub duplicates: usize,
}

/// Compares every unit with every other; `fields` is \[unit\]\[site\]. Sums run in double precision in site order.
pub fn repetition(fields: &Matrix, live: &[bool]) -> Repetition {
    let units: Vec<Vec<f64>> = (0..fields.rows()).filter(|&unit| live[unit]).map(|unit| normalized(fields.row(unit))).collect();
    if units.len() < 2 {
        return Repetition::default();
    }
    // For each unit: its largest overlap with another one, and whether it repeats an earlier one.
    let of_unit = |unit: usize| {
        let products = units.iter().enumerate().filter(|(other, _)| *other != unit).map(|(other, field)| {
            let pairs = units[unit].iter().zip(field);
            let (plain, absolute) =
                pairs.fold((0.0, 0.0), |(plain, absolute), (one, two)| (plain + one * two, absolute + (one * two).abs()));
            (other < unit && plain.abs() >= DUPLICATE, absolute)
        });
        products.fold((false, 0f64), |(repeats, largest), (repeated, overlap)| (repeats || repeated, largest.max(overlap)))
    };
    let found: Vec<(bool, f64)> = (0..units.len()).into_par_iter().map(of_unit).collect();
    Repetition {
        overlap: found.iter().map(|(_, overlap)| overlap).sum::<f64>() / units.len() as f64,
        duplicates: found.iter().filter(|(repeats, _)| *repeats).count(),
    }
}

/// A field in double precision with sum r^2 = 1; live fields are nowhere near overflow once divided by their largest value.
fn normalized(field: &[f32]) -> Vec<f64> {
    let largest = field.iter().fold(f32::MIN_POSITIVE, |largest, value| largest.max(value.abs()));
    let scaled: Vec<f64> = field.iter().map(|&value| f64::from(value) / f64::from(largest)).collect();
    let norm = scaled.iter().map(|value| value * value).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    scaled.into_iter().map(|value| value / norm).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn torus(side: usize) -> SquareTorus {
        SquareTorus::new(side).unwrap()
    }

    #[test]
    fn copies_are_duplicates_and_neighbours_overlap() {
        // Fields on eight sites: 0 and 1 overlap in one of two sites, 2 is 0 turned over and scaled, 3 lies elsewhere, 4 is dead.
        let numbers = [
            [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [-3e30, -3e30, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1e-30, 1e-30],
            [0.0; 8],
        ];
        let fields = Matrix::from_unpadded(5, 8, &numbers.concat());
        let live = [true, true, true, true, false];
        let found = repetition(&fields, &live);
        assert_eq!(found.duplicates, 1);
        // Largest overlaps 1, 1/2, 1 and 0.
        assert!((found.overlap - 2.5 / 4.0).abs() < 1e-12, "{found:?}");
        assert_eq!(repetition(&fields, &[true, false, false, false, false]), Repetition::default());
        // |cosine| of 0 and 1 is a half, although their magnitudes overlap as much: signs count for duplicates.
        let signs = Matrix::from_unpadded(2, 4, &[1.0, 1.0, 1.0, 1.0, 1.0, -1.0, 1.0, -1.0]);
        let found = repetition(&signs, &[true, true]);
        assert!(found.duplicates == 0 && (found.overlap - 1.0).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn the_ideal_tiling_is_full() {
        let torus = torus(40);
        for (units, width) in [(400, 2), (100, 4), (25, 8)] {
            let per_side = 40 / width;
            let centre = |unit: usize| [unit % per_side, unit / per_side].map(|cell| (cell * width) as f64 + width as f64 / 2.0);
            assert_eq!(tiling(torus, units, (0..units).map(centre)), 1.0);
            assert_eq!(tiling(torus, units, (0..units).map(|_| centre(0))), 1.0 / units as f64);
        }
        // 8 units are nearest to 3 x 3 cells, 5 units to 2 x 2.
        assert_eq!(tiling(torus, 8, std::iter::once([39.9, 39.9])), 1.0 / 9.0);
        assert_eq!(tiling(torus, 5, std::iter::once([0.0, 0.0])), 0.25);
    }
}
