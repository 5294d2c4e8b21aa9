//! What the fuzz targets share: random types and values, components made of them, and pools with
//! small limits.
//!
//! The library's forms of values (MessagePack, JSON, WAVE, and the wire form between them) are its
//! own files, compiled here without the sandbox, since the targets look at what no caller sees.
//! Their paths stand here and nowhere else.

#![allow(
    dead_code,
    reason = "the library's files offer more than is looked at here"
)]

#[allow(missing_docs, unreachable_pub, unused_imports, clippy::all)]
#[path = "../../host/wasmpool/src/signature.rs"]
mod signature;
#[allow(missing_docs, unreachable_pub, unused_imports, clippy::all)]
#[path = "../../host/wasmpool/src/text.rs"]
mod text;
#[allow(missing_docs, unreachable_pub, unused_imports, clippy::all)]
#[path = "../../host/wasmpool/src/typed/mod.rs"]
mod typed;
#[allow(missing_docs, unreachable_pub, unused_imports, clippy::all)]
#[path = "../../host/wasmpool/src/value.rs"]
mod value;

#[cfg(feature = "pool")]
#[path = "../../tests/library/echo/component.rs"]
mod component;

pub mod forms;
pub mod memory;
#[cfg(feature = "pool")]
pub mod pools;
pub mod random;
pub mod wat_types;

pub use arbitrary::Unstructured;
pub use signature::{Signature, Type};
pub use value::Value;

/// A component with `echo: func(value: T) -> tuple<T>`.
#[cfg(feature = "pool")]
pub fn echo_component(ty: &Type) -> Vec<u8> {
    component::echo(ty)
}
