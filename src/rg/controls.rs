//! What the receptive fields of a trained stack are held against: its own weights in random places, the principal components of the data, and block spins.
//!
//! The covariance of the data is that of a torus, so its principal components are plane waves (Bloch's theorem): [`PlaneWaves`] orders them by the structure factor of the
//! data, S(k) = < |sum s e^(-ikx)|^2 > / N, the eigenvalue of the wave. They are the best linear code of so many real numbers, and as far from local as can be.

use super::reconstruction::Agreement;
use super::{Control, control_stream};
use crate::error::Result;
use crate::lattice::SquareTorus;
use crate::rbm::Matrix;
use crate::spins::BitMatrix;
use rayon::prelude::*;
use std::f64::consts::{SQRT_2, TAU};

/// Configurations that are transformed together; only the order of sums depends on it.
const BATCH: usize = 128;

/// Weights of exactly the trained magnitudes and signs in random places: the entries of each matrix are shuffled among themselves.
pub fn permuted_weights(weights: &[&Matrix], seed: u64) -> Vec<Matrix> {
    let permuted = |(layer, matrix): (usize, &&Matrix)| {
        let mut entries = matrix.to_unpadded();
        control_stream(seed, Control::PermutedWeights, layer as u64).shuffle(&mut entries);
        Matrix::from_unpadded(matrix.rows(), matrix.columns(), &entries)
    };
    weights.iter().enumerate().map(permuted).collect()
}

/// The receptive fields of block spins, \[site\]\[unit\]: 1 inside the block of side `block_side` of the unit. The side divides that of the torus.
pub fn block_fields(torus: SquareTorus, block_side: usize) -> Matrix {
    let across = torus.side() / block_side;
    let mut fields = Matrix::zero(torus.sites(), across * across);
    for site in 0..torus.sites() {
        let (x, y) = torus.coordinates(site);
        fields.row_mut(site)[(y / block_side) * across + x / block_side] = 1.0;
    }
    fields
}

/// A real plane wave: the cosine or the sine of k = 2 pi (x, y) / L.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wave {
    x: usize,
    y: usize,
    is_sine: bool,
}

/// The principal components of data on a torus, the strongest first.
#[derive(Debug, Clone)]
pub struct PlaneWaves {
    torus: SquareTorus,
    waves: Vec<Wave>,
}

impl PlaneWaves {
    /// Orders all waves by the mean structure factor of some configurations. Waves that differ in direction only are the same to the data, up to noise.
    pub fn of(torus: SquareTorus, configurations: &BitMatrix) -> Self {
        let (side, table) = (torus.side(), roots(torus.side()));
        let mut power = vec![0.0; (side / 2 + 1) * side];
        for start in (0..configurations.rows()).step_by(BATCH) {
            let batch: Vec<Vec<[f64; 2]>> = (start..configurations.rows().min(start + BATCH))
                .into_par_iter()
                .map(|row| transform(side, &table, &spins(configurations, row)))
                .collect();
            for amplitudes in &batch {
                power.iter_mut().zip(amplitudes).for_each(|(sum, [real, imaginary])| *sum += real * real + imaginary * imaginary);
            }
        }
        // Each pair k, -k once: of the columns that hold both, the lower half.
        let both = |x: usize| (2 * x).is_multiple_of(side);
        let mut found: Vec<(usize, usize)> = (0..=side / 2).flat_map(|x| (0..side).map(move |y| (x, y))).collect();
        found.retain(|&(x, y)| !both(x) || y <= side / 2);
        found.sort_by(|one, other| power[other.0 * side + other.1].total_cmp(&power[one.0 * side + one.1]).then(one.cmp(other)));
        let waves = found.into_iter().flat_map(|(x, y)| {
            let cosine = Wave { x, y, is_sine: false };
            // The sine of a wave that is its own reverse vanishes on every site.
            let sine = (!(both(x) && both(y))).then_some(Wave { x, y, is_sine: true });
            std::iter::once(cosine).chain(sine)
        });
        PlaneWaves { torus, waves: waves.collect() }
    }

    /// The fields of the strongest waves, \[site\]\[unit\], each with sum r^2 = 1.
    pub fn fields(&self, units: usize) -> Matrix {
        let (side, table) = (self.torus.side(), roots(self.torus.side()));
        let mut fields = Matrix::zero(self.torus.sites(), units.min(self.waves.len()));
        for site in 0..self.torus.sites() {
            let (x, y) = self.torus.coordinates(site);
            for (value, wave) in fields.row_mut(site).iter_mut().zip(&self.waves) {
                let [cosine, sine] = table[(wave.x * x + wave.y * y) % side];
                let is_own_reverse = (2 * wave.x).is_multiple_of(side) && (2 * wave.y).is_multiple_of(side);
                let norm = if is_own_reverse { 1.0 } else { SQRT_2 } / side as f64;
                *value = (norm * if wave.is_sine { sine } else { cosine }) as f32;
            }
        }
        fields
    }

    /// The share of spins that agree, with its error, when only the `units` strongest waves of a configuration are kept, and each spin takes the sign of their sum.
    ///
    /// # Errors
    /// None in practice.
    pub fn agreement(&self, units: usize, configurations: &BitMatrix) -> Result<[f64; 2]> {
        let (side, table) = (self.torus.side(), roots(self.torus.side()));
        // What is kept of each amplitude: real part, imaginary part.
        let mut kept = vec![[0.0; 2]; (side / 2 + 1) * side];
        for wave in self.waves.iter().take(units) {
            let part = usize::from(wave.is_sine);
            // A column that holds k and -k gives each half of the pair; the others stand for both.
            kept[wave.x * side + wave.y][part] = 1.0;
            if (2 * wave.x).is_multiple_of(side) {
                kept[wave.x * side + (side - wave.y) % side][part] = 1.0;
            } else {
                kept[wave.x * side + wave.y][part] = 2.0;
            }
        }
        let mut agreement = Agreement::new(self.torus.sites());
        for start in (0..configurations.rows()).step_by(BATCH) {
            let rows = start..configurations.rows().min(start + BATCH);
            let signs: Vec<Vec<f32>> = rows
                .clone()
                .into_par_iter()
                .map(|row| {
                    let mut amplitudes = transform(side, &table, &spins(configurations, row));
                    amplitudes.iter_mut().zip(&kept).for_each(|(one, kept)| (one[0], one[1]) = (one[0] * kept[0], one[1] * kept[1]));
                    back(side, &table, &amplitudes).into_iter().map(|value| if value > 0.0 { 1.0 } else { 0.0 }).collect()
                })
                .collect();
            let signs = Matrix::from_unpadded(rows.len(), self.torus.sites(), &signs.concat());
            agreement.add(&signs, &configurations.slice_rows(rows))?;
        }
        Ok(agreement.mean_and_error())
    }
}

/// cos and sin of 2 pi n / L.
fn roots(side: usize) -> Vec<[f64; 2]> {
    (0..side).map(|place| TAU * place as f64 / side as f64).map(|angle| [angle.cos(), angle.sin()]).collect()
}

fn spins(configurations: &BitMatrix, row: usize) -> Vec<f64> {
    configurations.bits(row).iter().by_vals().map(|up| if up { 1.0 } else { -1.0 }).collect()
}

/// sum s(x, y) e^(-i k x) for k = 2 pi (kx, ky) / L, kx from 0 to L / 2, as \[kx\]\[ky\]: the other half follows, because spins are real. First along x, then along y.
fn transform(side: usize, roots: &[[f64; 2]], values: &[f64]) -> Vec<[f64; 2]> {
    let half = side / 2 + 1;
    let mut along_x = vec![[0.0; 2]; half * side];
    for (y, row) in values.chunks_exact(side).enumerate() {
        for kx in 0..half {
            let (mut real, mut imaginary, mut place) = (0.0, 0.0, 0);
            for value in row {
                real += value * roots[place][0];
                imaginary -= value * roots[place][1];
                place = (place + kx) % side;
            }
            along_x[kx * side + y] = [real, imaginary];
        }
    }
    along_x.chunks_exact(side).flat_map(|column| (0..side).map(|ky| turn(side, roots, column, ky, -1.0))).collect()
}

/// sum over places of the column times e^(+-2 pi i k place / L).
fn turn(side: usize, roots: &[[f64; 2]], column: &[[f64; 2]], k: usize, sign: f64) -> [f64; 2] {
    let (mut sum, mut place) = ([0.0; 2], 0);
    for [real, imaginary] in column {
        let [cosine, sine] = [roots[place][0], sign * roots[place][1]];
        sum[0] += real * cosine - imaginary * sine;
        sum[1] += real * sine + imaginary * cosine;
        place = (place + k) % side;
    }
    sum
}

/// The real part of the inverse transform of such amplitudes, times N; columns that stand for two have been doubled.
fn back(side: usize, roots: &[[f64; 2]], amplitudes: &[[f64; 2]]) -> Vec<f64> {
    let columns: Vec<Vec<[f64; 2]>> =
        amplitudes.chunks_exact(side).map(|column| (0..side).map(|y| turn(side, roots, column, y, 1.0)).collect()).collect();
    let value = |x: usize, y: usize| -> f64 {
        let parts = columns.iter().enumerate().map(|(kx, column)| {
            let [cosine, sine] = roots[kx * x % side];
            column[y][0] * cosine - column[y][1] * sine
        });
        parts.sum()
    };
    (0..side * side).map(|site| value(site % side, site / side)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};
    use crate::rg::receptive_field::summarize_layer;

    fn random_spins(rows: usize, torus: SquareTorus) -> BitMatrix {
        let mut stream = Stream::new(3, Purpose::Check, 0);
        BitMatrix::from_words(rows, torus.sites(), || stream.word())
    }

    #[test]
    fn waves_are_orthonormal_and_complete() {
        for side in [4, 5, 6] {
            let torus = SquareTorus::new(side).unwrap();
            let waves = PlaneWaves::of(torus, &random_spins(20, torus));
            let fields = waves.fields(torus.sites());
            assert_eq!(fields.columns(), torus.sites(), "as many waves as sites");
            for one in 0..torus.sites() {
                for other in 0..torus.sites() {
                    let product: f64 =
                        (0..torus.sites()).map(|site| f64::from(fields.row(site)[one]) * f64::from(fields.row(site)[other])).sum();
                    assert!((product - f64::from(u8::from(one == other))).abs() < 1e-6, "{side}: {one} and {other}: {product}");
                }
            }
        }
    }

    #[test]
    fn filtering_is_the_projection_onto_the_fields() {
        for side in [5, 6] {
            let torus = SquareTorus::new(side).unwrap();
            let data = random_spins(30, torus);
            let waves = PlaneWaves::of(torus, &data);
            for units in [0, 1, 2, 7, 12, torus.sites()] {
                let fields = waves.fields(units);
                let mut agreeing = 0;
                for row in 0..30 {
                    let spins = spins(&data, row);
                    let code: Vec<f64> = (0..units)
                        .map(|unit| spins.iter().enumerate().map(|(site, spin)| spin * f64::from(fields.row(site)[unit])).sum())
                        .collect();
                    for site in 0..torus.sites() {
                        let value: f64 = code.iter().zip(fields.row(site)).map(|(code, &field)| code * f64::from(field)).sum();
                        agreeing += usize::from((value > 0.0) == (spins[site] > 0.0));
                    }
                }
                let found = waves.agreement(units, &data).unwrap()[0];
                let expected = agreeing as f64 / (30 * torus.sites()) as f64;
                // A sum that is 0 up to rounding may fall either way.
                assert!((found - expected).abs() < 0.011, "side {side}, {units} waves: {found} and {expected}");
                assert!(units < torus.sites() || found == 1.0);
            }
        }
    }

    #[test]
    fn the_strongest_waves_are_those_of_the_data() {
        // Stripes of period 6 along y and noise in a quarter of the spins: the strongest two waves have k = (0, 2 pi / 6) on a side of 12.
        let torus = SquareTorus::new(12).unwrap();
        let mut data = random_spins(200, torus);
        for row in 0..200 {
            for site in (0..torus.sites()).filter(|site| site % 4 != 0) {
                data.set(row, site, (torus.coordinates(site).1 + row) % 6 < 3);
            }
        }
        let waves = PlaneWaves::of(torus, &data);
        assert!(waves.waves[..2].iter().all(|wave| (wave.x, wave.y) == (0, 2)), "{:?}", &waves.waves[..2]);
    }

    #[test]
    fn controls_have_the_fields_they_should() {
        let torus = SquareTorus::new(16).unwrap();
        let blocks = summarize_layer(torus, &block_fields(torus, 4), &[], 1, 0).unwrap();
        assert_eq!((blocks.units, blocks.mean_window_share, blocks.overlap, blocks.duplicates), (16, [1.0; 3], 0.0, 0));
        assert!((blocks.median_participation_ratio - 16.0).abs() < 1e-12 && blocks.tiling == 1.0);
        let weights = Matrix::from_unpadded(4, 3, &(0..12).map(|entry| entry as f32).collect::<Vec<_>>());
        let permuted = permuted_weights(&[&weights, &weights], 5);
        for matrix in &permuted {
            let mut entries = matrix.to_unpadded();
            assert!(entries != weights.to_unpadded());
            entries.sort_by(f32::total_cmp);
            assert_eq!(entries, weights.to_unpadded());
        }
        assert!(permuted[0] != permuted[1]);
    }
}
