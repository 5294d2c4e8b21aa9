//! WASI: the rights of guests, programs, and those interfaces that are not used from wasmtime-wasi
//! as they are.

mod capabilities;
pub(super) mod captured;
pub(super) mod files;
#[cfg_attr(not(feature = "http"), path = "no_http.rs")]
pub(super) mod http;
pub(super) mod network;
#[cfg_attr(not(feature = "preview1"), path = "no_preview1.rs")]
pub(super) mod preview1;
pub(super) mod program;
pub(super) mod refusals;
pub(super) mod rights;
pub(super) mod stdio;
pub(super) mod time;

pub use capabilities::{Access, Capabilities, GrantError};
