//! Where the receptive fields lie on the torus and how large they are: one square a layer.

use super::axes::{Panel, Scale};
use super::figure::Drawing;
use super::html::Section;
use super::number::{list, percent};
use super::style;
use crate::record::{FieldMeasures, ReceptiveFieldSummary};
use std::f64::consts::{PI, TAU};

/// Units for which the circle of the radius of gyration is drawn too: with more, the circles hide everything.
const CIRCLED_UNITS: usize = 100;
/// Discs and circles that cover the lattice more often than this would hide each other.
const MOST_COVER: f64 = 4.0;
/// Corners of the polygon that stands for a disc.
const CORNERS: usize = 40;

/// Adds the figure, if there is a layer with measures.
pub(super) fn add(section: &mut Section, layers: &[ReceptiveFieldSummary]) {
    let drawn: Vec<(usize, &ReceptiveFieldSummary, f64)> = layers
        .iter()
        .enumerate()
        .filter(|(_, layer)| layer.units > 0 && !layer.measures.is_empty())
        .map(|(index, layer)| (index + 1, layer, ((layer.fields.len() / layer.units) as f64).sqrt()))
        .filter(|(_, _, side)| *side >= 1.0)
        .collect();
    if drawn.is_empty() {
        return;
    }
    let columns = drawn.len().min(3);
    let rows = drawn.len().div_ceil(columns);
    let size = if columns < 3 { 300.0 } else { 262.0 };
    let mut drawing = Drawing::new([56.0 + columns as f64 * (size + 36.0), rows as f64 * (size + 84.0)]);
    for (cell, &(number, layer, side)) in drawn.iter().enumerate() {
        let left = 56.0 + (cell % columns) as f64 * (size + 36.0);
        let top = 36.0 + (cell / columns) as f64 * (size + 84.0);
        let scale = Scale::between(0.0, side);
        // The lattice is drawn like a picture, y downwards, in the order of the receptive fields above.
        let panel = Panel { left, top, right: left + size, bottom: top + size, x: scale, y: Scale::between(side, 0.0) };
        panel.axes(&mut drawing, "x (sites)", if cell % columns == 0 { "y (sites)" } else { "" });
        paint(&mut drawing, &panel, layer, side, style::category(number - 1));
        drawing.frame([left, top], [left + size, top + size], style::MUTED, 1.0);
        panel.title(&mut drawing, &format!("layer {number}: {} units", layer.units));
    }
    let tiling: Vec<String> = drawn.iter().map(|(number, layer, _)| format!("{} % (layer {number})", percent(layer.tiling, 0))).collect();
    section.figure(
        "receptive-field-centres",
        drawing,
        "Centres and sizes of the receptive fields on the periodic lattice, one square a layer.",
        format!(
            "<b>Centres of the receptive fields</b> on the torus. The area of a disc is the participation ratio of its unit; thin circles (layers of at most {CIRCLED_UNITS} units) have \
             the radius of gyration, which the tails of a field dominate. Where either would cover the lattice more than {MOST_COVER} times, the fields are not local and only \
             their centres are shown. Share of the cells of the ideal tiling that hold a centre: {}; points thrown at random would \
             fill 63 %.",
            list(&tiling)
        ),
    );
}

fn paint(drawing: &mut Drawing, panel: &Panel, layer: &ReceptiveFieldSummary, side: f64, colour: style::Colour) {
    let live = || {
        let units = layer.measures.iter().zip(&layer.live).filter(|(_, is_live)| **is_live).map(|(measures, _)| measures);
        units.filter(|measures| measures.centre.iter().all(|position| position.is_finite()))
    };
    let is_readable = |area: &dyn Fn(&FieldMeasures) -> f64| live().map(area).sum::<f64>() <= MOST_COVER * side * side;
    let with_discs = is_readable(&|measures| measures.participation_ratio);
    for measures in live().filter(|_| with_discs) {
        let radius = (measures.participation_ratio / PI).sqrt();
        for points in circles(measures, radius, side) {
            let inside: Vec<[f64; 2]> = clip(points, side).into_iter().filter_map(|[x, y]| panel.at(x, y)).collect();
            drawing.polygon(&inside, colour, 0.22);
        }
    }
    let with_circles = layer.units <= CIRCLED_UNITS && is_readable(&|measures| PI * measures.radius_of_gyration.powi(2));
    for measures in live().filter(|_| with_circles) {
        for points in circles(measures, measures.radius_of_gyration, side) {
            let closed = points.iter().chain(points.first()).map(|point| (point[0], point[1]));
            panel.curve(drawing, closed, style::tint(colour, 0.8), 0.7);
        }
    }
    for measures in live() {
        if let Some(centre) = panel.at(measures.centre[0].rem_euclid(side), measures.centre[1].rem_euclid(side)) {
            drawing.disc(centre, if layer.units > CIRCLED_UNITS { 1.25 } else { 2.0 }, colour);
        }
    }
}

/// The circle around a centre and its periodic images that may reach into the square.
fn circles(measures: &FieldMeasures, radius: f64, side: f64) -> Vec<Vec<[f64; 2]>> {
    if !(radius.is_finite() && radius > 0.0) {
        return Vec::new();
    }
    let centre = measures.centre.map(|position| position.rem_euclid(side));
    let mut images = Vec::new();
    for shift_y in [-side, 0.0, side] {
        for shift_x in [-side, 0.0, side] {
            let (x, y) = (centre[0] + shift_x, centre[1] + shift_y);
            let reaches = |position: f64| position > -radius && position < side + radius;
            if reaches(x) && reaches(y) {
                let corner = |corner: usize| (corner as f64 / CORNERS as f64 * TAU).sin_cos();
                images.push((0..CORNERS).map(corner).map(|(sine, cosine)| [x + radius * cosine, y + radius * sine]).collect());
            }
        }
    }
    images
}

/// The part of a convex polygon inside the square [0, side]^2 (Sutherland and Hodgman 1974).
fn clip(mut polygon: Vec<[f64; 2]>, side: f64) -> Vec<[f64; 2]> {
    for (axis, bound, sign) in [(0, 0.0, 1.0), (0, side, -1.0), (1, 0.0, 1.0), (1, side, -1.0)] {
        let distance = |point: [f64; 2]| sign * (point[axis] - bound);
        let mut clipped = Vec::with_capacity(polygon.len() + 2);
        for (index, &point) in polygon.iter().enumerate() {
            let previous = polygon[(index + polygon.len() - 1) % polygon.len()];
            let (before, here) = (distance(previous), distance(point));
            if (before < 0.0) != (here < 0.0) {
                let share = before / (before - here);
                let mut crossing = [0, 1].map(|axis| previous[axis] + share * (point[axis] - previous[axis]));
                crossing[axis] = bound;
                clipped.push(crossing);
            }
            if here >= 0.0 {
                clipped.push(point);
            }
        }
        polygon = clipped;
    }
    polygon
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(polygon: &[[f64; 2]]) -> f64 {
        let cross = |index: usize| {
            let ([x, y], [next_x, next_y]) = (polygon[index], polygon[(index + 1) % polygon.len()]);
            x * next_y - next_x * y
        };
        (0..polygon.len()).map(cross).sum::<f64>().abs() / 2.0
    }

    #[test]
    fn the_periodic_images_of_a_disc_add_up_to_the_disc() {
        for centre in [[5.0, 5.0], [0.2, 9.9], [9.5, 3.0]] {
            let measures =
                FieldMeasures { centre, radius_of_gyration: 2.0, participation_ratio: 1.0, window_share: [1.0; 3], sign_coherence: 1.0 };
            let total: f64 = circles(&measures, 2.0, 10.0).into_iter().map(|points| area(&clip(points, 10.0))).sum();
            let polygon = 4.0 * CORNERS as f64 / 2.0 * (TAU / CORNERS as f64).sin();
            assert!((total - polygon).abs() < 1e-9, "{total} instead of {polygon}");
        }
    }
}
