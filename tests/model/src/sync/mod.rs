//! The library's room of the same name, with the primitives of the model checker.

#[path = "../../../../host/wasmpool/src/sync/contain.rs"]
mod contain;
mod primitives;
#[path = "../../../../host/wasmpool/src/sync/spin.rs"]
pub(crate) mod spin;

pub(crate) use contain::{contain_panic, panic_text};
pub(crate) use primitives::*;
