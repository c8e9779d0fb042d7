//! Checkerboard updates of one large chain or cubic lattice, cut into up to 512 domains that are moved at once.
//!
//! Layout, order and the meaning of every random bit are in [`crate::kernels::domains`], the rules in its submodule; the same chains written for the eye in
//! [`super::reference::domains`]. (The square lattice has a layout of its own, [`super::local_update`]; replicas are in [`super::replicas`].)

use super::local_update::stream_index;
use super::{
    Sampler, Start,
    snapshot::{Reader, TakeWords, put_source},
    start::initial_configuration,
};
use crate::error::{Error, Result};
use crate::kernels::InstructionSet;
use crate::kernels::byte_law::ByteLaw;
use crate::kernels::domains::{ChainHeatBath, ChainMetropolis, CubicHeatBath, CubicMetropolis, Planes, Rule, Shape, Source};
use crate::kernels::replicas::REPLICAS;
use crate::lattice::Torus;
use crate::measure::{Measurement, Observer};
use crate::random::{LaneStream, Purpose};
use crate::spins::{Configuration, domains::Domains};
use rayon::prelude::*;
use std::marker::PhantomData;

/// A strip of planes has at least about so many sites of a colour (in blocks): part of the definition of the results.
const STRIP: usize = 1 << 13;
/// The largest extent of a domain along an axis of a cubic lattice.
const LARGEST_CUBE: usize = 256;
/// The largest domain of a chain.
const LARGEST_PIECE: usize = 1 << 21;

/// What streams a rule has.
pub trait Named: Rule {
    /// The purpose of its streams.
    const PURPOSE: Purpose;
    /// The name of the algorithm in run files.
    const NAME: &'static str;
}

impl Named for CubicMetropolis {
    const PURPOSE: Purpose = Purpose::Metropolis;
    const NAME: &'static str = "metropolis";
}
impl Named for ChainMetropolis {
    const PURPOSE: Purpose = Purpose::Metropolis;
    const NAME: &'static str = "metropolis";
}
impl Named for CubicHeatBath {
    const PURPOSE: Purpose = Purpose::HeatBath;
    const NAME: &'static str = "heat-bath";
}
impl Named for ChainHeatBath {
    const PURPOSE: Purpose = Purpose::HeatBath;
    const NAME: &'static str = "heat-bath";
}

/// One chain at one coupling. The random numbers of strip s are those of the lane stream (seed, purpose of the rule, chain + 2^40 s).
#[derive(Debug, Clone)]
pub struct DomainUpdate<R: Named> {
    domains: Domains,
    laws: Vec<ByteLaw>,
    sources: Vec<Source>,
    instruction_set: InstructionSet,
    rule: PhantomData<R>,
}

/// The Metropolis chain number `chain`.
///
/// # Errors
/// As for [`DomainUpdate::new`].
pub fn metropolis(torus: Torus, coupling: f64, start: Start, seed: u64, chain: u64) -> Result<Box<dyn Sampler>> {
    Ok(match torus.dimension() {
        1 => Box::new(DomainUpdate::<ChainMetropolis>::new(torus, coupling, start, seed, chain)?),
        _ => Box::new(DomainUpdate::<CubicMetropolis>::new(torus, coupling, start, seed, chain)?),
    })
}

/// The heat-bath chain number `chain`.
///
/// # Errors
/// As for [`DomainUpdate::new`].
pub fn heat_bath(torus: Torus, coupling: f64, start: Start, seed: u64, chain: u64) -> Result<Box<dyn Sampler>> {
    Ok(match torus.dimension() {
        1 => Box::new(DomainUpdate::<ChainHeatBath>::new(torus, coupling, start, seed, chain)?),
        _ => Box::new(DomainUpdate::<CubicHeatBath>::new(torus, coupling, start, seed, chain)?),
    })
}

/// The number of strips of a lattice.
pub(super) fn strips(shape: &Shape) -> usize {
    (shape.words() / STRIP).clamp(1, shape.extents[2])
}

/// The planes of a strip.
pub(super) fn planes_of(shape: &Shape, strip: usize) -> std::ops::Range<usize> {
    let (depth, strips) = (shape.extents[2], strips(shape));
    strip * depth / strips..(strip + 1) * depth / strips
}

impl<R: Named> DomainUpdate<R> {
    /// The chain number `chain` at the coupling K = J / k_B T.
    ///
    /// # Errors
    /// [`Error::Usage`] for a lattice of odd side or another dimension, one whose domains would be too large, a coupling that is negative or not finite, or a chain above 2^40.
    pub fn new(torus: Torus, coupling: f64, start: Start, seed: u64, chain: u64) -> Result<Self> {
        refuse_unfit(R::NAME, torus, coupling)?;
        if torus.dimension() != R::DIMENSION {
            return Err(Error::Bug(format!("a rule of {} dimensions was asked to move a {} lattice.", R::DIMENSION, torus.geometry())));
        }
        let mut domains = Domains::of_one(torus);
        domains.set_configuration(&initial_configuration(torus, start, seed, chain));
        let source = |strip| Ok(Source::new(LaneStream::new(seed, R::PURPOSE, stream_index(chain, strip)?).lanes));
        Ok(DomainUpdate {
            sources: (0..strips(domains.shape())).map(source).collect::<Result<_>>()?,
            domains,
            laws: R::laws(coupling),
            instruction_set: InstructionSet::chosen(),
            rule: PhantomData,
        })
    }

    /// The same chain, run on another instruction set; the results do not depend on it.
    #[must_use]
    pub fn with_instruction_set(self, instruction_set: InstructionSet) -> Self {
        DomainUpdate { instruction_set, ..self }
    }

    /// The sources of random bits, one a strip, where the next sweep will go on.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }
}

impl<R: Named> Sampler for DomainUpdate<R> {
    fn sweep(&mut self) -> u64 {
        let (set, shape, laws) = (self.instruction_set, *self.domains.shape(), self.laws.as_slice());
        for colour in 0..2 {
            let [first, second] = &mut self.domains.colours;
            let (own, other) = if colour == 0 { (first, second.as_slice()) } else { (second, first.as_slice()) };
            let mut rest = own.as_mut_slice();
            let mut pieces = Vec::with_capacity(self.sources.len());
            for (strip, source) in self.sources.iter_mut().enumerate() {
                let range = planes_of(&shape, strip);
                let (piece, after) = rest.split_at_mut(range.len() * shape.plane());
                rest = after;
                pieces.push((piece, range, source));
            }
            let update = |(own, range, source): (&mut [_], _, &mut Source)| {
                R::update(set, own, other, Planes { shape: &shape, range, colour }, laws, source);
            };
            if pieces.len() == 1 {
                pieces.into_iter().for_each(update);
            } else {
                pieces.into_par_iter().for_each(update);
            }
        }
        self.domains.torus().sites() as u64
    }

    fn measure(&self) -> Measurement {
        let torus = self.domains.torus();
        let sum = |lanes: [u64; REPLICAS]| lanes.iter().sum::<u64>() as i64;
        Measurement {
            energy: 2 * sum(self.domains.unsatisfied(self.instruction_set)) - torus.bonds() as i64,
            magnetization: 2 * sum(self.domains.up(self.instruction_set)) - torus.sites() as i64,
        }
    }

    fn observe(&self, observer: &mut Observer) -> (Measurement, f64) {
        let (torus, shape, set) = (self.domains.torus(), self.domains.shape(), self.instruction_set);
        let unsatisfied = self.domains.unsatisfied(set).iter().sum::<u64>() as i64;
        if torus.dimension() == 1 {
            let configuration = self.domains.configuration();
            observer.counters.columns.iter_mut().zip(configuration.bits().iter().by_vals()).for_each(|(count, up)| *count = u32::from(up));
        } else {
            for (axis, counts) in
                [&mut observer.counters.columns, &mut observer.counters.rows, &mut observer.layers].into_iter().enumerate()
            {
                counts.fill(0);
                for (coordinate, lanes) in self.domains.layers(set, axis).enumerate() {
                    for (lane, up) in lanes.into_iter().enumerate() {
                        let domain = lane >> (3 * axis) & 7;
                        if domain < shape.domains {
                            counts[domain * shape.extents[axis] + coordinate] += up;
                        }
                    }
                }
            }
        }
        let measurement = Measurement { energy: 2 * unsatisfied - torus.bonds() as i64, magnetization: observer.magnetization() };
        (measurement, observer.wave_power(set))
    }

    fn configuration(&self) -> Configuration {
        self.domains.configuration()
    }

    /// For each strip the state of the lanes and what waits in its queues; then the configuration.
    fn put_snapshot(&self, take: &mut TakeWords) {
        self.sources.iter().for_each(|source| put_source(source.lanes, &source.queues, take));
        take(self.configuration().words());
    }

    fn restore(&mut self, words: &[u64]) -> Result<()> {
        let mut reader = Reader::new(words);
        for source in &mut self.sources {
            *source = read_source(&mut reader)?;
        }
        self.domains.set_configuration(&reader.configuration(self.domains.torus())?);
        reader.end()
    }
}

/// What [`put_source`] wrote.
pub(super) fn read_source(reader: &mut Reader) -> Result<Source> {
    Ok(Source { lanes: reader.lanes()?.lanes, queues: [reader.queue()?, reader.queue()?, reader.queue()?] })
}

/// Says why a checkerboard chain cannot run here.
fn refuse_unfit(algorithm: &str, torus: Torus, coupling: f64) -> Result<()> {
    super::local_update::refuse_unfit(algorithm, torus, coupling)?;
    refuse_too_large(torus).map_or(Ok(()), |sentence| Err(Error::Usage(sentence)))
}

/// Why a lattice of even side is too large to be cut into domains, if it is.
pub fn refuse_too_large(torus: Torus) -> Option<String> {
    let shape = if torus.dimension() == 1 { Shape::of_chain(torus.side()) } else { Shape::of_cube(torus.side()) };
    let (largest, multiple) = if torus.dimension() == 1 { (LARGEST_PIECE, 1024) } else { (LARGEST_CUBE, 16) };
    (shape.extents[0] > largest).then(|| {
        format!(
            "a {} lattice of side {} cannot be cut into domains of at most {largest} sites a side: write a multiple of {multiple}, or a cluster algorithm",
            torus.geometry(),
            torus.side()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::lanes::LaneGroup;
    use super::super::local_update::SMALLEST_METROPOLIS_COUPLING;
    use super::super::reference::domains::{Plain, ReferenceDomains};
    use super::*;
    use crate::lattice::Geometry;

    fn torus(geometry: Geometry, side: usize) -> Torus {
        Torus::new(geometry, side).expect("a valid side")
    }

    /// Spin by spin and random word by random word, on each instruction set, against the sampler that moves one spin at a time. The sides have one domain an axis, several, and all,
    /// groups that end inside a row, and several strips.
    #[test]
    fn every_instruction_set_gives_the_chain_of_the_reference() {
        for (side, sweeps) in [(4, 40), (10, 20), (24, 20), (128, 10), (384, 10), (512, 10), (1024, 10), (3072, 5)] {
            agree::<ChainMetropolis>(Geometry::Chain, side, sweeps);
            agree::<ChainHeatBath>(Geometry::Chain, side, sweeps);
        }
        for (side, sweeps) in [(4, 40), (6, 20), (8, 20), (10, 5), (12, 5), (16, 5), (24, 3), (32, 3), (256, 1)] {
            agree::<CubicMetropolis>(Geometry::Cubic, side, sweeps);
            if side < 100 {
                agree::<CubicHeatBath>(Geometry::Cubic, side, sweeps);
            }
        }
    }

    fn agree<R: Plain>(geometry: Geometry, side: usize, sweeps: usize) {
        let torus = torus(geometry, side);
        // What Metropolis's rule refuses, the heat bath can do.
        let is_refused = R::NAME == CubicMetropolis::NAME;
        for (chain, coupling) in [(0, 0.2), (1, 0.6), (2, if is_refused { SMALLEST_METROPOLIS_COUPLING } else { 0.0 })] {
            if side > 100 && chain != 1 {
                continue;
            }
            let start = if chain == 1 { Start::Cold } else { Start::Hot };
            let mut reference = ReferenceDomains::<R>::of_one(torus, coupling, start, 14103831, chain).expect("a fit lattice");
            let mut chains: Vec<DomainUpdate<R>> = InstructionSet::available()
                .into_iter()
                .map(|set| DomainUpdate::new(torus, coupling, start, 14103831, chain).expect("a fit lattice").with_instruction_set(set))
                .collect();
            for sweep in 0..sweeps {
                reference.sweep();
                let expected = reference.configuration(0);
                let mut observer = Observer::new(torus);
                for fast in &mut chains {
                    let place = format!("{} {geometry}, {}, side {side}, K {coupling}, sweep {sweep}", R::NAME, fast.instruction_set);
                    assert_eq!(fast.sweep(), torus.sites() as u64);
                    assert!(fast.configuration() == expected, "{place}");
                    let measured = Measurement { energy: expected.energy(), magnetization: expected.magnetization() };
                    assert_eq!(fast.measure(), measured, "{place}");
                    let mut rows = crate::spins::rows::Rows::all_down(torus);
                    rows.set_configuration(&expected);
                    let mut other = Observer::new(torus);
                    assert_eq!(fast.observe(&mut observer), rows.observe(fast.instruction_set, &mut other), "{place}");
                    assert_eq!(fast.sources, reference.sources(), "{place}");
                }
            }
            assert!(strips(chains[0].domains.shape()) > 1 || side < 200 || geometry == Geometry::Chain);
        }
    }

    #[test]
    fn every_instruction_set_gives_the_replicas_of_the_reference() {
        for (geometry, side, sweeps) in
            [(Geometry::Chain, 4, 20), (Geometry::Chain, 36, 10), (Geometry::Cubic, 4, 10), (Geometry::Cubic, 6, 3)]
        {
            let torus = torus(geometry, side);
            let make = |set| LaneGroup::new(torus, 0.3, Start::Cold, 14103831, 3).expect("a fit lattice").with_instruction_set(set);
            let mut groups: Vec<LaneGroup> = InstructionSet::available().into_iter().map(make).collect();
            // All up: no wave at all, not one of rounding errors.
            assert!(groups.iter().all(|group| group.wave_powers().expect("not square").iter().all(|power| *power == 0.0)));
            let stream = LaneStream::new(14103831, Purpose::Replicas, 3);
            let expected: Vec<Vec<Configuration>> = match geometry {
                Geometry::Chain => swept(ReferenceDomains::<ChainMetropolis>::of_replicas(torus, 0.3, stream), sweeps),
                _ => swept(ReferenceDomains::<CubicMetropolis>::of_replicas(torus, 0.3, stream), sweeps),
            };
            for sweep in expected {
                for group in &mut groups {
                    group.sweep();
                    let (measured, powers) = (group.measurements(), group.wave_powers().expect("not square"));
                    for (replica, expected) in sweep.iter().enumerate() {
                        assert_eq!(&group.configuration(replica), expected, "{geometry} {side}, replica {replica}");
                        let pair = (measured[replica].energy, measured[replica].magnetization);
                        assert_eq!(pair, (expected.energy(), expected.magnetization()));
                        if replica % 100 == 7 {
                            let mut rows = crate::spins::rows::Rows::all_down(torus);
                            rows.set_configuration(expected);
                            let power = rows.observe(InstructionSet::PORTABLE, &mut Observer::new(torus)).1;
                            assert!((powers[replica] - power).abs() < 1e-9 * (1.0 + power));
                        }
                    }
                }
            }
        }
    }

    fn swept<R: Plain>(mut reference: ReferenceDomains<R>, sweeps: usize) -> Vec<Vec<Configuration>> {
        let configurations = |_| {
            reference.sweep();
            (0..REPLICAS).map(|replica| reference.configuration(replica)).collect()
        };
        (0..sweeps).map(configurations).collect()
    }

    /// A cube of several strips, on one thread and on three.
    #[test]
    fn threads_change_nothing() {
        let torus = torus(Geometry::Cubic, 256);
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let mut chain = DomainUpdate::<CubicMetropolis>::new(torus, 0.22, Start::Hot, 14103831, 1).expect("a fit lattice");
            assert!(chain.sources.len() > 1);
            pool.install(|| (0..2).for_each(|_| assert_eq!(chain.sweep(), 256 * 256 * 256)));
            (chain.domains.clone(), chain.sources.clone())
        };
        assert!(run(1) == run(3));
    }

    #[test]
    fn what_cannot_be_sampled_is_refused_in_words() {
        let refused = |geometry, side, coupling| {
            metropolis(torus(geometry, side), coupling, Start::Hot, 1, 0).map(|_| ()).expect_err("unfit").to_string()
        };
        assert!(refused(Geometry::Cubic, 5, 0.2).contains("even side") && refused(Geometry::Chain, 6, -0.1).contains("coupling"));
        assert!(refused(Geometry::Cubic, 2042, 0.2).contains("multiple of 16"));
    }
}
