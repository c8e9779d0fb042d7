//! Sixteen single-precision numbers, the unit in which all float kernels work: one register of AVX-512, two of AVX2.
//!
//! Read this first, then `tables`, `forward`, `statistics` (what is summed), `activation` (what is drawn), `update` (what is learned). Chains of additions
//! are written over the array, so that each instruction set takes its widest registers; what needs named instructions (transposing, comparing to bits)
//! goes through `wide`, which picks them at compile time. Neither way changes a bit of the result.

use wide::f32x8;

/// Sixteen numbers, aligned to a cache line.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub struct Vector(pub [f32; Vector::WIDTH]);

impl Vector {
    /// The number of lanes, and the padding unit of every layer.
    pub const WIDTH: usize = 16;

    /// Sixteen zeros.
    pub const ZERO: Vector = Vector([0.0; Vector::WIDTH]);

    /// The same number in every lane.
    #[inline(always)]
    pub fn splat(value: f32) -> Self {
        Vector([value; Self::WIDTH])
    }

    /// The sum of each lane.
    #[inline(always)]
    pub fn plus(self, other: &Vector) -> Self {
        Vector(std::array::from_fn(|lane| self.0[lane] + other.0[lane]))
    }

    /// self + factor * other in each lane, rounded once.
    #[inline(always)]
    pub fn plus_product(self, factor: f32, other: &Vector) -> Self {
        Vector(std::array::from_fn(|lane| factor.mul_add(other.0[lane], self.0[lane])))
    }

    /// Minus each lane.
    #[inline(always)]
    pub fn negated(self) -> Self {
        Vector(std::array::from_fn(|lane| -self.0[lane]))
    }

    /// The product of each lane.
    #[inline(always)]
    pub fn times(self, other: &Vector) -> Self {
        Vector(std::array::from_fn(|lane| self.0[lane] * other.0[lane]))
    }

    /// The sum of all lanes in f64, lane after lane.
    #[inline(always)]
    pub fn sum(&self) -> f64 {
        self.0.iter().fold(0.0, |sum, &value| sum + f64::from(value))
    }

    /// The halves, in the registers of AVX2.
    #[inline(always)]
    pub fn halves(&self) -> [f32x8; 2] {
        let half = |start: usize| f32x8::from(std::array::from_fn::<f32, 8, _>(|lane| self.0[start + lane]));
        [half(0), half(8)]
    }

    /// A vector from its halves.
    #[inline(always)]
    pub fn from_halves([low, high]: [f32x8; 2]) -> Self {
        let (low, high) = (low.to_array(), high.to_array());
        Vector(std::array::from_fn(|lane| if lane < 8 { low[lane] } else { high[lane - 8] }))
    }
}

/// The transposed tile of sixteen vectors.
#[inline(always)]
pub fn transpose(tile: &[Vector; Vector::WIDTH]) -> [Vector; Vector::WIDTH] {
    let block = |row: usize, half: usize| f32x8::transpose(std::array::from_fn(|index| tile[row + index].halves()[half]));
    let (upper_left, upper_right, lower_left, lower_right) = (block(0, 0), block(0, 1), block(8, 0), block(8, 1));
    std::array::from_fn(|row| {
        if row < 8 {
            Vector::from_halves([upper_left[row], lower_left[row]])
        } else {
            Vector::from_halves([upper_right[row - 8], lower_right[row - 8]])
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_is_transposed() {
        let tile: [Vector; 16] = std::array::from_fn(|row| Vector(std::array::from_fn(|column| (row * 16 + column) as f32)));
        let turned = transpose(&tile);
        for row in 0..16 {
            for column in 0..16 {
                assert_eq!(turned[row].0[column], tile[column].0[row]);
            }
        }
    }
}
