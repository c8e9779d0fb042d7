//! The sampling stage on paper: time series and histograms of some ensembles, and the table of all observables.

use super::axes::{Panel, Scale, legend};
use super::ensemble::{self, LARGE_DEVIATION, SHORT_CHAIN, deviation};
use super::figure::{Anchor, Drawing};
use super::histogram::{self, Bins, ENERGY_STEP, MAGNETIZATION_STEP};
use super::html::{Section, Table, escape};
use super::number::{self, fixed, significant, thousands, with_error};
use super::sizes;
use super::style::{self, EXACT, INK, MEASURED, MUTED};
use crate::measure::Series;
use crate::record::{Ensemble, Estimate, Observable, SamplingRecord};

/// Ensembles whose series are drawn.
pub const DRAWN_ENSEMBLES: usize = 6;
/// Chains drawn in one panel.
const DRAWN_CHAINS: usize = 3;
/// Points of one curve.
const DRAWN_POINTS: usize = 2000;

/// The section of the sampling stage.
pub(super) fn section(sampling: &SamplingRecord) -> Section {
    let mut section = Section::new("Sampling");
    section.paragraph(introduction(sampling));
    section.findings.extend(agreement(sampling));
    if let Some(sentence) = slowest_mode(sampling) {
        section.paragraph(sentence);
    }
    for ensemble in drawn(sampling) {
        let (name, place) = (ensemble::name(ensemble), format!("L{}-K{}", ensemble.size, ensemble::coupling(ensemble.coupling)));
        let (figure, file, what, caption) = if ensemble.chains.is_empty() {
            (histogram::figure(sampling, ensemble), "histogram", "Histograms", histogram::caption(ensemble))
        } else {
            (series_figure(sampling, ensemble), "series", "Time series and histograms", series_caption(ensemble))
        };
        if let Some(drawing) = figure {
            section.figure(
                format!("{file}-{place}"),
                drawing,
                format!("{what} of the energy and the magnetization per site, {name}."),
                caption,
            );
        }
    }
    if sampling.ensembles.iter().any(|ensemble| !ensemble.observables.is_empty()) {
        section.table(observable_table(sampling));
    }
    section
}

fn introduction(sampling: &SamplingRecord) -> String {
    let drawn = drawn(sampling).len();
    let what = if sampling.is_of_histograms() { "histograms" } else { "series" };
    let which = match (sampling.ensembles.len(), drawn) {
        (1, _) => format!("The figure shows its {what}."),
        (all, drawn) if all == drawn => format!("The figures show the {what} of each."),
        (_, drawn) => format!("The figures show the {what} of {drawn} of them, evenly spaced."),
    };
    let interval = match sampling.measure_every {
        0 | 1 => "after every sweep".to_string(),
        sweeps => format!("after every {} sweeps", thousands(sweeps as u64)),
    };
    format!(
        "{} updates sampled {} of {} chain{}. Each chain ran {} sweeps that were discarded and was then measured {} times, {interval}. {which} Errors include \
         autocorrelation; the digits in parentheses are the standard error of the last digits.",
        ensemble::algorithm(&sampling.algorithm),
        if sampling.ensembles.len() == 1 { "one ensemble".to_string() } else { format!("{} ensembles", sampling.ensembles.len()) },
        thousands(sampling.replicas as u64),
        if sampling.replicas == 1 { "" } else { "s" },
        thousands(sampling.thermalization as u64),
        thousands(sampling.draws as u64),
    )
}

/// The comparison with the exact values in one or two sentences.
fn agreement(sampling: &SamplingRecord) -> Vec<String> {
    let mut findings = Vec::new();
    let compared: Vec<(&Ensemble, &Observable, f64)> = sampling
        .ensembles
        .iter()
        .flat_map(|ensemble| ensemble.observables.iter().map(move |observable| (ensemble, observable)))
        .filter_map(|(ensemble, observable)| Some((ensemble, observable, deviation(observable)?)))
        .collect();
    if let [ensemble] = sampling.ensembles.as_slice()
        && let Some((_, energy, deviation)) = compared.iter().find(|(_, observable, _)| observable.name == "energy_per_site")
    {
        findings.push(format!(
            "The energy per site of {} is {} {}; the exact value of the finite torus, {}, lies {} standard errors away.",
            ensemble::name(ensemble),
            with_error(energy.estimate.mean, energy.estimate.error),
            unit(energy),
            significant(energy.exact.unwrap_or(f64::NAN), 8),
            fixed(deviation.abs(), 1),
        ));
    }
    if let Some((ensemble, observable, largest)) = compared.iter().max_by(|one, other| one.2.abs().total_cmp(&other.2.abs())) {
        let outside = compared.iter().filter(|(_, _, deviation)| deviation.abs() > LARGE_DEVIATION).count();
        let verdict = if outside == 0 {
            "none is more than four standard errors away".to_string()
        } else {
            format!("{outside} of them {} more than four standard errors away", if outside == 1 { "is" } else { "are" })
        };
        findings.push(format!(
            "{} estimate{} compared with exact values: {verdict}; the largest deviation is {} standard errors ({}, {}).",
            compared.len(),
            if compared.len() == 1 { " was" } else { "s were" },
            fixed(largest.abs(), 1),
            escape(&observable.long_name),
            ensemble::name(ensemble),
        ));
    }
    findings
}

fn slowest_mode(sampling: &SamplingRecord) -> Option<String> {
    let (ensemble, (observable, time)) = sampling
        .ensembles
        .iter()
        .filter_map(|ensemble| Some((ensemble, ensemble::slowest(ensemble)?)))
        .max_by(|one, other| one.1.1.total_cmp(&other.1.1))?;
    let length = ensemble::shortest_chain(ensemble) as f64 / time;
    Some(format!(
        "The slowest observable is the {} at {}: its integrated autocorrelation time is {} draws, so that a chain is {} of these times long{}.",
        escape(&observable.long_name),
        ensemble::name(ensemble),
        significant(time, 3),
        significant(length, 3),
        if length < SHORT_CHAIN { ", too short to trust the time itself" } else { "" },
    ))
}

/// The ensembles whose series are drawn: all, or some evenly spaced.
fn drawn(sampling: &SamplingRecord) -> Vec<&Ensemble> {
    let all = &sampling.ensembles;
    let count = all.len().min(DRAWN_ENSEMBLES);
    (0..count).map(|index| &all[if count < 2 { 0 } else { index * (all.len() - 1) / (count - 1) }]).collect()
}

fn series_figure(sampling: &SamplingRecord, ensemble: &Ensemble) -> Option<Drawing> {
    let sites = ensemble.size.pow(sampling.geometry.dimension() as u32) as f64;
    let mut drawing = Drawing::new(sizes::SERIES);
    let step = sampling.measure_every.max(1) as f64;

    let traces =
        |chains: fn(&Series) -> &[i64], quantum: i64| Traces { chains: ensemble.chains.iter().map(chains).collect(), sites, quantum, step };
    let energies = traces(|series| &series.energy, ENERGY_STEP);
    let estimate = ensemble::observable(ensemble, "energy_per_site");
    let exact = estimate.and_then(|observable| observable.exact);
    let values = energies.values().chain(exact);
    let mut lines = Vec::new();
    if let Some(estimate) = estimate {
        lines.push(Level { value: estimate.estimate.mean, error: estimate.estimate.error, colour: MEASURED, is_dashed: false });
    }
    lines.extend(exact.map(|value| Level { value, error: 0.0, colour: EXACT, is_dashed: true }));
    let scale = Scale::linear(values)?;
    row(&mut drawing, [38.0, 188.0], &energies, scale, &lines, ["", "energy per site (J)"]);

    let magnetizations = traces(|series| &series.magnetization, MAGNETIZATION_STEP);
    let largest = magnetizations.values().fold(0.02f64, |largest, value| largest.max(value.abs()));
    let mut lines = Vec::new();
    if let Some(Observable { estimate: Estimate { mean, error, .. }, .. }) = ensemble::observable(ensemble, "absolute_magnetization") {
        lines.extend([1.0, -1.0].map(|sign| Level { value: sign * mean, error: *error, colour: MEASURED, is_dashed: false }));
    }
    let scale = Scale::between(-1.08 * largest, 1.08 * largest);
    row(&mut drawing, [226.0, 376.0], &magnetizations, scale, &lines, ["sweeps after thermalization", "magnetization per site"]);

    drawing.heading(&ensemble::name(ensemble), [74.0, 22.0], 13.0, INK, Anchor::Start);
    let chains = energies.chains.len().min(DRAWN_CHAINS);
    let mut entries: Vec<_> = (0..chains).map(|chain| (style::chain(chain), format!("chain {chain}"))).collect();
    entries.push((MEASURED, "mean ± error".to_string()));
    if exact.is_some() {
        entries.push((EXACT, "exact".to_string()));
    }
    legend(&mut drawing, [300.0, 22.0], &entries);
    drawing.text("all chains", [824.0, 409.0], 11.0, MUTED, Anchor::Middle);
    Some(drawing)
}

/// A horizontal line with a band of one error on either side.
struct Level {
    value: f64,
    error: f64,
    colour: style::Colour,
    is_dashed: bool,
}

/// The series of one observable.
struct Traces<'a> {
    /// By chain.
    chains: Vec<&'a [i64]>,
    /// What the values are divided by.
    sites: f64,
    /// Values differ by multiples of it.
    quantum: i64,
    /// Sweeps between two measurements.
    step: f64,
}

impl Traces<'_> {
    /// Per site, all chains.
    fn values(&self) -> impl Iterator<Item = f64> {
        self.chains.iter().copied().flatten().map(|&value| value as f64 / self.sites)
    }
}

/// One observable per site: its series on the left, the histogram of all chains on the right.
fn row(drawing: &mut Drawing, [top, bottom]: [f64; 2], traces: &Traces<'_>, y: Scale, levels: &[Level], labels: [&str; 2]) {
    let &Traces { ref chains, sites, quantum, step } = traces;
    let longest = chains.iter().map(|chain| chain.len()).max().unwrap_or(0);
    let x = Scale::between(0.0, (longest.max(2) - 1) as f64 * step);
    let series = Panel { left: 74.0, top, right: 730.0, bottom, x, y };
    series.axes(drawing, labels[0], labels[1]);
    for (index, chain) in chains.iter().take(DRAWN_CHAINS).enumerate() {
        let stride = chain.len().div_ceil(DRAWN_POINTS).max(1);
        let points = chain.iter().enumerate().step_by(stride).map(|(draw, &value)| (draw as f64 * step, value as f64 / sites));
        series.curve(drawing, points, style::chain(index), 0.8);
    }

    let bins = Bins::of(chains.iter().copied().flatten().map(|&value| (value, 1)), quantum);
    let histogram = Panel { left: 748.0, right: 900.0, x: Scale::between(0.0, 1.08 * bins.largest()), ..series };
    for (bin, &count) in bins.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let [low, high] = bins.ends(bin).map(|end| histogram.y.clamp(end / sites));
        let (Some(foot), Some(corner)) = (histogram.at(0.0, low), histogram.at(count as f64, high)) else { continue };
        drawing.rectangle(foot, corner, style::tint(style::chain(1), 0.55));
    }
    drawing.line(&[[histogram.left, top], [histogram.left, bottom]], MUTED, 1.0);
    for level in levels {
        for panel in [&series, &histogram] {
            let (left, right) = (panel.left, panel.right);
            if let (Some(below), Some(above)) = (panel.height(level.value - level.error), panel.height(level.value + level.error)) {
                drawing.polygon(&[[left, below], [right, below], [right, above], [left, above]], level.colour, 0.35);
            }
            match panel.height(level.value) {
                // Dashed, the exact value hides neither the mean nor is hidden by it.
                Some(y) if level.is_dashed => drawing.dashed([left, y], [right, y], level.colour, 1.5, 6.0),
                _ => panel.level(drawing, level.value, level.colour, 1.5),
            }
        }
    }
}

fn series_caption(ensemble: &Ensemble) -> String {
    let chains = ensemble.chains.len();
    let shown = chains.min(DRAWN_CHAINS);
    let mut caption = format!(
        "<b>{}.</b> Energy and magnetization per site of {} of {} chain{}, thinned to at most {} points; right, the histogram over all chains. ",
        ensemble::name(ensemble),
        shown,
        chains,
        if chains == 1 { "" } else { "s" },
        thousands(DRAWN_POINTS as u64),
    );
    caption.push_str(&levels_in_words(ensemble, "in the lower panel"));
    caption
}

/// What the lines of a figure of energy and magnetization are; those of the magnetization are at `place`.
pub(super) fn levels_in_words(ensemble: &Ensemble, place: &str) -> String {
    let mut words = String::new();
    if let Some(energy) = ensemble::observable(ensemble, "energy_per_site") {
        words.push_str(&format!(
            "Blue: mean {} {} with its error as a band",
            with_error(energy.estimate.mean, energy.estimate.error),
            unit(energy)
        ));
        match energy.exact {
            Some(exact) => words.push_str(&format!("; dashed vermilion: exact value {}. ", significant(exact, 8))),
            None => words.push_str(". "),
        }
    }
    if let Some(magnetization) = ensemble::observable(ensemble, "absolute_magnetization") {
        let mean = with_error(magnetization.estimate.mean, magnetization.estimate.error);
        words.push_str(&format!("The lines {place} are ±⟨|m|⟩ = ±{mean}."));
    }
    words
}

/// The unit as it follows a number: nothing for a pure number.
pub(super) fn unit(observable: &Observable) -> String {
    match observable.units.as_str() {
        "1" | "" => String::new(),
        "k_B" => "<i>k</i><sub>B</sub>".to_string(),
        other => format!("<i>{}</i>", escape(other)),
    }
}

fn observable_table(sampling: &SamplingRecord) -> Table {
    let heads = ["observable", "unit", "mean (error)", "exact", "deviation / error", "<i>τ</i><sub>int</sub> (draws)", "effective samples"];
    let mut table = Table::new(
        "Observables of all chains together. Deviations from the exact value of the same finite torus are in standard errors, set in colour beyond four. \
         <i>τ</i><sub>int</sub> is ½ for independent draws; the effective samples are draws / 2<i>τ</i><sub>int</sub>.",
        &heads,
    );
    table.is_long = sampling.ensembles.len() > DRAWN_ENSEMBLES;
    for ensemble in &sampling.ensembles {
        table.group(&ensemble::name(ensemble), heads.len());
        for observable in &ensemble.observables {
            let estimate = &observable.estimate;
            let deviation = match deviation(observable) {
                Some(deviation) if deviation.abs() > LARGE_DEVIATION => {
                    format!("<span class=\"bad\">{}</span>", fixed_or_infinite(deviation))
                }
                Some(deviation) => fixed(deviation, 1),
                None => number::DASH.to_string(),
            };
            let units = unit(observable);
            table.row(&[
                escape(&observable.long_name),
                if units.is_empty() { "1".to_string() } else { units },
                with_error(estimate.mean, estimate.error),
                observable.exact.map_or(number::DASH.to_string(), |exact| significant(exact, 8)),
                deviation,
                significant(estimate.autocorrelation_time, 3),
                if estimate.effective_samples.is_finite() {
                    thousands(estimate.effective_samples.max(0.0).round() as u64)
                } else {
                    number::DASH.to_string()
                },
            ]);
        }
    }
    table
}

fn fixed_or_infinite(deviation: f64) -> String {
    if deviation.is_finite() { fixed(deviation, 1) } else { "∞".to_string() }
}
