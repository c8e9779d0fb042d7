//! Histograms of energy and magnetization: the bins, and the figure of an ensemble whose series were not kept.

use super::axes::{Panel, Scale, legend};
use super::ensemble;
use super::figure::{Anchor, Drawing};
use super::number::thousands;
use super::sampling::levels_in_words;
use super::sizes;
use super::style::{self, EXACT, INK, MEASURED};
use crate::measure::Histogram;
use crate::record::{Ensemble, Observable, SamplingRecord};

/// Bins of a histogram, at most.
const BINS: i64 = 50;
/// Energies of one lattice differ by multiples of 4 J: a bin holds a whole number of these, or the histogram would be a comb.
pub(super) const ENERGY_STEP: i64 = 4;
/// The same for magnetizations.
pub(super) const MAGNETIZATION_STEP: i64 = 2;

/// Equal bins over all values.
pub(super) struct Bins {
    low: i64,
    width: i64,
    step: i64,
    /// Draws in each.
    pub counts: Vec<u64>,
}

impl Bins {
    /// Of values, which differ by multiples of `step`, and how often each was seen.
    pub fn of(seen: impl Iterator<Item = (i64, u64)> + Clone, step: i64) -> Bins {
        let values = || seen.clone().map(|(value, _)| value);
        let (low, high) = (values().min().unwrap_or(0), values().max().unwrap_or(0));
        let width = ((high - low) / step / BINS + 1) * step;
        let mut bins = Bins { low, width, step, counts: vec![0; BINS as usize] };
        seen.for_each(|(value, count)| bins.counts[((value - low) / width) as usize] += count);
        bins
    }

    /// The ends of a bin, half a step beyond its values.
    pub fn ends(&self, bin: usize) -> [f64; 2] {
        [bin, bin + 1].map(|bin| (self.low + bin as i64 * self.width) as f64 - 0.5 * self.step as f64)
    }

    /// The draws of the fullest bin, at least one.
    pub fn largest(&self) -> f64 {
        self.counts.iter().copied().max().unwrap_or(0).max(1) as f64
    }
}

/// The figure of an ensemble.
pub(super) fn figure(sampling: &SamplingRecord, ensemble: &Ensemble) -> Option<Drawing> {
    let sites = ensemble.size.pow(sampling.geometry.dimension() as u32) as f64;
    let mut drawing = Drawing::new(sizes::HISTOGRAMS);
    let groups = &ensemble.histograms;
    let energies = Bins::of(groups.iter().flat_map(|group| group.energies.iter().map(|bin| (bin.energy, bin.count))), ENERGY_STEP);
    let energy = ensemble::observable(ensemble, "energy_per_site");
    let marks = energy.map(|energy| (energy, vec![1.0]));
    panel(&mut drawing, [74.0, 440.0], &energies, sites, "energy per site (J)", marks)?;
    let magnetizations = |group: &'_ Histogram| group.magnetizations.clone();
    let seen: Vec<(i64, u64)> = groups.iter().flat_map(magnetizations).collect();
    let marks = ensemble::observable(ensemble, "absolute_magnetization").map(|magnetization| (magnetization, vec![1.0, -1.0]));
    panel(&mut drawing, [534.0, 900.0], &Bins::of(seen.iter().copied(), MAGNETIZATION_STEP), sites, "magnetization per site", marks)?;
    drawing.heading(&ensemble::name(ensemble), [74.0, 22.0], 13.0, INK, Anchor::Start);
    let mut entries = vec![(MEASURED, "mean ± error".to_string())];
    entries.extend(energy.and_then(|energy| energy.exact).map(|_| (EXACT, "exact".to_string())));
    legend(&mut drawing, [300.0, 22.0], &entries);
    Some(drawing)
}

/// One histogram, with the mean of an observable, times each sign, and its exact value.
fn panel(
    drawing: &mut Drawing,
    [left, right]: [f64; 2],
    bins: &Bins,
    sites: f64,
    label: &str,
    marks: Option<(&Observable, Vec<f64>)>,
) -> Option<()> {
    let marks: Vec<(f64, f64, Option<f64>)> = marks
        .iter()
        .flat_map(|(one, signs)| {
            signs.iter().map(|sign| (sign * one.estimate.mean, one.estimate.error, one.exact.map(|exact| sign * exact)))
        })
        .collect();
    let filled = || bins.counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let ends = filled().flat_map(|(bin, _)| bins.ends(bin)).map(|end| end / sites);
    let x = Scale::linear(ends.chain(marks.iter().flat_map(|&(mean, _, exact)| [Some(mean), exact].into_iter().flatten())))?;
    let panel = Panel { left, top: 38.0, right, bottom: 276.0, x, y: Scale::between(0.0, 1.08 * bins.largest()) };
    panel.axes(drawing, label, "draws");
    for (bin, &count) in filled() {
        let [low, high] = bins.ends(bin).map(|end| panel.x.clamp(end / sites));
        if let (Some(foot), Some(corner)) = (panel.at(low, 0.0), panel.at(high, count as f64)) {
            drawing.rectangle([foot[0], corner[1]], [corner[0], foot[1]], style::tint(style::chain(1), 0.55));
        }
    }
    for (mean, error, exact) in marks {
        let at = |value: f64| panel.at(value, 0.0).map(|[x, _]| x);
        if let (Some(low), Some(high)) = (at(panel.x.clamp(mean - error)), at(panel.x.clamp(mean + error))) {
            drawing.polygon(&[[low, panel.bottom], [high, panel.bottom], [high, panel.top], [low, panel.top]], MEASURED, 0.35);
        }
        if let Some(x) = at(mean) {
            drawing.line(&[[x, panel.bottom], [x, panel.top]], MEASURED, 1.5);
        }
        if let Some(x) = exact.and_then(at) {
            drawing.dashed([x, panel.bottom], [x, panel.top], EXACT, 1.5, 6.0);
        }
    }
    Some(())
}

/// What stands below it.
pub(super) fn caption(ensemble: &Ensemble) -> String {
    let draws = ensemble.draws();
    let mut caption = format!(
        "<b>{}.</b> How often each energy and each magnetization per site was seen in {} draws of {} chain{}. ",
        ensemble::name(ensemble),
        thousands(draws.iter().sum::<usize>() as u64),
        thousands(draws.len() as u64),
        if draws.len() == 1 { "" } else { "s" },
    );
    caption.push_str(&levels_in_words(ensemble, "on the right"));
    caption
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_draw_is_in_the_bin_of_its_value() {
        // Odd lattices have energies 2, 6, 10 ... as well as -2: none falls between two bins.
        let seen = [(-30, 3), (-2, 1), (2, 5), (1002, 7)];
        let bins = Bins::of(seen.into_iter(), ENERGY_STEP);
        assert_eq!(bins.counts.iter().sum::<u64>(), 16);
        for (value, count) in seen {
            let inside = |bin: &usize| bins.ends(*bin)[0] < value as f64 && (value as f64) < bins.ends(*bin)[1];
            let bin = (0..bins.counts.len()).find(inside).expect("a bin");
            assert!(bins.counts[bin] >= count, "{value}");
        }
        assert_eq!((Bins::of(std::iter::empty(), 2).largest(), bins.largest()), (1.0, 7.0));
    }
}
