//! The figures that the report of a run will have, by their sizes: what they take of memory and time while they are drawn.

use super::RunFile;
use crate::report::{DRAWN_AT_ONCE, DRAWN_ENSEMBLES};

/// Fonts, and what is kept of each figure for the page.
const FONTS: u128 = 4 << 20;
const ON_PAGE: u128 = 1 << 19;
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

/// The logical pixels of each figure, by the parts of the run that lead to it.
fn logical_pixels(run: &RunFile) -> Vec<u128> {
    let mut figures = Vec::new();
    if !run.report.figures {
        return figures;
    }
    if let Some(sample) = &run.sample {
        let (sizes, couplings) = (run.lattice.sizes.len(), sample.coupling_count());
        figures.extend(vec![920 * 430; (sizes * couplings).min(DRAWN_ENSEMBLES)]);
        figures.extend((couplings > 1).then_some(960 * 592));
        figures.extend((sample.configurations > 1).then_some(620 * 400));
        if sizes > 2 {
            figures.push(560 * 380);
            figures.extend(vec![960 * 592; if run.report.scaling && couplings > 1 { 2 } else { 0 }]);
        }
    }
    figures.extend(run.train.as_ref().map(|_| 932 * 590));
    if let Some(section) = &run.renormalize {
        figures.extend(run.train.as_ref().filter(|_| section.receptive_fields).map_or(Vec::new(), |train| {
            // Squares that fill the page, with a scale beside them; and their centres.
            [vec![920 * 870; train.layers.len()], vec![950 * 350]].concat()
        }));
        let others = [
            (section.monte_carlo.is_some(), 900 * 330),
            (section.decimation.is_some(), 932 * 320),
            (section.flow.is_some(), 932 * 720),
            (section.couplings, 900 * 330),
            (section.likelihood.is_some(), 932 * 372),
            (run.train.is_some() && section.reconstructions, 920 * 372),
            (run.train.is_some() && section.examples > 0, 900 * 500),
        ];
        figures.extend(others.into_iter().filter_map(|(is_drawn, pixels)| is_drawn.then_some(pixels)));
    }
    figures
}
