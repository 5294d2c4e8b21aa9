//! Called by the code that [`tasks`](crate::tasks) generates. Not a public API.

use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::shared::travel;

/// The contract as Rust types. Generated code, which contains `unsafe`.
#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, missing_docs, clippy::all)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "wasmpool:task/worker@0.2.0",
        pub_export_macro: true,
        export_macro_name: "export_world",
        generate_all,
    });
}

#[cfg(target_arch = "wasm32")]
pub use bindings::export_world;

/// For the code that [`host_functions`](crate::host_functions) generates.
pub use wit_bindgen;

/// One task: its description for callers, and the function that calls it.
pub struct TaskEntry {
    pub name: &'static str,
    pub params: &'static [&'static str],
    pub doc: &'static str,
    pub call: fn(&mut Arguments<'_>) -> Result<Vec<u8>, CallFailure>,
}

/// Why a call failed, as the contract distinguishes it.
#[derive(Debug)]
pub enum CallFailure {
    BadArguments(String),
    Failed(Failure),
    BadResult(String),
}

/// The arguments of one call, read one after the other.
pub struct Arguments<'a> {
    decoder: rmp_serde::Deserializer<
        rmp_serde::decode::ReadRefReader<'a, [u8]>,
        rmp_serde::config::HumanReadableConfig<rmp_serde::config::DefaultConfig>,
    >,
}

impl<'a> Arguments<'a> {
    /// Reads the header of the array of arguments, and checks their number.
    pub fn new(mut bytes: &'a [u8], params: &[&str]) -> Result<Self, CallFailure> {
        let count = rmp::decode::read_array_len(&mut bytes).map_err(|_| {
            CallFailure::BadArguments("the arguments are not a MessagePack array".to_owned())
        })?;
        if usize::try_from(count) != Ok(params.len()) {
            return Err(CallFailure::BadArguments(match params {
                [] => format!("it takes no argument, not {count}"),
                [name] => format!("it takes one argument (`{name}`), not {count}"),
                _ => format!(
                    "it takes {} arguments (`{}`), not {count}",
                    params.len(),
                    params.join("`, `"),
                ),
            }));
        }
        let decoder = rmp_serde::Deserializer::from_read_ref(bytes).with_human_readable();
        Ok(Self { decoder })
    }

    /// The next argument, which belongs to the parameter `name`.
    pub fn next<T: Deserialize<'a>>(&mut self, name: &str) -> Result<T, CallFailure> {
        travel::from_arguments(|| T::deserialize(&mut self.decoder))
            .map_err(|error| bad_argument(name, &error, std::any::type_name::<T>()))
    }
}

/// Not generic, and out of line: a copy for each type would make every guest larger.
#[cold]
fn bad_argument(name: &str, error: &rmp_serde::decode::Error, expected: &str) -> CallFailure {
    let problem = describe(error, expected);
    CallFailure::BadArguments(format!("argument `{name}`: {problem}"))
}

/// Describes what is wrong with an argument in terms of its value, not of its encoding.
pub(crate) fn describe(error: &rmp_serde::decode::Error, expected: &str) -> String {
    use rmp::Marker;
    use rmp_serde::decode::Error;
    let Error::TypeMismatch(marker) = error else {
        return with_exponents(&error.to_string());
    };
    let got = match marker {
        Marker::Null => "nothing",
        Marker::True | Marker::False => "a truth value",
        Marker::FixPos(_) | Marker::U8 | Marker::U16 | Marker::U32 | Marker::U64 => "a number",
        Marker::FixNeg(_) | Marker::I8 | Marker::I16 | Marker::I32 | Marker::I64 => {
            "a negative number"
        }
        Marker::F32 | Marker::F64 => "a floating-point number",
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => "text",
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => "bytes",
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => "a list",
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => "a map",
        _ => "an extension type",
    };
    format!("{got} does not fit into `{expected}`")
}

/// Serde's message with its float as people write it: serde writes `1e300` with all its digits.
fn with_exponents(message: &str) -> String {
    const BEFORE: &str = "floating point `";
    let short = message.split_once(BEFORE).and_then(|(before, rest)| {
        let (number, after) = rest.split_once('`')?;
        let number = with_exponent(number)?;
        Some(format!("{before}{BEFORE}{number}`{after}"))
    });
    short.unwrap_or_else(|| message.to_owned())
}

/// A decimal number with an exponent, if it is as large or as small as that. It is no more than
/// text here: a parser of floats would make every guest larger.
fn with_exponent(number: &str) -> Option<String> {
    let digits = number.strip_prefix('-').unwrap_or(number);
    let (whole, fraction) = digits.split_once('.')?;
    let digits = [whole, fraction].concat();
    let from_first = digits.trim_start_matches('0');
    let n_zeros = digits.len() - from_first.len();
    // One digit before the point.
    let exponent = i32::try_from(whole.len()).ok()? - i32::try_from(n_zeros).ok()? - 1;
    // As `{:?}` does it.
    let is_short = (-4..16).contains(&exponent);
    if is_short || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let significant = from_first.trim_end_matches('0');
    let (first, more) = significant.split_at_checked(1)?;
    let sign = if number.starts_with('-') { "-" } else { "" };
    let point = if more.is_empty() { "" } else { "." };
    Some(format!("{sign}{first}{point}{more}e{exponent}"))
}

/// Writes a task's result.
pub fn encode<T: Serialize>(value: T) -> Result<Vec<u8>, CallFailure> {
    travel::as_result(|| to_bytes(&value)).map_err(bad_result)
}

/// See [`bad_argument`].
#[cold]
fn bad_result(error: rmp_serde::encode::Error) -> CallFailure {
    CallFailure::BadResult(error.to_string())
}

/// Writes a value as the host and other guests read it.
pub(crate) fn to_bytes(value: &impl Serialize) -> Result<Vec<u8>, rmp_serde::encode::Error> {
    let mut bytes = Vec::new();
    let mut encoder = rmp_serde::Serializer::new(&mut bytes)
        .with_struct_map()
        .with_human_readable();
    value.serialize(&mut encoder)?;
    Ok(bytes)
}

/// Writes the result of a task that may fail.
pub fn encode_fallible<T: Serialize, E: Into<Failure>>(
    result: Result<T, E>,
) -> Result<Vec<u8>, CallFailure> {
    result
        .map_err(|error| CallFailure::Failed(error.into()))
        .and_then(encode)
}

/// The value of a result, which a child returns to its parent.
pub trait Fallible {
    type Value;
}

impl<T, E> Fallible for Result<T, E> {
    type Value = T;
}

/// The tasks of a guest. Implemented once, by the macro.
pub trait TaskSet {
    const TASKS: &'static [TaskEntry];
}

#[cfg(target_arch = "wasm32")]
mod guest {
    use super::bindings::exports::wasmpool::task0_1_0::tasks;
    use super::{Arguments, CallFailure, TaskSet};

    impl<T: TaskSet> tasks::Guest for T {
        fn list() -> Vec<tasks::Task> {
            let tasks = T::TASKS.iter().map(|task| tasks::Task {
                name: task.name.to_owned(),
                params: task.params.iter().map(|&name| name.to_owned()).collect(),
                doc: task.doc.to_owned(),
            });
            tasks.collect()
        }

        fn call(name: String, args: Vec<u8>) -> Result<Vec<u8>, tasks::Failure> {
            // The default hook ends with a note about `RUST_BACKTRACE`, which cannot be set in a
            // sandbox; the host has the backtrace anyway.
            std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
            let task = T::TASKS
                .iter()
                .find(|task| task.name == name)
                .ok_or(tasks::Failure::UnknownTask)?;
            Arguments::new(&args, task.params)
                .and_then(|mut arguments| (task.call)(&mut arguments))
                .map_err(|failure| match failure {
                    CallFailure::BadArguments(message) => tasks::Failure::BadArguments(message),
                    CallFailure::BadResult(message) => tasks::Failure::BadResult(message),
                    CallFailure::Failed(failure) => tasks::Failure::Failed(tasks::TaskError {
                        code: failure.code,
                        message: failure.message,
                    }),
                })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_in_messages_have_exponents() {
        for number in [
            0.0,
            -0.5,
            1e15,
            1e16,
            1e300,
            -1.5e300,
            f64::MAX,
            f64::MIN_POSITIVE,
            -2.5e-7,
            1.25e-5,
            5e-324,
        ] {
            let bytes = rmp_serde::to_vec(&[number]).unwrap();
            let mut arguments = Arguments::new(&bytes, &["n"]).unwrap();
            let CallFailure::BadArguments(message) = arguments.next::<u64>("n").unwrap_err() else {
                panic!("{number:?}");
            };
            let expected = format!("invalid type: floating point `{number:?}`, expected u64");
            assert_eq!(message, format!("argument `n`: {expected}"));
        }
    }

    #[test]
    fn other_messages_stay_as_they_are() {
        for message in [
            "",
            "floating point `",
            "a floating point `x.y`",
            "floating point ``",
        ] {
            assert_eq!(with_exponents(message), message);
        }
    }
}
