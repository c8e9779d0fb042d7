//! The section on finite-size scaling: what crosses where, what collapses, what the fits say, and the exact values beside it.

use super::axes::{Panel, Scale, legend};
use super::ensemble::{self, LARGE_DEVIATION};
use super::figure::{Anchor, Drawing};
use super::html::{Section, Table, escape};
use super::number::{DASH, fixed, list, significant, with_error};
use super::sizes;
use super::style::{self, EXACT, INK, MUTED};
use crate::lattice::Geometry;
use crate::statistics::scaling::{ACCEPTED, BLOCK_LENGTH, Curves, Peak, Scaling, ScalingFit, ScalingResult, WithError};

/// The section of the analysis across sizes.
pub(super) fn section(scaling: &Scaling) -> Section {
    let mut section = Section::new("Finite-size scaling");
    section.paragraph(introduction(scaling));
    section.findings.extend(finding(scaling));
    section.table(result_table(scaling));
    let (drawing, letters) = curves_figure(scaling);
    section.figure(
        "finite-size-scaling",
        drawing,
        "Binder cumulant and correlation length against the coupling for all sizes, and their collapse.",
        format!("<b>Curves of all sizes</b>, reweighted from all couplings of a size; bands are one standard error. {letters}"),
    );
    if let Some((drawing, letters)) = sizes_figure(scaling) {
        section.figure(
            "scaling-with-size",
            drawing,
            "Crossings, pseudo-critical couplings, peaks and overlaps against the size.",
            format!("<b>What depends on the size.</b> {letters} Bars are one standard error; vermilion is {}.", known(scaling)),
        );
    }
    if let Some(sentence) = collapse_sentence(scaling) {
        section.paragraph(sentence);
    }
    section.table(crossing_table(scaling));
    section.table(peak_table(scaling));
    section.table(fit_table(scaling));
    section
}

fn introduction(scaling: &Scaling) -> String {
    format!(
        "The draws of all couplings of a size are joined into one ensemble (multi-histogram reweighting), which gives every observable and its derivative in <i>K</i> as a function of <i>K</i>. \
         Fits allow one correction <i>L</i><sup>−{}</sup>{}. The fit that counts is the one with \
         correction from the smallest size on whose χ² has a probability of at least {}. Errors are those of a jackknife of the whole analysis, slopes and weights of the fits included, over {} blocks of at least {} autocorrelation times, or whole chains; beside them stand those of a bootstrap of the same analysis over the same blocks; both keep the smallest sizes that were chosen. No exact value was used but the exponents of the corrections; \
         the sizes are {}.",
        significant(scaling.correction_exponent, 4),
        if scaling.geometry == Geometry::Cubic {
            ", whose exponent was not fitted"
        } else {
            " (for the specific heat, for the places and heights of peaks and for d ln <i>m</i>²/d<i>K</i> <i>L</i><sup>−1</sup>, relative to the leading term)"
        },
        significant(ACCEPTED, 1),
        scaling.blocks,
        significant(BLOCK_LENGTH, 2),
        list(&scaling.curves.iter().map(|curves| curves.size.to_string()).collect::<Vec<String>>())
    )
}

fn symbol(name: &str) -> &'static str {
    match name {
        "critical_coupling" => "<i>K</i><sub>c</sub>",
        "nu" => "<i>ν</i>",
        "beta_over_nu" => "<i>β</i>/<i>ν</i>",
        "gamma_over_nu" => "<i>γ</i>/<i>ν</i>",
        "binder_cumulant_at_criticality" => "<i>U</i>*",
        "correlation_length_at_criticality" => "(<i>ξ</i>/<i>L</i>)*",
        "specific_heat_amplitude" => "<i>A</i>",
        _ => "",
    }
}

fn finding(scaling: &Scaling) -> Option<String> {
    let of = |name: &str| result(scaling, name).map(|one| format!("{} = {}", symbol(name), with_error(one.value, one.error)));
    let all: Vec<String> = ["critical_coupling", "nu", "beta_over_nu", "gamma_over_nu"].into_iter().filter_map(of).collect();
    (!all.is_empty() && !scaling.crossings.is_empty()).then(|| format!("Finite-size scaling gives {}.", list(&all)))
}

fn result<'a>(scaling: &'a Scaling, name: &str) -> Option<&'a ScalingResult> {
    scaling.results.iter().find(|one| one.name == name)
}

/// What stands beside the results: the cubic lattice has no exact values.
pub(super) fn known(scaling: &Scaling) -> &'static str {
    if scaling.geometry == Geometry::Cubic { "published" } else { "exact" }
}

fn result_table(scaling: &Scaling) -> Table {
    let mut table = Table::new(
        "Results of finite-size scaling, each from the fit that counts.",
        &["quantity", "", "value (error)", known(scaling), "deviation / error", "error by bootstrap", "smallest <i>L</i>"],
    );
    for one in &scaling.results {
        let deviation = one.exact.map(|exact| (one.value - exact) / one.error).filter(|deviation| deviation.is_finite());
        let deviation = match deviation {
            Some(deviation) if deviation.abs() > LARGE_DEVIATION => format!("<span class=\"bad\">{}</span>", fixed(deviation, 1)),
            Some(deviation) => fixed(deviation, 1),
            None => DASH.to_string(),
        };
        table.row(&[
            escape(&one.long_name),
            symbol(&one.name).to_string(),
            with_error(one.value, one.error),
            one.exact.map_or(DASH.to_string(), |exact| significant(exact, 8)),
            deviation,
            one.bootstrap.map_or(DASH.to_string(), |bootstrap| significant(bootstrap.error, 2)),
            one.smallest_size.to_string(),
        ]);
    }
    table
}

fn collapse_sentence(scaling: &Scaling) -> Option<String> {
    let name = |observable: &str| match observable {
        "binder_cumulant" => "the Binder cumulant",
        "correlation_length" => "<i>ξ</i>/<i>L</i>",
        _ => "<i>L</i><sup><i>β</i>/<i>ν</i></sup>⟨|<i>m</i>|⟩",
    };
    let all: Vec<String> =
        scaling.collapses.iter().map(|one| format!("{} for {}", significant(one.quality, 3), name(&one.observable))).collect();
    let smallest = scaling.collapses.first()?.smallest_size;
    Some(format!(
        "Quality of the collapse over <i>x</i> = (<i>K</i>/<i>K</i><sub>c</sub> − 1) <i>L</i><sup>1/<i>ν</i></sup> for <i>L</i> ≥ {smallest}, the mean squared distance between curves in errors (about 1 if they \
         are one; corrections to scaling make it larger): {}.",
        list(&all)
    ))
}

fn crossing_table(scaling: &Scaling) -> Table {
    let mut table = Table::new("Where the curves of two sizes cross.", &["observable", "sizes", "<i>K</i>", "value"]);
    for one in &scaling.crossings {
        table.row(&[
            if one.observable == "binder_cumulant" { "<i>U</i>" } else { "<i>ξ</i>/<i>L</i>" }.to_string(),
            format!("{}, {}", one.sizes[0], one.sizes[1]),
            with_error(one.coupling[0], one.coupling[1]),
            with_error(one.value[0], one.value[1]),
        ]);
    }
    table
}

fn peak_words(observable: &str) -> &'static str {
    match observable {
        "specific_heat" => "specific heat <i>C</i>",
        "connected_susceptibility" => "connected susceptibility",
        _ => "d<i>U</i>/d<i>K</i>",
    }
}

fn peak_table(scaling: &Scaling) -> Table {
    let heads = ["observable", "<i>L</i>", "<i>K</i>", "exact <i>K</i>", "height", "exact height"];
    let mut table = Table::new("Peaks of the reweighted curves.", &heads);
    for one in &scaling.peaks {
        let exact = |part: usize| one.exact.map_or(DASH.to_string(), |exact| significant(exact[part], 8));
        table.row(&[
            peak_words(&one.observable).to_string(),
            one.size.to_string(),
            with_error(one.coupling[0], one.coupling[1]),
            exact(0),
            with_error(one.height[0], one.height[1]),
            exact(1),
        ]);
    }
    table
}

fn fit_table(scaling: &Scaling) -> Table {
    let heads = ["smallest <i>L</i>", "correction", "value (error)", "<i>χ</i>²", "degrees of freedom", "probability"];
    let mut table = Table::new(
        "All fits, from each smallest size on; the one that counts is marked by a star. Each datum has the weight of its own variance; <i>χ</i>² is that of the best description by the full covariance, and says whether there is one.",
        &heads,
    );
    table.is_long = true;
    let mut before: Option<&ScalingFit> = None;
    for fit in &scaling.fits {
        if before.is_none_or(|before| before.name != fit.name) {
            table.group(&escape(&fit.long_name), heads.len());
        }
        before = Some(fit);
        table.row(&[
            format!("{}{}", fit.smallest_size, if fit.chosen { " *" } else { "" }),
            if fit.corrected { "yes" } else { "no" }.to_string(),
            with_error(fit.value[0], fit.value[1]),
            significant(fit.goodness.chi_squared, 3),
            fit.goodness.degrees_of_freedom.to_string(),
            significant(fit.goodness.p_value, 2),
        ]);
    }
    table
}

/// The cell of a figure of three columns.
fn cell(index: usize, x: Scale, y: Scale) -> Panel {
    let (left, top) = (78.0 + 316.0 * (index % 3) as f64, 66.0 + 276.0 * (index / 3) as f64);
    Panel { left, top, right: left + 232.0, bottom: top + 192.0, x, y }
}

fn letter(drawing: &mut Drawing, panel: &Panel, index: usize) -> char {
    let letter = char::from(b'a' + index as u8);
    drawing.heading(&letter.to_string(), [panel.left - 4.0, panel.top - 10.0], 13.0, INK, Anchor::Start);
    letter
}

/// One curve a size in one panel, with its band.
fn band(drawing: &mut Drawing, panel: &Panel, points: &[(f64, WithError)], colour: style::Colour) {
    for pair in points.windows(2) {
        let corner = |(x, [y, error]): (f64, WithError), sign: f64| panel.at(x, panel.y.clamp(y + sign * error));
        if let (Some(a), Some(b), Some(c), Some(d)) =
            (corner(pair[0], -1.0), corner(pair[1], -1.0), corner(pair[1], 1.0), corner(pair[0], 1.0))
        {
            drawing.polygon(&[a, b, c, d], colour, 0.3);
        }
    }
    panel.curve(drawing, points.iter().map(|&(x, [y, _])| (x, y)), colour, 1.2);
}

/// A curve of each size: words of the axis, words of the caption, values.
type Shown<'a> = (&'a str, String, Box<dyn Fn(&Curves) -> Vec<WithError> + 'a>);

fn curves_figure(scaling: &Scaling) -> (Drawing, String) {
    let mut drawing = Drawing::new(sizes::SCALING);
    let value = |name: &str| result(scaling, name).map(|one| one.value);
    let (critical, nu) = (value("critical_coupling").unwrap_or(f64::NAN), value("nu").unwrap_or(1.0));
    let beta = value("beta_over_nu").unwrap_or(0.0);
    let mut words = Vec::new();
    let times = |values: &[WithError], factor: f64| values.iter().map(|value| value.map(|part| part * factor)).collect::<Vec<WithError>>();
    let has_length = scaling.curves.iter().all(|curves| !curves.correlation_length.is_empty());
    let mut shown: Vec<(bool, Shown)> =
        vec![(false, ("Binder cumulant U", "the Binder cumulant".to_string(), Box::new(|curves: &Curves| curves.binder_cumulant.clone())))];
    if has_length {
        shown.push((
            false,
            ("correlation length ξ / L", "<i>ξ</i>/<i>L</i>".to_string(), Box::new(|curves: &Curves| curves.correlation_length.clone())),
        ));
    }
    shown.push((
        false,
        (
            "specific heat (kB)",
            if scaling.geometry == Geometry::Square { "the specific heat, with its exact peaks as rings" } else { "the specific heat" }
                .to_string(),
            Box::new(|curves: &Curves| curves.specific_heat.clone()),
        ),
    ));
    shown.push((
        true,
        (
            "Binder cumulant U",
            "the collapse of the Binder cumulant".to_string(),
            Box::new(|curves: &Curves| curves.binder_cumulant.clone()),
        ),
    ));
    if has_length {
        shown.push((
            true,
            (
                "correlation length ξ / L",
                "the collapse of <i>ξ</i>/<i>L</i>".to_string(),
                Box::new(|curves: &Curves| curves.correlation_length.clone()),
            ),
        ));
    }
    shown.push((
        true,
        (
            "L^(β/ν) |m|",
            "the collapse of <i>L</i><sup><i>β</i>/<i>ν</i></sup>⟨|<i>m</i>|⟩".to_string(),
            Box::new(move |curves: &Curves| times(&curves.magnetization, (curves.size as f64).powf(beta))),
        ),
    ));
    // The narrow windows of the larger sizes would vanish in those of the smallest.
    let third = &scaling.curves[scaling.curves.len() / 2];
    let shared =
        Scale::between(third.coupling.iter().copied().fold(f64::INFINITY, f64::min), third.coupling.iter().copied().fold(0.0, f64::max));
    let scaled = |curves: &Curves, coupling: f64| (coupling / critical - 1.0) * (curves.size as f64).powf(1.0 / nu);
    for (index, (is_scaled, (label, caption, values))) in shown.iter().enumerate() {
        let points: Vec<Vec<(f64, WithError)>> = scaling
            .curves
            .iter()
            .map(|curves| {
                let x = |coupling: &f64| if *is_scaled { scaled(curves, *coupling) } else { *coupling };
                curves.coupling.iter().map(x).zip(values(curves)).collect()
            })
            .collect();
        let x = if *is_scaled { Scale::linear(points.iter().flatten().map(|point| point.0)) } else { Some(shared) };
        let x = x.unwrap_or(shared);
        let inside =
            points.iter().flatten().filter(|(place, _)| x.holds(*place)).flat_map(|(_, [value, error])| [value - error, value + error]);
        let Some(y) = Scale::linear(inside) else { continue };
        let panel = cell(index, x, y);
        panel.axes(&mut drawing, if *is_scaled { "(K / Kc − 1) L^(1/ν)" } else { "coupling K" }, label);
        let letter = letter(&mut drawing, &panel, index);
        panel.landmark(&mut drawing, if *is_scaled { 0.0 } else { critical }, "Kc");
        for (size, points) in points.iter().enumerate() {
            band(&mut drawing, &panel, points, style::ordered(size, scaling.curves.len()));
        }
        if label.starts_with("specific heat") {
            for exact in scaling.peaks.iter().filter_map(|peak| peak.exact) {
                if let Some(place) = panel.at(exact[0], exact[1]) {
                    drawing.ring(place, 3.6, EXACT);
                }
            }
        }
        words.push(format!("({letter}) {caption}"));
    }
    let entries: Vec<_> = scaling
        .curves
        .iter()
        .enumerate()
        .map(|(index, curves)| (style::ordered(index, scaling.curves.len()), format!("L = {}", curves.size)))
        .collect();
    legend(&mut drawing, [78.0, 24.0], &entries);
    (drawing, format!("{}; the dashed line is the fitted <i>K</i><sub>c</sub> = {}.", list(&words), ensemble::coupling(critical)))
}

/// Points with bars against L, and their exact values.
fn bars(drawing: &mut Drawing, panel: &Panel, points: &[(f64, WithError, Option<f64>)], colour: style::Colour) {
    for &(size, [value, error], exact) in points {
        if let Some(place) = exact.and_then(|exact| panel.at(size, exact)) {
            drawing.ring(place, 4.2, EXACT);
        }
        panel.error_bar(drawing, size, value, error, colour);
        if let Some(place) = panel.at(size, value) {
            drawing.disc(place, 2.6, colour);
        }
    }
}

fn sizes_figure(scaling: &Scaling) -> Option<(Drawing, String)> {
    let mut drawing = Drawing::new(sizes::SCALING);
    let critical = result(scaling, "critical_coupling");
    let of_peak = |observable: &str, of: &dyn Fn(&Peak) -> (WithError, Option<f64>)| -> Vec<(f64, WithError, Option<f64>)> {
        let peaks = scaling.peaks.iter().filter(|peak| peak.observable == observable);
        peaks
            .map(|peak| {
                let (value, exact) = of(peak);
                (peak.size as f64, value, exact)
            })
            .collect()
    };
    let of_crossing =
        |observable: &str, of: fn(&crate::statistics::scaling::Crossing) -> WithError| -> Vec<(f64, WithError, Option<f64>)> {
            let crossings = scaling.crossings.iter().filter(|crossing| crossing.observable == observable);
            crossings
                .map(|crossing| ((crossing.sizes[0] * crossing.sizes[1]) as f64, of(crossing), None))
                .map(|(product, value, exact)| (product.sqrt(), value, exact))
                .collect()
        };
    let heat = of_peak("specific_heat", &|peak| (peak.height, peak.exact.map(|exact| exact[1])));
    let susceptibility = of_peak("connected_susceptibility", &|peak| (peak.height, None));
    let slope = of_peak("binder_slope", &|peak| (peak.height, None));
    let exact_of = |name: &str| result(scaling, name).and_then(|one| one.exact);
    type Group = (style::Colour, Vec<(f64, WithError, Option<f64>)>);
    /// Words of the axis and of the caption, points, an exact level, whether the height is a power of L.
    type Shape<'a> = (&'a str, &'a str, Vec<Group>, Option<f64>, bool);
    let panels: Vec<Shape> = vec![
        (
            "coupling of crossings K",
            "couplings at which <i>U</i> (blue) and <i>ξ</i>/<i>L</i> (ochre) of two sizes cross",
            vec![
                (style::category(0), of_crossing("binder_cumulant", |crossing| crossing.coupling)),
                (style::category(1), of_crossing("correlation_length", |crossing| crossing.coupling)),
            ],
            critical.and_then(|one| one.exact),
            false,
        ),
        (
            "U at crossings",
            "<i>U</i> at its crossings",
            vec![(style::category(0), of_crossing("binder_cumulant", |crossing| crossing.value))],
            exact_of("binder_cumulant_at_criticality"),
            false,
        ),
        (
            "ξ / L at crossings",
            "<i>ξ</i>/<i>L</i> at its crossings",
            vec![(style::category(1), of_crossing("correlation_length", |crossing| crossing.value))],
            exact_of("correlation_length_at_criticality"),
            false,
        ),
        (
            "peak of C (kB)",
            if scaling.geometry == Geometry::Square {
                "height of the peak of the specific heat, a straight line for a logarithm"
            } else {
                "height of the peak of the specific heat"
            },
            vec![(style::category(2), heat)],
            None,
            false,
        ),
        (
            "peak of the susceptibility",
            "height of the peak of the connected susceptibility",
            vec![(style::category(3), susceptibility)],
            None,
            true,
        ),
        ("peak of dU/dK", "height of the peak of d<i>U</i>/d<i>K</i>", vec![(style::category(4), slope)], None, true),
    ];
    let sizes = scaling.curves.iter().map(|curves| curves.size as f64);
    let x = Scale::logarithmic(sizes).unwrap_or(Scale::between(0.0, 1.0));
    let mut words = Vec::new();
    for (label, caption, groups, exact, is_power) in panels {
        let values: Vec<f64> = groups
            .iter()
            .flat_map(|(_, points)| points)
            .flat_map(|(_, [value, error], exact)| [value - error, value + error, exact.unwrap_or(*value)])
            .chain(exact)
            .collect();
        if groups.iter().all(|(_, points)| points.is_empty()) {
            continue;
        }
        let Some(y) = (if is_power { Scale::logarithmic(values) } else { Scale::linear(values) }) else { continue };
        let index = words.len();
        let panel = cell(index, x, y);
        panel.axes(&mut drawing, "size L", label);
        let letter = letter(&mut drawing, &panel, index);
        if let Some(height) = exact.and_then(|exact| panel.height(exact)) {
            drawing.dashed([panel.left, height], [panel.right, height], EXACT, 1.3, 6.0);
        }
        for (colour, points) in &groups {
            panel.curve(&mut drawing, points.iter().map(|(size, [value, _], _)| (*size, *value)), style::tint(*colour, 0.45), 1.0);
            bars(&mut drawing, &panel, points, *colour);
        }
        words.push(format!("({letter}) {caption}"));
    }
    drawing.dashed([78.0, 20.0], [96.0, 20.0], EXACT, 1.3, 6.0);
    drawing.ring([104.0, 20.0], 4.2, EXACT);
    drawing.text(known(scaling), [114.0, 24.0], 11.0, MUTED, Anchor::Start);
    (!words.is_empty()).then(|| (drawing, format!("{}.", list(&words))))
}
