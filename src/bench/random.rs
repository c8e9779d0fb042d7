//! The speed of random bits: the lane generator, and words of bits that are set with a given probability; each in turn with one scalar stream that gives as many bits.

use super::{Contender, Row, Subject, Unit, row_against};
use crate::error::{Error, Result};
use crate::kernels::generator::Lanes;
use crate::kernels::{InstructionSet, bernoulli};
use crate::random::{LaneStream, Purpose, Stream};

/// Words that are filled again and again: 16 KiB, in the nearest cache.
const WORDS: usize = 2048;
/// Fills of a turn between two looks at the clock.
const FILLS: usize = 16;
/// The bits of bonds at the critical coupling, and rare ones.
const PROBABILITIES: [f64; 2] = [0.585_786_437_626_905, 0.03];

fn words_of(stream: &mut LaneStream, words: &mut [u64]) {
    bernoulli::fill_uniform(InstructionSet::chosen(), &mut stream.lanes, words);
}

/// Nanoseconds for 512 bits and gigabytes a second of the generator; nanoseconds for 512 bits of a given probability. One thread.
pub fn rows() -> Result<Vec<Row>> {
    let fair = [Unit::NanosecondsPerWork("ns/512 bits"), Unit::WorkPerNanosecond("GB/s")].into_iter().map(uniform);
    fair.chain(PROBABILITIES.into_iter().map(bernoulli_row)).collect()
}

/// What is timed is verified: the last words that were made are those of eight scalar streams.
fn uniform(unit: Unit) -> Result<Row> {
    let start = LaneStream::new(0, Purpose::Check, 1);
    let (mut stream, mut words, mut fills) = (start.clone(), vec![0; WORDS], 0);
    let mut slow = Stream::new(0, Purpose::Check, 2);
    // A byte a nanosecond is a gigabyte a second.
    let work = if unit.more_is_better() { 64.0 } else { 1.0 };
    let blocks = (FILLS * WORDS / Lanes::COUNT) as f64;
    let turn = || {
        (0..FILLS).for_each(|_| words_of(&mut stream, &mut words));
        fills += FILLS;
        std::hint::black_box(&words);
        work * blocks
    };
    let contender = Contender { name: "lanes".to_string(), turn: Box::new(turn) };
    let rival = Contender {
        name: "one lane".to_string(),
        turn: Box::new(|| {
            (0..8 * WORDS).for_each(|_| {
                std::hint::black_box(slow.word());
            });
            work * WORDS as f64
        }),
    };
    let row = row_against(Subject { name: "random", size: "uniform".into(), threads: 1, unit }, contender, rival);
    let mut scalar: Vec<Stream> = (0..Lanes::COUNT).map(|lane| Stream::from_state(start.lanes.lane(lane))).collect();
    for _ in 0..(fills - 1) * WORDS / Lanes::COUNT {
        scalar.iter_mut().for_each(|stream| {
            stream.word();
        });
    }
    if words.chunks(Lanes::COUNT).flatten().enumerate().any(|(place, word)| *word != scalar[place % Lanes::COUNT].word()) {
        return Err(Error::Bug("the lanes of the generator differ from its scalar streams.".to_string()));
    }
    Ok(row)
}

/// What is timed is verified: the share of set bits is the probability within five standard errors.
fn bernoulli_row(probability: f64) -> Result<Row> {
    let (mut stream, mut words) = (LaneStream::new(0, Purpose::Check, 3), vec![0; WORDS]);
    let mut slow = Stream::new(0, Purpose::Check, 4);
    let threshold = bernoulli::threshold(probability);
    let (mut ones, mut bits) = (0u64, 0u64);
    let mut fill = || bernoulli::fill(InstructionSet::chosen(), threshold, &mut stream.lanes, &mut words);
    let turn = || {
        (0..FILLS).for_each(|_| fill());
        (FILLS * WORDS / Lanes::COUNT) as f64
    };
    let contender = Contender { name: "bernoulli".to_string(), turn: Box::new(turn) };
    let rival = Contender {
        name: "bit by bit".to_string(),
        turn: Box::new(|| {
            (0..512).for_each(|_| {
                std::hint::black_box(slow.word() < threshold);
            });
            1.0
        }),
    };
    let size = format!("p={probability:.3}").into();
    let subject = Subject { name: "random", size, threads: 1, unit: Unit::NanosecondsPerWork("ns/512 bits") };
    let row = row_against(subject, contender, rival);
    for _ in 0..64 {
        bernoulli::fill(InstructionSet::chosen(), threshold, &mut stream.lanes, &mut words);
        ones += words.iter().map(|word| u64::from(word.count_ones())).sum::<u64>();
        bits += 64 * WORDS as u64;
    }
    let deviation = (ones as f64 - bits as f64 * probability) / (bits as f64 * probability * (1.0 - probability)).sqrt();
    if deviation.abs() > 5.0 {
        return Err(Error::Bug(format!("bits of probability {probability} are off by {deviation:.1} standard errors.")));
    }
    Ok(row)
}
