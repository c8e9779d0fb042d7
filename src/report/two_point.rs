//! The two-point function of the kept configurations, beside the exact ones of the torus and of the infinite lattice.

use super::axes::{Panel, Scale, legend};
use super::ensemble;
use super::figure::Drawing;
use super::html::Section;
use super::number::{fixed, significant, with_error};
use super::sizes;
use super::style::{self, EXACT, MUTED};
use super::tables;
use crate::record::{RunRecord, TableRecord};

/// Ensembles in the figure.
const DRAWN: usize = 7;

/// One ensemble of the table: side, coupling, its rows.
type Group = (f64, f64, Vec<usize>);

/// The section, where configurations were kept.
pub(super) fn section(record: &RunRecord) -> Option<Section> {
    let table = record.analysis("two_point_function")?;
    let groups = groups(table);
    let mut section = Section::new("Two-point function");
    section.paragraph(
        "⟨<i>s</i>(<b>x</b>) <i>s</i>(<b>x</b> + <b>r</b>)⟩ along the axes, from the kept configurations; errors by the Gamma method over the configurations of each chain. The \
         exact values of the finite torus are those of free fermions in the four sectors of the transfer matrix; at distance 1 they are half the energy per site with the sign turned. Those of \
         the infinite lattice (a Toeplitz determinant) show what the periodic images add: nothing as long as the distance and the correlation length are small against the side.",
    );
    section.findings.extend(finding(table));
    section.figure(
        "two-point-function",
        draw(table, &groups),
        "Two-point function along the axes against the distance, both logarithmic, with the exact values of the torus and of the infinite lattice.",
        format!(
            "<b>Two-point function</b> of {}. Points with bars of one standard error are the kept configurations; lines are exact, of the torus (full) and of \
             the infinite lattice (dashed). Periodic images lift the torus near half the side.",
            match groups.len() {
                all if all > DRAWN => format!("{DRAWN} of the {all} ensembles"),
                1 => "the ensemble".to_string(),
                _ => "all ensembles".to_string(),
            }
        ),
    );
    let mut rows = tables::table(
        table,
        "Two-point function of the kept configurations along the axes.",
        "pair",
        &[("correlation", "measured"), ("exact", "exact, torus"), ("infinite_lattice", "infinite lattice")],
    );
    rows.is_long = table.rows.len() > 24;
    section.table(rows);
    Some(section)
}

fn groups(table: &TableRecord) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for row in 0..table.rows.len() {
        let (Some([size, _]), Some([coupling, _])) = (table.get(row, "size"), table.get(row, "coupling")) else { continue };
        match groups.last_mut() {
            Some((side, at, rows)) if (*side, *at) == (size, coupling) => rows.push(row),
            _ => groups.push((size, coupling, vec![row])),
        }
    }
    groups
}

/// The largest deviation from an exact value.
fn finding(table: &TableRecord) -> Option<String> {
    let compared = || (0..table.rows.len()).filter_map(|row| Some((row, table.get(row, "correlation")?, table.get(row, "exact")?[0])));
    let (row, [value, error], exact) = compared().max_by(|one, other| {
        let deviation = |(_, [value, error], exact): &(usize, [f64; 2], f64)| (value - exact).abs() / error;
        deviation(one).total_cmp(&deviation(other))
    })?;
    let label = &table.rows.get(row)?.0;
    Some(format!(
        "Of {} values of the two-point function of the kept configurations the farthest from its exact one is {} ({label}), exactly {}: {} standard errors apart.",
        compared().count(),
        with_error(value, error),
        significant(exact, 8),
        fixed((value - exact).abs() / error, 1)
    ))
}

fn draw(table: &TableRecord, groups: &[Group]) -> Drawing {
    let mut drawing = Drawing::new(sizes::TWO_POINT);
    // Evenly spaced, from the first to the last.
    let count = groups.len().min(DRAWN);
    let shown: Vec<&Group> = (0..count).map(|index| &groups[index * (groups.len() - 1) / (count - 1).max(1)]).collect();
    let points = |group: &Group, column: &str| -> Vec<(f64, [f64; 2])> {
        group.2.iter().filter_map(|&row| Some((table.get(row, "distance")?[0], table.get(row, column)?))).collect()
    };
    let measured = || shown.iter().flat_map(|group| points(group, "correlation"));
    // What is not three errors from zero has no place on a logarithmic scale.
    let seen = measured().filter(|(_, [value, error])| *value > 3.0 * error).map(|(_, [value, _])| value);
    let x = Scale::logarithmic(measured().map(|(distance, _)| distance)).unwrap_or(Scale::between(0.0, 1.0));
    let y = Scale::logarithmic(seen).unwrap_or(Scale::between(0.0, 1.0));
    let panel = Panel { left: 90.0, top: 64.0, right: 590.0, bottom: 344.0, x, y };
    panel.axes(&mut drawing, "distance r (lattice units)", "two-point function");
    for (index, group) in shown.iter().enumerate() {
        let infinite = points(group, "infinite_lattice");
        let infinite: Vec<(f64, f64)> = infinite.iter().map(|(distance, [value, _])| (*distance, *value)).collect();
        panel.dashed_curve(&mut drawing, &infinite, MUTED, 1.0);
        panel.curve(&mut drawing, points(group, "exact").iter().map(|(distance, [value, _])| (*distance, *value)), EXACT, 1.0);
        let colour = style::category(index);
        for (distance, [value, error]) in points(group, "correlation") {
            panel.error_bar(&mut drawing, distance, value, error, colour);
            if let Some(place) = panel.at(distance, value) {
                drawing.disc(place, 2.6, colour);
            }
        }
    }
    let mut entries: Vec<_> = shown
        .iter()
        .enumerate()
        .map(|(index, group)| (style::category(index), format!("L = {}, K = {}", group.0, ensemble::coupling(group.1))))
        .collect();
    entries.push((EXACT, "exact, torus".to_string()));
    entries.push((MUTED, "exact, infinite lattice (dashed)".to_string()));
    for (line, part) in entries.chunks(4).enumerate() {
        legend(&mut drawing, [70.0, 20.0 + 18.0 * line as f64], part);
    }
    drawing
}
