//! The trained stack beside block spins: the couplings of its Hamiltonians by distance, and one table of all levels.

use super::axes::{Panel, Scale, legend};
use super::figure::{Anchor, Drawing};
use super::html::Section;
use super::number::{list, significant, with_error};
use super::sizes;
use super::style::{self, INK, MUTED};
use super::tables;
use crate::record::{RenormalizationRecord, TableRecord};

/// The sections for which there are data.
pub(super) fn sections(renormalization: &RenormalizationRecord) -> Vec<Section> {
    let couplings = renormalization.table("effective_couplings").map(couplings);
    couplings.into_iter().chain(renormalization.table("side_by_side").map(side_by_side)).collect()
}

fn couplings(table: &TableRecord) -> Section {
    let mut section = Section::new("Couplings of the machines");
    section.paragraph(
        "Tracing out one layer of a machine leaves a Hamiltonian of the other, <i>H</i><sup>RBM</sup>[<i>v</i>] or <i>H</i><sup>RBM</sup>[<i>h</i>]; the second is the coarse Hamiltonian \
         of the mapping. Its couplings in the basis of spins ±1 are exact sums over the neighbourhood of each unit. Where that is too large, the spins with the largest weights are summed \
         exactly and the rest is taken as Gaussian; the table says how many, and how far a purely Gaussian neighbourhood would be off (where none is summed: in some forty of the groups, beside four spins that are). A positive coupling favours equal spins. The sign of \
         each receptive field is taken out, and units are as far from each other as the centres of their fields, in mean spacings, rounded to whole ones.",
    );
    section.findings.extend(coupling_findings(table));
    if let Some(drawing) = draw(table) {
        section.figure(
            "effective-couplings",
            drawing,
            "Mean pair coupling against distance: of the visible spins of the first machine, and of the hidden units of every layer.",
            "<b>Couplings of the machines.</b> (a) Mean pair coupling of <i>H</i><sup>RBM</sup>[<i>v</i>] of the first machine against the distance of the spins; squares are the Ising model of \
             the data. (b) Mean pair coupling of <i>H</i><sup>RBM</sup>[<i>h</i>] of each layer against the distance of the centres in mean spacings. Bars are standard errors of the mean over pairs.",
        );
    }
    section.table(tables::table_with(
        table,
        "Couplings of the Hamiltonians of the machines: mean over groups of spins (standard error of that mean in parentheses) and root mean square.",
        "group",
        &[
            ("groups", "groups"),
            ("mean", "mean <i>J</i>"),
            ("spread", "rms <i>J</i>"),
            ("summed", "summed exactly"),
            ("gaussian_difference", "rms difference of Gaussian"),
            ("ising", "Ising model of the data"),
        ],
        3,
    ));
    section
}

/// The rows of a layer with a distance.
fn rows_of(table: &TableRecord, layer: f64) -> Vec<(f64, [f64; 2])> {
    (0..table.rows.len())
        .filter(|&row| table.get(row, "layer").is_some_and(|found| found[0] == layer))
        .filter_map(|row| Some((table.get(row, "distance")?[0], table.get(row, "mean")?)))
        .collect()
}

fn layers(table: &TableRecord) -> usize {
    (0..table.rows.len()).filter_map(|row| table.get(row, "layer")).fold(0.0, |most, layer| layer[0].max(most)) as usize
}

fn coupling_findings(table: &TableRecord) -> Vec<String> {
    let mut findings = Vec::new();
    let visible = rows_of(table, 0.0);
    let ising = (0..table.rows.len()).find_map(|row| table.get(row, "ising")).map_or(f64::NAN, |ising| ising[0]);
    if let (Some(nearest), Some(next)) = (visible.first(), visible.get(1)) {
        let (nearest, next) = (with_error(nearest.1[0], nearest.1[1]), with_error(next.1[0], next.1[1]));
        findings.push(if ising.is_finite() {
            let ising = significant(ising, 4);
            format!(
                "The first machine couples neighbouring spins with {nearest} on average, where the data have <i>K</i> = {ising}; spins at distance √2 with {next}, where the data have 0."
            )
        } else {
            // A mixture of several couplings has couplings at all distances.
            format!("The first machine couples neighbouring spins with {nearest} on average, and spins at distance √2 with {next}.")
        });
    }
    let nearest: Vec<String> = (1..=layers(table))
        .filter_map(|layer| rows_of(table, layer as f64).into_iter().find(|(distance, _)| *distance == 1.0))
        .map(|(_, mean)| with_error(mean[0], mean[1]))
        .collect();
    if !nearest.is_empty() {
        findings.push(format!("Units one spacing apart are coupled with {} in the layers from the lattice up.", list(&nearest)));
    }
    findings
}

fn draw(table: &TableRecord) -> Option<Drawing> {
    let visible = rows_of(table, 0.0);
    let hidden: Vec<Vec<(f64, [f64; 2])>> = (1..=layers(table)).map(|layer| rows_of(table, layer as f64)).collect();
    let extent = |rows: &[(f64, [f64; 2])]| rows.iter().flat_map(|(_, [mean, error])| [mean - error, mean + error]).collect::<Vec<f64>>();
    let ising: Vec<(f64, f64)> =
        (0..table.rows.len()).filter_map(|row| Some((table.get(row, "distance")?[0], table.get(row, "ising")?[0]))).collect();
    let mut drawing = Drawing::new(sizes::COMPARISON);
    let left_scale = Scale::linear(extent(&visible).into_iter().chain(ising.iter().map(|(_, value)| *value)).chain([0.0]))?;
    let left = Panel { left: 80.0, top: 56.0, right: 420.0, bottom: 272.0, x: Scale::between(0.0, 6.5), y: left_scale };
    left.axes(&mut drawing, "distance of the spins (sites)", "coupling J");
    left.level(&mut drawing, 0.0, MUTED, 1.0);
    for (x, value) in &ising {
        if let Some([x, y]) = left.at(*x, *value) {
            let corners = [[x - 5.0, y - 5.0], [x + 5.0, y - 5.0], [x + 5.0, y + 5.0], [x - 5.0, y + 5.0], [x - 5.0, y - 5.0]];
            drawing.line(&corners, MUTED, 1.2);
        }
    }
    series(&mut drawing, &left, &visible, style::category(0));
    drawing.heading("a", [36.0, 26.0], 13.0, INK, Anchor::Start);
    legend(&mut drawing, [80.0, 30.0], &[(style::category(0), "machine".to_string()), (MUTED, "Ising model of the data".to_string())]);
    if let Some(y) = Scale::linear(hidden.iter().flat_map(|rows| extent(rows)).chain([0.0])) {
        let right = Panel { left: 530.0, top: 56.0, right: 870.0, bottom: 272.0, x: Scale::between(-0.3, 4.3), y };
        right.axes(&mut drawing, "distance of the centres (mean spacings)", "coupling J");
        right.level(&mut drawing, 0.0, MUTED, 1.0);
        hidden.iter().enumerate().for_each(|(layer, rows)| series(&mut drawing, &right, rows, style::category(layer)));
        drawing.heading("b", [486.0, 26.0], 13.0, INK, Anchor::Start);
        let names: Vec<_> = (1..=hidden.len()).map(|layer| (style::category(layer - 1), format!("layer {layer}"))).collect();
        legend(&mut drawing, [530.0, 30.0], &names);
    }
    Some(drawing)
}

fn series(drawing: &mut Drawing, panel: &Panel, rows: &[(f64, [f64; 2])], colour: style::Colour) {
    panel.curve(drawing, rows.iter().map(|(x, mean)| (*x, mean[0])), style::tint(colour, 0.5), 1.2);
    for (x, [mean, error]) in rows {
        panel.error_bar(drawing, *x, *mean, *error, colour);
        if let Some(point) = panel.at(*x, *mean) {
            drawing.disc(point, 3.0, colour);
        }
    }
}

fn side_by_side(table: &TableRecord) -> Section {
    let mut section = Section::new("Side by side");
    section.paragraph(
        "The same held-out configurations, coarse-grained three ways: by 2 × 2 majorities again and again; by Kadanoff's kernel with the parameter of its fixed point, which draws each block \
         spin; and by the layers of the trained stack. Couplings of block spins are those of the largest pseudo-likelihood with nearest and next-nearest neighbours, distance (2, 0) and \
         plaquettes; for the stack it is the mean pair coupling of <i>H</i><sup>RBM</sup>[<i>h</i>] of units one spacing apart. The correlation of a layer is that of units one spacing apart. Distances of units \
         are rounded to whole spacings, so that diagonal neighbours are among those one spacing apart. \
         Couplings and correlations of the stack are those of its own units, which need not be block spins.",
    );
    section.findings.extend(flow_finding(table, "correlation", "nearest-neighbour correlation"));
    section.findings.extend(flow_finding(table, "nearest", "coupling of nearest neighbours"));
    section.table(tables::table_with(
        table,
        "Level by level; standard errors of the last digits in parentheses. The divergence is that of a law of <i>v</i> from the data: of the first machine, and of Kadanoff's kernel, for which \
         it is 0 because the kernel satisfies the trace condition, whatever it does to the spins. Exponents are given where the data are critical.",
        "level",
        &[
            ("spins", "spins"),
            ("correlation", "⟨<i>ss′</i>⟩"),
            ("nearest", "<i>K</i><sub>nn</sub>"),
            ("next_nearest", "<i>K</i><sub>nnn</sub>"),
            ("third", "<i>K</i><sub>(2,0)</sub>"),
            ("plaquette", "<i>K</i><sub>4</sub>"),
            ("agreement", "agreement"),
            ("divergence", "divergence (nats)"),
            ("thermal_exponent", "<i>y</i><sub>T</sub>"),
            ("magnetic_exponent", "<i>y</i><sub>H</sub>"),
        ],
        4,
    ));
    section
}

/// Where a quantity goes, level by level, for each way of coarse-graining.
fn flow_finding(table: &TableRecord, column: &str, name: &str) -> Option<String> {
    let first = table.get(0, column)?;
    let of = |what: &str| {
        let rows = table.rows.iter().enumerate().filter(|(_, (label, _))| label.contains(what));
        let values: Vec<[f64; 2]> = rows.filter_map(|(row, _)| table.get(row, column)).collect();
        (!values.is_empty()).then(|| values.iter().map(|value| with_error(value[0], value[1])).collect::<Vec<_>>())
    };
    let mut parts = Vec::new();
    for (what, words) in [(": majority", "by majority"), ("kernel", "by Kadanoff's kernel"), ("trained", "in the trained layers")] {
        if let Some(values) = of(what) {
            parts.push(format!("{words} {}", list(&values)));
        }
    }
    (!parts.is_empty()).then(|| {
        format!("The {name} is {} in the configurations; then, level by level, {}.", with_error(first[0], first[1]), parts.join("; "))
    })
}
