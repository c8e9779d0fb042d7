//! 512 lanes of small chains or cubic lattices, colour by colour: one large lattice cut into domains, or independent replicas. [`crate::kernels::domains`] defines the layout and
//! works on it.

use super::{Configuration, WORD_BITS};
use crate::kernels::InstructionSet;
use crate::kernels::domains::{Shape, count_layer, unsatisfied};
use crate::kernels::replicas::{REPLICAS, Word};
use crate::kernels::vertical_counter::values;
use crate::lattice::Torus;

/// The spins. Lanes that hold none are clear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domains {
    torus: Torus,
    shape: Shape,
    /// The sites of each colour.
    pub colours: [Vec<Word>; 2],
}

impl Domains {
    /// One lattice of even side, all spins down.
    pub fn of_one(torus: Torus) -> Self {
        Self::with_shape(torus, if torus.dimension() == 1 { Shape::of_chain(torus.side()) } else { Shape::of_cube(torus.side()) })
    }

    /// 512 lattices of even side, all spins down.
    pub fn of_replicas(torus: Torus) -> Self {
        let side = torus.side();
        Self::with_shape(torus, Shape::of_replicas(if torus.dimension() == 1 { [side, 1, 1] } else { [side; 3] }))
    }

    fn with_shape(torus: Torus, shape: Shape) -> Self {
        Domains { torus, shape, colours: [0, 1].map(|_| vec![Word::ZERO; shape.words()]) }
    }

    /// The blocks of words that one lattice of even side takes: N / 512 where all lanes are used.
    pub fn blocks_of_one(torus: Torus) -> u128 {
        let shape = if torus.dimension() == 1 { Shape::of_chain(torus.side()) } else { Shape::of_cube(torus.side()) };
        shape.extents.iter().fold(1, |product, &extent| product * extent as u128)
    }

    /// The lattice.
    pub fn torus(&self) -> Torus {
        self.torus
    }

    /// How the sites lie.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The colour and place of a site of one large lattice, and its lane.
    fn find(&self, site: usize) -> (usize, usize, usize) {
        let (coordinates, extents) = (self.torus.coordinates(site), self.shape.extents);
        let (colour, place) = self.shape.place([0, 1, 2].map(|axis| coordinates[axis] % extents[axis]));
        let [x, y, z] = [0, 1, 2].map(|axis| coordinates[axis] / extents[axis]);
        (colour, place, x + 8 * y + 64 * z)
    }

    /// Replaces the spins of one large lattice.
    ///
    /// # Panics
    /// If the configuration is of another lattice.
    pub fn set_configuration(&mut self, configuration: &Configuration) {
        assert_eq!(configuration.torus(), self.torus, "a configuration of the lattice of the chain");
        self.colours.iter_mut().for_each(|colour| colour.fill(Word::ZERO));
        for site in configuration.bits().iter_ones() {
            let (colour, place, lane) = self.find(site);
            self.colours[colour][place].0[lane / WORD_BITS] |= 1 << (lane % WORD_BITS);
        }
    }

    /// The spins of one large lattice in site order.
    pub fn configuration(&self) -> Configuration {
        self.collected(|site| self.find(site))
    }

    /// The spins of a replica in site order.
    ///
    /// # Panics
    /// If there is no such replica.
    pub fn replica(&self, replica: usize) -> Configuration {
        assert!(replica < REPLICAS, "there are {REPLICAS} replicas");
        self.collected(|site| {
            let (colour, place) = self.shape.place(self.torus.coordinates(site));
            (colour, place, replica)
        })
    }

    fn collected(&self, find: impl Fn(usize) -> (usize, usize, usize)) -> Configuration {
        let sites = self.torus.sites();
        let mut words = vec![0; sites.div_ceil(WORD_BITS)];
        for site in 0..sites {
            let (colour, place, lane) = find(site);
            words[site / WORD_BITS] |= (self.colours[colour][place].0[lane / WORD_BITS] >> (lane % WORD_BITS) & 1) << (site % WORD_BITS);
        }
        Configuration::from_words(self.torus, words)
    }

    /// The unsatisfied bonds of every lane; of one large lattice those with an end of colour 1 in the lane.
    pub fn unsatisfied(&self, set: InstructionSet) -> [u64; REPLICAS] {
        unsatisfied(set, &self.shape, [&self.colours[0], &self.colours[1]])
    }

    /// The spins up of every lane in each of its layers along an axis, one layer after the other.
    pub fn layers(&self, set: InstructionSet, axis: usize) -> impl Iterator<Item = [u32; REPLICAS]> + '_ {
        let colours = [self.colours[0].as_slice(), self.colours[1].as_slice()];
        (0..self.shape.extents[axis]).map(move |coordinate| {
            let mut up = [0; REPLICAS];
            values(set, &count_layer(set, &self.shape, colours, axis, coordinate), &mut up);
            up
        })
    }

    /// The spins up of every lane.
    pub fn up(&self, set: InstructionSet) -> [u64; REPLICAS] {
        let mut sums = [0; REPLICAS];
        // A chain has one layer along z, all of it.
        for layer in self.layers(set, 2) {
            sums.iter_mut().zip(layer).for_each(|(sum, up)| *sum += u64::from(up));
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lattice::Geometry;
    use crate::random::{LaneStream, Purpose, Stream};

    fn torus(geometry: Geometry, side: usize) -> Torus {
        Torus::new(geometry, side).expect("a valid side")
    }

    #[test]
    fn one_lattice_goes_there_and_back_and_is_counted() {
        let mut stream = Stream::new(1, Purpose::Check, 61);
        for (geometry, side) in [
            (Geometry::Chain, 4),
            (Geometry::Chain, 10),
            (Geometry::Chain, 256),
            (Geometry::Chain, 2048),
            (Geometry::Cubic, 4),
            (Geometry::Cubic, 6),
            (Geometry::Cubic, 8),
            (Geometry::Cubic, 16),
            (Geometry::Cubic, 24),
        ] {
            let torus = torus(geometry, side);
            let words = (0..torus.sites().div_ceil(64)).map(|_| stream.word()).collect();
            let configuration = Configuration::from_words(torus, words);
            let mut domains = Domains::of_one(torus);
            domains.set_configuration(&configuration);
            assert_eq!(domains.configuration(), configuration, "{geometry} {side}");
            for set in InstructionSet::available() {
                let unsatisfied: u64 = domains.unsatisfied(set).iter().sum();
                assert_eq!(2 * unsatisfied as i64 - torus.bonds() as i64, configuration.energy(), "{geometry} {side}");
                assert_eq!(2 * domains.up(set).iter().sum::<u64>() as i64 - torus.sites() as i64, configuration.magnetization());
            }
        }
    }

    #[test]
    fn replicas_are_counted_one_by_one() {
        for (geometry, side) in [(Geometry::Chain, 10), (Geometry::Cubic, 4), (Geometry::Cubic, 6)] {
            let torus = torus(geometry, side);
            let mut domains = Domains::of_replicas(torus);
            let mut stream = LaneStream::new(7, Purpose::Check, 62);
            domains.colours.iter_mut().flatten().for_each(|word| word.0 = stream.words());
            for set in InstructionSet::available() {
                let (unsatisfied, up) = (domains.unsatisfied(set), domains.up(set));
                let layers: Vec<Vec<_>> = (0..torus.dimension()).map(|axis| domains.layers(set, axis).collect()).collect();
                for replica in (0..REPLICAS).step_by(37) {
                    let configuration = domains.replica(replica);
                    assert_eq!(2 * unsatisfied[replica] as i64 - torus.bonds() as i64, configuration.energy());
                    assert_eq!(2 * up[replica] as i64 - torus.sites() as i64, configuration.magnetization());
                    for (axis, layers) in layers.iter().enumerate() {
                        for (coordinate, layer) in layers.iter().enumerate() {
                            let counted = configuration.bits().iter_ones().filter(|&site| torus.coordinates(site)[axis] == coordinate);
                            assert_eq!(layer[replica] as usize, counted.count());
                        }
                    }
                }
            }
        }
    }
}
