//! The primitives of concurrency that everything here stands on.
//!
//! A room of their own, so that the model checker can put its own in their place (`tests/model`).

mod contain;
mod primitives;
pub(crate) mod spin;

pub(crate) use contain::contain_panic;
pub(crate) use primitives::*;
