//! How fast a Markov chain forgets: integrated autocorrelation times in sweeps, and how they grow with the size, tau ~ L^z at the critical point.

use super::autocorrelation;
use super::least_squares::{Goodness, LeastSquares};
use super::scaling::WithError;
use crate::measure::Series;

/// An observable whose memory is followed: name in files, words, and its value at one draw.
type Followed = (&'static str, &'static str, fn(i64, i64) -> f64);

/// The observables whose autocorrelation times are compared across sizes.
pub const FOLLOWED: [Followed; 4] = [
    ("magnetization", "magnetization", |_, magnetization| magnetization as f64),
    ("absolute_magnetization", "absolute magnetization", |_, magnetization| magnetization.abs() as f64),
    ("magnetization_squared", "squared magnetization", |_, magnetization| (magnetization as f64).powi(2)),
    ("energy", "energy", |energy, _| energy as f64),
];

/// A time shorter than so many draws is not resolved: the sum over draws is no integral over sweeps. Of an exponential it is too large by (draw / tau)^2 / 12, which is half a
/// percent here.
const FEWEST_DRAWS: f64 = 4.0;
/// The fit that counts has at least this probability, as in [`super::scaling`]: with 0.1, chance would choose the sizes in one run of ten, and the error of the exponent would be too small.
const ACCEPTED: f64 = super::scaling::ACCEPTED;

/// tau of each of [`FOLLOWED`] in sweeps, with its error; `None` where it is shorter than four draws, or the chains are too short for it.
pub fn times(chains: &[Series], measure_every: usize) -> [Option<WithError>; FOLLOWED.len()] {
    FOLLOWED.map(|(_, _, value)| {
        let of_chain = |chain: &Series| chain.energy.iter().zip(&chain.magnetization).map(|(&e, &m)| value(e, m)).collect();
        let analysis = autocorrelation::analyse(chains.iter().map(of_chain).collect())?;
        let resolved = analysis.window_closed && analysis.autocorrelation_time >= FEWEST_DRAWS;
        let sweeps = measure_every as f64;
        resolved.then_some([analysis.autocorrelation_time * sweeps, analysis.autocorrelation_time_error * sweeps])
    })
}

/// A fit ln tau = const + z ln L from one smallest size on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExponentFit {
    /// The smallest size that took part.
    pub smallest_size: usize,
    /// z and its standard error.
    pub exponent: WithError,
    /// chi^2.
    pub goodness: Goodness,
    /// Whether it is the one that counts: the first from the smallest sizes on whose probability is at least [`super::scaling::ACCEPTED`], else the most probable.
    pub chosen: bool,
}

/// Fits the dynamic exponent z to (L, tau) from every smallest size on that leaves a degree of freedom.
pub fn exponents(times: &[(usize, WithError)]) -> Vec<ExponentFit> {
    let fit = |first: usize| {
        let kept = &times[first..];
        let design: Vec<Vec<f64>> = kept.iter().map(|&(size, _)| vec![1.0, (size as f64).ln()]).collect();
        let variance = |row: usize| (kept[row].1[1] / kept[row].1[0]).powi(2);
        let diagonal = |row: usize| (0..kept.len()).map(|column| if row == column { variance(row) } else { 0.0 }).collect();
        let squares = LeastSquares::new(&design, &(0..kept.len()).map(diagonal).collect::<Vec<Vec<f64>>>())?;
        let (parameters, goodness) = squares.fit(&kept.iter().map(|(_, [time, _])| time.ln()).collect::<Vec<f64>>());
        // The variance of the slope of a weighted line.
        let weights = || (0..kept.len()).map(|row| (1.0 / variance(row), design[row][1]));
        let total: f64 = weights().map(|(weight, _)| weight).sum();
        let centre = weights().map(|(weight, x)| weight * x).sum::<f64>() / total;
        let error = weights().map(|(weight, x)| weight * (x - centre).powi(2)).sum::<f64>().sqrt().recip();
        Some(ExponentFit { smallest_size: kept[0].0, exponent: [parameters[1], error], goodness, chosen: false })
    };
    let mut fits: Vec<ExponentFit> = (0..times.len().saturating_sub(2)).filter_map(fit).collect();
    let most_probable = || (0..fits.len()).max_by(|&one, &other| fits[one].goodness.p_value.total_cmp(&fits[other].goodness.p_value));
    let chosen = fits.iter().position(|fit| fit.goodness.p_value >= ACCEPTED).or_else(most_probable);
    if let Some(chosen) = chosen {
        fits[chosen].chosen = true;
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_law_gives_its_exponent_and_a_small_size_off_it_is_left_out() {
        let time = |size: usize| 0.3 * (size as f64).powf(2.17);
        let mut times: Vec<(usize, WithError)> = [8, 12, 16, 24, 32].map(|size| (size, [time(size), 0.01 * time(size)])).to_vec();
        let fits = exponents(&times);
        assert_eq!(fits.len(), 3);
        assert!(fits[0].chosen && (fits[0].exponent[0] - 2.17).abs() < 1e-10);
        // Errors of 1 % each: the error of the slope is 0.01 / sqrt(sum (x - mean)^2) with x = ln L.
        let logarithms: Vec<f64> = times.iter().map(|(size, _)| (*size as f64).ln()).collect();
        let mean = logarithms.iter().sum::<f64>() / 5.0;
        let spread: f64 = logarithms.iter().map(|x| (x - mean).powi(2)).sum();
        assert!((fits[0].exponent[1] - 0.01 / spread.sqrt()).abs() < 1e-12);
        times[0].1[0] *= 1.1;
        let fits = exponents(&times);
        assert!(!fits[0].chosen && fits[1].chosen, "{fits:?}");
        assert!(exponents(&times[..2]).is_empty());
    }
}
