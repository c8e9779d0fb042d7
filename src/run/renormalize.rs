//! The stage `[renormalize]`: what the stack learned, held against block spins and against the exact mapping. Rank 0 does it, part after part, on a thread of its own; the others wait.

use super::controls::{self, Beside};
use super::notes::Notes;
use super::{comparison, decimation, flow, likelihood, locality, stack, stacks, standards, training_data};
use crate::config::{RenormalizeSection, Role, RunFile};
use crate::error::{Error, Result};
use crate::lattice::SquareTorus;
use crate::rbm::{Matrix, Rbm, deep};
use crate::record::{Example, ReceptiveFieldSummary, ReconstructionRecord, RenormalizationRecord, TableRecord};
use crate::rg::block_spin::{self, Blocks};
use crate::rg::reconstruction::{self, Agreement};
use crate::rg::{mapping, receptive_field};
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

/// The work of one part, and of all parts together, in steps of one chain, for the progress: those of the likelihoods, of the main network and of its other seeds, and a twentieth of those of
/// one for any part.
pub fn work(job: &RunFile, section: &RenormalizeSection) -> (u64, u64) {
    let options = section.likelihood.map(|wanted| likelihood::options(&wanted, 0));
    let steps = options.map_or(0, |options| options.steps());
    let count = |wanted: bool| u64::from(wanted);
    let without_network = [section.mapping, section.standards.is_some(), section.monte_carlo.is_some(), section.decimation.is_some()];
    let mut parts = without_network.into_iter().map(count).sum::<u64>();
    let mut chains = 0;
    if let Some(train) = &job.train {
        let companions = job.companions();
        let of_role = |role: Role| companions.iter().filter(|companion| companion.role == role).count() as u64;
        let with_network = [
            section.mapping,
            section.receptive_fields,
            section.reconstructions,
            section.couplings || section.side_by_side,
            section.controls,
            of_role(Role::Seed) > 0,
            of_role(Role::Scan) > 0,
            section.flow.is_some(),
        ];
        parts += with_network.into_iter().map(count).sum::<u64>();
        if let Some(options) = options {
            let machines = 1 + of_role(Role::Seed);
            parts += 1 + machines;
            chains = machines * steps + if train.layers.len() > 1 { options.annealing_steps() } else { 0 };
        }
    }
    let part = (steps / 20).max(1);
    (part, chains + parts * part)
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
    let mut mappings = if section.mapping { notes.part("mappings", mapping::standard_mappings)? } else { Vec::new() };
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
    if section.mapping {
        mappings.extend(notes.part("trained mapping", || super::mapping::of_trained(subject))?);
    }
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
    if section.couplings || section.side_by_side {
        tables.extend(notes.part("comparison", || comparison::run(section, subject, all, &reconstructions, likelihood.as_ref()))?);
    }
    if section.controls {
        let training = training_data::trained_on(sets, subject.torus.side(), subject.couplings, subject.held_out.rows())
            .ok_or_else(|| Error::Bug("the configurations that the controls need are not there.".to_string()))?;
        tables.push(notes.part("controls", || controls::table(subject, &training, &receptive_fields, &reconstructions, beside))?);
    }
    if beside.iter().any(|one| one.companion.role == Role::Seed) {
        let divergence = likelihood.as_ref().and_then(|found| found.divergence);
        tables.push(notes.part("seeds", || controls::seeds(section, subject, divergence, beside, notes))?);
    }
    tables.extend(stacks::tables(section, subject, likelihood.as_ref(), &tables, beside, notes)?);
    if beside.iter().any(|one| one.companion.role == Role::Scan) {
        tables.extend(notes.part("locality", || locality::tables(beside))?);
    }
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
        let halves = reconstruction::halves(&deep::reconstruct(&subject.stack[..=layer], subject.held_out), subject.held_out)?;
        let side = block_side(subject.torus, machine.hidden()).filter(|_| with_blocks);
        let blocks = side.map(|side| Blocks::of(subject.torus, subject.held_out, side, subject.seed)).transpose()?;
        let summary = blocks.as_ref().map(Blocks::summary);
        Ok(ReconstructionRecord {
            units: machine.hidden(),
            agreement: Agreement::of(subject.torus.sites(), &halves).mean_and_error(),
            block_side: side,
            block_agreement: summary.map(|summary| summary.block_agreement),
            iterated_block_agreement: summary.and_then(|summary| summary.iterated_block_agreement),
            advantage: blocks.map(|blocks| blocks.advantage(&halves)),
            block_correlation: summary.and_then(|summary| summary.block_correlation),
        })
    });
    layers.collect()
}

/// Some held-out configurations, from all couplings alike, as they come back from each layer.
fn examples(subject: &Subject, section: &RenormalizeSection) -> Result<Vec<Example>> {
    let shown = subject.held_out.spread_rows(section.examples.min(subject.held_out.rows()));
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

#[cfg(test)]
mod tests {
    use super::super::progress::Progress;
    use super::super::train::TrainedStack;
    use super::*;
    use crate::lattice::Geometry;
    use crate::random::{Purpose, Stream};
    use std::collections::BTreeMap;

    const JOB: &str = "seed = 5\n[lattice]\nsizes = [8]\n[sample]\ncouplings = [0.3, 0.4]\nthermalization = 10\nsweeps = 1000\nconfigurations = 60\n[train]\nlayers = [16, 4]\nepochs = 1\n\
                       minibatch = 10\nheld_out = 20\nl1 = 1e-3\nseeds = 2\n";
    const SCAN: &str = "scan = { l1 = [1e-3, 4e-3], samples = [20] }\n";
    const LIKELIHOOD: &str = "annealing_chains = 8\nannealing_temperatures = 30\nsampling_chains = 6\nsampling_sweeps = 20\n";

    /// Random machines in the place of trained ones, and the stage on them.
    fn outcome(text: &str) -> (RenormalizationRecord, u64, u64) {
        let job = RunFile::parse_for(text, "job.toml", None).expect("a run file");
        let (section, train) = (job.renormalize.as_ref().expect("a section"), job.train.as_ref().expect("a section"));
        let torus = SquareTorus::new(8).expect("a lattice");
        let mut stream = Stream::new(1, Purpose::Check, 0);
        let set = |&coupling: &f64| ConfigurationSet {
            geometry: Geometry::Square,
            size: 8,
            coupling,
            spins: BitMatrix::from_words(60, 64, || stream.word()),
            chains: vec![0; 60],
            draws: (0..60).collect(),
        };
        let sets: Vec<ConfigurationSet> = [0.3, 0.4].iter().map(set).collect();
        let stack = |index: u64, layers: usize| {
            let mut stream = Stream::new(2, Purpose::Check, index);
            let mut machine = |visible: usize, hidden: usize| {
                let weights: Vec<f32> = (0..visible * hidden).map(|_| stream.normal() as f32).collect();
                Rbm { weights: Matrix::from_unpadded(visible, hidden, &weights), ..Rbm::zero(visible, hidden) }
            };
            let machines: Vec<Rbm> = [machine(64, 16), machine(16, 4)].into_iter().take(layers).collect();
            let held_out = training_data::split(train, &sets).expect("the configurations of the job").1;
            let dead_units = vec![Vec::new(); layers];
            TrainedStack { torus, machines, dead_units, means: held_out.column_means(), held_out, couplings: train.couplings.clone() }
        };
        let main = stack(0, 2);
        let beside: Vec<Beside> = (1..)
            .zip(job.companions())
            .map(|(index, companion)| Beside { stack: stack(index, companion.section.layers.len()), companion })
            .collect();
        let (part, total) = work(&job, section);
        let notes = Notes::new(BTreeMap::new(), part, Progress::new("", "steps", total, false));
        let record = run(job.seed, section, &sets, Some(&main.subject(job.seed)), &beside, &notes).expect("numbers");
        (record, notes.work(), total)
    }

    #[test]
    fn the_work_that_is_announced_is_the_work_that_is_done() {
        let one = JOB.replace("seeds = 2\n", "coupling = 0.4\nseeds = 2\n");
        let flow = "flow = true\nflow_steps = 2\nflow_chains = 10\n";
        for (text, tables) in [
            (format!("{one}[renormalize]\nstandards = false\n{LIKELIHOOD}"), 4),
            (format!("{one}{SCAN}[renormalize]\nstandards = false\ncontrols = true\ncouplings = true\n{LIKELIHOOD}"), 9),
            (
                format!(
                    "{one}[renormalize]\nstandards = false\nmapping = false\nside_by_side = false\nmonte_carlo = true\nlikelihood = false\n{flow}"
                ),
                5,
            ),
        ] {
            let (record, done, total) = outcome(&text);
            assert_eq!((done, record.tables.len()), (total, tables), "{text}");
        }
    }

    #[test]
    fn controls_are_shown_for_several_couplings_too() {
        let several = JOB.replace("seeds = 2\n", "couplings = \"all\"\n");
        let (record, done, total) = outcome(&format!("{several}[renormalize]\nstandards = false\ncontrols = true\n"));
        assert_eq!(done, total);
        let controls = record.table("controls").expect("a table");
        let waves = controls.rows.iter().position(|(name, _)| name == "principal components").expect("a row");
        assert!(controls.get(waves, "agreement").is_some_and(|[share, error]| share > 0.5 && error > 0.0));
    }
}
