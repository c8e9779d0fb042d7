//! Were the chains in equilibrium? The table `equilibration` of the group `/analyses`: how far they drift, and how far those that began hot and those that began cold are apart. Rank 0 makes
//! it, at the end of `[sample]` and again for `kadanoff report`, whose page warns of what is too rare.

use crate::measure::Series;
use crate::record::{Cell, Ensemble, SamplingRecord, TableRecord};
use crate::statistics::drift;

/// The name of the table.
pub const TABLE: &str = "equilibration";

/// What is looked at, of each draw.
type Values = fn(&Series) -> Vec<f64>;

/// The energy and M^2, in the order of the columns.
const WATCHED: [Values; 2] = [
    |series| series.energy.iter().map(|&energy| energy as f64).collect(),
    |series| series.magnetization.iter().map(|&magnetization| (magnetization as f64).powi(2)).collect(),
];

/// The table: a row an ensemble.
pub(super) fn table(sampling: &SamplingRecord) -> TableRecord {
    let columns = [
        ("size", "side of the lattice", "1"),
        ("coupling", "coupling K", "1"),
        ("energy_drift", "energy: first tenth of the draws less the last half, in errors", "1"),
        ("energy_drift_probability", "energy: probability of a drift at least as large in equilibrium", "1"),
        ("magnetization_squared_drift", "M^2: first tenth of the draws less the last half, in errors", "1"),
        ("magnetization_squared_drift_probability", "M^2: probability of a drift at least as large in equilibrium", "1"),
        ("energy_of_starts", "energy: first tenth of the chains that began hot less that of the others, in errors", "1"),
        ("energy_of_starts_probability", "energy: probability of a difference at least as large in equilibrium", "1"),
        ("magnetization_squared_of_starts", "M^2: first tenth of the chains that began hot less that of the others, in errors", "1"),
        ("magnetization_squared_of_starts_probability", "M^2: probability of a difference at least as large in equilibrium", "1"),
    ];
    let mut table = TableRecord::new(TABLE, "ensemble", "how far chains are from what they would be in equilibrium", &columns);
    for ensemble in &sampling.ensembles {
        let mut cells = vec![Cell::exact(ensemble.size as f64), Cell::exact(ensemble.coupling)];
        cells.extend(of(ensemble, |chains| Some((drift::drift(chains)?, chains.len()))));
        // Two means are taken of the chains: one degree of freedom less than for a drift.
        let of_starts = |chains: &[Vec<f64>]| {
            let kind = |first: usize| chains.iter().skip(first).step_by(2).cloned().collect::<Vec<Vec<f64>>>();
            Some((drift::difference_of_starts(&kind(0), &kind(1))?, chains.len() - 1))
        };
        cells.extend(of(ensemble, |chains| if sampling.start == "both" { of_starts(chains) } else { None }));
        table.push(format!("L = {}, K = {}", ensemble.size, ensemble.coupling), cells);
    }
    table
}

/// Two cells for each that is watched: in errors, and how rare that is with so many chains. Without any scatter there are no errors, and the probability is 0.
fn of(ensemble: &Ensemble, measure: impl Fn(&[Vec<f64>]) -> Option<(f64, usize)>) -> Vec<Cell> {
    let both = |values: Values| {
        let found = measure(&ensemble.chains.iter().map(values).collect::<Vec<_>>());
        let rarity = found.map(|(errors, chains)| if errors.is_finite() { drift::probability(errors, chains) } else { 0.0 });
        [Cell::maybe(found.map(|(errors, _)| errors)), Cell::maybe(rarity)]
    };
    WATCHED.into_iter().flat_map(both).collect()
}
