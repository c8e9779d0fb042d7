//! The group `likelihood` of `/renormalization` in `results.h5`: ln Z of the first machine from both directions, what follows from it, and the chains of the machine. NaN
//! where there is no value.

use super::hdf5::{GroupReader, GroupWriter, label};
use crate::error::Result;
use crate::record::{AnnealingRecord, LikelihoodRecord, PairRecord, RelaxationRecord, ThermodynamicRecord};

const DIRECTIONS: [&str; 2] = ["forward", "reverse"];
const STARTS: [&str; 2] = ["data", "random"];

/// Fills the group `likelihood`.
///
/// # Errors
/// [`crate::error::Error::InputOutput`].
pub fn write(group: &GroupWriter, record: &LikelihoodRecord) -> Result<()> {
    let attributes = group.attributes();
    attributes.text("NX_class", "NXdata")?.text("signal", "log_partition_function")?.texts("axes", &["direction"])?;
    for (name, number) in [
        ("visible_units", record.visible),
        ("hidden_units", record.hidden),
        ("held_out", record.held_out),
        ("temperatures", record.temperatures),
        ("chains", record.chains),
        ("sweeps", record.sweeps),
    ] {
        attributes.number(name, number as u64)?;
    }
    for (name, number) in
        [("entropy", record.entropy), ("exact_log_partition_function", record.exact_log_partition_function.unwrap_or(f64::NAN))]
    {
        attributes.number(name, number)?;
    }
    for (name, pair) in [
        ("free_energy", Some(record.free_energy)),
        ("trace_violation", Some(record.trace_violation)),
        ("accepted_log_partition_function", record.log_partition_function),
        ("negative_log_likelihood", record.negative_log_likelihood),
        ("divergence", record.divergence),
    ] {
        let [mean, error] = pair.unwrap_or([f64::NAN; 2]);
        attributes.number(name, mean)?.number(&format!("{name}_error"), error)?;
    }
    write_directions(group, record)?;
    if !record.relaxation.is_empty() {
        write_relaxation(&group.group("relaxation")?, &record.relaxation)?;
    }
    if !record.observables.is_empty() {
        write_observables(&group.group("thermodynamics")?, &record.observables)?;
    }
    if !record.correlations.is_empty() {
        write_correlations(&group.group("two_point_function")?, &record.correlations)?;
    }
    Ok(())
}

/// A bound of the interval of ln Z: name, where it is, words.
type Bound = (&'static str, fn(&AnnealingRecord) -> f64, &'static str);

const INTERVAL: [Bound; 2] = [
    ("log_partition_function_low", |one| one.interval()[0], "lower end of the interval of 95 % of ln Z"),
    ("log_partition_function_high", |one| one.interval()[1], "upper end of the interval of 95 % of ln Z"),
];

fn write_directions(group: &GroupWriter, record: &LikelihoodRecord) -> Result<()> {
    let over = ["direction"];
    group.index("direction", 2, "direction of annealing")?;
    group.texts("direction_name", &over, &DIRECTIONS, "direction of annealing")?;
    let both = [record.forward, record.reverse];
    let numbers = |of: fn(&AnnealingRecord) -> f64| both.iter().map(of).collect::<Vec<f64>>();
    let chains: Vec<i64> = both.iter().map(|one| one.chains as i64).collect();
    group.variable("annealing_chains", &over, &chains, label("1", "independent chains"))?;
    group.variable("log_partition_function", &over, &numbers(|one| one.log_partition_function), label("1", "ln Z of the machine"))?;
    group.variable("log_partition_function_errors", &over, &numbers(|one| one.error), label("1", "standard error of ln Z, jackknife"))?;
    for (name, of, words) in INTERVAL {
        group.variable(name, &over, &numbers(of), label("1", words))?;
    }
    let words = label("1", "effective number of chains, (sum w)^2 / sum w^2");
    group.variable("effective_samples", &over, &numbers(|one| one.effective_samples), words)?;
    let words = label("nat", "Kullback-Leibler divergence if this ln Z were right");
    group.variable("divergence_by_direction", &over, &numbers(|one| one.divergence[0]), words)?;
    let words = label("nat", "standard error of that divergence");
    group.variable("divergence_by_direction_errors", &over, &numbers(|one| one.divergence[1]), words)
}

fn write_relaxation(group: &GroupWriter, relaxation: &[RelaxationRecord]) -> Result<()> {
    group.attributes().text("NX_class", "NXdata")?.text("signal", "energy_per_site")?.texts("axes", &["sweep", "start"])?;
    let sweeps: Vec<i64> = relaxation.iter().map(|point| point.sweep as i64).collect();
    group.dimension("sweep", &sweeps, label("1", "Gibbs sweeps since the start"))?;
    group.index("start", 2, "start of the chains")?;
    group.texts("start_name", &["start"], &STARTS, "start of the chains")?;
    let column = |part: usize| relaxation.iter().flat_map(|point| [point.from_data[part], point.from_random[part]]).collect::<Vec<f64>>();
    group.variable("energy_per_site", &["sweep", "start"], &column(0), label("J", "energy per site"))?;
    group.variable("energy_per_site_errors", &["sweep", "start"], &column(1), label("J", "standard error over chains: energy per site"))
}

fn write_observables(group: &GroupWriter, observables: &[ThermodynamicRecord]) -> Result<()> {
    group.attributes().text("NX_class", "NXdata")?.text("signal", "mean")?.texts("axes", &["observable", "start"])?;
    group.index("observable", observables.len(), "observable")?;
    group.index("start", 2, "start of the chains")?;
    group.texts("start_name", &["start"], &STARTS, "start of the chains")?;
    let texts = |of: fn(&ThermodynamicRecord) -> &String| observables.iter().map(of).collect::<Vec<&String>>();
    group.texts("name", &["observable"], &texts(|row| &row.name), "name of the observable")?;
    group.texts("words", &["observable"], &texts(|row| &row.long_name), "the observable in words")?;
    group.texts("unit", &["observable"], &texts(|row| &row.units), "unit of the observable")?;
    let column = |part: usize| observables.iter().flat_map(|row| [row.from_data[part], row.from_random[part]]).collect::<Vec<f64>>();
    let over = ["observable", "start"];
    group.variable("mean", &over, &column(0), label("1", "mean over the second half of the sweeps, in the unit of the observable"))?;
    group.variable("mean_errors", &over, &column(1), label("1", "standard error over chains, in the unit of the observable"))?;
    let exact: Vec<f64> = observables.iter().map(|row| row.exact.unwrap_or(f64::NAN)).collect();
    group.variable("exact", &["observable"], &exact, label("1", "exact value of the Ising model, in the unit of the observable"))
}

fn write_correlations(group: &GroupWriter, correlations: &[PairRecord]) -> Result<()> {
    group.attributes().text("NX_class", "NXdata")?.text("signal", "correlation")?.texts("axes", &["distance", "start"])?;
    let distances: Vec<i64> = correlations.iter().map(|row| row.distance as i64).collect();
    group.dimension("distance", &distances, label("1", "distance along an axis in lattice units"))?;
    group.index("start", 2, "start of the chains")?;
    group.texts("start_name", &["start"], &STARTS, "start of the chains")?;
    let column = |part: usize| correlations.iter().flat_map(|row| [row.from_data[part], row.from_random[part]]).collect::<Vec<f64>>();
    let over = ["distance", "start"];
    group.variable("correlation", &over, &column(0), label("1", "two-point function along the axes"))?;
    group.variable("correlation_errors", &over, &column(1), label("1", "standard error over chains: two-point function"))?;
    let exact: Vec<f64> = correlations.iter().map(|row| row.exact).collect();
    group.variable("exact", &["distance"], &exact, label("1", "two-point function of the Ising model on the same torus"))
}

/// Reads the group `likelihood`.
///
/// # Errors
/// [`crate::error::Error::Refused`].
pub fn read(group: &GroupReader) -> Result<LikelihoodRecord> {
    let pair = |name: &str| -> Result<[f64; 2]> { Ok([group.number(name)?, group.number(&format!("{name}_error"))?]) };
    let optional = |name: &str| -> Result<Option<[f64; 2]>> { Ok(Some(pair(name)?).filter(|pair| !pair[0].is_nan())) };
    let both = |name: &str| group.shaped::<f64>(name, &[2]);
    let chains = group.shaped::<i64>("annealing_chains", &[2])?;
    let (values, errors, effective) = (both("log_partition_function")?, both("log_partition_function_errors")?, both("effective_samples")?);
    let divergences = [both("divergence_by_direction")?, both("divergence_by_direction_errors")?];
    let annealing = |which: usize| -> Result<AnnealingRecord> {
        Ok(AnnealingRecord {
            log_partition_function: values[which],
            error: errors[which],
            effective_samples: effective[which],
            chains: usize::try_from(chains[which]).map_err(|why| group.wrong("annealing_chains", why))?,
            divergence: [divergences[0][which], divergences[1][which]],
        })
    };
    let relaxation = if group.has("relaxation") { read_relaxation(&group.group("relaxation")?)? } else { Vec::new() };
    let observables = if group.has("thermodynamics") { read_observables(&group.group("thermodynamics")?)? } else { Vec::new() };
    // Files of earlier versions have no `two_point_function`.
    let correlations = if group.has("two_point_function") { read_correlations(&group.group("two_point_function")?)? } else { Vec::new() };
    Ok(LikelihoodRecord {
        visible: group.count("visible_units")?,
        hidden: group.count("hidden_units")?,
        held_out: group.count("held_out")?,
        temperatures: group.count("temperatures")?,
        exact_log_partition_function: Some(group.number("exact_log_partition_function")?).filter(|value: &f64| !value.is_nan()),
        forward: annealing(0)?,
        reverse: annealing(1)?,
        log_partition_function: optional("accepted_log_partition_function")?,
        free_energy: pair("free_energy")?,
        negative_log_likelihood: optional("negative_log_likelihood")?,
        entropy: group.number("entropy")?,
        divergence: optional("divergence")?,
        trace_violation: pair("trace_violation")?,
        chains: group.count("chains")?,
        sweeps: group.count("sweeps")?,
        relaxation,
        observables,
        correlations,
    })
}

fn read_relaxation(group: &GroupReader) -> Result<Vec<RelaxationRecord>> {
    let sweeps = group.array::<i64>("sweep", 1)?.values;
    let shape = [sweeps.len(), 2];
    let (means, errors) = (group.shaped::<f64>("energy_per_site", &shape)?, group.shaped::<f64>("energy_per_site_errors", &shape)?);
    let point = |(index, &sweep): (usize, &i64)| {
        Ok(RelaxationRecord {
            sweep: usize::try_from(sweep).map_err(|why| group.wrong("sweep", why))?,
            from_data: [means[2 * index], errors[2 * index]],
            from_random: [means[2 * index + 1], errors[2 * index + 1]],
        })
    };
    sweeps.iter().enumerate().map(point).collect()
}

fn read_observables(group: &GroupReader) -> Result<Vec<ThermodynamicRecord>> {
    let count = group.array::<i64>("observable", 1)?.shape[0];
    let [names, words, units] = ["name", "words", "unit"].map(|name| group.texts(name, &[count]));
    let (names, words, units) = (names?, words?, units?);
    let (means, errors) = (group.shaped::<f64>("mean", &[count, 2])?, group.shaped::<f64>("mean_errors", &[count, 2])?);
    let exact = group.shaped::<f64>("exact", &[count])?;
    let row = |index: usize| ThermodynamicRecord {
        name: names[index].clone(),
        long_name: words[index].clone(),
        units: units[index].clone(),
        from_data: [means[2 * index], errors[2 * index]],
        from_random: [means[2 * index + 1], errors[2 * index + 1]],
        exact: Some(exact[index]).filter(|value| !value.is_nan()),
    };
    Ok((0..count).map(row).collect())
}

fn read_correlations(group: &GroupReader) -> Result<Vec<PairRecord>> {
    let distances = group.array::<i64>("distance", 1)?.values;
    let shape = [distances.len(), 2];
    let (means, errors) = (group.shaped::<f64>("correlation", &shape)?, group.shaped::<f64>("correlation_errors", &shape)?);
    let exact = group.shaped::<f64>("exact", &[distances.len()])?;
    let row = |(index, &distance): (usize, &i64)| {
        Ok(PairRecord {
            distance: usize::try_from(distance).map_err(|why| group.wrong("distance", why))?,
            from_data: [means[2 * index], errors[2 * index]],
            from_random: [means[2 * index + 1], errors[2 * index + 1]],
            exact: exact[index],
        })
    };
    distances.iter().enumerate().map(row).collect()
}
