//! `[train]`: the stack of restricted Boltzmann machines and how it learns.

use super::companions::{self, ScanSection};
use super::distribute::{self, Distribute};
use super::foreign::{self, Data, ForeignSection};
use super::lattice::LatticeSection;
use super::learning::{self, LearningSection};
use super::reader::{Field, Section};
use super::sample::SampleSection;
use crate::rbm::deep::ActivationKind;
use crate::rbm::{GradientKind, Method, Reconstruction, VisibleBias};

/// The keys of the section.
pub(super) const KEYS: &[&str] = &[
    "size",
    "coupling",
    "couplings",
    "layers",
    "epochs",
    "minibatch",
    "learning_rate",
    "momentum",
    "l1",
    "last_l1",
    "initial_weight",
    "initial_range",
    "visible_bias",
    "gradient",
    "activations",
    "gibbs_steps",
    "reconstruction",
    "held_out",
    "shards",
    "data",
    "samples",
    "sweeps_between",
    "method",
    "chains",
    "inverse_temperatures",
    "lowest_inverse_temperature",
    "last_learning_rate",
    "schedule",
    "last_momentum",
    "momentum_epochs",
    "l2",
    "gradient_limit",
    "largest_free_energy_gap",
    "seeds",
    "scan",
    "distribute",
    "other_methods",
];

/// Units of a layer, visible or hidden.
const MOST_UNITS: u64 = 1 << 22;
/// The random streams of the layers have so many numbers (`run::train`).
const MOST_LAYERS: usize = 128;

/// `[train]`, understood. Lists have one entry for each layer.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct TrainSection {
    /// `size`: the side of the lattice whose configurations are learned; needed if there are several sizes.
    pub size: usize,
    /// `coupling` or `couplings`: the couplings of those configurations, each one of `SampleSection::couplings_of(size)`, in equal shares; needed if there are several to choose from.
    pub couplings: Vec<f64>,
    /// `layers`: hidden units of each layer, from the lattice up. Required.
    pub layers: Vec<usize>,
    /// `epochs` of each layer. Required.
    pub epochs: Vec<usize>,
    /// `minibatch`: configurations a step; default 100.
    pub minibatch: usize,
    /// `learning_rate` of each layer; default 0.1.
    pub learning_rate: Vec<f32>,
    /// `momentum`, at least 0 and below 1; default 0.5.
    pub momentum: f32,
    /// `l1`: the penalty l1 sum |W| of each layer; default 0.
    pub l1: Vec<f32>,
    /// `last_l1`: the penalty of the last epoch of each layer; default `l1`.
    pub last_l1: Vec<f32>,
    /// `initial_weight`: standard deviation of the first weights; default 0.01.
    pub initial_weight: f32,
    /// `initial_range`: the first weights of the first layer see windows of 2 `initial_range` + 1 sites a side only; default the whole lattice.
    pub initial_range: Option<usize>,
    /// `visible_bias`; default `"zero"`.
    pub visible_bias: VisibleBias,
    /// `gradient`; default `"centred"`, with the natural gradient `"plain"`.
    pub gradient: GradientKind,
    /// `activations`; default `"probabilities"`.
    pub activations: ActivationKind,
    /// `gibbs_steps`: k of contrastive divergence; default 1.
    pub gibbs_steps: usize,
    /// `reconstruction`: what the visible layer passes on in a Gibbs step; default `"states"`.
    pub reconstruction: Reconstruction,
    /// `held_out`: kept configurations set aside from training, at least 1; default a tenth.
    pub held_out: usize,
    /// The configurations of an epoch: those that are left to train on, or `samples` fresh ones.
    pub samples: usize,
    /// `data = "fresh"`: every epoch has configurations of its own, drawn while the machine learns, with `sweeps_between` sweeps from one to the next of the same chain. `None`: the kept
    /// ones, again and again.
    pub fresh_sweeps: Option<usize>,
    /// How the layers learn.
    pub learning: LearningSection,
    /// `shards`: parts of a minibatch that may be worked on side by side; it is part of the definition of the result. Default 4, or the minibatch if smaller.
    pub shards: usize,
    /// `seeds`: networks with the same settings and data and other random numbers, this one among them; default 1.
    pub seeds: usize,
    /// `scan` of the penalty and the number of configurations, by networks of one layer; default none.
    pub scan: Option<ScanSection>,
    /// `distribute`: what the ranks divide among themselves; default `"shards"`.
    pub distribute: Distribute,
    /// The couplings that networks beside this one learn, each one of them, with `distribute = "temperatures"`.
    pub other_couplings: Vec<f64>,
    /// `data = { file, ... }`: the configurations of another program; default none, those of `[sample]`.
    pub foreign: Option<ForeignSection>,
    /// `other_methods`: a network beside this one for each; default none.
    pub other_methods: Vec<Method>,
}

/// Weights of a network up to which the end of its last epoch is kept in memory. The copies of larger ones would take many megabytes.
const MOST_WEIGHTS_KEPT: usize = 1 << 17;

impl TrainSection {
    /// Whether the end of the last epoch is kept in memory, for the case that a number stops being finite before the next checkpoint.
    pub fn keeps_last_good(&self) -> bool {
        let visible = std::iter::once(self.size * self.size).chain(self.layers.iter().copied());
        let weights = visible.zip(&self.layers).fold(0usize, |sum, (visible, &hidden)| sum.saturating_add(visible.saturating_mul(hidden)));
        weights <= MOST_WEIGHTS_KEPT
    }

    /// The coupling of the configurations that are learned, if they have but one.
    pub fn coupling(&self) -> Option<f64> {
        if let [coupling] = self.couplings.as_slice() { Some(*coupling) } else { None }
    }
}

/// Reads the section; rules that need a wrong or missing section are left out.
pub(super) fn read(section: &Section, lattice: Option<&LatticeSection>, sample: Option<&SampleSection>) -> Option<TrainSection> {
    let distribute = distribute::read(section);
    let data_kind = foreign::read(section);
    let foreign = if let Some(Data::Foreign(foreign)) = &data_kind { Some(foreign) } else { None };
    let mut source = match foreign {
        Some(foreign) => lattice.and_then(|lattice| foreign::source(section, lattice, foreign)),
        None => lattice.zip(sample).and_then(|(lattice, sample)| source(section, lattice, sample)),
    };
    let other_couplings = match (&mut source, distribute) {
        (Some((_, couplings)), Some(Distribute::Temperatures)) => couplings.split_off(1),
        _ => Vec::new(),
    };
    if distribute == Some(Distribute::Temperatures) && source.is_some() && other_couplings.is_empty() {
        section.refuse(
            "distribute",
            "there is one coupling, so there is one stack: write couplings = \"all\" with several in [sample], or leave this key out",
        );
    }
    let couplings = source.as_ref().map(|(_, couplings)| couplings.len());
    let layers = section.required("layers", "layers = [400, 100, 25]", |field| {
        let layers = field.list("hidden layer sizes", |field| field.count("of units from 1 to 4194304", 1..=MOST_UNITS))?;
        if layers.len() > MOST_LAYERS {
            return field.refuse(&format!("has {} layers: write at most {MOST_LAYERS}", layers.len()));
        }
        Some(layers)
    });
    let depth = layers.as_ref().map(Vec::len);
    let epochs =
        section.required("epochs", "epochs = 200", |field| field.per_layer(depth, |field| field.count("from 1 to 1000000", 1..=1_000_000)));
    let minibatch = section.optional("minibatch", 100, |field| field.count("from 1 to 1000000", 1..=1_000_000));
    let positive = |field: &Field| single(field, "a number above 0 that fits single precision (at most 3e38)", |value| value > 0.0);
    let rate =
        section.optional("learning_rate", depth.map(|depth| vec![0.1; depth]), |field| Some(field.per_layer(depth, positive))).flatten();
    let momentum = section.optional("momentum", 0.5, |field| {
        single(field, "a number from 0 to below 1", |value| (0.0..1.0).contains(&value) && (value as f32) < 1.0)
    });
    let penalty = |field: &Field| single(field, "a number of at least 0 that fits single precision", |value| value >= 0.0);
    let l1 = section.optional("l1", depth.map(|depth| vec![0.0; depth]), |field| Some(field.per_layer(depth, penalty))).flatten();
    let last_l1 = section.optional("last_l1", l1.clone(), |field| Some(field.per_layer(depth, penalty))).flatten();
    let initial_range = section.optional("initial_range", None, |field| field.count("of sites from 0 to 65536", 0..=65_536).map(Some));
    let initial_weight = section.optional("initial_weight", 0.01, positive);
    let visible_bias = section.optional("visible_bias", VisibleBias::Zero, |field| {
        field.choice(&[("zero", VisibleBias::Zero), ("log-odds", VisibleBias::LogOdds)])
    });
    let gradient = section
        .optional("gradient", None, |field| field.choice(&[("plain", GradientKind::Plain), ("centred", GradientKind::Centred)]).map(Some));
    let activations = section.optional("activations", ActivationKind::Probabilities, |field| {
        field.choice(&[("probabilities", ActivationKind::Probabilities), ("states", ActivationKind::States)])
    });
    let reconstruction = section.optional("reconstruction", Reconstruction::States, |field| {
        field.choice(&[("probabilities", Reconstruction::Probabilities), ("states", Reconstruction::States)])
    });
    let gibbs_steps = section.optional("gibbs_steps", 1, |field| field.count("from 1 to 100000", 1..=100_000));
    let shards =
        section.optional("shards", minibatch.map_or(4, |minibatch| minibatch.min(4)), |field| field.count("from 1 to 4096", 1..=4096));
    if let (Some(shards), Some(minibatch)) = (shards, minibatch)
        && shards > minibatch
    {
        section.refuse("shards", &format!("{shards} parts cannot be made of a minibatch of {minibatch}: write at most {minibatch}"));
    }
    let fresh = data_kind.as_ref().map(|kind| *kind == Data::Fresh);
    let data = match fresh {
        Some(true) => sample.zip(couplings).and_then(|(sample, couplings)| fresh_data(section, sample, couplings, minibatch)),
        _ => {
            for key in ["samples", "sweeps_between"].into_iter().filter(|key| section.has(key)) {
                section.refuse(key, "it belongs to data = \"fresh\": write that, or leave this key out");
            }
            let configurations = foreign.map(|foreign| foreign.configurations).or(sample.map(|sample| sample.configurations));
            let kept = configurations.zip(couplings);
            let kept = kept.and_then(|(configurations, couplings)| held_out(section, configurations, couplings, minibatch));
            kept.map(|(held_out, samples)| (held_out, samples, None))
        }
    };
    let before = learning::Before {
        depth,
        minibatch,
        shards,
        learning_rate: rate.as_ref(),
        momentum,
        sites: source.as_ref().map(|(size, _)| size * size),
        hidden: layers.as_ref().and_then(|layers| layers.first().copied()),
        gradient: gradient.flatten(),
        takes_foreign: foreign.is_some(),
    };
    let learning = learning::read(section, &before);
    if let Some(distribute) = distribute {
        distribute::check(section, distribute, epochs.as_ref(), learning.as_ref().map(|learning| learning.method), fresh);
    }
    let other_methods = companions::read_methods(section, learning.as_ref().map(|learning| learning.method));
    let seeds = companions::read_seeds(section);
    let scan =
        companions::read_scan(section, data.map(|(_, samples, _)| samples), minibatch, epochs.as_deref(), seeds, fresh == Some(true));
    let ((size, couplings), (held_out, samples, fresh_sweeps)) = (source?, data?);
    fresh?;
    // Centred where it helps, which is wherever the coordinates matter (README, [train]).
    let of_method = match learning.as_ref()?.method {
        Method::Natural => GradientKind::Plain,
        _ => GradientKind::Centred,
    };
    Some(TrainSection {
        size,
        couplings,
        layers: layers?,
        epochs: epochs?,
        minibatch: minibatch?,
        learning_rate: rate?,
        momentum: momentum?,
        l1: l1?,
        last_l1: last_l1?,
        initial_weight: initial_weight?,
        initial_range: initial_range?,
        visible_bias: visible_bias?,
        gradient: gradient?.unwrap_or(of_method),
        activations: activations?,
        gibbs_steps: gibbs_steps?,
        reconstruction: reconstruction?,
        held_out,
        samples,
        shards: shards?,
        fresh_sweeps,
        learning: learning?,
        seeds: seeds?,
        scan: scan?,
        distribute: distribute?,
        other_couplings,
        foreign: foreign.cloned(),
        other_methods: other_methods?,
    })
}

/// A number of the training, which computes in single precision: it must neither overflow nor vanish there.
pub(super) fn single(field: &Field, rule: &str, passes: impl FnOnce(f64) -> bool) -> Option<f32> {
    field
        .number(rule, |value| passes(value) && (value as f32).is_finite() && (value == 0.0 || value as f32 != 0.0))
        .map(|value| value as f32)
}

/// Which of the sampled ensembles are learned: size and couplings.
fn source(section: &Section, lattice: &LatticeSection, sample: &SampleSection) -> Option<(usize, Vec<f64>)> {
    let size = size_of(section, lattice)?;
    Some((size, learned_couplings(section, &sample.couplings_of(size), lattice.geometry.critical_coupling())?))
}

/// The size that is learned.
pub(super) fn size_of(section: &Section, lattice: &LatticeSection) -> Option<usize> {
    let sizes = &lattice.sizes;
    let size = if section.has("size") || sizes.len() > 1 {
        section.required("size", &format!("size = {} or another of the sizes of [lattice]", sizes[0]), |field| {
            let size = field.count("among the sizes of [lattice]", 1..=u64::MAX)?;
            if sizes.contains(&size) {
                Some(size)
            } else {
                field.refuse(&format!("is not one of the sizes of [lattice], which are {sizes:?}"))
            }
        })
    } else {
        sizes.first().copied()
    };
    if let Some(size) = size
        && (size as u64).pow(2) > MOST_UNITS
    {
        section
            .refuse("size", &format!("a lattice of side {size} has more than {MOST_UNITS} visible units: train on a side of at most 2048"));
        return None;
    }
    size
}

/// The couplings that are learned, of those that are `sampled`: `coupling = K`, `couplings = [K, K]` or `couplings = "all"`; `critical` is what "critical" stands for.
fn learned_couplings(section: &Section, sampled: &[f64], critical: Option<f64>) -> Option<Vec<f64>> {
    let one_of_them = |field: &Field| {
        let wanted = match critical {
            Some(critical) if field.says("critical") => critical,
            _ => super::couplings::coupling(field)?,
        };
        let near = |coupling: f64| (coupling - wanted).abs() <= 1e-6 * coupling.max(1e-300);
        match sampled.iter().find(|&&coupling| coupling == wanted || near(coupling)) {
            Some(&coupling) => Some(coupling),
            None => {
                let listed: Vec<String> = sampled.iter().take(20).map(|coupling| format!("{coupling:.7}")).collect();
                field.refuse(&format!("is not sampled at this size: write one of {}, to six digits or more", listed.join(", ")))
            }
        }
    };
    if section.has("couplings") {
        if section.has("coupling") {
            section.refuse("couplings", "coupling is there as well: write one of the two keys");
            return None;
        }
        return section.optional("couplings", Vec::new(), |field| {
            if field.is_text() {
                return field.choice(&[("all", ())]).map(|()| sampled.to_vec());
            }
            field.distinct("couplings, or \"all\",", one_of_them)
        });
    }
    if !section.has("coupling") && sampled.len() == 1 {
        return Some(sampled.to_vec());
    }
    let example = "coupling = with one of the couplings of [sample], or couplings = \"all\"";
    section.required("coupling", example, one_of_them).map(|coupling| vec![coupling])
}

/// How the kept configurations of `couplings` couplings are divided: (held out, trained on), of all together. Each coupling gives some to both.
fn held_out(section: &Section, configurations: usize, couplings: usize, minibatch: Option<usize>) -> Option<(usize, usize)> {
    if configurations < 2 {
        section.refuse(
            "layers",
            &format!(
                "[train] needs configurations, and [sample] keeps {configurations}: write configurations = 20000 (at least 2) in [sample]"
            ),
        );
        return None;
    }
    let Some(kept) = configurations.checked_mul(couplings) else {
        section.refuse(
            "couplings",
            "so many configurations cannot be counted: write fewer couplings here or fewer configurations in [sample]",
        );
        return None;
    };
    let (least, most) = (couplings as u64, (kept - couplings) as u64);
    let held_out = section.optional("held_out", (kept / 10).max(couplings), |field| {
        let range = format!("from {least} to {most}, because {kept} configurations are kept and some must be left to train on");
        field.count(&range, least..=most)
    })?;
    let samples = kept - held_out;
    if let Some(minibatch) = minibatch
        && minibatch > samples
    {
        section.refuse(
            "minibatch",
            &format!(
                "{minibatch} is more than the {samples} configurations to train on ({kept} kept, {held_out} held out): write at most {samples}, or keep more"
            ),
        );
        return None;
    }
    Some((held_out, samples))
}

/// Fresh data: (held out, trained on in an epoch, sweeps between two of a chain). All kept configurations of the couplings are held out.
fn fresh_data(
    section: &Section,
    sample: &SampleSection,
    couplings: usize,
    minibatch: Option<usize>,
) -> Option<(usize, usize, Option<usize>)> {
    if sample.configurations == 0 {
        section.refuse(
            "data",
            "fresh data are drawn for the training alone, and [sample] keeps no configurations to judge it by: write configurations = 2000 in [sample]",
        );
        return None;
    }
    if section.has("held_out") {
        section.refuse("held_out", "with data = \"fresh\" all kept configurations are held out: leave this key out");
    }
    let least = minibatch.unwrap_or(1) as u64;
    let samples = section.required("samples", "samples = 20000 (configurations of an epoch)", |field| {
        field.count(&format!("from {least} (a minibatch) to 10^9"), least..=1_000_000_000)
    });
    let sweeps = section.optional("sweeps_between", 10, |field| field.count("from 1 to 1000000", 1..=1_000_000));
    let Some(held_out) = sample.configurations.checked_mul(couplings) else {
        section.refuse(
            "couplings",
            "so many configurations cannot be counted: write fewer couplings here or fewer configurations in [sample]",
        );
        return None;
    };
    Some((held_out, samples?, Some(sweeps?)))
}
