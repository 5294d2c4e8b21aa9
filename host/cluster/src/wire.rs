//! Messages of this crate to MessagePack and back.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Encodes a message of this crate.
pub(crate) fn encode(message: &impl Serialize) -> Vec<u8> {
    rmp_serde::to_vec_named(message).expect("such types can be written as MessagePack")
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    rmp_serde::from_slice(bytes).map_err(|error| error.to_string())
}
