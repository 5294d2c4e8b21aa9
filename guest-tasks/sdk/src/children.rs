//! Tasks that a task starts: its children.
//!
//! With `#[wasmpool_guest::tasks(children)]` each task of the module has a module of its own name,
//! with functions that start it as a child:
//!
//! ```
//! #[wasmpool_guest::tasks(children)]
//! mod tasks {
//!     use wasmpool_guest::Failure;
//!
//!     /// The `n`th Fibonacci number.
//!     pub fn fibonacci(n: u64) -> Result<u64, Failure> {
//!         if n < 2 {
//!             return Ok(n);
//!         }
//!         let first = fibonacci::submit(n - 1)?;
//!         let second = fibonacci::submit(n - 2)?;
//!         Ok(first.wait()? + second.wait()?)
//!     }
//!
//!     /// Squares.
//!     pub fn square(n: u64) -> u64 {
//!         n * n
//!     }
//!
//!     /// The sum of the squares up to `n`.
//!     pub fn sum_of_squares(n: u64) -> Result<u64, Failure> {
//!         let mut sum = 0;
//!         for squared in square::map(1..=n) {
//!             sum += squared?;
//!         }
//!         Ok(sum)
//!     }
//! }
//!
//! assert_eq!(tasks::fibonacci(7).unwrap(), 13);
//! assert_eq!(tasks::sum_of_squares(10).unwrap(), 385);
//! ```
//!
//! A child is a task of the pool like any other, with an instance and memory of its own. It has the
//! rights of its parent and at most its limits. While the parent waits it holds no worker. When the
//! parent ends, in whichever way, its children are cancelled, unless they were started with
//! [`Options::outlives_parent`]. The host must grant the right to start tasks
//! (`Capabilities::tasks`, or `wasmpool run --allow-tasks`).
//!
//! Compiled for other targets than WebAssembly, children run on threads, so `cargo test` tests tasks
//! that start others. Limits have no effect there, a cancelled child goes on unseen, and there are no
//! other modules.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(not(target_arch = "wasm32"))]
use native as host;
#[cfg(target_arch = "wasm32")]
mod wasm;
#[cfg(target_arch = "wasm32")]
use wasm as host;

use crate::__private::{TaskEntry, describe, to_bytes};
use crate::shared::{Object, travel};

/// How many children a [`Map`] has under way at once, unless [`Map::window`] sets another number.
const WINDOW: usize = 64;

/// How a child is started. By default as its parent was.
#[derive(Debug, Clone, Default)]
pub struct Options {
    pub(crate) module: Option<String>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) memory: Option<u64>,
    pub(crate) tag: Option<String>,
    pub(crate) outlives_parent: bool,
}

impl Options {
    /// The default options.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the child may run. It has at most the time that its parent has left.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// How many bytes of memory the child may have, at most as many as its parent.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = Some(bytes);
        self
    }

    /// A label for the traces and errors of the host.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tag = Some(tag.into());
        self
    }

    /// The child goes on when its parent has ended.
    pub fn outlives_parent(mut self) -> Self {
        self.outlives_parent = true;
        self
    }

    /// The child is a task of the module that the host granted under this name.
    pub fn module(mut self, name: impl Into<String>) -> Self {
        self.module = Some(name.into());
        self
    }
}

/// A child that was started. It goes on when this is dropped.
#[must_use = "a child runs without its handle, but nobody will see its outcome"]
pub struct Child<T> {
    raw: host::RawChild,
    result: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Child<T> {
    /// Blocks until the child has ended, and returns its result.
    ///
    /// # Errors
    ///
    /// If the child failed, or the task cannot wait since the pool has no place for another task
    /// that waits (the kind is `no-place`; the child goes on).
    pub fn wait(&self) -> Result<T, ChildError> {
        loop {
            if let Some(outcome) = self.outcome() {
                return outcome;
            }
            wait_for_any([self], None)?;
        }
    }

    /// Blocks until the child has ended, or for `timeout`: then it returns `None`.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<T, ChildError>> {
        match wait_for_any([self], Some(timeout)) {
            Ok(_) => self.outcome(),
            Err(error) => Some(Err(error)),
        }
    }

    /// How the child has ended; `None` while it has not. Does not block.
    pub fn outcome(&self) -> Option<Result<T, ChildError>> {
        let outcome = self.raw.outcome()?;
        Some(outcome.and_then(|result| {
            let mut decoder = rmp_serde::Deserializer::from_read_ref(&result).with_human_readable();
            let child = self.raw.clone();
            let decode = || T::deserialize(&mut decoder);
            travel::from_child(move |place| child.received(place), decode).map_err(|error| {
                let problem = describe(&error, std::any::type_name::<T>());
                ChildError::new("bad-result", format!("the result of the child: {problem}"))
            })
        }))
    }

    /// Cancels the child, queued or running. Returns whether it has ended as cancelled; false if it
    /// has ended otherwise. Does not block.
    pub fn cancel(&self) -> bool {
        self.raw.cancel()
    }
}

impl<T> fmt::Debug for Child<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Child").finish_non_exhaustive()
    }
}

/// Blocks until one of the children has ended, or until the timeout. Returns the places of those
/// that have ended.
fn wait_for_any<'a, T: 'a>(
    children: impl IntoIterator<Item = &'a Child<T>>,
    timeout: Option<Duration>,
) -> Result<Vec<u32>, ChildError> {
    let children = children.into_iter().map(|child| &child.raw);
    host::wait(&children.collect::<Vec<_>>(), timeout)
        .map_err(|message| ChildError::new("no-place", message))
}

/// Why a child was not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartError {
    pub(crate) kind: StartErrorKind,
    pub(crate) message: String,
}

/// The kinds of [`StartError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StartErrorKind {
    /// The host has not granted the right.
    NotAllowed,
    /// The module has no such task.
    UnknownTask,
    /// The arguments do not fit the task, or are too large.
    BadArguments,
    /// The host allows no more children, or none nested so deep.
    OverBudget,
    /// The pool is being terminated.
    ShutDown,
}

impl StartError {
    /// What kind of error it is.
    pub fn kind(&self) -> StartErrorKind {
        self.kind
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the child was not started: {}", self.message)
    }
}

impl std::error::Error for StartError {}

/// Why a child failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildError {
    pub(crate) kind: String,
    pub(crate) code: String,
    pub(crate) message: String,
}

impl ChildError {
    pub(crate) fn new(kind: &str, message: impl Into<String>) -> Self {
        Self {
            kind: kind.to_owned(),
            code: String::new(),
            message: message.into(),
        }
    }

    /// The kind of the error, as the host names it: `failed`, `trap`, `timed-out`, `memory-limit`,
    /// `cancelled` and so on; `not-started` in a [`Map`], for a child that could not be started.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The code that the child chose; empty if there is none.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The message for people.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ChildError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the child failed: {}", self.message)
    }
}

impl std::error::Error for ChildError {}

/// Starts the task `name` with `arguments`, a tuple. For tasks of other modules
/// ([`Options::module`]), and for names that are known only at run time.
///
/// # Errors
///
/// If the child cannot be started.
pub fn submit<T>(
    name: &str,
    arguments: &impl Serialize,
    options: &Options,
) -> Result<Child<T>, StartError> {
    let mut encoded = Arguments::default();
    encoded.write(arguments)?;
    if encoded.bytes == [NIL] {
        encoded.bytes = vec![EMPTY_ARRAY];
    }
    host::start(name, encoded, options).map(Child::from)
}

/// Blocks until all children have ended, and returns their outcomes in order.
pub fn wait_all<T: DeserializeOwned>(
    children: impl IntoIterator<Item = Child<T>>,
) -> Vec<Result<T, ChildError>> {
    // All of them are started before the first is waited for.
    let children = children.into_iter().collect::<Vec<_>>();
    children.iter().map(Child::wait).collect()
}

/// Yields the children as they end: the place of each in `children`, and its outcome.
pub fn as_completed<T: DeserializeOwned>(
    children: impl IntoIterator<Item = Child<T>>,
) -> AsCompleted<T> {
    AsCompleted {
        waiting: children.into_iter().enumerate().collect(),
        ended: VecDeque::new(),
    }
}

/// See [`as_completed`].
#[derive(Debug)]
pub struct AsCompleted<T> {
    waiting: Vec<(usize, Child<T>)>,
    ended: VecDeque<(usize, Child<T>)>,
}

impl<T: DeserializeOwned> Iterator for AsCompleted<T> {
    type Item = (usize, Result<T, ChildError>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended.is_empty() {
            let children = self.waiting.iter().map(|(_, child)| child);
            match wait_for_any(children, None) {
                Ok(places) => {
                    // From the back, so that the places of the others stay.
                    for place in places.into_iter().rev() {
                        let child = self.waiting.remove(place as usize);
                        self.ended.push_front(child);
                    }
                }
                Err(error) => {
                    let (place, _) = self.waiting.pop()?;
                    return Some((place, Err(error)));
                }
            }
        }
        let (place, child) = self.ended.pop_front()?;
        Some((place, child.wait()))
    }
}

/// Starts a task for each input, and yields the results: in the order of the inputs, or
/// [as they come](Self::unordered). Made by the function `map` of a task's module.
///
/// Lazy: it starts with the first call of `next`, and reads at most [`window`](Self::window) inputs
/// ahead. A child that fails is an error in its place, and the others go on. What is under way when
/// it is dropped is cancelled.
#[must_use = "nothing is started before the first result is asked for"]
pub struct Map<I, T> {
    inputs: I,
    entry: &'static TaskEntry,
    options: Options,
    window: usize,
    is_ordered: bool,
    under_way: VecDeque<Result<Child<T>, StartError>>,
}

impl<I, T> Map<I, T> {
    /// How the children are started.
    pub fn options(mut self, options: Options) -> Self {
        self.options = options;
        self
    }

    /// How many children are under way at once, at least 1. Default: 64.
    pub fn window(mut self, children: usize) -> Self {
        self.window = children.max(1);
        self
    }

    /// Yields the results as they come.
    pub fn unordered(mut self) -> Self {
        self.is_ordered = false;
        self
    }
}

impl<I: Iterator<Item = Encoded>, T: DeserializeOwned> Map<I, T> {
    /// Starts children up to the window.
    fn fill(&mut self) {
        while self.under_way.len() < self.window {
            let Some(arguments) = self.inputs.next() else {
                return;
            };
            let started =
                arguments.and_then(|arguments| start_entry(self.entry, arguments, &self.options));
            let is_over = started.is_err();
            self.under_way.push_back(started);
            if is_over {
                return;
            }
        }
    }

    /// Blocks until a child has ended, and returns its place among those under way.
    fn wait_for_one(&self) -> Result<usize, ChildError> {
        let refused = self.under_way.iter().position(Result::is_err);
        if let Some(place) = refused {
            return Ok(place);
        }
        let ended = wait_for_any(self.under_way.iter().flatten(), None)?;
        Ok(ended.first().map_or(0, |place| *place as usize))
    }
}

impl<I: Iterator<Item = Encoded>, T: DeserializeOwned> Iterator for Map<I, T> {
    type Item = Result<T, ChildError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.fill();
        if self.under_way.is_empty() {
            return None;
        }
        let place = match self.is_ordered {
            true => Ok(0),
            false => self.wait_for_one(),
        };
        let started = match place {
            Ok(place) => self.under_way.remove(place)?,
            Err(error) => {
                self.under_way.pop_front();
                return Some(Err(error));
            }
        };
        Some(match started {
            Ok(child) => child.wait(),
            Err(error) => Err(ChildError::new("not-started", error.to_string())),
        })
    }
}

impl<I, T> Drop for Map<I, T> {
    fn drop(&mut self) {
        for child in self.under_way.iter().flatten() {
            child.raw.cancel();
        }
    }
}

impl<I, T> fmt::Debug for Map<I, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Map")
            .field("task", &self.entry.name)
            .field("under_way", &self.under_way.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl<T> Child<T> {
    /// The child with another type of its result, as for a task that is known by its name.
    pub(crate) fn into_other<U>(self) -> Child<U> {
        Child::from(self.raw)
    }
}

impl<T> From<host::RawChild> for Child<T> {
    fn from(raw: host::RawChild) -> Self {
        Self {
            raw,
            result: PhantomData,
        }
    }
}

/// The arguments of a child, or why there are none.
#[doc(hidden)]
pub type Encoded = Result<Arguments, StartError>;

/// The arguments of a child, as they go to the host.
#[doc(hidden)]
#[derive(Default)]
pub struct Arguments {
    bytes: Vec<u8>,
    /// The shared objects that go along.
    objects: Vec<Object>,
}

const NIL: u8 = 0xc0;
const EMPTY_ARRAY: u8 = 0x90;

impl Arguments {
    fn write(&mut self, value: &impl Serialize) -> Result<(), StartError> {
        let encoded = travel::as_arguments(&mut self.objects, || to_bytes(value));
        self.bytes.extend(encoded.map_err(|error| StartError {
            kind: StartErrorKind::BadArguments,
            message: format!("its arguments cannot be encoded: {error}"),
        })?);
        Ok(())
    }
}

fn start_entry<T>(
    entry: &'static TaskEntry,
    arguments: Arguments,
    options: &Options,
) -> Result<Child<T>, StartError> {
    #[cfg(target_arch = "wasm32")]
    let started = host::start(entry.name, arguments, options);
    #[cfg(not(target_arch = "wasm32"))]
    let started = host::start_entry(entry, arguments, options);
    started.map(Child::from)
}

/// Called by generated code.
#[doc(hidden)]
pub mod generated {
    use super::*;

    /// The arguments of a call, encoded.
    pub struct Arguments(Encoded);

    impl Arguments {
        pub fn new(n: u32) -> Self {
            let mut arguments = super::Arguments::default();
            rmp::encode::write_array_len(&mut arguments.bytes, n).expect("memory takes all bytes");
            Self(Ok(arguments))
        }

        pub fn with(self, argument: &impl Serialize) -> Self {
            Self(self.0.and_then(|mut arguments| {
                arguments.write(argument)?;
                Ok(arguments)
            }))
        }
    }

    pub fn submit<T>(
        entry: &'static TaskEntry,
        arguments: Arguments,
        options: &Options,
    ) -> Result<Child<T>, StartError> {
        start_entry(entry, arguments.0?, options)
    }

    pub fn map<T>(
        entry: &'static TaskEntry,
        inputs: impl Iterator<Item = Arguments>,
    ) -> Map<impl Iterator<Item = Encoded>, T> {
        Map {
            inputs: inputs.map(|arguments| arguments.0),
            entry,
            options: Options::default(),
            window: WINDOW,
            is_ordered: true,
            under_way: VecDeque::new(),
        }
    }
}
