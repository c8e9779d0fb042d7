//! Majority blocks of the 40 x 40 Ising model at K = 0.408 against reference values, on configurations of a Wolff sampler written here.
//!
//! By default 5000 configurations; with KADANOFF_LONG=1, 40000. The tolerance is 5 standard errors of this run and the reference together. Power: with 5000
//! configurations the agreements are known to about 0.0005 and the correlation of the smallest block lattice to 0.003. Mutants that must fail: a coupling of
//! 0.40, one spin of the block in place of its majority, blocks shifted by one site on the way down.

use kadanoff::lattice::SquareTorus;
use kadanoff::random::{Purpose, Stream};
use kadanoff::rg::Tally;
use kadanoff::rg::block_spin::{BlockSummary, SpinGrid, block_reconstruction, summarize_blocks};
use kadanoff::spins::{BitMatrix, Configuration};

/// Configurations that are independent to a good approximation: 40 clusters apart, more than twice as many flipped spins as sites.
fn sample(torus: SquareTorus, coupling: f64, configurations: usize, seed: u64) -> Vec<Configuration> {
    let mut stream = Stream::new(seed, Purpose::Check, 40);
    let neighbours: Vec<[usize; 4]> = (0..torus.sites()).map(|site| torus.neighbours(site)).collect();
    let mut up = vec![true; torus.sites()];
    let bond = 1.0 - (-2.0 * coupling).exp();
    let mut stack = Vec::new();
    let mut clusters = |up: &mut Vec<bool>, count: usize| {
        for _ in 0..count {
            let seed = stream.below(torus.sites() as u64) as usize;
            let old = up[seed];
            up[seed] = !old;
            stack.push(seed);
            while let Some(site) = stack.pop() {
                for neighbour in neighbours[site] {
                    if up[neighbour] == old && stream.uniform() < bond {
                        up[neighbour] = !old;
                        stack.push(neighbour);
                    }
                }
            }
        }
    };
    clusters(&mut up, 1000);
    (0..configurations)
        .map(|_| {
            clusters(&mut up, 40);
            let mut configuration = Configuration::all_down(torus);
            up.iter().enumerate().for_each(|(site, &up)| configuration.set(site, up));
            configuration
        })
        .collect()
}

#[track_caller]
fn agrees(found: [f64; 2], reference: f64, reference_error: f64) {
    let tolerance = 5.0 * found[1].hypot(reference_error);
    assert!((found[0] - reference).abs() < tolerance, "{found:?} instead of {reference}");
}

#[test]
fn majority_blocks_have_the_reference_values() {
    let long = std::env::var("KADANOFF_LONG").is_ok_and(|value| value == "1");
    let torus = SquareTorus::new(40).unwrap();
    let configurations = sample(torus, 0.408, if long { 40_000 } else { 5000 }, 14103831);
    let matrix = BitMatrix::from_configurations(configurations.iter(), torus.sites());
    let summaries: Vec<BlockSummary> = [2, 4, 8].map(|side| summarize_blocks(torus, &matrix, side, 1).unwrap()).to_vec();
    // Side of the block, agreement direct and iterated, <nn> of the iterated block spins with its error in the reference.
    let reference = [(2, 0.8617, 0.8617, 0.4839, 0.0005), (4, 0.7927, 0.7773, 0.3769, 0.0008), (8, 0.7230, 0.7031, 0.2556, 0.0014)];
    for (summary, (block_side, direct, iterated, correlation, correlation_error)) in summaries.iter().zip(reference) {
        assert_eq!(summary.block_side, block_side);
        agrees(summary.block_agreement, direct, 0.0003);
        agrees(summary.iterated_block_agreement.unwrap(), iterated, 0.0003);
        agrees(summary.block_correlation.unwrap(), correlation, correlation_error);
        // What the table of the reference asks for: 0.002 and 0.003; the smallest blocks of 5000 configurations are known to 0.003 only.
        let within =
            |found: [f64; 2], reference: f64, tolerance: f64| assert!((found[0] - reference).abs() < tolerance, "{found:?}, {reference}");
        within(summary.block_agreement, direct, 0.002);
        within(summary.iterated_block_agreement.unwrap(), iterated, 0.002);
        within(summary.block_correlation.unwrap(), correlation, if long { 0.003 } else { 0.009 });
    }
    // The exact energy says that the sample is what it should be: <nn> = 1.1518211507677 / 2 a bond.
    let bonds: Vec<f64> = configurations.iter().map(|configuration| -configuration.energy() as f64 / 3200.0).collect();
    let mean = bonds.iter().sum::<f64>() / bonds.len() as f64;
    let variance = bonds.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / bonds.len() as f64;
    agrees([mean, (variance / bonds.len() as f64).sqrt()], 0.575_910_575, 0.0);

    let differs = |found: [f64; 2], reference: f64| assert!((found[0] - reference).abs() > 5.0 * found[1].hypot(0.0003), "{found:?}");
    let mutant = sample(torus, 0.40, 2000, 2);
    let matrix = BitMatrix::from_configurations(mutant.iter(), torus.sites());
    differs(summarize_blocks(torus, &matrix, 4, 1).unwrap().iterated_block_agreement.unwrap(), 0.7773);
    let (mut one_spin, mut shifted) = (Tally::default(), Tally::default());
    for (index, configuration) in configurations.iter().take(500).enumerate() {
        let grid = SpinGrid::from(configuration);
        let corners = (0..100).map(|block| grid.up()[(block / 10) * 160 + (block % 10) * 4]).collect();
        one_spin.add(SpinGrid::new(10, corners).unwrap().expanded(4).agreeing_spins(&grid) as i64);
        let blocks = block_reconstruction(configuration, 4, 1, index as u64).unwrap();
        let moved = (0..1600).map(|site| blocks[site / 40 * 40 + (site + 1) % 40]).collect();
        shifted.add(SpinGrid::new(40, moved).unwrap().agreeing_spins(&grid) as i64);
    }
    differs(one_spin.mean_and_error(1600.0), 0.7927);
    differs(shifted.mean_and_error(1600.0), 0.7927);
}

#[test]
fn the_result_does_not_depend_on_threads() {
    let torus = SquareTorus::new(16).unwrap();
    let configurations = sample(torus, 0.3, 200, 7);
    let matrix = BitMatrix::from_configurations(configurations.iter(), torus.sites());
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| summarize_blocks(torus, &matrix, 4, 5).unwrap())
    };
    assert_eq!(on(1), on(3));
}
