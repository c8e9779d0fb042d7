//! The gold standards: what schemes of renormalization without a network find for the square lattice, and Monte Carlo renormalization of the sampled configurations.

use super::axes::{Panel, Scale, legend};
use super::figure::{Anchor, Drawing};
use super::html::Section;
use super::number::{significant, with_error};
use super::sizes;
use super::style::{self, INK, MUTED};
use super::tables;
use crate::record::{RenormalizationRecord, TableRecord};

/// The exact exponents of the two-dimensional Ising model.
const THERMAL: f64 = 1.0;
const MAGNETIC: f64 = 15.0 / 8.0;
/// Couplings within this of K_c count as critical.
const CRITICAL: f64 = 1e-6;

/// The section, if any of its parts was asked for.
pub(super) fn section(renormalization: &RenormalizationRecord) -> Option<Section> {
    let (schemes, monte_carlo) = (renormalization.table("schemes"), renormalization.table("monte_carlo"));
    if schemes.is_none() && monte_carlo.is_none() {
        return None;
    }
    let mut section = Section::new("Gold standards of renormalization");
    section.paragraph(
        "What renormalization achieves without a network, as the scale for everything a network does. The exact exponents of the square lattice are <i>y</i><sub>T</sub> = 1 and \
         <i>y</i><sub>H</sub> = 15/8.",
    );
    if let Some(table) = schemes {
        add_schemes(&mut section, table, renormalization);
    }
    if let Some(table) = monte_carlo {
        add_monte_carlo(&mut section, table);
    }
    Some(section)
}

fn add_schemes(section: &mut Section, schemes: &TableRecord, renormalization: &RenormalizationRecord) {
    section.table(tables::table(
        schemes,
        "Fixed points and exponents of schemes that need no samples. Migdal and Kadanoff move bonds and decimate blocks of side <i>b</i>; Niemeijer and van Leeuwen let triangles vote and \
         keep the first cumulant (triangular lattice); Kadanoff's variational scheme has the operator <i>T</i> = <i>p</i> <i>h</i> Σ<i>v</i> − ln 2 cosh(<i>p</i> Σ<i>v</i>) for each block of \
         four spins, which satisfies the trace condition for every <i>p</i>, and is computed here by the same type as the Boltzmann machines.",
        "scheme",
        &[
            ("fixed_point", "<i>K</i>*"),
            ("exact_coupling", "exact <i>K</i><sub>c</sub>"),
            ("thermal_exponent", "<i>y</i><sub>T</sub>"),
            ("correlation_length_exponent", "ν"),
            ("magnetic_exponent", "<i>y</i><sub>H</sub>"),
        ],
    ));
    if let Some(table) = renormalization.table("variational") {
        section.table(tables::table(
            table,
            "Kadanoff's variational scheme at the parameter <i>p</i> that makes its bound stationary: couplings of a plaquette (each bond of the lattice belongs to two) and eigenvalues of \
             the linearized step. On the branch of Kadanoff's the potential does not tell sides from diagonals of a plaquette. A second branch, on which it does, has a stationary point of \
             its own.",
            "branch",
            &[
                ("parameter", "<i>p</i>*"),
                ("nearest", "<i>K</i><sub>nn</sub>"),
                ("next_nearest", "<i>K</i><sub>nnn</sub>"),
                ("four_spin", "<i>K</i><sub>4</sub>"),
                ("even_1", "even λ<sub>1</sub>"),
                ("even_2", "λ<sub>2</sub>"),
                ("even_3", "λ<sub>3</sub>"),
                ("odd_1", "odd λ<sub>1</sub>"),
                ("odd_2", "λ<sub>2</sub>"),
            ],
        ));
        if let (Some([thermal, _]), Some([magnetic, _])) =
            (value(schemes, table, "thermal_exponent"), value(schemes, table, "magnetic_exponent"))
        {
            section.findings.push(format!(
                "Kadanoff's variational scheme, the one that the mapping speaks of, gives <i>y</i><sub>T</sub> = {} and <i>y</i><sub>H</sub> = {} (exactly 1 and 1.875).",
                significant(thermal, 6),
                significant(magnetic, 6)
            ));
        }
    }
    if let Some(table) = renormalization.table("free_energy") {
        section.table(tables::table(
            table,
            "ln <i>Z</i> per site of the infinite lattice at <i>K</i><sub>c</sub>. The variational scheme bounds the free energy from below, hence ln <i>Z</i> from above; tensors by Levin and \
             Nave keep χ states on a bond.",
            "scheme",
            &[("log_partition_function_per_site", "ln <i>Z</i> / <i>N</i>"), ("exact", "exact"), ("difference", "difference")],
        ));
    }
}

/// The value in the row of `schemes` that has the label of the first row of `branches`.
fn value(schemes: &TableRecord, branches: &TableRecord, column: &str) -> Option<[f64; 2]> {
    let name = &branches.rows.first()?.0;
    schemes.get(schemes.rows.iter().position(|(label, _)| label == name)?, column)
}

fn add_monte_carlo(section: &mut Section, table: &TableRecord) {
    section.paragraph(
        "<b>Monte Carlo renormalization</b> (Swendsen 1979) blocks the sampled configurations by 2 × 2 majorities, ties by a fair coin, and reads the exponents from how operators on \
         neighbouring levels fluctuate together. Even operators, in the order in which they are added: nearest neighbours, next-nearest neighbours, plaquettes, neighbours at distance \
         (2, 0). Odd ones: the spin, three spins of a plaquette. The exponents belong to the fixed point only where the configurations are critical.",
    );
    section.findings.extend(finding(table));
    if let Some(drawing) = draw(table) {
        section.figure(
            "monte-carlo-renormalization",
            drawing,
            "Exponents y_T and y_H of Monte Carlo renormalization against the step, by the number of operators, with the exact values 1 and 15/8.",
            "<b>Monte Carlo renormalization.</b> (a) <i>y</i><sub>T</sub> of each step from one to four even operators; (b) <i>y</i><sub>H</sub> from one and two odd operators, for the largest \
             lattice closest to <i>K</i><sub>c</sub>. Bars are jackknife errors, level lines the exact values.",
        );
    }
    section.table(tables::table_with(
        table,
        "Exponents of each step; jackknife errors of the last digits in parentheses. ⟨<i>ss′</i>⟩ is the nearest-neighbour correlation of the block spins after the step.",
        "step",
        &[
            ("configurations", "configurations"),
            ("thermal_exponent_1", "<i>y</i><sub>T</sub>, 1 operator"),
            ("thermal_exponent_2", "2"),
            ("thermal_exponent_3", "3"),
            ("thermal_exponent_4", "4"),
            ("magnetic_exponent_1", "<i>y</i><sub>H</sub>, 1 operator"),
            ("magnetic_exponent_2", "2"),
            ("correlation", "⟨<i>ss′</i>⟩"),
        ],
        6,
    ));
}

/// The rows of the largest lattice whose coupling is closest to K_c.
fn best_rows(table: &TableRecord) -> Vec<usize> {
    let ensemble = |row: usize| Some((table.get(row, "size")?[0], table.get(row, "coupling")?[0]));
    let distance = |coupling: f64| (coupling - crate::exact::critical_coupling()).abs();
    let all: Vec<(usize, (f64, f64))> = (0..table.rows.len()).filter_map(|row| Some((row, ensemble(row)?))).collect();
    let best = all
        .iter()
        .map(|(_, ensemble)| *ensemble)
        .min_by(|one, other| other.0.total_cmp(&one.0).then(distance(one.1).total_cmp(&distance(other.1))));
    all.iter().filter(|(_, ensemble)| Some(*ensemble) == best).map(|(row, _)| *row).collect()
}

fn finding(table: &TableRecord) -> Option<String> {
    let rows = best_rows(table);
    let &row = rows.get(2).or(rows.last())?;
    let [size, coupling] = [table.get(row, "size")?[0], table.get(row, "coupling")?[0]];
    let ([thermal, thermal_error], [magnetic, magnetic_error]) =
        (table.get(row, "thermal_exponent_3")?, table.get(row, "magnetic_exponent_1")?);
    let away = |value: f64, exact: f64, error: f64| significant(((value - exact) / error).abs(), 2);
    let step = rows.iter().position(|&other| other == row)? + 1;
    let mut sentence = format!(
        "Monte Carlo renormalization of {} × {} spins at <i>K</i> = {}, step {step}: <i>y</i><sub>T</sub> = {} and <i>y</i><sub>H</sub> = {}",
        size,
        size,
        significant(coupling, 6),
        with_error(thermal, thermal_error),
        with_error(magnetic, magnetic_error)
    );
    if (coupling - crate::exact::critical_coupling()).abs() < CRITICAL {
        let (thermal, magnetic) = (away(thermal, THERMAL, thermal_error), away(magnetic, MAGNETIC, magnetic_error));
        sentence.push_str(&format!(", {thermal} and {magnetic} standard errors from the exact values"));
    } else {
        sentence.push_str("; this is not the critical coupling, so that they are not the exponents of the fixed point");
    }
    Some(sentence + ".")
}

fn draw(table: &TableRecord) -> Option<Drawing> {
    let rows = best_rows(table);
    if rows.len() < 2 {
        return None;
    }
    let mut drawing = Drawing::new(sizes::STANDARDS);
    let panels = [("a", "thermal_exponent", 4, THERMAL, 80.0, "y_T"), ("b", "magnetic_exponent", 2, MAGNETIC, 530.0, "y_H")];
    for (letter, stem, count, exact, left, axis) in panels {
        let series: Vec<Vec<[f64; 2]>> = (1..=count)
            .map(|number| rows.iter().map(|&row| table.get(row, &format!("{stem}_{number}")).unwrap_or([f64::NAN; 2])).collect())
            .collect();
        let extremes = series.iter().flatten().flat_map(|[value, error]| [value - error, value + error]).chain([exact]);
        let Some(y) = Scale::linear(extremes) else { continue };
        let panel = Panel { left, top: 56.0, right: left + 340.0, bottom: 272.0, x: Scale::between(0.5, rows.len() as f64 + 0.5), y };
        panel.axes(&mut drawing, "", axis);
        panel.level(&mut drawing, exact, MUTED, 1.2);
        for (index, values) in series.iter().enumerate() {
            let colour = style::category(index);
            let shift = 0.06 * (index as f64 - (count - 1) as f64 / 2.0);
            let points: Vec<(f64, [f64; 2])> = values.iter().enumerate().map(|(step, value)| (step as f64 + 1.0 + shift, *value)).collect();
            panel.curve(&mut drawing, points.iter().map(|(x, value)| (*x, value[0])), style::tint(colour, 0.5), 1.2);
            for (x, value) in &points {
                panel.error_bar(&mut drawing, *x, value[0], value[1], colour);
                if let Some(point) = panel.at(*x, value[0]) {
                    drawing.disc(point, 3.0, colour);
                }
            }
        }
        for (step, &row) in rows.iter().enumerate() {
            let side = table.get(row, "side_before").map_or(0.0, |side| side[0]);
            if let Some(share) = panel.at(step as f64 + 1.0, exact) {
                drawing.text(&format!("{side} to {}", side / 2.0), [share[0], panel.bottom + 17.0], 11.0, INK, Anchor::Middle);
            }
        }
        drawing.text("side of the lattice", [(panel.left + panel.right) / 2.0, panel.bottom + 36.0], 11.0, MUTED, Anchor::Middle);
        drawing.heading(letter, [left - 44.0, 26.0], 13.0, INK, Anchor::Start);
        let words = |number: usize| if number == 1 { "1 operator".to_string() } else { number.to_string() };
        let names: Vec<_> = (1..=count).map(|number| (style::category(number - 1), words(number))).collect();
        legend(&mut drawing, [left, 30.0], &names);
    }
    Some(drawing)
}
