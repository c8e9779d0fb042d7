//! The time of the stage `[renormalize]`, from its parts on a random stack of the same shape; those that grow with a count are tried on a small part of it.

use super::calibrate::{affordable, random_bits};
use crate::config::{DecimationSection, FlowSection, LikelihoodSection, RenormalizeSection, Role, RunFile};
use crate::error::Result;
use crate::lattice::SquareTorus;
use crate::ledger::Nobody;
use crate::random::{Purpose, Stream};
use crate::rbm::{Matrix, Rbm};
use crate::rg::block_rule::BlockRule;
use crate::rg::flow::{Start, steps_shown};
use crate::rg::monte_carlo;
use crate::run::comparison::{self, Centres};
use crate::run::renormalize::{self, Subject};
use crate::run::{controls, decimation, flow, likelihood, stack, standards};
use std::time::Instant;

/// States of a bond of tensors that are tried, at most: with fewer, the power law is not yet reached.
const QUICK_BOND: usize = 20;
/// Configurations that are blocked, at most.
const MOST_BLOCKED: usize = 1000;
/// Held-out configurations that are looked at, at most.
const MOST_HELD_OUT: usize = 256;

/// Seconds for the stage `[renormalize]`: its parts on a random stack of the same shape, those that grow with a count by a small part of that count.
pub fn renormalization(job: &RunFile, section: &RenormalizeSection) -> Result<f64> {
    let mut seconds = 0.0;
    let mut timed = |scale: f64, work: &mut dyn FnMut() -> Result<()>| {
        let started = Instant::now();
        work().map(|()| seconds += scale * started.elapsed().as_secs_f64())
    };
    if section.mapping {
        timed(1.0, &mut || crate::rg::mapping::standard_mappings().map(drop))?;
    }
    if let Some(bonds) = &section.standards {
        let (quick, slow): (Vec<usize>, Vec<usize>) = bonds.iter().partition(|&&bond| bond <= QUICK_BOND);
        timed(1.0, &mut || standards::without_samples(&quick).map(drop))?;
        if !slow.is_empty() {
            // Time grows as the sixth power of the states of a bond; the other schemes are in both trials.
            let growth: f64 = slow.iter().map(|&bond| (bond as f64 / QUICK_BOND as f64).powi(6)).sum();
            timed(growth, &mut || standards::without_samples(&[QUICK_BOND]).map(drop))?;
            timed(-growth, &mut || standards::without_samples(&[]).map(drop))?;
        }
    }
    if let (Some(levels), Some(sample)) = (section.monte_carlo, &job.sample) {
        for &side in &job.lattice.sizes {
            let (trial, rows) = affordable(side, sample.configurations.clamp(4, MOST_BLOCKED), 4);
            let (torus, bits) = (SquareTorus::new(trial)?, random_bits(rows, trial * trial));
            let scale = (sample.configurations * sample.coupling_count()) as f64 / rows as f64 * (side as f64 / trial as f64).powi(2);
            // The last ones take next to no time.
            let levels = levels.saturating_sub((side / trial).ilog2() as usize).max(1);
            timed(scale, &mut || monte_carlo::renormalize(torus, &bits, BlockRule::Majority, levels, job.seed, 0).map(drop))?;
        }
    }
    let (mut in_one_dimension, mut flowing, mut beside) = (0.0, 0.0, 0.0);
    if let Some(wanted) = section.decimation {
        // So many epochs and samples that they stand out of what takes the same time in both.
        let small = DecimationSection { epochs: wanted.epochs.min(6), samples: wanted.samples.min(20_000), ..wanted };
        let begun = Instant::now();
        decimation::run(DecimationSection { epochs: 1, ..small }, job.seed)?;
        let once = begun.elapsed().as_secs_f64();
        let begun = Instant::now();
        decimation::run(small, job.seed)?;
        let further = (small.epochs - 1).max(1) as f64;
        // An epoch at the full number of samples; what does not grow with either stays.
        let epoch = (begun.elapsed().as_secs_f64() - once).max(0.0) / further * wanted.samples as f64 / small.samples as f64;
        in_one_dimension += once + epoch * wanted.epochs as f64;
    }
    let Some(train) = &job.train else { return Ok(seconds + in_one_dimension) };
    let mut stream = Stream::new(job.seed, Purpose::Check, 7);
    let mut visible = train.size * train.size;
    let stack: Vec<Rbm> = train
        .layers
        .iter()
        .map(|&hidden| {
            let weights: Vec<f32> = (0..visible * hidden).map(|_| 0.1 * stream.normal() as f32).collect();
            let machine = Rbm { weights: Matrix::from_unpadded(visible, hidden, &weights), ..Rbm::zero(visible, hidden) };
            visible = hidden;
            machine
        })
        .collect();
    let rows = train.held_out.min(MOST_HELD_OUT);
    let held_out = random_bits(rows, train.size * train.size);
    let (dead_units, means) = (vec![Vec::new(); stack.len()], held_out.column_means());
    let torus = SquareTorus::new(train.size)?;
    let subject = Subject {
        torus,
        couplings: &train.couplings,
        stack: &stack,
        dead_units: &dead_units,
        held_out: &held_out,
        means: &means,
        seed: job.seed,
    };
    if section.receptive_fields {
        timed(1.0, &mut || renormalize::receptive_fields(&subject).map(drop))?;
    }
    if section.reconstructions {
        timed(train.held_out as f64 / rows as f64, &mut || renormalize::reconstructions(&subject, section.block_spins).map(drop))?;
    }
    if let (Some(wanted), Some(machine)) = (section.flow, stack.first()) {
        let chains = wanted.chains.min(256);
        let starts = job.sample.as_ref().map_or(1, |sample| sample.coupling_count());
        // As many at one time as there are threads, as in the run.
        let at_once = starts.min(rayon::current_num_threads()).max(1);
        let begin: Vec<Start> = (0..at_once).map(|_| Start { coupling: 0.0, states: random_bits(chains, torus.sites()) }).collect();
        let trial = |steps: usize| -> Result<f64> {
            let begun = Instant::now();
            flow::tables(FlowSection { steps, chains }, &subject, machine, &begin)?;
            Ok(begun.elapsed().as_secs_f64())
        };
        // A part of the time goes with the steps, and a part with those that are shown, which become ever rarer.
        let shown = |steps: usize| steps_shown(steps).count() as f64;
        let (few, more) = (wanted.steps.min(4), wanted.steps.min(64));
        let (quick, slow) = (trial(few)?, trial(more)?);
        let rest = more as f64 - few as f64 * shown(more) / shown(few);
        let of_step = if rest > 0.0 { ((slow - quick * shown(more) / shown(few)) / rest).max(0.0) } else { 0.0 };
        let of_shown = ((slow - of_step * more as f64) / shown(more)).max(0.0);
        let scale = (starts * wanted.chains) as f64 / (at_once * chains) as f64;
        flowing += scale * (of_step * wanted.steps as f64 + of_shown * shown(wanted.steps));
    }
    if let Some(wanted) = section.likelihood {
        let parts = (wanted.annealing_temperatures.min(wanted.sampling_sweeps) / 25).clamp(1, 40);
        let small = LikelihoodSection {
            annealing_temperatures: (wanted.annealing_temperatures / parts).max(1),
            sampling_sweeps: (wanted.sampling_sweeps / parts).max(1),
            sampling_chains: wanted.sampling_chains.min(rows),
            ..wanted
        };
        let scale = parts as f64 * wanted.sampling_chains as f64 / small.sampling_chains as f64;
        let started = Instant::now();
        let first = likelihood::run(&small, &subject, &Nobody)?;
        // Every other seed has a likelihood of its first machine.
        let seeds = job.companions().iter().filter(|companion| companion.role == Role::Seed).count() as f64;
        beside += scale * started.elapsed().as_secs_f64() * (1.0 + seeds);
        timed(scale, &mut || stack::run(&small, &subject, &first, &Nobody).map(drop))?;
    }
    beside += controls_and_scan(job, section, &subject)?;
    if section.couplings || section.side_by_side {
        let mut centres = Centres::of(&subject)?;
        timed(1.0, &mut || Centres::of(&subject).map(|found| centres = found))?;
        if section.couplings {
            timed(1.0, &mut || comparison::couplings(&subject, &centres).map(drop))?;
        } else {
            timed(1.0, &mut || comparison::nearest_couplings(&subject, &centres, None).map(drop))?;
        }
        if section.side_by_side {
            let all = job.sample.as_ref().map(|sample| random_bits(sample.configurations.min(MOST_BLOCKED), train.size * train.size));
            let scale = train.held_out as f64 / rows as f64;
            timed(scale, &mut || comparison::side_by_side(&subject, &centres, all.as_ref(), &[], None, &[]).map(drop))?;
        }
    }
    Ok(seconds + in_one_dimension + flowing + beside)
}

/// Seconds for the networks beside the main one: their fields and agreements, and the controls that need no training.
fn controls_and_scan(job: &RunFile, section: &RenormalizeSection, subject: &Subject) -> Result<f64> {
    let (companions, Some(train)) = (job.companions(), &job.train) else { return Ok(0.0) };
    if companions.is_empty() && !section.controls {
        return Ok(0.0);
    }
    let count = |roles: &[Role]| companions.iter().filter(|companion| roles.contains(&companion.role)).count() as f64;
    let started = Instant::now();
    let fields = renormalize::receptive_fields(subject)?;
    let for_fields = started.elapsed().as_secs_f64();
    let started = Instant::now();
    controls::agreements(subject)?;
    let for_agreements = started.elapsed().as_secs_f64() * train.held_out as f64 / subject.held_out.rows() as f64;
    let mut seconds = 0.0;
    let seeds = count(&[Role::Seed]);
    if seeds > 0.0 {
        seconds += (1.0 + seeds) * (for_fields + for_agreements);
    }
    if section.controls {
        let training = random_bits(train.samples.min(MOST_BLOCKED), subject.torus.sites());
        let started = Instant::now();
        controls::table(subject, &training, &fields, &[], &[])?;
        // The fields of shuffled sites are looked at a second time, when the sites are back.
        let (networks, shuffled) = (count(&[Role::Seed, Role::ShuffledSites, Role::NoPenalty]), count(&[Role::ShuffledSites]));
        seconds += started.elapsed().as_secs_f64() + networks * (for_fields + for_agreements) + shuffled * for_fields;
    }
    let scanned = count(&[Role::Scan]);
    if scanned > 0.0 {
        let first = Subject { stack: &subject.stack[..1], dead_units: &subject.dead_units[..1], ..*subject };
        let started = Instant::now();
        renormalize::receptive_fields(&first)?;
        seconds += scanned * started.elapsed().as_secs_f64();
    }
    Ok(seconds)
}
