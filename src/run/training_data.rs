//! Which of the kept configurations are trained on and which judge the machine: of every coupling that is learned an equal share, the couplings taking turns.

use crate::comm;
use crate::config::TrainSection;
use crate::error::{Error, Result};
use crate::spins::BitMatrix;
use crate::store::ConfigurationSet;

/// The kept configurations that are trained on: none if fresh ones are drawn.
pub fn kept_samples(section: &TrainSection) -> usize {
    if section.fresh_sweeps.is_some() { 0 } else { section.samples }
}

/// Finds the configurations that the section names, and splits them: (trained on, held out). The last ones of each coupling are never trained on. They come chain after
/// chain, so that they are those of the last chains where there are several.
///
/// # Errors
/// [`Error::Refused`] if the configurations are not those of the run file.
pub fn split(section: &TrainSection, sets: &[ConfigurationSet]) -> Result<(BitMatrix, BitMatrix)> {
    let couplings = section.couplings.len();
    let each = (kept_samples(section) + section.held_out) / couplings;
    let (mut training, mut held_out) = (Vec::new(), Vec::new());
    for (index, &coupling) in section.couplings.iter().enumerate() {
        let set = sets.iter().find(|set| set.size == section.size && set.coupling == coupling).ok_or_else(|| {
            Error::Refused(format!(
                "configurations.h5 holds no configurations of size {} at coupling {coupling}: remove results.h5 to sample again",
                section.size
            ))
        })?;
        let rows = set.spins.rows();
        if rows != each {
            return Err(Error::Refused(format!(
                "configurations.h5 holds {rows} configurations of size {} at coupling {coupling}, the run file asks for {each}: remove results.h5 to sample again",
                section.size
            )));
        }
        let kept = rows - comm::share(section.held_out, index, couplings).len();
        training.push(set.spins.slice_rows(0..kept));
        held_out.push(set.spins.slice_rows(kept..rows));
    }
    Ok((interleave(&training), interleave(&held_out)))
}

/// The configurations that a network of lattices of side `size` learned from, of all `couplings`, if `held_out` of them were not; `None` if some are not there.
pub fn trained_on(sets: &[ConfigurationSet], size: usize, couplings: &[f64], held_out: usize) -> Option<BitMatrix> {
    let of_coupling = |(index, coupling): (usize, &f64)| {
        let set = sets.iter().find(|set| set.size == size && set.coupling == *coupling)?;
        let kept = set.spins.rows().checked_sub(comm::share(held_out, index, couplings.len()).len())?;
        Some(set.spins.slice_rows(0..kept))
    };
    let parts: Option<Vec<BitMatrix>> = couplings.iter().enumerate().map(of_coupling).collect();
    parts.map(|parts| interleave(&parts))
}

/// The rows of several matrices, which take turns; those that have no more are passed over. So any first rows hold all couplings alike.
pub fn interleave(parts: &[BitMatrix]) -> BitMatrix {
    let columns = parts.first().map_or(0, BitMatrix::columns);
    let mut all = BitMatrix::new(parts.iter().map(BitMatrix::rows).sum(), columns);
    let longest = parts.iter().map(BitMatrix::rows).max().unwrap_or(0);
    let rows = (0..longest).flat_map(|row| parts.iter().filter(move |part| row < part.rows()).map(move |part| part.row(row)));
    rows.enumerate().for_each(|(place, words)| all.row_mut(place).copy_from_slice(words));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_take_turns() {
        let part = |first: u64, rows: usize| {
            let mut matrix = BitMatrix::new(rows, 10);
            (0..rows).for_each(|row| matrix.row_mut(row)[0] = first + row as u64);
            matrix
        };
        let words = |parts: &[BitMatrix]| interleave(parts).words().to_vec();
        assert_eq!(words(&[part(0, 3), part(100, 2), part(200, 3)]), [0, 100, 200, 1, 101, 201, 2, 202]);
        assert_eq!(interleave(&[part(7, 4)]), part(7, 4));
    }
}
