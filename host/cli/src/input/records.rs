//! The inputs of a file as bytes: each is a line, or ends with NUL.
//!
//! Does not know what they mean.

use std::io::{BufRead as _, Read as _};

use anyhow::{Context as _, anyhow};

use super::encoding;
use super::files::{OpenFile, Reader};
use super::place::{Place, Unit};

/// The longest line of input, in bytes. Bounds how much memory a file can make the program use.
pub(super) const MAX_LINE: u64 = 256 << 20;

/// What the bytes of a record are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// JSON in UTF-8. Blank records are left out.
    Json,
    /// Any bytes, as they are. Blank records count.
    Text,
}

/// The records of one file.
pub(super) struct Records {
    name: Option<String>,
    reader: Reader,
    unit: Unit,
    content: Content,
    /// The number of the last record, counted from 1.
    number: u64,
    buffer: Vec<u8>,
}

/// A record that counts.
pub(super) struct Record {
    pub(super) number: u64,
    pub(super) text: Vec<u8>,
    /// Its bytes in the file, with what ends it and the records before it that do not count.
    pub(super) file_bytes: u64,
}

impl Records {
    pub(super) fn new(file: OpenFile, unit: Unit, content: Content) -> Self {
        Self {
            name: file.name,
            reader: file.reader,
            unit,
            content,
            number: 0,
            buffer: Vec::new(),
        }
    }

    pub(super) fn place(&self, number: u64) -> Place<'_> {
        Place {
            file: self.name.as_deref(),
            unit: self.unit,
            number,
        }
    }

    /// Whether the next record is known to be available without waiting.
    pub(super) fn has_more_at_hand(&self) -> bool {
        // Complete ones, not blank ones unless they count.
        let at_hand = self.reader.buffer();
        let end = at_hand.iter().rposition(|byte| *byte == self.end());
        end.is_some_and(|end| match self.content {
            Content::Text => true,
            Content::Json => {
                let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == self.end();
                !at_hand[..end].iter().all(is_blank)
            }
        })
    }

    /// The next record that counts.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Record>> {
        let mut file_bytes = 0;
        loop {
            self.buffer.clear();
            let end = self.end();
            let mut limited = (&mut self.reader).take(MAX_LINE);
            let read = limited.read_until(end, &mut self.buffer);
            let n_read = match &self.name {
                Some(name) => read.with_context(|| name.clone())?,
                None => read?,
            };
            if n_read == 0 {
                return Ok(None);
            }
            self.number += 1;
            file_bytes += n_read as u64;
            if n_read as u64 == MAX_LINE && self.buffer.last() != Some(&end) {
                let place = self.place(self.number);
                return Err(anyhow!("{place} is longer than {MAX_LINE} bytes"));
            }
            let mut mark = 0;
            if self.number == 1 && self.content == Content::Json {
                let name = self.name.as_deref().unwrap_or("standard input");
                mark = encoding::mark_of(&self.buffer)
                    .map_err(|problem| anyhow!("{name} {problem}"))?;
            }
            let text = self.without_end(&self.buffer[mark..]);
            if self.content == Content::Text || !text.is_empty() {
                return Ok(Some(Record {
                    number: self.number,
                    text: text.to_owned(),
                    file_bytes,
                }));
            }
        }
    }

    /// The byte that ends a record.
    fn end(&self) -> u8 {
        match self.unit {
            Unit::Line => b'\n',
            Unit::Item => 0,
        }
    }

    /// The record without what ends it.
    fn without_end<'a>(&self, record: &'a [u8]) -> &'a [u8] {
        let text = record.strip_suffix(&[self.end()]).unwrap_or(record);
        match (self.content, self.unit) {
            // Leading whitespace stays, so that columns are counted as in an editor.
            (Content::Json, _) => text.trim_ascii_end(),
            (Content::Text, Unit::Line) => text.strip_suffix(b"\r").unwrap_or(text),
            (Content::Text, Unit::Item) => text,
        }
    }
}
