//! A figure: marks on paper in logical pixels, and the one function that draws them through any plotters backend.
//!
//! A [`Drawing`] is plain data. [`render`] hands it to plotters twice, as SVG and as a bitmap, so that both are the same picture. Plotters counts in whole
//! pixels; both are drawn on a raster [`FINENESS`] times finer than a logical pixel, and the bitmap is averaged down to twice the logical size.

use super::sizes::Size;
use super::style::{self, Colour, FONT_FAMILY, FONT_HEIGHT, PAPER};
use crate::error::{Error, Result};
use base64::Engine;
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontFamily, FontStyle, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle};

/// Device pixels in a logical one.
const FINENESS: f64 = 4.0;
/// Logical size times this is the size of the PNG.
const PNG_SCALE: usize = 2;

/// Which end of a text is at its position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture of coloured cells, row-major from the top.
#[derive(Debug, Clone)]
pub(super) struct Raster {
    pub columns: usize,
    pub rows: usize,
    pub cells: Vec<Colour>,
}

/// One mark. Positions and widths in logical pixels from the top left corner.
#[derive(Debug, Clone)]
enum Mark {
    Line { points: Vec<[f64; 2]>, colour: Colour, width: f64 },
    Polygon { points: Vec<[f64; 2]>, colour: Colour, opacity: f64 },
    Disc { centre: [f64; 2], radius: f64, colour: Colour },
    Text { text: String, baseline: [f64; 2], size: f64, colour: Colour, anchor: Anchor, bold: bool, upwards: bool },
}

/// A picture as a list of marks. Rasters lie below everything else.
#[derive(Debug, Clone)]
pub(super) struct Drawing {
    pub width: f64,
    pub height: f64,
    rasters: Vec<(Raster, [f64; 4])>,
    marks: Vec<Mark>,
}

impl Drawing {
    pub fn new([width, height]: Size) -> Self {
        Drawing { width, height, rasters: Vec::new(), marks: Vec::new() }
    }

    /// Logical pixels.
    pub fn area(&self) -> f64 {
        self.width * self.height
    }

    /// A polyline. Points that fall on the same device pixel as the one before are left out.
    pub fn line(&mut self, points: &[[f64; 2]], colour: Colour, width: f64) {
        let mut kept: Vec<[f64; 2]> = Vec::with_capacity(points.len());
        for &point in points {
            if kept.last().is_none_or(|&last| device(last) != device(point)) {
                kept.push(point);
            }
        }
        if kept.len() > 1 {
            self.marks.push(Mark::Line { points: kept, colour, width });
        }
    }

    /// A dashed straight line.
    pub fn dashed(&mut self, from: [f64; 2], to: [f64; 2], colour: Colour, width: f64, dash: f64) {
        let length = (to[0] - from[0]).hypot(to[1] - from[1]);
        let at = |distance: f64| [0, 1].map(|axis| from[axis] + (to[axis] - from[axis]) * (distance / length).min(1.0));
        let mut start = 0.0;
        while start < length {
            self.line(&[at(start), at(start + dash)], colour, width);
            start += 1.8 * dash;
        }
    }

    pub fn polygon(&mut self, points: &[[f64; 2]], colour: Colour, opacity: f64) {
        if points.len() > 2 {
            self.marks.push(Mark::Polygon { points: points.to_vec(), colour, opacity });
        }
    }

    /// A filled rectangle between two corners.
    pub fn rectangle(&mut self, corner: [f64; 2], opposite: [f64; 2], colour: Colour) {
        let [[left, top], [right, bottom]] = [corner, opposite];
        self.polygon(&[[left, top], [right, top], [right, bottom], [left, bottom]], colour, 1.0);
    }

    /// The outline of a rectangle.
    pub fn frame(&mut self, corner: [f64; 2], opposite: [f64; 2], colour: Colour, width: f64) {
        let [[left, top], [right, bottom]] = [corner, opposite];
        self.line(&[[left, top], [right, top], [right, bottom], [left, bottom], [left, top]], colour, width);
    }

    pub fn disc(&mut self, centre: [f64; 2], radius: f64, colour: Colour) {
        self.marks.push(Mark::Disc { centre, radius, colour });
    }

    /// A disc with a rim: colour on the rim, paper inside.
    pub fn ring(&mut self, centre: [f64; 2], radius: f64, colour: Colour) {
        self.disc(centre, radius, colour);
        self.disc(centre, (radius - 1.2).max(0.5), PAPER);
    }

    /// One line of text on a baseline.
    pub fn text(&mut self, text: &str, baseline: [f64; 2], size: f64, colour: Colour, anchor: Anchor) {
        self.marks.push(Mark::Text { text: text.to_string(), baseline, size, colour, anchor, bold: false, upwards: false });
    }

    /// The same in bold.
    pub fn heading(&mut self, text: &str, baseline: [f64; 2], size: f64, colour: Colour, anchor: Anchor) {
        self.marks.push(Mark::Text { text: text.to_string(), baseline, size, colour, anchor, bold: true, upwards: false });
    }

    /// Text that is read from below, centred on its position.
    pub fn upward_text(&mut self, text: &str, baseline: [f64; 2], size: f64, colour: Colour) {
        self.marks.push(Mark::Text { text: text.to_string(), baseline, size, colour, anchor: Anchor::Middle, bold: false, upwards: true });
    }

    /// A raster stretched over the rectangle between two corners, without smoothing.
    pub fn raster(&mut self, raster: Raster, corner: [f64; 2], opposite: [f64; 2]) {
        if raster.columns > 0 && raster.rows > 0 && raster.cells.len() == raster.columns * raster.rows {
            self.rasters.push((raster, [corner[0], corner[1], opposite[0], opposite[1]]));
        }
    }
}

/// A drawing in both forms.
pub(super) struct Rendered {
    /// A complete SVG document that may also stand inside HTML.
    pub svg: String,
    /// A PNG at twice the logical size.
    pub png: Vec<u8>,
}

/// Draws it as SVG and as PNG. `description` is read to those who cannot see it.
pub(super) fn render(drawing: &Drawing, description: &str) -> Result<Rendered> {
    style::embed_font()?;
    Ok(Rendered { svg: render_svg(drawing, description)?, png: render_png(drawing)? })
}

fn render_svg(drawing: &Drawing, description: &str) -> Result<String> {
    let size = [drawing.width, drawing.height].map(|length| (length * FINENESS).round() as u32);
    let mut drawn = String::new();
    paint(&drawing.marks, &mut SVGBackend::with_string(&mut drawn, size.into()), Device { em: 1.24, top: 0.76 / 1.24, is_bitmap: false })?;
    // Plotters' own opening tag knows no logical size, no description and no images: ours replaces it.
    let body = drawn.split_once(">\n").map_or("", |(_, body)| body);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" viewBox=\"0 0 {} {}\" role=\"img\" stroke-linejoin=\"round\" \
         stroke-linecap=\"round\">\n<title>{}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n",
        drawing.width,
        drawing.height,
        size[0],
        size[1],
        super::html::escape(description)
    );
    for (raster, corners) in &drawing.rasters {
        let [left, top, right, bottom] = corners.map(|position| position * FINENESS);
        let encoded = base64::engine::general_purpose::STANDARD.encode(encode_raster(raster)?);
        svg.push_str(&format!(
            "<image x=\"{left}\" y=\"{top}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" style=\"image-rendering:pixelated\" \
             href=\"data:image/png;base64,{encoded}\"/>\n",
            right - left,
            bottom - top
        ));
    }
    svg.push_str(body);
    Ok(svg)
}

fn render_png(drawing: &Drawing) -> Result<Vec<u8>> {
    let step = FINENESS as usize / PNG_SCALE;
    let [columns, rows] = [drawing.width, drawing.height].map(|length| length.ceil() as usize * PNG_SCALE);
    let (width, height) = (columns * step, rows * step);
    let mut pixels = vec![PAPER; width * height];
    for (raster, corners) in &drawing.rasters {
        let [left, top, right, bottom] = corners.map(|position| (position * FINENESS).round() as usize);
        for y in top..bottom.min(height) {
            for x in left..right.min(width) {
                let (column, row) = ((x - left) * raster.columns / (right - left), (y - top) * raster.rows / (bottom - top));
                pixels[y * width + x] = raster.cells[row * raster.columns + column];
            }
        }
    }
    let mut backend = BitMapBackend::with_buffer(pixels.as_flattened_mut(), (width as u32, height as u32));
    paint(&drawing.marks, &mut backend, Device { em: FONT_HEIGHT, top: 0.5, is_bitmap: true })?;
    drop(backend);
    let mut averaged = Vec::with_capacity(columns * rows);
    for band in pixels.chunks_exact(width * step) {
        for left in (0..width).step_by(step) {
            let mut sums = [0u32; 3];
            for row in band.chunks_exact(width) {
                for pixel in &row[left..left + step] {
                    for channel in 0..3 {
                        sums[channel] += u32::from(pixel[channel]);
                    }
                }
            }
            let count = (step * step) as u32;
            averaged.push(sums.map(|sum| ((sum + count / 2) / count) as u8));
        }
    }
    encode_png(columns, rows, averaged.as_flattened())
}

/// What differs between the backends: how they count text, and that bitmaps want lines one segment at a time.
#[derive(Clone, Copy)]
struct Device {
    /// Plotters' size of a text over its em.
    em: f64,
    /// Distance from the top at which plotters hangs a text to its baseline, over plotters' size.
    top: f64,
    is_bitmap: bool,
}

fn device(position: [f64; 2]) -> (i32, i32) {
    ((position[0] * FINENESS).round() as i32, (position[1] * FINENESS).round() as i32)
}

/// Draws all marks on any backend.
fn paint<B: DrawingBackend>(marks: &[Mark], backend: &mut B, form: Device) -> Result<()> {
    for mark in marks {
        match mark {
            Mark::Line { points, colour, width } => {
                let style =
                    ShapeStyle { color: rgb(*colour).to_rgba(), filled: false, stroke_width: (width * FINENESS).round().max(1.0) as u32 };
                if form.is_bitmap {
                    for pair in points.windows(2) {
                        backend.draw_line(device(pair[0]), device(pair[1]), &style).map_err(failed)?;
                    }
                } else {
                    backend.draw_path(points.iter().map(|&point| device(point)), &style).map_err(failed)?;
                }
            }
            Mark::Polygon { points, colour, opacity } => {
                backend.fill_polygon(points.iter().map(|&point| device(point)), &rgb(*colour).mix(*opacity)).map_err(failed)?;
            }
            Mark::Disc { centre, radius, colour } => {
                let radius = (radius * FINENESS).round().max(1.0) as u32;
                backend.draw_circle(device(*centre), radius, &rgb(*colour), true).map_err(failed)?;
            }
            Mark::Text { text, baseline, size, colour, anchor, bold, upwards } => {
                let size = size * FINENESS * form.em;
                let horizontal = match anchor {
                    Anchor::Start => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::End => HPos::Right,
                };
                let ink = rgb(*colour);
                let mut style =
                    TextStyle::from((FontFamily::Name(FONT_FAMILY), size).into_font()).color(&ink).pos(Pos::new(horizontal, VPos::Top));
                if *bold && !form.is_bitmap {
                    style.font = style.font.style(FontStyle::Bold);
                }
                let (x, y) = device(*baseline);
                let rise = (size * form.top).round() as i32;
                let (mut x, mut y) = if *upwards { (x - rise, y) } else { (x, y - rise) };
                if *upwards {
                    style.font = style.font.transform(FontTransform::Rotate270);
                }
                // The embedded font knows neither the narrow space between thousands nor the raised minus of powers of ten.
                let text = text.replace('\u{202f}', " ").replace('⁻', "¯");
                // And it is a light one: a second stroke one device pixel aside gives it the weight of print, more of them make it bold.
                let strokes = if form.is_bitmap { 2 + 2 * i32::from(*bold) } else { 1 };
                for _ in 0..strokes {
                    backend.draw_text(&text, &style, (x, y)).map_err(failed)?;
                    (x, y) = if *upwards { (x, y - 1) } else { (x + 1, y) };
                }
            }
        }
    }
    backend.present().map_err(failed)
}

fn rgb(colour: Colour) -> RGBColor {
    RGBColor(colour[0], colour[1], colour[2])
}

fn failed(why: impl std::fmt::Display) -> Error {
    Error::Bug(format!("a figure could not be drawn: {why}."))
}

/// A raster as PNG: indexed, a third of the size, where 256 colours are enough.
fn encode_raster(raster: &Raster) -> Result<Vec<u8>> {
    let mut palette = raster.cells.clone();
    palette.sort_unstable();
    palette.dedup();
    if palette.len() > 256 {
        return encode_png(raster.columns, raster.rows, raster.cells.as_flattened());
    }
    let indices: Vec<u8> = raster.cells.iter().map(|cell| palette.partition_point(|colour| colour < cell) as u8).collect();
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, raster.columns as u32, raster.rows as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(palette.into_flattened());
    encoder.set_filter(png::FilterType::NoFilter);
    write_png(encoder, &indices)?;
    Ok(bytes)
}

/// PNG, 8 bits RGB.
fn encode_png(columns: usize, rows: usize, rgb: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, columns as u32, rows as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    // Differences to the row above are mostly zero in what is drawn here.
    encoder.set_filter(png::FilterType::Up);
    write_png(encoder, rgb)?;
    Ok(bytes)
}

fn write_png(encoder: png::Encoder<'_, &mut Vec<u8>>, data: &[u8]) -> Result<()> {
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(data).map_err(failed)?;
    writer.finish().map_err(failed)
}
