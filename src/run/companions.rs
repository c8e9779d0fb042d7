//! The data of the networks that are trained beside the main one.

use crate::config::{Companion, Role};
use crate::lattice::SquareTorus;
use crate::rg::{Control, control_stream};
use crate::spins::BitMatrix;

/// The order in which a network on shuffled sites sees them, a fixed permutation: its visible unit j is site `order[j]`. `None` for other networks.
pub fn order_of_sites(companion: &Companion, torus: SquareTorus) -> Option<Vec<usize>> {
    (companion.role == Role::ShuffledSites).then(|| {
        let mut order: Vec<usize> = (0..torus.sites()).collect();
        control_stream(companion.job.seed, Control::ShuffledSites, 0).shuffle(&mut order);
        order
    })
}

/// The configurations it trains on, from those of the main network.
pub fn training(companion: &Companion, kept: &BitMatrix) -> BitMatrix {
    let section = &companion.section;
    if section.fresh_sweeps.is_none() && section.samples < kept.rows() {
        return shuffled(companion, &kept.spread_rows(section.samples));
    }
    shuffled(companion, kept)
}

/// The configurations it is judged by.
pub fn held_out(companion: &Companion, kept: &BitMatrix) -> BitMatrix {
    shuffled(companion, kept)
}

fn shuffled(companion: &Companion, kept: &BitMatrix) -> BitMatrix {
    let order = SquareTorus::new(companion.section.size).ok().and_then(|torus| order_of_sites(companion, torus));
    order.map_or_else(|| kept.clone(), |order| kept.reorder_columns(&order))
}
