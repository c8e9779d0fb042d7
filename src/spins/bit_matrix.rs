//! Many rows of bits: a data set of configurations, or the states of a layer of binary units.

use super::{Configuration, WORD_BITS};
use bitvec::{order::Lsb0, slice::BitSlice};

/// A matrix of bits, each row starting on a word: bit j of row i is bit j mod 64 of word j / 64 of the row. Bits past the last column are clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BitMatrix {
    rows: usize,
    columns: usize,
    words: Vec<u64>,
}

impl BitMatrix {
    /// A matrix of clear bits.
    pub fn new(rows: usize, columns: usize) -> Self {
        BitMatrix { rows, columns, words: vec![0; rows * columns.div_ceil(WORD_BITS)] }
    }

    /// A matrix of words as they come, row after row; the bits past the last column are cleared.
    pub fn from_words(rows: usize, columns: usize, mut next_word: impl FnMut() -> u64) -> Self {
        let mut matrix = BitMatrix::new(rows, columns);
        let used = columns % WORD_BITS;
        for row in 0..rows {
            let words = matrix.row_mut(row);
            words.iter_mut().for_each(|word| *word = next_word());
            if let (Some(last), 1..) = (words.last_mut(), used) {
                *last &= (1 << used) - 1;
            }
        }
        matrix
    }

    /// One configuration a row, in site order.
    ///
    /// # Panics
    /// If the configurations differ in size.
    pub fn from_configurations<'a>(configurations: impl ExactSizeIterator<Item = &'a Configuration>, sites: usize) -> Self {
        let mut matrix = BitMatrix::new(configurations.len(), sites);
        for (row, configuration) in configurations.enumerate() {
            matrix.row_mut(row).copy_from_slice(configuration.words());
        }
        matrix
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns (bits a row).
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The number of words a row.
    pub fn words_per_row(&self) -> usize {
        self.columns.div_ceil(WORD_BITS)
    }

    /// The packed words of a row.
    pub fn row(&self, row: usize) -> &[u64] {
        let width = self.words_per_row();
        &self.words[row * width..(row + 1) * width]
    }

    /// The packed words of a row, to be written. The caller leaves the bits past the last column clear.
    pub fn row_mut(&mut self, row: usize) -> &mut [u64] {
        let width = self.words_per_row();
        &mut self.words[row * width..(row + 1) * width]
    }

    /// All packed words, row after row.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// All packed words, to be written (in parallel chunks of [`Self::words_per_row`], say).
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// The bits of a row, addressed one by one.
    pub fn bits(&self, row: usize) -> &BitSlice<u64, Lsb0> {
        &BitSlice::from_slice(self.row(row))[..self.columns]
    }

    /// One bit.
    pub fn get(&self, row: usize, column: usize) -> bool {
        self.bits(row)[column]
    }

    /// Sets one bit.
    pub fn set(&mut self, row: usize, column: usize, value: bool) {
        let columns = self.columns;
        BitSlice::<u64, Lsb0>::from_slice_mut(self.row_mut(row))[..columns].set(column, value);
    }

    /// The rows `range`, copied.
    pub fn slice_rows(&self, range: std::ops::Range<usize>) -> BitMatrix {
        let width = self.words_per_row();
        BitMatrix { rows: range.len(), columns: self.columns, words: self.words[range.start * width..range.end * width].to_vec() }
    }

    /// So many rows, spread evenly over all of them, the last one included.
    ///
    /// # Panics
    /// If there are fewer.
    pub fn spread_rows(&self, count: usize) -> BitMatrix {
        assert!(count <= self.rows, "{count} of {} rows", self.rows);
        let mut matrix = BitMatrix::new(count, self.columns);
        for row in 0..count {
            matrix.row_mut(row).copy_from_slice(self.row((row + 1) * self.rows / count - 1));
        }
        matrix
    }

    /// The columns in another order: column j of the result is column `order[j]`.
    ///
    /// # Panics
    /// If a column does not exist.
    pub fn reorder_columns(&self, order: &[usize]) -> BitMatrix {
        let mut matrix = BitMatrix::new(self.rows, order.len());
        for row in 0..self.rows {
            let source = self.row(row);
            for (column, &from) in order.iter().enumerate() {
                assert!(from < self.columns, "column {from} of {}", self.columns);
                let bit = source[from / WORD_BITS] >> (from % WORD_BITS) & 1;
                matrix.row_mut(row)[column / WORD_BITS] |= bit << (column % WORD_BITS);
            }
        }
        matrix
    }

    /// The share of set bits in each column, in f64.
    pub fn column_means(&self) -> Vec<f64> {
        let mut counts = vec![0u64; self.columns];
        for row in 0..self.rows {
            for column in self.bits(row).iter_ones() {
                counts[column] += 1;
            }
        }
        counts.into_iter().map(|count| count as f64 / self.rows.max(1) as f64).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_at_the_last_column() {
        let full = |rows: usize, columns: usize| BitMatrix::from_words(rows, columns, || u64::MAX).words().to_vec();
        assert_eq!(full(2, 70), [u64::MAX, 0x3F, u64::MAX, 0x3F]);
        assert_eq!((full(1, 128), full(1, 1), full(3, 0)), (vec![u64::MAX; 2], vec![1], vec![]));
    }

    #[test]
    fn rows_are_spread_and_columns_reordered() {
        let mut matrix = BitMatrix::new(5, 70);
        for row in 0..5 {
            matrix.set(row, 60 + row, true);
        }
        let some = matrix.spread_rows(2);
        assert!(some.rows() == 2 && some.get(0, 61) && some.get(1, 64) && some.column_means().iter().sum::<f64>() == 1.0);
        assert_eq!(matrix.spread_rows(5), matrix);
        let back: Vec<usize> = (0..70).rev().collect();
        let turned = matrix.reorder_columns(&back);
        assert!((0..5).all(|row| turned.get(row, 9 - row)));
        assert_eq!(turned.reorder_columns(&back), matrix);
    }

    #[test]
    fn bits_are_where_they_were_put() {
        let mut matrix = BitMatrix::new(3, 70);
        matrix.set(1, 0, true);
        matrix.set(1, 69, true);
        matrix.set(2, 64, true);
        assert_eq!(matrix.words(), &[0, 0, 1, 1 << 5, 0, 1]);
        assert!(matrix.get(1, 69) && !matrix.get(0, 69));
        assert_eq!(matrix.slice_rows(1..2).words(), &[1, 1 << 5]);
        assert!((matrix.column_means()[64] - 1.0 / 3.0).abs() < 1e-15);
    }
}
