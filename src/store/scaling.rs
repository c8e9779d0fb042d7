//! The group `/scaling` of `results.h5`: results with their covariance, the scans of fits, crossings, peaks, collapses, and the reweighted curves over (size, node).

use super::hdf5::{GroupReader, GroupWriter, Number, label};
use crate::error::Result;
use crate::lattice::Geometry;
use crate::statistics::least_squares::Goodness;
use crate::statistics::scaling::{Bootstrap, Collapse, Crossing, Curves, Peak, Scaling, ScalingFit, ScalingResult, WithError};

/// A curve: name, units, words, and where it is.
type Curve = (&'static str, &'static str, &'static str, fn(&Curves) -> &Vec<WithError>, fn(&mut Curves) -> &mut Vec<WithError>);

const CURVES: [Curve; 6] = [
    ("binder_cumulant", "1", "Binder cumulant", |one| &one.binder_cumulant, |one| &mut one.binder_cumulant),
    (
        "correlation_length",
        "1",
        "second-moment correlation length over L",
        |one| &one.correlation_length,
        |one| &mut one.correlation_length,
    ),
    ("magnetization", "1", "absolute magnetization per site", |one| &one.magnetization, |one| &mut one.magnetization),
    (
        "connected_susceptibility",
        "1",
        "connected susceptibility N (<m^2> - <|m|>^2)",
        |one| &one.connected_susceptibility,
        |one| &mut one.connected_susceptibility,
    ),
    ("specific_heat", "k_B", "specific heat per site", |one| &one.specific_heat, |one| &mut one.specific_heat),
    ("energy", "J", "energy per site", |one| &one.energy, |one| &mut one.energy),
];

/// A number of the bootstrap: name, where it is, words.
type OfBootstrap = (&'static str, fn(&Bootstrap) -> f64, &'static str);

const BOOTSTRAP: [OfBootstrap; 3] = [
    ("result_bootstrap_error", |one| one.error, "standard error of the value, by the bootstrap"),
    ("result_bootstrap_low", |one| one.interval[0], "quantile of the bootstrap at 16 %"),
    ("result_bootstrap_high", |one| one.interval[1], "quantile of the bootstrap at 84 %"),
];

/// Fills the group `scaling`.
///
/// # Errors
/// [`crate::error::Error::InputOutput`].
pub fn write(group: &GroupWriter, scaling: &Scaling) -> Result<()> {
    group
        .attributes()
        .text("NX_class", "NXdata")?
        .text("geometry", scaling.geometry.name())?
        .number("correction_exponent", scaling.correction_exponent)?
        .number("blocks", scaling.blocks as u64)?;
    for (name, count) in [
        ("results", scaling.results.len()),
        ("fits", scaling.fits.len()),
        ("crossings", scaling.crossings.len()),
        ("peaks", scaling.peaks.len()),
        ("collapses", scaling.collapses.len()),
        ("sizes", scaling.curves.len()),
        ("nodes", scaling.curves.first().map_or(0, |curves| curves.coupling.len())),
    ] {
        group.attributes().number(name, count as u64)?;
    }
    let of = &scaling.results;
    if !of.is_empty() {
        group.index("result", of.len(), "quantity found by scaling")?;
        group.index("other_result", of.len(), "the same quantities, across a covariance")?;
        let over = ["result"];
        group.texts("result_name", &over, &texts(of, |one| &one.name), "name of the quantity")?;
        group.texts("result_long_name", &over, &texts(of, |one| &one.long_name), "the quantity in words")?;
        numbers(group, "result_value", &over, of, |one| one.value, "value")?;
        numbers(group, "result_value_errors", &over, of, |one| one.error, "standard error of the value")?;
        let known = if scaling.geometry == Geometry::Cubic { "published value" } else { "exact value" };
        numbers(group, "result_exact", &over, of, |one| one.exact.unwrap_or(f64::NAN), known)?;
        numbers(group, "result_smallest_size", &over, of, |one| one.smallest_size as u64, "smallest size of the fit")?;
        for (name, of_bootstrap, words) in BOOTSTRAP {
            numbers(group, name, &over, of, |one| one.bootstrap.as_ref().map_or(f64::NAN, of_bootstrap), words)?;
        }
        group.variable("result_covariance", &["result", "other_result"], &scaling.covariance, label("1", "covariance of the values"))?;
        group.attributes().text("signal", "result_value")?.texts("axes", &over)?;
    }
    let of = &scaling.fits;
    if !of.is_empty() {
        group.index("fit", of.len(), "fit from one smallest size on")?;
        let over = ["fit"];
        group.texts("fit_name", &over, &texts(of, |one| &one.name), "name of the quantity")?;
        group.texts("fit_long_name", &over, &texts(of, |one| &one.long_name), "the quantity in words")?;
        numbers(group, "fit_smallest_size", &over, of, |one| one.smallest_size as u64, "smallest size")?;
        numbers(group, "fit_corrected", &over, of, |one| u8::from(one.corrected), "1 with the leading correction")?;
        numbers(group, "fit_chosen", &over, of, |one| u8::from(one.chosen), "1 for the fit that counts")?;
        numbers(group, "fit_value", &over, of, |one| one.value[0], "value")?;
        numbers(group, "fit_value_errors", &over, of, |one| one.value[1], "standard error of the value")?;
        numbers(group, "fit_chi_squared", &over, of, |one| one.goodness.chi_squared, "chi^2")?;
        numbers(group, "fit_degrees_of_freedom", &over, of, |one| one.goodness.degrees_of_freedom as u64, "degrees of freedom")?;
        numbers(group, "fit_p_value", &over, of, |one| one.goodness.p_value, "probability of chi^2")?;
    }
    let of = &scaling.crossings;
    if !of.is_empty() {
        group.index("crossing", of.len(), "crossing of the curves of two sizes")?;
        let over = ["crossing"];
        group.texts("crossing_observable", &over, &texts(of, |one| &one.observable), "name of the observable")?;
        numbers(group, "crossing_small", &over, of, |one| one.sizes[0] as u64, "smaller size")?;
        numbers(group, "crossing_large", &over, of, |one| one.sizes[1] as u64, "larger size")?;
        numbers(group, "crossing_coupling", &over, of, |one| one.coupling[0], "coupling K of the crossing")?;
        numbers(group, "crossing_coupling_errors", &over, of, |one| one.coupling[1], "standard error of the coupling")?;
        numbers(group, "crossing_value", &over, of, |one| one.value[0], "value at the crossing")?;
        numbers(group, "crossing_value_errors", &over, of, |one| one.value[1], "standard error of the value")?;
    }
    let of = &scaling.peaks;
    if !of.is_empty() {
        group.index("peak", of.len(), "peak of one size")?;
        let over = ["peak"];
        group.texts("peak_observable", &over, &texts(of, |one| &one.observable), "name of the observable")?;
        numbers(group, "peak_size", &over, of, |one| one.size as u64, "size")?;
        numbers(group, "peak_coupling", &over, of, |one| one.coupling[0], "coupling K of the peak")?;
        numbers(group, "peak_coupling_errors", &over, of, |one| one.coupling[1], "standard error of the coupling")?;
        numbers(group, "peak_height", &over, of, |one| one.height[0], "height of the peak")?;
        numbers(group, "peak_height_errors", &over, of, |one| one.height[1], "standard error of the height")?;
        numbers(group, "peak_coupling_exact", &over, of, |one| one.exact.map_or(f64::NAN, |exact| exact[0]), "exact coupling of the peak")?;
        numbers(group, "peak_height_exact", &over, of, |one| one.exact.map_or(f64::NAN, |exact| exact[1]), "exact height of the peak")?;
    }
    let of = &scaling.collapses;
    if !of.is_empty() {
        group.index("collapse", of.len(), "data collapse")?;
        let over = ["collapse"];
        group.texts("collapse_observable", &over, &texts(of, |one| &one.observable), "name of the observable")?;
        numbers(group, "collapse_quality", &over, of, |one| one.quality, "mean squared distance of the curves in errors")?;
        numbers(group, "collapse_smallest_size", &over, of, |one| one.smallest_size as u64, "smallest size")?;
    }
    write_curves(group, &scaling.curves)
}

fn write_curves(group: &GroupWriter, curves: &[Curves]) -> Result<()> {
    let Some(first) = curves.first() else { return Ok(()) };
    let sizes: Vec<i64> = curves.iter().map(|one| one.size as i64).collect();
    group.dimension("size", &sizes, label("1", "side L of the lattice"))?;
    group.index("node", first.coupling.len(), "node of a reweighted curve")?;
    let over = ["size", "node"];
    let flat = |of: &dyn Fn(&Curves) -> Vec<f64>| curves.iter().flat_map(of).collect::<Vec<f64>>();
    group.variable("coupling", &over, &flat(&|one| one.coupling.clone()), label("1", "coupling K = J / (k_B T)"))?;
    group.variable(
        "effective_draws",
        &over,
        &flat(&|one| one.effective_draws.clone()),
        label("1", "draws of equal weight worth as much"),
    )?;
    numbers(group, "smallest_overlap", &["size"], curves, |one| one.smallest_overlap, "smallest overlap of neighbouring couplings")?;
    for (name, units, long_name, of, _) in CURVES {
        if curves.iter().all(|one| of(one).len() == one.coupling.len()) {
            let part = |part: usize| flat(&|one| of(one).iter().map(|value| value[part]).collect());
            group.variable(name, &over, &part(0), label(units, &format!("{long_name}, reweighted")))?;
            group.variable(&format!("{name}_errors"), &over, &part(1), label(units, &format!("standard error of the {long_name}")))?;
        }
    }
    Ok(())
}

/// Reads the group `scaling`.
///
/// # Errors
/// [`crate::error::Error::Refused`].
pub fn read(group: &GroupReader) -> Result<Scaling> {
    let count = |name: &str| group.count(name);
    let [results, fits, crossings, peaks] = [count("results")?, count("fits")?, count("crossings")?, count("peaks")?];
    let [collapses, sizes, nodes] = [count("collapses")?, count("sizes")?, count("nodes")?];
    let column = |name: &str, count: usize| if count == 0 { Ok(Vec::new()) } else { group.shaped::<f64>(name, &[count]) };
    let whole = |name: &str, count: usize| -> Result<Vec<usize>> {
        let values = if count == 0 { Vec::new() } else { group.shaped::<u64>(name, &[count])? };
        values.into_iter().map(|value| usize::try_from(value).map_err(|why| group.wrong(name, why))).collect()
    };
    let flags = |name: &str, count: usize| if count == 0 { Ok(Vec::new()) } else { group.shaped::<u8>(name, &[count]) };
    let words = |name: &str, count: usize| if count == 0 { Ok(Vec::new()) } else { group.texts(name, &[count]) };
    let pair = |name: &str, count: usize| -> Result<Vec<WithError>> {
        let (values, errors) = (column(name, count)?, column(&format!("{name}_errors"), count)?);
        Ok(values.into_iter().zip(errors).map(|(value, error)| [value, error]).collect())
    };
    let known = |value: f64| (!value.is_nan()).then_some(value);

    let (names, long_names) = (words("result_name", results)?, words("result_long_name", results)?);
    let (values, exact, smallest) =
        (pair("result_value", results)?, column("result_exact", results)?, whole("result_smallest_size", results)?);
    let bootstrap = |name: &str| if group.has(name) { column(name, results) } else { Ok(vec![f64::NAN; results]) };
    let [errors, low, high] = BOOTSTRAP.map(|(name, _, _)| bootstrap(name));
    let (errors, low, high) = (errors?, low?, high?);
    let found = (0..results).map(|at| ScalingResult {
        name: names[at].clone(),
        long_name: long_names[at].clone(),
        value: values[at][0],
        error: values[at][1],
        smallest_size: smallest[at],
        exact: known(exact[at]),
        bootstrap: known(errors[at]).map(|error| Bootstrap { error, interval: [low[at], high[at]] }),
    });
    let found = found.collect();
    let covariance = if results == 0 { Vec::new() } else { group.shaped::<f64>("result_covariance", &[results, results])? };

    let (names, long_names, smallest) = (words("fit_name", fits)?, words("fit_long_name", fits)?, whole("fit_smallest_size", fits)?);
    let (values, corrected, chosen) = (pair("fit_value", fits)?, flags("fit_corrected", fits)?, flags("fit_chosen", fits)?);
    let (squares, freedoms, p_values) =
        (column("fit_chi_squared", fits)?, whole("fit_degrees_of_freedom", fits)?, column("fit_p_value", fits)?);
    let fits = (0..fits).map(|at| ScalingFit {
        name: names[at].clone(),
        long_name: long_names[at].clone(),
        smallest_size: smallest[at],
        corrected: corrected[at] != 0,
        value: values[at],
        goodness: Goodness { chi_squared: squares[at], degrees_of_freedom: freedoms[at], p_value: p_values[at] },
        chosen: chosen[at] != 0,
    });
    let fits = fits.collect();

    let (names, small, large) =
        (words("crossing_observable", crossings)?, whole("crossing_small", crossings)?, whole("crossing_large", crossings)?);
    let (couplings, values) = (pair("crossing_coupling", crossings)?, pair("crossing_value", crossings)?);
    let crossings = (0..crossings).map(|at| Crossing {
        observable: names[at].clone(),
        sizes: [small[at], large[at]],
        coupling: couplings[at],
        value: values[at],
    });
    let crossings = crossings.collect();

    let (names, of_size) = (words("peak_observable", peaks)?, whole("peak_size", peaks)?);
    let (couplings, heights) = (pair("peak_coupling", peaks)?, pair("peak_height", peaks)?);
    let (place, height) = (column("peak_coupling_exact", peaks)?, column("peak_height_exact", peaks)?);
    let peaks = (0..peaks).map(|at| Peak {
        observable: names[at].clone(),
        size: of_size[at],
        coupling: couplings[at],
        height: heights[at],
        exact: known(place[at]).zip(known(height[at])).map(|(place, height)| [place, height]),
    });
    let peaks = peaks.collect();

    let names = words("collapse_observable", collapses)?;
    let (quality, smallest) = (column("collapse_quality", collapses)?, whole("collapse_smallest_size", collapses)?);
    let collapses =
        (0..collapses).map(|at| Collapse { observable: names[at].clone(), quality: quality[at], smallest_size: smallest[at] }).collect();
    Ok(Scaling {
        geometry: super::geometry(group)?,
        correction_exponent: group.number("correction_exponent")?,
        blocks: count("blocks")?,
        results: found,
        covariance,
        fits,
        crossings,
        peaks,
        curves: if sizes == 0 { Vec::new() } else { read_curves(group, sizes, nodes)? },
        collapses,
    })
}

fn read_curves(group: &GroupReader, sizes: usize, nodes: usize) -> Result<Vec<Curves>> {
    let shape = [sizes, nodes];
    let sides = group.shaped::<i64>("size", &[sizes])?;
    let (couplings, draws) = (group.shaped::<f64>("coupling", &shape)?, group.shaped::<f64>("effective_draws", &shape)?);
    let overlaps = group.shaped::<f64>("smallest_overlap", &[sizes])?;
    let mut curves = Vec::with_capacity(sizes);
    for at in 0..sizes {
        let range = at * nodes..(at + 1) * nodes;
        curves.push(Curves {
            size: usize::try_from(sides[at]).map_err(|why| group.wrong("size", why))?,
            coupling: couplings[range.clone()].to_vec(),
            binder_cumulant: Vec::new(),
            correlation_length: Vec::new(),
            magnetization: Vec::new(),
            connected_susceptibility: Vec::new(),
            specific_heat: Vec::new(),
            energy: Vec::new(),
            effective_draws: draws[range].to_vec(),
            smallest_overlap: overlaps[at],
        });
    }
    for (name, _, _, _, place) in CURVES {
        if group.has(name) {
            let (values, errors) = (group.shaped::<f64>(name, &shape)?, group.shaped::<f64>(&format!("{name}_errors"), &shape)?);
            for (at, curves) in curves.iter_mut().enumerate() {
                *place(curves) = (at * nodes..(at + 1) * nodes).map(|node| [values[node], errors[node]]).collect();
            }
        }
    }
    Ok(curves)
}

fn texts<T>(rows: &[T], of: fn(&T) -> &String) -> Vec<&String> {
    rows.iter().map(of).collect()
}

fn numbers<R, T: Number>(group: &GroupWriter, name: &str, over: &[&str], rows: &[R], of: impl Fn(&R) -> T, long_name: &str) -> Result<()> {
    group.variable(name, over, &rows.iter().map(of).collect::<Vec<T>>(), label("1", long_name))
}
