//! The little linear algebra of the renormalization group, for matrices that fit on a page or in a cache: linear systems, the eigenvalues of small matrices, and the
//! eigenvectors of symmetric ones. Sums run in one order, so that the same bits come out anywhere.

use crate::error::{Error, Result};

/// The most steps of the QL iteration for one eigenvalue; two or three are usual.
const MOST_STEPS: usize = 60;

/// The solution x of A x = b by elimination with row pivoting; `None` if A is singular. A is row-major.
///
/// # Panics
/// If A is not square of the size of b.
pub fn solve(matrix: &[f64], right_hand_side: &[f64]) -> Option<Vec<f64>> {
    let size = right_hand_side.len();
    assert_eq!(matrix.len(), size * size, "a square matrix of the size of the right-hand side");
    let (mut a, mut x) = (matrix.to_vec(), right_hand_side.to_vec());
    for column in 0..size {
        let pivot = (column..size).max_by(|&i, &j| a[i * size + column].abs().total_cmp(&a[j * size + column].abs()))?;
        if a[pivot * size + column] == 0.0 || !a[pivot * size + column].is_finite() {
            return None;
        }
        (0..size).for_each(|k| a.swap(pivot * size + k, column * size + k));
        x.swap(pivot, column);
        for row in column + 1..size {
            let factor = a[row * size + column] / a[column * size + column];
            for k in column..size {
                a[row * size + k] -= factor * a[column * size + k];
            }
            x[row] -= factor * x[column];
        }
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|k| a[row * size + k] * x[k]).sum();
        x[row] = (x[row] - known) / a[row * size + row];
    }
    Some(x)
}

/// The transposed matrix.
pub fn transposed(matrix: &[f64], rows: usize) -> Vec<f64> {
    let columns = matrix.len().checked_div(rows).unwrap_or(0);
    (0..columns).flat_map(|column| (0..rows).map(move |row| matrix[row * columns + column])).collect()
}

/// The eigenvalues of a small real matrix as (real, imaginary), the largest modulus first: the roots of its characteristic polynomial (Faddeev-LeVerrier), all at once by
/// the iteration of Durand and Kerner. Meant for the well separated eigenvalues of a linearized renormalization step, up to about 8 x 8.
///
/// # Panics
/// If the matrix is not square.
pub fn eigenvalues(matrix: &[f64], size: usize) -> Vec<[f64; 2]> {
    assert_eq!(matrix.len(), size * size, "a square matrix");
    let polynomial = characteristic_polynomial(matrix, size);
    let bound = 1.0 + polynomial.iter().fold(0f64, |largest, coefficient| largest.max(coefficient.abs()));
    let mut roots: Vec<[f64; 2]> = (0..size)
        .map(|index| {
            let angle = std::f64::consts::TAU * index as f64 / size as f64 + 0.4;
            [0.5 * bound * angle.cos(), 0.5 * bound * angle.sin()]
        })
        .collect();
    for _ in 0..2000 {
        let mut change = 0f64;
        for index in 0..size {
            // The polynomial is monic: x^n + c_(n-1) x^(n-1) + ... + c_0.
            let value = polynomial.iter().rev().fold([1.0, 0.0], |sum, &coefficient| {
                let product = times(sum, roots[index]);
                [product[0] + coefficient, product[1]]
            });
            let others = (0..size).filter(|&other| other != index);
            let product = others
                .fold([1.0, 0.0], |product, other| times(product, [roots[index][0] - roots[other][0], roots[index][1] - roots[other][1]]));
            let step = over(value, product);
            if step.iter().all(|part| part.is_finite()) {
                roots[index] = [roots[index][0] - step[0], roots[index][1] - step[1]];
                change = change.max(step[0].hypot(step[1]));
            }
        }
        if change <= 1e-15 * bound.min(1e3) {
            break;
        }
    }
    for root in &mut roots {
        if root[1].abs() < 1e-7 * root[0].abs().max(1e-300) {
            root[1] = 0.0;
        }
    }
    roots.sort_by(|one, other| other[0].hypot(other[1]).total_cmp(&one[0].hypot(one[1])));
    roots
}

/// c_0, ..., c_(n-1) of det(x - A) = x^n + c_(n-1) x^(n-1) + ... + c_0.
fn characteristic_polynomial(matrix: &[f64], size: usize) -> Vec<f64> {
    let mut coefficients = vec![0.0; size];
    let mut auxiliary = vec![0.0; size * size];
    let mut leading = 1.0;
    for step in 1..=size {
        // M_k = A M_(k-1) + c_(n-k+1), c_(n-k) = -tr(A M_k) / k.
        let mut next = product(matrix, &auxiliary, size);
        (0..size).for_each(|i| next[i * size + i] += leading);
        let trace: f64 = product(matrix, &next, size).iter().step_by(size + 1).sum();
        leading = -trace / step as f64;
        coefficients[size - step] = leading;
        auxiliary = next;
    }
    coefficients
}

/// The product of two square matrices.
pub fn product(one: &[f64], other: &[f64], size: usize) -> Vec<f64> {
    let mut result = vec![0.0; size * size];
    for (row, sums) in one.chunks_exact(size.max(1)).zip(result.chunks_exact_mut(size.max(1))) {
        for (factor, values) in row.iter().zip(other.chunks_exact(size)) {
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += factor * value);
        }
    }
    result
}

fn times(one: [f64; 2], other: [f64; 2]) -> [f64; 2] {
    [one[0] * other[0] - one[1] * other[1], one[0] * other[1] + one[1] * other[0]]
}

fn over(one: [f64; 2], other: [f64; 2]) -> [f64; 2] {
    let square = other[0] * other[0] + other[1] * other[1];
    let top = times(one, [other[0], -other[1]]);
    [top[0] / square, top[1] / square]
}

/// The eigenvectors of a symmetric matrix with the largest eigenvalues.
#[derive(Debug, Clone, PartialEq)]
pub struct Eigen {
    /// All eigenvalues, the largest first.
    pub values: Vec<f64>,
    /// The first eigenvectors, one a row, each of length 1; the sign is that of the iteration.
    pub vectors: Vec<f64>,
}

/// Eigenvalues, and the eigenvectors of the `wanted` largest, of a symmetric matrix (row-major; only what stands in it, not its symmetry, is relied on to be finite):
/// Householder's reduction to a tridiagonal matrix, then implicit QL steps. About 8 n^3 operations.
///
/// # Errors
/// [`Error::NotFinite`] if the iteration does not end, which happens only where a number is not finite.
///
/// # Panics
/// If the matrix is not square.
pub fn symmetric_eigen(matrix: &[f64], size: usize, wanted: usize) -> Result<Eigen> {
    assert_eq!(matrix.len(), size * size, "a square matrix");
    let (mut diagonal, mut beside, reflectors) = tridiagonal(matrix.to_vec(), size);
    let mut vectors = vec![0.0; size * size];
    (0..size).for_each(|i| vectors[i * size + i] = 1.0);
    ql(&mut diagonal, &mut beside, &mut vectors, size)?;
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&i, &j| diagonal[j].total_cmp(&diagonal[i]));
    let mut found = Vec::with_capacity(wanted.min(size) * size);
    for &index in order.iter().take(wanted) {
        let mut vector = vectors[index * size..(index + 1) * size].to_vec();
        for (first, reflector) in reflectors.iter().enumerate().rev() {
            let part = &mut vector[first + 1..];
            let twice = 2.0 * dot(reflector, part);
            part.iter_mut().zip(reflector).for_each(|(value, unit)| *value -= twice * unit);
        }
        found.extend(vector);
    }
    Ok(Eigen { values: order.iter().map(|&index| diagonal[index]).collect(), vectors: found })
}

/// The diagonal, what stands beside it, and the unit vectors of the reflections, the k-th of which acts on the components from k + 1 on.
fn tridiagonal(mut a: Vec<f64>, size: usize) -> (Vec<f64>, Vec<f64>, Vec<Vec<f64>>) {
    let (mut beside, mut reflectors) = (vec![0.0; size], Vec::new());
    for k in 0..size.saturating_sub(1) {
        let mut vector = a[k * size + k + 1..(k + 1) * size].to_vec();
        let norm = dot(&vector, &vector).sqrt();
        let alpha = if vector[0] > 0.0 { -norm } else { norm };
        beside[k] = alpha;
        vector[0] -= alpha;
        let length = dot(&vector, &vector).sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|value| *value /= length);
            let mut image: Vec<f64> = (k + 1..size).map(|row| dot(&a[row * size + k + 1..(row + 1) * size], &vector)).collect();
            let along = dot(&vector, &image);
            image.iter_mut().zip(&vector).for_each(|(value, unit)| *value -= along * unit);
            for (index, row) in (k + 1..size).enumerate() {
                let (one, other) = (2.0 * vector[index], 2.0 * image[index]);
                let values = &mut a[row * size + k + 1..(row + 1) * size];
                for ((value, image), unit) in values.iter_mut().zip(&image).zip(&vector) {
                    *value -= one * image + other * unit;
                }
            }
        }
        reflectors.push(vector);
    }
    ((0..size).map(|i| a[i * size + i]).collect(), beside, reflectors)
}

/// Implicit QL: the tridiagonal matrix becomes diagonal, the rows of `vectors` its eigenvectors.
fn ql(d: &mut [f64], e: &mut [f64], vectors: &mut [f64], size: usize) -> Result<()> {
    // Entries of the size of the rounding errors of the whole matrix are zero: many eigenvalues may be exactly that.
    let norm = d.iter().zip(e.iter()).fold(0f64, |largest, (d, e)| largest.max(d.abs() + e.abs()));
    let negligible = 0.25 * f64::EPSILON * norm;
    for l in 0..size {
        for step in 0.. {
            let small = |m: usize| e[m].abs() <= negligible.max(f64::EPSILON * (d[m].abs() + d[m + 1].abs()));
            let m = (l..size - 1).find(|&m| small(m)).unwrap_or(size - 1);
            if m == l {
                break;
            }
            if step == MOST_STEPS {
                return Err(Error::NotFinite(
                    "the eigenvalues of a symmetric matrix were not found, which happens where its numbers are not finite: look at the run that made them".to_string(),
                ));
            }
            let slope = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let mut g = d[m] - d[l] + e[l] / (slope + slope.hypot(1.0).copysign(slope));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut split = false;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                let r = f64::hypot(f, g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    split = true;
                    break;
                }
                (s, c) = (f / r, g / r);
                g = d[i + 1] - p;
                let r = (d[i] - g) * s + 2.0 * c * b;
                p = s * r;
                d[i + 1] = g + p;
                g = c * r - b;
                let (upper, lower) = vectors.split_at_mut((i + 1) * size);
                for (one, other) in upper[i * size..].iter_mut().zip(&mut lower[..size]) {
                    (*one, *other) = (c * *one - s * *other, s * *one + c * *other);
                }
            }
            if !split {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
        }
    }
    Ok(())
}

/// The scalar product in eight sums of fixed order, which the compiler can keep side by side.
pub fn dot(one: &[f64], other: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (blocks, rest) = one.as_chunks::<8>();
    let (others, other_rest) = other.as_chunks::<8>();
    for (block, other) in blocks.iter().zip(others) {
        for lane in 0..8 {
            sums[lane] += block[lane] * other[lane];
        }
    }
    let tail: f64 = rest.iter().zip(other_rest).map(|(one, other)| one * other).sum();
    sums.iter().sum::<f64>() + tail
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    fn random(count: usize, index: u64) -> Vec<f64> {
        let mut stream = Stream::new(7, Purpose::Check, index);
        (0..count).map(|_| stream.normal()).collect()
    }

    #[test]
    fn systems_are_solved() {
        let (matrix, wanted) = (random(36, 1), random(6, 2));
        let right: Vec<f64> = matrix.chunks(6).map(|row| dot(row, &wanted)).collect();
        for (found, wanted) in solve(&matrix, &right).unwrap().iter().zip(&wanted) {
            assert!((found - wanted).abs() < 1e-12);
        }
        assert!(solve(&[1.0, 2.0, 2.0, 4.0], &[1.0, 1.0]).is_none());
        assert_eq!(transposed(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }

    #[test]
    fn eigenvalues_are_those_that_were_put_in() {
        // A = S diag(2.1, 0.9, -0.4, 0.1) S^-1, from the solutions of S x = column.
        let (basis, wanted) = (random(16, 3), [2.1, 0.9, -0.4, 0.1]);
        let mut matrix = vec![0.0; 16];
        for column in 0..4 {
            let unit: Vec<f64> = (0..4).map(|i| f64::from(i == column)).collect();
            let inverse = solve(&basis, &unit).unwrap();
            for row in 0..4 {
                matrix[row * 4 + column] = (0..4).map(|k| basis[row * 4 + k] * wanted[k] * inverse[k]).sum();
            }
        }
        for (found, wanted) in eigenvalues(&matrix, 4).iter().zip(wanted) {
            assert!((found[0] - wanted).abs() < 1e-11 && found[1] == 0.0, "{found:?} and {wanted}");
        }
        let turn = eigenvalues(&[0.0, -2.0, 2.0, 0.0], 2);
        assert!(turn.iter().all(|root| root[0].abs() < 1e-14 && (root[1].abs() - 2.0).abs() < 1e-14));
    }

    #[test]
    fn symmetric_matrices_are_taken_apart_and_put_together_again() {
        for size in [1, 2, 5, 40] {
            let raw = random(size * size, size as u64);
            let matrix: Vec<f64> = (0..size * size).map(|index| raw[index] + raw[index % size * size + index / size]).collect();
            let eigen = symmetric_eigen(&matrix, size, size).unwrap();
            assert!(eigen.values.is_sorted_by(|one, other| one >= other));
            for i in 0..size {
                for j in 0..size {
                    let rebuilt: f64 = (0..size).map(|k| eigen.values[k] * eigen.vectors[k * size + i] * eigen.vectors[k * size + j]).sum();
                    assert!((rebuilt - matrix[i * size + j]).abs() < 1e-12 * size as f64);
                    let overlap = dot(&eigen.vectors[i * size..(i + 1) * size], &eigen.vectors[j * size..(j + 1) * size]);
                    assert!((overlap - f64::from(i == j)).abs() < 1e-12);
                }
            }
        }
        assert!(symmetric_eigen(&[f64::NAN; 9], 3, 3).is_err());
    }
}
