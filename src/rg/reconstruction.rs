//! How much of a configuration comes back after going up a stack of machines and down again: the share of spins that agree.
//!
//! The input is data only, the probabilities p(v = 1) that came down beside the configurations that went up. Hold the result against
//! [`super::block_spin`]: blocks of the same compression are the mark to beat.

use super::Tally;
use crate::error::{Error, Result};
use crate::rbm::Matrix;
use crate::spins::{BitMatrix, WORD_BITS};

/// The agreement of reconstructions with their configurations, gathered in batches. All sums are integers: neither the order nor the size of the batches
/// matters, and parts may be gathered in parallel and merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    sites: usize,
    /// Of each configuration: see [`halves`].
    halves: Tally,
}

impl Agreement {
    /// Nothing gathered yet, for configurations of `sites` spins.
    pub fn new(sites: usize) -> Self {
        Agreement { sites, halves: Tally::default() }
    }

    /// That of configurations of `sites` spins which [`halves`] has counted.
    pub fn of(sites: usize, halves: &[i64]) -> Self {
        Agreement { sites, halves: halves.iter().copied().collect() }
    }

    /// Gathers a batch, as [`halves`] counts it.
    ///
    /// # Errors
    /// Those of [`halves`], and [`Error::Bug`] for configurations of other sites.
    pub fn add(&mut self, probabilities: &Matrix, configurations: &BitMatrix) -> Result<()> {
        if configurations.columns() != self.sites {
            return Err(misfit(probabilities, configurations));
        }
        self.merge(&Agreement::of(self.sites, &halves(probabilities, configurations)?));
        Ok(())
    }

    /// Counts in what was gathered elsewhere.
    pub fn merge(&mut self, other: &Agreement) {
        assert_eq!(self.sites, other.sites, "agreements of one lattice are merged");
        self.halves.merge(&other.halves);
    }

    /// The number of configurations gathered.
    pub fn configurations(&self) -> u64 {
        self.halves.count()
    }

    /// The share of spins that agree and its standard error over configurations, which are taken for independent: keep them far apart in the chain.
    pub fn mean_and_error(&self) -> [f64; 2] {
        self.halves.mean_and_error(2.0 * self.sites as f64)
    }
}

fn misfit(probabilities: &Matrix, configurations: &BitMatrix) -> Error {
    Error::Bug(format!(
        "{} x {} reconstructions were compared with {} x {} configurations.",
        probabilities.rows(),
        probabilities.columns(),
        configurations.rows(),
        configurations.columns()
    ))
}

/// Twice the number of agreeing spins of each configuration: row i of `probabilities` (rows x sites, p(v = 1)) came back from row i of `configurations`. A spin is
/// reconstructed as up where its probability is above 1/2, as down where it is below; exactly 1/2 says nothing and counts as half a success, the mean of a fair coin.
///
/// # Errors
/// [`Error::Bug`] if the shapes differ, [`Error::NotFinite`] if a probability is not a number.
pub fn halves(probabilities: &Matrix, configurations: &BitMatrix) -> Result<Vec<i64>> {
    if (probabilities.rows(), probabilities.columns()) != (configurations.rows(), configurations.columns()) {
        return Err(misfit(probabilities, configurations));
    }
    let of_row = |row: usize| {
        let mut halves = 0;
        for (chunk, &spins) in probabilities.row(row).chunks(WORD_BITS).zip(configurations.row(row)) {
            let (mut up, mut tie, mut number) = (0u64, 0u64, true);
            for (bit, &probability) in chunk.iter().enumerate() {
                up |= u64::from(probability > 0.5) << bit;
                tie |= u64::from(probability == 0.5) << bit;
                number &= !probability.is_nan();
            }
            if !number {
                return Err(Error::NotFinite(format!(
                    "a reconstructed probability in row {row} of a batch is not a number: the network diverged, lower `learning_rate` and train again"
                )));
            }
            let wrong = (up ^ spins) & !tie;
            halves += 2 * chunk.len() as i64 - 2 * i64::from(wrong.count_ones()) - i64::from(tie.count_ones());
        }
        Ok(halves)
    };
    (0..configurations.rows()).map(of_row).collect()
}

/// The agreement of one batch: see [`Agreement::add`] and [`Agreement::mean_and_error`].
///
/// # Errors
/// Those of [`Agreement::add`].
pub fn agreement(probabilities: &Matrix, configurations: &BitMatrix) -> Result<[f64; 2]> {
    let mut agreement = Agreement::new(configurations.columns());
    agreement.add(probabilities, configurations)?;
    Ok(agreement.mean_and_error())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    #[test]
    fn agreement_is_counted_spin_by_spin() {
        let mut configurations = BitMatrix::new(2, 4);
        configurations.set(0, 0, true);
        configurations.set(0, 1, true);
        // Row 0 is 1100 and comes back as 1, 0, 0, tie: 2.5 of 4. Row 1 is 0000 and comes back as 0001: 3 of 4.
        let probabilities = Matrix::from_unpadded(2, 4, &[0.9, 0.4, 0.1, 0.5, 0.0, 0.2, 0.499_999, 0.500_001]);
        let [mean, error] = agreement(&probabilities, &configurations).unwrap();
        // Shares 0.625 and 0.75: mean 0.6875, standard error |difference| / 2.
        assert!((mean - 0.6875).abs() < 1e-15 && (error - 0.0625).abs() < 1e-15, "{mean} {error}");
    }

    #[test]
    fn batches_add_up_to_the_whole() {
        let (rows, sites) = (37, 70);
        let mut stream = Stream::new(1, Purpose::Check, 1);
        let mut configurations = BitMatrix::new(rows, sites);
        let mut values = Vec::new();
        for row in 0..rows {
            for site in 0..sites {
                configurations.set(row, site, stream.word() >> 63 == 1);
                values.push(stream.uniform() as f32);
            }
        }
        let whole = agreement(&Matrix::from_unpadded(rows, sites, &values), &configurations).unwrap();
        let mut parts = [Agreement::new(sites), Agreement::new(sites)];
        for (part, range) in parts.iter_mut().zip([20..rows, 0..20]) {
            let batch = Matrix::from_unpadded(range.len(), sites, &values[range.start * sites..range.end * sites]);
            part.add(&batch, &configurations.slice_rows(range)).unwrap();
        }
        let [mut first, second] = parts;
        first.merge(&second);
        assert_eq!(first.mean_and_error(), whole);
        assert_eq!(first.configurations(), 37);
        // Unrelated spins: 1/2 within 5 standard errors, and the error is that of 2590 coins, 0.0098.
        assert!((whole[0] - 0.5).abs() < 0.05 && (whole[1] - 0.0098).abs() < 0.003, "{whole:?}");
    }

    #[test]
    fn what_is_not_a_number_is_not_counted() {
        let configurations = BitMatrix::new(1, 2);
        assert!(matches!(agreement(&Matrix::from_unpadded(1, 2, &[0.1, f32::NAN]), &configurations), Err(Error::NotFinite(_))));
        assert!(matches!(agreement(&Matrix::from_unpadded(1, 3, &[0.1; 3]), &configurations), Err(Error::Bug(_))));
    }
}
