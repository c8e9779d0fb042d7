//! A small restricted Boltzmann machine in f64, by enumeration: the oracle that training, sampling and the mapping onto the renormalization group are held to.
//!
//! The sign is that of machine learning, p(v, h) = e^(c.v + b.h + v.W.h) / Z with 0/1 units; the paper's Eq. 10 has E = b.h + v.w.h + c.v with p = e^(-E) / Z,
//! so its parameters are the negatives of these. A state is a number: bit i is unit i. Only one of the two layers is ever enumerated, the other one is
//! summed in closed form, so a machine may be wide on one side.

use super::Rbm;
use crate::elementary::{exponential, logarithm_of_one_plus};
use crate::error::{Error, Result};

/// The most units of the enumerated layer: 2^24 states.
const ENUMERABLE: usize = 24;

/// A restricted Boltzmann machine with 0/1 units, in double precision.
#[derive(Debug, Clone, PartialEq)]
pub struct ExactRbm {
    /// The number of visible units.
    pub visible: usize,
    /// The number of hidden units.
    pub hidden: usize,
    /// W_ij, row-major \[visible\]\[hidden\].
    pub weights: Vec<f64>,
    /// Visible biases c_i.
    pub visible_bias: Vec<f64>,
    /// Hidden biases b_j.
    pub hidden_bias: Vec<f64>,
}

/// The derivatives of a log-likelihood with respect to the parameters of an [`ExactRbm`].
#[derive(Debug, Clone, PartialEq)]
pub struct Gradient {
    /// With respect to W_ij, row-major \[visible\]\[hidden\].
    pub weights: Vec<f64>,
    /// With respect to c_i.
    pub visible_bias: Vec<f64>,
    /// With respect to b_j.
    pub hidden_bias: Vec<f64>,
}

impl ExactRbm {
    /// A machine from its parameters.
    ///
    /// # Errors
    /// [`Error::Usage`] if a length does not fit, a parameter is not finite, or both layers have more than 24 units.
    pub fn new(visible: usize, hidden: usize, weights: Vec<f64>, visible_bias: Vec<f64>, hidden_bias: Vec<f64>) -> Result<Self> {
        if visible.min(hidden) > ENUMERABLE {
            return Err(Error::Usage(format!(
                "a machine of {visible} x {hidden} units cannot be enumerated: one of its layers may have at most {ENUMERABLE} units"
            )));
        }
        if weights.len() != visible * hidden || visible_bias.len() != visible || hidden_bias.len() != hidden {
            return Err(Error::Usage(format!(
                "a machine of {visible} x {hidden} units has {} weights, {visible} visible and {hidden} hidden biases, not {}, {} and {}",
                visible * hidden,
                weights.len(),
                visible_bias.len(),
                hidden_bias.len()
            )));
        }
        if !weights.iter().chain(&visible_bias).chain(&hidden_bias).all(|value| value.is_finite()) {
            return Err(Error::Usage("every weight and bias of an exact machine must be a finite number".to_string()));
        }
        Ok(ExactRbm { visible, hidden, weights, visible_bias, hidden_bias })
    }

    /// E(v, h) = -(c.v + b.h + v.W.h), the paper's E_lambda (Eq. 10). Units past the 64th are 0.
    pub fn energy(&self, v: u64, h: u64) -> f64 {
        let fields = self.hidden_fields(v);
        -(masked_sum(&self.visible_bias, v) + masked_sum(&fields, h))
    }

    /// H^RBM\[v\] = -ln sum_h e^(-E(v, h)): the visible marginal is e^(-H) / Z. Units past the 64th are 0.
    pub fn visible_hamiltonian(&self, v: u64) -> f64 {
        -masked_sum(&self.visible_bias, v) - self.hidden_fields(v).into_iter().map(softplus).sum::<f64>()
    }

    /// H^RBM\[h\] = -ln sum_v e^(-E(v, h)): the hidden marginal is e^(-H) / Z. Units past the 64th are 0.
    pub fn hidden_hamiltonian(&self, h: u64) -> f64 {
        -masked_sum(&self.hidden_bias, h) - self.visible_fields(h).into_iter().map(softplus).sum::<f64>()
    }

    /// b_j + sum_i v_i W_ij, the log-odds of each hidden unit given v.
    pub fn hidden_fields(&self, v: u64) -> Vec<f64> {
        let mut fields = self.hidden_bias.clone();
        for unit in set_bits(v, self.visible) {
            for (field, weight) in fields.iter_mut().zip(&self.weights[unit * self.hidden..]) {
                *field += weight;
            }
        }
        fields
    }

    /// c_i + sum_j W_ij h_j, the log-odds of each visible unit given h.
    pub fn visible_fields(&self, h: u64) -> Vec<f64> {
        (0..self.visible)
            .map(|unit| {
                let row = &self.weights[unit * self.hidden..(unit + 1) * self.hidden];
                self.visible_bias[unit] + masked_sum(row, h)
            })
            .collect()
    }

    /// ln Z, summing over the smaller layer.
    pub fn log_partition_function(&self) -> f64 {
        if self.visible <= self.hidden { self.log_partition_function_over_visible() } else { self.log_partition_function_over_hidden() }
    }

    /// ln sum_v e^(-H^RBM\[v\]).
    fn log_partition_function_over_visible(&self) -> f64 {
        let mut sum = LogSum::default();
        self.visit_visible(&mut |_, linear, fields| sum.add(linear + fields.iter().copied().map(softplus).sum::<f64>()));
        sum.value()
    }

    /// ln sum_h e^(-H^RBM\[h\]).
    fn log_partition_function_over_hidden(&self) -> f64 {
        let mut sum = LogSum::default();
        self.visit_hidden(&mut |_, linear, fields| sum.add(linear + fields.iter().copied().map(softplus).sum::<f64>()));
        sum.value()
    }

    /// sum_v P(v) ln p(v) in nats, for a law given by its states and their probabilities.
    pub fn log_likelihood(&self, law: &[(u64, f64)]) -> f64 {
        let log_partition_function = self.log_partition_function();
        law.iter().map(|&(v, probability)| probability * (-self.visible_hamiltonian(v) - log_partition_function)).sum()
    }

    /// The exact gradient of [`Self::log_likelihood`]: <v_i h_j> over the law minus the same over the machine, and likewise <v_i> and <h_j>.
    pub fn gradient(&self, law: &[(u64, f64)]) -> Gradient {
        let mut gradient =
            Gradient { weights: vec![0.0; self.weights.len()], visible_bias: vec![0.0; self.visible], hidden_bias: vec![0.0; self.hidden] };
        for &(v, probability) in law {
            let means: Vec<f64> = self.hidden_fields(v).into_iter().map(logistic).collect();
            self.add_statistics(&mut gradient, probability, &bits_to_numbers(v, self.visible), &means);
        }
        let total: f64 = law.iter().map(|&(_, probability)| probability).sum();
        let log_partition_function = self.log_partition_function();
        let mut subtract = |enumerate_visible: bool, state: u64, linear: f64, fields: &[f64]| {
            let log_weight = linear + fields.iter().copied().map(softplus).sum::<f64>() - log_partition_function;
            let means: Vec<f64> = fields.iter().copied().map(logistic).collect();
            let probability = -total * log_weight.exp();
            if enumerate_visible {
                self.add_statistics(&mut gradient, probability, &bits_to_numbers(state, self.visible), &means);
            } else {
                self.add_statistics(&mut gradient, probability, &means, &bits_to_numbers(state, self.hidden));
            }
        };
        if self.visible <= self.hidden {
            self.visit_visible(&mut |state, linear, fields| subtract(true, state, linear, fields));
        } else {
            self.visit_hidden(&mut |state, linear, fields| subtract(false, state, linear, fields));
        }
        gradient
    }

    fn add_statistics(&self, gradient: &mut Gradient, probability: f64, visible: &[f64], hidden: &[f64]) {
        for (unit, v) in visible.iter().enumerate() {
            gradient.visible_bias[unit] += probability * v;
            for (sum, h) in gradient.weights[unit * self.hidden..].iter_mut().zip(hidden) {
                *sum += probability * v * h;
            }
        }
        for (sum, h) in gradient.hidden_bias.iter_mut().zip(hidden) {
            *sum += probability * h;
        }
    }

    /// Shows every visible state with c.v and the fields b + v.W of the hidden layer.
    fn visit_visible(&self, show: &mut dyn FnMut(u64, f64, &[f64])) {
        let row = |unit: usize| self.weights[unit * self.hidden..(unit + 1) * self.hidden].to_vec();
        let rows: Vec<Vec<f64>> = (0..self.visible).map(row).collect();
        visit_states(&self.visible_bias, &rows, &self.hidden_bias, 0, 0, 0.0, show);
    }

    /// Shows every hidden state with b.h and the fields c + W.h of the visible layer.
    fn visit_hidden(&self, show: &mut dyn FnMut(u64, f64, &[f64])) {
        let column = |unit: usize| (0..self.visible).map(|row| self.weights[row * self.hidden + unit]).collect();
        let columns: Vec<Vec<f64>> = (0..self.hidden).map(column).collect();
        visit_states(&self.hidden_bias, &columns, &self.visible_bias, 0, 0, 0.0, show);
    }
}

/// In double precision.
///
/// # Panics
/// If both layers have more than 24 units or a parameter is not finite, which [`ExactRbm::new`] would refuse.
impl From<&Rbm> for ExactRbm {
    fn from(rbm: &Rbm) -> ExactRbm {
        let double = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
        ExactRbm::new(rbm.visible(), rbm.hidden(), double(&rbm.weights.to_unpadded()), double(&rbm.visible_bias), double(&rbm.hidden_bias))
            .expect("only machines small enough to enumerate are made exact")
    }
}

/// Walks the binary tree of the states of one layer: the fields of the other layer are made at each branch from those of its parent, so that a leaf costs
/// about two additions a unit and no rounding error builds up along the walk.
fn visit_states(
    bias: &[f64],
    rows: &[Vec<f64>],
    fields: &[f64],
    unit: usize,
    state: u64,
    linear: f64,
    show: &mut dyn FnMut(u64, f64, &[f64]),
) {
    if unit == rows.len() {
        return show(state, linear, fields);
    }
    visit_states(bias, rows, fields, unit + 1, state, linear, show);
    let with_unit: Vec<f64> = fields.iter().zip(&rows[unit]).map(|(field, weight)| field + weight).collect();
    visit_states(bias, rows, &with_unit, unit + 1, state | 1 << unit, linear + bias[unit], show);
}

/// ln(1 + e^x) without overflow.
pub fn softplus(x: f64) -> f64 {
    x.max(0.0) + logarithm_of_one_plus(exponential(-x.abs()))
}

/// 1 / (1 + e^-x) without overflow.
pub fn logistic(x: f64) -> f64 {
    if x >= 0.0 { 1.0 / (1.0 + exponential(-x)) } else { exponential(x) / (1.0 + exponential(x)) }
}

/// The sum of exponentials, held as its largest exponent and the rest.
pub(super) struct LogSum {
    largest: f64,
    rest: f64,
}

impl Default for LogSum {
    fn default() -> Self {
        LogSum { largest: f64::NEG_INFINITY, rest: 0.0 }
    }
}

impl LogSum {
    pub(super) fn add(&mut self, exponent: f64) {
        if exponent <= self.largest {
            self.rest += (exponent - self.largest).exp();
        } else {
            self.rest = self.rest * (self.largest - exponent).exp() + 1.0;
            self.largest = exponent;
        }
    }

    /// Adds all terms of another sum.
    pub(super) fn merge(&mut self, other: &LogSum) {
        if other.largest <= self.largest {
            self.rest += other.rest * (other.largest - self.largest).exp();
        } else {
            self.rest = self.rest * (self.largest - other.largest).exp() + other.rest;
            self.largest = other.largest;
        }
    }

    pub(super) fn value(&self) -> f64 {
        self.largest + self.rest.ln()
    }
}

fn set_bits(state: u64, units: usize) -> impl Iterator<Item = usize> {
    (0..units.min(64)).filter(move |unit| state >> unit & 1 == 1)
}

fn masked_sum(values: &[f64], state: u64) -> f64 {
    set_bits(state, values.len()).map(|unit| values[unit]).sum()
}

fn bits_to_numbers(state: u64, units: usize) -> Vec<f64> {
    (0..units).map(|unit| if unit < 64 && state >> unit & 1 == 1 { 1.0 } else { 0.0 }).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    /// A machine with normal parameters.
    pub(crate) fn random_machine(visible: usize, hidden: usize, scale: f64, index: u64) -> ExactRbm {
        let mut stream = Stream::new(14103831, Purpose::Check, index);
        let mut draw = |count: usize| (0..count).map(|_| scale * stream.normal()).collect::<Vec<f64>>();
        ExactRbm::new(visible, hidden, draw(visible * hidden), draw(visible), draw(hidden)).unwrap()
    }

    /// A machine in single precision, as it is trained and sampled.
    pub(crate) fn single(exact: &ExactRbm) -> Rbm {
        let f32s = |values: &[f64]| values.iter().map(|&value| value as f32).collect::<Vec<f32>>();
        Rbm {
            weights: crate::rbm::Matrix::from_unpadded(exact.visible, exact.hidden, &f32s(&exact.weights)),
            visible_bias: f32s(&exact.visible_bias),
            hidden_bias: f32s(&exact.hidden_bias),
        }
    }

    /// The law of a ring of Ising spins at a coupling, as (state, probability).
    pub(crate) fn ring_law(sites: usize, coupling: f64) -> Vec<(u64, f64)> {
        let weight = |state: u64| {
            let spin = |site: usize| 2.0 * (state >> (site % sites) & 1) as f64 - 1.0;
            (coupling * (0..sites).map(|site| spin(site) * spin(site + 1)).sum::<f64>()).exp()
        };
        let total: f64 = (0..1 << sites).map(weight).sum();
        (0..1 << sites).map(|state| (state, weight(state) / total)).collect()
    }

    #[test]
    fn both_sides_give_one_partition_function() {
        for (visible, hidden) in [(4, 2), (2, 9), (7, 7), (1, 1), (12, 5), (0, 3)] {
            let machine = random_machine(visible, hidden, 1.5, (visible * 100 + hidden) as u64);
            let (one, other) = (machine.log_partition_function_over_visible(), machine.log_partition_function_over_hidden());
            assert!((one - other).abs() <= 1e-12 * one.abs().max(1.0), "{visible} x {hidden}: {one} and {other}");
            let brute: f64 = (0..1u64 << visible)
                .flat_map(|v| (0..1u64 << hidden).map(move |h| (v, h)))
                .map(|(v, h)| (-machine.energy(v, h)).exp())
                .sum();
            assert!((one - brute.ln()).abs() <= 1e-12 * one.abs().max(1.0));
        }
    }

    #[test]
    fn the_tiny_machine_of_the_reference() {
        // Paper's sign: w_ij = 0.5 sin(1 + i + 2j), b = (0.1, -0.2), c_i = 0.05 (i - 1); the numbers were computed independently.
        let weights = (0..4).flat_map(|i| (0..2).map(move |j| -0.5 * (1.0 + f64::from(i) + 2.0 * f64::from(j)).sin())).collect();
        let machine = ExactRbm::new(4, 2, weights, (0..4).map(|i| -0.05 * (f64::from(i) - 1.0)).collect(), vec![-0.1, 0.2]).unwrap();
        assert!((machine.log_partition_function() - 4.361971334200909).abs() < 1e-12);
        // States of the reference are written h0 h1: "01" is h0 = 0, h1 = 1.
        for (h, value) in [(0b00, -2.7244631367), (0b10, -3.4270165536), (0b01, -2.3929920260), (0b11, -3.0649072724)] {
            assert!((machine.hidden_hamiltonian(h) - value).abs() < 1e-10);
        }
    }

    #[test]
    fn the_bond_machine_is_the_ising_model() {
        // One hidden unit a bond, cosh 2a = e^(2K), W = 4a, hidden bias -4a, visible bias -2a a bond: ln p(v) = K sum s s' + constant. A mutant a is caught.
        let (sites, coupling) = (6, 0.408);
        let law = ring_law(sites, coupling);
        let divergence = |a: f64| {
            let mut weights = vec![0.0; sites * sites];
            for bond in 0..sites {
                weights[bond * sites + bond] = 4.0 * a;
                weights[(bond + 1) % sites * sites + bond] = 4.0 * a;
            }
            let machine = ExactRbm::new(sites, sites, weights, vec![-4.0 * a; sites], vec![-4.0 * a; sites]).unwrap();
            law.iter().map(|(_, p)| p * p.ln()).sum::<f64>() - machine.log_likelihood(&law)
        };
        assert!(divergence(0.7281152311571448).abs() < 1e-13);
        assert!(divergence(0.7281152311571448 * 1.01) > 1e-6);
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_likelihood() {
        for (visible, hidden) in [(6, 3), (3, 6)] {
            let machine = random_machine(visible, hidden, 0.7, 5);
            let law = ring_law(visible, 0.5);
            let gradient = machine.gradient(&law);
            let step = 1e-4;
            let slope = |change: &dyn Fn(&mut ExactRbm, f64)| {
                let shifted = |by: f64| {
                    let mut copy = machine.clone();
                    change(&mut copy, by * step);
                    copy.log_likelihood(&law)
                };
                // Fourth-order central difference: its error is about step^4.
                (8.0 * (shifted(1.0) - shifted(-1.0)) - (shifted(2.0) - shifted(-2.0))) / (12.0 * step)
            };
            let close = |exact: f64, numeric: f64| assert!((exact - numeric).abs() < 1e-6 * exact.abs().max(1e-3), "{exact} and {numeric}");
            for index in 0..visible * hidden {
                close(gradient.weights[index], slope(&|m, by| m.weights[index] += by));
            }
            for index in 0..visible {
                close(gradient.visible_bias[index], slope(&|m, by| m.visible_bias[index] += by));
            }
            for index in 0..hidden {
                close(gradient.hidden_bias[index], slope(&|m, by| m.hidden_bias[index] += by));
            }
        }
    }

    #[test]
    fn wrong_shapes_are_refused() {
        assert!(ExactRbm::new(2, 2, vec![0.0; 3], vec![0.0; 2], vec![0.0; 2]).is_err());
        assert!(ExactRbm::new(1, 1, vec![f64::NAN], vec![0.0], vec![0.0]).is_err());
        assert!(ExactRbm::new(25, 25, vec![0.0; 625], vec![0.0; 25], vec![0.0; 25]).is_err());
    }
}
