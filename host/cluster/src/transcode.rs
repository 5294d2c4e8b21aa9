//! From the bytes of a message to the arguments of a pool, and from a pool's results to bytes.
//!
//! A node does not know the types of a task. It passes values on from one serde format to the other,
//! without building them in between.

use rmp_serde::decode::Error;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One argument, as MessagePack.
pub(crate) struct Argument(Vec<u8>);

/// A result of any type, as MessagePack.
pub(crate) struct Encoded(pub(crate) Vec<u8>);

impl Serialize for Argument {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = reader(&self.0);
        serde_transcode::transcode(&mut bytes, serializer)
    }
}

impl<'de> Deserialize<'de> for Encoded {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bytes = Vec::new();
        let mut encoder = rmp_serde::Serializer::new(&mut bytes).with_human_readable();
        serde_transcode::transcode(deserializer, &mut encoder).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// Writes arguments or another value as tasks read them: structs as maps.
pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut encoder = rmp_serde::Serializer::new(&mut bytes)
        .with_struct_map()
        .with_human_readable();
    let encoded = value.serialize(&mut encoder);
    encoded.map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Reads the result of a task.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    T::deserialize(&mut reader(bytes)).map_err(|error| error.to_string())
}

/// The elements of an array of arguments.
pub(crate) fn split(bytes: &[u8]) -> Result<Vec<Argument>, String> {
    let mut rest = bytes;
    let not_an_array = |_| "the arguments are no array of MessagePack".to_owned();
    let n_arguments = rmp::decode::read_array_len(&mut rest).map_err(not_an_array)?;
    // The announced length may be false, so nothing is reserved for it.
    let mut arguments = Vec::new();
    for _ in 0..n_arguments {
        let before = rest;
        let skipped = IgnoredAny::deserialize(&mut rmp_serde::Deserializer::new(&mut rest));
        skipped.map_err(|error: Error| format!("the arguments are not MessagePack: {error}"))?;
        let length = before.len() - rest.len();
        arguments.push(Argument(before[..length].to_vec()));
    }
    match rest.is_empty() {
        true => Ok(arguments),
        false => Err("there are bytes after the arguments".to_owned()),
    }
}

fn reader(
    bytes: &[u8],
) -> rmp_serde::Deserializer<
    rmp_serde::decode::ReadRefReader<'_, [u8]>,
    rmp_serde::config::HumanReadableConfig<rmp_serde::config::DefaultConfig>,
> {
    rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn arguments_are_split_and_passed_on_as_they_are() {
        #[derive(Serialize)]
        struct Point {
            x: f64,
        }
        let map = BTreeMap::from([("a", vec![1_u64, 2]), ("b", vec![])]);
        let bytes = encode(&(7_u64, "text", &map, Point { x: 0.5 }, None::<u8>)).unwrap();
        let arguments = split(&bytes).unwrap();
        assert_eq!(arguments.len(), 5);
        assert_eq!(encode(&arguments).unwrap(), bytes);
    }

    #[test]
    fn a_result_is_passed_on_as_it_is() {
        let bytes = encode(&(1_u64, -5_i64, "text", serde_bytes::Bytes::new(b"bytes"))).unwrap();
        let Encoded(passed_on) = decode(&bytes).unwrap();
        assert_eq!(passed_on, bytes);
    }

    #[test]
    fn what_is_no_array_of_arguments_is_refused() {
        // A number, a false length, bytes after the end, nesting without end.
        let nested = vec![0x91; 100_000];
        for bytes in [
            &b"\x07"[..],
            b"\xdd\xff\xff\xff\xff",
            b"\x91\x01\x02",
            &nested,
        ] {
            assert!(split(bytes).is_err(), "{:?}", &bytes[..bytes.len().min(8)]);
        }
    }
}
