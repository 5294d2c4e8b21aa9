//! Where an input is, for messages: `` `b.jsonl`, line 3 ``.

use std::fmt;
use std::path::Path;

/// What the inputs of a file are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Line,
    /// What NUL ends, which may have several lines.
    Item,
}

/// The place of an input in a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// The file; `None` if the only one is standard input.
    pub(super) file: Option<&'a str>,
    pub(super) unit: Unit,
    /// Counted from 1.
    pub(super) number: u64,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = self.file {
            write!(formatter, "{file}, ")?;
        }
        let unit = match self.unit {
            Unit::Line => "line",
            Unit::Item => "item",
        };
        write!(formatter, "{unit} {}", self.number)
    }
}

/// Whether the path means standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// The file in messages.
pub(super) fn in_words(path: &Path) -> String {
    match is_stdin(path) {
        true => "standard input".to_owned(),
        false => format!("`{}`", path.display()),
    }
}
