//! Typed values: arguments and results of functions that have a signature.
//!
//! Knows nothing of the engine that makes values of its own out of the wire form.
#![allow(dead_code, unused_imports, unreachable_pub)] // Until it is wired.

mod decode;
mod encode;
mod given;
mod names;
mod number;
mod path;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use decode::decode;
pub(crate) use encode::encode_arguments;
pub use path::ArgumentError;
