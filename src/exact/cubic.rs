//! The cubic torus of side 4 by the transfer matrix between layers of 16 spins: ln Z, the energy, `<M^2>` and the structure factor at any coupling.
//!
//! With T the symmetric transfer matrix and a a layer, (T^y)_ab (T^(4-y))_ba is the weight of the layers a and b at distance y. So four multiplications with T for one layer of each
//! class (translations, reflections, the exchange of the axes, the turning of all spins) give everything that has to do with two layers at most. The specific heat and `<M^4>`
//! need more than two and are not known here; the torus of side 3 is enumerated ([`super::enumeration`]).

use std::collections::BTreeMap;

/// The side.
pub const SIDE: usize = 4;
const LAYER: usize = SIDE * SIDE;
const LAYERS: usize = 1 << LAYER;

/// Exact values of the 4 x 4 x 4 torus at one coupling.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct CubicReference {
    /// ln Z / N.
    pub log_partition_function_per_site: f64,
    /// `<E>/N`, in units of J.
    pub energy_per_site: f64,
    /// `<M^2>/N^2`.
    pub magnetization_squared: f64,
    /// F = `<|sum_x s_x exp(i k x)|^2>/N` at k = 2 pi / 4 along an axis.
    pub structure_factor: f64,
}

/// The neighbour of a place of a layer along an axis.
fn next(place: usize, axis: usize) -> usize {
    let (x, y) = (place % SIDE, place / SIDE);
    if axis == 0 { (x + 1) % SIDE + y * SIDE } else { x + (y + 1) % SIDE * SIDE }
}

/// The places of a layer, moved by each symmetry of it but the turning of all spins.
fn symmetries() -> Vec<[usize; LAYER]> {
    let mut found = Vec::new();
    for symmetry in 0..LAYER * 8 {
        let (shift, turn) = (symmetry % LAYER, symmetry / LAYER);
        found.push(std::array::from_fn(|place| {
            let (mut x, mut y) = (place % SIDE, place / SIDE);
            if turn & 1 == 1 {
                x = SIDE - 1 - x;
            }
            if turn & 2 == 2 {
                y = SIDE - 1 - y;
            }
            if turn & 4 == 4 {
                (x, y) = (y, x);
            }
            (x + shift % SIDE) % SIDE + (y + shift / SIDE) % SIDE * SIDE
        }));
    }
    found
}

/// A layer of each class, and how many there are of it.
fn classes() -> BTreeMap<usize, u64> {
    let symmetries = symmetries();
    let mut seen = vec![false; LAYERS];
    let mut classes = BTreeMap::new();
    for layer in 0..LAYERS {
        if seen[layer] {
            continue;
        }
        let mut size = 0;
        for symmetry in &symmetries {
            let moved = (0..LAYER).fold(0, |image, place| image | (layer >> place & 1) << symmetry[place]);
            for image in [moved, !moved & (LAYERS - 1)] {
                if !seen[image] {
                    seen[image] = true;
                    size += 1;
                }
            }
        }
        classes.insert(layer, size);
    }
    classes
}

/// Unequal pairs of neighbours inside a layer.
fn unequal(layer: usize) -> u32 {
    (0..LAYER).map(|place| (0..2).filter(|&axis| (layer >> place ^ layer >> next(place, axis)) & 1 == 1).count() as u32).sum()
}

/// T times a vector: `half` holds the square root of the weight of each layer, `weight` is that of an unsatisfied bond.
fn transferred(vector: &[f64], half: &[f64], weight: f64) -> Vec<f64> {
    let mut vector: Vec<f64> = vector.iter().zip(half).map(|(value, half)| value * half).collect();
    for place in 0..LAYER {
        for pair in vector.chunks_exact_mut(2 << place) {
            let (lower, upper) = pair.split_at_mut(1 << place);
            for (one, other) in lower.iter_mut().zip(upper) {
                (*one, *other) = (*one + weight * *other, *other + weight * *one);
            }
        }
    }
    vector.iter_mut().zip(half).for_each(|(value, half)| *value *= half);
    vector
}

/// The exact values at K = `coupling`, finite and not negative; in a second or two.
pub fn four(coupling: f64) -> CubicReference {
    let weight = (-2.0 * coupling).exp();
    let inner: Vec<u32> = (0..LAYERS).map(unequal).collect();
    let half: Vec<f64> = inner.iter().map(|&count| weight.powf(0.5 * f64::from(count))).collect();
    let magnetization = |layer: usize| 2.0 * f64::from(layer.count_ones()) - LAYER as f64;
    let (mut total, mut energy, mut square, mut structure) = (0.0, 0.0, 0.0, 0.0);
    for (first, size) in classes() {
        let mut none = vec![0.0; LAYERS];
        none[first] = 1.0;
        let once = transferred(&none, &half, weight);
        let twice = transferred(&once, &half, weight);
        let thrice = transferred(&twice, &half, weight);
        let (size, own) = (size as f64, magnetization(first));
        let (mut sum, mut unsatisfied, mut beside, mut opposite, mut differences) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for layer in 0..LAYERS {
            let (at_one, at_two) = (once[layer] * thrice[layer], twice[layer] * twice[layer]);
            sum += at_two;
            unsatisfied += at_one * f64::from(((first ^ layer) as u32).count_ones());
            beside += at_one * magnetization(layer);
            opposite += at_two * magnetization(layer);
            differences += at_two * (own - magnetization(layer)).powi(2);
        }
        total += size * sum;
        // Each layer has 32 bonds inside and 16 to the next one.
        energy += size * (sum * (2.0 * f64::from(inner[first]) - 48.0) + 2.0 * unsatisfied);
        square += size * own * (own * sum + 2.0 * beside + opposite);
        // -(1/2) sum over y of (M_0 - M_y)^2 cos(2 pi y / 4), as for the square torus: the cosines, 1, 0, -1 and 0, add to zero, and nothing cancels in the cold.
        structure += size * 0.5 * differences;
    }
    let (layer, sites) = (LAYER as f64, (SIDE * LAYER) as f64);
    CubicReference {
        // Weights were counted from the ground state of E = -3N.
        log_partition_function_per_site: total.ln() / sites + 3.0 * coupling,
        energy_per_site: energy / total / layer,
        magnetization_squared: square / total / (sites * layer),
        structure_factor: structure / total / layer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_all_layers() {
        assert_eq!(classes().values().sum::<u64>(), 1 << 16);
    }

    #[test]
    fn free_spins_and_the_derivative_of_ln_z() {
        let free = four(0.0);
        assert!((free.log_partition_function_per_site - std::f64::consts::LN_2).abs() < 1e-13 && free.energy_per_site.abs() < 1e-13);
        assert!((free.magnetization_squared * 64.0 - 1.0).abs() < 1e-12 && (free.structure_factor - 1.0).abs() < 1e-12);
        let (coupling, step) = (0.221654626, 1e-4);
        let [before, at, after] = [coupling - step, coupling, coupling + step].map(four);
        let slope = (after.log_partition_function_per_site - before.log_partition_function_per_site) / (2.0 * step);
        assert!((slope + at.energy_per_site).abs() < 1e-6, "{slope} {}", at.energy_per_site);
        // The series in t = tanh K of a cubic torus of side 4: each bond alone, then 3N squares of four bonds and 3N / 4 loops of four bonds around it per site.
        let weak: f64 = 0.02;
        let series = std::f64::consts::LN_2 + 3.0 * weak.cosh().ln() + (3.0 + 3.0 / 4.0) * weak.tanh().powi(4);
        assert!((four(weak).log_partition_function_per_site - series).abs() < 1e-8);
    }
}
