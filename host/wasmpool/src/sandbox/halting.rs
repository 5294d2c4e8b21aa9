//! Stops the future of a guest on a stop request.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use super::store::Stopped;
use super::wasi::time::VirtualTime;
use crate::call::Control;

/// Runs `future` to its end, or until the task must stop. It is pinned by the caller: as an argument
/// of an async function it would lie in that one's future twice.
///
/// Two things stop a guest. The epoch makes a computing guest return an error. The check at each
/// poll, here, gives up the future of a guest that waits in the host. Code that was compiled without
/// epoch checks returns when it is done, and counts as stopped if the request came before. If the
/// guest waits, the poller must have left a waker for the stop ([`Control::wake_on_force`]).
///
/// `time` is the virtual time of a deterministic guest, which passes when the guest waits.
pub(super) async fn until_stopped<T>(
    control: &Control,
    time: Option<&VirtualTime>,
    mut future: Pin<&mut impl Future<Output = wasmtime::Result<T>>>,
) -> wasmtime::Result<T> {
    poll_fn(|context| {
        // The store's epoch deadline is set by now. A later stop moves the epoch past it; an
        // earlier stop is seen here.
        if control.is_forced() {
            return Poll::Ready(Err(Stopped.into()));
        }
        let Poll::Ready(output) = future.as_mut().poll(context) else {
            if let Some(time) = time
                && !control.has_yielded()
            {
                time.pass();
            }
            return Poll::Pending;
        };
        Poll::Ready(match output {
            Ok(_) if control.is_forced() => Err(Stopped.into()),
            output => output,
        })
    })
    .await
}
