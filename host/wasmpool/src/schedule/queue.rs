//! The bounded, closable queue between submitters and workers. Its [lanes](super::lanes) decide
//! which entry is next.
//!
//! Written by hand and not a channel, because an entry may die while it waits: a cancelled
//! task gives its place back at once, not when a worker comes across it. Knows nothing of
//! tasks; it is generic so that it can be tested without them.
//!
//! An entry may be promised: it will come when others have made way for it, also to a closed queue
//! ([`Queue::admit`]). Workers stay until it has come, or the promise is withdrawn.
//!
//! An entry may come back: a call that was suspended and can go on. It comes before the new entries
//! of its line. Workers stay for as long as an entry is out.
//!
//! Entries may come in chunks. A worker takes a whole chunk at once, and keeps the rest in its
//! local queue, from which it goes on without the lock of the entries. Others may take them too: a
//! worker that is about to sleep first looks at the local queues of the others, and steals half of
//! what it finds. So an entry never waits behind a slow one while a worker has nothing to do.
//!
//! A worker also leaves its local queue when a higher lane has entries, and when several tenants
//! share the workers. What is left goes back to the front of its own line.
//!
//! While no worker is free, an entry may have to take the place of one that a worker holds: the
//! queue tells [`Preempt`] which worker is to make room.
//!
//! With a memory budget a new entry is taken only if there is room for what it needs. While there
//! is no room for the entry whose turn it is, the new entries behind it wait too: workers take
//! entries that came back, and running calls make room for those only. Without such entries the
//! workers sleep until [`Queue::look_again`]. With a budget chunks are not taken as a whole.
//!
//! How no entry of a local queue is overlooked: local queues are filled, and looked at by other
//! workers, under the lock of the entries, and whoever pushes a chunk wakes a sleeper for each
//! entry of it. Either a worker fills its local queue before another one looks, or the other one
//! was asleep before the push, which woke it.

use std::collections::{BinaryHeap, VecDeque};

pub(crate) use super::lanes::{LANES, Leave, Line};
use super::lanes::{Lanes, Place, Preemption, Taken};
use super::places::{Capacity, Places};
use super::tenants::AllTenantLimits;
use crate::call::MemoryBudget;
use crate::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sync::{self, Arc, Condvar, Instant, Mutex, MutexGuard, lock, spin};

/// An entry of the queue.
pub(crate) trait QueueEntry {
    /// Whether a worker still has a use for it. Once false it stays false.
    fn is_live(&self) -> bool;

    /// Whether there is room in the budget for what the entry needs. If so, the memory is charged,
    /// and the entry is taken at once. Called with the lock of the queue held.
    fn has_memory(&self, budget: &Arc<MemoryBudget>) -> bool {
        let _ = budget;
        true
    }
}

/// Asks running calls to make room.
pub(crate) trait Preempt: Send + Sync {
    /// Asks the call that the worker holds to leave the worker as soon as it can.
    fn ask_to_yield(&self, worker: usize);

    /// Has [`Queue::preempt`] called at this moment.
    fn preempt_at(&self, moment: Instant);
}

pub(crate) struct Queue<T> {
    entries: Mutex<Entries<T>>,
    /// One for each worker: what is left of the chunk that it took. Filled with the lock of the
    /// entries held. Its own worker takes from it without that lock, the
    /// others with that lock.
    local_queues: Box<[Mutex<LocalQueue<T>>]>,
    /// Whether some local queue may have entries. If not, nobody need look at them. Written with
    /// the lock of the entries; read without it by each worker before it looks at its own, which it
    /// has filled itself.
    has_local: AtomicBool,
    /// A worker puts back the entries of its local queue if they are of this lane or of a lower
    /// one: a higher lane has entries, or tenants share the workers. [`LANES`] if there is no
    /// reason to. Written with the lock of the entries; read without it, as a hint.
    leave_local_at: AtomicUsize,
    /// False from when a worker has found nothing in the open queue until something changes. Read
    /// by the searcher without the lock, as a hint.
    may_have_entries: AtomicBool,
    /// Signalled when an entry comes and a worker sleeps, and when the queue closes.
    not_empty: Condvar,
    pub(crate) places: Arc<Places>,
    /// How many entries may be out at once, or back and not yet taken. Those that made room come on
    /// top: [`PREEMPTED_PER_WORKER`].
    max_suspended: usize,
    memory_budget: Option<Arc<MemoryBudget>>,
    /// None: no call has to make room.
    preempt: Option<Arc<dyn Preempt>>,
}

struct Entries<T> {
    lanes: Lanes<T>,
    /// Entries whose time has not come, the earliest on top.
    deferred: BinaryHeap<Deferred<T>>,
    /// Entries that are out and will come back, or are back and not yet taken.
    n_suspended: usize,
    /// Entries that were promised and have not come.
    n_promised: usize,
    closed: bool,
    /// Whether all that was queued has been taken out: entries are no longer deferred.
    drained: bool,
    /// At this many entries the dead ones are cleared away.
    clear_at: usize,
    /// The same for deferred entries.
    clear_deferred_at: usize,
    /// The worker that spins for an entry before it goes to sleep. Taken out by the push of an
    /// entry for it, since the next push must wake another worker. One searcher is enough: it takes
    /// the entries of a caller who waits for each outcome before the next submit.
    searcher: Option<usize>,
    /// Workers inside of `pop` that wait for an entry.
    sleepers: usize,
    /// Sleepers that were signalled and have not run yet. Without this count every push would
    /// signal (a system call) until the sleeper runs.
    signalled: usize,
}

/// What is left of a chunk.
struct LocalQueue<T> {
    entries: VecDeque<T>,
    /// The line that they came from.
    place: Place,
}

struct Deferred<T> {
    entry: T,
    place: Place,
    depth: u32,
    due: Instant,
}

/// Fewer entries are not worth clearing.
const CLEAR_AT_LEAST: usize = 64;

/// How many calls that made room for others may be out, for each worker, beside those that wait.
pub(crate) const PREEMPTED_PER_WORKER: usize = 4;

impl<T: QueueEntry> Queue<T> {
    /// A queue with room for `capacity` entries, for workers 0 to `n_workers` less one. At most
    /// `max_suspended` entries are out at once.
    pub(crate) fn new(
        capacity: impl Into<Capacity>,
        n_workers: usize,
        max_suspended: usize,
    ) -> Self {
        Self {
            local_queues: (0..n_workers)
                .map(|_| {
                    Mutex::new(LocalQueue {
                        entries: VecDeque::new(),
                        place: Place::default(),
                    })
                })
                .collect(),
            has_local: AtomicBool::new(false),
            leave_local_at: AtomicUsize::new(LANES),
            entries: Mutex::new(Entries {
                lanes: Lanes::new(n_workers, AllTenantLimits::default()),
                deferred: BinaryHeap::new(),
                n_suspended: 0,
                n_promised: 0,
                closed: false,
                drained: false,
                clear_at: CLEAR_AT_LEAST,
                clear_deferred_at: CLEAR_AT_LEAST,
                searcher: None,
                sleepers: 0,
                signalled: 0,
            }),
            may_have_entries: AtomicBool::new(false),
            not_empty: Condvar::new(),
            places: Arc::new(Places::new(capacity.into())),
            max_suspended,
            memory_budget: None,
            preempt: None,
        }
    }

    /// The same queue, for entries that need memory of this budget.
    pub(crate) fn with_memory_budget(mut self, budget: Option<Arc<MemoryBudget>>) -> Self {
        self.memory_budget = budget;
        self
    }

    /// The same queue with these limits for tenants, and with `preempt`, which is told which worker
    /// must make room.
    pub(crate) fn with_tenants(
        mut self,
        limits: AllTenantLimits,
        preempt: Arc<dyn Preempt>,
    ) -> Self {
        let lanes = Lanes::new(self.local_queues.len(), limits);
        lock(&self.entries).lanes = lanes;
        self.preempt = Some(preempt);
        self
    }

    /// Puts the entries of a chunk at the end of a line, or gives them back if the queue has
    /// closed meanwhile. A closed queue takes entries that come from others, which it took before,
    /// until it is drained.
    pub(crate) fn push<C>(&self, chunk: C, line: impl Into<Line>) -> Result<(), C>
    where
        C: IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
    {
        let line = line.into();
        let entries = self.lock();
        if entries.closed && (line.depth == 0 || entries.drained) {
            return Err(chunk);
        }
        self.add(entries, chunk.into_iter(), &line);
        Ok(())
    }

    /// Puts the entries of a chunk at the end of a line, and wakes workers for them.
    fn add(
        &self,
        mut entries: MutexGuard<'_, Entries<T>>,
        chunk: impl ExactSizeIterator<Item = T>,
        line: &Line,
    ) {
        // Workers skip dead entries that they pop. While every worker is busy nobody pops, so
        // dead entries are cleared away here, now and then.
        if entries.lanes.n_queued() >= entries.clear_at {
            entries.clear();
        }
        let n_pushed = chunk.len();
        entries.lanes.push(chunk, line);
        self.note_local(&entries);
        self.may_have_entries.store(true, Ordering::Relaxed);
        // The searcher takes one entry without a signal: it looks once more before it sleeps.
        let is_seen = n_pushed > 0 && entries.searcher.take().is_some();
        self.wake(entries, n_pushed - usize::from(is_seen), line.lane);
    }

    /// Announces an entry that will come later. Says whether the queue is open; if not, the entry is
    /// refused.
    pub(crate) fn promise(&self) -> bool {
        let mut entries = self.lock();
        if !entries.closed {
            entries.n_promised += 1;
        }
        !entries.closed
    }

    /// Puts an entry that was promised at the end of its line. A closed queue takes it too, a drained
    /// one gives it back.
    pub(crate) fn admit(&self, entry: T, line: impl Into<Line>) -> Result<(), T> {
        let mut entries = self.lock();
        entries.n_promised -= 1;
        // One of the workers takes the entry. The others have nothing more to stay for.
        self.release_workers(&entries);
        if entries.drained {
            return Err(entry);
        }
        self.add(entries, [entry].into_iter(), &line.into());
        Ok(())
    }

    /// Entries that were promised do not come.
    pub(crate) fn withdraw(&self, n_promised: usize) {
        if n_promised > 0 {
            let mut entries = self.lock();
            entries.n_promised -= n_promised;
            self.release_workers(&entries);
        }
    }

    pub(crate) fn max_suspended(&self) -> usize {
        self.max_suspended
    }

    /// Announces that an entry which a worker holds will leave and come back: until then the queue
    /// does not count as empty. Says whether there is room; if not, the entry must not leave.
    pub(crate) fn try_suspend(&self) -> bool {
        self.try_announce(self.max_suspended)
    }

    /// The same for an entry that makes room for another and comes back at once.
    pub(crate) fn try_yield(&self) -> bool {
        let n_preempted = PREEMPTED_PER_WORKER * self.local_queues.len();
        self.try_announce(self.max_suspended + n_preempted)
    }

    /// Announces an entry if fewer than `most` are out.
    fn try_announce(&self, most: usize) -> bool {
        let mut entries = self.lock();
        let has_room = entries.n_suspended < most;
        if has_room {
            entries.n_suspended += 1;
        }
        has_room
    }

    /// The entry that the worker took last leaves it now, and will come back.
    pub(crate) fn leave(&self, worker: usize, how: Leave) {
        self.lock().lanes.leave(worker, how);
    }

    /// An entry that was announced does not come back after all.
    pub(crate) fn give_up_suspended(&self) {
        let mut entries = self.lock();
        entries.n_suspended -= 1;
        self.release_workers(&entries);
    }

    /// Puts back an entry that was announced, in front of the new ones of its line. A closed queue
    /// takes it too. `left` is how it had left its worker.
    pub(crate) fn resume(&self, entry: T, line: impl Into<Line>, left: Leave) {
        let mut entries = self.lock();
        let line = line.into();
        entries.lanes.resume(entry, &line, left);
        self.note_local(&entries);
        self.may_have_entries.store(true, Ordering::Relaxed);
        let is_seen = entries.searcher.take().is_some();
        self.wake(entries, usize::from(!is_seen), line.lane);
    }

    /// Has a worker make room, if one must by now. Says when to call this again.
    pub(crate) fn preempt(&self, now: Instant) -> Option<Instant> {
        let mut preemption = self.lock().preempt(now);
        // The caller calls again by itself.
        let again_at = preemption.again_at.take();
        self.see_to(preemption);
        again_at
    }

    /// Has a worker make room if one must, now or later.
    fn see_to(&self, Preemption { worker, again_at }: Preemption) {
        let Some(preempt) = &self.preempt else {
            return;
        };
        if let Some(worker) = worker {
            preempt.ask_to_yield(worker);
        }
        if let Some(moment) = again_at {
            preempt.preempt_at(moment);
        }
    }

    /// Wakes the workers that stayed only for entries that were out or promised, so that they end.
    fn release_workers(&self, entries: &Entries<T>) {
        if entries.closed && !entries.expects_more() {
            self.may_have_entries.store(true, Ordering::Relaxed);
            self.not_empty.notify_all();
        }
    }

    /// Puts an entry aside until it is due, or until the queue is closed; then it joins the others
    /// of its line. For an entry that was popped before: a closed queue takes it too, a drained
    /// queue gives it back.
    pub(crate) fn defer(&self, entry: T, line: impl Into<Line>, due: Instant) -> Result<(), T> {
        let mut entries = self.lock();
        if entries.drained {
            return Err(entry);
        }
        if entries.deferred.len() >= entries.clear_deferred_at {
            entries.clear_deferred();
        }
        let is_first = entries.deferred.peek().is_none_or(|first| due < first.due);
        let line = line.into();
        let place = entries.lanes.defer(&line);
        entries.deferred.push(Deferred {
            entry,
            place,
            depth: line.depth,
            due,
        });
        self.may_have_entries.store(true, Ordering::Relaxed);
        if is_first {
            // All sleepers must learn when to wake up: if only one did, and were woken for
            // another entry, the rest would sleep on. One signal for each would not do: a
            // worker that knows already may go to sleep just now, and take a signal away.
            entries.signalled = entries.sleepers;
            drop(entries);
            self.not_empty.notify_all();
        }
        Ok(())
    }

    /// Wakes the workers that found no memory for the entry whose turn it is: memory has come back,
    /// or that entry is gone.
    pub(crate) fn look_again(&self) {
        let mut entries = self.lock();
        self.may_have_entries.store(true, Ordering::Relaxed);
        entries.lanes.forget_shortage();
        entries.signalled = entries.sleepers;
        let preemption = entries.preempt_for_highest();
        drop(entries);
        self.not_empty.notify_all();
        self.see_to(preemption);
    }

    fn note_local(&self, entries: &Entries<T>) {
        let leave_at = match entries.lanes.is_shared() {
            true => 0,
            // Entries of the highest lane itself may stay.
            false => entries.lanes.highest().map_or(LANES, |lane| lane + 1),
        };
        self.leave_local_at.store(leave_at, Ordering::Relaxed);
    }

    /// Wakes `wanted` sleepers for entries of this lane. If there are fewer, a running call may
    /// have to make room.
    fn wake(&self, mut entries: MutexGuard<'_, Entries<T>>, wanted: usize, lane: usize) {
        let n_woken = wanted.min(entries.sleepers - entries.signalled);
        entries.signalled += n_woken;
        let mut preemption = Preemption::default();
        if n_woken < wanted && entries.lanes.may_preempt(lane) {
            preemption = entries.preempt(Instant::now());
        }
        drop(entries);
        for _ in 0..n_woken {
            self.not_empty.notify_one();
        }
        self.see_to(preemption);
    }

    /// Takes the entry whose turn it is; blocks while there is none. `None` when the queue is
    /// closed and empty, and nothing will come back.
    pub(crate) fn pop(&self, worker: usize) -> Option<T> {
        let may_have_local = self.has_local.load(Ordering::Relaxed);
        if may_have_local {
            let mut local = lock(&self.local_queues[worker]);
            // An entry of the local queue, unless others come before it.
            if local.place.lane < self.leave_local_at.load(Ordering::Relaxed)
                && let Some(entry) = local.entries.pop_front()
            {
                return Some(entry);
            }
        }
        let mut has_searched = false;
        let mut has_made_room = false;
        let budget = self.memory_budget.as_ref();
        let mut entries = self.lock();
        if may_have_local {
            // Has entries only if there is a reason to put them back.
            let mut local = lock(&self.local_queues[worker]);
            let LocalQueue {
                entries: left,
                place,
            } = &mut *local;
            for (n_followers, entry) in left.drain(..).rev().enumerate() {
                entries.lanes.push_front(entry, n_followers, *place);
            }
        }
        let now = entries.lanes.is_shared().then(Instant::now);
        entries.lanes.release(worker, now);
        loop {
            let next_due = entries.admit_deferred();
            let now = entries.lanes.is_shared().then(Instant::now);
            let was_short_of_memory = entries.lanes.is_short_of_memory();
            if let Some(taken) = entries.lanes.take(worker, now, budget) {
                let is_unclear = was_short_of_memory && !entries.lanes.is_short_of_memory();
                if is_unclear && entries.signalled < entries.sleepers {
                    // The sleepers found no memory for another entry. There may be enough for the
                    // entry that is next now.
                    entries.signalled += 1;
                    self.not_empty.notify_one();
                }
                return Some(self.taken(entries, worker, taken));
            }
            if let Some((entry, place)) = self.steal(worker) {
                entries.lanes.hold(worker, place, false, now);
                return Some(entry);
            }
            let is_short_of_memory = entries.lanes.is_short_of_memory();
            if is_short_of_memory && !has_made_room {
                drop(entries);
                // When there is nothing more to give back, the worker looks once more: it was not
                // asleep, and got no signal, when other memory came back meanwhile.
                has_made_room = !budget.is_some_and(|budget| budget.make_room());
                entries = self.lock();
                continue;
            }
            has_made_room = false;
            if entries.closed && !entries.expects_more() && !is_short_of_memory {
                return None;
            }
            self.may_have_entries.store(false, Ordering::Relaxed);
            if !is_short_of_memory && !has_searched && entries.searcher.is_none() {
                has_searched = true;
                entries.searcher = Some(worker);
                drop(entries);
                spin::until(|| self.may_have_entries.load(Ordering::Relaxed));
                entries = self.lock();
                entries.searcher.take_if(|searcher| *searcher == worker);
                continue;
            }
            entries.sleepers += 1;
            entries = match sync::wait(&self.not_empty, entries, next_due) {
                Ok(entries) | Err(entries) => entries,
            };
            entries.sleepers -= 1;
            // A spurious wake-up counts down a signal that is not its own: that costs one signal
            // too many later, and loses none.
            entries.signalled = entries.signalled.saturating_sub(1).min(entries.sleepers);
        }
    }

    /// Does what has to be done when an entry was taken, and returns the entry.
    fn taken(&self, mut entries: MutexGuard<'_, Entries<T>>, worker: usize, taken: Taken<T>) -> T {
        self.note_local(&entries);
        let Taken {
            entry,
            place,
            followers,
            was_out,
        } = taken;
        if was_out {
            entries.n_suspended -= 1;
            self.release_workers(&entries);
        }
        if !followers.is_empty() {
            self.has_local.store(true, Ordering::Relaxed);
            let mut local = lock(&self.local_queues[worker]);
            local.entries = followers;
            local.place = place;
        }
        // After a while the entries that still wait may have a better claim than this one.
        let preemption = entries.preempt_for_highest();
        drop(entries);
        self.see_to(preemption);
        entry
    }

    /// Takes half of another worker's local queue. To be called with the lock of the entries held.
    fn steal(&self, worker: usize) -> Option<(T, Place)> {
        if !self.has_local.load(Ordering::Relaxed) {
            return None;
        }
        let n_queues = self.local_queues.len();
        let others = (1..n_queues).map(|distance| (worker + distance) % n_queues);
        for other in others {
            let mut local = lock(&self.local_queues[other]);
            // From the back: the other worker goes on at the front.
            let n_left = local.entries.len() / 2;
            let mut taken = local.entries.split_off(n_left);
            let place = local.place;
            drop(local);
            if let Some(entry) = taken.pop_front() {
                let mut local = lock(&self.local_queues[worker]);
                local.entries = taken;
                local.place = place;
                return Some((entry, place));
            }
        }
        self.has_local.store(false, Ordering::Relaxed);
        None
    }

    /// Refuses entries from now on; those that are queued stay.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.may_have_entries.store(true, Ordering::Relaxed);
        self.not_empty.notify_all();
        self.places.close();
    }

    /// Takes all new entries out at once, and leaves those that came back. From now on entries are
    /// not deferred any more.
    pub(crate) fn drain(&self) -> Vec<T> {
        let mut entries = self.lock();
        entries.drained = true;
        let mut drained = entries.lanes.drain();
        for deferred in std::mem::take(&mut entries.deferred) {
            entries.lanes.forget_deferred(deferred.place);
            drained.push(deferred.entry);
        }
        for local in &self.local_queues {
            drained.extend(lock(local).entries.drain(..));
        }
        self.note_local(&entries);
        drop(entries);
        // Workers that sleep because the next entry has no memory must see that it is gone.
        if self.memory_budget.is_some() {
            self.look_again();
        }
        drained
    }

    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        lock(&self.entries)
    }
}

impl<T: QueueEntry> Entries<T> {
    /// Clears dead entries away, and sets the size for the next time, so that each push has the
    /// same part of the work, however many entries are alive.
    fn clear(&mut self) {
        self.lanes.retain(T::is_live);
        self.clear_at = CLEAR_AT_LEAST.max(2 * self.lanes.n_queued());
    }

    /// The same for deferred entries.
    fn clear_deferred(&mut self) {
        let lanes = &mut self.lanes;
        self.deferred.retain(|deferred| {
            let is_live = deferred.entry.is_live();
            if !is_live {
                lanes.forget_deferred(deferred.place);
            }
            is_live
        });
        self.clear_deferred_at = CLEAR_AT_LEAST.max(2 * self.deferred.len());
    }
}

impl<T> Entries<T> {
    /// Whether entries come even if the queue is closed.
    fn expects_more(&self) -> bool {
        self.n_suspended > 0 || self.n_promised > 0
    }

    /// Moves the deferred entries that are due to their lanes; all of them if the queue is
    /// closed. Says when the next one is due.
    fn admit_deferred(&mut self) -> Option<Instant> {
        if self.deferred.is_empty() {
            return None;
        }
        let now = Instant::now();
        while let Some(first) = self.deferred.peek() {
            if first.due > now && !self.closed {
                return Some(first.due);
            }
            let Deferred {
                entry,
                place,
                depth,
                ..
            } = self.deferred.pop()?;
            self.lanes.admit(entry, place, depth);
        }
        None
    }

    /// Which worker must make room for the entries of the highest lane, and when.
    fn preempt_for_highest(&mut self) -> Preemption {
        match self.lanes.highest() {
            Some(lane) if self.lanes.may_preempt(lane) => self.preempt(Instant::now()),
            _ => Preemption::default(),
        }
    }

    /// Which worker must make room, and when: none while a worker sleeps or searches.
    fn preempt(&mut self, now: Instant) -> Preemption {
        if self.sleepers > 0 || self.searcher.is_some() {
            return Preemption::default();
        }
        self.lanes.preempt(now)
    }
}

// Only the moments are compared: the heap needs an order of them, the earliest on top.
impl<T> PartialEq for Deferred<T> {
    fn eq(&self, other: &Self) -> bool {
        self.due == other.due
    }
}

impl<T> Eq for Deferred<T> {}

impl<T> PartialOrd for Deferred<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Deferred<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.due.cmp(&self.due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Blocking, ReserveError};

    impl QueueEntry for &str {
        fn is_live(&self) -> bool {
            !self.is_empty()
        }

        /// Not for entries that end with `!`.
        fn has_memory(&self, _: &Arc<MemoryBudget>) -> bool {
            !self.ends_with('!')
        }
    }

    /// Pushes entries with their lanes and pops all of them.
    fn check(pushed: &[(&'static str, usize)], expected: &[&str]) {
        let queue = Queue::new(100, 1, 10);
        for (entry, lane) in pushed {
            queue.push([*entry], *lane).unwrap();
        }
        queue.close();
        let popped = std::iter::from_fn(|| queue.pop(0)).collect::<Vec<_>>();
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
        let queue = Queue::new(1, 1, 10);
        queue.close();
        assert_eq!(queue.push(["late"], 1), Err(["late"]));
        assert!(matches!(
            queue.places.reserve(Blocking::Forever),
            Err(ReserveError::Closed)
        ));
    }

    #[test]
    fn dead_entries_do_not_pile_up() {
        let queue = Queue::new(1, 1, 10);
        for _ in 0..1_000 {
            queue.push([""], 1).unwrap();
        }
        assert!(queue.lock().lanes.n_queued() < 200);
        let later = Instant::now() + std::time::Duration::from_secs(3600);
        for _ in 0..1_000 {
            queue.defer("", 1, later).unwrap();
        }
        assert!(queue.lock().deferred.len() < 200);
    }

    #[test]
    fn a_chunk_goes_to_one_worker_until_another_has_nothing_to_do() {
        let queue = Queue::new(100, 3, 10);
        queue.push(["a", "b", "c", "d", "e"], 1).unwrap();
        queue.push(["f"], 1).unwrap();
        assert_eq!(queue.pop(0), Some("a"));
        assert_eq!(queue.pop(1), Some("f"));
        // The half that worker 0 would come to last.
        assert_eq!(queue.pop(1), Some("d"));
        assert_eq!(queue.pop(0), Some("b"));
        queue.close();
        assert_eq!(queue.pop(2), Some("c"));
        assert_eq!((queue.pop(0), queue.pop(0)), (Some("e"), None));
    }

    #[test]
    fn a_local_queue_waits_for_a_higher_lane_and_goes_on_after_it() {
        let queue = Queue::new(100, 1, 10);
        queue.push(["a", "b", "c"], 2).unwrap();
        assert_eq!(queue.pop(0), Some("a"));
        queue.push(["high", "higher"], 0).unwrap();
        queue.push(["d"], 2).unwrap();
        queue.close();
        let popped = std::iter::from_fn(|| queue.pop(0)).collect::<Vec<_>>();
        assert_eq!(popped, ["high", "higher", "b", "c", "d"]);
    }

    #[test]
    fn draining_takes_chunks_and_deferred_entries_too() {
        let queue = Queue::new(100, 2, 10);
        queue.push(["a", "b", "c"], 1).unwrap();
        assert_eq!(queue.pop(0), Some("a"));
        queue.push(["d", "e"], 2).unwrap();
        let later = Instant::now() + std::time::Duration::from_secs(3600);
        queue.defer("f", 0, later).unwrap();
        assert_eq!(queue.drain(), ["d", "e", "f", "b", "c"]);
        assert_eq!(queue.defer("g", 0, later), Err("g"));
    }

    #[test]
    fn a_closed_queue_takes_what_was_promised_before() {
        let queue = Queue::new(100, 1, 10);
        assert!(queue.promise() && queue.promise() && queue.promise());
        queue.close();
        assert!(!queue.promise());
        queue.admit("first", 1).unwrap();
        assert_eq!(queue.pop(0), Some("first"));
        queue.withdraw(1);
        assert_eq!(queue.drain(), [""; 0]);
        assert_eq!(queue.admit("late", 1), Err("late"));
        assert_eq!(queue.pop(0), None);
    }

    #[test]
    fn a_deferred_entry_comes_when_it_is_due_or_the_queue_is_closed() {
        let queue = Queue::new(100, 1, 10);
        let now = Instant::now();
        let after = |millis| now + std::time::Duration::from_millis(millis);
        queue.defer("late", 0, after(3_600_000)).unwrap();
        queue.defer("soon", 0, after(5)).unwrap();
        queue.push(["now"], 0).unwrap();
        assert_eq!((queue.pop(0), queue.pop(0)), (Some("now"), Some("soon")));
        queue.close();
        assert_eq!((queue.pop(0), queue.pop(0)), (Some("late"), None));
    }
}
