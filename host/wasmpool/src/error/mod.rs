//! What went wrong: one type for each operation.
//!
//! Does not know how errors are detected. The rooms above make these values.

mod build;
mod host_function;
mod kinds;
mod load;
mod reference;
mod session;
mod submit;
mod task;

pub use build::BuildError;
pub use host_function::{HostFunctionError, UnfitImport};
pub use kinds::{Fault, TaskErrorKind, TrapCode};
pub use load::LoadError;
pub use reference::TaskRefError;
pub use session::SessionError;
pub use submit::{SubmitError, SubmitErrorKind};
pub use task::{Frame, TaskError};
