//! The section on improved estimators: what the clusters say, beside what the spins say.

use super::html::Section;
use super::number::{significant, with_error};
use super::tables;
use crate::record::{RunRecord, TableRecord};

/// The section, where clusters were looked at.
pub(super) fn section(record: &RunRecord) -> Option<Section> {
    let table = record.analysis("improved_estimators")?;
    let mut section = Section::new("Improved estimators");
    section.paragraph(
        "Given its clusters, a configuration has a random sign for each of them. The mean over these signs of <i>M</i>², <i>M</i>⁴ and of the power of the longest waves has the same average as these \
         themselves and a smaller variance: <i>M</i>² becomes the sum of the squared sizes of the clusters. With Wolff's algorithm the mean size of the flipped clusters is ⟨<i>M</i>²⟩/<i>N</i>. Errors are \
         those of the Gamma method; the gain is the ratio of the squared errors, which also has the memory of the chains in it.",
    );
    section.findings.extend(finding(table));
    let columns = [("plain", "from spins"), ("improved", "from clusters"), ("exact", "exact"), ("gain", "gain")];
    let mut rows = tables::table_with(table, "Improved estimators beside plain ones.", "estimator", &columns, 6);
    rows.is_long = table.rows.len() > 24;
    section.table(rows);
    Some(section)
}

/// The gains, and the largest deviation from an exact value.
fn finding(table: &TableRecord) -> Option<String> {
    let gains = || (0..table.rows.len()).filter_map(|row| Some(table.get(row, "gain")?[0]));
    let (least, most) = gains().fold((f64::INFINITY, 0.0f64), |(least, most), gain| (least.min(gain), most.max(gain)));
    if most == 0.0 {
        return None;
    }
    let pull = |row: usize| {
        let ([value, error], [exact, _]) = (table.get(row, "improved")?, table.get(row, "exact")?);
        (error > 0.0).then(|| ((value - exact) / error, [value, error], row))
    };
    let farthest = (0..table.rows.len()).filter_map(pull).max_by(|one, other| one.0.abs().total_cmp(&other.0.abs()));
    let beside = farthest.map_or(String::new(), |(pull, [value, error], row)| {
        format!(
            "; the one farthest from its exact value, {} ({}), is {} errors off",
            with_error(value, error),
            super::html::escape(&table.rows[row].0),
            significant(pull.abs(), 2)
        )
    });
    Some(format!("Clusters are worth {} to {} times as many draws as spins{beside}.", significant(least, 2), significant(most, 2)))
}
