//! The groups `energy_histogram` and `magnetization_histogram` of a size in `/sampling` of `results.h5`, where the run file asks for histograms in the place of series: plain tables, one row
//! for each coupling, group of chains and value that was seen, in this order.

use super::hdf5::{GroupReader, GroupWriter, label};
use super::improved;
use crate::error::Result;
use crate::measure::Histogram;
use crate::measure::histogram::EnergyBin;
use crate::record::Ensemble;

/// The name of the group of energies in that of its size.
pub const ENERGIES: &str = "energy_histogram";
/// The name of the group of magnetizations.
pub const MAGNETIZATIONS: &str = "magnetization_histogram";
/// The rows of both.
const ROW: &str = "bin";
/// In the group of the size: which histogram each chain is in.
const GROUP_OF_CHAIN: &str = "group";
/// A chain that does not exist is in no histogram.
const NO_GROUP: i64 = -1;

/// The sums that each bin of energy has, in the order of [`EnergyBin::sums`]: name, words. Those that no bin has are not written.
fn sums() -> [(String, String); EnergyBin::SUMS] {
    let [square, fourth_power, wave_power] = improved::NAMES.map(|(name, words)| (name, format!("the {words}")));
    let of = |name: &'static str, words: &str| (name, words.to_string());
    let all = [
        of("absolute_magnetization", "|M|"),
        of("magnetization_squared", "M^2"),
        of("magnetization_fourth_power", "M^4"),
        of("wave_power", "the power of the longest waves"),
        square,
        fourth_power,
        wave_power,
    ];
    all.map(|(name, words)| (format!("{name}_sum"), format!("sum over the draws of this energy of {words}")))
}

/// Fills both groups, and `group` beside them.
///
/// # Errors
/// [`crate::error::Error::InputOutput`].
pub fn write(of_size: &GroupWriter, ensembles: &[Ensemble], chains: usize) -> Result<()> {
    let of_chains = |ensemble: &Ensemble| {
        let groups = ensemble.histograms.iter().enumerate();
        let mut numbers: Vec<i64> = groups.flat_map(|(number, group)| vec![number as i64; group.draws.len()]).collect();
        numbers.resize(chains, NO_GROUP);
        numbers
    };
    let groups: Vec<i64> = ensembles.iter().flat_map(of_chains).collect();
    let words = "group of chains, of the histograms, that each chain is in (-1 where there is no chain)";
    of_size.variable(GROUP_OF_CHAIN, &["coupling", "chain"], &groups, label("1", words))?;

    let bins: Vec<EnergyBin> = each(ensembles).flat_map(|(_, _, histogram)| histogram.energies.clone()).collect();
    let group = of_size.group(ENERGIES)?;
    let energies: Vec<i64> = bins.iter().map(|bin| bin.energy).collect();
    let counts: Vec<u64> = bins.iter().map(|bin| bin.count).collect();
    let about = label("J", "energy E = -J sum of s_i s_j over the bonds");
    write_counts(&group, ensembles, |histogram| histogram.energies.len(), ("energy", &energies, about), &counts)?;
    for (place, (name, words)) in sums().into_iter().enumerate() {
        let values: Vec<f64> = bins.iter().map(|bin| bin.sums()[place]).collect();
        if !values.iter().all(|sum| sum.is_nan()) {
            group.variable(&name, &[ROW], &values, label("1", &words))?;
        }
    }

    let (seen, counts): (Vec<i64>, Vec<u64>) = each(ensembles).flat_map(|(_, _, histogram)| histogram.magnetizations.clone()).unzip();
    let about = label("1", "magnetization M = sum of s_i");
    let group = of_size.group(MAGNETIZATIONS)?;
    write_counts(&group, ensembles, |histogram| histogram.magnetizations.len(), ("magnetization", &seen, about), &counts)
}

/// All histograms with the coupling and the number of their group.
fn each(ensembles: &[Ensemble]) -> impl Iterator<Item = (f64, usize, &Histogram)> {
    ensembles
        .iter()
        .flat_map(|ensemble| ensemble.histograms.iter().enumerate().map(|(number, histogram)| (ensemble.coupling, number, histogram)))
}

/// The columns that both groups have.
fn write_counts(
    group: &GroupWriter,
    ensembles: &[Ensemble],
    rows: fn(&Histogram) -> usize,
    (name, values, about): (&str, &[i64], super::hdf5::Label<'_>),
    counts: &[u64],
) -> Result<()> {
    group.attributes().text("NX_class", "NXdata")?;
    if counts.is_empty() {
        return Ok(());
    }
    group.index(ROW, counts.len(), "row of the table")?;
    let of_each = || each(ensembles).map(|(coupling, number, histogram)| (coupling, number, rows(histogram)));
    let couplings: Vec<f64> = of_each().flat_map(|(coupling, _, rows)| vec![coupling; rows]).collect();
    let numbers: Vec<i64> = of_each().flat_map(|(_, number, rows)| vec![number as i64; rows]).collect();
    group.variable("coupling", &[ROW], &couplings, label("1", "coupling K = J / (k_B T)"))?;
    group.variable("group", &[ROW], &numbers, label("1", "group of independent chains"))?;
    group.variable(name, &[ROW], values, about)?;
    group.variable("count", &[ROW], counts, label("1", "draws"))?;
    group.attributes().text("signal", "count")?.texts("axes", &[ROW])?;
    Ok(())
}

/// The histograms of each coupling of one size; `draws` are those of each chain of each coupling.
///
/// # Errors
/// [`crate::error::Error::Refused`].
pub fn read(of_size: &GroupReader, couplings: &[f64], draws: &[Vec<usize>]) -> Result<Vec<Vec<Histogram>>> {
    let chains = draws.iter().map(Vec::len).max().unwrap_or(0);
    let groups = of_size.shaped::<i64>(GROUP_OF_CHAIN, &[couplings.len(), chains])?;
    let mut all: Vec<Vec<Histogram>> = Vec::with_capacity(couplings.len());
    for (groups, draws) in groups.chunks(chains.max(1)).zip(draws) {
        let mut found: Vec<Histogram> = Vec::new();
        for (&group, &draws) in groups.iter().zip(draws) {
            // They are numbered in the order of their chains.
            match usize::try_from(group) {
                Ok(group) if group == found.len() => found.push(Histogram { draws: vec![draws], ..Histogram::default() }),
                Ok(group) if group + 1 == found.len() => found[group].draws.push(draws),
                _ => return Err(of_size.wrong(GROUP_OF_CHAIN, format!("group {group} is out of order"))),
            }
        }
        all.push(found);
    }

    let group = of_size.group(ENERGIES)?;
    let mut of_rows: Vec<Vec<f64>> = Vec::with_capacity(EnergyBin::SUMS);
    for (name, _) in sums() {
        of_rows.push(if group.has(&name) { group.shaped(&name, &group.shape::<i64>("energy", 1)?)? } else { Vec::new() });
    }
    read_counts(&group, couplings, &mut all, "energy", |histogram, row, energy, count| {
        let sum = |place: usize| of_rows[place].get(row).copied().unwrap_or(f64::NAN);
        let bin = EnergyBin::of_sums(energy, count, std::array::from_fn(sum));
        let ascends = histogram.energies.last().is_none_or(|last| last.energy < energy);
        histogram.energies.push(bin);
        ascends
    })?;
    read_counts(&of_size.group(MAGNETIZATIONS)?, couplings, &mut all, "magnetization", |histogram, _, magnetization, count| {
        let ascends = histogram.magnetizations.last().is_none_or(|last| last.0 < magnetization);
        histogram.magnetizations.push((magnetization, count));
        ascends
    })?;
    for histogram in all.iter().flatten() {
        let draws = histogram.draws.iter().sum::<usize>() as u64;
        let energies = histogram.energies.iter().fold(0, |sum: u64, bin| sum.saturating_add(bin.count));
        let magnetizations = histogram.magnetizations.iter().fold(0, |sum: u64, &(_, count)| sum.saturating_add(count));
        if (energies, magnetizations) != (draws, draws) {
            let why = format!("{energies} energies and {magnetizations} magnetizations cannot be those of {draws} draws");
            return Err(of_size.wrong(ENERGIES, why));
        }
    }
    Ok(all)
}

/// Reads the columns that both groups have; `push` gets histogram, row, value and count, and says whether the values of the histogram ascend.
fn read_counts(
    group: &GroupReader,
    couplings: &[f64],
    all: &mut [Vec<Histogram>],
    name: &str,
    mut push: impl FnMut(&mut Histogram, usize, i64, u64) -> bool,
) -> Result<()> {
    if !group.has(name) {
        return Ok(());
    }
    let rows = group.shape::<i64>(name, 1)?;
    let (values, counts) = (group.shaped::<i64>(name, &rows)?, group.shaped::<u64>("count", &rows)?);
    let (at, numbers) = (group.shaped::<f64>("coupling", &rows)?, group.shaped::<i64>("group", &rows)?);
    let mut place = 0;
    for row in 0..values.len() {
        place += couplings[place..].iter().position(|coupling| coupling.to_bits() == at[row].to_bits()).unwrap_or(couplings.len() - place);
        let histogram = usize::try_from(numbers[row]).ok().and_then(|number| all.get_mut(place)?.get_mut(number));
        if !histogram.is_some_and(|histogram| push(histogram, row, values[row], counts[row])) {
            return Err(group.wrong(name, format!("row {row} is out of order")));
        }
    }
    Ok(())
}
