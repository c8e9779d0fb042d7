//! The receptive fields beside their controls, and the seeds of a run beside each other: two tables of the section of receptive fields, and what they say of the paper's claims.

use super::html::{Section, Table, escape};
use super::number::{DASH, fixed, list, percent, significant, with_error};
use super::tables;
use crate::record::{RenormalizationRecord, TableRecord};

/// A layer counts as local if its units hold at least this share of r^2 in the best 8 x 8 window, on average.
const LOCAL: f64 = 0.5;
/// That window.
const WINDOW: usize = 8;

const HEADS: [(&str, &str); 14] = [
    ("units", "units"),
    ("dead", "dead"),
    ("duplicates", "duplicates"),
    ("share_4", "mean <i>f</i><sub>4</sub>"),
    ("share_8", "<i>f</i><sub>8</sub>"),
    ("share_16", "<i>f</i><sub>16</sub>"),
    ("median_share_8", "median <i>f</i><sub>8</sub>"),
    ("participation_ratio", "median PR"),
    ("radius_of_gyration", "median <i>R</i><sub>g</sub>"),
    ("sign_coherence", "sign coherence"),
    ("tiling", "tiling"),
    ("overlap", "overlap"),
    ("agreement", "agreement (%)"),
    ("divergence", "divergence (nats)"),
];

/// Adds what was asked for.
pub(super) fn add(section: &mut Section, renormalization: &RenormalizationRecord, side: Option<usize>) {
    if let Some(seeds) = renormalization.table("seeds") {
        section.table(seeds_table(seeds));
    }
    let Some(controls) = renormalization.table("controls") else { return };
    section.findings.extend(claims(controls, side));
    section.paragraph(
        "<b>Controls.</b> The same measures for what a locality or a reconstruction must be told from. <i>Sites shuffled</i>: the same training on configurations whose sites were \
         permuted, all in the same way; a network knows nothing of the lattice but what is in the data, so its fields are scattered, and local again once every site is put back. \
         <i>No L1 penalty</i>: the same training without it. <i>Weights in random places</i>: the trained weights, shuffled inside each layer. <i>Principal components</i>: on a torus they are plane \
         waves, ordered by the structure factor of the data; their code is of real numbers, and each spin takes the sign of the sum of the waves that are kept. <i>Majority blocks</i>: as many as the \
         layer has units.",
    );
    section.table(controls_table(controls));
}

fn rows_of<'a>(table: &'a TableRecord, name: &'a str) -> impl Iterator<Item = usize> + 'a {
    table.rows.iter().enumerate().filter(move |(_, (label, _))| label == name).map(|(row, _)| row)
}

fn cell(table: &TableRecord, row: usize, column: &str) -> String {
    let Some([value, error]) = table.get(row, column) else { return DASH.to_string() };
    match column {
        "agreement" if error > 0.0 => with_error(100.0 * value, 100.0 * error),
        "agreement" => percent(value, 2),
        "units" | "dead" | "duplicates" if error == 0.0 => format!("{value}"),
        _ if error > 0.0 => with_error(value, error),
        "participation_ratio" | "radius_of_gyration" => significant(value, 3),
        _ => fixed(value, 3),
    }
}

fn controls_table(table: &TableRecord) -> Table {
    let heads = &HEADS[..HEADS.len() - 1];
    let titles: Vec<&str> = std::iter::once("network").chain(heads.iter().map(|(_, head)| *head)).collect();
    let mut page = Table::new(
        "Receptive fields and their controls. <i>f<sub>n</sub></i>: share of Σ<i>r</i>² inside the best <i>n</i> × <i>n</i> window; PR: participation ratio in sites; <i>R</i><sub>g</sub>: radius of gyration \
         on the torus in lattice units; sign coherence: mean |Σ<i>r</i>| / Σ|<i>r</i>|; tiling: share of the cells of the ideal tiling that hold a centre; overlap: mean over units of the largest \
         Σ|<i>rr</i>′| / √(Σ<i>r</i>² Σ<i>r</i>′²) with another unit; duplicates: units with |Σ<i>rr</i>′| of at least 0.9 of that root with an earlier one; dead: units that never move. Means and medians \
         over live units; agreement: share of held-out spins that come back.",
        &titles,
    );
    let layers = (0..table.rows.len()).filter_map(|row| table.get(row, "layer")).fold(0.0, |most, layer| layer[0].max(most)) as usize;
    for layer in 1..=layers {
        page.group(&format!("layer {layer}"), titles.len());
        for (row, (label, _)) in table.rows.iter().enumerate() {
            if table.get(row, "layer").is_some_and(|found| found[0] == layer as f64) {
                let cells = heads.iter().map(|(column, _)| cell(table, row, column));
                page.row(&std::iter::once(escape(label)).chain(cells).collect::<Vec<_>>());
            }
        }
    }
    page
}

fn seeds_table(table: &TableRecord) -> Table {
    let titles: Vec<&str> = std::iter::once("layer").chain(HEADS.iter().map(|(_, head)| *head)).collect();
    let mut page = Table::new(
        "Networks that differ in their random numbers alone (first weights, order of the data, Gibbs steps): means over the seeds, with the standard error of the mean in parentheses. Columns as \
         in the table of controls; the divergence is that of the first machine from the data, with the mean error of the single ones added in quadrature, which holds half the gap of the directions of annealing.",
        &titles,
    );
    for (row, (label, _)) in table.rows.iter().enumerate() {
        page.row(&std::iter::once(escape(label)).chain(HEADS.iter().map(|(column, _)| cell(table, row, column))).collect::<Vec<_>>());
    }
    page
}

/// What the run reproduces of the paper's claims, with the numbers. On a lattice of less than two windows a side even a uniform field has a large share in one, so that nothing is said of locality there.
fn claims(table: &TableRecord, side: Option<usize>) -> Vec<String> {
    let trained: Vec<usize> = rows_of(table, "trained").collect();
    let number = |row: usize, column: &str| table.get(row, column).map_or(f64::NAN, |pair| pair[0]);
    let share = |name: &str, column: &str| rows_of(table, name).next().map(|row| number(row, column));
    let mut findings = Vec::new();
    let local: Vec<String> =
        trained.iter().enumerate().filter(|(_, row)| number(**row, "share_8") >= LOCAL).map(|(layer, _)| (layer + 1).to_string()).collect();
    let others: Vec<String> = [
        ("sites shuffled", "trained on shuffled sites"),
        ("sites shuffled, then put back", "the same with the sites put back"),
        ("no L1 penalty", "without the penalty"),
        ("weights in random places", "its weights in random places"),
    ]
    .into_iter()
    .filter_map(|(name, words)| Some(format!("{} % {words}", percent(share(name, "share_8")?, 1))))
    .collect();
    if let (Some(first), true) = (trained.first(), side.is_some_and(|side| side >= 2 * WINDOW)) {
        let which = match (local.len(), local.len() == trained.len()) {
            (0, _) => "In no layer are the receptive fields local".to_string(),
            (_, true) => "The receptive fields are local in every layer, as the paper says".to_string(),
            (1, _) => format!("The receptive fields are local in layer {} alone", local[0]),
            _ => format!("The receptive fields are local in layers {} alone", list(&local)),
        };
        let against = if others.is_empty() { String::new() } else { format!("; beside it, {}", list(&others)) };
        findings.push(format!(
            "{which} (half of Σ<i>r</i>² in the best 8 × 8 window decides). In the first layer it holds {} %{against}.",
            percent(number(*first, "share_8"), 1)
        ));
    }
    let compared: Vec<String> = trained
        .iter()
        .filter_map(|&row| {
            let units = number(row, "units");
            let beside = |name: &str| rows_of(table, name).find(|&other| number(other, "units") == units);
            let waves = beside("principal components").map(|other| number(other, "agreement"));
            let blocks = beside("majority blocks").map(|other| number(other, "agreement")).filter(|value| value.is_finite());
            let others = [(blocks, "block spins"), (waves, "principal components")];
            let others: Vec<String> =
                others.into_iter().filter_map(|(value, words)| Some(format!("{words} {} %", percent(value?, 1)))).collect();
            (!others.is_empty()).then(|| format!("{} % from {units} units ({})", percent(number(row, "agreement"), 1), others.join(", ")))
        })
        .collect();
    if !compared.is_empty() {
        findings.push(format!(
            "Of the spins come back {}. The network has real numbers to code with, like the principal components; block spins have one bit each.",
            list(&compared)
        ));
    }
    findings
}

/// The table of the scan, folded.
pub(super) fn folded(record: &TableRecord, caption: &str, columns: &[(&str, &str)]) -> Table {
    let mut table = tables::table_with(record, caption, "network", columns, 3);
    table.is_long = true;
    table
}
