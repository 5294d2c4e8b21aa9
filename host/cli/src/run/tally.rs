//! The summary of a run: counts, rate, latencies; as one line of text and as JSON.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use wasmpool::TaskReport;

use crate::args::Why;

/// The kind of an input that did not become a task.
pub(crate) const BAD_INPUT: &str = "bad-input";

/// The kind of an input for whose session there was no place.
pub(crate) const TOO_MANY_SESSIONS: &str = "too-many-sessions";

/// The kind of a task that was cancelled since the run was cut short.
const CANCELLED: &str = "cancelled";

/// Counts outcomes and records times.
pub(crate) struct Tally {
    n_tasks: u64,
    n_ok: u64,
    failures: BTreeMap<&'static str, u64>,
    /// Inputs whose outcomes are there from an earlier run, and how many of them have failed.
    n_skipped: u64,
    n_skipped_failed: u64,
    /// In microseconds.
    ran: Histogram<u64>,
    queued: Histogram<u64>,
    peak_memory: usize,
}

/// Facts of a run besides its counts.
pub(crate) struct RunFacts<'a> {
    pub(crate) module: &'a str,
    pub(crate) task: &'a str,
    pub(crate) workers: usize,
    pub(crate) isolation: &'a str,
    pub(crate) interrupted: bool,
    pub(crate) elapsed: Duration,
}

/// The summary: its `Display` form is the last line on standard error, its JSON form what
/// `--report` writes.
#[derive(Serialize)]
pub(crate) struct Summary<'a> {
    module: &'a str,
    task: &'a str,
    workers: usize,
    isolation: &'a str,
    interrupted: bool,
    tasks: u64,
    ok: u64,
    failed: u64,
    failures: &'a BTreeMap<&'static str, u64>,
    skipped: u64,
    skipped_failed: u64,
    seconds: f64,
    tasks_per_second: f64,
    ran_ms: Quantiles,
    queued_ms: Quantiles,
    peak_memory_bytes: usize,
}

/// Milliseconds.
#[derive(Serialize)]
pub(crate) struct Quantiles {
    min: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

/// The part of a task's report that is counted.
pub(crate) struct Cost {
    queued: Duration,
    /// `None` if it never started.
    ran: Option<Duration>,
    peak_memory: usize,
}

impl Cost {
    pub(crate) fn of(report: &TaskReport) -> Self {
        Self {
            queued: report.queued,
            ran: report.worker.map(|_| report.ran),
            peak_memory: report.peak_memory,
        }
    }
}

impl Tally {
    pub(crate) fn new() -> Self {
        // Three significant digits.
        let histogram = || Histogram::new(3).expect("three digits are allowed");
        Self {
            n_tasks: 0,
            n_ok: 0,
            failures: BTreeMap::new(),
            n_skipped: 0,
            n_skipped_failed: 0,
            ran: histogram(),
            queued: histogram(),
            peak_memory: 0,
        }
    }

    /// Counts a task that has ended; `failure` is of which kind, if it failed.
    pub(crate) fn count(&mut self, failure: Option<&'static str>, cost: &Cost) {
        match failure {
            None => {
                self.n_tasks += 1;
                self.n_ok += 1;
            }
            Some(kind) => self.count_failure(kind),
        }
        record(&mut self.queued, cost.queued);
        if let Some(ran) = cost.ran {
            record(&mut self.ran, ran);
        }
        self.peak_memory = self.peak_memory.max(cost.peak_memory);
    }

    /// Counts a task that was cancelled because the run was cut short.
    pub(crate) fn count_cancelled(&mut self, cost: &Cost) {
        self.count_failure(CANCELLED);
        self.peak_memory = self.peak_memory.max(cost.peak_memory);
    }

    pub(crate) fn count_failure(&mut self, kind: &'static str) {
        self.n_tasks += 1;
        *self.failures.entry(kind).or_default() += 1;
    }

    /// Counts an input whose outcome is there from an earlier run.
    pub(crate) fn count_skipped(&mut self, has_failed: bool) {
        self.n_skipped += 1;
        self.n_skipped_failed += u64::from(has_failed);
    }

    /// Whether some outcome is a failure, of this run or of an earlier one. Tasks that were cancelled
    /// have none.
    pub(crate) fn has_failures(&self) -> bool {
        let n_cancelled = self.failures.get(CANCELLED).copied().unwrap_or_default();
        self.n_failed() - n_cancelled + self.n_skipped_failed > 0
    }

    /// How many tasks have come to such an end.
    pub(crate) fn n_ended(&self, why: Why) -> u64 {
        match why {
            Why::Fail => self.n_failed(),
            Why::Success => self.n_ok,
            Why::Done => self.n_tasks,
        }
    }

    pub(crate) fn n_tasks(&self) -> u64 {
        self.n_tasks
    }

    pub(crate) fn n_failed(&self) -> u64 {
        self.n_tasks - self.n_ok
    }

    pub(crate) fn summary<'a>(&'a self, facts: RunFacts<'a>) -> Summary<'a> {
        let seconds = facts.elapsed.as_secs_f64();
        Summary {
            module: facts.module,
            task: facts.task,
            workers: facts.workers,
            isolation: facts.isolation,
            interrupted: facts.interrupted,
            tasks: self.n_tasks,
            ok: self.n_ok,
            failed: self.n_failed(),
            failures: &self.failures,
            skipped: self.n_skipped,
            skipped_failed: self.n_skipped_failed,
            seconds,
            tasks_per_second: self.n_tasks as f64 / seconds.max(1e-9),
            ran_ms: quantiles(&self.ran),
            queued_ms: quantiles(&self.queued),
            peak_memory_bytes: self.peak_memory,
        }
    }
}

/// `10000 tasks: 9998 ok, 1 timed out, 1 trapped in 1.92 s (5208/s, 2 workers)`
impl fmt::Display for Summary<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u64| if count == 1 { "" } else { "s" };
        write!(
            formatter,
            "{} task{}: {} ok",
            self.tasks,
            plural(self.tasks),
            self.ok
        )?;
        for (kind, count) in self.failures {
            write!(formatter, ", {count} {}", in_words(kind))?;
        }
        match self.seconds {
            0.0..0.01 => write!(formatter, " in {:.1} ms", self.seconds * 1e3)?,
            0.01..1.0 => write!(formatter, " in {:.0} ms", self.seconds * 1e3)?,
            _ => write!(formatter, " in {:.2} s", self.seconds)?,
        }
        let workers = self.workers as u64;
        write!(
            formatter,
            " ({}, {workers} worker{})",
            rate(self.tasks_per_second),
            plural(workers)
        )?;
        match (self.skipped, self.skipped_failed) {
            (0, _) => Ok(()),
            (skipped, 0) => write!(formatter, "; {skipped} skipped"),
            (skipped, failed) => write!(formatter, "; {skipped} skipped, of which {failed} failed"),
        }
    }
}

fn record(histogram: &mut Histogram<u64>, duration: Duration) {
    histogram
        .record(micros(duration))
        .expect("a histogram without bounds resizes itself");
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn quantiles(histogram: &Histogram<u64>) -> Quantiles {
    let ms = |micros: u64| micros as f64 / 1e3;
    Quantiles {
        min: ms(histogram.min()),
        p50: ms(histogram.value_at_quantile(0.5)),
        p90: ms(histogram.value_at_quantile(0.9)),
        p99: ms(histogram.value_at_quantile(0.99)),
        max: ms(histogram.max()),
    }
}

/// A rate with three significant digits, or all digits before the point: `9.12/s`, `8727/s`.
pub(crate) fn rate(per_second: f64) -> String {
    let digits = match per_second {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        _ => 3,
    };
    format!("{per_second:.digits$}/s")
}

/// A kind of failure, for the summary line.
fn in_words(kind: &str) -> String {
    match kind {
        "trap" => "trapped".to_owned(),
        "memory-limit" => "over the memory limit".to_owned(),
        "memory-budget" => "over the memory budget".to_owned(),
        "handle-limit" => "over the limit of handles".to_owned(),
        "output-limit" => "over the output limit".to_owned(),
        "internal" => "failed inside of the pool".to_owned(),
        kind => kind.replace('-', " "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_have_three_digits() {
        let rates = [0.0, 0.0312, 0.5, 9.1184, 12.34, 123.4, 8727.3].map(rate);
        let expected = [
            "0.000/s", "0.031/s", "0.500/s", "9.12/s", "12.3/s", "123/s", "8727/s",
        ];
        assert_eq!(rates, expected);
    }
}
