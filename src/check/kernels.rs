//! The kernels of every instruction set of this processor against the portable ones, and those against plain programs.

use super::{Check, sentence};
use crate::kernels::domains::{ChainHeatBath, ChainMetropolis, CubicHeatBath, CubicMetropolis};
use crate::kernels::generator::Lanes;
use crate::kernels::replicas::REPLICAS;
use crate::kernels::{InstructionSet, heat_bath, metropolis};
use crate::lattice::{Geometry, SquareTorus, Torus};
use crate::random::{LaneStream, Purpose, Stream};
use crate::rbm::gibbs::GibbsChains;
use crate::rbm::train::{Alone, Trainer};
use crate::rbm::{GradientKind, Rbm, TrainingData, TrainingOptions};
use crate::sampler::domains::DomainUpdate;
use crate::sampler::reference::domains::{Plain, ReferenceDomains};
use crate::sampler::reference::replicas::ReferenceReplicas;
use crate::sampler::replicas::ReplicaGroup;
use crate::sampler::tempering::Ladders;
use crate::sampler::{LocalUpdate, Sampler, Start, SwendsenWang, Wolff, reference};
use crate::spins::BitMatrix;

const SEED: u64 = 14103831;
const COUPLING: f64 = 0.43;

pub(super) const CHECKS: &[Check] = &[
    Check { question: "random lanes continue the scalar stream", answer: lanes },
    Check { question: "Metropolis equals one spin at a time, on every instruction set", answer: local::<metropolis::Metropolis> },
    Check { question: "the heat bath equals one spin at a time, on every instruction set", answer: local::<heat_bath::HeatBath> },
    Check { question: "replicas across the bits equal one spin at a time, and exchange alike, on every instruction set", answer: replicas },
    Check { question: "chains and cubic lattices equal one spin at a time, on every instruction set", answer: domains },
    Check {
        question: "Swendsen-Wang and Wolff give the same spins and use the same random words on every instruction set",
        answer: clusters,
    },
    Check { question: "networks learn the same weights and draw the same states on every instruction set", answer: networks },
];

fn names() -> String {
    InstructionSet::available().iter().map(|set| set.name()).collect::<Vec<_>>().join(", ")
}

fn lanes() -> Result<String, String> {
    let mut lanes = LaneStream::new(SEED, Purpose::Check, 1);
    let mut scalar = Stream::new(SEED, Purpose::Check, 1);
    for step in 0..10_000 {
        if lanes.words()[0] != scalar.word() {
            return Err(format!("lane 0 leaves the scalar stream at step {step}"));
        }
    }
    Ok(format!("10,000 steps of {} lanes", Lanes::COUNT))
}

/// Folded rows, rows that end inside a word, and rows of whole blocks (side 1024) against the plain program. Lattices of several strips, which move at once, against the portable code
/// alone: one spin at a time would take half a gigabyte there.
fn local<R: reference::local_update::Plain>() -> Result<String, String> {
    let fast = |torus, set| {
        let chain = LocalUpdate::<R>::new(torus, COUPLING, Start::Hot, SEED, 0).map_err(sentence)?;
        Ok::<_, String>(chain.with_instruction_set(set))
    };
    for (side, sweeps) in [(4, 5), (10, 5), (40, 5), (128, 5), (250, 5), (1024, 1)] {
        let torus = SquareTorus::new(side).map_err(sentence)?;
        let mut chains =
            InstructionSet::available().into_iter().map(|set| Ok((set, fast(torus, set)?))).collect::<Result<Vec<_>, String>>()?;
        let mut plain = reference::LocalUpdate::<R>::new(torus, COUPLING, Start::Hot, SEED, 0).map_err(sentence)?;
        for sweep in 0..sweeps {
            plain.sweep();
            let (configuration, measured) = (plain.configuration(), plain.measure());
            for (set, fast) in &mut chains {
                fast.sweep();
                if fast.configuration() != configuration || fast.measure() != measured {
                    return Err(format!("{set}, side {side}: the spins differ after sweep {}", sweep + 1));
                }
            }
        }
        for (set, fast) in &chains {
            let next: Vec<[u64; 8]> = fast.sources().iter().map(|source| source.lanes.clone().step()).collect();
            if next != plain.next_words() {
                return Err(format!("{set}, side {side}: another number of random words was used"));
            }
        }
    }
    for side in [2050, 4098] {
        let torus = SquareTorus::new(side).map_err(sentence)?;
        let run = |set| {
            let mut chain = fast(torus, set)?;
            (0..2).for_each(|_| {
                chain.sweep();
            });
            Ok::<_, String>((chain.snapshot(), chain.measure()))
        };
        let portable = run(InstructionSet::PORTABLE)?;
        for set in InstructionSet::available() {
            if run(set)? != portable {
                return Err(format!("{set}, side {side}: other spins or random words than the portable kernels"));
            }
        }
    }
    Ok(format!("sides 4 to 4098 on {}", names()))
}

fn replicas() -> Result<String, String> {
    for side in [4, 6, 10] {
        let torus = SquareTorus::new(side).map_err(sentence)?;
        for set in InstructionSet::available() {
            let mut fast = ReplicaGroup::new(torus, COUPLING, Start::Hot, SEED, 0).map_err(sentence)?.with_instruction_set(set);
            let mut plain = ReferenceReplicas::new(torus, COUPLING, Start::Hot, SEED, 0).map_err(sentence)?;
            for sweep in 0..3 {
                fast.sweep();
                plain.sweep();
                let measured = fast.measurements();
                for (replica, &measured) in measured.iter().enumerate() {
                    if fast.configuration(replica) != plain.configuration(replica) || measured != plain.measure(replica) {
                        return Err(format!("{set}, side {side}: replica {replica} differs after sweep {}", sweep + 1));
                    }
                }
            }
            if fast.stream() != plain.stream() {
                return Err(format!("{set}, side {side}: another number of random words was used"));
            }
        }
    }
    let torus = SquareTorus::new(40).map_err(sentence)?;
    let run = |set| {
        let couplings = [(0.42, 1), (0.43, 2), (0.44, 3), (0.45, 4), (0.46, 5)];
        let ladders = Ladders::new(torus, &couplings, Start::Cold, SEED, 0, REPLICAS, 1).map_err(sentence)?;
        let mut ladders = ladders.with_instruction_set(set);
        ladders.end_thermalization();
        (0..10).for_each(|_| {
            ladders.sweep();
        });
        Ok::<_, String>(ladders.snapshot())
    };
    let portable = run(InstructionSet::PORTABLE)?;
    for set in InstructionSet::available() {
        if run(set)? != portable {
            return Err(format!("{set}: other spins or exchanges than the portable kernels"));
        }
    }
    Ok(format!("sides 4 to 40 on {}", names()))
}

fn domains() -> Result<String, String> {
    fn agree<R: Plain>(geometry: Geometry, side: usize) -> Result<(), String> {
        let torus = Torus::new(geometry, side).map_err(sentence)?;
        for set in InstructionSet::available() {
            let mut fast = DomainUpdate::<R>::new(torus, 0.25, Start::Hot, SEED, 0).map_err(sentence)?.with_instruction_set(set);
            let mut plain = ReferenceDomains::<R>::of_one(torus, 0.25, Start::Hot, SEED, 0).map_err(sentence)?;
            for sweep in 0..4 {
                fast.sweep();
                plain.sweep();
                let (configuration, measured) = (plain.configuration(0), fast.measure());
                let differs = (measured.energy, measured.magnetization) != (configuration.energy(), configuration.magnetization());
                if differs || fast.configuration() != configuration || fast.sources() != plain.sources() {
                    return Err(format!("{set}, {} on a {geometry} lattice of side {side}: sweep {} differs", R::NAME, sweep + 1));
                }
            }
        }
        Ok(())
    }
    for side in [4, 10, 16] {
        agree::<CubicMetropolis>(Geometry::Cubic, side)?;
        agree::<CubicHeatBath>(Geometry::Cubic, side)?;
    }
    for side in [10, 384, 2048] {
        agree::<ChainMetropolis>(Geometry::Chain, side)?;
        agree::<ChainHeatBath>(Geometry::Chain, side)?;
    }
    Ok(format!("sides 4 to 2048 on {}", names()))
}

fn clusters() -> Result<String, String> {
    for (side, sweeps) in [(5, 20), (40, 20), (65, 20), (128, 20), (600, 5)] {
        let torus = SquareTorus::new(side).map_err(sentence)?;
        let run = |set| {
            let mut bonds = SwendsenWang::with_instruction_set(set, torus, COUPLING, Start::Hot, SEED, 0).map_err(sentence)?;
            let mut single = Wolff::with_instruction_set(set, torus, COUPLING, Start::Hot, SEED, 0).map_err(sentence)?;
            for _ in 0..sweeps {
                bonds.sweep();
                single.sweep();
            }
            for (configuration, measured) in [(bonds.configuration(), bonds.measure()), (single.configuration(), single.measure())] {
                if configuration.energy() != measured.energy || configuration.magnetization() != measured.magnetization {
                    return Err(format!("{set}, side {side}: the measured energy or magnetization is not that of the spins"));
                }
            }
            // Spins and streams: all that the rest of the chains depends on.
            Ok((bonds.snapshot(), single.snapshot()))
        };
        let portable = run(InstructionSet::PORTABLE)?;
        for set in InstructionSet::available() {
            if run(set)? != portable {
                return Err(format!("{set}, side {side}: other spins or random words than the portable kernels"));
            }
        }
    }
    Ok(format!("sides 5 to 600 on {}", names()))
}

fn networks() -> Result<String, String> {
    let (visible, hidden, samples) = (65, 37, 103);
    let mut bits = BitMatrix::new(samples, visible);
    let mut stream = Stream::new(SEED, Purpose::Check, 2);
    for row in 0..samples {
        (0..visible).for_each(|column| bits.set(row, column, stream.below(3) == 0));
    }
    let (data, none) = (TrainingData::Binary(bits.clone()), TrainingData::Binary(BitMatrix::new(0, visible)));
    let run = |set, gradient| -> Result<(Rbm, BitMatrix), String> {
        let options = TrainingOptions { minibatch: 20, gradient, l1: 1e-3, ..TrainingOptions::new(hidden, SEED, 0) };
        let mut trainer = Trainer::new(&data, &none, options, &Alone).map_err(sentence)?.on(set);
        for _ in 0..3 {
            trainer.epoch().map_err(sentence)?;
        }
        let mut chains = GibbsChains::new(trainer.rbm(), &bits, SEED, 0);
        (0..5).for_each(|_| chains.sweep_on(set));
        Ok((trainer.rbm().clone(), chains.visible()))
    };
    for gradient in [GradientKind::Plain, GradientKind::Centred] {
        let portable = run(InstructionSet::PORTABLE, gradient)?;
        for set in InstructionSet::available() {
            if run(set, gradient)? != portable {
                return Err(format!("{set}: another machine than the portable kernels give"));
            }
        }
    }
    Ok(format!("{visible} x {hidden} units on {}", names()))
}
