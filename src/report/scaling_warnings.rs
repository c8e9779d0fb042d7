//! What a reader must know of an analysis across sizes before believing it.

use super::ensemble::LARGE_DEVIATION;
use super::html::escape;
use super::number::{fixed, list, significant};
use super::scaling::known;
use crate::statistics::scaling::{ACCEPTED, BLOCK_LENGTH, FEWEST_BLOCKS, Scaling, ScalingResult};

/// Sentences for the top of the page.
pub(super) fn warnings(scaling: &Scaling) -> Vec<String> {
    if scaling.blocks < FEWEST_BLOCKS && scaling.results.is_empty() {
        return vec![too_few_draws(scaling.blocks)];
    }
    let unfit: Vec<String> = scaling
        .fits
        .iter()
        .filter(|fit| fit.chosen && fit.goodness.p_value < ACCEPTED)
        .map(|fit| format!("{} ({})", escape(&fit.long_name), significant(fit.goodness.p_value, 2)))
        .collect();
    let unfit = (!unfit.is_empty()).then(|| {
        format!(
            "<b>No acceptable fit across sizes:</b> even the best of the fits has a χ² of too small a probability for {}. What comes of it is no result.",
            list(&unfit)
        )
    });
    let errors_off = |one: &ScalingResult| one.exact.map(|exact| ((one.value - exact) / one.error).abs());
    let off: Vec<String> = scaling
        .results
        .iter()
        .filter_map(|one| Some((one, errors_off(one).filter(|errors| *errors > LARGE_DEVIATION)?)))
        .map(|(one, errors)| format!("{} by {} errors", escape(&one.long_name), fixed(errors, 1)))
        .collect();
    let off = (!off.is_empty()).then(|| {
        format!("<b>Finite-size scaling is more than four standard errors from the {} value:</b> {}.", known(scaling), list(&off))
    });
    [does_not_bracket(scaling), unfit, off, apart(scaling)].into_iter().flatten().collect()
}

fn too_few_draws(blocks: usize) -> String {
    format!(
        "<b>No finite-size scaling:</b> the chains of the ensemble with the longest memory make {blocks} independent block{} (whole chains, or parts of {} autocorrelation times), and error bars need \
         {FEWEST_BLOCKS}. Draw longer chains, or more of them.",
        if blocks == 1 { "" } else { "s" },
        significant(BLOCK_LENGTH, 2)
    )
}

/// Whether no two sizes cross within the couplings that were sampled.
fn does_not_bracket(scaling: &Scaling) -> Option<String> {
    scaling.crossings.is_empty().then(|| {
        "<b>The couplings do not bracket the transition:</b> no curves of two sizes cross between the lowest and the highest of them. What the fits give is extrapolated and no result: sample \
         couplings on both sides of the critical one, for example by a window."
            .to_string()
    })
}

/// Sizes whose couplings do not overlap.
fn apart(scaling: &Scaling) -> Option<String> {
    let apart: Vec<String> = scaling
        .curves
        .iter()
        .filter(|curves| curves.smallest_overlap < 0.05)
        .map(|curves| format!("L = {} ({})", curves.size, significant(curves.smallest_overlap, 2)))
        .collect();
    (!apart.is_empty()).then(|| {
        format!(
            "<b>Couplings too far apart for reweighting:</b> the energies of neighbouring couplings hardly overlap for {}. Curves between them, and all that comes from them, are not to be \
             trusted: sample more couplings or a narrower window.",
            list(&apart)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lattice::Geometry;
    use crate::statistics::least_squares::Goodness;
    use crate::statistics::scaling::{Crossing, ScalingFit};

    /// A fit that is as it should be, and one that is not, with what comes of it.
    fn scaling(p_value: f64, value: f64, crossings: Vec<Crossing>) -> Scaling {
        let name = "critical_coupling".to_string();
        let long_name = "critical coupling K_c".to_string();
        let goodness = Goodness { chi_squared: 3.0, degrees_of_freedom: 3, p_value };
        let result = ScalingResult {
            name: name.clone(),
            long_name: long_name.clone(),
            value,
            error: 1e-4,
            smallest_size: 8,
            exact: Some(0.4407),
            bootstrap: None,
        };
        Scaling {
            geometry: Geometry::Square,
            correction_exponent: 1.75,
            blocks: 48,
            results: vec![result],
            covariance: vec![1e-8],
            fits: vec![ScalingFit { name, long_name, smallest_size: 8, corrected: true, value: [value, 1e-4], goodness, chosen: true }],
            crossings,
            peaks: Vec::new(),
            curves: Vec::new(),
            collapses: Vec::new(),
        }
    }

    #[test]
    fn results_that_are_none_are_warned_of() {
        let crossing =
            Crossing { observable: "binder_cumulant".to_string(), sizes: [8, 16], coupling: [0.4407, 1e-4], value: [0.61, 1e-3] };
        assert!(warnings(&scaling(0.3, 0.4408, vec![crossing.clone()])).is_empty());
        let beside = warnings(&scaling(0.3, 0.4412, vec![crossing.clone()]));
        assert!(beside.len() == 1 && beside[0].contains("critical coupling K_c by 5.0 errors"), "{beside:?}");
        let unfit = warnings(&scaling(0.005, 0.4408, vec![crossing]));
        assert!(unfit.len() == 1 && unfit[0].contains("No acceptable fit"), "{unfit:?}");
        let outside = warnings(&scaling(1e-260, 0.4286, Vec::new()));
        assert!(outside.len() == 3 && outside[0].contains("do not bracket"), "{outside:?}");
        let few = warnings(&Scaling { blocks: 8, results: Vec::new(), ..scaling(0.3, 0.4408, Vec::new()) });
        assert!(
            few.len() == 1
                && few[0]
                    .contains("make 8 independent blocks (whole chains, or parts of 10 autocorrelation times), and error bars need 24"),
            "{few:?}"
        );
    }
}
