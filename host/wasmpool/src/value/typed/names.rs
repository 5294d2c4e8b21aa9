//! Matches the names of a signature with those of a program.
//!
//! Does not know what is named.
//!
//! WIT has `max-size`, Rust has `max_size` and `MaxSize`, JavaScript has `maxSize`: all mean the
//! same. The component model keeps the names of one type unique whatever their case, but allows
//! both `a-b` and `ab`; then the boundaries of the words must match.

/// The index of the name in `names` that `wanted` means.
pub(super) fn find<'a>(
    names: impl Iterator<Item = &'a str> + Clone,
    wanted: &str,
) -> Option<usize> {
    if let Some(index) = names.clone().position(|name| name == wanted) {
        return Some(index);
    }
    let mut same_letters = names
        .enumerate()
        .filter(|(_, name)| letters(name).eq(letters(wanted)));
    let (first, name) = same_letters.next()?;
    let Some((second, other)) = same_letters.next() else {
        return Some(first);
    };
    std::iter::once((first, name))
        .chain(std::iter::once((second, other)))
        .chain(same_letters)
        .find(|(_, name)| kebab(name).eq(kebab(wanted)))
        .map(|(index, _)| index)
}

/// Whether `wanted` is `name`, as it is or in snake case. Then the other names need not be
/// compared.
#[inline]
pub(super) fn is_same_spelled(name: &str, wanted: &str) -> bool {
    let same = |(one, other): (u8, u8)| one == other || (one == b'-' && other == b'_');
    name.len() == wanted.len() && name.bytes().zip(wanted.bytes()).all(same)
}

/// The letters of a name, without separators.
fn letters(name: &str) -> impl Iterator<Item = u8> {
    let parts = |byte: &u8| *byte != b'-' && *byte != b'_';
    name.bytes()
        .filter(parts)
        .map(|byte| byte.to_ascii_lowercase())
}

/// A name in kebab case: a word begins after `-` or `_`, and at a capital after a lower-case
/// letter or a digit.
fn kebab(name: &str) -> impl Iterator<Item = u8> {
    let mut before = b'-';
    name.bytes().flat_map(move |byte| {
        let begins =
            byte.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit());
        before = byte;
        let byte = match byte {
            b'_' => b'-',
            byte => byte.to_ascii_lowercase(),
        };
        begins.then_some(b'-').into_iter().chain([byte])
    })
}

/// The message for an unknown name: the nearest name, and the existing ones.
pub(super) fn unknown<'a>(
    what: &str,
    wanted: &str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> String {
    /// How many of the names are listed.
    const LISTED: usize = 16;

    let mut message = format!("unknown {what} `{}`", super::path::shortened(wanted));
    if let Some(nearest) = nearest(names.clone(), wanted) {
        message += &format!(", did you mean `{nearest}`?");
    }
    let known: Vec<_> = names.clone().take(LISTED).collect();
    let more = names.count() - known.len();
    message += &match (known.is_empty(), more) {
        (true, _) => " (there are none)".to_owned(),
        (false, 0) => format!(" (there are `{}`)", known.join("`, `")),
        (false, more) => format!(" (there are `{}` and {more} more)", known.join("`, `")),
    };
    message
}

/// The name within two edits of `wanted`, or one edit for short names.
fn nearest<'a>(names: impl Iterator<Item = &'a str>, wanted: &str) -> Option<&'a str> {
    /// Longer names are not compared: that costs too much.
    const LONGEST: usize = 64;

    let wanted: Vec<u8> = letters(wanted).take(LONGEST + 1).collect();
    let allowed = match wanted.len() {
        0..=1 => 0,
        2..=4 => 1,
        5..=LONGEST => 2,
        _ => return None,
    };
    names
        .filter(|name| name.len() <= LONGEST)
        .map(|name| {
            let letters: Vec<u8> = letters(name).collect();
            (distance(&letters, &wanted), name)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The edit distance: how many letters must be inserted, removed or changed.
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let change = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'a>(names: &[&'a str], wanted: &str) -> Option<&'a str> {
        find(names.iter().copied(), wanted).map(|index| names[index])
    }

    #[test]
    fn all_usual_cases_of_a_name_find_it() {
        let names = ["size", "max-size", "http2-server", "x-1", "URL-path"];
        for wanted in ["max-size", "max_size", "maxSize", "MaxSize", "MAX_SIZE"] {
            assert_eq!(found(&names, wanted), Some("max-size"), "{wanted}");
        }
        for wanted in ["http2-server", "Http2Server", "HTTP2Server", "http2_server"] {
            assert_eq!(found(&names, wanted), Some("http2-server"), "{wanted}");
        }
        assert_eq!(found(&names, "x1"), Some("x-1"));
        assert_eq!(found(&names, "urlPath"), Some("URL-path"));
        assert_eq!(found(&names, "sizes"), None);
        assert_eq!(found(&names, ""), None);
    }

    #[test]
    fn names_that_differ_only_in_word_boundaries_are_distinguished() {
        let names = ["a-b", "ab"];
        assert_eq!(found(&names, "aB"), Some("a-b"));
        assert_eq!(found(&names, "A_B"), Some("a-b"));
        assert_eq!(found(&names, "Ab"), Some("ab"));
        let names = ["a-bc", "ab-c"];
        assert_eq!(found(&names, "AbC"), Some("ab-c"));
        assert_eq!(found(&names, "abc"), None);
    }

    #[test]
    fn an_unknown_name_is_reported_with_the_nearest() {
        let unknown = |wanted| unknown("case", wanted, ["red", "green", "dark-blue"].into_iter());
        assert_eq!(
            unknown("gren"),
            "unknown case `gren`, did you mean `green`? (there are `red`, `green`, `dark-blue`)"
        );
        assert_eq!(
            unknown("purple"),
            "unknown case `purple` (there are `red`, `green`, `dark-blue`)"
        );
    }
}
