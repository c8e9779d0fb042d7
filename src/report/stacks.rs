//! Stacks side by side that learned other couplings or by other methods: which of them sample the right thermodynamics.

use super::html::{Section, escape};
use super::number::{list, percent};
use super::tables;
use crate::record::{RenormalizationRecord, TableRecord, TrainingRecord};

/// The section, if the run has such stacks.
pub(super) fn section(renormalization: &RenormalizationRecord, training: Option<&TrainingRecord>) -> Option<Section> {
    let (fields, models) = (renormalization.table("stack_fields"), renormalization.table("stack_models"));
    fields.or(models)?;
    let mut section = Section::new("Stacks side by side");
    let method = training.map_or(String::new(), |training| format!(" by the method \"{}\"", escape(&training.method)));
    let couplings = training.map(|training| training.couplings.iter().map(|coupling| format!("{coupling:.7}")).collect::<Vec<String>>());
    let learned = couplings.filter(|all| !all.is_empty()).map_or(String::new(), |all| format!(" <i>K</i> = {}", list(&all)));
    section.paragraph(format!(
        "Networks of the same shape, each with one thing changed: the coupling of the configurations, or the method of training. The main network learned{learned}{method}. Each network is held \
         against the exact law at its own coupling."
    ));
    if let Some(models) = models {
        section.findings.extend(verdict(models));
        section.table(tables::table_with(
            models,
            "Each first machine and each whole stack as a model of the spins: divergence from the Ising law in nats (an upper bound for a stack), and how far energy and specific heat, sampled \
             from random starts, are from the exact values.",
            "model",
            &[
                ("layers", "layers"),
                ("forward", "ln <i>Z</i>, forward"),
                ("reverse", "ln <i>Z</i>, reverse"),
                ("divergence", "divergence"),
                ("energy_deviation", "energy off by"),
                ("specific_heat_deviation", "specific heat off by"),
                ("is_right", "right"),
            ],
            6,
        ));
    }
    if let Some(fields) = fields {
        section.table(tables::table_with(
            fields,
            "Receptive fields of each layer of each network, and the share of held-out spins that come back from it.",
            "network",
            &[
                ("layer", "layer"),
                ("units", "units"),
                ("dead", "dead"),
                ("share_8", "<i>f</i><sub>8</sub>"),
                ("share_16", "<i>f</i><sub>16</sub>"),
                ("participation_ratio", "median PR"),
                ("agreement", "agreement"),
            ],
            4,
        ));
    }
    Some(section)
}

/// Which models sample the right thermodynamics, and which do not.
fn verdict(models: &TableRecord) -> Option<String> {
    let (mut right, mut wrong) = (Vec::new(), Vec::new());
    for (row, (name, _)) in models.rows.iter().enumerate() {
        let deviations = ["energy_deviation", "specific_heat_deviation"].map(|column| models.get(row, column));
        let ([Some(energy), Some(heat)], Some(is_right)) = (deviations, models.get(row, "is_right")) else { continue };
        let words = format!("{} ({} %, {} %)", escape(name), percent(energy[0].abs(), 1), percent(heat[0].abs(), 1));
        if is_right[0] == 1.0 { right.push(words) } else { wrong.push(words) }
    }
    let of = |names: &[String], none: &str| if names.is_empty() { none.to_string() } else { list(names) };
    (!(right.is_empty() && wrong.is_empty())).then(|| {
        format!(
            "Of the networks side by side, these sample the right thermodynamics (in parentheses how far energy and specific heat from random starts are off; 1 % and 5 % are allowed): {}. \
             These do not: {}.",
            of(&right, "none"),
            of(&wrong, "none")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Cell;

    #[test]
    fn the_verdict_names_every_model_on_its_side() {
        let columns = [("energy_deviation", "", "1"), ("specific_heat_deviation", "", "1"), ("is_right", "", "1")];
        let mut models = TableRecord::new("stack_models", "model_of_stack", "models", &columns);
        let row =
            |energy: f64, heat: f64, right: f64| vec![Cell::estimate([energy, 1e-3]), Cell::estimate([heat, 1e-2]), Cell::exact(right)];
        models.push("main network, stack", row(0.004, -0.03, 1.0));
        models.push("method = \"cd\", stack", row(-0.2, 0.5, 0.0));
        let sentence = verdict(&models).expect("two models");
        let (right, wrong) = sentence.split_once("These do not").expect("both sides");
        assert!(right.contains("main network, stack (0.4 %, 3.0 %)") && !right.contains("cd"), "{sentence}");
        assert!(wrong.contains("stack (20.0 %, 50.0 %)") && !wrong.contains("main"), "{sentence}");
    }
}
