//! An input, and how JSON becomes the arguments of a task.

use std::ops::RangeInclusive;

use serde_json::Value;
use serde_json::value::RawValue;

use super::place::Place;

/// One input.
pub(crate) struct Input {
    /// The original text, for the output line.
    pub(crate) text: Box<RawValue>,
    /// The task's arguments, or why the input is invalid.
    pub(crate) arguments: Result<Vec<Value>, String>,
    /// How much of the file it takes up, in bytes: its line, and blank ones before it.
    pub(crate) file_bytes: u64,
}

impl Input {
    /// The same input; what is wrong with it is at this place.
    pub(super) fn at(self, place: &Place<'_>) -> Self {
        Self {
            arguments: self
                .arguments
                .map_err(|problem| format!("{place}: {problem}")),
            ..self
        }
    }
}

/// Input that is not JSON is text: quoting quotes on a command line is tedious.
pub(super) fn from_command_line(text: String, arity: &RangeInclusive<usize>) -> Input {
    match serde_json::from_str::<Box<RawValue>>(&text) {
        Ok(raw) => from_json(on_one_line(raw), arity),
        Err(_) => from_json(quoted(&text), arity),
    }
}

/// A line or an item of a file.
pub(super) fn from_record(place: &Place<'_>, text: &[u8], arity: &RangeInclusive<usize>) -> Input {
    match serde_json::from_slice::<Box<RawValue>>(text) {
        Ok(raw) => from_json(on_one_line(raw), arity).at(place),
        Err(error) => {
            // The parser's own position, relative to this record.
            let (line, column) = (error.line(), error.column());
            let words = error.to_string();
            let problem = words
                .strip_suffix(&format!(" at line {line} column {column}"))
                .unwrap_or(&words);
            let line = match line {
                0 | 1 => String::new(),
                line => format!(", line {line}"),
            };
            Input {
                text: quoted(&String::from_utf8_lossy(text)),
                arguments: Err(format!(
                    "{place}{line}, column {column}: not JSON: {problem}"
                )),
                file_bytes: 0,
            }
        }
    }
}

fn from_json(text: Box<RawValue>, arity: &RangeInclusive<usize>) -> Input {
    let arguments = arguments(&text, arity);
    Input {
        text,
        arguments,
        file_bytes: 0,
    }
}

/// The value as the arguments of a task with this arity.
fn arguments(text: &RawValue, arity: &RangeInclusive<usize>) -> Result<Vec<Value>, String> {
    let value = serde_json::from_str(text.get()).map_err(|error| format!("not JSON: {error}"))?;
    spread(value, arity)
}

/// The same for a value that is parsed already.
pub(crate) fn spread(value: Value, arity: &RangeInclusive<usize>) -> Result<Vec<Value>, String> {
    let (least, most) = (*arity.start(), *arity.end());
    let takes = match least == most {
        true => format!("the task takes {most} arguments"),
        false => format!("the task takes {least} to {most} arguments"),
    };
    match value {
        value if most == 1 => Ok(vec![value]),
        Value::Array(values) if arity.contains(&values.len()) => Ok(values),
        Value::Array(values) => Err(format!("{takes}, not {}", values.len())),
        // The other arguments may be omitted.
        value if least <= 1 && most > 0 => Ok(vec![value]),
        _ => Err(format!("{takes}: write them as an array")),
    }
}

/// The same value without the line breaks between its parts.
fn on_one_line(text: Box<RawValue>) -> Box<RawValue> {
    if !text.get().contains(['\n', '\r']) {
        return text;
    }
    serde_json::from_str::<Value>(text.get())
        .and_then(|value| serde_json::value::to_raw_value(&value))
        .expect("it was JSON before, and stays it")
}

/// Text as a JSON string.
pub(crate) fn quoted(text: &str) -> Box<RawValue> {
    serde_json::value::to_raw_value(text).expect("text is always JSON")
}
