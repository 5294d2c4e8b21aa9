//! Objects in a sandbox: through the host.
//!
//! Each is counted, so that handles can be copied. The host takes it back when the last is dropped.

use std::sync::Arc;
use std::time::Duration;

use super::number::Element;
use super::object::Object;
use super::{BarrierError, CreateError, GetError, InsertError, PutError, WaitError};
use crate::__private::bindings::wasmpool::task0_2_0::objects as host;

/// An item of at most so many bytes is first offered without waiting, as calls that cannot wait cost
/// less. A larger one would be copied twice for that.
const CHEAP: usize = 4096;

pub(super) fn received(place: u32) -> Option<Object> {
    host::received(place).map(Object::from)
}

pub(super) fn hand_back(objects: Vec<Object>) {
    host::hand_back(&references(&objects));
}

pub(crate) fn references(objects: &[Object]) -> Vec<host::ObjectRef<'_>> {
    let references = objects.iter().map(|object| match object {
        Object::Queue(Queue(queue)) => host::ObjectRef::Queue(queue),
        Object::PipeEnd(PipeEnd(end)) => host::ObjectRef::PipeEnd(end),
        Object::Lock(Lock(lock)) => host::ObjectRef::Lock(lock),
        Object::Semaphore(Semaphore(semaphore)) => host::ObjectRef::Semaphore(semaphore),
        Object::Event(Event(event)) => host::ObjectRef::Event(event),
        Object::Condition(Condition(condition)) => host::ObjectRef::Condition(condition),
        Object::Barrier(Barrier(barrier)) => host::ObjectRef::Barrier(barrier),
        Object::Array(Array(array)) => host::ObjectRef::Array(array),
        Object::Dictionary(Dictionary(dictionary)) => host::ObjectRef::Dictionary(dictionary),
    });
    references.collect()
}

impl From<host::Object> for Object {
    fn from(object: host::Object) -> Self {
        match object {
            host::Object::Queue(queue) => Self::Queue(Queue(Arc::new(queue))),
            host::Object::PipeEnd(end) => Self::PipeEnd(PipeEnd(Arc::new(end))),
            host::Object::Lock(lock) => Self::Lock(Lock(Arc::new(lock))),
            host::Object::Semaphore(semaphore) => Self::Semaphore(Semaphore(Arc::new(semaphore))),
            host::Object::Event(event) => Self::Event(Event(Arc::new(event))),
            host::Object::Condition(condition) => Self::Condition(Condition(Arc::new(condition))),
            host::Object::Barrier(barrier) => Self::Barrier(Barrier(Arc::new(barrier))),
            host::Object::Array(array) => Self::Array(Array(Arc::new(array))),
            host::Object::Dictionary(dictionary) => {
                Self::Dictionary(Dictionary(Arc::new(dictionary)))
            }
        }
    }
}

#[derive(Clone)]
pub(crate) struct Queue(Arc<host::Queue>);

impl Queue {
    pub(super) fn create(capacity: u32) -> Result<Self, CreateError> {
        let queue = host::Queue::create(capacity)?;
        Ok(Self(Arc::new(queue)))
    }

    pub(super) fn put(&self, item: Vec<u8>, timeout: Option<Duration>) -> Result<(), PutError> {
        if item.len() <= CHEAP {
            match self.0.try_put(&item) {
                Err(host::PutError::Full) => {}
                ended => return Ok(ended?),
            }
        }
        Ok(self.0.put(&item, timeout.map(nanos))?)
    }

    pub(super) fn get(&self, timeout: Option<Duration>) -> Result<Vec<u8>, GetError> {
        match self.0.try_get() {
            Err(host::GetError::Empty) => Ok(self.0.get(timeout.map(nanos))?),
            ended => Ok(ended?),
        }
    }

    pub(super) fn close(&self) {
        self.0.close();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    pub(super) fn len(&self) -> u32 {
        self.0.len()
    }

    pub(super) fn capacity(&self) -> u32 {
        self.0.capacity()
    }
}

#[derive(Clone)]
pub(crate) struct PipeEnd(Arc<host::PipeEnd>);

impl PipeEnd {
    pub(super) fn create(capacity: u32) -> Result<(Self, Self), CreateError> {
        let (first, second) = host::PipeEnd::create(capacity)?;
        Ok((Self(Arc::new(first)), Self(Arc::new(second))))
    }

    pub(super) fn send(&self, item: Vec<u8>, timeout: Option<Duration>) -> Result<(), PutError> {
        if item.len() <= CHEAP {
            match self.0.try_send(&item) {
                Err(host::PutError::Full) => {}
                ended => return Ok(ended?),
            }
        }
        Ok(self.0.send(&item, timeout.map(nanos))?)
    }

    pub(super) fn receive(&self, timeout: Option<Duration>) -> Result<Vec<u8>, GetError> {
        match self.0.try_receive() {
            Err(host::GetError::Empty) => Ok(self.0.receive(timeout.map(nanos))?),
            ended => Ok(ended?),
        }
    }

    pub(super) fn close(&self) {
        self.0.close();
    }
}

/// What is held of a lock or a semaphore.
pub(crate) struct Hold(host::Hold);

impl Hold {
    pub(super) fn was_left_behind(&self) -> bool {
        self.0.was_left_behind()
    }

    pub(super) fn forget(self) {
        host::Hold::forget(self.0);
    }
}

#[derive(Clone)]
pub(crate) struct Lock(Arc<host::Lock>);

impl Lock {
    pub(super) fn create() -> Result<Self, CreateError> {
        let lock = host::Lock::create()?;
        Ok(Self(Arc::new(lock)))
    }

    pub(super) fn acquire(&self, timeout: Option<Duration>) -> Result<Option<Hold>, WaitError> {
        let hold = match self.0.try_acquire() {
            None => self.0.acquire(timeout.map(nanos))?,
            hold => hold,
        };
        Ok(hold.map(Hold))
    }
}

#[derive(Clone)]
pub(crate) struct Semaphore(Arc<host::Semaphore>);

impl Semaphore {
    pub(super) fn create(permits: u32) -> Result<Self, CreateError> {
        let semaphore = host::Semaphore::create(permits)?;
        Ok(Self(Arc::new(semaphore)))
    }

    pub(super) fn acquire(&self, timeout: Option<Duration>) -> Result<Option<Hold>, WaitError> {
        let hold = match self.0.try_acquire() {
            None => self.0.acquire(timeout.map(nanos))?,
            hold => hold,
        };
        Ok(hold.map(Hold))
    }

    pub(super) fn release(&self, permits: u32) {
        self.0.release(permits);
    }

    pub(super) fn available(&self) -> u32 {
        self.0.available()
    }
}

#[derive(Clone)]
pub(crate) struct Event(Arc<host::Event>);

impl Event {
    pub(super) fn create() -> Result<Self, CreateError> {
        let event = host::Event::create()?;
        Ok(Self(Arc::new(event)))
    }

    pub(super) fn set(&self) {
        self.0.set();
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.is_set()
    }

    pub(super) fn wait(&self, timeout: Option<Duration>) -> Result<bool, WaitError> {
        Ok(self.0.wait(timeout.map(nanos))?)
    }
}

#[derive(Clone)]
pub(crate) struct Condition(Arc<host::Condition>);

impl Condition {
    pub(super) fn create() -> Result<Self, CreateError> {
        let condition = host::Condition::create()?;
        Ok(Self(Arc::new(condition)))
    }

    pub(super) fn wait(
        &self,
        held: Hold,
        timeout: Option<Duration>,
    ) -> Result<(Hold, bool), WaitError> {
        let (hold, is_notified) = self.0.wait(held.0, timeout.map(nanos))?;
        Ok((Hold(hold), is_notified))
    }

    pub(super) fn notify(&self, n: u32) {
        self.0.notify(n);
    }
}

#[derive(Clone)]
pub(crate) struct Barrier(Arc<host::Barrier>);

impl Barrier {
    pub(super) fn create(parties: u32) -> Result<Self, CreateError> {
        let barrier = host::Barrier::create(parties)?;
        Ok(Self(Arc::new(barrier)))
    }

    pub(super) fn wait(&self, timeout: Option<Duration>) -> Result<u32, BarrierError> {
        Ok(self.0.wait(timeout.map(nanos))?)
    }

    pub(super) fn abort(&self) {
        self.0.abort();
    }

    pub(super) fn reset(&self) {
        self.0.reset();
    }

    pub(super) fn is_broken(&self) -> bool {
        self.0.is_broken()
    }
}

#[derive(Clone)]
pub(crate) struct Array(Arc<host::Array>);

impl Array {
    pub(super) fn create(element: Element, len: u32) -> Result<Self, CreateError> {
        let array = host::Array::create(element.into(), len)?;
        Ok(Self(Arc::new(array)))
    }

    pub(super) fn element(&self) -> Element {
        self.0.element().into()
    }

    pub(super) fn len(&self) -> u32 {
        self.0.len()
    }

    pub(super) fn load(&self, at: u32) -> Result<u64, String> {
        self.0.load(at)
    }

    pub(super) fn store(&self, at: u32, value: u64) -> Result<(), String> {
        self.0.store(at, value)
    }

    pub(super) fn add(&self, at: u32, value: u64) -> Result<u64, String> {
        self.0.add(at, value)
    }

    pub(super) fn compare_exchange(&self, at: u32, expected: u64, new: u64) -> Result<u64, String> {
        self.0.compare_exchange(at, expected, new)
    }

    pub(super) fn read(&self, start: u32, count: u32) -> Result<Vec<u8>, String> {
        self.0.read(start, count)
    }

    pub(super) fn write(&self, start: u32, elements: Vec<u8>) -> Result<(), String> {
        self.0.write(start, &elements)
    }
}

#[derive(Clone)]
pub(crate) struct Dictionary(Arc<host::Dictionary>);

impl Dictionary {
    pub(super) fn create() -> Result<Self, CreateError> {
        let dictionary = host::Dictionary::create()?;
        Ok(Self(Arc::new(dictionary)))
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.get(key)
    }

    pub(super) fn insert(
        &self,
        key: Vec<u8>,
        value: Vec<u8>,
    ) -> Result<Option<Vec<u8>>, InsertError> {
        Ok(self.0.insert(&key, &value)?)
    }

    pub(super) fn remove(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.0.remove(key)
    }

    pub(super) fn compare_exchange(
        &self,
        key: &[u8],
        expected: Option<Vec<u8>>,
        new: Option<Vec<u8>>,
    ) -> Result<bool, InsertError> {
        let (expected, new) = (expected.as_deref(), new.as_deref());
        Ok(self.0.compare_exchange(key, expected, new)?)
    }

    pub(super) fn len(&self) -> u32 {
        self.0.len()
    }

    pub(super) fn keys(&self) -> Vec<Vec<u8>> {
        self.0.keys()
    }

    pub(super) fn clear(&self) {
        self.0.clear();
    }
}

impl From<host::CreateError> for CreateError {
    fn from(error: host::CreateError) -> Self {
        match error {
            host::CreateError::NotAllowed(message) => Self::NotAllowed(message),
            host::CreateError::OverBudget(message) => Self::OverBudget(message),
        }
    }
}

impl From<host::WaitError> for WaitError {
    fn from(host::WaitError::NoPlace(message): host::WaitError) -> Self {
        Self::NoPlace(message)
    }
}

impl From<host::ConditionError> for WaitError {
    fn from(error: host::ConditionError) -> Self {
        match error {
            host::ConditionError::NotALock => Self::NotHeld,
            host::ConditionError::NoPlace(message) => Self::NoPlace(message),
        }
    }
}

impl From<host::PutError> for PutError {
    fn from(error: host::PutError) -> Self {
        match error {
            host::PutError::Full => Self::Full,
            host::PutError::Closed => Self::Closed,
            host::PutError::OverBudget(message) => Self::OverBudget(message),
            host::PutError::NoPlace(message) => Self::NoPlace(message),
        }
    }
}

impl From<host::GetError> for GetError {
    fn from(error: host::GetError) -> Self {
        match error {
            host::GetError::Empty => Self::Empty,
            host::GetError::Closed => Self::Closed,
            host::GetError::NoPlace(message) => Self::NoPlace(message),
        }
    }
}

impl From<host::BarrierError> for BarrierError {
    fn from(error: host::BarrierError) -> Self {
        match error {
            host::BarrierError::Broken => Self::Broken,
            host::BarrierError::NoPlace(message) => Self::NoPlace(message),
        }
    }
}

impl From<host::InsertError> for InsertError {
    fn from(host::InsertError::OverBudget(message): host::InsertError) -> Self {
        Self::OverBudget(message)
    }
}

/// The same names on both sides.
macro_rules! elements {
    ($($name:ident),+) => {
        impl From<Element> for host::Number {
            fn from(element: Element) -> Self {
                match element {
                    $(Element::$name => Self::$name),+
                }
            }
        }

        impl From<host::Number> for Element {
            fn from(number: host::Number) -> Self {
                match number {
                    $(host::Number::$name => Self::$name),+
                }
            }
        }
    };
}

elements!(
    Int8, Uint8, Int16, Uint16, Int32, Uint32, Int64, Uint64, Float32, Float64
);

pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
