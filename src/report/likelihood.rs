//! What the machine on the lattice believes about the spins: its likelihood from both directions, and its chains beside the exact values.

use super::axes::{Panel, Scale, legend};
use super::figure::Drawing;
use super::html::{Section, Table, escape};
use super::number::{DASH, fixed, list, percent, significant, thousands, with_error};
use super::style::{self, INK, MUTED};
use super::{machine_pairs, sizes};
use crate::rbm::likelihood::LARGEST_DISAGREEMENT;
use crate::record::{AnnealingRecord, LikelihoodRecord, ThermodynamicRecord};

/// Differences beyond this many combined standard errors are called differences.
pub(super) const DIFFERENT: f64 = 4.0;

/// The section of the likelihood.
pub(super) fn section(record: &LikelihoodRecord) -> Section {
    let mut section = Section::new("What the machine believes about the spins");
    section.paragraph(
        "The first machine gives every configuration a probability <i>p</i>(<i>v</i>) = e<sup>−<i>H</i><sup>RBM</sup>[<i>v</i>]</sup> / <i>Z</i>. Its mean negative log-likelihood over the \
         held-out configurations cannot be smaller than their entropy, which is known exactly; what it is larger by is the Kullback–Leibler divergence of the machine from the Ising law. \
         Since the true probability of each configuration is known too, the divergence is the mean of the difference of the two logarithms, and only ln <i>Z</i> is left to \
         be found: by enumeration where a layer has at most 24 units, otherwise by annealed importance sampling. From independent spins to the machine (forward) the estimate is too low \
         rather than too high; from chains of the machine to independent spins (reverse) it is too high rather than too low, provided that those chains are in equilibrium.",
    );
    section.findings.push(divergence(record));
    section.findings.extend(trace(record));
    section.findings.extend(equilibrium(record));
    section.findings.extend(energy(record));
    section.table(probabilities(record));
    if record.relaxation.len() > 1 {
        section.figure(
            "machine-energy",
            draw(record),
            "Energy per site of Gibbs chains of the machine against sweeps, from data and from random spins, with the exact value.",
            format!(
                "<b>Chains of the machine.</b> Mean energy per site of {} chains that started from held-out configurations and of as many that started from random spins, against the Gibbs sweeps \
                 since; bars are standard errors over chains. The dashed line is the exact value of the Ising model at the coupling of the data. Where the two curves have not met, neither shows \
                 the equilibrium of the machine.",
                thousands(record.chains as u64)
            ),
        );
    }
    if !record.observables.is_empty() {
        section.table(thermodynamics(record));
    }
    machine_pairs::add(&mut section, record);
    section
}

/// Why no divergence is to be used, if there is none or it comes from too few chains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Unusable {
    /// The two directions differ.
    Disagreement,
    /// One chain has nearly all the weight in at least one direction.
    TooFewChains,
}

/// Whether a divergence is withheld, and why. Files of earlier versions give one from too few chains as well.
pub(super) fn unusable(record: &LikelihoodRecord) -> Option<Unusable> {
    if record.exact_log_partition_function.is_some() {
        None
    } else if gap(record).abs() > LARGEST_DISAGREEMENT {
        Some(Unusable::Disagreement)
    } else if !(record.forward.is_usable() && record.reverse.is_usable()) {
        Some(Unusable::TooFewChains)
    } else {
        record.log_partition_function.is_none().then_some(Unusable::Disagreement)
    }
}

/// The effective chains of both directions in words.
pub(super) fn effective_chains(record: &LikelihoodRecord) -> String {
    let one = |one: &AnnealingRecord| format!("{} of {}", significant(one.effective_samples, 2), thousands(one.chains as u64));
    format!("{} forward and {} reverse", one(&record.forward), one(&record.reverse))
}

/// Reverse minus forward estimate of ln Z, in nats.
pub(super) fn gap(record: &LikelihoodRecord) -> f64 {
    record.reverse.log_partition_function - record.forward.log_partition_function
}

/// The difference of the two starts in combined standard errors.
pub(super) fn difference_of_starts(row: &ThermodynamicRecord) -> Option<f64> {
    in_errors(row.from_data[0] - row.from_random[0], row.from_data[1].hypot(row.from_random[1]))
}

/// What cannot be true together, as warnings: a divergence is never negative, and a machine that is near to the Ising law has nearly its energy.
pub(super) fn impossible(record: &LikelihoodRecord) -> Option<String> {
    let [divergence, error] = record.divergence.filter(|_| unusable(record).is_none())?;
    if divergence < -DIFFERENT * error {
        return Some(format!(
            "<b>The divergence is negative</b>, {} nats, {} standard errors below zero, which no divergence can be: the held-out configurations do not follow the Ising law at the stated \
             coupling, or ln <i>Z</i> is wrong. It says nothing about the machine.",
            pair([divergence, error]),
            fixed((divergence / error).abs(), 1)
        ));
    }
    let energy = record.observables.iter().find(|row| row.name == "energy_per_site")?;
    let exact = energy.exact?;
    // Pinsker's inequality: means of what lies between -2 and 2 differ by 4 sqrt(D / 2) at most.
    let most = 4.0 * ((divergence + DIFFERENT * error).max(0.0) / 2.0).sqrt();
    let [found, own_error] = energy.from_random;
    ((found - exact).abs() > most + DIFFERENT * own_error).then(|| {
        format!(
            "<b>Divergence and energy contradict each other:</b> the energy of a machine {} nats from the Ising law is at most {} off the exact {}, and chains of this one have {}. The held-out \
             configurations do not follow that law, or the chains have not reached the equilibrium of the machine.",
            pair([divergence, error]),
            significant(most, 2),
            fixed(exact, 5),
            pair(energy.from_random)
        )
    })
}

/// The observables whose two starts differ.
pub(super) fn moving(record: &LikelihoodRecord) -> Vec<&ThermodynamicRecord> {
    record.observables.iter().filter(|row| difference_of_starts(row).is_some_and(|difference| difference.abs() > DIFFERENT)).collect()
}

/// A difference in standard errors, where there is such a number.
pub(super) fn in_errors(difference: f64, error: f64) -> Option<f64> {
    (difference.is_finite() && error.is_finite() && error > 0.0).then(|| difference / error)
}

/// A mean with its error in parentheses.
pub(super) fn pair(value: [f64; 2]) -> String {
    with_error(value[0], value[1])
}

/// The deviation of a value from the exact one in its standard errors, as a cell of a table.
pub(super) fn deviation([value, error]: [f64; 2], exact: Option<f64>) -> String {
    match exact.and_then(|exact| in_errors(value - exact, error)) {
        Some(away) if away.abs() > DIFFERENT => format!("<span class=\"bad\">{}</span>", fixed(away, 1)),
        Some(away) => fixed(away, 1),
        None => DASH.to_string(),
    }
}

fn divergence(record: &LikelihoodRecord) -> String {
    if unusable(record) == Some(Unusable::TooFewChains) {
        return format!(
            "No divergence is to be used: the effective chains of annealing are {}, and with less than two nothing is known of the error. Forward alone would say {}, reverse alone {}.",
            effective_chains(record),
            pair(record.forward.divergence),
            pair(record.reverse.divergence)
        );
    }
    match (record.divergence, record.negative_log_likelihood) {
        (Some(divergence), Some(likelihood)) => {
            let how = if record.exact_log_partition_function.is_some() {
                "ln <i>Z</i> by enumeration".to_string()
            } else {
                format!("the two directions of annealing differ by {} nats", significant(gap(record).abs(), 2))
            };
            let per_site = divergence[0] / record.visible.max(1) as f64;
            format!(
                "The divergence of the machine from the Ising law is {} nats, {} a site: its negative log-likelihood is {}, and the entropy of the spins is {} ({how}).",
                pair(divergence),
                significant(per_site, 2),
                pair(likelihood),
                fixed(record.entropy, 3)
            )
        }
        _ => format!(
            "No divergence is given: the two directions of annealing differ by {} nats, which is more than 5. Forward alone would say {}, reverse alone {}.",
            significant(gap(record).abs(), 3),
            pair(record.forward.divergence),
            pair(record.reverse.divergence)
        ),
    }
}

fn trace(record: &LikelihoodRecord) -> Option<String> {
    let [variance, error] = record.trace_violation;
    variance.is_finite().then(|| {
        format!(
            "The trace condition Tr<sub><i>h</i></sub> e<sup><i>T</i></sup> = 1 (Eq. 9) is violated by {} nats from one configuration to another: the variance of \
             ln Tr<sub><i>h</i></sub> e<sup><i>T</i></sup> = <i>H</i> − <i>H</i><sup>RBM</sup> over the held-out configurations is {} nats² (it is 0 for the exact machine).",
            significant(variance.sqrt(), 3),
            with_error(variance, error)
        )
    })
}

fn equilibrium(record: &LikelihoodRecord) -> Option<String> {
    if record.observables.iter().all(|row| difference_of_starts(row).is_none()) {
        return None;
    }
    let moving: Vec<String> = moving(record).iter().map(|row| escape(&row.long_name)).collect();
    let sweeps = thousands(record.sweeps as u64);
    Some(if moving.is_empty() {
        format!(
            "Chains from data and from random spins agree in every observable over the second half of {sweeps} sweeps, within four combined standard errors."
        )
    } else {
        format!(
            "Chains from data and from random spins do not agree after {sweeps} sweeps ({}): the machine mixes more slowly than that, and neither column below is its equilibrium.",
            list(&moving)
        )
    })
}

fn energy(record: &LikelihoodRecord) -> Option<String> {
    let row = record.observables.iter().find(|row| row.name == "energy_per_site")?;
    let (exact, [found, error]) = (row.exact?, row.from_random);
    let away = in_errors(found - exact, error)?;
    Some(format!(
        "Sampled from random starts, the machine has the energy {} a site, {} % from the exact {} ({} standard errors).",
        pair(row.from_random),
        percent(((found - exact) / exact).abs(), 1),
        fixed(exact, 5),
        fixed(away.abs(), 1)
    ))
}

fn probabilities(record: &LikelihoodRecord) -> Table {
    let mut table = Table::new(
        format!(
            "The machine of {} visible and {} hidden units over {} held-out configurations, {} temperatures. Logarithms and divergences are in nats. Errors of annealing are those of the \
             weights that were met; with few effective chains they are too small.",
            thousands(record.visible as u64),
            thousands(record.hidden as u64),
            thousands(record.held_out as u64),
            thousands(record.temperatures as u64)
        ),
        &["ln <i>Z</i>", "value", "95 % interval", "effective chains", "divergence"],
    );
    let row = |name: &str, one: &AnnealingRecord| {
        let effective = format!("{} of {}", significant(one.effective_samples, 3), thousands(one.chains as u64));
        let mark = if one.is_usable() || record.exact_log_partition_function.is_some() { "" } else { ": not to be used" };
        [
            format!("annealed, {name}{mark}"),
            with_error(one.log_partition_function, one.error),
            interval(one),
            effective,
            pair(one.divergence),
        ]
    };
    table.row(&row("forward", &record.forward));
    table.row(&row("reverse", &record.reverse));
    if let Some(exact) = record.exact_log_partition_function {
        let none = DASH.to_string();
        table.row(&["by enumeration".to_string(), fixed(exact, 6), none.clone(), none, record.divergence.map_or(DASH.to_string(), pair)]);
    } else {
        // Files of earlier versions hold a middle whatever the chains.
        let is_used = unusable(record).is_none();
        let or_dash = |value: Option<[f64; 2]>| value.filter(|_| is_used).map_or(DASH.to_string(), pair);
        table.row(&[
            "accepted: the middle".to_string(),
            or_dash(record.log_partition_function),
            DASH.to_string(),
            DASH.to_string(),
            or_dash(record.divergence),
        ]);
    }
    table
}

/// The interval of ln Z, to the digits that its width leaves.
fn interval(record: &AnnealingRecord) -> String {
    let [low, high] = record.interval();
    if !(high - low).is_finite() {
        return DASH.to_string();
    }
    let digits = (1.0 - (high - low).max(1e-9).log10()).ceil().clamp(0.0, 6.0) as usize;
    format!("{} … {}", fixed(low, digits), fixed(high, digits))
}

fn thermodynamics(record: &LikelihoodRecord) -> Table {
    let mut table = Table::new(
        format!(
            "Thermodynamics of the machine over the second half of {} Gibbs sweeps of {} chains from each start, with the errors of independent chains; deviations from the exact value of the \
             Ising model are in these errors.",
            thousands(record.sweeps as u64),
            thousands(record.chains as u64)
        ),
        &["observable", "unit", "from data", "deviation", "from random", "deviation", "exact"],
    );
    for row in &record.observables {
        table.row(&[
            escape(&row.long_name),
            escape(&row.units),
            pair(row.from_data),
            deviation(row.from_data, row.exact),
            pair(row.from_random),
            deviation(row.from_random, row.exact),
            row.exact.map_or(DASH.to_string(), |exact| fixed(exact, 6)),
        ]);
    }
    table
}

fn draw(record: &LikelihoodRecord) -> Drawing {
    let mut drawing = Drawing::new(sizes::LIKELIHOOD);
    let exact = record.observables.iter().find(|row| row.name == "energy_per_site").and_then(|row| row.exact);
    let points: Vec<_> = record.relaxation.iter().filter(|point| point.sweep > 0).collect();
    let energies = points.iter().flat_map(|point| [point.from_data[0], point.from_random[0]]).chain(exact);
    let sweeps = points.iter().map(|point| point.sweep as f64);
    let (Some(x), Some(y)) = (Scale::logarithmic(sweeps.clone()), Scale::linear(energies)) else { return drawing };
    let panel = Panel { left: 86.0, top: 50.0, right: 904.0, bottom: 312.0, x, y };
    panel.axes(&mut drawing, "Gibbs sweeps", "energy per site (J)");
    if let (Some(exact), Some(first), Some(last)) = (exact, points.first(), points.last()) {
        panel.dashed_curve(&mut drawing, &[(first.sweep as f64, exact), (last.sweep as f64, exact)], MUTED, 1.4);
    }
    let mut entries = Vec::new();
    for (which, name) in ["from data", "from random spins"].into_iter().enumerate() {
        let colour = style::category(which);
        let value = |index: usize| if which == 0 { points[index].from_data } else { points[index].from_random };
        panel.curve(&mut drawing, points.iter().enumerate().map(|(index, point)| (point.sweep as f64, value(index)[0])), colour, 1.6);
        for (index, point) in points.iter().enumerate() {
            let [mean, error] = value(index);
            panel.error_bar(&mut drawing, point.sweep as f64, mean, error, colour);
            if let Some(place) = panel.at(point.sweep as f64, mean) {
                drawing.disc(place, 2.2, colour);
            }
        }
        entries.push((colour, name.to_string()));
    }
    if exact.is_some() {
        entries.push((MUTED, "exact (dashed)".to_string()));
    }
    let end = legend(&mut drawing, [86.0, 24.0], &entries);
    drawing.text(&format!("{} chains each", thousands(record.chains as u64)), [end + 6.0, 24.0], 11.0, INK, super::figure::Anchor::Start);
    drawing
}
