//! The concurrency primitives that the other rooms use.
//!
//! A room of their own, so that the model checker can replace them (`tests/model`).

mod contain;
mod primitives;
pub(crate) mod spin;

pub(crate) use contain::{contain_panic, panic_text};
pub(crate) use primitives::*;
