//! The places in the queue, and the submitters that wait for one.
//!
//! Kept apart from the entries, so that whoever ends an entry can give its place back without the
//! queue's lock. Written by hand, on the primitives of [`sync`](crate::sync), so that the model
//! checker sees who waits for whom.

use std::collections::VecDeque;
use std::task::{Poll, Waker};
use std::time::Duration;

use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{self, Arc, Condvar, Instant, Mutex, contain_panic, lock, spin};

/// How long a submitter blocks until there is a place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Blocking {
    /// Not at all.
    Never,
    /// Up to this moment.
    Until(Instant),
    /// As long as it takes.
    Forever,
}

impl Blocking {
    pub(crate) fn for_at_most(timeout: Duration) -> Self {
        // A deadline that overflows `Instant` never comes.
        let deadline = Instant::now().checked_add(timeout);
        deadline.map_or(Self::Forever, Self::Until)
    }
}

/// Why there is no place for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReserveError {
    Full,
    /// The tenant has no place left of its own.
    TenantFull,
    Closed,
}

impl ReserveError {
    /// Whether there may be a place later.
    pub(crate) fn is_full(self) -> bool {
        matches!(self, Self::Full | Self::TenantFull)
    }
}

/// When a queue is full: at this many entries, or at this many bytes of arguments.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) tasks: usize,
    /// None: bytes are not counted.
    pub(crate) bytes: Option<usize>,
}

/// The places of one queue.
///
/// The bound in bytes is a mark, not a strict limit: a place is given while fewer bytes are held.
/// The bytes of its entry are counted when the arguments have been encoded, after the place was
/// taken. So any free place suits any submitter, and large arguments wait no longer than small
/// ones. Each thread that submits may pass the mark by one entry.
pub(crate) struct Places {
    capacity: Capacity,
    /// Places in use. Raised by submitters, lowered when a [`Permit`] drops.
    taken: AtomicUsize,
    /// Bytes of the arguments in these places, 0 if they are not counted. Raised by
    /// [`Permit::hold_bytes`], lowered when the permit drops.
    bytes: AtomicUsize,
    closed: AtomicBool,
    /// Submitters that wait for a place, blocked or with a waker. Raised before a submitter's
    /// last look at `taken` and `bytes`, read after these were lowered: either the submitter
    /// sees the free place, or the one who freed it sees the submitter.
    waiting: AtomicUsize,
    wakers: Mutex<Wakers>,
    freed: Condvar,
}

/// Those who wait for a place without blocking, first come, first woken.
#[derive(Default)]
struct Wakers {
    queue: VecDeque<(u64, Waker)>,
    next_number: u64,
}

/// A submitter that waits with a waker. On drop it leaves the line, and passes on a wake-up that it
/// did not use.
pub(crate) struct PermitWaiter {
    places: Arc<Places>,
    number: u64,
    /// Whether the wait is over: a wake-up that it got was used.
    is_served: bool,
}

/// A place in the queue, given back on drop. An entry holds it for as long as it is queued.
#[must_use]
pub(crate) struct Permit {
    places: Arc<Places>,
    /// The bytes of arguments that are counted for this place.
    bytes: usize,
    /// A place of the tenant's own, if the tenant's places are bounded.
    of_tenant: Option<Box<Permit>>,
}

impl Places {
    pub(crate) fn new(capacity: Capacity) -> Self {
        Self {
            capacity,
            taken: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            wakers: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    /// How many places are taken: by entries that are queued and alive.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    /// How many bytes the arguments in the places have, if they are counted.
    pub(crate) fn bytes(&self) -> Option<usize> {
        self.capacity
            .bytes
            .map(|_| self.bytes.load(Ordering::SeqCst))
    }

    /// Refuses submitters from now on, also those that wait.
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // Takes the lock: a submitter that found the queue open waits by then, or looks again.
        let wakers = self.take_wakers(usize::MAX);
        self.freed.notify_all();
        wakers.into_iter().for_each(wake);
    }

    /// Takes a place for one entry. Blocks for as long as `blocking` allows.
    pub(crate) fn reserve(self: &Arc<Self>, blocking: Blocking) -> Result<Permit, ReserveError> {
        if self.closed.load(Ordering::SeqCst) {
            return Err(ReserveError::Closed);
        }
        if self.try_take() || self.wait_and_take(blocking)? {
            Ok(self.permit())
        } else {
            Err(ReserveError::Full)
        }
    }

    /// Takes a place for one entry, or sees to it that `waker` is woken when there may be one.
    /// `waiting` keeps the caller's place in the line until the next poll.
    pub(crate) fn poll_reserve(
        self: &Arc<Self>,
        waiting: &mut Option<PermitWaiter>,
        waker: &Waker,
    ) -> Poll<Result<Permit, ReserveError>> {
        let mut reserved = self.reserve(Blocking::Never);
        if matches!(reserved, Err(ReserveError::Full)) {
            match waiting {
                Some(waiting) => waiting.wait_on(waker),
                None => *waiting = Some(self.wait_with(waker)),
            }
            // A place may have come free between the look and the wait.
            reserved = self.reserve(Blocking::Never);
        }
        if matches!(reserved, Err(ReserveError::Full)) {
            return Poll::Pending;
        }
        if let Some(waiting) = waiting.take() {
            waiting.leave();
        }
        Poll::Ready(reserved)
    }

    /// Takes a place even if none is free: for callers that must not wait. Also when the queue is
    /// closed: [`Queue::push`](super::queue::Queue::push) refuses the entry then.
    pub(crate) fn overdraw(self: &Arc<Self>) -> Permit {
        self.taken.fetch_add(1, Ordering::SeqCst);
        self.permit()
    }

    /// The permit for a place that is taken already.
    fn permit(self: &Arc<Self>) -> Permit {
        Permit {
            places: Arc::clone(self),
            bytes: 0,
            of_tenant: None,
        }
    }

    /// Puts `waker` at the end of the line.
    fn wait_with(self: &Arc<Self>, waker: &Waker) -> PermitWaiter {
        // Somebody else's code, which runs without the lock.
        let waker = waker.clone();
        let mut wakers = lock(&self.wakers);
        let number = wakers.next_number;
        wakers.next_number += 1;
        wakers.queue.push_back((number, waker));
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let places = Arc::clone(self);
        PermitWaiter {
            places,
            number,
            is_served: false,
        }
    }

    /// Takes up to `wanted` wakers from the front of the line.
    fn take_wakers(&self, wanted: usize) -> Vec<Waker> {
        let mut wakers = lock(&self.wakers);
        let n_taken = wanted.min(wakers.queue.len());
        self.waiting.fetch_sub(n_taken, Ordering::SeqCst);
        let taken = wakers.queue.drain(..n_taken);
        taken.map(|(_, waker)| waker).collect()
    }

    /// Tells somebody who waits that there may be a place.
    fn tell_one(&self) {
        // The lock makes sure that a submitter which saw no place already waits.
        let wakers = self.take_wakers(1);
        self.freed.notify_one();
        wakers.into_iter().for_each(wake);
    }

    /// Tells somebody who waits, if there is a place.
    fn pass_on(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 && self.has_place() {
            self.tell_one();
        }
    }

    fn try_take(&self) -> bool {
        let free = |taken| (taken < self.capacity.tasks).then_some(taken + 1);
        self.is_below_mark()
            && self
                .taken
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, free)
                .is_ok()
    }

    fn has_place(&self) -> bool {
        self.taken.load(Ordering::SeqCst) < self.capacity.tasks && self.is_below_mark()
    }

    /// Whether the queue has room for arguments, of whatever size.
    pub(crate) fn is_below_mark(&self) -> bool {
        let mark = self.capacity.bytes;
        mark.is_none_or(|mark| self.bytes.load(Ordering::SeqCst) < mark)
    }

    /// Whether a place was taken in time.
    fn wait_and_take(&self, blocking: Blocking) -> Result<bool, ReserveError> {
        if matches!(blocking, Blocking::Never) {
            return Ok(false);
        }
        // Small tasks leave their places faster than a submitter can be woken for each. After a
        // nap several places are free, and nobody has to wake the submitter.
        if matches!(blocking, Blocking::Forever) && spin::nap_until(|| self.try_take()) {
            return Ok(true);
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let taken = self.take_when_free(blocking);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        taken
    }

    fn take_when_free(&self, blocking: Blocking) -> Result<bool, ReserveError> {
        let mut guard = lock(&self.wakers);
        loop {
            if self.closed.load(Ordering::SeqCst) {
                return Err(ReserveError::Closed);
            }
            if self.try_take() {
                return Ok(true);
            }
            let deadline = match blocking {
                Blocking::Until(deadline) => Some(deadline),
                Blocking::Never | Blocking::Forever => None,
            };
            match sync::wait(&self.freed, guard, deadline) {
                Ok(signalled) => guard = signalled,
                Err(_timed_out) => return Ok(false),
            }
        }
    }
}

impl Permit {
    /// Adds the tenant's own place, which is given back together with this one.
    pub(crate) fn with_tenant(mut self, permit: Option<Permit>) -> Self {
        self.of_tenant = permit.map(Box::new);
        self
    }

    /// Counts the bytes of the entry's arguments, once they are known.
    pub(crate) fn hold_bytes(&mut self, bytes: usize) {
        let places = &self.places;
        if places.capacity.bytes.is_some() {
            self.bytes += bytes;
            places.bytes.fetch_add(bytes, Ordering::SeqCst);
            // Bytes that come back at once may be room for several submitters, of which one is
            // woken. So whoever has taken a place wakes the next one when its bytes are known.
            places.pass_on();
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let places = &self.places;
        // The bytes first: whoever sees the free place sees the room for its arguments, too.
        if self.bytes > 0 {
            places.bytes.fetch_sub(self.bytes, Ordering::SeqCst);
        }
        places.taken.fetch_sub(1, Ordering::SeqCst);
        places.pass_on();
    }
}

impl From<usize> for Capacity {
    /// As many tasks, of whatever size.
    fn from(tasks: usize) -> Self {
        Self { tasks, bytes: None }
    }
}

impl PermitWaiter {
    /// Keeps its place in the line, with another waker. A waiter that was woken and found no place
    /// is the first in the line again: it has waited longest.
    fn wait_on(&self, waker: &Waker) {
        let waker = waker.clone();
        let mut wakers = lock(&self.places.wakers);
        let place = wakers.place_of(self.number);
        let former = match place {
            Some(place) => Some(std::mem::replace(&mut wakers.queue[place].1, waker)),
            None => {
                wakers.queue.push_front((self.number, waker));
                self.places.waiting.fetch_add(1, Ordering::SeqCst);
                None
            }
        };
        drop(wakers);
        drop(former);
    }

    /// Leaves the line. Says whether it was still in the line: if not, it has been woken.
    fn step_out(&self) -> bool {
        let mut wakers = lock(&self.places.wakers);
        let place = wakers.place_of(self.number);
        let former = place.and_then(|place| wakers.queue.remove(place));
        if former.is_some() {
            self.places.waiting.fetch_sub(1, Ordering::SeqCst);
        }
        drop(wakers);
        former.is_some()
    }

    /// Leaves the line for good: the wait is over.
    pub(crate) fn leave(mut self) {
        self.is_served = true;
    }
}

impl Drop for PermitWaiter {
    fn drop(&mut self) {
        let was_woken = !self.step_out();
        // If the place is still free, the wake-up goes to the next in the line. If not, the line
        // hears of the place when it comes back.
        if was_woken && !self.is_served && self.places.has_place() {
            self.places.tell_one();
        }
    }
}

impl Wakers {
    fn place_of(&self, number: u64) -> Option<usize> {
        self.queue.iter().position(|(known, _)| *known == number)
    }
}

/// Calls a waker, which is somebody else's code: its panics end here.
fn wake(waker: Waker) {
    contain_panic(|| waker.wake());
}
