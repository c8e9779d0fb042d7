//! The improved estimators of the draws of one size, beside its other series: variables over (coupling, chain, draw), there where they were asked for.

use super::hdf5::{GroupReader, GroupWriter, label};
use crate::error::Result;
use crate::measure::{ClusterMoments, Series};
use crate::record::Ensemble;

/// The variables, in the order of [`ClusterMoments::numbers`]: name, words.
pub const NAMES: [(&str, &str); 3] = [
    ("improved_square", "mean of M^2 / N^2 over the signs of the clusters"),
    ("improved_fourth_power", "mean of M^4 / N^4 over the signs of the clusters"),
    ("improved_wave_power", "mean of the power of the longest waves over N^2 over the signs of the clusters"),
];

/// Writes what the chains have of them.
///
/// # Errors
/// [`crate::error::Error::InputOutput`].
pub fn write(group: &GroupWriter, ensembles: &[Ensemble], chains: usize, draws: usize) -> Result<()> {
    let all = || ensembles.iter().flat_map(|ensemble| &ensemble.chains).flat_map(|chain| &chain.improved);
    for (part, (name, words)) in NAMES.into_iter().enumerate() {
        if all().all(|moments| moments.numbers()[part].is_nan()) {
            continue;
        }
        group.blocks(name, &["coupling", "chain", "draw"], label("1", words), |range| {
            let mut values = Vec::with_capacity(range.len() * chains * draws);
            for ensemble in &ensembles[range] {
                for chain in 0..chains {
                    let end = values.len() + draws;
                    let series = ensemble.chains.get(chain).map_or(&[][..], |series| &series.improved);
                    values.extend(series.iter().map(|moments| moments.numbers()[part]));
                    values.resize(end, f64::NAN);
                }
            }
            Ok(values)
        })?;
    }
    Ok(())
}

/// Reads them into the series of each coupling: `chains[coupling]` are those that exist of `count` chains, `draws` their longest length, and `length` that of each of the
/// coupling x chain places, if there is a chain.
///
/// # Errors
/// [`crate::error::Error::Refused`].
pub fn read(
    group: &GroupReader,
    all: &mut [Vec<Series>],
    count: usize,
    draws: usize,
    length: &dyn Fn(usize) -> Option<usize>,
) -> Result<()> {
    let has = NAMES.map(|(name, _)| group.has(name));
    if !has[0] {
        return Ok(());
    }
    for series in all.iter_mut().flatten() {
        series.improved = vec![ClusterMoments::of_numbers([f64::NAN; 3]); series.len()];
    }
    for (part, (name, _)) in NAMES.into_iter().enumerate().filter(|(part, _)| has[*part]) {
        if group.shape::<f64>(name, 3)? != [all.len(), count, draws] {
            return Err(group.wrong(name, format!("its shape is not {:?}", [all.len(), count, draws])));
        }
        group.blocks::<f64>(name, 3, |range, values| {
            for (row, coupling) in range.enumerate() {
                let existing = (0..count).filter_map(|chain| length(coupling * count + chain).map(|length| (chain, length)));
                for (series, (chain, length)) in all[coupling].iter_mut().zip(existing) {
                    let start = (row * count + chain) * draws;
                    for (moments, value) in series.improved.iter_mut().zip(&values[start..start + length]) {
                        let mut numbers = moments.numbers();
                        numbers[part] = *value;
                        *moments = ClusterMoments::of_numbers(numbers);
                    }
                }
            }
            Ok(())
        })?;
    }
    // Nothing but fill: such a chain was measured without.
    for series in all.iter_mut().flatten() {
        if series.improved.iter().all(|moments| moments.square.is_nan()) {
            series.improved.clear();
        }
    }
    Ok(())
}
