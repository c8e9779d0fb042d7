//! One definition, three sets of instructions: the portable code, AVX2 and AVX-512 give the same spins, the same next random words and the same waiting bytes after every sweep, for
//! every algorithm and both layouts. What is compared is the snapshot of a chain: its spins and the whole state of its random numbers.
//!
//! Sides with rows shorter than a word, of whole words, and with an end inside a word; 1000 sweeps of each with `KADANOFF_LONG=1`, fewer by default where lattices are large.
//! The unit tests hold the same chains against samplers that move one spin at a time.

use kadanoff::kernels::InstructionSet;
use kadanoff::lattice::SquareTorus;
use kadanoff::sampler::tempering::Ladders;
use kadanoff::sampler::{HeatBath, Metropolis, Sampler, Start, SwendsenWang, Wolff};

const SEED: u64 = 14103831;
const SIDES: [usize; 10] = [4, 6, 30, 64, 100, 126, 128, 130, 1000, 1022];

fn torus(side: usize) -> SquareTorus {
    SquareTorus::new(side).expect("a valid side")
}

/// How many sweeps: `spins` altogether by default, 1000 at most.
fn sweeps(side: usize, spins: usize) -> usize {
    if std::env::var_os("KADANOFF_LONG").is_some() { 1000 } else { (spins / (side * side)).clamp(2, 1000) }
}

/// Runs the chain on each set and compares after every sweep.
fn agree(name: &str, spins: usize, make: impl Fn(InstructionSet, SquareTorus, f64, Start) -> Box<dyn Sampler>) {
    for side in SIDES {
        for (coupling, start) in [(0.44, Start::Hot), (0.15, Start::Cold)] {
            let mut portable = make(InstructionSet::PORTABLE, torus(side), coupling, start);
            let mut others: Vec<_> = InstructionSet::available()
                .into_iter()
                .filter(|set| *set != InstructionSet::PORTABLE)
                .map(|set| (set, make(set, torus(side), coupling, start)))
                .collect();
            for sweep in 0..sweeps(side, spins) {
                let work = portable.sweep();
                let snapshot = portable.snapshot();
                for (set, other) in &mut others {
                    let place = format!("{name}, {set}, side {side}, K = {coupling}, sweep {sweep}");
                    assert_eq!(other.sweep(), work, "{place}");
                    // Not assert_eq: nobody wants to read a million spins.
                    assert!(other.snapshot() == snapshot, "{place}");
                }
                if sweep % 100 == 0 {
                    let measurement = portable.measure();
                    assert!(others.iter().all(|(_, other)| other.measure() == measurement), "{name}, side {side}, sweep {sweep}");
                }
            }
        }
    }
}

#[test]
fn metropolis_agrees() {
    agree("metropolis", 40_000_000, |set, torus, coupling, start| {
        Box::new(Metropolis::new(torus, coupling, start, SEED, 0).expect("a fit lattice").with_instruction_set(set))
    });
}

#[test]
fn heat_bath_agrees() {
    agree("heat bath", 40_000_000, |set, torus, coupling, start| {
        Box::new(HeatBath::new(torus, coupling, start, SEED, 0).expect("a fit lattice").with_instruction_set(set))
    });
}

#[test]
fn swendsen_wang_agrees() {
    agree("swendsen-wang", 10_000_000, |set, torus, coupling, start| {
        Box::new(SwendsenWang::with_instruction_set(set, torus, coupling, start, SEED, 0).expect("a fit lattice"))
    });
}

#[test]
fn wolff_agrees() {
    agree("wolff", 10_000_000, |set, torus, coupling, start| {
        Box::new(Wolff::with_instruction_set(set, torus, coupling, start, SEED, 0).expect("a fit lattice"))
    });
}

/// 512 replicas of each of three couplings that exchange them, at the sides that this layout takes.
#[test]
fn tempered_replicas_agree() {
    for side in SIDES.into_iter().filter(|&side| side <= 512) {
        let make = |set| {
            let couplings = [(0.40, 7), (0.43, 8), (0.48, 9)];
            let mut ladders =
                Ladders::new(torus(side), &couplings, Start::Cold, SEED, 2, 500, 1).expect("a fit lattice").with_instruction_set(set);
            ladders.end_thermalization();
            ladders
        };
        let mut portable = make(InstructionSet::PORTABLE);
        let mut others: Vec<_> =
            InstructionSet::available().into_iter().filter(|set| *set != InstructionSet::PORTABLE).map(|set| (set, make(set))).collect();
        let count = sweeps(side, 400_000);
        for sweep in 0..count {
            portable.sweep();
            others.iter_mut().for_each(|(_, ladders)| {
                ladders.sweep();
            });
            // A large snapshot costs more than a sweep.
            if side <= 30 || sweep % 20 == 0 || sweep + 1 == count {
                let snapshot = portable.snapshot();
                for (set, ladders) in &others {
                    assert!(ladders.snapshot() == snapshot, "{set}, side {side}, sweep {sweep}");
                }
            }
        }
    }
}

/// What is compared has every state word, every waiting byte and every spin in it: a snapshot that was changed in one bit stays another one after a sweep.
#[test]
fn a_difference_of_one_bit_is_seen() {
    let chain = || {
        let mut chain = Metropolis::new(torus(30), 0.44, Start::Hot, SEED, 0).expect("a fit lattice");
        (0..10).for_each(|_| {
            chain.sweep();
        });
        chain
    };
    let mut right = chain();
    let words = right.snapshot();
    right.sweep();
    // The first and the last state word of the lanes, and a spin in the middle of the lattice.
    for place in [0, 31, words.len() - 10] {
        let mut damaged = words.clone();
        damaged[place] ^= 2;
        let mut other = chain();
        other.restore(&damaged).expect("a state of such a chain");
        assert!(other.snapshot() == damaged, "word {place}");
        other.sweep();
        assert!(other.snapshot() != right.snapshot(), "word {place}");
    }
}
