//! When a job writes a checkpoint, and when it stops: signals, time limits, the stop file. Every rank has a watch and says what it wishes; the largest wish of all
//! ranks is what all of them do, so that no rank stops alone.
//!
//! Signals only set a flag. A second SIGTERM or SIGINT, a quarter of a second after the first or later, ends the process at once, and so does any of the signals in the last stage, which needs no checkpoint.

use super::progress::Progress;
use crate::error::{Error, Result};
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGXFSZ};
use signal_hook::flag;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a job computes before its ranks ask each other what to do next.
const ROUND: Duration = Duration::from_secs(2);
/// A round is not shorter than this, however often checkpoints are wanted.
const SHORTEST_ROUND: Duration = Duration::from_millis(10);
/// Spins between two looks at the clock: far less than a second of work, far more than the look costs.
const WORK_BETWEEN_LOOKS: u64 = 1 << 17;
/// Time kept before the end of a SLURM job, at least.
const MARGIN: Duration = Duration::from_secs(10);
/// A signal that comes so soon after the first is the same one.
const ECHO: Duration = Duration::from_millis(200);

/// What the command line says about stopping.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// `--stop-after`
    pub stop_after: Option<Duration>,
    /// `--checkpoint-every`
    pub checkpoint_every: Duration,
}

/// What all ranks do between two rounds. The order is that of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wish {
    /// Go on.
    Nothing,
    /// Write a checkpoint and go on.
    Checkpoint,
    /// Stop: the file `stop` is there.
    StopFile,
    /// Stop: `--stop-after`.
    TimeLimit,
    /// Stop: the end of the SLURM job is near.
    EndOfJob,
    /// Stop: SIGUSR1.
    UserSignal,
    /// Stop: SIGINT.
    Interrupt,
    /// Stop: SIGTERM.
    Termination,
}

impl Wish {
    const ALL: [Wish; 8] = [
        Wish::Nothing,
        Wish::Checkpoint,
        Wish::StopFile,
        Wish::TimeLimit,
        Wish::EndOfJob,
        Wish::UserSignal,
        Wish::Interrupt,
        Wish::Termination,
    ];

    /// The wish of a number that [`Self::number`] gave.
    pub fn from_number(number: u64) -> Wish {
        Self::ALL[(number as usize).min(Self::ALL.len() - 1)]
    }

    /// The number of a wish; the more urgent, the larger.
    pub fn number(self) -> u64 {
        self as u64
    }

    /// Why the job stops, if it does.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Wish::Nothing | Wish::Checkpoint => None,
            Wish::StopFile => Some("the file `stop` was found, and removed"),
            Wish::TimeLimit => Some("the time of --stop-after is over"),
            Wish::EndOfJob => Some("the end of the SLURM job is near"),
            Wish::UserSignal => Some("SIGUSR1 came"),
            Wish::Interrupt => Some("SIGINT came"),
            Wish::Termination => Some("SIGTERM came"),
        }
    }
}

/// The time a round may take. Shared by the threads that do its work.
pub struct Round<'a> {
    ends: Instant,
    signal: &'a AtomicUsize,
    /// How much work, in spins, a thread does between two looks at the clock.
    work_between_looks: u64,
}

/// What rounds look at that no signal ends.
static NO_SIGNAL: AtomicUsize = AtomicUsize::new(0);

#[cfg(test)]
impl Round<'_> {
    /// A round that is over after one sweep.
    pub fn of_one_sweep() -> Self {
        Round { ends: Instant::now(), signal: &NO_SIGNAL, work_between_looks: 1 }
    }
}

impl Round<'_> {
    /// A round outside a job, of so much time from now, which no signal ends.
    pub fn lasting(time: Duration) -> Self {
        Round { ends: Instant::now() + time, signal: &NO_SIGNAL, work_between_looks: WORK_BETWEEN_LOOKS }
    }

    /// Whether the ranks are to come together now. Only when work is done depends on it, never what is done.
    pub fn is_over(&self) -> bool {
        self.signal.load(Ordering::Relaxed) != 0 || Instant::now() >= self.ends
    }
}

/// A thread on its way through a round: it counts its work, and now and then tells how far it is and looks at the clock.
pub struct Pace<'a> {
    round: &'a Round<'a>,
    progress: &'a Progress,
    /// Work done since the last look.
    work: u64,
}

impl<'a> Pace<'a> {
    /// At the beginning.
    pub fn new(round: &'a Round<'a>, progress: &'a Progress) -> Self {
        Pace { round, progress, work: 0 }
    }

    /// Whether the round is over, as far as the thread knows, after so much more work.
    pub fn is_over_after(&mut self, work: u64) -> bool {
        self.work += work;
        if self.work < self.round.work_between_looks {
            return false;
        }
        self.progress.advance(std::mem::take(&mut self.work));
        self.round.is_over()
    }

    /// Tells of the rest of the work.
    pub fn finish(self) {
        self.progress.advance(self.work);
    }
}

/// The signals that come to this process, from the moment it listens.
#[derive(Debug, Clone, Default)]
pub struct Signals(Arc<AtomicUsize>);

impl Signals {
    /// Listens, once in a process and before anything that takes time: what comes earlier ends the process, and its job would not be put back into the queue.
    ///
    /// # Errors
    /// [`Error::InputOutput`] if the system does not let us listen.
    pub fn listen() -> Result<Self> {
        let signal = Arc::new(AtomicUsize::new(0));
        listen(&signal).map_err(|why| Error::InputOutput(format!("cannot listen for signals: {why}")))?;
        Ok(Signals(signal))
    }
}

/// The clocks and flags of one rank.
pub struct Watch {
    /// The last signal that came, as the number of its wish; or 0.
    signal: Arc<AtomicUsize>,
    stop_at: Option<Instant>,
    job_ends: Option<Instant>,
    checkpoint_every: Duration,
    last_checkpoint: Instant,
    longest_checkpoint: Duration,
    round_began: Instant,
    longest_round: Duration,
}

impl Watch {
    /// Starts the clocks.
    pub fn start(limits: Limits, signals: &Signals) -> Self {
        let now = Instant::now();
        Watch {
            signal: Arc::clone(&signals.0),
            stop_at: limits.stop_after.and_then(|time| now.checked_add(time)),
            job_ends: time_to_end_of_job(std::env::var("SLURM_JOB_END_TIME").ok().as_deref(), SystemTime::now())
                .and_then(|time| now.checked_add(time)),
            checkpoint_every: limits.checkpoint_every,
            last_checkpoint: now,
            longest_checkpoint: Duration::ZERO,
            round_began: now,
            longest_round: Duration::ZERO,
        }
    }

    /// How long a round is meant to take.
    pub fn round_length(&self) -> Duration {
        self.checkpoint_every.clamp(SHORTEST_ROUND, ROUND)
    }

    /// Begins a round.
    pub fn begin_round(&mut self) -> Round<'_> {
        self.round_began = Instant::now();
        let ends = self.round_began + self.round_length();
        Round { ends: self.stop_at.map_or(ends, |stop| stop.min(ends)), signal: &self.signal, work_between_looks: WORK_BETWEEN_LOOKS }
    }

    /// Notes how long the round took that ends here.
    pub fn end_round(&mut self) {
        self.longest_round = self.longest_round.max(self.round_began.elapsed());
    }

    /// A checkpoint was tried, which took so long.
    pub fn checkpoint_took(&mut self, time: Duration) {
        self.last_checkpoint = Instant::now();
        self.longest_checkpoint = self.longest_checkpoint.max(time);
    }

    /// The signal that came, in words.
    pub fn signal(&self) -> Option<&'static str> {
        Wish::from_number(self.signal.load(Ordering::Relaxed) as u64).reason()
    }

    /// What this rank wishes. Its clock does not jump: the end of the job was turned into a span of time when the watch started.
    pub fn wish(&self) -> Wish {
        let now = Instant::now();
        let signal = Wish::from_number(self.signal.load(Ordering::Relaxed) as u64);
        let margin = MARGIN.max(2 * (self.longest_checkpoint + self.longest_round));
        if signal != Wish::Nothing {
            signal
        } else if self.job_ends.is_some_and(|end| now + margin >= end) {
            Wish::EndOfJob
        } else if self.stop_at.is_some_and(|end| now >= end) {
            Wish::TimeLimit
        } else if now.duration_since(self.last_checkpoint) >= self.checkpoint_every {
            Wish::Checkpoint
        } else {
            Wish::Nothing
        }
    }
}

fn listen(signal: &Arc<AtomicUsize>) -> std::io::Result<()> {
    let (first, second) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    for (number, wish) in [(SIGUSR1, Wish::UserSignal), (SIGINT, Wish::Interrupt), (SIGTERM, Wish::Termination)] {
        // First of all, so that a signal that is caught at all is noted.
        flag::register_usize(number, Arc::clone(signal), wish.number() as usize)?;
        // The order is that of registration: the flag is looked at before this signal sets it. SLURM may well send SIGTERM while the checkpoint for SIGUSR1 is
        // written, so that SIGUSR1 does not count as a first one.
        if number != SIGUSR1 {
            flag::register_conditional_shutdown(number, 128 + number, Arc::clone(&second))?;
            flag::register(number, Arc::clone(&first))?;
        }
    }
    // At its time limit SLURM sends SIGTERM by two ways at once, from the node and through srun: what comes right after the first one is no second one.
    std::thread::Builder::new().name("signals".to_string()).spawn(move || {
        while !first.load(Ordering::Relaxed) {
            std::thread::sleep(ECHO / 4);
        }
        std::thread::sleep(ECHO);
        second.store(true, Ordering::Relaxed);
    })?;
    // A file that grows beyond the limit of the shell is then a failed write with a sentence, not the end of the process.
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    Ok(())
}

/// The time until SLURM_JOB_END_TIME, seconds since 1970. An end that has passed is not that of this job: the variable came with the shell.
fn time_to_end_of_job(variable: Option<&str>, now: SystemTime) -> Option<Duration> {
    let end = UNIX_EPOCH.checked_add(Duration::from_secs(variable?.trim().parse().ok()?))?;
    end.duration_since(now).ok()
}

/// A span of time as people write it: 90s, 55m, 2h, 1h30m, 500ms.
///
/// # Errors
/// A sentence for the command line.
pub fn parse_duration(text: &str) -> std::result::Result<Duration, String> {
    let refusal = || format!("`{text}` is no span of time: write a number and ms, s, m, h or d, for example 90s, 55m, 2h or 1h30m");
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(refusal());
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !(letter.is_ascii_digit() || letter == '.')).ok_or_else(refusal)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|letter: char| !letter.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let seconds = match unit {
            "ms" => 1e-3,
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86400.0,
            _ => return Err(refusal()),
        };
        let number: f64 = number.parse().map_err(|_| refusal())?;
        let part = Duration::try_from_secs_f64(number * seconds).map_err(|_| refusal())?;
        total = total.checked_add(part).ok_or_else(refusal)?;
        rest = tail;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_of_time_are_understood() {
        for (text, seconds) in
            [("90s", 90.0), ("55m", 3300.0), ("2h", 7200.0), ("1h30m", 5400.0), ("250ms", 0.25), ("1.5h", 5400.0), ("0s", 0.0)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
        for text in ["", "55", "m", "-5m", "5x", "5m3", "1..2s", "1e400s", "99999999999999999999999d"] {
            assert!(parse_duration(text).is_err_and(|sentence| sentence.contains("55m")), "{text}");
        }
    }

    #[test]
    fn the_end_of_the_job_is_a_span_of_time() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        assert_eq!(time_to_end_of_job(Some("1000005"), now), Some(Duration::from_secs(5)));
        assert_eq!(time_to_end_of_job(Some("999999"), now), None);
        assert_eq!(time_to_end_of_job(Some("soon"), now), None);
        assert_eq!(time_to_end_of_job(None, now), None);
    }

    #[test]
    fn wishes_survive_the_way_between_ranks() {
        for wish in Wish::ALL {
            assert_eq!(Wish::from_number(wish.number()), wish);
        }
        assert!(Wish::Termination > Wish::Checkpoint && Wish::Checkpoint > Wish::Nothing);
    }
}
