//! The first configuration of a chain: the same for every algorithm.

use super::Start;
use crate::lattice::SquareTorus;
use crate::random::{Purpose, Stream};
use crate::spins::{Configuration, WORD_BITS};

/// The configuration from which chain number `chain` of a run starts. Hot: every spin from one bit of the stream (seed, InitialSpins, chain), 64 sites a
/// word in site order. Cold: all spins up.
pub fn initial_configuration(torus: SquareTorus, start: Start, seed: u64, chain: u64) -> Configuration {
    match start {
        Start::Cold => Configuration::all_up(torus),
        Start::Hot => {
            let mut stream = Stream::new(seed, Purpose::InitialSpins, chain);
            let words = (0..torus.sites().div_ceil(WORD_BITS)).map(|_| stream.word()).collect();
            Configuration::from_words(torus, words)
        }
    }
}
