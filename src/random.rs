//! Random streams. A stream belongs to (seed, purpose, index), where the index numbers a replica, a lattice block or a minibatch of the whole problem; it
//! never belongs to a rank or a thread. That is why a run gives the same bits on any machine.
//!
//! The generator is xoshiro256++ as `rand_xoshiro` defines it (Blackman and Vigna, ACM TOMS 47, 36 (2021)). Its 256-bit state is the BLAKE3 digest of the
//! triple, so that streams are unrelated even for neighbouring seeds; two of 2^64 streams share a state with probability below 2^-128.
//! [`LaneStream`] is eight such generators side by side for SIMD: lane l is the scalar stream after l jumps of 2^128 steps, so lanes never overlap.

mod normal;

use crate::kernels::generator::Lanes;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// What a stream is for. The numbers are part of the definition of every result: never change one, only add.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u64)]
pub enum Purpose {
    /// Hot starts of the samplers.
    InitialSpins = 1,
    /// Checkerboard Metropolis, multispin.
    Metropolis = 2,
    /// Swendsen-Wang bonds and cluster signs.
    SwendsenWang = 3,
    /// Wolff seeds and bonds.
    Wolff = 4,
    /// One-spin-at-a-time reference samplers.
    Reference = 5,
    /// First weights of a network.
    InitialWeights = 6,
    /// Order of the training data in each epoch.
    Shuffle = 7,
    /// Gibbs steps of a training minibatch.
    TrainingGibbs = 8,
    /// Sampled activations that feed the next layer.
    Activations = 9,
    /// Gibbs chains of a trained network.
    NetworkSampling = 10,
    /// Random ties and random controls of the renormalization analysis.
    Renormalization = 11,
    /// Annealed importance sampling.
    Annealing = 12,
    /// Self checks and benchmarks.
    Check = 13,
    /// Statistical resampling of the analysis.
    Resampling = 14,
    /// Persistent chains of a machine in training.
    PersistentChains = 15,
    /// The seed of the samplers that draw fresh training data.
    FreshData = 16,
    /// Hot starts and updates of 512 replicas of one coupling across the bits.
    Replicas = 20,
    /// Exchange of replicas between couplings.
    Exchange = 21,
    /// Checkerboard heat bath, multispin.
    HeatBath = 24,
}

fn state_of(seed: u64, purpose: Purpose, index: u64) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_derive_key("kadanoff random stream, version 1");
    for number in [seed, purpose as u64, index] {
        hasher.update(&number.to_le_bytes());
    }
    hasher.finalize().into()
}

/// A scalar stream of random numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    generator: Xoshiro256PlusPlus,
}

impl Stream {
    /// The stream of (seed, purpose, index), from its beginning.
    pub fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        Stream { generator: Xoshiro256PlusPlus::from_seed(state_of(seed, purpose, index)) }
    }

    /// A stream that goes on from the state of another.
    pub fn from_state(state: [u64; 4]) -> Self {
        let mut seed = [0; 32];
        seed.as_chunks_mut().0.iter_mut().zip(state).for_each(|(bytes, word)| *bytes = word.to_le_bytes());
        Stream { generator: Xoshiro256PlusPlus::from_seed(seed) }
    }

    /// The next 64 random bits.
    #[inline]
    pub fn word(&mut self) -> u64 {
        self.generator.next_u64()
    }

    /// Skips 2^128 words: from lane l of a [`LaneStream`] to lane l + 1.
    pub fn jump(&mut self) {
        self.generator.jump();
    }

    /// Uniform in [0, 1), a multiple of 2^-53.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        (self.word() >> 11) as f64 * (-53f64).exp2()
    }

    /// Uniform in 0..bound, without bias (Lemire, ACM TOMACS 29, 3 (2019)).
    ///
    /// # Panics
    /// If `bound` is 0.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a choice among nothing");
        let refused = bound.wrapping_neg() % bound;
        loop {
            let product = u128::from(self.word()) * u128::from(bound);
            if product as u64 >= refused {
                return (product >> 64) as u64;
            }
        }
    }

    /// A standard normal number: the quantile of a uniform one, an odd multiple of 2^-53 between 0 and 1. One word a call; the same bits on every machine.
    pub fn normal(&mut self) -> f64 {
        normal::quantile(((self.word() >> 12) as f64 + 0.5) * 2f64.powi(-52) - 0.5)
    }

    /// Shuffles a slice (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// Eight lanes of xoshiro256++, which the kernels advance together: one step gives 512 random bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneStream {
    /// The state, in the layout of the kernels.
    pub lanes: Lanes,
}

impl LaneStream {
    /// The lanes of (seed, purpose, index) from their beginning: lane l is [`Stream::new`] of the same triple after l jumps.
    pub fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        let mut state = [0; 4];
        state.iter_mut().zip(state_of(seed, purpose, index).as_chunks().0).for_each(|(word, bytes)| *word = u64::from_le_bytes(*bytes));
        let mut lanes = Lanes::zero();
        for lane in 0..Lanes::COUNT {
            lanes.set_lane(lane, state);
            state = jumped(state);
        }
        LaneStream { lanes }
    }

    /// Lanes that go on from the state of others.
    pub fn from_state(state: &[u64; LaneStream::STATE_WORDS]) -> Self {
        let mut lanes = Lanes::zero();
        for (lane, words) in state.as_chunks().0.iter().enumerate() {
            lanes.set_lane(lane, *words);
        }
        LaneStream { lanes }
    }

    /// The four state words of each lane, lane after lane, for checkpoints.
    pub fn state(&self) -> [u64; LaneStream::STATE_WORDS] {
        std::array::from_fn(|place| self.lanes.lane(place / 4)[place % 4])
    }

    /// The length of a state.
    pub const STATE_WORDS: usize = 4 * Lanes::COUNT;

    /// The next 512 bits, as eight words: word l comes from lane l.
    #[inline(always)]
    pub fn words(&mut self) -> [u64; Lanes::COUNT] {
        self.lanes.step()
    }
}

impl Stream {
    /// The four state words, for checkpoints and for the lanes of [`LaneStream`].
    pub fn state(&self) -> [u64; 4] {
        state_words(&self.generator)
    }
}

/// A state 2^128 steps later, as [`Stream::jump`] goes there; networks make thousands of streams an epoch, and the state of `rand_xoshiro` is slow to get at.
fn jumped(mut state: [u64; 4]) -> [u64; 4] {
    // The jump polynomial of xoshiro256 (Blackman and Vigna).
    const JUMP: [u64; 4] = [0x180e_c6d3_3cfd_0aba, 0xd5a6_1266_f0c9_392c, 0xa958_2618_e03f_c9aa, 0x39ab_dc45_29b1_661c];
    let mut sum = [0; 4];
    for word in JUMP {
        for bit in 0..u64::BITS {
            let chosen = (word >> bit & 1).wrapping_neg();
            sum.iter_mut().zip(state).for_each(|(sum, state)| *sum ^= state & chosen);
            let [s0, s1, s2, s3] = state;
            let (s2_new, s3_new) = (s2 ^ s0, s3 ^ s1);
            state = [s0 ^ s3_new, s1 ^ s2_new, s2_new ^ s1 << 17, s3_new.rotate_left(45)];
        }
    }
    sum
}

/// The state words of a generator. `rand_xoshiro` keeps them private and shows them through serde.
fn state_words(generator: &Xoshiro256PlusPlus) -> [u64; 4] {
    let value = serde_json::to_value(generator).expect("a generator is four integers");
    let word = |index: usize| value["s"][index].as_u64().expect("rand_xoshiro keeps its state as the four words `s`");
    [word(0), word(1), word(2), word(3)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_the_scalar_stream_with_jumps() {
        let mut lanes = LaneStream::new(14103831, Purpose::Check, 7);
        let mut scalar: Vec<Xoshiro256PlusPlus> = vec![Xoshiro256PlusPlus::from_seed(state_of(14103831, Purpose::Check, 7))];
        for lane in 1..Lanes::COUNT {
            let mut next = scalar[lane - 1].clone();
            next.jump();
            scalar.push(next);
        }
        for _ in 0..1000 {
            let words = lanes.words();
            for (lane, generator) in scalar.iter_mut().enumerate() {
                assert_eq!(words[lane], generator.next_u64());
            }
        }
    }

    #[test]
    fn streams_go_on_from_their_state() {
        let mut stream = Stream::new(7, Purpose::Check, 3);
        let mut lanes = LaneStream::new(7, Purpose::Check, 3);
        for _ in 0..10 {
            stream.word();
            lanes.words();
        }
        assert_eq!(Stream::from_state(stream.state()), stream);
        assert_eq!(LaneStream::from_state(&lanes.state()), lanes);
    }

    #[test]
    fn streams_differ_in_each_part_of_their_name() {
        let first = |seed, purpose, index| Stream::new(seed, purpose, index).word();
        let words = [
            first(1, Purpose::Metropolis, 0),
            first(2, Purpose::Metropolis, 0),
            first(1, Purpose::Wolff, 0),
            first(1, Purpose::Metropolis, 1),
        ];
        let distinct: std::collections::HashSet<u64> = words.into_iter().collect();
        assert_eq!(distinct.len(), words.len());
    }

    #[test]
    fn bounded_numbers_are_uniform() {
        // 10^6 draws over 6 values: chi-squared with 5 degrees of freedom, 99.99 % below 25.7.
        let mut stream = Stream::new(5, Purpose::Check, 0);
        let mut counts = [0f64; 6];
        for _ in 0..1_000_000 {
            counts[stream.below(6) as usize] += 1.0;
        }
        let expected = 1e6 / 6.0;
        let chi_squared: f64 = counts.iter().map(|count| (count - expected).powi(2) / expected).sum();
        assert!(chi_squared < 25.7, "chi squared {chi_squared}");
    }
}
