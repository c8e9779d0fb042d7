//! The group `tempering` of a size in `/sampling` of `results.h5`: what the exchange of replicas did, over pairs of neighbouring couplings, ladders and couplings.

use super::hdf5::{GroupReader, GroupWriter, label};
use crate::error::Result;
use crate::record::TemperingRecord;

/// The name of the group in that of its size.
pub const GROUP: &str = "tempering";

/// Fills the group.
///
/// # Errors
/// [`crate::error::Error::InputOutput`]; [`crate::error::Error::Bug`] if the record contradicts itself.
pub fn write(group: &GroupWriter, tempering: &TemperingRecord) -> Result<()> {
    group.attributes().text("NX_class", "NXdata")?.number("exchange_every", tempering.exchange_every as u64)?;
    group.dimension("coupling", &tempering.couplings, label("1", "coupling K = J / (k_B T), ascending"))?;
    group.index("pair", tempering.swaps_tried.len(), "pair of neighbouring couplings, by the lower one")?;
    group.index("ladder", tempering.round_trips.len(), "independent ladder: the chains of this number at all couplings")?;
    group.variable("swaps_tried", &["pair"], &tempering.swaps_tried, label("1", "swaps tried, all ladders"))?;
    group.variable("swaps_made", &["pair"], &tempering.swaps_made, label("1", "swaps made, all ladders"))?;
    group.variable("acceptance", &["pair"], &tempering.acceptance(), label("1", "share of swaps made"))?;
    group.variable(
        "round_trips",
        &["ladder"],
        &tempering.round_trips,
        label("1", "round trips of replicas from the lowest coupling to the highest and back"),
    )?;
    group.variable("from_lowest", &["coupling"], &tempering.from_lowest, label("1", "replicas that were last at the lowest coupling"))?;
    group.variable(
        "from_highest",
        &["coupling"],
        &tempering.from_highest,
        label("1", "replicas that were last at the highest coupling"),
    )?;
    group.variable("flow", &["coupling"], &tempering.flow(), label("1", "share of replicas that were last at the lowest coupling"))?;
    group.attributes().text("signal", "flow")?.texts("axes", &["coupling"])?;
    Ok(())
}

/// Reads the group.
///
/// # Errors
/// [`crate::error::Error::Refused`].
pub fn read(group: &GroupReader, size: usize) -> Result<TemperingRecord> {
    let couplings = group.array::<f64>("coupling", 1)?.values;
    let pairs = [couplings.len().saturating_sub(1)];
    let at_each = [couplings.len()];
    Ok(TemperingRecord {
        size,
        exchange_every: group.count("exchange_every")?,
        swaps_tried: group.shaped("swaps_tried", &pairs)?,
        swaps_made: group.shaped("swaps_made", &pairs)?,
        round_trips: group.array("round_trips", 1)?.values,
        from_lowest: group.shaped("from_lowest", &at_each)?,
        from_highest: group.shaped("from_highest", &at_each)?,
        couplings,
    })
}
