//! Typed values: arguments and results of functions that have a signature.
//!
//! Knows nothing of the engine that makes values of its own out of the wire form.
//!
//! A job is plain bytes. So arguments are checked against the signature and written in the wire
//! form on the caller's side, a worker walks that form along the same types and makes the
//! engine's values, and the result comes back in it. It is MessagePack, canonical and without
//! names:
//!
//! - truth values, integers and floats are what MessagePack has for them, integers in their
//!   shortest form and floats in the width of their type; a `char` and a `string` are texts;
//! - `list<u8>` is binary, other lists are arrays, and so are tuples and, by place, records;
//! - an `enum` is the index of its case, a `variant` an array of that index and, if the case has
//!   one, its value; `flags` are an array of the indices that are set, ascending;
//! - an `option` is nil or an array of one value; a `result` is an array of 0 for ok or 1 for
//!   err and, if there is one, the value;
//! - arguments are one array, and a function that gives nothing gives nil.
//!
//! What programs see in its place, where they have no types of their own, is the
//! [JSON form](json_form).

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
#[cfg(all(test, feature = "wave"))]
mod random;
mod schema;
#[cfg(all(test, feature = "wave"))]
mod tests;
#[cfg(feature = "wave")]
mod wave;
mod wave_text;
mod wire;

pub(crate) use decode::{ANY_VALUE, decode};
pub(crate) use encode::encode_arguments;
pub use path::ArgumentError;
#[cfg(feature = "wave")]
pub use wave::WaveError;
pub(crate) use wave_text::to_wave_cut;
