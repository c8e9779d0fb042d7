//! What a reader must know before believing anything else: the warnings at the top of the page.

use super::ensemble::{self, LARGE_DEVIATION, SHORT_CHAIN, deviation};
use super::html::escape;
use super::likelihood::Unusable;
use super::number::{fixed, list, percent, significant, thousands};
use super::{imported, likelihood, mapping, reconstruction, scaling_warnings};
use crate::exact;
use crate::lattice::Geometry;
use crate::record::{Ensemble, RenormalizationRecord, RunRecord, SamplingRecord, TableRecord, TrainingRecord};

/// Share of dead units beyond which a layer is warned of.
const DEAD_SHARE: f64 = 0.02;
/// Share of independent ones among the configurations of a network below which that is warned of.
const INDEPENDENT_SHARE: f64 = 0.5;
/// Probability of a drift that is warned of.
const RARE_DRIFT: f64 = 1e-5;
/// Warnings of one kind that are spelt out.
const SPELT_OUT: usize = 4;

/// All warnings as sentences (HTML), the gravest first.
pub(super) fn warnings(record: &RunRecord) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(not_finite(record));
    warnings.extend(imported::warning(record));
    if let Some(sampling) = &record.sampling {
        sampling_warnings(sampling, record.analysis("equilibration"), &mut warnings);
    }
    warnings.extend(record.scaling.iter().flat_map(scaling_warnings::warnings));
    if let Some(training) = &record.training {
        training_warnings(training, &mut warnings);
        warnings.extend(record.sampling.as_ref().and_then(|sampling| correlated(sampling, training)));
    }
    if let Some(renormalization) = &record.renormalization {
        warnings.extend(renormalization.likelihood.as_ref().and_then(likelihood::impossible));
        renormalization_warnings(renormalization, &mut warnings);
    }
    warnings
}

/// The first few of a kind, and how many more there are.
fn some_of(all: Vec<String>) -> String {
    let more = all.len().saturating_sub(SPELT_OUT);
    let mut shown: Vec<String> = all.into_iter().take(SPELT_OUT).collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    list(&shown)
}

/// An error that is infinite is not known (of one configuration, or of two draws), which its mean has no part in.
fn known(error: f64) -> f64 {
    if error == f64::INFINITY { 0.0 } else { error }
}

fn not_finite(record: &RunRecord) -> Option<String> {
    let mut places: Vec<(String, usize)> = Vec::new();
    let mut count = |place: String, values: &mut dyn Iterator<Item = f64>| {
        let bad = values.filter(|value| !value.is_finite()).count();
        if bad > 0 {
            places.push((place, bad));
        }
    };
    for ensemble in record.sampling.iter().flat_map(|sampling| &sampling.ensembles) {
        let estimates = ensemble.observables.iter().map(|observable| observable.estimate);
        count(
            format!("the observables of {}", ensemble::name(ensemble)),
            &mut estimates
                .flat_map(|estimate| [estimate.mean, known(estimate.error), estimate.autocorrelation_time, estimate.effective_samples]),
        );
    }
    for (index, layer) in record.training.iter().flat_map(|training| &training.layers).enumerate() {
        let parameters = layer.weights.iter().chain(&layer.visible_bias).chain(&layer.hidden_bias);
        count(format!("the parameters of layer {}", index + 1), &mut parameters.map(|&value| f64::from(value)));
        let epochs = layer.epochs.iter().flat_map(|epoch| {
            [epoch.reconstruction_error, epoch.free_energy_gap, epoch.weight_norm, epoch.weight_maximum, epoch.gradient_norm, epoch.seconds]
        });
        count(format!("the training curves of layer {}", index + 1), &mut epochs.into_iter());
    }
    if let Some(renormalization) = &record.renormalization {
        for (index, layer) in renormalization.receptive_fields.iter().enumerate() {
            count(format!("the receptive fields of layer {}", index + 1), &mut layer.fields.iter().map(|&value| f64::from(value)));
        }
        for layer in &renormalization.reconstructions {
            let blocks = [layer.block_agreement, layer.iterated_block_agreement, layer.advantage, layer.block_correlation];
            let values = [Some(layer.agreement)].into_iter().chain(blocks);
            let numbers = values.flatten().flat_map(|[mean, error]| [mean, known(error)]);
            count(format!("the reconstruction from {} units", layer.units), &mut numbers.into_iter());
        }
        if let Some(likelihood) = &renormalization.likelihood {
            let directions = [likelihood.forward, likelihood.reverse];
            let logarithms = directions.iter().flat_map(|one| [one.log_partition_function, one.effective_samples]);
            let chains = likelihood.observables.iter().flat_map(|row| [row.from_data[0], row.from_random[0]]);
            let others = [likelihood.free_energy[0], likelihood.trace_violation[0], likelihood.entropy];
            count("the likelihood of the first layer".to_string(), &mut logarithms.chain(chains).chain(others));
        }
        for machine in &renormalization.mappings {
            let values = [
                machine.summary.hamiltonian_difference,
                machine.summary.free_energy_difference,
                machine.summary.divergence,
                machine.summary.mean_trace,
                machine.summary.trace_violation,
            ];
            count(format!("the mapping of “{}”", escape(&machine.name)), &mut values.into_iter());
        }
    }
    if places.is_empty() {
        return None;
    }
    let all = places.into_iter().map(|(place, bad)| format!("{} in {place}", thousands(bad as u64))).collect();
    Some(format!(
        "<b>Numbers that are not finite:</b> {}. They are shown as a dash; nothing computed from them can be trusted.",
        some_of(all)
    ))
}

fn sampling_warnings(sampling: &SamplingRecord, equilibration: Option<&TableRecord>, warnings: &mut Vec<String>) {
    let deviating: Vec<String> = sampling
        .ensembles
        .iter()
        .flat_map(|ensemble| ensemble.observables.iter().map(move |observable| (ensemble, observable)))
        .filter_map(|(ensemble, observable)| {
            Some((ensemble, observable, deviation(observable).filter(|deviation| deviation.abs() > LARGE_DEVIATION)?))
        })
        .map(|(ensemble, observable, deviation)| {
            let by =
                if deviation.is_finite() { format!("by {} errors", fixed(deviation.abs(), 1)) } else { "without any error".to_string() };
            format!("{} at {} {by}", escape(&observable.long_name), ensemble::name(ensemble))
        })
        .collect();
    if !deviating.is_empty() {
        warnings.push(format!("<b>More than four standard errors from the exact value:</b> {}.", some_of(deviating)));
    }
    warnings.extend(locked_states(sampling));
    let short: Vec<String> = sampling
        .ensembles
        .iter()
        .filter_map(|ensemble| Some((ensemble, ensemble::slowest(ensemble)?)))
        .filter(|(ensemble, (_, time))| {
            ensemble::shortest_chain(ensemble) > 0 && (ensemble::shortest_chain(ensemble) as f64) < SHORT_CHAIN * time
        })
        .map(|(ensemble, (observable, time))| {
            let length = significant(ensemble::shortest_chain(ensemble) as f64 / time, 2);
            format!("{} ({length} <i>τ</i><sub>int</sub> of the {})", ensemble::name(ensemble), escape(&observable.long_name))
        })
        .collect();
    if !short.is_empty() {
        warnings.push(format!(
            "<b>Chains shorter than 100 autocorrelation times:</b> {}. Their errors are too small, by an unknown amount.",
            some_of(short)
        ));
    }
    if let Some(table) = equilibration {
        let drifting = rare(sampling, table, "drift");
        if !drifting.is_empty() {
            warnings.push(format!(
                "<b>Chains that still drift:</b> the first tenth differs from the last half in {}. Thermalization was too short; the averages are those of chains on their way.",
                some_of(drifting)
            ));
        }
        let remembering = rare(sampling, table, "of_starts");
        if !remembering.is_empty() {
            warnings.push(format!(
                "<b>Chains that remember how they began:</b> those that started hot and those that started cold differ in the first tenth of their draws in {}. Thermalization was too short.",
                some_of(remembering)
            ));
        }
    }
    let unfinished = sampling
        .ensembles
        .iter()
        .filter(|ensemble| ensemble.draws().len() < sampling.replicas || ensemble::shortest_chain(ensemble) < sampling.draws)
        .count()
        + (sampling.sizes.len() * sampling.couplings.len()).saturating_sub(sampling.ensembles.len());
    if unfinished > 0 {
        warnings.push(format!(
            "<b>Sampling is not finished:</b> {unfinished} of {} ensembles lack measurements. This report shows what there is.",
            sampling.sizes.len() * sampling.couplings.len()
        ));
    }
}

/// What Metropolis leaves out on 4 x 4 spins, and where it is most.
fn locked_states(sampling: &SamplingRecord) -> Option<String> {
    let is_concerned = sampling.geometry == Geometry::Square && sampling.algorithm == "metropolis";
    let concerned = sampling.ensembles.iter().filter(|ensemble| is_concerned && ensemble.size == 4);
    let hottest = concerned.map(|ensemble| ensemble.coupling).min_by(f64::total_cmp)?;
    // Their energy is 0, so that each has the weight 1 / Z.
    let share = 36.0 * (-16.0 * exact::square(4, hottest).log_partition_function_per_site).exp();
    Some(format!(
        "<b>States that Metropolis never visits on 4 x 4 spins:</b> the 36 in which every spin has two neighbours of each sign have a share of {} of Boltzmann's law at <i>K</i> = {}, the \
         smallest coupling. The heat bath and the cluster algorithms visit them.",
        significant(share, 2),
        significant(hottest, 4)
    ))
}

/// The ensembles whose energies or squared magnetizations are further from equilibrium than happens once in a hundred thousand ensembles, by the columns of the table `equilibration` that end so.
fn rare(sampling: &SamplingRecord, table: &TableRecord, ending: &str) -> Vec<String> {
    const WATCHED: [(&str, &str); 2] = [("energy", "energy"), ("magnetization_squared", "squared magnetization")];
    let of_row = |(row, ensemble): (usize, &Ensemble)| {
        WATCHED.into_iter().find_map(|(column, words)| {
            let [rarity, _] = table.get(row, &format!("{column}_{ending}_probability"))?;
            let by = table.get(row, &format!("{column}_{ending}")).map(|[errors, _]| format!("by {} errors", fixed(errors.abs(), 1)));
            let by = by.unwrap_or_else(|| "without any scatter".to_string());
            (rarity < RARE_DRIFT).then(|| format!("the {words} at {} {by}", ensemble::name(ensemble)))
        })
    };
    sampling.ensembles.iter().enumerate().filter_map(of_row).collect()
}

fn training_warnings(training: &TrainingRecord, warnings: &mut Vec<String>) {
    let dead: Vec<String> = training
        .layers
        .iter()
        .enumerate()
        .filter(|(_, layer)| layer.hidden > 0 && layer.dead_units.len() as f64 > DEAD_SHARE * layer.hidden as f64)
        .map(|(index, layer)| {
            let share = percent(layer.dead_units.len() as f64 / layer.hidden as f64, 1);
            format!("{} of {} in layer {} ({share} %)", layer.dead_units.len(), layer.hidden, index + 1)
        })
        .collect();
    if !dead.is_empty() {
        warnings.push(format!(
            "<b>Dead hidden units:</b> {}. They never move over the data; a smaller L1 penalty or the centred gradient helps.",
            some_of(dead)
        ));
    }
}

/// Whether the configurations that a network learned from and was judged by are worth far fewer independent ones.
fn correlated(sampling: &SamplingRecord, training: &TrainingRecord) -> Option<String> {
    let of_training = if training.fresh { 0 } else { training.samples };
    let used = (of_training + training.held_out) / training.couplings.len().max(1);
    let learned = |ensemble: &&Ensemble| ensemble.size == training.size && training.couplings.contains(&ensemble.coupling);
    let of_ensemble = |ensemble: &Ensemble| {
        let (observable, time) = ensemble::slowest(ensemble)?;
        let independent = ensemble.draws().iter().sum::<usize>() as f64 / (2.0 * time);
        (independent < INDEPENDENT_SHARE * used as f64).then(|| {
            let (name, factor) = (ensemble::name(ensemble), (used as f64 / independent).sqrt());
            format!(
                "of the {} at {name} no more than {} are independent by the {}: up to {} times",
                thousands(used as u64),
                thousands(independent as u64),
                escape(&observable.long_name),
                significant(factor, 2)
            )
        })
    };
    let few: Vec<String> = sampling.ensembles.iter().filter(learned).filter_map(of_ensemble).collect();
    (!few.is_empty()).then(|| {
        format!(
            "<b>Configurations that are not independent:</b> {}. So much too small are errors that come from held-out configurations, which are taken for independent ones; a larger measure_every helps.",
            some_of(few)
        )
    })
}

fn renormalization_warnings(renormalization: &RenormalizationRecord, warnings: &mut Vec<String>) {
    let below: Vec<String> = renormalization
        .reconstructions
        .iter()
        .filter(|record| reconstruction::advantage(record).is_some_and(|advantage| advantage < -2.0))
        .map(|record| {
            let block = reconstruction::best_block(record).map_or(f64::NAN, |block| block[0]);
            format!("{} units return {} %, blocks {} %", record.units, percent(record.agreement[0], 1), percent(block, 1))
        })
        .collect();
    if !below.is_empty() {
        warnings.push(format!("<b>Reconstruction below block spins of the same compression:</b> {}.", some_of(below)));
    }
    if let Some(record) = &renormalization.likelihood {
        match likelihood::unusable(record) {
            Some(Unusable::Disagreement) => warnings.push(format!(
                "<b>No divergence:</b> forward and reverse annealing of the first layer differ by {} nats. More temperatures, or chains that reach equilibrium, are needed before its likelihood \
                 can be stated.",
                significant(likelihood::gap(record).abs(), 3)
            )),
            Some(Unusable::TooFewChains) => warnings.push(format!(
                "<b>No divergence:</b> one chain has nearly all the weight in the annealing of the first layer (effective chains: {}), so that the error of ln <i>Z</i> is not known. More temperatures or \
                 more chains are needed before its likelihood can be stated.",
                likelihood::effective_chains(record)
            )),
            None => {}
        }
        let moving = likelihood::moving(record);
        if !moving.is_empty() {
            warnings.push(format!(
                "<b>Chains of the machine are not in equilibrium:</b> after {} sweeps, data and random starts still differ in {}. The reverse estimate of ln <i>Z</i> is then no bound.",
                thousands(record.sweeps as u64),
                some_of(moving.iter().map(|row| escape(&row.long_name)).collect())
            ));
        }
    }
    let broken: Vec<String> = renormalization
        .mappings
        .iter()
        .filter(|machine| !mapping::holds(machine))
        .map(|machine| format!("“{}”", escape(&machine.name)))
        .collect();
    if !broken.is_empty() {
        warnings.push(format!(
            "<b>The exact mapping does not hold to rounding</b> for {}: an identity is violated, so the calculation is wrong.",
            some_of(broken)
        ));
    }
}
