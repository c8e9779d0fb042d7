//! The couplings of a machine, gathered by distance: on the lattice by displacement, between units by the distance of their centres in units of the mean spacing. Which groups of
//! spins are looked at, how many neighbours are summed exactly, and the order of all sums depend on the problem only.

use super::machine::{Neighbourhood, TracedMachine};
use crate::error::Result;
use crate::lattice::SquareTorus;
use rayon::prelude::*;

/// Products of weights below this are left out: what they add is below it too.
const SMALLEST: f64 = 1e-9;
/// Logarithms that a survey may cost: it decides how many neighbours are summed exactly.
const BUDGET: f64 = 2e7;
/// The most neighbours that are summed exactly.
const MOST_SUMMED: usize = 8;
/// Where none can be, this many are in so many groups, to see how far the Gaussian is off.
const CHECKED: (usize, usize) = (4, 40);
/// Groups of one survey at most, evenly chosen.
const MOST_GROUPS: usize = 800;
/// Displacements on the lattice, the first ones and then along an axis.
const DISPLACEMENTS: [(usize, usize); 8] = [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2), (3, 0), (4, 0), (6, 0)];
/// Distances between units, in mean spacings.
const FARTHEST: usize = 4;

/// A unit of a layer that has a place on the lattice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unit {
    /// Its number in the layer.
    pub place: usize,
    /// The centre of its receptive field.
    pub centre: [f64; 2],
    /// The sign of its receptive field.
    pub sign: f64,
}

/// The couplings of many groups of spins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Survey {
    /// Groups that were looked at.
    pub groups: usize,
    /// Mean coupling, and its standard error over groups.
    pub mean: [f64; 2],
    /// Root mean square coupling.
    pub spread: f64,
    /// Neighbours summed exactly.
    pub summed: usize,
    /// Root mean square difference to the purely Gaussian neighbourhood: over all groups, or if `summed` is 0 over some of them, with four neighbours summed.
    pub gaussian_difference: f64,
}

/// A displacement on the lattice, its length, and the pair couplings at it.
pub type ByDisplacement = ((usize, usize), f64, Survey);

/// How many spins a group has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// A field.
    One,
    /// Three spins next to each other.
    Three,
    /// Four spins next to each other.
    Four,
}

impl Joined {
    /// Words for a table.
    pub fn words(self) -> &'static str {
        match self {
            Joined::One => "field",
            Joined::Three => "three neighbours",
            Joined::Four => "four neighbours",
        }
    }

    fn count(self) -> usize {
        match self {
            Joined::One => 1,
            Joined::Three => 3,
            Joined::Four => 4,
        }
    }
}

/// The couplings of groups, each times a sign.
fn survey(side: &TracedMachine, groups: &[(Vec<usize>, f64)]) -> Result<Survey> {
    let chosen: Vec<&(Vec<usize>, f64)> = if groups.len() <= MOST_GROUPS {
        groups.iter().collect()
    } else {
        (0..MOST_GROUPS).map(|index| &groups[index * groups.len() / MOST_GROUPS]).collect()
    };
    let cost = |summed: usize| chosen.iter().map(|(group, _)| side.cost(group, summed, SMALLEST)).sum::<f64>();
    let summed = (1..=MOST_SUMMED).take_while(|&summed| cost(summed) <= BUDGET).count();
    let with = |summed: usize, groups: &[&(Vec<usize>, f64)]| {
        let coupling = |(group, sign): &&(Vec<usize>, f64)| Ok(sign * side.coupling(group, Neighbourhood::Largest(summed), SMALLEST)?);
        groups.par_iter().map(coupling).collect::<Result<Vec<f64>>>()
    };
    let values = with(summed, &chosen)?;
    let (better, gaussian) = if summed > 0 {
        (values.clone(), with(0, &chosen)?)
    } else {
        let some: Vec<&(Vec<usize>, f64)> = chosen.iter().step_by(chosen.len().div_ceil(CHECKED.1).max(1)).copied().collect();
        (with(CHECKED.0, &some)?, with(0, &some)?)
    };
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    let squares: f64 = better.iter().zip(&gaussian).map(|(better, gaussian)| (better - gaussian).powi(2)).sum();
    Ok(Survey {
        groups: values.len(),
        mean: [mean, if values.len() < 2 { f64::INFINITY } else { (variance / (count - 1.0)).sqrt() }],
        spread: (values.iter().map(|value| value * value).sum::<f64>() / count).sqrt(),
        summed,
        gaussian_difference: (squares / better.len() as f64).sqrt(),
    })
}

/// Pair couplings of spins on the sites of a torus, by displacement (both orientations together), with the length of the displacement.
///
/// # Errors
/// None in practice.
pub fn lattice(side: &TracedMachine, torus: SquareTorus) -> Result<Vec<ByDisplacement>> {
    let length = torus.side();
    let site = |x: usize, y: usize| y % length * length + x % length;
    let survey_of = |&(dx, dy): &(usize, usize)| {
        let orientations = if dx == dy { vec![(dx, dy), (length - dx, dy)] } else { vec![(dx, dy), (dy, dx)] };
        let pairs: Vec<(Vec<usize>, f64)> = (0..torus.sites())
            .flat_map(|from| orientations.iter().map(move |&(dx, dy)| (from, dx, dy)))
            .map(|(from, dx, dy)| (vec![from, site(from % length + dx, from / length + dy)], 1.0))
            .collect();
        Ok(((dx, dy), (dx as f64).hypot(dy as f64), survey(side, &pairs)?))
    };
    DISPLACEMENTS.iter().filter(|(dx, _)| 2 * dx < length).map(survey_of).collect()
}

/// Field, three-spin and four-spin couplings of the plaquettes of a torus.
///
/// # Errors
/// None in practice.
pub fn plaquettes(side: &TracedMachine, torus: SquareTorus) -> Result<Vec<(Joined, Survey)>> {
    let length = torus.side();
    let plaquette = |from: usize| {
        let (x, y) = (from % length, from / length);
        [(0, 0), (1, 0), (0, 1), (1, 1)].map(|(dx, dy)| (y + dy) % length * length + (x + dx) % length).to_vec()
    };
    let survey_of = |joined: Joined| {
        let groups: Vec<(Vec<usize>, f64)> =
            (0..torus.sites()).map(|from| (plaquette(from).into_iter().take(joined.count()).collect(), 1.0)).collect();
        Ok((joined, survey(side, &groups)?))
    };
    [Joined::One, Joined::Three, Joined::Four].into_iter().map(survey_of).collect()
}

/// The distance of two centres on the torus, in mean spacings of so many units.
fn distance(torus: SquareTorus, units: usize, one: &Unit, other: &Unit) -> f64 {
    let length = torus.side() as f64;
    let along = |axis: usize| {
        let difference = (one.centre[axis] - other.centre[axis]).rem_euclid(length);
        difference.min(length - difference)
    };
    along(0).hypot(along(1)) * (units as f64).sqrt() / length
}

/// The pairs of units whose distance rounds to `shell` mean spacings, as places in `units`.
pub fn pairs_at(torus: SquareTorus, units: &[Unit], shell: usize) -> Vec<(usize, usize)> {
    let all = (0..units.len()).flat_map(|one| (one + 1..units.len()).map(move |other| (one, other)));
    all.filter(|&(one, other)| distance(torus, units.len(), &units[one], &units[other]).round() == shell as f64).collect()
}

/// Pair couplings of units by the distance of their centres, rounded to mean spacings, from 0 (units that see the same place) on.
///
/// # Errors
/// None in practice.
pub fn by_distance(side: &TracedMachine, torus: SquareTorus, units: &[Unit]) -> Result<Vec<(usize, Survey)>> {
    let at = |shell: usize| Ok(at_distance(side, torus, units, shell)?.map(|found| (shell, found)));
    (0..=FARTHEST).filter_map(|shell| at(shell).transpose()).collect()
}

/// The pair couplings of units whose centres are so many mean spacings apart, rounded; none if there are no such units.
///
/// # Errors
/// None in practice.
pub fn at_distance(side: &TracedMachine, torus: SquareTorus, units: &[Unit], shell: usize) -> Result<Option<Survey>> {
    let joined = |(one, other): (usize, usize)| (vec![units[one].place, units[other].place], units[one].sign * units[other].sign);
    let pairs: Vec<(Vec<usize>, f64)> = pairs_at(torus, units, shell).into_iter().map(joined).collect();
    if pairs.is_empty() { Ok(None) } else { survey(side, &pairs).map(Some) }
}

/// The couplings of each unit with its nearest neighbours.
///
/// # Errors
/// None in practice.
pub fn neighbours(side: &TracedMachine, torus: SquareTorus, units: &[Unit], joined: Joined) -> Result<Survey> {
    let group = |one: usize| {
        let mut others: Vec<usize> = (0..units.len()).filter(|&other| other != one).collect();
        let away = |other: &usize| distance(torus, units.len(), &units[one], &units[*other]);
        others.sort_by(|left, right| away(left).total_cmp(&away(right)));
        let members: Vec<&Unit> = std::iter::once(one).chain(others).take(joined.count()).map(|unit| &units[unit]).collect();
        (members.iter().map(|unit| unit.place).collect::<Vec<usize>>(), members.iter().map(|unit| unit.sign).product())
    };
    let groups: Vec<(Vec<usize>, f64)> = (0..units.len()).map(group).filter(|(group, _)| group.len() == joined.count()).collect();
    survey(side, &groups)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rbm::bond_machine::torus_machine;

    #[test]
    fn the_bond_machine_is_local_on_both_sides() {
        let torus = SquareTorus::new(8).unwrap();
        let machine = torus_machine(torus, 0.408).unwrap();
        let [visible, hidden] = [TracedMachine::visible_side(&machine), TracedMachine::hidden_side(&machine)];
        for ((dx, dy), length, found) in lattice(&visible, torus).unwrap() {
            let wanted = if (dx, dy) == (1, 0) { 0.408 } else { 0.0 };
            assert!((found.mean[0] - wanted).abs() < 1e-6 && found.spread < wanted + 1e-6, "({dx}, {dy}): {found:?}");
            assert!((length - f64::hypot(dx as f64, dy as f64)).abs() < 1e-12);
        }
        // Hidden units sit on the bonds: two units that share a spin are coupled, others are not.
        let centre = |bond: usize| {
            let (x, y) = ((bond / 2 % 8) as f64, (bond / 16) as f64);
            if bond.is_multiple_of(2) { [x + 0.5, y] } else { [x, y + 0.5] }
        };
        let units: Vec<Unit> = (0..128).map(|place| Unit { place, centre: centre(place), sign: 1.0 }).collect();
        let found = by_distance(&hidden, torus, &units).unwrap();
        assert!(found[0].0 == 1 && found[0].1.mean[0] > 0.05, "{found:?}");
        assert!(found.iter().all(|(shell, found)| *shell < 3 || found.spread < 1e-9), "{found:?}");
        // Three hidden spins meet at a spin, so that they have no coupling by symmetry, but four have.
        assert!(neighbours(&hidden, torus, &units, Joined::Three).unwrap().spread < 1e-6);
        assert!(neighbours(&hidden, torus, &units, Joined::One).unwrap().spread < 1e-6);
    }
}
