//! Do chains still drift? After J. Geweke, in Bayesian Statistics 4 (1992): the mean over the first tenth of each chain against that over its last half. The differences of
//! independent chains have mean zero in equilibrium; their own scatter gives the error, memory included.

/// The mean difference between the first tenth and the last half of the chains, in standard errors; `None` for fewer than four chains of at least twenty draws, or where nothing moves.
pub fn drift(chains: &[Vec<f64>]) -> Option<f64> {
    const FEWEST_CHAINS: usize = 4;
    const FEWEST_DRAWS: usize = 20;
    if chains.len() < FEWEST_CHAINS || chains.iter().any(|chain| chain.len() < FEWEST_DRAWS) {
        return None;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let differences: Vec<f64> = chains.iter().map(|chain| mean(&chain[..chain.len() / 10]) - mean(&chain[chain.len() / 2..])).collect();
    let (average, count) = (mean(&differences), differences.len() as f64);
    let variance = differences.iter().map(|difference| (difference - average).powi(2)).sum::<f64>() / (count - 1.0);
    (variance > 0.0).then(|| average / (variance / count).sqrt())
}

/// How rarely chains in equilibrium show a drift as large: the two-sided probability of Student's t with one degree of freedom less than there are chains.
pub fn probability(drift: f64, chains: usize) -> f64 {
    let freedoms = chains.saturating_sub(1).max(1) as f64;
    statrs::function::beta::beta_reg(0.5 * freedoms, 0.5, freedoms / (freedoms + drift * drift))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Purpose, Stream};

    #[test]
    fn drifting_chains_are_told_from_stationary_ones() {
        // 400 sets of eight chains with tau = 10: one in a hundred has a probability below 0.01, give or take 0.005. A start four standard deviations off, forgotten over 100
        // draws, is seen in all.
        let mut stream = Stream::new(5, Purpose::Check, 0);
        let mut rare = [0; 2];
        for _ in 0..400 {
            for (start, rare) in [0.0, 4.0].into_iter().zip(&mut rare) {
                let chains: Vec<Vec<f64>> = (0..8)
                    .map(|_| {
                        let (mut value, mut offset) = (stream.normal(), start);
                        let draws = (0..2000).map(|_| {
                            value = 0.9 * value + 0.19f64.sqrt() * stream.normal();
                            offset *= 0.99;
                            value + offset
                        });
                        draws.collect()
                    })
                    .collect();
                *rare += usize::from(probability(drift(&chains).expect("eight chains"), chains.len()) < 0.01);
            }
        }
        assert!(rare[0] <= 14 && rare[1] >= 396, "{rare:?}");
        assert_eq!(drift(&[vec![0.0; 100], vec![1.0; 100]]), None);
        // Student's t: 2.365 is the 97.5 % point of seven degrees of freedom.
        assert!((probability(2.364_624, 8) - 0.05).abs() < 1e-6);
    }
}
