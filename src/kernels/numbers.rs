//! Sixteen numbers as one value while a kernel works on them, so that a kernel is written once and still keeps its values in registers.
//!
//! `Register` is one register of AVX-512, by name of its instructions: where the compiler (1.95) is left to find them in loops over `[f32; 16]` it makes gathers and
//! scatters. [`Halves`] is two `wide::f32x8`, for everything else. Each operation is one that IEEE 754 rounds exactly, so the two give the same bits.

use super::float_vector::Vector;
use super::vector;
use wide::{f32x4, f32x8, u32x8};

/// Operations on sixteen numbers, lane by lane.
pub trait Numbers: Copy {
    /// Eight words of random bits.
    type Words: vector::Vector;
    /// Whether there are registers for the sums of eight samples and two panels together; else for those of three.
    const WIDE: bool;

    /// The same number in every lane.
    fn splat(value: f32) -> Self;
    /// From memory.
    fn load(from: &Vector) -> Self;
    /// To memory.
    fn store(self, to: &mut Vector);
    /// Sums.
    fn plus(self, other: Self) -> Self;
    /// Differences.
    fn minus(self, other: Self) -> Self;
    /// Products.
    fn times(self, other: Self) -> Self;
    /// Quotients.
    fn over(self, other: Self) -> Self;
    /// self * factor + addend, rounded once.
    fn fused(self, factor: Self, addend: Self) -> Self;
    /// Minus each lane.
    fn negated(self) -> Self;
    /// Without the sign.
    fn magnitude(self) -> Self;
    /// `limit` where the number is larger; NaN stays.
    fn at_most(self, limit: f32) -> Self;
    /// `limit` where the number is smaller; NaN stays.
    fn at_least(self, limit: f32) -> Self;
    /// `value`, which is not negative, with the sign of the number; +0 where the number is 0.
    fn signed(self, value: f32) -> Self;
    /// The low bits of `count` hold an integer n: self * 2^n. What lies above them leaves on the left.
    fn times_power(self, count: Self) -> Self;
    /// Bit l: lane l is below the limit. NaN is not.
    fn below(self, limit: f32) -> u16;
    /// Zero where the bit is clear, whatever stood there.
    fn masked(self, mask: u16) -> Self;
    /// Random numbers 1 + r 2^-23: lane 2 l has the upper 23 bits of the low half of word l as r, lane 2 l + 1 those of the high half.
    fn above_one(words: Self::Words) -> Self;
    /// Sets `bit` in the lanes of `mask`, taken as bit patterns.
    fn with_bit(self, mask: u16, bit: u32) -> Self;
    /// Columns 4 quarter ... 4 quarter + 3 of sixteen rows.
    fn four_columns(rows: &[Vector; Vector::WIDTH], quarter: usize) -> [Self; 4];

    /// Sixteen zeros.
    #[inline(always)]
    fn zero() -> Self {
        Self::splat(0.0)
    }

    /// The numbers in memory order.
    #[inline(always)]
    fn to_vector(self) -> Vector {
        let mut vector = Vector::ZERO;
        self.store(&mut vector);
        vector
    }
}

/// Sixteen numbers in two registers of 256 bits, or whatever the baseline of the build has.
#[derive(Debug, Clone, Copy)]
pub struct Halves(f32x8, f32x8);

impl Halves {
    #[inline(always)]
    fn both(self, operation: impl Fn(f32x8) -> f32x8) -> Self {
        Halves(operation(self.0), operation(self.1))
    }

    #[inline(always)]
    fn with(self, other: Self, operation: impl Fn(f32x8, f32x8) -> f32x8) -> Self {
        Halves(operation(self.0, other.0), operation(self.1, other.1))
    }
}

/// a * b + c, rounded once. `wide` rounds twice where the baseline of the build has no fused instruction.
#[inline(always)]
fn fused(a: f32x8, b: f32x8, c: f32x8) -> f32x8 {
    if cfg!(any(all(target_feature = "avx", target_feature = "fma"), all(target_arch = "aarch64", target_feature = "neon"))) {
        a.mul_add(b, c)
    } else {
        let (a, b, c) = (a.to_array(), b.to_array(), c.to_array());
        f32x8::new(std::array::from_fn(|lane| a[lane].mul_add(b[lane], c[lane])))
    }
}

#[inline(always)]
fn patterns(numbers: f32x8) -> u32x8 {
    u32x8::new(numbers.to_array().map(f32::to_bits))
}

#[inline(always)]
fn from_patterns(patterns: u32x8) -> f32x8 {
    f32x8::new(patterns.to_array().map(f32::from_bits))
}

#[inline(always)]
fn join(low: f32x4, high: f32x4) -> f32x8 {
    let mut both = [0.0; 8];
    both[..4].copy_from_slice(low.as_array());
    both[4..].copy_from_slice(high.as_array());
    f32x8::new(both)
}

/// All bits of a lane set where the bit of the mask is.
#[inline(always)]
fn spread(mask: u16) -> [f32x8; 2] {
    let half = |shift: u32| {
        let bits = u32x8::new([1, 2, 4, 8, 16, 32, 64, 128].map(|bit: u32| bit << shift));
        let chosen = u32x8::splat(u32::from(mask)) & bits;
        from_patterns(u32x8::new(std::array::from_fn(|lane| if chosen.to_array()[lane] != 0 { u32::MAX } else { 0 })))
    };
    [half(0), half(8)]
}

impl Numbers for Halves {
    type Words = vector::Halves;
    const WIDE: bool = false;

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Halves(f32x8::splat(value), f32x8::splat(value))
    }
    #[inline(always)]
    fn load(from: &Vector) -> Self {
        let [low, high] = from.halves();
        Halves(low, high)
    }
    #[inline(always)]
    fn store(self, to: &mut Vector) {
        to.set_halves(self.0, self.1);
    }
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.with(other, |a, b| a + b)
    }
    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.with(other, |a, b| a - b)
    }
    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.with(other, |a, b| a * b)
    }
    #[inline(always)]
    fn over(self, other: Self) -> Self {
        self.with(other, |a, b| a / b)
    }
    #[inline(always)]
    fn fused(self, factor: Self, addend: Self) -> Self {
        Halves(fused(self.0, factor.0, addend.0), fused(self.1, factor.1, addend.1))
    }
    #[inline(always)]
    fn negated(self) -> Self {
        self.both(|x| x ^ f32x8::splat(-0.0))
    }
    #[inline(always)]
    fn magnitude(self) -> Self {
        self.both(f32x8::abs)
    }
    #[inline(always)]
    fn at_most(self, limit: f32) -> Self {
        let limit = f32x8::splat(limit);
        self.both(|x| x.simd_gt(limit).bitselect(limit, x))
    }
    #[inline(always)]
    fn at_least(self, limit: f32) -> Self {
        let limit = f32x8::splat(limit);
        self.both(|x| x.simd_lt(limit).bitselect(limit, x))
    }
    #[inline(always)]
    fn signed(self, value: f32) -> Self {
        let (sign, value) = (f32x8::splat(-0.0), f32x8::splat(value));
        self.both(|x| x.simd_ne(f32x8::ZERO) & (x & sign | value))
    }
    #[inline(always)]
    fn times_power(self, count: Self) -> Self {
        let power = |count: f32x8| from_patterns((patterns(count) << 23) + u32x8::splat(0x3F80_0000));
        self.times(count.both(power))
    }
    #[inline(always)]
    fn below(self, limit: f32) -> u16 {
        let limit = f32x8::splat(limit);
        (self.0.simd_lt(limit).to_bitmask() | self.1.simd_lt(limit).to_bitmask() << 8) as u16
    }
    #[inline(always)]
    fn masked(self, mask: u16) -> Self {
        let [low, high] = spread(mask);
        Halves(self.0 & low, self.1 & high)
    }
    #[inline(always)]
    fn above_one(words: vector::Halves) -> Self {
        let words = vector::Vector::to_block(words);
        let half = |first: usize| {
            let halves = u32x8::new(std::array::from_fn(|lane| (words[first + lane / 2] >> (32 * (lane % 2))) as u32));
            from_patterns(halves >> 9 | u32x8::splat(0x3F80_0000))
        };
        Halves(half(0), half(4))
    }
    #[inline(always)]
    fn with_bit(self, mask: u16, bit: u32) -> Self {
        let [low, high] = spread(mask);
        let bit = f32x8::splat(f32::from_bits(bit));
        Halves(self.0 | low & bit, self.1 | high & bit)
    }
    #[inline(always)]
    fn four_columns(rows: &[Vector; Vector::WIDTH], quarter: usize) -> [Self; 4] {
        // No closures: they do not have the instructions.
        let mut blocks = [[f32x4::ZERO; 4]; 4];
        for block in 0..4 {
            let mut four = [f32x4::ZERO; 4];
            for row in 0..4 {
                four[row] = f32x4::new(rows[4 * block + row].0.as_chunks().0[quarter]);
            }
            blocks[block] = f32x4::transpose(four);
        }
        let mut columns = [Halves::zero(); 4];
        for column in 0..4 {
            columns[column] = Halves(join(blocks[0][column], blocks[1][column]), join(blocks[2][column], blocks[3][column]));
        }
        columns
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) use register::Register;

#[cfg(target_arch = "x86_64")]
mod register {
    use super::*;
    use std::arch::x86_64::*;

    /// Sixteen numbers in one register of 512 bits. Every function here asks the processor for AVX-512 F and DQ: only bodies that `dispatch!` runs as `avx512` may use it.
    #[derive(Debug, Clone, Copy)]
    pub(in super::super) struct Register(__m512);

    // SAFETY, of each `unsafe` in this module: the instruction exists, because code over `Register` runs only behind `Chosen::Avx512`, which was made after the
    // processor was asked. The instructions touch no memory, but for loads and stores inside of a Vector, which is aligned to its 64 bytes.
    #[allow(unsafe_code)]
    impl Numbers for Register {
        type Words = vector::Register;
        const WIDE: bool = true;

        #[inline(always)]
        fn splat(value: f32) -> Self {
            Register(unsafe { _mm512_set1_ps(value) })
        }
        #[inline(always)]
        fn load(from: &Vector) -> Self {
            Register(unsafe { _mm512_load_ps(from.0.as_ptr()) })
        }
        #[inline(always)]
        fn store(self, to: &mut Vector) {
            unsafe { _mm512_store_ps(to.0.as_mut_ptr(), self.0) }
        }
        #[inline(always)]
        fn plus(self, other: Self) -> Self {
            Register(unsafe { _mm512_add_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn minus(self, other: Self) -> Self {
            Register(unsafe { _mm512_sub_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn times(self, other: Self) -> Self {
            Register(unsafe { _mm512_mul_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn over(self, other: Self) -> Self {
            Register(unsafe { _mm512_div_ps(self.0, other.0) })
        }
        #[inline(always)]
        fn fused(self, factor: Self, addend: Self) -> Self {
            Register(unsafe { _mm512_fmadd_ps(self.0, factor.0, addend.0) })
        }
        #[inline(always)]
        fn negated(self) -> Self {
            Register(unsafe { _mm512_xor_ps(self.0, _mm512_set1_ps(-0.0)) })
        }
        #[inline(always)]
        fn magnitude(self) -> Self {
            Register(unsafe { _mm512_abs_ps(self.0) })
        }
        #[inline(always)]
        fn at_most(self, limit: f32) -> Self {
            // The instruction gives its second operand where one of them is NaN.
            Register(unsafe { _mm512_min_ps(_mm512_set1_ps(limit), self.0) })
        }
        #[inline(always)]
        fn at_least(self, limit: f32) -> Self {
            Register(unsafe { _mm512_max_ps(_mm512_set1_ps(limit), self.0) })
        }
        #[inline(always)]
        fn signed(self, value: f32) -> Self {
            Register(unsafe {
                let (bits, sign) = (_mm512_castps_si512(self.0), _mm512_set1_epi32(i32::MIN));
                let not_zero = _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(self.0, _mm512_setzero_ps());
                // Value, or number and sign.
                let signed = _mm512_maskz_ternarylogic_epi32::<0xF8>(not_zero, _mm512_castps_si512(_mm512_set1_ps(value)), bits, sign);
                _mm512_castsi512_ps(signed)
            })
        }
        #[inline(always)]
        fn times_power(self, count: Self) -> Self {
            Register(unsafe {
                let power = _mm512_add_epi32(_mm512_slli_epi32::<23>(_mm512_castps_si512(count.0)), _mm512_set1_epi32(0x3F80_0000));
                _mm512_mul_ps(self.0, _mm512_castsi512_ps(power))
            })
        }
        #[inline(always)]
        fn below(self, limit: f32) -> u16 {
            unsafe { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(self.0, _mm512_set1_ps(limit)) }
        }
        #[inline(always)]
        fn masked(self, mask: u16) -> Self {
            Register(unsafe { _mm512_maskz_mov_ps(mask, self.0) })
        }
        #[inline(always)]
        fn above_one(words: vector::Register) -> Self {
            Register(unsafe {
                let mantissas = _mm512_srli_epi32::<9>(words.bits());
                _mm512_castsi512_ps(_mm512_or_si512(mantissas, _mm512_set1_epi32(0x3F80_0000)))
            })
        }
        #[inline(always)]
        fn with_bit(self, mask: u16, bit: u32) -> Self {
            Register(unsafe {
                let bits = _mm512_castps_si512(self.0);
                _mm512_castsi512_ps(_mm512_mask_or_epi32(bits, mask, bits, _mm512_set1_epi32(bit as i32)))
            })
        }
        #[inline(always)]
        fn four_columns(rows: &[Vector; Vector::WIDTH], quarter: usize) -> [Self; 4] {
            assert!(quarter < 4, "sixteen columns");
            unsafe {
                // Four numbers of rows r, r + 4, r + 8, r + 12 side by side: loading them so is cheaper than moving them later. (No closures: they do not
                // have the instructions.)
                let mut sides = [_mm512_setzero_ps(); 4];
                for row in 0..4 {
                    let place = 4 * quarter;
                    let all = _mm512_castps128_ps512(_mm_load_ps(rows[row].0.as_ptr().add(place)));
                    let all = _mm512_insertf32x4::<1>(all, _mm_load_ps(rows[row + 4].0.as_ptr().add(place)));
                    let all = _mm512_insertf32x4::<2>(all, _mm_load_ps(rows[row + 8].0.as_ptr().add(place)));
                    sides[row] = _mm512_insertf32x4::<3>(all, _mm_load_ps(rows[row + 12].0.as_ptr().add(place)));
                }
                let [a, b, c, d] = sides;
                // In each of the four places, four rows of four become four columns.
                let (ab_low, ab_high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
                let (cd_low, cd_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
                [
                    Register(_mm512_shuffle_ps::<0x44>(ab_low, cd_low)),
                    Register(_mm512_shuffle_ps::<0xEE>(ab_low, cd_low)),
                    Register(_mm512_shuffle_ps::<0x44>(ab_high, cd_high)),
                    Register(_mm512_shuffle_ps::<0xEE>(ab_high, cd_high)),
                ]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(function: impl Fn(usize) -> f32) -> Vector {
        Vector(std::array::from_fn(function))
    }

    #[test]
    fn halves_do_what_their_names_say() {
        let numbers = of(|lane| [1.5, -2.0, f32::NAN, 0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, 1e-40][lane % 8] + (lane / 8) as f32);
        let x = Halves::load(&numbers);
        let bits = |y: Halves| y.to_vector().0.map(f32::to_bits);
        let expect = |found: Halves, expected: &dyn Fn(f32) -> f32| assert_eq!(bits(found), numbers.0.map(expected).map(f32::to_bits));
        expect(x.at_most(1.0), &|x| if x > 1.0 { 1.0 } else { x });
        expect(x.at_least(0.5), &|x| if x < 0.5 { 0.5 } else { x });
        expect(x.signed(3.0), &|x| if x == 0.0 { 0.0 } else { 3f32.copysign(x) });
        expect(x.negated(), &|x| -x);
        expect(x.magnitude(), &f32::abs);
        assert_eq!(bits(x.masked(0x8001)), std::array::from_fn(|lane| if lane % 15 == 0 { numbers.0[lane].to_bits() } else { 0 }));
        assert_eq!(x.below(0.25), (0..16).map(|lane| u16::from(numbers.0[lane] < 0.25) << lane).sum::<u16>());
        assert_eq!(bits(Halves::zero().with_bit(0x0102, 8)), std::array::from_fn(|lane| if lane == 1 || lane == 8 { 8 } else { 0 }));
        let rows: [Vector; 16] = std::array::from_fn(|row| of(|column| (16 * row + column) as f32));
        for column in 0..16 {
            let found = Halves::four_columns(&rows, column / 4)[column % 4];
            assert_eq!(found.to_vector(), of(|row| (16 * row + column) as f32));
        }
    }
}
