//! Where the tasks of a run are executed.

use std::sync::PoisonError;

use wasmpool::{Pool, Shutdown};

use super::reporter::{AnyTask, Reporter, Submission};

/// How many inputs are in flight, from being read to being written: the least number, and the
/// number per worker. Enough to keep workers busy behind a slow task whose line must come first;
/// each may hold an outcome as large as the payload limit.
const UNDER_WAY: usize = 128;
const UNDER_WAY_PER_WORKER: usize = 4;

/// Where the tasks of a run are executed: in a pool of this process, or on a cluster.
pub(super) trait Place: Send + Sync {
    /// How many tasks run at once.
    fn workers(&self) -> usize;

    /// How many inputs may be in flight.
    fn n_under_way(&self) -> usize;

    /// Submits the inputs, each of which is reported when it has ended. Returns whether more are
    /// wanted.
    fn submit(&self, inputs: Vec<Submission>, reporter: &Reporter) -> bool;

    /// Takes no more inputs, cancels the tasks that have not started, and blocks until the others
    /// have ended.
    fn finish(&self);

    /// Takes no more inputs and stops the tasks. Blocks until they have ended.
    fn stop(&self);
}

/// A pool of this process.
pub(super) struct InPool {
    pub(super) pool: Pool,
    pub(super) task: AnyTask,
    pub(super) chunk_size: usize,
}

impl Place for InPool {
    fn workers(&self) -> usize {
        self.pool.workers()
    }

    fn n_under_way(&self) -> usize {
        let of_workers = UNDER_WAY_PER_WORKER * self.chunk_size * self.pool.workers();
        // Those that wait in the host take no part in what keeps the workers busy.
        UNDER_WAY.max(of_workers) + self.pool.max_suspended()
    }

    fn submit(&self, inputs: Vec<Submission>, reporter: &Reporter) -> bool {
        let (names, arguments): (Vec<_>, Vec<_>) = inputs
            .into_iter()
            .map(|(input, text, arguments)| ((input, text), arguments))
            .unzip();
        let submitted = reporter.submitted.lock();
        let mut n_submitted = submitted.unwrap_or_else(PoisonError::into_inner);
        let submitted = self.pool.submit_all(&self.task, arguments);
        names
            .into_iter()
            .zip(submitted)
            .all(|((input, text), submitted)| match submitted {
                Ok(future) => {
                    *n_submitted += 1;
                    reporter.tell_when_done(input, text, &future, || ());
                    true
                }
                Err(refused) if refused.is_shut_down() => false,
                Err(refused) => reporter.refuse(input, &text, &refused.to_string()),
            })
    }

    fn finish(&self) {
        self.pool.shutdown(Shutdown::Cancel);
    }

    fn stop(&self) {
        self.pool.shutdown(Shutdown::Terminate);
    }
}
