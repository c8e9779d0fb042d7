//! The tables that hold a trained stack against block spins: the couplings of its own Hamiltonians, and all levels side by side. Rank 0 calls it.

use super::renormalize::{Subject, receptive_fields};
use crate::config::RenormalizeSection;
use crate::error::Result;
use crate::exact::critical_coupling;
use crate::rbm::{Rbm, TrainingData, deep};
use crate::record::{Cell, LikelihoodRecord, ReceptiveFieldSummary, ReconstructionRecord, TableRecord};
use crate::rg::Tally;
use crate::rg::block_rule::{BlockLevel, BlockRule, block_levels};
use crate::rg::couplings::machine::TracedMachine;
use crate::rg::couplings::survey::{self, Joined, Survey};
use crate::rg::monte_carlo::{self, SMALLEST_SIDE};
use crate::rg::standards::kadanoff::{self, Branch};
use crate::spins::BitMatrix;

/// Couplings within this of K_c count as critical.
const CRITICAL: f64 = 1e-6;
/// The distance of units that count as nearest neighbours, in mean spacings.
const NEAREST: usize = 1;

/// Centres and signs of the units of every layer.
pub struct Centres(Vec<Vec<survey::Unit>>);

impl Centres {
    /// From the receptive fields of the stack. A unit whose field is mostly negative is the block spin turned over: its sign is taken out of all couplings.
    ///
    /// # Errors
    /// [`crate::error::Error::NotFinite`] if a weight is not finite.
    pub fn of(subject: &Subject) -> Result<Centres> {
        let summaries = receptive_fields(subject)?;
        let layer = |summary: ReceptiveFieldSummary| {
            let unit = |unit: usize| survey::Unit {
                place: unit,
                centre: summary.measures[unit].centre,
                sign: if summary.field(unit).iter().map(|&value| f64::from(value)).sum::<f64>() < 0.0 { -1.0 } else { 1.0 },
            };
            (0..summary.units).filter(|&unit| summary.live[unit]).map(unit).collect()
        };
        Ok(Centres(summaries.into_iter().map(layer).collect()))
    }
}

/// The couplings of H^RBM\[v\] of the first machine by displacement, and of H^RBM\[h\] of every layer by the distance of centres.
///
/// # Errors
/// None in practice: at most [`crate::rg::couplings::machine::MOST_SUMMED`] spins are summed exactly.
pub fn couplings(subject: &Subject, centres: &Centres) -> Result<Vec<TableRecord>> {
    let columns = [
        ("layer", "layer of the stack, 0 for the lattice", "1"),
        ("distance", "distance: in lattice units for the lattice, in mean spacings of the centres for a layer", "1"),
        ("groups", "pairs or larger groups that were looked at", "1"),
        ("mean", "mean coupling of spins +-1 in ln p, signs of receptive fields taken out; the error is that of the mean over groups", "1"),
        ("spread", "root mean square of the coupling over groups", "1"),
        ("summed", "spins of the neighbourhood that were summed exactly", "1"),
        (
            "gaussian_difference",
            "root mean square difference to the Gaussian neighbourhood; where none is summed, over some groups, with four spins summed",
            "1",
        ),
        ("ising", "coupling of the Ising model of the data, where these have but one", "1"),
    ];
    let mut table = TableRecord::new("effective_couplings", "group", "couplings of the Hamiltonians of the machines", &columns);
    let mut push = |layer: usize, label: String, distance: f64, found: &Survey, ising: Option<f64>| {
        let [mean, error] = found.mean;
        let cells = [
            Cell::exact(layer as f64),
            Cell::exact(distance),
            Cell::exact(found.groups as f64),
            Cell::estimate([mean, error]),
            Cell::exact(found.spread),
            Cell::exact(found.summed as f64),
            Cell::exact(found.gaussian_difference),
            Cell::maybe(ising),
        ];
        table.push(label, cells.to_vec());
    };
    for (layer, machine) in subject.stack.iter().enumerate() {
        if layer == 0 {
            let visible = TracedMachine::visible_side(machine);
            for (displacement, distance, found) in survey::lattice(&visible, subject.torus)? {
                let (dx, dy) = displacement;
                let ising = subject.coupling().map(|coupling| if (dx, dy) == (1, 0) { coupling } else { 0.0 });
                push(0, format!("H[v], spins at ({dx}, {dy})"), distance, &found, ising);
            }
            for (joined, found) in survey::plaquettes(&visible, subject.torus)? {
                push(0, format!("H[v], {}", joined.words()), f64::NAN, &found, subject.coupling().map(|_| 0.0));
            }
        }
        let (hidden, units) = (TracedMachine::hidden_side(machine), &centres.0[layer]);
        for (distance, found) in survey::by_distance(&hidden, subject.torus, units)? {
            push(layer + 1, format!("H[h] of layer {}, distance {distance}", layer + 1), distance as f64, &found, None);
        }
        for joined in [Joined::One, Joined::Three, Joined::Four] {
            let found = survey::neighbours(&hidden, subject.torus, units, joined)?;
            push(layer + 1, format!("H[h] of layer {}, {}", layer + 1, joined.words()), f64::NAN, &found, None);
        }
    }
    Ok(vec![table])
}

/// The coupling of the nearest units of every layer and its error, as in the table of [`couplings`] if that is there; none for a layer without such units.
///
/// # Errors
/// As [`couplings`].
pub fn nearest_couplings(subject: &Subject, centres: &Centres, table: Option<&TableRecord>) -> Result<Vec<Option<[f64; 2]>>> {
    let of_layer = |(layer, (machine, units)): (usize, (&Rbm, &Vec<survey::Unit>))| {
        let Some(table) = table else {
            return Ok(survey::at_distance(&TracedMachine::hidden_side(machine), subject.torus, units, NEAREST)?.map(|found| found.mean));
        };
        let is = |row: usize, column: &str, value: usize| table.get(row, column).is_some_and(|found| found[0] == value as f64);
        let row = (0..table.rows.len()).find(|&row| is(row, "layer", layer) && is(row, "distance", NEAREST));
        Ok(row.and_then(|row| table.get(row, "mean")))
    };
    (1..).zip(subject.stack.iter().zip(&centres.0)).map(of_layer).collect()
}

/// Block spins by majority and by Kadanoff's kernel beside the layers of the stack.
///
/// # Errors
/// [`crate::error::Error::Bug`] if the fixed point of Kadanoff's scheme is not found.
pub fn side_by_side(
    subject: &Subject,
    centres: &Centres,
    all: Option<&BitMatrix>,
    reconstructions: &[ReconstructionRecord],
    likelihood: Option<&LikelihoodRecord>,
    nearest: &[Option<[f64; 2]>],
) -> Result<TableRecord> {
    let columns = [
        ("spins", "number of spins or units of the level", "1"),
        ("correlation", "nearest-neighbour correlation, signs of receptive fields taken out", "1"),
        ("nearest", "coupling of nearest neighbours", "1"),
        ("next_nearest", "coupling of next-nearest neighbours", "1"),
        ("third", "coupling at distance (2, 0)", "1"),
        ("plaquette", "coupling of the four spins of a plaquette", "1"),
        ("agreement", "share of spins that agree after going up and down", "1"),
        ("divergence", "Kullback-Leibler divergence of the law of v from that of the data, in nats", "1"),
        ("thermal_exponent", "y_T of the step from three even operators, where the data are critical", "1"),
        ("magnetic_exponent", "y_H of the step from the spin, where the data are critical", "1"),
    ];
    let mut table = TableRecord::new("side_by_side", "level", "block spins and trained layers of the same data, level by level", &columns);
    let parameter = kadanoff::fixed_point(Branch::Symmetric)?.parameter;
    let rules = [("majority", BlockRule::Majority), ("Kadanoff's kernel", BlockRule::Kernel(parameter))];
    let mut ladders = Vec::new();
    for (index, (name, rule)) in rules.into_iter().enumerate() {
        let levels = block_levels(subject.torus, subject.held_out, rule, subject.seed)?;
        let exponents = exponents(subject, all, rule, levels.len().saturating_sub(1), index as u64)?;
        ladders.push((name, levels, exponents));
    }
    push_block(&mut table, "the configurations", &ladders[0].1[0], None, None);
    let depth = ladders[0].1.len().max(subject.stack.len() + 1);
    for level in 1..depth {
        for (name, levels, exponents) in &ladders {
            if let Some(found) = levels.get(level) {
                // The kernel satisfies the trace condition for any p: read as a machine it has exactly the law of the data.
                let divergence = (*name != "majority" && level == 1).then_some(0.0);
                push_block(&mut table, &format!("level {level}: {name}"), found, divergence, exponents.get(level - 1));
            }
        }
        if let (Some(machine), Some(units)) = (subject.stack.get(level - 1), centres.0.get(level - 1)) {
            let cells = [
                Cell::exact(machine.hidden() as f64),
                Cell::maybe_estimate(unit_correlation(subject, level, units)),
                Cell::maybe_estimate(nearest.get(level - 1).copied().flatten()),
                Cell::NONE,
                Cell::NONE,
                Cell::NONE,
                Cell::maybe_estimate(reconstructions.get(level - 1).map(|record| record.agreement)),
                Cell::maybe_estimate(likelihood.and_then(|likelihood| likelihood.divergence).filter(|_| level == 1)),
                Cell::NONE,
                Cell::NONE,
            ];
            table.push(format!("level {level}: trained layer of {} units", machine.hidden()), cells.to_vec());
        }
    }
    Ok(table)
}

fn push_block(table: &mut TableRecord, label: &str, level: &BlockLevel, divergence: Option<f64>, exponents: Option<&[[f64; 2]; 2]>) {
    let coupling = |index: usize| Cell::maybe_estimate(level.couplings.map(|couplings| couplings[index]));
    let cells = [
        Cell::exact((level.side * level.side) as f64),
        Cell::estimate(level.correlation),
        coupling(0),
        coupling(1),
        coupling(2),
        coupling(3),
        Cell::estimate(level.agreement),
        Cell::maybe(divergence),
        Cell::maybe_estimate(exponents.map(|exponents| exponents[0])),
        Cell::maybe_estimate(exponents.map(|exponents| exponents[1])),
    ];
    table.push(format!("{label}, {} × {}", level.side, level.side), cells.to_vec());
}

/// y_T and y_H of every step, from all kept configurations of the ensemble, if they are critical.
fn exponents(subject: &Subject, all: Option<&BitMatrix>, rule: BlockRule, most: usize, index: u64) -> Result<Vec<[[f64; 2]; 2]>> {
    let side = subject.torus.side();
    let levels = (1..=most).take_while(|&level| side.is_multiple_of(1 << level) && side >> level >= SMALLEST_SIDE).count();
    let critical = subject.coupling().is_some_and(|coupling| (coupling - critical_coupling()).abs() < CRITICAL);
    let Some(all) = all.filter(|all| critical && levels > 0 && all.rows() >= 4) else { return Ok(Vec::new()) };
    let found = monte_carlo::renormalize(subject.torus, all, rule, levels, subject.seed, (1 << 40) | (index << 32))?;
    Ok(found.levels.iter().map(|level| [level.thermal[2], level.magnetic[0]]).collect())
}

/// Mean of the product of neighbouring units over the held-out configurations, and its error over them. The units of a layer are drawn independently given the layer below, so
/// that the mean of a product of spins is that of (2 p - 1)(2 p' - 1).
fn unit_correlation(subject: &Subject, level: usize, units: &[survey::Unit]) -> Option<[f64; 2]> {
    let TrainingData::Real(activities) = deep::up(&subject.stack[..level], subject.held_out) else { return None };
    let pairs = survey::pairs_at(subject.torus, units, NEAREST);
    if pairs.is_empty() {
        return None;
    }
    const UNIT: f64 = 1e9;
    let of_row = |row: usize| {
        let spin = |unit: &survey::Unit| unit.sign * (2.0 * f64::from(activities.row(row)[unit.place]) - 1.0);
        let sum: f64 = pairs.iter().map(|&(one, other)| spin(&units[one]) * spin(&units[other])).sum();
        (UNIT * sum / pairs.len() as f64).round() as i64
    };
    let tally: Tally = (0..activities.rows()).map(of_row).collect();
    Some(tally.mean_and_error(UNIT))
}

/// What the section asks for of all this.
///
/// # Errors
/// As the parts.
pub fn run(
    section: &RenormalizeSection,
    subject: &Subject,
    all: Option<&BitMatrix>,
    reconstructions: &[ReconstructionRecord],
    likelihood: Option<&LikelihoodRecord>,
) -> Result<Vec<TableRecord>> {
    if !(section.couplings || section.side_by_side) {
        return Ok(Vec::new());
    }
    let centres = Centres::of(subject)?;
    let mut tables = if section.couplings { couplings(subject, &centres)? } else { Vec::new() };
    if section.side_by_side {
        let nearest = nearest_couplings(subject, &centres, tables.first())?;
        tables.push(side_by_side(subject, &centres, all, reconstructions, likelihood, &nearest)?);
    }
    Ok(tables)
}
