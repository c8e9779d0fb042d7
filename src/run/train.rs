//! The stage `[train]`: a stack of machines, layer by layer, on the configurations that the sampling stage kept. All ranks share the minibatches.

use super::desk::{Desk, Stage};
use super::memory::peak_resident_bytes;
use super::progress::Progress;
use super::renormalize::Subject;
use super::session::Session;
use super::training_data::{kept_samples, split};
use super::{companions, layer_state, layers, learning, networks};
use crate::comm::{self, Comm};
use crate::config::{Companion, Distribute, Role, RunFile, TrainSection};
use crate::console::plural;
use crate::error::{Error, Result};
use crate::lattice::SquareTorus;
use crate::rbm::deep;
use crate::rbm::{Matrix, Rbm, TrainingData};
use crate::record::{CompanionRecord, LayerRecord, TrainingRecord};
use crate::spins::{BitMatrix, WORD_BITS};
use crate::store::ConfigurationSet;

/// The configurations of the stage and the layers that are trained already.
pub struct Prior {
    training: BitMatrix,
    held_out: BitMatrix,
    /// The same of each of the other couplings that networks of their own learn.
    others: Vec<(BitMatrix, BitMatrix)>,
    layers: Vec<LayerRecord>,
    companions: Vec<CompanionRecord>,
}

/// What rank 0 has at the beginning of the stage.
///
/// # Errors
/// [`Error::Refused`] if the configurations are not those of the run file.
pub fn prior(section: &TrainSection, done: Option<&TrainingRecord>, sets: &[ConfigurationSet]) -> Result<Prior> {
    let (training, held_out) = split(section, sets)?;
    let others = section.other_couplings.iter().map(|&coupling| split(&of_coupling(section, coupling), sets)).collect::<Result<_>>()?;
    let (layers, companions) = done.map(|record| (record.layers.clone(), record.companions.clone())).unwrap_or_default();
    Ok(Prior { training, held_out, others, layers, companions })
}

/// The same on every rank. Collective.
///
/// # Errors
/// [`Error::Bug`] if a message arrived incomplete.
pub fn share(section: &TrainSection, prior: Option<Prior>, comm: &dyn Comm) -> Result<Prior> {
    let message = comm.broadcast(comm::agree(comm, prior.as_ref().map_or(Ok(Vec::new()), to_message))?);
    comm::agree(comm, prior.map_or_else(|| from_message(section, &message), Ok))
}

/// Configurations as words, then what is trained. Not as JSON, which has no infinity: that is the error of the gap of a single held-out sample.
fn to_message(prior: &Prior) -> Result<Vec<u8>> {
    let first = [&prior.training, &prior.held_out];
    let all = first.into_iter().chain(prior.others.iter().flat_map(|(training, held_out)| [training, held_out]));
    let mut message: Vec<u8> = all.flat_map(BitMatrix::words).flat_map(|word| word.to_le_bytes()).collect();
    message.extend(layer_state::to_bytes(&(&prior.layers, &prior.companions))?);
    Ok(message)
}

fn from_message(section: &TrainSection, message: &[u8]) -> Result<Prior> {
    let sites = section.size * section.size;
    let kept = kept_samples(section);
    let each = 8 * sites.div_ceil(WORD_BITS) * (kept + section.held_out);
    let bytes = each * (1 + section.other_couplings.len());
    let (spins, layers) = message.split_at_checked(bytes).ok_or_else(|| Error::Bug("the training data arrived incomplete.".to_string()))?;
    let mut pairs = spins.chunks_exact(each.max(1)).map(|bytes| {
        let mut all = BitMatrix::new(kept + section.held_out, sites);
        all.words_mut().iter_mut().zip(bytes.as_chunks().0).for_each(|(word, bytes)| *word = u64::from_le_bytes(*bytes));
        (all.slice_rows(0..kept), all.slice_rows(kept..all.rows()))
    });
    let (training, held_out) = pairs.next().ok_or_else(|| Error::Bug("the training data did not arrive.".to_string()))?;
    let others = pairs.collect();
    let (layers, companions) =
        layer_state::from_bytes(layers).map_err(|why| Error::Bug(format!("the trained layers arrived damaged: {why}.")))?;
    Ok(Prior { training, held_out, others, layers, companions })
}

/// The section of the network that learns another coupling.
fn of_coupling(section: &TrainSection, coupling: f64) -> TrainSection {
    TrainSection { couplings: vec![coupling], other_couplings: Vec::new(), ..section.clone() }
}

/// What is being trained: the main network, or one beside it.
struct Network<'a> {
    job: &'a RunFile,
    section: &'a TrainSection,
    /// 0 for the main one.
    number: usize,
}

/// Trains the layers that are missing, of the main network and then of its companions; keeps each when it is done. Collective.
///
/// # Errors
/// [`Error::NotFinite`] naming layer and epoch when a number stops being finite; [`Error::Stopped`] if the job stops; what cannot be written.
pub fn run(job: &RunFile, section: &TrainSection, prior: Prior, session: &mut Session) -> Result<()> {
    let mut stored = session.resume(Stage::Training)?;
    let companions = job.companions();
    let mut record = empty_record(section, &prior);
    if section.distribute == Distribute::Temperatures {
        return run_at_once(job, section, &prior, record, &stored, session);
    }
    let Prior { mut training, mut held_out, .. } = prior;
    let data = if companions.is_empty() {
        // One copy of the data is enough for one network.
        (std::mem::replace(&mut training, BitMatrix::new(0, 0)), std::mem::replace(&mut held_out, BitMatrix::new(0, 0)))
    } else {
        (training.clone(), held_out.clone())
    };
    train_network(&Network { job, section, number: 0 }, data, &mut record, &mut stored, session, None)?;
    if companions.is_empty() {
        return Ok(());
    }
    let work = |companion: &Companion| (0..companion.section.layers.len()).map(|layer| work(&companion.section, layer)).sum::<u64>();
    let done = |number: usize, companion: &Companion| {
        let layers = record.companions.get(number).map_or(0, |found| found.layers.len());
        (0..layers).map(|layer| self::work(&companion.section, layer)).sum::<u64>()
    };
    let before = companions.iter().enumerate().map(|(number, companion)| done(number, companion)).sum();
    let progress = session.progress(&companions_title(companions.len()), "samples", before, companions.iter().map(work).sum());
    for (number, companion) in (1..).zip(&companions) {
        let layers = record.companions.get(number - 1).map_or(0, |found| found.layers.len());
        if layers == companion.section.layers.len() {
            continue;
        }
        if record.companions.len() < number {
            record.companions.push(empty_companion(companion));
        }
        let data = (companions::training(companion, &training), companions::held_out(companion, &held_out));
        let network = Network { job: &companion.job, section: &companion.section, number };
        train_network(&network, data, &mut record, &mut stored, session, Some(&progress))?;
    }
    session.on_root(Desk::save_layers)?;
    progress.finish();
    Ok(())
}

/// Trains all networks, each on one rank, and puts them into the files when all of them are done.
fn run_at_once(
    job: &RunFile,
    section: &TrainSection,
    prior: &Prior,
    mut record: TrainingRecord,
    stored: &[u8],
    session: &mut Session,
) -> Result<()> {
    let companions = job.companions();
    let main = networks::Task { job, section, data: Box::new(|| (prior.training.clone(), prior.held_out.clone())) };
    let beside = companions.iter().map(|companion| {
        let data = move || {
            let (training, held_out) = own_data(companion, section, prior);
            (companions::training(companion, training), companions::held_out(companion, held_out))
        };
        networks::Task { job: &companion.job, section: &companion.section, data: Box::new(data) }
    });
    let tasks: Vec<networks::Task> = std::iter::once(main).chain(beside).collect();
    let trained = networks::train(&tasks, stored, session)?;
    if let Some(trained) = trained {
        let mut trained = trained.into_iter();
        record.layers = trained.next().unwrap_or_default();
        record.companions =
            companions.iter().zip(trained).map(|(one, layers)| CompanionRecord { layers, ..empty_companion(one) }).collect();
    }
    keep(&mut record, 0, session)
}

/// The configurations that a companion's own are made of: those of its coupling.
fn own_data<'a>(companion: &Companion, section: &TrainSection, prior: &'a Prior) -> (&'a BitMatrix, &'a BitMatrix) {
    let other = section.other_couplings.iter().position(|coupling| companion.section.couplings == [*coupling]);
    other.and_then(|other| prior.others.get(other)).map_or((&prior.training, &prior.held_out), |(training, held_out)| (training, held_out))
}

/// What the stage of so many companions is called.
pub fn companions_title(count: usize) -> String {
    format!("training {}", plural(count, "more network"))
}

/// The work of a layer, in samples.
pub fn work(section: &TrainSection, layer: usize) -> u64 {
    (section.epochs[layer] * section.samples.div_ceil(section.minibatch) * section.minibatch) as u64
}

/// Trains the missing layers of one network.
fn train_network(
    network: &Network,
    (training, held_out): (BitMatrix, BitMatrix),
    record: &mut TrainingRecord,
    stored: &mut Vec<u8>,
    session: &mut Session,
    progress: Option<&Progress>,
) -> Result<()> {
    let Network { job, section, number } = *network;
    if section.distribute == Distribute::Layers {
        if layers_of(record, number).is_empty() {
            let task = layers::Task { job, section, network: number, training: &training, held_out: &held_out };
            let trained = layers::train(&task, &std::mem::take(stored), session, progress)?;
            layers_of(record, number).extend(trained);
            keep(record, number, session)?;
        }
        return Ok(());
    }
    let mut training = TrainingData::Binary(training);
    let mut held_out = TrainingData::Binary(held_out);
    let mut below: Vec<Rbm> = Vec::new();
    for layer in 0..section.layers.len() {
        let machine = match layers_of(record, number).get(layer) {
            Some(done) => machine(done),
            None => {
                let task = learning::Task { job, section, network: number, layer, below: &below, training: &training, held_out: &held_out };
                let (machine, layer) = learning::train_layer(&task, &std::mem::take(stored), session, progress)?;
                layers_of(record, number).push(layer);
                keep(record, number, session)?;
                machine
            }
        };
        if layer + 1 < section.layers.len() {
            let kind = section.activations;
            if section.fresh_sweeps.is_none() {
                training = deep::activations_within(deep::MOST_KEPT, &machine, training, kind, job.seed, 2 * layer as u64);
            }
            held_out = deep::activations(&machine, &held_out, kind, job.seed, 2 * layer as u64 + 1);
        }
        below.push(machine);
    }
    Ok(())
}

/// Keeps what is trained. What the main network has goes into the files at once.
fn keep(record: &mut TrainingRecord, network: usize, session: &mut Session) -> Result<()> {
    record.peak_memory = peak_resident_bytes();
    session.note_work();
    session.on_root(|desk| desk.keep_training(record.clone(), network == 0)).map(drop)
}

fn layers_of(record: &mut TrainingRecord, number: usize) -> &mut Vec<LayerRecord> {
    if number == 0 { &mut record.layers } else { &mut record.companions[number - 1].layers }
}

fn empty_companion(companion: &Companion) -> CompanionRecord {
    CompanionRecord {
        name: companion.name.clone(),
        role: companion.role.name().to_string(),
        seed_number: companion.seed_number,
        seed: companion.job.seed,
        samples: companion.section.samples,
        l1: companion.section.l1.clone(),
        layers: Vec::new(),
    }
}

fn empty_record(section: &TrainSection, prior: &Prior) -> TrainingRecord {
    TrainingRecord {
        gradient: section.gradient.name().to_string(),
        activations: section.activations.name().to_string(),
        method: section.learning.method.name().to_string(),
        chains: if section.learning.method.is_persistent() { section.learning.chains } else { 0 },
        gibbs_steps: section.gibbs_steps,
        fresh: section.fresh_sweeps.is_some(),
        couplings: section.couplings.clone(),
        size: section.size,
        samples: section.samples,
        held_out: section.held_out,
        layers: prior.layers.clone(),
        companions: prior.companions.clone(),
        peak_memory: peak_resident_bytes(),
    }
}

/// The machine of a record.
pub fn machine(layer: &LayerRecord) -> Rbm {
    Rbm {
        weights: Matrix::from_unpadded(layer.visible, layer.hidden, &layer.weights),
        visible_bias: layer.visible_bias.clone(),
        hidden_bias: layer.hidden_bias.clone(),
    }
}

/// A trained stack with what it takes to judge it.
pub struct TrainedStack {
    pub(super) torus: SquareTorus,
    pub(super) machines: Vec<Rbm>,
    pub(super) dead_units: Vec<Vec<usize>>,
    pub(super) held_out: BitMatrix,
    pub(super) means: Vec<f64>,
    pub(super) couplings: Vec<f64>,
}

impl TrainedStack {
    /// The stack as the renormalization stage looks at it.
    pub fn subject(&self, seed: u64) -> Subject<'_> {
        Subject {
            torus: self.torus,
            couplings: &self.couplings,
            stack: &self.machines,
            dead_units: &self.dead_units,
            held_out: &self.held_out,
            means: &self.means,
            seed,
        }
    }
}

/// The stack of a finished training stage. Annealing begins at the means of the training data; where these were fresh, at those of the held-out ones.
///
/// # Errors
/// [`Error::Refused`] if the configurations are not those of the run file.
pub fn stack(section: &TrainSection, record: &TrainingRecord, sets: &[ConfigurationSet]) -> Result<TrainedStack> {
    let (training, held_out) = split(section, sets)?;
    let means = if section.fresh_sweeps.is_some() { held_out.column_means() } else { training.column_means() };
    stack_of(section, &record.layers, held_out, means)
}

/// The stack of a companion, which is judged by the held-out configurations of the main one: with its sites shuffled, if it was trained on such. One of another coupling has its own.
///
/// # Errors
/// [`Error::Refused`] if the configurations are not those of the run file.
pub fn companion_stack(
    companion: &Companion,
    found: &CompanionRecord,
    main: &TrainedStack,
    sets: &[ConfigurationSet],
) -> Result<TrainedStack> {
    if companion.role == Role::Coupling {
        let (training, held_out) = split(&companion.section, sets)?;
        return stack_of(&companion.section, &found.layers, held_out, training.column_means());
    }
    let held_out = companions::held_out(companion, &main.held_out);
    let means = match companions::order_of_sites(companion, main.torus) {
        Some(order) => order.iter().map(|&site| main.means[site]).collect(),
        None => main.means.clone(),
    };
    stack_of(&companion.section, &found.layers, held_out, means)
}

fn stack_of(section: &TrainSection, layers: &[LayerRecord], held_out: BitMatrix, means: Vec<f64>) -> Result<TrainedStack> {
    let machines: Vec<Rbm> = layers.iter().map(machine).collect();
    let dead_units = layers.iter().map(|layer| layer.dead_units.clone()).collect();
    Ok(TrainedStack { torus: SquareTorus::new(section.size)?, machines, dead_units, held_out, means, couplings: section.couplings.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::EpochRecord;

    /// Also the infinite error of a gap that comes from one held-out sample.
    #[test]
    fn what_is_trained_arrives_as_it_was_sent() {
        let text = "seed = 1\n[lattice]\nsizes = [4]\n[sample]\ncouplings = [0.4]\nthermalization = 1\nsweeps = 10\nconfigurations = 10\n\
                    [train]\nlayers = [8, 4]\nepochs = 1\nminibatch = 3\nheld_out = 1\n";
        let job = RunFile::parse_for(text, "run.toml", None).expect("a run file");
        let section = job.train.expect("a section");
        let mut spins = BitMatrix::new(section.samples + section.held_out, 16);
        spins.words_mut().iter_mut().enumerate().for_each(|(place, word)| *word = (0x9E37 * place as u64) & 0xFFFF);
        let epoch =
            EpochRecord { free_energy_gap_error: f64::INFINITY, pseudo_likelihood: Some(-3.5), seconds: 0.25, ..EpochRecord::default() };
        let layer = LayerRecord {
            visible: 16,
            hidden: 8,
            weights: (0..128).map(|place| place as f32 / 7.0).collect(),
            visible_bias: vec![0.5; 16],
            hidden_bias: vec![-1.0; 8],
            epochs: vec![epoch],
            dead_units: vec![3],
            swap_rates: vec![0.25],
            stopped_early: false,
        };
        let prior = Prior {
            training: spins.slice_rows(0..section.samples),
            held_out: spins.slice_rows(section.samples..spins.rows()),
            others: Vec::new(),
            layers: vec![layer],
            companions: Vec::new(),
        };
        let arrived = from_message(&section, &to_message(&prior).expect("a message")).expect("what was sent");
        assert!(arrived.layers == prior.layers && arrived.training == prior.training && arrived.held_out == prior.held_out);
        assert!(from_message(&section, &[0; 20]).is_err());
    }
}
