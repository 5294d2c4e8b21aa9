//! How a guest waits for other tasks: for its children, and for what it shares with others.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use super::bindings::wasmpool::task0_2_0::objects::WaitError;
use crate::call::Control;

/// Waits for `event`, or for `timeout`: then there is no output. Fails if the call would have to wait
/// on its worker, which whoever it waits for may need.
pub(super) async fn wait_for<F: Future>(
    control: &Control,
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
