//! A guest's future, and how it is let go of on a stop request.

use std::future::poll_fn;
use std::pin::pin;
use std::task::{Poll, ready};

use super::store::Stopped;
use crate::call::Control;

/// Runs `future` to its end, or until the task must stop.
///
/// Two things stop a guest: the epoch, which makes a computing guest return an error
/// here, and this look at each poll, which drops the future of a guest that waits in the host. One
/// that was compiled without looks at the epoch comes back when it is done, and that is too
/// late. Whoever polls has left a waker for the stop ([`Control::wake_on_force`]) if the guest
/// waits.
pub(super) async fn until_stopped<T>(
    control: &Control,
    future: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    let mut future = pin!(future);
    poll_fn(|context| {
        // The store's epoch deadline is set by now: a stop from here on moves the epoch past
        // it, and an earlier one is seen here.
        if control.is_forced() {
            return Poll::Ready(Err(Stopped.into()));
        }
        let output = ready!(future.as_mut().poll(context));
        Poll::Ready(match output {
            Ok(_) if control.is_forced() => Err(Stopped.into()),
            output => output,
        })
    })
    .await
}
