//! Stacks side by side that learned other couplings or by other methods: which of them sample the right thermodynamics.

use super::html::{Section, escape};
use super::number::list;
use super::stack::share;
use super::tables;
use crate::rbm::likelihood::verdict::Verdict;
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
                ("is_right", "right (½: not decided)"),
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

/// Which models sample the right thermodynamics, which do not, and of which the errors do not tell. Judged from the deviations, so that tables of earlier versions are judged alike.
fn verdict(models: &TableRecord) -> Option<String> {
    let (mut right, mut wrong, mut undecided) = (Vec::new(), Vec::new(), Vec::new());
    for (row, (name, _)) in models.rows.iter().enumerate() {
        let deviations = ["energy_deviation", "specific_heat_deviation"].map(|column| models.get(row, column));
        let [Some(energy), Some(heat)] = deviations else { continue };
        let words = format!("{} ({} %, {} %)", escape(name), share(energy), share(heat));
        match Verdict::of([energy, heat]) {
            Verdict::Right => right.push(words),
            Verdict::Wrong => wrong.push(words),
            Verdict::Undecided => undecided.push(words),
        }
    }
    let of = |names: &[String]| if names.is_empty() { "none".to_string() } else { list(names) };
    (!(right.is_empty() && wrong.is_empty() && undecided.is_empty())).then(|| {
        format!(
            "Of the networks side by side, these sample the right thermodynamics (in parentheses how far energy and specific heat from random starts are off; 1 % and 5 % are allowed, with two standard \
             errors to spare): {}. These do not: {}. Of these the errors do not tell: {}.",
            of(&right),
            of(&wrong),
            of(&undecided)
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
        // The last column is that of earlier versions, which looked at no errors.
        let row =
            |energy: f64, heat: f64, right: f64| vec![Cell::estimate([energy, 1e-3]), Cell::estimate([heat, 1e-2]), Cell::exact(right)];
        models.push("main network, stack", row(0.004, -0.03, 1.0));
        models.push("method = \"cd\", stack", row(-0.2, 0.5, 0.0));
        models.push("method = \"pcd\", stack", row(0.004, -0.045, 1.0));
        let sentence = verdict(&models).expect("three models");
        let (right, rest) = sentence.split_once("These do not").expect("all sides");
        let (wrong, undecided) = rest.split_once("Of these").expect("all sides");
        assert!(right.contains("main network, stack (0.40(10) %, 3.0(1.0) %)") && !right.contains("cd"), "{sentence}");
        assert!(wrong.contains("stack (20.00(10) %, 50.0(1.0) %)") && !wrong.contains("main") && !wrong.contains("pcd"), "{sentence}");
        assert!(undecided.contains("pcd") && !undecided.contains("main"), "{sentence}");
    }
}
