//! The receptive fields of the trained stack beside their controls, and the seeds of a run beside each other. Rank 0 calls it.

use super::companions;
use super::likelihood;
use super::notes::Notes;
use super::renormalize::{Subject, block_side, receptive_fields};
use super::train::{TrainedStack, companion_stack};
use crate::config::{Companion, RenormalizeSection, Role};
use crate::error::Result;
use crate::rbm::{Matrix, deep};
use crate::record::{Cell, CompanionRecord, ReceptiveFieldSummary, ReconstructionRecord, TableRecord};
use crate::rg::controls::{PlaneWaves, block_fields, permuted_weights};
use crate::rg::receptive_field::{summarize, summarize_layer};
use crate::rg::reconstruction;
use crate::spins::BitMatrix;
use crate::store::ConfigurationSet;

/// Configurations from which the structure factor is taken, at most: only the order of the waves depends on it.
const MOST_CONFIGURATIONS: usize = 4000;

/// A companion with what was trained of it.
pub struct Beside {
    /// What it is.
    pub companion: Companion,
    /// Its stack.
    pub stack: TrainedStack,
}

impl Beside {
    /// All companions of a finished training, in their order.
    ///
    /// # Errors
    /// [`crate::error::Error::Refused`] if the configurations are not those of the run file.
    pub fn all(wanted: Vec<Companion>, found: &[CompanionRecord], main: &TrainedStack, sets: &[ConfigurationSet]) -> Result<Vec<Beside>> {
        let beside = |(companion, record): (Companion, &CompanionRecord)| {
            companion_stack(&companion, record, main, sets).map(|stack| Beside { companion, stack })
        };
        wanted.into_iter().zip(found).map(beside).collect()
    }

    /// It as the analysis looks at it.
    pub fn subject(&self) -> Subject<'_> {
        self.stack.subject(self.companion.job.seed)
    }
}

/// What is said of the fields of a layer: name, words, units.
pub const COLUMNS: [(&str, &str, &str); 16] = [
    ("layer", "layer of the stack", "1"),
    ("units", "number of units", "1"),
    ("dead", "units that never move, or whose field is 0 everywhere", "1"),
    ("duplicates", "live units whose field repeats that of an earlier one", "1"),
    ("share_4", "mean share of r^2 in the best 4 x 4 window", "1"),
    ("share_8", "the same, 8 x 8", "1"),
    ("share_16", "the same, 16 x 16", "1"),
    ("median_share_4", "median share of r^2 in the best 4 x 4 window", "1"),
    ("median_share_8", "the same, 8 x 8", "1"),
    ("median_share_16", "the same, 16 x 16", "1"),
    ("participation_ratio", "median participation ratio in sites", "1"),
    ("radius_of_gyration", "median radius of gyration in lattice units", "1"),
    ("sign_coherence", "mean of |sum r| / sum |r|", "1"),
    ("tiling", "share of the cells of the ideal tiling that hold a centre", "1"),
    ("overlap", "mean over units of the largest overlap with another one", "1"),
    ("agreement", "share of held-out spins that come back", "1"),
];

fn cells(layer: usize, fields: &ReceptiveFieldSummary, agreement: Option<[f64; 2]>) -> Vec<Cell> {
    let counts = [layer as f64, fields.units as f64, fields.dead() as f64, fields.duplicates as f64];
    let shares = fields.mean_window_share.into_iter().chain(fields.median_window_share);
    let others =
        [fields.median_participation_ratio, fields.median_radius_of_gyration, fields.mean_sign_coherence, fields.tiling, fields.overlap];
    let numbers = counts.into_iter().chain(shares).chain(others).map(Cell::exact);
    numbers.chain(std::iter::once(Cell::maybe_estimate(agreement))).collect()
}

/// One stack, all its layers.
fn push(table: &mut TableRecord, name: &str, layers: &[ReceptiveFieldSummary], agreement: &dyn Fn(usize) -> Option<[f64; 2]>) {
    for (layer, fields) in layers.iter().enumerate() {
        table.push(name, cells(layer + 1, fields, agreement(layer)));
    }
}

/// The rows of a stack, one a layer.
///
/// # Errors
/// As for [`table`].
pub fn push_stack(table: &mut TableRecord, name: &str, subject: &Subject) -> Result<()> {
    let agreements = agreements(subject)?;
    push(table, name, &receptive_fields(subject)?, &|layer| agreements.get(layer).copied());
    Ok(())
}

/// The agreement of every layer of a stack.
///
/// # Errors
/// None in practice.
pub fn agreements(subject: &Subject) -> Result<Vec<[f64; 2]>> {
    (1..=subject.stack.len())
        .map(|depth| reconstruction::agreement(&deep::reconstruct(&subject.stack[..depth], subject.held_out), subject.held_out))
        .collect()
}

/// The table of controls: one row a stack and layer.
///
/// # Errors
/// [`crate::error::Error::NotFinite`] if a network holds a number that is not finite.
pub fn table(
    subject: &Subject,
    training: &BitMatrix,
    fields: &[ReceptiveFieldSummary],
    reconstructions: &[ReconstructionRecord],
    beside: &[Beside],
) -> Result<TableRecord> {
    let mut table = TableRecord::new("controls", "network", "receptive fields of the trained stack beside their controls", &COLUMNS);
    let own = fields_of(subject, fields)?;
    let own_agreements = match reconstructions.len() == subject.stack.len() {
        true => reconstructions.iter().map(|record| record.agreement).collect(),
        false => agreements(subject)?,
    };
    push(&mut table, "trained", &own, &|layer| own_agreements.get(layer).copied());
    for one in beside.iter().filter(|one| one.companion.role.is_control()) {
        let (other, name) = (one.subject(), one.companion.name.as_str());
        let agreements = agreements(&other)?;
        push(&mut table, name, &receptive_fields(&other)?, &|layer| agreements.get(layer).copied());
        if let Some(order) = companions::order_of_sites(&one.companion, subject.torus) {
            // The first weights with every site where it belongs; what stands above them does not know of sites.
            let mut first = Matrix::zero(order.len(), other.stack[0].hidden());
            for (unit, &site) in order.iter().enumerate() {
                first.row_mut(site).copy_from_slice(other.stack[0].weights.row(unit));
            }
            let weights: Vec<&Matrix> = std::iter::once(&first).chain(other.stack[1..].iter().map(|machine| &machine.weights)).collect();
            let back = summarize(subject.torus, &weights, other.dead_units, subject.seed)?;
            push(&mut table, &format!("{name}, then put back"), &back, &|layer| agreements.get(layer).copied());
        }
    }
    let weights: Vec<&Matrix> = subject.stack.iter().map(|machine| &machine.weights).collect();
    let permuted = permuted_weights(&weights, subject.seed);
    let none = vec![Vec::new(); permuted.len()];
    push(
        &mut table,
        "weights in random places",
        &summarize(subject.torus, &permuted.iter().collect::<Vec<_>>(), &none, subject.seed)?,
        &|_| None,
    );
    let waves = PlaneWaves::of(subject.torus, &training.spread_rows(training.rows().min(MOST_CONFIGURATIONS)));
    for (layer, machine) in subject.stack.iter().enumerate().filter(|(_, machine)| machine.hidden() <= subject.torus.sites()) {
        let found = summarize_layer(subject.torus, &waves.fields(machine.hidden()), &[], subject.seed, layer)?;
        let mut row = cells(layer + 1, &found, Some(waves.agreement(machine.hidden(), subject.held_out)?));
        // A plane wave has no centre.
        for column in ["radius_of_gyration", "tiling"].iter().filter_map(|name| table.column(name)) {
            row[column] = Cell::NONE;
        }
        table.push("principal components", row);
    }
    for (layer, machine) in subject.stack.iter().enumerate() {
        if let Some(side) = block_side(subject.torus, machine.hidden()) {
            let found = summarize_layer(subject.torus, &block_fields(subject.torus, side), &[], subject.seed, layer)?;
            let agreement = reconstructions.get(layer).and_then(|record| record.block_agreement);
            table.push("majority blocks", cells(layer + 1, &found, agreement));
        }
    }
    Ok(table)
}

/// The fields of the main stack, if they are not there already.
fn fields_of(subject: &Subject, fields: &[ReceptiveFieldSummary]) -> Result<Vec<ReceptiveFieldSummary>> {
    if fields.len() == subject.stack.len() { Ok(fields.to_vec()) } else { receptive_fields(subject) }
}

/// Mean and standard error over the seeds, layer by layer; the divergence is that of the first machine.
///
/// # Errors
/// As [`table`].
pub fn seeds(
    section: &RenormalizeSection,
    subject: &Subject,
    divergence: Option<[f64; 2]>,
    beside: &[Beside],
    notes: &Notes,
) -> Result<TableRecord> {
    let mut columns = COLUMNS.to_vec();
    columns.push(("divergence", "Kullback-Leibler divergence of the first machine from the data, in nats", "nat"));
    columns.push(("seeds", "seeds with a divergence", "1"));
    let mut table = TableRecord::new("seeds", "layer_of_seeds", "mean over networks that differ in their random numbers", &columns);
    let mut layers: Vec<Vec<Vec<Cell>>> = vec![Vec::new(); subject.stack.len()];
    let mut divergences = vec![divergence];
    let others = beside.iter().filter(|one| one.companion.role == Role::Seed).map(Beside::subject);
    for (number, one) in std::iter::once(*subject).chain(others).enumerate() {
        let (fields, agreements) = (receptive_fields(&one)?, agreements(&one)?);
        for (layer, fields) in fields.iter().enumerate() {
            layers[layer].push(cells(layer + 1, fields, Some(agreements[layer])));
        }
        if let (Some(section), 1..) = (&section.likelihood, number) {
            // A part of its own, so that the next seed does not go on from its states.
            let found = notes.part(&format!("likelihood of seed {}", number + 1), || likelihood::run(section, &one, notes))?;
            divergences.push(found.divergence);
        }
    }
    let known: Vec<[f64; 2]> = divergences.into_iter().flatten().collect();
    for (layer, rows) in layers.iter().enumerate() {
        let column = |column: usize| -> Vec<f64> { rows.iter().filter_map(|row| row[column].value).collect() };
        let mut row: Vec<Cell> = (0..COLUMNS.len()).map(|index| mean_over_seeds(&column(index), index < 2)).collect();
        row.push(if layer == 0 && !known.is_empty() { mean_divergence(&known) } else { Cell::NONE });
        row.push(if layer == 0 { Cell::exact(known.len() as f64) } else { Cell::NONE });
        table.push(format!("layer {}, {} seeds", layer + 1, rows.len()), row);
    }
    Ok(table)
}

/// The mean of the divergences of the seeds. Half the gap between the directions of annealing is not chance, so the mean of their own errors does not fall with their number.
fn mean_divergence(values: &[[f64; 2]]) -> Cell {
    let own = values.iter().map(|[_, error]| error).sum::<f64>() / values.len() as f64;
    let mean = mean_over_seeds(&values.iter().map(|[value, _]| *value).collect::<Vec<f64>>(), false);
    let scatter = mean.error.unwrap_or(0.0);
    Cell { error: Some(scatter.hypot(own)), ..mean }
}

fn mean_over_seeds(values: &[f64], is_constant: bool) -> Cell {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    if is_constant || values.len() < 2 { Cell::exact(mean) } else { Cell::estimate([mean, (variance / count).sqrt()]) }
}
