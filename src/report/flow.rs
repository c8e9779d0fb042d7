//! The flow of the first machine on paper: where the energy of each start goes, what the first step does, and whether the flowed ensembles are thermal.

use super::axes::{Panel, Scale, legend};
use super::ensemble;
use super::figure::{Anchor, Drawing};
use super::html::Section;
use super::number::{fixed, significant, thousands, with_error};
use super::sizes;
use super::style::{self, EXACT, INK, MUTED};
use super::tables;
use crate::exact::critical_coupling;
use crate::exact::kaufman::torus;
use crate::record::{RenormalizationRecord, TableRecord};

/// Differences of so many standard errors count.
const CLEAR: f64 = 3.0;
/// Where step 0 stands on the logarithmic axis.
const ZERO: f64 = 0.5;

/// The section, if the flow was followed.
pub(super) fn section(renormalization: &RenormalizationRecord, side: Option<usize>) -> Option<Section> {
    let (way, ends, fixed_points) =
        (renormalization.table("flow")?, renormalization.table("flow_ends")?, renormalization.table("flow_fixed_points")?);
    let mut section = Section::new("The flow of the machine");
    section.paragraph(
        "Configurations of every sampled coupling go up to the hidden units of the first machine and down again, <i>v</i> → <i>h</i> → <i>v</i> → …, each layer drawn given the other. The \
         coupling of the ensemble after each step is that of the Ising model with the same energy, by inverting Kaufman's exact <i>e</i>(<i>K</i>) of this lattice; no classifier is involved. \
         A step is one sweep of Gibbs sampling, so that whatever it starts from, the flow ends in the machine's own law: its end says what the machine has learned, and its first steps say which \
         way the machine moves configurations of a given temperature. Energy alone does not make an ensemble thermal: the specific heat, from the variance of the energy, stands beside that of \
         the Ising model with the same energy.",
    );
    section.findings.extend(directions(ends));
    section.findings.extend(fixed_point(fixed_points));
    section.findings.extend(thermal(ends));
    if let Some(drawing) = draw(way, ends, side) {
        section.figure(
            "flow",
            drawing,
            "Coupling against step of the flow for each start; change of the energy in the first step against the coupling of the start; specific heat at the end beside that of the Ising model.",
            "<b>The flow.</b> (a) Coupling of the Ising model with the energy of the ensemble against the step, one curve a start (step 0 at the left end). (b) Change of the energy per site in the \
             first step against the coupling of the start; a positive change warms up. (c) Specific heat against coupling at the end of the flow (discs) and, as a curve, of the Ising model on \
             this lattice. Bars are standard errors; dashed lines mark <i>K</i><sub>c</sub>.",
        );
    }
    section.table(tables::table_with(
        fixed_points,
        "Fixed points of the flow. The mean over the starts is weighted by their errors; where they scatter more than these allow (the last column is then above 1), the error of the mean is \
         enlarged by the square root of that, and the flow has not come to one end yet. Where the first step leaves the energy as it is, was found by straight lines between neighbouring starts; it need not be where the flow ends, because after one step the ensemble need not be \
         thermal any more.",
        "fixed point",
        &[
            ("coupling", "<i>K</i>*"),
            ("temperature", "<i>T</i>*"),
            ("difference", "(<i>K</i>* − <i>K</i><sub>c</sub>) / <i>K</i><sub>c</sub>"),
            ("attracts", "attracts (1) or repels (0)"),
            ("spread", "spread of the starts"),
            ("chi_squared", "χ² / degrees of freedom"),
        ],
        6,
    ));
    section.table(tables::table_with(
        ends,
        "The starts and what became of them; standard errors of the last digits in parentheses. The approach is |ln(<i>K</i><sub>start</sub>/<i>K</i><sub>c</sub>)| − \
         |ln(<i>K</i>/<i>K</i><sub>c</sub>)|: positive if the ensemble has come closer to <i>K</i><sub>c</sub>. The specific heat is <i>K</i>² times the variance of the energy.",
        "start",
        &[
            ("first_change", "change of <i>e</i> in the first step (J)"),
            ("steps", "steps"),
            ("coupling", "<i>K</i> at the end"),
            ("temperature", "<i>T</i> at the end"),
            ("approach", "approach"),
            ("specific_heat_per_site", "specific heat (k<sub>B</sub>)"),
            ("ising_specific_heat", "of the Ising model"),
        ],
        5,
    ));
    section.table(way_table(way));
    Some(section)
}

/// How many starts came closer to K_c, and how many went away.
fn directions(ends: &TableRecord) -> Option<String> {
    let approaches: Vec<[f64; 2]> = (0..ends.rows.len()).filter_map(|row| ends.get(row, "approach")).collect();
    let steps = ends.get(0, "steps")?[0];
    let (mut closer, mut away) = (0, 0);
    for [approach, error] in &approaches {
        closer += usize::from(*approach > CLEAR * error);
        away += usize::from(*approach < -CLEAR * error);
    }
    (!approaches.is_empty()).then(|| {
        format!(
            "Of {} starts of the flow {closer} had come closer to the critical coupling after {} steps and {away} had gone away from it, by more than three standard errors; {} had done neither.",
            approaches.len(),
            thousands(steps as u64),
            approaches.len() - closer - away
        )
    })
}

/// The mean end of the flow and the crossings, beside K_c.
fn fixed_point(table: &TableRecord) -> Option<String> {
    let of_row = |row: usize| {
        let ([coupling, error], [temperature, spread], [difference, _]) =
            (table.get(row, "coupling")?, table.get(row, "temperature")?, table.get(row, "difference")?);
        let away = if error > 0.0 {
            format!(", {} standard errors", significant(((coupling - critical_coupling()) / error).abs(), 2))
        } else {
            String::new()
        };
        let sign = if difference < 0.0 { "below" } else { "above" };
        Some(format!(
            "<i>K</i>* = {}, <i>T</i>* = {} (<i>K</i><sub>c</sub> = {}, <i>T</i><sub>c</sub> = {}: <i>K</i>* is {} % {sign} <i>K</i><sub>c</sub>{away})",
            with_error(coupling, error),
            with_error(temperature, spread),
            fixed(critical_coupling(), 4),
            fixed(1.0 / critical_coupling(), 4),
            significant(100.0 * difference.abs(), 2),
        ))
    };
    let mut sentences = Vec::new();
    for (row, (label, _)) in table.rows.iter().enumerate() {
        if let Some(chi_squared) = table.get(row, "chi_squared") {
            let agree = if chi_squared[0] <= 2.0 {
                format!("the starts agree on it (χ² a degree of freedom {})", significant(chi_squared[0], 2))
            } else {
                format!(
                    "the starts do not agree on it: their couplings still differ by up to {} (χ² a degree of freedom {})",
                    significant(table.get(row, "spread")?[0], 2),
                    significant(chi_squared[0], 2)
                )
            };
            sentences.push(format!("The flow ends {label}, at {}; {agree}.", of_row(row)?));
        } else if let Some(attracts) = table.get(row, "attracts") {
            let how = if attracts[0] == 1.0 { "leads from both sides towards" } else { "leads away from" };
            sentences.push(format!("The first step {how} {}.", of_row(row)?));
        }
    }
    (!sentences.is_empty()).then(|| sentences.join(" "))
}

/// Whether the ensembles at the end have the specific heat of the Ising model with their energy.
fn thermal(ends: &TableRecord) -> Option<String> {
    let mut ratios: Vec<f64> = Vec::new();
    let mut differ = 0;
    for row in 0..ends.rows.len() {
        let (Some([found, error]), Some([ising, _])) = (ends.get(row, "specific_heat_per_site"), ends.get(row, "ising_specific_heat"))
        else {
            continue;
        };
        ratios.push(found / ising);
        differ += usize::from((found - ising).abs() > CLEAR * error);
    }
    ratios.retain(|ratio| ratio.is_finite());
    let (low, high) = (ratios.iter().copied().reduce(f64::min)?, ratios.iter().copied().reduce(f64::max)?);
    Some(format!(
        "At the end of the flow the specific heat is {} to {} times that of the Ising model with the same energy; in {differ} of {} starts the two differ by more than three standard errors.",
        significant(low, 3),
        significant(high, 3),
        ends.rows.len()
    ))
}

/// The ensembles at the first steps and at the last one; all are in results.h5.
fn way_table(way: &TableRecord) -> super::html::Table {
    let step = |row: usize| way.get(row, "step").map_or(f64::NAN, |step| step[0]);
    let last = (0..way.rows.len()).map(step).fold(0.0, f64::max);
    let mut chosen = TableRecord { rows: Vec::new(), ..way.clone() };
    chosen.rows.extend(
        (0..way.rows.len()).filter(|&row| [0.0, 1.0, 2.0, last].contains(&step(row)) || step(row) == 9.0).map(|row| way.rows[row].clone()),
    );
    tables::table_with(
        &chosen,
        "The ensembles at the start, after 1, 2 and 9 steps, and at the end; results.h5 holds more steps. Energies in J, the correlation length in lattice units.",
        "ensemble",
        &[
            ("energy_per_site", "<i>e</i>"),
            ("coupling", "<i>K</i> of this <i>e</i>"),
            ("specific_heat_per_site", "specific heat"),
            ("absolute_magnetization", "⟨|<i>m</i>|⟩"),
            ("magnetization_squared", "⟨<i>m</i>²⟩"),
            ("correlation_length", "ξ"),
        ],
        5,
    )
}

/// (step, coupling with its error) of one start.
fn curve(way: &TableRecord, start: f64) -> Vec<(f64, [f64; 2])> {
    (0..way.rows.len())
        .filter(|&row| way.get(row, "start").is_some_and(|found| found[0] == start))
        .filter_map(|row| Some((way.get(row, "step")?[0].max(ZERO), way.get(row, "coupling")?)))
        .filter(|(_, coupling)| coupling[0] > 0.0)
        .collect()
}

fn draw(way: &TableRecord, ends: &TableRecord, side: Option<usize>) -> Option<Drawing> {
    let starts: Vec<f64> = (0..ends.rows.len()).filter_map(|row| Some(ends.get(row, "start")?[0])).collect();
    let critical = critical_coupling();
    let curves: Vec<Vec<(f64, [f64; 2])>> = starts.iter().map(|&start| curve(way, start)).collect();
    let couplings = || curves.iter().flatten().map(|(_, coupling)| coupling[0]).chain([critical]);
    let mut drawing = Drawing::new(sizes::FLOW);
    let top = Panel {
        left: 86.0,
        top: 66.0,
        right: 904.0,
        bottom: 330.0,
        x: Scale::logarithmic(curves.iter().flatten().map(|(step, _)| *step).chain([2.0]))?,
        y: Scale::logarithmic(couplings())?,
    };
    top.axes(&mut drawing, "step", "coupling K of this energy");
    let ends_of = |scale: f64| curves.iter().flatten().map(|(step, _)| *step).reduce(if scale > 0.0 { f64::max } else { f64::min });
    if let (Some(first), Some(last)) = (ends_of(-1.0), ends_of(1.0)) {
        top.dashed_curve(&mut drawing, &[(first, critical), (last, critical)], EXACT, 1.4);
    }
    for (index, points) in curves.iter().enumerate() {
        let colour = style::ordered(index, curves.len());
        top.curve(&mut drawing, points.iter().map(|(step, coupling)| (*step, coupling[0])), colour, 1.4);
        for (step, [coupling, error]) in points {
            top.error_bar(&mut drawing, *step, *coupling, *error, colour);
            if let Some(place) = top.at(*step, *coupling) {
                drawing.disc(place, 2.0, colour);
            }
        }
    }
    let names: Vec<_> = [0, starts.len() / 2, starts.len() - 1]
        .into_iter()
        .filter(|&index| index < starts.len())
        .collect::<std::collections::BTreeSet<usize>>()
        .into_iter()
        .map(|index| (style::ordered(index, starts.len()), format!("from K = {}", ensemble::coupling(starts[index]))))
        .chain([(EXACT, "K_c (dashed)".to_string())])
        .collect();
    legend(&mut drawing, [110.0, 40.0], &names);
    drawing.heading("a", [60.0, 40.0], 13.0, INK, Anchor::Start);
    first_steps(&mut drawing, ends, critical);
    heats(&mut drawing, way, ends, critical, side);
    Some(drawing)
}

/// Panel (b).
fn first_steps(drawing: &mut Drawing, ends: &TableRecord, critical: f64) {
    let points: Vec<(f64, [f64; 2])> = (0..ends.rows.len())
        .filter_map(|row| Some((ends.get(row, "start")?[0], ends.get(row, "first_change")?)))
        .filter(|(start, _)| *start > 0.0)
        .collect();
    let changes = points.iter().flat_map(|(_, [change, error])| [change - error, change + error]).chain([0.0]);
    let (Some(x), Some(y)) = (Scale::logarithmic(points.iter().map(|(start, _)| *start).chain([critical])), Scale::linear(changes)) else {
        return;
    };
    let panel = Panel { left: 86.0, top: 420.0, right: 442.0, bottom: 650.0, x, y };
    panel.axes(drawing, "coupling K of the start", "change of e in the first step (J)");
    panel.level(drawing, 0.0, MUTED, 1.0);
    panel.landmark(drawing, critical, "K_c");
    let colour = style::category(0);
    panel.curve(drawing, points.iter().map(|(start, change)| (*start, change[0])), style::tint(colour, 0.5), 1.2);
    for (start, [change, error]) in &points {
        panel.error_bar(drawing, *start, *change, *error, colour);
        if let Some(place) = panel.at(*start, *change) {
            drawing.disc(place, 3.0, colour);
        }
    }
    drawing.heading("b", [60.0, 400.0], 13.0, INK, Anchor::Start);
}

/// Panel (c). `side`: of the lattice, where it is known.
fn heats(drawing: &mut Drawing, way: &TableRecord, ends: &TableRecord, critical: f64, side: Option<usize>) {
    /// Points of the exact curve.
    const POINTS: usize = 200;
    let pairs = |table: &TableRecord, column: &str| -> Vec<(f64, [f64; 2])> {
        let of_row = |row: usize| Some((table.get(row, "coupling")?[0], table.get(row, column)?));
        (0..table.rows.len()).filter_map(of_row).filter(|(coupling, _)| *coupling > 0.0).collect()
    };
    let (found, met) = (pairs(ends, "specific_heat_per_site"), pairs(way, "ising_specific_heat"));
    let ends_of = |better: fn(f64, f64) -> f64| found.iter().chain(&met).map(|(coupling, _)| *coupling).chain([critical]).reduce(better);
    let (Some(low), Some(high)) = (ends_of(f64::min), ends_of(f64::max)) else { return };
    let at = |point: usize| low * (high / low).powf(point as f64 / POINTS as f64);
    let heat = |side: usize, coupling: f64| (coupling, torus(side, side, coupling).specific_heat_per_site);
    let ising: Vec<(f64, f64)> = side.map_or_else(Vec::new, |side| (0..=POINTS).map(|point| heat(side, at(point))).collect());
    let heats =
        found.iter().flat_map(|(_, [heat, error])| [heat - error, heat + error]).chain(ising.iter().map(|(_, heat)| *heat)).chain([0.0]);
    let couplings = [low, high];
    let (Some(x), Some(y)) = (Scale::logarithmic(couplings), Scale::linear(heats)) else { return };
    let panel = Panel { left: 548.0, top: 420.0, right: 904.0, bottom: 650.0, x, y };
    panel.axes(drawing, "coupling K of this energy", "specific heat per site (k_B)");
    panel.landmark(drawing, critical, "K_c");
    panel.curve(drawing, ising, EXACT, 1.4);
    let colour = style::category(0);
    for (coupling, [heat, error]) in &found {
        panel.error_bar(drawing, *coupling, *heat, *error, colour);
        if let Some(place) = panel.at(*coupling, *heat) {
            drawing.disc(place, 3.0, colour);
        }
    }
    legend(drawing, [560.0, 400.0], &[(colour, "end of the flow".to_string()), (EXACT, "Ising model".to_string())]);
    drawing.heading("c", [520.0, 400.0], 13.0, INK, Anchor::Start);
}
