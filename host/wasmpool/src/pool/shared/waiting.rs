//! How a thread of the program waits for a shared object.

use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

// A `Waker` is made of the standard library's `Arc`.
use std::sync::Arc as StdArc;

use crate::sync::{Condvar, Instant, Mutex, lock, wait};

/// How long a thread waits.
#[derive(Clone, Copy)]
pub(super) enum Patience {
    For(Duration),
    Forever,
}

/// Wakes a thread.
#[derive(Default)]
struct Bell {
    has_rung: Mutex<bool>,
    rings: Condvar,
}

impl Wake for Bell {
    fn wake(self: StdArc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &StdArc<Self>) {
        *lock(&self.has_rung) = true;
        self.rings.notify_one();
    }
}

/// Blocks until the event, or until the patience is over: then there is no output.
pub(super) fn block_on<F: Future>(event: F, patience: Patience) -> Option<F::Output> {
    let deadline = match patience {
        Patience::Forever => None,
        // A deadline that overflows `Instant` never comes.
        Patience::For(time) => Instant::now().checked_add(time),
    };
    let mut event = pin!(event);
    // Most events are there by now.
    let mut context = Context::from_waker(Waker::noop());
    if let Poll::Ready(output) = event.as_mut().poll(&mut context) {
        return Some(output);
    }
    let bell = StdArc::new(Bell::default());
    let waker = Waker::from(StdArc::clone(&bell));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = event.as_mut().poll(&mut context) {
            return Some(output);
        }
        let mut has_rung = lock(&bell.has_rung);
        while !*has_rung {
            has_rung = wait(&bell.rings, has_rung, deadline).ok()?;
        }
        *has_rung = false;
    }
}
