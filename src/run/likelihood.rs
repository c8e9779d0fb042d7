//! What the first machine of a stack believes about the spins: `rbm::likelihood` as the run file asks for it, put into a record.

use super::renormalize::Subject;
use crate::config::LikelihoodSection;
use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::rbm::likelihood::annealed::Annealed;
use crate::rbm::likelihood::{Likelihood, Options, assess};
use crate::record::{AnnealingRecord, LikelihoodRecord, PairRecord, RelaxationRecord, ThermodynamicRecord};

/// Weighs the machine on the lattice; `ledger` takes the notes.
///
/// # Errors
/// [`Error::NotFinite`] if the machine holds a number that is not finite; [`Error::Bug`] for a stack without layers.
pub fn run(section: &LikelihoodSection, subject: &Subject, ledger: &dyn Ledger) -> Result<LikelihoodRecord> {
    let coupling = subject.coupling().ok_or_else(|| Error::Bug("the likelihood needs data of one coupling.".to_string()))?;
    let machine = subject.stack.first().ok_or_else(|| Error::Bug("a trained stack has no layers.".to_string()))?;
    if !machine.is_finite() {
        return Err(Error::NotFinite(
            "a parameter of the first layer is not a number: the network diverged, lower `learning_rate` and train again".to_string(),
        ));
    }
    let options = options(section, subject.seed);
    let found = assess(machine, subject.means, subject.held_out, subject.torus, coupling, &options, ledger);
    Ok(LikelihoodRecord {
        visible: machine.visible(),
        hidden: machine.hidden(),
        held_out: subject.held_out.rows(),
        temperatures: section.annealing_temperatures,
        exact_log_partition_function: found.exact,
        forward: annealing(&found, &found.forward),
        reverse: annealing(&found, &found.reverse),
        log_partition_function: found.log_partition_function(),
        free_energy: found.free_energy,
        negative_log_likelihood: found.negative_log_likelihood(),
        entropy: found.entropy,
        divergence: found.divergence(),
        trace_violation: found.trace_violation,
        chains: section.sampling_chains,
        sweeps: section.sampling_sweeps,
        relaxation: found.thermodynamics.relaxation.iter().map(relaxation).collect(),
        observables: found.thermodynamics.observables.iter().map(observable).collect(),
        correlations: found.thermodynamics.correlations.iter().map(pair).collect(),
    })
}

/// The work that the section asks for.
pub fn options(section: &LikelihoodSection, seed: u64) -> Options {
    Options {
        annealing_chains: section.annealing_chains,
        annealing_temperatures: section.annealing_temperatures,
        sampling_chains: section.sampling_chains,
        sampling_sweeps: section.sampling_sweeps,
        seed,
    }
}

fn annealing(found: &Likelihood, estimate: &Annealed) -> AnnealingRecord {
    AnnealingRecord {
        log_partition_function: estimate.log_partition_function,
        error: estimate.error,
        effective_samples: estimate.effective_samples,
        chains: estimate.chains,
        divergence: found.divergence_by(estimate),
    }
}

fn relaxation(point: &crate::rbm::likelihood::thermodynamics::Relaxation) -> RelaxationRecord {
    RelaxationRecord { sweep: point.sweep, from_data: point.from_data, from_random: point.from_random }
}

fn pair(row: &crate::rbm::likelihood::thermodynamics::PairCorrelation) -> PairRecord {
    PairRecord { distance: row.distance, from_data: row.from_data, from_random: row.from_random, exact: row.exact }
}

fn observable(row: &crate::rbm::likelihood::thermodynamics::Thermodynamic) -> ThermodynamicRecord {
    ThermodynamicRecord {
        name: row.name.to_string(),
        long_name: row.long_name.to_string(),
        units: row.units.to_string(),
        from_data: row.from_data,
        from_random: row.from_random,
        exact: row.exact,
    }
}
