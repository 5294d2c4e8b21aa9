//! Locks and semaphores, events, conditions and barriers.

use std::fmt;
use std::future::pending;
use std::time::Duration;

use super::error::BrokenBarrier;
use super::handle::travels;
use super::waiting::{Patience, block_on};
use crate::objects::{self as core, Hold, NotALock, Object, Waiting as _};

/// A lock, which one task or thread holds at a time. Made by [`Pool::lock`](crate::Pool::lock).
///
/// Whoever waits is served in order. A holder that waits for the lock again waits for itself.
#[derive(Clone)]
pub struct Lock {
    core: core::Lock,
}

/// What is held of a [`Lock`]. Dropping it gives the lock back.
#[must_use = "dropping it gives the lock back"]
pub struct LockGuard(Option<Hold>);

impl Lock {
    pub(super) fn of(core: core::Lock) -> Self {
        Self { core }
    }

    fn object(&self) -> Object {
        Object::Lock(self.core.clone())
    }

    /// Takes the lock. Blocks while another has it.
    pub fn acquire(&self) -> LockGuard {
        let hold = block_on(self.core.acquire(), Patience::Forever);
        LockGuard(hold)
    }

    /// Takes the lock, if nobody has it. Does not block.
    pub fn try_acquire(&self) -> Option<LockGuard> {
        self.core.acquire().now().map(LockGuard::of)
    }

    /// Takes the lock. Blocks for at most `timeout`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<LockGuard> {
        block_on(self.core.acquire(), Patience::For(timeout)).map(LockGuard::of)
    }

    /// Takes the lock. Waits without blocking the thread.
    pub async fn acquire_async(&self) -> LockGuard {
        LockGuard::of(self.core.acquire().await)
    }
}

impl LockGuard {
    fn of(hold: Hold) -> Self {
        Self(Some(hold))
    }

    /// Whether the last holder was stopped or failed while it had the lock: what the lock protects may
    /// be half changed.
    pub fn was_left_behind(&self) -> bool {
        self.0.as_ref().is_some_and(Hold::was_left_behind)
    }
}

/// A panic while the lock is held leaves it behind.
impl Drop for LockGuard {
    fn drop(&mut self) {
        if let Some(hold) = self.0.take()
            && !std::thread::panicking()
        {
            hold.give_back();
        }
    }
}

/// A counter of permits. Made by [`Pool::semaphore`](crate::Pool::semaphore).
#[derive(Clone)]
pub struct Semaphore {
    core: core::Semaphore,
}

/// A permit of a [`Semaphore`]. Dropping it gives the permit back.
#[must_use = "dropping it gives the permit back"]
pub struct Permit(Hold);

impl Permit {
    /// Uses the permit up: it is not given back.
    pub fn forget(self) {
        self.0.forget();
    }
}

impl Semaphore {
    pub(super) fn of(core: core::Semaphore) -> Self {
        Self { core }
    }

    fn object(&self) -> Object {
        Object::Semaphore(self.core.clone())
    }

    /// Takes a permit. Blocks while there is none.
    pub fn acquire(&self) -> Permit {
        let hold = block_on(self.core.acquire(), Patience::Forever);
        Permit(hold.expect("it has waited for it"))
    }

    /// Takes a permit, if there is one. Does not block.
    pub fn try_acquire(&self) -> Option<Permit> {
        self.core.acquire().now().map(Permit)
    }

    /// Takes a permit. Blocks for at most `timeout`.
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<Permit> {
        block_on(self.core.acquire(), Patience::For(timeout)).map(Permit)
    }

    /// Takes a permit. Waits without blocking the thread.
    pub async fn acquire_async(&self) -> Permit {
        Permit(self.core.acquire().await)
    }

    /// Adds permits.
    pub fn release(&self, permits: u32) {
        self.core.release(permits);
    }

    /// The number of permits that are there now.
    pub fn available(&self) -> u32 {
        self.core.available()
    }
}

/// A flag that tasks and threads wait for. Made by [`Pool::event`](crate::Pool::event).
#[derive(Clone)]
pub struct Event {
    core: core::Event,
}

impl Event {
    pub(super) fn of(core: core::Event) -> Self {
        Self { core }
    }

    fn object(&self) -> Object {
        Object::Event(self.core.clone())
    }

    /// Sets the flag. Whoever waits goes on.
    pub fn set(&self) {
        self.core.set(true);
    }

    /// Clears the flag.
    pub fn clear(&self) {
        self.core.set(false);
    }

    /// Whether the flag is set.
    pub fn is_set(&self) -> bool {
        self.core.is_set()
    }

    /// Blocks until the flag is set.
    pub fn wait(&self) {
        block_on(self.core.wait(), Patience::Forever);
    }

    /// Blocks until the flag is set, for at most `timeout`. Returns whether it was set.
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        block_on(self.core.wait(), Patience::For(timeout)).is_some()
    }

    /// Waits until the flag is set, without blocking the thread.
    pub async fn wait_async(&self) {
        self.core.wait().await;
    }
}

/// A condition that tasks and threads wait for with a lock in hand, and notify each other of. Made by
/// [`Pool::condition`](crate::Pool::condition).
#[derive(Clone)]
pub struct Condition {
    core: core::Condition,
}

impl Condition {
    pub(super) fn of(core: core::Condition) -> Self {
        Self { core }
    }

    fn object(&self) -> Object {
        Object::Condition(self.core.clone())
    }

    /// Gives the lock back and blocks until it is notified, in one step, then takes the lock again.
    pub fn wait(&self, guard: LockGuard) -> LockGuard {
        let waited = self.core.wait(guard.into_hold(), pending());
        let waited = block_on(waited, Patience::Forever);
        LockGuard::waited(waited.expect("it has waited for it")).0
    }

    /// As [`wait`](Self::wait), without blocking the thread. If the future is dropped the lock is not
    /// held.
    pub async fn wait_async(&self, guard: LockGuard) -> LockGuard {
        let waited = self.core.wait(guard.into_hold(), pending());
        LockGuard::waited(waited.await).0
    }

    /// Wakes one of those that wait: the one that came first.
    pub fn notify_one(&self) {
        self.core.notify(1);
    }

    /// Wakes all that wait.
    pub fn notify_all(&self) {
        self.core.notify(usize::MAX);
    }
}

impl LockGuard {
    fn into_hold(mut self) -> Hold {
        self.0.take().expect("it is taken out once")
    }

    fn waited(waited: Result<(Hold, bool), NotALock>) -> (Self, bool) {
        let (hold, is_notified) = waited.expect("it is the hold of a lock");
        (Self::of(hold), is_notified)
    }
}

/// A barrier, at which a number of tasks and threads wait for each other. Made by
/// [`Pool::barrier`](crate::Pool::barrier).
///
/// One that leaves early, because it was stopped or its timeout was over, breaks the barrier: whoever
/// waits or comes later is told, until [`reset`](Self::reset).
#[derive(Clone)]
pub struct Barrier {
    core: core::Barrier,
}

impl Barrier {
    pub(super) fn of(core: core::Barrier) -> Self {
        Self { core }
    }

    fn object(&self) -> Object {
        Object::Barrier(self.core.clone())
    }

    /// Blocks until all parties are there. Returns 0 to the one that came last, 1 to the one before
    /// and so on.
    ///
    /// # Errors
    ///
    /// If the barrier is broken.
    pub fn wait(&self) -> Result<u32, BrokenBarrier> {
        self.wait_for(Patience::Forever)
    }

    /// As [`wait`](Self::wait), for at most `timeout`: then the barrier is broken.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Result<u32, BrokenBarrier> {
        self.wait_for(Patience::For(timeout))
    }

    /// As [`wait`](Self::wait), without blocking the thread.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub async fn wait_async(&self) -> Result<u32, BrokenBarrier> {
        self.core.wait().await.map_err(|_| BrokenBarrier)
    }

    fn wait_for(&self, patience: Patience) -> Result<u32, BrokenBarrier> {
        match block_on(self.core.wait(), patience) {
            Some(Ok(n_missing)) => Ok(n_missing),
            _ => Err(BrokenBarrier),
        }
    }

    /// Breaks the barrier.
    pub fn abort(&self) {
        self.core.abort();
    }

    /// Makes the barrier whole again. Whoever waits is told that it was broken.
    pub fn reset(&self) {
        self.core.reset();
    }

    /// Whether the barrier is broken.
    pub fn is_broken(&self) -> bool {
        self.core.is_broken()
    }
}

travels!([] Lock, "a lock", Object::Lock(core) => Self::of(core));
travels!([] Semaphore, "a semaphore", Object::Semaphore(core) => Self::of(core));
travels!([] Event, "an event", Object::Event(core) => Self::of(core));
travels!([] Condition, "a condition", Object::Condition(core) => Self::of(core));
travels!([] Barrier, "a barrier", Object::Barrier(core) => Self::of(core));

macro_rules! opaque {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}
opaque!(Lock LockGuard Semaphore Permit Event Condition Barrier);
