//! Runs a guest's future on the worker's own thread, and lets go of it on a stop request.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::store::Stopped;
use crate::control::Control;

/// The worker's means to wait: a runtime of one thread, its own. While no guest waits it is
/// not driven, and costs nothing.
pub(crate) struct Driver {
    runtime: tokio::runtime::Runtime,
}

impl Driver {
    pub(crate) fn new() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        Ok(Self { runtime })
    }

    /// Runs `future` to its end, or until the task must stop.
    ///
    /// Two things stop a guest: the epoch, which makes a computing guest return an error
    /// here, and this race, which drops the future of a guest that waits in the host. One that
    /// was compiled without looks at the epoch comes back when it is done, and that is too
    /// late.
    pub(super) fn run<T>(
        &self,
        control: &Control,
        future: impl Future<Output = wasmtime::Result<T>>,
    ) -> wasmtime::Result<T> {
        // The store's epoch deadline is set by now: a stop from here on moves the epoch past
        // it, and an earlier one is seen here.
        if control.is_forced() {
            return Err(Stopped.into());
        }
        let mut future = pin!(future);
        // Timers need to know their runtime, also on the first poll.
        let entered = self.runtime.enter();
        // Most guests never wait: they are through after one poll, with no runtime involved.
        // If this one waits it is polled again below, with a waker that works.
        if let Poll::Ready(output) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return in_time(control, output);
        }
        drop(entered);
        self.runtime.block_on(std::future::poll_fn(|context| {
            control.wake_on_force(context.waker());
            if control.is_forced() {
                return Poll::Ready(Err(Stopped.into()));
            }
            let output = std::task::ready!(future.as_mut().poll(context));
            Poll::Ready(in_time(control, output))
        }))
    }
}

/// What the guest came to, unless it was to halt before it came to anything.
fn in_time<T>(control: &Control, output: wasmtime::Result<T>) -> wasmtime::Result<T> {
    match output {
        Ok(_) if control.is_forced() => Err(Stopped.into()),
        output => output,
    }
}
