//! Eight lanes of xoshiro256++ (Blackman and Vigna 2021), laid out for 512-bit registers: state word i of all lanes lies together.

/// The state of eight generators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Lanes {
    pub(super) state: [[u64; Lanes::COUNT]; 4],
}

impl Lanes {
    /// The number of lanes.
    pub const COUNT: usize = 8;

    /// Lanes to be filled by [`Self::set_lane`]; an all-zero state only ever gives zeros.
    pub fn zero() -> Self {
        Lanes { state: [[0; Self::COUNT]; 4] }
    }

    /// The state words of one lane.
    pub fn lane(&self, lane: usize) -> [u64; 4] {
        [0, 1, 2, 3].map(|word| self.state[word][lane])
    }

    /// Sets the state words of one lane.
    pub fn set_lane(&mut self, lane: usize, words: [u64; 4]) {
        for (row, word) in self.state.iter_mut().zip(words) {
            row[lane] = word;
        }
    }

    /// One step of every lane: the next 512 random bits, word l from lane l. The loops over lanes become vector instructions of whatever the caller is compiled for.
    #[inline(always)]
    pub fn step(&mut self) -> [u64; Self::COUNT] {
        let [s0, s1, s2, s3] = &mut self.state;
        let mut output = [0; Self::COUNT];
        for lane in 0..Self::COUNT {
            output[lane] = s0[lane].wrapping_add(s3[lane]).rotate_left(23).wrapping_add(s0[lane]);
        }
        for lane in 0..Self::COUNT {
            let shifted = s1[lane] << 17;
            s2[lane] ^= s0[lane];
            s3[lane] ^= s1[lane];
            s1[lane] ^= s2[lane];
            s0[lane] ^= s3[lane];
            s2[lane] ^= shifted;
            s3[lane] = s3[lane].rotate_left(45);
        }
        output
    }
}
