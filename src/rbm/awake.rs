//! Threads that stay awake between pieces of work of some ten microseconds.
//!
//! A thread of rayon that finds nothing to do for about as long goes to sleep, and to wake it takes as long again; a minibatch is half a dozen such pieces with a little in between that one
//! thread does alone.

use rayon::{Scope, Yield};
use std::sync::atomic::{AtomicBool, Ordering};

/// How often a thread that has found nothing waits for the length of an instruction before it looks again.
const PAUSES: u32 = 16;
/// With more threads than these it takes too long to tell all of them each time that one waits.
const MOST_THREADS_TOLD: usize = 16;

/// Does `work` on this thread while no thread of its pool ever goes to sleep: the others look for pieces of it all the time, and this one when it waits for the others. For work that has
/// such pieces all the time: threads take the time of their processors whether they find any or not. Changes nothing but time.
pub fn with_all_awake<T>(work: impl FnOnce() -> T) -> T {
    let Some(own) = rayon::current_thread_index().filter(|_| rayon::current_num_threads() > 1) else { return work() };
    let done = AtomicBool::new(false);
    rayon::in_place_scope(|scope| {
        scope.spawn_broadcast(|_, context| {
            // This thread has work, and must get back to it from wherever it finds this.
            while context.index() != own && !done.load(Ordering::Relaxed) {
                if rayon::yield_now() != Some(Yield::Executed) {
                    pause();
                }
            }
        });
        if rayon::current_num_threads() <= MOST_THREADS_TOLD {
            keep_busy(scope, own, &done);
        }
        let _end = OnDrop(&done);
        work()
    })
}

/// A piece of work of no use for the thread `own`, which finds it when it waits: there is always another one, so that it never goes to sleep. The other threads are told and do nothing.
fn keep_busy<'a>(scope: &Scope<'a>, own: usize, done: &'a AtomicBool) {
    scope.spawn_broadcast(move |scope, context| {
        if context.index() == own && !done.load(Ordering::Relaxed) {
            pause();
            keep_busy(scope, own, done);
        }
    });
}

fn pause() {
    (0..PAUSES).for_each(|_| std::hint::spin_loop());
}

/// Becomes true when this goes away, also in a panic.
struct OnDrop<'a>(&'a AtomicBool);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn all_threads_work_and_come_back() {
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let sum =
                |pieces: u64| pool.install(|| with_all_awake(|| (0..100).map(|_| (0..pieces).into_par_iter().sum::<u64>()).sum::<u64>()));
            assert_eq!(sum(1000), 100 * 499_500);
            // Nested, and where the work panics.
            assert_eq!(pool.install(|| with_all_awake(|| with_all_awake(|| (0..10u64).into_par_iter().sum::<u64>()))), 45);
            let panics = || pool.install(|| with_all_awake(|| -> u64 { panic!("the work fails") }));
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
        }
        assert_eq!(with_all_awake(|| 3), 3, "outside of any pool");
    }
}
