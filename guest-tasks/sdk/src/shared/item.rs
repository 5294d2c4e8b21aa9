//! The items of queues and the entries of maps as bytes: MessagePack, as arguments are.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::travel;
use crate::__private::{describe, to_bytes};

/// The error is a message.
pub(super) fn encode(item: &impl Serialize) -> Result<Vec<u8>, String> {
    // A put may be part of encoding an argument.
    travel::sending_nowhere(|| to_bytes(item)).map_err(|error| error.to_string())
}

/// The error is a message.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let mut decoder = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
    travel::receiving_nowhere(|| T::deserialize(&mut decoder))
        .map_err(|error| describe(&error, std::any::type_name::<T>()))
}
