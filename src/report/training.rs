//! The training stage on paper: four curves a layer, and what they ended at.

use super::axes::{Panel, Scale, legend};
use super::figure::{Anchor, Drawing};
use super::html::{Section, Table, escape};
use super::number::{self, bytes, duration, significant, thousands};
use super::sizes;
use super::style::{self, INK};
use crate::console::plural;
use crate::record::{EpochRecord, LayerRecord, TrainingRecord};

/// Bars of the free-energy gap of one layer, at most.
const MOST_BARS: usize = 40;

/// "1600–400–100–25"
pub(super) fn architecture(layers: &[LayerRecord]) -> String {
    let visible = layers.first().map(|layer| layer.visible.to_string());
    visible.into_iter().chain(layers.iter().map(|layer| layer.hidden.to_string())).collect::<Vec<String>>().join("–")
}

/// The section of the training stage.
pub(super) fn section(training: &TrainingRecord) -> Section {
    let mut section = Section::new("Training");
    section.paragraph(format!(
        "The stack {} was trained layer by layer on {} {}configurations of L = {}, {}; {} were held out. {} The gradient is {}, and each layer was fed the {} of the \
         one below. The peak resident memory was {}. A converged reconstruction error says little about the model: a machine may reconstruct well and still give its data a \
         probability that is far too small.",
        architecture(&training.layers),
        thousands(training.samples as u64),
        if training.fresh { "fresh (in every epoch others) " } else { "" },
        training.size,
        couplings(&training.couplings),
        thousands(training.held_out as u64),
        method(training),
        escape(&training.gradient),
        escape(&training.activations),
        bytes(training.peak_memory),
    ));
    section.findings.extend(reconstruction_errors(training));
    section.findings.extend(exchanges(training));
    section.findings.extend(early_stops(training));
    if training.layers.iter().any(|layer| !layer.epochs.is_empty()) {
        section.figure(
            "training",
            draw(&training.layers),
            "Reconstruction error, free-energy gap, weights and gradient of each layer against the epoch.",
            "<b>Training, layer by layer.</b> (a) Mean squared reconstruction error per visible unit. (b) Mean free energy of held-out minus that of training data, in nats, with standard errors (in the first layer the \
             energies of the spins are taken out, where they have one coupling): a rise means that the machine learns its data by heart. (c) Root mean square (solid) and largest absolute value (dashed) of the weights. (d) Root mean square of \
             the last minibatch's gradient of the weights.",
        );
    }
    if !training.layers.is_empty() {
        section.table(table(training));
    }
    section
}

/// "K = 0.408", or the couplings that share the training set.
fn couplings(couplings: &[f64]) -> String {
    let words: Vec<String> = couplings.iter().map(|&coupling| super::ensemble::coupling(coupling)).collect();
    match words.as_slice() {
        [one] => format!("K = {one}"),
        few if few.len() <= 12 => format!("in equal shares at K = {}", number::list(few)),
        many => {
            let (low, high) = (couplings.iter().copied().fold(f64::INFINITY, f64::min), couplings.iter().copied().fold(0.0, f64::max));
            let [low, high] = [low, high].map(super::ensemble::coupling);
            format!("in equal shares at {} couplings from K = {low} to {high}", many.len())
        }
    }
}

/// Where the statistics of the model came from, as a sentence.
fn method(training: &TrainingRecord) -> String {
    let steps = |what: &str| format!("{} {what}", plural(training.gibbs_steps, "Gibbs step"));
    match training.method.as_str() {
        "exact" => "The gradient was summed over all states of the machine and the exact law of the spins.".to_string(),
        "natural" => "The gradient was summed over all states of the machine and the exact law of the spins, and divided by the metric of Fisher (natural gradient).".to_string(),
        "pcd" => format!(
            "The statistics of the model come from {} persistent chains, {}.",
            thousands(training.chains as u64),
            steps("a minibatch")
        ),
        "tempered" => format!(
            "The statistics of the model come from {} persistent chains at each of several inverse temperatures of the machine, which exchange their states, {}.",
            thousands(training.chains as u64),
            steps("a minibatch")
        ),
        _ => format!("The statistics of the model come from contrastive divergence, {} from the data.", steps("away")),
    }
}

/// The swap rates of tempered chains.
fn exchanges(training: &TrainingRecord) -> Option<String> {
    let of_layer = |(index, layer): (usize, &LayerRecord)| {
        let (low, high) = (layer.swap_rates.iter().copied().reduce(f64::min)?, layer.swap_rates.iter().copied().reduce(f64::max)?);
        Some(format!("{} to {} % in layer {}", number::percent(low, 0), number::percent(high, 0), index + 1))
    };
    let layers: Vec<String> = training.layers.iter().enumerate().filter_map(of_layer).collect();
    (!layers.is_empty()).then(|| {
        format!("Of the exchanges between neighbouring inverse temperatures were accepted in the last epoch: {}.", number::list(&layers))
    })
}

fn early_stops(training: &TrainingRecord) -> Option<String> {
    let layers: Vec<String> = training
        .layers
        .iter()
        .enumerate()
        .filter(|(_, layer)| layer.stopped_early)
        .map(|(index, layer)| format!("layer {} after {} epochs", index + 1, layer.epochs.len()))
        .collect();
    (!layers.is_empty()).then(|| {
        format!("Training stopped early, because the free-energy gap exceeded its limit by more than two standard errors three epochs in a row: {}.", number::list(&layers))
    })
}

fn reconstruction_errors(training: &TrainingRecord) -> Option<String> {
    let (layer, first, last) =
        training.layers.iter().enumerate().find_map(|(index, layer)| Some((index + 1, layer.epochs.first()?, layer.epochs.last()?)))?;
    let change = 1.0 - last.reconstruction_error / first.reconstruction_error;
    let how = match change {
        change if !change.is_finite() => return None,
        change if change > 0.0 => format!("fell by {} %", number::percent(change, 0)),
        change => format!("did not fall: it rose by {} %", number::percent(-change, 0)),
    };
    Some(format!(
        "The reconstruction error of layer {layer} {how} between its first and last epoch, from {} to {} per unit.",
        significant(first.reconstruction_error, 3),
        significant(last.reconstruction_error, 3)
    ))
}

fn table(training: &TrainingRecord) -> Table {
    let mut table = Table::new(
        "The layers at the end of training.",
        &[
            "layer",
            "units",
            "epochs",
            "reconstruction error",
            "free-energy gap (nats)",
            "ln p(v<sub>i</sub> | rest) (nats)",
            "rms weight",
            "largest |weight|",
            "dead units",
            "time per epoch",
        ],
    );
    for (index, layer) in training.layers.iter().enumerate() {
        let last =
            |value: fn(&EpochRecord) -> f64| layer.epochs.last().map_or(number::DASH.to_string(), |epoch| significant(value(epoch), 3));
        table.row(&[
            (index + 1).to_string(),
            format!("{} → {}", layer.visible, layer.hidden),
            layer.epochs.len().to_string(),
            last(|epoch| epoch.reconstruction_error),
            layer.epochs.last().map_or(number::DASH.to_string(), gap),
            layer.epochs.last().and_then(|epoch| epoch.pseudo_likelihood).map_or(number::DASH.to_string(), |value| significant(value, 3)),
            last(|epoch| epoch.weight_norm),
            last(|epoch| epoch.weight_maximum),
            format!("{} of {}", layer.dead_units.len(), layer.hidden),
            seconds_per_epoch(layer).map_or(number::DASH.to_string(), duration),
        ]);
    }
    table
}

/// The gap with its error, where that is known.
fn gap(epoch: &EpochRecord) -> String {
    let (gap, error) = (epoch.free_energy_gap, epoch.free_energy_gap_error);
    if error.is_finite() && error > 0.0 { number::with_error(gap, error) } else { significant(gap, 3) }
}

/// The median, which a pause of the machine does not move.
pub(super) fn seconds_per_epoch(layer: &LayerRecord) -> Option<f64> {
    let mut seconds: Vec<f64> = layer.epochs.iter().map(|epoch| epoch.seconds).filter(|seconds| seconds.is_finite()).collect();
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied()
}

fn draw(layers: &[LayerRecord]) -> Drawing {
    let mut drawing = Drawing::new(sizes::TRAINING);
    let longest = layers.iter().map(|layer| layer.epochs.len()).max().unwrap_or(0);
    let step = longest.div_ceil(MOST_BARS).max(1);
    let x = Scale::between(0.0, longest.max(2) as f64);
    type Curve = fn(&EpochRecord) -> f64;
    let panels: [(&str, &[Curve]); 4] = [
        ("reconstruction error per unit", &[|epoch| epoch.reconstruction_error]),
        ("free-energy gap (nats)", &[|epoch| epoch.free_energy_gap]),
        ("weights: rms, largest", &[|epoch| epoch.weight_norm, |epoch| epoch.weight_maximum]),
        ("gradient (rms)", &[|epoch| epoch.gradient_norm]),
    ];
    for (cell, (label, curves)) in panels.into_iter().enumerate() {
        let mut values: Vec<f64> =
            layers.iter().flat_map(|layer| &layer.epochs).flat_map(|epoch| curves.iter().map(move |curve| curve(epoch))).collect();
        let with_bars = layers.iter().filter(|_| cell == 1).flat_map(|layer| layer.epochs.iter().step_by(step));
        let bars = with_bars.map(|record| (record.free_energy_gap, record.free_energy_gap_error)).filter(|(_, error)| error.is_finite());
        values.extend(bars.flat_map(|(gap, error)| [gap - error, gap + error]));
        let (left, top) = (86.0 + 462.0 * (cell % 2) as f64, 66.0 + 276.0 * (cell / 2) as f64);
        let Some(y) = Scale::automatic(&values, 8.0) else { continue };
        let panel = Panel { left, top, right: left + 356.0, bottom: top + 196.0, x, y };
        panel.axes(&mut drawing, "epoch", label);
        drawing.heading(&char::from(b'a' + cell as u8).to_string(), [left - 4.0, top - 10.0], 13.0, INK, Anchor::Start);
        if cell == 1 {
            panel.level(&mut drawing, 0.0, style::MUTED, 1.0);
        }
        for (index, layer) in layers.iter().enumerate().filter(|_| cell == 1) {
            for (epoch, record) in layer.epochs.iter().enumerate().step_by(step) {
                panel.error_bar(
                    &mut drawing,
                    (epoch + 1) as f64,
                    record.free_energy_gap,
                    record.free_energy_gap_error,
                    style::category(index),
                );
            }
        }
        for (index, layer) in layers.iter().enumerate() {
            for (which, curve) in curves.iter().enumerate() {
                let points: Vec<(f64, f64)> =
                    layer.epochs.iter().enumerate().map(|(epoch, record)| ((epoch + 1) as f64, curve(record))).collect();
                if which == 0 {
                    panel.curve(&mut drawing, points.iter().copied(), style::category(index), 1.6);
                } else {
                    panel.dashed_curve(&mut drawing, &points, style::category(index), 1.4);
                }
                if let [(epoch, value)] = points.as_slice()
                    && let Some(point) = panel.at(*epoch, *value)
                {
                    drawing.disc(point, 2.5, style::category(index));
                }
            }
        }
    }
    let entries: Vec<_> = layers
        .iter()
        .enumerate()
        .map(|(index, layer)| (style::category(index), format!("layer {} ({} units)", index + 1, layer.hidden)))
        .collect();
    legend(&mut drawing, [86.0, 24.0], &entries);
    drawing
}
