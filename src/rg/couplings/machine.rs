//! The couplings of a machine's own Hamiltonians, H^RBM\[v\] and H^RBM\[h\], without a table of all states: one sum over the other layer for each product of spins
//! (Decelle, Furtlehner, Navas Gomez and Seoane, arXiv:2309.02292; Cossu et al., arXiv:1810.11503).
//!
//! Tracing out the other layer leaves -H(s) = sum_j eta_j s_j + sum_i ln cosh(theta_i + sum_j w_ij s_j) with spins +-1. The coupling of the spins in a set of n is
//!
//! J = 2^-n sum_i E_X sum_(tau) tau_1 ... tau_n ln cosh(theta_i + tau_1 w_i1 + ... + tau_n w_in + X),
//!
//! where X is the field of all other spins, each +1 or -1 with probability 1/2. Summing over all of their states is exact; where they are many, the largest weights are
//! summed exactly and the rest of X is taken as Gaussian, which by the central limit theorem is good where no single one of them rules.

use crate::error::{Error, Result};
use crate::rbm::{ExactRbm, Rbm};

/// The most spins that are summed over exactly for one unit of the other layer.
pub const MOST_SUMMED: usize = 20;
/// The Gaussian is cut here, in standard deviations.
const CUT: f64 = 7.0;
/// Up to this sum of two weights e^(2(a + b)) is far from overflow.
const LARGEST_PAIR: f64 = 300.0;

/// One layer of a machine in spins +-1, the other one traced out.
#[derive(Debug, Clone, PartialEq)]
pub struct TracedMachine {
    spins: usize,
    /// eta_j.
    fields: Vec<f64>,
    /// The units of the other layer.
    others: Vec<Other>,
    /// w_ij, row-major \[unit of the other layer\]\[spin\].
    weights: Vec<f64>,
}

/// What is known of a unit of the other layer before any set of spins is looked at.
#[derive(Debug, Clone, PartialEq)]
struct Other {
    /// theta_i.
    threshold: f64,
    /// The spins that it sees, those with the largest weights first.
    seen: Vec<u32>,
    /// The sum of the squares of all its weights.
    squares: f64,
}

/// How the field of the other spins is averaged over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbourhood {
    /// Over all states of the spins with a weight that is not 0; at most [`MOST_SUMMED`].
    Exact,
    /// Over all states of so many spins, those with the largest weights; the rest is Gaussian.
    Largest(usize),
}

impl TracedMachine {
    /// -H^RBM\[v\]: the hidden units are traced out. Parameters of 0/1 units, weights row-major \[visible\]\[hidden\].
    pub fn of_visible(visible: usize, weights: &[f64], visible_bias: &[f64], hidden_bias: &[f64]) -> TracedMachine {
        let transposed = crate::rg::linear::transposed(weights, visible);
        Self::new(visible, transposed, visible_bias, hidden_bias)
    }

    /// -H^RBM\[h\]: the visible units are traced out.
    pub fn of_hidden(hidden: usize, weights: &[f64], visible_bias: &[f64], hidden_bias: &[f64]) -> TracedMachine {
        Self::new(hidden, weights.to_vec(), hidden_bias, visible_bias)
    }

    /// -H^RBM\[v\] of a trained machine.
    pub fn visible_side(machine: &Rbm) -> TracedMachine {
        Self::of_visible(
            machine.visible(),
            &double(&machine.weights.to_unpadded()),
            &double(&machine.visible_bias),
            &double(&machine.hidden_bias),
        )
    }

    /// -H^RBM\[h\] of a trained machine.
    pub fn hidden_side(machine: &Rbm) -> TracedMachine {
        Self::new(machine.hidden(), double(&machine.weights.to_unpadded()), &double(&machine.hidden_bias), &double(&machine.visible_bias))
    }

    /// The visible and the hidden side of a small machine in double precision.
    pub fn sides_of_exact(machine: &ExactRbm) -> [TracedMachine; 2] {
        let parts = (machine.visible, machine.hidden, &machine.weights, &machine.visible_bias, &machine.hidden_bias);
        [Self::of_visible(parts.0, parts.2, parts.3, parts.4), Self::of_hidden(parts.1, parts.2, parts.3, parts.4)]
    }

    /// 0/1 units become spins by v = (1 + s) / 2: w = W / 4, eta_j = b_j / 2 + sum_i W_ij / 4, theta_i = c_i / 2 + sum_j W_ij / 4.
    fn new(spins: usize, mut weights: Vec<f64>, bias: &[f64], other_bias: &[f64]) -> TracedMachine {
        weights.iter_mut().for_each(|weight| *weight /= 4.0);
        let mut fields: Vec<f64> = bias.iter().map(|bias| bias / 2.0).collect();
        let of_row = |(row, bias): (&[f64], &f64)| {
            let mut seen: Vec<u32> = (0u32..).zip(row).filter(|&(_, &weight)| weight != 0.0).map(|(spin, _)| spin).collect();
            seen.sort_by(|&one, &other| row[other as usize].abs().total_cmp(&row[one as usize].abs()));
            fields.iter_mut().zip(row).for_each(|(field, weight)| *field += weight);
            let threshold = row.iter().fold(bias / 2.0, |sum, weight| sum + weight);
            Other { threshold, seen, squares: row.iter().map(|weight| weight * weight).sum() }
        };
        let others = weights.chunks_exact(spins.max(1)).zip(other_bias).map(of_row).collect();
        TracedMachine { spins, fields, others, weights }
    }

    /// The number of spins.
    pub fn spins(&self) -> usize {
        self.spins
    }

    fn row(&self, other: usize) -> &[f64] {
        &self.weights[other * self.spins..(other + 1) * self.spins]
    }

    /// The units of the other layer that join all spins of a set: a product of weights of at least `smallest` in absolute value. The others add at most about so much.
    fn joining<'a>(&'a self, set: &'a [usize], smallest: f64) -> impl Iterator<Item = usize> + 'a {
        (0..self.others.len()).filter(move |&other| {
            let row = self.row(other);
            let product: f64 = set.iter().map(|&spin| row[spin].abs()).product();
            product != 0.0 && product >= smallest
        })
    }

    /// How many logarithms a coupling takes, about: the cost that decides how many spins can be summed exactly.
    pub fn cost(&self, set: &[usize], summed: usize, smallest: f64) -> f64 {
        // Two spins of the set together take one, and a Gaussian some thirty points.
        let of_set = if set.len() < 2 { set.len() } else { set.len() - 2 };
        self.joining(set, smallest).count() as f64 * f64::from(1u32 << (of_set + summed).min(31)) * 30.0
    }

    /// J of the product of the spins in `set` (each once) in -H, that is in ln p; for a single spin the field eta is included. Units of the other layer whose weights to the
    /// set have a product below `smallest` are left out; 0 leaves out none.
    ///
    /// # Errors
    /// [`Error::Usage`] if [`Neighbourhood::Exact`] meets more than [`MOST_SUMMED`] other spins.
    ///
    /// # Panics
    /// If a spin is out of range.
    pub fn coupling(&self, set: &[usize], neighbourhood: Neighbourhood, smallest: f64) -> Result<f64> {
        let mut total = if let [only] = set { self.fields[*only] } else { 0.0 };
        let scale = 1.0 / f64::from(1u32 << set.len());
        for unit in self.joining(set, smallest) {
            let (row, other) = (self.row(unit), &self.others[unit]);
            let rest = other.seen.len() - set.len();
            let summed = match neighbourhood {
                Neighbourhood::Exact => rest,
                Neighbourhood::Largest(count) => count.min(rest),
            };
            if summed > MOST_SUMMED {
                return Err(Error::Usage(format!(
                    "a unit that sees {rest} spins cannot be summed over exactly: choose Largest(n) with n up to {MOST_SUMMED}"
                )));
            }
            let away = other.seen.iter().map(|&spin| spin as usize).filter(|spin| !set.contains(spin));
            let largest: Vec<f64> = away.take(summed).map(|spin| row[spin].abs()).collect();
            let joined: Vec<f64> = set.iter().map(|&spin| row[spin]).collect();
            let known: f64 = largest.iter().chain(&joined).map(|weight| weight * weight).sum();
            let deviation = if summed == rest { 0.0 } else { (other.squares - known).max(0.0).sqrt() };
            let (products, nodes) = (Products::of(&joined), gaussian_nodes(deviation));
            let inner = |field: f64| nodes.iter().map(|&(x, weight)| weight * products.at(field + x)).sum();
            total += scale * mean_over_signs(&largest, other.threshold, &inner);
        }
        Ok(total)
    }
}

fn double(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// sum over tau of tau_1 ... tau_n ln cosh(x + tau_1 w_1 + ... + tau_n w_n) as a function of x.
enum Products<'a> {
    /// n is 0 or 1, or weights are so large that exponentials of them overflow.
    Plain(&'a [f64]),
    /// n of at least 2. Two of the spins together are a logarithm: with t = e^(-2|x|) and positive weights a and b their part is
    /// ln (cosh 2x + cosh 2(a + b)) / (cosh 2x + cosh 2(a - b)) = ln (1 + 4 t sinh 2a sinh 2b / (1 + t^2 + 2 t cosh 2(a - b))), and it is odd in both.
    Paired { others: &'a [f64], sign: f64, sines: f64, cosine: f64 },
}

impl Products<'_> {
    fn of(weights: &[f64]) -> Products<'_> {
        match weights {
            [others @ .., one, other] if one.abs() + other.abs() < LARGEST_PAIR => {
                let (a, b) = (one.abs(), other.abs());
                let sines = 4.0 * (2.0 * a).sinh() * (2.0 * b).sinh();
                Products::Paired { others, sign: one.signum() * other.signum(), sines, cosine: 2.0 * (2.0 * (a - b)).cosh() }
            }
            _ => Products::Plain(weights),
        }
    }

    fn at(&self, x: f64) -> f64 {
        match *self {
            Products::Plain(weights) => over_signs(weights, x, &log_cosh),
            Products::Paired { others, sign, sines, cosine } => {
                let pair = |x: f64| {
                    let t = (-2.0 * x.abs()).exp();
                    (sines * t / (1.0 + t * (t + cosine))).ln_1p()
                };
                sign * over_signs(others, x, &pair)
            }
        }
    }
}

/// sum over tau of tau_1 ... tau_n f(x + tau_1 w_1 + ... + tau_n w_n).
fn over_signs(weights: &[f64], x: f64, f: &impl Fn(f64) -> f64) -> f64 {
    match weights {
        [] => f(x),
        [first, rest @ ..] => over_signs(rest, x + first, f) - over_signs(rest, x - first, f),
    }
}

/// The mean of f over all signs of the weights.
fn mean_over_signs(weights: &[f64], field: f64, f: &impl Fn(f64) -> f64) -> f64 {
    match weights {
        [] => f(field),
        [first, rest @ ..] => (mean_over_signs(rest, field + first, f) + mean_over_signs(rest, field - first, f)) / 2.0,
    }
}

/// Points and weights of the mean over a normal X of mean 0 by the trapezoidal rule, which converges exponentially for a function that is analytic around the real axis: the nearest
/// singularity of ln cosh is pi / 2 away.
fn gaussian_nodes(deviation: f64) -> Vec<(f64, f64)> {
    if deviation == 0.0 {
        return vec![(0.0, 1.0)];
    }
    let step = (0.45 / deviation).clamp(1e-3, 0.5);
    let count = (CUT / step).ceil() as i32;
    let nodes = (-count..=count).map(|index| f64::from(index) * step).map(|x| (deviation * x, (-x * x / 2.0).exp()));
    let nodes: Vec<(f64, f64)> = nodes.collect();
    let norm: f64 = nodes.iter().map(|node| node.1).sum();
    nodes.into_iter().map(|(x, weight)| (x, weight / norm)).collect()
}

/// ln cosh x without overflow.
fn log_cosh(x: f64) -> f64 {
    x.abs() + (-2.0 * x.abs()).exp().ln_1p() - std::f64::consts::LN_2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lattice::SquareTorus;
    use crate::rbm::bond_machine::bond_weight;
    use crate::rbm::exact::tests::random_machine;
    use crate::rg::couplings::spin_couplings;

    fn members(subset: usize) -> Vec<usize> {
        (0..16).filter(|unit| subset >> unit & 1 == 1).collect()
    }

    #[test]
    fn the_closed_form_is_the_walsh_transform() {
        for (visible, hidden, scale) in [(4, 2, 0.5), (5, 6, 1.5), (7, 3, 0.8)] {
            let machine = random_machine(visible, hidden, scale, 40 + visible as u64);
            let [of_visible, of_hidden] = TracedMachine::sides_of_exact(&machine);
            let visible_table: Vec<f64> = (0..1 << visible).map(|v| -machine.visible_hamiltonian(v)).collect();
            let hidden_table: Vec<f64> = (0..1 << hidden).map(|h| -machine.hidden_hamiltonian(h)).collect();
            for (side, table) in [(of_visible, visible_table), (of_hidden, hidden_table)] {
                for (subset, wanted) in spin_couplings(&table).into_iter().enumerate().skip(1) {
                    let found = side.coupling(&members(subset), Neighbourhood::Exact, 0.0).unwrap();
                    assert!((found - wanted).abs() < 1e-12, "{visible} x {hidden}, {subset:b}: {found} and {wanted}");
                }
            }
        }
    }

    #[test]
    fn the_tiny_machine_of_the_reference() {
        let weights = (0..4).flat_map(|i| (0..2).map(move |j| -0.5 * (1.0 + f64::from(i) + 2.0 * f64::from(j)).sin())).collect();
        let machine = ExactRbm::new(4, 2, weights, (0..4).map(|i| -0.05 * (f64::from(i) - 1.0)).collect(), vec![-0.1, 0.2]).unwrap();
        let [side, _] = TracedMachine::sides_of_exact(&machine);
        for (set, wanted) in [
            (vec![0], -0.083889533494763),
            (vec![0, 1], 0.009873647988191),
            (vec![0, 1, 2], 3.91264545e-5),
            (vec![0, 1, 2, 3], 4.16520232e-5),
        ] {
            let found = side.coupling(&set, Neighbourhood::Exact, 0.0).unwrap();
            assert!((found - wanted).abs() < if set.len() < 3 { 1e-12 } else { 1e-13 }, "{set:?}: {found}");
        }
    }

    #[test]
    fn the_bond_machine_gives_the_coupling_back() {
        let torus = SquareTorus::new(5).unwrap();
        let (sites, bonds) = (torus.sites(), torus.bonds());
        for coupling in [0.1, 0.408, 0.9] {
            let weight = bond_weight(coupling);
            let mut weights = vec![0.0; sites * bonds];
            for site in 0..sites {
                let [right, _, down, _] = torus.neighbours(site);
                for (bond, end) in [(2 * site, right), (2 * site + 1, down)] {
                    weights[site * bonds + bond] = 4.0 * weight;
                    weights[end * bonds + bond] = 4.0 * weight;
                }
            }
            let side = TracedMachine::of_visible(sites, &weights, &vec![-8.0 * weight; sites], &vec![-4.0 * weight; bonds]);
            for other in 1..sites {
                let is_bond = torus.neighbours(0).contains(&other);
                let found = side.coupling(&[0, other], Neighbourhood::Exact, 0.0).unwrap();
                assert!((found - if is_bond { coupling } else { 0.0 }).abs() < 1e-10, "K = {coupling}, site {other}: {found}");
            }
            for set in [vec![0], vec![0, 1, 5], vec![0, 1, 5, 6]] {
                assert!(side.coupling(&set, Neighbourhood::Exact, 0.0).unwrap().abs() < 1e-10);
            }
        }
    }

    #[test]
    fn two_spins_together_are_the_four_terms_of_their_sum() {
        for weights in
            [vec![0.3, -0.8], vec![-2.0, -7.5], vec![40.0, -40.0], vec![160.0, 170.0], vec![0.2, -0.7, 1.1], vec![0.1, 3.0, -0.4, 0.9]]
        {
            for x in [-400.0, -3.1, 0.0, 0.4, 9.0] {
                let (found, wanted) = (Products::of(&weights).at(x), Products::Plain(&weights).at(x));
                let largest = weights.iter().fold(f64::abs(x), |sum, weight| sum + weight.abs());
                assert!((found - wanted).abs() < 1e-15 * 16.0 * largest, "{weights:?} at {x}: {found} and {wanted}");
            }
        }
    }

    #[test]
    fn the_gaussian_neighbourhood_becomes_exact_as_weights_are_summed() {
        let machine = random_machine(14, 5, 0.8, 9);
        let [side, _] = TracedMachine::sides_of_exact(&machine);
        let exact = side.coupling(&[2, 7], Neighbourhood::Exact, 0.0).unwrap();
        let errors: Vec<f64> =
            [0, 6, 12].map(|summed| (side.coupling(&[2, 7], Neighbourhood::Largest(summed), 0.0).unwrap() - exact).abs()).to_vec();
        assert!(errors[0] < 1e-2 * exact.abs().max(0.1) && errors[1] < errors[0] && errors[2] < 1e-14, "{errors:?} of {exact}");
        // The trapezoidal rule against a known mean: E cosh(X) = e^(s^2 / 2).
        for deviation in [0.1f64, 1.0, 2.5] {
            let mean = |f: fn(f64) -> f64| gaussian_nodes(deviation).into_iter().map(|(x, weight)| weight * f(x)).sum::<f64>();
            assert!((mean(f64::cosh) / (deviation * deviation / 2.0).exp() - 1.0).abs() < 1e-4);
            assert!((mean(|x| x * x) / deviation.powi(2) - 1.0).abs() < 1e-9);
        }
        let wide = TracedMachine::of_visible(30, &[1.0; 30], &[0.0; 30], &[0.0]);
        assert!(wide.coupling(&[0, 1], Neighbourhood::Exact, 0.0).is_err());
    }
}
