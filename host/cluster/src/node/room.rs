//! How many tasks a node takes: one for each worker that is free, and while tasks are short some ahead,
//! so that workers need not wait for the network.
//!
//! Does not know tasks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// For how long the tasks that are taken ahead would keep the workers busy: several times what the
/// network takes, and too short to matter to another node that is idle.
const AHEAD: Duration = Duration::from_millis(25);

/// How many tasks are taken ahead at most.
const MAX_AHEAD: usize = 256;

/// How long a task that was taken ahead waits for a worker before it is given back. Then tasks are
/// not as short as those before them.
const PATIENCE: Duration = Duration::from_millis(100);

/// The weight of the last task in the mean is one in this many.
const MEMORY: u32 = 8;

/// The places for tasks on a node.
pub(super) struct Room {
    workers: usize,
    /// A permit for each worker that is free.
    free: Arc<Semaphore>,
    used: Mutex<Use>,
    /// A task has left its place.
    left: Notify,
}

#[derive(Debug, Default)]
struct Use {
    /// How many tasks have a place.
    held: usize,
    /// For how long a task has a worker, on average; `None` before the first.
    mean: Option<Duration>,
}

/// The place of a task, until it is dropped.
pub(super) struct Place {
    room: Arc<Room>,
}

/// A worker for a task, until it is dropped.
pub(super) struct Worker {
    place: Place,
    since: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Room {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers,
            free: Arc::new(Semaphore::new(workers)),
            used: Mutex::default(),
            left: Notify::new(),
        }
    }

    /// Waits until it is worth asking for tasks, and returns for how many.
    pub(super) async fn wanted(&self) -> usize {
        loop {
            let left = self.left.notified();
            let (held, size) = {
                let used = self.lock();
                (used.held, self.workers + used.ahead(self.workers))
            };
            let n_free = size.saturating_sub(held);
            // A request for each task would cost more than the task.
            if n_free > 0 && (held < self.workers || n_free >= size / 2) {
                return n_free;
            }
            left.await;
        }
    }

    /// A place for a task that has come.
    pub(super) fn place(self: &Arc<Self>) -> Place {
        self.lock().held += 1;
        Place {
            room: Arc::clone(self),
        }
    }

    pub(super) fn n_busy(&self) -> usize {
        self.workers - self.free.available_permits()
    }

    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, Use> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Use {
    /// How many tasks are taken ahead.
    fn ahead(&self, workers: usize) -> usize {
        let Some(mean) = self.mean else {
            return 0;
        };
        let each = AHEAD.as_nanos() / mean.as_nanos().max(1);
        let each = usize::try_from(each).unwrap_or(MAX_AHEAD);
        each.saturating_mul(workers).min(MAX_AHEAD)
    }

    fn learn(&mut self, duration: Duration) {
        self.mean = Some(match self.mean {
            Some(mean) => (mean * (MEMORY - 1) + duration) / MEMORY,
            None => duration,
        });
    }
}

impl Place {
    /// Waits for a worker. Gives the place up if that takes too long.
    pub(super) async fn worker(self) -> Option<Worker> {
        let free = Arc::clone(&self.room.free).acquire_owned();
        match timeout(PATIENCE, free).await {
            Ok(permit) => Some(Worker {
                place: self,
                since: Instant::now(),
                _permit: permit.expect("nobody closes the semaphore"),
            }),
            Err(_) => {
                // No more are taken ahead until tasks are known to be short again.
                let mut used = self.room.lock();
                used.mean = used.mean.max(Some(PATIENCE));
                drop(used);
                None
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.lock().held -= 1;
        self.room.left.notify_one();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.place.room.lock().learn(self.since.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_tasks_are_taken_ahead_the_shorter_they_are() {
        let ahead = |mean| {
            let mean = Some(mean);
            Use { held: 0, mean }.ahead(2)
        };
        assert_eq!(Use::default().ahead(2), 0);
        assert_eq!(ahead(Duration::from_secs(60)), 0);
        assert_eq!(ahead(Duration::from_millis(26)), 0);
        assert_eq!(ahead(Duration::from_millis(10)), 4);
        assert_eq!(ahead(Duration::from_micros(1)), MAX_AHEAD);
        assert_eq!(ahead(Duration::ZERO), MAX_AHEAD);
    }

    #[test]
    fn a_long_task_among_short_ones_ends_the_taking_ahead() {
        let mut used = Use::default();
        used.learn(Duration::from_millis(1));
        assert_eq!(used.ahead(1), 25);
        used.learn(Duration::from_secs(1));
        assert_eq!(used.ahead(1), 0);
        for _ in 0..100 {
            used.learn(Duration::from_millis(1));
        }
        assert!(used.ahead(1) >= 24, "{used:?}");
    }
}
