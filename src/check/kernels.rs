//! The kernels of every instruction set of this processor against the portable ones, and those against plain programs.

use super::{Check, sentence};
use crate::kernels::InstructionSet;
use crate::kernels::domains::{ChainHeatBath, ChainMetropolis, CubicHeatBath, CubicMetropolis};
use crate::kernels::generator::Lanes;
use crate::kernels::replicas::REPLICAS;
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
use crate::sampler::{Metropolis, Sampler, Start, SwendsenWang, Wolff, reference};
use crate::spins::BitMatrix;

const SEED: u64 = 14103831;
const COUPLING: f64 = 0.43;

pub(super) const CHECKS: &[Check] = &[
    Check { question: "random lanes continue the scalar stream", answer: lanes },
    Check { question: "Metropolis equals one spin at a time, on every instruction set", answer: metropolis },
    Check { question: "replicas across the bits equal one spin at a time, and exchange alike, on every instruction set", answer: replicas },
    Check { question: "chains and cubic lattices equal one spin at a time, on every instruction set", answer: domains },
    Check { question: "Swendsen-Wang and Wolff give the same spins on every instruction set", answer: clusters },
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

fn metropolis() -> Result<String, String> {
    for side in [4, 10, 40, 128, 250] {
        let torus = SquareTorus::new(side).map_err(sentence)?;
        for set in InstructionSet::available() {
            let mut fast = Metropolis::new(torus, COUPLING, Start::Hot, SEED, 0).map_err(sentence)?.with_instruction_set(set);
            let mut plain = reference::Metropolis::new(torus, COUPLING, Start::Hot, SEED, 0).map_err(sentence)?;
            for sweep in 0..5 {
                fast.sweep();
                plain.sweep();
                if fast.configuration() != plain.configuration() || fast.measure() != plain.measure() {
                    return Err(format!("{set}, side {side}: the spins differ after sweep {}", sweep + 1));
                }
            }
            let next: Vec<[u64; 8]> = fast.sources().iter().map(|source| source.lanes.clone().step()).collect();
            if next != plain.next_words() {
                return Err(format!("{set}, side {side}: another number of random words was used"));
            }
        }
    }
    Ok(format!("sides 4 to 250 on {}", names()))
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
    for side in [5, 40, 65, 128] {
        let torus = SquareTorus::new(side).map_err(sentence)?;
        let run = |set| {
            let mut bonds = SwendsenWang::with_instruction_set(set, torus, COUPLING, Start::Hot, SEED, 0).map_err(sentence)?;
            let mut single = Wolff::with_instruction_set(set, torus, COUPLING, Start::Hot, SEED, 0).map_err(sentence)?;
            for _ in 0..20 {
                bonds.sweep();
                single.sweep();
            }
            for (configuration, measured) in [(bonds.configuration(), bonds.measure()), (single.configuration(), single.measure())] {
                if configuration.energy() != measured.energy || configuration.magnetization() != measured.magnetization {
                    return Err(format!("{set}, side {side}: the measured energy or magnetization is not that of the spins"));
                }
            }
            Ok((bonds.configuration(), single.configuration()))
        };
        let portable = run(InstructionSet::PORTABLE)?;
        for set in InstructionSet::available() {
            if run(set)? != portable {
                return Err(format!("{set}, side {side}: other spins than the portable kernels"));
            }
        }
    }
    Ok(format!("sides 5 to 128 on {}", names()))
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
