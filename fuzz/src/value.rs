//! The library's room of the same name, compiled without the sandbox, with its forms of values open
//! to the targets, which look at what no caller sees. The paths of the library's files stand here
//! and nowhere else.

#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    unused_imports,
    clippy::all,
    reason = "the library's files offer more than is looked at here"
)]

#[path = "../../host/wasmpool/src/value/host_arguments.rs"]
mod host_arguments;
#[path = "../../host/wasmpool/src/value/message_pack.rs"]
mod message_pack;
#[path = "../../host/wasmpool/src/value/signature.rs"]
mod signature;
#[path = "../../host/wasmpool/src/value/text.rs"]
pub(crate) mod text;
#[path = "../../host/wasmpool/src/value/typed/mod.rs"]
pub(crate) mod typed;

pub use host_arguments::HostArguments;
pub use message_pack::{Arguments, Value};
pub(crate) use message_pack::{decode, encode};
pub use signature::{Signature, Type, Uncallable};
