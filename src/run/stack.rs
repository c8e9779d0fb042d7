//! Which of the two samples the right thermodynamics: the first machine of a stack, or the whole stack from its top? `rbm::likelihood::stack` put into tables. Rank 0 calls it.

use super::likelihood::options;
use super::renormalize::Subject;
use crate::config::LikelihoodSection;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::rbm::likelihood::stack;
use crate::rbm::likelihood::verdict::Verdict;
use crate::record::{Cell, LikelihoodRecord, TableRecord};

/// The observables by which a model is judged.
const NAMES: [&str; 2] = ["energy_per_site", "specific_heat_per_site"];

/// What is said of a model: name, words, units.
pub const COLUMNS: [(&str, &str, &str); 9] = [
    ("layers", "layers of the model", "1"),
    ("forward", "ln Z of its top machine by annealing, forward", "1"),
    ("reverse", "ln Z of its top machine by annealing, reverse", "1"),
    ("enumerated", "ln Z of its top machine by enumeration", "1"),
    ("negative_log_likelihood", "mean of -ln p(v) over the held-out configurations; an upper bound of it for a stack", "nat"),
    ("divergence", "Kullback-Leibler divergence from the Ising law; an upper bound of it for a stack", "nat"),
    ("energy_deviation", "energy sampled from random starts, over the exact one, less 1", "1"),
    ("specific_heat_deviation", "specific heat sampled from random starts, over the exact one, less 1", "1"),
    (
        "is_right",
        "1 if the energy is within 0.01 and the specific heat within 0.05 of exact, with two standard errors to spare, 0 if one of them is not by more than two, 0.5 if the errors do not tell",
        "1",
    ),
];

/// The row of a model in these columns.
fn row(layers: usize, numbers: [Cell; 5], [energy, heat]: [Option<Sampled>; 2]) -> Vec<Cell> {
    let deviations = [energy, heat].map(|one| one.and_then(Sampled::deviation));
    let verdict = match deviations {
        [Some(energy), Some(heat)] => Some(Verdict::of([energy, heat])),
        _ => None,
    };
    let ends = [Cell::maybe_estimate(deviations[0]), Cell::maybe_estimate(deviations[1]), Cell::maybe(verdict.map(Verdict::number))];
    std::iter::once(Cell::exact(layers as f64)).chain(numbers).chain(ends).collect()
}

/// The row of a first machine.
pub fn first_row(first: &LikelihoodRecord) -> Vec<Cell> {
    let of_first = |name: &str| {
        first.observables.iter().find(|row| row.name == name).map(|row| Sampled { from_random: row.from_random, exact: row.exact })
    };
    let numbers = [
        Cell::estimate([first.forward.log_partition_function, first.forward.error]),
        Cell::estimate([first.reverse.log_partition_function, first.reverse.error]),
        Cell::maybe(first.exact_log_partition_function),
        Cell::maybe_estimate(first.negative_log_likelihood),
        Cell::maybe_estimate(first.divergence),
    ];
    row(1, numbers, NAMES.map(of_first))
}

/// The tables `models` and `stack_thermodynamics`; none for a stack of one layer, which is the first machine.
///
/// # Errors
/// [`Error::NotFinite`] if a machine holds a number that is not finite.
pub fn run(section: &LikelihoodSection, subject: &Subject, first: &LikelihoodRecord, ledger: &dyn Ledger) -> Result<Vec<TableRecord>> {
    if subject.stack.len() < 2 {
        return Ok(Vec::new());
    }
    if let Some(layer) = subject.stack.iter().position(|machine| !machine.is_finite()) {
        return Err(Error::NotFinite(format!(
            "a parameter of layer {} is not a number: the network diverged, lower `learning_rate` and train again",
            layer + 1
        )));
    }
    let coupling = subject.coupling().ok_or_else(|| Error::Bug("the likelihood needs data of one coupling.".to_string()))?;
    let found = stack::assess(subject.stack, subject.held_out, subject.torus, coupling, &options(section, subject.seed), ledger);
    let mut models = TableRecord::new("models", "model", "the first machine and the whole stack as models of the spins", &COLUMNS);
    models.push("first machine", first_row(first));
    let rows = &found.thermodynamics.observables;
    let of_stack =
        |name: &str| rows.iter().find(|row| row.name == name).map(|row| Sampled { from_random: row.from_random, exact: row.exact });
    let numbers = [
        Cell::estimate([found.forward.log_partition_function, found.forward.error]),
        Cell::estimate([found.reverse.log_partition_function, found.reverse.error]),
        Cell::maybe(found.exact),
        Cell::maybe_estimate(found.negative_log_likelihood()),
        Cell::maybe_estimate(found.divergence()),
    ];
    models.push("stack", row(subject.stack.len(), numbers, NAMES.map(of_stack)));
    let columns = [
        ("first_machine", "first machine from random spins", "1"),
        ("stack_from_data", "stack, its top machine from the activities of held-out configurations", "1"),
        ("stack_from_random", "stack, its top machine from random states", "1"),
        ("exact", "the Ising model at the coupling of the data", "1"),
    ];
    let mut table =
        TableRecord::new("stack_thermodynamics", "observable", "thermodynamics of the first machine and of the stack", &columns);
    for (row, first) in rows.iter().zip(&first.observables) {
        let cells = [first.from_random, row.from_data, row.from_random].map(Cell::estimate);
        table.push(row.long_name, cells.into_iter().chain([Cell::maybe(row.exact)]).collect());
    }
    // Those of the first machine are of the same torus, so that their distances are the same.
    for (row, first) in found.thermodynamics.correlations.iter().zip(&first.correlations) {
        let cells = [first.from_random, row.from_data, row.from_random].map(Cell::estimate);
        table.push(format!("two-point function at distance {}", row.distance), cells.into_iter().chain([Cell::exact(row.exact)]).collect());
    }
    Ok(vec![models, table])
}

/// An observable as chains from random starts have it.
#[derive(Clone, Copy)]
struct Sampled {
    from_random: [f64; 2],
    exact: Option<f64>,
}

impl Sampled {
    /// What it is off the exact value, as a share of that, with its error.
    fn deviation(self) -> Option<[f64; 2]> {
        let exact = self.exact.filter(|&exact| exact != 0.0)?;
        Some([self.from_random[0] / exact - 1.0, (self.from_random[1] / exact).abs()])
    }
}
