//! The exact law of the 4 x 4 torus, for the tests that hold samplers against it. By another hand than the program's own enumeration.

use kadanoff::lattice::SquareTorus;
use std::collections::BTreeMap;

/// P(E, key(M)) by enumeration of the 65,536 states, bond by bond.
pub fn enumerated(coupling: f64, key: impl Fn(i64) -> i64) -> BTreeMap<(i64, i64), f64> {
    let torus = SquareTorus::new(4).expect("a valid side");
    let mut law = BTreeMap::new();
    let mut total = 0.0;
    for state in 0..1u32 << 16 {
        let spin = |site: usize| if state >> site & 1 == 1 { 1i64 } else { -1 };
        let energy: i64 = (0..16).map(|site| -spin(site) * (spin(torus.neighbours(site)[0]) + spin(torus.neighbours(site)[2]))).sum();
        let weight = (-coupling * energy as f64).exp();
        *law.entry((energy, key((0..16).map(spin).sum()))).or_insert(0.0) += weight;
        total += weight;
    }
    law.values_mut().for_each(|weight| *weight /= total);
    law
}
