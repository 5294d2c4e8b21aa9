//! The extension module `_wasmpool`: a pool of Python interpreters in sandboxes.
//!
//! It passes bytes. What they mean is known to the Python sources beside it (`python/wasmpool`) and to
//! the guest (`guest-tasks/python`).

mod engine;
mod host_calls;
mod outcome;
mod rights;

use pyo3::prelude::*;

/// The native half of the package `wasmpool`. Use that; this has no stable interface.
#[pymodule]
mod _wasmpool {
    #[pymodule_export]
    use crate::engine::{Call, Engine, SessionHandle, TaskReference, compile_guest};
    #[pymodule_export]
    use crate::host_calls::HostCallRequest;
    #[pymodule_export]
    use crate::rights::Rights;
}
