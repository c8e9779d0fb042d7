//! The Gamma method: the error of a mean from the autocorrelation function itself (U. Wolff, Comput. Phys. Commun. 156, 143 (2004); equation numbers are
//! those of hep-lat/0306017).
//!
//! For draws a_r(i) of chain r, with the mean over all chains subtracted, Gamma(t) = sum_{r,i} a_r(i) a_r(i+t) / (N - R t). The variance of the mean is
//! C / N with C = Gamma(0) + 2 sum_{t <= W} Gamma(t), and tau = C / (2 Gamma(0)). The window W is where the truncated tail begins to matter less than the
//! noise that more terms would add. Long memory is met by averaging neighbouring draws in pairs, so that the work stays proportional to N.

use super::Estimate;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// The ratio S = (exponential) / (integrated) autocorrelation time that the window assumes; Wolff's recommendation.
const WINDOW_RATIO: f64 = 1.5;
/// When the window is not found within so many lags, the series is averaged in pairs and the search begins again.
const MOST_LAGS: usize = 64;
/// Lags computed in one pass over the data.
const LAGS_A_PASS: usize = 16;

/// What the Gamma method says of one observable of several chains.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Analysis {
    /// The mean over all draws.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
    /// The standard error of that error, Eq. (42).
    pub error_of_error: f64,
    /// Integrated autocorrelation time in draws; 1/2 for independent draws.
    pub autocorrelation_time: f64,
    /// Its standard error, Eq. (42).
    pub autocorrelation_time_error: f64,
    /// The summation window W, in draws.
    pub window: usize,
    /// Whether the chains were long enough for the window to close. If not, the error is a lower bound.
    pub window_closed: bool,
    /// Number of draws N of all chains.
    pub draws: usize,
    /// Probability that the means of the chains scatter as much as they do or more, given the error (Eq. (28)): below 1e-3, the chains are not in equilibrium
    /// or do not see the same region. 1 for a single chain.
    pub chains_agree: f64,
}

impl Analysis {
    /// The short form.
    pub fn estimate(&self) -> Estimate {
        Estimate {
            mean: self.mean,
            error: self.error,
            autocorrelation_time: self.autocorrelation_time,
            effective_samples: self.draws as f64 / (2.0 * self.autocorrelation_time),
        }
    }
}

/// Analyses one number a draw, `chains[chain][draw]`, of independent chains of the same process (lengths may differ). `None` below two draws in all.
pub fn analyse(mut chains: Vec<Vec<f64>>) -> Option<Analysis> {
    chains.retain(|chain| !chain.is_empty());
    let draws: usize = chains.iter().map(Vec::len).sum();
    if draws < 2 {
        return None;
    }
    let count = draws as f64;
    let first = chains[0][0];
    let never_changes = chains.iter().flatten().all(|&value| value == first);
    let chain_means: Vec<(f64, f64)> = chains.par_iter().map(|chain| (mean(chain), chain.len() as f64)).collect();
    let grand_mean = chain_means.iter().map(|(mean, length)| mean * length).sum::<f64>() / count;
    chains.par_iter_mut().for_each(|chain| chain.iter_mut().for_each(|value| *value -= grand_mean));

    let constant = Analysis {
        mean: if never_changes { first } else { grand_mean },
        error: 0.0,
        error_of_error: 0.0,
        autocorrelation_time: 0.5,
        autocorrelation_time_error: 0.0,
        window: 0,
        window_closed: true,
        draws,
        chains_agree: 1.0,
    };
    if never_changes {
        return Some(constant);
    }

    let mut width = 1;
    let mut sum = windowed_sum(&chains);
    let variance = sum.variance;
    while !sum.closed && sum.more_lags_exist {
        width *= 2;
        chains.par_iter_mut().for_each(average_pairs);
        sum = windowed_sum(&chains);
    }

    // C of pair averages is C / width: both describe the same variance of the mean. Noise can make the sum negative where neighbours are strongly
    // anticorrelated; the draws then count as independent. Subtracting the measured mean lowers every Gamma(t) by C / N, Eq. (49).
    let window = (sum.window * width) as f64;
    let integrated = if sum.integrated > 0.0 { sum.integrated * width as f64 } else { variance };
    let integrated = integrated * (1.0 + (2.0 * window + width as f64) / count);
    let variance = variance + integrated / count;
    let mut error = (integrated / count).sqrt();
    let degrees_of_freedom = chain_means.len() as f64 - 1.0;
    let scatter = chain_means.iter().map(|(mean, length)| length * (mean - grand_mean).powi(2)).sum::<f64>();
    if !sum.closed && chain_means.len() >= 4 {
        // The chains are shorter than their memory: their scatter is then the better witness.
        error = error.max((scatter / degrees_of_freedom / count).sqrt());
    }
    let autocorrelation_time = error * error * count / (2.0 * variance);
    Some(Analysis {
        error,
        error_of_error: error * ((window + 0.5) / count).sqrt(),
        autocorrelation_time,
        autocorrelation_time_error: 2.0 * autocorrelation_time * ((window - autocorrelation_time + 0.5).max(0.5) / count).sqrt(),
        window: sum.window * width,
        window_closed: sum.closed,
        chains_agree: super::chi_squared::survival(scatter / (error * error * count), degrees_of_freedom),
        ..constant
    })
}

struct WindowedSum {
    /// Gamma(0).
    variance: f64,
    /// Gamma(0) + 2 sum_{t <= W} Gamma(t).
    integrated: f64,
    window: usize,
    closed: bool,
    /// The search ended at [`MOST_LAGS`], not at the end of the chains.
    more_lags_exist: bool,
}

/// Sums Gamma(t) up to the automatic window, Eqs. (50)-(52).
fn windowed_sum(chains: &[Vec<f64>]) -> WindowedSum {
    let count = chains.iter().map(Vec::len).sum::<usize>() as f64;
    let longest_lag = chains.iter().map(Vec::len).min().unwrap_or(0) / 2;
    let most = longest_lag.min(MOST_LAGS);
    let (mut variance, mut integrated) = (0.0, 0.0);
    for first in (0..=most).step_by(LAGS_A_PASS) {
        for (offset, sum) in lag_sums(chains, first).into_iter().enumerate() {
            let lag = first + offset;
            if lag > most {
                break;
            }
            let gamma = sum / (count - (chains.len() * lag) as f64);
            if lag == 0 {
                (variance, integrated) = (gamma, gamma);
                continue;
            }
            integrated += 2.0 * gamma;
            let remembered = 0.5 * (integrated / variance - 1.0);
            let decay = if remembered <= 0.0 { f64::EPSILON } else { WINDOW_RATIO / (1.0 + 1.0 / remembered).ln() };
            let lags = lag as f64;
            if (-lags / decay).exp() < decay / (lags * count).sqrt() {
                return WindowedSum { variance, integrated, window: lag, closed: true, more_lags_exist: false };
            }
        }
    }
    WindowedSum { variance, integrated, window: most, closed: false, more_lags_exist: longest_lag > most }
}

/// For t = first .. first + 16: the sums of a(i) a(i+t) within each chain, added chain by chain.
fn lag_sums(chains: &[Vec<f64>], first: usize) -> [f64; LAGS_A_PASS] {
    let of_chain = |chain: &Vec<f64>| {
        let mut sums = [0.0; LAGS_A_PASS];
        let later = chain.get(first..).unwrap_or(&[]);
        for (value, shifted) in chain.iter().zip(later.windows(LAGS_A_PASS)) {
            for lag in 0..LAGS_A_PASS {
                sums[lag] += value * shifted[lag];
            }
        }
        let complete = (later.len() + 1).saturating_sub(LAGS_A_PASS);
        for start in complete..later.len() {
            for (sum, shifted) in sums.iter_mut().zip(&later[start..]) {
                *sum += chain[start] * shifted;
            }
        }
        sums
    };
    let of_chains: Vec<[f64; LAGS_A_PASS]> = chains.par_iter().map(of_chain).collect();
    let mut total = [0.0; LAGS_A_PASS];
    for sums in of_chains {
        for lag in 0..LAGS_A_PASS {
            total[lag] += sums[lag];
        }
    }
    total
}

/// Replaces a chain by the averages of its neighbouring pairs; an odd last draw is left out of the correlations (it stays in the mean).
fn average_pairs(chain: &mut Vec<f64>) {
    let pairs = chain.len() / 2;
    for pair in 0..pairs {
        chain[pair] = 0.5 * (chain[2 * pair] + chain[2 * pair + 1]);
    }
    chain.truncate(pairs);
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    /// x' = a x + noise, of unit variance: Gamma(t) = a^t, tau = 1/2 (1 + a) / (1 - a).
    fn autoregressive(memory: f64, draws: usize, seed: u64, index: u64) -> Vec<f64> {
        let mut stream = Stream::new(seed, Purpose::Check, index);
        let noise = (1.0 - memory * memory).sqrt();
        let mut value = stream.normal();
        (0..draws)
            .map(|_| {
                value = memory * value + noise * stream.normal();
                value
            })
            .collect()
    }

    fn time_of(memory: f64) -> f64 {
        0.5 * (1.0 + memory) / (1.0 - memory)
    }

    #[test]
    fn lag_sums_are_the_definition() {
        let chains = vec![autoregressive(0.5, 37, 1, 0), autoregressive(0.5, 20, 1, 1), autoregressive(0.5, 3, 1, 2)];
        for first in [0, 1, 16, 32] {
            for (offset, sum) in lag_sums(&chains, first).into_iter().enumerate() {
                let lag = first + offset;
                let direct: f64 = chains.iter().map(|c| (lag..c.len()).map(|i| c[i - lag] * c[i]).sum::<f64>()).sum();
                assert!((sum - direct).abs() < 1e-12, "lag {lag}: {sum} {direct}");
            }
        }
    }

    #[test]
    fn the_autocorrelation_time_of_autoregressive_chains() {
        // The windows of 0.95 and above lie beyond MOST_LAGS, so that pair averages are used.
        for (memory, draws) in [(0.0, 50_000), (0.5, 50_000), (0.9, 100_000), (0.95, 100_000), (0.99, 400_000), (0.999, 1_000_000)] {
            let chains = (0..4).map(|index| autoregressive(memory, draws, 20, index)).collect();
            let analysis = analyse(chains).expect("many draws");
            let pull = (analysis.autocorrelation_time - time_of(memory)) / analysis.autocorrelation_time_error;
            assert!(analysis.window_closed && pull.abs() < 3.5, "memory {memory}: {analysis:?}");
            assert!(analysis.autocorrelation_time_error < 0.12 * time_of(memory), "memory {memory}: {analysis:?}");
            assert!((analysis.mean / analysis.error).abs() < 3.5);
        }
    }

    #[test]
    fn the_autocorrelation_time_and_its_error_are_unbiased() {
        // tau = 1, 10, 100 from chains of 20 000 tau each: the mean over the repeats within 2 % (tau) and the scatter within its own noise of the stated error.
        for time in [1.0, 10.0, 100.0] {
            let memory = (2.0 * time - 1.0) / (2.0 * time + 1.0);
            let (repeats, draws) = (60, (5000.0 * time) as usize);
            let found: Vec<Analysis> = (0..repeats)
                .into_par_iter()
                .map(|repeat| analyse((0..4).map(|chain| autoregressive(memory, draws, 77, 4 * repeat + chain)).collect()).expect("draws"))
                .collect();
            let mean = |of: &dyn Fn(&Analysis) -> f64| found.iter().map(of).sum::<f64>() / repeats as f64;
            let average = mean(&|one| one.autocorrelation_time);
            assert!((average / time - 1.0).abs() < 0.02, "tau {time}: {average}");
            let scatter = mean(&|one| (one.autocorrelation_time - average).powi(2)).sqrt();
            let stated = mean(&|one| one.autocorrelation_time_error);
            // A scatter of 60 has an error of 9 %.
            assert!((stated / scatter - 1.0).abs() < 0.35, "tau {time}: stated {stated}, scatter {scatter}");
        }
    }

    #[test]
    fn pulls_have_unit_variance_and_naive_ones_have_not() {
        // 400 repeats: the variance of the pulls has standard error sqrt(2/400) = 0.07, and must lie within 4 of these; an error without tau gives 19.
        let (memory, repeats) = (0.9, 400);
        let (mut squares, mut naive_squares, mut agreement) = (0.0, 0.0, Vec::new());
        for repeat in 0..repeats {
            let chains: Vec<_> = (0..3).map(|chain| autoregressive(memory, 4000, 31, 3 * repeat + chain)).collect();
            let analysis = analyse(chains).expect("many draws");
            squares += (analysis.mean / analysis.error).powi(2);
            let naive = analysis.error / (2.0 * analysis.autocorrelation_time).sqrt();
            naive_squares += (analysis.mean / naive).powi(2);
            agreement.push(analysis.chains_agree);
        }
        let (variance, naive_variance) = (squares / repeats as f64, naive_squares / repeats as f64);
        let believable = |variance: f64| (variance - 1.0).abs() < 4.0 * (2.0 / repeats as f64).sqrt();
        assert!(believable(variance), "variance of the pulls {variance}");
        assert!(!believable(naive_variance), "the mutant without autocorrelation passes: {naive_variance}");
        // Probabilities are uniform: the share below 1/4 is 0.25 +- 0.022.
        let share = agreement.iter().filter(|&&probability| probability < 0.25).count() as f64 / repeats as f64;
        assert!((share - 0.25).abs() < 0.09, "share of small probabilities {share}");
    }

    #[test]
    fn chains_that_disagree_are_noticed() {
        let mut chains: Vec<_> = (0..4).map(|index| autoregressive(0.5, 5000, 40, index)).collect();
        assert!(analyse(chains.clone()).expect("many draws").chains_agree > 1e-3);
        chains[2].iter_mut().for_each(|value| *value += 0.3);
        assert!(analyse(chains).expect("many draws").chains_agree < 1e-6);
    }

    #[test]
    fn degenerate_series() {
        assert_eq!(analyse(vec![]), None);
        assert_eq!(analyse(vec![vec![], vec![1.0]]), None);
        let constant = analyse(vec![vec![0.1; 1000], vec![0.1; 10]]).expect("draws");
        assert_eq!((constant.error, constant.autocorrelation_time), (0.0, 0.5));
        let alternating = analyse(vec![(0..1000).map(|i| f64::from(i % 2)).collect()]).expect("draws");
        assert!(alternating.error.is_finite() && alternating.autocorrelation_time < 0.51, "{alternating:?}");
        for draws in 2..40 {
            let short = analyse(vec![autoregressive(0.9, draws, 50, 0)]).expect("draws");
            assert!(short.error.is_finite() && short.error >= 0.0 && short.autocorrelation_time > 0.0, "{short:?}");
        }
    }
}
