//! Niemeijer and van Leeuwen: three spins of a triangular lattice vote for one, and the couplings between the blocks are kept to the first cumulant. The
//! majority rule is an operator T(v, h) of [`VariationalStep`]: e^T = 1 where h is the majority of v, which satisfies the trace condition.

use super::Scheme;
use crate::error::Result;
use crate::rg::mapping::VariationalStep;

/// Mean of one spin of a triangle of coupling K whose majority is up; its derivative with K comes from the fluctuation formula.
fn spin_of_an_up_block(coupling: f64) -> Result<[f64; 2]> {
    let spin = |v: u64, site: u64| 2.0 * (v >> site & 1) as f64 - 1.0;
    let bonds = |v: u64| spin(v, 0) * spin(v, 1) + spin(v, 1) * spin(v, 2) + spin(v, 2) * spin(v, 0);
    let majority = |v: u64, h: u64| if u64::from(v.count_ones() >= 2) == h { 0.0 } else { f64::NEG_INFINITY };
    let step = VariationalStep::from_operator(3, 1, majority, |v| -coupling * bonds(v))?;
    let mean = step.conditional_mean(1, |v| spin(v, 0));
    let slope = step.conditional_mean(1, |v| spin(v, 0) * bonds(v)) - mean * step.conditional_mean(1, bonds);
    Ok([mean, slope])
}

/// Fixed point and exponents: K' = 2 K m^2 over the two bonds that join neighbouring blocks, field h' = 3 m h, length sqrt 3.
///
/// # Errors
/// None in practice: the triangle is small enough to enumerate.
pub fn fixed_point() -> Result<Scheme> {
    // K' = K where 2 m^2 = 1; m grows with K from 1/2 to 1.
    let (mut low, mut high) = (0.01, 2.0);
    for _ in 0..200 {
        let middle = (low + high) / 2.0;
        if 2.0 * spin_of_an_up_block(middle)?[0].powi(2) < 1.0 { low = middle } else { high = middle }
    }
    let coupling = (low + high) / 2.0;
    let [mean, slope] = spin_of_an_up_block(coupling)?;
    let length = 3f64.sqrt().ln();
    Ok(Scheme {
        name: "Niemeijer-van Leeuwen, triangles, first cumulant".to_string(),
        coupling: Some(coupling),
        exact_coupling: Some(3f64.ln() / 4.0),
        thermal: (2.0 * mean * mean + 4.0 * coupling * mean * slope).ln() / length,
        magnetic: Some((3.0 * mean).ln() / length),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_literature_is_met() {
        let found = fixed_point().unwrap();
        assert!((found.coupling.unwrap() - 0.3356135117).abs() < 1e-9, "{found:?}");
        assert!((found.thermal - 0.882203).abs() < 1e-6 && (found.thermal - 0.8822026).abs() < 1e-7, "{found:?}");
        assert!((found.magnetic.unwrap() - 1.3690702).abs() < 1e-7, "{found:?}");
        // The printed recursion: K' = 2K [(e^3K + e^-K) / (e^3K + 3 e^-K)]^2.
        for coupling in [0.1f64, 0.5] {
            let (strong, weak) = ((3.0 * coupling).exp(), (-coupling).exp());
            assert!((spin_of_an_up_block(coupling).unwrap()[0] - (strong + weak) / (strong + 3.0 * weak)).abs() < 1e-14);
        }
    }
}
