//! What a running task says, on its way to those who listen.
//!
//! A listener has a bounded channel of its own. Who says something never waits for it: what
//! does not fit is left out and counted.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::channel::{self, Receiver, Sender};
use crate::sync::{Arc, Instant};

/// How many events wait for a listener that is slow; each has 64 KiB of output at the most.
const CAPACITY: usize = 256;

/// How far a task has come, by its own account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Units done, of the task's own choice.
    pub done: u64,
    /// Units in all, where the task knows.
    pub total: Option<u64>,
}

/// Something that a running task has said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskEvent {
    /// How far it has come.
    Progress(Progress),
    /// What it wrote to standard output in one go.
    Stdout(Vec<u8>),
    /// What it wrote to standard error in one go.
    Stderr(Vec<u8>),
}

/// What a task says while it runs, as it says it:
/// [`TaskFuture::events`](crate::TaskFuture::events).
///
/// As an iterator it blocks until the task says something, and ends when the task has ended
/// and all it said was taken. A slow listener never slows the task: up to 256 events wait for
/// it, later ones are left out and [counted](Self::missed).
pub struct TaskEvents {
    events: Receiver<TaskEvent>,
    missed: Arc<AtomicU64>,
}

/// The task's end of a [`TaskEvents`].
#[derive(Clone)]
pub(crate) struct Listener {
    events: Sender<TaskEvent>,
    missed: Arc<AtomicU64>,
}

impl TaskEvents {
    pub(crate) fn channel() -> (Listener, Self) {
        let (sender, events) = channel::bounded(CAPACITY);
        let missed = Arc::new(AtomicU64::new(0));
        let listener = Listener {
            events: sender,
            missed: Arc::clone(&missed),
        };
        (listener, Self { events, missed })
    }

    /// The next event if it is there. Does not block.
    pub fn try_next(&mut self) -> Option<TaskEvent> {
        self.events.try_recv().ok()
    }

    /// The next event; blocks for `timeout` at the longest. `None` also when the task has
    /// ended.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<TaskEvent> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.events.recv_deadline(deadline).ok(),
            None => self.next(),
        }
    }

    /// How many events were left out because this listener was too slow.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Iterator for TaskEvents {
    type Item = TaskEvent;

    fn next(&mut self) -> Option<TaskEvent> {
        self.events.recv().ok()
    }
}

impl Listener {
    /// Tells, if there is room and somebody listens. Says whether anybody does.
    pub(crate) fn tell(&self, event: impl Fn() -> TaskEvent) -> bool {
        // The task is the only one who sends: where there is room now, there is later.
        if self.events.is_full() {
            self.missed.fetch_add(1, Ordering::Relaxed);
            return true;
        }
        self.events.try_send(event()).is_ok()
    }
}

impl fmt::Debug for TaskEvents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TaskEvents")
            .field("waiting", &self.events.len())
            .field("missed", &self.missed())
            .finish()
    }
}
