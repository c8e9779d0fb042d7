//! The group `/renormalization/receptive_fields` of `results.h5`: means over layers, and one group a layer with its fields.

use super::hdf5::{GroupReader, GroupWriter, label};
use crate::error::{Error, Result};
use crate::record::{FieldMeasures, ReceptiveFieldSummary};
use crate::rg::receptive_field::WINDOW_SIDES;

/// The numbers of a layer that are one each: name, words, and where they stand in the summary.
type Number = (&'static str, &'static str, fn(&ReceptiveFieldSummary) -> f64);
const NUMBERS: [Number; 6] = [
    ("median_participation_ratio", "median participation ratio in sites", |layer| layer.median_participation_ratio),
    ("median_radius_of_gyration", "median radius of gyration in lattice units", |layer| layer.median_radius_of_gyration),
    ("mean_sign_coherence", "mean sign coherence |sum r| / sum |r|", |layer| layer.mean_sign_coherence),
    ("tiling", "share of the cells of the ideal tiling that hold a centre", |layer| layer.tiling),
    ("overlap", "mean over units of the largest overlap sum |r r'| / sqrt(sum r^2 sum r'^2) with another one", |layer| layer.overlap),
    ("duplicates", "live units whose field repeats that of an earlier one", |layer| layer.duplicates as f64),
];

fn windows() -> [i64; 3] {
    WINDOW_SIDES.map(|side| side as i64)
}

/// Fills the group.
///
/// # Errors
/// [`Error::InputOutput`]; [`Error::Bug`] if a layer contradicts itself.
pub fn write(group: &GroupWriter, layers: &[ReceptiveFieldSummary]) -> Result<()> {
    group.attributes().text("NX_class", "NXdata")?.text("signal", "mean_window_share")?.texts("axes", &["layer", "window"])?;
    group.dimension("layer", &(1..=layers.len() as i64).collect::<Vec<_>>(), label("1", "layer of the stack"))?;
    group.dimension("window", &windows(), label("1", "side of the window in lattice units"))?;
    let shares = |of: fn(&ReceptiveFieldSummary) -> [f64; 3]| layers.iter().flat_map(of).collect::<Vec<f64>>();
    let over = ["layer", "window"];
    group.variable(
        "mean_window_share",
        &over,
        &shares(|layer| layer.mean_window_share),
        label("1", "mean share of r^2 in the best window"),
    )?;
    let words = label("1", "median share of r^2 in the best window");
    group.variable("median_window_share", &over, &shares(|layer| layer.median_window_share), words)?;
    let words = label("1", "mean share of r^2 in the best window, random weights");
    group.variable("random_window_share", &over, &shares(|layer| layer.random_window_share), words)?;
    for (name, long_name, of) in NUMBERS {
        group.variable(name, &["layer"], &layers.iter().map(of).collect::<Vec<f64>>(), label("1", long_name))?;
    }
    for (number, layer) in (1..).zip(layers) {
        write_layer_fields(&group.group(&format!("layer{number}"))?, layer)?;
    }
    Ok(())
}

fn write_layer_fields(group: &GroupWriter, layer: &ReceptiveFieldSummary) -> Result<()> {
    let attributes = group.attributes();
    attributes.text("NX_class", "NXdata")?.number("units", layer.units as u64)?.number("sites", layer.fields.len() as u64)?;
    if (layer.measures.len(), layer.live.len()) != (layer.units, layer.units) {
        return Err(Error::Bug(format!("{} units have {} measures of their receptive fields.", layer.units, layer.measures.len())));
    }
    if layer.units == 0 {
        return Ok(());
    }
    group.index("unit", layer.units, "hidden unit")?;
    let sites = layer.fields.len() / layer.units;
    let side = sites.isqrt();
    let about = label("1", "receptive field r, the product of the weights from the lattice up");
    if side * side == sites {
        group.index("row", side, "y in lattice units")?;
        group.index("column", side, "x in lattice units")?;
        group.variable("field", &["unit", "row", "column"], &layer.fields, about)?;
        attributes.text("signal", "field")?.texts("axes", &["unit", "row", "column"])?;
        group.annotate("field", |field| field.text("interpretation", "image").map(|_| ()))?;
    } else {
        group.index("site", sites, "site")?;
        group.variable("field", &["unit", "site"], &layer.fields, about)?;
        attributes.text("signal", "field")?.texts("axes", &["unit", "site"])?;
    }
    group.index("axis", 2, "x, y")?;
    group.dimension("window", &windows(), label("1", "side of the window in lattice units"))?;
    let each = &layer.measures;
    let centres: Vec<f64> = each.iter().flat_map(|one| one.centre).collect();
    group.variable("centre", &["unit", "axis"], &centres, label("1", "centre of mass of r^2 in lattice units"))?;
    let shares: Vec<f64> = each.iter().flat_map(|one| one.window_share).collect();
    group.variable("window_share", &["unit", "window"], &shares, label("1", "share of r^2 in the best window"))?;
    let live: Vec<i64> = layer.live.iter().map(|&live| i64::from(live)).collect();
    group.variable("live", &["unit"], &live, label("1", "1 for a unit that counts: it moves, and its field is not 0 everywhere"))?;
    let numbers = |of: fn(&FieldMeasures) -> f64| each.iter().map(of).collect::<Vec<f64>>();
    let along = ["unit"];
    let radii = numbers(|one| one.radius_of_gyration);
    group.variable("radius_of_gyration", &along, &radii, label("1", "radius of gyration of r^2 in lattice units"))?;
    group.variable("participation_ratio", &along, &numbers(|one| one.participation_ratio), label("1", "participation ratio in sites"))?;
    group.variable("sign_coherence", &along, &numbers(|one| one.sign_coherence), label("1", "|sum r| / sum |r|"))
}

/// Reads the group.
///
/// # Errors
/// [`Error::Refused`].
pub fn read(group: &GroupReader) -> Result<Vec<ReceptiveFieldSummary>> {
    let layers = group.array::<i64>("layer", 1)?.shape[0];
    let shares = |name: &str| group.shaped::<f64>(name, &[layers, 3]);
    let (mean, median, random) = (shares("mean_window_share")?, shares("median_window_share")?, shares("random_window_share")?);
    let mut numbers = Vec::new();
    for (name, _, _) in NUMBERS {
        numbers.push(group.shaped::<f64>(name, &[layers])?);
    }
    (0..layers)
        .map(|layer| {
            let below = group.group(&format!("layer{}", layer + 1))?;
            let (units, sites) = (below.count("units")?, below.count("sites")?);
            let (fields, measures, live) = if units == 0 { Default::default() } else { read_layer_fields(&below, units)? };
            if fields.len() != sites {
                return Err(below.wrong("field", format!("it has {} values, not {sites}", fields.len())));
            }
            Ok(ReceptiveFieldSummary {
                units,
                fields,
                measures,
                mean_window_share: triple(&mean, layer),
                median_window_share: triple(&median, layer),
                random_window_share: triple(&random, layer),
                live,
                median_participation_ratio: numbers[0][layer],
                median_radius_of_gyration: numbers[1][layer],
                mean_sign_coherence: numbers[2][layer],
                tiling: numbers[3][layer],
                overlap: numbers[4][layer],
                duplicates: numbers[5][layer] as usize,
            })
        })
        .collect()
}

/// Fields, measures, and which units are live.
fn read_layer_fields(group: &GroupReader, units: usize) -> Result<(Vec<f32>, Vec<FieldMeasures>, Vec<bool>)> {
    let fields = group.array::<f32>("field", if group.has("row") { 3 } else { 2 })?.values;
    let (centres, shares) = (group.shaped::<f64>("centre", &[units, 2])?, group.shaped::<f64>("window_share", &[units, 3])?);
    let column = |name: &str| group.shaped::<f64>(name, &[units]);
    let (radii, ratios, signs) = (column("radius_of_gyration")?, column("participation_ratio")?, column("sign_coherence")?);
    let measures = (0..units)
        .map(|unit| FieldMeasures {
            centre: [centres[2 * unit], centres[2 * unit + 1]],
            radius_of_gyration: radii[unit],
            participation_ratio: ratios[unit],
            window_share: triple(&shares, unit),
            sign_coherence: signs[unit],
        })
        .collect();
    let live = group.shaped::<i64>("live", &[units])?.into_iter().map(|live| live == 1).collect();
    Ok((fields, measures, live))
}

fn triple(values: &[f64], row: usize) -> [f64; 3] {
    [values[3 * row], values[3 * row + 1], values[3 * row + 2]]
}
