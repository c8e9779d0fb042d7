//! The report of a run: figures and one page, made from a [`RunRecord`] and nothing else. Rank 0 calls it.
//!
//! In reading order: `page` (the document and its head), `caution` (the warnings), then one file a section: `sampling` with `histogram`, `coupling` and `equilibration`, `scaling`, `relaxation`, `improved`, `two_point`, `training`, `receptive_field` and `centres`,
//! `reconstruction` and `examples`, `likelihood`, `mapping`, `standards`, `comparison`, `flow`, `decimation`. Below them: `sizes` (of figures), `figure` (marks, and the one function that draws them as SVG and PNG), `axes`, `style`, `html`, `number`,
//! `ensemble` (words about an ensemble), `tables` (tables of the record).
//!
//! Sentences state what the numbers of the record say: each is computed, and a section without data does not appear.

mod axes;
mod caution;
mod centres;
mod comparison;
mod controls;
mod coupling;
mod decimation;
mod ensemble;
mod equilibration;
mod examples;
mod figure;
mod flow;
mod histogram;
mod html;
mod imported;
mod improved;
mod likelihood;
mod locality;
mod machine_pairs;
mod mapping;
mod number;
mod page;
mod receptive_field;
mod reconstruction;
mod relaxation;
mod sampling;
mod scaling;
mod scaling_warnings;
pub(crate) mod sizes;
mod stack;
mod stacks;
mod standards;
mod style;
mod tables;
mod tempering;
mod training;
mod two_point;

use crate::error::{Error, Result};
use crate::kernels::heap;
use crate::record::RunRecord;
use crate::store::durable;
use figure::Rendered;
use html::{Block, Figure, Section};
use rayon::prelude::*;
pub use sampling::DRAWN_ENSEMBLES;
use std::path::{Path, PathBuf};

/// Figures that are drawn at one time, however many threads there are: each takes tens of megabytes while it is drawn.
pub const DRAWN_AT_ONCE: usize = 2;

/// The files of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFiles {
    /// `report.html`: self-contained, opens offline, needs no scripts.
    pub page: PathBuf,
    /// `figures/*.svg` and `figures/*.png`, in the order of the page, SVG before PNG.
    pub figures: Vec<PathBuf>,
}

/// Writes `report.html` and `figures/` into `directory`, which is created if need be. Files of an earlier report are replaced one by one; a reader never sees half of one.
/// `go_on` is asked between figures; its error ends the work before the page is written.
///
/// Stages that the record does not have are left out, and numbers that are not finite are shown as a dash and warned of: an incomplete or broken run has a report too.
///
/// # Errors
/// [`Error::InputOutput`] if a file cannot be written; that of `go_on`.
pub fn write_report(directory: &Path, record: &RunRecord, go_on: &dyn Fn() -> Result<()>) -> Result<ReportFiles> {
    let sections = sections(record);
    let folder = directory.join("figures");
    std::fs::create_dir_all(&folder).map_err(|why| Error::file("create", &folder, why))?;
    let drawn: Vec<&Figure> = sections
        .iter()
        .flat_map(|section| &section.blocks)
        .filter_map(|block| match block {
            Block::Figure(figure) => Some(figure),
            _ => None,
        })
        .collect();
    // The largest ones first, so that those which are drawn at one time take about equally long.
    let mut order: Vec<(usize, &Figure)> = drawn.iter().copied().enumerate().collect();
    order.sort_by(|(_, one), (_, other)| other.drawing.area().total_cmp(&one.drawing.area()));
    let mut rendered = Vec::new();
    for some in order.chunks(DRAWN_AT_ONCE.min(rayon::current_num_threads())) {
        go_on()?;
        let pictures = some.par_iter().map(|&(place, figure)| Ok((place, figure::render(&figure.drawing, &figure.description)?)));
        rendered.extend(pictures.collect::<Result<Vec<_>>>()?);
        heap::give_back();
    }
    go_on()?;
    rendered.sort_by_key(|&(place, _)| place);
    let rendered: Vec<Rendered> = rendered.into_iter().map(|(_, picture)| picture).collect();
    let mut figures = Vec::new();
    for (figure, picture) in drawn.iter().zip(&rendered) {
        for (extension, bytes) in [("svg", picture.svg.as_bytes()), ("png", picture.png.as_slice())] {
            let path = folder.join(format!("{}.{extension}", figure.name));
            durable::write(&path, bytes)?;
            figures.push(path);
        }
    }
    let page = directory.join("report.html");
    durable::write(&page, page::page(record, &sections, &caution::warnings(record), &rendered).as_bytes())?;
    Ok(ReportFiles { page, figures })
}

/// The sections for which there are data, in the order of the page.
fn sections(record: &RunRecord) -> Vec<Section> {
    let mut sections = Vec::new();
    if let Some(sampling) = record.sampling.as_ref().filter(|sampling| !sampling.ensembles.is_empty()) {
        let mut section = sampling::section(sampling);
        coupling::add(&mut section, sampling);
        tempering::add(&mut section, sampling);
        equilibration::add(&mut section, record);
        sections.push(section);
    }
    sections.extend(record.scaling.as_ref().filter(|scaling| !scaling.curves.is_empty()).map(scaling::section));
    sections.extend(relaxation::section(record));
    sections.extend(improved::section(record));
    sections.extend(two_point::section(record));
    sections.extend(imported::section(record));
    let training = record.training.as_ref();
    sections.extend(training.filter(|training| !training.layers.is_empty()).map(training::section));
    if let Some(renormalization) = &record.renormalization {
        if !renormalization.receptive_fields.is_empty() {
            sections.push(receptive_field::section(renormalization, training));
        }
        if !(renormalization.reconstructions.is_empty() && renormalization.examples.is_empty()) {
            sections.push(reconstruction::section(renormalization, training));
        }
        sections.extend(locality::section(renormalization));
        sections.extend(renormalization.likelihood.as_ref().map(likelihood::section));
        sections.extend(stack::section(renormalization, record.training.as_ref()));
        sections.extend(stacks::section(renormalization, record.training.as_ref()));
        if !renormalization.mappings.is_empty() {
            sections.push(mapping::section(&renormalization.mappings));
        }
        sections.extend(comparison::sections(renormalization));
        sections.extend(flow::section(renormalization, record.training.as_ref().map(|training| training.size)));
        sections.extend(decimation::section(renormalization));
        sections.extend(standards::section(renormalization));
    }
    sections
}
