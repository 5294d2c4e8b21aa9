//! Text of guests and files, escaped for a terminal, which interprets some characters.
//!
//! Does not know what the text says.

use std::io::{self, Write};

/// A name or a line, with the characters that a terminal interprets escaped as in `\u{1b}`.
pub(crate) fn printable(text: &str) -> String {
    escaped(text, |_| false)
}

/// As [`printable`], but keeps line breaks and tabs.
pub(crate) fn printable_lines(text: &str) -> String {
    escaped(text, |character| matches!(character, '\n' | '\t'))
}

fn escaped(text: &str, is_kept: impl Fn(char) -> bool) -> String {
    let mut visible = String::with_capacity(text.len());
    for character in text.chars() {
        match is_obeyed(character) && !is_kept(character) {
            true => visible.extend(character.escape_unicode()),
            false => visible.push(character),
        }
    }
    visible
}

/// Whether a terminal interprets the character: control characters, and those that change the
/// direction of text, which can disguise a line.
fn is_obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The first character that JSON does not escape and a terminal may interpret.
const DELETE: char = '\u{7f}';

/// Whether the JSON needs no more escapes, as usual.
fn is_escaped(json: &[u8]) -> bool {
    // No early exit, so that the loop is vectorized.
    json.iter()
        .fold(true, |all, &byte| all & (char::from(byte) < DELETE))
}

/// Escapes complete JSON, as [`VisibleJson`] does.
pub(crate) fn visible_json(json: Vec<u8>) -> Vec<u8> {
    if is_escaped(&json) {
        return json;
    }
    let mut visible = Vec::with_capacity(json.len());
    let written = VisibleJson(&mut visible).write_all(&json);
    written.map_or(json, |()| visible)
}

/// Writes JSON. JSON escapes only some of the characters that a terminal interprets: the others,
/// which occur only in strings, are escaped here. The meaning stays the same.
pub(crate) struct VisibleJson<W>(pub(crate) W);

impl<W: Write> Write for VisibleJson<W> {
    fn write(&mut self, json: &[u8]) -> io::Result<usize> {
        self.write_all(json)?;
        Ok(json.len())
    }

    fn write_all(&mut self, json: &[u8]) -> io::Result<()> {
        if is_escaped(json) {
            return self.0.write_all(json);
        }
        // JSON is written in whole characters.
        let mut rest = std::str::from_utf8(json).map_err(io::Error::other)?;
        while let Some(at) = rest.find(|character| character >= DELETE && is_obeyed(character)) {
            let (before, from) = rest.split_at(at);
            self.0.write_all(before.as_bytes())?;
            let mut characters = from.chars();
            if let Some(character) = characters.next() {
                write!(self.0, r"\u{:04x}", u32::from(character))?;
            }
            rest = characters.as_str();
        }
        self.0.write_all(rest.as_bytes())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_keeps_its_meaning_without_characters_that_a_terminal_interprets() {
        let text = "a\x1b[2J\x7f\u{80}\u{9f}\u{a0}é\u{9b}\u{202e}\u{2069}\u{61c}\u{200f}日";
        let mut json = Vec::new();
        serde_json::to_writer_pretty(VisibleJson(&mut json), &[text]).unwrap();
        let whole = serde_json::to_vec_pretty(&[text]).unwrap();
        assert_eq!(visible_json(whole), json);
        let json = String::from_utf8(json).unwrap();
        let odd = json.chars().find(|&c| is_obeyed(c) && c != '\n');
        assert_eq!(odd, None, "{json:?}");
        assert!(json.contains('日'));
        assert_eq!(serde_json::from_str::<[String; 1]>(&json).unwrap(), [text]);
    }

    #[test]
    fn characters_that_a_terminal_interprets_are_escaped() {
        assert_eq!(printable("a\x1b[2J\nb\u{9b}"), "a\\u{1b}[2J\\u{a}b\\u{9b}");
        assert_eq!(printable_lines("a\r\n\tb\u{202e}"), "a\\u{d}\n\tb\\u{202e}");
    }
}
