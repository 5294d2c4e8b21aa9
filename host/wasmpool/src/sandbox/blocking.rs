//! Runs a guest on the calling thread, for guests that run on no worker: those that list tasks.

use std::future::poll_fn;
use std::pin::pin;

use tokio::runtime::{Builder, Runtime};

use super::halting::until_stopped;
use crate::call::Control;

/// A runtime on the calling thread.
pub(crate) struct BlockingDriver(Runtime);

impl BlockingDriver {
    pub(crate) fn new() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().build()?;
        Ok(Self(runtime))
    }

    /// Runs `future` to its end, or until the task must stop. Blocks for as long as it runs.
    pub(super) fn run<T>(
        &self,
        control: &Control,
        future: impl Future<Output = wasmtime::Result<T>>,
    ) -> wasmtime::Result<T> {
        let future = pin!(future);
        let mut future = pin!(until_stopped(control, None, future));
        self.0.block_on(poll_fn(|context| {
            control.wake_on_force(context.waker());
            future.as_mut().poll(context)
        }))
    }
}
