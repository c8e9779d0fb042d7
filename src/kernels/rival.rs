//! The rival of the benchmarks: matrix products by the fastest crate for them. Nothing else of the program may use it, because the order of its sums, and so the bits of its
//! results, depends on the machine; `tests/architecture.rs` holds the tree to that.

use super::float_vector::Vector;

/// A matrix in memory: entry (i, j) is `numbers[i * row + j * column]`.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The memory, number after number.
    pub numbers: &'a [Vector],
    /// From one row to the next.
    pub row: usize,
    /// From one column to the next.
    pub column: usize,
}

/// `result = (result if keep else 0) + factor * left * right`, where `result` has `rows` rows of `columns` numbers, `stride` apart, and `left` has `depth` columns.
///
/// # Panics
/// If a matrix is larger than its memory.
pub fn multiply(
    [rows, columns, depth]: [usize; 3],
    factor: f32,
    left: View,
    right: View,
    keep: bool,
    result: &mut [Vector],
    stride: usize,
    threads: usize,
) {
    let fits =
        |view: &View, rows: usize, columns: usize| (rows - 1) * view.row + (columns - 1) * view.column < view.numbers.len() * Vector::WIDTH;
    assert!(rows * columns * depth > 0 && columns <= stride, "no matrix is empty, no row overlaps the next");
    assert!(
        fits(&left, rows, depth) && fits(&right, depth, columns) && (rows - 1) * stride + columns <= result.len() * Vector::WIDTH,
        "a matrix fits its memory"
    );
    let parallelism = if threads > 1 { gemm::Parallelism::Rayon(threads) } else { gemm::Parallelism::None };
    let steps = [stride, left.row, left.column, right.row, right.column].map(|step| step as isize);
    // SAFETY: a Vector is sixteen numbers without padding; the last entry of each of the three matrices was just seen to lie inside its slice, all steps are positive, and `result` is borrowed mutably, so that it
    // overlaps neither of the others.
    #[allow(unsafe_code)]
    unsafe {
        gemm::gemm(
            rows,
            columns,
            depth,
            result.as_mut_ptr().cast::<f32>(),
            1,
            steps[0],
            keep,
            left.numbers.as_ptr().cast::<f32>(),
            steps[2],
            steps[1],
            right.numbers.as_ptr().cast::<f32>(),
            steps[4],
            steps[3],
            1.0f32,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_products() {
        // 2 x 3 times 3 x 2, the right one given transposed.
        let memory = |numbers: &[f32]| {
            let mut vector = Vector::splat(10.0);
            vector.0[..numbers.len()].copy_from_slice(numbers);
            [vector]
        };
        let (left, right) = (memory(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), memory(&[1.0, 0.0, 2.0, 0.0, 1.0, -1.0]));
        let mut result = memory(&[]);
        let (left, right) = (View { numbers: &left, row: 3, column: 1 }, View { numbers: &right, row: 1, column: 3 });
        multiply([2, 2, 3], 2.0, left, right, true, &mut result, 3, 1);
        assert_eq!(result, memory(&[10.0 + 14.0, 10.0 - 2.0, 10.0, 10.0 + 32.0, 10.0 - 2.0]));
    }
}
