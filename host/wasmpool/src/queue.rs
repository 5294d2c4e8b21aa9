//! The bounded queue between submitters and workers: lanes of different priority, first in,
//! first out within a lane, closable.
//!
//! Written by hand and not a channel, because an entry may die while it waits: a cancelled
//! task gives its place back at once, not when a worker comes across it. Knows nothing of
//! tasks; it is generic so that it can be tested without them.

use std::collections::VecDeque;

use crate::spin;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{self, Arc, Condvar, Instant, Mutex, MutexGuard, lock};

/// An entry of the queue.
pub(crate) trait Entry {
    /// Whether a worker still has a use for it. Once false it stays false.
    fn is_live(&self) -> bool;
}

/// How long a submitter waits for room.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Patience {
    /// Not at all.
    None,
    /// Up to this moment.
    Until(Instant),
    /// As long as it takes.
    Endless,
}

/// Why there is no room for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoom {
    Full,
    Closed,
}

pub(crate) struct Queue<T> {
    entries: Mutex<Entries<T>>,
    /// False while the queue is open and a worker has found nothing in it. Read by the
    /// lookout without the lock; a hint, and the lock tells the truth.
    is_worth_a_look: AtomicBool,
    /// Signalled when an entry comes and a worker sleeps, and when the queue closes.
    not_empty: Condvar,
    room: Arc<Room>,
}

struct Entries<T> {
    lanes: [Lane<T>; LANES],
    closed: bool,
    /// Whether a worker looks out for an entry before it goes to sleep. One is enough: it
    /// takes the entry of a caller who waits for each outcome before the next submit.
    has_lookout: bool,
    /// Workers inside of `pop` that wait for an entry.
    sleepers: usize,
    /// Sleepers that were signalled and have not run yet. Without it every push would signal
    /// (a system call) until the sleeper has come to its feet.
    signalled: usize,
}

/// Entries of one priority.
struct Lane<T> {
    queue: VecDeque<T>,
    /// How often an entry of a higher lane was taken while one waited here.
    passed_over: u32,
}

/// How many lanes there are; the first has the highest priority.
pub(crate) const LANES: usize = 3;

/// A lane that was passed over so often has its turn.
const PATIENCE: u32 = 8;

/// Places in the queue. Apart from the entries, so that whoever ends an entry can give its
/// place back without the queue's lock.
struct Room {
    capacity: usize,
    /// Places in use. Raised by submitters, lowered when a [`Permit`] drops.
    taken: AtomicUsize,
    closed: AtomicBool,
    /// Submitters that wait for a place. Raised before a submitter's last look at `taken`,
    /// read after `taken` was lowered: either the submitter sees the free place, or the one
    /// who freed it sees the submitter.
    waiting: AtomicUsize,
    lock: Mutex<()>,
    freed: Condvar,
}

/// A place in the queue, given back on drop. An entry holds it for as long as it is queued.
#[must_use]
pub(crate) struct Permit(Arc<Room>);

impl<T: Entry> Queue<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            entries: Mutex::new(Entries {
                lanes: std::array::from_fn(|_| Lane {
                    queue: VecDeque::new(),
                    passed_over: 0,
                }),
                closed: false,
                has_lookout: false,
                sleepers: 0,
                signalled: 0,
            }),
            is_worth_a_look: AtomicBool::new(false),
            not_empty: Condvar::new(),
            room: Arc::new(Room {
                capacity,
                taken: AtomicUsize::new(0),
                closed: AtomicBool::new(false),
                waiting: AtomicUsize::new(0),
                lock: Mutex::new(()),
                freed: Condvar::new(),
            }),
        }
    }

    /// Takes a place for one entry. Blocks for as long as the caller has patience.
    pub(crate) fn reserve(&self, patience: Patience) -> Result<Permit, NoRoom> {
        let room = &self.room;
        if room.closed.load(Ordering::SeqCst) {
            return Err(NoRoom::Closed);
        }
        if room.try_take() || room.wait_and_take(patience)? {
            Ok(Permit(Arc::clone(room)))
        } else {
            Err(NoRoom::Full)
        }
    }

    /// Takes a place whether there is one or not: for those who must not wait.
    pub(crate) fn overdraw(&self) -> Result<Permit, NoRoom> {
        let room = &self.room;
        if room.closed.load(Ordering::SeqCst) {
            return Err(NoRoom::Closed);
        }
        room.taken.fetch_add(1, Ordering::SeqCst);
        Ok(Permit(Arc::clone(room)))
    }

    /// Puts an entry at the end of a lane, or gives it back if the queue has closed meanwhile.
    pub(crate) fn push(&self, entry: T, lane: usize) -> Result<(), T> {
        let mut entries = self.lock();
        if entries.closed {
            return Err(entry);
        }
        // The dead are passed over by `pop`; while every worker is busy nobody pops, so they
        // are cleared away here when they outnumber the living.
        if entries.len() > 2 * self.room.taken.load(Ordering::Relaxed) + 64 {
            for lane in &mut entries.lanes {
                lane.queue.retain(T::is_live);
            }
        }
        entries.lanes[lane].queue.push_back(entry);
        self.is_worth_a_look.store(true, Ordering::Relaxed);
        // The lookout takes one entry by itself, and looks once more before it goes to sleep.
        let is_seen = entries.has_lookout && entries.len() == 1;
        if entries.sleepers > entries.signalled && !is_seen {
            entries.signalled += 1;
            drop(entries);
            self.not_empty.notify_one();
        }
        Ok(())
    }

    /// Takes the entry whose turn it is; blocks while there is none. `None` when the queue is
    /// closed and empty.
    pub(crate) fn pop(&self) -> Option<T> {
        let mut has_looked_out = false;
        let mut entries = self.lock();
        loop {
            if let Some(entry) = entries.take() {
                return Some(entry);
            }
            if entries.closed {
                return None;
            }
            self.is_worth_a_look.store(false, Ordering::Relaxed);
            if !has_looked_out && !entries.has_lookout {
                has_looked_out = true;
                entries.has_lookout = true;
                drop(entries);
                spin::until(|| self.is_worth_a_look.load(Ordering::Relaxed));
                entries = self.lock();
                entries.has_lookout = false;
                continue;
            }
            entries.sleepers += 1;
            entries = match sync::wait(&self.not_empty, entries, None) {
                Ok(entries) | Err(entries) => entries,
            };
            entries.sleepers -= 1;
            // A wake-up for no reason takes away a signal that is not its own: that costs
            // one signal too many later, and loses none.
            entries.signalled = entries.signalled.saturating_sub(1).min(entries.sleepers);
        }
    }

    /// Refuses entries from now on; those that are queued stay.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.is_worth_a_look.store(true, Ordering::Relaxed);
        self.not_empty.notify_all();
        self.room.closed.store(true, Ordering::SeqCst);
        let _waiters_wait_or_look = self.room.lock();
        self.room.freed.notify_all();
    }

    /// Takes all entries out at once.
    pub(crate) fn drain(&self) -> Vec<T> {
        let mut entries = self.lock();
        let lanes = entries.lanes.iter_mut();
        lanes
            .flat_map(|lane| std::mem::take(&mut lane.queue))
            .collect()
    }

    /// How many places are taken: the entries that are queued and alive.
    pub(crate) fn len(&self) -> usize {
        self.room.taken.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        lock(&self.entries)
    }
}

impl<T> Entries<T> {
    fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.queue.len()).sum()
    }

    /// The front of the highest lane that has an entry, or of a lower one that has been
    /// passed over long enough.
    fn take(&mut self) -> Option<T> {
        let has_entry = |lane: &Lane<T>| !lane.queue.is_empty();
        let is_due = |lane: &Lane<T>| has_entry(lane) && lane.passed_over >= PATIENCE;
        let place = self.lanes.iter().position(is_due);
        let place = place.or_else(|| self.lanes.iter().position(has_entry))?;
        for lane in &mut self.lanes[place + 1..] {
            if has_entry(lane) {
                lane.passed_over += 1;
            }
        }
        let lane = &mut self.lanes[place];
        lane.passed_over = 0;
        lane.queue.pop_front()
    }
}

impl Room {
    fn lock(&self) -> MutexGuard<'_, ()> {
        lock(&self.lock)
    }

    fn try_take(&self) -> bool {
        let free = |taken| (taken < self.capacity).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, free)
            .is_ok()
    }

    /// Whether a place was taken in time.
    fn wait_and_take(&self, patience: Patience) -> Result<bool, NoRoom> {
        if matches!(patience, Patience::None) {
            return Ok(false);
        }
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let taken = self.take_when_free(patience);
        self.waiting.fetch_sub(1, Ordering::SeqCst);
        taken
    }

    fn take_when_free(&self, patience: Patience) -> Result<bool, NoRoom> {
        let mut guard = self.lock();
        loop {
            if self.closed.load(Ordering::SeqCst) {
                return Err(NoRoom::Closed);
            }
            if self.try_take() {
                return Ok(true);
            }
            let deadline = match patience {
                Patience::Until(deadline) => Some(deadline),
                Patience::None | Patience::Endless => None,
            };
            match sync::wait(&self.freed, guard, deadline) {
                Ok(signalled) => guard = signalled,
                Err(_timed_out) => return Ok(false),
            }
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let room = &self.0;
        room.taken.fetch_sub(1, Ordering::SeqCst);
        if room.waiting.load(Ordering::SeqCst) > 0 {
            // The lock makes sure that a submitter which saw no place already waits.
            drop(room.lock());
            room.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Entry for &str {
        fn is_live(&self) -> bool {
            !self.is_empty()
        }
    }

    /// Pushes entries with their lanes and pops all of them.
    fn check(pushed: &[(&'static str, usize)], expected: &[&str]) {
        let queue = Queue::new(100);
        for (entry, lane) in pushed {
            queue.push(*entry, *lane).unwrap();
        }
        queue.close();
        let popped = std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>();
        assert_eq!(popped, expected);
    }

    #[test]
    fn higher_lanes_come_first_and_within_one_the_first() {
        check(&[], &[]);
        check(
            &[("low", 2), ("a", 1), ("high", 0), ("b", 1)],
            &["high", "a", "b", "low"],
        );
    }

    #[test]
    fn a_lane_that_was_passed_over_has_its_turn() {
        let mut pushed = vec![("low", 2), ("low", 2), ("normal", 1)];
        pushed.extend([("high", 0); 20]);
        let mut expected = vec!["high"; 8];
        expected.extend(["normal", "low"]);
        expected.extend(["high"; 8]);
        expected.extend(["low", "high", "high", "high", "high"]);
        check(&pushed, &expected);
    }

    #[test]
    fn a_closed_queue_gives_the_entry_back() {
        let queue = Queue::new(1);
        queue.close();
        assert_eq!(queue.push("late", 1), Err("late"));
        assert!(matches!(
            queue.reserve(Patience::Endless),
            Err(NoRoom::Closed)
        ));
    }

    #[test]
    fn dead_entries_do_not_pile_up() {
        let queue = Queue::new(1);
        for _ in 0..1_000 {
            queue.push("", 1).unwrap();
        }
        assert!(queue.lock().len() < 200);
    }
}
