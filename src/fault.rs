//! Faults on demand: what `tests/faults.rs` injects into the real binary at places that no signal from outside hits reliably. Without the environment variable KADANOFF_FAULT,
//! which no user sets, [`point`] is one look at an empty list.
//!
//! KADANOFF_FAULT = ACTION@POINT, or ACTION@POINT:N for the N-th time that the program comes by, or ACTION@POINT:N:RANK on that rank only. Actions: `kill` (SIGKILL), `SIGTERM`, `panic`, or the
//! name of an error of the system: `EAGAIN`, `EIO`, `ENOSPC`, `ENOLCK`. Points are named where they are passed.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

struct Plan {
    action: String,
    point: String,
    passes: AtomicU64,
    rank: Option<usize>,
}

/// The rank of this process, once it is known.
static RANK: AtomicUsize = AtomicUsize::new(0);

fn plan() -> Option<&'static Plan> {
    static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
    PLAN.get_or_init(|| {
        let variable = std::env::var("KADANOFF_FAULT").ok()?;
        let (action, place) = variable.split_once('@')?;
        let mut parts = place.split(':');
        let point = parts.next()?.to_string();
        let passes = parts.next().and_then(|count| count.parse().ok()).unwrap_or(1);
        Some(Plan {
            action: action.to_string(),
            point,
            passes: AtomicU64::new(passes),
            rank: parts.next().and_then(|rank| rank.parse().ok()),
        })
    })
    .as_ref()
}

/// Says which rank this process is.
pub fn on_rank(rank: usize) {
    RANK.store(rank, Ordering::Relaxed);
}

/// A place where a fault may be wanted.
///
/// # Errors
/// The error of the system that was asked for.
///
/// # Panics
/// If that was asked for.
pub fn point(name: &str) -> io::Result<()> {
    let Some(plan) = plan() else { return Ok(()) };
    if plan.point != name || plan.rank.is_some_and(|rank| rank != RANK.load(Ordering::Relaxed)) {
        return Ok(());
    }
    if plan.passes.fetch_sub(1, Ordering::Relaxed) != 1 {
        return Ok(());
    }
    match plan.action.as_str() {
        "kill" => {
            // From outside, as the kernel or an administrator would.
            let _ = std::process::Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
            std::process::abort()
        }
        "SIGTERM" => std::process::Command::new("kill").args(["-TERM", &std::process::id().to_string()]).status().map(drop),
        "panic" => panic!("a fault was asked for at {name}"),
        "EAGAIN" => Err(io::Error::from_raw_os_error(11)),
        "EIO" => Err(io::Error::from_raw_os_error(5)),
        "ENOSPC" => Err(io::Error::from_raw_os_error(28)),
        _ => Err(io::Error::from_raw_os_error(37)),
    }
}
