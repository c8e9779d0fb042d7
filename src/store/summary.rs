//! `summary.json`: the numbers of a run without its long arrays, for a person and for a script. A number that does not exist is null.

use super::directory::regular_bytes;
use super::{FORMAT_VERSION, durable};
use crate::error::{Error, Result};
use crate::record::{
    Cell, LayerRecord, LikelihoodRecord, Observable, RenormalizationRecord, RunRecord, SamplingRecord, Scaling, TableRecord,
    TemperingRecord, TrainingRecord,
};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Replaces `path` by the summary of a run.
///
/// # Errors
/// [`Error::InputOutput`]; the old file is then intact.
pub fn write_summary(path: &Path, record: &RunRecord) -> Result<()> {
    durable::write(path, text(record)?.as_bytes())
}

/// Whether the file `path` is what [`write_summary`] would write.
///
/// # Errors
/// [`Error::Bug`].
pub fn is_summary_of(path: &Path, record: &RunRecord) -> Result<bool> {
    let text = text(record)?;
    Ok(regular_bytes(path).is_ok_and(|found| found == text.as_bytes()))
}

fn text(record: &RunRecord) -> Result<String> {
    let mut text = serde_json::to_string_pretty(&summary(record)).map_err(|why| Error::Bug(format!("the summary is not JSON: {why}.")))?;
    text.push('\n');
    Ok(text)
}

/// The summary as a JSON object.
pub fn summary(record: &RunRecord) -> Value {
    let origin = &record.provenance;
    json!({
        "program": "kadanoff",
        "format_version": FORMAT_VERSION,
        "program_version": origin.program_version,
        "git_commit": origin.git_commit,
        "run_file_hash": origin.run_file_hash,
        "seed": origin.seed,
        "submissions": origin.submissions,
        "sampling": record.sampling.as_ref().map(sampling),
        "scaling": record.scaling.as_ref().map(scaling),
        "analyses": record.analyses.iter().map(|one| (one.name.clone(), table(one))).collect::<Map<_, _>>(),
        "training": record.training.as_ref().map(training),
        "renormalization": record.renormalization.as_ref().map(renormalization),
    })
}

fn sampling(part: &SamplingRecord) -> Value {
    let ensembles: Vec<Value> = part
        .ensembles
        .iter()
        .map(|ensemble| {
            let observables: Map<String, Value> = ensemble.observables.iter().map(|one| (one.name.clone(), observable(one))).collect();
            let draws = ensemble.draws();
            json!({
                "size": ensemble.size,
                "coupling": ensemble.coupling,
                "chains": draws.len(),
                "draws": draws.iter().sum::<usize>(),
                "spin_updates": ensemble.spin_updates,
                "seconds": ensemble.seconds,
                "observables": observables,
            })
        })
        .collect();
    json!({
        "geometry": part.geometry.name(),
        "algorithm": part.algorithm,
        "sizes": part.sizes,
        "couplings": part.couplings,
        "replicas": part.replicas,
        "thermalization": part.thermalization,
        "measure_every": part.measure_every,
        "draws": part.draws,
        "ensembles": ensembles,
        "tempering": part.tempering.iter().map(tempering).collect::<Vec<_>>(),
    })
}

fn tempering(part: &TemperingRecord) -> Value {
    json!({
        "size": part.size,
        "couplings": part.couplings,
        "exchange_every": part.exchange_every,
        "ladders": part.round_trips.len(),
        "swap_acceptance": part.acceptance(),
        "round_trips": part.round_trips.iter().sum::<u64>(),
        "flow": part.flow(),
    })
}

/// Everything but the curves.
fn scaling(part: &Scaling) -> Value {
    let results: Map<String, Value> = part
        .results
        .iter()
        .map(|one| {
            let deviation = one.exact.map(|exact| (one.value - exact) / one.error).filter(|deviation| deviation.is_finite());
            let entry = json!({
                "long_name": one.long_name,
                "value": one.value,
                "error": one.error,
                "smallest_size": one.smallest_size,
                "bootstrap": one.bootstrap,
                "exact": one.exact,
                "deviation_in_standard_errors": deviation,
            });
            (one.name.clone(), entry)
        })
        .collect();
    let overlaps: Vec<Value> =
        part.curves.iter().map(|one| json!({ "size": one.size, "smallest_overlap": one.smallest_overlap })).collect();
    json!({
        "correction_exponent": part.correction_exponent,
        "blocks": part.blocks,
        "results": results,
        "covariance": part.covariance,
        "fits": part.fits,
        "crossings": part.crossings,
        "peaks": part.peaks,
        "collapses": part.collapses,
        "overlaps": overlaps,
    })
}

fn observable(one: &Observable) -> Value {
    let estimate = &one.estimate;
    json!({
        "long_name": one.long_name,
        "units": one.units,
        "mean": estimate.mean,
        "error": estimate.error,
        "autocorrelation_time": estimate.autocorrelation_time,
        "effective_samples": estimate.effective_samples,
        "exact": one.exact,
        "deviation_in_standard_errors": one.exact.map(|exact| (estimate.mean - exact) / estimate.error).filter(|deviation| deviation.is_finite()),
    })
}

fn training(part: &TrainingRecord) -> Value {
    let layer = |layer: &LayerRecord| {
        json!({
            "visible": layer.visible,
            "hidden": layer.hidden,
            "epochs": layer.epochs.len(),
            "seconds": layer.epochs.iter().map(|epoch| epoch.seconds).sum::<f64>(),
            "last_epoch": layer.epochs.last(),
            "dead_units": layer.dead_units.len(),
            "swap_rates": layer.swap_rates,
            "stopped_early": layer.stopped_early,
        })
    };
    json!({
        "gradient": part.gradient,
        "activations": part.activations,
        "method": part.method,
        "chains": part.chains,
        "gibbs_steps": part.gibbs_steps,
        "fresh": part.fresh,
        "couplings": part.couplings,
        "size": part.size,
        "samples": part.samples,
        "held_out": part.held_out,
        "peak_memory": part.peak_memory,
        "layers": part.layers.iter().map(layer).collect::<Vec<_>>(),
        "companions": part.companions.iter().map(|companion| json!({
            "name": companion.name,
            "role": companion.role,
            "seed_number": companion.seed_number,
            "seed": companion.seed,
            "samples": companion.samples,
            "l1": companion.l1,
            "layers": companion.layers.iter().map(layer).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}

fn renormalization(part: &RenormalizationRecord) -> Value {
    let fields: Vec<Value> = part
        .receptive_fields
        .iter()
        .map(|layer| {
            json!({
                "units": layer.units,
                "windows": [4, 8, 16],
                "mean_window_share": layer.mean_window_share,
                "median_window_share": layer.median_window_share,
                "random_window_share": layer.random_window_share,
                "median_participation_ratio": layer.median_participation_ratio,
                "tiling": layer.tiling,
            })
        })
        .collect();
    json!({
        "mappings": part.mappings,
        "receptive_fields": fields,
        "reconstructions": part.reconstructions,
        "likelihood": part.likelihood.as_ref().map(likelihood),
        "tables": part.tables.iter().map(|one| (one.name.clone(), table(one))).collect::<serde_json::Map<_, _>>(),
    })
}

/// One object a row: its label, and value and error of each column.
fn table(part: &TableRecord) -> Value {
    let row = |(label, cells): &(String, Vec<Cell>)| {
        let numbers = part.columns.iter().zip(cells).map(|(column, cell)| (column.name.clone(), json!(cell)));
        let label = (part.row_name.clone(), json!(label));
        Value::Object(std::iter::once(label).chain(numbers).collect())
    };
    json!({ "long_name": part.long_name, "rows": part.rows.iter().map(row).collect::<Vec<_>>() })
}

/// Everything but the energy on its way.
fn likelihood(part: &LikelihoodRecord) -> Value {
    json!({
        "visible": part.visible,
        "hidden": part.hidden,
        "held_out": part.held_out,
        "temperatures": part.temperatures,
        "exact_log_partition_function": part.exact_log_partition_function,
        "forward": part.forward,
        "reverse": part.reverse,
        "log_partition_function": part.log_partition_function,
        "free_energy": part.free_energy,
        "negative_log_likelihood": part.negative_log_likelihood,
        "entropy": part.entropy,
        "divergence": part.divergence,
        "trace_violation": part.trace_violation,
        "chains": part.chains,
        "sweeps": part.sweeps,
        "observables": part.observables,
        "two_point_function": part.correlations,
    })
}
