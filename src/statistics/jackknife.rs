//! Errors of functions of means. The draws are cut into blocks much longer than the memory of the chains; the function is evaluated with each block left out
//! in turn, and its scatter gives the error and the bias. Chains are never joined: a block belongs to one chain.
//!
//! The sums of a block are exact integers ([`Moments`]), so that leaving a block out is a subtraction without rounding. Blocks of a chain differ by one draw at
//! most; chains of different lengths are met by the weighted (delete-m) jackknife of Busing, Meijer and van der Leeden, Stat. Comput. 9, 3 (1999).

use crate::measure::Series;
use std::ops::Range;

/// More blocks than this sharpen the error by less than one per cent.
const MOST_BLOCKS: usize = 4096;
/// M^2 is split here into two halves, so that the sum of M^4 stays exact.
const HALF_BITS: u32 = 34;

/// Exact sums over draws of E and M, any lattice up to 2^34 sites and any number of draws up to 2^58.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Moments {
    draws: u64,
    energy: i128,
    energy_squared: i128,
    magnetization_squared: u128,
    /// With M^2 = high 2^34 + low: the sums of high^2, high low, low^2. M^4 itself, up to 2^136, would not fit.
    fourth_power: [u128; 3],
    /// The sum of the powers of the longest waves; not a number where a draw has none.
    wave_power: f64,
}

impl Moments {
    /// The sums over all draws of all chains.
    pub fn of(chains: &[Series]) -> Moments {
        chains.iter().map(|chain| Moments::of_draws(chain, 0..chain.len())).fold(Moments::default(), Moments::plus)
    }

    /// The sums over some draws of one chain.
    pub fn of_draws(chain: &Series, draws: Range<usize>) -> Moments {
        let wave_power = chain.wave_power.get(draws.clone()).map_or(f64::NAN, |powers| powers.iter().sum());
        let mut sums = Moments { wave_power, ..Moments::default() };
        for (&energy, &magnetization) in chain.energy[draws.clone()].iter().zip(&chain.magnetization[draws]) {
            let energy = i128::from(energy);
            let square = u128::from(magnetization.unsigned_abs()).pow(2);
            let (high, low) = (square >> HALF_BITS, square & ((1 << HALF_BITS) - 1));
            sums.draws += 1;
            sums.energy += energy;
            sums.energy_squared += energy * energy;
            sums.magnetization_squared += square;
            for (sum, product) in sums.fourth_power.iter_mut().zip([high * high, high * low, low * low]) {
                *sum += product;
            }
        }
        sums
    }

    fn plus(self, other: Moments) -> Moments {
        Moments {
            draws: self.draws + other.draws,
            energy: self.energy + other.energy,
            energy_squared: self.energy_squared + other.energy_squared,
            magnetization_squared: self.magnetization_squared + other.magnetization_squared,
            fourth_power: std::array::from_fn(|part| self.fourth_power[part] + other.fourth_power[part]),
            wave_power: self.wave_power + other.wave_power,
        }
    }

    fn minus(self, other: Moments) -> Moments {
        Moments {
            draws: self.draws - other.draws,
            energy: self.energy - other.energy,
            energy_squared: self.energy_squared - other.energy_squared,
            magnetization_squared: self.magnetization_squared - other.magnetization_squared,
            fourth_power: std::array::from_fn(|part| self.fourth_power[part] - other.fourth_power[part]),
            wave_power: self.wave_power - other.wave_power,
        }
    }

    /// The number of draws.
    pub fn draws(&self) -> u64 {
        self.draws
    }

    /// `<E>`, in units of J.
    pub fn mean_energy(&self) -> f64 {
        self.energy as f64 / self.draws as f64
    }

    /// `<E^2> - <E>^2`. The integers are first shifted by the whole number nearest to the mean, where nothing is lost by going over to floating point.
    pub fn energy_variance(&self) -> f64 {
        let draws = i128::from(self.draws);
        let shift = self.energy / draws;
        let first = (self.energy - draws * shift) as f64 / self.draws as f64;
        let second = (self.energy_squared - 2 * shift * self.energy + draws * shift * shift) as f64 / self.draws as f64;
        second - first * first
    }

    /// `<M^2>`.
    pub fn mean_square(&self) -> f64 {
        self.magnetization_squared as f64 / self.draws as f64
    }

    /// `<M^4>`.
    pub fn mean_fourth_power(&self) -> f64 {
        let half = f64::from(HALF_BITS).exp2();
        let [high, middle, low] = self.fourth_power.map(|sum| sum as f64);
        ((high * half + 2.0 * middle) * half + low) / self.draws as f64
    }

    /// xi / L = `sqrt(<M^2> / <power> - 1) / (2 L sin(pi / L))` on the torus of side L, from the mean power of the longest waves; 0 where the root is of a negative number.
    pub fn correlation_length_over_side(&self, side: usize) -> f64 {
        let side = side as f64;
        let ratio = self.magnetization_squared as f64 / self.wave_power;
        (ratio - 1.0).max(0.0).sqrt() / (2.0 * side * (std::f64::consts::PI / side).sin())
    }

    /// The mean power of the longest waves.
    pub fn mean_wave_power(&self) -> f64 {
        self.wave_power / self.draws as f64
    }

    /// U = `1 - <M^4> / (3 <M^2>^2)`; 0 where M is always 0.
    pub fn binder_cumulant(&self) -> f64 {
        if self.magnetization_squared == 0 { 0.0 } else { 1.0 - self.mean_fourth_power() / (3.0 * self.mean_square().powi(2)) }
    }
}

/// A jackknife estimate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jackknife {
    /// The value with the bias of order 1/N removed.
    pub mean: f64,
    /// Its standard error; infinite for fewer than two blocks.
    pub error: f64,
}

impl Jackknife {
    /// Value and error.
    pub fn pair(self) -> [f64; 2] {
        [self.mean, self.error]
    }
}

/// Cuts every chain into equal blocks of at least `shortest` draws (a chain shorter than that is one block), at most 4096 in all, and sums each.
pub fn blocks(chains: &[Series], shortest: f64) -> Vec<Moments> {
    let draws: usize = chains.iter().map(Series::len).sum();
    let shortest = shortest.max(draws as f64 / MOST_BLOCKS as f64).max(1.0);
    let mut blocks = Vec::new();
    for chain in chains.iter().filter(|chain| !chain.is_empty()) {
        let count = ((chain.len() as f64 / shortest) as usize).max(1);
        let edge = |block: usize| block * chain.len() / count;
        for block in 0..count {
            blocks.push(Moments::of_draws(chain, edge(block)..edge(block + 1)));
        }
    }
    blocks
}

/// Estimates a function of the moments, the whole way from the sums to the number.
pub fn estimate(blocks: &[Moments], quantity: &dyn Fn(&Moments) -> f64) -> Jackknife {
    let total = blocks.iter().copied().fold(Moments::default(), Moments::plus);
    let whole = quantity(&total);
    if blocks.len() < 2 {
        return Jackknife { mean: whole, error: f64::INFINITY };
    }
    let count = blocks.len() as f64;
    let changes: Vec<(f64, f64)> =
        blocks.iter().map(|block| (block.draws as f64 / total.draws as f64, quantity(&total.minus(*block)) - whole)).collect();
    // With h = 1 / share, the pseudo-value of a block is h whole - (h - 1) (value without it).
    let mean = whole - changes.iter().map(|(share, change)| (1.0 - share) * change).sum::<f64>();
    let squares = changes.iter().map(|(share, change)| {
        let others = 1.0 / share - 1.0;
        (whole - others * change - mean).powi(2) / others
    });
    Jackknife { mean, error: (squares.sum::<f64>() / count).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_exact_on_the_largest_lattice() {
        let largest = 1i64 << 34;
        let chains =
            vec![Series { energy: vec![-2 * largest, -2 * largest + 4], magnetization: vec![largest, -largest + 2], ..Series::default() }];
        let moments = Moments::of(&chains);
        assert_eq!(moments.energy_variance(), 4.0);
        let exact = (2f64.powi(34).powi(4) + (2f64.powi(34) - 2.0).powi(4)) / 2.0;
        assert!((moments.mean_fourth_power() / exact - 1.0).abs() < 1e-15);
        assert!(moments.binder_cumulant() > 0.666);
        assert_eq!(moments.plus(moments).minus(moments).mean_fourth_power(), moments.mean_fourth_power());
    }

    #[test]
    fn the_variance_of_few_draws_is_unbiased() {
        // Blocks of one draw: the jackknife turns the variance with 1/n into the variance with 1/(n-1), exactly; for a mean it gives the usual error.
        let chains = vec![Series { energy: vec![3, -5, 8, 11, 4], magnetization: vec![1, 2, 3, 4, 5], ..Series::default() }];
        let blocks = blocks(&chains, 1.0);
        assert_eq!(blocks.len(), 5);
        let variance = estimate(&blocks, &Moments::energy_variance);
        let exact = [3.0, -5.0, 8.0, 11.0, 4.0].iter().map(|value: &f64| (value - 4.2).powi(2)).sum::<f64>() / 4.0;
        assert!((variance.mean - exact).abs() < 1e-12, "{variance:?} {exact}");
        let mean = estimate(&blocks, &Moments::mean_energy);
        assert!((mean.mean - 4.2).abs() < 1e-12 && (mean.error - (exact / 5.0).sqrt()).abs() < 1e-12, "{mean:?}");
    }

    #[test]
    fn blocks_cover_every_draw_once() {
        let chain = |length: i64| Series { energy: (0..length).collect(), magnetization: (0..length).collect(), ..Series::default() };
        let chains = [chain(103), chain(7), chain(0), chain(50)];
        let blocks = blocks(&chains, 10.0);
        assert_eq!(blocks.len(), 10 + 1 + 5);
        let total = blocks.into_iter().fold(Moments::default(), Moments::plus);
        let whole = Moments::of(&chains);
        assert_eq!(
            (total.draws, total.energy, total.energy_squared, total.fourth_power),
            (whole.draws, whole.energy, whole.energy_squared, whole.fourth_power)
        );
    }
}
