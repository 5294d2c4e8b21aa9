//! JSON texts as values of a type, and the JSON form of such values.

#![no_main]

use arbitrary::Result;
use libfuzzer_sys::fuzz_target;
use serde_json::Value as Json;
use wasmpool_fuzz::forms::{decode, encode, encode_arguments, signature_of};
use wasmpool_fuzz::{Type, Unstructured, Value, random};

fuzz_target!(|data: &[u8]| {
    let _ = check(&mut Unstructured::new(data));
});

fn check(input: &mut Unstructured<'_>) -> Result<()> {
    let ty = random::any_type(input, random::DEPTH)?;
    let value = random::any_value(input, &ty)?;
    // The JSON form, as text, means the same.
    let wire = encode(&ty, &value).unwrap();
    let text = serde_json::to_string(&value).unwrap();
    let (any, json) = parsed(&text).unwrap();
    assert_eq!(encode(&ty, &any).unwrap(), wire);
    assert_eq!(encode(&ty, &json).unwrap(), wire);
    let back: Json = decode(&ty, &wire, usize::MAX).unwrap();
    assert_eq!(back, json);
    if !input.is_empty() {
        let similar = random::similar_type(input, &ty)?;
        let value = random::any_value(input, &similar)?;
        check_text(&ty, &serde_json::to_string(&value).unwrap());
        let mut corrupted = text.into_bytes();
        random::corrupt(input, &mut corrupted)?;
        check_text(&ty, &String::from_utf8_lossy(&corrupted));
    }
    let rest = input.bytes(input.len())?;
    check_text(&ty, &String::from_utf8_lossy(rest));
    Ok(())
}

/// A text as a [`Value`], and as a value of `serde_json`. Objects with the same name twice, of which
/// that keeps the last, are none of ours.
fn parsed(text: &str) -> Option<(Value, Json)> {
    let any: Value = serde_json::from_str(text).ok()?;
    let json: Json = serde_json::from_str(text).unwrap();
    has_distinct_names(&any).then_some((any, json))
}

fn has_distinct_names(value: &Value) -> bool {
    match value {
        Value::List(values) => values.iter().all(has_distinct_names),
        Value::Map(pairs) => {
            let is_new = |index: usize| pairs[..index].iter().all(|pair| pair.0 != pairs[index].0);
            (0..pairs.len()).all(is_new) && pairs.iter().all(|pair| has_distinct_names(&pair.1))
        }
        _ => true,
    }
}

/// A text of anybody.
fn check_text(ty: &Type, text: &str) {
    let Some((any, json)) = parsed(text) else {
        return;
    };
    // Both say the same, and write the same.
    let written = serde_json::to_string(&any).unwrap();
    let again: Json = serde_json::from_str(&written).unwrap();
    assert_eq!(again, json);
    let encoded = encode(ty, &any);
    match (&encoded, encode(ty, &json)) {
        (Ok(one), Ok(other)) => assert_eq!(one, &other),
        (Err(_), Err(_)) => {}
        (one, other) => panic!("{ty} {text}: {one:?} {other:?}"),
    }
    if let Ok(wire) = encoded {
        // It is of the type now, and in the form that we give.
        let value: Value = decode(ty, &wire, usize::MAX).unwrap();
        assert_eq!(encode(ty, &value).unwrap(), wire);
        let json: Json = decode(ty, &wire, usize::MAX).unwrap();
        let (any, _) = parsed(&json.to_string()).unwrap();
        assert_eq!(encode(ty, &any).unwrap(), wire);
    }
    // An array of arguments, of which options at the end may be missing.
    if let Value::List(arguments) = &any {
        let option = Type::Option(Box::new(Type::U8));
        let signature = signature_of(&[ty.clone(), option], None);
        let _ = encode_arguments(&signature, arguments);
    }
}
