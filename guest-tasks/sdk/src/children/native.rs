//! Children without a host: on threads, for tests of guests.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Arguments as Encoded, ChildError, Options, StartError, StartErrorKind};
use crate::__private::{Arguments, CallFailure, TaskEntry};
use crate::shared::{Object, native};

type Outcome = Result<Returned, ChildError>;

/// The result of a child.
struct Returned {
    bytes: Vec<u8>,
    /// The shared objects that came with it.
    objects: Vec<Object>,
}

/// Signalled when a child ends. One for all: a task waits for several at once.
static ENDED: Condvar = Condvar::new();
/// Held while an outcome is written, and by those who wait for one.
static ENDING: Mutex<()> = Mutex::new(());

#[derive(Clone)]
pub(super) struct RawChild(Arc<Mutex<Option<Outcome>>>);

impl RawChild {
    pub(super) fn outcome(&self) -> Option<Result<Vec<u8>, ChildError>> {
        lock(&self.0).as_ref().map(|outcome| match outcome {
            Ok(returned) => Ok(returned.bytes.clone()),
            Err(error) => Err(error.clone()),
        })
    }

    /// The object at this place among those that came with the result.
    pub(super) fn received(&self, place: u32) -> Option<Object> {
        match lock(&self.0).as_ref()? {
            Ok(returned) => returned.objects.get(place as usize).cloned(),
            Err(_) => None,
        }
    }

    pub(super) fn cancel(&self) -> bool {
        end(&self.0, Err(ChildError::new("cancelled", "cancelled")));
        matches!(self.outcome(), Some(Err(error)) if error.kind == "cancelled")
    }
}

/// There is no host that knows tasks by their names.
pub(super) fn start(
    name: &str,
    _arguments: Encoded,
    _options: &Options,
) -> Result<RawChild, StartError> {
    Err(StartError {
        kind: StartErrorKind::NotAllowed,
        message: format!("`{name}` can be started only in a pool"),
    })
}

pub(super) fn start_entry(
    entry: &'static TaskEntry,
    arguments: Encoded,
    options: &Options,
) -> Result<RawChild, StartError> {
    if options.module.is_some() {
        return start(entry.name, arguments, options);
    }
    let outcome = Arc::new(Mutex::new(None));
    let child = RawChild(Arc::clone(&outcome));
    std::thread::spawn(move || {
        let Encoded { bytes, objects } = arguments;
        let called = catch_unwind(AssertUnwindSafe(|| {
            native::with_objects(objects, || {
                let mut arguments = Arguments::new(&bytes, entry.params)?;
                (entry.call)(&mut arguments)
            })
        }));
        end(
            &outcome,
            match called {
                Ok((Ok(bytes), objects)) => Ok(Returned { bytes, objects }),
                Ok((Err(failure), _)) => Err(failed(failure)),
                Err(panic) => Err(ChildError::new("trap", text(&*panic))),
            },
        );
    });
    Ok(child)
}

pub(super) fn wait(children: &[&RawChild], timeout: Option<Duration>) -> Result<Vec<u32>, String> {
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let mut ending = lock(&ENDING);
    loop {
        let ended = children.iter().zip(0..);
        let ended = ended.filter_map(|(child, place)| lock(&child.0).is_some().then_some(place));
        let ended = ended.collect::<Vec<_>>();
        if !ended.is_empty() || children.is_empty() {
            return Ok(ended);
        }
        ending = match deadline.map(|deadline| deadline.checked_duration_since(Instant::now())) {
            Some(None) => return Ok(ended),
            Some(Some(left)) => {
                let waited = ENDED.wait_timeout(ending, left);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => ENDED.wait(ending).unwrap_or_else(PoisonError::into_inner),
        };
    }
}

/// Writes the outcome of a child, unless it has one.
fn end(child: &Mutex<Option<Outcome>>, outcome: Outcome) {
    let ending = lock(&ENDING);
    lock(child).get_or_insert(outcome);
    drop(ending);
    ENDED.notify_all();
}

fn failed(failure: CallFailure) -> ChildError {
    match failure {
        CallFailure::BadArguments(message) => ChildError::new("bad-arguments", message),
        CallFailure::BadResult(message) => ChildError::new("bad-result", message),
        CallFailure::Failed(failure) => ChildError {
            kind: "failed".to_owned(),
            code: failure.code,
            message: failure.message,
        },
    }
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("it panicked: {}", text.unwrap_or("no message"))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
