//! The run directory as rank 0 works on it: what is there already, and where each finished stage goes.

use crate::config::RunFile;
use crate::error::{Error, Result};
use crate::kernels::InstructionSet;
use crate::record::provenance::{self, Provenance, Submission};
use crate::record::{RenormalizationRecord, RunRecord, SamplingRecord, Scaling, TableRecord, TrainingRecord};
use crate::store::checkpoint::{Checkpoint, CheckpointFolder, StoredItems};
use crate::store::{self, ConfigurationSet, RunDirectory, durable};
use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The page, written when all else is done.
pub const REPORT_FILE: &str = "report.html";
/// The file by which people ask a job to stop.
const STOP_FILE: &str = "stop";
/// How the lines of `log.txt` begin that say how a job ended; `kadanoff status` looks for them.
pub const STOPPED: &str = "stopped because ";
/// The same for an error; the exit code follows.
pub const FAILED: &str = "ended with exit code ";
/// The same for a run with nothing left to do.
pub const DONE: [&str; 2] = ["done; results are in ", "this run is done already"];
/// The same for a job that was to do some stages only (`--until`).
pub const DONE_IN_PART: [&str; 2] = ["the sampling is done, and this job", "the training is done, and this job"];
/// How the lines begin that say that a job began.
pub const SUBMITTED: &str = "submission ";
/// So many checkpoints in a row may fail before the job gives up.
const MOST_FAILURES: u32 = 3;
/// Writing the files after networks that are soon trained takes at most one part in so many of the time: with every network there is more to write.
pub const SAVING_SHARE: u32 = 20;

/// The parts of a run. Their numbers are those of checkpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Stage {
    /// `[sample]`
    Sampling = 1,
    /// `[train]`
    Training = 2,
    /// `[renormalize]`
    Renormalization = 3,
    /// What the samples say together, between `[sample]` and `[train]`.
    #[value(skip)]
    Analysis = 4,
}

/// The directory, locked, and all that the run has produced so far.
pub struct Desk {
    directory: RunDirectory,
    /// What is done.
    pub record: RunRecord,
    /// The kept configurations, one set an ensemble.
    pub configurations: Vec<ConfigurationSet>,
    checkpoints: CheckpointFolder,
    /// When this submission has last put anything into the files, and how long that took.
    saved: Option<(Instant, Duration)>,
    /// Whether layers have been trained since.
    unsaved_layers: bool,
    failures: u32,
    /// The last checkpoint that was tried: its size in bytes if it was written.
    last_checkpoint: Option<u64>,
}

impl Desk {
    /// Opens or makes the run directory and reads what an earlier submission left.
    ///
    /// # Errors
    /// [`Error::Refused`] for the directory of another run, or files that are damaged; [`Error::InputOutput`].
    pub fn open(path: &Path, job: &RunFile, ranks: usize, force_lock: bool) -> Result<Self> {
        let directory = RunDirectory::open_or_create(path, &job.text, force_lock)?;
        let (checkpoints, mut notes) = CheckpointFolder::open(directory.path())?;
        let begun = directory.file(store::RESULTS_FILE).exists();
        let mut record = if begun { store::read_run(directory.path())? } else { empty_record(job) };
        let ours = Provenance::new(&job.text, job.seed);
        record.provenance.must_be_of_the_run_of(&ours, &directory.file(store::RESULTS_FILE))?;
        let kept = directory.file(store::CONFIGURATIONS_FILE);
        let taken_in = job.train.as_ref().is_some_and(|section| section.foreign.is_some());
        let mut configurations = Vec::new();
        if (record.sampling.is_some() || taken_in) && kept.exists() {
            let (provenance, sets) = store::read_configurations(&kept)?;
            provenance.must_be_of_the_run_of(&ours, &kept)?;
            configurations = sets;
        }
        if record.sampling.is_some() && configurations.is_empty() && job.sample.as_ref().is_some_and(|section| section.configurations > 0) {
            return Err(Error::Refused(format!(
                "{} is missing, though the sampling of this run is done: put it back, or remove {} to sample again",
                kept.display(),
                directory.file(store::RESULTS_FILE).display()
            )));
        }
        record.provenance.submissions.push(this_submission(ranks));
        if remove_if_there(&directory.file(STOP_FILE)) {
            notes.push(format!("removed the file {STOP_FILE}, which was meant for an earlier job"));
        }
        let mut desk =
            Desk { directory, record, configurations, checkpoints, saved: None, unsaved_layers: false, failures: 0, last_checkpoint: None };
        for note in desk.directory.notes.iter().chain(&notes).cloned().collect::<Vec<_>>() {
            desk.say(&note)?;
        }
        desk.log(&format!("{SUBMITTED}{} of {}", desk.record.provenance.submissions.len(), job.name))?;
        Ok(desk)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Writes down that the job ends with an error, and what it has done. That this cannot be written either is no news.
    pub fn note_failure(&mut self, error: &Error) {
        let _ = self.save_layers();
        let first_line = error.to_string().lines().next().unwrap_or_default().to_string();
        let _ = self.log(&format!("{FAILED}{}: {first_line}", error.exit_code()));
    }

    /// Writes down where the ranks of this job are.
    pub fn note_binding(&mut self, words: String) {
        if let Some(this) = self.record.provenance.submissions.last_mut() {
            this.binding = words;
        }
    }

    /// Writes down what share of the time the ranks of this job have worked so far, if there are several.
    pub fn note_work(&mut self, share: f64) {
        if let Some(this) = self.record.provenance.submissions.last_mut().filter(|this| this.ranks > 1) {
            this.worked = Some(share);
        }
    }

    /// Whether a stage is still to be done.
    pub fn is_missing(&self, stage: Stage, job: &RunFile) -> bool {
        match stage {
            Stage::Sampling => self.record.sampling.is_none(),
            Stage::Training => {
                let companions: usize = job.companions().iter().map(|companion| companion.section.layers.len()).sum();
                let wanted = job.train.as_ref().map_or(0, |section| section.layers.len()) + companions;
                self.record.training.as_ref().map_or(0, TrainingRecord::trained_layers) < wanted
            }
            Stage::Renormalization => self.record.renormalization.is_none(),
            Stage::Analysis => self.record.scaling.is_none() && self.record.analyses.is_empty(),
        }
    }

    /// Puts configurations of another program into the files, from where the run goes on.
    ///
    /// # Errors
    /// [`Error::InputOutput`]; what `go_on` fails with, which is asked while they are written.
    pub fn keep_foreign(&mut self, set: ConfigurationSet, what: &str, go_on: &dyn Fn() -> Result<()>) -> Result<()> {
        self.configurations = vec![set];
        self.write_configurations(go_on)?;
        self.say(what)
    }

    fn write_configurations(&self, go_on: &dyn Fn() -> Result<()>) -> Result<()> {
        let path = self.directory.file(store::CONFIGURATIONS_FILE);
        store::write_configurations(&path, &self.record.provenance, &self.configurations, go_on)
    }

    /// Whether the samples are still to be analysed: not where a later stage has begun, though runs of older versions have then no table of the analysis.
    ///
    /// # Errors
    /// [`Error::Refused`] if all checkpoints are damaged or foreign; [`Error::InputOutput`].
    pub fn analysis_is_missing(&mut self, job: &RunFile) -> Result<bool> {
        let goes_on = self.record.training.is_some() || self.record.renormalization.is_some();
        if self.record.sampling.is_none() || goes_on || !self.is_missing(Stage::Analysis, job) {
            return Ok(false);
        }
        let later = [Stage::Training, Stage::Renormalization].map(|stage| stage as u64);
        let (checkpoint, _) = self.checkpoints.read(self.run_file_hash())?;
        Ok(checkpoint.is_none_or(|checkpoint| !later.contains(&checkpoint.stage)))
    }

    /// Puts the sampling stage into the files: configurations first, so that a recorded stage has them.
    ///
    /// # Errors
    /// [`Error::InputOutput`]; what `go_on` fails with, which is asked while configurations are written.
    pub fn keep_sampling(
        &mut self,
        record: SamplingRecord,
        configurations: Vec<ConfigurationSet>,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        self.configurations = configurations;
        if !self.configurations.is_empty() {
            self.write_configurations(go_on)?;
        }
        self.record.sampling = Some(record);
        self.save("sampling done")?;
        self.drop_checkpoints()
    }

    /// Puts the analysis of the samples into the files, and what is kept of the samples themselves.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn keep_analysis(&mut self, sampling: SamplingRecord, scaling: Option<Scaling>, analyses: Vec<TableRecord>) -> Result<()> {
        self.record.sampling = Some(sampling);
        (self.record.scaling, self.record.analyses) = (scaling, analyses);
        self.save("analysis done")?;
        self.drop_checkpoints()
    }

    /// Takes the layers trained so far and puts them into the files: at once, or when enough time has gone by since the last ones, and at the next checkpoint at the latest.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn keep_training(&mut self, record: TrainingRecord, at_once: bool) -> Result<()> {
        self.log(&format!("layer {} trained", record.trained_layers()))?;
        self.record.training = Some(record);
        self.unsaved_layers = true;
        let is_time = self.saved.is_none_or(|(when, took)| when.elapsed() >= SAVING_SHARE * took);
        if at_once || is_time { self.save_layers() } else { Ok(()) }
    }

    /// Puts the layers into the files that are not there yet. No checkpoint goes ahead of them: it holds the next layer alone.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn save_layers(&mut self) -> Result<()> {
        if !self.unsaved_layers {
            return Ok(());
        }
        self.save("trained layers saved")?;
        self.unsaved_layers = false;
        self.drop_checkpoints()
    }

    /// What the checkpoints held is in the files of the run now.
    fn drop_checkpoints(&mut self) -> Result<()> {
        (self.failures, self.last_checkpoint) = (0, None);
        self.checkpoints.clear()
    }

    /// The state of a stage that an earlier submission left in a checkpoint, still in its file; nothing if there is no checkpoint of this stage.
    ///
    /// # Errors
    /// [`Error::Refused`] if all checkpoints are damaged or foreign; [`Error::InputOutput`].
    pub fn resume(&mut self, stage: Stage) -> Result<Option<StoredItems>> {
        let (checkpoint, warning) = self.checkpoints.read(self.run_file_hash())?;
        if let Some(warning) = warning {
            self.say(&format!("warning: {warning}"))?;
        }
        let is_of_a_later_stage = |checkpoint: &Checkpoint| stage == Stage::Sampling && checkpoint.stage != stage as u64;
        if checkpoint.as_ref().is_some_and(is_of_a_later_stage) {
            // The files of the sampling were taken away. What a later stage had done would be taken for proof that the stages between are done.
            self.say("the checkpoint of a later stage is dropped, since the sampling is done again")?;
            self.drop_checkpoints()?;
        }
        let Some(checkpoint) = checkpoint.filter(|checkpoint| checkpoint.stage == stage as u64) else { return Ok(None) };
        // The files of the run know only the submissions before the last finished stage.
        let submissions = &mut self.record.provenance.submissions;
        if let Some(this) = submissions.pop() {
            if checkpoint.submissions.len() > submissions.len() {
                *submissions = checkpoint.submissions;
            }
            submissions.push(this);
        }
        self.say("going on from the checkpoint of an earlier job")?;
        Ok(Some(checkpoint.items))
    }

    /// Writes a checkpoint, which was `begun` before, of a state of `length` bytes that `put` hands over if all is well so far; whether that worked. A failure is a warning as long as an older generation is intact, the job goes on, and it is not the third in a row.
    ///
    /// # Errors
    /// [`Error::InputOutput`] otherwise.
    pub fn keep_checkpoint(
        &mut self,
        stage: Stage,
        length: u64,
        put: impl FnOnce(&mut dyn FnMut(&[u8])),
        begun: Instant,
        stopping: Option<&str>,
    ) -> Result<bool> {
        self.save_layers()?;
        match self.checkpoints.write(self.run_file_hash(), stage as u64, &self.record.provenance.submissions, length, put) {
            Ok(size) => {
                (self.failures, self.last_checkpoint) = (0, Some(size));
                self.log(&format!("checkpoint of {size} bytes in {:.3} s", begun.elapsed().as_secs_f64()))?;
                Ok(true)
            }
            Err(Error::InputOutput(sentence)) => {
                self.failures += 1;
                let intact = self.checkpoints.has_intact();
                if let Some(reason) = stopping {
                    let rest = if intact { "the same command goes on from the checkpoint before it" } else { "there is none before it" };
                    return Err(Error::InputOutput(format!("{reason}, but the last checkpoint could not be written: {sentence}; {rest}")));
                }
                if !intact || self.failures == MOST_FAILURES {
                    let count = self.failures;
                    return Err(Error::InputOutput(format!("{sentence}; gave up after {count} failed checkpoints{}", rest_of(intact))));
                }
                // The log lies on the same disk: that it cannot be written is no news.
                let _ = self.say(&format!("warning: {sentence}; the checkpoint before it is intact, going on"));
                Ok(false)
            }
            Err(other) => Err(other),
        }
    }

    /// Whether the file `stop` is there; it is removed.
    pub fn takes_stop_file(&self) -> bool {
        remove_if_there(&self.directory.file(STOP_FILE))
    }

    /// Writes down that the job stops, and returns the sentence for people.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn say_stopped(&mut self, reason: &str) -> Result<String> {
        let place = match self.last_checkpoint {
            Some(size) => format!("a checkpoint of {size} bytes is in {}", self.checkpoints.newest().display()),
            None => format!("all work done is in {}", self.directory.path().display()),
        };
        let sentence = format!("{STOPPED}{reason}; {place}; the same command goes on from there");
        self.log(&sentence)?;
        Ok(sentence)
    }

    fn run_file_hash(&self) -> [u8; blake3::OUT_LEN] {
        provenance::hash(&self.record.provenance.run_file).into()
    }

    /// Puts the renormalization stage into the files.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn keep_renormalization(&mut self, record: RenormalizationRecord) -> Result<()> {
        self.record.renormalization = Some(record);
        self.save("renormalization done")?;
        self.drop_checkpoints()
    }

    /// Whether a report is wanted and not there: it goes as soon as anything new comes into the files.
    pub fn has_report_to_make(&self, job: &RunFile) -> bool {
        job.report.figures && !self.directory.file(REPORT_FILE).exists()
    }

    /// Writes the report, unless it is there and nothing was done in this submission; tells people where it is. `go_on` is asked between figures.
    ///
    /// # Errors
    /// [`Error::InputOutput`]; what `go_on` fails with before the page is there: the next job makes it.
    pub fn finish(&mut self, job: &RunFile, go_on: &dyn Fn() -> Result<()>) -> Result<()> {
        if self.saved.is_none() && self.is_half_saved()? {
            self.save("files of an interrupted job completed")?;
        }
        self.drop_checkpoints()?;
        let page = self.directory.file(REPORT_FILE);
        if self.saved.is_none() && !self.has_report_to_make(job) {
            let place = if page.exists() { page.as_path() } else { self.directory.path() };
            return self.say(&format!("{}; it is at {}", DONE[1], place.display()));
        }
        if job.report.figures {
            let go_on = || {
                crate::fault::point("figure").map_err(|why| Error::InputOutput(format!("cannot draw a figure: {why}")))?;
                go_on()
            };
            let files = crate::report::write_report(self.directory.path(), &self.record, &go_on)?;
            self.say(&format!("the report is at {}", files.page.display()))?;
        }
        self.say(&format!("{}{}", DONE[0], self.directory.path().display()))
    }

    /// Whether a job was killed between `results.h5` and the files that are written after it, of which the summary is the last; while nothing was saved in this submission.
    fn is_half_saved(&mut self) -> Result<bool> {
        if !self.directory.file(store::RESULTS_FILE).exists() {
            return Ok(false);
        }
        // The files know nothing of this submission.
        let this = self.record.provenance.submissions.pop();
        let is_whole = store::is_summary_of(&self.directory.file(store::SUMMARY_FILE), &self.record);
        self.record.provenance.submissions.extend(this);
        Ok(!is_whole?)
    }

    fn save(&mut self, what: &str) -> Result<()> {
        let begun = Instant::now();
        // A report that is there is one of all that is in the files.
        remove_if_there(&self.directory.file(REPORT_FILE));
        store::write_run(self.directory.path(), &self.record)?;
        self.saved = Some((Instant::now(), begun.elapsed()));
        self.log(what)
    }

    /// A line for people, on stderr and in the log.
    ///
    /// # Errors
    /// [`Error::InputOutput`].
    pub fn say(&mut self, line: &str) -> Result<()> {
        crate::console::say(format_args!("kadanoff: {line}"));
        self.log(line)
    }

    fn log(&self, line: &str) -> Result<()> {
        let path = self.directory.file("log.txt");
        crate::fault::point("log").map_err(|why| Error::file("write to", &path, why))?;
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {line}", now());
        durable::append(&path, &text)
    }
}

fn rest_of(intact: bool) -> &'static str {
    if intact { "; the one before is intact, and the same command goes on from it" } else { ", and no older checkpoint is there" }
}

/// Removes a file; whether it was there and is not any more.
fn remove_if_there(path: &Path) -> bool {
    std::fs::remove_file(path).is_ok()
}

/// Seconds since 1970, UTC.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}

fn empty_record(job: &RunFile) -> RunRecord {
    RunRecord {
        provenance: Provenance::new(&job.text, job.seed),
        sampling: None,
        scaling: None,
        analyses: Vec::new(),
        training: None,
        renormalization: None,
    }
}

/// The job, with the array and the task if it is one of those.
fn slurm_job() -> String {
    let number = |name: &str| std::env::var(name).unwrap_or_default();
    let (job, array, task) = (number("SLURM_JOB_ID"), number("SLURM_ARRAY_JOB_ID"), number("SLURM_ARRAY_TASK_ID"));
    if array.is_empty() { job } else { format!("{job} ({array}_{task})") }
}

fn this_submission(ranks: usize) -> Submission {
    Submission {
        started: now(),
        host: gethostname::gethostname().to_string_lossy().into_owned(),
        instruction_set: InstructionSet::chosen().name().to_string(),
        ranks,
        threads: rayon::current_num_threads(),
        slurm_job: slurm_job(),
        binding: String::new(),
        worked: None,
    }
}
