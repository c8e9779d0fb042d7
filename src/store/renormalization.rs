//! The group `/renormalization` of `results.h5`: `mapping` (Eqs. 18-22 of arXiv:1410.3831 on small machines), `receptive_fields` (means over layers, one group
//! a layer with the fields), `reconstruction` over layers, `likelihood` of the first machine, `tables` (one group a table), `examples` of configurations and what comes back of them. NaN, or -1 for integers, where there is
//! no value.

use super::hdf5::{GroupReader, GroupWriter, label};
use super::{likelihood, table};
use crate::error::{Error, Result};
use crate::record::{Example, FieldMeasures, MappingRecord, ReceptiveFieldRecord, ReconstructionRecord, RenormalizationRecord};

/// Sides of the windows of [`FieldMeasures::window_share`].
const WINDOWS: [i64; 3] = [4, 8, 16];
const MAPPING: [(&str, &str, &str); 7] = [
    ("hamiltonian_difference", "1", "largest |H^RG[h] - H^RBM[h]|"),
    ("log_partition_function", "1", "ln Z of the data Hamiltonian"),
    ("machine_log_partition_function", "1", "ln Z of the machine"),
    ("free_energy_difference", "k_B T", "free energy of the coarse minus that of the fine spins"),
    ("divergence", "nat", "Kullback-Leibler divergence of the machine from the data"),
    ("mean_trace", "1", "mean of Tr_h e^T over the data"),
    ("trace_violation", "1", "variance of ln Tr_h e^T over the data"),
];
const NO_INTEGER: i64 = -1;

/// Fills the group `renormalization`.
///
/// # Errors
/// [`Error::InputOutput`]; [`Error::Bug`] if the record contradicts itself.
pub fn write(group: &GroupWriter, record: &RenormalizationRecord) -> Result<()> {
    group.attributes().text("NX_class", "NXentry")?;
    if !record.receptive_fields.is_empty() {
        group.attributes().text("default", "receptive_fields/layer1")?;
        write_fields(&group.group("receptive_fields")?, &record.receptive_fields)?;
    }
    if !record.mappings.is_empty() {
        write_mappings(&group.group("mapping")?, &record.mappings)?;
    }
    if !record.reconstructions.is_empty() {
        write_reconstructions(&group.group("reconstruction")?, &record.reconstructions)?;
    }
    if let Some(part) = &record.likelihood {
        likelihood::write(&group.group("likelihood")?, part)?;
    }
    if !record.tables.is_empty() {
        table::write_all(&group.group("tables")?, &record.tables)?;
    }
    if !record.examples.is_empty() {
        write_examples(&group.group("examples")?, &record.examples)?;
    }
    Ok(())
}

/// Reads the group `renormalization`.
///
/// # Errors
/// [`Error::Refused`].
pub fn read(group: &GroupReader) -> Result<RenormalizationRecord> {
    fn list<T>(group: &GroupReader, name: &str, read: impl Fn(&GroupReader) -> Result<Vec<T>>) -> Result<Vec<T>> {
        if group.has(name) { read(&group.group(name)?) } else { Ok(Vec::new()) }
    }
    Ok(RenormalizationRecord {
        mappings: list(group, "mapping", read_mappings)?,
        receptive_fields: list(group, "receptive_fields", read_fields)?,
        reconstructions: list(group, "reconstruction", read_reconstructions)?,
        likelihood: group.has("likelihood").then(|| likelihood::read(&group.group("likelihood")?)).transpose()?,
        tables: list(group, "tables", table::read_all)?,
        examples: list(group, "examples", read_examples)?,
    })
}

fn write_mappings(group: &GroupWriter, mappings: &[MappingRecord]) -> Result<()> {
    group.attributes().text("NX_class", "NXdata")?.text("signal", "trace_violation")?.texts("axes", &["mapping"])?;
    group.index("mapping", mappings.len(), "small machine")?;
    let names: Vec<&str> = mappings.iter().map(|one| one.name.as_str()).collect();
    group.texts("name", &["mapping"], &names, "what machine it is")?;
    for (which, (name, units, long_name)) in MAPPING.into_iter().enumerate() {
        let values: Vec<f64> = mappings
            .iter()
            .map(|one| {
                [
                    one.hamiltonian_difference,
                    one.log_partition_function,
                    one.machine_log_partition_function,
                    one.free_energy_difference,
                    one.divergence,
                    one.mean_trace,
                    one.trace_violation,
                ][which]
            })
            .collect();
        group.variable(name, &["mapping"], &values, label(units, long_name))?;
    }
    Ok(())
}

fn read_mappings(group: &GroupReader) -> Result<Vec<MappingRecord>> {
    let count = group.array::<i64>("mapping", 1)?.shape[0];
    let names = group.texts("name", &[count])?;
    let columns: Vec<Vec<f64>> = MAPPING.iter().map(|(name, _, _)| group.shaped(name, &[count])).collect::<Result<_>>()?;
    let row = |index: usize, name: &String| MappingRecord {
        name: name.clone(),
        hamiltonian_difference: columns[0][index],
        log_partition_function: columns[1][index],
        machine_log_partition_function: columns[2][index],
        free_energy_difference: columns[3][index],
        divergence: columns[4][index],
        mean_trace: columns[5][index],
        trace_violation: columns[6][index],
    };
    Ok(names.iter().enumerate().map(|(index, name)| row(index, name)).collect())
}

fn write_fields(group: &GroupWriter, layers: &[ReceptiveFieldRecord]) -> Result<()> {
    group.attributes().text("NX_class", "NXdata")?.text("signal", "mean_window_share")?.texts("axes", &["layer", "window"])?;
    group.dimension("layer", &(1..=layers.len() as i64).collect::<Vec<_>>(), label("1", "layer of the stack"))?;
    group.dimension("window", &WINDOWS, label("1", "side of the window in lattice units"))?;
    let shares = |of: fn(&ReceptiveFieldRecord) -> [f64; 3]| layers.iter().flat_map(of).collect::<Vec<f64>>();
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
    let median: Vec<f64> = layers.iter().map(|layer| layer.median_participation_ratio).collect();
    group.variable("median_participation_ratio", &["layer"], &median, label("1", "median participation ratio in sites"))?;
    let tiling: Vec<f64> = layers.iter().map(|layer| layer.tiling).collect();
    group.variable("tiling", &["layer"], &tiling, label("1", "share of the cells of the ideal tiling that hold a centre"))?;
    for (number, layer) in (1..).zip(layers) {
        write_layer_fields(&group.group(&format!("layer{number}"))?, layer)?;
    }
    Ok(())
}

fn write_layer_fields(group: &GroupWriter, layer: &ReceptiveFieldRecord) -> Result<()> {
    let attributes = group.attributes();
    attributes.text("NX_class", "NXdata")?.number("units", layer.units as u64)?.number("sites", layer.fields.len() as u64)?;
    if layer.measures.len() != layer.units {
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
    group.dimension("window", &WINDOWS, label("1", "side of the window in lattice units"))?;
    let each = &layer.measures;
    let centres: Vec<f64> = each.iter().flat_map(|one| one.centre).collect();
    group.variable("centre", &["unit", "axis"], &centres, label("1", "centre of mass of r^2 in lattice units"))?;
    let shares: Vec<f64> = each.iter().flat_map(|one| one.window_share).collect();
    group.variable("window_share", &["unit", "window"], &shares, label("1", "share of r^2 in the best window"))?;
    let numbers = |of: fn(&FieldMeasures) -> f64| each.iter().map(of).collect::<Vec<f64>>();
    let along = ["unit"];
    let radii = numbers(|one| one.radius_of_gyration);
    group.variable("radius_of_gyration", &along, &radii, label("1", "radius of gyration of r^2 in lattice units"))?;
    group.variable("participation_ratio", &along, &numbers(|one| one.participation_ratio), label("1", "participation ratio in sites"))?;
    group.variable("sign_coherence", &along, &numbers(|one| one.sign_coherence), label("1", "|sum r| / sum |r|"))
}

fn read_fields(group: &GroupReader) -> Result<Vec<ReceptiveFieldRecord>> {
    let layers = group.array::<i64>("layer", 1)?.shape[0];
    let shares = |name: &str| group.shaped::<f64>(name, &[layers, 3]);
    let (mean, median, random) = (shares("mean_window_share")?, shares("median_window_share")?, shares("random_window_share")?);
    let ratios = group.shaped::<f64>("median_participation_ratio", &[layers])?;
    let tilings = group.shaped::<f64>("tiling", &[layers])?;
    (0..layers)
        .map(|layer| {
            let below = group.group(&format!("layer{}", layer + 1))?;
            let (units, sites) = (below.count("units")?, below.count("sites")?);
            let (fields, measures) = if units == 0 { (Vec::new(), Vec::new()) } else { read_layer_fields(&below, units)? };
            if fields.len() != sites {
                return Err(below.wrong("field", format!("it has {} values, not {sites}", fields.len())));
            }
            Ok(ReceptiveFieldRecord {
                units,
                fields,
                measures,
                mean_window_share: triple(&mean, layer),
                median_window_share: triple(&median, layer),
                random_window_share: triple(&random, layer),
                median_participation_ratio: ratios[layer],
                tiling: tilings[layer],
            })
        })
        .collect()
}

fn read_layer_fields(group: &GroupReader, units: usize) -> Result<(Vec<f32>, Vec<FieldMeasures>)> {
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
    Ok((fields, measures))
}

fn triple(values: &[f64], row: usize) -> [f64; 3] {
    [values[3 * row], values[3 * row + 1], values[3 * row + 2]]
}

/// The measured shares of a layer: name, words, and where they stand in the record.
type Share = (&'static str, &'static str, fn(&ReconstructionRecord) -> Option<[f64; 2]>);
const SHARES: [Share; 4] = [
    ("agreement", "share of spins that agree after going up and down", |layer| Some(layer.agreement)),
    ("block_agreement", "the same for direct majority blocks", |layer| layer.block_agreement),
    ("iterated_block_agreement", "the same for iterated 2 x 2 majority blocks", |layer| layer.iterated_block_agreement),
    ("block_correlation", "nearest-neighbour correlation of the iterated block spins", |layer| layer.block_correlation),
];

fn write_reconstructions(group: &GroupWriter, layers: &[ReconstructionRecord]) -> Result<()> {
    group.attributes().text("NX_class", "NXdata")?.text("signal", "agreement")?.texts("axes", &["layer"])?;
    let along = ["layer"];
    group.dimension("layer", &(1..=layers.len() as i64).collect::<Vec<_>>(), label("1", "layer of the stack"))?;
    let units: Vec<i64> = layers.iter().map(|layer| layer.units as i64).collect();
    group.variable("units", &along, &units, label("1", "units of the layer"))?;
    let sides: Vec<i64> = layers.iter().map(|layer| layer.block_side.map_or(NO_INTEGER, |side| side as i64)).collect();
    group.variable("block_side", &along, &sides, label("1", "side of the blocks of the same compression"))?;
    group.annotate("block_side", |side| side.number("_FillValue", NO_INTEGER).map(|_| ()))?;
    for (name, long_name, of) in SHARES {
        let column = |part: usize| layers.iter().map(|layer| of(layer).map_or(f64::NAN, |share| share[part])).collect::<Vec<f64>>();
        group.variable(name, &along, &column(0), label("1", long_name))?;
        group.variable(&format!("{name}_errors"), &along, &column(1), label("1", &format!("standard error: {long_name}")))?;
    }
    Ok(())
}

fn read_reconstructions(group: &GroupReader) -> Result<Vec<ReconstructionRecord>> {
    let layers = group.array::<i64>("layer", 1)?.shape[0];
    let (units, sides) = (group.shaped::<i64>("units", &[layers])?, group.shaped::<i64>("block_side", &[layers])?);
    let mut shares = Vec::new();
    for (name, _, _) in SHARES {
        shares.push((group.shaped::<f64>(name, &[layers])?, group.shaped::<f64>(&format!("{name}_errors"), &[layers])?));
    }
    (0..layers)
        .map(|layer| {
            let both = |which: usize| [shares[which].0[layer], shares[which].1[layer]];
            // Only a mean that is NaN stands for nothing: an error of NaN may belong to a single configuration.
            let optional = |which: usize| (!both(which)[0].is_nan()).then(|| both(which));
            Ok(ReconstructionRecord {
                units: usize::try_from(units[layer]).map_err(|why| group.wrong("units", why))?,
                agreement: both(0),
                block_side: usize::try_from(sides[layer]).ok(),
                block_agreement: optional(1),
                iterated_block_agreement: optional(2),
                block_correlation: optional(3),
            })
        })
        .collect()
}

fn write_examples(group: &GroupWriter, examples: &[Example]) -> Result<()> {
    let sites = examples[0].spins.len();
    let layers = examples[0].reconstructions.len();
    let fits = |example: &Example| {
        example.spins.len() == sites
            && (example.reconstructions.len(), example.blocks.len()) == (layers, layers)
            && example.reconstructions.iter().all(|one| one.len() == sites)
            && example.blocks.iter().all(|one| one.is_empty() || one.len() == sites)
    };
    if let Some(index) = examples.iter().position(|example| !fits(example)) {
        return Err(Error::Bug(format!("example {index} differs in shape from the first ({sites} sites, {layers} layers).")));
    }
    group.attributes().text("NX_class", "NXdata")?.text("signal", "spins")?.texts("axes", &["example", "site"])?;
    group.index("example", examples.len(), "held-out configuration")?;
    group.index("site", sites, "site y L + x")?;
    let spins: Vec<i8> = examples.iter().flat_map(|example| example.spins.iter().map(|&up| i8::from(up))).collect();
    group.variable("spins", &["example", "site"], &spins, label("1", "spin, 1 = up, 0 = down"))?;
    group.attributes().number("layers", layers as u64)?;
    if layers == 0 {
        return Ok(());
    }
    group.dimension("layer", &(1..=layers as i64).collect::<Vec<_>>(), label("1", "layer of the stack"))?;
    let over = ["example", "layer", "site"];
    let probabilities: Vec<f32> = examples.iter().flat_map(|example| example.reconstructions.iter().flatten().copied()).collect();
    group.variable("reconstruction", &over, &probabilities, label("1", "p(v = 1) after going up to the layer and down"))?;
    let mut blocks: Vec<i8> = Vec::with_capacity(examples.len() * layers * sites);
    for block in examples.iter().flat_map(|example| &example.blocks) {
        let end = blocks.len() + sites;
        blocks.extend(block.iter().map(|&up| i8::from(up)));
        blocks.resize(end, NO_INTEGER as i8);
    }
    group.variable("block", &over, &blocks, label("1", "majority-block reconstruction, 1 = up, 0 = down, -1 where there is none"))
}

fn read_examples(group: &GroupReader) -> Result<Vec<Example>> {
    let spins = group.array::<i8>("spins", 2)?;
    let (count, sites, layers) = (spins.shape[0], spins.shape[1], group.count("layers")?);
    let shape = [count, layers, sites];
    let (probabilities, blocks) = if layers == 0 {
        (Vec::new(), Vec::new())
    } else {
        (group.shaped::<f32>("reconstruction", &shape)?, group.shaped::<i8>("block", &shape)?)
    };
    let part = |example: usize, layer: usize| (example * layers + layer) * sites..(example * layers + layer + 1) * sites;
    Ok((0..count)
        .map(|example| Example {
            spins: spins.values[example * sites..(example + 1) * sites].iter().map(|&spin| spin == 1).collect(),
            reconstructions: (0..layers).map(|layer| probabilities[part(example, layer)].to_vec()).collect(),
            blocks: (0..layers)
                .map(|layer| blocks[part(example, layer)].iter().filter(|&&spin| spin >= 0).map(|&spin| spin == 1).collect())
                .collect(),
        })
        .collect())
}
