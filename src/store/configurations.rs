//! `configurations.h5`: bit-packed spin configurations, one group an ensemble (`L40_K0.408`). Site i is bit i mod 8 of byte i / 8 of a row, and each group
//! carries the line of numpy that unpacks it.

use super::hdf5::{FileWriter, GroupReader, GroupWriter, label};
use super::{durable, provenance};
use crate::error::{Error, Result};
use crate::lattice::Geometry;
use crate::record::Provenance;
use crate::spins::BitMatrix;
use std::path::Path;

/// What `configurations.h5` says of itself.
const CONTENT: &str = "configurations";
/// How a reader gets spins (1 = up, 0 = down) out of `packed`.
const UNPACK: &str = "numpy.unpackbits(packed, axis=1, count=sites, bitorder=\"little\")";
const WORD_BYTES: usize = size_of::<u64>();

/// The configurations kept of one ensemble.
#[derive(Debug, Clone, PartialEq)]
pub struct ConfigurationSet {
    /// The kind of lattice.
    pub geometry: Geometry,
    /// Side L.
    pub size: usize,
    /// K = J / k_B T.
    pub coupling: f64,
    /// One configuration a row, in site order.
    pub spins: BitMatrix,
    /// The chain each came from, counted within the ensemble from 0.
    pub chains: Vec<u64>,
    /// The draw of that chain it was taken at: its energy and magnetization are those of the series in `results.h5`.
    pub draws: Vec<u64>,
}

/// Replaces `path` by these configurations, which may take minutes. `go_on` is asked after every block of them.
///
/// # Errors
/// [`Error::InputOutput`], and what `go_on` fails with; the old file is then intact. [`Error::Bug`] if a set contradicts itself.
pub fn write_configurations(path: &Path, origin: &Provenance, sets: &[ConfigurationSet], go_on: &dyn Fn() -> Result<()>) -> Result<()> {
    let bytes: usize = sets.iter().map(|set| set.spins.rows() * (set.spins.columns().div_ceil(8) + 16)).sum();
    durable::replace(path, (bytes + (1 << 20)) as u64, |temporary| {
        let file = FileWriter::create(temporary)?;
        let root = file.root()?;
        provenance::write(&root, CONTENT, origin)?;
        for (index, set) in sets.iter().enumerate() {
            let name = format!("L{}_K{}", set.size, set.coupling);
            if index == 0 {
                root.attributes().text("default", &name)?;
            }
            write_set(&root.group(&name)?, index, set, go_on)?;
        }
        file.finish()
    })
}

fn write_set(group: &GroupWriter, index: usize, set: &ConfigurationSet, go_on: &dyn Fn() -> Result<()>) -> Result<()> {
    let (rows, sites) = (set.spins.rows(), set.spins.columns());
    if (set.chains.len(), set.draws.len()) != (rows, rows) {
        return Err(Error::Bug(format!("{rows} configurations name {} chains and {} draws.", set.chains.len(), set.draws.len())));
    }
    group
        .attributes()
        .text("NX_class", "NXdata")?
        .text("signal", "packed")?
        .texts("axes", &["configuration", "byte"])?
        .number("index", index as u64)?
        .text("geometry", set.geometry.name())?
        .number("dimension", set.geometry.dimension() as u64)?
        .number("size", set.size as u64)?
        .number("coupling", set.coupling)?
        .number("configurations", rows as u64)?
        .number("sites", sites as u64)?;
    if rows == 0 || sites == 0 {
        return Ok(());
    }
    let width = sites.div_ceil(8);
    group.index("configuration", rows, "configuration")?;
    group.index("byte", width, "eight sites")?;
    group.variable("chain", &["configuration"], &set.chains, label("1", "chain of origin"))?;
    group.variable("draw", &["configuration"], &set.draws, label("1", "draw of that chain"))?;
    group.blocks("packed", &["configuration", "byte"], label("1", "spins, eight a byte, 1 = up"), |range| {
        crate::fault::point("block").map_err(|why| Error::InputOutput(format!("cannot write configurations: {why}")))?;
        go_on()?;
        let mut bytes = Vec::with_capacity(range.len() * width);
        for row in range {
            bytes.extend(set.spins.row(row).iter().flat_map(|word| word.to_le_bytes()).take(width));
        }
        Ok(bytes)
    })?;
    group.annotate("packed", |packed| {
        packed.text("unpack", UNPACK)?.text("bit_order", bit_order(set.geometry))?.number("sites", sites as u64)?;
        Ok(())
    })
}

fn bit_order(geometry: Geometry) -> &'static str {
    match geometry {
        Geometry::Chain => "site i is bit i % 8 (little) of byte i // 8",
        Geometry::Square => "site i is bit i % 8 (little) of byte i // 8; site = y * L + x",
        Geometry::Cubic => "site i is bit i % 8 (little) of byte i // 8; site = (z * L + y) * L + x",
    }
}

/// Reads configurations and where they came from.
///
/// # Errors
/// [`Error::InputOutput`] if the file cannot be read; [`Error::Refused`] if it is damaged or foreign.
pub fn read_configurations(path: &Path) -> Result<(Provenance, Vec<ConfigurationSet>)> {
    let (_file, root, origin) = provenance::open(path, CONTENT)?;
    let mut sets = Vec::new();
    for name in root.names().into_iter().filter(|name| name.starts_with('L')) {
        let group = root.group(name)?;
        sets.push((group.count("index")?, read_set(&group)?));
    }
    sets.sort_by_key(|(index, _)| *index);
    Ok((origin, sets.into_iter().map(|(_, set)| set).collect()))
}

fn read_set(group: &GroupReader) -> Result<ConfigurationSet> {
    let (size, coupling) = (group.count("size")?, group.number("coupling")?);
    let geometry = super::geometry(group)?;
    let (rows, sites) = (group.count("configurations")?, group.count("sites")?);
    if rows > 0 && sites == 0 {
        return Err(group.wrong("sites", format!("{rows} configurations of no sites")));
    }
    if rows == 0 {
        return Ok(ConfigurationSet {
            geometry,
            size,
            coupling,
            spins: BitMatrix::new(rows, sites),
            chains: vec![0; rows],
            draws: vec![0; rows],
        });
    }
    let width = sites.div_ceil(8);
    // The shape on disk is bounded by what the file holds; only then is memory taken for it.
    if group.shape::<u8>("packed", 2)? != [rows, width] {
        return Err(group.wrong("packed", format!("{rows} configurations of {sites} sites need the shape {:?}", [rows, width])));
    }
    let mut spins = BitMatrix::new(rows, sites);
    let words = spins.words_per_row();
    let past_the_last_site = if sites.is_multiple_of(8) { 0 } else { u8::MAX << (sites % 8) };
    group.blocks::<u8>("packed", 2, |range, bytes| {
        for (row, bytes) in range.zip(bytes.chunks_exact(width)) {
            if bytes[width - 1] & past_the_last_site != 0 {
                return Err(group.wrong("packed", format!("configuration {row} has spins past its last site")));
            }
            let mut padded = bytes.to_vec();
            padded.resize(words * WORD_BYTES, 0);
            for (word, bytes) in spins.row_mut(row).iter_mut().zip(padded.as_chunks::<WORD_BYTES>().0) {
                *word = u64::from_le_bytes(*bytes);
            }
        }
        Ok(())
    })?;
    Ok(ConfigurationSet { geometry, size, coupling, spins, chains: group.shaped("chain", &[rows])?, draws: group.shaped("draw", &[rows])? })
}
