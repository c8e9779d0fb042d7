//! The flow of the first machine from all sampled couplings: `rg::flow` as the run file asks for it, put into tables. Rank 0 calls it.

use super::renormalize::Subject;
use crate::config::FlowSection;
use crate::error::{Error, Result};
use crate::exact::{critical_coupling, specific_heat_peak};
use crate::rbm::Rbm;
use crate::record::{Cell, TableRecord};
use crate::rg::flow::{self, Point, Start, Trajectory};
use crate::spins::BitMatrix;
use crate::store::ConfigurationSet;

/// The tables of the flow: every ensemble on its way, what became of each start, and the fixed points.
///
/// # Errors
/// [`Error::Bug`] for a stack without layers; [`Error::NotFinite`] if its first machine holds a number that is not finite.
pub fn run(section: FlowSection, subject: &Subject, sets: &[ConfigurationSet]) -> Result<Vec<TableRecord>> {
    let machine = subject.stack.first().ok_or_else(|| Error::Bug("a trained stack has no layers.".to_string()))?;
    if !machine.is_finite() {
        return Err(Error::NotFinite(
            "a parameter of the first layer is not a number: the network diverged, lower `learning_rate` and train again".to_string(),
        ));
    }
    let mut starts: Vec<Start> = sets
        .iter()
        .filter(|set| set.size == subject.torus.side())
        .map(|set| Start { coupling: set.coupling, states: spread(&set.spins, section.chains) })
        .collect();
    starts.sort_by(|one, other| one.coupling.total_cmp(&other.coupling));
    tables(section, subject, machine, &starts)
}

/// The same from given starts, in ascending order.
///
/// # Errors
/// None in practice.
pub fn tables(section: FlowSection, subject: &Subject, machine: &Rbm, starts: &[Start]) -> Result<Vec<TableRecord>> {
    let trajectories = flow::flow(machine, subject.torus, starts, section.steps, subject.seed);
    Ok(vec![on_the_way(&trajectories), starts_and_ends(&trajectories), fixed_points(&trajectories, subject.torus.side())])
}

/// So many of the rows, as far from each other as can be.
fn spread(rows: &BitMatrix, count: usize) -> BitMatrix {
    let count = count.min(rows.rows());
    let mut chosen = BitMatrix::new(count, rows.columns());
    (0..count).for_each(|place| chosen.row_mut(place).copy_from_slice(rows.row(place * rows.rows() / count)));
    chosen
}

fn on_the_way(trajectories: &[Trajectory]) -> TableRecord {
    let columns = [
        ("start", "coupling K of the configurations at the start", "1"),
        ("step", "steps v -> h -> v of the flow", "1"),
        ("energy_per_site", "energy per site", "J"),
        ("energy_variance", "variance of the energy, a site", "J^2"),
        ("absolute_magnetization", "absolute magnetization per site", "1"),
        ("magnetization_squared", "squared magnetization per site", "1"),
        ("correlation_length", "second-moment correlation length in lattice units", "1"),
        ("coupling", "coupling of the Ising model with this energy", "1"),
        ("specific_heat_per_site", "K^2 times the variance of the energy, K the coupling of this energy", "k_B"),
        ("ising_specific_heat", "specific heat of the Ising model with this energy", "k_B"),
    ];
    let mut table = TableRecord::new("flow", "ensemble", "the flow v -> h -> v -> ... of the first machine", &columns);
    for trajectory in trajectories {
        for point in &trajectory.points {
            let cells = vec![
                Cell::exact(trajectory.start),
                Cell::exact(point.step as f64),
                Cell::estimate(point.energy),
                Cell::estimate(point.energy_variance),
                Cell::estimate(point.absolute_magnetization),
                Cell::estimate(point.magnetization_squared),
                Cell::estimate(point.correlation_length),
                Cell::maybe_estimate(point.coupling),
                Cell::maybe_estimate(point.specific_heat),
                Cell::maybe(point.ising_specific_heat),
            ];
            table.push(format!("from K = {:.6}, step {}", trajectory.start, point.step), cells);
        }
    }
    table
}

/// How much closer to K_c an ensemble has come, |ln(K_start / K_c)| - |ln(K / K_c)|, with its error: the same number for couplings and for temperatures.
fn approach(start: f64, end: &Point) -> Option<[f64; 2]> {
    let [coupling, error] = end.coupling.filter(|coupling| coupling[0] > 0.0 && start > 0.0)?;
    let distance = |coupling: f64| (coupling / critical_coupling()).ln().abs();
    Some([distance(start) - distance(coupling), error / coupling])
}

fn starts_and_ends(trajectories: &[Trajectory]) -> TableRecord {
    let columns = [
        ("start", "coupling K of the configurations at the start", "1"),
        ("first_change", "change of the energy per site in the first step", "J"),
        ("steps", "steps of the flow", "1"),
        ("coupling", "coupling of the Ising model with the energy at the end", "1"),
        ("temperature", "its temperature", "J/k_B"),
        ("approach", "how much closer to the critical coupling, |ln(K_start/K_c)| - |ln(K/K_c)|", "1"),
        ("specific_heat_per_site", "specific heat at the end", "k_B"),
        ("ising_specific_heat", "specific heat of the Ising model with the energy at the end", "k_B"),
    ];
    let mut table = TableRecord::new("flow_ends", "trajectory", "what became of each start of the flow", &columns);
    for trajectory in trajectories {
        let Some(end) = trajectory.points.last() else { continue };
        let cells = vec![
            Cell::exact(trajectory.start),
            Cell::estimate(trajectory.first_change),
            Cell::exact(end.step as f64),
            Cell::maybe_estimate(end.coupling),
            Cell::maybe_estimate(end.coupling.map(temperature)),
            Cell::maybe_estimate(approach(trajectory.start, end)),
            Cell::maybe_estimate(end.specific_heat),
            Cell::maybe(end.ising_specific_heat),
        ];
        table.push(format!("K = {:.6}", trajectory.start), cells);
    }
    table
}

/// 1/K with its error.
fn temperature([coupling, error]: [f64; 2]) -> [f64; 2] {
    [1.0 / coupling, error / (coupling * coupling)]
}

fn fixed_points(trajectories: &[Trajectory], side: usize) -> TableRecord {
    let columns = [
        ("coupling", "coupling of the fixed point", "1"),
        ("temperature", "temperature of the fixed point", "J/k_B"),
        ("difference", "its coupling less the critical one, relative to that", "1"),
        ("attracts", "1 if the flow leads towards it from both sides, 0 if away from it", "1"),
        ("spread", "largest less smallest coupling at the end, over all starts", "1"),
        ("chi_squared", "scatter of these couplings in units of their errors, squared, a degree of freedom", "1"),
    ];
    let mut table = TableRecord::new("flow_fixed_points", "fixed_point", "fixed points of the flow", &columns);
    let critical = critical_coupling();
    let mut push = |label: String, coupling: [f64; 2], rest: [Cell; 3]| {
        let difference = [coupling[0] / critical - 1.0, coupling[1] / critical];
        // Exact values have no error.
        let cell = |pair: [f64; 2]| if pair[1] > 0.0 { Cell::estimate(pair) } else { Cell::exact(pair[0]) };
        let cells = [coupling, temperature(coupling), difference].map(cell);
        table.push(label, cells.into_iter().chain(rest).collect());
    };
    let ends: Vec<[f64; 2]> = trajectories.iter().filter_map(|trajectory| trajectory.points.last()?.coupling).collect();
    if let Some((mean, chi_squared)) = weighted(&ends) {
        let extreme = |pick: fn(f64, f64) -> f64| ends.iter().map(|end| end[0]).reduce(pick).unwrap_or(f64::NAN);
        let steps = trajectories.iter().filter_map(|trajectory| Some(trajectory.points.last()?.step)).max().unwrap_or(0);
        let rest = [Cell::NONE, Cell::exact(extreme(f64::max) - extreme(f64::min)), Cell::exact(chi_squared)];
        push(format!("after {steps} steps, mean over {} starts", ends.len()), mean, rest);
    }
    for crossing in flow::crossings(trajectories) {
        let attracts = f64::from(u8::from(crossing.attracts));
        push("no change of the energy in the first step".to_string(), crossing.coupling, [Cell::exact(attracts), Cell::NONE, Cell::NONE]);
    }
    let peak = specific_heat_peak(side).coupling;
    push(format!("for comparison: peak of the specific heat at L = {side}"), [peak, 0.0], [Cell::NONE; 3]);
    push("for comparison: critical point of the infinite lattice".to_string(), [critical, 0.0], [Cell::NONE; 3]);
    table
}

/// The mean of couplings weighted by their errors, and chi^2 a degree of freedom. Where they scatter more than their errors, the error of the mean grows by the root of that.
fn weighted(values: &[[f64; 2]]) -> Option<([f64; 2], f64)> {
    let usable: Vec<[f64; 2]> =
        values.iter().copied().filter(|[value, error]| value.is_finite() && error.is_finite() && *error > 0.0).collect();
    if usable.len() < 2 {
        return None;
    }
    let weight: f64 = usable.iter().map(|[_, error]| error.powi(-2)).sum();
    let mean = usable.iter().map(|[value, error]| value * error.powi(-2)).sum::<f64>() / weight;
    let chi_squared = usable.iter().map(|[value, error]| ((value - mean) / error).powi(2)).sum::<f64>() / (usable.len() - 1) as f64;
    Some(([mean, (chi_squared.max(1.0) / weight).sqrt()], chi_squared))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_carry_their_errors_and_their_scatter() {
        let ([mean, error], chi_squared) = weighted(&[[1.0, 0.1], [1.0, 0.1], [f64::NAN, 0.1]]).unwrap();
        assert!((mean - 1.0).abs() < 1e-15 && (error - 0.1 / 2f64.sqrt()).abs() < 1e-15 && chi_squared == 0.0);
        let ([mean, error], chi_squared) = weighted(&[[1.0, 0.1], [2.0, 0.1]]).unwrap();
        assert!((mean - 1.5).abs() < 1e-12 && (chi_squared - 50.0).abs() < 1e-9 && (error - 0.5).abs() < 1e-9);
        assert!(weighted(&[[1.0, 0.1]]).is_none());
    }

    #[test]
    fn rows_are_spread() {
        let rows = BitMatrix::from_words(10, 8, {
            let mut next = 0;
            move || {
                next += 1;
                next - 1
            }
        });
        assert_eq!(spread(&rows, 3).words(), [0, 3, 6]);
        assert_eq!(spread(&rows, 30).rows(), 10);
    }

    #[test]
    fn coming_closer_is_the_same_for_temperatures() {
        let point = |coupling: f64| Point {
            step: 1,
            energy: [0.0; 2],
            energy_variance: [0.0; 2],
            absolute_magnetization: [0.0; 2],
            magnetization_squared: [0.0; 2],
            correlation_length: [0.0; 2],
            coupling: Some([coupling, 0.01]),
            specific_heat: None,
            ising_specific_heat: None,
        };
        let critical = critical_coupling();
        let near = |start: f64, end: f64, expected: f64| (approach(start, &point(end)).unwrap()[0] - expected).abs() < 1e-12;
        assert!(near(2.0 * critical, critical, 2f64.ln()) && near(critical / 2.0, critical, 2f64.ln()));
        assert!(near(0.5 * critical, 2.0 * critical, 0.0) && near(critical, 3.0 * critical, -3f64.ln()));
        assert!(approach(0.4, &point(-0.1)).is_none());
    }
}
