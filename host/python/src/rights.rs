//! The rights of sandboxes, as Python states them.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use wasmpool::{Access, Capabilities};

use crate::host_calls::HOST_FUNCTION;

/// What the code in a sandbox may use of its host.
#[pyclass(frozen)]
#[derive(Clone)]
pub(crate) struct Rights(pub(crate) Capabilities);

#[pymethods]
impl Rights {
    /// `dirs` are pairs of a folder of the host and its path in the sandbox, and whether it may be
    /// written. `env` are variables, `net` addresses as `host:port`. With `functions`, functions of the
    /// host can be called.
    #[new]
    fn new(
        dirs: Vec<(String, String, bool)>,
        env: Vec<(String, String)>,
        net: Vec<String>,
        functions: bool,
    ) -> PyResult<Self> {
        let refused = |error: wasmpool::GrantError| PyValueError::new_err(error.to_string());
        let mut rights = Capabilities::new();
        for (host, guest, is_writable) in dirs {
            let access = match is_writable {
                true => Access::ReadWrite,
                false => Access::ReadOnly,
            };
            rights = rights.dir(host, guest, access).map_err(refused)?;
        }
        for (name, value) in env {
            rights = rights.env(name, value);
        }
        for address in net {
            rights = rights.net(&address).map_err(refused)?;
        }
        if functions {
            rights = rights.host_function(HOST_FUNCTION).map_err(refused)?;
        }
        Ok(Self(rights))
    }
}
