//! `[renormalize]`: what the network is held against.

use super::reader::Section;
use super::sample::SampleSection;
use super::train::TrainSection;

/// The keys of the section.
pub(super) const KEYS: &[&str] = &["mapping", "receptive_fields", "reconstructions", "block_spins", "examples"];

/// `[renormalize]`, understood. A part that needs a stage which the file does not have is off by default and refused when asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenormalizeSection {
    /// `mapping`: the identities of arXiv:1410.3831, Eqs. 18 to 22, by enumeration of small systems; default true. Needs no other stage.
    pub mapping: bool,
    /// `receptive_fields` of every layer; default true. Needs `[train]`.
    pub receptive_fields: bool,
    /// `reconstructions` of held-out configurations from every layer; default true. Needs `[train]`.
    pub reconstructions: bool,
    /// `block_spins`: the majority-rule control of the same compression; default true. Needs `[train]`, whose held-out configurations it blocks.
    pub block_spins: bool,
    /// `examples`: held-out configurations shown beside their reconstructions; default 3, or fewer if fewer are held out.
    pub examples: usize,
}

/// Reads the section. `trains` says whether `[train]` is written at all: if it is written but wrong, its absence is not reported a second time.
pub(super) fn read(
    section: &Section,
    sample: Option<&SampleSection>,
    train: Option<&TrainSection>,
    trains: bool,
) -> Option<RenormalizeSection> {
    let mapping = section.optional("mapping", true, |field| field.boolean());
    let with_network = |key: &str| {
        section.optional(key, trains, |field| {
            let wanted = field.boolean()?;
            if wanted && !trains {
                return field.refuse("there is no network without a section [train]: write that section, or leave this key out");
            }
            Some(wanted)
        })
    };
    let receptive_fields = with_network("receptive_fields");
    let reconstructions = with_network("reconstructions");
    let block_spins = with_network("block_spins");
    let most = sample.and(train).map(|train| train.held_out as u64);
    let default = if reconstructions == Some(true) { most.unwrap_or(3).min(3) as usize } else { 0 };
    let examples = section.optional("examples", default, |field| {
        let examples = field.count("from 0 to 1000", 0..=1000)?;
        if examples > 0 && reconstructions == Some(false) {
            return field.refuse("examples are shown with their reconstructions, which are off here: write 0, or leave this key out");
        }
        match most {
            Some(most) if examples as u64 > most => field.refuse(&format!("only {most} configurations are held out: write at most {most}")),
            _ => Some(examples),
        }
    });
    let section_value = RenormalizeSection {
        mapping: mapping?,
        receptive_fields: receptive_fields?,
        reconstructions: reconstructions?,
        block_spins: block_spins?,
        examples: examples?,
    };
    if !trains && !section_value.mapping {
        section.refuse("mapping", "nothing is left to do in [renormalize]: write mapping = true, or leave the section out");
        return None;
    }
    Some(section_value)
}
