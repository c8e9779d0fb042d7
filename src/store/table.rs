//! Tables of `/renormalization/tables` and `/analyses`: one group a table, one variable a column, `label` for the rows. The attribute `columns` gives their order; `NAME_errors` stands beside NAME
//! where it has standard errors. NaN where there is no number.

use super::hdf5::{GroupReader, GroupWriter, label};
use crate::error::Result;
use crate::record::{Cell, Column, TableRecord};

/// Fills a group with tables, one group a table; the attribute `order` says in which order they stand.
///
/// # Errors
/// [`crate::error::Error::InputOutput`].
pub fn write_all(group: &GroupWriter, tables: &[TableRecord]) -> Result<()> {
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    group.attributes().text("order", &names.join(" "))?;
    tables.iter().try_for_each(|one| write(&group.group(&one.name)?, one))
}

/// Reads what [`write_all`] wrote.
///
/// # Errors
/// [`crate::error::Error::Refused`].
pub fn read_all(group: &GroupReader) -> Result<Vec<TableRecord>> {
    group.text("order")?.split_whitespace().map(|name| read(&group.group(name)?, name)).collect()
}

/// Fills a group with one table.
///
/// # Errors
/// [`crate::error::Error::InputOutput`].
pub fn write(group: &GroupWriter, table: &TableRecord) -> Result<()> {
    let row = table.row_name.as_str();
    let order: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let attributes = group.attributes();
    attributes.text("NX_class", "NXdata")?.text("long_name", &table.long_name)?.text("row_name", row)?.text("columns", &order.join(" "))?;
    if table.rows.is_empty() {
        return Ok(());
    }
    // What a viewer draws: the first column that was measured, with its errors, or else the first one.
    let is_measured = |column: &usize| table.rows.iter().any(|(_, cells)| cells[*column].error.is_some_and(|error| error > 0.0));
    let drawn = (0..order.len()).find(is_measured).unwrap_or(0);
    if let Some(signal) = order.get(drawn) {
        attributes.text("signal", signal)?.texts("axes", &[row])?;
    }
    group.index(row, table.rows.len(), row)?;
    let labels: Vec<&str> = table.rows.iter().map(|(label, _)| label.as_str()).collect();
    group.texts("label", &[row], &labels, row)?;
    for (index, column) in table.columns.iter().enumerate() {
        let numbers = |of: fn(&Cell) -> Option<f64>| -> Vec<f64> {
            table.rows.iter().map(|(_, cells)| of(&cells[index]).unwrap_or(f64::NAN)).collect()
        };
        group.variable(&column.name, &[row], &numbers(|cell| cell.value), label(&column.units, &column.long_name))?;
        let errors = numbers(|cell| cell.error);
        if errors.iter().any(|error| !error.is_nan()) {
            let words = format!("standard error: {}", column.long_name);
            group.variable(&format!("{}_errors", column.name), &[row], &errors, label(&column.units, &words))?;
        }
    }
    Ok(())
}

/// Reads a table of this name from its group.
///
/// # Errors
/// [`crate::error::Error::Refused`].
pub fn read(group: &GroupReader, name: &str) -> Result<TableRecord> {
    let (row_name, order) = (group.text("row_name")?, group.text("columns")?);
    let mut table =
        TableRecord { name: name.to_string(), row_name, long_name: group.text("long_name")?, columns: Vec::new(), rows: Vec::new() };
    if !group.has("label") {
        table.columns = order
            .split_whitespace()
            .map(|name| Column { name: name.to_string(), long_name: String::new(), units: "1".to_string() })
            .collect();
        return Ok(table);
    }
    let count = group.array::<i64>(&table.row_name, 1)?.shape[0];
    table.rows = group.texts("label", &[count])?.into_iter().map(|label| (label, Vec::new())).collect();
    for name in order.split_whitespace() {
        let values = group.shaped::<f64>(name, &[count])?;
        let beside = format!("{name}_errors");
        let errors = if group.has(&beside) { group.shaped::<f64>(&beside, &[count])? } else { vec![f64::NAN; count] };
        let number = |value: f64| Some(value).filter(|value| !value.is_nan());
        for ((_, cells), (value, error)) in table.rows.iter_mut().zip(values.into_iter().zip(errors)) {
            cells.push(Cell { value: number(value), error: number(error) });
        }
        table.columns.push(Column {
            name: name.to_string(),
            long_name: group.text_of(name, "long_name")?,
            units: group.text_of(name, "units")?,
        });
    }
    Ok(table)
}
