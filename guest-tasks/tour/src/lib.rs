//! A tour of the SDK's features: start here to write your own guest.

#[wasmpool_guest::tasks]
mod tasks {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};
    use serde_bytes::Bytes;
    use wasmpool_guest::{Failure, context};

    /// Where and how a task runs.
    #[derive(Serialize)]
    pub struct Whereabouts {
        worker: u32,
        time_left_ms: Option<u64>,
        is_stop_requested: bool,
    }

    /// A point in the plane.
    #[derive(Serialize, Deserialize)]
    pub struct Point {
        x: f64,
        y: f64,
    }

    /// Counts the words of `text`. A borrowed argument is read in place.
    pub fn count_words(text: &str) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for word in text.split_whitespace() {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
        counts
    }

    /// Divides `dividend` by `divisor`; fails with a code where that cannot be.
    pub fn divide(dividend: i64, divisor: i64) -> Result<i64, Failure> {
        dividend
            .checked_div(divisor)
            .ok_or_else(|| Failure::new("undefined", format!("{dividend} / {divisor}")))
    }

    /// The number from `least` to `most` that is nearest to `value`. Fails if there is none.
    pub fn clamp(value: i64, least: i64, most: i64) -> Result<i64, Failure> {
        if least > most {
            return Err(Failure::new(
                "empty",
                format!("nothing is from {least} to {most}"),
            ));
        }
        Ok(value.clamp(least, most))
    }

    /// Reads numbers, one a line. `?` turns any error into a failure of the task.
    pub fn parse_numbers(text: &str) -> Result<Vec<i64>, Failure> {
        let numbers = text.lines().map(|line| line.trim().parse());
        Ok(numbers.collect::<Result<Vec<i64>, _>>()?)
    }

    /// Moves a point. Structs are encoded as maps with the names of their fields.
    pub fn shift(point: Point, by: (f64, f64)) -> Point {
        Point {
            x: point.x + by.0,
            y: point.y + by.1,
        }
    }

    /// Adds up the numbers from 1 to `n`, and reports its progress after each thousand.
    pub fn sum_to(n: u64) -> u64 {
        let mut sum = 0_u64;
        for number in 1..=n {
            sum = sum.wrapping_add(number);
            if number % 1000 == 0 {
                context::report_progress(number, Some(n));
            }
        }
        sum
    }

    /// Returns where and how it runs. A task may have no parameters.
    pub fn whereabouts() -> Whereabouts {
        let millis =
            |left: std::time::Duration| u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        Whereabouts {
            worker: context::worker(),
            time_left_ms: context::time_left().map(millis),
            is_stop_requested: context::is_stop_requested(),
        }
    }

    /// Returns `bytes`. This type is encoded in one piece; serde encodes a `Vec<u8>` as a list of
    /// numbers, one by one.
    pub fn echo(bytes: &Bytes) -> &Bytes {
        bytes
    }

    /// Prints `text` on standard output, which ends up in the task's report.
    pub fn print(text: &str) {
        println!("{text}");
    }
}
