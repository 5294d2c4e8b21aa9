//! How a guest waits for other tasks: for its children, and for what it shares with others.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::bindings::wasmpool::task0_2_0::objects::WaitError;
use crate::call::Control;

/// How long a guest keeps its worker before it is suspended: about as long as that takes, and as it
/// takes to go on.
const SPIN: Duration = Duration::from_micros(4);

/// How often a guest may spin in vain before it does so only now and then.
const PATIENCE: u8 = 4;

/// How often it does then: once in so many waits.
const NOW_AND_THEN: u8 = 64;

/// Whether it is worth it to spin before a wait. Whoever is waited for may run on another thread, and
/// be done within a microsecond; or it may need just this worker.
#[derive(Default)]
pub(super) struct Spinner {
    /// How often it was in vain in a row.
    n_vain: u8,
    n_waits: u8,
}

impl Spinner {
    /// Polls until there is an output, for a short while.
    fn spin<R>(&mut self, mut poll: impl FnMut() -> Poll<R>) -> Poll<R> {
        self.n_waits = (self.n_waits + 1) % NOW_AND_THEN;
        if self.n_vain >= PATIENCE && self.n_waits != 0 {
            return Poll::Pending;
        }
        let started = Instant::now();
        while started.elapsed() < SPIN {
            for _ in 0..4 {
                std::hint::spin_loop();
            }
            let polled = poll();
            if polled.is_ready() {
                self.n_vain = 0;
                return polled;
            }
        }
        self.n_vain = PATIENCE.min(self.n_vain + 1);
        Poll::Pending
    }
}

/// Waits for `event`, or for `timeout`: then there is no output. Fails if the call would have to wait
/// on its worker, which whoever it waits for may need.
///
/// A spinner is for what often comes at once.
pub(super) async fn wait_for<F: Future>(
    control: &Control,
    mut spinner: Option<&mut Spinner>,
    timeout: Option<Duration>,
    event: F,
) -> Result<Option<F::Output>, WaitError> {
    let mut event = pin!(event);
    // Made at the first poll: most events are there by then, or there is no timeout.
    let mut is_over = pin!(elapse(timeout));
    let mut waits = false;
    let waited = poll_fn(|context| {
        if let Poll::Ready(output) = event.as_mut().poll(context) {
            return Poll::Ready(Ok(Some(output)));
        }
        if timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Poll::Ready(Ok(None));
        }
        if !waits {
            if let Some(spinner) = &mut spinner {
                let polled = spinner.spin(|| event.as_mut().poll(context));
                if let Poll::Ready(output) = polled {
                    return Poll::Ready(Ok(Some(output)));
                }
            }
            waits = true;
            control.set_waits_for_tasks(true);
        }
        if control.is_wait_refused() {
            return Poll::Ready(Err(WaitError::NoPlace(
                "as many tasks wait as the pool has places for \
                 (`PoolBuilder::max_suspended`), or this one's module has too many memories or \
                 tables to wait"
                    .to_owned(),
            )));
        }
        is_over.as_mut().poll(context).map(|()| Ok(None))
    });
    let waited = waited.await;
    if waits {
        control.set_waits_for_tasks(false);
    }
    waited
}

/// Waits until the timeout is over; without one, for ever.
pub(super) async fn elapse(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => pending().await,
    }
}
