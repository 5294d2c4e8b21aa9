//! WASI: what a guest may use of the host, programs, and the interfaces that are not taken from
//! wasmtime-wasi as they are.

mod capabilities;
pub(super) mod captured;
pub(super) mod files;
pub(super) mod network;
#[cfg_attr(not(feature = "preview1"), path = "no_preview1.rs")]
pub(super) mod preview1;
pub(super) mod program;
pub(super) mod refusals;
pub(super) mod rights;
pub(super) mod time;

pub use capabilities::{Access, Capabilities, GrantError};
