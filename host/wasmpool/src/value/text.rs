//! Bounded texts for messages.
//!
//! Does not know what they say. Formatting stops where a text is cut, so the cost is bounded
//! however large the source.

use std::fmt::{self, Display, Write};

/// How much of a name is shown, in bytes. Real names are shorter, even those of generic functions;
/// the format allows 100,000 bytes, and a guest that lists its tasks has no bound.
const NAME: usize = 256;

/// How much of a message is kept, in bytes: errors are stored and copied.
pub(crate) const MESSAGE: usize = 16 << 10;

/// How many names of a list are shown.
const LISTED: usize = 16;

/// The mark of a cut.
const CUT: &str = " ...";

/// A text of at most `limit` bytes. Writing more is an error, which stops the formatter.
#[derive(Debug)]
pub(crate) struct Bounded {
    text: String,
    limit: usize,
    is_cut: bool,
}

impl Bounded {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            text: String::new(),
            limit,
            is_cut: false,
        }
    }

    /// Whether a write was cut.
    pub(crate) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// The text so far.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The text, with a mark where it was cut.
    pub(crate) fn into_text(mut self) -> String {
        if self.is_cut {
            self.text.push_str(CUT);
        }
        self.text
    }

    /// Keeps only the first `length` bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.text.truncate(length);
    }
}

impl Write for Bounded {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.is_cut {
            return Err(fmt::Error);
        }
        let room = self.limit.saturating_sub(self.text.len());
        if part.len() <= room {
            self.text.push_str(part);
            return Ok(());
        }
        self.text.push_str(&part[..part.floor_char_boundary(room)]);
        self.is_cut = true;
        Err(fmt::Error)
    }
}

/// Escapes control characters in what it writes, as in `\u{1b}`.
struct Escaped<'a, W>(&'a mut W);

impl<W: Write> Write for Escaped<'_, W> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        let mut rest = part;
        while let Some(at) = rest.find(char::is_control) {
            let (before, from) = rest.split_at(at);
            self.0.write_str(before)?;
            let mut characters = from.chars();
            if let Some(control) = characters.next() {
                write!(self.0, "{}", control.escape_unicode())?;
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

/// A message, cut after 16 KiB. Control characters are not escaped.
pub(crate) fn message(words: impl Display) -> String {
    let mut text = Bounded::new(MESSAGE);
    // Fails where the text is cut, or where formatting itself fails.
    let _ = write!(text, "{words}");
    text.into_text()
}

/// As [`message`], for a message that was already formatted.
pub(crate) fn cut(mut words: String) -> String {
    if words.len() > MESSAGE {
        words.truncate(words.floor_char_boundary(MESSAGE));
        words.push_str(CUT);
        words.shrink_to_fit();
    }
    words
}

/// Serde's message with its float as people write it: serde writes `1e300` with all its digits.
pub(crate) fn with_exponents(message: &str) -> String {
    const BEFORE: &str = "floating point `";
    let short = message.split_once(BEFORE).and_then(|(before, rest)| {
        let (number, after) = rest.split_once('`')?;
        let number = number.parse::<f64>().ok()?;
        Some(format!("{before}{BEFORE}{number:?}`{after}"))
    });
    short.unwrap_or_else(|| message.to_owned())
}

/// A name for a message: cut after 256 bytes, with control characters escaped.
pub(crate) fn name(name: impl Display) -> String {
    let mut text = Bounded::new(NAME);
    let _ = write!(Escaped(&mut text), "{name}");
    text.into_text()
}

/// Names for a message: `` `a`, `b` and 3 more ``. Shows the first 16, each as by [`name`].
pub(crate) struct Listed<'a, T>(pub(crate) &'a [T]);

impl<T: AsRef<str>> Display for Listed<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, shown) in self.0.iter().take(LISTED).enumerate() {
            let separator = if index > 0 { ", " } else { "" };
            write!(formatter, "{separator}`{}`", name(shown.as_ref()))?;
        }
        match self.0.len().saturating_sub(LISTED) {
            0 => Ok(()),
            more => write!(formatter, " and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_two_characters() {
        assert_eq!(name("short"), "short");
        assert_eq!(name("x".repeat(NAME)), "x".repeat(NAME));
        let odd = format!("x{}", "ß".repeat(NAME));
        assert_eq!(name(&odd), format!("x{}{CUT}", "ß".repeat(NAME / 2 - 1)));
        let odd = format!("x{}", "ß".repeat(MESSAGE));
        assert_eq!(message(&odd), cut(odd.clone()));
        assert_eq!(message(&odd).len(), MESSAGE - 1 + CUT.len());
    }

    #[test]
    fn making_a_text_stops_where_it_is_cut() {
        struct Endless;
        impl Display for Endless {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                loop {
                    formatter.write_str("on and on ")?;
                }
            }
        }
        assert_eq!(message(Endless).len(), MESSAGE + CUT.len());
        assert_eq!(name(Endless).len(), NAME + CUT.len());
    }

    #[test]
    fn names_have_no_control_characters() {
        assert_eq!(name("a\x1b[2J\n\u{9b}b"), "a\\u{1b}[2J\\u{a}\\u{9b}b");
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(Listed(&["a", "b\x07"]).to_string(), "`a`, `b\\u{7}`");
        let many = Listed(&["n"; LISTED + 3]).to_string();
        assert!(many.ends_with("`n` and 3 more"), "{many}");
    }
}
