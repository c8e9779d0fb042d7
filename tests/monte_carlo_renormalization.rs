//! Monte Carlo renormalization of critical 64 x 64 lattices, by the job of that name, against a reference made with other code and published values.
//!
//! Reference: 40,000 Swendsen-Wang configurations, jackknife errors of 20 parts; it agrees with R. H. Swendsen, Phys. Rev. Lett. 42, 859 (1979). Every number must be within four standard
//! errors of both together. By default a twentieth of the job, with errors of about 0.01 in y_T; with KADANOFF_LONG=1 the whole job, in which y_T of the third step must be 1.00 +- 0.01 and
//! y_H 1.875 +- 0.003. Mutants: K = 0.43, and y_T where the first level is taken for the second.
#![allow(clippy::unwrap_used)]

#[path = "support/runs.rs"]
mod runs;

use kadanoff::record::TableRecord;
use runs::{kadanoff, succeed, write_job};

/// y_T from one to four operators and y_H from one and two, step by step, each with its error.
const REFERENCE: [[[f64; 2]; 6]; 4] = [
    [[0.9142, 0.0036], [0.9676, 0.0044], [0.9705, 0.0043], [0.9709, 0.0046], [1.8810, 0.0001], [1.8804, 0.0001]],
    [[0.9716, 0.0050], [1.0109, 0.0042], [1.0119, 0.0042], [1.0132, 0.0046], [1.8758, 0.0002], [1.8759, 0.0002]],
    [[0.9565, 0.0038], [0.9997, 0.0040], [1.0012, 0.0041], [1.0001, 0.0049], [1.8737, 0.0004], [1.8747, 0.0004]],
    [[0.9461, 0.0052], [1.0017, 0.0051], [1.0017, 0.0054], [0.9900, 0.0080], [1.8706, 0.0006], [1.8734, 0.0006]],
];
const CORRELATIONS: [f64; 4] = [0.70440, 0.71196, 0.73154, 0.77143];
const COLUMNS: [&str; 6] =
    ["thermal_exponent_1", "thermal_exponent_2", "thermal_exponent_3", "thermal_exponent_4", "magnetic_exponent_1", "magnetic_exponent_2"];

/// The largest deviation of the rows from `first` on from the steps of the reference, in standard errors of both.
fn largest_deviation(table: &TableRecord, first: usize, steps: std::ops::Range<usize>) -> f64 {
    let of_step = |step: usize| {
        COLUMNS.iter().enumerate().map(move |(column, name)| {
            let ([value, error], [wanted, uncertainty]) = (table.get(first + step, name).unwrap(), REFERENCE[step][column]);
            (value - wanted).abs() / error.hypot(uncertainty)
        })
    };
    steps.flat_map(of_step).fold(0.0, f64::max)
}

#[test]
fn the_job_has_the_exponents_of_the_reference() {
    let long = std::env::var("KADANOFF_LONG").is_ok_and(|value| value == "1");
    let job = include_str!("../jobs/monte-carlo-renormalization.toml");
    let quick = job
        .replace("couplings = [0.4406867935097715]", "couplings = [0.4406867935097715, 0.43]")
        .replace("sweeps = 40000", "sweeps = 2000")
        .replace("configurations = 160000", "configurations = 8000")
        .replace("tensor_bonds = [2, 4, 8, 16, 24]", "standards = false");
    assert!(["0.43]", "sweeps = 2000", "configurations = 8000", "standards = false"].iter().all(|change| quick.contains(change)));
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("run");
    succeed(kadanoff().arg("run").arg(write_job(folder.path(), if long { job } else { &quick })).arg("--out").arg(&directory));
    let renormalization = kadanoff::store::read_run(&directory).unwrap().renormalization.unwrap();
    let table = renormalization.table("monte_carlo").unwrap();
    let first = (0..table.rows.len()).find(|&row| (table.get(row, "coupling").unwrap()[0] - 0.4406867935).abs() < 1e-9).unwrap();

    let worst = largest_deviation(table, first, 0..4);
    assert!(worst < 4.0, "{worst} standard errors: {table:?}");
    for (step, wanted) in CORRELATIONS.into_iter().enumerate() {
        let [value, error] = table.get(first + step, "correlation").unwrap();
        // The reference prints no errors: those of 40,000 configurations are twice those of the whole job.
        let uncertainty = if long { 2.0 * error } else { error };
        assert!((value - wanted).abs() < 4.0 * error.hypot(uncertainty) && error < 0.003, "step {step}: {value} +- {error}");
    }
    let ([thermal, thermal_error], [magnetic, magnetic_error]) =
        (table.get(first + 2, "thermal_exponent_3").unwrap(), table.get(first + 2, "magnetic_exponent_1").unwrap());
    let scale = if long { 1.0 } else { 4.0 };
    assert!((thermal - 1.0).abs() < 0.01 * scale && thermal_error < 0.004 * scale, "{thermal} +- {thermal_error}");
    assert!((magnetic - 1.875).abs() < 0.003 * scale && magnetic_error < 0.0005 * scale, "{magnetic} +- {magnetic_error}");

    // A step too few is seen.
    let shifted = TableRecord { rows: table.rows[first + 1..].to_vec(), ..table.clone() };
    assert!(largest_deviation(&shifted, 0, 0..3) > 6.0);
    if !long {
        let warm = if first == 0 { 4 } else { 0 };
        assert!(largest_deviation(table, warm, 0..4) > 6.0, "K = 0.43 is not critical");
    }
}
