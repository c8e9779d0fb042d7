//! The keys of `[renormalize]` about the flow of the first machine, which mean nothing without it.

use super::reader::Section;
use super::sample::SampleSection;

/// How the flow v -> h -> v -> ... of the first machine is followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct FlowSection {
    /// `flow_steps`; default 100.
    pub steps: usize,
    /// `flow_chains`: configurations of each coupling that flow; default 1000, or as many as are kept.
    pub chains: usize,
}

/// Reads them. The outer `None` is a mistake, the inner one a flow that is not wanted.
pub(super) fn read(section: &Section, wanted: Option<bool>, sample: Option<&SampleSection>) -> Option<Option<FlowSection>> {
    let count = |key: &str, default: u64, range_in_words: &str, least: u64, most: u64| {
        section.optional(key, default as usize, |field| {
            if wanted == Some(false) {
                return field.refuse("it belongs to the flow, which is off here: write flow = true, or leave this key out");
            }
            field.count(range_in_words, least..=most)
        })
    };
    let steps = count("flow_steps", 100, "from 1 to 10^7", 1, 10_000_000);
    let most = sample.map_or(1_000_000, |sample| sample.configurations as u64).min(1_000_000);
    if wanted == Some(true) && most < 2 {
        section.refuse("flow", "its errors need several configurations of each coupling: write configurations = 1000 in [sample]");
        return None;
    }
    let words = format!("from 2 to {most}, because each starts from a kept configuration");
    let chains = count("flow_chains", most.min(1000), &words, 2, most);
    let values = FlowSection { steps: steps?, chains: chains? };
    wanted.map(|wanted| wanted.then_some(values))
}
