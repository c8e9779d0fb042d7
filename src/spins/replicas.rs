//! Many lattices across the bits: the word of a site has 512 bits, one for each replica. So an update works on 512 lattices at once whatever their side, and
//! no bit is ever shifted.
//!
//! Sites are in site order, row by row; replica r is bit r mod 64 of word r / 64 of each site. [`crate::kernels::replicas`] works on these words.

use super::{Configuration, WORD_BITS};
use crate::kernels::InstructionSet;
use crate::kernels::replicas::{REPLICAS, Word, count_line, count_unsatisfied};
use crate::kernels::vector::Block;
use crate::kernels::vertical_counter::{DIGITS, values};
use crate::lattice::SquareTorus;

/// 512 configurations of one torus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicas {
    torus: SquareTorus,
    words: Vec<Word>,
}

impl Replicas {
    /// All spins of all replicas up.
    pub fn all_up(torus: SquareTorus) -> Self {
        Replicas { torus, words: vec![Word::ONES; torus.sites()] }
    }

    /// The lattice.
    pub fn torus(&self) -> SquareTorus {
        self.torus
    }

    /// The words of the sites.
    pub fn words(&self) -> &[Word] {
        &self.words
    }

    /// The words of the sites, to be changed.
    pub fn words_mut(&mut self) -> &mut [Word] {
        &mut self.words
    }

    /// The configuration of one replica.
    ///
    /// # Panics
    /// If there is no such replica.
    pub fn configuration(&self, replica: usize) -> Configuration {
        let (word, bit) = (replica / WORD_BITS, replica % WORD_BITS);
        let packed = self
            .words
            .chunks(WORD_BITS)
            .map(|sites| sites.iter().enumerate().fold(0, |bits, (place, site)| bits | (site.0[word] >> bit & 1) << place));
        Configuration::from_words(self.torus, packed.collect())
    }

    /// The replicas in which every site has exactly two unsatisfied bonds.
    pub fn balanced(&self) -> Word {
        let mut balanced = Word::ONES;
        for site in 0..self.torus.sites() {
            let neighbours = self.torus.neighbours(site);
            for (word, balanced) in balanced.0.iter_mut().enumerate() {
                let unlike = neighbours.map(|neighbour| self.words[site].0[word] ^ self.words[neighbour].0[word]);
                let [a, b, c, d] = unlike;
                // Two of four: an even number, not none, not all.
                *balanced &= !(a ^ b ^ c ^ d) & (a | b | c | d) & !(a & b & c & d);
            }
        }
        balanced
    }

    /// The unsatisfied bonds of every replica, by binary digits.
    pub fn unsatisfied(&self, set: InstructionSet) -> [Block; DIGITS] {
        count_unsatisfied(set, &self.words, self.torus.side())
    }

    /// The spins up of every replica.
    pub fn up(&self, set: InstructionSet) -> [u32; REPLICAS] {
        let mut up = [0; REPLICAS];
        values(set, &count_line(set, &self.words, 0, 1, self.words.len()), &mut up);
        up
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{LaneStream, Purpose};

    #[test]
    fn counts_are_those_of_each_configuration() {
        for side in [4, 6, 10, 34] {
            let torus = SquareTorus::new(side).expect("a valid side");
            let mut replicas = Replicas::all_up(torus);
            let mut stream = LaneStream::new(7, Purpose::Check, side as u64);
            replicas.words_mut().iter_mut().for_each(|word| word.0 = stream.words());
            for set in InstructionSet::available() {
                let (up, digits) = (replicas.up(set), replicas.unsatisfied(set));
                let mut unsatisfied = [0; REPLICAS];
                values(set, &digits, &mut unsatisfied);
                for replica in (0..REPLICAS).step_by(37) {
                    let configuration = replicas.configuration(replica);
                    assert_eq!(2 * i64::from(up[replica]) - torus.sites() as i64, configuration.magnetization());
                    assert_eq!(2 * i64::from(unsatisfied[replica]) - torus.bonds() as i64, configuration.energy());
                }
            }
        }
    }
}
