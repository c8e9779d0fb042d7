//! A few held-out configurations beside what comes back of them.

use super::figure::{Anchor, Drawing, Raster};
use super::html::Section;
use super::number::percent;
use super::style::{self, INK, MUTED};
use crate::record::{Example, RenormalizationRecord, TrainingRecord};

/// Configurations that are drawn.
const DRAWN: usize = 5;

/// One column of pictures.
struct Column {
    title: String,
    subtitle: String,
    kind: Kind,
}

#[derive(Clone, Copy)]
enum Kind {
    Spins,
    Network(usize),
    Blocks(usize),
}

impl Kind {
    /// p(up) of each site, or `None` if this example has no such picture.
    fn probabilities(self, example: &Example) -> Option<Vec<f64>> {
        let of_spins = |spins: &Vec<bool>| spins.iter().map(|&up| f64::from(u8::from(up))).collect::<Vec<f64>>();
        let values = match self {
            Kind::Spins => of_spins(&example.spins),
            Kind::Network(layer) => example.reconstructions.get(layer)?.iter().map(|&probability| f64::from(probability)).collect(),
            Kind::Blocks(layer) => of_spins(example.blocks.get(layer)?),
        };
        (!values.is_empty() && values.len() == example.spins.len()).then_some(values)
    }
}

/// Adds the figure, if there are examples.
pub(super) fn add(section: &mut Section, renormalization: &RenormalizationRecord, training: Option<&TrainingRecord>) {
    let examples: Vec<&Example> = renormalization.examples.iter().filter(|example| side(example).is_some()).take(DRAWN).collect();
    if examples.is_empty() {
        return;
    }
    let columns = columns(&examples, renormalization, training);
    let size = (880.0 / columns.len() as f64 - 12.0).clamp(60.0, 170.0);
    let (left, top) = (14.0, 50.0);
    let mut drawing = Drawing::new([left + columns.len() as f64 * (size + 12.0) + 2.0, top + examples.len() as f64 * (size + 24.0)]);
    for (index, column) in columns.iter().enumerate() {
        let x = left + index as f64 * (size + 12.0);
        drawing.heading(&column.title, [x, 24.0], 11.5, INK, Anchor::Start);
        drawing.text(&column.subtitle, [x, 40.0], 10.5, MUTED, Anchor::Start);
        for (row, example) in examples.iter().enumerate() {
            let y = top + row as f64 * (size + 24.0);
            let Some(probabilities) = column.kind.probabilities(example) else { continue };
            let side = side(example).unwrap_or(1);
            let cells = probabilities.iter().map(|&probability| style::grey(probability)).collect();
            drawing.raster(Raster { columns: side, rows: side, cells }, [x, y], [x + size, y + size]);
            drawing.frame([x, y], [x + size, y + size], MUTED, 0.75);
            let below = match column.kind {
                Kind::Spins => {
                    let up = example.spins.iter().filter(|&&up| up).count() as f64;
                    format!("m = {}", super::number::fixed(2.0 * up / example.spins.len() as f64 - 1.0, 3))
                }
                _ => {
                    let agreeing =
                        example.spins.iter().zip(&probabilities).filter(|(up, probability)| **up == (**probability > 0.5)).count();
                    format!("{} %", percent(agreeing as f64 / example.spins.len() as f64, 1))
                }
            };
            drawing.text(&below, [x + size / 2.0, y + size + 14.0], 10.5, MUTED, Anchor::Middle);
        }
    }
    section.figure(
        "examples",
        drawing,
        "Held-out configurations beside their reconstructions from each layer and from majority blocks.",
        format!(
            "<b>Examples.</b> {} held-out configuration{} (left; light is spin up) beside {} reconstruction from each layer, as probabilities from dark (0) to light (1), and from majority \
             blocks of the same compression. Numbers below are the share of spins that agree, a site counting as up where its probability exceeds ½.",
            examples.len(),
            if examples.len() == 1 { "" } else { "s" },
            if examples.len() == 1 { "its" } else { "their" },
        ),
    );
}

fn side(example: &Example) -> Option<usize> {
    let side = example.spins.len().isqrt();
    (side > 0 && side * side == example.spins.len()).then_some(side)
}

fn columns(examples: &[&Example], renormalization: &RenormalizationRecord, training: Option<&TrainingRecord>) -> Vec<Column> {
    let mut columns = vec![Column { title: "spins".to_string(), subtitle: "held out".to_string(), kind: Kind::Spins }];
    let layers = examples.iter().map(|example| example.reconstructions.len()).max().unwrap_or(0);
    for layer in 0..layers {
        let record = renormalization.reconstructions.get(layer);
        let units =
            record.map(|record| record.units).or(training.and_then(|training| training.layers.get(layer)).map(|trained| trained.hidden));
        let title = units.map_or(format!("layer {}", layer + 1), |units| format!("{units} units"));
        columns.push(Column { title, subtitle: format!("layer {}", layer + 1), kind: Kind::Network(layer) });
        if examples.iter().any(|example| Kind::Blocks(layer).probabilities(example).is_some()) {
            let title = record.and_then(|record| record.block_side).map_or("blocks".to_string(), |side| format!("{side} × {side} blocks"));
            columns.push(Column { title, subtitle: "majority".to_string(), kind: Kind::Blocks(layer) });
        }
    }
    columns
}
