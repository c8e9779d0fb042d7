//! The heat bath (Glauber, J. Math. Phys. 4, 294 (1963)) for 512 spins at a time. Random bits and their order: [`super::local_update`].
//!
//! The new spin does not depend on the old one: it is +1 with probability 1 / (1 + e^(-2Kh)), where h is the sum of the four neighbours. Against the
//! majority of its neighbours it goes with probability q_4 = 1 / (1 + e^(8K)) if all four agree and q_2 = 1 / (1 + e^(4K)) if three do; where they are two and
//! two a fair bit decides. The first bit A is set with probability q_4, the second bit B with (q_2 - q_4) / (1 - q_4): so A or B has probability q_2.

use super::InstructionSet;
use super::byte_law::ByteLaw;
use super::checkerboard::{Masks, Rows, unsatisfied};
use super::fixed_point::Probability;
use super::local_update::{Ahead, Laws, Rule, Source, on_every_instruction_set, update};
use super::vector::{Halves, Vector};
#[cfg(target_arch = "x86_64")]
use super::{Chosen, dispatch, pair::Pair, vector::Register};

/// The rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeatBath;

/// The probabilities of a spin against four neighbours that agree, and of one against three of four that would not go against four.
pub fn probabilities(coupling: f64) -> [Probability; 2] {
    let [four, two] = [8.0, 4.0].map(|factor| Probability::decay(factor * coupling).share());
    [four, two.max(four).given_not(four)]
}

impl Rule for HeatBath {
    const FAIR: bool = true;

    fn laws(coupling: f64) -> Laws {
        Laws(probabilities(coupling).map(ByteLaw::new))
    }

    #[inline(always)]
    fn new_spins<V: Vector>(_spins: V, neighbours: [V; 4], [against_four, against_three]: [V; 2], fair: V) -> V {
        // Bonds that a spin down would not satisfy: the neighbours that are up.
        let up = unsatisfied(V::splat(0), neighbours);
        let odd = up.sum ^ up.fourth;
        // One or three up: the carry is the majority. None or four: so is it. Two: sum and carry differ.
        let two = !odd & (up.sum ^ up.carry);
        let decided = up.carry ^ (against_four | (odd & against_three));
        decided ^ (two & (decided ^ fair))
    }

    on_every_instruction_set!(HeatBath);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All 16 states of the neighbours with all bits, one in each slot, against the rule in words.
    #[test]
    fn spins_follow_their_neighbours_as_the_rule_says() {
        let plane = |bit: usize| {
            Halves::from_block([(0..64).fold(0, |word, state| word | (state as u64 >> bit & 1) << state), 0, 0, 0, 0, 0, 0, 0])
        };
        for bits in 0..8u64 {
            let [four, three, fair] = [0, 1, 2].map(|bit| Halves::splat((bits >> bit & 1).wrapping_neg()));
            let new = HeatBath::new_spins(plane(5), [plane(0), plane(1), plane(2), plane(3)], [four, three], fair).to_block()[0];
            for state in 0..64u64 {
                let against = bits & 1 == 1;
                let expected = match (state & 15).count_ones() {
                    0 => against,
                    1 => against || bits >> 1 & 1 == 1,
                    2 => bits >> 2 == 1,
                    3 => !(against || bits >> 1 & 1 == 1),
                    _ => !against,
                };
                assert_eq!(new >> state & 1 == 1, expected, "state {state:06b}, bits {bits:03b}");
            }
        }
    }

    #[test]
    fn probabilities_are_those_of_the_bath() {
        for coupling in [0.0, 1e-9, 0.2, 0.44, 1.0, 30.0, 1e3] {
            let [four, rest] = probabilities(coupling);
            assert!((four.value() - 1.0 / (1.0 + (8.0 * coupling).exp())).abs() < 1e-15);
            let three = four.value() + (1.0 - four.value()) * rest.value();
            assert!((three - 1.0 / (1.0 + (4.0 * coupling).exp())).abs() < 1e-15, "K = {coupling}");
        }
    }
}
