//! Were the chains in equilibrium? The table of it, in the section of the sampling stage; what is too rare in it is warned of at the top of the page.

use super::html::Section;
use super::tables;
use crate::record::RunRecord;

/// Rows beyond which the table is folded.
const MANY_ROWS: usize = 24;
/// Digits of its numbers.
const DIGITS: usize = 2;

/// Adds the table to the section.
pub(super) fn add(section: &mut Section, record: &RunRecord) {
    let Some(table) = record.analysis("equilibration") else { return };
    let columns = [
        ("energy_drift", "drift of <i>E</i>"),
        ("energy_drift_probability", "probability"),
        ("magnetization_squared_drift", "drift of <i>M</i>²"),
        ("magnetization_squared_drift_probability", "probability"),
        ("energy_of_starts", "hot less cold, <i>E</i>"),
        ("energy_of_starts_probability", "probability"),
        ("magnetization_squared_of_starts", "hot less cold, <i>M</i>²"),
        ("magnetization_squared_of_starts_probability", "probability"),
    ];
    let is_known = |name: &str| table.column(name).is_some_and(|column| table.rows.iter().any(|(_, cells)| cells[column].value.is_some()));
    let known: Vec<(&str, &str)> = columns.into_iter().filter(|(name, _)| is_known(name)).collect();
    if known.is_empty() {
        return;
    }
    let caption = "Equilibration. The drift is the mean over the first tenth of the draws of a chain less that over its last half, in standard errors from the scatter of the chains; where chains \
                   began hot and cold, the first tenths of the one kind are held against those of the other. Beside each the probability of a value at least as large in equilibrium.";
    let mut rows = tables::table_with(table, caption, "ensemble", &known, DIGITS);
    rows.is_long = table.rows.len() > MANY_ROWS;
    section.table(rows);
}
