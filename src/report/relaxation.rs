//! How fast the chains forget at the critical point: autocorrelation times against the size, and the dynamic exponent.

use super::axes::{Panel, Scale, legend};
use super::figure::Drawing;
use super::html::{Section, escape};
use super::number::{fixed, with_error};
use super::sizes;
use super::style;
use super::tables;
use crate::record::{RunRecord, TableRecord};

/// The observables of the figure: column and words.
const CURVES: [(&str, &str); 4] = [
    ("magnetization", "magnetization"),
    ("absolute_magnetization", "its absolute value"),
    ("magnetization_squared", "its square"),
    ("energy", "energy"),
];

/// The section, where there are several sizes at the critical point.
pub(super) fn section(record: &RunRecord) -> Option<Section> {
    let times = record.analysis("relaxation_times")?;
    let mut section = Section::new("Relaxation at the critical point");
    if !CURVES.iter().any(|(column, _)| (0..times.rows.len()).any(|row| times.get(row, column).is_some())) {
        section.paragraph(
            "No integrated autocorrelation time at <i>K</i><sub>c</sub> is given: all are shorter than four draws, or not resolved by the length of the chains. A smaller <code>measure_every</code>, or \
             longer chains, would tell them.",
        );
        return Some(section);
    }
    section.paragraph(
        "Integrated autocorrelation times <i>τ</i> of the ensembles at <i>K</i><sub>c</sub> in sweeps, by the Gamma method. Times shorter than four draws, or not resolved by the length of \
         the chains, are left out. Weighted fits of ln <i>τ</i> against ln <i>L</i> give the dynamic exponent <i>z</i> of <i>τ</i> ~ <i>L</i><sup><i>z</i></sup>; the fit that counts is the \
         first, from the smallest sizes on, whose <i>χ</i>² has a probability of at least 0.01.",
    );
    let powers = record.analysis("dynamic_exponent");
    section.findings.extend(powers.and_then(finding));
    section.figure(
        "relaxation-times",
        draw(times),
        "Integrated autocorrelation times at the critical point against the size, both logarithmic.",
        "<b>Relaxation at the critical point.</b> Integrated autocorrelation time in sweeps against the size. Bars are one standard error.",
    );
    section.table(tables::table(
        times,
        "Integrated autocorrelation times at the critical point, in sweeps.",
        "size",
        &[
            ("coupling", "<i>K</i>"),
            ("magnetization", "<i>τ</i> of <i>M</i>"),
            ("absolute_magnetization", "<i>τ</i> of |<i>M</i>|"),
            ("magnetization_squared", "<i>τ</i> of <i>M</i>²"),
            ("energy", "<i>τ</i> of <i>E</i>"),
        ],
    ));
    if let Some(powers) = powers {
        section.table(tables::table_with(
            powers,
            "Dynamic exponents, from every smallest size on; 1 marks the fit that counts.",
            "observable",
            &[
                ("exponent", "<i>z</i>"),
                ("chi_squared", "<i>χ</i>²"),
                ("degrees_of_freedom", "degrees of freedom"),
                ("p_value", "probability"),
                ("chosen", "counts"),
                ("published", "published"),
            ],
            3,
        ));
    }
    Some(section)
}

/// The exponent of the slowest observable that has one, beside the published one. Tables list the observables from the slowest on.
fn finding(powers: &TableRecord) -> Option<String> {
    let row = (0..powers.rows.len()).find(|&row| powers.get(row, "chosen").is_some_and(|chosen| chosen[0] == 1.0))?;
    let [value, error] = powers.get(row, "exponent")?;
    let published = match powers.get(row, "published") {
        Some([exponent, its]) => format!(
            "; the published exponent of local dynamics is {}, {} of these errors away. The error is that of a pure power, without corrections to it",
            with_error(exponent, its),
            fixed((value - exponent).abs() / error, 1)
        ),
        None => String::new(),
    };
    let label = escape(&powers.rows.get(row)?.0);
    Some(format!(
        "The autocorrelation time at the critical point grows as <i>L</i> to the power {} ({label}){published}.",
        with_error(value, error)
    ))
}

fn draw(times: &TableRecord) -> Drawing {
    let mut drawing = Drawing::new(sizes::RELAXATION);
    let sizes: Vec<f64> = (0..times.rows.len()).filter_map(|row| times.get(row, "size")).map(|size| size[0]).collect();
    let points = |column: &str| -> Vec<(f64, [f64; 2])> {
        sizes.iter().enumerate().filter_map(|(row, &size)| Some((size, times.get(row, column)?))).collect()
    };
    let all = CURVES.iter().flat_map(|(column, _)| points(column)).flat_map(|(_, [time, error])| [time - error, time + error]);
    let x = Scale::logarithmic(sizes.iter().copied()).unwrap_or(Scale::between(0.0, 1.0));
    let y = Scale::logarithmic(all).unwrap_or(Scale::between(0.0, 1.0));
    let panel = Panel { left: 90.0, top: 56.0, right: 530.0, bottom: 320.0, x, y };
    panel.axes(&mut drawing, "size L", "autocorrelation time (sweeps)");
    for (index, (column, _)) in CURVES.iter().enumerate() {
        let colour = style::category(index);
        let points = points(column);
        panel.curve(&mut drawing, points.iter().map(|(size, [time, _])| (*size, *time)), style::tint(colour, 0.45), 1.0);
        for (size, [time, error]) in points {
            panel.error_bar(&mut drawing, size, time, error, colour);
            if let Some(place) = panel.at(size, time) {
                drawing.disc(place, 2.8, colour);
            }
        }
    }
    let entries: Vec<_> = CURVES.iter().enumerate().map(|(index, (_, words))| (style::category(index), (*words).to_string())).collect();
    legend(&mut drawing, [90.0, 28.0], &entries);
    drawing
}
