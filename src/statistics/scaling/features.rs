//! What one sees in the reweighted curves: where two of them cross, where one has its peak, and the curves themselves. All functions take replicates, the first made of all
//! draws and the others with one block left out, and give a number with its error.

use super::{Collapse, Crossing, Curves, Peak, WithError, with_error};
use crate::ledger::{Ledger, kept_numbers};
use crate::statistics::reweighting::{Averages, Begin, Histograms, Reweighting};
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Nodes of a curve.
const NODES: usize = 33;
/// Halvings of an interval, enough for the last bit.
const HALVINGS: usize = 60;
/// Steps of the golden section: the interval shrinks by 10^-7, where a maximum is flat to rounding.
const GOLDEN_STEPS: usize = 34;

/// One size: its histograms and their combination for each replicate.
pub(super) struct Size<'a> {
    pub size: usize,
    pub histograms: Histograms,
    pub replicates: Vec<Reweighting>,
    pub ledger: &'a dyn Ledger,
    /// Questions that were asked.
    questions: AtomicUsize,
}

impl<'a> Size<'a> {
    /// What is calculated of a size is kept in `ledger`, answer after answer: a job that is interrupted goes on from there.
    pub fn new(size: usize, histograms: Histograms, ledger: &'a dyn Ledger) -> Self {
        let name = format!("free energies of L = {size}, {} blocks", histograms.blocks());
        let couplings = histograms.couplings();
        let kept: Vec<f64> = ledger.found(&name).unwrap_or_default().into_iter().map(f64::from_bits).collect();
        let kept: Vec<&[f64]> = kept.chunks_exact(couplings).filter(|_| kept.len() == couplings * (histograms.blocks() + 1)).collect();
        let all = histograms.combine(None, kept.first().map_or(Begin::Nowhere, |energies| Begin::There(energies)));
        let begin = |block: usize| kept.get(block + 1).map_or(Begin::Near(all.free_energies()), |energies| Begin::There(energies));
        let without: Vec<Reweighting> =
            (0..histograms.blocks()).into_par_iter().map(|block| histograms.combine(Some(block), begin(block))).collect();
        let replicates: Vec<Reweighting> = std::iter::once(all).chain(without).collect();
        if kept.is_empty() {
            let words = replicates.iter().flat_map(|replicate| replicate.free_energies().iter().map(|energy| energy.to_bits()));
            ledger.keep(&name, words.collect());
        }
        Size { size, replicates, histograms, ledger, questions: AtomicUsize::new(0) }
    }

    /// Numbers that an earlier job calculated, or that are calculated now. The questions to a size come in a fixed order, which names them together with the numbers that go in.
    fn kept(&self, given: impl Iterator<Item = f64>, calculate: impl FnOnce() -> Vec<f64>) -> Vec<f64> {
        let question = self.questions.fetch_add(1, Ordering::Relaxed);
        // The numbers of Fowler, Noll and Vo's hash.
        let given = given.fold(0xCBF2_9CE4_8422_2325_u64, |hash, number| (hash ^ number.to_bits()).wrapping_mul(0x0100_0000_01B3));
        let name = format!("answer {question} of L = {}, {} blocks, {given:x}", self.size, self.histograms.blocks());
        kept_numbers(self.ledger, &name, calculate)
    }

    /// A function of the averages at a coupling that may differ between the replicates.
    pub fn values(&self, coupling: &(dyn Fn(usize) -> f64 + Sync), of: &(dyn Fn(&Averages) -> f64 + Sync)) -> Vec<f64> {
        let replicates = &self.replicates;
        self.kept((0..replicates.len()).map(coupling), || {
            replicates.par_iter().enumerate().map(|(index, replicate)| of(&replicate.at(coupling(index)))).collect()
        })
    }

    /// The couplings of a curve.
    fn nodes(&self) -> Vec<f64> {
        let [low, high] = self.histograms.range();
        (0..NODES).map(|node| low + (high - low) * node as f64 / (NODES - 1) as f64).collect()
    }

    pub fn curves(&self) -> Curves {
        let (nodes, replicates) = (self.nodes(), &self.replicates);
        let functions: [&(dyn Fn(&Averages) -> f64 + Sync); 6] = [
            &|averages| averages.binder_cumulant()[0],
            &|averages| averages.correlation_length()[0],
            &|averages| averages.moments[0],
            &Averages::connected_susceptibility,
            &|averages| averages.specific_heat,
            &|averages| averages.energy,
        ];
        // Of each node the functions with their errors, and the effective draws; then the overlap.
        let of_node = |&coupling: &f64| -> Vec<f64> {
            let averages: Vec<Averages> = replicates.iter().map(|replicate| replicate.at(coupling)).collect();
            let pairs = functions.iter().flat_map(|of| with_error(&averages.iter().map(of).collect::<Vec<f64>>()));
            pairs.chain([averages[0].effective_draws]).collect()
        };
        let numbers = self.kept(nodes.iter().copied(), || {
            let of_nodes: Vec<Vec<f64>> = nodes.par_iter().map(of_node).collect();
            of_nodes.into_iter().flatten().chain([replicates[0].overlaps().into_iter().fold(1.0, f64::min)]).collect()
        });
        let each = 2 * functions.len() + 1;
        let curve =
            |place: usize| -> Vec<WithError> { numbers.chunks_exact(each).map(|node| [node[2 * place], node[2 * place + 1]]).collect() };
        Curves {
            size: self.size,
            binder_cumulant: curve(0),
            correlation_length: if self.histograms.has_waves() { curve(1) } else { Vec::new() },
            magnetization: curve(2),
            connected_susceptibility: curve(3),
            specific_heat: curve(4),
            energy: curve(5),
            effective_draws: numbers.chunks_exact(each).map(|node| node[each - 1]).collect(),
            smallest_overlap: numbers[numbers.len() - 1],
            coupling: nodes,
        }
    }

    /// The peak of a function of the averages inside the couplings sampled: places and heights of all replicates.
    pub fn peak(&self, of: &(dyn Fn(&Averages) -> f64 + Sync)) -> Option<[Vec<f64>; 2]> {
        let numbers =
            self.kept(std::iter::empty(), || self.find_peak(of).map(|[places, heights]| [places, heights].concat()).unwrap_or_default());
        let (places, heights) = numbers.split_at(numbers.len() / 2);
        (!places.is_empty()).then(|| [places.to_vec(), heights.to_vec()])
    }

    fn find_peak(&self, of: &(dyn Fn(&Averages) -> f64 + Sync)) -> Option<[Vec<f64>; 2]> {
        let nodes = self.nodes();
        let heights: Vec<f64> = nodes.par_iter().map(|&coupling| of(&self.replicates[0].at(coupling))).collect();
        let top = (0..NODES).max_by(|&one, &other| heights[one].total_cmp(&heights[other]))?;
        if top == 0 || top == NODES - 1 || heights.iter().any(|height| height.is_nan()) {
            return None;
        }
        let found: Vec<(f64, f64)> = self
            .replicates
            .par_iter()
            .map(|replicate| {
                maximum(&|coupling| of(&replicate.at(coupling)), nodes[top.saturating_sub(2)], nodes[(top + 2).min(NODES - 1)])
            })
            .collect();
        let (places, heights) = found.into_iter().unzip();
        Some([places, heights])
    }
}

/// The maximum of a function with one peak between two ends, by the golden section: place and height.
fn maximum(of: &dyn Fn(f64) -> f64, mut low: f64, mut high: f64) -> (f64, f64) {
    let golden = 0.5 * (5f64.sqrt() - 1.0);
    let (mut left, mut right) = (high - golden * (high - low), low + golden * (high - low));
    let (mut at_left, mut at_right) = (of(left), of(right));
    for _ in 0..GOLDEN_STEPS {
        if at_left > at_right {
            high = right;
            (right, at_right) = (left, at_left);
            left = high - golden * (high - low);
            at_left = of(left);
        } else {
            low = left;
            (left, at_left) = (right, at_right);
            right = low + golden * (high - low);
            at_right = of(right);
        }
    }
    if at_left > at_right { (left, at_left) } else { (right, at_right) }
}

/// Where a function of two sizes is equal, nearest to `near` if there are several: for each replicate the coupling and the value. `None` if they do not cross.
fn equal(small: &Size, large: &Size, of: &(dyn Fn(&Averages) -> f64 + Sync), near: Option<f64>) -> Option<Vec<(f64, f64)>> {
    let (one, other) = (small.histograms.range(), large.histograms.range());
    let (low, high) = (one[0].max(other[0]), one[1].min(other[1]));
    if low >= high {
        return None;
    }
    let node = |index: usize| low + (high - low) * index as f64 / (NODES - 1) as f64;
    let difference =
        |replicate: usize, coupling: f64| of(&large.replicates[replicate].at(coupling)) - of(&small.replicates[replicate].at(coupling));
    let signs: Vec<f64> = (0..NODES).into_par_iter().map(|index| difference(0, node(index))).collect();
    let middle = near.unwrap_or(0.5 * (low + high));
    let bracket = (0..NODES - 1)
        .filter(|&index| signs[index] * signs[index + 1] <= 0.0)
        .min_by(|&one, &other| (node(one) - middle).abs().total_cmp(&(node(other) - middle).abs()))?;
    (0..small.replicates.len())
        .into_par_iter()
        .map(|replicate| {
            // A replicate may cross a little beyond the nodes of the whole.
            let (mut low, mut high) = (node(bracket.saturating_sub(2)), node((bracket + 3).min(NODES - 1)));
            let (at_low, at_high) = (difference(replicate, low), difference(replicate, high));
            if at_low.is_nan() || at_high.is_nan() || at_low * at_high > 0.0 {
                return None;
            }
            for _ in 0..HALVINGS {
                let middle = 0.5 * (low + high);
                if middle <= low || middle >= high {
                    break;
                }
                if difference(replicate, middle) * at_low > 0.0 { low = middle } else { high = middle }
            }
            Some((low, of(&small.replicates[replicate].at(low))))
        })
        .collect()
}

/// Crossings of each size with the next one, and with its double where that is not the next.
pub(super) fn crossings(sizes: &[Size<'_>], observable: &str, of: &(dyn Fn(&Averages) -> f64 + Sync)) -> Vec<Crossing> {
    let mut found = Vec::new();
    for (index, small) in sizes.iter().enumerate() {
        for (other, large) in sizes.iter().enumerate().skip(index + 1) {
            let is_double = large.size == 2 * small.size;
            let has_double = sizes.iter().any(|size| size.size == 2 * small.size);
            if !(is_double || !has_double && other == index + 1) {
                continue;
            }
            let numbers = small.kept(std::iter::once(large.size as f64), || {
                let (couplings, values): (Vec<f64>, Vec<f64>) = equal(small, large, of, None).unwrap_or_default().into_iter().unzip();
                [couplings, values].concat()
            });
            let (couplings, values) = numbers.split_at(numbers.len() / 2);
            if !couplings.is_empty() {
                found.push(Crossing {
                    observable: observable.to_string(),
                    sizes: [small.size, large.size],
                    coupling: with_error(couplings),
                    value: with_error(values),
                });
            }
        }
    }
    found
}

/// A peak of one size with errors.
pub(super) fn peak(size: usize, observable: &str, [places, heights]: &[Vec<f64>; 2]) -> Peak {
    Peak { observable: observable.to_string(), size, coupling: with_error(places), height: with_error(heights), exact: None }
}

/// The quality of the collapse of y over x = (K / K_c - 1) L^(1/nu): each node of each size against the line through the two nodes of every other size that enclose it.
pub(super) fn collapse(
    observable: &str,
    curves: &[&Curves],
    critical: f64,
    nu: f64,
    of: &dyn Fn(&Curves) -> Vec<WithError>,
    smallest_size: usize,
) -> Option<Collapse> {
    let points: Vec<(usize, Vec<(f64, WithError)>)> = curves
        .iter()
        .filter(|curves| curves.size >= smallest_size)
        .map(|curves| {
            let scale = (curves.size as f64).powf(1.0 / nu);
            (curves.size, curves.coupling.iter().map(|coupling| (coupling / critical - 1.0) * scale).zip(of(curves)).collect())
        })
        .collect();
    let (mut sum, mut count) = (0.0, 0.0);
    for (size, nodes) in &points {
        for &(x, [y, error]) in nodes {
            for (_, others) in points.iter().filter(|(other, _)| other != size) {
                let Some(pair) = others.windows(2).find(|pair| pair[0].0 <= x && x <= pair[1].0) else { continue };
                let share = (x - pair[0].0) / (pair[1].0 - pair[0].0);
                let line = |part: usize| (1.0 - share) * pair[0].1[part] + share * pair[1].1[part];
                // The two nodes of a reweighted curve move together: their errors do not average out.
                sum += (y - line(0)).powi(2) / (error * error + line(1).powi(2));
                count += 1.0;
            }
        }
    }
    (count > 0.0).then(|| Collapse { observable: observable.to_string(), quality: sum / count, smallest_size })
}
