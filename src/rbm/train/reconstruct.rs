//! The way back of contrastive divergence: the visible layer given the hidden one, and how far it is from the data.

use super::Trainer;
use crate::kernels::activation;
use crate::kernels::float_vector::Vector;
use crate::kernels::tables::ABREAST;
use crate::random::LaneStream;
use crate::rbm::Reconstruction;
use crate::rbm::gibbs::{self, Conditional};
use crate::rbm::panels::{Units, lot};
use rayon::prelude::*;
use std::ops::Range;

impl Trainer<'_> {
    /// Draws the visible layer given the hidden one. With `compared`, adds the squared distance of its probabilities from these units to the strips' `errors`.
    pub(super) fn reconstruct(
        &self,
        hidden: &Units,
        compared: Option<&Units>,
        strips: &[Range<usize>],
        lanes: &mut [LaneStream],
        errors: &mut [f64],
    ) -> Units {
        let (set, machine) = (self.set, &self.machine);
        let samples = strips.last().map_or(0, |strip| strip.end);
        let layer = Conditional::Visible(machine, hidden);
        let distance = |panel: usize, strip: &Range<usize>, probabilities: &[Vector]| match compared {
            None => 0.0,
            Some(Units::Bits(bits)) => activation::squared_distance_to_bits(set, &bits[panel * samples..][strip.clone()], probabilities),
            Some(Units::Numbers(units)) => activation::squared_distance(set, &units[panel * samples..][strip.clone()], probabilities),
        };
        let distances: Vec<Vec<f64>>;
        let units;
        if self.options.reconstruction == Reconstruction::Probabilities {
            let mut probabilities = vec![Vector::ZERO; machine.visible_panels() * samples];
            gibbs::activate(set, layer, samples, &mut probabilities);
            let of_panel =
                |(panel, all): (usize, &[Vector])| strips.iter().map(|strip| distance(panel, strip, &all[strip.clone()])).collect();
            distances = probabilities.par_chunks(samples.max(1)).enumerate().map(of_panel).collect();
            units = Units::Numbers(probabilities);
        } else {
            let mut bits = vec![0u16; machine.visible_panels() * samples];
            if compared.is_none() || samples == 0 {
                gibbs::sample(set, layer, strips, lanes, &mut bits);
                return Units::Bits(bits);
            }
            let lots = bits.par_chunks_mut(ABREAST * samples).zip(lanes.par_chunks_mut(ABREAST * strips.len())).enumerate();
            let of_lots: Vec<Vec<Vec<f64>>> = lots
                .with_min_len(layer.least_lots(samples))
                .map_init(
                    || vec![Vector::ZERO; ABREAST * samples],
                    |fields, (index, (bits, lanes))| {
                        let (panels, fields) = (lot(index, layer.panels()), &mut fields[..bits.len()]);
                        layer.fields(set, panels.clone(), fields);
                        gibbs::activate_lot(set, layer, panels.clone(), strips, lanes, fields, bits);
                        let of_panel = |(panel, fields): (usize, &[Vector])| {
                            strips.iter().map(|strip| distance(panel, strip, &fields[strip.clone()])).collect()
                        };
                        panels.zip(fields.chunks_exact(samples)).map(of_panel).collect()
                    },
                )
                .collect();
            distances = of_lots.concat();
            units = Units::Bits(bits);
        }
        for of_panel in distances {
            errors.iter_mut().zip(of_panel).for_each(|(error, distance)| *error += distance);
        }
        units
    }
}
