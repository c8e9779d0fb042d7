//! Sixteen single-precision numbers, the unit in which all float kernels work: one register of AVX-512, two of AVX2.
//!
//! Read this first, then `numbers` (what can be done with them in registers), `tables`, `forward`, `statistics` (what is summed), `activation` (what is drawn), `update`
//! (what is learned).

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
    pub fn plus(mut self, other: &Vector) -> Self {
        for lane in 0..Self::WIDTH {
            self.0[lane] += other.0[lane];
        }
        self
    }

    /// self + factor * other in each lane, rounded once.
    #[inline(always)]
    pub fn plus_product(mut self, factor: f32, other: &Vector) -> Self {
        for lane in 0..Self::WIDTH {
            self.0[lane] = factor.mul_add(other.0[lane], self.0[lane]);
        }
        self
    }

    /// self + factors * other in each lane, rounded once.
    #[inline(always)]
    pub fn plus_products(mut self, factors: &Vector, other: &Vector) -> Self {
        for lane in 0..Self::WIDTH {
            self.0[lane] = factors.0[lane].mul_add(other.0[lane], self.0[lane]);
        }
        self
    }

    /// The numbers of some vectors, one after the other.
    pub fn numbers(vectors: &[Vector]) -> &[f32] {
        let length = vectors.len() * Self::WIDTH;
        // SAFETY: as for `numbers_mut`, but lent for reading.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts(vectors.as_ptr().cast::<f32>(), length)
        }
    }

    /// The same, to write to.
    pub fn numbers_mut(vectors: &mut [Vector]) -> &mut [f32] {
        let length = vectors.len() * Self::WIDTH;
        // SAFETY: a vector is an array of sixteen f32 and nothing else (repr(C), and its size is its alignment), every bit pattern of which is a number; the slice that is lent
        // covers exactly the vectors that were borrowed mutably, for as long.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(vectors.as_mut_ptr().cast::<f32>(), length)
        }
    }

    /// Minus each lane.
    #[inline(always)]
    pub fn negated(mut self) -> Self {
        for lane in 0..Self::WIDTH {
            self.0[lane] = -self.0[lane];
        }
        self
    }

    /// The product of each lane.
    #[inline(always)]
    pub fn times(mut self, other: &Vector) -> Self {
        for lane in 0..Self::WIDTH {
            self.0[lane] *= other.0[lane];
        }
        self
    }

    /// The sum of all lanes in f64, lane after lane.
    #[inline(always)]
    pub fn sum(&self) -> f64 {
        self.0.iter().fold(0.0, |sum, &value| sum + f64::from(value))
    }

    /// The halves, in the registers of AVX2.
    #[inline(always)]
    pub fn halves(&self) -> [f32x8; 2] {
        let (mut low, mut high) = ([0.0; 8], [0.0; 8]);
        low.copy_from_slice(&self.0[..8]);
        high.copy_from_slice(&self.0[8..]);
        [f32x8::new(low), f32x8::new(high)]
    }

    /// Takes the halves.
    #[inline(always)]
    pub fn set_halves(&mut self, low: f32x8, high: f32x8) {
        self.0[..8].copy_from_slice(low.as_array());
        self.0[8..].copy_from_slice(high.as_array());
    }
}
