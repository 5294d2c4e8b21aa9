//! How handles travel.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use super::tasks;
use crate::__private::{Arguments, CallFailure, encode, to_bytes};
use crate::children::{self, StartErrorKind};
use crate::shared::native::with_objects;
use crate::shared::{
    Array, Barrier, Condition, Event, Lock, Map, Number, Object, PutError, Queue, Semaphore, Value,
    pipe, travel,
};

/// An argument as it travels.
fn sent(argument: &impl Serialize) -> (Vec<u8>, Vec<Object>) {
    let mut objects = Vec::new();
    let bytes = travel::as_arguments(&mut objects, || to_bytes(&(argument,)));
    (bytes.unwrap(), objects)
}

fn received<T: DeserializeOwned>(bytes: &[u8], objects: Vec<Object>) -> Result<T, String> {
    let (argument, _) = with_objects(objects, || {
        Arguments::new(bytes, &["it"]).and_then(|mut arguments| arguments.next("it"))
    });
    argument.map_err(|failure| match failure {
        CallFailure::BadArguments(message) => message,
        failure => panic!("{failure:?}"),
    })
}

/// What a task gets as an argument to which this was handed.
pub(super) fn handed_over<T: DeserializeOwned>(argument: &impl Serialize) -> Result<T, String> {
    let (bytes, objects) = sent(argument);
    received(&bytes, objects)
}

/// Checks that the argument does not arrive as a `T`, and why not.
fn check<T: DeserializeOwned>(argument: &impl Serialize, problem: &str) {
    let error = handed_over::<T>(argument).err().expect("it arrived");
    assert_eq!(error, format!("argument `it`: {problem}"));
}

#[test]
fn handles_travel_as_places() {
    let (queue, lock) = (Queue::<u64>::new(1).unwrap(), Lock::new().unwrap());
    let (bytes, objects) = sent(&(&queue, 7, &lock, &queue));
    assert_eq!(bytes, [0x91, 0x94, 0, 7, 1, 2]);
    assert_eq!(objects.len(), 3);
}

#[test]
fn handles_travel_inside_of_other_values() {
    #[derive(Serialize, Deserialize)]
    struct Work {
        queues: BTreeMap<String, Queue<u64>>,
        lock: Option<Lock>,
        #[serde(flatten)]
        rest: Rest,
    }
    #[derive(Serialize, Deserialize)]
    struct Rest {
        event: Event,
    }
    let work = Work {
        queues: [("a", 1), ("b", 2)]
            .map(|(name, capacity)| (name.to_owned(), Queue::new(capacity).unwrap()))
            .into(),
        lock: Some(Lock::new().unwrap()),
        rest: Rest {
            event: Event::new().unwrap(),
        },
    };
    let arrived: Work = handed_over(&work).unwrap();
    work.rest.event.set();
    work.queues["b"].put(&5).unwrap();
    assert!(arrived.rest.event.is_set());
    assert_eq!(arrived.queues["b"].get(), Ok(5));
    assert_eq!(arrived.queues["a"].capacity(), 1);
    let _guard = work.lock.as_ref().unwrap().acquire().unwrap();
    assert!(arrived.lock.unwrap().try_acquire().is_none());
}

#[test]
fn objects_come_with_the_result_of_a_child() {
    let child = tasks::make::submit(vec![3, 5]).unwrap();
    // As often as the outcome is asked for.
    for item in [3, 5] {
        let (queue, array) = child.wait().unwrap();
        assert_eq!(queue.get(), Ok(item));
        assert_eq!(array.unwrap().read(..), [3, 5]);
    }
}

#[test]
fn result_with_another_kind_of_object_is_refused() {
    let child = tasks::promise_queue::submit().unwrap();
    let child: children::Child<Queue<u64>> = child.into_other();
    let error = child.wait().unwrap_err();
    assert_eq!(error.kind(), "bad-result");
    assert_eq!(
        error.message(),
        "the result of the child: a queue is expected, and a lock was handed over"
    );
}

#[test]
fn another_kind_of_object_is_refused() {
    let queue = Queue::<u64>::new(1).unwrap();
    let (end, _other) = pipe::<u64, u64>(1).unwrap();
    let lock = Lock::new().unwrap();
    check::<Queue<u64>>(&lock, "a queue is expected, and a lock was handed over");
    check::<Lock>(&queue, "a lock is expected, and a queue was handed over");
    check::<Semaphore>(
        &end,
        "a semaphore is expected, and an end of a pipe was handed over",
    );
    let semaphore = Semaphore::new(1).unwrap();
    check::<crate::shared::Pipe<u64, u64>>(
        &semaphore,
        "an end of a pipe is expected, and a semaphore was handed over",
    );
    let (event, condition) = (Event::new().unwrap(), Condition::new().unwrap());
    check::<Condition>(
        &event,
        "a condition is expected, and an event was handed over",
    );
    check::<Event>(
        &condition,
        "an event is expected, and a condition was handed over",
    );
    let (map, barrier) = (Map::<u8, u8>::new().unwrap(), Barrier::new(1).unwrap());
    check::<Barrier>(&map, "a barrier is expected, and a map was handed over");
    check::<Map<u8, u8>>(&barrier, "a map is expected, and a barrier was handed over");
}

#[test]
fn array_of_other_numbers_is_refused() {
    fn array<T: Number>(len: u32) -> Array<T> {
        Array::new(len).unwrap()
    }
    check::<Array<i64>>(
        &array::<f64>(3),
        "an array of i64 is expected, and an array of 3 f64 was handed over",
    );
    check::<Value<u8>>(
        &array::<i8>(1),
        "a value of u8 is expected, and an array of 1 i8 was handed over",
    );
    check::<Value<u8>>(
        &array::<u8>(2),
        "a value of u8 is expected, and an array of 2 u8 was handed over",
    );
    let value = Value::new(5_u8).unwrap();
    let array: Array<u8> = handed_over(&value).unwrap();
    assert_eq!(array.read(..), [5]);
}

#[test]
fn other_values_are_no_objects() {
    check::<Queue<u64>>(&"x", "invalid type: string \"x\", expected a queue");
    check::<Queue<u64>>(&0, "no shared object was handed over at place 0");
    check::<Lock>(
        &u64::MAX,
        "invalid value: integer `18446744073709551615`, expected a lock",
    );
}

#[test]
fn objects_of_one_call_are_not_there_in_the_next() {
    let queue = Queue::<u64>::new(1).unwrap();
    let (bytes, objects) = sent(&queue);
    received::<Queue<u64>>(&bytes, objects).unwrap();
    let error = received::<Queue<u64>>(&bytes, Vec::new()).unwrap_err();
    assert!(error.ends_with("no shared object was handed over at place 0"));
}

#[test]
fn items_and_values_carry_no_objects() {
    let why = "a shared object travels only as an argument or result of a task, not as an item or \
               value";
    let lock = Lock::new().unwrap();
    let queue = Queue::new(1).unwrap();
    assert_eq!(queue.put(&lock), Err(PutError::BadItem(why.to_owned())));
    let map = Map::new().unwrap();
    let error = map.insert(&1, &lock).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("the entry cannot be encoded: {why}")
    );
    assert_eq!(to_bytes(&lock).unwrap_err().to_string(), why);
    // A place that a guest writes itself is none either.
    let numbers: Queue<u64> = Queue::new(1).unwrap();
    numbers.put(&0).unwrap();
    let locks: Queue<Lock> = handed_over(&numbers).unwrap();
    assert_eq!(
        locks.get().unwrap_err().to_string(),
        "the item: a shared object comes only as an argument or result of a task, not as an item \
         or value"
    );
}

/// Puts itself into the queue when it is encoded.
struct Nested<'a>(&'a Queue<Lock>, &'a Lock);

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert!(matches!(self.0.put(self.1), Err(PutError::BadItem(_))));
        self.1.serialize(serializer)
    }
}

#[test]
fn items_that_are_put_while_arguments_are_encoded_carry_no_objects() {
    let (queue, lock) = (Queue::new(1).unwrap(), Lock::new().unwrap());
    let (bytes, objects) = sent(&[Nested(&queue, &lock), Nested(&queue, &lock)]);
    assert_eq!(bytes, [0x91, 0x92, 0, 1]);
    assert_eq!(objects.len(), 2);
}

/// Cannot be encoded.
struct Unfit;

impl Serialize for Unfit {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("unfit"))
    }
}

#[test]
fn result_that_cannot_be_encoded_hands_nothing_back() {
    let lock = Lock::new().unwrap();
    let (encoded, objects) = with_objects(Vec::new(), || encode((&lock, Unfit)));
    assert!(matches!(encoded, Err(CallFailure::BadResult(_))));
    assert_eq!(objects.len(), 0);
    // Nor does the next one hand back what was left.
    let (encoded, objects) = with_objects(Vec::new(), || encode((&lock, &lock)));
    assert_eq!(encoded.unwrap(), [0x92, 0, 1]);
    assert_eq!(objects.len(), 2);
}

#[test]
fn child_does_not_start_with_arguments_that_cannot_be_encoded() {
    let lock = Lock::new().unwrap();
    let started = children::submit::<()>("any", &(lock, Unfit), &children::Options::new());
    assert_eq!(started.unwrap_err().kind(), StartErrorKind::BadArguments);
}
