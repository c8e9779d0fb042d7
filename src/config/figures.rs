//! The figures that the report of a run will have, by their sizes: what they take of memory and time while they are drawn.

use super::RunFile;
use super::sample::Kept;
use crate::report::sizes::{self, Size};
use crate::report::{DRAWN_AT_ONCE, DRAWN_ENSEMBLES};

/// Fonts, and what is kept of each figure for the page.
const FONTS: u128 = 4 << 20;
const ON_PAGE: u128 = 1 << 18;
/// A logical pixel while it is drawn: sixteen fine pixels of three bytes, the four that they become, and what those take on their way into a PNG.
const BYTES_A_PIXEL: u128 = 16 * 3 + 4 * 3 + 2;

/// The workspace of the figures on so many threads, in bytes: the largest ones, as many as are drawn at one time.
pub(super) fn workspace(run: &RunFile, threads: usize) -> u128 {
    let mut pixels = logical_pixels(run);
    pixels.sort_unstable_by(|one, other| other.cmp(one));
    let drawn: u128 = pixels.iter().take(threads.clamp(1, DRAWN_AT_ONCE)).sum();
    if drawn == 0 { 0 } else { FONTS + ON_PAGE * pixels.len() as u128 + BYTES_A_PIXEL * drawn }
}

/// The logical pixels that a thread draws, where so many of them draw: a measure of the time.
pub(super) fn pixels_of_thread(run: &RunFile, threads: usize) -> f64 {
    logical_pixels(run).iter().sum::<u128>() as f64 / threads.clamp(1, DRAWN_AT_ONCE) as f64
}

/// The logical pixels of each figure.
fn logical_pixels(run: &RunFile) -> Vec<u128> {
    if run.report.figures { sizes(run).into_iter().map(|[width, height]| (width * height) as u128).collect() } else { Vec::new() }
}

/// The sizes of the figures, by the parts of the run that lead to them.
fn sizes(run: &RunFile) -> Vec<Size> {
    let mut figures = Vec::new();
    if let Some(sample) = &run.sample {
        let (lattices, couplings) = (run.lattice.sizes.len(), sample.coupling_count());
        let ensemble = if sample.series == Kept::Histograms { sizes::HISTOGRAMS } else { sizes::SERIES };
        figures.extend(vec![ensemble; (lattices * couplings).min(DRAWN_ENSEMBLES)]);
        figures.extend((couplings > 1).then_some(sizes::OBSERVABLES));
        figures.extend(sample.tempering.then_some(sizes::TEMPERING));
        figures.extend((sample.configurations > 1).then_some(sizes::TWO_POINT));
        if lattices > 2 {
            figures.push(sizes::RELAXATION);
            figures.extend(vec![sizes::SCALING; if run.report.scaling && couplings > 1 { 2 } else { 0 }]);
        }
    }
    figures.extend(run.train.as_ref().map(|_| sizes::TRAINING));
    if let Some(section) = &run.renormalize {
        figures.extend(
            run.train
                .as_ref()
                .filter(|_| section.receptive_fields)
                .map_or(Vec::new(), |train| [vec![sizes::RECEPTIVE_FIELDS; train.layers.len()], vec![sizes::CENTRES]].concat()),
        );
        let others = [
            (section.monte_carlo.is_some(), sizes::STANDARDS),
            (section.decimation.is_some(), sizes::DECIMATION),
            (section.flow.is_some(), sizes::FLOW),
            (section.couplings, sizes::COMPARISON),
            (section.likelihood.is_some(), sizes::LIKELIHOOD),
            (section.likelihood.is_some(), sizes::TWO_POINT),
            (run.train.is_some() && section.reconstructions, sizes::RECONSTRUCTION),
            (run.train.is_some() && section.examples > 0, sizes::EXAMPLES),
        ];
        figures.extend(others.into_iter().filter_map(|(is_drawn, size)| is_drawn.then_some(size)));
    }
    figures
}
