//! One lattice of any dimension in rows along x, each of whole words, for samplers that go from site to site. Coordinates are bits of a position: x are the lowest, then y,
//! then z, each with as many bits as its largest value needs (x with at least six), so that no division is needed on the way from a site to its neighbours.

use super::{Configuration, WORD_BITS};
use crate::kernels::{InstructionSet, profile};
use crate::lattice::Torus;
use crate::measure::{Measurement, Observer};

/// The spins of a lattice. Bits that belong to no site are clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    torus: Torus,
    /// Bits of the coordinate x.
    row_shift: u32,
    /// Bits of the coordinate y; 0 for a chain.
    layer_shift: u32,
    words: Vec<u64>,
}

impl Rows {
    /// All spins down.
    pub fn all_down(torus: Torus) -> Self {
        let row_bits = torus.side().next_power_of_two().max(WORD_BITS);
        let layer_rows = if torus.dimension() == 3 { torus.side().next_power_of_two() } else { 1 };
        let lines = match torus.dimension() {
            1 => 1,
            2 => torus.side(),
            _ => torus.side() * layer_rows,
        };
        Rows {
            torus,
            row_shift: row_bits.trailing_zeros(),
            layer_shift: if torus.dimension() == 3 { layer_rows.trailing_zeros() } else { 0 },
            words: vec![0; lines * (row_bits / WORD_BITS)],
        }
    }

    /// The lattice.
    pub fn torus(&self) -> Torus {
        self.torus
    }

    /// The words, position by position.
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// The words, position by position.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The words of a row.
    pub fn row_words(&self) -> usize {
        (1 << self.row_shift) / WORD_BITS
    }

    /// The place of each axis in a position: a step of 1 along axis a adds 2^shift.
    pub fn shifts(&self) -> [u32; 3] {
        [0, self.row_shift, self.row_shift + self.layer_shift]
    }

    /// The position of a site.
    pub fn position(&self, site: u64) -> u64 {
        let side = self.torus.side() as u64;
        let [_, y_shift, z_shift] = self.shifts();
        site % side + ((site / side % side) << y_shift) + ((site / side / side) << z_shift)
    }

    /// The first word of the row (y, z).
    fn line(&self, y: usize, z: usize) -> usize {
        (y + (z << self.layer_shift)) * self.row_words()
    }

    /// The rows (y, z) in site order.
    fn lines(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (side, dimension) = (self.torus.side(), self.torus.dimension());
        let (height, depth) = (if dimension > 1 { side } else { 1 }, if dimension > 2 { side } else { 1 });
        (0..depth).flat_map(move |z| (0..height).map(move |y| (y, z)))
    }

    /// Replaces the spins.
    ///
    /// # Panics
    /// If the configuration is of another lattice.
    pub fn set_configuration(&mut self, configuration: &Configuration) {
        assert_eq!(configuration.torus(), self.torus, "a configuration of the lattice of the chain");
        let (side, words) = (self.torus.side(), configuration.words());
        for (row, (y, z)) in self.lines().enumerate() {
            let (from, width) = (self.line(y, z), self.row_words());
            for (place, word) in self.words[from..from + width].iter_mut().enumerate() {
                let first = place * WORD_BITS;
                let count = side.saturating_sub(first).min(WORD_BITS);
                *word = if count == 0 { 0 } else { bits_from(words, row * side + first) & (u64::MAX >> (WORD_BITS - count)) };
            }
        }
    }

    /// The spins in site order.
    pub fn configuration(&self) -> Configuration {
        let side = self.torus.side();
        let mut words = vec![0; self.torus.sites().div_ceil(WORD_BITS)];
        for (row, (y, z)) in self.lines().enumerate() {
            for word in 0..side.div_ceil(WORD_BITS) {
                let piece = self.words[self.line(y, z) + word];
                let first = row * side + word * WORD_BITS;
                let (place, shift) = (first / WORD_BITS, first % WORD_BITS);
                words[place] |= piece << shift;
                let over = (piece >> 1) >> (WORD_BITS - 1 - shift);
                if over != 0 {
                    words[place + 1] |= over;
                }
            }
        }
        Configuration::from_words(self.torus, words)
    }

    /// Energy and magnetization.
    pub fn measure(&self) -> Measurement {
        let side = self.torus.side();
        let used = side.div_ceil(WORD_BITS);
        let (mut up, mut equal) = (0u64, 0u64);
        for (y, z) in self.lines() {
            let row = &self.words[self.line(y, z)..][..used];
            for word in 0..used {
                let count = (side - word * WORD_BITS).min(WORD_BITS);
                let existing = u64::MAX >> (WORD_BITS - count);
                // The bit past the end of the row is the first of the row.
                let next = if word + 1 < used { row[word + 1] } else { row[0] };
                let right = (row[word] & existing) >> 1 | next << (count - 1);
                up += u64::from(row[word].count_ones());
                equal += u64::from((!(row[word] ^ right) & existing).count_ones());
                if self.torus.dimension() > 1 {
                    let below = self.words[self.line((y + 1) % side, z) + word];
                    equal += u64::from((!(row[word] ^ below) & existing).count_ones());
                }
                if self.torus.dimension() > 2 {
                    let behind = self.words[self.line(y, (z + 1) % side) + word];
                    equal += u64::from((!(row[word] ^ behind) & existing).count_ones());
                }
            }
        }
        let (sites, bonds) = (self.torus.sites() as i64, self.torus.bonds() as i64);
        Measurement { energy: bonds - 2 * equal as i64, magnetization: 2 * up as i64 - sites }
    }

    /// [`Self::measure`], with the columns, rows and layers of `observer`, and the power of the longest waves.
    pub fn observe(&self, set: InstructionSet, observer: &mut Observer) -> (Measurement, f64) {
        let side = self.torus.side();
        match self.torus.dimension() {
            1 => {
                let bit = |(x, count): (usize, &mut u32)| *count = (self.words[x / WORD_BITS] >> (x % WORD_BITS) & 1) as u32;
                observer.counters.columns.iter_mut().enumerate().for_each(bit);
            }
            2 => profile::count_packed(set, &self.words, self.row_words(), &mut observer.counters),
            _ => {
                let (mut columns, mut rows) = (vec![0u32; side], vec![0u32; side]);
                for z in 0..side {
                    profile::count_packed(set, &self.words[self.line(0, z)..], self.row_words(), &mut observer.counters);
                    columns.iter_mut().zip(&observer.counters.columns).for_each(|(sum, count)| *sum += count);
                    rows.iter_mut().zip(&observer.counters.rows).for_each(|(sum, count)| *sum += count);
                    observer.layers[z] = observer.counters.rows.iter().sum();
                }
                observer.counters.columns.copy_from_slice(&columns);
                observer.counters.rows.copy_from_slice(&rows);
            }
        }
        (self.measure(), observer.wave_power(set))
    }
}

/// 64 bits of a string of bits from bit `start` on, clear past the end.
fn bits_from(words: &[u64], start: usize) -> u64 {
    let (place, shift) = (start / WORD_BITS, start % WORD_BITS);
    let get = |index: usize| words.get(index).copied().unwrap_or(0);
    get(place) >> shift | (get(place + 1) << 1) << (WORD_BITS - 1 - shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lattice::Geometry;
    use crate::random::{Purpose, Stream};

    /// Every lattice there and back, with what is measured on the way held against the sites one by one.
    #[test]
    fn rows_hold_the_configuration_and_count_it() {
        let mut stream = Stream::new(14103831, Purpose::Check, 60);
        let chains = [3, 10, 64, 65, 200].map(|side| (Geometry::Chain, side));
        let squares = [3, 8, 65].map(|side| (Geometry::Square, side));
        let cubes = [3, 4, 7, 16, 66].map(|side| (Geometry::Cubic, side));
        for (geometry, side) in chains.into_iter().chain(squares).chain(cubes) {
            let torus = Torus::new(geometry, side).expect("a valid side");
            let words = (0..torus.sites().div_ceil(64)).map(|_| stream.word()).collect();
            let configuration = Configuration::from_words(torus, words);
            let mut rows = Rows::all_down(torus);
            rows.set_configuration(&configuration);
            assert_eq!(rows.configuration(), configuration);
            for site in (0..torus.sites()).step_by(7) {
                let position = rows.position(site as u64) as usize;
                assert_eq!(rows.words()[position / 64] >> (position % 64) & 1 == 1, configuration.bits()[site]);
            }
            for set in InstructionSet::available() {
                let mut observer = Observer::new(torus);
                for _ in 0..2 {
                    let (measurement, power) = rows.observe(set, &mut observer);
                    assert_eq!((measurement.energy, measurement.magnetization), (configuration.energy(), configuration.magnetization()));
                    assert_eq!(observer.magnetization(), measurement.magnetization);
                    let modulus = |axis: usize| {
                        let (mut real, mut imaginary) = (0.0, 0.0);
                        for site in 0..torus.sites() {
                            let phase = std::f64::consts::TAU * torus.coordinates(site)[axis] as f64 / side as f64;
                            real += configuration.spin(site) as f64 * phase.cos();
                            imaginary += configuration.spin(site) as f64 * phase.sin();
                        }
                        real * real + imaginary * imaginary
                    };
                    let expected = (0..torus.dimension()).map(modulus).sum::<f64>() / torus.dimension() as f64;
                    assert!((power - expected).abs() < 1e-9 * (torus.sites() as f64 + expected), "{geometry} {side}: {power} {expected}");
                }
            }
        }
    }
}
