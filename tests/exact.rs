//! The exact references against numbers that were computed independently (enumeration, transfer matrices in other programs, published tables).

use kadanoff::exact::{self, chain, enumeration::Census, kaufman, onsager};
use kadanoff::lattice::SquareTorus;

const CRITICAL: f64 = 0.4406867935097715;

#[track_caller]
fn close(value: f64, expected: f64, tolerance: f64) {
    assert!(
        (value - expected).abs() <= tolerance,
        "{value:.17} is not {expected:.17} within {tolerance:e}: difference {:e}",
        value - expected
    );
}

#[test]
fn constants_of_the_critical_point() {
    close(exact::critical_coupling(), CRITICAL, 1e-15);
    let corrections = onsager::ferdinand_fisher();
    close(corrections.specific_heat_logarithm, 0.494538589532319, 1e-13);
    close(corrections.energy, 0.62243946078, 1e-11);
    close(corrections.log_partition_function, 0.63991194719, 1e-11);
    close(onsager::log_partition_function_per_site(exact::critical_coupling()), 0.929695398341610, 1e-14);
}

#[test]
fn partition_functions_of_finite_tori() {
    for (side, coupling, expected) in [
        (4, CRITICAL, 0.9701197161722052),
        (8, CRITICAL, 0.93971532482921),
        (16, CRITICAL, 0.93219631498099),
        (32, CRITICAL, 0.93032039018412),
        (256, CRITICAL, 0.92970516264196),
        // Above the critical temperature the sign of the smallest exponent matters: its absolute value would give 0.833944014722848.
        (4, 0.3, 0.799095207857105),
        (4, 0.408, 0.92126194546054),
        (40, 0.408, 0.888395358418808),
        (128, 0.408, 0.88838920964778),
        (40, 0.45, 0.94381696366050),
    ] {
        close(kaufman::torus(side, side, coupling).log_partition_function_per_site, expected, 1e-12 * expected);
    }
}

#[test]
fn energies_and_specific_heats_of_finite_tori() {
    for (side, coupling, energy, specific_heat) in [
        (4, CRITICAL, -1.565623787638318, 0.78326682592891),
        (8, CRITICAL, -1.4915891074397, 1.1455592398944),
        (16, CRITICAL, -1.4530648528135, 1.4987049594),
        (32, CRITICAL, -1.4336584661462, 1.8467675900396),
        (40, CRITICAL, -1.4297713123073, 1.9581816502509),
        (64, CRITICAL, -1.423938389833, 2.1922113931406),
        (128, CRITICAL, -1.419076272085, 2.5363313351086),
        (256, CRITICAL, -1.4166449541968, 2.8797862552025),
        (4, 0.408, -1.4190587212028, 0.81630379142356),
        (8, 0.408, -1.2775829757512, 1.1515013475559),
        (40, 0.408, -1.1518211507677, 0.99467047467741),
        (128, 0.408, -1.1508548948427, 0.96992049291624),
        (40, 0.4352, -1.3725042112721, 2.0049216903490),
        (40, 0.45, -1.5132954753119, 1.5798487520807),
        (40, 0.30, -0.70449907083773, 0.28629020296660),
    ] {
        let torus = kaufman::torus(side, side, coupling);
        close(torus.energy_per_site, energy, 1e-12);
        close(torus.specific_heat_per_site, specific_heat, 1e-11);
    }
}

#[test]
fn finite_size_corrections_at_the_critical_point() {
    let torus = |side: usize| kaufman::torus(side, side, exact::critical_coupling());
    close((-torus(256).energy_per_site - std::f64::consts::SQRT_2) * 256.0, 0.622436306877, 1e-9);
    // On large lattices the universal constants come out, and the corrections keep falling as they should: nothing is lost to rounding.
    let corrections = onsager::ferdinand_fisher();
    for side in [1024usize, 4096] {
        let (length, torus) = (side as f64, torus(side));
        close((-torus.energy_per_site - std::f64::consts::SQRT_2) * length, corrections.energy, 0.3 / (length * length) + 1e-12 * length);
        let bulk = onsager::log_partition_function_per_site(exact::critical_coupling());
        close(
            (torus.log_partition_function_per_site - bulk) * length * length,
            corrections.log_partition_function,
            0.1 / (length * length) + 3e-15 * length * length,
        );
    }
    let constant = |side: usize| torus(side).specific_heat_per_site - corrections.specific_heat_logarithm * (side as f64).ln();
    close(constant(64), 0.135483, 1e-6);
    close(constant(256), 0.137482, 1e-6);
    // The constant is approached like 1/L; what extrapolation in 1/L leaves must vanish.
    close(2.0 * constant(4096) - constant(2048), 2.0 * constant(512) - constant(256), 1e-5);
}

#[test]
fn peaks_of_the_specific_heat() {
    for (side, coupling, height) in [
        (8, 0.42337372, 1.19183882),
        (16, 0.43149822, 1.55220436),
        (32, 0.43593316, 1.904506078),
        (64, 0.43826356, 2.252392889),
        (128, 0.43946208, 2.597887741),
    ] {
        let peak = exact::specific_heat_peak(side);
        close(peak.coupling, coupling, 1e-7);
        close(peak.specific_heat_per_site, height, 1e-8);
    }
}

#[test]
fn the_infinite_lattice() {
    for (coupling, energy, specific_heat) in [
        (0.3, -0.7044990708324, 0.286290202872),
        (0.4, -1.106079203746, 0.8616983568),
        (0.408, -1.150854890967, 0.9699201573793),
        (0.44, -1.402226960, 2.889687092),
        (0.45, -1.513045805998, 1.607952937641),
        (0.5, -1.745564575313, 0.7248714486),
        (0.6, -1.909086177684, 0.3134453581),
    ] {
        let bulk = exact::bulk(coupling);
        // The reference values are rounded to their last digit.
        close(bulk.energy_per_site, energy, if coupling == 0.44 { 6e-10 } else { 1e-12 });
        close(bulk.specific_heat_per_site.expect("not critical"), specific_heat, 6e-10);
    }
    close(exact::bulk(0.408).energy_per_site, -1.150854890967, 1e-12);
    close(exact::bulk(0.408).correlation_length.expect("not critical"), 7.467320467, 1e-9);
    close(exact::bulk(0.4).correlation_length.expect("not critical"), 5.962376979, 1e-9);
    close(exact::bulk(0.3).correlation_length.expect("not critical"), 1.57888508, 1e-8);
    close(exact::bulk(0.3).log_partition_function_per_site, 0.7905590709513, 1e-13);
    close(exact::bulk(0.408).log_partition_function_per_site, 0.8883892096404, 1e-13);
    close(exact::bulk(0.45).spontaneous_magnetization, 0.7493226125324, 1e-12);
    close(exact::bulk(0.5).spontaneous_magnetization, 0.9113193778775, 1e-12);
    close(exact::bulk(0.6).spontaneous_magnetization, 0.9736086674403, 1e-12);

    let critical = exact::bulk(exact::critical_coupling());
    close(critical.energy_per_site, -std::f64::consts::SQRT_2, 1e-14);
    assert_eq!((critical.specific_heat_per_site, critical.correlation_length, critical.spontaneous_magnetization), (None, None, 0.0));
}

#[test]
fn magnetic_moments_of_small_tori() {
    for (side, coupling, absolute, squared, binder, susceptibility, length) in [
        (4, CRITICAL, 0.843860444813, 0.761358908569, 0.6171993184, 12.181742537, 0.9531837664),
        (6, CRITICAL, 0.804976558444, 0.693316591135, 0.6143562391, 24.959397281, 0.9332746889),
        (8, CRITICAL, 0.777331092787, 0.646911574994, 0.6130453849, 41.402340800, 0.9236862071),
        (4, 0.408, 0.782015851539, 0.677630346347, 0.5899485242, 10.842085542, 0.7573442206),
        (6, 0.408, 0.705287721152, 0.563208507907, 0.5690439429, 20.275506285, 0.6732855952),
        (8, 0.408, 0.640554063236, 0.475626221340, 0.5471172176, 30.440078166, 0.6048157458),
    ] {
        let reference = exact::square(side, coupling);
        close(reference.absolute_magnetization.expect("a small torus"), absolute, 1e-12);
        close(reference.magnetization_squared.expect("a small torus"), squared, 1e-12);
        close(reference.binder_cumulant.expect("a small torus"), binder, 1e-10);
        close(reference.susceptibility.expect("a small torus"), susceptibility, 1e-9);
        close(reference.correlation_length_over_side.expect("a small torus"), length, 1e-10);
    }
    assert_eq!(exact::square(11, CRITICAL).binder_cumulant, None);
    let counted = Census::of(SquareTorus::new(4).expect("a valid side")).moments(CRITICAL);
    close(counted.magnetic.absolute_magnetization, 0.843860444813, 1e-12);
    close(counted.magnetic.binder_cumulant, 0.6171993184, 1e-10);
    close(counted.magnetic.structure_factor, 0.405060322, 1e-9);
    close(counted.log_partition_function / 16.0, 0.9701197161722052, 1e-13);
}

#[test]
fn densities_of_states() {
    let check = |side: usize, expected: &[(i64, u128)]| {
        let density = exact::density_of_states(side);
        for &(energy, count) in expected {
            assert_eq!(density[&energy], count, "side {side}, E = {energy}");
            assert_eq!(density[&-energy], count, "side {side}, E = {}", -energy);
        }
        assert_eq!(density.values().sum::<u128>(), 1 << (side * side));
    };
    check(4, &[(-32, 2), (-24, 32), (-20, 64), (-16, 424), (-12, 1728), (-8, 6688), (-4, 13568), (0, 20524)]);
    check(6, &[(-72, 2), (-64, 72), (-60, 144), (-56, 1620), (-52, 6048), (-48, 35148), (0, 13172279424)]);
    check(8, &[(-128, 2), (-120, 128), (-116, 256), (-112, 4672), (-108, 17920), (-104, 145408), (0, 2627978003957146636)]);
}

#[test]
fn entropies_of_the_configurations() {
    for (side, entropy) in [(4, 5.476575795356787), (8, 23.879103904048), (40, 669.5237262)] {
        let tolerance = if side == 40 { 5e-8 } else { 1e-10 };
        close(exact::square(side, 0.408).entropy_per_site * (side * side) as f64, entropy, tolerance);
    }
}

#[test]
fn the_chain_and_its_decimation() {
    let mut coupling = 1.0;
    for expected in [0.6625013737, 0.3500611389, 0.1136720675, 0.0128115420] {
        coupling = chain::decimate(coupling).coupling;
        close(coupling, expected, 1e-10);
    }
    let log_partition_function =
        |sites: usize, coupling: f64| exact::chain(Some(sites), coupling).log_partition_function_per_site * sites as f64;
    close(log_partition_function(64, 1.0), 72.1233927336848, 1e-12 * 72.0);
    let step = chain::decimate(1.0);
    close(log_partition_function(32, step.coupling) + 32.0 * step.constant, 72.1233927336848, 1e-12 * 72.0);
    close(exact::chain(Some(8), 1.0).energy_per_site, -0.8176628754344892, 1e-13);
    close(chain::correlation(8, 4, 1.0), 0.6044453859994999, 1e-13);
}

#[test]
fn every_coupling_gives_finite_numbers() {
    for coupling in [0.0, 5e-324, 1e-300, 1e-160, 1e-100, 1e-17, 1e-9, 0.44, 3.0, 5.0, 30.0, 200.0, 1e4, 1e300] {
        for side in [3, 5, 7, 40] {
            let reference = exact::square(side, coupling);
            let bulk = reference.bulk;
            for value in [
                reference.log_partition_function_per_site,
                reference.energy_per_site,
                reference.specific_heat_per_site,
                reference.entropy_per_site,
                reference.absolute_magnetization.unwrap_or(0.5),
                reference.binder_cumulant.unwrap_or(0.5),
                reference.correlation_length_over_side.unwrap_or(0.5),
                bulk.log_partition_function_per_site,
                bulk.energy_per_site,
                bulk.specific_heat_per_site.unwrap_or(0.5),
                bulk.correlation_length.unwrap_or(0.5),
                bulk.spontaneous_magnetization,
            ] {
                assert!(value.is_finite(), "side {side}, K = {coupling}: {reference:?}");
            }
            assert!(
                reference.energy_per_site <= 0.0 && reference.specific_heat_per_site >= 0.0 && reference.entropy_per_site >= 0.0,
                "{reference:?}"
            );
        }
    }
    let hot = exact::square(6, 0.0);
    assert_eq!((hot.log_partition_function_per_site, hot.energy_per_site, hot.specific_heat_per_site), (std::f64::consts::LN_2, 0.0, 0.0));
    close(hot.susceptibility.expect("a small torus"), 1.0, 1e-14);
}
