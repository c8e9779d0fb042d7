//! What the clusters of a cluster algorithm say of the magnetization beyond one configuration: its moments averaged over all signs that the clusters may take ("improved estimators",
//! U. Wolff, Phys. Rev. Lett. 60, 1461 (1988)).
//!
//! Given its clusters, the spins of a Swendsen-Wang configuration are fair coins, one a cluster. With n_c sites in cluster c, the mean over the coins is
//! M^2 -> sum n_c^2, M^4 -> 3 (sum n_c^2)^2 - 2 sum n_c^4, and the power of a wave -> sum of `|sum over the sites of c of e^(ikx)|^2`. These have the same averages as M^2, M^4 and the
//! power, and smaller variances. A cluster of Wolff's algorithm is one of these, found with probability n_c / N, so that its size has the mean `sum n_c^2 / N`.
//!
//! They hold at the coupling of the chain alone: reweighting needs the energy of the same signs.

use crate::elementary::sine_and_cosine;
use crate::kernels::tiles::{FIRST_COLUMN, TILE};
use crate::lattice::Torus;
use serde::{Deserialize, Serialize};

/// Improved estimators of one draw.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ClusterMoments {
    /// Of M^2 / N^2.
    pub square: f64,
    /// Of M^4 / N^4; `None` where single clusters do not tell it.
    pub fourth_power: Option<f64>,
    /// Of the power of the longest waves over N^2 ([`super::Observer::wave_power`]); `None` where it was not asked for.
    pub wave_power: Option<f64>,
}

impl ClusterMoments {
    /// What is kept of a draw, as numbers in the order of the fields; not a number where there is none.
    pub fn numbers(self) -> [f64; 3] {
        [self.square, self.fourth_power.unwrap_or(f64::NAN), self.wave_power.unwrap_or(f64::NAN)]
    }

    /// The reverse of [`Self::numbers`].
    pub fn of_numbers([square, fourth_power, wave_power]: [f64; 3]) -> Self {
        let known = |value: f64| (!value.is_nan()).then_some(value);
        ClusterMoments { square, fourth_power: known(fourth_power), wave_power: known(wave_power) }
    }
}

/// The wave of a cluster over its sites, below which it is one of rounding errors: far above these, and in practice far below what a cluster with a wave has.
const ROUNDING: f64 = 1e-12;

/// What is summed up of one cluster.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    sites: u64,
    /// Real and imaginary part of the longest wave along each axis.
    waves: [[f64; 2]; 3],
}

/// The clusters of one decomposition of a lattice, site by site. Made once, used for every draw that is looked at.
#[derive(Debug, Clone)]
pub struct ClusterCensus {
    torus: Torus,
    /// Axes whose waves are summed: all or none.
    axes: usize,
    /// Of each coordinate, and of those that a tile has beyond the side.
    phases: Vec<[f64; 2]>,
    clusters: Vec<Sums>,
}

impl ClusterCensus {
    /// For the lattices of a torus, with the longest waves or without.
    pub fn new(torus: impl Into<Torus>, with_waves: bool) -> Self {
        let torus = torus.into();
        let (side, axes) = (torus.side(), if with_waves { torus.dimension() } else { 0 });
        let phase = |place: usize| {
            let (sine, cosine) = sine_and_cosine(std::f64::consts::TAU * place as f64 / side as f64);
            [cosine, sine]
        };
        ClusterCensus { torus, axes, phases: (0..if with_waves { side + TILE } else { 0 }).map(phase).collect(), clusters: Vec::new() }
    }

    /// Forgets all clusters.
    pub fn clear(&mut self) {
        self.clusters.clear();
    }

    /// One site, by its coordinates, of the cluster number `cluster`; a new cluster has the number that no other had, the smallest one.
    #[inline]
    pub fn add(&mut self, cluster: usize, place: [usize; 3]) {
        if cluster == self.clusters.len() {
            self.clusters.push(Sums::default());
        }
        let sums = &mut self.clusters[cluster];
        sums.sites += 1;
        for (wave, coordinate) in sums.waves.iter_mut().zip(place).take(self.axes) {
            let [cosine, sine] = self.phases[coordinate];
            *wave = [wave[0] + cosine, wave[1] + sine];
        }
    }

    /// The sites of a cluster of the square lattice in the tile of 8 x 8 sites at a corner: bit 8 y + x for the site x columns and y rows away from it. Clusters are numbered as for [`Self::add`].
    #[inline]
    pub fn add_tile(&mut self, cluster: usize, [left, top]: [usize; 2], sites: u64) {
        if cluster == self.clusters.len() {
            self.clusters.push(Sums::default());
        }
        let sums = &mut self.clusters[cluster];
        sums.sites += u64::from(sites.count_ones());
        if self.axes == 0 {
            return;
        }
        let [along, down] = [&self.phases[left..left + TILE], &self.phases[top..top + TILE]];
        let (mut first, mut second) = (sums.waves[0], sums.waves[1]);
        for place in 0..TILE {
            let column = f64::from((sites >> place & FIRST_COLUMN).count_ones());
            let row = f64::from((sites >> (TILE * place) & 0xFF).count_ones());
            first = [first[0] + column * along[place][0], first[1] + column * along[place][1]];
            second = [second[0] + row * down[place][0], second[1] + row * down[place][1]];
        }
        (sums.waves[0], sums.waves[1]) = (first, second);
    }

    /// What all clusters together say. The sums run in the order of the clusters, so that the numbers are the same everywhere.
    pub fn moments(&self) -> ClusterMoments {
        let sites = self.torus.sites() as f64;
        // Exact integers up to 2^32 sites; cluster algorithms have no more.
        let (mut squares, mut fourths, mut power) = (0u128, 0u128, 0.0);
        for sums in &self.clusters {
            let square = u128::from(sums.sites) * u128::from(sums.sites);
            squares += square;
            fourths += square * square;
            // A cluster of whole rows or planes has no wave across them, and what the sum over its phases leaves is rounding.
            let rounding = (sums.sites as f64 * ROUNDING).powi(2);
            let powers = sums.waves.iter().map(|[cosine, sine]| cosine * cosine + sine * sine);
            power += powers.filter(|power| *power > rounding).sum::<f64>();
        }
        let (square, fourth) = (squares as f64 / (sites * sites), fourths as f64 / sites.powi(4));
        ClusterMoments {
            square,
            fourth_power: Some(3.0 * square * square - 2.0 * fourth),
            wave_power: (self.axes > 0).then(|| power / (self.axes as f64 * sites * sites)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lattice::Geometry;

    /// The definition: the mean of M^2, M^4 and the power of the waves over all signs of the clusters.
    #[test]
    fn moments_are_means_over_all_signs() {
        for (geometry, side, labels) in [
            (Geometry::Chain, 6, vec![0, 0, 1, 2, 2, 2]),
            (Geometry::Square, 3, vec![0, 1, 1, 2, 3, 1, 0, 4, 4]),
            (Geometry::Cubic, 3, (0..27).map(|site| if site < 9 { site % 3 } else { 3 + site % 4 }).collect::<Vec<usize>>()),
        ] {
            let torus = Torus::new(geometry, side).expect("a valid side");
            let (sites, clusters) = (torus.sites(), labels.iter().max().expect("sites") + 1);
            let place = |site: usize| [site % side, site / side % side, site / side / side];
            let mut census = ClusterCensus::new(torus, true);
            // New clusters come in the order of their numbers.
            let mut order: Vec<usize> = (0..sites).collect();
            order.sort_by_key(|&site| labels[site]);
            order.iter().for_each(|&site| census.add(labels[site], place(site)));
            let found = census.moments();
            let mut means = [0.0; 3];
            for signs in 0..1usize << clusters {
                let spin = |site: usize| if signs >> labels[site] & 1 == 1 { 1.0 } else { -1.0 };
                let magnetization = (0..sites).map(spin).sum::<f64>() / sites as f64;
                let power = |axis: usize| {
                    let wave = |part: fn(f64) -> f64| -> f64 {
                        let angle = |site: usize| std::f64::consts::TAU * place(site)[axis] as f64 / side as f64;
                        (0..sites).map(|site| spin(site) * part(angle(site))).sum()
                    };
                    (wave(f64::cos).powi(2) + wave(f64::sin).powi(2)) / (sites * sites) as f64
                };
                let powers = (0..torus.dimension()).map(power).sum::<f64>() / torus.dimension() as f64;
                for (mean, value) in means.iter_mut().zip([magnetization.powi(2), magnetization.powi(4), powers]) {
                    *mean += value / (1usize << clusters) as f64;
                }
            }
            for (found, mean) in found.numbers().into_iter().zip(means) {
                assert!((found - mean).abs() < 1e-13, "{geometry}: {found} {mean}");
            }
            if geometry == Geometry::Square {
                // The same by tiles.
                census.clear();
                for label in 0..clusters {
                    let bits =
                        (0..sites).filter(|&site| labels[site] == label).map(|site| 1u64 << (TILE * place(site)[1] + place(site)[0]));
                    census.add_tile(label, [0, 0], bits.sum());
                }
                for (by_tiles, found) in census.moments().numbers().into_iter().zip(found.numbers()) {
                    assert!((by_tiles - found).abs() < 1e-14, "{by_tiles} {found}");
                }
            }
            census.clear();
            (0..sites).for_each(|site| census.add(0, place(site)));
            let [square, fourth, wave] = census.moments().numbers();
            assert!((square - 1.0).abs() + (fourth - 1.0).abs() < 1e-14 && wave == 0.0);
            assert_eq!(ClusterCensus::new(torus, false).moments().wave_power, None);
        }
    }
}
