//! `--session`: inputs that carry a key go to the instance of that key, one at a time, in order.
//!
//! Each key has a session of the pool. The inputs of a key wait here, not in the line of their
//! session: so it does not depend on the time which of them were there when the session ended.

use std::collections::{HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::anyhow;
use serde_json::Value;
use serde_json::value::RawValue;
use wasmpool::{
    Pool, Session, SessionError, SubmitError, TaskErrorKind, TaskFuture, TaskInfo, TaskModule,
};

use super::reporter::{AnyTask, Position, Reporter, Submission};
use super::tally::TOO_MANY_SESSIONS;
use crate::ending::{Problem, Result};
use crate::input;

/// The member of an input that is passed on, if there is only the key beside it.
const INPUT: &str = "input";

/// With fewer keys, those that are not in use are not worth removing.
const CLEAR_AT_LEAST: usize = 1024;

/// How many sessions there may be, unless the command line says so.
pub(super) const DEFAULT_MAX_SESSIONS: usize = 1000;

/// The sessions of a run.
pub(super) struct Sessions {
    pool: Pool,
    module: TaskModule,
    task: AnyTask,
    key: Key,
    restarts: bool,
    reporter: Reporter,
    lines: Mutex<Lines>,
}

/// By their keys.
#[derive(Default)]
struct Lines {
    by_key: HashMap<String, Arc<Line>>,
    /// At this many, those that are not in use are removed.
    clear_at: usize,
}

/// Where the key of an input is.
pub(super) struct Key {
    /// A JSON pointer.
    pointer: String,
    arity: RangeInclusive<usize>,
}

/// The session of one key, and the inputs that wait for it.
#[derive(Default)]
struct Line(Mutex<State>);

#[derive(Default)]
struct State {
    /// Begun for the first input.
    session: Option<Session>,
    waiting: VecDeque<Submission>,
    /// Whether a call of the session has not ended.
    is_busy: bool,
    /// Whether a thread is submitting calls. That thread sees what others change meanwhile.
    is_served: bool,
}

impl Key {
    /// The key that `--session` names, for the inputs of this task.
    pub(super) fn new(name: &str, task: &TaskInfo, is_program: bool) -> Result<Self> {
        if is_program {
            return Err(Problem::Usage(anyhow!(
                "`--session` is for tasks: a program starts anew for each input"
            )));
        }
        // An empty pointer is the whole input.
        let is_pointer = name.is_empty() || name.starts_with('/');
        let pointer = match is_pointer {
            true => name.to_owned(),
            false => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
        };
        let arity = task.arity();
        Ok(Self { pointer, arity })
    }

    /// The key of an input as JSON, and its arguments. `read` are those of the whole input.
    fn split(
        &self,
        text: &RawValue,
        read: std::result::Result<Vec<Value>, String>,
    ) -> std::result::Result<(String, Vec<Value>), String> {
        let value = serde_json::from_str::<Value>(text.get()).unwrap_or_default();
        let key = match value.pointer(&self.pointer) {
            Some(key) if !key.is_null() => key.to_string(),
            _ => {
                // An input that cannot be read has no key, either.
                read?;
                let pointer = &self.pointer;
                return Err(format!(
                    "it names no session: there is nothing at `{pointer}`"
                ));
            }
        };
        let arguments = match &value {
            Value::Object(members) if members.len() == 2 && self.is_member_of(members) => {
                match members.get(INPUT) {
                    Some(input) => input::spread(input.clone(), &self.arity),
                    None => read,
                }
            }
            _ => read,
        };
        Ok((key, arguments?))
    }

    /// Whether the key is a member of this object, and not of a part of it.
    fn is_member_of(&self, members: &serde_json::Map<String, Value>) -> bool {
        let name = self.pointer.strip_prefix('/');
        let name = name.filter(|name| !name.contains('/'));
        name.is_some_and(|name| {
            let name = name.replace("~1", "/").replace("~0", "~");
            name != INPUT && members.contains_key(&name)
        })
    }
}

impl Sessions {
    pub(super) fn new(
        pool: &Pool,
        module: &TaskModule,
        task: AnyTask,
        key: Key,
        restarts: bool,
        reporter: Reporter,
    ) -> Arc<Self> {
        Arc::new(Self {
            pool: pool.clone(),
            module: module.clone(),
            task,
            key,
            restarts,
            reporter,
            lines: Mutex::default(),
        })
    }

    /// Takes an input, which is submitted when those before it of the same key have ended. Returns
    /// whether more inputs are wanted.
    pub(super) fn take(
        self: &Arc<Self>,
        input: Position,
        text: Box<RawValue>,
        read: std::result::Result<Vec<Value>, String>,
    ) -> bool {
        let (key, arguments) = match self.key.split(&text, read) {
            Ok(split) => split,
            Err(problem) => return self.reporter.refuse(input, &text, &problem),
        };
        let line = lock(&self.lines).of(key);
        let submission = (input, text, arguments);
        lock(&line.0).waiting.push_back(submission);
        self.serve(&line);
        true
    }

    /// Submits what waits, until a call is under way or nothing is left.
    fn serve(self: &Arc<Self>, line: &Arc<Line>) {
        let mut state = lock(&line.0);
        if state.is_served {
            return;
        }
        state.is_served = true;
        while !state.is_busy
            && let Some((input, text, arguments)) = state.waiting.pop_front()
        {
            let session = state.session.clone();
            state.is_busy = true;
            drop(state);
            let is_under_way = self.submit(line, session, input, text, arguments);
            state = lock(&line.0);
            state.is_busy &= is_under_way;
        }
        state.is_served = false;
    }

    /// Submits a call. Returns whether it is under way: then its end has the line served again. Does
    /// not block, also on the reader's thread: a worker may wait for the same lock.
    fn submit(
        self: &Arc<Self>,
        line: &Arc<Line>,
        session: Option<Session>,
        input: Position,
        text: Box<RawValue>,
        arguments: Vec<Value>,
    ) -> bool {
        let mut n_submitted = lock(&self.reporter.submitted);
        let problem = match self.call(line, session, &arguments) {
            Ok(call) => {
                *n_submitted += 1;
                let (sessions, line) = (Arc::clone(self), Arc::clone(line));
                let then = move || {
                    lock(&line.0).is_busy = false;
                    sessions.serve(&line);
                };
                self.reporter.tell_when_done(input, text, &call, then);
                return true;
            }
            Err(problem) => problem,
        };
        drop(n_submitted);
        // If the main thread has stopped, the next input tells.
        let _ = match problem {
            Refused::ShutDown => false,
            Refused::NoSession(problem) => {
                let kind = TOO_MANY_SESSIONS;
                self.reporter.report_none(input, &text, kind, &problem)
            }
            Refused::BadInput(problem) => self.reporter.refuse(input, &text, &problem),
        };
        false
    }

    fn call(
        &self,
        line: &Line,
        session: Option<Session>,
        arguments: &[Value],
    ) -> std::result::Result<TaskFuture<wasmpool::Value>, Refused> {
        let session = match session {
            Some(session) => session,
            None => {
                let session = self.module.session(&self.pool)?;
                lock(&line.0).session = Some(session.clone());
                session
            }
        };
        loop {
            if let Some(error) = session.error()
                && (self.restarts || error.cause().is_none())
            {
                session.restart()?;
            }
            let call = session.submit(&self.task, arguments.to_vec())?;
            // It may have been idle for too long just now.
            let is_late = call.error().is_some_and(|error| {
                error.kind() == TaskErrorKind::SessionEnded && error.cause().is_none()
            });
            if !is_late {
                return Ok(call);
            }
        }
    }
}

impl Lines {
    /// The line of a key. Only the reader calls this, so a line without inputs stays without.
    fn of(&mut self, key: String) -> Arc<Line> {
        if self.by_key.len() >= self.clear_at {
            self.by_key.retain(|_, line| lock(&line.0).is_in_use());
            self.clear_at = CLEAR_AT_LEAST.max(2 * self.by_key.len());
        }
        Arc::clone(self.by_key.entry(key).or_default())
    }
}

impl State {
    /// Whether there is more to it than that it was idle for too long.
    fn is_in_use(&self) -> bool {
        let is_forgotten = match &self.session {
            Some(session) => session.error().is_some_and(|error| error.cause().is_none()),
            None => true,
        };
        self.is_busy || self.is_served || !self.waiting.is_empty() || !is_forgotten
    }
}

/// Why an input did not become a call.
enum Refused {
    ShutDown,
    NoSession(String),
    BadInput(String),
}

impl From<SessionError> for Refused {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::ShutDown => Self::ShutDown,
            SessionError::TooMany { max, .. } => Self::NoSession(format!(
                "there are {max} sessions already: raise `--max-sessions`, or end those that are \
                 idle with `--session-idle`"
            )),
            error => Self::NoSession(error.to_string()),
        }
    }
}

impl<Args> From<SubmitError<Args>> for Refused {
    fn from(error: SubmitError<Args>) -> Self {
        match error.is_shut_down() {
            true => Self::ShutDown,
            false => Self::BadInput(error.to_string()),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
