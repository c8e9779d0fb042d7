//! The group `/sampling` of `results.h5`: every observable over (size, coupling), and one group `L40`, `L80` ... a size with the series over (coupling, chain,
//! draw), or with histograms in their place. Ensembles that are not measured yet are NaN (or 0 where integers count), chains that end early are filled up and say so.

use super::hdf5::{GroupReader, GroupWriter, label};
use super::{histogram, improved, tempering};
use crate::error::{Error, Result};
use crate::measure::{Histogram, Series};
use crate::record::{Ensemble, Estimate, Observable, SamplingRecord};

/// What stands for a draw that was not taken.
const NO_DRAW: i64 = i64::MIN;
/// The number of draws of a chain that does not exist.
const NO_CHAIN: i64 = -1;
/// The attribute that names the observables, in the order of the bits of `estimated`.
const NAMES: &str = "observable_names";
/// The axis along the couplings where they differ from size to size, as in a window that closes in on the critical point.
const POINT: &str = "point";
/// The parts of an estimate: what the name of the variable ends with (NeXus looks for `_errors`), whether it has the units of the observable, and its words.
const PARTS: [(&str, bool, &str); 5] = [
    ("", true, ""),
    ("_errors", true, "standard error of the "),
    ("_autocorrelation_time", false, "integrated autocorrelation time in draws of the "),
    ("_effective_samples", false, "effective number of independent draws of the "),
    ("_exact", true, "exact "),
];

fn parts(observable: &Observable) -> [f64; 5] {
    let estimate = &observable.estimate;
    let exact = observable.exact.unwrap_or(f64::NAN);
    [estimate.mean, estimate.error, estimate.autocorrelation_time, estimate.effective_samples, exact]
}

/// Fills the group `sampling`.
///
/// # Errors
/// [`Error::InputOutput`]; [`Error::Bug`] if the record contradicts itself.
pub fn write(group: &GroupWriter, sampling: &SamplingRecord) -> Result<()> {
    let couplings = sampling.couplings.len();
    for (index, ensemble) in sampling.ensembles.iter().enumerate() {
        if couplings == 0 || sampling.sizes.get(index / couplings) != Some(&ensemble.size) {
            return Err(Error::Bug(format!("ensemble {index} (L = {}, K = {}) is out of order.", ensemble.size, ensemble.coupling)));
        }
    }
    group
        .attributes()
        .text("NX_class", "NXdata")?
        .text("geometry", sampling.geometry.name())?
        .text("algorithm", &sampling.algorithm)?
        .text("start", &sampling.start)?
        .number("replicas", sampling.replicas as u64)?
        .number("thermalization", sampling.thermalization as u64)?
        .number("measure_every", sampling.measure_every as u64)?
        .number("draws", sampling.draws as u64)?
        .number("ensembles", sampling.ensembles.len() as u64)?;
    let sizes: Vec<i64> = sampling.sizes.iter().map(|&size| size as i64).collect();
    group.dimension("size", &sizes, label("1", "side L of the lattice"))?;
    let axis = write_couplings(group, sampling)?;
    write_observables(group, sampling, axis)?;
    for (index, &size) in sampling.sizes.iter().enumerate() {
        let first = (index * couplings).min(sampling.ensembles.len());
        let last = (first + couplings).min(sampling.ensembles.len());
        if first < last {
            let of_size = group.group(&format!("L{size}"))?;
            write_series(&of_size, size, &sampling.ensembles[first..last])?;
            if let Some(ladders) = sampling.tempering.iter().find(|ladders| ladders.size == size) {
                tempering::write(&of_size.group(tempering::GROUP)?, ladders)?;
            }
        }
    }
    Ok(())
}

/// The second axis of the observables: `coupling` where all sizes have the same couplings; otherwise `point`, with the coupling of each size and point beside it.
fn write_couplings(group: &GroupWriter, sampling: &SamplingRecord) -> Result<&'static str> {
    let (couplings, words) = (&sampling.couplings, label("1", "coupling K = J / (k_B T)"));
    let shared = sampling.ensembles.iter().zip(couplings.iter().cycle()).all(|(ensemble, &coupling)| ensemble.coupling == coupling);
    if shared {
        group.dimension("coupling", couplings, words)?;
        return Ok("coupling");
    }
    let mut values: Vec<f64> = sampling.ensembles.iter().map(|ensemble| ensemble.coupling).collect();
    values.resize(sampling.sizes.len() * couplings.len(), f64::NAN);
    group.index(POINT, couplings.len(), "place in the list of couplings of each size")?;
    group.variable("coupling", &["size", POINT], &values, words)?;
    Ok(POINT)
}

fn write_observables(group: &GroupWriter, sampling: &SamplingRecord, axis: &str) -> Result<()> {
    let over = ["size", axis];
    let cells = sampling.sizes.len() * sampling.couplings.len();
    let mut updates: Vec<u64> = sampling.ensembles.iter().map(|ensemble| ensemble.spin_updates).collect();
    updates.resize(cells, 0);
    group.variable("spin_updates", &over, &updates, label("1", "spin updates, thermalization included"))?;
    let mut seconds: Vec<f64> = sampling.ensembles.iter().map(|ensemble| ensemble.seconds).collect();
    seconds.resize(cells, f64::NAN);
    group.variable("seconds", &over, &seconds, label("s", "time in sweeps, summed over chains"))?;
    let mut known: Vec<&Observable> = Vec::new();
    for observable in sampling.ensembles.iter().flat_map(|ensemble| &ensemble.observables) {
        match known.iter().find(|one| one.name == observable.name) {
            None => known.push(observable),
            Some(one) if (&one.units, &one.long_name) == (&observable.units, &observable.long_name) => {}
            Some(_) => return Err(Error::Bug(format!("{} has two units or two long names.", observable.name))),
        }
    }
    // Bits and not a list of names: GNU Octave cannot open a group that holds texts.
    let names: Vec<&str> = known.iter().map(|observable| observable.name.as_str()).collect();
    if names.len() > u64::BITS as usize {
        return Err(Error::Bug(format!("{} observables do not fit into the bits of a word.", names.len())));
    }
    let bits = |ensemble: &Ensemble| {
        let has = |name: &str| ensemble.observables.iter().any(|observable| observable.name == name);
        names.iter().enumerate().map(|(bit, name)| u64::from(has(name)) << bit).sum()
    };
    let mut estimated: Vec<u64> = sampling.ensembles.iter().map(bits).collect();
    estimated.resize(cells, 0);
    group.attributes().text(NAMES, &names.join(" "))?;
    group.variable(
        "estimated",
        &over,
        &estimated,
        label("1", "which of the observables named in the attribute observable_names were estimated, one bit each"),
    )?;
    for observable in &known {
        for (which, (ending, of_units, words)) in PARTS.into_iter().enumerate() {
            let values: Vec<f64> = (0..cells)
                .map(|cell| {
                    let found = sampling
                        .ensembles
                        .get(cell)
                        .and_then(|ensemble| ensemble.observables.iter().find(|one| one.name == observable.name));
                    found.map_or(f64::NAN, |one| parts(one)[which])
                })
                .collect();
            let long_name = format!("{words}{}", observable.long_name);
            let units = if of_units { observable.units.as_str() } else { "1" };
            group.variable(&format!("{}{ending}", observable.name), &over, &values, label(units, &long_name))?;
        }
    }
    if let Some(first) = known.first() {
        group.attributes().text("signal", &first.name)?.texts("axes", &over)?;
    }
    Ok(())
}

fn write_series(group: &GroupWriter, size: usize, ensembles: &[Ensemble]) -> Result<()> {
    if let Some(chain) =
        ensembles.iter().flat_map(|ensemble| &ensemble.chains).find(|chain| chain.energy.len() != chain.magnetization.len())
    {
        let (energies, magnetizations) = (chain.energy.len(), chain.magnetization.len());
        return Err(Error::Bug(format!("a chain of size {size} has {energies} energies and {magnetizations} magnetizations.")));
    }
    let all = || ensembles.iter().flat_map(|ensemble| &ensemble.chains);
    if let Some(chain) = all().find(|chain| !chain.wave_power.is_empty() && chain.wave_power.len() != chain.len()) {
        let (waves, draws) = (chain.wave_power.len(), chain.len());
        return Err(Error::Bug(format!("a chain of size {size} has {waves} powers of its longest waves for {draws} draws.")));
    }
    if let Some(chain) = all().find(|chain| !chain.improved.is_empty() && chain.improved.len() != chain.len()) {
        let (improved, draws) = (chain.improved.len(), chain.len());
        return Err(Error::Bug(format!("a chain of size {size} has {improved} improved estimators for {draws} draws.")));
    }
    let couplings: Vec<f64> = ensembles.iter().map(|ensemble| ensemble.coupling).collect();
    let lengths: Vec<Vec<usize>> = ensembles.iter().map(Ensemble::draws).collect();
    let chains = lengths.iter().map(Vec::len).max().unwrap_or(0);
    let draws = lengths.iter().flatten().copied().max().unwrap_or(0);
    group.attributes().number("chains", chains as u64)?.number("draws", draws as u64)?.text("NX_class", "NXdata")?;
    group.dimension("coupling", &couplings, label("1", "coupling K = J / (k_B T)"))?;
    if chains == 0 {
        return Ok(());
    }
    group.index("chain", chains, "independent chain")?;
    let taken: Vec<i64> =
        lengths.iter().flat_map(|lengths| (0..chains).map(|chain| lengths.get(chain).map_or(NO_CHAIN, |&length| length as i64))).collect();
    group.variable("measurements", &["coupling", "chain"], &taken, label("1", "draws taken of each chain (-1 where there is no chain)"))?;
    if ensembles.iter().any(|ensemble| !ensemble.histograms.is_empty()) {
        return histogram::write(group, ensembles, chains);
    }
    if draws == 0 {
        return Ok(());
    }
    group.index("draw", draws, "measurement of a chain")?;
    let ragged = taken.iter().any(|&taken| taken != draws as i64);
    type Column<'a> = (&'a str, &'a str, &'a str, fn(&Series) -> &[i64]);
    let names: [Column<'_>; 2] = [
        ("energy", "J", "energy E = -J sum of s_i s_j over the bonds", |series| &series.energy),
        ("magnetization", "1", "magnetization M = sum of s_i", |series| &series.magnetization),
    ];
    for (name, units, long_name, of) in names {
        group.blocks(name, &["coupling", "chain", "draw"], label(units, long_name), |range| {
            let mut values = Vec::with_capacity(range.len() * chains * draws);
            for ensemble in &ensembles[range] {
                for chain in 0..chains {
                    let end = values.len() + draws;
                    values.extend_from_slice(ensemble.chains.get(chain).map_or(&[][..], of));
                    values.resize(end, NO_DRAW);
                }
            }
            Ok(values)
        })?;
        if ragged {
            group.annotate(name, |attributes| attributes.number("_FillValue", NO_DRAW).map(|_| ()))?;
        }
    }
    let measured = |series: &&Series| !series.wave_power.is_empty();
    if ensembles.iter().flat_map(|ensemble| &ensemble.chains).any(|series| measured(&series)) {
        let about = label("1", "power of the longest waves, (|M_x|^2 + |M_y|^2) / 2 at k = 2 pi / L");
        group.blocks("wave_power", &["coupling", "chain", "draw"], about, |range| {
            let mut values = Vec::with_capacity(range.len() * chains * draws);
            for ensemble in &ensembles[range] {
                for chain in 0..chains {
                    let end = values.len() + draws;
                    values.extend_from_slice(ensemble.chains.get(chain).map_or(&[][..], |series| &series.wave_power));
                    values.resize(end, f64::NAN);
                }
            }
            Ok(values)
        })?;
    }
    improved::write(group, ensembles, chains, draws)?;
    group.attributes().text("signal", "energy")?.texts("axes", &["coupling", "chain", "draw"])?;
    Ok(())
}

/// Reads the group `sampling`.
///
/// # Errors
/// [`Error::Refused`].
pub fn read(group: &GroupReader) -> Result<SamplingRecord> {
    let sizes: Vec<usize> = group
        .array::<i64>("size", 1)?
        .values
        .into_iter()
        .map(|size| usize::try_from(size).map_err(|why| group.wrong("size", why)))
        .collect::<Result<_>>()?;
    let shared = !group.names().contains(&POINT);
    let couplings = group.array::<f64>("coupling", if shared { 1 } else { 2 })?.values;
    let columns = if shared { couplings.len() } else { couplings.len() / sizes.len().max(1) };
    let cells = [sizes.len(), columns];
    let count = group.count("ensembles")?;
    if count > cells[0] * cells[1] {
        return Err(group.wrong("ensembles", format!("{count} ensembles are more than {cells:?} sizes and couplings have")));
    }
    let updates = group.shaped::<u64>("spin_updates", &cells)?;
    let seconds = group.shaped::<f64>("seconds", &cells)?;
    let (mut chains, mut histograms, mut ladders) = (Vec::with_capacity(count), Vec::with_capacity(count), Vec::new());
    for (index, &size) in sizes.iter().enumerate() {
        let first = (index * columns).min(count);
        let last = (first + columns).min(count);
        if first < last {
            let of_size = group.group(&format!("L{size}"))?;
            let of_this = |cell: usize| if shared { couplings[cell - first] } else { couplings[cell] };
            let at: Vec<f64> = (first..last).map(of_this).collect();
            let (series, of_groups) = read_draws(&of_size, &at)?;
            chains.extend(series);
            histograms.extend(of_groups);
            if of_size.has(tempering::GROUP) {
                ladders.push(tempering::read(&of_size.group(tempering::GROUP)?, size)?);
            }
        }
    }
    let mut ensembles: Vec<Ensemble> = chains
        .into_iter()
        .zip(histograms)
        .enumerate()
        .map(|(index, (chains, histograms))| Ensemble {
            size: sizes[index / columns],
            coupling: if shared { couplings[index % columns] } else { couplings[index] },
            chains,
            histograms,
            observables: Vec::new(),
            spin_updates: updates[index],
            seconds: seconds[index],
        })
        .collect();
    read_observables(group, cells, &mut ensembles)?;
    Ok(SamplingRecord {
        geometry: super::geometry(group)?,
        algorithm: group.text("algorithm")?,
        sizes,
        couplings: couplings.into_iter().take(columns).collect(),
        // Files of older versions do not say it.
        start: group.text("start").unwrap_or_default(),
        replicas: group.count("replicas")?,
        thermalization: group.count("thermalization")?,
        measure_every: group.count("measure_every")?,
        draws: group.count("draws")?,
        ensembles,
        tempering: ladders,
    })
}

fn read_observables(group: &GroupReader, cells: [usize; 2], ensembles: &mut [Ensemble]) -> Result<()> {
    struct Known<'a> {
        name: &'a str,
        long_name: String,
        units: String,
        parts: [Vec<f64>; 5],
    }
    let names = group.text(NAMES)?;
    let estimated = group.shaped::<u64>("estimated", &cells)?;
    let mut known: Vec<Known<'_>> = Vec::new();
    // Ensembles are in the order of the cells, from the first on.
    for (cell, ensemble) in ensembles.iter_mut().enumerate() {
        for (bit, name) in names.split_whitespace().enumerate().take(u64::BITS as usize) {
            if estimated[cell] >> bit & 1 == 0 {
                continue;
            }
            if !known.iter().any(|one| one.name == name) {
                let mut parts: [Vec<f64>; 5] = Default::default();
                for (part, (ending, _, _)) in parts.iter_mut().zip(PARTS) {
                    *part = group.shaped(&format!("{name}{ending}"), &cells)?;
                }
                known.push(Known { name, long_name: group.text_of(name, "long_name")?, units: group.text_of(name, "units")?, parts });
            }
            let one = known.iter().find(|one| one.name == name).expect("it was put there above if it was not yet");
            let [mean, error, autocorrelation_time, effective_samples, exact] = [0, 1, 2, 3, 4].map(|part: usize| one.parts[part][cell]);
            ensemble.observables.push(Observable {
                name: name.to_string(),
                long_name: one.long_name.clone(),
                units: one.units.clone(),
                estimate: Estimate { mean, error, autocorrelation_time, effective_samples },
                exact: (!exact.is_nan()).then_some(exact),
            });
        }
    }
    Ok(())
}

/// The chains of each coupling of one size, and the histograms of each.
type Draws = (Vec<Vec<Series>>, Vec<Vec<Histogram>>);

/// The one of both that was kept; the other is empty.
fn read_draws(group: &GroupReader, at: &[f64]) -> Result<Draws> {
    let (couplings, chains, draws) = (at.len(), group.count("chains")?, group.count("draws")?);
    let (none, no_histograms) = (vec![Vec::new(); couplings], vec![Vec::new(); couplings]);
    if chains == 0 {
        return Ok((none, no_histograms));
    }
    let taken = group.shaped::<i64>("measurements", &[couplings, chains])?;
    let length = |cell: usize| usize::try_from(taken[cell]).ok();
    if let Some(&wrong) = taken.iter().find(|&&taken| taken != NO_CHAIN && usize::try_from(taken).map_or(true, |taken| taken > draws)) {
        return Err(group.wrong("measurements", format!("a chain of {wrong} draws cannot be among {draws}")));
    }
    if group.has(histogram::ENERGIES) {
        let lengths = (0..couplings).map(|coupling| (0..chains).filter_map(|chain| length(coupling * chains + chain)).collect());
        return Ok((none, histogram::read(group, at, &lengths.collect::<Vec<Vec<usize>>>())?));
    }
    let mut all = none;
    for (coupling, list) in all.iter_mut().enumerate() {
        *list = (0..chains).filter_map(|chain| length(coupling * chains + chain)).map(|_| Series::default()).collect::<Vec<_>>();
    }
    if draws == 0 {
        return Ok((all, no_histograms));
    }
    type Column<'a> = (&'a str, fn(&mut Series) -> &mut Vec<i64>);
    let places: [Column<'_>; 2] = [("energy", |series| &mut series.energy), ("magnetization", |series| &mut series.magnetization)];
    for (name, of) in places {
        if group.shape::<i64>(name, 3)? != [couplings, chains, draws] {
            return Err(group.wrong(name, format!("its shape is not {:?}", [couplings, chains, draws])));
        }
        group.blocks::<i64>(name, 3, |range, values| {
            for (row, coupling) in range.enumerate() {
                let lists = all[coupling].iter_mut();
                let existing = (0..chains).filter_map(|chain| length(coupling * chains + chain).map(|length| (chain, length)));
                for (series, (chain, length)) in lists.zip(existing) {
                    let start = (row * chains + chain) * draws;
                    *of(series) = values[start..start + length].to_vec();
                }
            }
            Ok(())
        })?;
    }
    if group.has("wave_power") {
        if group.shape::<f64>("wave_power", 3)? != [couplings, chains, draws] {
            return Err(group.wrong("wave_power", format!("its shape is not {:?}", [couplings, chains, draws])));
        }
        group.blocks::<f64>("wave_power", 3, |range, values| {
            for (row, coupling) in range.enumerate() {
                let existing = (0..chains).filter_map(|chain| length(coupling * chains + chain).map(|length| (chain, length)));
                for (series, (chain, length)) in all[coupling].iter_mut().zip(existing) {
                    let start = (row * chains + chain) * draws;
                    let powers = &values[start..start + length];
                    // Nothing but fill: this chain was measured without.
                    if !powers.iter().all(|power| power.is_nan()) {
                        series.wave_power = powers.to_vec();
                    }
                }
            }
            Ok(())
        })?;
    }
    improved::read(group, &mut all, chains, draws, &length)?;
    Ok((all, no_histograms))
}
