//! A table of numbers: how the parts of the renormalization stage that compare one thing with another leave their results. One row a thing, one column a quantity.

use serde::{Deserialize, Serialize};

/// A number of a table; nothing where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Cell {
    /// The number.
    pub value: Option<f64>,
    /// Its standard error, where it is an estimate.
    pub error: Option<f64>,
}

impl Cell {
    /// No number.
    pub const NONE: Cell = Cell { value: None, error: None };

    /// A number without an error bar: exact, or a count. Nothing if it is not finite.
    pub fn exact(value: f64) -> Cell {
        Cell { value: Some(value).filter(|value| value.is_finite()), error: None }
    }

    /// The same, where there may be none.
    pub fn maybe(value: Option<f64>) -> Cell {
        value.map_or(Cell::NONE, Cell::exact)
    }

    /// An estimate and its standard error. Nothing if it is not finite.
    pub fn estimate([value, error]: [f64; 2]) -> Cell {
        Cell { error: Some(error).filter(|error| error.is_finite() && value.is_finite()), ..Cell::exact(value) }
    }

    /// The same, where there may be none.
    pub fn maybe_estimate(pair: Option<[f64; 2]>) -> Cell {
        pair.map_or(Cell::NONE, Cell::estimate)
    }

    /// Value and error; an error of 0 for what is exact.
    pub fn pair(&self) -> Option<[f64; 2]> {
        Some([self.value?, self.error.unwrap_or(0.0)])
    }
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Name of the variable in files.
    pub name: String,
    /// In words.
    pub long_name: String,
    /// "1" for pure numbers.
    pub units: String,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableRecord {
    /// Name of the group in files.
    pub name: String,
    /// What the rows are: the dimension of the variables.
    pub row_name: String,
    /// In words.
    pub long_name: String,
    /// The columns.
    pub columns: Vec<Column>,
    /// The label of each row, and its cells: one a column.
    pub rows: Vec<(String, Vec<Cell>)>,
}

impl TableRecord {
    /// A table without rows; the columns are (name, words, units).
    pub fn new(name: &str, row_name: &str, long_name: &str, columns: &[(&str, &str, &str)]) -> Self {
        let column = |&(name, long_name, units): &(&str, &str, &str)| Column {
            name: name.to_string(),
            long_name: long_name.to_string(),
            units: units.to_string(),
        };
        TableRecord {
            name: name.to_string(),
            row_name: row_name.to_string(),
            long_name: long_name.to_string(),
            columns: columns.iter().map(column).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If it has not one cell a column, which would be a bug.
    pub fn push(&mut self, label: impl Into<String>, cells: Vec<Cell>) {
        assert_eq!(cells.len(), self.columns.len(), "one cell a column");
        self.rows.push((label.into(), cells));
    }

    /// Where a column stands.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// A number with its error, 0 where it is exact.
    pub fn get(&self, row: usize, column: &str) -> Option<[f64; 2]> {
        self.rows.get(row)?.1.get(self.column(column)?)?.pair()
    }
}
