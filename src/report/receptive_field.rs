//! Receptive fields as pictures on the lattice, and the table of how local they are. Where they lie is in `centres`.

use super::figure::{Anchor, Drawing, Raster};
use super::html::{Section, Table};
use super::number::{self, list, percent, significant};
use super::style::{self, Colour, INK, MUTED};
use crate::record::{ReceptiveFieldSummary, RenormalizationRecord, TrainingRecord};

/// Fields of one layer that are drawn at most.
const DRAWN_UNITS: usize = 400;
/// Cells of a picture along one side at most; larger lattices show fewer units.
const LARGEST_PICTURE: usize = 1640;
/// Logical pixels of a picture along one side at most.
const LARGEST_WIDTH: f64 = 820.0;
/// The ratio of sizes of two layers from which on fields are said to grow.
const GROWTH: f64 = 1.1;
/// Cells between two fields.
const GAP: usize = 1;
const GAP_COLOUR: Colour = [0xb4, 0xbc, 0xc5];

/// The section of the receptive fields.
pub(super) fn section(renormalization: &RenormalizationRecord, training: Option<&TrainingRecord>) -> Section {
    let layers = &renormalization.receptive_fields;
    let mut section = Section::new("Receptive fields");
    section.paragraph(
        "The receptive field of a unit of layer <i>l</i> is its column of <i>r</i><sup>(<i>l</i>)</sup> = <i>W</i><sup>(1)</sup> ⋯ <i>W</i><sup>(<i>l</i>)</sup>, the plain product of \
         the weights from the lattice up. A layer that blocks spins has compact fields, of about one size, whose centres tile the lattice. Random weights have a best window \
         too, so that every share is to be read against theirs.",
    );
    section.findings.extend(locality(layers));
    section.findings.extend(growth(layers));
    for (index, layer) in layers.iter().enumerate() {
        if let Some((drawing, drawn)) = draw(layer, index + 1) {
            section.figure(
                format!("receptive-fields-layer-{}", index + 1),
                drawing,
                description(layer, index + 1),
                caption(layer, index + 1, drawn),
            );
        }
    }
    super::centres::add(&mut section, layers);
    if !layers.is_empty() {
        section.table(table(layers, training));
    }
    super::controls::add(&mut section, renormalization, layers.first().and_then(side_of));
    section
}

/// How the first layer's share in 8 x 8 windows compares with random weights.
fn locality(layers: &[ReceptiveFieldSummary]) -> Option<String> {
    let sentences: Vec<String> = layers
        .iter()
        .enumerate()
        .filter(|(_, layer)| layer.mean_window_share[1].is_finite())
        .map(|(index, layer)| {
            format!(
                "{} % of Σ<i>r</i>² in layer {} (random weights: {} %)",
                percent(layer.mean_window_share[1], 1),
                index + 1,
                percent(layer.random_window_share[1], 1)
            )
        })
        .collect();
    (!sentences.is_empty()).then(|| format!("The best 8 × 8 window holds on average {}.", list(&sentences)))
}

/// Whether the fields grow with depth, each layer's by a tenth at least: a few per cent are nothing, and where they cover the lattice they cannot.
fn growth(layers: &[ReceptiveFieldSummary]) -> Option<String> {
    let sizes: Vec<f64> = layers.iter().map(|layer| layer.median_participation_ratio).collect();
    if sizes.len() < 2 || sizes.iter().any(|size| !size.is_finite()) {
        return None;
    }
    let does = if sizes.windows(2).all(|pair| pair[1] > GROWTH * pair[0]) { "grow" } else { "do not grow steadily" };
    let sizes: Vec<String> = sizes.iter().map(|&size| significant(size, 3)).collect();
    Some(format!("Receptive fields {does} with depth: the median participation ratio is {} sites, from the lattice up.", list(&sizes)))
}

fn side_of(layer: &ReceptiveFieldSummary) -> Option<usize> {
    let sites = layer.fields.len().checked_div(layer.units)?;
    let side = sites.isqrt();
    (side > 0 && side * side == sites && sites * layer.units == layer.fields.len()).then_some(side)
}

/// The units in reading order of their centres: rows from the top, each from left to right. Units whose centre is not finite come last.
fn reading_order(layer: &ReceptiveFieldSummary, columns: usize) -> Vec<usize> {
    let position = |unit: usize, axis: usize| {
        let value = layer.measures.get(unit).map_or(f64::NAN, |measures| measures.centre[axis]);
        if value.is_finite() { value } else { f64::INFINITY }
    };
    let mut order: Vec<usize> = (0..layer.units).collect();
    order.sort_by(|&one, &other| position(one, 1).total_cmp(&position(other, 1)));
    for row in order.chunks_mut(columns.max(1)) {
        row.sort_by(|&one, &other| position(one, 0).total_cmp(&position(other, 0)));
    }
    order
}

fn draw(layer: &ReceptiveFieldSummary, number: usize) -> Option<(Drawing, usize)> {
    let side = side_of(layer)?;
    // A lattice too large for one picture is shown by every n-th site.
    let stride = side.div_ceil(LARGEST_PICTURE / 4);
    let shown_side = side.div_ceil(stride);
    let fitting = (LARGEST_PICTURE / (shown_side + GAP)).max(1);
    let columns = layer.units.min(DRAWN_UNITS).isqrt().clamp(1, fitting);
    let columns =
        if columns * columns < layer.units && columns < fitting && columns * columns < DRAWN_UNITS { columns + 1 } else { columns };
    let all = reading_order(layer, columns);
    let rows = layer.units.div_ceil(columns).min(columns);
    let count = layer.units.min(rows * columns);
    // Where not all fit, an even selection still covers the lattice.
    let chosen: Vec<usize> = if count == layer.units { all } else { (0..count).map(|index| all[index * all.len() / count]).collect() };

    let cell = shown_side + GAP;
    let (width, height) = (columns * cell - GAP, rows * cell - GAP);
    let mut cells = vec![GAP_COLOUR; width * height];
    for (place, &unit) in chosen.iter().enumerate() {
        let field = &layer.fields[unit * side * side..(unit + 1) * side * side];
        let largest = field.iter().filter(|value| value.is_finite()).fold(0f32, |largest, value| largest.max(value.abs()));
        let (left, top) = (place % columns * cell, place / columns * cell);
        for y in 0..shown_side {
            for x in 0..shown_side {
                let value = field[y * stride * side + x * stride];
                let colour = if layer.live[unit] && largest > 0.0 { style::diverging(f64::from(value / largest)) } else { style::DEAD };
                cells[(top + y) * width + left + x] = colour;
            }
        }
    }

    // A whole number of logical pixels a site keeps all sites equal, where the picture is not too large for it.
    let fit = LARGEST_WIDTH / width.max(height) as f64;
    let zoom = if fit < 1.0 { fit } else { fit.floor().min(12.0) };
    let (shown_width, shown_height) = (width as f64 * zoom, height as f64 * zoom);
    let (left, top) = (20.0, 44.0);
    let mut drawing = Drawing::new([(shown_width + 110.0).max(400.0), (shown_height + 64.0).max(220.0)]);
    drawing.heading(&format!("layer {number}"), [left, 26.0], 13.0, INK, Anchor::Start);
    drawing.text(
        &format!("{} of {} units, each on the {side} × {side} lattice", chosen.len(), layer.units),
        [left + 56.0, 26.0],
        11.0,
        MUTED,
        Anchor::Start,
    );
    drawing.raster(Raster { columns: width, rows: height, cells }, [left, top], [left + shown_width, top + shown_height]);
    drawing.frame([left, top], [left + shown_width, top + shown_height], GAP_COLOUR, 1.0);
    colour_bar(&mut drawing, left + shown_width + 24.0, top);
    Some((drawing, chosen.len()))
}

fn colour_bar(drawing: &mut Drawing, left: f64, top: f64) {
    const STEPS: usize = 101;
    const HEIGHT: f64 = 140.0;
    let cells = (0..STEPS).map(|step| style::diverging(1.0 - 2.0 * step as f64 / (STEPS - 1) as f64)).collect();
    drawing.raster(Raster { columns: 1, rows: STEPS, cells }, [left, top + 4.0], [left + 13.0, top + 4.0 + HEIGHT]);
    drawing.frame([left, top + 4.0], [left + 13.0, top + 4.0 + HEIGHT], MUTED, 0.75);
    for (share, label) in [(0.0, "+1"), (0.5, "0"), (1.0, "−1")] {
        let y = top + 4.0 + share * HEIGHT;
        drawing.line(&[[left + 13.0, y], [left + 17.0, y]], MUTED, 0.75);
        drawing.text(label, [left + 21.0, y + 4.0], 11.0, INK, Anchor::Start);
    }
    drawing.text("r / max |r|", [left - 2.0, top + HEIGHT + 24.0], 11.0, MUTED, Anchor::Start);
}

fn description(layer: &ReceptiveFieldSummary, number: usize) -> String {
    format!(
        "A grid of receptive fields of the {} units of layer {number}. Median participation ratio {} sites; mean share in the best 8 by 8 window {} percent.",
        layer.units,
        significant(layer.median_participation_ratio, 3),
        percent(layer.mean_window_share[1], 1)
    )
}

fn caption(layer: &ReceptiveFieldSummary, number: usize, drawn: usize) -> String {
    let which =
        if drawn == layer.units { format!("all {drawn} units") } else { format!("{drawn} of the {} units, evenly selected", layer.units) };
    format!(
        "<b>Receptive fields of layer {number}</b>: {which}, in the order of their centres (top to bottom, then left to right), so that the grid follows the lattice. Each is \
         scaled to its own largest absolute value; grey fields are those of dead units, which do not respond to the data, or are not finite. Median participation ratio: {} sites.",
        significant(layer.median_participation_ratio, 3)
    )
}

fn table(layers: &[ReceptiveFieldSummary], training: Option<&TrainingRecord>) -> Table {
    let mut table = Table::new(
        "Locality of the receptive fields. <i>f<sub>n</sub></i>: share of Σ<i>r</i>² inside the best <i>n</i> × <i>n</i> window, in per cent; participation ratio \
         (Σ<i>r</i>²)² / Σ<i>r</i>⁴; tiling: share of the cells of the ideal tiling that hold a centre. Means and medians over live units.",
        &[
            "layer",
            "units",
            "dead",
            "mean <i>f</i><sub>4</sub>",
            "<i>f</i><sub>8</sub>",
            "<i>f</i><sub>16</sub>",
            "median <i>f</i><sub>4</sub>",
            "<i>f</i><sub>8</sub>",
            "<i>f</i><sub>16</sub>",
            "random <i>f</i><sub>4</sub>",
            "<i>f</i><sub>8</sub>",
            "<i>f</i><sub>16</sub>",
            "median PR (sites)",
            "tiling",
        ],
    );
    for (index, layer) in layers.iter().enumerate() {
        let dead = training
            .and_then(|training| training.layers.get(index))
            .map_or(number::DASH.to_string(), |trained| trained.dead_units.len().to_string());
        let mut cells = vec![(index + 1).to_string(), layer.units.to_string(), dead];
        for shares in [layer.mean_window_share, layer.median_window_share, layer.random_window_share] {
            cells.extend(shares.map(|share| percent(share, 1)));
        }
        cells.push(significant(layer.median_participation_ratio, 3));
        cells.push(format!("{} %", percent(layer.tiling, 0)));
        table.row(&cells);
    }
    table
}
