//! Networks that were trained beside the main one, in `network.h5` and `results.h5`: the group `companions` of `/training`, one group a network with one group a layer.

use super::hdf5::{GroupReader, GroupWriter, label};
use super::network::{read_layer, write_layer};
use crate::error::Result;
use crate::record::CompanionRecord;

/// Adds the group to `/training`, if there are any.
///
/// # Errors
/// [`crate::error::Error::InputOutput`].
pub fn write(training: &GroupWriter, companions: &[CompanionRecord], with_weights: bool) -> Result<()> {
    if companions.is_empty() {
        return Ok(());
    }
    let all = training.group("companions")?;
    all.attributes().text("NX_class", "NXcollection")?.number("networks", companions.len() as u64)?;
    for (number, companion) in (1..).zip(companions) {
        let group = all.group(&format!("network{number}"))?;
        group
            .attributes()
            .text("NX_class", "NXentry")?
            .text("name", &companion.name)?
            .text("role", &companion.role)?
            .number("seed_number", companion.seed_number as u64)?
            .number("seed", companion.seed)?
            .number("samples", companion.samples as u64)?
            .number("layers", companion.layers.len() as u64)?;
        group.dimension("layer", &(1..=companion.l1.len() as i64).collect::<Vec<_>>(), label("1", "layer of the stack"))?;
        group.variable("l1", &["layer"], &companion.l1, label("nat", "strength of the penalty l1 sum |W|"))?;
        for (number, layer) in (1..).zip(&companion.layers) {
            write_layer(&group.group(&format!("layer{number}"))?, layer, with_weights)?;
        }
    }
    Ok(())
}

/// Reads them from `/training`.
///
/// # Errors
/// [`crate::error::Error::Refused`].
pub fn read(training: &GroupReader, with_weights: bool) -> Result<Vec<CompanionRecord>> {
    if !training.has("companions") {
        return Ok(Vec::new());
    }
    let all = training.group("companions")?;
    let read = |number: usize| {
        let group = all.group(&format!("network{number}"))?;
        let layer = |number: usize| read_layer(&group.group(&format!("layer{number}"))?, with_weights);
        Ok(CompanionRecord {
            name: group.text("name")?,
            role: group.text("role")?,
            seed_number: group.count("seed_number")?,
            seed: group.number("seed")?,
            samples: group.count("samples")?,
            l1: group.array::<f32>("l1", 1)?.values,
            layers: (1..=group.count("layers")?).map(layer).collect::<Result<_>>()?,
        })
    };
    (1..=all.count("networks")?).map(read).collect()
}
