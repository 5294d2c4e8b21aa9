//! The extension module `_wasmpool`: pools of Python interpreters, and of any modules, in sandboxes.
//!
//! It passes bytes. What they mean is known to the Python sources beside it (`python/wasmpool`) and to
//! the guest (`guest-tasks/python`).

mod delivery;
mod engine;
mod host_calls;
mod modules;
mod rights;

use pyo3::prelude::*;

/// The native half of the package `wasmpool`. Use that; this has no stable interface.
#[pymodule]
mod _wasmpool {
    #[pymodule_export]
    use crate::delivery::Call;
    #[pymodule_export]
    use crate::engine::{Engine, SessionHandle, TaskReference, compile_guest};
    #[pymodule_export]
    use crate::host_calls::HostCallRequest;
    #[pymodule_export]
    use crate::modules::{LoadedModule, ModulePool, ModuleTask};
    #[pymodule_export]
    use crate::rights::Rights;
}
