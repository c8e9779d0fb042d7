//! Swendsen and Wang's algorithm, PRL 58, 86 (1987), one bond at a time. The meaning of every random bit is that of `kernels::swendsen_wang`.

use super::root;
use crate::error::Result;
use crate::kernels::bernoulli::DIGITS;
use crate::lattice::SquareTorus;
use crate::measure::Measurement;
use crate::random::{LaneStream, Purpose};
use crate::sampler::{
    Sampler, Start, bond_threshold, initial_configuration,
    snapshot::{Reader, TakeWords},
};
use crate::spins::{Configuration, WORD_BITS};

/// The side of a tile.
const TILE: usize = 8;
/// Rows of tiles that share a stream.
const STRIP: usize = 16;

/// A Swendsen-Wang chain on spins +1 and -1, with the streams of the fast one: the same chain.
#[derive(Debug, Clone)]
pub struct ReferenceSwendsenWang {
    torus: SquareTorus,
    spins: Vec<i8>,
    threshold: u64,
    streams: Vec<LaneStream>,
    /// The sites in the order that decides which site of a cluster is the first; and the place of each site in it.
    order: Vec<usize>,
    places: Vec<usize>,
}

impl ReferenceSwendsenWang {
    /// The chain number `chain` at coupling K = J / k_B T.
    ///
    /// # Errors
    /// [`crate::error::Error::Usage`] if the coupling is negative or not finite.
    pub fn new(torus: SquareTorus, coupling: f64, start: Start, seed: u64, chain: u64) -> Result<Self> {
        let side = torus.side();
        let ends = |at: usize| at.is_multiple_of(TILE) || at % TILE == TILE - 1 || at == side - 1;
        // Tile after tile; in each tile the rim before the inner sites; each of the two row by row.
        let mut order: Vec<usize> = (0..torus.sites()).collect();
        order.sort_by_key(|&site| {
            let (x, y) = (site % side, site / side);
            (y / TILE, x / TILE, !(ends(x) || ends(y)), y, x)
        });
        let mut places = vec![0; torus.sites()];
        order.iter().enumerate().for_each(|(place, &site)| places[site] = place);
        let strips = side.div_ceil(TILE * STRIP) as u64;
        Ok(ReferenceSwendsenWang {
            torus,
            spins: super::unpacked(&initial_configuration(torus, start, seed, chain)),
            threshold: bond_threshold(coupling)?,
            streams: (0..strips).map(|strip| LaneStream::new(seed, Purpose::SwendsenWang, chain + (strip << 40))).collect(),
            order,
            places,
        })
    }

    /// The tile of a site in raster order, and the bit of the site in its word.
    fn tile_and_bit(&self, site: usize) -> (usize, usize) {
        let (x, y) = (site % self.torus.side(), site / self.torus.side());
        (y / TILE * self.torus.side().div_ceil(TILE) + x / TILE, y % TILE * TILE + x % TILE)
    }
}

/// Eight words, of which every bit is set if a number u of 64 digits is below the threshold. One step of the stream gives one digit of 512 numbers, the most significant
/// first. After [`DIGITS`] of them each number that is still open takes its other digits from the top of a word of its own.
fn bernoulli(threshold: u64, stream: &mut LaneStream) -> [u64; TILE] {
    let planes: [[u64; TILE]; DIGITS] = std::array::from_fn(|_| stream.words());
    let leading = threshold >> (WORD_BITS - DIGITS);
    let mut rest: Vec<u64> = Vec::new();
    std::array::from_fn(|word| {
        (0..WORD_BITS).fold(0u64, |bits, bit| {
            let number = planes.iter().fold(0u64, |number, plane| number << 1 | plane[word] >> bit & 1);
            let below = number < leading
                || number == leading && {
                    if rest.is_empty() {
                        rest = stream.words().into_iter().rev().collect();
                    }
                    rest.pop().is_some_and(|digits| digits >> DIGITS < threshold << DIGITS >> DIGITS)
                };
            bits | u64::from(below) << bit
        })
    })
}

impl Sampler for ReferenceSwendsenWang {
    fn sweep(&mut self) -> u64 {
        let (sites, threshold) = (self.torus.sites(), self.threshold);
        let per_side = self.torus.side().div_ceil(TILE);
        // One word a tile: bonds to the right, bonds downwards, signs.
        let (mut right, mut down, mut signs) = (Vec::<u64>::new(), Vec::<u64>::new(), Vec::<u64>::new());
        for row in 0..per_side {
            let stream = &mut self.streams[row / STRIP];
            for words in [&mut right, &mut down] {
                let drawn: Vec<u64> = (0..per_side.div_ceil(TILE)).flat_map(|_| bernoulli(threshold, stream)).collect();
                words.extend(&drawn[..per_side]);
            }
            let drawn: Vec<u64> = (0..per_side.div_ceil(TILE)).flat_map(|_| stream.words()).collect();
            signs.extend(&drawn[..per_side]);
        }
        let mut parents: Vec<usize> = (0..sites).collect();
        for site in 0..sites {
            let (tile, bit) = self.tile_and_bit(site);
            let [to_the_right, _, below, _] = self.torus.neighbours(site);
            for (neighbour, words) in [(to_the_right, &right), (below, &down)] {
                if self.spins[site] == self.spins[neighbour] && words[tile] >> bit & 1 == 1 {
                    let (first, second) = (root(&parents, self.places[site]), root(&parents, self.places[neighbour]));
                    parents[first.max(second)] = first.min(second);
                }
            }
        }
        let mut first_of_tile = vec![usize::MAX; per_side * per_side];
        for (place, &site) in self.order.iter().enumerate() {
            let tile = self.tile_and_bit(site).0;
            first_of_tile[tile] = first_of_tile[tile].min(place);
        }
        for site in 0..sites {
            let first = root(&parents, self.places[site]);
            let tile = self.tile_and_bit(self.order[first]).0;
            if signs[tile] >> (first - first_of_tile[tile]) & 1 == 1 {
                self.spins[site] = -self.spins[site];
            }
        }
        sites as u64
    }

    fn measure(&self) -> Measurement {
        super::count(&self.configuration())
    }

    fn configuration(&self) -> Configuration {
        super::packed(self.torus, &self.spins)
    }

    /// The states of the streams, then the configuration.
    fn put_snapshot(&self, take: &mut TakeWords) {
        self.streams.iter().for_each(|stream| take(&stream.state()));
        take(self.configuration().words());
    }

    fn restore(&mut self, words: &[u64]) -> Result<()> {
        let mut reader = Reader::new(words);
        for stream in &mut self.streams {
            *stream = reader.lanes()?;
        }
        self.spins = super::unpacked(&reader.configuration(self.torus)?);
        reader.end()
    }
}
