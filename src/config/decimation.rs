//! The keys of `[renormalize]` about one dimension: decimation as a network, and a stack trained on the same chain. They mean nothing without it.

use super::reader::Section;

/// The ring that is decimated, and the stack beside it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct DecimationSection {
    /// `decimation_sites`: spins of the ring, a power of two; default 64.
    pub sites: usize,
    /// `decimation_coupling`: J between neighbours; default 1.
    pub coupling: f64,
    /// `decimation_layers` of the trained stack, each with half as many units as the one below; default 3, or fewer on short rings.
    pub layers: usize,
    /// `decimation_samples`: configurations that the stack learns from; a tenth as many judge it; default 20000.
    pub samples: usize,
    /// `decimation_epochs` of each layer; default 60.
    pub epochs: usize,
}

/// Reads them. The outer `None` is a mistake, the inner one that it is not wanted.
pub(super) fn read(section: &Section) -> Option<Option<DecimationSection>> {
    let wanted = section.optional("decimation", false, |field| field.boolean());
    let belongs = "it belongs to the decimation of a chain, which is off here: write decimation = true, or leave this key out";
    let count = |key: &str, default: usize, range_in_words: &str, least: u64, most: u64| {
        section.optional(key, default, |field| {
            if wanted == Some(false) { field.refuse(belongs) } else { field.count(range_in_words, least..=most) }
        })
    };
    let sites = section.optional("decimation_sites", 64, |field| {
        if wanted == Some(false) {
            return field.refuse(belongs);
        }
        let rule = "that is a power of two from 8 to 4096: a ring is halved until one spin is left";
        let sites = field.count(rule, 8..=4096)?;
        if sites.is_power_of_two() { Some(sites) } else { field.refuse(&format!("must be a whole number {rule}")) }
    });
    let coupling = section.optional("decimation_coupling", 1.0, |field| {
        if wanted == Some(false) {
            return field.refuse(belongs);
        }
        field.number("a coupling above 0 and at most 10", |value| value > 0.0 && value <= 10.0)
    });
    let most = sites.map_or(1, |sites| u64::from(sites.trailing_zeros()) - 2);
    let layers = count("decimation_layers", most.min(3) as usize, &format!("from 1 to {most}, because four units must be left"), 1, most);
    let samples = count("decimation_samples", 20_000, "from 100 to 10^6", 100, 1_000_000);
    let epochs = count("decimation_epochs", 60, "from 1 to 10^6", 1, 1_000_000);
    let values = DecimationSection { sites: sites?, coupling: coupling?, layers: layers?, samples: samples?, epochs: epochs? };
    wanted.map(|wanted| wanted.then_some(values))
}
