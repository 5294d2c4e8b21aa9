//! Which callers are there, and which tasks they have cancelled, as a node hears.
//!
//! Does not know tasks.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::running::Stop;
use crate::names::TaskId;

/// How long a caller may be silent before its tasks are dropped. It renews its lease every 2
/// seconds, and a short loss of the network should cost nothing.
const LEASE: Duration = Duration::from_secs(15);

/// How long a caller that went away is remembered, so that its queued tasks are dropped at once.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);

#[derive(Debug, Default)]
pub(super) struct Callers {
    known: Mutex<HashMap<String, Caller>>,
}

#[derive(Debug)]
struct Caller {
    /// When it was last heard of; when its first task came, before that.
    heard: Instant,
    has_left: bool,
    /// The tasks that it has cancelled, as it said last.
    cancelled: Vec<u64>,
}

impl Caller {
    fn new() -> Self {
        Self {
            heard: Instant::now(),
            has_left: false,
            cancelled: Vec::new(),
        }
    }
}

impl Callers {
    /// The caller is there, and has cancelled these tasks.
    pub(super) fn hear(&self, caller: &str, cancelled: Vec<u64>) {
        let mut known = self.lock();
        let known = known.entry(caller.to_owned()).or_insert_with(Caller::new);
        known.heard = Instant::now();
        known.cancelled = cancelled;
    }

    /// The caller says that it leaves.
    pub(super) fn leave(&self, caller: &str) {
        let mut known = self.lock();
        let known = known.entry(caller.to_owned()).or_insert_with(Caller::new);
        known.has_left = true;
    }

    /// Why nobody wants the task any more, if so. A new caller is there.
    pub(super) fn unwanted(&self, task: &TaskId) -> Option<Stop> {
        let mut known = self.lock();
        let caller = known.entry(task.caller.clone()).or_insert_with(Caller::new);
        if caller.has_left {
            Some(Stop::CallerLeft)
        } else if caller.cancelled.contains(&task.number) {
            Some(Stop::Cancelled)
        } else if caller.heard.elapsed() > LEASE {
            Some(Stop::CallerLost)
        } else {
            None
        }
    }

    /// No caller could be heard until now: their silence means nothing.
    pub(super) fn excuse(&self) {
        for caller in self.lock().values_mut() {
            caller.heard = Instant::now();
        }
    }

    /// Forgets callers that went away long ago.
    pub(super) fn forget_old(&self) {
        self.lock()
            .retain(|_, caller| caller.heard.elapsed() < REMEMBERED);
    }

    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Caller>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
