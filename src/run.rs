//! A run from end to end: the one place where physics, ranks and files meet. Called by every rank, in step.
//!
//! Reading order: [`run`], all verbs; [`desk`], what lies in the run directory and what of it is done; then the stages [`sample`], [`train`], [`renormalize`] with
//! [`likelihood`]; at
//! last the small helpers. A stage that is found done is not done again, so the same command finishes what an earlier one began.

pub mod desk;
pub mod exchange;
pub mod likelihood;
pub mod memory;
pub mod progress;
pub mod renormalize;
pub mod sample;
pub mod train;

use crate::comm::{self, Comm};
use crate::config::RunFile;
use crate::error::Result;
use desk::{Desk, Stage};
use std::path::{Path, PathBuf};

/// Does all stages of a run file in `directory`.
///
/// # Errors
/// Everything that can go wrong with a run, agreed on by all ranks.
pub fn run(run_file: &Path, directory: &Path, comm: &dyn Comm) -> Result<()> {
    let job = read_on_all(run_file, comm)?;
    let mut desk = on_root(comm, || Desk::open(directory, &job, comm.size()))?;
    sample_if_missing(&job, &mut desk, comm)?;
    train_if_missing(&job, &mut desk, comm)?;
    on_root(comm, || desk.iter_mut().try_for_each(|desk| renormalize_if_missing(&job, desk)))?;
    on_root(comm, || desk.iter_mut().try_for_each(|desk| desk.finish(&job)))?;
    Ok(())
}

/// Makes summary, figures and report again from the files of `directory`; returns the page.
///
/// # Errors
/// Files that are missing, corrupt or foreign; a directory that cannot be written.
pub fn report_again(directory: &Path) -> Result<PathBuf> {
    let record = crate::store::read_run(directory)?;
    crate::store::write_summary(&directory.join(crate::store::SUMMARY_FILE), &record)?;
    Ok(crate::report::write_report(directory, &record)?.page)
}

/// The run file as rank 0 reads it, on every rank: they need not see the same file system.
fn read_on_all(run_file: &Path, comm: &dyn Comm) -> Result<RunFile> {
    let own = if comm.is_root() { RunFile::load(run_file).map(Some) } else { Ok(None) };
    let loaded = comm::agree(comm, own)?;
    let text = comm.broadcast(loaded.map(|job| job.text.into_bytes()).unwrap_or_default());
    comm::agree(comm, RunFile::parse(&String::from_utf8_lossy(&text), &run_file.display().to_string()))
}

/// Does something on rank 0, and fails everywhere if it failed there. The result is there only.
fn on_root<T>(comm: &dyn Comm, work: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    let own = if comm.is_root() { work().map(Some) } else { Ok(None) };
    comm::agree(comm, own)
}

/// Whether a stage is wanted and not done, as rank 0 knows.
fn is_missing(stage: Stage, job: &RunFile, desk: &Option<Desk>, comm: &dyn Comm) -> bool {
    comm.maximum(u64::from(desk.as_ref().is_some_and(|desk| desk.is_missing(stage, job)))) == 1
}

fn sample_if_missing(job: &RunFile, desk: &mut Option<Desk>, comm: &dyn Comm) -> Result<()> {
    let Some(section) = &job.sample else { return Ok(()) };
    if !is_missing(Stage::Sampling, job, desk, comm) {
        return Ok(());
    }
    let plan = sample::Plan::new(job.seed, &job.lattice, section);
    let chains = sample::run(&plan, comm)?;
    on_root(comm, || {
        desk.iter_mut().try_for_each(|desk| desk.keep_sampling(sample::record(&plan, &chains), sample::configurations(&plan, &chains)))
    })?;
    Ok(())
}

fn train_if_missing(job: &RunFile, desk: &mut Option<Desk>, comm: &dyn Comm) -> Result<()> {
    let Some(section) = &job.train else { return Ok(()) };
    if !is_missing(Stage::Training, job, desk, comm) {
        return Ok(());
    }
    let prior =
        on_root(comm, || desk.as_ref().map(|desk| train::prior(section, desk.record.training.as_ref(), &desk.configurations)).transpose())?;
    let data = train::share(section, prior.flatten(), comm)?;
    train::run(job.seed, section, data, comm, &mut |record| desk.iter_mut().try_for_each(|desk| desk.keep_training(record.clone())))
}

fn renormalize_if_missing(job: &RunFile, desk: &mut Desk) -> Result<()> {
    let Some(section) = job.renormalize.as_ref().filter(|_| desk.is_missing(Stage::Renormalization, job)) else { return Ok(()) };
    let trained = job
        .train
        .as_ref()
        .zip(desk.record.training.as_ref())
        .map(|(section, record)| train::stack(section, record, &desk.configurations))
        .transpose()?;
    let subject = trained.as_ref().map(|trained| trained.subject(job.seed));
    let record = renormalize::run(section, subject.as_ref())?;
    desk.keep_renormalization(record)
}
