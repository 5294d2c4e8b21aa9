//! Results that a guest makes of garbage: pointers out of its memory, huge lengths, no texts.

#![no_main]

use std::sync::LazyLock;

use arbitrary::Result;
use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use wasmpool::{Pool, TaskErrorKind as Kind, TrapCode};
use wasmpool_fuzz::forms::{counted, encode};
use wasmpool_fuzz::pools::{DECODED_LIMIT, PAYLOAD_LIMIT};
use wasmpool_fuzz::wat_types::Definitions;
use wasmpool_fuzz::{Type, Unstructured, Value, memory, pools, random};

/// How many garbages go through one component, which takes far longer to make than to call.
const MOST_GARBAGES: usize = 8;

/// Where the garbage lies in the guest's memory.
const GARBAGE: u32 = 1024;

/// The size of that memory.
const MEMORY: u32 = 2 << 16;

static POOL: LazyLock<Pool> = LazyLock::new(pools::pool);

fuzz_target!(|data: &[u8]| {
    let _ = check(&mut Unstructured::new(data));
});

fn check(input: &mut Unstructured<'_>) -> Result<()> {
    let ty = random::any_type(input, random::DEPTH)?;
    let text = component(input, &ty)?;
    let module = POOL
        .load_bytes(text.as_bytes())
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    let task = module.task::<(Value,), ()>("f").unwrap();
    let signature = task.info().signature.as_ref().unwrap();
    let result = signature.result.as_ref().unwrap();
    assert_eq!(result.to_string(), ty.to_string());
    for _ in 0..MOST_GARBAGES {
        let garbage = any_garbage(input)?;
        let future = POOL.submit(&task, (Value::Bytes(garbage),)).unwrap();
        // The same result for everybody, in as much memory as is promised.
        let skipped = memory::within(SLACK, &ty, || future.wait_as::<IgnoredAny>());
        let limit = 3 * DECODED_LIMIT + PAYLOAD_LIMIT + SLACK;
        let value = memory::within(limit, &ty, || future.wait_as::<Value>());
        match (skipped, value) {
            (Ok(_), Ok(value)) => check_value(&ty, &value),
            (Ok(_), Err(error)) => {
                // It is too large for a value of this kind, and in no other way bad.
                assert_eq!(error.kind(), Kind::BadResult, "{error}");
                assert!(error.message().contains("payload_limit"), "{error}");
            }
            (Err(error), Err(_)) => {
                pools::check_told(&error);
                match error.kind() {
                    Kind::Trap(TrapCode::ComponentRule) | Kind::OutputLimit | Kind::Failed => {}
                    _ => panic!("{ty}: {error:?}\n{text}"),
                }
            }
            (Err(error), Ok(value)) => panic!("{ty}: {error:?} {value:?}"),
        }
        if input.is_empty() {
            break;
        }
    }
    Ok(())
}

/// What may be made beside values: of messages and paths.
const SLACK: usize = 64 << 10;

/// A value out of garbage is one of its type.
fn check_value(ty: &Type, value: &Value) {
    let ty = match ty {
        Type::Result { ok: Some(ok), .. } => ok,
        Type::Result { ok: None, .. } => return assert_eq!(value, &Value::Null),
        ty => ty,
    };
    let wire = encode(ty, value).unwrap();
    assert!(wire.len() <= PAYLOAD_LIMIT);
    assert!(counted(ty, value) <= DECODED_LIMIT);
}

/// A component with `f: func(garbage: list<u8>) -> T`, which gives the garbage for a `T`.
fn component(input: &mut Unstructured<'_>, ty: &Type) -> Result<String> {
    let mut definitions = Definitions::default();
    let result = definitions.whole(ty);
    let core = result.core_result();
    let encoding = *input.choose(&["utf8", "utf8", "utf16", "latin1+utf16"])?;
    let allocated = match input.ratio(1, 16)? {
        true => any_word(input)?,
        false => GARBAGE,
    };
    let body = match (result.flat.len(), input.ratio(1, 16)?) {
        (1, _) => format!("({core}.load (i32.const {GARBAGE}))"),
        (_, true) => format!("(i32.const {})", any_word(input)? as i32),
        (_, false) => "(local.get 0)".to_owned(),
    };
    Ok(format!(
        r#"(component
            (core module $m
                (memory (export "memory") {})
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (i32.const {}))
                (func (export "f") (param i32 i32) (result {core}) {body})
                (func (export "post") (param {core})))
            (core instance $i (instantiate $m))
            {}
            (func $f (param "garbage" (list u8)) (result {})
                (canon lift (core func $i "f")
                    (memory (core memory $i "memory")) (realloc (core func $i "realloc"))
                    string-encoding={encoding} (post-return (core func $i "post"))))
            (export "f" (func $f)))"#,
        MEMORY >> 16,
        allocated as i32,
        definitions.text(),
        result.text,
    ))
}

/// Words that may be pointers and lengths, and bytes.
fn any_garbage(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut garbage = Vec::new();
    for _ in 0..input.int_in_range(0..=64)? {
        match input.ratio(1, 4)? {
            true => garbage.push(input.arbitrary()?),
            false => garbage.extend(any_word(input)?.to_le_bytes()),
        }
    }
    Ok(garbage)
}

fn any_word(input: &mut Unstructured<'_>) -> Result<u32> {
    Ok(match input.int_in_range(0..=7)? {
        0 => 0,
        1 => input.arbitrary::<u8>()?.into(),
        // Into the garbage, and over its end.
        2 | 3 => GARBAGE + 4 * u32::from(input.arbitrary::<u8>()? % 80),
        4 => MEMORY - u32::from(input.arbitrary::<u8>()?),
        5 => input.arbitrary::<u16>()?.into(),
        // The second encoding of a text that may have two.
        6 => 1 << 31 | u32::from(input.arbitrary::<u8>()?),
        _ => input.arbitrary()?,
    })
}
