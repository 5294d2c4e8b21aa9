//! Text of the page: prose, moments and counts.

use maud::{Markup, html as markup};

/// Text in which parts in backticks become code.
pub(super) fn prose(text: &str) -> Markup {
    let parts: Vec<&str> = text.split('`').collect();
    // A backtick without a closing one is literal.
    let closed = (parts.len() - 1) / 2 * 2;
    markup! {
        @for (index, part) in parts.iter().enumerate() {
            @if index > closed {
                "`" (part)
            } @else if index % 2 == 1 {
                code { (part) }
            } @else {
                (part)
            }
        }
    }
}

/// The day of an RFC 3339 time.
pub(super) fn day(time: &str) -> &str {
    time.split_once('T').map_or(time, |(day, _)| day)
}

/// An RFC 3339 time in UTC, formatted to the minute. Other text is unchanged.
pub(super) fn moment(time: &str) -> String {
    match time.split_once('T') {
        Some((day, clock))
            if clock.ends_with('Z') && clock.is_char_boundary(5) && clock.len() > 5 =>
        {
            format!("{day} {} UTC", &clock[..5])
        }
        _ => time.to_owned(),
    }
}

pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_for_people() {
        assert_eq!(moment("2026-01-31T09:05:59.25Z"), "2026-01-31 09:05 UTC");
        assert_eq!(
            moment("2026-01-31T09:05:59+02:00"),
            "2026-01-31T09:05:59+02:00"
        );
        assert_eq!(moment("yesterday"), "yesterday");
        assert_eq!(moment("Täää\u{20ac}Z"), "Täää\u{20ac}Z");
    }

    #[test]
    fn backticks_make_code_in_pairs() {
        assert_eq!(prose("a `<b>` c").0, "a <code>&lt;b&gt;</code> c");
        assert_eq!(prose("`a` `b").0, "<code>a</code> `b");
        assert_eq!(prose("it`s").0, "it`s");
        assert_eq!(prose("").0, "");
    }
}
