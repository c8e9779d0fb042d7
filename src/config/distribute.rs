//! `distribute` of `[train]`: what of the training the ranks divide among themselves. It never changes what a rank count may not change; `layers` is a way of learning of its own.

use super::reader::Section;
use crate::rbm::Method;

/// What of the training the ranks divide among themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Distribute {
    /// The shards of every minibatch; layer after layer.
    Shards,
    /// The layers, which all learn at once: each minibatch goes up the stack as it is, and then every layer takes its step.
    Layers,
    /// The networks: one for each of the couplings, and those beside them.
    Temperatures,
}

impl Distribute {
    /// The name in run files.
    pub fn name(self) -> &'static str {
        match self {
            Distribute::Shards => "shards",
            Distribute::Layers => "layers",
            Distribute::Temperatures => "temperatures",
        }
    }
}

/// Reads the key.
pub(super) fn read(section: &Section) -> Option<Distribute> {
    section.optional("distribute", Distribute::Shards, |field| {
        let all = [Distribute::Shards, Distribute::Layers, Distribute::Temperatures];
        field.choice(&all.map(|one| (one.name(), one)))
    })
}

/// The rules between this key and others.
pub(super) fn check(section: &Section, distribute: Distribute, epochs: Option<&Vec<usize>>, method: Option<Method>, fresh: Option<bool>) {
    match distribute {
        Distribute::Shards => {}
        Distribute::Layers => {
            if epochs.is_some_and(|epochs| epochs.iter().any(|count| *count != epochs[0])) {
                section
                    .refuse("epochs", "with distribute = \"layers\" all layers learn at once: write one number of epochs for all of them");
            }
            if section.has("largest_free_energy_gap") {
                section.refuse(
                    "largest_free_energy_gap",
                    "with distribute = \"layers\" no layer is done before the others, which learn from it: leave this key out",
                );
            }
            if method.is_some_and(Method::is_exact) {
                section.refuse("method", "the exact method trains one layer, which leaves nothing to distribute: leave distribute out");
            }
        }
        Distribute::Temperatures => {
            if fresh == Some(true) {
                section.refuse(
                    "data",
                    "with distribute = \"temperatures\" the networks learn from kept configurations, each on a rank of its own: leave this key out",
                );
            }
        }
    }
}
