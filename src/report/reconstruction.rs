//! How much of a configuration comes back from each layer, beside block spins of the same compression.

use super::axes::{Panel, Scale};
use super::figure::{Anchor, Drawing};
use super::html::{Section, Table};
use super::number::{self, list, with_error};
use super::sizes;
use super::style::{self, INK, MUTED};
use crate::record::{ReconstructionRecord, RenormalizationRecord, TrainingRecord};

/// The section of the reconstructions.
pub(super) fn section(renormalization: &RenormalizationRecord, training: Option<&TrainingRecord>) -> Section {
    let mut section = Section::new("Reconstruction");
    let records = &renormalization.reconstructions;
    if !records.is_empty() {
        section.paragraph(
            "Held-out configurations go up the stack to a layer and down again; the agreement is the share of spins that come back. Majority blocks of <i>b</i> × <i>b</i> spins \
             keep as many numbers as the layer with which they are compared, one sign a block: they are what renormalization by hand achieves. Units of a network may \
             carry real numbers, blocks only signs, so that equality is no victory of the network.",
        );
        section.findings.extend(comparison(records));
        section.figure("reconstruction", draw(records), description(records), caption(records));
        section.table(table(records));
    }
    super::examples::add(&mut section, renormalization, training);
    section
}

/// The better of the two kinds of blocks, with its error.
pub(super) fn best_block(record: &ReconstructionRecord) -> Option<[f64; 2]> {
    [record.block_agreement, record.iterated_block_agreement]
        .into_iter()
        .flatten()
        .filter(|agreement| agreement[0].is_finite())
        .max_by(|one, other| one[0].total_cmp(&other[0]))
}

/// Agreement of the layer minus that of the best blocks, in standard errors of the difference; the sign alone counts if there are no errors.
pub(super) fn advantage(record: &ReconstructionRecord) -> Option<f64> {
    let [difference, error] = record.advantage?;
    (difference.is_finite() && error.is_finite()).then(|| {
        if error > 0.0 {
            difference / error
        } else if difference == 0.0 {
            0.0
        } else {
            difference.signum() * f64::INFINITY
        }
    })
}

fn percent_with_error(value: [f64; 2]) -> String {
    with_error(100.0 * value[0], 100.0 * value[1])
}

fn comparison(records: &[ReconstructionRecord]) -> Vec<String> {
    let mut findings = Vec::new();
    if let Some(last) = records.iter().rev().find(|record| record.agreement[0].is_finite()) {
        let against = best_block(last).map_or(String::new(), |block| {
            let side = last.block_side.map_or(String::new(), |side| format!("{side} × {side} "));
            format!("; majority blocks {side}of the same compression keep {} %", percent_with_error(block))
        });
        findings.push(format!(
            "From the {} units of the top layer, {} % of the spins come back{against}.",
            last.units,
            percent_with_error(last.agreement)
        ));
    }
    let compared: Vec<(usize, f64)> = records.iter().filter_map(|record| Some((record.units, advantage(record)?))).collect();
    if !compared.is_empty() {
        let mut parts = Vec::new();
        for verdict in ["above", "on a par with", "below"] {
            let applies = |advantage: f64| match verdict {
                "above" => advantage > 2.0,
                "below" => advantage < -2.0,
                _ => advantage.abs() <= 2.0,
            };
            let units: Vec<String> =
                compared.iter().filter(|(_, advantage)| applies(*advantage)).map(|(units, _)| units.to_string()).collect();
            match units.len() {
                0 => {}
                1 => parts.push(format!("the layer of {} units is {verdict} block spins", units[0])),
                _ => parts.push(format!("the layers of {} units are {verdict} block spins", list(&units))),
            }
        }
        findings.push(format!("In reconstruction {} (two standard errors decide).", list(&parts)));
    }
    findings
}

/// The bars of one layer: name, value with error, colour.
fn bars(record: &ReconstructionRecord) -> Vec<([f64; 2], style::Colour)> {
    [
        (Some(record.agreement), style::category(0)),
        (record.block_agreement, style::category(1)),
        (record.iterated_block_agreement, style::category(2)),
    ]
    .into_iter()
    .filter_map(|(value, colour)| Some((value?, colour)))
    .filter(|(value, _)| value[0].is_finite())
    .collect()
}

fn draw(records: &[ReconstructionRecord]) -> Drawing {
    let has_correlations = records.iter().any(|record| record.block_correlation.is_some());
    let right = if has_correlations { 600.0 } else { 860.0 };
    let mut drawing = Drawing::new(sizes::RECONSTRUCTION);
    let lowest = records.iter().flat_map(bars).map(|(value, _)| value[0]).fold(0.5, f64::min);
    let floor = if lowest < 0.5 { 100.0 * lowest - 5.0 } else { 46.0 };
    let x = Scale::between(0.0, records.len() as f64);
    let panel = Panel { left: 74.0, top: 62.0, right, bottom: 312.0, x, y: Scale::between(floor, 100.0) };
    panel.axes(&mut drawing, "", "spins that agree (%)");
    for (index, record) in records.iter().enumerate() {
        let bars = bars(record);
        let width = 0.66 / bars.len().max(2) as f64;
        let start = index as f64 + 0.5 - width * bars.len() as f64 / 2.0;
        for (bar, (value, colour)) in bars.iter().enumerate() {
            let (from, to) = (start + bar as f64 * width + 0.012, start + (bar + 1) as f64 * width - 0.012);
            let (Some(foot), Some(head)) = (panel.at(from, 50.0), panel.at(to, 100.0 * value[0])) else { continue };
            drawing.rectangle(foot, head, style::tint(*colour, 0.8));
            panel.error_bar(&mut drawing, (from + to) / 2.0, 100.0 * value[0], 100.0 * value[1], INK);
            let rise = if value[1].is_finite() { value[1] } else { 0.0 };
            let label_height = panel.height((100.0 * (value[0] + rise)).clamp(50.0, 100.0)).unwrap_or(head[1]);
            drawing.text(&number::percent(value[0], 1), [(foot[0] + head[0]) / 2.0, label_height - 6.0], 10.5, INK, Anchor::Middle);
        }
        if let Some(middle) = panel.at(index as f64 + 0.5, 50.0) {
            drawing.text(&format!("{} units", record.units), [middle[0], panel.bottom + 17.0], 11.0, INK, Anchor::Middle);
            let block = record.block_side.map_or("no block of this compression".to_string(), |side| format!("blocks {side} × {side}"));
            drawing.text(&block, [middle[0], panel.bottom + 32.0], 11.0, MUTED, Anchor::Middle);
        }
    }
    if let Some(chance) = panel.height(50.0) {
        drawing.dashed([panel.left, chance], [panel.right, chance], INK, 1.0, 4.0);
        drawing.text("chance", [panel.right, chance + 13.0], 10.0, MUTED, Anchor::End);
    }
    let mut names = vec![(style::category(0), "network".to_string())];
    if records.iter().any(|record| record.block_agreement.is_some()) {
        names.push((style::category(1), "majority blocks".to_string()));
    }
    if records.iter().any(|record| record.iterated_block_agreement.is_some()) {
        names.push((style::category(2), "iterated 2 × 2 majority".to_string()));
    }
    super::axes::legend(&mut drawing, [104.0, 32.0], &names);
    drawing.heading("a", [70.0, 32.0], 13.0, INK, Anchor::Start);
    if has_correlations {
        correlations(&mut drawing, records);
    }
    drawing
}

/// The nearest-neighbour correlation of block spins against the side of the block.
fn correlations(drawing: &mut Drawing, records: &[ReconstructionRecord]) {
    let points: Vec<(usize, [f64; 2])> =
        records.iter().filter_map(|record| Some((record.block_side?, record.block_correlation?))).collect();
    let Some(y) = Scale::linear(points.iter().flat_map(|(_, value)| [value[0] - value[1], value[0] + value[1], value[0]]).chain([0.0]))
    else {
        return;
    };
    let panel = Panel { left: 700.0, top: 62.0, right: 896.0, bottom: 312.0, x: Scale::between(0.0, points.len() as f64), y };
    panel.axes(drawing, "", "correlation of neighbouring blocks");
    panel.curve(
        drawing,
        points.iter().enumerate().map(|(index, (_, value))| (index as f64 + 0.5, value[0])),
        style::tint(style::category(2), 0.5),
        1.2,
    );
    for (index, (side, value)) in points.iter().enumerate() {
        let x = index as f64 + 0.5;
        panel.error_bar(drawing, x, value[0], value[1], style::category(2));
        if let Some(point) = panel.at(x, value[0]) {
            drawing.disc(point, 3.2, style::category(2));
            drawing.text(&format!("{side} × {side}"), [point[0], panel.bottom + 17.0], 11.0, INK, Anchor::Middle);
        }
    }
    panel.level(drawing, 0.0, MUTED, 1.0);
    drawing.text("side of the block", [798.0, 345.0], 11.0, MUTED, Anchor::Middle);
    drawing.heading("b", [696.0, 32.0], 13.0, INK, Anchor::Start);
}

fn description(records: &[ReconstructionRecord]) -> String {
    let parts: Vec<String> =
        records.iter().map(|record| format!("{} units {} percent", record.units, number::percent(record.agreement[0], 1))).collect();
    format!("Bars of the share of spins that agree after reconstruction: {}.", list(&parts))
}

fn caption(records: &[ReconstructionRecord]) -> String {
    let mut caption = "<b>Reconstruction.</b> (a) Share of spins that agree with the held-out configuration after going up to a layer and down again, beside majority blocks of the \
                       same compression; bars stand on the 50 % of chance, error bars are one standard error over configurations."
        .to_string();
    if records.iter().any(|record| record.block_correlation.is_some()) {
        caption.push_str(
            " (b) Nearest-neighbour correlation of the block spins (iterated 2 × 2 majority): a fall with the size of the block is the flow to the disordered fixed point, a \
             constant value is the critical one, but for the rise where the block lattice is only some sites wide.",
        );
    }
    caption
}

fn table(records: &[ReconstructionRecord]) -> Table {
    let mut table = Table::new(
        "Agreement in per cent, and the nearest-neighbour correlation of block spins; last digits' standard errors in parentheses. The difference is network minus the better blocks, \
         configuration by configuration, in its standard errors. Errors take the configurations for independent.",
        &["units", "network", "block", "majority", "iterated 2 × 2", "difference / error", "⟨<i>ss′</i>⟩ of blocks"],
    );
    let optional = |value: Option<[f64; 2]>| value.map_or(number::DASH.to_string(), percent_with_error);
    for record in records {
        table.row(&[
            record.units.to_string(),
            percent_with_error(record.agreement),
            record.block_side.map_or(number::DASH.to_string(), |side| format!("{side} × {side}")),
            optional(record.block_agreement),
            optional(record.iterated_block_agreement),
            advantage(record).map_or(number::DASH.to_string(), |advantage| number::fixed(advantage, 1)),
            record.block_correlation.map_or(number::DASH.to_string(), |value| with_error(value[0], value[1])),
        ]);
    }
    table
}
