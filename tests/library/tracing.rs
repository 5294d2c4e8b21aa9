//! Spans and events; only with the feature `tracing`.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use wasmpool::{Retry, TaskOptions};

use crate::support::{Bench, in_own_process, within_long};

/// Collects all trace output of this process.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn each_attempt_is_a_span_with_an_end_and_a_parent() {
    let written = Written::default();
    let writer = written.clone();
    // The only test that sets the global subscriber; the tag distinguishes its tasks from those of
    // other tests.
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::DEBUG)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    let bench = Bench::with_workers(1);
    let options = TaskOptions::new().tag("traced-7").retry(Retry::times(1));
    let panic = bench.task::<&str, ()>("panic").with(options.clone());
    let recall = bench.task::<u64, u64>("recall").with(options);
    let request = tracing::info_span!("request", id = 42);
    request.in_scope(|| {
        let failing = bench.pool.submit(&panic, ("now",)).unwrap();
        assert_eq!(failing.tag(), Some("traced-7"));
        failing.wait().unwrap_err();
        bench.pool.submit(&recall, (1,)).unwrap().wait().unwrap();
    });
    bench.assert_healthy();

    let bytes = written.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    let ours = text.lines().filter(|line| line.contains("traced-7"));
    let ours = ours.collect::<Vec<_>>();
    assert_eq!(ours.len(), 3, "{ours:#?}");
    for (line, (name, attempt, end)) in ours.iter().zip([
        ("panic", 1, "is_last=false"),
        ("panic", 2, "is_last=true"),
        ("recall", 1, "succeeded"),
    ]) {
        assert!(line.contains("request{id=42}:task{"), "{line}");
        assert!(line.contains(&format!("name=\"{name}\"")), "{line}");
        assert!(line.contains(&format!("attempt={attempt}")), "{line}");
        assert!(line.contains("worker=0") && line.contains(end), "{line}");
    }
    assert!(text.contains("module loaded") && text.contains("pool built"));
}

/// A subscriber that panics at one kind of callback. Not at several: a panic during another one
/// aborts the process.
#[derive(PartialEq)]
enum PanicsAt {
    NewSpan,
    Event,
    Enter,
    Exit,
    Close,
}

impl PanicsAt {
    fn hears(&self, of: &Self) {
        assert!(self != of, "the subscriber's own fault");
    }
}

impl Subscriber for PanicsAt {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.hears(&Self::NewSpan);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        self.hears(&Self::Event);
    }

    fn enter(&self, _: &Id) {
        self.hears(&Self::Enter);
    }

    fn exit(&self, _: &Id) {
        self.hears(&Self::Exit);
    }

    fn try_close(&self, _: Id) -> bool {
        self.hears(&Self::Close);
        true
    }
}

/// Checks that tasks settle as without the subscriber, and that the pool ends.
fn check_that_tasks_settle(subscriber: PanicsAt) {
    std::panic::set_hook(Box::new(|_| {}));
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let bench = Bench::with_workers(2);
    for n in 0..20 {
        bench.call::<u64, u64>("recall", n);
        bench.submit::<_, ()>("panic", "now").wait().unwrap_err();
    }
    bench.assert_healthy();
    within_long(move || drop(bench));
}

#[test]
fn a_subscriber_that_panics_at_a_span_ends_no_task_and_no_worker() {
    in_own_process(|| check_that_tasks_settle(PanicsAt::NewSpan));
}

#[test]
fn a_subscriber_that_panics_at_an_event_ends_no_task_and_no_worker() {
    in_own_process(|| check_that_tasks_settle(PanicsAt::Event));
}

#[test]
fn a_subscriber_that_panics_when_a_span_is_entered_ends_no_task_and_no_worker() {
    in_own_process(|| check_that_tasks_settle(PanicsAt::Enter));
}

#[test]
fn a_subscriber_that_panics_when_a_span_is_left_ends_no_task_and_no_worker() {
    in_own_process(|| check_that_tasks_settle(PanicsAt::Exit));
}

#[test]
fn a_subscriber_that_panics_when_a_span_is_closed_ends_no_task_and_no_worker() {
    in_own_process(|| check_that_tasks_settle(PanicsAt::Close));
}
