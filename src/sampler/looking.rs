//! The clusters of a sweep that is looked at, for the samplers that make them all.

use crate::lattice::Torus;
use crate::measure::clusters::{ClusterCensus, ClusterMoments};

/// What is needed to look at clusters: nothing until that is asked for the first time.
#[derive(Debug, Clone, Default)]
pub(super) struct Looking(Option<Box<Room>>);

#[derive(Debug, Clone)]
struct Room {
    census: ClusterCensus,
    numbers: Vec<u32>,
    is_expected: bool,
    found: Option<ClusterMoments>,
}

impl Looking {
    /// The next sweep is to be looked at.
    pub fn expect(&mut self, torus: impl Into<Torus>, with_waves: bool) {
        let new = || Room { census: ClusterCensus::new(torus, with_waves), numbers: Vec::new(), is_expected: false, found: None };
        self.0.get_or_insert_with(|| Box::new(new())).is_expected = true;
    }

    /// If this sweep is looked at, lets `count` fill a census, with room for the numbers of clusters.
    pub fn look(&mut self, count: impl FnOnce(&mut ClusterCensus, &mut Vec<u32>)) {
        let Some(room) = self.0.as_deref_mut().filter(|room| room.is_expected) else { return };
        room.is_expected = false;
        room.census.clear();
        count(&mut room.census, &mut room.numbers);
        room.found = Some(room.census.moments());
    }

    /// What was found, once.
    pub fn take(&mut self) -> Option<ClusterMoments> {
        self.0.as_deref_mut()?.found.take()
    }
}
