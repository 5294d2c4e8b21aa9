//! Claims about the counters: `stats.rs`, as `job.rs` drives it.

use crate::check::{check, together};
use crate::registry::{self, ALLOCATION};
use crate::schedule::{Counters, Job, Timings};
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU64, Ordering};

/// The number of tasks, and of workers.
const TASKS: u64 = 3;
const WORKERS: u64 = 2;

/// At any moment each task is counted in one state, no more tasks run than there are workers, and
/// the number of ended tasks does not fall. In the end all tasks have ended.
pub fn the_counters_add_up_at_any_moment() {
    check(|| {
        let counters: Arc<Counters> = Arc::default();
        let timings = Timings::new(0);
        let jobs = (0..TASKS)
            .map(|_| Job::new((), None, Arc::clone(&counters)))
            .collect::<Vec<_>>();
        counters.accept(1);
        // The second worker's tasks are accepted while the first one works.
        let work = |jobs: &[Job<()>]| {
            for job in jobs {
                if registry::start(job).is_some() {
                    registry::settle(job, registry::success());
                }
            }
        };
        let n_finished = AtomicU64::new(0);
        let read = || {
            let stats = counters.read(&timings, ALLOCATION);
            assert!(stats.running <= WORKERS, "{stats:?}");
            assert!(stats.queued <= TASKS, "{stats:?}");
            assert!(stats.accepted <= TASKS, "{stats:?}");
            let failed = stats.failures.iter().map(|(_, count)| count);
            assert_eq!(stats.finished, stats.succeeded + failed.sum::<u64>());
            let former = n_finished.swap(stats.finished, Ordering::Relaxed);
            assert!(former <= stats.finished, "{former}, then {stats:?}");
        };
        let (first, second) = jobs.split_at(1);
        together([
            &|| work(first),
            &|| {
                second.iter().for_each(|_| counters.accept(1));
                work(second);
            },
            &|| {
                jobs[0].cancel("cancelled");
            },
            &|| (0..3).for_each(|_| read()),
        ]);
        read();
        let stats = counters.read(&timings, ALLOCATION);
        let (accepted, finished) = (stats.accepted, stats.finished);
        assert_eq!((accepted, finished), (TASKS, TASKS), "{stats:?}");
        let succeeded = jobs.iter().filter(|job| {
            let settled = job.settled().expect("all have ended");
            settled.outcome.is_ok()
        });
        assert_eq!(stats.succeeded, succeeded.count() as u64);
    });
}
