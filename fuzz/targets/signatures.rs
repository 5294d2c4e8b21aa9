//! Components whose functions have types of any shape and size: what is listed of them.

#![no_main]

use std::fmt::Write as _;
use std::sync::LazyLock;

use arbitrary::Result;
use libfuzzer_sys::fuzz_target;
use wasmpool::{LoadError, Pool};
use wasmpool_fuzz::wat_types::{Defined, Definitions, core_params};
use wasmpool_fuzz::{Unstructured, pools};

static POOL: LazyLock<Pool> = LazyLock::new(pools::pool);

fuzz_target!(|data: &[u8]| {
    let Ok(text) = component(&mut Unstructured::new(data)) else {
        return;
    };
    match POOL.load_bytes(text.as_bytes()) {
        Ok(module) => pools::check_listed(&module),
        Err(LoadError::NothingToCall { uncallable, .. }) => {
            assert!(
                uncallable
                    .iter()
                    .all(|function| !function.reason.is_empty())
            );
        }
        // What has a bad name or is too deep. Most of what is made here is right.
        Err(error @ (LoadError::Invalid(_) | LoadError::Unsupported(_))) => {
            pools::check_told(&error);
        }
        Err(error) => panic!("{error}\n{text}"),
    }
});

/// A component with some functions, whose types are made of each other.
fn component(input: &mut Unstructured<'_>) -> Result<String> {
    let mut definitions = Definitions::default();
    let mut types = vec![definitions.scalar("bool")];
    for _ in 0..input.int_in_range(0..=24)? {
        let ty = any_type(input, &mut definitions, &types)?;
        types.push(ty);
    }
    let (mut core, mut lifts, mut exports) = (String::new(), String::new(), String::new());
    for index in 0..input.int_in_range(1..=4)? {
        let params = several(input, &types, 0)?;
        let result = match input.ratio(3, 4)? {
            true => Some(&types[last_first(input, types.len())?]),
            false => None,
        };
        let core_params = core_params(params.iter()).join(" ");
        let core_result = result.map_or("", Defined::core_result);
        writeln!(
            core,
            r#"(func (export "f{index}") (param {core_params}) (result {core_result}) unreachable)"#
        )
        .unwrap();
        let mut signature = String::new();
        for (index, param) in params.iter().enumerate() {
            let name = any_name(input, index)?;
            write!(signature, r#" (param "{name}" {})"#, param.text).unwrap();
        }
        if let Some(result) = result {
            write!(signature, " (result {})", result.text).unwrap();
        }
        writeln!(
            lifts,
            r#"(func $f{index} {signature} (canon lift (core func $i "f{index}")
                (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))"#
        )
        .unwrap();
        let name = any_name(input, 100 + index)?;
        match input.ratio(1, 4)? {
            // Inside of an interface such a function may not have types that are exported outside.
            true => writeln!(
                exports,
                r#"(instance $in{index} (export "{name}" (func $f{index})))
                    (export "{name}:a/b@1.0.{index}" (instance $in{index}))"#
            ),
            false => writeln!(exports, r#"(export "{name}" (func $f{index}))"#),
        }
        .unwrap();
    }
    Ok(format!(
        r#"(component
            (core module $m
                (memory (export "memory") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable)
                {core})
            (core instance $i (instantiate $m))
            {}
            {lifts}
            {exports})"#,
        definitions.text()
    ))
}

/// A type that is made of earlier ones.
fn any_type(
    input: &mut Unstructured<'_>,
    definitions: &mut Definitions,
    types: &[Defined],
) -> Result<Defined> {
    let one = |input: &mut Unstructured<'_>| Ok(&types[last_first(input, types.len())?]);
    let payload = |input: &mut Unstructured<'_>| match input.ratio(2, 3)? {
        true => one(input).map(Some),
        false => Ok(None),
    };
    Ok(match input.int_in_range(0..=31)? {
        0..=4 => {
            let parts = several(input, types, 1)?;
            definitions.tuple(&parts)
        }
        5..=8 => {
            let parts = several(input, types, 1)?;
            let names = any_names(input, parts.len())?;
            definitions.record(&names.into_iter().zip(parts).collect::<Vec<_>>())
        }
        9..=12 => {
            let n_cases = input.int_in_range(1..=4)?;
            let names = any_names(input, n_cases)?;
            let cases = names
                .into_iter()
                .map(|name| Ok((name, payload(input)?.cloned())))
                .collect::<Result<Vec<_>>>()?;
            definitions.variant(&cases)
        }
        13..=15 => {
            let n_names = input.int_in_range(1..=300)?;
            definitions.enumeration(&any_names(input, n_names)?)
        }
        16 | 17 => {
            let n_names = input.int_in_range(1..=32)?;
            definitions.flags(&any_names(input, n_names)?)
        }
        18..=20 => definitions.list(one(input)?),
        21..=23 => definitions.option(one(input)?),
        24 | 25 => {
            let (ok, err) = (payload(input)?, payload(input)?);
            definitions.result(ok, err)
        }
        26 => definitions.own_resource(),
        27 => {
            // What needs a part of the component model that is off.
            let text =
                *input.choose(&["(stream u8)", "(future)", "(list u8 4)", "error-context"])?;
            definitions.verbatim(text)
        }
        _ => {
            let names = ["string", "u8", "s64", "char", "f32", "f64", "u32"];
            definitions.scalar(input.choose(&names)?)
        }
    })
}

fn several(
    input: &mut Unstructured<'_>,
    types: &[Defined],
    at_least: usize,
) -> Result<Vec<Defined>> {
    let n_types = input.int_in_range(at_least..=4)?;
    let types = (0..n_types).map(|_| Ok(types[last_first(input, types.len())?].clone()));
    types.collect()
}

/// The index of one of so many: more often than others the last, so that types get large.
fn last_first(input: &mut Unstructured<'_>, n_types: usize) -> Result<usize> {
    Ok(match input.arbitrary()? {
        true => input.choose_index(n_types)?,
        false => n_types - 1,
    })
}

fn any_names(input: &mut Unstructured<'_>, n_names: usize) -> Result<Vec<String>> {
    (0..n_names).map(|index| any_name(input, index)).collect()
}

/// A name; those of different indices are different.
fn any_name(input: &mut Unstructured<'_>, index: usize) -> Result<String> {
    let length = match input.int_in_range(0..=31)? {
        31 => *input.choose(&[120, 126, 127, 128, 200, 5000])?,
        length => length % 8,
    };
    Ok(format!("n{index}-x{}", "y".repeat(length)))
}
