//! MessagePack, as tasks without a signature have it, and values along a type that come from it.

#![no_main]

use arbitrary::Result;
use libfuzzer_sys::fuzz_target;
use wasmpool_fuzz::{Unstructured, Value, forms, memory, random};

fuzz_target!(|data: &[u8]| {
    let _ = check(&mut Unstructured::new(data));
});

fn check(input: &mut Unstructured<'_>) -> Result<()> {
    let ty = random::any_type(input, random::DEPTH)?;
    // What is a value along the type, is the same by way of MessagePack.
    let value = random::any_value(input, &ty)?;
    let bytes = forms::to_messagepack(&value).unwrap();
    assert_eq!(read(&bytes).unwrap(), value);
    if !input.is_empty() {
        let similar = random::similar_type(input, &ty)?;
        let value = random::any_value(input, &similar)?;
        check_bytes(&ty, &forms::to_messagepack(&value).unwrap());
        let mut corrupted = bytes;
        random::corrupt(input, &mut corrupted)?;
        check_bytes(&ty, &corrupted);
    }
    check_bytes(&ty, input.bytes(input.len())?);
    Ok(())
}

/// Bytes of anybody.
fn check_bytes(ty: &wasmpool_fuzz::Type, bytes: &[u8]) {
    let Ok(value) = read(bytes) else {
        return;
    };
    // What was read is written in the one way that we have, and read from there as it was.
    let written = forms::to_messagepack(&value).unwrap();
    let again = read(&written).unwrap();
    assert_eq!(forms::to_messagepack(&again).unwrap(), written);
    if let Ok(wire) = forms::encode(ty, &value) {
        let typed: Value = forms::decode(ty, &wire, usize::MAX).unwrap();
        assert_eq!(forms::encode(ty, &typed).unwrap(), wire);
    }
}

/// Reads a value, in as much memory as it may take: of each byte at most a pair of two values, in a
/// list that has just been made twice as large; and what the data announces, at each level.
fn read(bytes: &[u8]) -> std::result::Result<Value, String> {
    const PAIR: usize = 2 * size_of::<Value>();
    const LEVELS: usize = 1024;
    const ANNOUNCED: usize = 256 * PAIR;
    let limit = bytes.len() * (PAIR + PAIR / 2) + LEVELS * ANNOUNCED + (64 << 10);
    memory::within(limit, bytes, || forms::from_messagepack(bytes))
}
