//! `distribute = "temperatures"`: the networks of a run, one for each coupling and those beside them, each on one rank. A network is trained there from the bottom up as it would be alone, so that
//! neither the number of ranks nor the company changes a bit of it. Ranks take turns: rank r of R has the networks r, r + R, r + 2 R and so on. All results come to rank 0 together, when the last
//! network is done; until then they are in the checkpoints.

use super::desk::Stage;
use super::layer_state::{self, Progressed, Stored};
use super::learning;
use super::session::Session;
use crate::comm::{self, Comm};
use crate::config::{RunFile, TrainSection};
use crate::error::{Error, Result};
use crate::rbm::train::{Alone, Trainer};
use crate::rbm::{TrainingData, deep};
use crate::record::LayerRecord;
use crate::spins::BitMatrix;
use crate::store::checkpoint::Items;
use std::time::{Duration, Instant};

/// What a stage of this kind is called.
pub fn title(networks: usize) -> String {
    format!("training {networks} networks at once")
}

/// What one network learns.
pub struct Task<'a> {
    /// Its run file.
    pub job: &'a RunFile,
    /// The section of it.
    pub section: &'a TrainSection,
    /// Makes its configurations: trained on, and held out.
    pub data: Box<dyn Fn() -> (BitMatrix, BitMatrix) + 'a>,
}

impl Task<'_> {
    /// Samples of all epochs of a layer.
    fn work(&self, layer: usize) -> u64 {
        super::train::work(self.section, layer)
    }
}

/// Trains all networks, numbered from 0, from the beginning or from the items of a checkpoint. Returns the layers of each on rank 0, nothing on the others. Collective.
///
/// # Errors
/// [`Error::NotFinite`] naming network and layer; [`Error::Stopped`] if the job stops; [`Error::InputOutput`] if a checkpoint cannot be written.
pub fn train(tasks: &[Task], stored: &[u8], session: &mut Session) -> Result<Option<Vec<Vec<LayerRecord>>>> {
    let comm = session.comm();
    let own = (comm.rank()..tasks.len()).step_by(comm.size());
    let begun = own.map(|number| Network::begin(&tasks[number], number, stored)).collect::<Result<Vec<Network>>>();
    let mut networks = comm::agree(comm, begun)?;
    let sum = |count: u64| -> Result<u64> {
        let parts = comm.gather(count.to_le_bytes().to_vec()).unwrap_or_default();
        Ok(parts.iter().filter_map(|part| part.first_chunk()).map(|bytes| u64::from_le_bytes(*bytes)).sum())
    };
    let mut done = sum(networks.iter().map(Network::work_done).sum())?;
    let total = tasks.iter().map(|task| (0..task.section.layers.len()).map(|layer| task.work(layer)).sum::<u64>()).sum();
    let progress = session.progress(&title(tasks.len()), "samples", done, total);
    let mut at_once = 1;
    let keeps_last_good = tasks.iter().all(|task| task.section.keeps_last_good());
    loop {
        session.begin_round();
        let (started, unfinished) = (Instant::now(), networks.iter_mut().find(|network| !network.is_done()));
        let (outcome, steps) = match unfinished {
            Some(network) => (network.advance(at_once), at_once),
            None => (Ok(()), 0),
        };
        comm::agree(comm, outcome).inspect_err(|error| {
            if keeps_last_good {
                session.keep_last_good(Stage::Training, error, || items(&mut networks));
            }
        })?;
        let piece = if steps == 0 { Duration::ZERO } else { started.elapsed() / u32::try_from(steps).unwrap_or(u32::MAX) };
        at_once = session.pieces_in_round(piece);
        let now = sum(networks.iter().map(Network::work_done).sum())?;
        // Only rank 0 knows, and only it shows the progress.
        progress.advance(now.saturating_sub(done));
        done = now.max(done);
        if comm.maximum(u64::from(networks.iter().any(|network| !network.is_done()))) == 0 {
            break;
        }
        session.end_round(Stage::Training, || items(&mut networks))?;
    }
    progress.finish();
    collect(tasks.len(), networks, comm)
}

/// The items of a checkpoint.
fn items(networks: &mut [Network]) -> Items {
    let mut items = Items::default();
    networks.iter_mut().for_each(|network| network.push(&mut items));
    items
}

/// The layers of all networks on rank 0.
fn collect(count: usize, networks: Vec<Network>, comm: &dyn Comm) -> Result<Option<Vec<Vec<LayerRecord>>>> {
    let own: Vec<(usize, Vec<LayerRecord>)> = networks.into_iter().map(|network| (network.number, network.layers)).collect();
    let parts = comm.gather(comm::agree(comm, layer_state::to_bytes(&own))?);
    let all = parts.map(|parts| {
        let mut all = vec![Vec::new(); count];
        for part in &parts {
            for (number, layers) in layer_state::from_bytes::<Vec<(usize, Vec<LayerRecord>)>>(part)? {
                all[number] = layers;
            }
        }
        Ok(all)
    });
    comm::agree(comm, all.transpose())
}

/// A network on its way.
struct Network<'a> {
    task: &'a Task<'a>,
    number: usize,
    /// The layers that are done.
    layers: Vec<LayerRecord>,
    /// The state of the next one in the checkpoint, until it is taken up.
    stored: Option<Stored>,
    /// The items that this network came from, and later those of the end of its last epoch.
    stored_bytes: Items,
    running: Option<(Trainer<'static>, Progressed)>,
}

impl<'a> Network<'a> {
    fn begin(task: &'a Task<'a>, number: usize, bytes: &[u8]) -> Result<Self> {
        let layers = layer_state::done_layers(task.section, number, bytes)?;
        let stored = Stored::parse_one(task.section, number, (number, layers.len()), bytes)?;
        let stored_bytes = layer_state::only(number, bytes)?;
        Ok(Network { task, number, layers, stored: Some(stored), stored_bytes, running: None })
    }

    fn is_done(&self) -> bool {
        self.layers.len() == self.task.section.layers.len()
    }

    /// Samples, those of layers that were done early counted in full.
    fn work_done(&self) -> u64 {
        let (section, layer) = (self.task.section, self.layers.len());
        let before: u64 = (0..layer).map(|layer| self.task.work(layer)).sum();
        let minibatches = match (&self.running, &self.stored) {
            (Some((trainer, progressed)), _) => progressed.epochs.len() * trainer.minibatches_per_epoch() + trainer.minibatches_done(),
            (None, Some(stored)) => {
                stored.epochs_done() as usize * section.samples.div_ceil(section.minibatch) + stored.minibatches_done() as usize
            }
            (None, None) => 0,
        };
        before + (minibatches * section.minibatch) as u64
    }

    /// At most so many minibatches of the present layer, to the end of the epoch.
    fn advance(&mut self, minibatches: usize) -> Result<()> {
        let (section, layer) = (self.task.section, self.layers.len());
        let (mut trainer, mut progressed) = match self.running.take() {
            Some(running) => running,
            None => self.take_up()?,
        };
        let started = Instant::now();
        let ended = if learning::is_done(section, layer, &progressed) {
            None
        } else {
            trainer.advance(minibatches).map_err(|error| match error {
                Error::NotFinite(sentence) if self.number > 0 => {
                    Error::NotFinite(format!("network {} beside the main one: {sentence}", self.number))
                }
                other => other,
            })?
        };
        progressed.seconds += started.elapsed().as_secs_f64();
        let has_ended = ended.is_some();
        if let Some(epoch) = ended {
            progressed.epochs.push(learning::epoch_record(&epoch, std::mem::take(&mut progressed.seconds)));
        }
        if !learning::is_done(section, layer, &progressed) {
            self.running = Some((trainer, progressed));
            if has_ended && section.keeps_last_good() {
                self.keep();
            }
            return Ok(());
        }
        let record = learning::record(section, layer, &trainer, progressed);
        if layer + 1 < section.layers.len() {
            let machine = trainer.rbm().clone();
            let (training, held_out) = self.raised(&machine, layer, trainer.into_data());
            self.running = Some((self.trainer(layer + 1, training, held_out)?, Progressed::default()));
        }
        self.layers.push(record);
        if section.keeps_last_good() {
            self.keep();
        }
        Ok(())
    }

    /// Keeps this state, which is one that a later job can go on from even if the next epoch fails.
    fn keep(&mut self) {
        let mut items = Items::default();
        self.push(&mut items);
        self.stored_bytes = items;
    }

    /// The data of the next layer.
    fn raised(&self, machine: &crate::rbm::Rbm, layer: usize, data: (TrainingData, TrainingData)) -> (TrainingData, TrainingData) {
        let (kind, seed) = (self.task.section.activations, self.task.job.seed);
        (
            deep::activations(machine, &data.0, kind, seed, 2 * layer as u64),
            deep::activations(machine, &data.1, kind, seed, 2 * layer as u64 + 1),
        )
    }

    fn trainer(&self, layer: usize, training: TrainingData, held_out: TrainingData) -> Result<Trainer<'static>> {
        let options = learning::options(self.task.job.seed, self.task.section, layer);
        learning::with_law(Trainer::of_own(training, held_out, options, &Alone)?, self.task.section, layer)
    }

    /// The next layer, from its beginning or from the checkpoint.
    fn take_up(&mut self) -> Result<(Trainer<'static>, Progressed)> {
        let (training, held_out) = (self.task.data)();
        let mut data = (TrainingData::Binary(training), TrainingData::Binary(held_out));
        for (layer, done) in self.layers.iter().enumerate() {
            data = self.raised(&super::train::machine(done), layer, data);
        }
        let mut trainer = self.trainer(self.layers.len(), data.0, data.1)?;
        let progressed = self.stored.take().map_or_else(|| Ok(Progressed::default()), |stored| stored.restore(&mut trainer))?;
        Ok((trainer, progressed))
    }

    /// Adds the items of a checkpoint: those it came from, if it has not been taken up, and those of its last good epoch after an error.
    fn push(&mut self, items: &mut Items) {
        if self.running.is_none() && !self.is_done() {
            items.append(&self.stored_bytes);
            return;
        }
        self.layers.iter().enumerate().for_each(|(layer, done)| layer_state::push_done(items, self.number, layer, done));
        if let Some((trainer, progressed)) = &mut self.running {
            let place = (self.number, self.layers.len());
            layer_state::push(items, self.number, place, &trainer.snapshot(), progressed, true);
        }
    }
}
