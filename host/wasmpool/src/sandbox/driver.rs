//! Runs a guest's future on the worker's own thread, and lets go of it on a stop request.

use std::cell::OnceCell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tokio::runtime::{Builder, Runtime};

use super::store::{Reach, Stopped};
use crate::call::Control;

/// The worker's means to wait: runtimes of one thread, its own. While no guest waits they are
/// not driven, and cost nothing.
pub(crate) struct Driver {
    /// Taken only by the drop.
    runtime: Option<Runtime>,
    /// For guests with a right to the network; made for the first of them.
    networked: OnceCell<Runtime>,
}

impl Driver {
    pub(crate) fn new() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        Ok(Self {
            runtime: Some(runtime),
            networked: OnceCell::new(),
        })
    }

    fn runtime(&self, reach: Reach) -> std::io::Result<&Runtime> {
        if reach == Reach::Timers {
            return Ok(self.runtime.as_ref().expect("it is there until the drop"));
        }
        if self.networked.get().is_none() {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            self.networked.get_or_init(|| runtime);
        }
        Ok(self.networked.get().expect("just made"))
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
        reach: Reach,
        future: impl Future<Output = wasmtime::Result<T>>,
    ) -> wasmtime::Result<T> {
        // The store's epoch deadline is set by now: a stop from here on moves the epoch past
        // it, and an earlier one is seen here.
        if control.is_forced() {
            return Err(Stopped.into());
        }
        let runtime = self.runtime(reach)?;
        let mut future = pin!(future);
        // Timers need to know their runtime, also on the first poll.
        let entered = runtime.enter();
        // Most guests never wait: they are through after one poll, with no runtime involved.
        // If this one waits it is polled again below, with a waker that works.
        if let Poll::Ready(output) = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            return in_time(control, output);
        }
        drop(entered);
        runtime.block_on(std::future::poll_fn(|context| {
            control.wake_on_force(context.waker());
            if control.is_forced() {
                return Poll::Ready(Err(Stopped.into()));
            }
            let output = std::task::ready!(future.as_mut().poll(context));
            Poll::Ready(in_time(control, output))
        }))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // A name that is looked up, or a file that is written, for a guest that was stopped:
        // it may take long yet, and nobody waits for it.
        for runtime in [self.runtime.take(), self.networked.take()] {
            runtime.into_iter().for_each(Runtime::shutdown_background);
        }
    }
}

/// What the guest came to, unless it was to halt before it came to anything.
fn in_time<T>(control: &Control, output: wasmtime::Result<T>) -> wasmtime::Result<T> {
    match output {
        Ok(_) if control.is_forced() => Err(Stopped.into()),
        output => output,
    }
}
