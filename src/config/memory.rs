//! What a run needs of memory, before it asks for any; and what this machine has.

use super::figures;
use super::mistakes::Mistakes;
use super::reader::Section;
use super::{Distribute, RunFile, SampleSection, TrainSection};
use crate::kernels::replicas::REPLICAS;
use crate::lattice::{Geometry, Torus};
use crate::rbm::Method;
use crate::rbm::deep::{ActivationKind, MOST_KEPT};
use crate::rbm::monitor::watched_samples;
use crate::sampler::Algorithm;
use crate::spins::domains::Domains;
use crate::statistics::scaling::BLOCKS;

/// The parts of a run's memory on rank 0, in bytes, by estimate. Rank 0 holds the whole record of the run, so it is the rank that needs the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Memory {
    /// The program itself and its libraries.
    pub program: u128,
    /// The workspace of the figures, where they are drawn.
    pub figures: u128,
    /// The lattices being updated at one time: one a thread.
    pub lattices: u128,
    /// These lattices once more: as the words of a checkpoint from which a job goes on. (Into a checkpoint most go without a copy.)
    pub lattice_checkpoint: u128,
    /// The series of energy and magnetization: two or three numbers of 64 bits a measurement, three more with improved estimators.
    pub series: u128,
    /// The same while the chains run, between ranks and in checkpoints: less where chains lie across the bits of words.
    pub running_series: u128,
    /// What stands around each chain, however short.
    pub chains: u128,
    /// The analysis across sizes: draws by energy, for each replicate of the jackknife.
    pub scaling: u128,
    /// The kept configurations: one bit a spin, each padded to whole 64-bit words.
    pub configurations: u128,
    /// What stands around each of them while its chain runs.
    pub handles: u128,
    /// Those of them that are trained on or held out, once more.
    pub training_set: u128,
    /// Weights and biases of all layers in single precision.
    pub network: u128,
    /// What training the most demanding layer holds besides: the machine as it is used, as it was, and its last step; the activities that are its data.
    pub training: u128,
    /// The fresh configurations of an epoch, if such are drawn, as their chains hold them until it ends.
    pub fresh: u128,
    /// The state of that layer on its way into a checkpoint.
    pub training_checkpoint: u128,
    /// The receptive fields of all layers, with the random ones they are held against.
    pub fields: u128,
    /// Energy and magnetization of the chains by which a machine is judged, from data and from random spins.
    pub machine_chains: u128,
}

impl Memory {
    /// The largest sum of parts that are there at one time. A run that is long enough for `checkpoints` needs more: going on from one, or for that of a layer.
    pub fn peak(&self, checkpoints: bool) -> u128 {
        let times = |bytes: u128, tenths: u128| bytes.saturating_mul(tenths) / 10;
        // Measured: when the stage ends, series and configurations exist a second time, as the bytes that came together.
        let series = sum(&[times(self.running_series, 12), self.series]);
        let configurations = times(self.configurations, 20).saturating_add(self.handles);
        let snapshots = if checkpoints { self.lattice_checkpoint } else { 0 };
        let sampling = sum(&[series, self.chains, configurations, self.lattices, snapshots]);
        let analysis = sum(&[self.series, self.configurations, self.chains, self.scaling]);
        let kept = sum(&[self.series, self.configurations, self.network, self.training_set]);
        let checkpoint = if checkpoints { self.training_checkpoint } else { 0 };
        // Fresh configurations are there twice more on their way from the chains to all ranks, or into a checkpoint; and after a restart in the checkpoint that was read.
        let fresh = times(self.fresh, if checkpoints { 40 } else { 30 });
        let training = sum(&[kept, self.training, fresh, checkpoint]);
        // Both starts, and the same as the words of a checkpoint, or for a stack its own after those of its first machine.
        let renormalization = sum(&[kept, self.network, self.fields, times(self.machine_chains, 20)]);
        // Figures are drawn at the end, when what the stages took besides is given back; measured: of the chains of the machine nothing to
        // three quarters is not, as the C library happens to have laid them out, mostly a fifth.
        let drawing = sum(&[kept, self.fields, self.machine_chains / 5, self.figures]);
        sum(&[self.program, sampling.max(analysis).max(training).max(renormalization).max(drawing)])
    }

    /// The peak of a run that is long enough for checkpoints: what must be there before it begins.
    pub fn total(&self) -> u128 {
        self.peak(true)
    }

    /// The peak of a rank other than rank 0 of `ranks`, which holds its share of the chains, and the whole training set and machine.
    pub fn other_rank(&self, ranks: usize, checkpoints: bool) -> u128 {
        let share = (self.running_series.saturating_add(self.configurations)) / ranks.max(1) as u128;
        let snapshots = if checkpoints { self.lattice_checkpoint } else { 0 };
        // At the end as what it holds and as the bytes that go to rank 0.
        let sampling = share.saturating_add(sum(&[self.lattices, snapshots]).max(share));
        // As above: what its own chains hold, and what comes of all chains.
        let fresh = (self.fresh / ranks.max(1) as u128).saturating_add(self.fresh.saturating_mul(if checkpoints { 3 } else { 2 }));
        self.program.saturating_add(sampling.max(sum(&[self.network, self.training_set, self.training, fresh])))
    }
}

/// What the program takes before it holds anything: code, HDF5, threads. Measured with a run of ten sweeps of four 4 x 4 lattices.
const PROGRAM: u128 = if cfg!(feature = "mpi") { 33 << 20 } else { 22 << 20 };
/// What a minibatch takes on its way, about.
const WORKSPACE: u128 = 3 << 20;
/// A chain: its numbers, and several small lists.
const CHAIN: u128 = 680;
/// A configuration of its own: its pointers, and the room that the allocator leaves around it.
const HANDLE: u128 = 64;

fn sum(parts: &[u128]) -> u128 {
    parts.iter().fold(0, |sum, &part| sum.saturating_add(part))
}

/// The estimate for a run on so many threads: each has a part of a minibatch, and a second one draws a figure of its own. Nothing overflows: sizes are bounded when
/// they are read, and products saturate.
pub(super) fn estimate(run: &RunFile, threads: usize) -> Memory {
    let mut memory = Memory {
        program: PROGRAM,
        figures: 0,
        lattices: 0,
        lattice_checkpoint: 0,
        series: 0,
        running_series: 0,
        chains: 0,
        scaling: 0,
        configurations: 0,
        handles: 0,
        training_set: 0,
        network: 0,
        training: 0,
        fresh: 0,
        training_checkpoint: 0,
        fields: 0,
        machine_chains: 0,
    };
    let geometry = run.lattice.geometry;
    if let Some(sample) = &run.sample {
        let ensembles = product(&[sample.coupling_count(), run.lattice.sizes.len()]);
        for &size in &run.lattice.sizes {
            let draws = product(&[sample.coupling_count(), sample.replicas, sample.draws()]);
            let [kept, running] = bytes_a_draw(sample, geometry, size);
            memory.series = memory.series.saturating_add(draws.saturating_mul(kept));
            memory.running_series = memory.running_series.saturating_add(draws.saturating_mul(running));
            memory.configurations =
                memory.configurations.saturating_add(product(&[sample.coupling_count(), sample.configurations]) * packed(geometry, size));
        }
        memory.chains = ensembles.saturating_mul(sample.replicas as u128).saturating_mul(CHAIN);
        if run.report.scaling && run.lattice.sizes.len() >= 3 && sample.coupling_count() >= 2 && geometry != Geometry::Chain {
            let of_size = |&size: &usize| scaling_bytes(sample, geometry, size, threads);
            memory.scaling = run.lattice.sizes.iter().map(of_size).fold(0, u128::saturating_add);
        }
        memory.handles = product(&[sample.configurations]).saturating_mul(ensembles).saturating_mul(HANDLE);
        let at_work = |bytes: fn(&SampleSection, Geometry, usize) -> u128| {
            let of_size = |&size: &usize| lattices_at_work(sample, geometry, size, [ensembles, threads as u128], bytes);
            run.lattice.sizes.iter().map(of_size).max().unwrap_or(0)
        };
        memory.lattices = at_work(lattice_bytes);
        memory.lattice_checkpoint = at_work(|sample, geometry, size| packed(geometry, size).saturating_add(noted(sample)));
    }
    if let Some(train) = &run.train {
        let sites = train.size * train.size;
        // Every coupling that has a network of its own has as many configurations.
        let networks = 1 + train.other_couplings.len() as u128;
        memory.training_set = networks * (train.samples + train.held_out) as u128 * packed(geometry, train.size);
        if train.foreign.is_some() {
            memory.configurations = memory.training_set;
        }
        let (mut visible, mut machine, mut activities, mut chains) = (sites, 0u128, 0u128, 0u128);
        for (layer, &hidden) in train.layers.iter().enumerate() {
            let parameters = product(&[visible, hidden]) + visible as u128 + hidden as u128;
            memory.network = memory.network.saturating_add(4 * parameters);
            memory.fields = memory.fields.saturating_add(product(&[2, 4, hidden, sites]));
            // Three copies: the machine as it is used, as it was at the end of the last epoch, its last step. If it is small, also the last two as they would go into a checkpoint if the next epoch failed.
            machine = machine.max(parameters.saturating_mul(if train.keeps_last_good() { 20 } else { 12 }));
            memory.training_checkpoint = memory.training_checkpoint.max(parameters.saturating_mul(20));
            // Persistent chains hold states of both layers, a stream a panel and shard, and, while they move, fields.
            if train.learning.method.is_persistent() {
                let temperatures = if train.learning.method == Method::Tempered { train.learning.inverse_temperatures } else { 1 };
                let states = product(&[train.learning.chains, temperatures, 5 * visible.saturating_add(hidden)]);
                let streams = product(&[visible.saturating_add(hidden).div_ceil(16), train.shards, temperatures, 256]);
                chains = chains.max(states.saturating_add(streams));
            }
            if layer > 0 {
                let bytes = |samples: usize| match train.activations {
                    ActivationKind::States => product(&[samples, visible.div_ceil(64), 8]),
                    ActivationKind::Probabilities => product(&[samples, visible, 4]),
                };
                if train.distribute == Distribute::Layers {
                    // A minibatch at a time goes up; at the end of an epoch, samples that are watched in every layer at once, and those that are held out.
                    let watched = bytes(watched_samples(train.samples, train.held_out));
                    activities = activities.saturating_add(watched).saturating_add(bytes(train.held_out.max(train.minibatch)));
                } else {
                    // Many probabilities are made anew instead. Those of fresh configurations are made while the ones of the epoch before are there.
                    let of_training = bytes(train.samples);
                    let is_kept = train.activations == ActivationKind::States || of_training <= MOST_KEPT as u128;
                    let copies = if train.fresh_sweeps.is_some() { 2 } else { 1 };
                    let kept = if is_kept { of_training.saturating_mul(copies) } else { 0 };
                    activities = activities.max(kept.saturating_add(bytes(train.held_out)));
                }
            }
            visible = hidden;
        }
        let weights = |section: &TrainSection| {
            let visible = std::iter::once(sites).chain(section.layers.iter().copied());
            visible.zip(&section.layers).fold(0u128, |sum, (visible, &hidden)| sum.saturating_add(4 * product(&[visible, hidden])))
        };
        let companions = run.companions();
        memory.network = companions.iter().fold(memory.network, |sum, companion| sum.saturating_add(weights(&companion.section)));
        if !companions.is_empty() {
            // The main network trains on a copy of the configurations.
            memory.training_set = memory.training_set.saturating_mul(2);
        }
        // What one layer leaves free is seldom of use to the next.
        memory.training = sum(&[machine, activities, chains, WORKSPACE.saturating_mul(threads as u128)]);
        if let Some(sample) = run.sample.as_ref().filter(|_| train.fresh_sweeps.is_some()) {
            memory.fresh = product(&[train.samples]).saturating_mul(packed(geometry, train.size));
            // The chains of fresh configurations stay where they are from epoch to epoch, all of them, and are looked at only for these.
            let plain = SampleSection { improved_estimators: false, correlation_length: false, ..sample.clone() };
            let chains = product(&[train.couplings.len(), sample.replicas]);
            memory.training = memory.training.saturating_add(chains.saturating_mul(lattice_bytes(&plain, geometry, train.size)));
        }
    }
    memory.figures = figures::workspace(run, threads);
    if !has_fields(run) {
        memory.fields = 0;
    }
    if let Some(likelihood) = run.renormalize.as_ref().and_then(|section| section.likelihood.as_ref()) {
        memory.machine_chains = product(&[2, likelihood.sampling_chains, likelihood.sampling_sweeps, 16]);
    }
    memory
}

fn has_fields(run: &RunFile) -> bool {
    run.renormalize.as_ref().is_some_and(|section| section.receptive_fields)
}

/// What a measurement leaves, and what it takes while the chains run. Chains across the bits have two numbers of 32 bits then.
fn bytes_a_draw(sample: &SampleSection, geometry: Geometry, size: usize) -> [u128; 2] {
    let waves = if sample.measures_waves(geometry, size) { 8 } else { 0 };
    let kept = 16 + waves + if sample.improved_estimators { 24 } else { 0 };
    [kept, if sample.across_the_bits(size) { 8 + waves } else { kept }]
}

/// What the analysis across sizes holds of one size ([`crate::statistics::reweighting`]): levels of energy, four apart, as many as are seen near the couplings and as there are draws.
fn scaling_bytes(sample: &SampleSection, geometry: Geometry, size: usize, threads: usize) -> u128 {
    let (sites, couplings) = (sites(geometry, size) as f64, sample.couplings_of(size));
    let (low, high) = couplings.iter().fold((f64::INFINITY, 0f64), |(low, high), &coupling| (low.min(coupling), high.max(coupling)));
    // The specific heat of a site is at most about that of the square lattice at its peak, ln L / 2 and a bit; energies of four standard errors on either side.
    let heat = 0.5 * (size as f64).ln() + 0.5;
    let width = sites * heat * (1.0 / low.max(0.1) - 1.0 / high.max(0.1)).abs() + 8.0 * (sites * heat).sqrt() / low.max(0.1);
    let draws = product(&[sample.coupling_count(), sample.replicas, sample.draws()]);
    let levels = draws.min((0.25 * width.min(2.0 * geometry.dimension() as f64 * sites)) as u128 + 1);
    // A replicate has the mixture of each level, and the levels of the block that it leaves out; so has the block itself. A resample of a thread has sums and mixture of all.
    let of_block = draws.min(levels.saturating_mul(BLOCKS as u128));
    levels.saturating_mul(8 * (BLOCKS as u128 + 13) + 48 * threads as u128).saturating_add(of_block.saturating_mul(96))
}

/// The lattices of one size that threads work on at one time: a chain a thread, or a group of 512 replicas a thread, with tempering at all couplings.
/// `bytes` are those of one chain by itself.
fn lattices_at_work(
    sample: &SampleSection,
    geometry: Geometry,
    size: usize,
    [ensembles, threads]: [u128; 2],
    bytes: fn(&SampleSection, Geometry, usize) -> u128,
) -> u128 {
    if !sample.across_the_bits(size) {
        let chains = ensembles.saturating_mul(sample.replicas as u128).min(threads);
        return chains.saturating_mul(bytes(sample, geometry, size));
    }
    let (ladders, rungs) = if sample.tempering { (1, sample.coupling_count()) } else { (ensembles, 1) };
    let groups = ladders.saturating_mul(sample.replicas.div_ceil(REPLICAS) as u128).min(threads);
    groups.saturating_mul(product(&[rungs, REPLICAS / 8]).saturating_mul(sites(geometry, size)))
}

/// The spins, and what the algorithm keeps a site: nothing of note for the packed checkerboard, a cluster label and its bookkeeping for the others.
fn lattice_bytes(sample: &SampleSection, geometry: Geometry, size: usize) -> u128 {
    let (sites, packed) = (sites(geometry, size), packed(geometry, size));
    // The longest wave of a chain is summed spin by spin: a counter and a phase each.
    let waves = if geometry == Geometry::Chain && sample.correlation_length { sites.saturating_mul(12) } else { 0 };
    let lattice = match sample.algorithm {
        Algorithm::Metropolis | Algorithm::HeatBath => {
            // Chains and cubic lattices may have idle lanes, and begin as a configuration. A square lattice of 32768 x 32768 spins took 4 % more than a bit a spin.
            let blocks = match Torus::new(geometry, size) {
                Ok(torus) if geometry != Geometry::Square => packed + 64 * Domains::blocks_of_one(torus),
                _ => packed,
            };
            blocks + packed / 20 + (1 << 14)
        }
        Algorithm::SwendsenWang | Algorithm::Wolff => {
            // To look at clusters takes four bytes a site, and 56 a cluster in a list that grows by doubling; without coupling each site is one.
            let looking = if sample.improved_estimators && sample.algorithm == Algorithm::SwendsenWang { 116 } else { 0 };
            (2 * packed).saturating_add(sites.saturating_mul(8 + looking)).saturating_add(2 * noted(sample))
        }
    };
    lattice.saturating_add(waves)
}

/// What a chain of Wolff's algorithm takes down of its thermalization, two words a sweep; in memory the list grows by doubling.
fn noted(sample: &SampleSection) -> u128 {
    if sample.algorithm == Algorithm::Wolff { 16 * sample.thermalization as u128 } else { 0 }
}

fn sites(geometry: Geometry, size: usize) -> u128 {
    (0..geometry.dimension()).fold(1, |sites: u128, _| sites.saturating_mul(size as u128))
}

fn packed(geometry: Geometry, size: usize) -> u128 {
    sites(geometry, size).div_ceil(64).saturating_mul(8)
}

fn product(factors: &[usize]) -> u128 {
    factors.iter().fold(1, |product: u128, &factor| product.saturating_mul(factor as u128))
}

/// Reports a run that needs more than the machine has, at the key that asks for the most.
pub(super) fn refuse_excess(run: &RunFile, available: u64, sample: Option<&Section>, train: Option<&Section>, mistakes: &Mistakes) {
    let memory = estimate(run, std::thread::available_parallelism().map_or(1, usize::from));
    let total = memory.total();
    if total <= available as u128 {
        return;
    }
    let parts = [
        (memory.lattices, "the lattices", sample, "algorithm"),
        (memory.series, "the measured series", sample, "sweeps"),
        (memory.chains, "the chains", sample, "replicas"),
        (memory.scaling, "the analysis across sizes (`scaling = false` in [report] leaves it out)", sample, "sweeps"),
        (memory.configurations, "the kept configurations", sample, "configurations"),
        (memory.fresh.saturating_mul(4), "the fresh configurations of an epoch", train, "samples"),
        (sum(&[memory.network, memory.training, memory.training_checkpoint]), "the network and its training", train, "layers"),
    ];
    if let Some((bytes, what, section, key)) = parts.into_iter().max_by_key(|part| part.0) {
        let place = section.map_or(0, |section| section.place_of(key));
        let cure = if key == "algorithm" { "write smaller sizes".to_string() } else { format!("reduce {key}") };
        mistakes.add(
            place,
            &format!(
                "the run needs {} of memory, of which {} for {what}; available are {}: {cure}",
                in_words(total),
                in_words(bytes),
                in_words(available as u128)
            ),
        );
    }
}

/// A number of bytes for people: "3.2 GiB".
pub fn in_words(bytes: u128) -> String {
    let gib = bytes as f64 / (1u64 << 30) as f64;
    if gib >= 1e6 {
        format!("{gib:.1e} GiB")
    } else if gib >= 1.0 {
        format!("{gib:.1} GiB")
    } else {
        format!("{:.1} MiB", gib * 1024.0)
    }
}

/// The memory this process may still take, in bytes: what the kernel calls available, or the rest of its control group's limit if that is less (batch systems
/// set one). `None` where it cannot be known.
pub fn available_memory() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| from_meminfo(&text));
    let read = |path: String| std::fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    // Pages of files that nobody has asked for lately are counted as used, and given back as soon as they are wanted.
    let idle = |group: &str, name: &str| {
        let text = std::fs::read_to_string(format!("{group}/memory.stat")).unwrap_or_default();
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    let membership = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = control_groups(&membership).into_iter().filter_map(|group| {
        let (limit, used, idle) = if group.starts_with("/sys/fs/cgroup/memory") {
            let used = read(format!("{group}/memory.usage_in_bytes")).unwrap_or(0);
            (read(format!("{group}/memory.limit_in_bytes"))?, used, idle(&group, "total_inactive_file "))
        } else {
            (read(format!("{group}/memory.max"))?, read(format!("{group}/memory.current")).unwrap_or(0), idle(&group, "inactive_file "))
        };
        Some(limit.saturating_sub(used.saturating_sub(idle)))
    });
    machine.into_iter().chain(limits).min()
}

fn from_meminfo(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The folders of the control groups this process is in, and of all groups above, in versions 2 and 1.
fn control_groups(membership: &str) -> Vec<String> {
    let mut folders = Vec::new();
    for line in membership.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let root = match controllers {
            "" => "/sys/fs/cgroup",
            list if list.split(',').any(|name| name == "memory") => "/sys/fs/cgroup/memory",
            _ => continue,
        };
        folders.push(root.to_owned());
        let mut folder = root.to_owned();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            folder = format!("{folder}/{name}");
            folders.push(folder.clone());
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_and_control_groups_are_understood() {
        assert_eq!(from_meminfo("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"), Some(2048 * 1024));
        assert_eq!(from_meminfo("MemTotal: 9 kB\n"), None);
        assert_eq!(control_groups("0::/slurm/job_7\n"), ["/sys/fs/cgroup", "/sys/fs/cgroup/slurm", "/sys/fs/cgroup/slurm/job_7"]);
        assert_eq!(control_groups("3:cpu:/a\n4:memory:/b\n"), ["/sys/fs/cgroup/memory", "/sys/fs/cgroup/memory/b"]);
    }

    #[test]
    fn activities_are_counted_as_they_are_held() {
        let training = |keys: &str| {
            let text = format!(
                "seed = 1\n[lattice]\nsizes = [64]\n[sample]\ncouplings = [0.4]\nthermalization = 10\nsweeps = 20000\nconfigurations = 20000\n[train]\nlayers = [1024, 64]\nepochs = 2\nheld_out = 1000\n{keys}"
            );
            estimate(&RunFile::parse_for(&text, "run.toml", None).expect("a run file"), 1).training
        };
        // 20,000 configurations of the first 1024 hidden units: four bytes a unit, or one bit; of all layers at once those of 2000 watched samples and of the held-out ones.
        let [probabilities, states, at_once] = ["", "activations = \"states\"\n", "distribute = \"layers\"\n"].map(training);
        assert_eq!(probabilities - states, 20_000 * (4096 - 128));
        assert_eq!(probabilities - at_once, (20_000 - 3000) * 4096);
    }

    #[test]
    fn bytes_are_put_into_words() {
        assert_eq!(in_words(5 << 30), "5.0 GiB");
        assert_eq!(in_words(3 << 20), "3.0 MiB");
        assert!(in_words(u128::MAX).contains("e29 GiB"));
    }
}
