//! One job a directory. `DIR/lock` is locked by the kernel for as long as the job lives, so a dead job on this host never blocks the next one; the text in it
//! names the owner. A text without a lock, left by a job that was killed on another host, may also mean that locks do not reach from host to host there: then
//! only the same SLURM job (requeued) or `--force-lock` goes on. Where the file system knows no locks, `DIR/lock.owner`, made exclusively, stands for one.

use crate::error::{Error, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The file that is locked.
pub const LOCK_FILE: &str = "lock";
/// What stands for it where locks are unknown.
pub const OWNER_FILE: &str = "lock.owner";
/// "No record locks available", which std does not name: ENOLCK of Linux.
const NO_LOCKS: i32 = 37;

/// Who holds a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The host.
    pub host: String,
    /// The process.
    pub process: u32,
    /// SLURM_JOB_ID, or empty.
    pub slurm_job: String,
}

impl Owner {
    /// This process.
    pub fn this_process() -> Self {
        Owner {
            host: gethostname::gethostname().to_string_lossy().into_owned(),
            process: std::process::id(),
            slurm_job: std::env::var("SLURM_JOB_ID").unwrap_or_default(),
        }
    }

    fn text(&self) -> String {
        format!("host {}\nprocess {}\nslurm_job {}\n", self.host, self.process, self.slurm_job)
    }

    /// Whether this is the same SLURM job, which is gone where it was: it runs here.
    fn is_requeued(&self, dead: &Owner) -> bool {
        !dead.slurm_job.is_empty() && dead.slurm_job == self.slurm_job
    }

    fn parse(text: &str) -> Option<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        Some(Owner {
            host: field("host ")?.to_string(),
            process: field("process ")?.parse().ok()?,
            slurm_job: field("slurm_job ").unwrap_or_default().to_string(),
        })
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "process {} on host {}", self.process, self.host)?;
        if self.slurm_job.is_empty() { Ok(()) } else { write!(formatter, " (SLURM job {})", self.slurm_job) }
    }
}

/// Who says that they work in a directory, and whether they are seen to live: yes or no on this host, unknown (`None`) on another one. The lock is not touched, so that
/// looking disturbs nobody.
pub fn holder(directory: &Path) -> Option<(Owner, Option<bool>)> {
    let owner = [LOCK_FILE, OWNER_FILE]
        .iter()
        .map(|name| directory.join(name))
        .filter(|path| path.is_file())
        .find_map(|path| read(&mut File::open(path).ok()?))?;
    let lives = (owner.host == Owner::this_process().host).then(|| alive(owner.process));
    Some((owner, lives))
}

/// A directory that is ours until this value is dropped.
#[derive(Debug)]
pub struct DirectoryLock {
    held: Held,
    /// What the user should know: that locks are unknown here, or that a dead job was taken over from.
    pub notes: Vec<String>,
}

#[derive(Debug)]
enum Held {
    Kernel(File),
    OwnerFile(PathBuf),
}

/// What the kernel says to who wants a lock.
type Locked = std::result::Result<(), TryLockError>;

fn lock_by_the_kernel(file: &File) -> Locked {
    crate::fault::point("lock").map_err(TryLockError::Error).and_then(|()| file.try_lock())
}

/// What an attempt to take a lock came to.
enum Attempt {
    Ours(File),
    /// Another job holds it, which may not have written its name yet.
    InUse(Option<Owner>),
    /// The file system has no locks, as the kernel says in these words.
    NoLocks(std::io::Error),
}

impl Attempt {
    /// Opens a lock file, or makes it, and tries to lock it.
    fn at(path: &Path, try_lock: impl Fn(&File) -> Locked) -> Result<Self> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let mut file = options.map_err(|why| Error::file("lock", path, why))?;
        match try_lock(&file) {
            Ok(()) => Ok(Attempt::Ours(file)),
            Err(TryLockError::WouldBlock) => Ok(Attempt::InUse(read(&mut file))),
            Err(TryLockError::Error(why)) if why.kind() == ErrorKind::Unsupported || why.raw_os_error() == Some(NO_LOCKS) => {
                Ok(Attempt::NoLocks(why))
            }
            // A lock that could not be looked at may be held: this says nothing about the file system.
            Err(TryLockError::Error(why)) => Err(Error::file("lock", path, why)),
        }
    }
}

impl DirectoryLock {
    /// Takes the directory. `force` takes it from a job on another host that ended without saying so.
    ///
    /// # Errors
    /// [`Error::Refused`] if another job holds it, naming its host and process; [`Error::InputOutput`] if the lock cannot be written.
    pub fn acquire(directory: &Path, force: bool) -> Result<Self> {
        Self::acquire_as(directory, force, &Owner::this_process(), lock_by_the_kernel)
    }

    fn acquire_as(directory: &Path, force: bool, us: &Owner, try_lock: impl Fn(&File) -> Locked) -> Result<Self> {
        let path = directory.join(LOCK_FILE);
        let mut file = match Attempt::at(&path, try_lock)? {
            Attempt::Ours(file) => file,
            Attempt::InUse(holder) => {
                let holder = holder.map_or_else(|| "another job that has not yet written its name".to_string(), |owner| owner.to_string());
                return Err(Error::Refused(format!(
                    "{} is in use by {holder}: wait for it to end, or give this run another directory with --out",
                    directory.display()
                )));
            }
            Attempt::NoLocks(why) => {
                let mut lock = Self::acquire_owner_file(directory, force, us)?;
                lock.notes.push(format!("the file system of {} knows no locks ({why}): {OWNER_FILE} stands for one", directory.display()));
                return Ok(lock);
            }
        };
        let mut notes = Vec::new();
        if let Some(dead) = read(&mut file) {
            if dead.host != us.host && !us.is_requeued(&dead) && !force {
                return Err(Error::Refused(format!(
                    "{} was last used by {dead}, which did not say that it ended and cannot be seen from host {}: make sure that it is gone, then \
                     run the same command with --force-lock",
                    directory.display(),
                    us.host
                )));
            }
            notes.push(format!("took over {} from {dead}, which ended without a word", directory.display()));
        }
        overwrite(&mut file, &us.text()).map_err(|why| Error::file("write", &path, why))?;
        Ok(DirectoryLock { held: Held::Kernel(file), notes })
    }

    fn acquire_owner_file(directory: &Path, force: bool, us: &Owner) -> Result<Self> {
        let path = directory.join(OWNER_FILE);
        let mut notes = Vec::new();
        loop {
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(mut file) => {
                    if let Err(why) = file.write_all(us.text().as_bytes()).and_then(|()| file.sync_all()) {
                        // An empty one would be that of an unknown job for ever.
                        let _ = std::fs::remove_file(&path);
                        return Err(Error::file("write", &path, why));
                    }
                    return Ok(DirectoryLock { held: Held::OwnerFile(path), notes });
                }
                Err(why) if why.kind() == ErrorKind::AlreadyExists => {
                    let holder = File::open(&path).ok().and_then(|mut file| read(&mut file));
                    let is_gone = |holder: &Owner| {
                        (holder.host == us.host && !alive(holder.process)) || (holder.host != us.host && us.is_requeued(holder))
                    };
                    let gone = force || holder.as_ref().is_some_and(is_gone);
                    let name = holder.as_ref().map_or_else(|| "an unknown job".to_string(), |holder| holder.to_string());
                    if !gone || !notes.is_empty() {
                        return Err(Error::Refused(format!(
                            "{} is in use by {name}, says {}: wait for it to end; if it is gone, run the same command with --force-lock",
                            directory.display(),
                            path.display()
                        )));
                    }
                    take_away(&path, holder.as_ref(), us).map_err(|why| Error::file("take over", &path, why))?;
                    notes.push(format!("took over {} from {name}, which ended without a word", directory.display()));
                }
                Err(why) => return Err(Error::file("write", &path, why)),
            }
        }
    }
}

/// Takes the owner file of a dead job away. Two jobs that both saw it may come here, and one of them have put its own file there meanwhile: under a name of our own it is looked at again, and
/// goes back if it is another.
fn take_away(path: &Path, dead: Option<&Owner>, us: &Owner) -> std::io::Result<()> {
    let aside = path.with_extension(format!("{}-{}", us.host, us.process));
    std::fs::rename(path, &aside)?;
    let found = File::open(&aside).ok().and_then(|mut file| read(&mut file));
    if found.as_ref() != dead {
        // Exclusive: whoever has made a third file keeps it.
        std::fs::hard_link(&aside, path)?;
    }
    std::fs::remove_file(&aside)
}

/// Keeps jobs out of a directory for as long as the value lives, for commands that write beside a run that rests. What a dead job has left in the lock stays there.
///
/// # Errors
/// [`Error::Refused`] if a job is at work in it; [`Error::InputOutput`] if the lock cannot be opened, or the kernel fails to say whether it is held.
pub fn keep_jobs_out(directory: &Path) -> Result<Option<File>> {
    keep_jobs_out_by(directory, lock_by_the_kernel)
}

fn keep_jobs_out_by(directory: &Path, try_lock: impl Fn(&File) -> Locked) -> Result<Option<File>> {
    let in_use = |owner: Option<Owner>| {
        let name = owner.map_or_else(|| "another job".to_string(), |owner| owner.to_string());
        Error::Refused(format!(
            "{} is in use by {name}, which would write the same files: wait for it to end, or stop it",
            directory.display()
        ))
    };
    match Attempt::at(&directory.join(LOCK_FILE), try_lock)? {
        Attempt::Ours(file) => Ok(Some(file)),
        Attempt::InUse(owner) => Err(in_use(owner)),
        Attempt::NoLocks(_) => match File::open(directory.join(OWNER_FILE)).ok().and_then(|mut file| read(&mut file)) {
            Some(owner) if owner.host != Owner::this_process().host || alive(owner.process) => Err(in_use(Some(owner))),
            _ => Ok(None),
        },
    }
}

impl Drop for DirectoryLock {
    /// Says that we ended: an empty text. The lock file itself stays, or a third job could lock a file that a second one has just replaced.
    fn drop(&mut self) {
        match &self.held {
            Held::Kernel(file) => drop(file.set_len(0)),
            Held::OwnerFile(path) => drop(std::fs::remove_file(path)),
        }
    }
}

fn read(file: &mut File) -> Option<Owner> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(4096).read_to_string(&mut text).ok()?;
    Owner::parse(&text)
}

fn overwrite(file: &mut File, text: &str) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Whether a process of this host lives. Where that cannot be seen (no /proc), it does.
fn alive(process: u32) -> bool {
    !Path::new("/proc/self").exists() || Path::new("/proc").join(process.to_string()).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(host: &str, slurm_job: &str) -> Owner {
        Owner { host: host.to_string(), process: 4_194_305, slurm_job: slurm_job.to_string() }
    }

    fn unsupported(_: &File) -> Locked {
        Err(TryLockError::Error(std::io::Error::from_raw_os_error(NO_LOCKS)))
    }

    /// EIO of Linux.
    fn broken(_: &File) -> Locked {
        Err(TryLockError::Error(std::io::Error::from_raw_os_error(5)))
    }

    #[test]
    fn a_second_job_is_refused_by_the_name_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let first = DirectoryLock::acquire(folder.path(), false).unwrap();
        assert!(first.notes.is_empty());
        for force in [false, true] {
            let Err(Error::Refused(sentence)) = DirectoryLock::acquire(folder.path(), force) else { panic!("two jobs in one directory") };
            let us = Owner::this_process();
            assert!(sentence.contains(&us.process.to_string()) && sentence.contains(&us.host), "{sentence}");
        }
        drop(first);
        assert!(DirectoryLock::acquire(folder.path(), false).unwrap().notes.is_empty());
    }

    #[test]
    fn a_dead_job_is_taken_over_on_its_host_by_its_successor_or_by_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK_FILE);
        let take = |us: &Owner, force| {
            std::fs::write(&path, on("node1", "17").text()).unwrap();
            DirectoryLock::acquire_as(folder.path(), force, us, File::try_lock)
        };
        assert!(take(&on("node1", ""), false).unwrap().notes[0].contains("SLURM job 17"));
        assert!(take(&on("node2", "17"), false).is_ok(), "the same job, requeued");
        let refused = take(&on("node2", "18"), false);
        assert!(
            matches!(&refused, Err(Error::Refused(sentence)) if sentence.contains("node1") && sentence.contains("--force-lock")),
            "{refused:?}"
        );
        assert!(take(&on("node2", "18"), true).is_ok());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "", "a lock given back names nobody");
    }

    #[test]
    fn without_locks_an_owner_file_stands_for_one() {
        let folder = tempfile::tempdir().unwrap();
        let alive = Owner { process: std::process::id(), ..on("node1", "") };
        let first = DirectoryLock::acquire_as(folder.path(), false, &alive, unsupported).unwrap();
        assert!(first.notes[0].contains("knows no locks"), "{:?}", first.notes);
        let second = DirectoryLock::acquire_as(folder.path(), false, &alive, unsupported);
        assert!(matches!(&second, Err(Error::Refused(sentence)) if sentence.contains("node1")), "{second:?}");
        drop(first);
        let left_by = |owner: &Owner| std::fs::write(folder.path().join(OWNER_FILE), owner.text()).unwrap();
        left_by(&on("node1", "17"));
        assert!(DirectoryLock::acquire_as(folder.path(), false, &on("node2", "18"), unsupported).is_err());
        assert!(DirectoryLock::acquire_as(folder.path(), false, &on("node2", "17"), unsupported).is_ok(), "the same job, requeued");
        // Somebody else was faster: what is there is not what was seen.
        left_by(&alive);
        assert!(take_away(&folder.path().join(OWNER_FILE), Some(&on("node1", "")), &on("node2", "")).is_ok());
        assert_eq!(std::fs::read_to_string(folder.path().join(OWNER_FILE)).unwrap(), alive.text(), "the file of a living job went");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        left_by(&on("node1", ""));
        assert!(
            DirectoryLock::acquire_as(folder.path(), false, &on("node2", ""), unsupported).is_err(),
            "another host cannot see the process"
        );
        assert_eq!(DirectoryLock::acquire_as(folder.path(), false, &on("node1", ""), unsupported).unwrap().notes.len(), 2);
    }

    #[test]
    fn jobs_are_kept_out_with_and_without_locks_but_not_by_a_lock_that_fails() {
        let folder = tempfile::tempdir().unwrap();
        let in_use = |kept_out: Result<Option<File>>| matches!(&kept_out, Err(Error::Refused(sentence)) if sentence.contains("in use by"));
        let kept_out = keep_jobs_out(folder.path()).unwrap();
        assert!(kept_out.is_some() && DirectoryLock::acquire(folder.path(), false).is_err());
        drop(kept_out);
        let job = DirectoryLock::acquire(folder.path(), false).unwrap();
        assert!(in_use(keep_jobs_out(folder.path())));
        drop(job);
        assert!(keep_jobs_out_by(folder.path(), unsupported).unwrap().is_none(), "nobody is there");
        let job = DirectoryLock::acquire_as(folder.path(), false, &Owner::this_process(), unsupported).unwrap();
        assert!(in_use(keep_jobs_out_by(folder.path(), unsupported)));
        drop(job);
        // Whether a job is at work is not known then: neither a command that writes nor a job goes on.
        assert!(matches!(keep_jobs_out_by(folder.path(), broken), Err(Error::InputOutput(sentence)) if sentence.contains("cannot lock")));
        let job = DirectoryLock::acquire_as(folder.path(), false, &Owner::this_process(), broken);
        assert!(matches!(job, Err(Error::InputOutput(_))), "{job:?}");
    }
}
