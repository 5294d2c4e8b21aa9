//! The wire form of typed values: what goes out comes back, and bytes of anybody are refused or
//! read, by all readers alike, within what may be made of them.

#![no_main]

use std::collections::HashMap;

use arbitrary::Result;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use wasmpool_fuzz::forms::{counted, decode, encode, to_wave, to_wave_cut};
use wasmpool_fuzz::{Type, Unstructured, Value, memory, random};

/// What may be made beside values: of messages and paths.
const SLACK: usize = 64 << 10;

fuzz_target!(|data: &[u8]| {
    let _ = check(&mut Unstructured::new(data));
});

fn check(input: &mut Unstructured<'_>) -> Result<()> {
    let ty = random::any_type(input, random::DEPTH)?;
    let value = random::any_value(input, &ty)?;
    let wire = encode(&ty, &value).unwrap();
    let back: Value = decode(&ty, &wire, usize::MAX).unwrap();
    assert_eq!(back, value, "{ty}");
    let limit = input.int_in_range(0..=64 << 10)?;
    check_bytes(&ty, &wire, limit);
    if !input.is_empty() {
        // What a similar type has is nearly right.
        let similar = random::similar_type(input, &ty)?;
        let value = random::any_value(input, &similar)?;
        check_bytes(&ty, &encode(&similar, &value).unwrap(), limit);
        let mut corrupted = wire;
        random::corrupt(input, &mut corrupted)?;
        check_bytes(&ty, &corrupted, limit);
    }
    check_bytes(&ty, input.bytes(input.len())?, limit);
    Ok(())
}

/// Bytes of anybody.
fn check_bytes(ty: &Type, bytes: &[u8], limit: usize) {
    // All readers agree on what is valid, and whoever skips a value makes nothing of it.
    let skipped = memory::within(SLACK, bytes, || decode::<IgnoredAny>(ty, bytes, usize::MAX));
    let value: std::result::Result<Value, _> = decode(ty, bytes, usize::MAX);
    let json: std::result::Result<Json, _> = decode(ty, bytes, usize::MAX);
    let wave = to_wave(ty, bytes);
    assert_eq!(skipped.is_ok(), value.is_ok(), "{ty} {bytes:?}");
    assert_eq!(json.is_ok(), value.is_ok(), "{ty} {bytes:?}");
    assert_eq!(wave.is_ok(), value.is_ok(), "{ty} {bytes:?}");
    // As much is made as is counted, up to the limit, and it is counted as documented.
    let most = 3 * limit + bytes.len() + SLACK;
    let limited = memory::within(most, bytes, || decode::<Value>(ty, bytes, limit));
    let cut = memory::within(limit + SLACK, bytes, || to_wave_cut(ty, bytes, limit / 4));
    if let Ok(value) = &value {
        assert_eq!(limited.is_ok(), counted(ty, value) <= limit, "{ty}");
        assert!(cut.is_ok());
        // What was read is written, and the same by way of JSON.
        let written = encode(ty, value).unwrap();
        assert_eq!(&decode::<Value>(ty, &written, usize::MAX).unwrap(), value);
        assert_eq!(encode(ty, &json.unwrap()).unwrap(), written);
    } else {
        assert!(limited.is_err());
    }
    // Types that ask for something in particular.
    read_as::<Everything>(ty, bytes, limit);
    read_as::<Flat>(ty, bytes, limit);
    read_as::<Untagged>(ty, bytes, limit);
    read_as::<Vec<Option<String>>>(ty, bytes, limit);
    read_as::<HashMap<String, Value>>(ty, bytes, limit);
    read_as::<(u8, i64, f32)>(ty, bytes, limit);
    read_as::<std::result::Result<char, Vec<u8>>>(ty, bytes, limit);
    read_as::<&str>(ty, bytes, limit);
    read_as::<&[u8]>(ty, bytes, limit);
}

fn read_as<'de, T: Deserialize<'de> + Serialize>(ty: &Type, bytes: &'de [u8], limit: usize) {
    if let Ok(value) = decode::<T>(ty, bytes, limit) {
        // It may be written in another way, for which other types are meant.
        let _ = encode(ty, &value);
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Everything {
    A,
    BC(Box<Everything>),
    Some(Vec<i64>, u8),
    #[serde(rename_all = "camelCase")]
    X1Y {
        a: Option<String>,
        some: Option<Vec<Everything>>,
        true_: Option<Option<bool>>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct Flat {
    a: Option<bool>,
    #[serde(flatten)]
    rest: HashMap<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(f64),
    Text(String),
    List(Vec<Untagged>),
    Map(HashMap<String, Untagged>),
    Null,
}
