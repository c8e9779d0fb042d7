//! The finite square torus, exactly: B. Kaufman, Phys. Rev. 76, 1232 (1949), Eqs. (77)-(82).
//!
//! On n columns and m rows, Z = (1/2) (2 S)^(nm/2) (Z_1 + Z_2 + Z_3 + Z_4) with S = sinh 2K and, writing s = m/2,
//! Z_1 = prod 2 cosh(s g_l), Z_2 = prod 2 sinh(s g_l) over the odd l < 2n, Z_3 and Z_4 the same over the even l;
//! cosh g_l = cosh 2K coth 2K - cos(pi l / n). All g_l are positive but g_0 = 2K + ln tanh K, which is negative below K_c: there Z_4 is negative. (With |g_0| in
//! its place every result above the critical temperature is wrong.)
//!
//! Nothing here is subtracted from something nearly equal. Three things bring that about: the factor (2S)^s goes into each product, where G = g + ln 2S stays
//! smooth as K goes to 0 (the type `Mode`); the Z_i enter as ratios to Z_1 ([`torus`]); and Z_3 + Z_4, which cancel above the critical temperature, are rewritten as
//! exp(s g_0) (P_3 + P_4) + exp(-s g_0) (P_3 - P_4), where P_3, P_4 are the products without l = 0 and P_3 - P_4 is small of its own accord. The derivatives that
//! give energy and specific heat are those of the formulas, carried along term by term.

use std::f64::consts::{LN_2, PI};

/// Below this coupling a few terms of the series in tanh K are exact to a rounding.
const HIGH_TEMPERATURE: f64 = 1e-5;
/// Above this coupling the series in exp(-4K) is exact to a rounding, while in Kaufman's formula the specific heat, of order exp(-8K), drowns in rounding.
pub const LOW_TEMPERATURE: f64 = 1.5;
/// The same on tori of less than ten columns or rows, where domain walls around the torus spoil the series for longer.
const LOW_TEMPERATURE_NARROW: f64 = 3.2;

/// A torus at one coupling.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Torus {
    /// ln Z / N.
    pub log_partition_function_per_site: f64,
    /// In units of J.
    pub energy_per_site: f64,
    /// In units of k_B.
    pub specific_heat_per_site: f64,
}

/// A function of K with its first and second derivative.
#[derive(Debug, Clone, Copy, Default)]
pub struct Jet {
    /// The value.
    pub value: f64,
    /// First derivative with respect to K.
    pub slope: f64,
    /// Second derivative with respect to K.
    pub curvature: f64,
}

/// The torus of `columns` x `rows` sites, both at least 3, at K = `coupling`, finite and not negative. Time grows with the number of columns.
///
/// ln Z is good to a few roundings, the energy and the specific heat to 1e-14 (absolute). Relative to its small value at low temperature the specific heat is good to
/// 1e-11 throughout if both sides are at least 10; on narrower tori the error grows like exp(8K), from 1e-12 at K = 1.5 to 1e-5 at K = 3.2, where the series
/// takes over. (For tori up to side 9, [`super::square`] takes the density of states there and keeps all digits.)
pub fn torus(columns: usize, rows: usize, coupling: f64) -> Torus {
    let narrow = columns.min(rows) < 10;
    if coupling > if narrow { LOW_TEMPERATURE_NARROW } else { LOW_TEMPERATURE } {
        let bulk = low_temperature(coupling);
        let degeneracy = LN_2 / (columns as f64 * rows as f64);
        return Torus::from_jet(coupling, Jet { value: bulk.value + degeneracy, ..bulk });
    }
    if coupling < HIGH_TEMPERATURE {
        return Torus::from_jet(coupling, high_temperature(columns, rows, coupling));
    }
    Torus::from_jet(coupling, formula(columns, rows, coupling))
}

impl Torus {
    /// From ln Z / N and its derivatives.
    fn from_jet(coupling: f64, jet: Jet) -> Torus {
        Torus {
            log_partition_function_per_site: jet.value,
            // 0 - x and not -x, which would be minus zero at infinite temperature.
            energy_per_site: 0.0 - jet.slope,
            specific_heat_per_site: if jet.curvature > 0.0 { coupling * coupling * jet.curvature } else { 0.0 },
        }
    }
}

/// Kaufman's formula for ln Z / N.
fn formula(columns: usize, rows: usize, coupling: f64) -> Jet {
    let sites = columns as f64 * rows as f64;
    let half = 0.5 * rows as f64;
    // Sums over l of ln [(2S)^s 2 cosh(s g_l)] for odd l; the same for even l without l = 0, less the odd ones; and of ln tanh(s g_l) for both.
    let mut odd = Accumulator::default();
    let mut even_less_odd = Accumulator::default();
    let mut odd_tanh = Accumulator::default();
    let mut even_tanh = Accumulator::default();
    for pair in 0..columns {
        let angle = |index: usize| PI * index as f64 / columns as f64;
        if pair > 0 {
            let even = Mode::new(coupling, (0.5 * angle(2 * pair)).sin());
            even_less_odd.add(even.log_twice_cosh(half), 1.0);
            even_tanh.add(even.log_tanh(half), 1.0);
        }
        let mode = Mode::new(coupling, (0.5 * angle(2 * pair + 1)).sin());
        odd.add(mode.log_twice_cosh(half), 1.0);
        even_less_odd.add(mode.log_twice_cosh(half), -1.0);
        odd_tanh.add(mode.log_tanh(half), 1.0);
    }
    let (odd, even_less_odd) = (odd.total(), even_less_odd.total());

    // (2S)^s exp(+- s g_0): ln 2S + g_0 = ln(4 sinh^2 K) + 2K and ln 2S - g_0 = ln(4 cosh^2 K) - 2K.
    let (sinh, cosh) = (coupling.sinh(), coupling.cosh());
    let rising = Jet {
        value: half * (2.0 * (2.0 * sinh).ln() + 2.0 * coupling),
        slope: half * (2.0 * cosh / sinh + 2.0),
        curvature: -half * 2.0 / (sinh * sinh),
    };
    let falling = Jet {
        value: half * (2.0 * (2.0 * cosh).ln() - 2.0 * coupling),
        slope: half * (2.0 * sinh / cosh - 2.0),
        curvature: half * 2.0 / (cosh * cosh),
    };

    let mut ratios = Jet { value: 1.0, ..Jet::default() };
    ratios.add_exponential(odd_tanh.total());
    let mut sum_of_products = Jet { value: 1.0, ..Jet::default() };
    sum_of_products.add_exponential(even_tanh.total());
    let difference_of_products = one_less_exponential(even_tanh.total());
    ratios.add_product(rising.plus(even_less_odd), sum_of_products);
    ratios.add_product(falling.plus(even_less_odd), difference_of_products);

    let total = ratios.value;
    let slope = ratios.slope / total;
    Jet {
        value: (odd.value + total.ln() - LN_2) / sites,
        slope: (odd.slope + slope) / sites,
        curvature: (odd.curvature + ratios.curvature / total - slope * slope) / sites,
    }
}

/// One l: g = g_l > 0 and G = g + ln 2S with their derivatives.
struct Mode {
    exponent: Jet,
    smooth: Jet,
}

impl Mode {
    /// `half_angle_sine` = sin(pi l / 2n), not 0.
    fn new(coupling: f64, half_angle_sine: f64) -> Mode {
        let (s, c) = ((2.0 * coupling).sinh(), (2.0 * coupling).cosh());
        let sigma = half_angle_sine * half_angle_sine;
        // With P = 2S cosh g: D = 2S sinh g = sqrt((P - 2S)(P + 2S)), its factors written as sums of squares.
        let (lower, upper) = ((1.0 - s).powi(2) + 2.0 * s * sigma, 1.0 + s * s + 2.0 * s * sigma);
        let (lower_slope, upper_slope) = (2.0 * c * (2.0 * sigma - 2.0 * (1.0 - s)), 2.0 * c * (2.0 * s + 2.0 * sigma));
        let root = 2.0 * (lower * upper).sqrt();
        let root_slope = 2.0 * (lower_slope * upper + lower * upper_slope) / root;

        let exponent = (root / (2.0 * s)).asinh();
        let slope = 4.0 * c * (s - 1.0) * (s + 1.0) / (s * root);
        // g' = 4 c (S^2 - 1)/(S D) with c' = 2S and (S^2 - 1)' = 4 S c.
        let curvature = 8.0 * (s - 1.0) * (s + 1.0) / root + 16.0 * c * c / root - slope * (2.0 * c / s + root_slope / root);

        let smooth = if s < 1.0 {
            // G' = 16 c A / (D B): the closed form of 2c/S + g', in which 1/S has cancelled.
            let a = sigma * (1.0 + s).powi(2) - (1.0 - sigma) * lower;
            let a_slope = 4.0 * c * sigma * (1.0 + s) - (1.0 - sigma) * lower_slope;
            let b = root + 2.0 * (1.0 - s) * (1.0 + s);
            let b_slope = root_slope - 8.0 * s * c;
            let slope = 16.0 * c * a / (root * b);
            let curvature = 16.0 * (2.0 * s * a + c * a_slope) / (root * b) - slope * (root_slope / root + b_slope / b);
            (slope, curvature)
        } else {
            (2.0 * c / s + slope, curvature - 4.0 / (s * s))
        };
        Mode {
            exponent: Jet { value: exponent, slope, curvature },
            smooth: Jet { value: bulk_exponent(coupling, half_angle_sine), slope: smooth.0, curvature: smooth.1 },
        }
    }

    /// ln [(2S)^s 2 cosh(s g)] = s G + ln(1 + exp(-2 s g)), s = `half`.
    fn log_twice_cosh(&self, half: f64) -> Jet {
        let mut jet = Jet { value: half * self.smooth.value, slope: half * self.smooth.slope, curvature: half * self.smooth.curvature };
        let small = (-2.0 * half * self.exponent.value).exp();
        if small > 0.0 {
            let share = small / (1.0 + small);
            jet.value += small.ln_1p();
            jet.slope -= 2.0 * half * self.exponent.slope * share;
            jet.curvature +=
                4.0 * (half * self.exponent.slope).powi(2) * share / (1.0 + small) - 2.0 * half * self.exponent.curvature * share;
        }
        jet
    }

    /// ln tanh(s g), s = `half`.
    fn log_tanh(&self, half: f64) -> Jet {
        let small = (-2.0 * half * self.exponent.value).exp();
        if small == 0.0 {
            return Jet::default();
        }
        // d/dx ln tanh x = 2 / sinh 2x, and its derivative is -4 cosh 2x / sinh^2 2x.
        let not_small = -(-4.0 * half * self.exponent.value).exp_m1();
        let first = 4.0 * small / not_small;
        let second = -8.0 * small * (1.0 + small * small) / (not_small * not_small);
        let slope = half * self.exponent.slope;
        Jet {
            value: (-small).ln_1p() - small.ln_1p(),
            slope: first * slope,
            curvature: second * slope * slope + first * half * self.exponent.curvature,
        }
    }
}

impl Jet {
    fn plus(self, other: Jet) -> Jet {
        Jet { value: self.value + other.value, slope: self.slope + other.slope, curvature: self.curvature + other.curvature }
    }

    /// Adds exp(f).
    fn add_exponential(&mut self, exponent: Jet) {
        self.add_product(exponent, Jet { value: 1.0, ..Jet::default() });
    }

    /// Adds exp(f) h.
    fn add_product(&mut self, exponent: Jet, factor: Jet) {
        let exponential = exponent.value.exp();
        // What has underflowed counts for nothing, whatever its slope.
        if exponential > 0.0 {
            let (slope, curvature) = (exponent.slope, exponent.curvature);
            self.value += exponential * factor.value;
            self.slope += exponential * (slope * factor.value + factor.slope);
            self.curvature += exponential * ((curvature + slope * slope) * factor.value + 2.0 * slope * factor.slope + factor.curvature);
        }
    }
}

/// 1 - exp(f) for small f.
fn one_less_exponential(exponent: Jet) -> Jet {
    let exponential = exponent.value.exp();
    Jet {
        value: -exponent.value.exp_m1(),
        slope: -exponential * exponent.slope,
        curvature: -exponential * (exponent.curvature + exponent.slope * exponent.slope),
    }
}

/// A compensated sum of jets (Neumaier): thousands of terms are added without loss.
#[derive(Default)]
struct Accumulator {
    sums: [f64; 3],
    corrections: [f64; 3],
}

impl Accumulator {
    fn add(&mut self, jet: Jet, sign: f64) {
        for (part, term) in [jet.value, jet.slope, jet.curvature].into_iter().enumerate() {
            let (sum, term) = (self.sums[part], sign * term);
            let next = sum + term;
            self.corrections[part] += if sum.abs() >= term.abs() { (sum - next) + term } else { (term - next) + sum };
            self.sums[part] = next;
        }
    }

    fn total(&self) -> Jet {
        let [value, slope, curvature] = std::array::from_fn(|part| self.sums[part] + self.corrections[part]);
        Jet { value, slope, curvature }
    }
}

/// G = g + ln 2S = ln [P + sqrt(P^2 - 4 S^2)], P = 2 cosh^2 2K - 2 S cos phi, from sin(phi / 2): half of it is the share of one angle in ln Z / N.
pub fn bulk_exponent(coupling: f64, half_angle_sine: f64) -> f64 {
    let s = (2.0 * coupling).sinh();
    let sigma = half_angle_sine * half_angle_sine;
    let (lower, upper) = ((1.0 - s).powi(2) + 2.0 * s * sigma, 1.0 + s * s + 2.0 * s * sigma);
    (2.0 * s + 2.0 * lower + 2.0 * (lower * upper).sqrt()).ln()
}

/// g_0 = 2K + ln tanh K: negative below K_c, positive above, for K > 0.
pub fn smallest_exponent(coupling: f64) -> f64 {
    let exponential = (-2.0 * coupling).exp();
    2.0 * coupling + (-exponential).ln_1p() - exponential.ln_1p()
}

/// ln Z / N of the infinite lattice in an ordered phase, as the low-temperature series in u = exp(-4K) (C. Domb, Adv. Phys. 9, 149 (1960)).
pub fn low_temperature(coupling: f64) -> Jet {
    const COEFFICIENTS: [f64; 7] = [1.0, 2.0, 4.5, 12.0, 112.0 / 3.0, 130.0, 490.25];
    let u = (-4.0 * coupling).exp();
    let mut jet = Jet { value: 2.0 * coupling, slope: 2.0, curvature: 0.0 };
    for (order, coefficient) in (2..).zip(COEFFICIENTS) {
        let (term, factor) = (coefficient * u.powi(order), -4.0 * f64::from(order));
        jet.value += term;
        jet.slope += factor * term;
        jet.curvature += factor * factor * term;
    }
    jet
}

/// ln Z / N = ln 2 + 2 ln cosh K + v^4 + v^n / n + v^m / m + O(v^5), v = tanh K: the smallest closed polygons, and the loops around the torus.
fn high_temperature(columns: usize, rows: usize, coupling: f64) -> Jet {
    let v = coupling.tanh();
    let squared_secant = 1.0 - v * v;
    let mut jet = Jet {
        value: LN_2 + 2.0 * coupling.cosh().ln() + v.powi(4),
        slope: 2.0 * v + 4.0 * v.powi(3),
        curvature: 2.0 * squared_secant + 12.0 * v * v,
    };
    for length in [columns, rows] {
        let length = length as f64;
        jet.value += v.powf(length) / length;
        jet.slope += v.powf(length - 1.0) * squared_secant;
        jet.curvature += (length - 1.0) * v.powf(length - 2.0);
    }
    jet
}

/// Where the specific heat of an L x L torus is largest.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Peak {
    /// K of the maximum.
    pub coupling: f64,
    /// The maximum, in units of k_B.
    pub specific_heat_per_site: f64,
}

/// The peak of the specific heat of the torus of side `side`, by golden sections; the coupling to about 1e-8.
pub fn specific_heat_peak(side: usize) -> Peak {
    let golden = 0.5 * (5f64.sqrt() - 1.0);
    let height = |coupling: f64| torus(side, side, coupling).specific_heat_per_site;
    let (mut low, mut high) = (0.2, 0.7);
    let (mut left, mut right) = (high - golden * (high - low), low + golden * (high - low));
    let (mut left_height, mut right_height) = (height(left), height(right));
    while high - low > 1e-9 {
        if left_height < right_height {
            (low, left, left_height) = (left, right, right_height);
            right = low + golden * (high - low);
            right_height = height(right);
        } else {
            (high, right, right_height) = (right, left, left_height);
            left = high - golden * (high - low);
            left_height = height(left);
        }
    }
    let coupling = 0.5 * (low + high);
    Peak { coupling, specific_heat_per_site: height(coupling) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::onsager;

    #[test]
    fn derivatives_are_those_of_the_partition_function() {
        for (columns, rows) in [(5, 7), (8, 8), (16, 4)] {
            for coupling in [0.02, 0.1, 0.3, 0.43, 0.4407, 0.45, 0.8, 1.2] {
                let step = 1e-3;
                let value = |multiple: f64| torus(columns, rows, coupling + multiple * step).log_partition_function_per_site;
                let energy = |multiple: f64| torus(columns, rows, coupling + multiple * step).energy_per_site;
                let difference =
                    |f: &dyn Fn(f64) -> f64| (45.0 * (f(1.0) - f(-1.0)) - 9.0 * (f(2.0) - f(-2.0)) + (f(3.0) - f(-3.0))) / (60.0 * step);
                let exact = torus(columns, rows, coupling);
                let (slope, curvature) = (difference(&value), -difference(&energy));
                assert!((exact.energy_per_site + slope).abs() < 1e-11, "{columns}x{rows}, K = {coupling}");
                assert!((exact.specific_heat_per_site - coupling * coupling * curvature).abs() < 1e-10, "{columns}x{rows}, K = {coupling}");
            }
        }
    }

    #[test]
    fn the_torus_may_be_turned() {
        for coupling in [1e-9, 0.01, 0.3, 0.43, onsager::critical_coupling(), 0.46, 1.0, 2.9, 3.1, 6.0, 400.0] {
            let (one, other) = (torus(3, 17, coupling), torus(17, 3, coupling));
            assert!((one.log_partition_function_per_site - other.log_partition_function_per_site).abs() < 1e-14 * (1.0 + coupling));
            assert!((one.energy_per_site - other.energy_per_site).abs() < 1e-13);
            assert!((one.specific_heat_per_site - other.specific_heat_per_site).abs() < 1e-11, "K = {coupling}: {one:?} {other:?}");
        }
    }

    #[test]
    fn a_large_torus_is_the_infinite_lattice_far_from_the_critical_point() {
        for coupling in [0.25, 0.35, 0.5, 0.7, 0.95] {
            let (finite, bulk) = (torus(600, 600, coupling), onsager::bulk(coupling));
            let degeneracy = if coupling > 0.44 { LN_2 / 360_000.0 } else { 0.0 };
            assert!(
                (finite.log_partition_function_per_site - degeneracy - bulk.log_partition_function_per_site).abs() < 1e-14,
                "{coupling}"
            );
            assert!((finite.energy_per_site - bulk.energy_per_site).abs() < 1e-13, "{coupling}");
            let specific_heat = bulk.specific_heat_per_site.expect("finite away from the critical point");
            assert!((finite.specific_heat_per_site - specific_heat).abs() < 1e-12, "{coupling}");
        }
    }

    #[test]
    fn the_series_continue_the_formula() {
        for coupling in [1.3, 1.4, 1.49] {
            let (formula, series) = (formula(64, 64, coupling), low_temperature(coupling));
            assert!((formula.value - LN_2 / 4096.0 - series.value).abs() < 1e-14);
            assert!((formula.slope - series.slope).abs() < 1e-14);
            let tolerance = 1e-15 * (8.0 * coupling).exp() + 1e4 * (-28.0 * coupling).exp();
            assert!((formula.curvature / series.curvature - 1.0).abs() < tolerance, "K = {coupling}: {formula:?} {series:?}");
        }
        for (columns, rows) in [(3, 3), (3, 4), (5, 4), (20, 20)] {
            for coupling in [1e-5, 1e-4] {
                let (formula, series) = (formula(columns, rows, coupling), high_temperature(columns, rows, coupling));
                assert!((formula.value - series.value).abs() < 3e-16);
                assert!((formula.slope - series.slope).abs() < 3e-15);
                assert!((formula.curvature - series.curvature).abs() < 1e-14 + 100.0 * coupling.powi(3), "{formula:?} {series:?}");
            }
        }
    }
}
