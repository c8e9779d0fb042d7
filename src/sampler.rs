//! Markov chains whose stationary law is exp(K sum s_i s_j) / Z. All samplers meet here: the trait, the choice by name.

pub mod domains;
pub mod lanes;
pub mod local_update;
mod looking;
pub mod reference;
pub mod replicas;
pub mod site_clusters;
pub mod snapshot;
pub mod start;
pub mod swendsen_wang;
pub mod tempering;
pub mod wolff;

pub use local_update::LocalUpdate;
pub use site_clusters::SiteClusters;
pub use start::initial_configuration;
pub use swendsen_wang::SwendsenWang;
pub use wolff::Wolff;

use crate::error::{Error, Result};
use crate::kernels::fixed_point::{self, Probability};
use crate::kernels::{InstructionSet, profile};
use crate::lattice::Torus;
use crate::measure::{ClusterMoments, Measurement, Observer};
use crate::spins::{Configuration, WORD_BITS};
use snapshot::TakeWords;

/// The checkerboard Metropolis chain.
pub type Metropolis = LocalUpdate<crate::kernels::metropolis::Metropolis>;
/// The checkerboard heat-bath chain.
pub type HeatBath = LocalUpdate<crate::kernels::heat_bath::HeatBath>;

/// How a chain moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Algorithm {
    /// Checkerboard Metropolis, multispin coded.
    Metropolis,
    /// Checkerboard heat bath, multispin coded.
    HeatBath,
    /// Swendsen and Wang, PRL 58, 86 (1987).
    SwendsenWang,
    /// Wolff, PRL 62, 361 (1989).
    Wolff,
}

impl Algorithm {
    /// The name in run files and reports.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Metropolis => "metropolis",
            Algorithm::HeatBath => "heat-bath",
            Algorithm::SwendsenWang => "swendsen-wang",
            Algorithm::Wolff => "wolff",
        }
    }
}

/// How a chain begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Every spin up or down with probability 1/2, from the stream (seed, InitialSpins, chain).
    Hot,
    /// All spins up.
    Cold,
}

/// One Markov chain at one coupling.
pub trait Sampler: Send {
    /// One sweep. Returns the work done in spins: N for the local algorithms and Swendsen-Wang, flipped spins for Wolff.
    fn sweep(&mut self) -> u64;

    /// [`Self::sweep`] by an algorithm whose sweeps can last long: `leave` is asked now and then, and if it says so the sweep is left where it is, with `None`. The next call goes
    /// on with it. What comes out does not depend on where it was left.
    fn sweep_unless(&mut self, leave: &mut dyn FnMut() -> bool) -> Option<u64> {
        let _ = leave;
        Some(self.sweep())
    }

    /// Called once between thermalization and the first measured sweep. Wolff fixes here how many clusters make a sweep.
    fn end_thermalization(&mut self) {}

    /// Energy and magnetization of the present configuration, exact integers.
    fn measure(&self) -> Measurement;

    /// [`Self::measure`], and the power of the longest waves ([`Observer::wave_power`]). `observer` belongs to the lattice of the chain.
    fn observe(&self, observer: &mut Observer) -> (Measurement, f64) {
        observe_configuration(&self.configuration(), self.measure(), observer)
    }

    /// Says that the clusters of the next sweep will be asked for by [`Self::cluster_moments`], with the longest waves or without. Nothing happens where there are none.
    fn expect_clusters(&mut self, with_waves: bool) {
        let _ = with_waves;
    }

    /// What the clusters say of the draw that is due now ([`crate::measure::clusters`]): those of the last sweep, if it was [expected](Self::expect_clusters); of Wolff's algorithm all
    /// that were flipped since the last call, or since the end of thermalization. `None` for algorithms without clusters.
    fn cluster_moments(&mut self) -> Option<ClusterMoments> {
        None
    }

    /// The present configuration, in site order.
    fn configuration(&self) -> Configuration;

    /// Everything that the rest of the chain depends on, as plain words: spins, random streams and counters, in the sampler's own order. They are handed over in pieces, so that a lattice
    /// as large as the memory needs no second one for its checkpoint. The words are the same on every instruction set; what their layout depends on is the algorithm and the side alone.
    fn put_snapshot(&self, take: &mut TakeWords);

    /// [`Self::put_snapshot`] as one list, for those who have the memory.
    fn snapshot(&self) -> Vec<u64> {
        let mut words = Vec::new();
        self.put_snapshot(&mut |part| words.extend_from_slice(part));
        words
    }

    /// Goes on from the snapshot of a chain of the same algorithm, side and coupling, with the same bits as if nothing had happened.
    ///
    /// # Errors
    /// [`crate::error::Error::Refused`] if the words do not fit; the chain is then unusable.
    fn restore(&mut self, words: &[u64]) -> Result<()>;
}

/// The power of the longest waves of a configuration in site order, beside its measurement.
fn observe_configuration(configuration: &Configuration, measurement: Measurement, observer: &mut Observer) -> (Measurement, f64) {
    let (side, words) = (configuration.torus().side(), configuration.words());
    let stride = side.div_ceil(WORD_BITS);
    let rows: Vec<u64> = (0..side * stride)
        .map(|word| {
            let (row, first) = (word / stride, word % stride * WORD_BITS);
            let start = row * side + first;
            let (place, shift) = (start / WORD_BITS, start % WORD_BITS);
            let get = |index: usize| words.get(index).copied().unwrap_or(0);
            let bits = get(place) >> shift | (get(place + 1) << 1) << (WORD_BITS - 1 - shift);
            bits & (u64::MAX >> (WORD_BITS - (side - first).min(WORD_BITS)))
        })
        .collect();
    let set = InstructionSet::chosen();
    profile::count_packed(set, &rows, stride, &mut observer.counters);
    (measurement, observer.wave_power(set))
}

/// The chain number `chain` of a run: its streams are (seed, purpose of the algorithm, chain), so `chain` must differ between all chains of the run.
///
/// # Errors
/// [`crate::error::Error::Usage`] for a lattice the algorithm cannot update (odd side with a checkerboard) or a coupling that is not finite or negative.
pub fn build(
    algorithm: Algorithm,
    torus: impl Into<Torus>,
    coupling: f64,
    start: Start,
    seed: u64,
    chain: u64,
) -> Result<Box<dyn Sampler>> {
    let torus = torus.into();
    let Some(torus) = torus.square() else {
        return Ok(match algorithm {
            Algorithm::Metropolis => domains::metropolis(torus, coupling, start, seed, chain)?,
            Algorithm::HeatBath => domains::heat_bath(torus, coupling, start, seed, chain)?,
            Algorithm::SwendsenWang => Box::new(SiteClusters::new(torus, coupling, start, seed, chain)?),
            Algorithm::Wolff => Box::new(Wolff::new(torus, coupling, start, seed, chain)?),
        });
    };
    Ok(match algorithm {
        Algorithm::Metropolis => Box::new(Metropolis::new(torus, coupling, start, seed, chain)?),
        Algorithm::HeatBath => Box::new(HeatBath::new(torus, coupling, start, seed, chain)?),
        Algorithm::SwendsenWang => Box::new(SwendsenWang::new(torus, coupling, start, seed, chain)?),
        Algorithm::Wolff => Box::new(Wolff::new(torus, coupling, start, seed, chain)?),
    })
}

/// Why a cluster algorithm has not numbers enough for a lattice, if it has not.
pub fn refuse_too_large(algorithm: Algorithm, torus: Torus) -> Option<String> {
    let largest = match (algorithm, torus.dimension()) {
        (Algorithm::Metropolis | Algorithm::HeatBath, _) => return None,
        (Algorithm::SwendsenWang, 2) => SwendsenWang::LARGEST_SIDE,
        (Algorithm::SwendsenWang, _) => SiteClusters::largest_side(torus.geometry()),
        (Algorithm::Wolff, _) => Wolff::largest_side(torus),
    };
    (torus.side() > largest).then(|| {
        format!(
            "{} numbers sites or clusters in 32 bits and cannot update a {} lattice of side {}: write a side up to {largest}, or choose metropolis or heat-bath",
            algorithm.name(),
            torus.geometry(),
            torus.side()
        )
    })
}

/// The probability 1 - e^(-2K) that a bond between equal spins joins them in a cluster, as a 64-bit threshold (`kernels::bernoulli`): cut off at 2^-64, and 1 - 2^-64 for 1.
///
/// # Errors
/// [`Error::Usage`] if the coupling is negative (clusters of equal spins would be wrong) or not finite.
fn bond_threshold(coupling: f64) -> Result<u64> {
    if coupling.is_finite() && coupling >= 0.0 {
        let joined = Probability::decay(2.0 * coupling).complement();
        Ok(u64::try_from(joined.units() >> (fixed_point::DIGITS - 64)).unwrap_or(u64::MAX))
    } else {
        Err(Error::Usage(format!(
            "a cluster algorithm cannot run at the coupling {coupling}: write a finite coupling that is not negative"
        )))
    }
}
