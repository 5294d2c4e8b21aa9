//! The byte order mark at the beginning of a text, and what it says of the encoding.
//!
//! Editors and spreadsheets put it there. JSON has no such thing, so its parser would refuse it.

/// The mark of UTF-8, which changes nothing.
const UTF_8: &[u8] = b"\xEF\xBB\xBF";

/// The marks of other encodings, and the encodings' names for `iconv`. The longer ones come first:
/// they begin like the others.
const OTHERS: [(&[u8], &str); 4] = [
    (b"\xFF\xFE\0\0", "UTF-32"),
    (b"\0\0\xFE\xFF", "UTF-32"),
    (b"\xFF\xFE", "UTF-16"),
    (b"\xFE\xFF", "UTF-16"),
];

/// How many bytes at the beginning of a text tell its encoding.
pub(super) const MARK: usize = 4;

/// How long the mark is with which the text begins: 0 without one.
///
/// # Errors
///
/// If the mark is that of another encoding than UTF-8; the message says of a file what it is and
/// what to do.
pub(super) fn mark_of(text: &[u8]) -> Result<usize, String> {
    if let Some((_, name)) = OTHERS.iter().find(|(mark, _)| text.starts_with(mark)) {
        return Err(format!(
            "is in {name} and not in UTF-8: convert it with `iconv -f {name} -t UTF-8`"
        ));
    }
    Ok(match text.starts_with(UTF_8) {
        true => UTF_8.len(),
        false => 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_says_the_encoding() {
        assert_eq!(mark_of(b"\xEF\xBB\xBF1"), Ok(3));
        for text in [&b""[..], b"1", b"\xEF\xBB", b"\xFF", b"\xFE\xFE", b"\0\0"] {
            assert_eq!(mark_of(text), Ok(0), "{text:?}");
        }
        for (text, name) in [
            (&b"\xFF\xFE1\0"[..], "UTF-16"),
            (b"\xFE\xFF\x001", "UTF-16"),
            (b"\xFF\xFE", "UTF-16"),
            (b"\xFF\xFE\0\x001\0\0\0", "UTF-32"),
            (b"\0\0\xFE\xFF", "UTF-32"),
        ] {
            let problem = mark_of(text).unwrap_err();
            assert!(problem.contains(&format!("-f {name} ")), "{problem}");
        }
    }
}
