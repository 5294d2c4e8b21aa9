//! Formats measured values: `12.3 µs`, `1.50 MiB/s`, `1.08×`.
//!
//! Does not know where they are shown. The units are those of a [`Question`](crate::Question).

/// The text for a missing number.
const NOTHING: &str = "–";

/// The value in its unit, with three significant digits: `12.3 µs`.
///
/// `unit` is `s`, `B`, `B/s`, `1/s` or empty; any other unit is written as it is.
pub fn value(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let step = Step::of(value, unit);
    step.label(&step.digits(value))
}

/// The value in its unit, without trailing zeros: `10 µs`. For axes.
pub fn short(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return NOTHING.to_owned();
    }
    let step = Step::of(value, unit);
    step.label(trimmed(&step.digits(value)))
}

/// As [`short`], with the prefix of `like`: `0.5 ms` beside `1 ms`, and a bare `0`.
pub(crate) fn short_like(value: f64, like: f64, unit: &str) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let step = Step::of(like, unit);
    step.label(trimmed(&step.digits(value)))
}

/// Both ends in one unit: `12.1–12.6 µs`.
pub fn interval(ends: [f64; 2], unit: &str) -> String {
    if !ends.iter().all(|end| end.is_finite()) {
        return NOTHING.to_owned();
    }
    let step = Step::of(ends[0].abs().max(ends[1].abs()), unit);
    let [low, high] = ends.map(|end| step.digits(end));
    // A minus sign behind a dash is hard to read.
    let dash = if ends[1] < 0.0 { " to " } else { "–" };
    step.label(&format!("{low}{dash}{high}"))
}

/// A ratio: `1.08×`, `12.3k×`, and `1/457` if it is small.
pub fn ratio(ratio: f64) -> String {
    match ratio.abs() {
        size if !size.is_finite() => NOTHING.to_owned(),
        size if size >= 999_500.0 => format!("{}M×", digits(ratio / 1e6)),
        size if size >= 9_995.0 => format!("{}k×", digits(ratio / 1e3)),
        size if size >= 0.1 || ratio <= 0.0 => format!("{}×", digits(ratio)),
        _ => format!("1/{}", digits(1.0 / ratio)),
    }
}

/// Both ends as by [`ratio`]: `1.05–1.12×`.
pub fn ratios(ends: [f64; 2]) -> String {
    if !ends.iter().all(|end| end.is_finite()) {
        return NOTHING.to_owned();
    }
    let [low, high] = ends.map(ratio);
    // The sign is written once if both have it.
    match low.strip_suffix('×') {
        Some(number) if high.ends_with('×') => format!("{number}–{high}"),
        _ => format!("{low}–{high}"),
    }
}

/// A duration in minutes and seconds: `2 min 5 s`.
pub fn span(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 59.5 {
        return value(seconds, "s");
    }
    // The cast saturates.
    let seconds = seconds.round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes} min {seconds} s"),
        _ => format!("{hours} h {minutes} min"),
    }
}

/// The size of a prefix step of the unit, in which an axis has round numbers.
pub(crate) fn step(value: f64, unit: &str) -> f64 {
    Step::of(value, unit).factor
}

/// Whether the unit's prefixes are powers of 1024.
pub(crate) fn is_binary(unit: &str) -> bool {
    unit.starts_with('B')
}

/// A unit with its prefix: `µs`.
struct Step<'a> {
    factor: f64,
    /// The text behind the number, with a space if it needs one.
    suffix: &'a str,
    /// The unit itself if it has no prefixes.
    unknown: &'a str,
    /// Whether the unit is indivisible, as bytes are.
    whole: bool,
}

impl<'a> Step<'a> {
    /// The largest step that is not larger than the rounded value.
    fn of(value: f64, unit: &'a str) -> Self {
        let steps: &[(f64, &str)] = match unit {
            "s" => &[(1e-9, " ns"), (1e-6, " µs"), (1e-3, " ms"), (1.0, " s")],
            "B" => &[
                (1.0, " B"),
                (1024.0, " KiB"),
                (1_048_576.0, " MiB"),
                (1_073_741_824.0, " GiB"),
                (1_099_511_627_776.0, " TiB"),
            ],
            "B/s" => &[
                (1.0, " B/s"),
                (1024.0, " KiB/s"),
                (1_048_576.0, " MiB/s"),
                (1_073_741_824.0, " GiB/s"),
                (1_099_511_627_776.0, " TiB/s"),
            ],
            // Rates of tasks are written in full up to a few thousand.
            "1/s" => &[(1.0, "/s"), (1e4, " k/s"), (1e6, " M/s"), (1e9, " G/s")],
            _ => &[(1.0, ""), (1e6, " M"), (1e9, " G")],
        };
        // 999.96 µs rounds to 1 ms, so it has that step.
        let size = value.abs() * 1.0005;
        let &(factor, suffix) = steps
            .iter()
            .rev()
            .find(|(factor, _)| size >= *factor)
            .unwrap_or(if value == 0.0 {
                // Zero has the unit without a prefix.
                steps
                    .iter()
                    .find(|(factor, _)| *factor == 1.0)
                    .expect("each unit is a step of itself")
            } else {
                &steps[0]
            });
        Self {
            factor: if suffix == " k/s" { 1e3 } else { factor },
            suffix,
            unknown: match unit {
                "s" | "B" | "B/s" | "1/s" => "",
                unit => unit,
            },
            whole: is_binary(unit) && factor == 1.0 || unit.is_empty() && value.fract() == 0.0,
        }
    }

    fn digits(&self, value: f64) -> String {
        if self.whole && self.factor == 1.0 && value.fract() == 0.0 {
            return format!("{value:.0}");
        }
        digits(value / self.factor)
    }

    fn label(&self, number: &str) -> String {
        let gap = if self.unknown.is_empty() { "" } else { " " };
        format!("{number}{}{gap}{}", self.suffix, self.unknown)
    }
}

/// Three significant digits, more only before the point.
fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        // Beyond all prefixes.
        size if size >= 999_999.5 => format!("{value:.2e}"),
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        size if size >= 0.9995 => format!("{value:.2}"),
        size if size >= 0.000_1 => {
            let places = 2 - size.log10().floor() as i32;
            format!("{value:.*}", places.unsigned_abs() as usize)
        }
        _ => format!("{value:.1e}"),
    }
}

/// Without trailing zeros of a fraction.
fn trimmed(number: &str) -> &str {
    if number.contains('.') && !number.contains('e') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: f64, unit: &str, wanted: &str) {
        assert_eq!(value(number, unit), wanted);
    }

    #[test]
    fn values_have_three_significant_digits() {
        check(12.34e-6, "s", "12.3 µs");
        check(1.0, "s", "1.00 s");
        check(0.999_96, "s", "1.00 s");
        check(123.4, "s", "123 s");
        check(2e-10, "s", "0.200 ns");
        check(0.0, "s", "0 s");
        check(-0.5, "s", "-500 ms");
        check(f64::NAN, "s", "–");
        check(f64::INFINITY, "B", "–");
    }

    #[test]
    fn bytes_go_by_1024_and_have_no_halves() {
        check(16.0, "B", "16 B");
        check(1023.0, "B", "1023 B");
        check(1024.0, "B", "1.00 KiB");
        check(1536.0 * 1024.0, "B/s", "1.50 MiB/s");
        check(200.0 * 1024.0, "B", "200 KiB");
    }

    #[test]
    fn rates_and_plain_numbers_stay_readable() {
        check(8727.0, "1/s", "8727/s");
        check(12_345.0, "1/s", "12.3 k/s");
        check(1.5e6, "1/s", "1.50 M/s");
        check(99.0, "", "99");
        check(1.0 / 300.0, "", "0.00333");
        check(1.0e-7, "", "1.0e-7");
        check(1.0e30, "", "1.00e21 G");
        check(3.0, "pages", "3.00 pages");
    }

    #[test]
    fn axes_have_no_trailing_zeros() {
        assert_eq!(short(1e-5, "s"), "10 µs");
        assert_eq!(short(2.5e-3, "s"), "2.5 ms");
        assert_eq!(short(1024.0, "B"), "1 KiB");
        assert_eq!(short(100.0, "1/s"), "100/s");
        assert_eq!(short_like(0.5e-3, 1e-3, "s"), "0.5 ms");
        assert_eq!(short_like(0.0, 1e-3, "s"), "0");
    }

    #[test]
    fn intervals_have_one_unit() {
        assert_eq!(interval([0.9e-3, 1.1e-3], "s"), "0.900–1.10 ms");
        assert_eq!(interval([12.1e-6, 12.6e-6], "s"), "12.1–12.6 µs");
        assert_eq!(interval([f64::NAN, 1.0], "s"), "–");
    }

    #[test]
    fn ratios_and_spans() {
        assert_eq!(ratio(1.0), "1.00×");
        assert_eq!(ratio(1234.0), "1234×");
        assert_eq!(ratio(12_345.0), "12.3k×");
        assert_eq!(ratio(1.0 / 457.0), "1/457");
        assert_eq!(ratio(0.0), "0×");
        assert_eq!(ratio(f64::INFINITY), "–");
        assert_eq!(ratios([1.05, 1.123]), "1.05–1.12×");
        assert_eq!(ratios([0.05, 0.25]), "1/20.0–0.250×");
        assert_eq!(span(12.0), "12.0 s");
        assert_eq!(span(125.2), "2 min 5 s");
        assert_eq!(span(7300.0), "2 h 1 min");
    }
}
