//! Functions of the embedder: what is offered, what a component imports of it, and the calls.
//!
//! [`functions`] is what embedders see, [`closure`] runs their code, [`import`] is a function as a
//! component imports it, and [`link`] joins the two when a component is loaded.

mod call;
mod closure;
mod functions;
mod import;
mod link;
mod name;

pub(crate) use call::Caller;
pub use call::HostCall;
pub use functions::{HostFunctions, HostResult};
pub(crate) use import::{Failed, HostImport, NotGranted};
pub(crate) use link::{BoundFunction, link};
pub(crate) use name::{FunctionName, InterfaceName};
