//! A state that several threads and tasks change, and the lines of those who wait for it to change.
//!
//! Whoever waits stands in a line, and is served when it is its turn and the state allows it: where
//! order matters, no later one comes first. A change wakes only those who can go on by now. Who is
//! woken and gives up instead (its task was stopped, its timeout is over) has the others looked
//! after, so no wake-up is lost.

use std::collections::VecDeque;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::sync::{Arc, Mutex, MutexGuard, lock};

/// The state of a [`Monitor`].
pub(super) trait State: Send {
    /// Whether those who wait are served in order. If not, each goes on as soon as it can.
    const IN_ORDER: bool = true;

    /// Wakes those who can go on by now. Called after every change, and when somebody has left a
    /// line.
    fn wake(&mut self, lines: &mut Lines);
}

/// How many lines a monitor has.
const N_LINES: usize = 2;

pub(super) struct Monitor<S> {
    inner: Mutex<Inner<S>>,
}

struct Inner<S> {
    state: S,
    lines: Lines,
}

/// The lines of those who wait.
#[derive(Default)]
pub(super) struct Lines {
    lines: [VecDeque<Waiter>; N_LINES],
    next: u64,
    /// Those to wake once the lock is given back.
    woken: Woken,
}

struct Waiter {
    ticket: u64,
    /// `None` once it was woken, until it waits again.
    waker: Option<Waker>,
}

/// Mostly nobody is woken, or one.
#[derive(Default)]
enum Woken {
    #[default]
    Nobody,
    One(Waker),
    Several(Vec<Waker>),
}

impl Lines {
    /// How many wait in this line.
    pub(super) fn len(&self, line: usize) -> usize {
        self.lines[line].len()
    }

    /// Wakes the first of a line.
    pub(super) fn wake_first(&mut self, line: usize) {
        let first = self.lines[line].front_mut();
        if let Some(waker) = first.and_then(|waiter| waiter.waker.take()) {
            self.woken.add(waker);
        }
    }

    /// Wakes all of a line.
    pub(super) fn wake_all(&mut self, line: usize) {
        for waiter in &mut self.lines[line] {
            if let Some(waker) = waiter.waker.take() {
                self.woken.add(waker);
            }
        }
    }

    /// Stands in a line, in the place that it has by now or at the end, with this waker. Swaps the
    /// waker for the former one.
    fn stand(&mut self, line: usize, ticket: Option<u64>, waker: &mut Option<Waker>) -> u64 {
        let line = &mut self.lines[line];
        let place = ticket.map(|ticket| line.binary_search_by_key(&ticket, |waiter| waiter.ticket));
        match (ticket, place) {
            (Some(ticket), Some(Ok(place))) => {
                mem::swap(&mut line[place].waker, waker);
                ticket
            }
            _ => {
                let ticket = self.next;
                self.next += 1;
                let waker = waker.take();
                line.push_back(Waiter { ticket, waker });
                ticket
            }
        }
    }

    fn leave(&mut self, line: usize, ticket: u64) -> Option<Waiter> {
        let line = &mut self.lines[line];
        let place = line.binary_search_by_key(&ticket, |waiter| waiter.ticket);
        line.remove(place.ok()?)
    }
}

impl Woken {
    fn add(&mut self, waker: Waker) {
        *self = match mem::take(self) {
            Self::Nobody => Self::One(waker),
            Self::One(first) => Self::Several(vec![first, waker]),
            Self::Several(mut wakers) => {
                wakers.push(waker);
                Self::Several(wakers)
            }
        };
    }

    fn wake(self) {
        match self {
            Self::Nobody => {}
            Self::One(waker) => waker.wake(),
            Self::Several(wakers) => wakers.into_iter().for_each(Waker::wake),
        }
    }
}

impl<S: State> Monitor<S> {
    pub(super) fn new(state: S) -> Self {
        Self {
            inner: Mutex::new(Inner {
                state,
                lines: Lines::default(),
            }),
        }
    }

    /// Looks at the state.
    pub(super) fn look<R>(&self, look: impl FnOnce(&S) -> R) -> R {
        look(&lock(&self.inner).state)
    }

    /// Changes the state, and wakes those who can go on then.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut S, &Lines) -> R) -> R {
        let mut inner = lock(&self.inner);
        let Inner { state, lines } = &mut *inner;
        let result = change(state, lines);
        Self::give_back(inner);
        result
    }

    /// Gives the lock back after a change, and wakes those who can go on by now.
    fn give_back(mut inner: MutexGuard<'_, Inner<S>>) {
        let Inner { state, lines } = &mut *inner;
        state.wake(lines);
        let woken = mem::take(&mut lines.woken);
        drop(inner);
        woken.wake();
    }

    /// Waits in this line until it is its turn and `attempt` succeeds. `attempt` is called with the
    /// state, and changes it only if it succeeds.
    pub(super) fn wait<R, F>(self: &Arc<Self>, line: usize, attempt: F) -> Wait<S, F>
    where
        F: FnMut(&mut S) -> Option<R> + Unpin,
    {
        Wait {
            monitor: Arc::clone(self),
            line,
            ticket: None,
            attempt,
        }
    }
}

/// A wait for something.
pub(crate) trait Waiting: Future {
    /// What it waits for, if it is there by now. Does not wait for a turn in the line.
    fn now(self) -> Option<Self::Output>;
}

/// Somebody who waits. Leaves the line when it is dropped.
pub(crate) struct Wait<S: State, F> {
    monitor: Arc<Monitor<S>>,
    line: usize,
    /// Its place in the line, while it waits.
    ticket: Option<u64>,
    attempt: F,
}

impl<S: State, F> Wait<S, F> {
    /// Goes on, if it can; if not, and there is a waker, stands in the line with it.
    fn attempt<R>(&mut self, waker: &mut Option<Waker>) -> Option<R>
    where
        F: FnMut(&mut S) -> Option<R>,
    {
        let mut inner = lock(&self.monitor.inner);
        let Inner { state, lines } = &mut *inner;
        let first = lines.lines[self.line].front().map(|waiter| waiter.ticket);
        let is_turn = !S::IN_ORDER || first.is_none() || first == self.ticket;
        let Some(done) = is_turn.then(|| (self.attempt)(state)).flatten() else {
            // What it swaps the waker for is dropped without the lock.
            if waker.is_some() {
                self.ticket = Some(lines.stand(self.line, self.ticket, waker));
            }
            return None;
        };
        let ticket = self.ticket.take();
        // Its waker is dropped without the lock.
        let _waiter = ticket.and_then(|ticket| lines.leave(self.line, ticket));
        Monitor::give_back(inner);
        Some(done)
    }
}

impl<R, S: State, F: FnMut(&mut S) -> Option<R> + Unpin> Future for Wait<S, F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R> {
        let this = Pin::into_inner(self);
        // Most need not wait.
        if let Some(done) = this.attempt(&mut None) {
            return Poll::Ready(done);
        }
        // Somebody else's code, which runs without the lock.
        let mut waker = Some(context.waker().clone());
        match this.attempt(&mut waker) {
            Some(done) => Poll::Ready(done),
            None => Poll::Pending,
        }
    }
}

impl<R, S: State, F: FnMut(&mut S) -> Option<R> + Unpin> Waiting for Wait<S, F> {
    fn now(mut self) -> Option<R> {
        self.attempt(&mut None)
    }
}

impl<S: State, F> Drop for Wait<S, F> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else {
            return;
        };
        let mut inner = lock(&self.monitor.inner);
        let _waiter = inner.lines.leave(self.line, ticket);
        Monitor::give_back(inner);
    }
}
