//! `kadanoff check DIR`: whether the files of a run are what kadanoff wrote. Every byte is held against its digest, every length against the run file, and every
//! number that must be finite is looked at. Nothing is changed, and no lock is taken: a job may be at work meanwhile, since files are replaced whole.

use crate::config::{RunFile, TrainSection};
use crate::console::plural;
use crate::error::{Error, Result};
use crate::record::provenance::{self, Provenance};
use crate::record::{LayerRecord, RunRecord, SamplingRecord, TrainingRecord};
use crate::run::desk::Stage;
use crate::run::{layer_state, notes, sample, travel};
use crate::store::checkpoint::{self, CHECKPOINT_FOLDER, Checkpoint};
use crate::store::{self, ConfigurationSet, directory};
use std::path::Path;

/// What was found of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file, by its name in DIR.
    pub file: String,
    /// What it holds; or one sentence for each damage.
    pub found: std::result::Result<String, Vec<String>>,
}

/// Looks at every file of a run directory, and tells what was found of each.
///
/// # Errors
/// [`Error::Refused`] if anything is damaged, or if this is no run directory; [`Error::InputOutput`] if the run file cannot be read.
pub fn check(path: &Path, tell: &mut dyn FnMut(&Finding)) -> Result<()> {
    let job = crate::run::accepted_run_file(path)?;
    let mut damages = 0;
    let mut report = |file: &str, found: std::result::Result<String, Vec<String>>| {
        damages += found.as_ref().err().map_or(0, Vec::len);
        tell(&Finding { file: file.to_string(), found });
    };
    report(directory::RUN_FILE, Ok(format!("{} bytes", job.text.len())));
    let record = results(path, &job, &mut report);
    configurations(path, &job, record.as_ref(), &mut report);
    summary(path, record.as_ref(), &mut report);
    if record.is_some() {
        links(path, &mut report);
    }
    for name in [checkpoint::NEWEST, checkpoint::PREVIOUS] {
        generation(path, name, &job, &mut report);
    }
    match damages {
        0 => Ok(()),
        1 => Err(Error::Refused("1 damage was found; nothing was changed".to_string())),
        _ => Err(Error::Refused(format!("{damages} damages were found; nothing was changed"))),
    }
}

type Report<'a> = &'a mut dyn FnMut(&str, std::result::Result<String, Vec<String>>);

/// `results.h5` and `network.h5`; what they hold if they can be read.
fn results(path: &Path, job: &RunFile, report: Report) -> Option<RunRecord> {
    let file = path.join(store::RESULTS_FILE);
    let network = path.join(store::NETWORK_FILE);
    if !file.exists() {
        if network.exists() {
            report(store::NETWORK_FILE, Err(vec![format!("{} is there without {}", network.display(), store::RESULTS_FILE)]));
        }
        return None;
    }
    let mut record = match store::read_results(&file) {
        Ok(record) => record,
        Err(error) => {
            report(store::RESULTS_FILE, Err(vec![error.to_string()]));
            return None;
        }
    };
    let mut damages = foreign(&record.provenance, job);
    record.sampling.iter().for_each(|sampling| damages.extend(wrong_sampling(sampling, job)));
    damages.extend(wrong_renormalization(&record));
    let parts = [record.sampling.is_some(), record.training.is_some(), record.renormalization.is_some()];
    let parts: Vec<&str> =
        ["sampling", "training", "renormalization"].into_iter().zip(parts).filter(|(_, there)| *there).map(|part| part.0).collect();
    report(store::RESULTS_FILE, verdict(damages, parts.join(", ")));
    if record.training.is_some() {
        match store::read_network(&network) {
            Ok((origin, training)) => {
                let mut damages = foreign(&origin, job);
                damages.extend(wrong_training(&training, job));
                let words = network_words(training.layers.len(), training.companions.len());
                record.training = Some(training);
                report(store::NETWORK_FILE, verdict(damages, words));
            }
            Err(error) => report(store::NETWORK_FILE, Err(vec![error.to_string()])),
        }
    }
    Some(record)
}

fn network_words(layers: usize, beside: usize) -> String {
    let beside = if beside == 0 { String::new() } else { format!(", and {} beside it", plural(beside, "network")) };
    format!("{}{beside}", plural(layers, "layer"))
}

fn verdict(damages: Vec<String>, words: String) -> std::result::Result<String, Vec<String>> {
    if damages.is_empty() { Ok(words) } else { Err(damages) }
}

fn foreign(origin: &Provenance, job: &RunFile) -> Vec<String> {
    // The text is held against the run file too: the hash beside it could be right and the text not.
    let same = origin.run_file == job.text && origin.is_of_the_run_of(&Provenance::new(&job.text, job.seed));
    if same { Vec::new() } else { vec![format!("it comes from another run file than the {} beside it", directory::RUN_FILE)] }
}

fn wrong_sampling(sampling: &SamplingRecord, job: &RunFile) -> Vec<String> {
    let Some(section) = &job.sample else { return vec!["it holds a sampling that the run file does not ask for".to_string()] };
    let mut damages = Vec::new();
    let expected = job.lattice.sizes.len() * section.coupling_count();
    if sampling.geometry != job.lattice.geometry {
        damages.push(format!("its lattices are {}, and the run file asks for {}", sampling.geometry, job.lattice.geometry));
    }
    if sampling.ensembles.len() != expected {
        damages.push(format!("it holds {} ensembles, and the run file asks for {expected}", sampling.ensembles.len()));
    }
    for ensemble in &sampling.ensembles {
        let name = format!("the ensemble L = {}, K = {}", ensemble.size, ensemble.coupling);
        let dimension = job.lattice.geometry.dimension() as u32;
        let sites = (ensemble.size as u64).saturating_pow(dimension);
        let of_chains = ensemble.draws();
        let (chains, draws) = (of_chains.len(), of_chains.iter().sum::<usize>());
        if chains != section.replicas || draws != section.replicas * section.draws() {
            damages.push(format!(
                "{name} has {chains} chains with {draws} draws in all, and the run file asks for {} with {} each",
                section.replicas,
                section.draws()
            ));
        }
        let too_much_energy = |energy: i64| energy.unsigned_abs() > u64::from(dimension).saturating_mul(sites);
        let too_magnetic = |magnetization: i64| magnetization.unsigned_abs() > sites;
        let impossible = ensemble
            .chains
            .iter()
            .any(|chain| chain.energy.iter().copied().any(too_much_energy) || chain.magnetization.iter().copied().any(too_magnetic))
            || ensemble.histograms.iter().any(|histogram| {
                histogram.energies.iter().any(|bin| too_much_energy(bin.energy))
                    || histogram.magnetizations.iter().any(|&(magnetization, _)| too_magnetic(magnetization))
            });
        if impossible {
            damages.push(format!("{name} has a draw with more energy or magnetization than {sites} spins can have"));
        }
        let unreal =
            ensemble.observables.iter().filter(|one| !one.estimate.mean.is_finite() || one.exact.is_some_and(|exact| !exact.is_finite()));
        damages.extend(unreal.map(|one| format!("{name}: {} is not a finite number", one.name)));
    }
    damages
}

fn wrong_training(training: &TrainingRecord, job: &RunFile) -> Vec<String> {
    let Some(section) = &job.train else { return vec!["it holds a network that the run file does not ask for".to_string()] };
    let mut damages = wrong_layers(&training.layers, section);
    let wanted = job.companions();
    if training.companions.len() > wanted.len() {
        damages.push(format!(
            "it holds {} networks beside the main one, and the run file asks for {}",
            training.companions.len(),
            wanted.len()
        ));
    }
    for (found, companion) in training.companions.iter().zip(&wanted) {
        let of_this =
            wrong_layers(&found.layers, &companion.section).into_iter().map(|damage| format!("network “{}”: {damage}", companion.name));
        damages.extend(of_this);
        if found.seed != companion.job.seed || found.name != companion.name {
            damages.push(format!("network “{}” stands where the run file has “{}”", found.name, companion.name));
        }
    }
    damages
}

fn wrong_layers(layers: &[LayerRecord], section: &TrainSection) -> Vec<String> {
    let mut damages = Vec::new();
    let mut visible = section.size * section.size;
    for (index, layer) in layers.iter().enumerate() {
        let (number, wanted) = (index + 1, section.layers.get(index).copied());
        if layer.visible != visible || wanted != Some(layer.hidden) {
            damages.push(format!(
                "layer {number} has {} x {} units, and the run file asks for {visible} x {}",
                layer.visible,
                layer.hidden,
                wanted.unwrap_or(0)
            ));
        }
        visible = layer.hidden;
        for (name, numbers) in [("weights", &layer.weights), ("visible_bias", &layer.visible_bias), ("hidden_bias", &layer.hidden_bias)] {
            let unreal = numbers.iter().filter(|number| !number.is_finite()).count();
            if unreal > 0 {
                damages.push(format!("{unreal} of the {name} of layer {number} are not finite numbers"));
            }
        }
        let real = |epoch: &crate::record::EpochRecord| {
            [epoch.reconstruction_error, epoch.free_energy_gap, epoch.weight_norm, epoch.weight_maximum, epoch.gradient_norm]
                .iter()
                .all(|number| number.is_finite())
        };
        if let Some(epoch) = layer.epochs.iter().position(|epoch| !real(epoch)) {
            damages.push(format!("what was monitored in epoch {} of layer {number} is not a finite number", epoch + 1));
        }
    }
    damages
}

fn wrong_renormalization(record: &RunRecord) -> Vec<String> {
    let Some(part) = &record.renormalization else { return Vec::new() };
    let mut damages = Vec::new();
    for (index, layer) in part.receptive_fields.iter().enumerate() {
        if layer.fields.iter().any(|number| !number.is_finite()) {
            damages.push(format!("a receptive field of layer {} is not finite", index + 1));
        }
    }
    for example in &part.examples {
        if example.reconstructions.iter().flatten().any(|probability| !(0.0..=1.0).contains(probability)) {
            damages.push("a reconstruction of an example is no probability".to_string());
        }
    }
    damages
}

fn configurations(path: &Path, job: &RunFile, record: Option<&RunRecord>, report: Report) {
    let file = path.join(store::CONFIGURATIONS_FILE);
    let taken_in = job.train.as_ref().and_then(|section| section.foreign.as_ref()).map_or(0, |foreign| foreign.configurations);
    let wanted = job.sample.as_ref().map_or(taken_in, |section| section.configurations);
    let sampled = record.is_some_and(|record| record.sampling.is_some());
    if !file.exists() {
        if sampled && wanted > 0 {
            report(store::CONFIGURATIONS_FILE, Err(vec![format!("{} is missing, though the sampling is done", file.display())]));
        }
        return;
    }
    match store::read_configurations(&file) {
        Ok((origin, sets)) => {
            let mut damages = foreign(&origin, job);
            sets.iter().for_each(|set| damages.extend(wrong_set(set, wanted, record)));
            let rows: usize = sets.iter().map(|set| set.spins.rows()).sum();
            report(store::CONFIGURATIONS_FILE, verdict(damages, format!("{rows} configurations")));
        }
        Err(error) => report(store::CONFIGURATIONS_FILE, Err(vec![error.to_string()])),
    }
}

/// The number of configurations, and their magnetizations against the series they were drawn from, where these are kept.
fn wrong_set(set: &ConfigurationSet, wanted: usize, record: Option<&RunRecord>) -> Vec<String> {
    let name = format!("the configurations of L = {}, K = {}", set.size, set.coupling);
    let sites = set.size.saturating_pow(set.geometry.dimension() as u32);
    if set.spins.rows() != wanted || set.spins.columns() != sites {
        return vec![format!(
            "{name} are {} of {} sites, and the run file asks for {wanted} of {}",
            set.spins.rows(),
            set.spins.columns(),
            sites
        )];
    }
    let Some(ensemble) = record
        .and_then(|record| record.sampling.as_ref())
        .and_then(|sampling| sampling.ensembles.iter().find(|ensemble| ensemble.size == set.size && ensemble.coupling == set.coupling))
    else {
        return Vec::new();
    };
    if ensemble.chains.is_empty() {
        return Vec::new();
    }
    let agrees = |row: usize| {
        let up: u64 = set.spins.row(row).iter().map(|word| u64::from(word.count_ones())).sum();
        let chain = usize::try_from(set.chains[row]).ok().and_then(|chain| ensemble.chains.get(chain));
        let draw = usize::try_from(set.draws[row]).ok();
        let recorded = chain.zip(draw).and_then(|(chain, draw)| chain.magnetization.get(draw));
        recorded.is_some_and(|&recorded| recorded == 2 * up as i64 - set.spins.columns() as i64)
    };
    let wrong = (0..set.spins.rows()).filter(|&row| !agrees(row)).count();
    if wrong == 0 { Vec::new() } else { vec![format!("{wrong} of {name} have another magnetization than the series say")] }
}

fn summary(path: &Path, record: Option<&RunRecord>, report: Report) {
    let file = path.join(store::SUMMARY_FILE);
    let Some(record) = record else { return };
    let read = store::directory::regular_bytes(&file).map_err(|why| format!("cannot read {}: {why}", file.display()));
    let found: std::result::Result<serde_json::Value, String> =
        read.and_then(|text| serde_json::from_slice(&text).map_err(|why| format!("{} is no JSON: {why}", file.display())));
    let is_at_work = store::lock::holder(path).is_some_and(|(_, lives)| lives != Some(false));
    let again = format!("kadanoff report {}, or the command of the run, writes it again", path.display());
    // As text and back, so that numbers which JSON cannot hold are null on both sides.
    let expected: serde_json::Value = serde_json::from_str(&store::summary::summary(record).to_string()).unwrap_or_default();
    report(
        store::SUMMARY_FILE,
        match found {
            Ok(found) if found == expected => Ok("as results.h5 says".to_string()),
            // The files are replaced one after the other.
            Ok(_) if is_at_work => Ok("of a moment before or after results.h5: a job is at work".to_string()),
            Ok(_) => Err(vec![format!("{} says other things than {}: {again}", file.display(), store::RESULTS_FILE)]),
            Err(sentence) => Err(vec![format!("{sentence}: {again}")]),
        },
    );
}

/// `all.h5`, which leads to the others.
fn links(path: &Path, report: Report) {
    let again =
        || vec![format!("it is missing, or has changed since kadanoff wrote it: kadanoff report {} writes it again", path.display())];
    report(store::LINKS_FILE, if store::has_links(path) { Ok("links to the others".to_string()) } else { Err(again()) });
}

fn generation(path: &Path, name: &str, job: &RunFile, report: Report) {
    let file = path.join(CHECKPOINT_FOLDER).join(name);
    if std::fs::symlink_metadata(&file).is_err() {
        return;
    }
    let found =
        checkpoint::read_generation(&file, provenance::hash(&job.text).into()).and_then(|mut checkpoint| fits(&mut checkpoint, job));
    report(&format!("{CHECKPOINT_FOLDER}/{name}"), found.map_err(|error| vec![error.to_string()]));
}

/// Whether a whole checkpoint is a state of the run file's stages.
fn fits(checkpoint: &mut Checkpoint, job: &RunFile) -> Result<String> {
    let unasked = || Error::Refused("it is of a stage that the run file does not have".to_string());
    if checkpoint.stage == Stage::Sampling as u64 {
        let section = job.sample.as_ref().ok_or_else(unasked)?;
        let plan = sample::Plan::new(job.seed, &job.lattice, section);
        return Ok(format!("{} chains", travel::fit(&plan, &mut checkpoint.items)?));
    }
    if checkpoint.stage == Stage::Training as u64 {
        job.train.as_ref().ok_or_else(unasked)?;
        return layer_state::fit(job, &checkpoint.items.bytes()?);
    }
    if checkpoint.stage == Stage::Renormalization as u64 && job.renormalize.is_some() {
        return notes::fit(&checkpoint.items.bytes()?, "renormalization");
    }
    if checkpoint.stage == Stage::Analysis as u64 && job.sample.is_some() {
        return notes::fit(&checkpoint.items.bytes()?, "analysis");
    }
    Err(unasked())
}
