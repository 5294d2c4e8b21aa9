//! The library's room of the same name, without values along signatures.

#[path = "../../../../host/wasmpool/src/value/message_pack.rs"]
mod message_pack;
#[path = "../../../../host/wasmpool/src/value/signature.rs"]
mod signature;
#[path = "../../../../host/wasmpool/src/value/text.rs"]
pub(crate) mod text;
mod typed;

pub use message_pack::Arguments;
pub(crate) use message_pack::decode_result;
pub use signature::{Signature, Type, Uncallable};
