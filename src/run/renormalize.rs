//! The stage `[renormalize]`: what the stack learned, held against block spins and against the exact mapping. Rank 0 does it, part after part, on a thread of its own; the others wait.

use super::controls::{self, Beside};
use super::notes::Notes;
use super::{comparison, decimation, flow, likelihood, locality, stack, stacks, standards};
use crate::config::{RenormalizeSection, Role};
use crate::error::Result;
use crate::lattice::SquareTorus;
use crate::rbm::{Matrix, Rbm, deep};
use crate::record::{Example, ReceptiveFieldSummary, ReconstructionRecord, RenormalizationRecord, TableRecord};
use crate::rg::{block_spin, mapping, receptive_field, reconstruction};
use crate::spins::{BitMatrix, Configuration};
use crate::store::ConfigurationSet;

/// A trained stack and the configurations it is judged by.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The lattice of the visible units.
    pub torus: SquareTorus,
    /// The couplings K of the configurations, which are there in equal shares.
    pub couplings: &'a [f64],
    /// The layers, from the lattice up.
    pub stack: &'a [Rbm],
    /// For each layer, the units that never move.
    pub dead_units: &'a [Vec<usize>],
    /// Configurations that no layer was trained on.
    pub held_out: &'a BitMatrix,
    /// The mean of each visible unit over the training data.
    pub means: &'a [f64],
    /// The seed of the run.
    pub seed: u64,
}

impl Subject<'_> {
    /// The coupling K of the configurations, if they have but one.
    pub fn coupling(&self) -> Option<f64> {
        if let [coupling] = self.couplings { Some(*coupling) } else { None }
    }
}

/// The work of one part, and of all parts together, in steps of one chain, for the progress: those of the likelihood, and a twentieth of them for any other part.
pub fn work(section: &RenormalizeSection) -> (u64, u64) {
    let steps = section.likelihood.map_or(0, |wanted| likelihood::options(&wanted, 0).steps());
    let trained = [
        section.receptive_fields,
        section.reconstructions,
        section.likelihood.is_some(),
        section.likelihood.is_some(),
        section.couplings || section.side_by_side,
        section.flow.is_some(),
    ];
    let others = [section.mapping, section.standards.is_some(), section.monte_carlo.is_some(), section.decimation.is_some()];
    let parts = trained.iter().chain(&others).map(|&wanted| u64::from(wanted)).sum::<u64>();
    let part = (steps / 20).max(1);
    (part, steps + parts * part)
}

/// Does what the section asks for; the parts about a network need a subject, Monte Carlo renormalization the kept configurations of all ensembles. Parts that `notes` have are not done again.
///
/// # Errors
/// [`crate::error::Error::NotFinite`] if a network holds a number that is not finite.
pub fn run(
    seed: u64,
    section: &RenormalizeSection,
    sets: &[ConfigurationSet],
    subject: Option<&Subject>,
    beside: &[Beside],
    notes: &Notes,
) -> Result<RenormalizationRecord> {
    let mut tables = tables(seed, section, sets, notes)?;
    let mappings = if section.mapping { notes.part("mappings", mapping::standard_mappings)? } else { Vec::new() };
    let Some(subject) = subject else {
        return Ok(RenormalizationRecord {
            mappings,
            receptive_fields: Vec::new(),
            reconstructions: Vec::new(),
            likelihood: None,
            tables,
            examples: Vec::new(),
        });
    };
    let receptive_fields =
        if section.receptive_fields { notes.part("receptive fields", || receptive_fields(subject))? } else { Vec::new() };
    let reconstructions =
        if section.reconstructions { notes.part("reconstructions", || reconstructions(subject, section.block_spins))? } else { Vec::new() };
    let likelihood =
        section.likelihood.map(|section| notes.part("likelihood", || likelihood::run(&section, subject, notes))).transpose()?;
    if let Some((section, first)) = section.likelihood.zip(likelihood.as_ref()) {
        tables.extend(notes.part("stack", || stack::run(&section, subject, first, notes))?);
    }
    let all = sets.iter().find(|set| set.size == subject.torus.side() && Some(set.coupling) == subject.coupling()).map(|set| &set.spins);
    tables.extend(notes.part("comparison", || comparison::run(section, subject, all, &reconstructions, likelihood.as_ref()))?);
    if let Some(training) = all.filter(|_| section.controls) {
        let training = training.slice_rows(0..training.rows().saturating_sub(subject.held_out.rows()));
        tables.push(notes.part("controls", || controls::table(subject, &training, &receptive_fields, &reconstructions, beside))?);
    }
    if beside.iter().any(|one| one.companion.role == Role::Seed) {
        let divergence = likelihood.as_ref().and_then(|found| found.divergence);
        tables.push(notes.part("seeds", || controls::seeds(section, subject, divergence, beside, notes))?);
    }
    tables.extend(stacks::tables(section, subject, likelihood.as_ref(), &tables, beside, notes)?);
    tables.extend(notes.part("locality", || locality::tables(beside))?);
    if let Some(section) = section.flow {
        tables.extend(notes.part("flow", || flow::run(section, subject, sets))?);
    }
    Ok(RenormalizationRecord { mappings, receptive_fields, reconstructions, likelihood, tables, examples: examples(subject, section)? })
}

/// The parts that leave tables.
fn tables(seed: u64, section: &RenormalizeSection, sets: &[ConfigurationSet], notes: &Notes) -> Result<Vec<TableRecord>> {
    let bonds = section.standards.as_deref();
    let mut tables = bonds.map_or_else(|| Ok(Vec::new()), |bonds| notes.part("standards", || standards::without_samples(bonds)))?;
    if let Some(levels) = section.monte_carlo {
        tables.push(notes.part("Monte Carlo", || standards::monte_carlo(levels, sets, seed, notes))?);
    }
    if let Some(section) = section.decimation {
        tables.extend(notes.part("decimation", || decimation::run(section, seed))?);
    }
    Ok(tables)
}

/// The fields of all layers.
pub(super) fn receptive_fields(subject: &Subject) -> Result<Vec<ReceptiveFieldSummary>> {
    let weights: Vec<&Matrix> = subject.stack.iter().map(|machine| &machine.weights).collect();
    receptive_field::summarize(subject.torus, &weights, subject.dead_units, subject.seed)
}

/// The side of the blocks that leave as many block spins as a layer has units.
pub(super) fn block_side(torus: SquareTorus, units: usize) -> Option<usize> {
    (2..=torus.side()).find(|&side| torus.side().is_multiple_of(side) && (torus.side() / side).pow(2) == units)
}

/// What comes back of the held-out configurations from each layer.
pub(super) fn reconstructions(subject: &Subject, with_blocks: bool) -> Result<Vec<ReconstructionRecord>> {
    let layers = subject.stack.iter().enumerate().map(|(layer, machine)| {
        let agreement = reconstruction::agreement(&deep::reconstruct(&subject.stack[..=layer], subject.held_out), subject.held_out)?;
        let side = block_side(subject.torus, machine.hidden()).filter(|_| with_blocks);
        let blocks = side.map(|side| block_spin::summarize_blocks(subject.torus, subject.held_out, side, subject.seed)).transpose()?;
        Ok(ReconstructionRecord {
            units: machine.hidden(),
            agreement,
            block_side: side,
            block_agreement: blocks.map(|blocks| blocks.block_agreement),
            iterated_block_agreement: blocks.and_then(|blocks| blocks.iterated_block_agreement),
            block_correlation: blocks.and_then(|blocks| blocks.block_correlation),
        })
    });
    layers.collect()
}

/// The first held-out configurations, as they come back from each layer.
fn examples(subject: &Subject, section: &RenormalizeSection) -> Result<Vec<Example>> {
    let shown = subject.held_out.slice_rows(0..section.examples.min(subject.held_out.rows()));
    let returned: Vec<Matrix> = (1..=subject.stack.len()).map(|depth| deep::reconstruct(&subject.stack[..depth], &shown)).collect();
    let of_row = |row: usize| {
        let configuration = Configuration::from_words(subject.torus, shown.row(row).to_vec());
        let blocks = subject.stack.iter().map(|machine| match block_side(subject.torus, machine.hidden()) {
            Some(side) if section.block_spins => block_spin::block_reconstruction(&configuration, side, subject.seed, row as u64),
            _ => Ok(Vec::new()),
        });
        Ok(Example {
            spins: shown.bits(row).iter().by_vals().collect(),
            reconstructions: returned.iter().map(|matrix| matrix.row(row).to_vec()).collect(),
            blocks: blocks.collect::<Result<_>>()?,
        })
    };
    (0..shown.rows()).map(of_row).collect()
}
