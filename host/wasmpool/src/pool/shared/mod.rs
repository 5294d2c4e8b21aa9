//! Shared objects, as the embedding program has them: typed, blocking and async.

mod error;
mod handle;
mod lock;
mod map;
mod numbers;
mod queue;
mod waiting;

pub use error::{BrokenBarrier, GetError, MapError, PutError};
pub use lock::{Barrier, Condition, Event, Lock, LockGuard, Permit, Semaphore};
pub use map::Map;
pub use numbers::{Array, Number, Value};
pub use queue::{Pipe, Queue};

use super::handle::Pool;
use crate::objects::{self as core, ObjectBudget};
use crate::sync::Arc;

/// Objects that this program shares with its tasks, and tasks with each other: see
/// [`shared`](crate::shared). None of these functions block. The objects do not keep the pool alive,
/// and go on without it.
impl Pool {
    /// A queue for so many items, at least 1.
    pub fn queue<T>(&self, capacity: usize) -> Queue<T> {
        Queue::of(made(core::Queue::new(capacity, &self.object_budget(1))))
    }

    /// Both ends of a pipe, with room for so many items in each direction, at least 1.
    pub fn pipe<S, R>(&self, capacity: usize) -> (Pipe<S, R>, Pipe<R, S>) {
        let (one, other) = made(core::PipeEnd::pair(capacity, &self.object_budget(2)));
        (Pipe::of(one), Pipe::of(other))
    }

    /// A lock.
    pub fn lock(&self) -> Lock {
        Lock::of(made(core::Lock::new(&self.object_budget(1))))
    }

    /// A semaphore with so many permits.
    pub fn semaphore(&self, permits: u32) -> Semaphore {
        Semaphore::of(made(core::Semaphore::new(permits, &self.object_budget(1))))
    }

    /// An event, not set.
    pub fn event(&self) -> Event {
        Event::of(made(core::Event::new(&self.object_budget(1))))
    }

    /// A condition.
    pub fn condition(&self) -> Condition {
        Condition::of(made(core::Condition::new(&self.object_budget(1))))
    }

    /// A barrier for so many parties, at least 1.
    pub fn barrier(&self, parties: u32) -> Barrier {
        Barrier::of(made(core::Barrier::new(parties, &self.object_budget(1))))
    }

    /// A value.
    pub fn value<T: Number>(&self, number: T) -> Value<T> {
        let value = Value::of(self.numbers::<T>(1));
        value.store(number);
        value
    }

    /// An array of zeros.
    pub fn array<T: Number>(&self, len: usize) -> Array<T> {
        Array::of(self.numbers::<T>(len))
    }

    /// An empty dictionary.
    pub fn shared_map<K, V>(&self) -> Map<K, V> {
        Map::of(made(core::Dictionary::new(&self.object_budget(1))))
    }

    fn numbers<T: Number>(&self, len: usize) -> core::Array {
        let budget = Arc::new(ObjectBudget::of_program(1, usize::MAX));
        made(core::Array::new(T::element().0, len, &budget))
    }

    fn object_budget(&self, objects: usize) -> Arc<ObjectBudget> {
        let bytes = self.registry.object_limit;
        Arc::new(ObjectBudget::of_program(objects, bytes))
    }
}

fn made<T>(object: Result<T, String>) -> T {
    object.expect("its budget has room for it")
}
