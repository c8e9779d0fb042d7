//! Stacks that learned other couplings or by other methods, beside the main one: their receptive fields, and which of them sample the right thermodynamics. Rank 0 calls it.

use super::controls::{self, Beside};
use super::notes::Notes;
use super::renormalize::Subject;
use super::{likelihood, stack};
use crate::config::RenormalizeSection;
use crate::error::Result;
use crate::record::{LikelihoodRecord, TableRecord};

/// The tables `stack_fields` and `stack_models`; none without such stacks. `found` are the tables that are there already.
///
/// # Errors
/// [`crate::error::Error::NotFinite`] if a network holds a number that is not finite.
pub fn tables(
    section: &RenormalizeSection,
    subject: &Subject,
    first: Option<&LikelihoodRecord>,
    found: &[TableRecord],
    beside: &[Beside],
    notes: &Notes,
) -> Result<Vec<TableRecord>> {
    let rivals: Vec<&Beside> = beside.iter().filter(|one| one.companion.role.is_rival()).collect();
    if rivals.is_empty() {
        return Ok(Vec::new());
    }
    let main = "main network";
    let mut tables = Vec::new();
    if section.receptive_fields {
        tables.push(notes.part("fields of the stacks", || {
            let words = "receptive fields of stacks that learned other couplings or by other methods";
            let mut table = TableRecord::new("stack_fields", "stack", words, &controls::COLUMNS);
            controls::push_stack(&mut table, main, subject)?;
            rivals.iter().try_for_each(|one| controls::push_stack(&mut table, &one.companion.name, &one.subject()))?;
            Ok(table)
        })?);
    }
    let Some((wanted, first)) = section.likelihood.zip(first) else { return Ok(tables) };
    let words = "stacks that learned other couplings or by other methods, as models of the spins";
    let mut table = TableRecord::new("stack_models", "model_of_stack", words, &stack::COLUMNS);
    let mut push = |name: &str, first: &LikelihoodRecord, tables: &[TableRecord]| {
        table.push(format!("{name}, first machine"), stack::first_row(first));
        let models = tables.iter().find(|table| table.name == "models");
        if let Some((_, cells)) = models.and_then(|models| models.rows.get(1)) {
            table.push(format!("{name}, stack"), cells.clone());
        }
    };
    push(main, first, found);
    for one in rivals {
        let (name, subject) = (&one.companion.name, one.subject());
        // Parts of their own, so that the next network does not go on from the states of this one.
        let first = notes.part(&format!("likelihood of {name}"), || likelihood::run(&wanted, &subject, notes))?;
        let models = notes.part(&format!("stack of {name}"), || stack::run(&wanted, &subject, &first, notes))?;
        push(name, &first, &models);
    }
    tables.push(table);
    Ok(tables)
}
