//! The rules of Metropolis and of the heat bath for two and for six neighbours, 512 spins at a time.
//!
//! **Six neighbours.** A spin with n unsatisfied bonds flips by Metropolis's rule with probability min(1, e^(-K dE)), dE = 12 - 4n: always for n >= 3, else with p_n = e^(-(12 - 4n) K).
//! Its first bit A is set with probability p_0, its second bit B with (p_1 - p_0) / (1 - p_0), its third bit C with (p_2 - p_1) / (1 - p_1), and it flips if n >= 3, or A, or B and
//! n >= 1, or C and n = 2: so with one unsatisfied bond the probability is that of A or B, p_1, and with two that of A or B or C, p_2. In the heat bath the new spin goes
//! against the majority of its neighbours with probability q_h = 1 / (1 + e^(2Kh)) if the larger party has h = 6, 4 or 2 more than the other; with three and three a fair bit
//! decides. The bits are nested in the same way: A with q_6, A or B with q_4, A or B or C with q_2.
//!
//! **Two neighbours.** The heat bath goes against two equal neighbours with probability 1 / (1 + e^(4K)), and a fair bit decides between unequal ones. Metropolis's rule flips a
//! spin with no unsatisfied bond with probability e^(-4K), and one with two always; a flip that costs nothing is made with probability 1/2. Any number there leaves Boltzmann's
//! law as it is, but the usual 1 would not do on a checkerboard: domain walls would then move on and on in the direction they started, and the number of those that go one way
//! less those that go the other, which a flip changes by none, would never change.

use super::super::InstructionSet;
use super::super::byte_law::ByteLaw;
use super::super::fixed_point::Probability;
use super::super::replicas::Word;
use super::super::vector::{Halves, Vector};
#[cfg(target_arch = "x86_64")]
use super::super::{Chosen, dispatch, pair::Pair, vector::Register};
use super::{LAWS, Planes, Rule, Source, update};

/// Metropolis with six neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CubicMetropolis;
/// The heat bath with six neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CubicHeatBath;
/// Metropolis with two neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainMetropolis;
/// The heat bath with two neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainHeatBath;

/// The laws of bits such that the first is set with the first probability, the first or the second with the second, and so on; the probabilities ascend.
fn nested(probabilities: [Probability; 3]) -> Vec<ByteLaw> {
    let [first, second, third] = probabilities;
    let second = second.max(first);
    let third = third.max(second);
    [first, second.given_not(first), third.given_not(second)].map(ByteLaw::new).to_vec()
}

/// How many of six bits are set: the sums and the carries of two groups of three, of weight 1, 1, 2 and 2.
struct Six<V> {
    sums: [V; 2],
    carries: [V; 2],
}

impl<V: Vector> Six<V> {
    #[inline(always)]
    fn of([a, b, c, d, e, f]: [V; 6]) -> Self {
        let (first, second) = (a.full_adder(b, c), d.full_adder(e, f));
        Six { sums: [first.0, second.0], carries: [first.1, second.1] }
    }
    #[inline(always)]
    fn any(&self) -> V {
        self.sums[0] | self.sums[1] | self.carries[0] | self.carries[1]
    }
    #[inline(always)]
    fn two_or_more(&self) -> V {
        self.carries[0] | self.carries[1] | (self.sums[0] & self.sums[1])
    }
    #[inline(always)]
    fn three_or_more(&self) -> V {
        (self.carries[0] & self.carries[1]) | ((self.carries[0] | self.carries[1]) & (self.sums[0] | self.sums[1]))
    }
    #[inline(always)]
    fn four_or_more(&self) -> V {
        (self.carries[0] & self.carries[1]) | ((self.carries[0] | self.carries[1]) & self.sums[0] & self.sums[1])
    }
    #[inline(always)]
    fn all(&self) -> V {
        self.sums[0] & self.sums[1] & self.carries[0] & self.carries[1]
    }
    #[inline(always)]
    fn odd(&self) -> V {
        self.sums[0] ^ self.sums[1]
    }
}

impl Rule for CubicMetropolis {
    const DIMENSION: usize = 3;
    const LAWS: usize = 3;
    const FAIR: bool = false;

    fn laws(coupling: f64) -> Vec<ByteLaw> {
        nested([12.0, 8.0, 4.0].map(|factor| Probability::decay(factor * coupling)))
    }

    #[inline(always)]
    fn new_spins<V: Vector>(spins: V, mut neighbours: [V; 6], [first, second, third]: [V; LAWS], _fair: V) -> V {
        // No closures: they do not have the instructions.
        for neighbour in &mut neighbours {
            *neighbour ^= spins;
        }
        let unsatisfied = Six::of(neighbours);
        spins ^ (unsatisfied.three_or_more() | first | (unsatisfied.any() & second) | (unsatisfied.two_or_more() & third))
    }

    on_every_instruction_set!(CubicMetropolis);
}

impl Rule for CubicHeatBath {
    const DIMENSION: usize = 3;
    const LAWS: usize = 3;
    const FAIR: bool = true;

    fn laws(coupling: f64) -> Vec<ByteLaw> {
        nested([12.0, 8.0, 4.0].map(|factor| Probability::decay(factor * coupling).share()))
    }

    #[inline(always)]
    fn new_spins<V: Vector>(_spins: V, neighbours: [V; 6], [first, second, third]: [V; LAWS], fair: V) -> V {
        let up = Six::of(neighbours);
        let extreme = up.all() | !up.any();
        let three = up.odd() & (up.carries[0] ^ up.carries[1]);
        // None or six: extreme. One or five: neither extreme nor even. Two or four: even and not extreme.
        let against = first | (!extreme & (second | (!up.odd() & third)));
        (up.four_or_more() | (three & fair)) ^ (!three & against)
    }

    on_every_instruction_set!(CubicHeatBath);
}

impl Rule for ChainMetropolis {
    const DIMENSION: usize = 1;
    const LAWS: usize = 1;
    const FAIR: bool = true;

    fn laws(coupling: f64) -> Vec<ByteLaw> {
        vec![ByteLaw::new(Probability::decay(4.0 * coupling))]
    }

    #[inline(always)]
    fn new_spins<V: Vector>(spins: V, [left, right, ..]: [V; 6], [first, ..]: [V; LAWS], fair: V) -> V {
        let (one, other) = (left ^ spins, right ^ spins);
        spins ^ ((one & other) | ((one ^ other) & fair) | (!(one | other) & first))
    }

    on_every_instruction_set!(ChainMetropolis);
}

impl Rule for ChainHeatBath {
    const DIMENSION: usize = 1;
    const LAWS: usize = 1;
    const FAIR: bool = true;

    fn laws(coupling: f64) -> Vec<ByteLaw> {
        vec![ByteLaw::new(Probability::decay(4.0 * coupling).share())]
    }

    #[inline(always)]
    fn new_spins<V: Vector>(_spins: V, [left, right, ..]: [V; 6], [first, ..]: [V; LAWS], fair: V) -> V {
        let unequal = left ^ right;
        (unequal & fair) | (!unequal & (left ^ first))
    }

    on_every_instruction_set!(ChainHeatBath);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(bit: usize) -> [Halves; 2] {
        let word = |high: u64| (0..64).fold(0, |word, state| word | ((state as u64 | high << 6) >> bit & 1) << state);
        [0, 1].map(|high| Halves::from_block([word(high), 0, 0, 0, 0, 0, 0, 0]))
    }

    /// All 128 states of a spin and six neighbours with all eight triples of bits and both fair bits, against the rules in words.
    #[test]
    fn spins_move_as_the_rules_say() {
        for bits in 0..16u64 {
            let drawn = [0, 1, 2].map(|bit| Halves::splat((bits >> bit & 1).wrapping_neg()));
            let fair = Halves::splat((bits >> 3 & 1).wrapping_neg());
            let [a, b, c, fair_bit] = [0, 1, 2, 3].map(|bit| bits >> bit & 1 == 1);
            for half in 0..2usize {
                let of = |bit: usize| plane(bit)[half];
                let neighbours = [of(1), of(2), of(3), of(4), of(5), of(6)];
                let found = [
                    CubicMetropolis::new_spins(of(0), neighbours, drawn, fair),
                    CubicHeatBath::new_spins(of(0), neighbours, drawn, fair),
                    ChainMetropolis::new_spins(of(0), neighbours, drawn, fair),
                    ChainHeatBath::new_spins(of(0), neighbours, drawn, fair),
                ]
                .map(|new| new.to_block()[0]);
                for low in 0..64u64 {
                    let state = low | (half as u64) << 6;
                    let spin = state & 1 == 1;
                    let up = (state >> 1).count_ones();
                    let unsatisfied = if spin { 6 - up } else { up };
                    let flips = match unsatisfied {
                        0 => a,
                        1 => a || b,
                        2 => a || b || c,
                        _ => true,
                    };
                    let bath = match up {
                        0 => a,
                        1 => a || b,
                        2 => a || b || c,
                        3 => fair_bit,
                        4 => !(a || b || c),
                        5 => !(a || b),
                        _ => !a,
                    };
                    let pair = (state >> 1 & 1) + (state >> 2 & 1);
                    let chain_flips = match if spin { 2 - pair } else { pair } {
                        0 => a,
                        1 => fair_bit,
                        _ => true,
                    };
                    let chain_bath = match pair {
                        0 => a,
                        1 => fair_bit,
                        _ => !a,
                    };
                    let expected = [spin ^ flips, bath, spin ^ chain_flips, chain_bath];
                    for (rule, (found, expected)) in found.into_iter().zip(expected).enumerate() {
                        assert_eq!(found >> low & 1 == 1, expected, "rule {rule}, state {state:07b}, bits {bits:04b}");
                    }
                }
            }
        }
    }

    #[test]
    fn nested_probabilities_are_those_of_boltzmann() {
        for coupling in [0.0, 1e-9, 0.2216, 1.0, 30.0, 1e3] {
            let [first, second, third] = [12.0, 8.0, 4.0].map(|factor| Probability::decay(factor * coupling));
            let [rest, last] = [second.max(first).given_not(first), third.max(second).given_not(second)];
            let one = first.value() + (1.0 - first.value()) * rest.value();
            let two = one + (1.0 - one) * last.value();
            assert!((one - (-8.0 * coupling).exp()).abs() < 1e-15 && (two - (-4.0 * coupling).exp()).abs() < 1e-15, "K = {coupling}");
        }
    }
}
