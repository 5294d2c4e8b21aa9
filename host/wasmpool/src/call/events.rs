//! The events of a running task: its progress and its output, sent to listeners.
//!
//! Each listener has a bounded channel of its own. The task never waits for a listener: events
//! that do not fit are dropped and counted.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::channel::{self, Receiver, Sender};
use crate::sync::{Arc, Instant};

/// How many events a listener's channel holds. Each event has at most 64 KiB of output.
const CAPACITY: usize = 256;

/// The progress that a task has reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Units done; the task chooses the unit.
    pub done: u64,
    /// Units in total, if the task knows it.
    pub total: Option<u64>,
}

/// An event of a running task.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TaskEvent {
    /// Reported progress.
    Progress(Progress),
    /// Bytes of one write to standard output.
    Stdout(Vec<u8>),
    /// Bytes of one write to standard error.
    Stderr(Vec<u8>),
}

/// The events of a task while it runs, from [`TaskFuture::events`](crate::TaskFuture::events).
///
/// The iterator blocks until the next event, and ends when the task has ended and all its events
/// were taken. A slow listener never slows the task: up to 256 events are buffered, later ones are
/// dropped and [counted](Self::missed).
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

    /// The next event, or `None` if there is none yet or the task has ended. Does not block.
    pub fn try_next(&mut self) -> Option<TaskEvent> {
        self.events.try_recv().ok()
    }

    /// The next event. Blocks for at most `timeout`. `None` if there was no event in that time, or
    /// the task has ended.
    pub fn next_timeout(&mut self, timeout: Duration) -> Option<TaskEvent> {
        match Instant::now().checked_add(timeout) {
            Some(deadline) => self.events.recv_deadline(deadline).ok(),
            None => self.next(),
        }
    }

    /// How many events were dropped because this listener was too slow.
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
    /// Sends the event if the channel has room and is connected. Returns whether it is connected.
    pub(crate) fn tell(&self, event: impl Fn() -> TaskEvent) -> bool {
        // Only the task sends, so room that is there now is still there below.
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
