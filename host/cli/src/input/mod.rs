//! The inputs of a run: from the command line, then from files, one at a time.

mod cell;
mod encoding;
mod files;
mod json;
mod place;
mod records;
mod table;

use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde_json::value::RawValue;

use self::files::Files;
pub(crate) use self::json::{Input, quoted, spread};
use self::place::Unit;
use self::records::{Content, Record, Records};
use self::table::Table;
pub(crate) use self::table::{Dialect, Params};
use crate::template::Template;

/// All inputs, in order.
pub(crate) struct Inputs {
    /// Inputs that are parsed already.
    ready: std::vec::IntoIter<Input>,
    given: std::vec::IntoIter<String>,
    /// The file that is being read.
    file: Option<Source>,
    files: Files,
    format: Format,
    /// How many bytes the files have, if that is known.
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

/// How the inputs are told apart in a file.
#[derive(Debug, Clone)]
pub(crate) enum Format {
    /// Each is a line.
    Lines,
    /// Each ends with NUL.
    NulEnded,
    /// Each is a row of a table.
    Table(Dialect, Params),
}

/// An open file.
enum Source {
    Records(Records),
    /// Much larger than the other.
    Table(Box<Table>),
}

impl Inputs {
    /// Looks at the files, and opens the first one; `-` is standard input. A program, or a task
    /// without parameters, runs once if there is no input.
    pub(crate) fn open(
        given: Vec<String>,
        files: Vec<PathBuf>,
        format: Format,
        shape: Shape,
    ) -> anyhow::Result<Self> {
        let wants_none = match &shape {
            Shape::Json { arity } => *arity.end() == 0,
            Shape::Text(_) => true,
        };
        let runs_once = given.is_empty() && files.is_empty() && wants_none;
        let has_files = !files.is_empty();
        let files = Files::new(files);
        let file_size = files.check(matches!(shape, Shape::Json { .. }))?;
        if let Format::Table(dialect, params) = &format {
            files
                .regular()
                .try_for_each(|path| table::check(path, *dialect, params))?;
        }
        let mut inputs = Self {
            ready: Vec::new().into_iter(),
            given: given.into_iter(),
            file: None,
            files,
            format,
            file_size: file_size.filter(|_| has_files),
            shape,
            runs_once,
        };
        inputs.open_next()?;
        Ok(inputs)
    }

    /// Exactly these inputs.
    pub(crate) fn of(ready: Vec<Input>) -> Self {
        Self {
            ready: ready.into_iter(),
            given: Vec::new().into_iter(),
            file: None,
            files: Files::new(Vec::new()),
            format: Format::Lines,
            file_size: None,
            shape: Shape::Json { arity: 0..=0 },
            runs_once: false,
        }
    }

    /// How many bytes the files have that the inputs are read from, if all are regular ones.
    pub(crate) fn file_size(&self) -> Option<u64> {
        self.file_size
    }

    /// Whether the next input is known to be available without waiting.
    pub(crate) fn has_more_at_hand(&self) -> bool {
        let Some(file) = &self.file else {
            return true;
        };
        !self.given.as_slice().is_empty()
            || match file {
                Source::Records(records) => records.has_more_at_hand(),
                Source::Table(table) => table.has_more_at_hand(),
            }
    }

    /// Goes on with the next file, if there is one.
    fn open_next(&mut self) -> anyhow::Result<()> {
        self.file = None;
        let Some(file) = self.files.next().transpose()? else {
            return Ok(());
        };
        let content = match &self.shape {
            Shape::Json { .. } => Content::Json,
            Shape::Text(_) => Content::Text,
        };
        self.file = Some(match &self.format {
            Format::Lines => Source::Records(Records::new(file, Unit::Line, content)),
            Format::NulEnded => Source::Records(Records::new(file, Unit::Item, content)),
            Format::Table(dialect, params) => {
                let table = Table::open(file, *dialect, params.clone())?;
                Source::Table(Box::new(table))
            }
        });
        Ok(())
    }

    /// The next input of the files.
    fn next_of_files(&mut self) -> anyhow::Result<Option<Input>> {
        while let Some(source) = &mut self.file {
            let input = match source {
                Source::Records(records) => {
                    let record = records.next()?;
                    record.map(|record| from_record(records, record, &self.shape))
                }
                Source::Table(table) => table.next()?,
            };
            if input.is_some() {
                return Ok(input);
            }
            self.open_next()?;
        }
        Ok(None)
    }
}

impl Iterator for Inputs {
    /// An error is one of reading a file, and ends the inputs.
    type Item = anyhow::Result<Input>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(input) = self.ready.next() {
            return Some(Ok(input));
        }
        if std::mem::take(&mut self.runs_once) {
            return Some(Ok(match &self.shape {
                Shape::Json { arity } => json::from_command_line("[]".to_owned(), arity),
                Shape::Text(template) => Input {
                    text: RawValue::NULL.to_owned(),
                    arguments: Ok(template.without_input()),
                    file_bytes: 0,
                },
            }));
        }
        if let Some(text) = self.given.next() {
            return Some(Ok(match &self.shape {
                Shape::Json { arity } => json::from_command_line(text, arity),
                Shape::Text(template) => from_text(text.as_bytes(), template),
            }));
        }
        self.next_of_files().transpose()
    }
}

fn from_record(file: &Records, record: Record, shape: &Shape) -> Input {
    let place = file.place(record.number);
    let input = match shape {
        Shape::Json { arity } => json::from_record(&place, &record.text, arity),
        Shape::Text(template) => from_text(&record.text, template).at(&place),
    };
    Input {
        file_bytes: record.file_bytes,
        ..input
    }
}

fn from_text(text: &[u8], template: &Template) -> Input {
    Input {
        text: quoted(&String::from_utf8_lossy(text)),
        arguments: template.fill(text),
        file_bytes: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use serde_json::Value;

    use super::*;

    fn check(inputs: &[&str], n_params: usize, expected: &[Result<&str, &str>]) {
        let given = inputs.iter().map(|&text| text.to_owned()).collect();
        let inputs = Inputs::open(
            given,
            Vec::new(),
            Format::Lines,
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
        let shape = Shape::Json { arity: 1..=2 };
        let inputs = Inputs::open(inputs.into(), Vec::new(), Format::Lines, shape).unwrap();
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
            let inputs =
                Inputs::open(given, vec![file.path().to_owned()], Format::Lines, shape).unwrap();
            assert_eq!(inputs.file_size(), Some(text.len() as u64));
            let bytes = inputs.map(|input| input.unwrap().file_bytes);
            let bytes = bytes.collect::<Vec<_>>();
            // That of the command line comes first, and is in no file.
            assert_eq!((bytes[0], &bytes[1..]), (0, expected));
            assert_eq!(bytes.iter().sum::<u64>(), text.len() as u64);
        }
    }

    #[test]
    fn a_task_without_parameters_runs_once() {
        check(&[], 0, &[Ok("[]")]);
        check(&["[]", "[]"], 0, &[Ok("[]"), Ok("[]")]);
    }
}
