//! A task that ends with whoever waits for it.

use std::pin::Pin;
use std::task::{Context, Poll};

use serde::de::DeserializeOwned;
use wasmpool::{TaskError, TaskFuture};

/// A task that is cancelled when this is dropped before the task has ended. A `TaskFuture` that is
/// dropped lets its task run.
pub(crate) struct CancelOnDrop<Out>(TaskFuture<Out>);

impl<Out> CancelOnDrop<Out> {
    pub(crate) fn new(future: TaskFuture<Out>) -> Self {
        Self(future)
    }
}

impl<Out: DeserializeOwned> Future for CancelOnDrop<Out> {
    type Output = Result<Out, TaskError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<Out> Drop for CancelOnDrop<Out> {
    fn drop(&mut self) {
        // After the end of the task this changes nothing.
        self.0.cancel();
    }
}
