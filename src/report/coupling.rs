//! Observables against the coupling, one curve a size: what finite-size scaling is about. Drawn when there are several couplings.

use super::axes::{Panel, Scale, legend};
use super::ensemble;
use super::figure::{Anchor, Drawing};
use super::html::{Section, escape};
use super::number::{fixed, list};
use super::sizes;
use super::style::{self, EXACT, INK};
use crate::lattice::Geometry;
use crate::record::{Observable, SamplingRecord};

/// The panels: observable, its unit in the label.
const PANELS: [&str; 6] = [
    "energy_per_site",
    "specific_heat_per_site",
    "absolute_magnetization",
    "susceptibility",
    "binder_cumulant",
    "correlation_length_over_side",
];

/// Adds the figure to the section of the sampling stage.
pub(super) fn add(section: &mut Section, sampling: &SamplingRecord) {
    let mut couplings: Vec<f64> =
        sampling.ensembles.iter().map(|ensemble| ensemble.coupling).filter(|coupling| coupling.is_finite()).collect();
    couplings.sort_by(f64::total_cmp);
    couplings.dedup();
    if couplings.len() < 2 {
        return;
    }
    let sizes: Vec<usize> = {
        let mut sizes: Vec<usize> = sampling.ensembles.iter().map(|ensemble| ensemble.size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    };
    let (drawing, letters) = draw(sampling, &couplings, &sizes);
    let sizes_in_words = list(&sizes.iter().map(ToString::to_string).collect::<Vec<String>>());
    if let Some(sentence) = peak(sampling, &sizes) {
        section.findings.push(sentence);
    }
    section.figure(
        "observables-against-coupling",
        drawing,
        format!("Observables against the coupling K for L = {sizes_in_words}, with error bars and exact values."),
        format!(
            "<b>Observables against the coupling</b> <i>K</i> for <i>L</i> = {sizes_in_words} at {} couplings: {}. Bars are one standard error; open vermilion \
             circles are exact values of the same finite torus{}.",
            couplings.len(),
            list(&letters),
            match (sampling.geometry, sampling.geometry.critical_coupling()) {
                (Geometry::Square, Some(critical)) =>
                    format!("; the dashed line is the critical coupling <i>K</i><sub>c</sub> = ½ ln(1 + √2) = {}", fixed(critical, 6)),
                (_, Some(critical)) => format!("; the dashed line is the published critical coupling <i>K</i><sub>c</sub> = {}", fixed(critical, 9)),
                _ => String::new(),
            }
        ),
    );
}

/// Where the specific heat of the largest size is largest.
fn peak(sampling: &SamplingRecord, sizes: &[usize]) -> Option<String> {
    let largest = *sizes.last()?;
    let heat = |ensemble| ensemble::observable(ensemble, "specific_heat_per_site");
    let ensemble = sampling
        .ensembles
        .iter()
        .filter(|ensemble| ensemble.size == largest && heat(ensemble).is_some_and(|heat| heat.estimate.mean.is_finite()))
        .max_by(|one, other| {
            let value = |ensemble| heat(ensemble).map_or(f64::NEG_INFINITY, |heat: &Observable| heat.estimate.mean);
            value(one).total_cmp(&value(other))
        })?;
    let estimate = &heat(ensemble)?.estimate;
    Some(format!(
        "Of the sampled couplings, the specific heat per site of L = {largest} is largest at K = {}: {} <i>k</i><sub>B</sub>.",
        ensemble::coupling(ensemble.coupling),
        super::number::with_error(estimate.mean, estimate.error)
    ))
}

fn draw(sampling: &SamplingRecord, couplings: &[f64], sizes: &[usize]) -> (Drawing, Vec<String>) {
    let mut drawing = Drawing::new(sizes::OBSERVABLES);
    let mut letters = Vec::new();
    let x = Scale::linear(couplings.iter().copied()).unwrap_or(Scale::between(0.0, 1.0));
    let present = PANELS.iter().filter(|name| sampling.ensembles.iter().any(|ensemble| ensemble::observable(ensemble, name).is_some()));
    for (cell, name) in present.enumerate() {
        let points = |size: usize| {
            let mut points: Vec<(f64, &Observable)> = sampling
                .ensembles
                .iter()
                .filter(|ensemble| ensemble.size == size)
                .filter_map(|ensemble| Some((ensemble.coupling, ensemble::observable(ensemble, name)?)))
                .collect();
            points.sort_by(|one, other| one.0.total_cmp(&other.0));
            points
        };
        let values: Vec<f64> = sizes
            .iter()
            .flat_map(|&size| points(size))
            .flat_map(|(_, observable)| {
                let (mean, error) = (observable.estimate.mean, observable.estimate.error);
                let error = if error.is_finite() { error } else { 0.0 };
                [mean - error, mean + error, observable.exact.unwrap_or(mean)]
            })
            .collect();
        let Some(y) = Scale::automatic(&values, 30.0) else { continue };
        let (column, row) = ((cell % 3) as f64, (cell / 3) as f64);
        let (left, top) = (74.0 + 316.0 * column, 66.0 + 276.0 * row);
        let panel = Panel { left, top, right: left + 236.0, bottom: top + 192.0, x, y };
        let first = points(sizes[0]);
        let Some((_, sample)) = first.first().or(points(*sizes.last().unwrap_or(&0)).first()).copied() else { continue };
        let label = match sample.units.as_str() {
            "1" | "" => sample.long_name.clone(),
            "k_B" => format!("{} (kB)", sample.long_name),
            unit => format!("{} ({unit})", sample.long_name),
        };
        let letter = char::from(b'a' + cell as u8);
        panel.axes(&mut drawing, "coupling K", &label);
        if let Some(critical) = sampling.geometry.critical_coupling() {
            panel.landmark(&mut drawing, critical, "critical");
        }
        drawing.heading(&letter.to_string(), [left - 4.0, top - 10.0], 13.0, INK, Anchor::Start);
        letters.push(format!("({letter}) {}", escape(&sample.long_name)));
        for (index, &size) in sizes.iter().enumerate() {
            let colour = style::ordered(index, sizes.len());
            panel.curve(
                &mut drawing,
                points(size).iter().map(|(coupling, observable)| (*coupling, observable.estimate.mean)),
                style::tint(colour, 0.45),
                1.0,
            );
        }
        for (index, &size) in sizes.iter().enumerate() {
            let colour = style::ordered(index, sizes.len());
            for (coupling, observable) in points(size) {
                if let Some(exact) = observable.exact.and_then(|exact| panel.at(coupling, exact)) {
                    drawing.ring(exact, 4.2, EXACT);
                }
                panel.error_bar(&mut drawing, coupling, observable.estimate.mean, observable.estimate.error, colour);
                if let Some(mean) = panel.at(coupling, observable.estimate.mean) {
                    drawing.disc(mean, 2.4, colour);
                }
            }
        }
    }
    let entries: Vec<_> =
        sizes.iter().enumerate().map(|(index, size)| (style::ordered(index, sizes.len()), format!("L = {size}"))).collect();
    let end = legend(&mut drawing, [74.0, 24.0], &entries);
    drawing.ring([end + 8.0, 20.0], 4.2, EXACT);
    drawing.text("exact", [end + 19.0, 24.0], 11.0, INK, Anchor::Start);
    (drawing, letters)
}
