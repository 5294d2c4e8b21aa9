//! Calls of the sandboxed code to functions of the Python program.
//!
//! A call waits in a channel until a Python thread takes it, and its task is suspended until that
//! thread has replied.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Poll, Waker};

use crossbeam_channel::{Receiver, Sender};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_bytes::ByteBuf;
use wasmpool::{HostCall, HostFunctionError, HostFunctions, HostResult};

/// The only import of the interpreter, which carries the names of functions with it.
pub(crate) const HOST_FUNCTION: &str = "python-sandbox:interpreter/host@0.1.0#call";

/// A result, or an encoded exception.
type Reply = Result<ByteBuf, ByteBuf>;

/// A call of the sandboxed code that waits for its reply.
#[pyclass(frozen)]
pub(crate) struct HostCallRequest {
    /// The name of the function.
    #[pyo3(get)]
    name: String,
    arguments: Vec<u8>,
    call: HostCall,
    slot: Arc<Mutex<Slot>>,
}

#[derive(Default)]
struct Slot {
    reply: Option<Reply>,
    waker: Option<Waker>,
    /// Set when nobody will reply any more.
    is_abandoned: bool,
}

#[pymethods]
impl HostCallRequest {
    /// The encoded arguments.
    #[getter]
    fn arguments<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.arguments)
    }

    /// The ticket of the call that this one comes from; 0 for a session's.
    #[getter]
    fn ticket(&self) -> u64 {
        self.call
            .tag()
            .and_then(|tag| tag.parse().ok())
            .unwrap_or_default()
    }

    /// Whether the task is being stopped, so that nobody takes the reply.
    #[getter]
    fn is_stopping(&self) -> bool {
        self.call.is_stopping()
    }

    /// Ends the call with an encoded result, or with an encoded exception.
    fn reply(&self, is_result: bool, encoded: &[u8]) {
        let encoded = ByteBuf::from(encoded);
        self.wake(Some(if is_result { Ok(encoded) } else { Err(encoded) }));
    }
}

impl HostCallRequest {
    fn wake(&self, reply: Option<Reply>) {
        let mut slot = lock(&self.slot);
        slot.is_abandoned = reply.is_none() && slot.reply.is_none();
        if slot.reply.is_none() {
            slot.reply = reply;
        }
        let waker = slot.waker.take();
        drop(slot);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Drop for HostCallRequest {
    fn drop(&mut self) {
        self.wake(None);
    }
}

/// The functions of a pool of interpreters, and the calls of them.
pub(crate) fn functions() -> Result<(HostFunctions, Receiver<HostCallRequest>), HostFunctionError> {
    let (sender, receiver) = crossbeam_channel::unbounded();
    let functions = HostFunctions::new().add_async(
        HOST_FUNCTION,
        move |call: HostCall, (name, arguments): (String, ByteBuf)| {
            answered(sender.clone(), call, name, arguments.into_vec())
        },
    )?;
    Ok((functions, receiver))
}

async fn answered(
    calls: Sender<HostCallRequest>,
    call: HostCall,
    name: String,
    arguments: Vec<u8>,
) -> HostResult<Reply> {
    let slot = Arc::new(Mutex::new(Slot::default()));
    let request = HostCallRequest {
        name,
        arguments,
        call,
        slot: Arc::clone(&slot),
    };
    calls
        .send(request)
        .map_err(|_| "the program takes no more calls")?;
    poll_fn(move |context| {
        let mut slot = lock(&slot);
        if let Some(reply) = slot.reply.take() {
            return Poll::Ready(Ok(reply));
        }
        if slot.is_abandoned {
            return Poll::Ready(Err("nobody has replied to the call".into()));
        }
        slot.waker = Some(context.waker().clone());
        Poll::Pending
    })
    .await
}

fn lock(slot: &Mutex<Slot>) -> std::sync::MutexGuard<'_, Slot> {
    // Nothing panics while it holds the lock.
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
