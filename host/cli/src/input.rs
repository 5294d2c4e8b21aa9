//! The inputs of a run: from the command line, then from a file, one at a time.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _};
use std::ops::RangeInclusive;
use std::path::Path;

use anyhow::Context as _;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::template::Template;

/// The longest line of input, in bytes. Bounds how much memory a file can make the program use.
const MAX_LINE: u64 = 256 << 20;

/// One input.
pub(crate) struct Input {
    /// The original text, for the output line.
    pub(crate) text: Box<RawValue>,
    /// The task's arguments, or why the input is invalid.
    pub(crate) arguments: Result<Vec<Value>, String>,
    /// How much of the file it takes up, in bytes: its line, and blank ones before it.
    pub(crate) file_bytes: u64,
}

/// All inputs, in order.
pub(crate) struct Inputs {
    /// Inputs that are parsed already.
    ready: std::vec::IntoIter<Input>,
    given: std::vec::IntoIter<String>,
    file: Option<Lines>,
    /// How many bytes are left of the file, if it is one of a known size.
    file_size: Option<u64>,
    shape: Shape,
    /// Whether the task runs once without an input.
    runs_once: bool,
}

/// How an input becomes the task's arguments.
pub(crate) enum Shape {
    /// A JSON value: the only argument, or an array of arguments.
    Json { arity: RangeInclusive<usize> },
    /// Text, for a program.
    Text(Template),
}

struct Lines {
    reader: BufReader<Box<dyn Read + Send>>,
    /// The number of the last line, counted from 1.
    number: u64,
    buffer: Vec<u8>,
    /// Whether the lines are text: then they are inputs as they are, even blank ones.
    are_text: bool,
}

impl Inputs {
    /// Opens the file, if one is given; `-` is standard input. A program, or a task without
    /// parameters, runs once if there is no input.
    pub(crate) fn open(
        given: Vec<String>,
        file: Option<&Path>,
        shape: Shape,
    ) -> anyhow::Result<Self> {
        let wants_none = match &shape {
            Shape::Json { arity } => *arity.end() == 0,
            Shape::Text(_) => true,
        };
        let runs_once = given.is_empty() && file.is_none() && wants_none;
        let (reader, file_size): (Option<Box<dyn Read + Send>>, _) = match file {
            None => (None, None),
            Some(path) if path == Path::new("-") => (Some(Box::new(io::stdin())), stdin_size()),
            Some(path) => {
                let file = File::open(path)
                    .with_context(|| format!("cannot read the input `{}`", path.display()))?;
                let size = size_left(&file);
                (Some(Box::new(file)), size)
            }
        };
        Ok(Self {
            ready: Vec::new().into_iter(),
            given: given.into_iter(),
            file: reader.map(|reader| Lines {
                reader: BufReader::new(reader),
                number: 0,
                buffer: Vec::new(),
                are_text: matches!(shape, Shape::Text(_)),
            }),
            file_size,
            shape,
            runs_once,
        })
    }

    /// Exactly these inputs.
    pub(crate) fn of(ready: Vec<Input>) -> Self {
        Self {
            ready: ready.into_iter(),
            given: Vec::new().into_iter(),
            file: None,
            file_size: None,
            shape: Shape::Json { arity: 0..=0 },
            runs_once: false,
        }
    }

    /// How many bytes the file has that the inputs are read from, if it is a regular one.
    pub(crate) fn file_size(&self) -> Option<u64> {
        self.file_size
    }

    /// Whether the next input is known to be available without waiting.
    pub(crate) fn has_more_at_hand(&self) -> bool {
        let Some(lines) = &self.file else {
            return true;
        };
        // Complete lines, not blank ones unless they count.
        let at_hand = lines.reader.buffer();
        let end = at_hand.iter().rposition(|byte| *byte == b'\n');
        let is_line = |end| lines.are_text || !at_hand[..end].trim_ascii().is_empty();
        let has_line = end.is_some_and(is_line);
        !self.given.as_slice().is_empty() || has_line
    }
}

impl Iterator for Inputs {
    /// An error is one of reading the file, and ends the inputs.
    type Item = io::Result<Input>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(input) = self.ready.next() {
            return Some(Ok(input));
        }
        if std::mem::take(&mut self.runs_once) {
            return Some(Ok(match &self.shape {
                Shape::Json { arity } => from_command_line("[]".to_owned(), arity),
                Shape::Text(template) => Input {
                    text: RawValue::NULL.to_owned(),
                    arguments: Ok(template.without_input()),
                    file_bytes: 0,
                },
            }));
        }
        if let Some(text) = self.given.next() {
            return Some(Ok(match &self.shape {
                Shape::Json { arity } => from_command_line(text, arity),
                Shape::Text(template) => from_text(text.as_bytes(), template),
            }));
        }
        let line = self.file.as_mut()?.next()?;
        Some(line.map(
            |Line {
                 number,
                 text,
                 file_bytes,
             }| {
                let input = match &self.shape {
                    Shape::Json { arity } => from_line(number, &text, arity),
                    Shape::Text(template) => {
                        let input = from_text(&text, template);
                        let of_line = |problem| format!("line {number}: {problem}");
                        Input {
                            arguments: input.arguments.map_err(of_line),
                            ..input
                        }
                    }
                };
                Input {
                    file_bytes,
                    ..input
                }
            },
        ))
    }
}

/// A line that counts.
struct Line {
    number: u64,
    text: Vec<u8>,
    /// Its bytes in the file, with its line break and the lines before it that do not count.
    file_bytes: u64,
}

impl Lines {
    /// The next line that counts.
    fn next(&mut self) -> Option<io::Result<Line>> {
        let mut file_bytes = 0;
        loop {
            self.buffer.clear();
            let mut limited = (&mut self.reader).take(MAX_LINE);
            match limited.read_until(b'\n', &mut self.buffer) {
                Ok(0) => return None,
                Ok(n_read) => {
                    self.number += 1;
                    file_bytes += n_read as u64;
                }
                Err(error) => return Some(Err(error)),
            }
            if self.buffer.len() as u64 == MAX_LINE && !self.buffer.ends_with(b"\n") {
                let too_long = format!("line {} is longer than {MAX_LINE} bytes", self.number);
                return Some(Err(io::Error::new(io::ErrorKind::InvalidData, too_long)));
            }
            let text = match self.are_text {
                true => without_line_break(&self.buffer),
                // Leading whitespace stays, so that columns are counted as in an editor.
                false => self.buffer.trim_ascii_end(),
            };
            if self.are_text || !text.is_empty() {
                return Some(Ok(Line {
                    number: self.number,
                    text: text.to_owned(),
                    file_bytes,
                }));
            }
        }
    }
}

/// The line without its line break.
fn without_line_break(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// How many bytes there are in a file from where it is read, if that can be known.
fn size_left(file: &File) -> Option<u64> {
    let metadata = file.metadata().ok()?;
    // Files of the system that are made up as they are read have no size.
    if !metadata.is_file() || metadata.len() == 0 {
        return None;
    }
    let mut file = file;
    let position = file.stream_position().ok()?;
    Some(metadata.len().saturating_sub(position))
}

/// The same for standard input, which may be a file.
#[cfg(unix)]
fn stdin_size() -> Option<u64> {
    use std::os::fd::AsFd as _;

    let stdin = io::stdin();
    let handle = stdin.as_fd().try_clone_to_owned().ok()?;
    size_left(&File::from(handle))
}

#[cfg(not(unix))]
fn stdin_size() -> Option<u64> {
    None
}

fn from_text(text: &[u8], template: &Template) -> Input {
    Input {
        text: quoted(&String::from_utf8_lossy(text)),
        arguments: template.fill(text),
        file_bytes: 0,
    }
}

/// Input that is not JSON is text: quoting quotes on a command line is tedious.
fn from_command_line(text: String, arity: &RangeInclusive<usize>) -> Input {
    match serde_json::from_str::<Box<RawValue>>(&text) {
        Ok(raw) if raw.get().contains(['\n', '\r']) => from_json(on_one_line(&raw), arity),
        Ok(raw) => from_json(raw, arity),
        Err(_) => from_json(quoted(&text), arity),
    }
}

fn from_line(number: u64, line: &[u8], arity: &RangeInclusive<usize>) -> Input {
    let of_line = |problem: String| format!("line {number}: {problem}");
    match serde_json::from_slice::<Box<RawValue>>(line) {
        Ok(raw) => {
            let input = from_json(raw, arity);
            Input {
                arguments: input.arguments.map_err(of_line),
                ..input
            }
        }
        Err(error) => {
            // The parser's own position, relative to this line.
            let place = format!(" at line {} column {}", error.line(), error.column());
            let text = error.to_string();
            let problem = text.strip_suffix(&place).unwrap_or(&text);
            Input {
                text: quoted(&String::from_utf8_lossy(line)),
                arguments: Err(format!(
                    "line {number}, column {}: not JSON: {problem}",
                    error.column()
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
fn on_one_line(text: &RawValue) -> Box<RawValue> {
    serde_json::from_str::<Value>(text.get())
        .and_then(|value| serde_json::value::to_raw_value(&value))
        .expect("it was JSON before, and stays it")
}

/// Text as a JSON string.
pub(crate) fn quoted(text: &str) -> Box<RawValue> {
    serde_json::value::to_raw_value(text).expect("text is always JSON")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn check(inputs: &[&str], n_params: usize, expected: &[Result<&str, &str>]) {
        let given = inputs.iter().map(|&text| text.to_owned()).collect();
        let inputs = Inputs::open(
            given,
            None,
            Shape::Json {
                arity: n_params..=n_params,
            },
        )
        .unwrap();
        let got = inputs.map(|input| {
            let arguments = input.unwrap().arguments;
            arguments.map(|values| Value::Array(values).to_string())
        });
        let expected = expected.iter().map(|expected| match expected {
            Ok(values) => Ok((*values).to_owned()),
            Err(problem) => Err((*problem).to_owned()),
        });
        assert_eq!(got.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    }

    #[test]
    fn the_only_argument_is_the_value_itself() {
        check(
            &["360", "[1,2]", "null", "18446744073709551615"],
            1,
            &[
                Ok("[360]"),
                Ok("[[1,2]]"),
                Ok("[null]"),
                Ok("[18446744073709551615]"),
            ],
        );
    }

    #[test]
    fn input_that_is_not_json_is_text_on_the_command_line() {
        check(
            &["abc", "\"abc\"", "a b\"", "-"],
            1,
            &[
                Ok("[\"abc\"]"),
                Ok("[\"abc\"]"),
                Ok("[\"a b\\\"\"]"),
                Ok("[\"-\"]"),
            ],
        );
    }

    #[test]
    fn several_arguments_are_an_array() {
        check(
            &["[1,\"a\"]", "[1]", "1"],
            2,
            &[
                Ok("[1,\"a\"]"),
                Err("the task takes 2 arguments, not 1"),
                Err("the task takes 2 arguments: write them as an array"),
            ],
        );
    }

    #[test]
    fn optional_arguments_may_be_omitted() {
        let inputs = ["[1,2]", "[1]", "1", "[]", "[1,2,3]"].map(str::to_owned);
        let inputs = Inputs::open(inputs.into(), None, Shape::Json { arity: 1..=2 }).unwrap();
        let got = inputs.map(|input| input.unwrap().arguments.map(|values| values.len()));
        let wrong = |n| Err(format!("the task takes 1 to 2 arguments, not {n}"));
        assert_eq!(
            got.collect::<Vec<_>>(),
            [Ok(2), Ok(1), Ok(1), wrong(0), wrong(3)]
        );
    }

    #[test]
    fn the_bytes_of_the_inputs_add_up_to_the_file() {
        let text = "1\n\n  \r\n[2]\r\nno input\n3";
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let template = Template {
            arguments: vec!["cat".to_owned()],
            input_is_stdin: true,
        };
        for (shape, expected) in [
            (Shape::Json { arity: 1..=1 }, &[2, 10, 9, 1][..]),
            (Shape::Text(template), &[2, 1, 4, 5, 9, 1][..]),
        ] {
            let given = vec!["0".to_owned()];
            let inputs = Inputs::open(given, Some(file.path()), shape).unwrap();
            assert_eq!(inputs.file_size(), Some(text.len() as u64));
            let bytes = inputs.map(|input| input.unwrap().file_bytes);
            let bytes = bytes.collect::<Vec<_>>();
            // That of the command line comes first, and is in no file.
            assert_eq!((bytes[0], &bytes[1..]), (0, expected));
            assert_eq!(bytes.iter().sum::<u64>(), text.len() as u64);
        }
    }

    #[test]
    fn what_is_no_regular_file_has_no_size() {
        let shape = || Shape::Json { arity: 1..=1 };
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [Path::new("/dev/null"), file.path()] {
            let inputs = Inputs::open(Vec::new(), Some(path), shape()).unwrap();
            assert_eq!(inputs.file_size(), None, "{}", path.display());
        }
        let inputs = Inputs::open(vec!["1".to_owned()], None, shape()).unwrap();
        assert_eq!(inputs.file_size(), None);
    }

    #[test]
    fn a_file_that_was_read_before_has_the_rest() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"1\n22\n").unwrap();
        file.seek(io::SeekFrom::Start(2)).unwrap();
        assert_eq!(size_left(&file), Some(3));
    }

    #[test]
    fn a_task_without_parameters_runs_once() {
        check(&[], 0, &[Ok("[]")]);
        check(&["[]", "[]"], 0, &[Ok("[]"), Ok("[]")]);
    }
}
