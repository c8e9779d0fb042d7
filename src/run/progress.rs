//! How far a stage is: rate and time left on a terminal, one line a minute in a log, and every other second the file that `kadanoff status` reads.

use crate::store::progress::{ProgressNote, write_progress};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often a log gets a line.
const LOG_INTERVAL: Duration = Duration::from_secs(60);
/// How often the file for `kadanoff status` is written.
const NOTE_INTERVAL: Duration = Duration::from_secs(2);

/// Progress of one stage, counted in units of work. Shared by the threads that do it; only rank 0 shows it.
pub struct Progress {
    bar: ProgressBar,
    speaks: bool,
    stage: String,
    unit: &'static str,
    total: u64,
    /// Work done in this submission.
    done: AtomicU64,
    /// Work done by earlier submissions.
    before: u64,
    started: Instant,
    /// Mean and smallest share of swaps made.
    swaps: Mutex<Option<[f64; 2]>>,
    last_line: Mutex<Instant>,
    /// The run directory, on the rank that writes into it, and when the last note was written there.
    directory: Option<PathBuf>,
    last_note: Mutex<Option<Instant>>,
}

impl Progress {
    /// Progress of `stage` towards `total` units of work; silent where `speaks` is false.
    pub fn new(stage: &str, unit: &'static str, total: u64, speaks: bool) -> Self {
        let terminal = speaks && console_is_terminal();
        let target = if terminal { ProgressDrawTarget::stderr_with_hz(4) } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{msg:24} [{bar:32}] {percent:>3} %  {per_sec}  {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> ");
        let bar = ProgressBar::with_draw_target(Some(total), target).with_style(style).with_message(stage.to_string());
        if speaks && !terminal {
            crate::console::say(format_args!("{stage}: begun"));
        }
        let now = Instant::now();
        Progress {
            bar,
            speaks: speaks && !terminal,
            stage: stage.to_string(),
            unit,
            total,
            done: AtomicU64::new(0),
            before: 0,
            started: now,
            swaps: Mutex::new(None),
            last_line: Mutex::new(now),
            directory: None,
            last_note: Mutex::new(None),
        }
    }

    /// The same in a stage of which `before` units were done by earlier submissions, with notes for `kadanoff status` in a run directory.
    pub fn noted_in(mut self, directory: Option<&Path>, before: u64) -> Self {
        (self.directory, self.before) = (directory.map(Path::to_path_buf), before);
        self.note(0);
        self
    }

    /// `work` more units are done.
    pub fn advance(&self, work: u64) {
        let done = self.done.fetch_add(work, Ordering::Relaxed) + work;
        self.bar.inc(work);
        self.note(done);
        if !self.speaks {
            return;
        }
        // A thread that finds the lock taken goes on with its work: another one is about to write the line.
        let Ok(mut last) = self.last_line.try_lock() else { return };
        if last.elapsed() >= LOG_INTERVAL {
            *last = Instant::now();
            let elapsed = self.started.elapsed().as_secs_f64();
            let left = Duration::from_secs_f64(self.seconds_left(done).unwrap_or(0.0));
            crate::console::say(format_args!(
                "{}: {:.0} %, {:.3e} {} a second, {} left",
                self.stage,
                100.0 * done as f64 / self.total.max(1) as f64,
                done as f64 / elapsed,
                self.unit,
                HumanDuration(left)
            ));
        }
    }

    /// Replicas were exchanged: the share of swaps made, of each pair of neighbouring temperatures.
    pub fn exchanged(&self, rates: &[f64]) {
        if let (false, Ok(mut swaps)) = (rates.is_empty(), self.swaps.lock()) {
            *swaps = Some([rates.iter().sum::<f64>() / rates.len() as f64, rates.iter().copied().fold(f64::INFINITY, f64::min)]);
        }
    }

    fn seconds_left(&self, done: u64) -> Option<f64> {
        (done > 0).then(|| self.started.elapsed().as_secs_f64() * self.total.saturating_sub(done) as f64 / done as f64)
    }

    /// Writes the file for `kadanoff status`, if it is time. A thread that finds another one at it goes on with its work.
    fn note(&self, done: u64) {
        let Ok(mut last) = self.last_note.try_lock() else { return };
        if self.directory.is_none() || last.is_some_and(|last| last.elapsed() < NOTE_INTERVAL) {
            return;
        }
        *last = Some(Instant::now());
        drop(last);
        self.write_note(done);
    }

    fn write_note(&self, done: u64) {
        let Some(directory) = &self.directory else { return };
        let elapsed = self.started.elapsed().as_secs_f64();
        let note = ProgressNote {
            stage: self.stage.clone(),
            unit: self.unit.to_string(),
            done: (self.before + done).min(self.before + self.total),
            total: self.before + self.total,
            per_second: if elapsed > 0.0 { done as f64 / elapsed } else { 0.0 },
            seconds_left: self.seconds_left(done),
            swap_acceptance: self.swaps.lock().map_or(None, |swaps| *swaps),
            updated: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        };
        // Where it cannot be written, the next checkpoint says so.
        let _ = write_progress(directory, &note);
    }

    /// Tells `kadanoff status` how far the stage is, whenever the last note was.
    pub fn note_now(&self) {
        self.write_note(self.done.load(Ordering::Relaxed));
    }

    /// The stage is over; says how long it took.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
        if self.speaks || !self.bar.is_hidden() {
            crate::console::say(format_args!("{}: done in {:.1} s", self.stage, self.started.elapsed().as_secs_f64()));
        }
    }
}

impl Drop for Progress {
    /// The last note, of a stage that is over or of a job that stops.
    fn drop(&mut self) {
        self.note_now();
    }
}

fn console_is_terminal() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal()
}
