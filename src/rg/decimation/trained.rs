//! The ring beside a stack that was trained on it: exact samples of an Ising chain, machines that halve it layer by layer, and the numbers by which they are held against
//! decimation, which is exact.
//!
//! Read [`sample_ring`] (independent configurations, no Markov chain), [`decimated_agreement`] (what comes back of a ring of which every b-th spin was kept), [`train`] (the stack), [`Level`]
//! (what a layer is asked).

use super::super::couplings::machine::{Neighbourhood, TracedMachine};
use super::super::{Control, Tally, control_stream, reconstruction};
use crate::elementary::hyperbolic_tangent;
use crate::error::{Error, Result};
use crate::exact::chain;
use crate::kernels::InstructionSet;
use crate::ledger::Nobody;
use crate::rbm::gibbs::GibbsChains;
use crate::rbm::likelihood::annealed::Path;
use crate::rbm::monitor::free_energies;
use crate::rbm::panels::Machine;
use crate::rbm::train::{Alone, Trainer};
use crate::rbm::{GradientKind, Rbm, TrainingData, TrainingOptions, deep};
use crate::spins::BitMatrix;

/// Spins of the neighbourhood that are summed exactly for a coupling of a layer.
const SUMMED: usize = 10;
/// Products of weights below this are left out of couplings.
const SMALLEST: f64 = 1e-9;
/// Chains and temperatures of the annealing of the first machine, and sweeps before its reverse direction.
const ANNEALING: (usize, usize, usize) = (256, 2000, 1000);

/// What is sampled, and how the stack learns it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Spins of the ring, a power of two.
    pub sites: usize,
    /// J between neighbours.
    pub coupling: f64,
    /// Layers of the stack: the first has half as many units as the ring has spins, and so on.
    pub layers: usize,
    /// Configurations that are trained on.
    pub samples: usize,
    /// Configurations that judge the stack.
    pub held_out: usize,
    /// Epochs of each layer.
    pub epochs: u64,
    /// The seed of the run.
    pub seed: u64,
}

/// Independent configurations of a ring of `sites` spins: the first spin is a fair coin, and then a wall stands between two neighbours or not. Walls are independent but for their even
/// number around the ring; with t = tanh J, n bonds without a condition hold an even number of walls with probability (1 + t^n)/2. The stream of configuration r is that of
/// [`Control::RingSamples`] and r.
pub fn sample_ring(sites: usize, coupling: f64, samples: std::ops::Range<usize>, seed: u64) -> BitMatrix {
    let tanh = hyperbolic_tangent(coupling);
    let wall = (1.0 - tanh) / 2.0;
    let even = |bonds: usize| (1.0 + tanh.powi(i32::try_from(bonds).unwrap_or(i32::MAX))) / 2.0;
    // p(wall | parity of the walls so far) on the bond after which `left` bonds are left.
    let probability = |odd: bool, left: usize| {
        let rest = |odd: bool| if odd { 1.0 - even(left) } else { even(left) };
        let (with, without) = (wall * rest(!odd), (1.0 - wall) * rest(odd));
        with / (with + without)
    };
    let table: Vec<[f64; 2]> = (0..sites).map(|bond| [false, true].map(|odd| probability(odd, sites - 1 - bond))).collect();
    let mut matrix = BitMatrix::new(samples.len(), sites);
    for (row, sample) in samples.enumerate() {
        let mut stream = control_stream(seed, Control::RingSamples, sample as u64);
        let mut up = stream.word() >> 63 == 1;
        let mut odd = false;
        for (site, probabilities) in table.iter().enumerate() {
            matrix.set(row, site, up);
            let is_wall = stream.uniform() < probabilities[usize::from(odd)];
            odd ^= is_wall;
            up ^= is_wall;
        }
    }
    matrix
}

/// The share of spins that the best guess gets right if every `spacing`-th spin of the ring is known: those themselves, and the others from the two known spins between which they lie,
/// p(s | h, h') by the transfer matrix. It is what decimation keeps of a configuration.
pub fn decimated_agreement(sites: usize, spacing: usize, coupling: f64) -> f64 {
    let tanh = coupling.tanh();
    let power = |distance: usize| tanh.powi(i32::try_from(distance).unwrap_or(i32::MAX));
    let equal = (1.0 + chain::correlation(sites, spacing, coupling)) / 2.0;
    // The mean of |<s | h, h'>| over h and h'.
    let known = |distance: usize| {
        let (one, other, both) = (power(distance), power(spacing - distance), power(spacing));
        let together = (one + other) / (1.0 + both);
        let apart = if both < 1.0 { (one - other).abs() / (1.0 - both) } else { 0.0 };
        equal * together + (1.0 - equal) * apart
    };
    let total: f64 = (0..spacing).map(|distance| if distance == 0 { 1.0 } else { known(distance) }).sum();
    (1.0 + total / spacing as f64) / 2.0
}

/// What a layer of the stack is asked. Values with standard errors.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    /// Units of the layer.
    pub units: usize,
    /// Units that never move, or whose receptive field is 0.
    pub dead: usize,
    /// Mean over the units of the share of r^2 inside the best window of twice the sites that a block has.
    pub window_share: f64,
    /// Mean product of neighbouring units in the order of their centres, signs of the receptive fields taken out, over held-out configurations.
    pub correlation: Option<[f64; 2]>,
    /// Mean coupling of neighbouring units in -H^RBM\[h\], with the standard error over pairs.
    pub nearest: Option<[f64; 2]>,
    /// The same of units with one unit between them.
    pub next_nearest: Option<[f64; 2]>,
    /// Share of the spins that agree after going up to the layer and down again.
    pub agreement: [f64; 2],
}

/// The first machine's law beside that of the ring.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Law {
    /// Kullback-Leibler divergence from the law of the ring in nats, with its uncertainty; none if the two directions of annealing differ by more than they may.
    pub divergence: Option<[f64; 2]>,
    /// Variance of ln Tr_h e^T over the held-out configurations, with its standard error, in nats squared.
    pub trace_violation: [f64; 2],
}

/// Trains the stack and asks each of its layers.
///
/// # Errors
/// [`Error::NotFinite`] if a number stops being finite while the stack learns; [`Error::Usage`] for settings that cannot be meant.
pub fn train(settings: &Settings) -> Result<(Vec<Level>, Law)> {
    let Settings { sites, coupling, seed, .. } = *settings;
    if !sites.is_power_of_two() || settings.layers == 0 || sites >> settings.layers < 2 || settings.samples < 100 || settings.held_out < 2 {
        return Err(Error::Usage(format!(
            "{} layers on a ring of {sites} spins with {} + {} configurations cannot be compared with decimation: give a power of two, and layers that leave two units",
            settings.layers, settings.samples, settings.held_out
        )));
    }
    let configurations = sample_ring(sites, coupling, 0..settings.samples, seed);
    let held_out = sample_ring(sites, coupling, settings.samples..settings.samples + settings.held_out, seed);
    let mut training = TrainingData::Binary(configurations);
    let mut judging = TrainingData::Binary(held_out.clone());
    let (mut stack, mut levels): (Vec<Rbm>, Vec<Level>) = (Vec::new(), Vec::new());
    let mut fields: Option<Fields> = None;
    for layer in 0..settings.layers {
        let hidden = sites >> (layer + 1);
        let machine = learn(settings, layer, hidden, &training, &judging)?;
        let dead = deep::dead_units(&machine, &training);
        let r = Fields::of(&machine, fields.as_ref());
        training = deep::activations(&machine, &training, deep::ActivationKind::Probabilities, seed, 0);
        judging = deep::activations(&machine, &judging, deep::ActivationKind::Probabilities, seed, 0);
        stack.push(machine);
        levels.push(ask(&stack, &r, &dead, &judging, &held_out)?);
        fields = Some(r);
    }
    let law = weigh(&stack[0], settings, &held_out);
    Ok((levels, law))
}

/// CD-1 on the centred gradient with a falling rate.
fn learn(settings: &Settings, layer: usize, hidden: usize, training: &TrainingData, held_out: &TrainingData) -> Result<Rbm> {
    let seed = control_stream(settings.seed, Control::RingTraining, 0).word();
    let options = TrainingOptions {
        epochs: settings.epochs,
        learning_rate: 0.1,
        last_learning_rate: Some(0.01),
        l1: if layer == 0 { 1e-3 } else { 2e-4 },
        gradient: GradientKind::Centred,
        ..TrainingOptions::new(hidden, seed, layer as u64)
    };
    let mut trainer = Trainer::new(training, held_out, options, &Alone)?;
    for _ in 0..settings.epochs {
        trainer.epoch()?;
    }
    Ok(trainer.rbm().clone())
}

/// Receptive fields r = W1 W2 ... on the ring, row-major \[site\]\[unit\].
struct Fields {
    sites: usize,
    units: usize,
    values: Vec<f64>,
}

impl Fields {
    fn of(machine: &Rbm, below: Option<&Fields>) -> Fields {
        let units = machine.hidden();
        let weight = |row: usize, unit: usize| f64::from(machine.weights.row(row)[unit]);
        let Some(below) = below else {
            let values = (0..machine.visible()).flat_map(|site| (0..units).map(move |unit| weight(site, unit))).collect();
            return Fields { sites: machine.visible(), units, values };
        };
        let entry = |site: usize, unit: usize| {
            (0..below.units).map(|middle| below.values[site * below.units + middle] * weight(middle, unit)).sum()
        };
        let values = (0..below.sites).flat_map(|site| (0..units).map(move |unit| entry(site, unit))).collect();
        Fields { sites: below.sites, units, values }
    }

    fn squares(&self, unit: usize) -> Vec<f64> {
        (0..self.sites).map(|site| self.values[site * self.units + unit].powi(2)).collect()
    }

    /// The centre of mass of r^2 on the ring, from 0 to the number of sites.
    fn centre(&self, unit: usize) -> f64 {
        let angle = std::f64::consts::TAU / self.sites as f64;
        let squares = self.squares(unit);
        let sum = |of: fn(f64) -> f64| squares.iter().enumerate().map(|(site, square)| square * of(angle * site as f64)).sum::<f64>();
        sum(f64::sin).atan2(sum(f64::cos)).rem_euclid(std::f64::consts::TAU) / angle
    }

    /// A unit whose field is mostly negative is a spin turned over.
    fn sign(&self, unit: usize) -> f64 {
        let sum: f64 = (0..self.sites).map(|site| self.values[site * self.units + unit]).sum();
        if sum < 0.0 { -1.0 } else { 1.0 }
    }

    /// The share of r^2 inside the best window of `width` sites.
    fn window_share(&self, unit: usize, width: usize) -> f64 {
        let squares = self.squares(unit);
        let total: f64 = squares.iter().sum();
        let window = |start: usize| (start..start + width).map(|site| squares[site % self.sites]).sum::<f64>();
        (0..self.sites).map(window).fold(0.0, f64::max) / total
    }
}

fn ask(stack: &[Rbm], fields: &Fields, dead: &[usize], activities: &TrainingData, held_out: &BitMatrix) -> Result<Level> {
    let machine = &stack[stack.len() - 1];
    let live = |unit: &usize| !dead.contains(unit) && fields.squares(*unit).iter().sum::<f64>() > 0.0;
    let mut order: Vec<usize> = (0..machine.hidden()).filter(live).collect();
    order.sort_by(|&one, &other| fields.centre(one).total_cmp(&fields.centre(other)));
    let block = fields.sites / machine.hidden();
    let pairs = |apart: usize| -> Vec<[usize; 2]> {
        let count = if order.len() > 2 * apart { order.len() } else { 0 };
        (0..count).map(|place| [order[place], order[(place + apart) % order.len()]]).collect()
    };
    let hidden = TracedMachine::hidden_side(machine);
    let couplings = |apart: usize| -> Result<Option<[f64; 2]>> {
        let of_pair = |pair: &[usize; 2]| {
            let found = hidden.coupling(pair, Neighbourhood::Largest(SUMMED), SMALLEST)?;
            Ok(found * fields.sign(pair[0]) * fields.sign(pair[1]))
        };
        let found: Vec<f64> = pairs(apart).iter().map(of_pair).collect::<Result<_>>()?;
        Ok((found.len() > 1).then(|| mean_and_error(&found)))
    };
    let shares = order.iter().map(|&unit| fields.window_share(unit, 2 * block));
    Ok(Level {
        units: machine.hidden(),
        dead: machine.hidden() - order.len(),
        window_share: shares.sum::<f64>() / order.len() as f64,
        correlation: correlation(activities, &pairs(1), fields),
        nearest: couplings(1)?,
        next_nearest: couplings(2)?,
        agreement: reconstruction::agreement(&deep::reconstruct(stack, held_out), held_out)?,
    })
}

/// The mean of (2 p - 1)(2 p' - 1) over pairs, with its error over configurations: units are drawn independently given the layer below.
fn correlation(activities: &TrainingData, pairs: &[[usize; 2]], fields: &Fields) -> Option<[f64; 2]> {
    let TrainingData::Real(activities) = activities else { return None };
    if pairs.is_empty() {
        return None;
    }
    const UNIT: f64 = 1e9;
    let of_row = |row: usize| {
        let spin = |unit: usize| fields.sign(unit) * (2.0 * f64::from(activities.row(row)[unit]) - 1.0);
        let sum: f64 = pairs.iter().map(|&[one, other]| spin(one) * spin(other)).sum();
        (UNIT * sum / pairs.len() as f64).round() as i64
    };
    let tally: Tally = (0..activities.rows()).map(of_row).collect();
    Some(tally.mean_and_error(UNIT))
}

/// The divergence of the first machine from the law of the ring, by annealing from both sides.
fn weigh(machine: &Rbm, settings: &Settings, held_out: &BitMatrix) -> Law {
    let data = TrainingData::Binary(held_out.clone());
    let energies = free_energies(InstructionSet::chosen(), &Machine::from(machine), &data, held_out.rows());
    let residuals: Vec<f64> =
        energies.iter().enumerate().map(|(row, energy)| energy - settings.coupling * ring_energy(held_out, row)).collect();
    let seed = control_stream(settings.seed, Control::RingTraining, 1).word();
    let (chains, temperatures, sweeps) = ANNEALING;
    let path = Path::new(machine, &data.means());
    let forward = path.forward(chains, temperatures, seed, 0, &Nobody);
    let mut gibbs = GibbsChains::new(machine, &held_out.slice_rows(0..chains.min(held_out.rows())), seed, 0);
    (0..sweeps).for_each(|_| gibbs.sweep());
    let reverse = path.reverse(&gibbs.visible(), temperatures, seed, 0, &Nobody);
    let (low, high) = (forward.log_partition_function, reverse.log_partition_function);
    let log_z = settings.sites as f64 * chain(Some(settings.sites), settings.coupling).log_partition_function_per_site;
    let [mean, error] = mean_and_error(&residuals);
    let uncertainty = ((high - low).abs() / 2.0).max(forward.error.hypot(reverse.error) / 2.0);
    let agree = (high - low).abs() <= crate::rbm::likelihood::LARGEST_DISAGREEMENT && forward.is_usable() && reverse.is_usable();
    let squares: Vec<f64> = residuals.iter().map(|value| (value - mean).powi(2)).collect();
    Law {
        divergence: agree.then(|| [mean + (low + high) / 2.0 - log_z, error.hypot(uncertainty)]),
        trace_violation: mean_and_error(&squares),
    }
}

/// E = -sum s_i s_(i+1) of one configuration.
fn ring_energy(configurations: &BitMatrix, row: usize) -> f64 {
    let sites = configurations.columns();
    let walls = (0..sites).filter(|&site| configurations.get(row, site) != configurations.get(row, (site + 1) % sites)).count();
    2.0 * walls as f64 - sites as f64
}

fn mean_and_error(values: &[f64]) -> [f64; 2] {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    [mean, (squares / (count * (count - 1.0))).sqrt()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_the_ring_have_its_law() {
        // 200,000 rings of 6 spins at J = 0.7: chi^2 of 63 degrees of freedom; a mutant of J = 0.72 is 40 standard deviations off.
        let (sites, count) = (6, 200_000);
        let chi_squared = |sampled: f64| {
            let rings = sample_ring(sites, sampled, 0..count, 3);
            let mut counts = vec![0f64; 64];
            (0..count).for_each(|row| counts[rings.row(row)[0] as usize] += 1.0);
            let weight = |state: u64| {
                let walls = (state ^ (state >> 1 | (state & 1) << (sites - 1))).count_ones();
                (0.7 * (sites as f64 - 2.0 * f64::from(walls))).exp()
            };
            let total: f64 = (0..64).map(weight).sum();
            let expected = |state: u64| weight(state) / total * count as f64;
            (0..64).map(|state| (counts[state as usize] - expected(state)).powi(2) / expected(state)).sum::<f64>()
        };
        let (right, mutant) = (chi_squared(0.7), chi_squared(0.72));
        assert!(right < 63.0 + 4.0 * 126f64.sqrt() && mutant > 63.0 + 10.0 * 126f64.sqrt(), "{right} {mutant}");
    }

    #[test]
    fn what_decimation_keeps_is_what_the_best_guess_gets_right() {
        // By enumeration of a ring of 8: for every state of the kept spins the likelier value of each traced one.
        let (sites, coupling) = (8usize, 0.9);
        let weight = |state: u64| {
            let walls = (state ^ (state >> 1 | (state & 1) << (sites - 1))).count_ones();
            (coupling * (sites as f64 - 2.0 * f64::from(walls))).exp()
        };
        let total: f64 = (0..256).map(weight).sum();
        for spacing in [1, 2, 4, 8] {
            let mask: u64 = (0..sites).step_by(spacing).map(|site| 1 << site).sum();
            let mut up = std::collections::BTreeMap::<(u64, usize), [f64; 2]>::new();
            for state in 0..256u64 {
                for site in 0..sites {
                    up.entry((state & mask, site)).or_default()[(state >> site & 1) as usize] += weight(state) / total;
                }
            }
            let right: f64 = up.values().map(|[down, up]| down.max(*up)).sum::<f64>() / sites as f64;
            let found = decimated_agreement(sites, spacing, coupling);
            assert!((found - right).abs() < 1e-12, "spacing {spacing}: {found} and {right}");
        }
    }

    #[test]
    fn a_stack_learns_the_ring() {
        let settings = Settings { sites: 16, coupling: 1.0, layers: 2, samples: 4000, held_out: 2000, epochs: 40, seed: 7 };
        let (levels, law) = train(&settings).unwrap();
        assert_eq!(levels.iter().map(|level| level.units).collect::<Vec<_>>(), [8, 4]);
        // Independent spins would be n ln 2 less the entropy of the ring away.
        let independent = 16.0 * (std::f64::consts::LN_2 - chain(Some(16), 1.0).entropy_per_site);
        let [divergence, error] = law.divergence.unwrap();
        assert!(divergence > -4.0 * error && divergence < 0.3 * independent, "{divergence} {error} {independent}");
        assert!(law.trace_violation[0] > 0.0 && law.trace_violation[1] < 0.2 * law.trace_violation[0], "{law:?}");
        for level in &levels {
            assert!(level.agreement[0] > 0.75 && level.agreement[0] < 1.0 && level.window_share > 0.5, "{level:?}");
            assert!(level.correlation.is_none_or(|found| found[0] > 0.2), "{level:?}");
        }
        assert_eq!(train(&settings).unwrap().0, levels);
        assert!(train(&Settings { sites: 12, ..settings }).is_err() && train(&Settings { layers: 4, ..settings }).is_err());
    }
}
