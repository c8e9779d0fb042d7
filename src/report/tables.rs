//! A table of the record as a table of the page: the heads are given, the numbers are those of the record.

use super::html::{Table, escape};
use super::number::{DASH, significant, with_error};
use crate::record::{Cell, TableRecord};

/// How many digits an exact number gets.
const DIGITS: usize = 8;

/// A cell as text: a mean with its error in parentheses, or a number.
pub(super) fn cell(cell: &Cell, digits: usize) -> String {
    match (cell.value, cell.error) {
        // In a column with errors, exact numbers have the error 0.
        (Some(value), Some(error)) if error != 0.0 => with_error(value, error),
        (Some(value), _) if value.fract() == 0.0 && value.abs() < 1e6 => format!("{value}").replace('-', "−"),
        (Some(value), _) => significant(value, digits),
        (None, _) => DASH.to_string(),
    }
}

/// The columns (name, head in HTML) of a record's table, under the label of each row, with the given caption.
pub(super) fn table(record: &TableRecord, caption: &str, label: &str, columns: &[(&str, &str)]) -> Table {
    table_with(record, caption, label, columns, DIGITS)
}

/// The same with fewer or more digits for what has no error.
pub(super) fn table_with(record: &TableRecord, caption: &str, label: &str, columns: &[(&str, &str)], digits: usize) -> Table {
    let heads: Vec<&str> = std::iter::once(label).chain(columns.iter().map(|(_, head)| *head)).collect();
    let mut table = Table::new(caption, &heads);
    for (name, cells) in &record.rows {
        let text = |name: &str| record.column(name).and_then(|column| cells.get(column)).map_or(DASH.to_string(), |one| cell(one, digits));
        let row: Vec<String> = std::iter::once(escape(name)).chain(columns.iter().map(|(column, _)| text(column))).collect();
        table.row(&row);
    }
    table
}
