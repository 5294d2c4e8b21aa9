//! Locks and semaphores, and what is held of them.

use super::budget::{Charge, ObjectBudget};
use super::monitor::{Lines, Monitor, State, Waiting};
use crate::sync::Arc;

/// A lock, which one holder has at a time.
#[derive(Clone)]
pub(crate) struct Lock(Arc<Monitor<Holding>>);

struct Holding {
    is_held: bool,
    /// Whether the last holder has ended without giving the lock back.
    is_left_behind: bool,
    _charge: Charge,
}

/// A counter of permits.
#[derive(Clone)]
pub(crate) struct Semaphore(Arc<Monitor<Permits>>);

struct Permits {
    available: u32,
    _charge: Charge,
}

/// What somebody holds of a lock or a semaphore. If it is dropped without having been given back,
/// its holder was stopped or failed: then it is given back, and the next holder of the lock is told.
pub(crate) struct Hold {
    /// `None` once it is given back.
    of: Option<Held>,
    was_left_behind: bool,
}

enum Held {
    Lock(Lock),
    Permit(Semaphore),
}

impl State for Holding {
    fn wake(&mut self, lines: &mut Lines) {
        if !self.is_held {
            lines.wake_first(0);
        }
    }
}

impl State for Permits {
    fn wake(&mut self, lines: &mut Lines) {
        if self.available > 0 {
            lines.wake_first(0);
        }
    }
}

impl Lock {
    pub(crate) fn new(budget: &Arc<ObjectBudget>) -> Result<Self, String> {
        Ok(Self(Arc::new(Monitor::new(Holding {
            is_held: false,
            is_left_behind: false,
            _charge: budget.object()?,
        }))))
    }

    /// Takes the lock; waits while somebody else has it.
    pub(crate) fn acquire(&self) -> impl Waiting<Output = Hold> + use<> {
        let lock = self.clone();
        self.0.wait(0, move |holding: &mut Holding| {
            if holding.is_held {
                return None;
            }
            holding.is_held = true;
            Some(Hold {
                of: Some(Held::Lock(lock.clone())),
                was_left_behind: std::mem::take(&mut holding.is_left_behind),
            })
        })
    }

    fn give_back(&self, is_left_behind: bool) {
        self.0.change(|holding, _| {
            holding.is_held = false;
            holding.is_left_behind = is_left_behind;
        });
    }
}

impl Semaphore {
    pub(crate) fn new(permits: u32, budget: &Arc<ObjectBudget>) -> Result<Self, String> {
        Ok(Self(Arc::new(Monitor::new(Permits {
            available: permits,
            _charge: budget.object()?,
        }))))
    }

    /// Takes a permit; waits while there is none.
    pub(crate) fn acquire(&self) -> impl Waiting<Output = Hold> + use<> {
        let semaphore = self.clone();
        self.0.wait(0, move |permits: &mut Permits| {
            permits.available = permits.available.checked_sub(1)?;
            Some(Hold {
                of: Some(Held::Permit(semaphore.clone())),
                was_left_behind: false,
            })
        })
    }

    /// Adds permits.
    pub(crate) fn release(&self, n: u32) {
        self.0.change(|permits, _| {
            permits.available = permits.available.saturating_add(n);
        });
    }

    pub(crate) fn available(&self) -> u32 {
        self.0.look(|permits| permits.available)
    }
}

impl Hold {
    /// Whether the last holder of the lock was stopped or failed while it had it.
    pub(crate) fn was_left_behind(&self) -> bool {
        self.was_left_behind
    }

    pub(crate) fn give_back(mut self) {
        self.end(false);
    }

    /// Uses a permit up; gives a lock back.
    pub(crate) fn forget(mut self) {
        match self.of.take() {
            Some(Held::Lock(lock)) => lock.give_back(false),
            Some(Held::Permit(_)) | None => {}
        }
    }

    /// The lock that is held.
    pub(super) fn lock(&self) -> Option<Lock> {
        match &self.of {
            Some(Held::Lock(lock)) => Some(lock.clone()),
            _ => None,
        }
    }

    fn end(&mut self, is_left_behind: bool) {
        match self.of.take() {
            Some(Held::Lock(lock)) => lock.give_back(is_left_behind),
            Some(Held::Permit(semaphore)) => semaphore.release(1),
            None => {}
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.end(true);
    }
}
