//! One session: an instance that is kept from call to call, and the calls that wait for it.
//!
//! One call at a time has its *turn*: it is in the pool's queue, or it runs. The others wait in the
//! session's own line, so a session with many calls takes no more of the queue's attention than one
//! with few. Each call holds a [`Turn`] from its submission on, as part of what its job carries.
//! The drop of that passes the turn on to the next call. So whatever becomes of a call (it has run,
//! or was cancelled, or expired in the queue), the line moves on.
//!
//! A call with the turn takes the instance when a worker begins it, and gives it back after a clean
//! return. If the instance does not come back, the session has ended: the calls in the line fail, and
//! so do later ones, until the session is begun anew.
//!
//! Calls in the line are promised to the queue ([`Queue::promise`](super::queue::Queue::promise)), so
//! that the workers of a closed pool stay for them.
//!
//! While the lock of the state is held no other is taken but that of the pool's list of sessions: in
//! that list a session is live exactly when its state is.

use std::collections::VecDeque;

use super::active_call::Ready;
use super::sessions::{SessionPlace, Sessions};
use super::work_item::{JobRef, Left};
use crate::error::{SessionError, TaskError, TaskErrorKind};
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::{Arc, Instant, Mutex, MutexGuard, lock};

/// Why a session has ended whose pool was shut down.
pub(super) const POOL_SHUT_DOWN: &str = "the pool is shut down";

/// In lines that are no longer than this, calls that have ended are not worth removing.
const CLEAR_AT_LEAST: usize = 64;

/// What a [`Session`](crate::Session) does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionState {
    /// It has no call, and waits for one.
    Idle,
    /// It has calls: one has its turn, others may wait.
    Busy,
    /// It has ended. Calls fail with
    /// [`SessionEnded`](crate::TaskErrorKind::SessionEnded) until it is
    /// [restarted](crate::Session::restart).
    Ended,
}

pub(crate) struct SessionLine {
    sessions: Arc<Sessions>,
    /// Its number among the sessions of the pool.
    number: u64,
    next_turn: AtomicU64,
    /// Whether the session has an instance now. Written by whoever changes the state, with the lock
    /// held; read by the queue without it, for the call that has its turn.
    has_instance: AtomicBool,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// The call that has its turn.
    current: Option<Current>,
    /// Those that wait for their turn, with their numbers.
    line: VecDeque<(u64, JobRef)>,
    /// At this length, calls that have ended are removed from the line.
    clear_at: usize,
    /// Set when the session is to end after its calls: why.
    closing: Option<&'static str>,
    /// When the session had its last call.
    idle_since: Instant,
    /// Whether the watchdog looks later whether the session is idle.
    has_alarm: bool,
}

enum Phase {
    Live(Kept),
    /// The error of calls that come now.
    Ended(TaskError),
}

/// What a session keeps between two calls, and the call has while it runs. The place is given back
/// after the instance.
#[derive(Default)]
pub(crate) struct Kept {
    /// `None` before the first call has ended, and while a call has it.
    instance: Left,
    /// `None` while a call has it.
    place: Option<SessionPlace>,
}

struct Current {
    number: u64,
    job: JobRef,
    /// Whether the call has ended and has yet to pass the turn on.
    is_over: bool,
    /// Whether the session was begun anew since the call got its turn: then its instance does not
    /// come back.
    is_stale: bool,
}

/// The right of a call to run in its session when its turn comes. Passes the turn on when dropped.
pub(crate) struct Turn {
    session: Arc<SessionLine>,
    number: u64,
    /// The session's place, while the call has the instance.
    place: Option<SessionPlace>,
    progress: Progress,
}

#[derive(PartialEq, Eq)]
enum Progress {
    Waiting,
    Begun,
    Over,
}

/// Names the turn of a call.
#[derive(Clone)]
pub(crate) struct TurnId {
    session: Arc<SessionLine>,
    number: u64,
}

/// What the watchdog has found when it looked whether a session is idle.
pub(crate) enum Idle {
    /// It was idle for too long, and has ended. This is left to be dropped.
    Ended(Kept),
    /// It is to be looked at again then.
    Until(Instant),
    /// It is not idle, or has ended before.
    No,
}

impl SessionLine {
    pub(super) fn new(sessions: &Arc<Sessions>, number: u64, place: SessionPlace) -> Arc<Self> {
        Arc::new(Self {
            sessions: Arc::clone(sessions),
            number,
            next_turn: AtomicU64::new(0),
            has_instance: AtomicBool::new(false),
            state: Mutex::new(State {
                phase: Phase::Live(Kept {
                    instance: None,
                    place: Some(place),
                }),
                current: None,
                line: VecDeque::new(),
                clear_at: CLEAR_AT_LEAST,
                closing: None,
                idle_since: Instant::now(),
                has_alarm: false,
            }),
        })
    }

    /// The turn of a new call.
    pub(crate) fn turn(self: &Arc<Self>) -> Turn {
        Turn {
            session: Arc::clone(self),
            number: self.next_turn.fetch_add(1, Ordering::SeqCst),
            place: None,
            progress: Progress::Waiting,
        }
    }

    pub(crate) fn session_state(&self) -> SessionState {
        let state = self.lock();
        let is_current = state.current.as_ref().is_some_and(|call| !call.is_over);
        let waits = |(_, job): &(u64, JobRef)| job.settled().is_none();
        match state.phase {
            Phase::Ended(_) => SessionState::Ended,
            Phase::Live(_) if is_current || state.line.iter().any(waits) => SessionState::Busy,
            Phase::Live(_) => SessionState::Idle,
        }
    }

    /// The error of calls that come now, if the session has ended.
    pub(crate) fn error(&self) -> Option<TaskError> {
        match &self.lock().phase {
            Phase::Ended(error) => Some(error.clone()),
            Phase::Live(_) => None,
        }
    }

    /// A call that was promised to the queue joins the line; it fails if the session has ended.
    pub(super) fn join(self: &Arc<Self>, call: JobRef) {
        let number = call.with_queued(|work| work.turn.as_ref().map(|turn| turn.number));
        let Some(number) = number.flatten() else {
            // It has ended already.
            return self.sessions.queue.withdraw(1);
        };
        let mut state = self.lock();
        let refusal = match &state.phase {
            Phase::Ended(error) => Some(error.clone()),
            Phase::Live(_) => state.closing.map(|why| TaskError::session_ended(why, None)),
        };
        if let Some(error) = refusal {
            drop(state);
            self.sessions.queue.withdraw(1);
            return self.sessions.fail([call], &error);
        }
        let mut n_dead = 0;
        if state.line.len() >= state.clear_at {
            let n_before = state.line.len();
            state.line.retain(|(_, call)| call.settled().is_none());
            n_dead = n_before - state.line.len();
            state.clear_at = CLEAR_AT_LEAST.max(2 * state.line.len());
        }
        state.line.push_back((number, call));
        drop(state);
        self.sessions.queue.withdraw(n_dead);
        self.go_on();
    }

    /// Gives the next call its turn, unless a call has it. Without a call the session is idle, or ends
    /// if it is to.
    pub(super) fn go_on(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.current.is_some() {
            return;
        }
        if let Phase::Ended(error) = &state.phase {
            let error = error.clone();
            let line = std::mem::take(&mut state.line);
            drop(state);
            self.sessions.queue.withdraw(line.len());
            let calls = line.into_iter().map(|(_, call)| call);
            return self.sessions.fail(calls, &error);
        }
        let n_before = state.line.len();
        let next = loop {
            match state.line.pop_front() {
                Some((_, call)) if call.settled().is_some() => {}
                next => break next,
            }
        };
        let n_dead = n_before - state.line.len() - usize::from(next.is_some());
        match next {
            None => self.rest(state),
            Some((number, job)) => {
                state.current = Some(Current {
                    number,
                    job: Arc::clone(&job),
                    is_over: false,
                    is_stale: false,
                });
                drop(state);
                self.admit(job);
            }
        }
        self.sessions.queue.withdraw(n_dead);
    }

    /// Puts the call whose turn it is into the pool's queue.
    fn admit(&self, call: JobRef) {
        let queue = &self.sessions.queue;
        let Some(line) = call.with_queued(|work| work.line.clone()) else {
            // It has ended just now. Whoever has ended it passes the turn on.
            return queue.withdraw(1);
        };
        if let Err(Ready::Task(call)) = queue.admit(Ready::Task(call), line) {
            // The queued tasks were cancelled just now, and so are these.
            let line = self.take_line();
            self.sessions.cancel([call].into_iter().chain(line));
        }
    }

    /// Sees to a session without a call.
    fn rest(self: &Arc<Self>, mut state: MutexGuard<'_, State>) {
        let is_shut_down = self.sessions.is_closed().then_some(POOL_SHUT_DOWN);
        if let Some(why) = state.closing.or(is_shut_down) {
            let kept = self.end(&mut state, TaskError::session_ended(why, None));
            drop(state);
            return drop(kept);
        }
        let Some(timeout) = self.sessions.idle_timeout() else {
            return;
        };
        state.idle_since = Instant::now();
        let due = state.idle_since.checked_add(timeout);
        let due = due.filter(|_| !std::mem::replace(&mut state.has_alarm, true));
        drop(state);
        if let Some(due) = due {
            self.sessions.watchdog.look_at_session(due, self);
        }
    }

    /// Ends a session that is live. What it has kept is to be dropped without the lock.
    fn end(&self, state: &mut State, error: TaskError) -> Kept {
        self.has_instance.store(false, Ordering::SeqCst);
        self.sessions.leave(self.number);
        match std::mem::replace(&mut state.phase, Phase::Ended(error)) {
            Phase::Live(kept) => kept,
            Phase::Ended(_) => Kept::default(),
        }
    }

    /// Takes out the calls that wait for their turn.
    pub(super) fn take_line(&self) -> Vec<JobRef> {
        let line = std::mem::take(&mut self.lock().line);
        self.sessions.queue.withdraw(line.len());
        line.into_iter().map(|(_, call)| call).collect()
    }

    /// Refuses calls from now on, and ends the session after those that it has accepted.
    pub(crate) fn close(self: &Arc<Self>, why: &'static str) {
        self.lock().closing.get_or_insert(why);
        self.go_on();
    }

    /// Begins anew, with a fresh instance. Calls of before that have not ended fail, and one that
    /// runs is stopped. Calls callbacks.
    pub(crate) fn restart(self: &Arc<Self>) -> Result<(), SessionError> {
        let mut state = self.lock();
        if self.sessions.is_closed() {
            return Err(SessionError::ShutDown);
        }
        let mut fresh = Kept::default();
        let mut former = None;
        let error = match &mut state.phase {
            Phase::Live(kept) => {
                // A call that has the place hands it over when it has ended.
                fresh.place = kept.place.take();
                former = kept.instance.take();
                TaskError::session_ended("it was restarted", None)
            }
            Phase::Ended(error) => {
                fresh.place = Some(self.sessions.place()?);
                self.sessions.enter(self.number, self)?;
                error.clone()
            }
        };
        state.phase = Phase::Live(fresh);
        self.has_instance.store(false, Ordering::SeqCst);
        state.closing = None;
        let line = std::mem::take(&mut state.line);
        let unfinished = state.current.as_mut().filter(|call| !call.is_over);
        let current = unfinished.map(|call| {
            call.is_stale = true;
            Arc::clone(&call.job)
        });
        drop(state);
        drop(former);
        self.sessions.queue.withdraw(line.len());
        let line = line.into_iter().map(|(_, call)| call);
        let mut settled = Vec::new();
        for call in current.iter().map(Arc::clone).chain(line) {
            if call.fail_queued(error.clone()) {
                settled.push(call);
            }
        }
        if let Some(current) = current {
            // If it was not in the queue any more.
            current.cancel("cancelled: the session was restarted");
        }
        self.go_on();
        settled.iter().for_each(|call| call.call_back());
        Ok(())
    }

    /// Ends the session if it is idle for too long.
    pub(super) fn end_if_idle(&self, now: Instant) -> Idle {
        let mut state = self.lock();
        let is_busy = state.current.is_some() || !state.line.is_empty();
        let is_live = matches!(state.phase, Phase::Live(_));
        let timeout = self.sessions.idle_timeout();
        let due = timeout.and_then(|timeout| state.idle_since.checked_add(timeout));
        match due {
            Some(due) if is_live && !is_busy && due > now => Idle::Until(due),
            Some(_) if is_live && !is_busy => {
                state.has_alarm = false;
                let timeout = timeout.unwrap_or_default();
                let why = format!("it was idle for longer than {timeout:?}");
                Idle::Ended(self.end(&mut state, TaskError::session_ended(&why, None)))
            }
            _ => {
                state.has_alarm = false;
                Idle::No
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Turn {
    /// The number that names it.
    pub(crate) fn id(&self) -> TurnId {
        TurnId {
            session: Arc::clone(&self.session),
            number: self.number,
        }
    }

    /// Whether the session has an instance for the call, whose turn it is.
    pub(crate) fn has_instance(&self) -> bool {
        self.session.has_instance.load(Ordering::SeqCst)
    }

    /// The call begins: takes the instance. `None` if one is to be made.
    pub(crate) fn begin(&mut self) -> Left {
        self.progress = Progress::Begun;
        let mut state = self.session.lock();
        let State { phase, current, .. } = &mut *state;
        let is_ours = |call: &Current| call.number == self.number && !call.is_stale;
        match phase {
            Phase::Live(kept) if current.as_ref().is_some_and(is_ours) => {
                self.session.has_instance.store(false, Ordering::SeqCst);
                self.place = kept.place.take();
                kept.instance.take()
            }
            // The session was begun anew just now, and the call is being stopped.
            _ => None,
        }
    }

    /// The call has ended. It gives the instance back or, if there is none, ends the session because
    /// of `failure`. The next call gets its turn when this is dropped.
    pub(crate) fn end(&mut self, left: Left, failure: impl FnOnce() -> TaskError) {
        self.progress = Progress::Over;
        let place = self.place.take();
        let error = left.is_none().then(failure);
        let session = &self.session;
        let mut state = session.lock();
        let State { phase, current, .. } = &mut *state;
        let current = current.as_mut().filter(|call| call.number == self.number);
        let Some(current) = current else {
            // The session has given the call up.
            drop(state);
            return drop((left, place));
        };
        current.is_over = true;
        match (phase, error) {
            (Phase::Live(kept), _) if current.is_stale => {
                kept.place = kept.place.take().or(place);
                drop(state);
                drop(left);
            }
            (Phase::Live(kept), None) => {
                *kept = Kept {
                    instance: left,
                    place,
                };
                session.has_instance.store(true, Ordering::SeqCst);
            }
            (Phase::Live(_), Some(error)) => {
                let kept = session.end(&mut state, error);
                drop(state);
                drop((kept, place));
            }
            (Phase::Ended(_), _) => {
                drop(state);
                drop((left, place));
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.progress == Progress::Begun {
            let lost = TaskError::new(TaskErrorKind::Internal, "its worker panicked");
            self.end(None, || {
                TaskError::session_ended("a call is lost", Some(lost))
            });
        }
        let mut state = self.session.lock();
        let former = state
            .current
            .take_if(|current| current.number == self.number);
        drop(state);
        // It may still be in the line, which removes it when it comes across it.
        if former.is_some() {
            self.session.go_on();
        }
    }
}

impl TurnId {
    /// Ends the session without the call, which was stopped and still has the instance.
    pub(super) fn give_up(&self, cause: TaskError) {
        let Self { session, number } = self;
        let mut state = session.lock();
        let State { phase, current, .. } = &mut *state;
        let is_ours = |call: &mut Current| call.number == *number && !call.is_over;
        let Some(former) = current.take_if(is_ours) else {
            return;
        };
        let why = "a call was stopped and did not end";
        let mut error = Some(TaskError::session_ended(why, Some(cause)));
        if let (true, Phase::Live(kept)) = (former.is_stale, phase) {
            // The session was begun anew, for which the call would have handed its place over.
            error = None;
            if kept.place.is_none() {
                match session.sessions.place() {
                    Ok(place) => kept.place = Some(place),
                    Err(none) => {
                        error = Some(TaskError::session_ended(&none.to_string(), None));
                    }
                }
            }
        }
        let kept = error.map(|error| session.end(&mut state, error));
        drop(state);
        drop(kept);
        session.go_on();
    }
}
