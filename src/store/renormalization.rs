//! The group `/renormalization` of `results.h5`: `mapping` (Eqs. 18-22 of arXiv:1410.3831 on small machines), `receptive_fields` (means over layers, one group
//! a layer with the fields), `reconstruction` over layers, `likelihood` of the first machine, `tables` (one group a table), `examples` of configurations and what comes back of them. NaN, or -1 for integers, where there is
//! no value.

use super::hdf5::{GroupReader, GroupWriter, label};
use super::{likelihood, receptive_field, table};
use crate::error::{Error, Result};
use crate::record::{Example, MappingSummary, NamedMapping, ReconstructionRecord, RenormalizationRecord};

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
        receptive_field::write(&group.group("receptive_fields")?, &record.receptive_fields)?;
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
        receptive_fields: list(group, "receptive_fields", receptive_field::read)?,
        reconstructions: list(group, "reconstruction", read_reconstructions)?,
        likelihood: group.has("likelihood").then(|| likelihood::read(&group.group("likelihood")?)).transpose()?,
        tables: list(group, "tables", table::read_all)?,
        examples: list(group, "examples", read_examples)?,
    })
}

fn write_mappings(group: &GroupWriter, mappings: &[NamedMapping]) -> Result<()> {
    group.attributes().text("NX_class", "NXdata")?.text("signal", "trace_violation")?.texts("axes", &["mapping"])?;
    group.index("mapping", mappings.len(), "small machine")?;
    let names: Vec<&str> = mappings.iter().map(|one| one.name.as_str()).collect();
    group.texts("name", &["mapping"], &names, "what machine it is")?;
    for (which, (name, units, long_name)) in MAPPING.into_iter().enumerate() {
        let values: Vec<f64> = mappings
            .iter()
            .map(|one| {
                [
                    one.summary.hamiltonian_difference,
                    one.summary.log_partition_function,
                    one.summary.machine_log_partition_function,
                    one.summary.free_energy_difference,
                    one.summary.divergence,
                    one.summary.mean_trace,
                    one.summary.trace_violation,
                ][which]
            })
            .collect();
        group.variable(name, &["mapping"], &values, label(units, long_name))?;
    }
    Ok(())
}

fn read_mappings(group: &GroupReader) -> Result<Vec<NamedMapping>> {
    let count = group.array::<i64>("mapping", 1)?.shape[0];
    let names = group.texts("name", &[count])?;
    let columns: Vec<Vec<f64>> = MAPPING.iter().map(|(name, _, _)| group.shaped(name, &[count])).collect::<Result<_>>()?;
    let row = |index: usize, name: &String| NamedMapping {
        name: name.clone(),
        summary: MappingSummary {
            hamiltonian_difference: columns[0][index],
            log_partition_function: columns[1][index],
            machine_log_partition_function: columns[2][index],
            free_energy_difference: columns[3][index],
            divergence: columns[4][index],
            mean_trace: columns[5][index],
            trace_violation: columns[6][index],
        },
    };
    Ok(names.iter().enumerate().map(|(index, name)| row(index, name)).collect())
}

/// The measured shares of a layer: name, words, and where they stand in the record.
type Share = (&'static str, &'static str, fn(&ReconstructionRecord) -> Option<[f64; 2]>);
const SHARES: [Share; 5] = [
    ("agreement", "share of spins that agree after going up and down", |layer| Some(layer.agreement)),
    ("block_agreement", "the same for direct majority blocks", |layer| layer.block_agreement),
    ("iterated_block_agreement", "the same for iterated 2 x 2 majority blocks", |layer| layer.iterated_block_agreement),
    ("advantage", "agreement of the layer minus that of the better kind of majority blocks", |layer| layer.advantage),
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
        // Files of earlier versions have no `advantage`.
        let column = |name: &str| if group.has(name) { group.shaped::<f64>(name, &[layers]) } else { Ok(vec![f64::NAN; layers]) };
        shares.push((column(name)?, column(&format!("{name}_errors"))?));
    }
    (0..layers)
        .map(|layer| {
            let both = |which: usize| [shares[which].0[layer], shares[which].1[layer]];
            // Only a mean that is NaN stands for nothing: an error that is not finite may belong to a single configuration.
            let optional = |which: usize| (!both(which)[0].is_nan()).then(|| both(which));
            Ok(ReconstructionRecord {
                units: usize::try_from(units[layer]).map_err(|why| group.wrong("units", why))?,
                agreement: both(0),
                block_side: usize::try_from(sides[layer]).ok(),
                block_agreement: optional(1),
                iterated_block_agreement: optional(2),
                advantage: optional(3),
                block_correlation: optional(4),
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
