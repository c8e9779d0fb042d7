//! What penalty makes the first layer local, and how that depends on the number of configurations.

use super::axes::{Panel, Scale};
use super::figure::{Anchor, Drawing};
use super::html::Section;
use super::number::{significant, thousands, with_error};
use super::sizes;
use super::style::{self, INK, MUTED};
use super::{controls, tables};
use crate::record::{RenormalizationRecord, TableRecord};

/// A hypothesis under which the thresholds have a smaller probability is refuted.
const REFUTED: f64 = 1e-4;
/// One under which exponent and thresholds have at least this probability agrees.
const AGREES: f64 = 0.05;
/// A fit whose chi^2 has a smaller probability is called bad.
const BAD_FIT: f64 = 0.01;

/// The section, if there was a scan.
pub(super) fn section(renormalization: &RenormalizationRecord) -> Option<Section> {
    let scan = renormalization.table("scan")?;
    let thresholds = renormalization.table("scan_thresholds");
    let fit = renormalization.table("scan_fit");
    let window = scan.get(0, "window").map_or(0.0, |pair| pair[0]);
    let mut section = Section::new("Penalty and locality");
    section.paragraph(format!(
        "Networks of one layer were trained on some or all of the configurations with penalties of several strengths, each with as many steps as the main one. A layer counts as local when its \
         live units hold on average half of Σ<i>r</i>² in the best {window} × {window} window; the threshold is the penalty at which that share crosses one half, interpolated in the logarithm \
         of the penalty. The hypothesis to be tested: weights to far sites are driven by the noise of correlations in the data, 0.25 / √(number of configurations) for 0/1 units, and the penalty must \
         be stronger than that; so the threshold should fall as the number of configurations to the power −1/2."
    ));
    section.findings.extend(fit.and_then(verdict));
    if let Some(drawing) = draw(scan, thresholds, fit) {
        section.figure(
            "locality",
            drawing,
            "Share of the best window against the penalty for several numbers of configurations, and the penalty at which it crosses one half against the number of configurations.",
            format!(
                "<b>Penalty and locality.</b> (a) Mean share of Σ<i>r</i>² in the best {window} × {window} window over live units of the first layer against the L1 penalty; each line is one network a point, \
                 lines of one colour differ in their seed. Networks without live units have no point. (b) Where thresholds were found: penalty at which the share crosses one half; bars are standard errors over the seeds. Solid: fit of a power; \
                 dashed: the hypothesis, the noise 0.25 / √<i>N</i> of a correlation."
            ),
        );
    }
    if let Some(thresholds) = thresholds {
        section.table(tables::table_with(
            thresholds,
            "The penalty that makes the first layer local, where all seeds cross one half inside the scan, and the noise of a correlation of so many independent configurations, in nats.",
            "training set",
            &[("threshold", "threshold"), ("seeds", "seeds"), ("noise", "0.25 / √<i>N</i>")],
            3,
        ));
    }
    if let Some(fit) = fit {
        section.table(tables::table_with(
            fit,
            "Fits of the threshold by a power of the number of configurations. The errors of the thresholds are their spread over the seeds, pooled; that of the exponent is stretched where \
             χ² is larger than its degrees of freedom. Probabilities are those of Fisher’s law, because a few seeds do not know their spread well. The seeds see the same configurations: what other \
             configurations would change is not in the errors.",
            "fit",
            &[
                ("exponent", "exponent"),
                ("probability", "probability if it is −1/2"),
                ("prefactor", "prefactor"),
                ("chi_squared", "χ²"),
                ("degrees_of_freedom", "degrees of freedom"),
                ("p_value", "probability"),
            ],
            3,
        ));
    }
    section.table(controls::folded(
        scan,
        "All networks of the scan.",
        &[("share", "mean share"), ("local", "local units"), ("participation_ratio", "median PR (sites)"), ("dead", "dead units")],
    ));
    Some(section)
}

fn verdict(fit: &TableRecord) -> Option<String> {
    let [exponent, error] = fit.get(0, "exponent")?;
    let probability = |row: usize, column: &str| fit.get(row, column).map(|pair| pair[0]);
    let (of_power, of_exponent, of_hypothesis) = (probability(0, "p_value")?, probability(0, "probability")?, probability(1, "p_value")?);
    let holds = if of_hypothesis < REFUTED {
        format!("does not hold here: thresholds that follow it have a probability of {}", significant(of_hypothesis, 2))
    } else if of_exponent >= AGREES && of_hypothesis >= AGREES {
        "agrees".to_string()
    } else {
        let [exponent, thresholds] = [of_exponent, of_hypothesis].map(|probability| significant(probability, 2));
        format!("is left open: if it holds, such an exponent has a probability of {exponent}, and such thresholds one of {thresholds}")
    };
    Some(format!(
        "The penalty that makes the first layer local goes as the number of configurations to the power {}{}. The hypothesis of −1/2 {holds}.",
        with_error(exponent, error),
        if of_power < BAD_FIT {
            format!(", though no single power describes it (probability {})", significant(of_power, 2))
        } else {
            String::new()
        }
    ))
}

/// Penalty and share of one network after the other.
type Curve = Vec<(f64, f64)>;

/// For each number of configurations, the curve of every seed.
fn curves(scan: &TableRecord) -> Vec<(f64, Vec<Curve>)> {
    let number = |row: usize, column: &str| scan.get(row, column).map_or(f64::NAN, |pair| pair[0]);
    let mut counts: Vec<f64> = (0..scan.rows.len()).map(|row| number(row, "samples")).collect();
    counts.sort_by(f64::total_cmp);
    counts.dedup();
    let seeds = (0..scan.rows.len()).map(|row| number(row, "seed_number")).fold(0.0, f64::max) as usize;
    let of = |samples: f64, seed: usize| {
        let rows = (0..scan.rows.len()).filter(|&row| number(row, "samples") == samples && number(row, "seed_number") == seed as f64);
        let mut curve: Vec<(f64, f64)> =
            rows.map(|row| (number(row, "l1"), number(row, "share"))).filter(|(_, share)| *share > 0.0).collect();
        curve.sort_by(|one, other| one.0.total_cmp(&other.0));
        curve
    };
    counts.into_iter().map(|samples| (samples, (1..=seeds).map(|seed| of(samples, seed)).collect())).collect()
}

fn draw(scan: &TableRecord, thresholds: Option<&TableRecord>, fit: Option<&TableRecord>) -> Option<Drawing> {
    let curves = curves(scan);
    let penalties = curves.iter().flat_map(|(_, seeds)| seeds.iter().flatten().map(|(l1, _)| *l1));
    let mut drawing = Drawing::new(sizes::LOCALITY);
    let left = Panel { left: 74.0, top: 62.0, right: 430.0, bottom: 312.0, x: Scale::logarithmic(penalties)?, y: Scale::between(0.0, 1.0) };
    left.axes(&mut drawing, "L1 penalty (nats)", "share in the best window");
    left.level(&mut drawing, 0.5, MUTED, 1.0);
    for (index, (samples, seeds)) in curves.iter().enumerate() {
        let colour = style::ordered(index, curves.len());
        for curve in seeds {
            left.curve(&mut drawing, curve.iter().copied(), style::tint(colour, 0.7), 1.3);
            curve.iter().filter_map(|(l1, share)| left.at(*l1, *share)).for_each(|point| drawing.disc(point, 2.2, colour));
        }
        let height = 78.0 + 16.0 * index as f64;
        drawing.line(&[[444.0, height - 4.0], [460.0, height - 4.0]], colour, 2.5);
        drawing.text(&thousands(*samples as u64), [465.0, height], 11.0, INK, Anchor::Start);
    }
    drawing.text("configurations", [444.0, 60.0], 11.0, MUTED, Anchor::Start);
    drawing.heading("a", [36.0, 32.0], 13.0, INK, Anchor::Start);
    let Some(thresholds) = thresholds else { return Some(drawing) };
    let found: Vec<(f64, [f64; 2], f64)> = (0..thresholds.rows.len())
        .filter_map(|row| Some((thresholds.get(row, "samples")?[0], thresholds.get(row, "threshold")?, thresholds.get(row, "noise")?[0])))
        .collect();
    let heights = found.iter().flat_map(|(_, [value, error], noise)| [value - error, value + error, *noise]);
    let (Some(x), Some(y)) = (Scale::logarithmic(found.iter().map(|(samples, _, _)| *samples)), Scale::logarithmic(heights)) else {
        return Some(drawing);
    };
    let right = Panel { left: 622.0, top: 62.0, right: 896.0, bottom: 312.0, x, y };
    right.axes(&mut drawing, "configurations", "threshold (nats)");
    let noise: Vec<(f64, f64)> = found.iter().map(|(samples, _, noise)| (*samples, *noise)).collect();
    right.dashed_curve(&mut drawing, &noise, MUTED, 1.2);
    if let Some(([exponent, _], [prefactor, _])) = fit.and_then(|fit| Some((fit.get(0, "exponent")?, fit.get(0, "prefactor")?))) {
        let line = found.iter().map(|(samples, _, _)| (*samples, prefactor * samples.powf(exponent)));
        right.curve(&mut drawing, line, style::tint(INK, 0.6), 1.2);
        let words = format!("exponent {}", significant(exponent, 2));
        drawing.text(&words, [right.right, right.top - 8.0], 11.0, INK, Anchor::End);
    }
    for (index, (samples, [value, error], _)) in found.iter().enumerate() {
        let colour = style::ordered(index, found.len());
        right.error_bar(&mut drawing, *samples, *value, *error, colour);
        if let Some(point) = right.at(*samples, *value) {
            drawing.disc(point, 3.4, colour);
        }
    }
    drawing.heading("b", [560.0, 32.0], 13.0, INK, Anchor::Start);
    Some(drawing)
}
