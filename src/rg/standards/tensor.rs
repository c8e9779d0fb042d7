//! The tensor renormalization group of Levin and Nave (Phys. Rev. Lett. 99, 120601 (2007)): ln Z of the square lattice from a network of tensors that is coarse-grained by
//! singular values. It has no error bar, only the number of states chi that a bond may have.
//!
//! A tensor T(u, r, d, l) stands on every site. On one sublattice it is cut between (u, r) and (d, l), on the other between (r, d) and (l, u), keeping the chi largest
//! singular values; four pieces around every other plaquette make the new tensor, and half as many tensors are left. Every state of a bond is even or odd under a
//! flip of all spins, and T vanishes unless the number of odd states is even, so that the matrices to be cut fall into two blocks.

use crate::error::Result;
use crate::rg::linear::{dot, symmetric_eigen};

/// Coarse-graining steps; each halves the number of tensors, so that 2^40 sites are left as one.
const STEPS: usize = 40;
/// Singular values below this share of the largest are rounding: they come from the eigenvalues of M M^t.
const SMALLEST_SHARE: f64 = 1e-7;

/// The most states of a bond that are allowed: the memory and time of a step grow as chi^4 and chi^6.
pub const LARGEST_BOND: usize = 32;

/// A tensor with four legs u, r, d, l; opposite legs have the same states. True marks an odd state.
struct Tensor {
    vertical: Vec<bool>,
    horizontal: Vec<bool>,
    /// Index ((u * R + r) * U + d) * R + l.
    values: Vec<f64>,
}

/// One of the two pieces of a tensor: index (first leg * second legs + second leg) * states of the new bond + state.
struct Piece {
    second: usize,
    states: usize,
    values: Vec<f64>,
}

impl Piece {
    fn at(&self, first: usize, second: usize) -> &[f64] {
        let start = (first * self.second + second) * self.states;
        &self.values[start..start + self.states]
    }
}

impl Tensor {
    /// The tensor of an Ising spin: e^(K s s') = sum over i of W_si W_s'i with W_s0 = sqrt cosh K and W_s1 = s sqrt sinh K.
    fn ising(coupling: f64) -> Tensor {
        let factors = [coupling.cosh().sqrt(), coupling.sinh().sqrt()];
        let value = |index: usize| {
            let legs = [index >> 3 & 1, index >> 2 & 1, index >> 1 & 1, index & 1];
            if legs.iter().sum::<usize>() % 2 == 0 { 2.0 * legs.iter().map(|&leg| factors[leg]).product::<f64>() } else { 0.0 }
        };
        Tensor { vertical: vec![false, true], horizontal: vec![false, true], values: (0..16).map(value).collect() }
    }

    fn value(&self, u: usize, r: usize, d: usize, l: usize) -> f64 {
        let (vertical, horizontal) = (self.vertical.len(), self.horizontal.len());
        self.values[((u * horizontal + r) * vertical + d) * horizontal + l]
    }

    fn trace(&self) -> f64 {
        let horizontal = self.horizontal.len();
        (0..self.vertical.len()).map(|u| (0..horizontal).map(|r| self.value(u, r, u, r)).sum::<f64>()).sum()
    }

    /// Divides by the largest absolute value and returns its logarithm.
    fn normalize(&mut self) -> f64 {
        let largest = self.values.iter().fold(0f64, |largest, value| largest.max(value.abs()));
        self.values.iter_mut().for_each(|value| *value /= largest);
        largest.ln()
    }

    /// The next tensor, with at most `bond` states on each leg.
    fn coarse(&self, bond: usize) -> Result<Tensor> {
        let (up, right) = (&self.vertical, &self.horizontal);
        // (u, r) | (d, l) on one sublattice, (r, d) | (l, u) on the other.
        let (lower_left, upper_right, horizontal) = cut(up, right, bond, &|u, r, d, l| self.value(u, r, d, l))?;
        let (upper_left, lower_right, vertical) = cut(right, up, bond, &|r, d, l, u| self.value(u, r, d, l))?;
        let (a, b) = (horizontal.len(), vertical.len());
        // Around a plaquette: the lower left piece S1 has (u, r), the upper left S2 (r, d), the upper right S3 (d, l), the lower right S4 (l, u).
        // X[alpha beta][b c] = sum over a of S1[a b alpha] S2[c a beta], Y[gamma delta][b c] = sum over e of S3[e c gamma] S4[b e delta]: both rows run along b, c.
        let inner = right.len() * right.len();
        let mut left = vec![0.0; a * b * inner];
        let mut right_half = vec![0.0; b * a * inner];
        for first in 0..right.len() {
            for second in 0..right.len() {
                let place = first * right.len() + second;
                for shared in 0..up.len() {
                    let (s1, s2) = (lower_left.at(shared, first), upper_left.at(second, shared));
                    add_products(&mut left, inner, place, s1, s2);
                    let (s3, s4) = (upper_right.at(shared, second), lower_right.at(first, shared));
                    add_products(&mut right_half, inner, place, s3, s4);
                }
            }
        }
        // New legs: u = beta, r = gamma, d = delta, l = alpha.
        let mut values = vec![0.0; b * a * b * a];
        for alpha in 0..a {
            for beta in 0..b {
                let one = &left[(alpha * b + beta) * inner..][..inner];
                for gamma in 0..a {
                    for delta in 0..b {
                        let is_even = !(horizontal[alpha] ^ vertical[beta] ^ horizontal[gamma] ^ vertical[delta]);
                        if is_even {
                            let other = &right_half[(gamma * b + delta) * inner..][..inner];
                            values[((beta * a + gamma) * b + delta) * a + alpha] = dot(one, other);
                        }
                    }
                }
            }
        }
        Ok(Tensor { vertical, horizontal, values })
    }
}

/// matrix[one other][place] += one x other.
fn add_products(matrix: &mut [f64], inner: usize, place: usize, one: &[f64], other: &[f64]) {
    for (i, &x) in one.iter().enumerate().filter(|(_, x)| **x != 0.0) {
        for (j, &y) in other.iter().enumerate() {
            matrix[(i * other.len() + j) * inner + place] += x * y;
        }
    }
}

/// Cuts M[(i, j), (k, l)] = sum over n of A[i j n] B[k l n], where the legs i and k have the states `first` and j and l the states `second`. The singular values are shared
/// out evenly; the third result says which states of the new bond are odd.
fn cut(
    first: &[bool],
    second: &[bool],
    bond: usize,
    value: &dyn Fn(usize, usize, usize, usize) -> f64,
) -> Result<(Piece, Piece, Vec<bool>)> {
    struct State {
        weight: f64,
        is_odd: bool,
        left: Vec<f64>,
        right: Vec<f64>,
    }
    let pairs = first.len() * second.len();
    let mut states = Vec::new();
    for is_odd in [false, true] {
        let block: Vec<(usize, usize)> =
            (0..pairs).map(|pair| (pair / second.len(), pair % second.len())).filter(|&(i, j)| (first[i] ^ second[j]) == is_odd).collect();
        let size = block.len();
        let matrix: Vec<f64> = block.iter().flat_map(|&(i, j)| block.iter().map(move |&(k, l)| value(i, j, k, l))).collect();
        let row = |index: usize| &matrix[index * size..(index + 1) * size];
        let gram: Vec<f64> = (0..size * size).map(|index| dot(row(index / size), row(index % size))).collect();
        let eigen = symmetric_eigen(&gram, size, bond)?;
        for (index, &eigenvalue) in eigen.values.iter().take(bond).enumerate().filter(|(_, eigenvalue)| **eigenvalue > 0.0) {
            let left = eigen.vectors[index * size..(index + 1) * size].to_vec();
            let weight = eigenvalue.sqrt();
            // The right vector is M^t times the left one, divided by the singular value.
            let mut right = vec![0.0; size];
            for (factor, row) in left.iter().zip(matrix.chunks_exact(size)) {
                right.iter_mut().zip(row).for_each(|(sum, value)| *sum += factor * value / weight);
            }
            let spread = |part: &[f64]| {
                let mut whole = vec![0.0; pairs];
                block.iter().zip(part).for_each(|(&(i, j), value)| whole[i * second.len() + j] = *value);
                whole
            };
            states.push(State { weight, is_odd, left: spread(&left), right: spread(&right) });
        }
    }
    states.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    let largest = states.first().map_or(0.0, |state| state.weight);
    states.truncate(bond);
    states.retain(|state| state.weight > SMALLEST_SHARE * largest);
    let piece = |of: fn(&State) -> &Vec<f64>| Piece {
        second: second.len(),
        states: states.len(),
        values: (0..pairs).flat_map(|pair| states.iter().map(move |state| of(state)[pair] * state.weight.sqrt())).collect(),
    };
    Ok((piece(|state| &state.left), piece(|state| &state.right), states.iter().map(|state| state.is_odd).collect()))
}

/// ln Z per site of a torus of 2^40 sites, with at most `bond` states (chi) on each bond.
///
/// # Errors
/// [`crate::error::Error::NotFinite`] if the coupling is not finite or negative.
pub fn log_partition_function_per_site(coupling: f64, bond: usize) -> Result<f64> {
    let mut tensor = Tensor::ising(coupling);
    let (mut total, mut share) = (tensor.normalize(), 1.0);
    for _ in 0..STEPS {
        tensor = tensor.coarse(bond)?;
        share /= 2.0;
        total += share * tensor.normalize();
    }
    Ok(total + share * tensor.trace().ln())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::{critical_coupling, onsager};

    #[test]
    fn the_literature_is_met() {
        for (bond, value, tolerance) in
            [(2, 0.9263216928, 1e-8), (4, 0.9294264609, 1e-8), (8, 0.9296311179, 1e-8), (16, 0.9296910926, 1e-8)]
        {
            let found = log_partition_function_per_site(critical_coupling(), bond).unwrap();
            assert!((found - value).abs() < tolerance, "chi = {bond}: {found} and {value}");
        }
    }

    #[test]
    fn away_from_criticality_few_states_suffice() {
        for coupling in [0.1, 0.3, 0.408, 0.6] {
            let (found, exact) =
                (log_partition_function_per_site(coupling, 8).unwrap(), onsager::log_partition_function_per_site(coupling));
            assert!((found / exact - 1.0).abs() < 1e-4, "K = {coupling}: {found} and {exact}");
        }
        assert!((log_partition_function_per_site(0.0, 4).unwrap() - std::f64::consts::LN_2).abs() < 1e-15);
    }
}
