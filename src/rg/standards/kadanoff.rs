//! Kadanoff's variational renormalization group, the scheme that arXiv:1410.3831 maps onto Boltzmann machines (L. P. Kadanoff, Phys. Rev. Lett. 34, 1005 (1975);
//! review: Efrati, Wang, Kolan and Kadanoff, arXiv:1301.6323).
//!
//! Each block of four spins has one coarse spin, T(v, h) = p h sum v - ln 2 cosh(p sum v), which satisfies the trace condition for any p ([`block_kernel`]). All
//! interactions are then moved to the plaquettes where four blocks meet; moving lowers the free energy, so that the scheme gives a lower bound of it. A plaquette
//! holds the potential u(v) four times and one spin of each block ([`plaquette_step`]):
//!
//! e^(u'(h)) = Tr_v exp(4 u(v) - ln 2 cosh(p sum v) + p sum_i h_i v_i).
//!
//! Both are a [`VariationalStep`], the same type that holds a restricted Boltzmann machine; u' is -H^RG. The parameter p is the one that makes the bound at the
//! fixed point stationary. With u(v) = K_nn (four sides) + K_nnn (two diagonals) + K_4 v v v v the scheme has two branches of fixed points; see [`Branch`].

use super::Scheme;
use crate::error::{Error, Result};
use crate::rg::couplings::spin_couplings;
use crate::rg::linear::{eigenvalues, solve, transposed};
use crate::rg::mapping::VariationalStep;

/// The products of spins around the square 0, 1, 2, 3 that belong together by symmetry: sides, diagonals, all four; then one spin, three spins.
const EVEN: [&[usize]; 3] = [&[0b0011, 0b0110, 0b1100, 0b1001], &[0b0101, 0b1010], &[0b1111]];
const ODD: [&[usize]; 2] = [&[0b0001, 0b0010, 0b0100, 0b1000], &[0b0111, 0b1110, 0b1101, 0b1011]];

/// Which fixed point is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Branch {
    /// K_nn = K_nnn, the one of Kadanoff's: the potential does not tell sides from diagonals.
    Symmetric,
    /// K_nn differs from K_nnn; it leaves the other branch near p = 0.74 and has a stationary point of its own.
    Asymmetric,
}

impl Branch {
    /// Words for a table.
    pub fn name(self) -> &'static str {
        match self {
            Branch::Symmetric => "Kadanoff variational, K_nn = K_nnn",
            Branch::Asymmetric => "Kadanoff variational, second branch, K_nn ≠ K_nnn",
        }
    }
}

/// A fixed point at its optimal parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct FixedPoint {
    /// The branch it lies on.
    pub branch: Branch,
    /// The optimal p.
    pub parameter: f64,
    /// K_nn, K_nnn, K_4 of a plaquette; every bond of the lattice belongs to two plaquettes.
    pub couplings: [f64; 3],
    /// Eigenvalues of the linearized step, even operators, descending.
    pub even: Vec<f64>,
    /// The same for odd operators.
    pub odd: Vec<f64>,
}

impl FixedPoint {
    /// y_T and y_H: the logarithm to base 2 of the largest even and odd eigenvalue.
    pub fn scheme(&self) -> Scheme {
        Scheme {
            name: self.branch.name().to_string(),
            coupling: None,
            exact_coupling: None,
            thermal: self.even[0].log2(),
            magnetic: Some(self.odd[0].log2()),
        }
    }
}

fn spin_sum(v: u64) -> f64 {
    2.0 * f64::from(v.count_ones()) - 4.0
}

/// sum_i h_i v_i of four spins: those that agree less those that differ.
fn overlap(v: u64, h: u64) -> f64 {
    4.0 - 2.0 * f64::from((v ^ h).count_ones())
}

fn operator_value(class: &[usize], v: u64) -> f64 {
    class.iter().map(|&product| if (product as u64 & !v).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 }).sum()
}

fn log_two_cosh(x: f64) -> f64 {
    x.abs() + (-2.0 * x.abs()).exp().ln_1p()
}

/// T(v, h) of one block of four spins whose Hamiltonian is `hamiltonian`: e^T is the probability of h, given v.
///
/// # Errors
/// None in practice: five spins can be enumerated.
pub fn block_kernel<'a>(parameter: f64, hamiltonian: impl Fn(u64) -> f64 + 'a) -> Result<VariationalStep<'a>> {
    let operator = move |v: u64, h: u64| parameter * (2.0 * h as f64 - 1.0) * spin_sum(v) - log_two_cosh(parameter * spin_sum(v));
    VariationalStep::from_operator(4, 1, operator, hamiltonian)
}

/// The step on a plaquette where four blocks meet, after all interactions were moved there.
///
/// # Errors
/// None in practice: eight spins can be enumerated.
pub fn plaquette_step(parameter: f64, couplings: [f64; 3]) -> Result<VariationalStep<'static>> {
    let potential = move |v: u64| EVEN.iter().zip(couplings).map(|(class, coupling)| coupling * operator_value(class, v)).sum::<f64>();
    let operator = move |v: u64, h: u64| parameter * overlap(v, h) - log_two_cosh(parameter * spin_sum(v));
    VariationalStep::from_operator(4, 4, operator, move |v| -4.0 * potential(v))
}

/// One step, linearized.
struct Linearized {
    /// The constant of u' less 4 times that of u, and K'.
    constant: f64,
    couplings: [f64; 3],
    /// Their derivatives with p.
    constant_by_parameter: f64,
    couplings_by_parameter: [f64; 3],
    /// d constant / dK and dK'_a / dK_b, row-major.
    constant_by_couplings: [f64; 3],
    even: Vec<f64>,
    odd: Vec<f64>,
}

/// The couplings of a function of h that is given by its value in each of the 16 states: the constant, and the mean over each class of products.
fn project(classes: &[&[usize]], function: impl Fn(u64) -> f64) -> (f64, Vec<f64>) {
    let table: Vec<f64> = (0..16).map(function).collect();
    let couplings = spin_couplings(&table);
    let mean = |class: &&[usize]| class.iter().map(|&product| couplings[product]).sum::<f64>() / class.len() as f64;
    (couplings[0], classes.iter().map(mean).collect())
}

fn linearize(parameter: f64, couplings: [f64; 3]) -> Result<Linearized> {
    let step = plaquette_step(parameter, couplings)?;
    let triple = |values: Vec<f64>| [values[0], values[1], values[2]];
    let (constant, next) = project(&EVEN, |h| -step.renormalized_hamiltonian(h));
    // du'/dp = <sum h v - tanh(p sum v) sum v>, du'/dK_b = 4 <S_b>, both over the spins v at given h.
    let by_parameter = |h: u64| step.conditional_mean(h, |v| overlap(v, h) - (parameter * spin_sum(v)).tanh() * spin_sum(v));
    let (constant_by_parameter, couplings_by_parameter) = project(&EVEN, by_parameter);
    let responses = |classes: &[&[usize]]| -> (Vec<f64>, Vec<f64>) {
        let columns: Vec<(f64, Vec<f64>)> =
            classes.iter().map(|class| project(classes, |h| 4.0 * step.conditional_mean(h, |v| operator_value(class, v)))).collect();
        let size = classes.len();
        let matrix = (0..size * size).map(|index| columns[index % size].1[index / size]).collect();
        (columns.iter().map(|(constant, _)| *constant).collect(), matrix)
    };
    let ((constant_by_couplings, even), (_, odd)) = (responses(&EVEN), responses(&ODD));
    Ok(Linearized {
        constant,
        couplings: triple(next),
        constant_by_parameter,
        couplings_by_parameter: triple(couplings_by_parameter),
        constant_by_couplings: triple(constant_by_couplings),
        even,
        odd,
    })
}

/// The fixed point at a given p, by Newton's method from a point near it.
fn fixed_couplings(branch: Branch, parameter: f64, start: [f64; 3]) -> Result<[f64; 3]> {
    let mut couplings = start;
    for _ in 0..60 {
        if branch == Branch::Symmetric {
            let mean = (2.0 * couplings[0] + couplings[1]) / 3.0;
            couplings = [mean, mean, couplings[2]];
        }
        let here = linearize(parameter, couplings)?;
        let mut matrix = here.even.clone();
        (0..3).for_each(|i| matrix[4 * i] -= 1.0);
        let residual: Vec<f64> = (0..3).map(|i| couplings[i] - here.couplings[i]).collect();
        let step = solve(&matrix, &residual).ok_or_else(|| lost(branch))?;
        (0..3).for_each(|i| couplings[i] += step[i]);
        if step.iter().all(|change| change.abs() < 1e-15) {
            break;
        }
    }
    let residual = linearize(parameter, couplings)?.couplings;
    let is_fixed = (0..3).all(|i| (residual[i] - couplings[i]).abs() < 1e-12);
    if !is_fixed {
        return Err(lost(branch));
    }
    Ok(couplings)
}

fn lost(branch: Branch) -> Error {
    Error::Bug(format!("the fixed point of the branch `{}` was not found.", branch.name()))
}

/// How much the free energy at the fixed point changes with p: w du'/dp with the left eigenvector w = (1, m) of the step, constant included, that belongs to the
/// eigenvalue 4, by which the number of plaquettes falls. The bound is stationary where this vanishes.
fn slope_of_bound(parameter: f64, couplings: [f64; 3]) -> Result<f64> {
    let here = linearize(parameter, couplings)?;
    // m (4 - M) = d constant / dK.
    let mut matrix: Vec<f64> = transposed(&here.even, 3).iter().map(|value| -value).collect();
    (0..3).for_each(|i| matrix[4 * i] += 4.0);
    let left = solve(&matrix, &here.constant_by_couplings).ok_or_else(|| lost(Branch::Symmetric))?;
    Ok(here.constant_by_parameter + left.iter().zip(here.couplings_by_parameter).map(|(m, slope)| m * slope).sum::<f64>())
}

/// The fixed point of a branch at its optimal p.
///
/// # Errors
/// [`Error::Bug`] if it is not found.
pub fn fixed_point(branch: Branch) -> Result<FixedPoint> {
    // Newton's starting points, and an interval that holds the stationary p of either branch. That of the second branch is short, so that from one end to the other Newton's
    // method does not fall back to the first.
    let (mut couplings, mut low, mut high) = match branch {
        Branch::Symmetric => ([0.14, 0.14, 0.0], 0.70, 0.85),
        Branch::Asymmetric => ([0.155, 0.114, -0.009], 0.757, 0.767),
    };
    let mut slope_at = |parameter: f64| -> Result<f64> {
        couplings = fixed_couplings(branch, parameter, couplings)?;
        if branch == Branch::Asymmetric && (couplings[0] - couplings[1]).abs() < 1e-4 {
            return Err(lost(branch));
        }
        slope_of_bound(parameter, couplings)
    };
    let at_low = slope_at(low)?;
    if at_low * slope_at(high)? > 0.0 {
        return Err(lost(branch));
    }
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if slope_at(middle)? * at_low > 0.0 { low = middle } else { high = middle }
    }
    let parameter = (low + high) / 2.0;
    slope_at(parameter)?;
    let here = linearize(parameter, couplings)?;
    let real = |matrix: &[f64], size: usize| eigenvalues(matrix, size).into_iter().map(|root| root[0]).collect();
    Ok(FixedPoint { branch, parameter, couplings, even: real(&here.even, 3), odd: real(&here.odd, 2) })
}

/// The couplings of a plaquette after each of some steps at a given p, the ones at the beginning first, from the Ising model of coupling K: each bond belongs to two plaquettes, K_nn = K / 2.
///
/// # Errors
/// None in practice.
pub fn flow(coupling: f64, parameter: f64, steps: usize) -> Result<Vec<[f64; 3]>> {
    let mut couplings = vec![[coupling / 2.0, 0.0, 0.0]];
    for _ in 0..steps {
        let next = linearize(parameter, couplings[couplings.len() - 1])?.couplings;
        couplings.push(next);
    }
    Ok(couplings)
}

/// The bound of the scheme: ln Z per site of the infinite lattice from above, at a given p on every level.
///
/// # Errors
/// None in practice.
pub fn log_partition_function_bound(coupling: f64, parameter: f64) -> Result<f64> {
    let (mut couplings, mut total, mut share) = ([coupling / 2.0, 0.0, 0.0], 0.0, 1.0);
    for _ in 0..24 {
        let here = linearize(parameter, couplings)?;
        share /= 4.0;
        total += share * here.constant;
        couplings = here.couplings;
    }
    // What is left is a lattice of 4^-24 of the sites.
    Ok(total)
}

/// The p that makes the bound best at a coupling, and the bound: a golden-section search from 0 to 1.5, in which the bound has one minimum.
///
/// # Errors
/// None in practice.
pub fn best_bound(coupling: f64) -> Result<(f64, f64)> {
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.0, 1.5);
    while high - low > 1e-7 {
        let (left, right) = (high - golden * (high - low), low + golden * (high - low));
        if log_partition_function_bound(coupling, left)? < log_partition_function_bound(coupling, right)? {
            high = right;
        } else {
            low = left;
        }
    }
    let parameter = (low + high) / 2.0;
    Ok((parameter, log_partition_function_bound(coupling, parameter)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rg::mapping::examples::ring_hamiltonian;

    #[test]
    fn the_kernel_of_a_block_satisfies_the_trace_condition() {
        for parameter in [0.0, 0.3, 0.766, 4.0] {
            let step = block_kernel(parameter, ring_hamiltonian(4, 0.4)).unwrap();
            let summary = step.summary();
            assert!((0..16).all(|v| step.log_trace(v).abs() < 1e-14));
            assert!(summary.trace_violation < 1e-24 && summary.divergence.abs() < 1e-13 && summary.free_energy_difference.abs() < 1e-13);
        }
    }

    #[test]
    fn the_symmetric_branch_is_kadanoffs() {
        let found = fixed_point(Branch::Symmetric).unwrap();
        assert!((found.parameter - 0.76598304).abs() < 1e-8, "{found:?}");
        let [nearest, next, four] = found.couplings;
        assert!((nearest - 0.13971663).abs() < 1e-8 && (nearest - next).abs() < 1e-12 && (four + 0.00686501).abs() < 1e-8, "{found:?}");
        for (found, wanted) in found.even.iter().chain(&found.odd).zip([2.0012188, 1.1513457, 0.5056067, 3.6688192, 0.9581541]) {
            assert!((found - wanted).abs() < 2e-7, "{found} and {wanted}");
        }
        let scheme = found.scheme();
        assert!((scheme.thermal - 1.000879).abs() < 1e-6 && (scheme.magnetic.unwrap() - 1.875316).abs() < 1e-6);
    }

    #[test]
    fn the_second_branch_is_found_when_asked_for() {
        let found = fixed_point(Branch::Asymmetric).unwrap();
        assert!((found.parameter - 0.7609885).abs() < 1e-6, "{found:?}");
        for (found, wanted) in found.couplings.iter().zip([0.1587208, 0.1077066, -0.0075303]) {
            assert!((found - wanted).abs() < 1e-6);
        }
        let scheme = found.scheme();
        assert!((scheme.thermal - 1.017535).abs() < 1e-5 && (scheme.magnetic.unwrap() - 1.877736).abs() < 1e-5, "{scheme:?}");
    }

    #[test]
    fn derivatives_are_slopes() {
        let (parameter, couplings, step) = (0.7, [0.13, 0.11, -0.01], 1e-5);
        let here = linearize(parameter, couplings).unwrap();
        let (up, down) = (linearize(parameter + step, couplings).unwrap(), linearize(parameter - step, couplings).unwrap());
        assert!(((up.constant - down.constant) / (2.0 * step) - here.constant_by_parameter).abs() < 1e-8);
        for b in 0..3 {
            let shifted = |by: f64| {
                let mut copy = couplings;
                copy[b] += by;
                linearize(parameter, copy).unwrap()
            };
            let (up, down) = (shifted(step), shifted(-step));
            assert!(((up.constant - down.constant) / (2.0 * step) - here.constant_by_couplings[b]).abs() < 1e-8);
            for a in 0..3 {
                assert!(((up.couplings[a] - down.couplings[a]) / (2.0 * step) - here.even[3 * a + b]).abs() < 1e-8);
            }
        }
    }

    #[test]
    fn the_bound_is_on_the_right_side() {
        for coupling in [0.1, 0.3, 0.44, 0.6] {
            let (parameter, bound) = best_bound(coupling).unwrap();
            let exact = crate::exact::onsager::log_partition_function_per_site(coupling);
            assert!(bound > exact && bound < exact + 0.021, "K = {coupling}: {bound} and {exact}");
            for other in [0.9 * parameter, 1.1 * parameter, 0.0] {
                assert!(log_partition_function_bound(coupling, other).unwrap() > bound);
            }
        }
        assert!((best_bound(0.3).unwrap().1 - 0.811).abs() < 1e-3);
    }
}
