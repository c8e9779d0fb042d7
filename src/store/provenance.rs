//! Where the numbers of a file came from: the attributes of the root and the group `submissions`. Every HDF5 file of a run begins with it.

use super::FORMAT_VERSION;
use super::hdf5::{FileReader, GroupReader, GroupWriter, label};
use crate::error::{Error, Result};
use crate::record::{Provenance, Submission};
use std::path::Path;

/// Writes provenance into the root of a file whose content is called `content` ("results", "network", "configurations").
///
/// # Errors
/// [`Error::InputOutput`].
pub fn write(root: &GroupWriter, content: &str, provenance: &Provenance) -> Result<()> {
    root.attributes()
        .text("creator", "kadanoff")?
        .text("content", content)?
        .text("NX_class", "NXroot")?
        .number("format_version", FORMAT_VERSION)?
        .text("program_version", &provenance.program_version)?
        .text("git_commit", &provenance.git_commit)?
        .text("run_file", &provenance.run_file)?
        .text("run_file_hash", &provenance.run_file_hash)?
        .number("seed", provenance.seed)?;
    if provenance.submissions.is_empty() {
        return Ok(());
    }
    let group = root.group("submissions")?;
    let each = &provenance.submissions;
    group.index("submission", each.len(), "start or restart of the run")?;
    let numbers = |of: fn(&Submission) -> u64| each.iter().map(of).collect::<Vec<u64>>();
    let along = ["submission"];
    group.variable("started", &along, &numbers(|one| one.started), label("seconds since 1970-01-01 00:00:00", "start (UTC)"))?;
    group.variable("ranks", &along, &numbers(|one| one.ranks as u64), label("1", "MPI ranks"))?;
    group.variable("threads", &along, &numbers(|one| one.threads as u64), label("1", "threads a rank"))?;
    let texts = |of: fn(&Submission) -> &str| each.iter().map(of).collect::<Vec<&str>>();
    group.texts("host", &along, &texts(|one| &one.host), "host of rank 0")?;
    group.texts("instruction_set", &along, &texts(|one| &one.instruction_set), "instruction set of the kernels")?;
    group.texts("slurm_job", &along, &texts(|one| &one.slurm_job), "SLURM job, empty outside SLURM")?;
    group.texts("binding", &along, &texts(|one| &one.binding), "ranks, threads, and the processors they may use")?;
    let worked: Vec<f64> = each.iter().map(|one| one.worked.unwrap_or(f64::NAN)).collect();
    group.variable(
        "worked",
        &along,
        &worked,
        label("1", "share of the time of sampling and training in which an average rank worked; of several ranks only"),
    )
}

/// The provenance of a file that belongs to no run: a trial of the machine.
pub fn of_no_run() -> Provenance {
    Provenance::new("seed = 1\n", 1)
}

/// Opens a file of the given content, verifies its seal and version, and reads its provenance.
///
/// # Errors
/// [`Error::InputOutput`] if it cannot be read; [`Error::Refused`] if it is damaged, foreign, of another content or of a newer version.
pub fn open(path: &Path, content: &str) -> Result<(FileReader, GroupReader, Provenance)> {
    let file = FileReader::open(path)?;
    let root = file.root()?;
    let found = root.text("content")?;
    if found != content {
        return Err(root.wrong("content", format!("it is a file of {found}, not of {content}")));
    }
    let version: u64 = root.number("format_version")?;
    if version != FORMAT_VERSION {
        let remedy = if version > FORMAT_VERSION { " or a newer one" } else { ", or run it again in another directory" };
        return Err(Error::Refused(format!(
            "{} has format version {version}, this program reads {FORMAT_VERSION}: use the kadanoff that wrote it ({}){remedy}",
            path.display(),
            root.text("program_version")?
        )));
    }
    let provenance = Provenance {
        program_version: root.text("program_version")?,
        git_commit: root.text("git_commit")?,
        run_file: root.text("run_file")?,
        run_file_hash: root.text("run_file_hash")?,
        seed: root.number("seed")?,
        submissions: if root.has("submissions") { submissions(&root.group("submissions")?)? } else { Vec::new() },
    };
    Ok((file, root, provenance))
}

fn submissions(group: &GroupReader) -> Result<Vec<Submission>> {
    let started = group.array::<u64>("started", 1)?.values;
    let shape = [started.len()];
    let (ranks, threads) = (group.shaped::<u64>("ranks", &shape)?, group.shaped::<u64>("threads", &shape)?);
    let (host, set, job) = (group.texts("host", &shape)?, group.texts("instruction_set", &shape)?, group.texts("slurm_job", &shape)?);
    // Files of earlier versions do not have these.
    let binding = if group.has("binding") { group.texts("binding", &shape)? } else { vec![String::new(); shape[0]] };
    let worked = if group.has("worked") { group.shaped::<f64>("worked", &shape)? } else { vec![f64::NAN; shape[0]] };
    let count = |name: &str, number: u64| usize::try_from(number).map_err(|why| group.wrong(name, why));
    (0..started.len())
        .map(|index| {
            Ok(Submission {
                started: started[index],
                host: host[index].clone(),
                instruction_set: set[index].clone(),
                ranks: count("ranks", ranks[index])?,
                threads: count("threads", threads[index])?,
                slurm_job: job[index].clone(),
                binding: binding[index].clone(),
                worked: Some(worked[index]).filter(|share| !share.is_nan()),
            })
        })
        .collect()
}
