//! The line that says how far a stage is: rate and time left on a terminal, one line a minute in a log.

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How often a log gets a line.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// Progress of one stage, counted in units of work. Shared by the threads that do it; only rank 0 shows it.
pub struct Progress {
    bar: ProgressBar,
    speaks: bool,
    stage: String,
    unit: &'static str,
    total: u64,
    done: AtomicU64,
    started: Instant,
    last_line: Mutex<Instant>,
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
            eprintln!("{stage}: begun");
        }
        let now = Instant::now();
        Progress {
            bar,
            speaks: speaks && !terminal,
            stage: stage.to_string(),
            unit,
            total,
            done: AtomicU64::new(0),
            started: now,
            last_line: Mutex::new(now),
        }
    }

    /// `work` more units are done.
    pub fn advance(&self, work: u64) {
        let done = self.done.fetch_add(work, Ordering::Relaxed) + work;
        self.bar.inc(work);
        if !self.speaks {
            return;
        }
        // A thread that finds the lock taken goes on with its work: another one is about to write the line.
        let Ok(mut last) = self.last_line.try_lock() else { return };
        if last.elapsed() >= LOG_INTERVAL {
            *last = Instant::now();
            let elapsed = self.started.elapsed().as_secs_f64();
            let left = Duration::from_secs_f64(elapsed * (self.total.saturating_sub(done)) as f64 / done.max(1) as f64);
            eprintln!(
                "{}: {:.0} %, {:.3e} {} a second, {} left",
                self.stage,
                100.0 * done as f64 / self.total.max(1) as f64,
                done as f64 / elapsed,
                self.unit,
                HumanDuration(left)
            );
        }
    }

    /// The stage is over; says how long it took.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
        if self.speaks || !self.bar.is_hidden() {
            eprintln!("{}: done in {:.1} s", self.stage, self.started.elapsed().as_secs_f64());
        }
    }
}

fn console_is_terminal() -> bool {
    use std::io::IsTerminal;
    std::io::stderr().is_terminal()
}
