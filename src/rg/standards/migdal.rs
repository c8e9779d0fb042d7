//! Migdal and Kadanoff: bonds are moved together, then the spins between are decimated. On the square lattice with blocks of side b the coupling becomes
//! tanh K' = tanh^b(b K); for b = 2 that is K' = 1/2 ln cosh 4K. As b -> 1 the fixed point is the exact K_c, though the exponent is not exact (Kadanoff 1976).

use super::Scheme;

/// K' of blocks of side b.
pub fn recursion(coupling: f64, block_side: usize) -> f64 {
    (block_side as f64 * coupling).tanh().powi(block_side as i32).atanh()
}

/// dK'/dK.
fn slope(coupling: f64, block_side: usize) -> f64 {
    let (b, moved) = (block_side as f64, block_side as f64 * coupling);
    let tanh = moved.tanh();
    let power = tanh.powi(block_side as i32);
    b * tanh.powi(block_side as i32 - 1) * b / moved.cosh().powi(2) / (1.0 - power * power)
}

/// Fixed point and thermal exponent for blocks of side b from 2.
pub fn fixed_point(block_side: usize) -> Scheme {
    // K' < K below the fixed point, K' > K above it.
    let coupling = super::bisect(1e-3, 2.0, |coupling| recursion(coupling, block_side) - coupling);
    Scheme {
        name: format!("Migdal-Kadanoff, b = {block_side}"),
        coupling: Some(coupling),
        exact_coupling: Some(crate::exact::critical_coupling()),
        thermal: slope(coupling, block_side).ln() / (block_side as f64).ln(),
        magnetic: None,
    }
}

/// The limit b -> 1: dK / d ln b = K + 1/2 sinh 2K ln tanh K.
pub fn infinitesimal() -> Scheme {
    let flow = |coupling: f64| coupling + (2.0 * coupling).sinh() / 2.0 * coupling.tanh().ln();
    let coupling = super::bisect(0.1, 1.0, flow);
    Scheme {
        name: "Migdal-Kadanoff, b → 1".to_string(),
        coupling: Some(coupling),
        exact_coupling: Some(crate::exact::critical_coupling()),
        // The derivative of the flow at its zero.
        thermal: 2.0 + (2.0 * coupling).cosh() * coupling.tanh().ln(),
        magnetic: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_literature_is_met() {
        for (block_side, coupling, thermal, tolerance) in
            [(2, 0.30468893171800, 0.7472357189, 1e-9), (3, 0.2406059, 0.738140, 1e-6), (4, 0.2017630, 0.729676, 1e-6)]
        {
            let found = fixed_point(block_side);
            assert!((found.coupling.unwrap() - coupling).abs() < tolerance && (found.thermal - thermal).abs() < tolerance, "{found:?}");
        }
        assert!((1.0 / fixed_point(2).thermal - 1.3382657904).abs() < 1e-9);
        for coupling in [0.1f64, 0.3, 0.7] {
            assert!((recursion(coupling, 2) - (4.0 * coupling).cosh().ln() / 2.0).abs() < 1e-14);
            let difference = (recursion(coupling + 1e-6, 3) - recursion(coupling - 1e-6, 3)) / 2e-6;
            assert!((difference / slope(coupling, 3) - 1.0).abs() < 1e-8);
        }
        let limit = infinitesimal();
        assert!((limit.coupling.unwrap() - crate::exact::critical_coupling()).abs() < 1e-14 && (limit.thermal - 0.7535).abs() < 1e-4);
    }
}
