//! Inputs in a table: a row is a call, and the columns are named like the task's parameters.
//!
//! Does not know how a cell becomes an argument.

use std::io::{self, BufRead as _, Read};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use csv::{ByteRecord, ReaderBuilder};
use serde::ser::{SerializeMap as _, Serializer as _};
use serde_json::Value;
use serde_json::value::RawValue;
use wasmpool::{Signature, TaskInfo, Type};

use super::cell;
use super::encoding;
use super::files::{self, OpenFile, Reader};
use super::json::Input;
use super::place::{Place, Unit};
use super::records::MAX_LINE;

/// How many columns a message lists.
const LISTED: usize = 16;

/// How a table is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Commas, and double quotes around cells that have some, as in RFC 4180.
    Csv,
    /// Tabs. Quotes are ordinary characters, and no cell has a tab or a line break.
    Tsv,
}

/// The parameters that a row has arguments for.
#[derive(Debug, Clone)]
pub(crate) struct Params {
    task: String,
    names: Vec<String>,
    signature: Option<Arc<Signature>>,
}

/// A file that is a table.
pub(super) struct Table {
    file: Option<String>,
    /// Whether reading never waits for another process.
    is_regular: bool,
    reader: csv::Reader<Lines>,
    header: Vec<String>,
    /// The column of each parameter; none of an option that is left out.
    columns: Vec<Option<usize>>,
    params: Params,
    row: ByteRecord,
    /// Where the last row has ended, in bytes.
    end: u64,
}

impl Params {
    pub(crate) fn of(task: &TaskInfo) -> Self {
        Self {
            task: task.name.clone(),
            names: task.params.clone(),
            signature: task.signature.clone(),
        }
    }

    fn ty(&self, index: usize) -> Option<&Type> {
        let signature = self.signature.as_ref()?;
        signature.params.get(index).map(|(_, ty)| ty)
    }

    /// The column of each parameter.
    fn columns(&self, header: &[String]) -> Result<Vec<Option<usize>>, String> {
        let param_of_column = |name: &String| {
            let same = |like: fn(&str) -> String| {
                let wanted = like(name);
                let mut params = self.names.iter().map(|param| like(param));
                params.position(|param| param == wanted)
            };
            same(str::to_owned).or_else(|| same(in_one_case))
        };
        let params = header.iter().map(param_of_column).collect::<Vec<_>>();
        let mut problems = Vec::new();
        let mut columns = Vec::new();
        let (mut missing, mut twice) = (Vec::new(), Vec::new());
        for (index, name) in self.names.iter().enumerate() {
            let mut own = (0..header.len()).filter(|&column| params[column] == Some(index));
            let column = own.next();
            if own.next().is_some() {
                twice.push(name.as_str());
            }
            if column.is_none() && !matches!(self.ty(index), Some(Type::Option(_))) {
                missing.push(name.as_str());
            }
            columns.push(column);
        }
        let unknown = header
            .iter()
            .zip(&params)
            .filter(|(_, param)| param.is_none());
        let unknown = unknown.map(|(name, _)| name.as_str()).collect::<Vec<_>>();
        for (words, names) in [
            ("no column for", missing),
            ("no parameter for the column", unknown),
            ("several columns for", twice),
        ] {
            if !names.is_empty() {
                problems.push(format!("{words} {}", listed(&names)));
            }
        }
        match problems.is_empty() {
            true => Ok(columns),
            false => Err(format!(
                "does not fit `{}({})`: {}",
                self.task,
                self.names.join(", "),
                problems.join("; ")
            )),
        }
    }
}

impl Table {
    /// Reads the header line, and waits for it if the file is a stream.
    pub(super) fn open(file: OpenFile, dialect: Dialect, params: Params) -> anyhow::Result<Self> {
        let name = file.name.clone();
        let name = name.as_deref().unwrap_or("standard input");
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).flexible(true);
        if dialect == Dialect::Tsv {
            builder.delimiter(b'\t').quoting(false);
        }
        let mut reader = builder.from_reader(Lines::new(file.reader));
        let mut row = ByteRecord::new();
        let has_header = reader.read_byte_record(&mut row);
        if !has_header.with_context(|| name.to_owned())? {
            bail!("{name} is empty: the first line of a table has the names of its columns");
        }
        let mut header = Vec::new();
        for (index, cell) in row.iter().enumerate() {
            let mark = match index {
                0 => encoding::mark_of(cell).map_err(|problem| anyhow!("{name} {problem}"))?,
                _ => 0,
            };
            let cell = String::from_utf8_lossy(&cell[mark..]);
            header.push(cell.trim().to_owned());
        }
        let columns = params.columns(&header);
        let columns = columns.map_err(|problem| anyhow!("{name} {problem}"))?;
        Ok(Self {
            file: file.name,
            is_regular: file.is_regular,
            reader,
            header,
            columns,
            params,
            row,
            end: 0,
        })
    }

    /// Whether the next row is known to be available without waiting.
    pub(super) fn has_more_at_hand(&self) -> bool {
        self.is_regular || self.reader.get_ref().reader.buffer().contains(&b'\n')
    }

    /// The next row. Blank lines are none.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Input>> {
        self.reader.get_mut().begin_row();
        let is_there = self.reader.read_byte_record(&mut self.row);
        let is_there = match &self.file {
            Some(name) => is_there.with_context(|| name.clone())?,
            None => is_there?,
        };
        if !is_there {
            return Ok(None);
        }
        let place = Place {
            file: self.file.as_deref(),
            unit: Unit::Line,
            number: self.reader.get_ref().row_line(),
        };
        let end = self.reader.position().byte();
        let input = match self.arguments() {
            Ok(arguments) => Input {
                text: self.shown(&arguments),
                arguments: Ok(arguments),
                file_bytes: 0,
            },
            Err(problem) => Input {
                text: self.raw(),
                arguments: Err(format!("{place}: {problem}")),
                file_bytes: 0,
            },
        };
        Ok(Some(Input {
            file_bytes: end - std::mem::replace(&mut self.end, end),
            ..input
        }))
    }

    fn arguments(&self) -> Result<Vec<Value>, String> {
        if self.row.len() != self.header.len() {
            let (cells, columns) = (self.row.len(), self.header.len());
            return Err(format!(
                "the row has {cells} cells, and the header {columns}"
            ));
        }
        let arguments = self.columns.iter().enumerate().map(|(index, column)| {
            let Some(column) = *column else {
                return Ok(Value::Null);
            };
            let cell = std::str::from_utf8(&self.row[column])
                .map_err(|_| format!("column `{}`: not UTF-8", self.header[column]))?;
            Ok(cell::argument(cell, self.params.ty(index)))
        });
        arguments.collect()
    }

    /// The row for the output line: an object, with the columns as they stand in the file.
    fn shown(&self, arguments: &[Value]) -> Box<RawValue> {
        let value_of = |column| {
            let param = self.columns.iter().position(|own| *own == Some(column));
            param.map(|param| &arguments[param])
        };
        let names = self.header.iter().enumerate();
        to_raw(names.filter_map(|(column, name)| Some((name.as_str(), value_of(column)?))))
    }

    /// The same of a row that is no input: all of its cells as text.
    fn raw(&self) -> Box<RawValue> {
        let cells = self.row.iter().map(String::from_utf8_lossy);
        let cells = cells.collect::<Vec<_>>();
        serde_json::value::to_raw_value(&cells).expect("text is always JSON")
    }
}

/// Looks whether the header of a regular file fits the parameters.
pub(super) fn check(path: &Path, dialect: Dialect, params: &Params) -> anyhow::Result<()> {
    Table::open(files::open(path)?, dialect, params.clone()).map(drop)
}

fn to_raw<'a>(entries: impl Iterator<Item = (&'a str, &'a Value)>) -> Box<RawValue> {
    let mut bytes = Vec::new();
    let written = (|| {
        let mut serializer = serde_json::Serializer::new(&mut bytes);
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in entries {
            map.serialize_entry(name, value)?;
        }
        map.end()
    })();
    let text = written.map(|()| String::from_utf8(bytes).expect("JSON is UTF-8"));
    text.and_then(RawValue::from_string)
        .expect("text and values are always JSON")
}

/// A name without what differs between the usual cases: `max-size`, `maxSize`, `Max Size`.
fn in_one_case(name: &str) -> String {
    let letters = name
        .chars()
        .filter(|letter| !matches!(letter, '-' | '_' | ' '));
    letters.flat_map(char::to_lowercase).collect()
}

/// `` `a`, `b` and 3 more ``
fn listed(names: &[&str]) -> String {
    let shown = names.iter().take(LISTED).map(|name| format!("`{name}`"));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Hands out a file line by line, so that what is at hand beyond a row shows in `reader`.
///
/// Counts the lines, too. The parser says where it began to look for a row: blank lines, and the
/// second half of a line break of Windows, are before the row then.
struct Lines {
    reader: Reader,
    /// The number of the last line, counted from 1.
    line: u64,
    /// Whether the next byte begins a line.
    is_new_line: bool,
    /// The first line of the row that is not blank.
    row_line: Option<u64>,
    /// How much of the row was read, in bytes.
    row_length: u64,
}

impl Lines {
    fn new(reader: Reader) -> Self {
        Self {
            reader,
            line: 0,
            is_new_line: true,
            row_line: None,
            row_length: 0,
        }
    }

    fn begin_row(&mut self) {
        self.row_line = None;
        self.row_length = 0;
    }

    fn row_line(&self) -> u64 {
        self.row_line.unwrap_or(self.line)
    }
}

impl Read for Lines {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let at_hand = self.reader.fill_buf()?;
        let line_break = at_hand.iter().position(|byte| *byte == b'\n');
        let n_bytes = line_break.map_or(at_hand.len(), |end| end + 1);
        let n_bytes = n_bytes.min(space.len());
        let part = &mut space[..n_bytes];
        part.copy_from_slice(&at_hand[..n_bytes]);
        self.reader.consume(n_bytes);
        self.line += u64::from(self.is_new_line && n_bytes > 0);
        self.is_new_line = part.ends_with(b"\n");
        if !matches!(&*part, b"" | b"\n" | b"\r\n") {
            self.row_line.get_or_insert(self.line);
        }
        self.row_length += n_bytes as u64;
        if self.row_length > MAX_LINE {
            let line = self.line;
            let too_long = format!("line {line}: the row is longer than {MAX_LINE} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, too_long));
        }
        Ok(n_bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// The rows of a table for a task of these parameters.
    fn rows(params: &[&str], content: &str) -> Vec<Input> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content.as_bytes()).unwrap();
        let file = files::open(file.path()).unwrap();
        let mut table = Table::open(file, Dialect::Csv, params_of(params)).unwrap();
        std::iter::from_fn(|| table.next().unwrap()).collect()
    }

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    fn params_of(names: &[&str]) -> Params {
        Params {
            task: "f".to_owned(),
            names: owned(names),
            signature: None,
        }
    }

    fn columns(params: &[&str], header: &[&str]) -> Result<Vec<Option<usize>>, String> {
        params_of(params).columns(&owned(header))
    }

    #[test]
    fn columns_are_found_by_name_in_any_order_and_case() {
        let in_order = |order: &[usize]| Ok(order.iter().map(|&column| Some(column)).collect());
        assert_eq!(columns(&["a", "b"], &["b", "a"]), in_order(&[1, 0]));
        let cases = ["max-size", "max_size", "maxSize", "Max Size"];
        for name in cases {
            assert_eq!(columns(&["max-size"], &[name]), in_order(&[0]), "{name}");
        }
        // The exact name comes first.
        assert_eq!(columns(&["ab", "a-b"], &["a-b", "ab"]), in_order(&[1, 0]));
    }

    #[test]
    fn all_that_is_wrong_with_a_header_is_one_error() {
        assert_eq!(
            columns(&["a", "b", "c"], &["x", "a", "A", "y"]).unwrap_err(),
            "does not fit `f(a, b, c)`: no column for `b`, `c`; \
             no parameter for the column `x`, `y`; several columns for `a`"
        );
        let many = (0..40).map(|index| format!("c{index}")).collect::<Vec<_>>();
        let many = many.iter().map(String::as_str).collect::<Vec<_>>();
        let problem = columns(&["a"], &many).unwrap_err();
        assert!(problem.ends_with("`c15` and 24 more"), "{problem}");
    }

    #[test]
    fn the_bytes_of_the_rows_add_up_to_the_file() {
        for line_break in ["\n", "\r\n"] {
            let lines = ["a,b", "1,2", "", "3,\"x\ny\"", "4,5"];
            let content = lines.map(|line| format!("{line}{line_break}")).concat();
            let rows = rows(&["a", "b"], &content);
            assert_eq!(rows.len(), 3);
            let bytes = rows.iter().map(|row| row.file_bytes).sum::<u64>();
            // The parser leaves the end of the last line break for the next row.
            let left = content.len() as u64 - bytes;
            assert!(left < 2, "{left}");
        }
    }

    #[test]
    fn rows_with_a_problem_say_where_they_begin() {
        for line_break in ["\n", "\r\n"] {
            let lines = ["", "a,b", "1", "", "", "1,\"x", "y\",3", "", "1,2,3"];
            let content = lines.map(|line| format!("{line}{line_break}")).concat();
            let problems = rows(&["a", "b"], &content).into_iter();
            let problems = problems.map(|row| row.arguments.unwrap_err());
            let places = problems.map(|problem| {
                let (_, place) = problem.split_once("line ").unwrap();
                place.split_once(':').unwrap().0.to_owned()
            });
            assert_eq!(
                places.collect::<Vec<_>>(),
                ["3", "6", "9"],
                "{line_break:?}"
            );
        }
    }
}
