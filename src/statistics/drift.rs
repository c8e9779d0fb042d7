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

/// Do chains that began hot and chains that began cold still differ? The mean over the first tenth of every draws of the one kind less that of the other, in standard errors from the
/// scatter of the chains within each kind; `None` for fewer than two chains of either kind or twenty draws, or where nothing moves and nothing differs. Infinite where all chains stand
/// still, in different places.
pub fn difference_of_starts(hot: &[Vec<f64>], cold: &[Vec<f64>]) -> Option<f64> {
    const FEWEST_CHAINS: usize = 2;
    const FEWEST_DRAWS: usize = 20;
    if hot.len().min(cold.len()) < FEWEST_CHAINS || hot.iter().chain(cold).any(|chain| chain.len() < FEWEST_DRAWS) {
        return None;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let of_kind = |chains: &[Vec<f64>]| {
        let means: Vec<f64> = chains.iter().map(|chain| mean(&chain[..chain.len() / 10])).collect();
        let average = mean(&means);
        (average, means.iter().map(|mean| (mean - average).powi(2)).sum::<f64>(), means.len() as f64)
    };
    let ((hot, of_hot, hot_count), (cold, of_cold, cold_count)) = (of_kind(hot), of_kind(cold));
    let variance = (of_hot + of_cold) / (hot_count + cold_count - 2.0) * (1.0 / hot_count + 1.0 / cold_count);
    (variance > 0.0 || hot != cold).then(|| (hot - cold) / variance.sqrt())
}

/// How rarely chains in equilibrium show a drift as large: the two-sided probability of Student's t with one degree of freedom less than there are chains.
pub fn probability(drift: f64, chains: usize) -> f64 {
    super::confidence::two_sided(drift, chains.saturating_sub(1).max(1) as f64)
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
        // Twelve chains of which half began four standard deviations off, and all alike.
        for (start, seen) in [(0.0, false), (4.0, true)] {
            let mut kinds = [Vec::new(), Vec::new()];
            for chain in 0..12 {
                let (mut value, mut offset) = (stream.normal(), if chain % 2 == 0 { start } else { -start });
                let draws = (0..2000).map(|_| {
                    value = 0.9 * value + 0.19f64.sqrt() * stream.normal();
                    offset *= 0.99;
                    value + offset
                });
                kinds[chain % 2].push(draws.collect::<Vec<f64>>());
            }
            let rarity = probability(difference_of_starts(&kinds[0], &kinds[1]).expect("six chains of a kind"), 11);
            assert!(if seen { rarity < 1e-5 } else { rarity > 1e-3 }, "{start}: {rarity}");
        }
        assert_eq!(difference_of_starts(&[vec![1.0; 50], vec![1.0; 50]], &[vec![2.0; 50], vec![2.0; 50]]), Some(f64::NEG_INFINITY));
        assert_eq!(difference_of_starts(&[vec![1.0; 50], vec![1.0; 50]], &[vec![1.0; 50], vec![1.0; 50]]), None);
        assert_eq!(difference_of_starts(&[vec![1.0; 50]], &[vec![2.0; 50], vec![2.0; 50]]), None);
        // Student's t: 2.365 is the 97.5 % point of seven degrees of freedom.
        assert!((probability(2.364_624, 8) - 0.05).abs() < 1e-6);
    }
}
