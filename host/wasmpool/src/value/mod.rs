//! Bytes and types: arguments and results as MessagePack, signatures and typed values, the JSON
//! form and WAVE, and bounded text for messages.
//!
//! Does not know the engine or tasks.

mod host_arguments;
mod message_pack;
mod signature;
pub(crate) mod text;
mod typed;

pub use host_arguments::HostArguments;
pub use message_pack::{Arguments, IntoArguments, Value};
pub(crate) use message_pack::{decode, decode_result, encode, encode_arguments};
pub use signature::{Signature, Type, Uncallable};
#[cfg(feature = "wave")]
pub use typed::WaveError;
pub use typed::{ArgumentError, json_form};
pub(crate) use typed::{
    SampleBudget, decode as decode_typed, decode_arguments, encode_result, gives_result,
    takes_arguments, to_wave_cut,
};
