//! The exchange of replicas between couplings: how often neighbours swap, and how replicas flow along the ladder.

use super::axes::{Panel, Scale, legend};
use super::ensemble;
use super::figure::{Anchor, Drawing};
use super::html::{Section, Table};
use super::number::{self, fixed, list, significant, thousands};
use super::sizes;
use super::style::{self, INK};
use crate::record::{SamplingRecord, TemperingRecord};

/// Below this share of swaps made a pair separates the ladder into two.
const RARE: f64 = 0.05;

/// Adds the figure and the table to the section of the sampling stage.
pub(super) fn add(section: &mut Section, sampling: &SamplingRecord) {
    let ladders = &sampling.tempering;
    let Some(first) = ladders.first() else { return };
    let sizes = list(&ladders.iter().map(|ladder| ladder.size.to_string()).collect::<Vec<String>>());
    section.findings.extend(ladders.iter().filter_map(bottleneck));
    section.figure(
        "tempering",
        draw(ladders),
        format!("Swap acceptance between neighbouring couplings and flow of replicas for L = {sizes}."),
        format!(
            "<b>Exchange of replicas</b> for <i>L</i> = {sizes}, after every {}. Left: share of swaps made between neighbouring couplings, at the middle of each pair. Right: flow, the share of \
             replicas that were last at the lowest coupling among those that have been at either end. A ladder whose replicas diffuse evenly has a straight line from 1 to 0 over the number of the \
             coupling; a step shows where they are held up.",
            if first.exchange_every == 1 { "sweep".to_string() } else { format!("{} sweeps", thousands(first.exchange_every as u64)) },
        ),
    );
    section.table(table(ladders));
}

/// The pair that swaps least, if that is seldom.
fn bottleneck(ladder: &TemperingRecord) -> Option<String> {
    let acceptance = ladder.acceptance();
    let (pair, least) =
        acceptance.iter().copied().enumerate().filter(|(_, share)| share.is_finite()).min_by(|one, other| one.1.total_cmp(&other.1))?;
    let trips: u64 = ladder.round_trips.iter().sum();
    let trips = format!(
        "{} round trip{} in {} ladders",
        thousands(trips),
        if trips == 1 { "" } else { "s" },
        thousands(ladder.round_trips.len() as u64)
    );
    let between =
        format!("between K = {} and {}", ensemble::coupling(ladder.couplings[pair]), ensemble::coupling(ladder.couplings[pair + 1]));
    Some(if least < RARE {
        format!(
            "Tempering of L = {}: {trips}; the swaps {between} are rare, {} of those tried: couplings in between would help.",
            ladder.size,
            significant(least, 2)
        )
    } else {
        format!("Tempering of L = {}: {trips}; the fewest swaps are made {between}, {} of those tried.", ladder.size, fixed(least, 3))
    })
}

fn draw(ladders: &[TemperingRecord]) -> Drawing {
    let mut drawing = Drawing::new(sizes::TEMPERING);
    let couplings = || ladders.iter().flat_map(|ladder| ladder.couplings.iter().copied());
    let x = Scale::linear(couplings()).unwrap_or(Scale::between(0.0, 1.0));
    let panel = |left: f64| Panel { left, top: 52.0, right: left + 290.0, bottom: 248.0, x, y: Scale::between(0.0, 1.05) };
    let (swaps, flow) = (panel(66.0), panel(440.0));
    swaps.axes(&mut drawing, "coupling K", "share of swaps made");
    flow.axes(&mut drawing, "coupling K", "flow");
    for (index, ladder) in ladders.iter().enumerate() {
        let colour = style::category(index);
        let middles = ladder.couplings.windows(2).map(|pair| 0.5 * (pair[0] + pair[1])).zip(ladder.acceptance());
        let flows = ladder.couplings.iter().copied().zip(ladder.flow());
        for (panel, points) in [(&swaps, middles.collect::<Vec<_>>()), (&flow, flows.collect())] {
            let points: Vec<(f64, f64)> = points.into_iter().filter(|point| point.1.is_finite()).collect();
            panel.curve(&mut drawing, points.iter().copied(), style::tint(colour, 0.45), 1.0);
            for (x, y) in points {
                if let Some(centre) = panel.at(x, y) {
                    drawing.disc(centre, 2.4, colour);
                }
            }
        }
    }
    for (letter, left) in [("a", 62.0), ("b", 436.0)] {
        drawing.heading(letter, [left, 42.0], 13.0, INK, Anchor::Start);
    }
    let entries: Vec<_> =
        ladders.iter().enumerate().map(|(index, ladder)| (style::category(index), format!("L = {}", ladder.size))).collect();
    legend(&mut drawing, [90.0, 22.0], &entries);
    drawing
}

fn table(ladders: &[TemperingRecord]) -> Table {
    let heads = ["coupling", "swaps with the next: tried", "made", "share", "flow"];
    let mut table = Table::new("Exchange of replicas, all ladders of a size together, after thermalization.", &heads);
    table.is_long = ladders.iter().map(|ladder| ladder.couplings.len()).sum::<usize>() > 24;
    let share = |share: f64| if share.is_finite() { fixed(share, 4) } else { number::DASH.to_string() };
    for ladder in ladders {
        let trips = ladder.round_trips.iter().sum::<u64>() as f64 / ladder.round_trips.len().max(1) as f64;
        let title = format!(
            "<i>L</i> = {}, {} ladders, {} round trips a ladder",
            ladder.size,
            thousands(ladder.round_trips.len() as u64),
            significant(trips, 3)
        );
        table.group(&title, heads.len());
        let (acceptance, flow) = (ladder.acceptance(), ladder.flow());
        for (place, &coupling) in ladder.couplings.iter().enumerate() {
            let pair = ladder.swaps_tried.get(place).zip(ladder.swaps_made.get(place)).zip(acceptance.get(place));
            let dash = || number::DASH.to_string();
            table.row(&[
                ensemble::coupling(coupling),
                pair.map_or_else(dash, |((&tried, _), _)| thousands(tried)),
                pair.map_or_else(dash, |((_, &made), _)| thousands(made)),
                pair.map_or_else(dash, |(_, &value)| share(value)),
                share(flow[place]),
            ]);
        }
    }
    table
}
