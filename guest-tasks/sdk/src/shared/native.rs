//! Objects without a host: in the memory of the process, for tests of guests.
//!
//! As many as memory has room for. Those who wait are served in no particular order, except at a
//! condition.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

mod monitor;
mod numbers;

use monitor::Monitor;
pub(crate) use numbers::Array;

use super::object::Object;
use super::{BarrierError, CreateError, GetError, InsertError, PutError, WaitError};

thread_local! {
    /// What came with the arguments of the task that runs on this thread.
    static RECEIVED: RefCell<Vec<Object>> = const { RefCell::new(Vec::new()) };
    /// What goes with its result.
    static HANDED_BACK: RefCell<Vec<Object>> = const { RefCell::new(Vec::new()) };
}

/// Calls `call`, which runs a task, with the objects that go along with its arguments. Returns also
/// those that go along with its result.
pub(crate) fn with_objects<R>(objects: Vec<Object>, call: impl FnOnce() -> R) -> (R, Vec<Object>) {
    RECEIVED.set(objects);
    let called = call();
    RECEIVED.take();
    (called, HANDED_BACK.take())
}

pub(super) fn received(place: u32) -> Option<Object> {
    RECEIVED.with_borrow(|received| received.get(place as usize).cloned())
}

pub(super) fn hand_back(objects: Vec<Object>) {
    HANDED_BACK.set(objects);
}

#[derive(Clone)]
pub(crate) struct Queue(Arc<Monitor<Items>>);

struct Items {
    items: VecDeque<Vec<u8>>,
    capacity: u32,
    is_closed: bool,
}

impl Queue {
    pub(super) fn create(capacity: u32) -> Result<Self, CreateError> {
        Ok(Self(Arc::new(Monitor::new(Items {
            items: VecDeque::new(),
            capacity,
            is_closed: false,
        }))))
    }

    pub(super) fn put(&self, item: Vec<u8>, timeout: Option<Duration>) -> Result<(), PutError> {
        let mut item = Some(item);
        let put = self.0.wait(timeout, |queue| {
            if queue.is_closed {
                return Some(Err(PutError::Closed));
            }
            if queue.items.len() >= queue.capacity as usize {
                return None;
            }
            queue.items.extend(item.take());
            Some(Ok(()))
        });
        put.unwrap_or(Err(PutError::Full))
    }

    pub(super) fn get(&self, timeout: Option<Duration>) -> Result<Vec<u8>, GetError> {
        let got = self.0.wait(timeout, |queue| {
            let item = queue.items.pop_front().map(Ok);
            item.or_else(|| queue.is_closed.then_some(Err(GetError::Closed)))
        });
        got.unwrap_or(Err(GetError::Empty))
    }

    pub(super) fn close(&self) {
        self.0.change(|queue| queue.is_closed = true);
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.read(|queue| queue.is_closed)
    }

    pub(super) fn len(&self) -> u32 {
        self.0.read(|queue| count(queue.items.len()))
    }

    pub(super) fn capacity(&self) -> u32 {
        self.0.read(|queue| queue.capacity)
    }
}

#[derive(Clone)]
pub(crate) struct PipeEnd(Arc<End>);

struct End {
    outgoing: Queue,
    incoming: Queue,
}

impl End {
    fn close(&self) {
        self.outgoing.close();
        self.incoming.close();
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.close();
    }
}

impl PipeEnd {
    pub(super) fn create(capacity: u32) -> Result<(Self, Self), CreateError> {
        let (there, back) = (Queue::create(capacity)?, Queue::create(capacity)?);
        let first = End {
            outgoing: there.clone(),
            incoming: back.clone(),
        };
        let second = End {
            outgoing: back,
            incoming: there,
        };
        Ok((Self(Arc::new(first)), Self(Arc::new(second))))
    }

    pub(super) fn send(&self, item: Vec<u8>, timeout: Option<Duration>) -> Result<(), PutError> {
        self.0.outgoing.put(item, timeout)
    }

    pub(super) fn receive(&self, timeout: Option<Duration>) -> Result<Vec<u8>, GetError> {
        self.0.incoming.get(timeout)
    }

    pub(super) fn close(&self) {
        self.0.close();
    }
}

/// What is held of a lock or a semaphore.
pub(crate) enum Hold {
    Lock {
        lock: Lock,
        was_left_behind: bool,
    },
    /// `None` once it is used up.
    Semaphore(Option<Semaphore>),
}

impl Hold {
    pub(super) fn forget(mut self) {
        if let Self::Semaphore(permit) = &mut self {
            *permit = None;
        }
    }

    pub(super) fn was_left_behind(&self) -> bool {
        match self {
            Self::Lock {
                was_left_behind, ..
            } => *was_left_behind,
            Self::Semaphore(_) => false,
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        match self {
            Self::Lock { lock, .. } => lock.0.change(|lock| {
                lock.is_held = false;
                lock.is_left_behind = std::thread::panicking();
            }),
            Self::Semaphore(Some(semaphore)) => semaphore.release(1),
            Self::Semaphore(None) => {}
        }
    }
}

#[derive(Clone)]
pub(crate) struct Lock(Arc<Monitor<LockState>>);

pub(crate) struct LockState {
    is_held: bool,
    /// Whether the last holder panicked.
    is_left_behind: bool,
}

impl Lock {
    pub(super) fn create() -> Result<Self, CreateError> {
        Ok(Self(Arc::new(Monitor::new(LockState {
            is_held: false,
            is_left_behind: false,
        }))))
    }

    pub(super) fn acquire(&self, timeout: Option<Duration>) -> Result<Option<Hold>, WaitError> {
        Ok(self.0.wait(timeout, |lock| {
            if lock.is_held {
                return None;
            }
            lock.is_held = true;
            Some(Hold::Lock {
                lock: self.clone(),
                was_left_behind: lock.is_left_behind,
            })
        }))
    }
}

#[derive(Clone)]
pub(crate) struct Semaphore(Arc<Monitor<u32>>);

impl Semaphore {
    pub(super) fn create(permits: u32) -> Result<Self, CreateError> {
        Ok(Self(Arc::new(Monitor::new(permits))))
    }

    pub(super) fn acquire(&self, timeout: Option<Duration>) -> Result<Option<Hold>, WaitError> {
        Ok(self.0.wait(timeout, |permits| {
            *permits = permits.checked_sub(1)?;
            Some(Hold::Semaphore(Some(self.clone())))
        }))
    }

    pub(super) fn release(&self, more: u32) {
        self.0
            .change(|permits| *permits = permits.saturating_add(more));
    }

    pub(super) fn available(&self) -> u32 {
        self.0.read(|permits| *permits)
    }
}

#[derive(Clone)]
pub(crate) struct Event(Arc<Monitor<bool>>);

impl Event {
    pub(super) fn create() -> Result<Self, CreateError> {
        Ok(Self(Arc::new(Monitor::new(false))))
    }

    pub(super) fn set(&self) {
        self.0.change(|is_set| *is_set = true);
    }

    pub(super) fn clear(&self) {
        self.0.change(|is_set| *is_set = false);
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.read(|is_set| *is_set)
    }

    pub(super) fn wait(&self, timeout: Option<Duration>) -> Result<bool, WaitError> {
        let waited = self.0.wait(timeout, |is_set| is_set.then_some(()));
        Ok(waited.is_some())
    }
}

#[derive(Clone)]
pub(crate) struct Condition(Arc<Monitor<Waiters>>);

/// Those who wait for a condition, each with a number.
#[derive(Default)]
struct Waiters {
    /// Who has not been notified, in order.
    waiting: VecDeque<u64>,
    n_before: u64,
}

impl Condition {
    pub(super) fn create() -> Result<Self, CreateError> {
        Ok(Self(Arc::new(Monitor::new(Waiters::default()))))
    }

    pub(super) fn wait(
        &self,
        held: Hold,
        timeout: Option<Duration>,
    ) -> Result<(Hold, bool), WaitError> {
        let Hold::Lock { lock, .. } = &held else {
            return Err(WaitError::NotHeld);
        };
        let lock = lock.clone();
        // Before the lock is given back: whoever takes it next may notify.
        let number = self.0.change(|waiters| {
            waiters.n_before += 1;
            waiters.waiting.push_back(waiters.n_before);
            waiters.n_before
        });
        drop(held);
        self.0.wait(timeout, |waiters| {
            (!waiters.waiting.contains(&number)).then_some(())
        });
        let is_notified = self.0.change(|waiters| {
            let n_waiting = waiters.waiting.len();
            waiters.waiting.retain(|&waiting| waiting != number);
            n_waiting == waiters.waiting.len()
        });
        let hold = lock.acquire(None)?.ok_or(WaitError::NotHeld)?;
        Ok((hold, is_notified))
    }

    pub(super) fn notify(&self, n: u32) {
        self.0.change(|waiters| {
            let n = waiters.waiting.len().min(n as usize);
            waiters.waiting.drain(..n);
        });
    }
}

#[derive(Clone)]
pub(crate) struct Barrier(Arc<Monitor<Rounds>>);

struct Rounds {
    parties: u32,
    arrived: u32,
    is_broken: bool,
    /// Whether all came; empty while the round lasts. Those who wait have a copy, since the next
    /// round may begin before they look.
    round: Arc<OnceLock<bool>>,
}

impl Rounds {
    fn end(&mut self, is_complete: bool) {
        let round = std::mem::take(&mut self.round);
        let ended = round.set(is_complete);
        ended.expect("a round that has ended is replaced");
        self.arrived = 0;
    }

    fn abort(&mut self) {
        self.end(false);
        self.is_broken = true;
    }
}

impl Barrier {
    pub(super) fn create(parties: u32) -> Result<Self, CreateError> {
        Ok(Self(Arc::new(Monitor::new(Rounds {
            parties,
            arrived: 0,
            is_broken: false,
            round: Arc::default(),
        }))))
    }

    pub(super) fn wait(&self, timeout: Option<Duration>) -> Result<u32, BarrierError> {
        let (place, round) = self.0.change(|rounds| {
            if rounds.is_broken {
                return Err(BarrierError::Broken);
            }
            rounds.arrived += 1;
            let place = rounds.parties - rounds.arrived;
            let round = Arc::clone(&rounds.round);
            if place == 0 {
                rounds.end(true);
            }
            Ok((place, round))
        })?;
        let is_complete = self.0.wait(timeout, |_| round.get().copied());
        let is_complete = is_complete.unwrap_or_else(|| {
            self.0.change(|rounds| {
                if round.get().is_none() {
                    rounds.abort();
                }
                round.get().copied().unwrap_or(false)
            })
        });
        is_complete.then_some(place).ok_or(BarrierError::Broken)
    }

    pub(super) fn abort(&self) {
        self.0.change(Rounds::abort);
    }

    pub(super) fn reset(&self) {
        self.0.change(|rounds| {
            rounds.end(false);
            rounds.is_broken = false;
        });
    }

    pub(super) fn is_broken(&self) -> bool {
        self.0.read(|rounds| rounds.is_broken)
    }
}

type Entries = BTreeMap<Vec<u8>, Vec<u8>>;

#[derive(Clone)]
pub(crate) struct Dictionary(Arc<Monitor<Entries>>);

impl Dictionary {
    pub(super) fn create() -> Result<Self, CreateError> {
        Ok(Self(Arc::new(Monitor::new(Entries::new()))))
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.read(|entries| entries.get(key).cloned())
    }

    pub(super) fn insert(
        &self,
        key: Vec<u8>,
        value: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, InsertError> {
        Ok(self.0.change(|entries| entries.insert(key, value)))
    }

    pub(super) fn remove(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.change(|entries| entries.remove(key))
    }

    pub(super) fn compare_exchange(
        &self,
        key: &[u8],
        expected: Option<Vec<u8>>,
        new: Option<Vec<u8>>,
    ) -> Result<bool, InsertError> {
        Ok(self.0.change(|entries| {
            if entries.get(key) != expected.as_ref() {
                return false;
            }
            match new {
                Some(new) => entries.insert(key.to_owned(), new),
                None => entries.remove(key),
            };
            true
        }))
    }

    pub(super) fn len(&self) -> u32 {
        self.0.read(|entries| count(entries.len()))
    }

    pub(super) fn keys(&self) -> Vec<Vec<u8>> {
        self.0.read(|entries| entries.keys().cloned().collect())
    }

    pub(super) fn clear(&self) {
        self.0.change(Entries::clear);
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
