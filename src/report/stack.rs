//! The whole stack as a model of the spins, beside its first machine: which of them samples the right thermodynamics.

use super::html::Section;
use super::number::{list, with_error};
use super::tables;
use crate::rbm::likelihood::verdict::Verdict;
use crate::record::{RenormalizationRecord, TableRecord, TrainingRecord};

/// The section, if the run has weighed its stack.
pub(super) fn section(renormalization: &RenormalizationRecord, training: Option<&TrainingRecord>) -> Option<Section> {
    let (models, observables) = (renormalization.table("models")?, renormalization.table("stack_thermodynamics")?);
    let mut section = Section::new("The stack as a model of the spins");
    section.paragraph(
        "A stack is more than its first machine: its top machine, sampled by Gibbs steps, leaves states in its visible layer, which go down to the lattice with one draw a layer. The law \
         of the spins that come out has no closed form. The mean of ln <i>p</i>(<i>v</i>) has a lower bound in which only ln <i>Z</i> of the top machine has to be found, so the divergence of \
         the stack is at most the number given. Layers above the first can lower it only if they model the activities below better than the machine under them does.",
    );
    section.findings.extend(verdict(models, training));
    section.findings.extend(divergences(models));
    section.table(tables::table_with(
        models,
        "The first machine and the stack: ln <i>Z</i> of the top machine of each, mean of −ln <i>p</i>(<i>v</i>) and divergence in nats (upper bounds for a stack), and how far energy and \
         specific heat, sampled from random starts, are from the exact values.",
        "model",
        &[
            ("layers", "layers"),
            ("forward", "ln <i>Z</i>, forward"),
            ("reverse", "ln <i>Z</i>, reverse"),
            ("enumerated", "ln <i>Z</i>, enumerated"),
            ("negative_log_likelihood", "−ln <i>p</i>"),
            ("divergence", "divergence"),
            ("energy_deviation", "energy off by"),
            ("specific_heat_deviation", "specific heat off by"),
        ],
        6,
    ));
    section.table(tables::table_with(
        observables,
        "Thermodynamics of both, over the second half of the sweeps, with the errors of independent chains.",
        "observable",
        &[
            ("first_machine", "first machine, from random"),
            ("stack_from_data", "stack, from data"),
            ("stack_from_random", "stack, from random"),
            ("exact", "exact"),
        ],
        6,
    ));
    Some(section)
}

/// Which of the two samples the right thermodynamics.
fn verdict(models: &TableRecord, training: Option<&TrainingRecord>) -> Vec<String> {
    let how = training.map_or(String::new(), |training| {
        if training.method == "cd" {
            format!(" (trained by CD-{})", training.gibbs_steps)
        } else {
            format!(" (trained by {})", training.method)
        }
    });
    let sentence = |row: usize| {
        let [energy, heat] = ["energy_deviation", "specific_heat_deviation"].map(|name| models.get(row, name));
        let (energy, heat) = (energy?, heat?);
        let verdict = match Verdict::of([energy, heat]) {
            Verdict::Right => "samples the right thermodynamics",
            Verdict::Wrong => "does not sample the right thermodynamics",
            Verdict::Undecided => "may or may not sample the right thermodynamics, which the errors do not tell",
        };
        Some(format!(
            "The {}{how} {verdict}: from random starts its energy is {} % and its specific heat {} % off the exact values (1 % and 5 % are allowed, judged with two standard errors).",
            models.rows[row].0,
            share(energy),
            share(heat)
        ))
    };
    (0..models.rows.len()).filter_map(sentence).collect()
}

/// What a model is off, in percent and without sign, with its error.
pub(super) fn share([off, error]: [f64; 2]) -> String {
    with_error(100.0 * off.abs(), 100.0 * error)
}

fn divergences(models: &TableRecord) -> Option<String> {
    let parts: Vec<String> = (0..models.rows.len())
        .filter_map(|row| Some((row, models.get(row, "divergence")?)))
        .map(|(row, [value, error])| {
            let bound = if models.get(row, "layers").is_some_and(|layers| layers[0] > 1.0) { "at most " } else { "" };
            format!("{bound}{} nats for the {}", with_error(value, error), models.rows[row].0)
        })
        .collect();
    (!parts.is_empty()).then(|| format!("The divergence from the Ising law is {}.", list(&parts)))
}
