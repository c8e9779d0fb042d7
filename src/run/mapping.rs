//! The mapping for small machines with known answers and, where its lattice is small enough, for the first machine of the stack. Rank 0 calls it.

use super::renormalize::Subject;
use crate::error::Result;
use crate::rbm::ExactRbm;
use crate::record::NamedMapping;
use crate::rg::mapping::examples::torus_hamiltonian;
use crate::rg::mapping::trained::{MOST_VISIBLE, summarize_trained};
use crate::rg::{Control, control_stream};

/// Hidden states at which the two coarse Hamiltonians of the trained machine are compared.
const COARSE_STATES: usize = 64;

/// The first machine on the law of the spins, by sums over all of their configurations; none if there are too many, or the data have several couplings.
///
/// # Errors
/// [`crate::error::Error::Usage`] if a parameter of the machine is not finite.
pub fn of_trained(subject: &Subject) -> Result<Option<NamedMapping>> {
    let (Some(machine), Some(coupling)) = (subject.stack.first(), subject.coupling()) else { return Ok(None) };
    if machine.visible() > MOST_VISIBLE || machine.hidden() > u64::BITS as usize || !machine.is_finite() {
        return Ok(None);
    }
    let machine = ExactRbm::from(machine);
    let mut stream = control_stream(subject.seed, Control::HiddenStates, 0);
    let mask = u64::MAX >> (u64::BITS as usize - machine.hidden);
    let coarse: Vec<u64> = (0..COARSE_STATES).map(|_| stream.word() & mask).collect();
    let summary = summarize_trained(&machine, &torus_hamiltonian(subject.torus, coupling), &coarse)?;
    let side = subject.torus.side();
    let name = format!(
        "the trained machine of this run, {} x {} units, on {side} x {side} spins at K = {coupling} (the first number at {COARSE_STATES} states of h)",
        machine.visible, machine.hidden
    );
    Ok(Some(NamedMapping { name, summary }))
}
