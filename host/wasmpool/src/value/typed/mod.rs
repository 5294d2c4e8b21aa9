//! Typed values: arguments and results of functions that have a signature.
//!
//! Does not know the engine, which makes its own values from the wire form.
//!
//! Queued arguments are plain bytes. The caller's side checks arguments against the signature and
//! writes them in the wire form; a worker reads that form by the same types into the engine's
//! values, and writes the result in it. The wire form is MessagePack, canonical and without names:
//!
//! - booleans, integers and floats are those of MessagePack, integers in their shortest form and
//!   floats in the width of their type; a `char` and a `string` are texts;
//! - `list<u8>` is binary; other lists, tuples and records (by position) are arrays;
//! - an `enum` is the index of its case, a `variant` an array of that index and, if the case has
//!   one, its value; `flags` are an array of the indices that are set, ascending;
//! - an `option` is nil or an array of one value; a `result` is an array of 0 for ok or 1 for
//!   err and, if there is one, the value;
//! - arguments are one array; the result of a function without one is nil.
//!
//! Programs without types for the values see the [JSON form](json_form).

mod decode;
#[cfg_attr(
    not(feature = "wave"),
    allow(
        dead_code,
        unused_imports,
        reason = "some of it is for what WAVE reads"
    )
)]
mod encode;
mod given;
pub mod json_form;
mod names;
mod number;
mod path;
mod probe;
#[cfg(all(test, feature = "wave"))]
mod random;
mod schema;
#[cfg(all(test, feature = "wave"))]
mod tests;
#[cfg(feature = "wave")]
mod wave;
mod wave_text;
mod wire;

pub(crate) use decode::{ANY_VALUE, decode, decode_arguments};
pub(crate) use encode::{encode_arguments, encode_result};
pub use path::ArgumentError;
pub(crate) use probe::{SampleBudget, gives_result, takes_arguments};
#[cfg(feature = "wave")]
pub use wave::WaveError;
pub(crate) use wave_text::to_wave_cut;
