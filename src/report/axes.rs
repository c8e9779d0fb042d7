//! A panel: a rectangle of a drawing with scales, ticks and labels, and the marks that are placed by value.

use super::figure::{Anchor, Drawing};
use super::number;
use super::style::{Colour, GRID, INK, MUTED};

/// Labels that a logarithmic axis has at least.
const FEWEST_TICKS: usize = 3;

/// Size of tick labels and axis labels.
const SMALL: f64 = 11.0;

/// A linear or logarithmic scale.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scale {
    low: f64,
    high: f64,
    logarithmic: bool,
}

impl Scale {
    /// From the smallest to the largest finite value, with a little room; values that are not finite are left out. `None` if nothing is left.
    pub fn linear(values: impl IntoIterator<Item = f64>) -> Option<Scale> {
        let (low, high) = extent(values.into_iter())?;
        let room = if high > low { 0.06 * (high - low) } else { 0.1 * low.abs().max(0.5) };
        Some(Scale { low: low - room, high: high + room, logarithmic: false })
    }

    /// Exactly these ends.
    pub fn between(low: f64, high: f64) -> Scale {
        Scale { low, high, logarithmic: false }
    }

    /// Powers of ten; only positive values count.
    pub fn logarithmic(values: impl IntoIterator<Item = f64>) -> Option<Scale> {
        let (low, high) = extent(values.into_iter().filter(|&value| value > 0.0))?;
        let room = (high / low).powf(0.06).max(1.15);
        Some(Scale { low: low / room, high: high * room, logarithmic: true })
    }

    /// Logarithmic if the positive values span more than `ratio`, linear otherwise.
    pub fn automatic(values: &[f64], ratio: f64) -> Option<Scale> {
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        match extent(finite()) {
            Some((low, high)) if low > 0.0 && high / low > ratio => Scale::logarithmic(finite()),
            _ => Scale::linear(finite()),
        }
    }

    /// The value, or the end of the scale beyond which it lies.
    pub fn clamp(self, value: f64) -> f64 {
        value.clamp(self.low.min(self.high), self.low.max(self.high))
    }

    /// Whether a value lies on the scale.
    pub fn holds(self, value: f64) -> bool {
        self.share(value).is_some()
    }

    /// Where a value falls, 0 at the low end and 1 at the high end; `None` outside or not finite.
    fn share(self, value: f64) -> Option<f64> {
        let share = if self.logarithmic {
            (value / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        (share.is_finite() && (-1e-9..=1.0 + 1e-9).contains(&share)).then_some(share)
    }

    /// Values with their labels: steps of 1, 2 or 5 times a power of ten.
    fn ticks(self, about: usize) -> Vec<(f64, String)> {
        if self.logarithmic {
            let decades = (self.low.log10().floor() as i32)..=(self.high.log10().ceil() as i32);
            let factors: &[f64] = match (self.high / self.low).log10() {
                span if span < 1.2 => &[1.0, 2.0, 3.0, 5.0, 7.0],
                span if span < 2.5 => &[1.0, 3.0],
                _ => &[1.0],
            };
            let every = if factors.len() == 1 { (decades.clone().count() / 7 + 1) as i32 } else { 1 };
            let ticks: Vec<(f64, String)> = decades
                .filter(|decade| decade % every == 0)
                .flat_map(|decade| factors.iter().map(move |factor| factor * 10f64.powi(decade)))
                .filter(|&value| self.share(value).is_some())
                .map(|value| (value, power_label(value)))
                .collect();
            // A short piece of the scale may hold none of these, or one; steps of equal size are close to even there.
            return if ticks.len() < FEWEST_TICKS { Scale { logarithmic: false, ..self }.ticks(about.min(5)) } else { ticks };
        }
        let (low, high) = (self.low.min(self.high), self.low.max(self.high));
        let rough = (high - low) / about.max(1) as f64;
        let power = 10f64.powf(rough.log10().floor());
        // The step whose ratio to the wished one is closest to 1: 1.4, 3.2 and 7.1 are the geometric means of 1, 2, 5 and 10.
        let factor = match rough / power {
            ratio if ratio < 1.4 => 1.0,
            ratio if ratio < 3.2 => 2.0,
            ratio if ratio < 7.1 => 5.0,
            _ => 10.0,
        };
        let step = factor * power;
        let decimals = usize::try_from(-((step * 1.0001).log10().floor() as i32)).unwrap_or(0);
        let first = (low / step - 1e-9).ceil() as i64;
        let last = (high / step + 1e-9).floor() as i64;
        let largest = self.low.abs().max(self.high.abs());
        (first..=last)
            .map(|count| {
                let value = count as f64 * step;
                let label = if largest >= 1e6 || decimals > 6 {
                    number::significant(value, 3)
                } else if largest >= 1e4 {
                    let sign = if value < 0.0 { "−" } else { "" };
                    format!("{sign}{}", number::thousands(value.abs().round() as u64))
                } else {
                    number::fixed(if count == 0 { 0.0 } else { value }, decimals)
                };
                (value, label)
            })
            .collect()
    }
}

fn power_label(value: f64) -> String {
    let exponent = value.log10().floor() as i32;
    if (-3..=4).contains(&exponent) {
        number::fixed(value, usize::try_from(-exponent).unwrap_or(0))
    } else {
        number::significant(value, 1).replace("1×", "")
    }
}

fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| value.is_finite()).fold(None, |range, value| match range {
        None => Some((value, value)),
        Some((low, high)) => Some((low.min(value), high.max(value))),
    })
}

/// A rectangle with two scales. The rectangle is the area of the data: labels stand outside of it.
pub(super) struct Panel {
    pub left: f64,
    pub top: f64,
    pub right: f64,
    pub bottom: f64,
    pub x: Scale,
    pub y: Scale,
}

impl Panel {
    /// The point of a pair of values; `None` outside the panel.
    pub fn at(&self, x: f64, y: f64) -> Option<[f64; 2]> {
        Some([self.left + self.x.share(x)? * (self.right - self.left), self.bottom - self.y.share(y)? * (self.bottom - self.top)])
    }

    /// The height of a value; `None` outside.
    pub fn height(&self, y: f64) -> Option<f64> {
        Some(self.bottom - self.y.share(y)? * (self.bottom - self.top))
    }

    /// Grid, spines, ticks, labels. An empty label takes its ticks' labels along.
    pub fn axes(&self, drawing: &mut Drawing, x_label: &str, y_label: &str) {
        let about_x = ((self.right - self.left) / 75.0).round().clamp(2.0, 10.0) as usize;
        let about_y = ((self.bottom - self.top) / 38.0).round().clamp(2.0, 8.0) as usize;
        let mut widest: f64 = 0.0;
        for (value, label) in self.y.ticks(about_y) {
            let Some(share) = self.y.share(value) else { continue };
            let y = self.bottom - share * (self.bottom - self.top);
            drawing.line(&[[self.left, y], [self.right, y]], GRID, 0.75);
            if !y_label.is_empty() {
                drawing.text(&label, [self.left - 7.0, y + 0.36 * SMALL], SMALL, INK, Anchor::End);
                widest = widest.max(text_width(&label, SMALL));
            }
        }
        for (value, label) in self.x.ticks(about_x) {
            let Some(share) = self.x.share(value) else { continue };
            let x = self.left + share * (self.right - self.left);
            if !x_label.is_empty() {
                drawing.line(&[[x, self.bottom], [x, self.bottom + 4.0]], MUTED, 0.75);
                drawing.text(&label, [x, self.bottom + 16.0], SMALL, INK, Anchor::Middle);
            }
        }
        drawing.line(&[[self.left, self.top], [self.left, self.bottom], [self.right, self.bottom]], MUTED, 1.0);
        if !x_label.is_empty() {
            drawing.text(x_label, [(self.left + self.right) / 2.0, self.bottom + 33.0], SMALL, MUTED, Anchor::Middle);
        }
        if !y_label.is_empty() {
            drawing.upward_text(y_label, [self.left - 15.0 - widest, (self.top + self.bottom) / 2.0], SMALL, MUTED);
        }
    }

    /// A line above the panel: a bold letter or name.
    pub fn title(&self, drawing: &mut Drawing, title: &str) {
        drawing.heading(title, [self.left, self.top - 9.0], 12.0, INK, Anchor::Start);
    }

    /// A polyline through the points; broken where a point is outside or not finite.
    pub fn curve(&self, drawing: &mut Drawing, points: impl IntoIterator<Item = (f64, f64)>, colour: Colour, width: f64) {
        let mut piece = Vec::new();
        for (x, y) in points {
            match self.at(x, y) {
                Some(point) => piece.push(point),
                None => {
                    drawing.line(&piece, colour, width);
                    piece.clear();
                }
            }
        }
        drawing.line(&piece, colour, width);
    }

    /// A dashed curve: dashes follow its length.
    pub fn dashed_curve(&self, drawing: &mut Drawing, points: &[(f64, f64)], colour: Colour, width: f64) {
        const DASH: f64 = 5.0;
        let mut travelled = 0.0;
        let mut piece: Vec<[f64; 2]> = Vec::new();
        for pair in points.windows(2) {
            let (Some(from), Some(to)) = (self.at(pair[0].0, pair[0].1), self.at(pair[1].0, pair[1].1)) else {
                drawing.line(&piece, colour, width);
                piece.clear();
                continue;
            };
            let length = (to[0] - from[0]).hypot(to[1] - from[1]);
            let steps = (length / DASH * 4.0).ceil().max(1.0) as usize;
            for step in 0..steps {
                let at = |step: usize| [0, 1].map(|axis| from[axis] + (to[axis] - from[axis]) * step as f64 / steps as f64);
                if travelled % (1.8 * DASH) < DASH {
                    if piece.is_empty() {
                        piece.push(at(step));
                    }
                    piece.push(at(step + 1));
                } else {
                    drawing.line(&piece, colour, width);
                    piece.clear();
                }
                travelled += length / steps as f64;
            }
        }
        drawing.line(&piece, colour, width);
    }

    /// A horizontal line across the panel.
    pub fn level(&self, drawing: &mut Drawing, y: f64, colour: Colour, width: f64) {
        if let Some(share) = self.y.share(y) {
            let y = self.bottom - share * (self.bottom - self.top);
            drawing.line(&[[self.left, y], [self.right, y]], colour, width);
        }
    }

    /// A dashed vertical line with a word at its top.
    pub fn landmark(&self, drawing: &mut Drawing, x: f64, word: &str) {
        if let Some(share) = self.x.share(x) {
            let x = self.left + share * (self.right - self.left);
            drawing.dashed([x, self.top], [x, self.bottom], MUTED, 0.75, 4.0);
            drawing.text(word, [x, self.top - 3.0], 10.0, MUTED, Anchor::Middle);
        }
    }

    /// A vertical error bar with caps, cut at the ends of the panel.
    pub fn error_bar(&self, drawing: &mut Drawing, x: f64, mean: f64, error: f64, colour: Colour) {
        if !error.is_finite() || error <= 0.0 || self.at(x, mean).is_none() {
            return;
        }
        let clamp = |value: f64| self.y.clamp(value);
        let (Some(low), Some(high)) = (self.at(x, clamp(mean - error)), self.at(x, clamp(mean + error))) else { return };
        drawing.line(&[low, high], colour, 1.25);
        // Caps on a bar shorter than they are wide would only make a blot, and one on a bar that the frame cuts would be taken for its end.
        let is_long = low[1] - high[1] > 5.0;
        let is_cut = |value: f64| clamp(value) != value;
        for (end, _) in [(low, mean - error), (high, mean + error)].into_iter().filter(|(_, value)| is_long && !is_cut(*value)) {
            drawing.line(&[[end[0] - 3.5, end[1]], [end[0] + 3.5, end[1]]], colour, 1.25);
        }
    }
}

/// A row of coloured strokes with names, from a point to the right. Returns the x of its end.
pub(super) fn legend(drawing: &mut Drawing, start: [f64; 2], entries: &[(Colour, String)]) -> f64 {
    let mut x = start[0];
    for (colour, name) in entries {
        drawing.line(&[[x, start[1] - 4.0], [x + 16.0, start[1] - 4.0]], *colour, 2.5);
        drawing.text(name, [x + 21.0, start[1]], SMALL, INK, Anchor::Start);
        x += 21.0 + text_width(name, SMALL) + 18.0;
    }
    x
}

/// About the width of a text: sans-serif letters are half an em wide, a little more to be safe.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars()
        .map(|character| match character {
            '.' | ',' | ' ' | 'i' | 'l' | 'I' | '\u{202f}' | '(' | ')' | '⁻' => 0.32,
            'm' | 'M' | 'W' | 'w' => 0.86,
            _ => 0.57,
        })
        .sum::<f64>()
        * size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        let scale = Scale::between(-1.2, -1.1);
        let labels: Vec<String> = scale.ticks(5).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["−1.20", "−1.18", "−1.16", "−1.14", "−1.12", "−1.10"]);
        let labels: Vec<String> = Scale::between(0.0, 1.0).ticks(5).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    }

    #[test]
    fn logarithmic_ticks_are_powers() {
        let scale = Scale::logarithmic([0.002, 30.0]).expect("a scale");
        let labels: Vec<String> = scale.ticks(5).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["0.01", "0.1", "1", "10"]);
    }

    #[test]
    fn short_logarithmic_scales_have_labels_too() {
        for (low, high) in [(0.81, 0.97), (1.06, 1.8), (0.42, 0.46), (0.31, 0.62), (2.05, 2.9), (1100.0, 1900.0), (5.1, 9.4)] {
            let ticks = Scale::logarithmic([low, high]).expect("a scale").ticks(5);
            assert!((3..=8).contains(&ticks.len()), "{low} to {high}: {ticks:?}");
        }
        let labels: Vec<String> = Scale::logarithmic([1.1, 1.4]).expect("a scale").ticks(5).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6"]);
    }

    #[test]
    fn what_is_not_finite_has_no_place() {
        assert!(Scale::linear([f64::NAN, f64::INFINITY]).is_none());
        let scale = Scale::linear([1.0, f64::NAN, 1.0]).expect("a scale");
        let panel = Panel { left: 0.0, top: 0.0, right: 100.0, bottom: 100.0, x: scale, y: scale };
        assert!(panel.at(1.0, f64::NAN).is_none());
        let centre = panel.at(1.0, 1.0).expect("the middle");
        assert!(centre.iter().all(|position| (position - 50.0).abs() < 1e-9));
    }
}
