//! The two-point function of configurations that a machine makes, beside that of the Ising model on the same torus.

use super::axes::{Panel, Scale, legend};
use super::figure::Drawing;
use super::html::{Section, Table};
use super::likelihood::{DIFFERENT, deviation, in_errors, pair};
use super::number::{fixed, significant, thousands};
use super::sizes;
use super::style::{self, EXACT};
use crate::record::{LikelihoodRecord, PairRecord};

/// Rows beyond which the table is folded.
const LONG: usize = 24;

/// Finding, figure and table, if the run has counted pairs.
pub(super) fn add(section: &mut Section, record: &LikelihoodRecord) {
    let rows = &record.correlations;
    if rows.is_empty() {
        return;
    }
    section.findings.extend(finding(rows));
    section.figure(
        "machine-two-point-function",
        draw(rows),
        "Two-point function along the axes of configurations from chains of the machine against the distance, with the exact one.",
        format!(
            "<b>Two-point function of the machine.</b> ⟨<i>s</i>(<b>x</b>) <i>s</i>(<b>x</b> + <b>r</b>)⟩ along the axes up to half the side, of {} chains from each start over the second half of \
             their sweeps; bars are standard errors over chains. The line is the Ising model on the same torus at the coupling of the data (free fermions in the four sectors of the transfer matrix).",
            thousands(record.chains as u64)
        ),
    );
    let mut table = Table::new(
        "Two-point function of the machine along the axes; deviations from the exact value of the same torus are in standard errors over chains.",
        &["distance", "from data", "deviation", "from random", "deviation", "exact"],
    );
    for row in rows {
        table.row(&[
            row.distance.to_string(),
            pair(row.from_data),
            deviation(row.from_data, Some(row.exact)),
            pair(row.from_random),
            deviation(row.from_random, Some(row.exact)),
            fixed(row.exact, 6),
        ]);
    }
    table.is_long = rows.len() > LONG;
    section.table(table);
}

/// How far the two-point function from random starts is from the exact one, at worst.
fn finding(rows: &[PairRecord]) -> Option<String> {
    let away = |row: &PairRecord| in_errors(row.from_random[0] - row.exact, row.from_random[1]);
    let compared: Vec<(&PairRecord, f64)> = rows.iter().filter_map(|row| Some((row, away(row)?))).collect();
    let (row, largest) = compared.iter().max_by(|one, other| one.1.abs().total_cmp(&other.1.abs()))?;
    let outside = compared.iter().filter(|(_, errors)| errors.abs() > DIFFERENT).count();
    Some(format!(
        "The two-point function of the machine, from random starts, is within four standard errors of the exact one at {} of {} distances; at the worst, r = {}, it is {} where {} is exact ({} \
         errors).",
        compared.len() - outside,
        compared.len(),
        row.distance,
        pair(row.from_random),
        significant(row.exact, 4),
        fixed(largest.abs(), 1)
    ))
}

fn draw(rows: &[PairRecord]) -> Drawing {
    let mut drawing = Drawing::new(sizes::TWO_POINT);
    let both = || rows.iter().flat_map(|row| [row.from_data, row.from_random]);
    // What is not three errors from zero has no place on a logarithmic scale.
    let seen = both().filter(|[value, error]| *value > 3.0 * error).map(|[value, _]| value);
    let values = seen.chain(rows.iter().map(|row| row.exact).filter(|&exact| exact > 0.0));
    let x = Scale::linear(rows.iter().map(|row| row.distance as f64)).unwrap_or(Scale::between(0.0, 1.0));
    let y = Scale::logarithmic(values).unwrap_or(Scale::between(0.0, 1.0));
    let panel = Panel { left: 90.0, top: 50.0, right: 590.0, bottom: 344.0, x, y };
    panel.axes(&mut drawing, "distance r (lattice units)", "two-point function");
    panel.curve(&mut drawing, rows.iter().map(|row| (row.distance as f64, row.exact)), EXACT, 1.2);
    let mut entries = Vec::new();
    for (which, name) in ["from data", "from random spins"].into_iter().enumerate() {
        let colour = style::category(which);
        for row in rows {
            let [value, error] = if which == 0 { row.from_data } else { row.from_random };
            let distance = row.distance as f64;
            panel.error_bar(&mut drawing, distance, value, error, colour);
            if let Some(place) = panel.at(distance, value) {
                drawing.disc(place, 2.6, colour);
            }
        }
        entries.push((colour, name.to_string()));
    }
    entries.push((EXACT, "exact, same torus".to_string()));
    legend(&mut drawing, [90.0, 24.0], &entries);
    drawing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finding_names_the_worst_distance() {
        let row = |distance: usize, value: f64| PairRecord { distance, from_data: [0.5, 0.01], from_random: [value, 0.01], exact: 0.5 };
        let sentence = finding(&[row(1, 0.51), row(2, 0.43), row(3, 0.49)]).expect("errors are known");
        assert!(
            sentence.contains("2 of 3 distances") && sentence.contains("r = 2, it is 0.43") && sentence.contains("(7.0 errors)"),
            "{sentence}"
        );
        assert!(finding(&[PairRecord { from_random: [0.5, f64::INFINITY], ..row(1, 0.5) }]).is_none());
    }
}
