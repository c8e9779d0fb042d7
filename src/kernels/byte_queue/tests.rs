//! The drawing against the same definition written byte by byte, and its bits against the law.

use super::super::fixed_point::Probability;
use super::super::generator::Lanes;
use super::super::vector::{BLOCK, Halves};
use super::super::{InstructionSet, dispatch};
use super::*;
use crate::random::{LaneStream, Purpose, Stream};
use statrs::distribution::{ChiSquared, ContinuousCDF};
use std::collections::VecDeque;

#[inline(always)]
fn draw<V: Bytes>(law: &ByteLaw, queue: &mut ByteQueue, lanes: &mut Lanes, words: &mut [u64]) {
    let mut generator = Generator::<V>::new(lanes);
    let mut blocks = [V::splat(0); GROUP];
    for group in words.chunks_mut(GROUP * BLOCK) {
        let blocks = &mut blocks[..group.len() / BLOCK];
        queue.fill(law, &mut generator, blocks);
        blocks.iter().enumerate().for_each(|(place, block)| block.store(group, place * BLOCK));
    }
    *lanes = generator.lanes();
}

#[cfg(target_arch = "x86_64")]
dispatch! {
    fn draw_register(law: &ByteLaw, queue: &mut ByteQueue, lanes: &mut Lanes, words: &mut [u64]) = draw::<super::super::vector::Register>;
}
#[cfg(target_arch = "x86_64")]
dispatch! {
    fn draw_pair(law: &ByteLaw, queue: &mut ByteQueue, lanes: &mut Lanes, words: &mut [u64]) = draw::<super::super::pair::Pair>;
}

fn draw_on(set: InstructionSet, law: &ByteLaw, queue: &mut ByteQueue, lanes: &mut Lanes, words: &mut [u64]) {
    match set.name() {
        #[cfg(target_arch = "x86_64")]
        "avx512" => draw_register(set, law, queue, lanes, words),
        #[cfg(target_arch = "x86_64")]
        "avx2" => draw_pair(set, law, queue, lanes, words),
        _ => draw::<Halves>(law, queue, lanes, words),
    }
}

/// The definition at the top of the module, one byte at a time, on eight scalar streams.
struct Plain {
    lanes: Vec<Stream>,
    queue: VecDeque<u8>,
}

impl Plain {
    fn step(&mut self) -> Vec<u64> {
        self.lanes.iter_mut().map(Stream::word).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.step().into_iter().flat_map(u64::to_le_bytes).collect()
    }

    fn pairs(&mut self) -> Vec<(u8, u8)> {
        let columns = self.bytes();
        columns.into_iter().zip(self.bytes()).collect()
    }

    fn group(&mut self, law: &ByteLaw, blocks: usize) -> Vec<u8> {
        if self.queue.len() < LOW {
            let mut added: Vec<u8> = Vec::new();
            while self.queue.len() + added.len() < FULL {
                added.extend(self.pairs().into_iter().map(|pair| shared(pair, &law.second)));
            }
            let mut words = VecDeque::new();
            for byte in added.iter_mut().filter(|byte| **byte == law.second_marker) {
                if words.is_empty() {
                    words = self.step().into();
                }
                *byte = law.third.look_up(words.pop_front().unwrap());
            }
            self.queue.extend(added);
        }
        let mut group = Vec::new();
        for _ in 0..blocks {
            let drawn: Vec<u8> = match &law.first {
                First::Columns(columns) => self.bytes().into_iter().map(|byte| columns.0[usize::from(byte) % 128]).collect(),
                First::Alias(alias) => self.pairs().into_iter().map(|pair| shared(pair, alias)).collect(),
            };
            group.extend(drawn.into_iter().map(|byte| if byte == law.marker { self.queue.pop_front().unwrap() } else { byte }));
        }
        group
    }
}

fn shared((column, chance): (u8, u8), alias: &super::super::byte_law::Alias) -> u8 {
    let place = usize::from(column);
    if chance < alias.chances[place] { column } else { alias.others[place] }
}

/// Probabilities of both kinds of level 1, and of certain bits.
const PROBABILITIES: [f64; 9] = [0.0, 1e-4, 0.029_437_251, 0.146_446_609, 0.4, 0.5, 0.77, 0.99, 1.0];

#[test]
fn every_instruction_set_follows_the_definition() {
    for probability in PROBABILITIES {
        let law = ByteLaw::new(Probability::new(probability));
        let start = LaneStream::new(5, Purpose::Check, 61);
        let mut lanes = vec![Stream::from_state(start.lanes.lane(0))];
        (1..8).for_each(|lane| lanes.push(Stream::from_state(start.lanes.lane(lane))));
        let mut plain = Plain { lanes, queue: VecDeque::new() };
        let sets = InstructionSet::available();
        let mut states: Vec<_> = sets.iter().map(|_| (ByteQueue::new(), start.lanes)).collect();
        for group in 0..300 {
            let blocks = 1 + group % GROUP;
            let expected = plain.group(&law, blocks);
            let next = plain.lanes.iter().map(|lane| lane.clone().word()).collect::<Vec<u64>>();
            for (&set, (queue, lanes)) in sets.iter().zip(&mut states) {
                let mut words = vec![0; blocks * BLOCK];
                draw_on(set, &law, queue, lanes, &mut words);
                let found: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
                assert_eq!(found, expected, "{set}, p = {probability}, group {group}");
                assert_eq!(lanes.clone().step().to_vec(), next, "{set}, p = {probability}, group {group}");
                // What was saved goes on like what was not.
                let words = queue.words();
                assert!(words.len() <= ByteQueue::MOST_WORDS);
                let (again, used) = ByteQueue::from_words(&[words.as_slice(), &[7]].concat()).unwrap();
                assert_eq!((&again, used), (&*queue, words.len()));
                assert_eq!(words[0] as usize, plain.queue.len());
                *queue = again;
            }
        }
    }
}

#[test]
fn words_that_are_no_queue_are_refused() {
    let longest = vec![(FULL + BYTES) as u64; 400];
    for words in [&[][..], &[9, 0], &[u64::MAX, 0], &longest] {
        assert!(ByteQueue::from_words(words).is_none(), "{words:?}");
    }
}

/// Counts of the 256 bytes, and of how many bits are set in both of two bytes of a block, over `groups` groups.
struct Counts {
    bytes: Vec<f64>,
    /// By bit and bit inside a byte, by byte and next byte, by byte of a block and of the next block, by lane and next lane: pairs of set bits.
    pairs: [f64; 4],
    /// How many pairs were looked at of each kind.
    looks: [f64; 4],
}

fn count(law: &ByteLaw, groups: usize, index: u64) -> Counts {
    let mut stream = LaneStream::new(14103831, Purpose::Check, index);
    let mut queue = ByteQueue::new();
    let mut counts = Counts { bytes: vec![0.0; 256], pairs: [0.0; 4], looks: [0.0; 4] };
    let mut words = vec![0u64; GROUP * BLOCK];
    for _ in 0..groups {
        draw_on(InstructionSet::chosen(), law, &mut queue, &mut stream.lanes, &mut words);
        for (place, &word) in words.iter().enumerate() {
            word.to_le_bytes().into_iter().for_each(|byte| counts.bytes[usize::from(byte)] += 1.0);
            let mut pair = |kind: usize, other: u64, bits: f64| {
                counts.pairs[kind] += f64::from((word & other).count_ones());
                counts.looks[kind] += bits;
            };
            // Bit b with bit b + 1 mod 8 of its byte; with the same bit of the next byte; of the next block; of the next lane.
            pair(0, word >> 1 & 0x7F7F_7F7F_7F7F_7F7F | word << 7 & 0x8080_8080_8080_8080, 64.0);
            pair(1, word.rotate_right(8), 64.0);
            if let Some(&other) = words.get(place + BLOCK) {
                pair(2, other, 64.0);
            }
            pair(3, words[place ^ 1], 64.0);
        }
    }
    counts
}

/// The probability that the right law gives a worse chi-squared of the 256 counts; values expected fewer than ten times are taken together.
fn chi_squared_of(counts: &Counts, probability: f64) -> f64 {
    let total: f64 = counts.bytes.iter().sum();
    let (mut sum, mut cells, mut rare) = (0.0, 0.0, (0.0, 0.0));
    for (byte, &seen) in counts.bytes.iter().enumerate() {
        let ones = byte.count_ones() as i32;
        let expected = total * probability.powi(ones) * (1.0 - probability).powi(8 - ones);
        if expected < 10.0 {
            rare = (rare.0 + seen, rare.1 + expected);
        } else {
            sum += (seen - expected).powi(2) / expected;
            cells += 1.0;
        }
    }
    if rare.1 > 1.0 {
        sum += (rare.0 - rare.1).powi(2) / rare.1;
        cells += 1.0;
    }
    ChiSquared::new(cells - 1.0).expect("at least two cells").sf(sum)
}

/// 2 10^7 bytes for each of six probabilities (ten times that with `KADANOFF_LONG`). Power: a bit whose probability is off by 2e-5 of 1/2 has 6 standard deviations, and a level that
/// is wrong in one of 128 columns far more (the mutant).
#[test]
fn bytes_have_the_law_and_bits_are_independent() {
    let groups = if std::env::var_os("KADANOFF_LONG").is_some() { 200_000 } else { 20_000 };
    for (index, probability) in [0.002, 0.029_437_251, 0.146_446_609, 0.3, 0.5, 0.9].into_iter().enumerate() {
        let law = ByteLaw::new(Probability::new(probability));
        let counts = count(&law, groups, 70 + index as u64);
        let p = chi_squared_of(&counts, probability);
        assert!((1e-4..1.0 - 1e-4).contains(&p), "bit probability {probability}: p = {p}");
        for (kind, (&pairs, &looks)) in counts.pairs.iter().zip(&counts.looks).enumerate() {
            // Set pairs: mean p^2; their variance counts that a bit is in two pairs of a kind (kind 3 counts each pair twice).
            let square = probability * probability;
            let variance = match kind {
                3 => 2.0 * square * (1.0 - square),
                _ => square * (1.0 - square) + 2.0 * (square * probability - square * square),
            };
            let deviation = (pairs - looks * square) / (looks * variance).sqrt();
            assert!(deviation.abs() < 4.5, "bit probability {probability}: pairs of kind {kind} deviate by {deviation} standard errors");
        }
    }
}

#[test]
fn wrong_tables_are_noticed() {
    let (probability, groups) = (0.146_446_609, 2_000);
    let right = ByteLaw::new(Probability::new(probability));
    let refused = |law: &ByteLaw, what: &str| {
        let p = chi_squared_of(&count(law, groups, 80), probability);
        assert!(p < 1e-6, "{what} goes unnoticed: p = {p}");
    };
    assert!(chi_squared_of(&count(&right, groups, 80), probability) > 1e-4);
    let mut wrong = right.clone();
    if let First::Columns(columns) = &mut wrong.first {
        columns.0[127] = 0;
    }
    refused(&wrong, "one column of level 1 that holds another byte");
    let mut wrong = right.clone();
    wrong.second.chances = [0; 256];
    refused(&wrong, "a level 2 that only gives the second value of each column");
    refused(&ByteLaw::new(Probability::new(1.01 * probability)), "one hundredth more");
}
