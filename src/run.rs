//! A run from end to end: the one place where physics, ranks and files meet. Called by every rank, in step.
//!
//! Reading order: [`run`], all verbs; [`binding`], where the ranks are; [`desk`], what lies in the run directory and what of it is done; [`session`] and [`watch`], how the ranks agree to write a
//! checkpoint or to stop; then the stages: [`foreign_data`] or [`sample`] with its [`chains`], their [`spread`] over ranks, the [`travel`] of their states and the [`analysis`] across sizes with the test of [`equilibration`], [`train`] with [`training_data`], [`learning`], all [`layers`] or [`networks`] at once, the [`companions`], [`layer_state`] and [`fresh`] data, [`renormalize`] with its [`notes`], [`likelihood`] of machine and [`stack`], [`stacks`] side by side, [`flow`], [`standards`], [`decimation`],
//! [`comparison`], [`controls`] and [`locality`]; at last the small helpers. [`status`] looks on from outside, [`estimate`] ahead, and [`export`] takes things out. A stage that is
//! found done is not done again, and one that has begun goes on from its checkpoint, so the same command finishes what an earlier one began.

pub mod analysis;
pub mod binding;
pub mod chains;
pub mod companions;
pub mod comparison;
pub mod controls;
pub mod decimation;
pub mod desk;
pub mod equilibration;
pub mod estimate;
pub mod exchange;
pub mod export;
pub mod flow;
pub mod foreign_data;
pub mod fresh;
pub mod groups;
mod improved;
pub mod layer_state;
pub mod layers;
pub mod learning;
pub mod likelihood;
pub mod locality;
pub mod mapping;
pub mod memory;
pub mod networks;
pub mod notes;
pub mod progress;
pub mod renormalize;
pub mod sample;
pub mod session;
pub mod spread;
pub mod stack;
pub mod stacks;
pub mod standards;
pub mod status;
pub mod train;
pub mod training_data;
pub mod travel;
pub mod units;
pub mod watch;

use crate::comm::{self, Comm};
use crate::config::{Kept, RunFile};
use crate::error::{Error, Result};
use crate::kernels::heap;
use crate::store::checkpoint::Items;
use controls::Beside;
use desk::{Desk, Stage};
use notes::Notes;
use session::Session;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use watch::{Limits, Signals, Watch};

/// What the command line says about a run; none of it changes a result.
#[derive(Debug, Clone)]
pub struct Options {
    /// `--force-lock`
    pub force_lock: bool,
    /// When to stop, and how often to write a checkpoint.
    pub limits: Limits,
    /// What came to this process since it began.
    pub signals: Signals,
    /// `--until`: the last stage that this job does.
    pub until: Stage,
}

/// Does all stages of a run file in `directory`.
///
/// # Errors
/// Everything that can go wrong with a run, agreed on by all ranks; [`crate::error::Error::Stopped`] if it was asked to stop before the end.
pub fn run(run_file: &Path, directory: &Path, options: &Options, comm: &dyn Comm) -> Result<()> {
    let watch = Watch::start(options.limits, &options.signals);
    let job = read_on_all(run_file, comm)?;
    let mut session = Session::open(directory, &job, options, watch, comm)?;
    let ended = binding::say(&mut session).and_then(|()| all_stages(&job, options.until, &mut session));
    ended.as_ref().err().into_iter().for_each(|error| session.note_failure(error));
    ended
}

/// A piece of work, done if its results are missing; and the stage that is over then, with its name, if a job may end there.
type Step = (fn(&RunFile, &mut Session) -> Result<()>, Option<(Stage, &'static str)>);

const STEPS: [Step; 5] = [
    (take_in_if_missing, None),
    (sample_if_missing, None),
    (analyse_if_missing, Some((Stage::Sampling, "sampling"))),
    (train_if_missing, Some((Stage::Training, "training"))),
    (renormalize_if_missing, None),
];

fn all_stages(job: &RunFile, until: Stage, session: &mut Session) -> Result<()> {
    for (work, over) in STEPS {
        work(job, session)?;
        heap::give_back();
        if let Some((_, name)) = over.filter(|&(stage, _)| stage == until) {
            return session.on_root(|desk| desk.say(&format!("the {name} is done, and this job was to do no more"))).map(drop);
        }
    }
    session.finish(job)
}

/// Makes summary, figures and report again from the files of `directory`; returns the page.
///
/// # Errors
/// Files that are missing, corrupt or foreign; a directory that cannot be written.
pub fn report_again(directory: &Path) -> Result<PathBuf> {
    // Results of a job that is at work would be newer than those that are read here.
    let results = directory.join(crate::store::RESULTS_FILE);
    if !results.exists() {
        // Results without a run file may well be copied to where there is nothing else; the other way round nothing has come of the run yet.
        crate::store::directory::run_file(directory)?;
        return Err(Error::Refused(format!(
            "{} does not exist yet: nothing can be reported before the first stage is done (kadanoff status {} says how far it is)",
            results.display(),
            directory.display()
        )));
    }
    let _kept_out = crate::store::lock::keep_jobs_out(directory)?;
    let mut record = crate::store::read_run(directory)?;
    // The text was accepted when the run began; what it asks of the analysis is all that is wanted of it here.
    let job = RunFile::parse_for(&record.provenance.run_file, "run.toml", None).ok();
    let wanted = job.as_ref().is_none_or(|job| job.report.scaling);
    let kept = directory.join(crate::store::CONFIGURATIONS_FILE);
    let configurations = if kept.exists() {
        let (provenance, sets) = crate::store::read_configurations(&kept)?;
        provenance.must_be_of_the_run_of(&record.provenance, &kept)?;
        sets
    } else {
        Vec::new()
    };
    // What was found from series or configurations that are not here stays as it is; and what was not yet looked for is the next job's, which decides then what it keeps of the series.
    let keeps_none = job.as_ref().and_then(|job| job.sample.as_ref()).is_some_and(|section| section.configurations == 0);
    let was_analysed =
        record.scaling.is_some() || !record.analyses.is_empty() || record.training.is_some() || record.renormalization.is_some();
    let is_at_hand = was_analysed && (keeps_none || !configurations.is_empty());
    if let Some(sampling) = record.sampling.as_ref().filter(|sampling| is_at_hand && !sampling.is_of_histograms()) {
        let none = Notes::new(BTreeMap::new(), 1, progress::Progress::new("", "parts", 1, false));
        let (scaling, analyses) = analysis::all(sampling, &configurations, wanted, &none)?;
        if scaling != record.scaling || analyses != record.analyses {
            (record.scaling, record.analyses) = (scaling, analyses);
            crate::store::write_results(&results, &record)?;
        }
    }
    crate::store::write_links(directory, &record.provenance)?;
    crate::store::write_summary(&directory.join(crate::store::SUMMARY_FILE), &record)?;
    Ok(crate::report::write_report(directory, &record, &|| Ok(()))?.page)
}

/// The run file of a directory, for those who only look at it. It was accepted when the run began.
///
/// # Errors
/// [`Error::Refused`] if it is not what it was, or if this is no run directory; [`Error::InputOutput`] if it cannot be read.
pub fn accepted_run_file(path: &Path) -> Result<RunFile> {
    let text = crate::store::directory::run_file(path)?;
    let name = path.join(crate::store::directory::RUN_FILE).display().to_string();
    RunFile::parse_for(&text, &name, None).map_err(|error| {
        Error::Refused(format!(
            "{error}\nThe run file of the directory was changed, so that nothing in it can be held against it: put it back as it was"
        ))
    })
}

/// The run file as rank 0 reads it, on every rank: they need not see the same file system.
fn read_on_all(run_file: &Path, comm: &dyn Comm) -> Result<RunFile> {
    let own = if comm.is_root() { RunFile::load(run_file).map(Some) } else { Ok(None) };
    let loaded = comm::agree(comm, own)?;
    let text = comm.broadcast(loaded.map(|job| job.text.into_bytes()).unwrap_or_default());
    comm::agree(comm, RunFile::parse(&String::from_utf8_lossy(&text), &run_file.display().to_string()))
}

fn sample_if_missing(job: &RunFile, session: &mut Session) -> Result<()> {
    let Some(section) = job.sample.as_ref().filter(|_| session.is_missing(Stage::Sampling, job)) else { return Ok(()) };
    let plan = sample::Plan::new(job.seed, &job.lattice, section);
    let (mut outcome, can_be_stopped) = sample::run(&plan, session)?;
    session.note_work();
    session.on_root_until_signal(|desk, go_on| {
        let (record, configurations) = (sample::record(&plan, &mut outcome), sample::configurations(&plan, &outcome));
        drop(outcome);
        desk.keep_sampling(record, configurations, if can_be_stopped { go_on } else { &|| Ok(()) })
    })?;
    Ok(())
}

fn analyse_if_missing(job: &RunFile, session: &mut Session) -> Result<()> {
    // The record is lent to the thread that works; if the job stops meanwhile, it is in the files.
    let lend = |desk: &mut Desk| desk.record.sampling.take().map(|sampling| (sampling, std::mem::take(&mut desk.configurations)));
    let lent = session.on_root(|desk| Ok(if desk.analysis_is_missing(job)? { lend(desk) } else { None }))?.flatten();
    if session.comm().maximum(u64::from(lent.is_some())) == 0 {
        return Ok(());
    }
    let kept = comm::agree(session.comm(), notes::read(&session.resume(Stage::Analysis)?))?;
    let parts = lent.as_ref().map_or(0, |(sampling, configurations)| analysis::parts(sampling, configurations));
    let progress = session.progress("analysis", "parts", notes::work_done(&kept), parts);
    let notes = Arc::new(Notes::new(kept, 1, progress));
    let with_scaling = job.report.scaling;
    let forgets_order = job.sample.as_ref().is_some_and(|section| section.series == Kept::Histograms);
    let work = lent.map(|(sampling, configurations)| {
        let notes = Arc::clone(&notes);
        move || {
            let (scaling, tables) = analysis::all(&sampling, &configurations, with_scaling, &notes)?;
            let sampling = if forgets_order { sampling.into_histograms() } else { sampling };
            Ok((scaling, tables, sampling, configurations))
        }
    });
    let is_root = session.comm().is_root();
    let state = || if is_root { notes.items() } else { Items::default() };
    let found = session.beside_rounds(Stage::Analysis, work, &state, &|| notes.has_news())?;
    notes.finish();
    session.on_root(|desk| {
        let Some((scaling, tables, sampling, configurations)) = found else { return Ok(()) };
        desk.configurations = configurations;
        desk.keep_analysis(sampling, scaling, tables)
    })?;
    Ok(())
}

/// The configurations of another program, in the place of the sampling.
fn take_in_if_missing(job: &RunFile, session: &mut Session) -> Result<()> {
    let Some((section, foreign)) = job.train.as_ref().and_then(|section| Some((section, section.foreign.as_ref()?))) else { return Ok(()) };
    session
        .on_root_until_signal(|desk, go_on| {
            if desk.configurations.is_empty() {
                foreign_data::take_in(job, section, foreign, desk, go_on)?;
            }
            // A job that was killed before its first layer was saved has left the configurations alone.
            if let (None, Some(set)) = (desk.record.analysis(foreign_data::TABLE), desk.configurations.first()) {
                let table = foreign_data::judge(foreign, set)?;
                desk.record.analyses.push(table);
            }
            Ok(())
        })
        .map(drop)
}

fn train_if_missing(job: &RunFile, session: &mut Session) -> Result<()> {
    let Some(section) = job.train.as_ref().filter(|_| session.is_missing(Stage::Training, job)) else { return Ok(()) };
    let prior = session.on_root(|desk| train::prior(section, desk.record.training.as_ref(), &desk.configurations))?;
    let data = train::share(section, prior, session.comm())?;
    train::run(job, section, data, session)
}

fn renormalize_if_missing(job: &RunFile, session: &mut Session) -> Result<()> {
    let Some(section) = job.renormalize.as_ref().filter(|_| session.is_missing(Stage::Renormalization, job)) else { return Ok(()) };
    let kept = comm::agree(session.comm(), notes::read(&session.resume(Stage::Renormalization)?))?;
    let before = notes::work_done(&kept);
    let (work_of_part, total) = renormalize::work(job, section);
    let progress = session.progress("renormalization", "steps", before, total.max(before));
    let notes = Arc::new(Notes::new(kept, work_of_part, progress));
    let subject = session.on_root(|desk| {
        let trained = job.train.as_ref().zip(desk.record.training.as_ref());
        let trained = trained.map(|(section, record)| train::stack(section, record, &desk.configurations)).transpose()?;
        let found = desk.record.training.as_ref().map_or(&[][..], |training| training.companions.as_slice());
        let beside =
            trained.as_ref().map_or_else(|| Ok(Vec::new()), |main| Beside::all(job.companions(), found, main, &desk.configurations))?;
        // Nothing after this stage needs them.
        Ok((trained, beside, std::mem::take(&mut desk.configurations)))
    })?;
    let work = subject.map(|(trained, beside, sets)| {
        let (seed, section, notes) = (job.seed, section.clone(), Arc::clone(&notes));
        move || renormalize::run(seed, &section, &sets, trained.as_ref().map(|trained| trained.subject(seed)).as_ref(), &beside, &notes)
    });
    let is_root = session.comm().is_root();
    let state = || if is_root { notes.items() } else { Items::default() };
    let record = session.beside_rounds(Stage::Renormalization, work, &state, &|| notes.has_news())?;
    notes.finish();
    session.on_root(|desk| record.map_or(Ok(()), |record| desk.keep_renormalization(record))).map(drop)
}
