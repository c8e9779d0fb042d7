//! The couplings of a law given as a table: what Eq. 3 of arXiv:1410.3831 calls K_i, K_ij, K_ijk and so on, for all subsets at once.
//!
//! A function of n binary units is a table of 2^n numbers (index = state, bit i is unit i); so are its couplings (index = subset). Two bases: products of
//! spins s = +-1, in which the couplings of a lattice model are local, and products of 0/1 units, the lattice gas, which is what a network's units are.
//! Where the table would be too long, [`machine`] has the couplings of a Boltzmann machine in closed form and [`sampled`] those of spins known by samples; [`survey`]
//! gathers them by distance.
//! For ln p(v) a positive number favours the product; the paper's H = -sum K v... - ... has the same couplings with H = -ln p.

pub mod machine;
pub mod sampled;
pub mod survey;

/// J_S of f(v) = sum over subsets S of J_S times the product of the spins s_i = 2 v_i - 1 in S (the Walsh-Hadamard transform, 2^n n operations).
///
/// # Panics
/// If the table is not a power of two long.
pub fn spin_couplings(table: &[f64]) -> Vec<f64> {
    transform(table, |clear, set| ((clear + set) / 2.0, (set - clear) / 2.0))
}

/// I_S of f(v) = sum over subsets S of I_S times the product of the units v_i = 0, 1 in S (the Moebius transform, 2^n n operations).
///
/// # Panics
/// If the table is not a power of two long.
pub fn lattice_gas_couplings(table: &[f64]) -> Vec<f64> {
    transform(table, |clear, set| (clear, set - clear))
}

/// Applies `pair` to the values at (unit clear, unit set), for one unit after the other.
fn transform(table: &[f64], pair: impl Fn(f64, f64) -> (f64, f64)) -> Vec<f64> {
    assert!(table.len().is_power_of_two(), "a table of all states of n units has 2^n entries, not {}", table.len());
    let mut values = table.to_vec();
    let mut half = 1;
    while half < values.len() {
        for block in values.chunks_exact_mut(2 * half) {
            let (clear, set) = block.split_at_mut(half);
            for (clear, set) in clear.iter_mut().zip(set) {
                (*clear, *set) = pair(*clear, *set);
            }
        }
        half *= 2;
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    #[test]
    fn couplings_rebuild_the_function() {
        let mut stream = Stream::new(1, Purpose::Check, 2);
        let table: Vec<f64> = (0..64).map(|_| stream.normal()).collect();
        let (spin, gas) = (spin_couplings(&table), lattice_gas_couplings(&table));
        for (state, value) in table.iter().enumerate() {
            let parity = |subset: usize| if (subset & !state).count_ones().is_multiple_of(2) { 1.0 } else { -1.0 };
            let from_spins: f64 = (0..64).map(|subset| spin[subset] * parity(subset)).sum();
            let from_gas: f64 = (0..64).filter(|subset| subset & !state == 0).map(|subset| gas[subset]).sum();
            assert!((from_spins - value).abs() < 1e-13 && (from_gas - value).abs() < 1e-13);
        }
    }

    #[test]
    fn an_ising_ring_has_pair_couplings_only() {
        let hamiltonian = crate::rg::mapping::examples::ring_hamiltonian(6, 0.7);
        let table: Vec<f64> = (0..64).map(|v| -hamiltonian(v)).collect();
        for (subset, coupling) in spin_couplings(&table).into_iter().enumerate() {
            let is_bond = (0..6).any(|site| subset == 1 << site | 1 << ((site + 1) % 6));
            assert!((coupling - if is_bond { 0.7 } else { 0.0 }).abs() < 1e-15, "subset {subset:06b}");
        }
    }
}
