//! Single-precision matrices in the layout of the kernels: rows padded with zeros to whole vectors of 16.

/// A matrix of f32, row after row. Each row takes [`Matrix::stride`] numbers, a multiple of 16; the padding is always zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    columns: usize,
    data: Vec<f32>,
}

impl Matrix {
    /// The padding unit of a row.
    pub const LANES: usize = 16;

    /// A matrix of zeros.
    pub fn zero(rows: usize, columns: usize) -> Self {
        Matrix { rows, columns, data: vec![0.0; rows * columns.next_multiple_of(Self::LANES)] }
    }

    /// A matrix from unpadded rows one after the other.
    ///
    /// # Panics
    /// If the length is not rows * columns.
    pub fn from_unpadded(rows: usize, columns: usize, values: &[f32]) -> Self {
        assert_eq!(values.len(), rows * columns, "a {rows} x {columns} matrix has {} entries", rows * columns);
        let mut matrix = Matrix::zero(rows, columns);
        if columns > 0 {
            for (row, source) in values.chunks_exact(columns).enumerate() {
                matrix.row_mut(row).copy_from_slice(source);
            }
        }
        matrix
    }

    /// The entries without padding, row after row.
    pub fn to_unpadded(&self) -> Vec<f32> {
        (0..self.rows).flat_map(|row| self.row(row).iter().copied()).collect()
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The distance between the beginnings of two rows.
    pub fn stride(&self) -> usize {
        self.columns.next_multiple_of(Self::LANES)
    }

    /// One row, without its padding.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.stride()..][..self.columns]
    }

    /// One row, without its padding, to be written.
    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        let start = row * self.stride();
        &mut self.data[start..start + self.columns]
    }

    /// All numbers with their padding.
    pub fn data(&self) -> &[f32] {
        &self.data
    }

    /// All numbers with their padding, to be written; the caller keeps the padding zero.
    pub fn data_mut(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// The transposed matrix.
    pub fn transposed(&self) -> Matrix {
        let mut result = Matrix::zero(self.columns, self.rows);
        let stride = result.stride();
        for row in 0..self.rows {
            for (column, value) in self.row(row).iter().enumerate() {
                result.data[column * stride + row] = *value;
            }
        }
        result
    }

    /// Whether every entry is finite.
    pub fn is_finite(&self) -> bool {
        self.data.iter().all(|value| value.is_finite())
    }
}
