//! A task that a node has taken: how it is kept, stopped and acknowledged.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use async_nats::jetstream::AckKind;
use async_nats::jetstream::message::Acker;
use tokio::sync::Notify;
use wasmpool::TaskFuture;

use crate::names::TaskId;
use crate::transcode::Encoded;

/// Why a task is stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// Its caller has cancelled it, and expects no outcome.
    Cancelled,
    /// Its caller has left, and expects no outcome.
    CallerLeft,
    /// Its caller was silent for too long, and may come back.
    CallerLost,
    /// The node leaves.
    GivenBack,
}

/// A task that a node has taken.
pub(super) struct Running {
    pub(super) id: TaskId,
    /// Acknowledges the last delivery. A task that was delivered again while it runs is not run
    /// twice here.
    acker: Mutex<Arc<Acker>>,
    /// Written when the task is in the pool.
    future: OnceLock<TaskFuture<Encoded>>,
    /// The first reason counts.
    stop: Mutex<Option<Stop>>,
    stopped: Notify,
}

impl Running {
    pub(super) fn new(id: TaskId, acker: Acker) -> Self {
        Self {
            id,
            acker: Mutex::new(Arc::new(acker)),
            future: OnceLock::new(),
            stop: Mutex::default(),
            stopped: Notify::new(),
        }
    }

    /// The same task was delivered once more.
    pub(super) fn adopt(&self, acker: Acker) {
        *lock(&self.acker) = Arc::new(acker);
    }

    /// Tells the server what becomes of the task.
    pub(super) async fn acknowledge(&self, kind: AckKind) {
        let acker = Arc::clone(&lock(&self.acker));
        // What is not acknowledged is delivered again.
        let _ = acker.ack_with(kind).await;
    }

    /// The task is in the pool now.
    pub(super) fn started(&self, future: TaskFuture<Encoded>) {
        let _ = self.future.set(future);
        if self.stop().is_some() {
            self.cancel();
        }
    }

    pub(super) fn stop_for(&self, reason: Stop) {
        lock(&self.stop).get_or_insert(reason);
        self.stopped.notify_one();
        self.cancel();
    }

    /// Why the task was stopped, if it was.
    pub(super) fn stop(&self) -> Option<Stop> {
        *lock(&self.stop)
    }

    /// Ends when the task is stopped.
    pub(super) async fn stopped(&self) {
        self.stopped.notified().await;
    }

    fn cancel(&self) {
        if let Some(future) = self.future.get() {
            future.cancel();
        }
    }
}

/// No code panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
