//! How things look: the font, the colours, the colour maps. Colours are Okabe and Ito's, which people with any colour vision tell apart.

use crate::error::{Error, Result};
use plotters::style::{FontStyle, register_font};
use std::sync::OnceLock;

/// An opaque colour, red, green, blue.
pub(super) type Colour = [u8; 3];

/// Text and axes.
pub(super) const INK: Colour = [0x22, 0x2b, 0x36];
/// Secondary text.
pub(super) const MUTED: Colour = [0x66, 0x70, 0x7c];
/// Lines of a grid.
pub(super) const GRID: Colour = [0xe6, 0xe9, 0xed];
/// The page.
pub(super) const PAPER: Colour = [0xff, 0xff, 0xff];
/// Exact values, everywhere.
pub(super) const EXACT: Colour = [0xd5, 0x5e, 0x00];
/// What was measured, where there is only one thing.
pub(super) const MEASURED: Colour = [0x00, 0x72, 0xb2];
/// A unit without a field.
pub(super) const DEAD: Colour = [0xdf, 0xe2, 0xe7];

/// Categories: sizes, layers.
const CATEGORIES: [Colour; 7] = [
    [0x00, 0x72, 0xb2],
    [0xd9, 0x8f, 0x00],
    [0x00, 0x9e, 0x73],
    [0xb8, 0x5c, 0x92],
    [0x56, 0xb4, 0xe9],
    [0x5a, 0x4f, 0xa2],
    [0x6b, 0x6b, 0x6b],
];

/// The colour of category `index`, again from the first after the last.
pub(super) fn category(index: usize) -> Colour {
    CATEGORIES[index % CATEGORIES.len()]
}

/// The colour of the step `index` of `count` on a scale that rises, from yellow over green to dark blue (viridis, by N. Smith and S. van der Walt); categories where they are enough.
pub(super) fn ordered(index: usize, count: usize) -> Colour {
    const STOPS: [Colour; 5] = [[0xd8, 0xc0, 0x10], [0x5d, 0xb8, 0x63], [0x21, 0x91, 0x8c], [0x3b, 0x52, 0x8b], [0x44, 0x01, 0x54]];
    if count <= CATEGORIES.len() {
        return category(index);
    }
    let position = index as f64 / (count - 1) as f64 * (STOPS.len() - 1) as f64;
    let below = (position.floor() as usize).min(STOPS.len() - 2);
    mix(STOPS[below], STOPS[below + 1], position - below as f64)
}

/// Colours of chains drawn over one another: quiet, all of one family.
pub(super) fn chain(index: usize) -> Colour {
    const CHAINS: [Colour; 4] = [[0x7f, 0xa8, 0xc9], [0x4d, 0x7e, 0xa8], [0xa9, 0xc6, 0xdc], [0x2c, 0x5f, 0x8a]];
    CHAINS[index % CHAINS.len()]
}

/// A colour mixed with the page: `share` of the colour.
pub(super) fn tint(colour: Colour, share: f64) -> Colour {
    mix(PAPER, colour, share)
}

fn mix(from: Colour, to: Colour, share: f64) -> Colour {
    std::array::from_fn(|channel| {
        let (from, to) = (f64::from(from[channel]), f64::from(to[channel]));
        (from + (to - from) * share.clamp(0.0, 1.0)).round() as u8
    })
}

/// The diverging map of receptive fields: -1 is blue, 0 is white, +1 is red (ColorBrewer's RdBu). Not finite: grey.
pub(super) fn diverging(value: f64) -> Colour {
    const STOPS: [Colour; 9] = [
        [0x05, 0x30, 0x61],
        [0x21, 0x66, 0xac],
        [0x67, 0xa9, 0xcf],
        [0xd1, 0xe5, 0xf0],
        [0xff, 0xff, 0xff],
        [0xfd, 0xdb, 0xc7],
        [0xef, 0x8a, 0x62],
        [0xb2, 0x18, 0x2b],
        [0x67, 0x00, 0x1f],
    ];
    if !value.is_finite() {
        return DEAD;
    }
    // Two hundred steps are more than an eye tells apart, and let a picture have a palette.
    let position = ((value.clamp(-1.0, 1.0) * 100.0).round() + 100.0) / 200.0 * (STOPS.len() - 1) as f64;
    let below = (position.floor() as usize).min(STOPS.len() - 2);
    mix(STOPS[below], STOPS[below + 1], position - below as f64)
}

/// Probabilities: 0 is dark (spin down), 1 is light (spin up).
pub(super) fn grey(probability: f64) -> Colour {
    if probability.is_finite() {
        mix([0x1d, 0x25, 0x30], [0xf4, 0xf5, 0xf6], (probability * 200.0).round() / 200.0)
    } else {
        [0xd9, 0x8f, 0x00]
    }
}

/// The fonts a figure asks for: those of the reader's system in SVG; the bitmaps carry Ubuntu Light under the same name.
pub(super) const FONT_FAMILY: &str = "'Helvetica Neue', Helvetica, Arial, 'Liberation Sans', 'Noto Sans', sans-serif";

/// (Ascent + descent) / em of Ubuntu Light: plotters counts bitmap text in the former, SVG in the latter.
pub(super) const FONT_HEIGHT: f64 = 1.149;

/// Makes the embedded font known to plotters, once.
pub(super) fn embed_font() -> Result<()> {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let registered = REGISTERED.get_or_init(|| register_font(FONT_FAMILY, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT).is_ok());
    if *registered { Ok(()) } else { Err(Error::Bug("the font of the figures cannot be read.".to_string())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_diverging_map_is_centred_and_opposite_signs_differ_in_hue() {
        assert_eq!(diverging(0.0), [255, 255, 255]);
        let (negative, positive) = (diverging(-0.7), diverging(0.7));
        assert!(negative[2] > negative[0] && positive[0] > positive[2]);
        assert_eq!(diverging(f64::NAN), DEAD);
        assert_eq!(diverging(7.0), diverging(1.0));
    }
}
