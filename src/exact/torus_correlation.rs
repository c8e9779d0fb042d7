//! The two-point function of the finite square torus along an axis, at any side: free fermions in the four sectors of the transfer matrix.
//!
//! With Majorana operators A_j = P_j s^z_j and B_j = P_j s^y_j, P_j the product of s^x to the left of j, the product of two spins of a row is `s_0 s_r` = product over j < r of
//! (i B_j A_(j+1)), and the transfer matrix T of a row is Gaussian in A and B: exp of sum i A_l M_lj B_j, with antiperiodic waves where the parity of all spins is even and periodic
//! ones where it is odd (B. Kaufman, Phys. Rev. 76, 1232 (1949); T. D. Schultz, D. C. Mattis and E. H. Lieb, Rev. Mod. Phys. 36, 856 (1964)). So
//!
//! Z = (1/2) (Z_a + Z'_a + Z_p - Z'_p), where Z = product of 2 cosh(L e_k / 2), Z' = product of 2 sinh(L e_k / 2) over the waves k of the sector,
//!
//! and by Wick's theorem the two-point function of each of the four terms is a determinant of order r of g(i - j - 1) with the symbol w(k) / |w(k)| tanh(L e_k / 2), or coth for Z'.
//! Here sinh(e_k) = |w(k)|, w(k) = -cosh(2K) e^(-ik) + [cosh^2(K) + sinh^2(K) e^(-2ik)] / sinh(2K). The wave k = 0 has a signed energy, negative below the critical temperature, which
//! is zero at the critical point: there coth is infinite where Z'_p is zero, and their product is taken as a whole.

use std::f64::consts::PI;

/// A wave of a row: k, the phase of w(k), and e(k) >= 0.
struct Wave {
    angle: f64,
    phase: [f64; 2],
    energy: f64,
}

impl Wave {
    fn new(angle: f64, coupling: f64) -> Self {
        let (sine, cosine) = angle.sin_cos();
        let (double_sine, double_cosine) = (2.0 * angle).sin_cos();
        let hyperbolic = (2.0 * coupling).sinh();
        let (along, twice) = ((2.0 * coupling).cosh(), coupling.sinh().powi(2) / hyperbolic);
        let real = coupling.cosh().powi(2) / hyperbolic + twice * double_cosine - along * cosine;
        let imaginary = along * sine - twice * double_sine;
        let length = real.hypot(imaginary);
        let phase = if length > 0.0 { [real / length, imaginary / length] } else { [1.0, 0.0] };
        Wave { angle, phase, energy: length.asinh() }
    }
}

/// `<s(0) s(r)>` of the torus of `side` x `side` spins for r in `distances`, at most the side, along an axis at K = `coupling`, finite and not negative. To about twelve digits; the work grows with the cubes
/// of the distances.
pub fn torus_correlations(side: usize, coupling: f64, distances: &[usize]) -> Vec<f64> {
    let none = |&distance: &usize| if distance == 0 { 1.0 } else { 0.0 };
    if coupling < 1e-12 {
        // Free spins, whose transfer matrix has no finite exponent. A coupling this small is no different to twelve digits.
        return distances.iter().map(none).collect();
    }
    let waves = |offset: f64| (0..side).map(|index| Wave::new(2.0 * PI * (index as f64 + offset) / side as f64, coupling)).collect();
    let (antiperiodic, periodic): (Vec<Wave>, Vec<Wave>) = (waves(0.5), waves(0.0));
    let zero = &periodic[0];
    let half = side as f64 / 2.0;
    // Logarithms of the products of 2 cosh and 2 sinh: in the last sector the wave k = 0 counts with its cosh, and its tanh stands apart.
    let log_cosh = |waves: &[Wave]| waves.iter().map(|wave| half * wave.energy + (-2.0 * half * wave.energy).exp().ln_1p()).sum::<f64>();
    let log_sinh = |waves: &[Wave]| waves.iter().map(|wave| half * wave.energy + (-(-2.0 * half * wave.energy).exp()).ln_1p()).sum::<f64>();
    let at_zero = log_cosh(std::slice::from_ref(zero));
    let logarithms = [log_cosh(&antiperiodic), log_sinh(&antiperiodic), log_cosh(&periodic), log_sinh(&periodic[1..]) + at_zero];
    let largest = logarithms.into_iter().fold(f64::MIN, f64::max);
    let [even, even_odd, odd, odd_odd] = logarithms.map(|logarithm| (logarithm - largest).exp());
    let signed_tanh = zero.phase[0].signum() * (half * zero.energy).tanh();
    let total = even + even_odd + odd - odd_odd * signed_tanh;

    let tanh = |wave: &Wave| (half * wave.energy).tanh();
    let coth = |wave: &Wave| 1.0 / (half * wave.energy).tanh();
    let longest = distances.iter().copied().max().unwrap_or(0);
    let symbols = [
        symbol(&antiperiodic, longest, &tanh),
        symbol(&antiperiodic, longest, &coth),
        symbol(&periodic, longest, &tanh),
        symbol(&periodic[1..], longest, &coth),
    ];
    // What the wave k = 0 adds to every element, but for its coth.
    let everywhere: Vec<f64> = symbols[3].iter().map(|element| element - 1.0 / side as f64).collect();
    let of_distance = |&distance: &usize| {
        let [one, two, three, apart] = [0, 1, 2, 3].map(|sector: usize| determinant(&symbols[sector], longest, distance));
        // det (G + c u u^T) is linear in c: c = coth meets the sinh of Z'_p and becomes a cosh.
        let whole = determinant(&everywhere, longest, distance) - apart;
        (even * one + even_odd * two + odd * three - odd_odd * (signed_tanh * apart + whole)) / total
    };
    distances.iter().map(of_distance).collect()
}

/// -g(d) for d = 1 - `longest` to `longest`, the elements of the determinants: g(d) = (1/L) sum over k of e^(ikd) w(k) / |w(k)| times `factor`. L is the number of waves, or one more where k = 0 is
/// missing: it is the least common denominator of the angles.
fn symbol(waves: &[Wave], longest: usize, factor: &dyn Fn(&Wave) -> f64) -> Vec<f64> {
    let spacing = if waves.len() > 1 { waves[1].angle - waves[0].angle } else { 2.0 * PI };
    let weighted: Vec<(&Wave, f64)> = waves.iter().map(|wave| (wave, factor(wave) * spacing / (2.0 * PI))).collect();
    let longest = longest as i64;
    let element = |difference: i64| {
        let term = |(wave, factor): &(&Wave, f64)| {
            let (sine, cosine) = (wave.angle * difference as f64).sin_cos();
            factor * (cosine * wave.phase[0] - sine * wave.phase[1])
        };
        -weighted.iter().map(term).sum::<f64>()
    };
    (1 - longest..=longest).map(element).collect()
}

/// The determinant of the matrix of order `order` whose element (i, j) is the symbol at j + 1 - i; by elimination with exchange of rows.
fn determinant(symbol: &[f64], longest: usize, order: usize) -> f64 {
    let element = |row: usize, column: usize| symbol[column + longest - row];
    let mut rows: Vec<Vec<f64>> = (0..order).map(|row| (0..order).map(|column| element(row, column)).collect()).collect();
    let mut product = 1.0;
    for pivot in 0..order {
        let best = (pivot..order).max_by(|&one, &other| rows[one][pivot].abs().total_cmp(&rows[other][pivot].abs())).unwrap_or(pivot);
        if best != pivot {
            rows.swap(best, pivot);
            product = -product;
        }
        let (above, below) = rows.split_at_mut(pivot + 1);
        let chosen = &above[pivot];
        product *= chosen[pivot];
        if product == 0.0 {
            return 0.0;
        }
        for row in below {
            let share = row[pivot] / chosen[pivot];
            row[pivot + 1..].iter_mut().zip(&chosen[pivot + 1..]).for_each(|(value, above)| *value -= share * above);
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::{critical_coupling, row_correlations, square};
    use crate::lattice::SquareTorus;

    /// By counting all states of a torus of at most 16 sites.
    fn counted(side: usize, coupling: f64) -> Vec<f64> {
        let torus = SquareTorus::new(side).unwrap();
        let spin = |state: u32, site: usize| if state >> site & 1 == 1 { 1.0 } else { -1.0 };
        let (mut total, mut sums) = (0.0, vec![0.0; side]);
        for state in 0u32..1 << torus.sites() {
            let bonds: f64 = (0..side * side)
                .map(|site| {
                    spin(state, site)
                        * (spin(state, torus.site(site % side + 1, site / side)) + spin(state, torus.site(site % side, site / side + 1)))
                })
                .sum();
            let weight = (coupling * (bonds - torus.bonds() as f64)).exp();
            total += weight;
            sums.iter_mut().enumerate().for_each(|(distance, sum)| *sum += weight * spin(state, 0) * spin(state, distance));
        }
        sums.into_iter().map(|sum| sum / total).collect()
    }

    #[test]
    fn small_tori_are_what_counting_gives() {
        for side in [3, 4] {
            let distances: Vec<usize> = (0..side).collect();
            for coupling in [1e-3, 0.2, 0.408, critical_coupling(), 0.45, 0.7, 2.0] {
                let (found, expected) = (torus_correlations(side, coupling, &distances), counted(side, coupling));
                for (one, other) in found.iter().zip(&expected) {
                    assert!((one - other).abs() < 1e-11, "side {side}, K = {coupling}: {found:?} {expected:?}");
                }
            }
        }
    }

    #[test]
    fn nearest_neighbours_have_kaufmans_energy() {
        for side in [5, 8, 40, 101] {
            for coupling in [0.1, 0.408, critical_coupling() - 1e-9, critical_coupling(), 0.4407, 0.6, 10.0, 100.0] {
                let (found, expected) = (torus_correlations(side, coupling, &[1])[0], -0.5 * square(side, coupling).energy_per_site);
                assert!((found - expected).abs() < 1e-11, "side {side}, K = {coupling}: {found} {expected}");
            }
        }
    }

    #[test]
    fn far_apart_the_sides_are_seen_and_the_infinite_lattice_is_not() {
        // A torus of many correlation lengths is the infinite lattice; one of three is lifted by the way around it.
        let (large, infinite) = (torus_correlations(240, 0.408, &[1, 10, 20]), row_correlations(0.408, 20));
        for (one, other) in large.iter().zip([infinite[0], infinite[9], infinite[19]]) {
            assert!((one / other - 1.0).abs() < 1e-8, "{one} {other}");
        }
        assert!(torus_correlations(40, 0.408, &[20])[0] > 1.5 * infinite[19]);
        // The sum over all distances along one axis is the same from both sides, r and L - r.
        let mirrored = torus_correlations(9, 0.44, &[2, 7]);
        assert!((mirrored[0] - mirrored[1]).abs() < 1e-11, "{mirrored:?}");
    }
}
