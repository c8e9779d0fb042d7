//! What a run needs of memory, before it asks for any; and what this machine has.

use super::mistakes::Mistakes;
use super::reader::Section;
use super::{RunFile, SampleSection, TrainSection};
use crate::rbm::Method;
use crate::sampler::Algorithm;

/// The parts of a run's memory on one rank, in bytes, by estimate. Rank 0 holds the whole record of the run, so it is the rank that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// The lattices being updated at one time: one a thread.
    pub lattices: u128,
    /// The series of energy and magnetization: two or three numbers of 64 bits a measurement.
    pub series: u128,
    /// The kept configurations: one bit a spin, each padded to whole 64-bit words.
    pub configurations: u128,
    /// Weights and biases of all layers in single precision.
    pub network: u128,
    /// What training the largest layer holds besides: the momentum, one gradient a shard, and the data of that layer.
    pub training: u128,
}

impl Memory {
    /// All parts together.
    pub fn total(&self) -> u128 {
        [self.lattices, self.series, self.configurations, self.network, self.training].into_iter().fold(0, u128::saturating_add)
    }
}

/// The estimate for a run. Nothing overflows: sizes are bounded when they are read, and products saturate.
pub(super) fn estimate(run: &RunFile) -> Memory {
    let mut memory = Memory { lattices: 0, series: 0, configurations: 0, network: 0, training: 0 };
    if let Some(sample) = &run.sample {
        let ensembles = product(&[sample.coupling_count(), run.lattice.sizes.len()]);
        memory.series =
            product(&[sample.replicas, sample.draws(), if sample.correlation_length { 24 } else { 16 }]).saturating_mul(ensembles);
        for &size in &run.lattice.sizes {
            memory.configurations =
                memory.configurations.saturating_add(product(&[sample.coupling_count(), sample.configurations]) * packed(size));
        }
        let largest = run.lattice.sizes.iter().copied().max().unwrap_or(0);
        let chains = ensembles.saturating_mul(sample.replicas as u128).min(threads() as u128);
        memory.lattices = chains * lattice_bytes(sample, largest);
    }
    if let Some(train) = &run.train {
        let mut visible = train.size * train.size;
        for (layer, &hidden) in train.layers.iter().enumerate() {
            let parameters = product(&[visible, hidden]) + visible as u128 + hidden as u128;
            memory.network = memory.network.saturating_add(4 * parameters);
            memory.training = memory.training.max(layer_bytes(train, layer, visible, parameters));
            visible = hidden;
        }
    }
    memory
}

/// Momentum and one gradient a shard, and the data: packed bits below the first layer, single precision above.
fn layer_bytes(train: &TrainSection, layer: usize, visible: usize, parameters: u128) -> u128 {
    // Persistent chains hold states of both layers and, while they move, the fields of both in single precision.
    let temperatures = if train.learning.method == Method::Tempered { train.learning.inverse_temperatures } else { 1 };
    let chains = if train.learning.method.is_persistent() { product(&[train.learning.chains, temperatures]) } else { 0 };
    let bytes_of_chains = chains.saturating_mul(5 * (visible + train.layers[layer]) as u128);
    let configurations = (train.samples + train.held_out) as u128;
    let data = if layer == 0 { configurations * packed(train.size) } else { configurations.saturating_mul(4 * visible as u128) };
    parameters.saturating_mul(4 * (1 + train.shards as u128)).saturating_add(data).saturating_add(bytes_of_chains)
}

/// The spins, and what the algorithm keeps a site: nothing of note for the packed checkerboard, a cluster label and its bookkeeping for the others.
fn lattice_bytes(sample: &SampleSection, size: usize) -> u128 {
    let sites = product(&[size, size]);
    match sample.algorithm {
        Algorithm::Metropolis => 2 * packed(size),
        Algorithm::SwendsenWang | Algorithm::Wolff => 2 * packed(size) + 8 * sites,
    }
}

fn packed(size: usize) -> u128 {
    product(&[size, size]).div_ceil(64) * 8
}

fn product(factors: &[usize]) -> u128 {
    factors.iter().fold(1, |product: u128, &factor| product.saturating_mul(factor as u128))
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Reports a run that needs more than the machine has, at the key that asks for the most.
pub(super) fn refuse_excess(run: &RunFile, available: u64, sample: Option<&Section>, train: Option<&Section>, mistakes: &Mistakes) {
    let memory = estimate(run);
    let total = memory.total();
    if total <= available as u128 {
        return;
    }
    let parts = [
        (memory.lattices, "the lattices", sample, "algorithm"),
        (memory.series, "the measured series", sample, "sweeps"),
        (memory.configurations, "the kept configurations", sample, "configurations"),
        (memory.network.saturating_add(memory.training), "the network and its training", train, "layers"),
    ];
    if let Some((bytes, what, section, key)) = parts.into_iter().max_by_key(|part| part.0) {
        let place = section.map_or(0, |section| section.place_of(key));
        let cure = if key == "algorithm" { "smaller sizes" } else { key };
        mistakes.add(
            place,
            &format!(
                "the run needs {} of memory, of which {} for {what}; available are {}: reduce {cure}",
                in_words(total),
                in_words(bytes),
                in_words(available as u128)
            ),
        );
    }
}

/// A number of bytes for people: "3.2 GiB".
pub(super) fn in_words(bytes: u128) -> String {
    let gib = bytes as f64 / (1u64 << 30) as f64;
    if gib >= 1e6 {
        format!("{gib:.1e} GiB")
    } else if gib >= 0.1 {
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
    let membership = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let limits = control_groups(&membership).into_iter().filter_map(|group| {
        let (limit, used) = if group.starts_with("/sys/fs/cgroup/memory") {
            (read(format!("{group}/memory.limit_in_bytes"))?, read(format!("{group}/memory.usage_in_bytes")).unwrap_or(0))
        } else {
            (read(format!("{group}/memory.max"))?, read(format!("{group}/memory.current")).unwrap_or(0))
        };
        Some(limit.saturating_sub(used))
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
    fn bytes_are_put_into_words() {
        assert_eq!(in_words(5 << 30), "5.0 GiB");
        assert_eq!(in_words(3 << 20), "3.0 MiB");
        assert!(in_words(u128::MAX).contains("e29 GiB"));
    }
}
