//! Where chains begin. Shared by all samplers, so that the same chain number gives the same first configuration whatever the algorithm, but for Metropolis where `unlocked` says so.

use super::Start;
use crate::lattice::{SquareTorus, Torus};
use crate::random::{Purpose, Stream};
use crate::spins::{Configuration, WORD_BITS};

/// The words of a first configuration in site order, one after the other: for lattices so large that one wants no second copy of them.
pub struct InitialSpins(Option<Stream>);

impl InitialSpins {
    /// Those of chain number `chain`, as for [`initial_configuration`].
    pub fn new(start: Start, seed: u64, chain: u64) -> Self {
        match start {
            Start::Cold => InitialSpins(None),
            Start::Hot => InitialSpins(Some(Stream::new(seed, Purpose::InitialSpins, chain))),
        }
    }

    /// The next 64 spins. In the last word the bits past the last site have no meaning.
    pub fn word(&mut self) -> u64 {
        self.0.as_mut().map_or(u64::MAX, Stream::word)
    }
}

/// The first configuration of chain number `chain`. A hot start takes one word of the stream (seed, InitialSpins, chain) for each 64 sites, in site order;
/// the bits past the last site are dropped.
pub fn initial_configuration(torus: impl Into<Torus>, start: Start, seed: u64, chain: u64) -> Configuration {
    let torus = torus.into();
    let mut spins = InitialSpins::new(start, seed, chain);
    Configuration::from_words(torus, (0..torus.sites().div_ceil(WORD_BITS)).map(|_| spins.word()).collect())
}

/// Hot starts of larger sides are not looked at: the share of the states with two unsatisfied bonds at every site, (2^(L/2 + 1) - 2)^2 / 2^(L^2), is below 2^-300 there.
const LARGEST_LOOKED_AT: usize = 16;

/// The start of chain number `chain` by Metropolis's rule on the square lattice. Where every site has exactly two unsatisfied bonds no flip costs anything, so that all spins flip in
/// every sweep for ever, and no chain ever comes there from elsewhere: a chain that would begin so begins with all spins up instead.
pub(super) fn unlocked(torus: SquareTorus, start: Start, seed: u64, chain: u64) -> Start {
    if start == Start::Cold || torus.side() > LARGEST_LOOKED_AT {
        return start;
    }
    let configuration = initial_configuration(torus, start, seed, chain);
    let field = |site| torus.neighbours(site).map(|neighbour| configuration.spin(neighbour)).iter().sum::<i64>();
    if (0..torus.sites()).all(|site| field(site) == 0) { Start::Cold } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hot_starts_are_half_up_and_differ_between_chains() {
        let torus = SquareTorus::new(100).expect("a valid side");
        let chains: Vec<Configuration> = (0..8).map(|chain| initial_configuration(torus, Start::Hot, 14103831, chain)).collect();
        for (chain, configuration) in chains.iter().enumerate() {
            // The magnetization of 10^4 free spins has standard deviation 100; that any of eight passes 450 has probability 5e-5.
            assert!(configuration.magnetization().abs() < 450, "chain {chain}: {}", configuration.magnetization());
            assert!(chains[..chain].iter().all(|other| other != configuration));
            assert_eq!(configuration, &initial_configuration(torus, Start::Hot, 14103831, chain as u64));
        }
        assert_eq!(initial_configuration(torus, Start::Cold, 14103831, 0).magnetization(), 10_000);
    }
}
