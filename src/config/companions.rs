//! The networks that are trained beside the main one, each with one thing changed: `seeds` and `scan` of `[train]`, `controls` of `[renormalize]`.
//!
//! A companion is a run file of its own, so that everything that trains a network trains a companion.

use super::reader::{Field, Section};
use super::train::single;
use super::{RunFile, TrainSection};
use crate::rbm::{Method, options::EPOCHS_END};
use crate::rg::{Control, control_stream};

/// Networks of a scan, at most.
const MOST_OF_A_SCAN: usize = 10_000;

/// `scan = { l1 = [...], samples = [...] }`: one-layer networks for every pair, judged by how local their receptive fields are.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct ScanSection {
    /// Penalties of the first layer.
    pub l1: Vec<f32>,
    /// Training configurations, spread evenly over those that are kept. Epochs are chosen so that every network takes as many steps as the main one.
    pub samples: Vec<usize>,
}

/// What is different about a companion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Other random numbers: first weights, order of the data, Gibbs steps. The configurations are the same.
    Seed,
    /// The same training on configurations whose sites were shuffled, all in the same way.
    ShuffledSites,
    /// No L1 penalty.
    NoPenalty,
    /// One layer with another penalty and number of configurations.
    Scan,
    /// The same training on the configurations of another coupling.
    Coupling,
    /// Another method of training.
    Method,
}

impl Role {
    /// Whether its receptive fields stand among the controls of the main network.
    pub fn is_control(self) -> bool {
        !matches!(self, Role::Scan) && !self.is_rival()
    }

    /// Whether its stack is held against the main one as a model of the spins.
    pub fn is_rival(self) -> bool {
        matches!(self, Role::Coupling | Role::Method)
    }

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Role::Seed => "seed",
            Role::ShuffledSites => "shuffled-sites",
            Role::NoPenalty => "no-penalty",
            Role::Scan => "scan",
            Role::Coupling => "coupling",
            Role::Method => "method",
        }
    }
}

/// A network that is trained beside the main one.
#[derive(Debug, Clone, PartialEq)]
pub struct Companion {
    /// What is different, in words.
    pub name: String,
    /// What kind of difference it is.
    pub role: Role,
    /// Which of the `seeds` its random numbers are, from 1.
    pub seed_number: usize,
    /// The run file that it is trained by: with its own seed.
    pub job: RunFile,
    /// The section `[train]` of that run file.
    pub section: TrainSection,
}

/// How many seeds.
pub(super) fn read_seeds(section: &Section) -> Option<usize> {
    section.optional("seeds", 1, |field| field.count("from 1 to 100", 1..=100))
}

/// The scan. The outer `None` is a mistake, the inner one that there is none.
pub(super) fn read_scan(
    section: &Section,
    samples: Option<usize>,
    minibatch: Option<usize>,
    epochs: Option<&[usize]>,
    seeds: Option<usize>,
    fresh: bool,
) -> Option<Option<ScanSection>> {
    const KEYS: &[&str] = &["l1", "samples"];
    section.optional("scan", None, |field| {
        if fresh {
            return field.refuse("a scan trains on the kept configurations: leave data = \"fresh\" out, or this key");
        }
        let table = field.table("train.scan", KEYS, "{ l1 = [5e-4, 1e-3, 2e-3], samples = [5000, 20000] }")?;
        let penalty = |field: &Field| single(field, "a number of at least 0 that fits single precision", |value| value >= 0.0);
        let l1 = table.required("l1", "l1 = [5e-4, 1e-3, 2e-3]", |field| field.distinct("penalties", penalty));
        let (least, most) = (minibatch.unwrap_or(1) as u64, samples.unwrap_or(usize::MAX) as u64);
        let words = format!("of configurations from {least} (a minibatch) to {most} (the training set)");
        let counts = table.required("samples", "samples = [5000, 20000]", |field| {
            field.distinct("numbers of configurations", |field| field.count(&words, least..=most))
        });
        let scan = ScanSection { l1: l1?, samples: counts? };
        let (pairs, seeds) = (scan.l1.len() * scan.samples.len(), seeds.unwrap_or(1));
        if pairs * seeds > MOST_OF_A_SCAN {
            return field.refuse(&format!(
                "{} penalties for each of {} numbers of configurations and {seeds} seeds are {} networks, and a scan has at most {MOST_OF_A_SCAN}: write fewer of them",
                scan.l1.len(),
                scan.samples.len(),
                pairs * seeds
            ));
        }
        if let (Some(all), Some(minibatch), Some(&[epochs, ..])) = (samples, minibatch, epochs)
            && let mut wanted = scan.samples.iter().map(|&few| (few, reduced_epochs(epochs, all, few, minibatch)))
            && let Some((few, wanted)) = wanted.find(|(_, wanted)| *wanted as u64 >= EPOCHS_END)
        {
            return field.refuse(&format!(
                "as many steps on {few} configurations as on all take {wanted} epochs, and there are at most {}: write fewer epochs, or more samples",
                EPOCHS_END - 1
            ));
        }
        Some(Some(scan))
    })
}

/// Other methods of training, each for a network beside the main one.
pub(super) fn read_methods(section: &Section, main: Option<Method>) -> Option<Vec<Method>> {
    section.optional("other_methods", Vec::new(), |field| {
        let all = [Method::ContrastiveDivergence, Method::Persistent, Method::Tempered];
        let names = all.map(|method| (method.name(), method));
        let methods = field.list("methods", |field| {
            let method = field.choice(&names)?;
            if Some(method) == main { field.refuse("is the method of the main network: name another one") } else { Some(method) }
        })?;
        if (1..methods.len()).any(|place| methods[..place].contains(&methods[place])) {
            return field.refuse("names a method twice: write each once");
        }
        Some(methods)
    })
}

/// Whether the controls are wanted.
pub(super) fn read_controls(section: &Section, train: Option<&TrainSection>, trains: bool) -> Option<bool> {
    section.optional("controls", false, |field| {
        let wanted = field.boolean()?;
        if wanted && !trains {
            return field.refuse("there is no network to control without a section [train]: write that section, or leave this key out");
        }
        if wanted && train.is_some_and(|train| train.fresh_sweeps.is_some()) {
            return field.refuse("the controls train on the kept configurations: leave data = \"fresh\" out of [train], or this key");
        }
        Some(wanted)
    })
}

impl RunFile {
    /// The seed of the random numbers of the seed number `number`, from 1; the first is the seed of the run.
    fn seed_number(&self, number: usize) -> u64 {
        if number == 1 { self.seed } else { control_stream(self.seed, Control::CompanionSeed, number as u64).word() >> 1 }
    }

    /// The networks that are trained after the main one, in this order: its other seeds, the controls, and the scan for every seed.
    pub fn companions(&self) -> Vec<Companion> {
        let Some(main) = &self.train else { return Vec::new() };
        let companion = |name: String, role: Role, seed_number: usize, change: &dyn Fn(&mut TrainSection)| {
            let alone = TrainSection { seeds: 1, scan: None, other_couplings: Vec::new(), other_methods: Vec::new(), ..main.clone() };
            let mut section = alone;
            change(&mut section);
            let job = RunFile { seed: self.seed_number(seed_number), train: Some(section.clone()), renormalize: None, ..self.clone() };
            Companion { name, role, seed_number, job, section }
        };
        let mut all: Vec<Companion> =
            (2..=main.seeds).map(|number| companion(format!("seed {number}"), Role::Seed, number, &|_| ())).collect();
        for &coupling in &main.other_couplings {
            all.push(companion(format!("K = {coupling:.7}"), Role::Coupling, 1, &|section| section.couplings = vec![coupling]));
        }
        for &method in &main.other_methods {
            let name = format!("method = \"{}\"", method.name());
            all.push(companion(name, Role::Method, 1, &|section| section.learning.method = method));
        }
        if self.renormalize.as_ref().is_some_and(|section| section.controls) {
            all.push(companion("sites shuffled".to_string(), Role::ShuffledSites, 1, &|_| ()));
            if main.l1.iter().any(|&l1| l1 > 0.0) {
                all.push(companion("no L1 penalty".to_string(), Role::NoPenalty, 1, &|section| {
                    section.l1.fill(0.0);
                    section.last_l1.fill(0.0);
                }));
            }
        }
        for scan in main.scan.iter() {
            for (seed, &samples, &l1) in (1..=main.seeds)
                .flat_map(|seed| scan.samples.iter().map(move |samples| (seed, samples)))
                .flat_map(|(seed, samples)| scan.l1.iter().map(move |l1| (seed, samples, l1)))
            {
                let name = format!("L1 = {l1}, {samples} configurations, seed {seed}");
                all.push(companion(name, Role::Scan, seed, &|section| reduce(section, samples, l1)));
            }
        }
        all
    }

    /// The section `[train]` of a network by its number: 0 is the main one.
    pub fn network(&self, number: usize) -> Option<TrainSection> {
        if number == 0 { self.train.clone() } else { self.companions().into_iter().nth(number - 1).map(|companion| companion.section) }
    }
}

/// So many epochs of fewer samples have as many steps.
fn reduced_epochs(epochs: usize, all: usize, few: usize, minibatch: usize) -> usize {
    let steps = epochs * all.div_ceil(minibatch);
    (steps as f64 / few.div_ceil(minibatch) as f64).round().max(1.0) as usize
}

/// The first layer alone, with as many steps as before on other configurations.
fn reduce(section: &mut TrainSection, samples: usize, l1: f32) {
    section.epochs = vec![reduced_epochs(section.epochs[0], section.samples, samples, section.minibatch)];
    section.samples = samples;
    section.l1 = vec![l1];
    section.last_l1 = vec![l1];
    section.layers.truncate(1);
    section.learning_rate.truncate(1);
    section.learning.last_learning_rate.truncate(1);
    section.learning.l2.truncate(1);
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = "seed = 5\n[lattice]\nsizes = [8]\n[sample]\ncouplings = [0.4]\nthermalization = 10\nsweeps = 1000\nconfigurations = 1100\n[train]\nlayers = [16, 4]\nepochs = [10, 20]\n\
                       held_out = 100\nl1 = [1e-3, 0]\n";

    #[test]
    fn companions_differ_in_one_thing_each() {
        let text = format!("{JOB}seeds = 2\nscan = {{ l1 = [1e-3, 4e-3], samples = [100, 250] }}\n[renormalize]\ncontrols = true\n");
        let job = RunFile::parse_for(&text, "job.toml", None).expect("a run file");
        let all = job.companions();
        let names: Vec<&str> = all.iter().map(|companion| companion.name.as_str()).collect();
        assert_eq!(names[..3], ["seed 2", "sites shuffled", "no L1 penalty"]);
        assert_eq!(all.len(), 3 + 2 * 2 * 2);
        let main = job.train.as_ref().expect("a section");
        assert!(all[0].job.seed != job.seed && all[0].section.l1 == main.l1 && all[0].section.epochs == main.epochs);
        assert_eq!((all[1].job.seed, all[2].section.l1.as_slice()), (job.seed, [0.0, 0.0].as_slice()));
        let last = &all[10];
        assert_eq!(last.name, "L1 = 0.004, 250 configurations, seed 2");
        // Ten epochs of ten minibatches are a hundred steps: 33 epochs of three.
        assert_eq!(
            (last.section.epochs.as_slice(), last.section.samples, last.section.layers.as_slice()),
            ([33].as_slice(), 250, [16].as_slice())
        );
        assert_eq!((last.job.seed, job.network(11).map(|section| section.samples)), (all[0].job.seed, Some(250)));
        assert!(job.network(12).is_none() && job.network(0).as_ref() == Some(main));
    }

    #[test]
    fn scans_and_controls_that_cannot_be_are_refused() {
        let refused = |addition: &str| RunFile::parse_for(&format!("{JOB}{addition}"), "job.toml", None).expect_err(addition).to_string();
        assert!(refused("scan = { l1 = [1e-3], samples = [1001] }\n").contains("from 100 (a minibatch) to 1000 (the training set)"));
        assert!(refused("scan = { l1 = [1e-3, 1e-3], samples = [100] }\n").contains("twice"));
        assert!(refused("scan = { l1 = [1e-3] }\n").contains("samples is missing"));
        assert!(refused("seeds = 0\n").contains("from 1 to 100"));
        let many: Vec<String> = (1..=500).map(|number| format!("{number}e-6")).collect();
        let scan = format!("seeds = 3\nscan = {{ l1 = [{}], samples = [100, 200, 300, 400, 500, 600, 700] }}\n", many.join(", "));
        assert!(refused(&scan).contains("10500 networks"));
        let fresh = JOB.replace("held_out = 100", "data = \"fresh\"\nsamples = 1000");
        let sentence =
            RunFile::parse_for(&format!("{fresh}[renormalize]\ncontrols = true\n"), "job.toml", None).expect_err("fresh").to_string();
        assert!(sentence.contains("kept configurations"), "{sentence}");
        let alone = "seed = 1\n[lattice]\nsizes = [8]\n[renormalize]\ncontrols = true\n";
        assert!(RunFile::parse_for(alone, "job.toml", None).expect_err("no network").to_string().contains("[train]"));
    }
}
