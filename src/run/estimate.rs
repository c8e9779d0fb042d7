//! `kadanoff estimate RUN.toml`: what a run will need before it begins. Memory and disk follow from the run file; times from short runs of the real kernels on this
//! machine (`calibrate`); what ranks send to each other from the trainer's own messages, counted.

mod analysis;
mod calibrate;
mod renormalization;

use super::desk::SAVING_SHARE;
use super::sample::Plan;
use crate::config::{Distribute, Memory, RunFile, TrainSection};
use crate::error::Result;
use calibrate::{LayerCost, Writing};
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Time between two checkpoints unless the command line says otherwise, in seconds. A stage that is shorter writes none.
const CHECKPOINT_EVERY: f64 = 600.0;

/// Bytes on the disk, at most: before compression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Disk {
    /// `results.h5`: series, curves, receptive fields.
    pub results: u128,
    /// `configurations.h5`
    pub configurations: u128,
    /// `network.h5`
    pub network: u128,
    /// Two generations of checkpoints and a third one on its way; gone when the run is done.
    pub checkpoints: u128,
    /// The sum: what should be free before the run begins.
    pub total: u128,
}

/// Seconds of wall time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Time {
    /// All chains.
    pub sampling: f64,
    /// Error bars, exact values and files after the sampling.
    pub analysis: f64,
    /// Each layer.
    pub training: Vec<f64>,
    /// All networks beside the main one.
    pub companions: f64,
    /// Activities of layers, dead units and files between the layers.
    pub between_layers: f64,
    /// The stage `[renormalize]`, which rank 0 does.
    pub renormalization: f64,
    /// Figures and page.
    pub report: f64,
    /// The sum.
    pub total: f64,
}

/// What a rank receives from the others, in bytes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Communication {
    /// For a sweep of a chain: chains never speak to each other.
    pub bytes_per_sweep: u64,
    /// For a minibatch of each layer: the sums of the shards of the other ranks.
    pub bytes_per_minibatch: Vec<u64>,
    /// Seconds of one minibatch of each layer on such a rank, without the time on the network.
    pub seconds_per_minibatch: Vec<f64>,
    /// The bandwidth, in bytes a second, at which a layer's messages take as long as its work.
    pub break_even_bandwidth: Vec<f64>,
    /// At the end of the sampling and at checkpoints: series and configurations, to rank 0.
    pub bytes_gathered: u128,
}

/// All that `kadanoff estimate` says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Estimate {
    /// The run file with all defaults.
    pub configuration: serde_json::Value,
    /// Ranks that were asked for.
    pub ranks: usize,
    /// Threads of each.
    pub threads: usize,
    /// The parts of the memory of rank 0, in bytes.
    pub memory: Memory,
    /// The peak of rank 0, in bytes.
    pub memory_of_rank_0: u128,
    /// The same of a job that writes a checkpoint, which one that is stopped does however short it is: what to ask a batch system for.
    pub memory_with_checkpoint: u128,
    /// The peak of any other rank, in bytes.
    pub memory_of_other_ranks: Option<u128>,
    /// What this machine, or the job that asks, has left, in bytes.
    pub memory_available: Option<u64>,
    /// Bytes on the disk.
    pub disk: Disk,
    /// Seconds.
    pub time: Time,
    /// Between ranks.
    pub communication: Communication,
}

/// Measures on this machine what a run on `ranks` ranks like it would take.
///
/// # Errors
/// What the stages refuse.
pub fn estimate(job: &RunFile, ranks: usize) -> Result<Estimate> {
    let memory = job.memory(rayon::current_num_threads());
    let available = crate::config::available_memory();
    let plan = job.sample.as_ref().map(|section| Plan::new(job.seed, &job.lattice, section));
    let mut time = Time {
        sampling: 0.0,
        analysis: 0.0,
        training: Vec::new(),
        companions: 0.0,
        between_layers: 0.0,
        renormalization: 0.0,
        report: 0.0,
        total: 0.0,
    };
    let side = job.lattice.sizes.get(job.lattice.sizes.len() / 2).copied().unwrap_or(16);
    let write = calibrate::seconds_per_byte_written(plan.as_ref().map_or(256, |plan| plan.sites(side)))?;
    // The files are written anew after every stage and layer.
    let (mut writes, mut layers) = (0.0, 0);
    if let Some(plan) = &plan {
        writes += 2.0;
        time.sampling = sampling(plan, ranks, available)?;
        time.analysis = analysis::analysis(job, plan)? + write.kept * memory.configurations as f64;
    }
    let mut communication = Communication {
        bytes_per_sweep: 0,
        bytes_per_minibatch: Vec::new(),
        seconds_per_minibatch: Vec::new(),
        break_even_bandwidth: Vec::new(),
        bytes_gathered: if ranks > 1 { (memory.running_series + memory.configurations) * (ranks as u128 - 1) / ranks as u128 } else { 0 },
    };
    if let Some(section) = &job.train {
        writes += section.layers.len() as f64;
        layers = training(job, section, ranks, &write, &mut time, &mut communication)?;
    }
    if let Some(section) = &job.renormalize {
        writes += 1.0;
        time.renormalization = renormalization::renormalization(job, section)?
            + write.kept * memory.fields as f64 / 2.0
            + write.layers(layers, memory.network);
    }
    time.analysis += writes * write.series * memory.series as f64;
    if job.report.figures {
        time.report = calibrate::figures(job);
    }
    time.total = time.sampling
        + time.analysis
        + time.training.iter().sum::<f64>()
        + time.companions
        + time.between_layers
        + time.renormalization
        + time.report;
    let longest = time.training.iter().copied().fold(time.sampling.max(time.companions), f64::max);
    let checkpoints = longest > CHECKPOINT_EVERY;
    Ok(Estimate {
        configuration: job.resolved()?,
        ranks,
        threads: rayon::current_num_threads(),
        memory,
        memory_of_rank_0: memory.peak(checkpoints),
        memory_with_checkpoint: memory.total(),
        memory_of_other_ranks: (ranks > 1).then(|| memory.other_rank(ranks, checkpoints)),
        memory_available: available,
        disk: disk(job, &memory),
        time,
        communication,
    })
}

/// The times of all layers of all networks, with those of their files, and what ranks send for them. Returns how many layers that is.
fn training(
    job: &RunFile,
    section: &TrainSection,
    ranks: usize,
    write: &Writing,
    time: &mut Time,
    communication: &mut Communication,
) -> Result<usize> {
    let mut activities_below = 0.0;
    let mut costs = Vec::new();
    for layer in 0..section.layers.len() {
        // Where ranks have layers or networks of their own, each does its minibatches alone.
        let sharing = if section.distribute == Distribute::Shards { ranks } else { 1 };
        let mut found = calibrate::layer(job.seed, section, layer, sharing)?;
        if section.distribute == Distribute::Layers && ranks > 1 && layer > 0 {
            found.received = (4 * section.minibatch * section.layers[layer - 1]) as u64;
        }
        let minibatches = section.samples.div_ceil(section.minibatch) as f64;
        let mut each_epoch = minibatches * found.minibatch + found.end_of_epoch;
        let mut seconds = 0.0;
        if let Some(sweeps) = section.fresh_sweeps {
            let [thermalization, configurations] = calibrate::fresh(job, section, sweeps, ranks)?;
            seconds += thermalization;
            // Every epoch has data of its own, which go up through the layers below.
            each_epoch += configurations + activities_below;
            activities_below += found.activities / 2.0;
        } else {
            time.between_layers += found.activities;
        }
        time.training.push(seconds + section.epochs[layer] as f64 * each_epoch);
        communication.bytes_per_minibatch.push(found.received);
        communication.seconds_per_minibatch.push(found.minibatch);
        communication.break_even_bandwidth.push(found.received as f64 / found.minibatch);
        costs.push(found);
    }
    // The main network goes into the files layer by layer; those beside it when that is a small part of the time, and when all are done.
    let (layers, bytes) = (section.layers.len(), job.memory(1).network);
    let beside: usize = job.companions().iter().map(|companion| companion.section.layers.len()).sum();
    let (main, all) = (write.layers(layers, bytes / (1 + beside / layers) as u128), write.layers(layers + beside, bytes));
    time.between_layers += layers as f64 * main;
    if beside > 0 {
        let trained = companions(job, section, &costs);
        time.companions = trained + (0.5 * beside as f64 * all).min(trained / f64::from(SAVING_SHARE)) + all;
    }
    Ok(layers + beside)
}

/// Seconds of all networks beside the main one, whose layers have the shapes of its layers.
fn companions(job: &RunFile, main: &TrainSection, costs: &[LayerCost]) -> f64 {
    let of_section = |section: &TrainSection| -> f64 {
        let minibatches = section.samples.div_ceil(section.minibatch) as f64;
        let share = (section.samples + section.held_out) as f64 / (main.samples + main.held_out) as f64;
        let of_layer = |(&epochs, cost): (&usize, &LayerCost)| {
            // Half of the activities are those for the judgement of the stack.
            epochs as f64 * (minibatches * cost.minibatch + cost.end_of_epoch) + 0.5 * cost.activities * share
        };
        section.epochs.iter().zip(costs).map(of_layer).sum()
    };
    job.companions().iter().map(|companion| of_section(&companion.section)).sum()
}

fn disk(job: &RunFile, memory: &Memory) -> Disk {
    const OVERHEAD: u128 = 1 << 20;
    let results = memory.series + memory.fields / 2 + OVERHEAD;
    let sampling = memory.running_series + memory.configurations + memory.lattices;
    let largest = job.train.as_ref().map_or(0, |_| 2 * memory.network + memory.fresh);
    let checkpoints = 3 * sampling.max(largest);
    let (configurations, network) = (memory.configurations, memory.network);
    // The file that is replaced is there until the new one is whole.
    let total = results + configurations + network + results.max(configurations).max(network) + checkpoints;
    Disk { results, configurations, network, checkpoints, total }
}

/// The time until the last thread of the last rank has done its units of work, in seconds.
fn sampling(plan: &Plan, ranks: usize, available: Option<u64>) -> Result<f64> {
    let threads = rayon::current_num_threads();
    let mut sizes: Vec<usize> = plan.ensembles.iter().map(|ensemble| ensemble.0).collect();
    sizes.dedup();
    let speeds = sizes.iter().map(|&side| calibrate::speed(plan, side, available)).collect::<Result<Vec<f64>>>()?;
    let seconds = |unit: usize| {
        let side = plan.units()[unit].side(plan);
        let place = sizes.iter().position(|&size| size == side).unwrap_or(0);
        plan.cost(unit, 0) as f64 / speeds[place] * threads as f64
    };
    let none = vec![0; plan.units().len()];
    Ok((0..ranks.min(plan.units().len()).max(1))
        .map(|rank| {
            let mut units: Vec<f64> = plan.units_of(rank, ranks, &none).map(seconds).collect();
            units.sort_by(|a, b| b.total_cmp(a));
            makespan(&units, threads)
        })
        .fold(0.0, f64::max))
}

/// When the last of `threads` is done, if each takes the next piece of work when it is free; nanoseconds inside, so that times have an order.
fn makespan(pieces: &[f64], threads: usize) -> f64 {
    let mut free: BinaryHeap<Reverse<u64>> = (0..threads).map(|_| Reverse(0)).collect();
    let mut last = 0;
    for piece in pieces {
        let Reverse(at) = free.pop().unwrap_or(Reverse(0));
        let end = at.saturating_add((piece * 1e9) as u64);
        last = last.max(end);
        free.push(Reverse(end));
    }
    last as f64 * 1e-9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_spreads_over_threads() {
        assert!((makespan(&[3.0, 2.0, 2.0, 1.0], 2) - 4.0).abs() < 1e-6);
        assert!((makespan(&[3.0], 8) - 3.0).abs() < 1e-6);
        assert_eq!(makespan(&[], 2), 0.0);
    }
}
