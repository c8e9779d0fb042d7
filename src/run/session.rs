//! A job on all its ranks: what lies on the desk of rank 0, and what the ranks decide together between two rounds of work. Every method that talks to other ranks is called
//! by all of them, in step.

use super::Options;
use super::desk::{Desk, Stage};
use super::progress::Progress;
use super::watch::{Round, Watch, Wish};
use crate::comm::{self, Comm};
use crate::config::RunFile;
use crate::error::{Error, Result};
use crate::kernels::heap;
use crate::store::checkpoint::{Items, State, StoredItems};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How often rank 0 looks at the clock and at signals while a thread of its own works.
const LOOK: Duration = Duration::from_millis(20);
/// How long a job waits for the first result of such work, even if it is to stop.
const FIRST_NEWS: Duration = Duration::from_secs(5);
/// The stack of each of its threads, that of a main thread.
const STACK: usize = 8 << 20;

/// One rank's part of a job.
pub struct Session<'a> {
    comm: &'a dyn Comm,
    watch: Watch,
    /// Rank 0 alone has one.
    desk: Option<Desk>,
    /// When the work began, and what this rank had spent with the others by then.
    begun: (Instant, Duration),
}

impl<'a> Session<'a> {
    /// Opens the run directory on rank 0.
    ///
    /// # Errors
    /// Whatever [`Desk::open`] refuses, on all ranks.
    pub fn open(directory: &Path, job: &RunFile, options: &Options, watch: Watch, comm: &'a dyn Comm) -> Result<Self> {
        let ready = crate::fault::point("open").map_err(|why| Error::InputOutput(format!("rank {} cannot begin: {why}", comm.rank())));
        comm::agree(comm, ready)?;
        let own = if comm.is_root() { Desk::open(directory, job, comm.size(), options.force_lock).map(Some) } else { Ok(None) };
        let desk = comm::agree(comm, own)?;
        Ok(Session { comm, watch, desk, begun: (Instant::now(), comm.time_together()) })
    }

    /// The ranks.
    pub fn comm(&self) -> &'a dyn Comm {
        self.comm
    }

    /// Does something at the desk of rank 0, and fails everywhere if it failed there. The result is there only.
    ///
    /// # Errors
    /// What `work` fails with.
    pub fn on_root<T>(&mut self, work: impl FnOnce(&mut Desk) -> Result<T>) -> Result<Option<T>> {
        comm::agree(self.comm, self.desk.as_mut().map(work).transpose())
    }

    /// The same for work that takes a while, and asks the closure that it is given whether it may go on: a signal stops it.
    ///
    /// # Errors
    /// What `work` fails with; [`Error::Stopped`] on all ranks if a signal came.
    pub fn on_root_until_signal<T>(&mut self, work: impl FnOnce(&mut Desk, &dyn Fn() -> Result<()>) -> Result<T>) -> Result<Option<T>> {
        let watch = &self.watch;
        let go_on = || watch.signal().map_or(Ok(()), |reason| Err(Error::Stopped(reason.to_string())));
        let done = self.desk.as_mut().map(|desk| match work(desk, &go_on) {
            Err(Error::Stopped(reason)) => Err(Error::Stopped(desk.say_stopped(&reason)?)),
            done => done,
        });
        comm::agree(self.comm, done.transpose())
    }

    /// Whether a stage is wanted and not done, as rank 0 knows.
    pub fn is_missing(&self, stage: Stage, job: &RunFile) -> bool {
        self.comm.maximum(u64::from(self.desk.as_ref().is_some_and(|desk| desk.is_missing(stage, job)))) == 1
    }

    /// The state of a stage that an earlier submission began: all items, as bytes, on every rank; empty if there is none.
    ///
    /// # Errors
    /// [`Error::Refused`] if all checkpoints are damaged or foreign; [`Error::InputOutput`].
    pub fn resume(&mut self, stage: Stage) -> Result<Vec<u8>> {
        let stored = self.on_root(|desk| desk.resume(stage)?.map_or(Ok(Vec::new()), |mut stored| stored.bytes()))?;
        Ok(self.comm.broadcast(stored.unwrap_or_default()))
    }

    /// The same on rank 0 alone and still in the file, for what would not fit into the memory of a rank; nothing elsewhere.
    ///
    /// # Errors
    /// Those of [`Self::resume`].
    pub fn resume_on_root(&mut self, stage: Stage) -> Result<Option<StoredItems>> {
        Ok(self.on_root(|desk| desk.resume(stage))?.flatten())
    }

    /// Progress of a stage of `total` units of work on this rank, of which `before` were done by earlier submissions: shown, and noted in the run directory, by rank 0.
    pub fn progress(&self, stage: &str, unit: &'static str, before: u64, total: u64) -> Progress {
        let directory = self.desk.as_ref().map(Desk::path);
        Progress::new(stage, unit, total.saturating_sub(before), self.comm.is_root()).noted_in(directory, before)
    }

    /// Writes down that the job ends with an error, where it can still be written.
    pub fn note_failure(&mut self, error: &Error) {
        if let (Some(desk), false) = (self.desk.as_mut(), matches!(error, Error::Stopped(_))) {
            desk.note_failure(error);
        }
    }

    /// Notes for the files and the report what share of its time an average rank has worked so far in this job, and not waited for the others. Collective.
    pub fn note_work(&mut self) {
        let (elapsed, together) = (self.begun.0.elapsed().as_secs_f64(), (self.comm.time_together() - self.begun.1).as_secs_f64());
        let Some(parts) = self.comm.gather(together.to_le_bytes().to_vec()) else { return };
        let waited: f64 = parts.iter().filter_map(|part| part.first_chunk()).map(|bytes| f64::from_le_bytes(*bytes)).sum();
        if let Some(desk) = &mut self.desk {
            desk.note_work(1.0 - waited / (parts.len() as f64 * elapsed.max(1e-9)));
        }
    }

    /// Begins a round of work.
    pub fn begin_round(&mut self) -> Round<'_> {
        // The only faults that make sense here are those that end the process.
        let _ = crate::fault::point("round");
        self.watch.begin_round()
    }

    /// How many pieces of work of this duration make a round: the same number on every rank.
    pub fn pieces_in_round(&self, piece: Duration) -> usize {
        let longest = self.comm.maximum(piece.as_nanos() as u64).max(1);
        (self.watch.round_length().as_nanos() as u64 / longest).max(1) as usize
    }

    /// Comes together after a round: all ranks go on, write a checkpoint of `state` and go on, or write one and stop.
    ///
    /// # Errors
    /// [`Error::Stopped`] on all ranks if the job stops; [`Error::InputOutput`] if the checkpoint could not be written and the job cannot go on without.
    pub fn end_round<S: State>(&mut self, stage: Stage, state: impl FnOnce() -> S) -> Result<()> {
        self.watch.end_round();
        let wish = self.decide();
        if wish == Wish::Nothing {
            return Ok(());
        }
        let begun = Instant::now();
        self.keep_checkpoint(stage, &state(), begun, wish.reason())?;
        heap::give_back();
        self.watch.checkpoint_took(begun.elapsed());
        wish.reason().map_or(Ok(()), |reason| self.stop(reason))
    }

    /// Writes a checkpoint of `state` where a number of the training stopped being finite, so that what was learned before is on disk however short the job was. The error is what the job ends
    /// with: that this cannot be written either is no news. Collective, as the error is.
    pub fn keep_last_good(&mut self, stage: Stage, error: &Error, state: impl FnOnce() -> Items) {
        if !matches!(error, Error::NotFinite(_)) {
            return;
        }
        let begun = Instant::now();
        let state = state();
        if self.comm.maximum(state.length()) > 0 {
            let _ = self.keep_checkpoint(stage, &state, begun, None);
        }
    }

    /// Writes a checkpoint before something that takes a while and could be stopped in its midst, if there is one; whether that worked. A failure is a warning: the job can go on without. Collective.
    ///
    /// # Errors
    /// Whatever is no failure to write it.
    pub fn keep(&mut self, stage: Stage, state: &dyn State) -> Result<bool> {
        match self.keep_checkpoint(stage, state, Instant::now(), None) {
            Err(Error::InputOutput(why)) => self.on_root(|desk| desk.say(&format!("warning: {why}; going on without"))).map(|_| false),
            kept => kept,
        }
    }

    /// Writes the state of all ranks, piece by piece as they hand it over; whether that worked.
    fn keep_checkpoint(&mut self, stage: Stage, state: &dyn State, begun: Instant, stopping: Option<&str>) -> Result<bool> {
        let comm = self.comm;
        let lengths = comm.gather(state.length().to_le_bytes().to_vec()).unwrap_or_default();
        let length = lengths.iter().filter_map(|length| length.first_chunk()).map(|bytes| u64::from_le_bytes(*bytes)).sum();
        let mut is_handed_over = false;
        let put = |take: &mut dyn FnMut(&[u8])| {
            is_handed_over = true;
            comm::gather_pieces(comm, |take| state.put(take), take);
        };
        let written = self.desk.as_mut().map(|desk| desk.keep_checkpoint(stage, length, put, begun, stopping));
        // The ranks without a desk; and whatever could not be written, they are not to wait for one who does not take it.
        if !is_handed_over {
            comm::gather_pieces(comm, |take| state.put(take), &mut |_| {});
        }
        let written = comm::agree(comm, written.transpose())?;
        Ok(comm.maximum(u64::from(written == Some(true))) == 1)
    }

    /// Does `work` on a thread of rank 0 while all ranks come together round after round, so that the job can stop in the midst of it. `state` makes the checkpoint that a later
    /// job goes on from, and `has_news` says whether this job has added anything to it. The result is on rank 0 only. Collective.
    ///
    /// # Errors
    /// What `work` fails with, on all ranks; [`Error::Stopped`] if the job stops: the thread is then left alone until the process ends.
    pub fn beside_rounds<T: Send + 'static>(
        &mut self,
        stage: Stage,
        work: Option<impl FnOnce() -> Result<T> + Send + 'static>,
        state: &dyn Fn() -> Items,
        has_news: &dyn Fn() -> bool,
    ) -> Result<Option<T>> {
        let (sender, results) = mpsc::channel();
        let cannot = |why: &dyn std::fmt::Display| Error::InputOutput(format!("cannot start a thread: {why}"));
        let worker = work.map(|work| {
            // Threads of its own: this one, which belongs to those of the program, looks at the clock meanwhile.
            let threads = rayon::ThreadPoolBuilder::new().num_threads(rayon::current_num_threads()).stack_size(STACK);
            let pool = threads.build().map_err(|why| cannot(&why))?;
            let builder = std::thread::Builder::new().name(format!("{stage:?}")).stack_size(STACK);
            builder.spawn(move || drop(sender.send(pool.install(work)))).map_err(|why| cannot(&why))
        });
        let worker = comm::agree(self.comm, worker.transpose())?;
        let (mut result, begun) = (None, Instant::now());
        loop {
            let round = self.begin_round();
            // Every job gets on, however short it is: it stays until it has something new, or for a while.
            let stays = || begun.elapsed() < FIRST_NEWS && !has_news();
            while worker.is_some() && result.is_none() && (!round.is_over() || stays()) {
                match results.recv_timeout(LOOK) {
                    Ok(found) => result = Some(found),
                    Err(RecvTimeoutError::Timeout) => {}
                    // A panic, which the hook has told of.
                    Err(RecvTimeoutError::Disconnected) => result = Some(Err(Error::Bug(format!("the {stage:?} ended without a result.")))),
                }
            }
            if self.comm.maximum(u64::from(result.is_some())) == 1 {
                break;
            }
            self.end_round(stage, state)?;
        }
        comm::agree(self.comm, result.transpose())
    }

    /// Stops now, without a checkpoint, if that was asked for.
    fn stop_if_asked(&mut self) -> Result<()> {
        self.decide().reason().map_or(Ok(()), |reason| self.stop(reason))
    }

    /// The report, on rank 0: it needs no checkpoint, since it is made again if it is interrupted.
    ///
    /// # Errors
    /// [`Error::Stopped`] on all ranks if a signal comes before the page is there; [`Error::InputOutput`].
    pub fn finish(&mut self, job: &RunFile) -> Result<()> {
        // A run that only has to be called done is done, however short the job.
        if self.comm.maximum(u64::from(self.desk.as_ref().is_some_and(|desk| desk.has_report_to_make(job)))) == 1 {
            self.stop_if_asked()?;
        }
        self.on_root_until_signal(|desk, go_on| desk.finish(job, go_on)).map(drop)
    }

    fn decide(&self) -> Wish {
        let stop_file = self.desk.as_ref().is_some_and(Desk::takes_stop_file);
        let own = if stop_file { self.watch.wish().max(Wish::StopFile) } else { self.watch.wish() };
        Wish::from_number(self.comm.maximum(own.number()))
    }

    fn stop(&mut self, reason: &str) -> Result<()> {
        let sentence = self.on_root(|desk| desk.say_stopped(reason))?;
        Err(Error::Stopped(sentence.unwrap_or_default()))
    }
}
