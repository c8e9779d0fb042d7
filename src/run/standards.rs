//! The tables of the gold standards: schemes that need no samples, and Monte Carlo renormalization of the kept configurations. Rank 0 calls it.

use crate::error::Result;
use crate::exact::{critical_coupling, onsager};
use crate::lattice::SquareTorus;
use crate::ledger::{Entry, Ledger};
use crate::record::{Cell, TableRecord};
use crate::rg::block_rule::BlockRule;
use crate::rg::monte_carlo::{self, EVEN, Level, ODD};
use crate::rg::standards::{self, kadanoff, tensor};
use crate::store::ConfigurationSet;

/// Exponents of all schemes, the fixed points of Kadanoff's, and ln Z at K_c.
///
/// # Errors
/// [`crate::error::Error::Bug`] if a fixed point is not found.
pub fn without_samples(bonds: &[usize]) -> Result<Vec<TableRecord>> {
    let (schemes, fixed_points) = standards::schemes()?;
    let mut exponents = TableRecord::new(
        "schemes",
        "scheme",
        "critical point and exponents by schemes of renormalization",
        &[
            ("fixed_point", "coupling of the fixed point", "1"),
            ("exact_coupling", "exact critical coupling of the lattice", "1"),
            ("thermal_exponent", "y_T, exactly 1", "1"),
            ("correlation_length_exponent", "nu = 1 / y_T, exactly 1", "1"),
            ("magnetic_exponent", "y_H, exactly 15/8", "1"),
        ],
    );
    for scheme in &schemes {
        let numbers =
            [scheme.coupling, scheme.exact_coupling, Some(scheme.thermal), Some(1.0 / scheme.thermal), scheme.magnetic].map(Cell::maybe);
        exponents.push(scheme.name.as_str(), numbers.to_vec());
    }
    Ok(vec![exponents, variational(&fixed_points), free_energies(bonds, fixed_points[0].parameter)?])
}

fn variational(fixed_points: &[kadanoff::FixedPoint]) -> TableRecord {
    let mut table = TableRecord::new(
        "variational",
        "branch",
        "fixed points of Kadanoff's variational renormalization",
        &[
            ("parameter", "optimal p of the operator T", "1"),
            ("nearest", "K_nn of a plaquette", "1"),
            ("next_nearest", "K_nnn of a plaquette", "1"),
            ("four_spin", "K_4 of a plaquette", "1"),
            ("even_1", "largest eigenvalue of even operators", "1"),
            ("even_2", "second eigenvalue of even operators", "1"),
            ("even_3", "third eigenvalue of even operators", "1"),
            ("odd_1", "largest eigenvalue of odd operators", "1"),
            ("odd_2", "second eigenvalue of odd operators", "1"),
        ],
    );
    for point in fixed_points {
        let numbers = std::iter::once(&point.parameter).chain(&point.couplings).chain(&point.even).chain(&point.odd);
        table.push(point.branch.name(), numbers.map(|&number| Cell::exact(number)).collect());
    }
    table
}

/// ln Z per site at K_c: the bound of the variational scheme, and tensors by the number of states of a bond.
fn free_energies(bonds: &[usize], critical_parameter: f64) -> Result<TableRecord> {
    let mut table = TableRecord::new(
        "free_energy",
        "scheme",
        "ln Z per site of the infinite square lattice at its critical coupling",
        &[
            ("log_partition_function_per_site", "ln Z per site", "1"),
            ("exact", "Onsager's value", "1"),
            ("difference", "ln Z per site less Onsager's value", "1"),
        ],
    );
    let exact = onsager::log_partition_function_per_site(critical_coupling());
    let mut push = |name: String, value: f64| table.push(name, [value, exact, value - exact].map(Cell::exact).to_vec());
    let (parameter, bound) = kadanoff::best_bound(critical_coupling())?;
    push(format!("Kadanoff variational, best constant p = {parameter:.4}"), bound);
    let bound = kadanoff::log_partition_function_bound(critical_coupling(), critical_parameter)?;
    push(format!("Kadanoff variational, p of the fixed point = {critical_parameter:.4}"), bound);
    for &bond in bonds {
        push(format!("tensor renormalization, χ = {bond}"), tensor::log_partition_function_per_site(critical_coupling(), bond)?);
    }
    Ok(table)
}

/// A step as words.
fn words_of(level: &Level) -> Vec<u64> {
    let pairs = level.thermal.iter().chain(&level.magnetic).chain(std::iter::once(&level.correlation));
    std::iter::once(level.side as u64).chain(pairs.flatten().map(|number| number.to_bits())).collect()
}

/// The steps of such words.
fn levels_of(words: &[u64]) -> Option<Vec<Level>> {
    let level = |words: &[u64]| {
        let (&side, numbers) = words.split_first()?;
        let pairs: Vec<[f64; 2]> = numbers.as_chunks().0.iter().map(|pair: &[u64; 2]| pair.map(f64::from_bits)).collect();
        let (thermal, rest) = pairs.split_at_checked(EVEN)?;
        let (magnetic, rest) = rest.split_at_checked(ODD)?;
        Some(Level {
            side: usize::try_from(side).ok()?,
            thermal: thermal.to_vec(),
            magnetic: magnetic.to_vec(),
            correlation: *rest.first()?,
        })
    };
    words.chunks(1 + 2 * (EVEN + ODD + 1)).map(level).collect()
}

/// Exponents step by step, from the configurations of every ensemble; `ledger` takes the notes.
///
/// # Errors
/// [`crate::error::Error::Usage`] if there are too few configurations or a lattice cannot be blocked so often.
pub fn monte_carlo(levels: usize, sets: &[ConfigurationSet], seed: u64, ledger: &dyn Ledger) -> Result<TableRecord> {
    let thermal: Vec<String> = (1..=EVEN).map(|count| format!("thermal_exponent_{count}")).collect();
    let magnetic: Vec<String> = (1..=ODD).map(|count| format!("magnetic_exponent_{count}")).collect();
    let mut columns = vec![
        ("size", "side L of the configurations", "1"),
        ("coupling", "coupling K of the configurations", "1"),
        ("side_before", "side of the lattice before the step", "1"),
        ("configurations", "number of configurations", "1"),
    ];
    columns.extend(thermal.iter().map(|name| (name.as_str(), "y_T from so many even operators, exactly 1 at K_c", "1")));
    columns.extend(magnetic.iter().map(|name| (name.as_str(), "y_H from so many odd operators, exactly 15/8 at K_c", "1")));
    columns.push(("correlation", "nearest-neighbour correlation after the step", "1"));
    let mut table = TableRecord::new("monte_carlo", "step", "Monte Carlo renormalization by 2 x 2 majority blocks", &columns);
    for (ensemble, set) in sets.iter().enumerate() {
        let entry = Entry::new(ledger, format!("Monte Carlo renormalization of ensemble {ensemble}"));
        let found = match entry.found().and_then(|words| levels_of(&words)) {
            Some(found) => found,
            None => {
                let torus = SquareTorus::new(set.size)?;
                let found = monte_carlo::renormalize(torus, &set.spins, BlockRule::Majority, levels, seed, (ensemble as u64) << 32)?;
                entry.finish(|| found.levels.iter().flat_map(words_of).collect());
                found.levels
            }
        };
        for level in &found {
            let mut cells = [set.size as f64, set.coupling, level.side as f64, set.spins.rows() as f64].map(Cell::exact).to_vec();
            cells.extend(level.thermal.iter().chain(&level.magnetic).map(|&pair| Cell::estimate(pair)));
            cells.push(Cell::estimate(level.correlation));
            table.push(format!("L = {}, K = {:.6}, {} → {}", set.size, set.coupling, level.side, level.side / 2), cells);
        }
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_survive_as_words() {
        let level = |side: usize| Level {
            side,
            thermal: (0..EVEN).map(|place| [place as f64, f64::INFINITY]).collect(),
            magnetic: (0..ODD).map(|place| [0.1 * place as f64, 0.3]).collect(),
            correlation: [0.7, 0.01],
        };
        let levels = vec![level(64), level(32)];
        assert_eq!(levels_of(&levels.iter().flat_map(words_of).collect::<Vec<u64>>()), Some(levels));
        assert_eq!(levels_of(&[1, 2, 3]), None);
    }
}
