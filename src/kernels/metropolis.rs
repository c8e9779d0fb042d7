//! The rule of Metropolis (Metropolis et al., J. Chem. Phys. 21, 1087 (1953)) for 512 spins at a time. Random bits and their order: [`super::local_update`].
//!
//! A spin with n unsatisfied bonds flips with probability min(1, e^(-K dE)), dE = 8 - 4n: always for n >= 2, with p_1 = e^(-4K) for n = 1 and p_0 = e^(-8K)
//! for n = 0. Its first bit A is set with probability p_0, its second bit B with (p_1 - p_0) / (1 - p_0), and it flips if n >= 2, or A, or B and n >= 1: with
//! one unsatisfied bond that is A or B, of probability p_0 + (1 - p_0) (p_1 - p_0) / (1 - p_0) = p_1. So the probabilities are exact to 2^-64, whatever the
//! coupling: those of [`super::fixed_point`] and of the laws built from them.

use super::InstructionSet;
use super::byte_law::ByteLaw;
use super::checkerboard::{Masks, Rows};
use super::fixed_point::Probability;
use super::local_update::{Ahead, Laws, Rule, Source, on_every_instruction_set, update};
use super::vector::{Halves, Vector};
#[cfg(target_arch = "x86_64")]
use super::{Chosen, dispatch, pair::Pair, vector::Register};

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metropolis;

/// The probabilities of the two costly flips at a coupling: of a spin without unsatisfied bonds, and of one that has a single one and does not flip as if it
/// had none.
pub fn probabilities(coupling: f64) -> [Probability; 2] {
    let [none, single] = [8.0, 4.0].map(|factor| Probability::decay(factor * coupling));
    // Where the exponentials are as good as equal, their last digit may say otherwise.
    [none, single.max(none).given_not(none)]
}

impl Rule for Metropolis {
    const FAIR: bool = false;

    fn laws(coupling: f64) -> Laws {
        Laws(probabilities(coupling).map(ByteLaw::new))
    }

    #[inline(always)]
    fn new_spins<V: Vector>(spins: V, neighbours: [V; 4], [any, single]: [V; 2], _fair: V) -> V {
        let [above, same, below, side] = neighbours;
        let (odd, majority) = above.full_adder(same, below);
        // With o, m and f for the odd bit and the majority of three bonds and the fourth bond, unsatisfied = 1: the flip is m | (o & f) | any | (single & (o | f)), where
        // (o & f) | (single & (o | f)) is a majority again; and a majority changes sign with its bits, so that the spin enters once.
        let fourth = odd.majority(side, single ^ spins);
        spins ^ ((majority ^ spins) | (fourth ^ spins) | any)
    }

    on_every_instruction_set!(Metropolis);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All 32 states of a spin and its neighbours with all four pairs of bits, one in each slot, against the rule in words.
    #[test]
    fn spins_flip_as_the_rule_says() {
        let plane = |bit: usize| {
            Halves::from_block([(0..64).fold(0, |word, state| word | (state as u64 >> bit & 1) << state), 0, 0, 0, 0, 0, 0, 0])
        };
        for bits in 0..4u64 {
            let [any, single] = [0, 1].map(|bit| Halves::splat((bits >> bit & 1).wrapping_neg()));
            let neighbours = [plane(1), plane(2), plane(3), plane(4)];
            let new = Metropolis::new_spins(plane(0), neighbours, [any, single], Halves::splat(0)).to_block()[0];
            for state in 0..32u64 {
                let unsatisfied = (1..5).filter(|bit| state >> bit & 1 != state & 1).count();
                let flips = unsatisfied >= 2 || bits & 1 == 1 || (unsatisfied == 1 && bits >> 1 == 1);
                assert_eq!(new >> state & 1, state & 1 ^ u64::from(flips), "state {state:05b}, bits {bits:02b}");
            }
        }
    }

    #[test]
    fn probabilities_are_those_of_boltzmann() {
        for coupling in [0.0, 1e-9, 0.2, 0.44, 1.0, 30.0, 1e3] {
            let [none, rest] = probabilities(coupling);
            assert!((none.value() - (-8.0 * coupling).exp()).abs() < 1e-16);
            let single = none.value() + (1.0 - none.value()) * rest.value();
            assert!((single - (-4.0 * coupling).exp()).abs() < 1e-15, "K = {coupling}");
        }
    }
}
