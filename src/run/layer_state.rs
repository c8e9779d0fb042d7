//! A layer on its way as the items of a checkpoint: [`encode`] writes them, [`Stored`] reads them.

use super::fresh::FreshData;
use crate::config::{RunFile, TrainSection};
use crate::error::{Error, Result};
use crate::rbm::train::{PassSnapshot, Snapshot, Trainer};
use crate::record::{EpochRecord, LayerRecord};
use crate::sampler::snapshot::Reader;
use crate::store::checkpoint::Items;
use std::collections::BTreeMap;
use std::ops::Range;

/// A network has at most so many layers.
const MOST_LAYERS: usize = 256;
/// Numbers of an epoch in a checkpoint.
const NUMBERS: usize = 9;
/// The persistent chains of shard s are item CHAINS + s.
const CHAINS: u64 = 1 << 16;
/// The sampler of fresh chain c is item FRESH + c.
const FRESH: u64 = 1 << 32;
/// The layer l of a network that is done while others are on their way is item DONE + l.
const DONE: u64 = 1 << 40;
/// Where there is no item 0 yet, because the configurations of the first epoch are still drawn: network and layer.
const BEGUN: u64 = DONE - 1;
/// Where several layers are on their way at once, the items of each have numbers of their own: its base is a multiple of this.
const BASE: u64 = 1 << 48;

/// A layer on its way, besides the trainer itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progressed {
    /// The epochs done.
    pub epochs: Vec<EpochRecord>,
    /// Time spent in the epoch that has begun, in seconds.
    pub seconds: f64,
}

/// The items of a checkpoint. Item 0, from rank 0: the number of the network times 256 and the layer; the epochs done, and nine numbers of each; seconds, minibatches, squared error and squared gradient of the
/// epoch that has begun; the number of parameters and steps, and they themselves, two to a word. Item 1 + s, from the rank that has shard s: the random streams of that shard,
/// if an epoch has begun. Item `CHAINS` + s: its persistent chains. Item `FRESH` + c, from the rank that moves chain c of the fresh data: what it has drawn of the epoch, and its state.
pub fn encode(place: (usize, usize), snapshot: &Snapshot, progressed: &Progressed, fresh: Option<&FreshData>, is_root: bool) -> Items {
    let mut items = Items::default();
    push(&mut items, 0, place, snapshot, progressed, is_root);
    push_fresh(&mut items, fresh);
    items
}

/// The items of a checkpoint while the configurations are drawn with which layers begin, or go on: what was stored of these layers, from the root, and where the chains are. `place`: the
/// network, and the lowest of the layers.
pub fn before_first_step((network, lowest): (usize, usize), stored: &[Stored], fresh: &FreshData, is_root: bool) -> Items {
    let mut items = Items::default();
    if is_root {
        stored.iter().enumerate().for_each(|(number, stored)| stored.push_again(&mut items, number, (network, lowest + number)));
    }
    push_fresh(&mut items, Some(fresh));
    items
}

/// The states of fresh chains.
pub fn push_fresh(items: &mut Items, fresh: Option<&FreshData>) {
    for (chain, words) in fresh.iter().flat_map(|fresh| fresh.states()) {
        items.push(FRESH + chain, words);
    }
}

/// The items of an earlier epoch's end, with the fresh chains as they are in the epoch after it: they move between epochs alone. None without such an end.
pub fn with_fresh(items: Option<Items>, fresh: Option<&FreshData>) -> Items {
    let is_something = items.is_some();
    let mut items = items.unwrap_or_default();
    push_fresh(&mut items, fresh.filter(|_| is_something));
    items
}

/// Adds the items of one of several layers, the one with this number among them; `is_owner`: this rank speaks for it.
pub fn push(
    items: &mut Items,
    number: usize,
    (network, layer): (usize, usize),
    snapshot: &Snapshot,
    progressed: &Progressed,
    is_owner: bool,
) {
    let base = number as u64 * BASE;
    if is_owner {
        let pass = snapshot.pass.as_ref();
        let mut words = vec![(network * MOST_LAYERS + layer) as u64, snapshot.epochs];
        words.extend(progressed.epochs.iter().flat_map(numbers_of).map(f64::to_bits));
        words.extend([progressed.seconds.to_bits(), pass.map_or(0, |pass| pass.minibatches)]);
        words.extend(pass.map_or([0.0; 2], |pass| [pass.squared_error, pass.gradient_squares]).map(f64::to_bits));
        words.push(snapshot.numbers.len() as u64);
        let pairs = snapshot.numbers.chunks(2);
        words.extend(pairs.map(|pair| pair.iter().rev().fold(0, |word, number| word << 32 | u64::from(number.to_bits()))));
        items.push(base, words);
    }
    for (&shard, streams) in snapshot.pass.iter().flat_map(|pass| &pass.streams) {
        items.push(base + 1 + shard as u64, streams.iter().copied());
    }
    for (&shard, chains) in &snapshot.chains {
        items.push(base + CHAINS + shard as u64, chains.iter().copied());
    }
}

/// Adds a layer that is done of one of several networks.
pub fn push_done(items: &mut Items, number: usize, layer: usize, done: &LayerRecord) {
    // A record of numbers can always be written.
    let bytes = to_bytes(done).unwrap_or_default();
    let words = bytes.chunks(8).map(|bytes| bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)));
    items.push(number as u64 * BASE + DONE + layer as u64, words);
}

/// The layers that are done of one of several networks, from the lowest up.
///
/// # Errors
/// [`Error::Refused`] if they do not fit the section or hold numbers that are not finite.
pub fn done_layers(section: &TrainSection, number: usize, bytes: &[u8]) -> Result<Vec<LayerRecord>> {
    let items = parts(bytes)?.remove(&(number as u64)).unwrap_or_default();
    done_in(section, &items)
}

fn done_in(section: &TrainSection, items: &BTreeMap<u64, Vec<u64>>) -> Result<Vec<LayerRecord>> {
    let mut layers: Vec<LayerRecord> = Vec::new();
    for (layer, words) in numbered(items, DONE..BASE) {
        // The bytes that fill the last word up come after the value.
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let done: LayerRecord = from_bytes(&bytes)?;
        let visible = layers.last().map_or(section.size * section.size, |below| below.hidden);
        let (rows, columns) = (done.visible, done.hidden);
        let parameters = [&done.weights, &done.visible_bias, &done.hidden_bias];
        let fits = layer == layers.len() as u64
            && section.layers.get(layers.len()) == Some(&columns)
            && rows == visible
            && parameters.map(|numbers| numbers.len()) == [rows * columns, rows, columns]
            && parameters.iter().all(|numbers| numbers.iter().all(|number| number.is_finite()));
        if !fits {
            return Err(Error::Refused(format!("layer {} in the checkpoint is not one of this run file", layer + 1)));
        }
        layers.push(done);
    }
    Ok(layers)
}

/// A value on its way to another rank or into a checkpoint.
///
/// # Errors
/// [`Error::Bug`] if it has no such form.
pub fn to_bytes<T: serde::Serialize>(value: &T) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).map_err(|why| Error::Bug(format!("a trained layer cannot be written down: {why}.")))?;
    Ok(bytes)
}

/// The value again.
///
/// # Errors
/// [`Error::Refused`] if the bytes are none.
pub fn from_bytes<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    ciborium::from_reader(bytes).map_err(|why| Error::Refused(format!("a trained layer cannot be read: {why}")))
}

/// The items of one of several layers or networks alone.
///
/// # Errors
/// [`Error::Refused`] if the bytes are no items.
pub fn only(number: usize, bytes: &[u8]) -> Result<Items> {
    let mut items = Items::default();
    for (item, words) in Items::parse(bytes)?.into_iter().filter(|(item, _)| item / BASE == number as u64) {
        items.push_bytes(item, words);
    }
    Ok(items)
}

/// The items of a checkpoint by the number of the layer they are of, and there by their own.
fn parts(bytes: &[u8]) -> Result<BTreeMap<u64, BTreeMap<u64, Vec<u64>>>> {
    let mut parts: BTreeMap<u64, BTreeMap<u64, Vec<u64>>> = BTreeMap::new();
    for (number, item) in Items::parse(bytes)? {
        parts.entry(number / BASE).or_default().insert(number % BASE, Items::words(item));
    }
    Ok(parts)
}

/// The items of a checkpoint and the state that they are; nothing if they are of another layer.
pub struct Stored {
    items: BTreeMap<u64, Vec<u64>>,
    state: Option<(Snapshot, Progressed)>,
}

impl Stored {
    /// The items of a checkpoint, if they are of this layer of this network.
    ///
    /// # Errors
    /// [`Error::Refused`] if they do not fit the section or hold numbers that are not finite.
    pub fn parse(section: &TrainSection, place: (usize, usize), bytes: &[u8]) -> Result<Self> {
        Self::parse_one(section, 0, place, bytes)
    }

    /// The same of one of several layers, the one with this number among them.
    ///
    /// # Errors
    /// As for [`Self::parse`].
    pub fn parse_one(section: &TrainSection, number: usize, place: (usize, usize), bytes: &[u8]) -> Result<Self> {
        let items = parts(bytes)?.remove(&(number as u64)).unwrap_or_default();
        if place_of(&items)? != Some(place) {
            return Ok(Stored { items: BTreeMap::new(), state: None });
        }
        let state = if items.contains_key(&0) { Some(read(section, &items)?) } else { None };
        Ok(Stored { items, state: state.map(|(_, snapshot, progressed)| (snapshot, progressed)) })
    }

    /// All items again but those of fresh data, which have moved on; of the layer `place`, one of several that has this number among them.
    fn push_again(&self, items: &mut Items, number: usize, (network, layer): (usize, usize)) {
        let base = number as u64 * BASE;
        for (item, words) in self.items.iter().filter(|(item, _)| !(FRESH..DONE).contains(*item)) {
            items.push(base + item, words.iter().copied());
        }
        if self.state.is_none() {
            items.push(base + BEGUN, [(network * MOST_LAYERS + layer) as u64]);
        }
    }

    /// The chains of fresh data by their numbers: see [`FreshData::states`].
    pub fn fresh_chains(&self) -> BTreeMap<u64, Vec<u64>> {
        numbered(&self.items, FRESH..BEGUN)
    }

    /// Epochs done.
    pub fn epochs_done(&self) -> u64 {
        self.state.as_ref().map_or(0, |(snapshot, _)| snapshot.epochs)
    }

    /// Minibatches done of the epoch that has begun.
    pub fn minibatches_done(&self) -> u64 {
        self.state.as_ref().and_then(|(snapshot, _)| snapshot.pass.as_ref()).map_or(0, |pass| pass.minibatches)
    }

    /// Whether there is a state of the machine.
    pub fn is_something(&self) -> bool {
        self.state.is_some()
    }

    /// Restores the trainer, if there is a state.
    ///
    /// # Errors
    /// [`Error::Refused`] if it does not fit.
    pub fn restore(&self, trainer: &mut Trainer) -> Result<Progressed> {
        let Some((snapshot, progressed)) = &self.state else { return Ok(Progressed::default()) };
        trainer.restore(snapshot)?;
        Ok(progressed.clone())
    }
}

/// The items of some numbers, counted from the first of them.
fn numbered(items: &BTreeMap<u64, Vec<u64>>, numbers: Range<u64>) -> BTreeMap<u64, Vec<u64>> {
    items.range(numbers.clone()).map(|(number, words)| (number - numbers.start, words.clone())).collect()
}

/// The network and the layer of such items, if there are any.
fn place_of(items: &BTreeMap<u64, Vec<u64>>) -> Result<Option<(usize, usize)>> {
    let Some(words) = items.get(&0).or_else(|| items.get(&BEGUN)) else { return Ok(None) };
    let number = Reader::new(words).count(usize::MAX / 2)?;
    Ok(Some((number / MOST_LAYERS, number % MOST_LAYERS)))
}

/// Whether the items of a checkpoint are a layer of a network of this run file, and which.
///
/// # Errors
/// [`Error::Refused`] if they are not, or hold a number that is not finite.
pub fn fit(job: &RunFile, stored: &[u8]) -> Result<String> {
    let fits = parts(stored)?.into_iter().map(|(number, items)| {
        // With several networks, the number is that of the network.
        if let Some(section) = usize::try_from(number).ok().and_then(|number| job.network(number)) {
            done_in(&section, &items)?;
        }
        fit_one(job, &items)
    });
    let fits = fits.collect::<Result<Vec<String>>>()?;
    Ok(if fits.is_empty() { "no layer has begun".to_string() } else { fits.join("; ") })
}

/// The same of the items of one layer.
fn fit_one(job: &RunFile, items: &BTreeMap<u64, Vec<u64>>) -> Result<String> {
    let Some((network, _)) = place_of(items)? else { return Ok("no layer has begun".to_string()) };
    let section = job
        .network(network)
        .ok_or_else(|| Error::Refused(format!("it is of the network number {network}, which the run file does not ask for")))?;
    if !items.contains_key(&0) {
        return Ok("the configurations of the first epoch are being drawn".to_string());
    }
    let (layer, snapshot, progressed) = read(&section, items)?;
    let visible = if layer == 0 { section.size * section.size } else { section.layers[layer - 1] };
    let hidden = section.layers[layer];
    if snapshot.numbers.len() != 2 * (visible * hidden + visible + hidden) {
        return Err(Error::Refused(format!(
            "{} numbers are not those of layer {} of {visible} x {hidden} units",
            snapshot.numbers.len(),
            layer + 1
        )));
    }
    let which = if network == 0 { String::new() } else { format!("network {network} beside the main one, ") };
    Ok(format!("{which}layer {} after {} of {} epochs", layer + 1, progressed.epochs.len(), section.epochs[layer]))
}

/// The layer that such items are of, and its state.
fn read(section: &TrainSection, items: &BTreeMap<u64, Vec<u64>>) -> Result<(usize, Snapshot, Progressed)> {
    let words = items.get(&0).map_or(&[][..], Vec::as_slice);
    let mut reader = Reader::new(words);
    let layer = reader.count(usize::MAX / 2)? % MOST_LAYERS;
    if layer >= section.layers.len() {
        return Err(Error::Refused(format!("the checkpoint is of layer {}, and the network has {}", layer + 1, section.layers.len())));
    }
    let refuse = |what: &str| Error::Refused(format!("the checkpoint of layer {} {what}", layer + 1));
    let count = reader.count(section.epochs[layer])?;
    let (epochs, _) = reader.words(NUMBERS * count)?.as_chunks();
    let epochs: Vec<EpochRecord> = epochs.iter().map(|words| epoch_of(words.map(f64::from_bits))).collect();
    let seconds = f64::from_bits(reader.word()?);
    let minibatches = reader.word()?;
    let [squared_error, gradient_squares] = [f64::from_bits(reader.word()?), f64::from_bits(reader.word()?)];
    let length = reader.count(2 * words.len())?;
    let pairs = reader.words(length.div_ceil(2))?;
    reader.end()?;
    let numbers: Vec<f32> = pairs.iter().flat_map(|&word| [word as u32, (word >> 32) as u32]).take(length).map(f32::from_bits).collect();
    if !(numbers.iter().all(|number| number.is_finite()) && squared_error.is_finite() && gradient_squares.is_finite()) {
        return Err(refuse(
            "holds numbers that are not finite: it was not written by this program; remove the folder it is in to begin the layer anew",
        ));
    }
    let by_shard = |numbers: Range<u64>| {
        let found = numbered(items, numbers).into_iter();
        found.filter_map(|(shard, words)| Some((usize::try_from(shard).ok()?, words))).collect::<BTreeMap<usize, Vec<u64>>>()
    };
    let pass = (minibatches > 0).then(|| PassSnapshot { minibatches, squared_error, gradient_squares, streams: by_shard(1..CHAINS) });
    let snapshot = Snapshot { epochs: count as u64, numbers, pass, chains: by_shard(CHAINS..FRESH) };
    Ok((layer, snapshot, Progressed { epochs, seconds }))
}

fn numbers_of(epoch: &EpochRecord) -> [f64; NUMBERS] {
    [
        epoch.reconstruction_error,
        epoch.free_energy_gap,
        epoch.free_energy_gap_error,
        epoch.pseudo_likelihood.unwrap_or(f64::NAN),
        epoch.weight_norm,
        epoch.weight_maximum,
        epoch.gradient_norm,
        epoch.learning_rate,
        epoch.seconds,
    ]
}

fn epoch_of(numbers: [f64; NUMBERS]) -> EpochRecord {
    let [
        reconstruction_error,
        free_energy_gap,
        free_energy_gap_error,
        pseudo,
        weight_norm,
        weight_maximum,
        gradient_norm,
        learning_rate,
        seconds,
    ] = numbers;
    let pseudo_likelihood = Some(pseudo).filter(|value| !value.is_nan());
    EpochRecord {
        reconstruction_error,
        free_energy_gap,
        free_energy_gap_error,
        pseudo_likelihood,
        weight_norm,
        weight_maximum,
        gradient_norm,
        learning_rate,
        seconds,
    }
}
