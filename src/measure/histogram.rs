//! What is left of time series when their order is forgotten: how often each energy and each magnetization was seen, and sums over the draws of each energy. From these follow averages
//! at other couplings (A. M. Ferrenberg and R. H. Swendsen, Phys. Rev. Lett. 61, 2635 (1988)): `<A>_K' = sum over E of A(E) w(E) / sum over E of n(E) w(E)`, where n(E) counts the draws
//! at K, A(E) is the sum of A over them, and w(E) = exp(-(K' - K) E).

use super::Series;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Into so many groups, at most, the chains of an ensemble are put together. The groups are independent: a jackknife over them gives errors.
pub const MOST_GROUPS: usize = 32;

/// The draws of one energy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EnergyBin {
    /// E in units of J.
    pub energy: i64,
    /// The number of draws.
    pub count: u64,
    /// The sum of |M|.
    pub absolute_magnetization: f64,
    /// The sum of M^2.
    pub magnetization_squared: f64,
    /// The sum of M^4.
    pub magnetization_fourth_power: f64,
    /// The sum of the power of the longest waves ([`super::Observer::wave_power`]); `None` where it was not measured of every draw.
    pub wave_power: Option<f64>,
    /// The sums of the improved estimators, in the order of [`super::ClusterMoments::numbers`]; `None` where there are none.
    pub improved: [Option<f64>; 3],
}

impl EnergyBin {
    /// How many sums there are.
    pub const SUMS: usize = 7;

    /// All sums in the order of the fields; not a number where there is none.
    pub fn sums(&self) -> [f64; Self::SUMS] {
        let [square, fourth_power, wave_power] = self.improved.map(|sum| sum.unwrap_or(f64::NAN));
        let waves = self.wave_power.unwrap_or(f64::NAN);
        [self.absolute_magnetization, self.magnetization_squared, self.magnetization_fourth_power, waves, square, fourth_power, wave_power]
    }

    /// A bin with such sums.
    pub fn of_sums(energy: i64, count: u64, [absolute, square, fourth_power, waves, improved @ ..]: [f64; Self::SUMS]) -> Self {
        let known = |sum: f64| (!sum.is_nan()).then_some(sum);
        EnergyBin {
            energy,
            count,
            absolute_magnetization: absolute,
            magnetization_squared: square,
            magnetization_fourth_power: fourth_power,
            wave_power: known(waves),
            improved: improved.map(known),
        }
    }
}

/// The draws of some chains of one ensemble.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The draws of each of its chains.
    pub draws: Vec<usize>,
    /// By energy, ascending.
    pub energies: Vec<EnergyBin>,
    /// Every magnetization that was seen, ascending, and how often.
    pub magnetizations: Vec<(i64, u64)>,
}

impl Histogram {
    /// Of some chains. |M| and M^2 are added up as integers and rounded once, at the end; the other sums run in the order of the chains and their draws.
    pub fn of(chains: &[Series]) -> Histogram {
        let mut energies: BTreeMap<i64, Sums> = BTreeMap::new();
        let mut magnetizations: BTreeMap<i64, u64> = BTreeMap::new();
        for chain in chains {
            for (draw, (&energy, &magnetization)) in chain.energy.iter().zip(&chain.magnetization).enumerate() {
                energies.entry(energy).or_default().add(chain, draw);
                *magnetizations.entry(magnetization).or_default() += 1;
            }
        }
        Histogram {
            draws: chains.iter().map(Series::len).collect(),
            energies: energies.into_iter().map(|(energy, sums)| sums.bin(energy)).collect(),
            magnetizations: magnetizations.into_iter().collect(),
        }
    }

    /// Of all chains of an ensemble: each by itself, or neighbours together where there are more than [`MOST_GROUPS`].
    pub fn groups(chains: &[Series]) -> Vec<Histogram> {
        let groups = chains.len().min(MOST_GROUPS);
        (0..groups).map(|group| Histogram::of(&chains[group * chains.len() / groups..(group + 1) * chains.len() / groups])).collect()
    }
}

/// What is added up of the draws of one energy.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    count: u64,
    absolute: u128,
    square: u128,
    fourth_power: f64,
    wave_power: f64,
    improved: [f64; 3],
}

impl Sums {
    fn add(&mut self, chain: &Series, draw: usize) {
        let magnitude = u128::from(chain.magnetization[draw].unsigned_abs());
        let square = magnitude * magnitude;
        self.count += 1;
        self.absolute += magnitude;
        self.square += square;
        // Of the largest lattices it has 136 bits.
        self.fourth_power += (square as f64).powi(2);
        self.wave_power += chain.wave_power.get(draw).copied().unwrap_or(f64::NAN);
        let improved = chain.improved.get(draw).map_or([f64::NAN; 3], |moments| moments.numbers());
        self.improved.iter_mut().zip(improved).for_each(|(sum, value)| *sum += value);
    }

    fn bin(self, energy: i64) -> EnergyBin {
        let [square, fourth_power, wave_power] = self.improved;
        let sums = [self.absolute as f64, self.square as f64, self.fourth_power, self.wave_power, square, fourth_power, wave_power];
        EnergyBin::of_sums(energy, self.count, sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::{ClusterMoments, Measurement};

    #[test]
    fn nothing_but_the_order_is_lost() {
        let mut chain = Series::default();
        for (energy, magnetization, power) in [(-8, 4, 0.5), (0, -2, 0.25), (-8, -2, 1.0), (-8, 4, 2.0)] {
            chain.push_all(Measurement { energy, magnetization }, power);
            chain.improved.push(ClusterMoments { square: power, fourth_power: None, wave_power: Some(3.0) });
        }
        let found = Histogram::of(&[chain.clone(), chain]);
        assert_eq!(found.draws, [4, 4]);
        assert_eq!(found.magnetizations, [(-2, 4), (4, 4)]);
        let [low, zero] = found.energies[..] else { panic!("two energies") };
        assert_eq!((low.energy, low.count, zero.energy, zero.count), (-8, 6, 0, 2));
        assert_eq!((low.absolute_magnetization, low.magnetization_squared, low.magnetization_fourth_power), (20.0, 72.0, 1056.0));
        assert_eq!((low.wave_power, zero.wave_power), (Some(7.0), Some(0.5)));
        assert_eq!(low.improved, [Some(7.0), None, Some(18.0)]);
        assert_eq!(EnergyBin::of_sums(low.energy, low.count, low.sums()), low);
        // Chains that measured less say so.
        let mut plain = Series::default();
        plain.push(Measurement { energy: 0, magnetization: 0 });
        let [bin] = Histogram::of(&[plain]).energies[..] else { panic!("one energy") };
        assert_eq!((bin.wave_power, bin.improved), (None, [None; 3]));
    }

    #[test]
    fn sums_of_the_largest_lattices_do_not_overflow() {
        let magnetization = 1i64 << 34;
        let mut chain = Series::default();
        (0..1000).for_each(|_| chain.push(Measurement { energy: -2 * magnetization, magnetization }));
        let [bin] = Histogram::of(&[chain]).energies[..] else { panic!("one energy") };
        assert_eq!((bin.magnetization_squared, bin.magnetization_fourth_power), (1000.0 * 2f64.powi(68), 1000.0 * 2f64.powi(136)));
    }

    #[test]
    fn groups_take_all_chains_in_order() {
        let chain = |draws: usize| Series { energy: vec![0; draws], magnetization: vec![0; draws], ..Series::default() };
        for count in [0, 1, 8, 32, 33, 100, 512] {
            let chains: Vec<Series> = (0..count).map(|number| chain(number % 5)).collect();
            let groups = Histogram::groups(&chains);
            assert_eq!(groups.len(), count.min(MOST_GROUPS));
            let draws: Vec<usize> = groups.iter().flat_map(|group| group.draws.clone()).collect();
            assert_eq!(draws, (0..count).map(|number| number % 5).collect::<Vec<_>>());
        }
    }
}
