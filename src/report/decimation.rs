//! One dimension on paper: the network that decimation is, layer by layer, and the stack that learned the same chain beside it.

use super::axes::{Panel, Scale, legend};
use super::figure::{Anchor, Drawing};
use super::html::Section;
use super::number::{list, significant, with_error};
use super::sizes;
use super::style::{self, EXACT, INK, MUTED};
use super::tables;
use crate::record::{RenormalizationRecord, TableRecord};

/// The section, if the chain was decimated.
pub(super) fn section(renormalization: &RenormalizationRecord) -> Option<Section> {
    let (by_hand, beside) = (renormalization.table("decimation")?, renormalization.table("decimation_stack")?);
    let mut section = Section::new("One dimension: decimation and a trained stack");
    section.paragraph(
        "Summing over every other spin of an Ising chain leaves a chain with <i>J</i>′ = ½ ln cosh 2<i>J</i> (Eq. 24). Drawn as a network (Fig. 2 of the paper) each layer joins a traced spin to \
         its two kept neighbours, with weights that can be written down: <i>W</i> = 4<i>J</i> and biases −4<i>J</i> on both sides for 0/1 units. The table sums the traced spins out of these \
         weights and compares every coupling of the kept ones with the decimated chain; and it gathers ln <i>Z</i> from the constants of the layers. This network is made by hand. The second \
         table has a stack of machines that learned independent samples of the same chain by contrastive divergence, its layers as wide as the decimated chains.",
    );
    section.findings.extend(exactness(by_hand));
    section.findings.extend(comparison(beside));
    section.table(tables::table_with(
        by_hand,
        "Decimation as a network. Marginal: largest difference of a field, a pair coupling or a coupling of three or four neighbours of the kept spins from those of the decimated chain. \
         ln <i>Z</i> is the sum of the constants of the layers before and of ln <i>Z</i> of the ring that is left; the last column is its difference from ln <i>Z</i> of the ring at the beginning.",
        "layer",
        &[
            ("coupling", "<i>J</i>"),
            ("weight", "<i>W</i>"),
            ("visible_bias", "biases"),
            ("marginal_difference", "marginal"),
            ("log_constant", "constant"),
            ("log_partition_function", "ln <i>Z</i>"),
            ("difference", "difference"),
        ],
        12,
    ));
    if let Some(drawing) = draw(beside) {
        section.figure(
            "decimation",
            drawing,
            "Nearest-neighbour correlation, coupling of neighbours, and share of spins that come back, level by level, of decimation and of the trained stack.",
            "<b>Decimation and a trained stack.</b> Level 0 is the chain. (a) Correlation of neighbouring spins or units. (b) Coupling of neighbours in the coarse Hamiltonian. (c) Share of the \
             spins of the chain that come back: for decimation the best guess from the kept spins. Bars are standard errors.",
        );
    }
    section.table(tables::table_with(
        beside,
        "Level by level; standard errors of the last digits in parentheses, no error where a number is exact. Units are ordered by the centres of their receptive fields <i>r</i>, the signs of \
         which are taken out; couplings are those of <i>H</i><sup>RBM</sup>[<i>h</i>] of units that are neighbours in that order, or next to neighbours. Decimation leaves the law of \
         the chain exact, so that its divergence is 0; that of the first machine is from annealing. The stack hands on probabilities, which hold more than a bit a unit; kept spins are bits.",
        "level",
        &[
            ("spins", "spins"),
            ("correlation", "⟨<i>ss′</i>⟩"),
            ("nearest", "<i>J</i> of neighbours"),
            ("next_nearest", "next to neighbours"),
            ("agreement", "comes back"),
            ("window_share", "<i>r</i>² in 2 blocks"),
            ("divergence", "divergence (nats)"),
            ("trace_violation", "var ln Tr<sub><i>h</i></sub> e<sup><i>T</i></sup>"),
            ("dead_units", "dead units"),
        ],
        5,
    ));
    Some(section)
}

/// The largest differences of the network made by hand.
fn exactness(table: &TableRecord) -> Option<String> {
    let largest = |column: &str| (0..table.rows.len()).filter_map(|row| Some(table.get(row, column)?[0].abs())).reduce(f64::max);
    let sites = table.get(0, "sites")?[0];
    let rounded = |value: f64| if value > 0.0 { significant(value, 2) } else { "the last bit".to_string() };
    Some(format!(
        "Decimation of {sites} spins, written down as a network of {} layers: its marginals are the decimated chains to {}, and ln <i>Z</i> gathered from the layers is that of the transfer \
         matrix to {}.",
        table.rows.len() - 1,
        rounded(largest("marginal_difference")?),
        rounded(largest("difference")?)
    ))
}

/// The two ways side by side, in numbers.
fn comparison(table: &TableRecord) -> Option<String> {
    let of = |what: &str, column: &str| -> Vec<String> {
        let rows = table.rows.iter().enumerate().filter(|(_, (label, _))| label.contains(what));
        let show = |[value, error]: [f64; 2]| if error > 0.0 { with_error(value, error) } else { significant(value, 4) };
        rows.filter_map(|(row, _)| table.get(row, column)).map(show).collect()
    };
    let row = table.rows.iter().position(|(label, _)| label.contains("trained"))?;
    if ["correlation", "agreement"].iter().any(|column| of("trained", column).is_empty()) {
        return None;
    }
    let mut sentence = format!(
        "Level by level, the correlation of neighbours is {} after decimation and {} in the trained layers; of the spins of the chain {} and {} come back.",
        list(&of("decimation", "correlation")),
        list(&of("trained", "correlation")),
        list(&of("decimation", "agreement")),
        list(&of("trained", "agreement"))
    );
    if let Some([divergence, error]) = table.get(row, "divergence") {
        sentence.push_str(&format!(
            " The first machine is {} nats from the law of the chain; decimation leaves that law as it is.",
            with_error(divergence, error)
        ));
    }
    Some(sentence)
}

fn draw(table: &TableRecord) -> Option<Drawing> {
    let rows = |what: &str, column: &str| -> Vec<(f64, [f64; 2])> {
        let chosen = table.rows.iter().enumerate().filter(|(row, (label, _))| *row == 0 || label.contains(what));
        chosen.enumerate().filter_map(|(level, (row, _))| Some((level as f64, table.get(row, column)?))).collect()
    };
    let depth = rows("decimation", "correlation").len();
    if depth < 2 {
        return None;
    }
    let mut drawing = Drawing::new(sizes::DECIMATION);
    let panels = [
        ("a", "correlation", "correlation of neighbours"),
        ("b", "nearest", "coupling of neighbours"),
        ("c", "agreement", "share that comes back"),
    ];
    for (index, (letter, column, label)) in panels.into_iter().enumerate() {
        let (hand, learned) = (rows("decimation", column), rows("trained", column));
        let left = 76.0 + 306.0 * index as f64;
        let Some(y) =
            Scale::linear(hand.iter().chain(&learned).flat_map(|(_, [value, error])| [value - error, value + error]).chain([0.0]))
        else {
            continue;
        };
        let panel = Panel { left, top: 60.0, right: left + 220.0, bottom: 262.0, x: Scale::between(-0.2, depth as f64 - 0.8), y };
        panel.axes(&mut drawing, "level", label);
        panel.level(&mut drawing, 0.0, MUTED, 1.0);
        for (points, colour) in [(&hand, EXACT), (&learned, style::category(0))] {
            panel.curve(&mut drawing, points.iter().map(|(level, value)| (*level, value[0])), style::tint(colour, 0.5), 1.2);
            for (level, [value, error]) in points {
                panel.error_bar(&mut drawing, *level, *value, *error, colour);
                if let Some(place) = panel.at(*level, *value) {
                    drawing.disc(place, 3.0, colour);
                }
            }
        }
        drawing.heading(letter, [left - 40.0, 34.0], 13.0, INK, Anchor::Start);
    }
    legend(&mut drawing, [76.0, 34.0], &[(EXACT, "decimation (exact)".to_string()), (style::category(0), "trained stack".to_string())]);
    Some(drawing)
}
