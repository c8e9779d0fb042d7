//! Configurations that another program made, held against the Ising law that the run file says they follow.

use super::html::{Section, escape};
use super::number::{fixed, significant, thousands, with_error};
use super::tables;
use crate::record::{RunRecord, TableRecord};

/// Standard errors beyond which the configurations are said not to follow the law.
const DIFFERENT: f64 = 4.0;

/// The section, where configurations were taken in.
pub(super) fn section(record: &RunRecord) -> Option<Section> {
    let table = record.analysis("imported_configurations")?;
    let mut section = Section::new("Configurations of another program");
    section.paragraph(
        "Everything that a network is held against below is the Ising law at the coupling that the run file states. Whether the configurations that it learned follow this law is seen from their mean \
         energy: its error is that of the Gamma method over the configurations in the order of the file, as if they were draws of one chain, and the exact value is that of the finite torus.",
    );
    section.findings.extend(finding(table));
    section.table(tables::table(
        table,
        "Energy per site of the configurations that were taken in, beside the exact value at the stated coupling.",
        "file",
        &[
            ("configurations", "configurations"),
            ("coupling", "<i>K</i>"),
            ("energy_per_site", "energy per site (<i>J</i>)"),
            ("exact", "exact"),
            ("deviation", "deviation / error"),
            ("autocorrelation_time", "<i>τ</i><sub>int</sub> (rows)"),
        ],
    ));
    Some(section)
}

fn finding(table: &TableRecord) -> Option<String> {
    let (energy, exact) = (table.get(0, "energy_per_site")?, table.get(0, "exact")?[0]);
    let away = table.get(0, "deviation").map_or(String::new(), |[errors, _]| format!(", {} standard errors away", fixed(errors.abs(), 1)));
    Some(format!(
        "The {} configurations of {} have the mean energy {} a site; that of the Ising model at the stated coupling is {}{away}.",
        thousands(table.get(0, "configurations")?[0] as u64),
        escape(&table.rows.first()?.0),
        with_error(energy[0], energy[1]),
        significant(exact, 8)
    ))
}

/// The warning, if the energies are not those of the law.
pub(super) fn warning(record: &RunRecord) -> Option<String> {
    let table = record.analysis("imported_configurations")?;
    let (energy, exact) = (table.get(0, "energy_per_site")?, table.get(0, "exact")?[0]);
    // Configurations that all have the same energy have no error.
    let by = match table.get(0, "deviation") {
        Some([errors, _]) if errors.abs() > DIFFERENT => format!("{} standard errors from it", fixed(errors.abs(), 1)),
        Some(_) => return None,
        None => "the same in all of them".to_string(),
    };
    Some(format!(
        "<b>The configurations do not follow the law that the run file states:</b> those of {} have the mean energy {} a site, and the Ising model on this torus at <i>K</i> = {} has {}: {by}. \
         What is said below of the divergence, and every exact value beside the network, is about that law and not about the configurations; correct <code>coupling</code> in <code>data</code> of [train], or the file.",
        escape(&table.rows.first()?.0),
        with_error(energy[0], energy[1]),
        significant(table.get(0, "coupling")?[0], 8),
        significant(exact, 8)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Cell, Provenance};

    #[test]
    fn what_is_off_is_warned_of() {
        let with = |energy: [f64; 2], deviation: Option<f64>| {
            let columns = ["configurations", "coupling", "energy_per_site", "exact", "deviation"].map(|name| (name, "", "1"));
            let mut table = TableRecord::new("imported_configurations", "file", "", &columns);
            let cells = [Cell::exact(400.0), Cell::exact(0.4), Cell::estimate(energy), Cell::exact(-1.1), Cell::maybe(deviation)];
            table.push("x<y.npy", cells.to_vec());
            let provenance = Provenance::new("seed = 1\n", 1);
            RunRecord { provenance, sampling: None, scaling: None, analyses: vec![table], training: None, renormalization: None }
        };
        assert_eq!(warning(&with([-1.12, 0.01], Some(-2.0))), None);
        let far = warning(&with([-1.3, 0.01], Some(-20.0))).expect("a warning");
        assert!(far.contains("x&lt;y.npy") && far.contains("20.0 standard errors"), "{far}");
        assert!(warning(&with([-2.0, 0.0], None)).is_some_and(|words| words.contains("the same in all of them")));
        assert!(section(&with([-1.12, 0.01], Some(-2.0))).is_some_and(|section| section.findings.len() == 1));
    }
}
