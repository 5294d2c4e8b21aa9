//! What the fuzz targets share: random types and values, components made of them, and pools with
//! small limits.

#[cfg(feature = "pool")]
#[path = "../../tests/library/echo/component.rs"]
mod component;

pub mod forms;
pub mod memory;
#[cfg(feature = "pool")]
pub mod pools;
pub mod random;
mod value;
#[cfg(feature = "pool")]
pub mod wat_types;

pub use arbitrary::Unstructured;
pub use value::{Signature, Type, Value};

/// A component with `echo: func(value: T) -> tuple<T>`.
#[cfg(feature = "pool")]
pub fn echo_component(ty: &Type) -> Vec<u8> {
    component::echo(ty)
}
