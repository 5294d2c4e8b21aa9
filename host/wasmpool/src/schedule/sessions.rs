//! The sessions of a pool: how many there may be, which there are, and how the pool ends them.
//!
//! Does not know the calls of a session: [`session`](super::session) does.

use std::collections::HashMap;
use std::time::Duration;

use super::active_call::Ready;
use super::queue::Queue;
use super::session::SessionLine;
use super::watchdog::Watchdog;
use super::work_item::JobRef;
use crate::error::{SessionError, TaskError, TaskErrorKind};
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{Arc, Mutex, Weak, lock};

pub(crate) struct Sessions {
    pub(super) queue: Arc<Queue<Ready>>,
    pub(super) watchdog: Arc<Watchdog>,
    settings: SessionSettings,
    /// Places that are taken: by sessions that have not ended, and by calls whose session has given
    /// them up and which still have the instance.
    n_taken: AtomicUsize,
    /// Those that have not ended.
    live: Mutex<Live>,
    /// Set once when the pool is closed: from then on sessions end when they have no call.
    closed: AtomicBool,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SessionSettings {
    /// How many there may be.
    pub(crate) max: usize,
    /// How long a session may be idle.
    pub(crate) idle_timeout: Option<Duration>,
}

#[derive(Default)]
struct Live {
    by_number: HashMap<u64, Weak<SessionLine>>,
    next_number: u64,
}

/// The right to have an instance, given back on drop.
#[must_use]
pub(crate) struct SessionPlace(Arc<Sessions>);

impl Sessions {
    pub(crate) fn new(
        queue: Arc<Queue<Ready>>,
        watchdog: Arc<Watchdog>,
        settings: SessionSettings,
    ) -> Arc<Self> {
        Arc::new(Self {
            queue,
            watchdog,
            settings,
            n_taken: AtomicUsize::new(0),
            live: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// Begins a session, whose instance is made by its first call.
    pub(crate) fn begin(self: &Arc<Self>) -> Result<Arc<SessionLine>, SessionError> {
        let place = self.place()?;
        let mut live = lock(&self.live);
        let number = live.next_number;
        live.next_number += 1;
        drop(live);
        let session = SessionLine::new(self, number, place);
        self.enter(number, &session)?;
        // From now on it is idle.
        session.go_on();
        Ok(session)
    }

    /// How many have not ended.
    pub(crate) fn n_live(&self) -> usize {
        lock(&self.live).by_number.len()
    }

    pub(super) fn idle_timeout(&self) -> Option<Duration> {
        self.settings.idle_timeout
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Takes a place, if one is free.
    pub(super) fn place(self: &Arc<Self>) -> Result<SessionPlace, SessionError> {
        let SessionSettings { max, .. } = self.settings;
        let free = |taken: usize| (taken < max).then_some(taken + 1);
        let taken = self
            .n_taken
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, free);
        match taken {
            Ok(_) => Ok(SessionPlace(Arc::clone(self))),
            Err(_) => Err(SessionError::TooMany { max }),
        }
    }

    /// A session begins, if the pool is open.
    pub(super) fn enter(
        &self,
        number: u64,
        session: &Arc<SessionLine>,
    ) -> Result<(), SessionError> {
        let mut live = lock(&self.live);
        // With the lock held: whoever closes the pool sees the session, or this sees the close.
        if self.is_closed() {
            return Err(SessionError::ShutDown);
        }
        live.by_number.insert(number, Arc::downgrade(session));
        Ok(())
    }

    /// A session has ended.
    pub(super) fn leave(&self, number: u64) {
        lock(&self.live).by_number.remove(&number);
    }

    /// Ends all sessions, each after the calls that it has accepted.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        for session in self.all() {
            session.close(super::session::POOL_SHUT_DOWN);
        }
    }

    /// Takes the calls out that wait for their turn, to be cancelled. Only when the queue was
    /// drained: then no call has its turn any more.
    pub(crate) fn take_waiting(&self) -> Vec<JobRef> {
        let all = self.all();
        all.iter().flat_map(|session| session.take_line()).collect()
    }

    fn all(&self) -> Vec<Arc<SessionLine>> {
        let live = lock(&self.live);
        let all = live.by_number.values().filter_map(Weak::upgrade);
        all.collect()
    }

    /// Fails calls that waited for their turn. Others call their callbacks.
    pub(super) fn fail(&self, calls: impl IntoIterator<Item = JobRef>, error: &TaskError) {
        for call in calls {
            if call.fail_queued(error.clone()) {
                self.watchdog.call_back(call);
            }
        }
    }

    /// Cancels calls that waited for their turn, since the pool was shut down.
    pub(super) fn cancel(&self, calls: impl IntoIterator<Item = JobRef>) {
        let message = "cancelled: the pool was shut down before it started";
        self.fail(calls, &TaskError::new(TaskErrorKind::Cancelled, message));
    }
}

impl Drop for SessionPlace {
    fn drop(&mut self) {
        self.0.n_taken.fetch_sub(1, Ordering::SeqCst);
    }
}
