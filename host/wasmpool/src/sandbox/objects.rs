//! The host functions with which a guest makes and uses shared objects.

use std::collections::BTreeMap;
use std::time::Duration;

use wasmtime::component::Resource;
use wasmtime::{bail, format_err};

use super::bindings::wasmpool::task0_2_0::objects::{
    self as wit, BarrierError, ConditionError, CreateError, GetError, Host, HostArray, HostBarrier,
    HostCondition, HostDictionary, HostEvent, HostHold, HostLock, HostPipeEnd, HostQueue,
    HostSemaphore, InsertError, ObjectRef, PutError, WaitError,
};
use super::store::State;
use super::waiting::{Spinner, elapse, wait_for};
use crate::objects::{
    Array, Barrier, Condition, Dictionary, Event, Handed, Hold, Lock, NotALock, Number, Object,
    ObjectBudget, PipeEnd, PutRefused, Queue, QueueEnded, Semaphore, Waiting as _,
};
use crate::sync::Arc;

/// How many handles of objects a guest may have at once.
const MAX_HANDLES: usize = 10_000;

/// The objects that a guest can reach, by the numbers of its handles.
///
/// Only a number that the guest itself has given back is used again: a guest that goes on with another
/// call has no use of its old handles.
#[derive(Default)]
pub(super) struct ObjectTable {
    entries: BTreeMap<u32, Entry>,
    next: u32,
    given_back: Vec<u32>,
    /// What came with the arguments of the call.
    received: Handed,
    /// What goes along with its result.
    handed_back: Handed,
    spinner: Spinner,
}

enum Entry {
    Object(Object),
    Hold(Hold),
}

impl ObjectTable {
    /// A call begins.
    pub(super) fn begin(&mut self, received: Handed) {
        self.received = received;
        self.handed_back = Handed::default();
    }

    /// The call has ended: what it still holds is left behind. Returns what goes along with its
    /// result.
    pub(super) fn end(&mut self) -> Handed {
        self.received = Handed::default();
        if !self.entries.is_empty() {
            self.entries
                .retain(|_, entry| matches!(entry, Entry::Object(_)));
        }
        std::mem::take(&mut self.handed_back)
    }

    /// Takes all handles back.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    fn add<T: 'static>(&mut self, entry: Entry) -> wasmtime::Result<Resource<T>> {
        if self.entries.len() >= MAX_HANDLES {
            bail!("the guest has {MAX_HANDLES} handles of shared objects already");
        }
        let number = match self.given_back.pop() {
            Some(number) => number,
            None => {
                let number = self.next;
                let next = number.checked_add(1);
                self.next = next.ok_or_else(|| format_err!("the guest has used up its handles"))?;
                number
            }
        };
        self.entries.insert(number, entry);
        Ok(Resource::new_own(number))
    }

    fn get<T: 'static>(&self, handle: &Resource<T>) -> wasmtime::Result<&Entry> {
        let entry = self.entries.get(&handle.rep());
        entry
            .ok_or_else(|| format_err!("this handle of a shared object belongs to an earlier task"))
    }

    /// The guest has given a handle back, which the host may have taken back before.
    fn remove<T: 'static>(&mut self, handle: &Resource<T>) -> Option<Entry> {
        let entry = self.entries.remove(&handle.rep())?;
        self.given_back.push(handle.rep());
        Some(entry)
    }
}

/// For each kind of object: the type of its handles, and a function that finds the object.
macro_rules! handles {
    ($($handle:ident $find:ident $object:ident)*) => {$(
        #[expect(unreachable_pub, reason = "the generated bindings export it")]
        pub struct $handle(());

        impl ObjectTable {
            fn $find(&self, handle: &Resource<$handle>) -> wasmtime::Result<$object> {
                match self.get(handle)? {
                    Entry::Object(Object::$object(object)) => Ok(object.clone()),
                    _ => bail!("this handle is of another kind"),
                }
            }
        }
    )*};
}
handles! {
    QueueHandle queue Queue
    PipeEndHandle pipe_end PipeEnd
    LockHandle lock Lock
    SemaphoreHandle semaphore Semaphore
    EventHandle event Event
    ConditionHandle condition Condition
    BarrierHandle barrier Barrier
    ArrayHandle array Array
    DictionaryHandle dictionary Dictionary
}

#[expect(unreachable_pub, reason = "the generated bindings export it")]
pub struct HoldHandle(());

impl State {
    /// Makes an object, if the guest may.
    fn create<T: 'static>(
        &mut self,
        make: impl FnOnce(&Arc<ObjectBudget>) -> Result<Object, String>,
    ) -> wasmtime::Result<Result<Resource<T>, CreateError>> {
        let budget = match self.object_budget() {
            Ok(budget) => budget,
            Err(error) => return Ok(Err(error)),
        };
        Ok(match make(&budget) {
            Ok(object) => Ok(self.objects.add(Entry::Object(object))?),
            Err(message) => Err(CreateError::OverBudget(message)),
        })
    }

    fn object_budget(&self) -> Result<Arc<ObjectBudget>, CreateError> {
        let parent = self.parent.as_ref();
        parent.map(|parent| parent.object_budget()).ok_or_else(|| {
            CreateError::NotAllowed(
                "it has no right to start tasks, and so none to make shared objects; grant it with \
                 `Capabilities::tasks`, or with `--allow-tasks` of `wasmpool run`"
                    .to_owned(),
            )
        })
    }

    /// Gives the guest a handle of an object.
    pub(super) fn hand_in(&mut self, object: Object) -> wasmtime::Result<wit::Object> {
        let objects = &mut self.objects;
        let entry = Entry::Object(object.clone());
        Ok(match object {
            Object::Queue(_) => wit::Object::Queue(objects.add(entry)?),
            Object::PipeEnd(_) => wit::Object::PipeEnd(objects.add(entry)?),
            Object::Lock(_) => wit::Object::Lock(objects.add(entry)?),
            Object::Semaphore(_) => wit::Object::Semaphore(objects.add(entry)?),
            Object::Event(_) => wit::Object::Event(objects.add(entry)?),
            Object::Condition(_) => wit::Object::Condition(objects.add(entry)?),
            Object::Barrier(_) => wit::Object::Barrier(objects.add(entry)?),
            Object::Array(_) => wit::Object::Array(objects.add(entry)?),
            Object::Dictionary(_) => wit::Object::Dictionary(objects.add(entry)?),
        })
    }

    /// The objects that the guest hands over.
    pub(super) fn hand_out(&self, objects: &[ObjectRef]) -> wasmtime::Result<Handed> {
        let table = &self.objects;
        let objects = objects.iter().map(|object| {
            Ok(match object {
                ObjectRef::Queue(handle) => Object::Queue(table.queue(handle)?),
                ObjectRef::PipeEnd(handle) => Object::PipeEnd(table.pipe_end(handle)?),
                ObjectRef::Lock(handle) => Object::Lock(table.lock(handle)?),
                ObjectRef::Semaphore(handle) => Object::Semaphore(table.semaphore(handle)?),
                ObjectRef::Event(handle) => Object::Event(table.event(handle)?),
                ObjectRef::Condition(handle) => Object::Condition(table.condition(handle)?),
                ObjectRef::Barrier(handle) => Object::Barrier(table.barrier(handle)?),
                ObjectRef::Array(handle) => Object::Array(table.array(handle)?),
                ObjectRef::Dictionary(handle) => Object::Dictionary(table.dictionary(handle)?),
            })
        });
        Ok(Handed::new(objects.collect::<wasmtime::Result<_>>()?))
    }

    async fn wait<F: Future>(
        &mut self,
        timeout: Option<u64>,
        event: F,
    ) -> Result<Option<F::Output>, WaitError> {
        let spinner = Some(&mut self.objects.spinner);
        wait_for(&self.control, spinner, nanos(timeout), event).await
    }

    /// Gives the guest what it has waited for.
    fn give(
        &mut self,
        waited: Result<Option<Hold>, WaitError>,
    ) -> wasmtime::Result<Result<Option<Resource<HoldHandle>>, WaitError>> {
        Ok(match waited {
            Ok(Some(hold)) => Ok(Some(self.objects.add(Entry::Hold(hold))?)),
            Ok(None) => Ok(None),
            Err(no_place) => Err(no_place),
        })
    }
}

/// How a put has ended; `None` if it was not done in time.
fn put(ended: Result<Option<Result<(), PutRefused>>, WaitError>) -> Result<(), PutError> {
    match ended {
        Ok(Some(Ok(()))) => Ok(()),
        Ok(Some(Err(PutRefused::Closed))) => Err(PutError::Closed),
        Ok(Some(Err(PutRefused::OverBudget(message)))) => Err(PutError::OverBudget(message)),
        Ok(None) => Err(PutError::Full),
        Err(WaitError::NoPlace(message)) => Err(PutError::NoPlace(message)),
    }
}

/// How a get has ended; `None` if there was no item in time.
fn get(ended: Result<Option<Result<Vec<u8>, QueueEnded>>, WaitError>) -> Result<Vec<u8>, GetError> {
    match ended {
        Ok(Some(Ok(item))) => Ok(item),
        Ok(Some(Err(QueueEnded))) => Err(GetError::Closed),
        Ok(None) => Err(GetError::Empty),
        Err(WaitError::NoPlace(message)) => Err(GetError::NoPlace(message)),
    }
}

impl Host for State {
    fn received(&mut self, place: u32) -> wasmtime::Result<Option<wit::Object>> {
        let object = self.objects.received.get(place).cloned();
        object.map(|object| self.hand_in(object)).transpose()
    }

    fn hand_back(&mut self, objects: Vec<ObjectRef>) -> wasmtime::Result<()> {
        self.objects.handed_back = self.hand_out(&objects)?;
        Ok(())
    }
}

impl HostQueue for State {
    fn create(
        &mut self,
        capacity: u32,
    ) -> wasmtime::Result<Result<Resource<QueueHandle>, CreateError>> {
        self.create(|budget| Queue::new(capacity as usize, budget).map(Object::Queue))
    }

    async fn put(
        &mut self,
        queue: Resource<QueueHandle>,
        item: Vec<u8>,
        timeout: Option<u64>,
    ) -> wasmtime::Result<Result<(), PutError>> {
        let queue = self.objects.queue(&queue)?;
        Ok(put(self.wait(timeout, queue.put(item)).await))
    }

    async fn get(
        &mut self,
        queue: Resource<QueueHandle>,
        timeout: Option<u64>,
    ) -> wasmtime::Result<Result<Vec<u8>, GetError>> {
        let queue = self.objects.queue(&queue)?;
        Ok(get(self.wait(timeout, queue.get()).await))
    }

    fn try_put(
        &mut self,
        queue: Resource<QueueHandle>,
        item: Vec<u8>,
    ) -> wasmtime::Result<Result<(), PutError>> {
        let queue = self.objects.queue(&queue)?;
        Ok(put(Ok(queue.put(item).now())))
    }

    fn try_get(
        &mut self,
        queue: Resource<QueueHandle>,
    ) -> wasmtime::Result<Result<Vec<u8>, GetError>> {
        let queue = self.objects.queue(&queue)?;
        Ok(get(Ok(queue.get().now())))
    }

    fn close(&mut self, queue: Resource<QueueHandle>) -> wasmtime::Result<()> {
        self.objects.queue(&queue)?.close();
        Ok(())
    }

    fn is_closed(&mut self, queue: Resource<QueueHandle>) -> wasmtime::Result<bool> {
        Ok(self.objects.queue(&queue)?.is_closed())
    }

    fn len(&mut self, queue: Resource<QueueHandle>) -> wasmtime::Result<u32> {
        Ok(count(self.objects.queue(&queue)?.len()))
    }

    fn capacity(&mut self, queue: Resource<QueueHandle>) -> wasmtime::Result<u32> {
        Ok(count(self.objects.queue(&queue)?.capacity()))
    }

    fn drop(&mut self, queue: Resource<QueueHandle>) -> wasmtime::Result<()> {
        self.objects.remove(&queue);
        Ok(())
    }
}

impl HostPipeEnd for State {
    fn create(
        &mut self,
        capacity: u32,
    ) -> wasmtime::Result<Result<(Resource<PipeEndHandle>, Resource<PipeEndHandle>), CreateError>>
    {
        let budget = match self.object_budget() {
            Ok(budget) => budget,
            Err(error) => return Ok(Err(error)),
        };
        let mut add = |end| self.objects.add(Entry::Object(Object::PipeEnd(end)));
        Ok(match PipeEnd::pair(capacity as usize, &budget) {
            Ok((one, other)) => Ok((add(one)?, add(other)?)),
            Err(message) => Err(CreateError::OverBudget(message)),
        })
    }

    async fn send(
        &mut self,
        end: Resource<PipeEndHandle>,
        item: Vec<u8>,
        timeout: Option<u64>,
    ) -> wasmtime::Result<Result<(), PutError>> {
        let end = self.objects.pipe_end(&end)?;
        Ok(put(self.wait(timeout, end.send(item)).await))
    }

    async fn receive(
        &mut self,
        end: Resource<PipeEndHandle>,
        timeout: Option<u64>,
    ) -> wasmtime::Result<Result<Vec<u8>, GetError>> {
        let end = self.objects.pipe_end(&end)?;
        Ok(get(self.wait(timeout, end.receive()).await))
    }

    fn try_send(
        &mut self,
        end: Resource<PipeEndHandle>,
        item: Vec<u8>,
    ) -> wasmtime::Result<Result<(), PutError>> {
        let end = self.objects.pipe_end(&end)?;
        Ok(put(Ok(end.send(item).now())))
    }

    fn try_receive(
        &mut self,
        end: Resource<PipeEndHandle>,
    ) -> wasmtime::Result<Result<Vec<u8>, GetError>> {
        let end = self.objects.pipe_end(&end)?;
        Ok(get(Ok(end.receive().now())))
    }

    fn close(&mut self, end: Resource<PipeEndHandle>) -> wasmtime::Result<()> {
        self.objects.pipe_end(&end)?.close();
        Ok(())
    }

    fn drop(&mut self, end: Resource<PipeEndHandle>) -> wasmtime::Result<()> {
        self.objects.remove(&end);
        Ok(())
    }
}

impl HostHold for State {
    fn was_left_behind(&mut self, hold: Resource<HoldHandle>) -> wasmtime::Result<bool> {
        match self.objects.get(&hold)? {
            Entry::Hold(hold) => Ok(hold.was_left_behind()),
            Entry::Object(_) => bail!("this handle is of another kind"),
        }
    }

    fn forget(&mut self, hold: Resource<HoldHandle>) -> wasmtime::Result<()> {
        if let Some(Entry::Hold(hold)) = self.objects.remove(&hold) {
            hold.forget();
        }
        Ok(())
    }

    fn drop(&mut self, hold: Resource<HoldHandle>) -> wasmtime::Result<()> {
        if let Some(Entry::Hold(hold)) = self.objects.remove(&hold) {
            hold.give_back();
        }
        Ok(())
    }
}

impl HostLock for State {
    fn create(&mut self) -> wasmtime::Result<Result<Resource<LockHandle>, CreateError>> {
        self.create(|budget| Lock::new(budget).map(Object::Lock))
    }

    async fn acquire(
        &mut self,
        lock: Resource<LockHandle>,
        timeout: Option<u64>,
    ) -> wasmtime::Result<Result<Option<Resource<HoldHandle>>, WaitError>> {
        let lock = self.objects.lock(&lock)?;
        let waited = self.wait(timeout, lock.acquire()).await;
        self.give(waited)
    }

    fn try_acquire(
        &mut self,
        lock: Resource<LockHandle>,
    ) -> wasmtime::Result<Option<Resource<HoldHandle>>> {
        let hold = self.objects.lock(&lock)?.acquire().now();
        hold.map(|hold| self.objects.add(Entry::Hold(hold)))
            .transpose()
    }

    fn drop(&mut self, lock: Resource<LockHandle>) -> wasmtime::Result<()> {
        self.objects.remove(&lock);
        Ok(())
    }
}

impl HostSemaphore for State {
    fn create(
        &mut self,
        permits: u32,
    ) -> wasmtime::Result<Result<Resource<SemaphoreHandle>, CreateError>> {
        self.create(|budget| Semaphore::new(permits, budget).map(Object::Semaphore))
    }

    async fn acquire(
        &mut self,
        semaphore: Resource<SemaphoreHandle>,
        timeout: Option<u64>,
    ) -> wasmtime::Result<Result<Option<Resource<HoldHandle>>, WaitError>> {
        let semaphore = self.objects.semaphore(&semaphore)?;
        let waited = self.wait(timeout, semaphore.acquire()).await;
        self.give(waited)
    }

    fn try_acquire(
        &mut self,
        semaphore: Resource<SemaphoreHandle>,
    ) -> wasmtime::Result<Option<Resource<HoldHandle>>> {
        let hold = self.objects.semaphore(&semaphore)?.acquire().now();
        hold.map(|hold| self.objects.add(Entry::Hold(hold)))
            .transpose()
    }

    fn release(
        &mut self,
        semaphore: Resource<SemaphoreHandle>,
        permits: u32,
    ) -> wasmtime::Result<()> {
        self.objects.semaphore(&semaphore)?.release(permits);
        Ok(())
    }

    fn available(&mut self, semaphore: Resource<SemaphoreHandle>) -> wasmtime::Result<u32> {
        Ok(self.objects.semaphore(&semaphore)?.available())
    }

    fn drop(&mut self, semaphore: Resource<SemaphoreHandle>) -> wasmtime::Result<()> {
        self.objects.remove(&semaphore);
        Ok(())
    }
}

impl HostEvent for State {
    fn create(&mut self) -> wasmtime::Result<Result<Resource<EventHandle>, CreateError>> {
        self.create(|budget| Event::new(budget).map(Object::Event))
    }

    fn set(&mut self, event: Resource<EventHandle>) -> wasmtime::Result<()> {
        self.objects.event(&event)?.set(true);
        Ok(())
    }

    fn clear(&mut self, event: Resource<EventHandle>) -> wasmtime::Result<()> {
        self.objects.event(&event)?.set(false);
        Ok(())
    }

    fn is_set(&mut self, event: Resource<EventHandle>) -> wasmtime::Result<bool> {
        Ok(self.objects.event(&event)?.is_set())
    }

    async fn wait(
        &mut self,
        event: Resource<EventHandle>,
        timeout: Option<u64>,
    ) -> wasmtime::Result<Result<bool, WaitError>> {
        let event = self.objects.event(&event)?;
        let waited = self.wait(timeout, event.wait()).await;
        Ok(waited.map(|set| set.is_some()))
    }

    fn drop(&mut self, event: Resource<EventHandle>) -> wasmtime::Result<()> {
        self.objects.remove(&event);
        Ok(())
    }
}

impl HostCondition for State {
    fn create(&mut self) -> wasmtime::Result<Result<Resource<ConditionHandle>, CreateError>> {
        self.create(|budget| Condition::new(budget).map(Object::Condition))
    }

    async fn wait(
        &mut self,
        condition: Resource<ConditionHandle>,
        held: Resource<HoldHandle>,
        timeout: Option<u64>,
    ) -> wasmtime::Result<Result<(Resource<HoldHandle>, bool), ConditionError>> {
        let condition = self.objects.condition(&condition)?;
        let Some(Entry::Hold(held)) = self.objects.remove(&held) else {
            bail!("this hold belongs to an earlier task");
        };
        // The timeout is over before the lock is taken again, for which it waits in any case.
        let waited = condition.wait(held, elapse(nanos(timeout)));
        Ok(match self.wait(None, waited).await {
            Ok(Some(Ok((held, is_notified)))) => {
                Ok((self.objects.add(Entry::Hold(held))?, is_notified))
            }
            Ok(Some(Err(NotALock))) => Err(ConditionError::NotALock),
            Ok(None) => unreachable!("there is no timeout"),
            Err(WaitError::NoPlace(message)) => Err(ConditionError::NoPlace(message)),
        })
    }

    fn notify(
        &mut self,
        condition: Resource<ConditionHandle>,
        waiters: u32,
    ) -> wasmtime::Result<()> {
        self.objects.condition(&condition)?.notify(waiters as usize);
        Ok(())
    }

    fn drop(&mut self, condition: Resource<ConditionHandle>) -> wasmtime::Result<()> {
        self.objects.remove(&condition);
        Ok(())
    }
}

impl HostBarrier for State {
    fn create(
        &mut self,
        parties: u32,
    ) -> wasmtime::Result<Result<Resource<BarrierHandle>, CreateError>> {
        self.create(|budget| Barrier::new(parties, budget).map(Object::Barrier))
    }

    async fn wait(
        &mut self,
        barrier: Resource<BarrierHandle>,
        timeout: Option<u64>,
    ) -> wasmtime::Result<Result<u32, BarrierError>> {
        let barrier = self.objects.barrier(&barrier)?;
        Ok(match self.wait(timeout, barrier.wait()).await {
            Ok(Some(Ok(n_missing))) => Ok(n_missing),
            // Who leaves breaks the barrier.
            Ok(Some(Err(_)) | None) => Err(BarrierError::Broken),
            Err(WaitError::NoPlace(message)) => Err(BarrierError::NoPlace(message)),
        })
    }

    fn abort(&mut self, barrier: Resource<BarrierHandle>) -> wasmtime::Result<()> {
        self.objects.barrier(&barrier)?.abort();
        Ok(())
    }

    fn reset(&mut self, barrier: Resource<BarrierHandle>) -> wasmtime::Result<()> {
        self.objects.barrier(&barrier)?.reset();
        Ok(())
    }

    fn is_broken(&mut self, barrier: Resource<BarrierHandle>) -> wasmtime::Result<bool> {
        Ok(self.objects.barrier(&barrier)?.is_broken())
    }

    fn drop(&mut self, barrier: Resource<BarrierHandle>) -> wasmtime::Result<()> {
        self.objects.remove(&barrier);
        Ok(())
    }
}

impl HostArray for State {
    fn create(
        &mut self,
        element: wit::Number,
        len: u32,
    ) -> wasmtime::Result<Result<Resource<ArrayHandle>, CreateError>> {
        self.create(|budget| Array::new(element.into(), len as usize, budget).map(Object::Array))
    }

    fn element(&mut self, array: Resource<ArrayHandle>) -> wasmtime::Result<wit::Number> {
        Ok(self.objects.array(&array)?.element().into())
    }

    fn len(&mut self, array: Resource<ArrayHandle>) -> wasmtime::Result<u32> {
        Ok(count(self.objects.array(&array)?.len()))
    }

    fn load(
        &mut self,
        array: Resource<ArrayHandle>,
        at: u32,
    ) -> wasmtime::Result<Result<u64, String>> {
        Ok(self.objects.array(&array)?.load(at as usize))
    }

    fn store(
        &mut self,
        array: Resource<ArrayHandle>,
        at: u32,
        value: u64,
    ) -> wasmtime::Result<Result<(), String>> {
        Ok(self.objects.array(&array)?.store(at as usize, value))
    }

    fn add(
        &mut self,
        array: Resource<ArrayHandle>,
        at: u32,
        value: u64,
    ) -> wasmtime::Result<Result<u64, String>> {
        Ok(self.objects.array(&array)?.add(at as usize, value))
    }

    fn compare_exchange(
        &mut self,
        array: Resource<ArrayHandle>,
        at: u32,
        expected: u64,
        new: u64,
    ) -> wasmtime::Result<Result<u64, String>> {
        let array = self.objects.array(&array)?;
        Ok(array.compare_exchange(at as usize, expected, new))
    }

    fn read(
        &mut self,
        array: Resource<ArrayHandle>,
        start: u32,
        n: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, String>> {
        let array = self.objects.array(&array)?;
        Ok(array.read(start as usize, n as usize))
    }

    fn write(
        &mut self,
        array: Resource<ArrayHandle>,
        start: u32,
        elements: Vec<u8>,
    ) -> wasmtime::Result<Result<(), String>> {
        let array = self.objects.array(&array)?;
        Ok(array.write(start as usize, &elements))
    }

    fn drop(&mut self, array: Resource<ArrayHandle>) -> wasmtime::Result<()> {
        self.objects.remove(&array);
        Ok(())
    }
}

impl HostDictionary for State {
    fn create(&mut self) -> wasmtime::Result<Result<Resource<DictionaryHandle>, CreateError>> {
        self.create(|budget| Dictionary::new(budget).map(Object::Dictionary))
    }

    fn get(
        &mut self,
        dictionary: Resource<DictionaryHandle>,
        key: Vec<u8>,
    ) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.objects.dictionary(&dictionary)?.get(&key))
    }

    fn insert(
        &mut self,
        dictionary: Resource<DictionaryHandle>,
        key: Vec<u8>,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, InsertError>> {
        let dictionary = self.objects.dictionary(&dictionary)?;
        let inserted = dictionary.insert(key, value);
        Ok(inserted.map_err(InsertError::OverBudget))
    }

    fn remove(
        &mut self,
        dictionary: Resource<DictionaryHandle>,
        key: Vec<u8>,
    ) -> wasmtime::Result<Option<Vec<u8>>> {
        Ok(self.objects.dictionary(&dictionary)?.remove(key))
    }

    fn compare_exchange(
        &mut self,
        dictionary: Resource<DictionaryHandle>,
        key: Vec<u8>,
        expected: Option<Vec<u8>>,
        new: Option<Vec<u8>>,
    ) -> wasmtime::Result<Result<bool, InsertError>> {
        let dictionary = self.objects.dictionary(&dictionary)?;
        let exchanged = dictionary.compare_exchange(key, expected.as_deref(), new);
        Ok(exchanged.map_err(InsertError::OverBudget))
    }

    fn len(&mut self, dictionary: Resource<DictionaryHandle>) -> wasmtime::Result<u32> {
        Ok(count(self.objects.dictionary(&dictionary)?.len()))
    }

    fn keys(&mut self, dictionary: Resource<DictionaryHandle>) -> wasmtime::Result<Vec<Vec<u8>>> {
        Ok(self.objects.dictionary(&dictionary)?.keys())
    }

    fn clear(&mut self, dictionary: Resource<DictionaryHandle>) -> wasmtime::Result<()> {
        self.objects.dictionary(&dictionary)?.clear();
        Ok(())
    }

    fn drop(&mut self, dictionary: Resource<DictionaryHandle>) -> wasmtime::Result<()> {
        self.objects.remove(&dictionary);
        Ok(())
    }
}

/// The types of numbers, here and in the contract.
macro_rules! numbers {
    ($($number:ident $wit:ident)*) => {
        impl From<wit::Number> for Number {
            fn from(number: wit::Number) -> Self {
                match number {
                    $(wit::Number::$wit => Self::$number,)*
                }
            }
        }

        impl From<Number> for wit::Number {
            fn from(number: Number) -> Self {
                match number {
                    $(Number::$number => Self::$wit,)*
                }
            }
        }
    };
}
numbers! {
    I8 Int8
    U8 Uint8
    I16 Int16
    U16 Uint16
    I32 Int32
    U32 Uint32
    I64 Int64
    U64 Uint64
    F32 Float32
    F64 Float64
}

fn nanos(timeout: Option<u64>) -> Option<Duration> {
    timeout.map(Duration::from_nanos)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
