//! Known answers: exact identities, published numbers, and short simulations against Kaufman's finite torus.

use super::{Check, close, sentence};
use crate::exact;
use crate::lattice::SquareTorus;
use crate::measure::Series;
use crate::rg::{decimation, mapping};
use crate::sampler::{Algorithm, Start, build};
use crate::statistics;

pub(super) const CHECKS: &[Check] = &[
    Check { question: "Kaufman's torus equals the sum over all states", answer: kaufman },
    Check { question: "Onsager's and Yang's numbers for the infinite lattice", answer: bulk },
    Check { question: "H^RG = H^RBM for trained and untrained machines (Eq. 21)", answer: identity },
    Check { question: "decimation keeps the partition function of the chain", answer: chain },
    Check { question: "simulated energies agree with Kaufman's, each algorithm", answer: simulations },
];

fn kaufman() -> Result<String, String> {
    let torus = SquareTorus::new(4).map_err(sentence)?;
    for coupling in [0.3, exact::critical_coupling(), 0.6] {
        // 65,536 states, one at a time.
        let levels: Vec<f64> =
            (0..1u64 << 16).map(|state| -coupling * crate::spins::Configuration::from_words(torus, vec![state]).energy() as f64).collect();
        let sum: f64 = levels.iter().map(|level| level.exp()).sum();
        let energy = levels.iter().map(|level| -level / coupling * level.exp()).sum::<f64>() / sum / 16.0;
        let reference = exact::square(4, coupling);
        close("ln Z / N", reference.log_partition_function_per_site, sum.ln() / 16.0, 1e-12)?;
        close("the energy", reference.energy_per_site, energy, 1e-11)?;
    }
    close("ln Z / N of L = 40, K = 0.408", exact::square(40, 0.408).log_partition_function_per_site, 0.888395358418808, 1e-12)?;
    Ok("65,536 states at three couplings; L = 40".to_string())
}

fn bulk() -> Result<String, String> {
    let high = exact::bulk(0.408);
    close("Onsager's energy at K = 0.408", high.energy_per_site, -1.150854890967, 1e-11)?;
    close("the magnetization at K = 0.5", exact::bulk(0.5).spontaneous_magnetization, 0.9113193778775, 1e-12)?;
    Ok("K = 0.408 and K = 0.5".to_string())
}

fn identity() -> Result<String, String> {
    let mut worst = 0f64;
    let mappings = mapping::standard_mappings().map_err(sentence)?;
    for named in &mappings {
        worst = worst.max(named.summary.hamiltonian_difference);
        close(
            &format!("Delta F of \"{}\"", named.name),
            named.summary.free_energy_difference,
            named.summary.log_partition_function - named.summary.machine_log_partition_function,
            1e-10,
        )?;
    }
    close("the largest |H^RG - H^RBM|", worst, 0.0, 1e-11)?;
    Ok(format!("{} machines, largest difference {worst:.1e}", mappings.len()))
}

fn chain() -> Result<String, String> {
    let found = decimation::log_partition_function(64, 1.0).map_err(sentence)?;
    close("ln Z of the ring of 64 spins at K = 1", found, 72.1233927336848, 1e-10)?;
    Ok("ring of 64 spins, K = 1".to_string())
}

fn simulations() -> Result<String, String> {
    let torus = SquareTorus::new(16).map_err(sentence)?;
    let (coupling, chains, thermalization, draws) = (0.408, 8, 500, 4000);
    let expected = exact::square(16, coupling).energy_per_site;
    let mut largest = 0f64;
    for algorithm in [Algorithm::Metropolis, Algorithm::HeatBath, Algorithm::SwendsenWang, Algorithm::Wolff] {
        let mut series = vec![Series::default(); chains];
        for (number, series) in series.iter_mut().enumerate() {
            let mut sampler = build(algorithm, torus, coupling, Start::Hot, 14103831, number as u64).map_err(sentence)?;
            for _ in 0..thermalization {
                sampler.sweep();
            }
            sampler.end_thermalization();
            for _ in 0..draws {
                sampler.sweep();
                series.push(sampler.measure());
            }
        }
        let observables = statistics::observables(16, coupling, &series);
        let energy = observables.iter().find(|observable| observable.name == "energy_per_site").ok_or("no energy was measured")?.estimate;
        // The seed is fixed, so this either passes always or never: five standard errors leave no room for bad luck of the seed.
        close(&format!("the {} energy", algorithm.name()), energy.mean, expected, 5.0 * energy.error)?;
        close("the error of the energy", energy.error, 0.0, 5e-3)?;
        largest = largest.max(((energy.mean - expected) / energy.error).abs());
    }
    Ok(format!("L = 16, K = 0.408, largest deviation {largest:.1} standard errors"))
}
