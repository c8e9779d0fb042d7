//! The keys of `[train]` that say how a machine learns: where the statistics of the model come from, how rates move, what holds the weights back, when to stop, and whether
//! the data are kept or fresh.

use super::reader::{Field, Section};
use super::train::single;
use crate::rbm::options::MOST_TEMPERATURES;
use crate::rbm::train::exact::MOST_VISIBLE;
use crate::rbm::train::natural::MOST_PARAMETERS;
use crate::rbm::{GradientKind, Method, Schedule};

/// How every layer learns. Lists have one entry for each layer.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct LearningSection {
    /// `method`; default `"cd"`.
    pub method: Method,
    /// `chains`: persistent chains, at each temperature; default the minibatch.
    pub chains: usize,
    /// `inverse_temperatures` of the tempered method; default 10.
    pub inverse_temperatures: usize,
    /// `lowest_inverse_temperature`; default 0.
    pub lowest_inverse_temperature: f32,
    /// `last_learning_rate` of each layer; default `learning_rate`.
    pub last_learning_rate: Vec<f32>,
    /// `schedule` from the first to the last learning rate; default `"geometric"`.
    pub schedule: Schedule,
    /// `last_momentum`; default `momentum`.
    pub last_momentum: f32,
    /// `momentum_epochs`: from `momentum` to `last_momentum`; default 5.
    pub momentum_epochs: u64,
    /// `l2`: the penalty l2 / 2 sum W^2 of each layer; default 0.
    pub l2: Vec<f32>,
    /// `gradient_limit`: the largest mean gradient of a single weight; default none.
    pub gradient_limit: f32,
    /// `largest_free_energy_gap` in nats: a layer is done when the gap is above it in three epochs in a row; default none.
    pub largest_free_energy_gap: f64,
}

/// What was read of the section before, as far as it was right.
pub(super) struct Before<'a> {
    pub depth: Option<usize>,
    pub minibatch: Option<usize>,
    pub shards: Option<usize>,
    pub learning_rate: Option<&'a Vec<f32>>,
    pub momentum: Option<f32>,
    pub sites: Option<usize>,
    pub hidden: Option<usize>,
    pub gradient: Option<GradientKind>,
    /// Whether the configurations are those of another program.
    pub takes_foreign: bool,
}

/// Reads the keys.
pub(super) fn read(section: &Section, before: &Before) -> Option<LearningSection> {
    let depth = before.depth;
    let method = section.optional("method", Method::ContrastiveDivergence, |field| {
        field.choice(&[
            ("cd", Method::ContrastiveDivergence),
            ("pcd", Method::Persistent),
            ("tempered", Method::Tempered),
            ("exact", Method::Exact),
            ("natural", Method::Natural),
        ])
    });
    let with = |field: &Field, methods: &[Method]| match method {
        Some(method) if !methods.contains(&method) => {
            let names: Vec<String> = methods.iter().map(|method| format!("method = \"{}\"", method.name())).collect();
            field.refuse::<()>(&format!("it belongs to {}: write that, or leave this key out", names.join(" or "))).is_some()
        }
        _ => true,
    };
    let persistent = [Method::Persistent, Method::Tempered];
    let least = before.shards.unwrap_or(1) as u64;
    let chains = section.optional("chains", before.minibatch.unwrap_or(100), |field| {
        if !with(field, &persistent) {
            return None;
        }
        field.count(&format!("from {least} (one for each of the shards) to 1000000"), least..=1_000_000)
    });
    let inverse_temperatures = section.optional("inverse_temperatures", 10, |field| {
        if !with(field, &[Method::Tempered]) {
            return None;
        }
        field.count(&format!("of temperatures from 2 to {MOST_TEMPERATURES}"), 2..=MOST_TEMPERATURES as u64)
    });
    let lowest_inverse_temperature = section.optional("lowest_inverse_temperature", 0.0, |field| {
        if !with(field, &[Method::Tempered]) {
            return None;
        }
        single(field, "a number from 0 to below 1", |value| (0.0..1.0).contains(&value) && (value as f32) < 1.0)
    });
    let positive = |field: &Field| single(field, "a number above 0 that fits single precision (at most 3e38)", |value| value > 0.0);
    let last_learning_rate =
        section.optional("last_learning_rate", before.learning_rate.cloned(), |field| Some(field.per_layer(depth, positive))).flatten();
    let schedule = section.optional("schedule", Schedule::Geometric, |field| {
        if !section.has("last_learning_rate") && !section.has("last_l1") {
            return field.refuse("nothing changes from epoch to epoch: write last_learning_rate or last_l1, or leave this key out");
        }
        field.choice(&[("geometric", Schedule::Geometric), ("linear", Schedule::Linear)])
    });
    let last_momentum = section
        .optional("last_momentum", before.momentum, |field| {
            Some(single(field, "a number from 0 to below 1", |value| (0.0..1.0).contains(&value) && (value as f32) < 1.0))
        })
        .flatten();
    let momentum_epochs = section.optional("momentum_epochs", 5, |field| {
        if !section.has("last_momentum") {
            return field.refuse("the momentum stays what it is: write last_momentum, or leave this key out");
        }
        field.integer("from 0 to 1000000", 0..=1_000_000)
    });
    let penalty = |field: &Field| single(field, "a number of at least 0 that fits single precision", |value| value >= 0.0);
    let l2 = section.optional("l2", depth.map(|depth| vec![0.0; depth]), |field| Some(field.per_layer(depth, penalty))).flatten();
    let gradient_limit = section.optional("gradient_limit", f32::INFINITY, positive);
    let largest_free_energy_gap =
        section.optional("largest_free_energy_gap", f64::INFINITY, |field| field.number("a number of nats above 0", |value| value > 0.0));
    if let Some(method) = method.filter(|method| method.is_exact()) {
        let name = method.name();
        if let Some(sites) = before.sites.filter(|&sites| sites > MOST_VISIBLE) {
            section.refuse(
                "method",
                &format!("the {name} method sums over all states of the lattice, and {sites} spins have too many: at most {MOST_VISIBLE} spins, that is sizes = [4]"),
            );
        }
        if before.takes_foreign {
            let sentence = format!(
                "the {name} method learns the exact Ising law at the coupling and looks at no configurations, so those of `data` would not be learned: write \"cd\", \"pcd\" or \"tempered\", or sample \
                 with [sample]"
            );
            section.refuse("method", &sentence);
        }
        if depth.is_some_and(|depth| depth > 1) {
            let sentence = format!("the {name} method knows the law of the spins only, so it trains one layer: write one number in layers");
            section.refuse("method", &sentence);
        }
        let most = before.sites.map_or(usize::MAX, |sites| (MOST_PARAMETERS / (sites + 1)).saturating_sub(1));
        if method == Method::Natural && before.hidden.is_some_and(|hidden| hidden > most) {
            section
                .refuse("layers", &format!("the natural gradient inverts a matrix over all parameters: write at most {most} hidden units"));
        }
        if method == Method::Natural && before.gradient == Some(GradientKind::Centred) {
            section.refuse("gradient", "the natural gradient is the same in all coordinates: write \"plain\", or leave the key out");
        }
    }
    Some(LearningSection {
        method: method?,
        chains: chains?,
        inverse_temperatures: inverse_temperatures?,
        lowest_inverse_temperature: lowest_inverse_temperature?,
        last_learning_rate: last_learning_rate?,
        schedule: schedule?,
        last_momentum: last_momentum?,
        momentum_epochs: momentum_epochs?,
        l2: l2?,
        gradient_limit: gradient_limit?,
        largest_free_energy_gap: largest_free_energy_gap?,
    })
}
