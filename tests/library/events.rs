//! Events of a running task reach its listeners, which never slow it.

use wasmpool::{Progress, Retry, TaskEvent, TaskOptions};

use crate::support::{Bench, within_long};

#[test]
fn events_come_in_order_and_then_the_end() {
    let bench = Bench::with_workers(1);
    let tour = bench.pool.load(wasmpool_guests::TOUR.path()).unwrap();
    let sum_to = tour.task::<(u64,), u64>("sum_to").unwrap();
    let blocker = bench.spinning();
    let future = bench.pool.submit(&sum_to, (5_500,)).unwrap();
    let events = future.events();
    blocker.cancel();
    let expected = [1_000, 2_000, 3_000, 4_000, 5_000].map(|done| {
        TaskEvent::Progress(Progress {
            done,
            total: Some(5_500),
        })
    });
    assert!(events.eq(expected));

    let print = tour.task::<(&str,), ()>("print").unwrap();
    let blocker = bench.spinning();
    let future = bench.pool.submit(&print, ("hello",)).unwrap();
    let (first, second) = (future.events(), future.events());
    blocker.cancel();
    for events in [first, second] {
        let mut written = Vec::new();
        for event in events {
            match event {
                TaskEvent::Stdout(bytes) => written.extend(bytes),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(written, b"hello\n");
    }
    // The report has the output too, and a late listener gets no event.
    assert_eq!(future.report().unwrap().stdout.text(), "hello\n");
    assert_eq!(future.events().count(), 0);
}

#[test]
fn a_slow_listener_slows_no_task_and_counts_missed_events() {
    let bench = Bench::with_workers(1);
    let blocker = bench.spinning();
    let future = bench.submit::<_, usize>("flood", 2_000);
    let mut events = future.events();
    drop(future.events());
    blocker.cancel();
    assert_eq!(future.wait().unwrap(), 2_000);
    // The guest does not buffer standard error: at least one event per line.
    assert!(events.missed() > 0, "{events:?}");
    let heard = std::iter::from_fn(|| events.try_next()).count();
    assert!(heard > 100, "{heard}");
    assert!(heard as u64 + events.missed() >= 2_000);
}

#[test]
fn a_cancel_ends_the_events_at_once() {
    let bench = Bench::with_workers(1);
    let future = bench.submit::<_, u64>("ignore_stop", 1);
    let mut events = future.events();
    let mut first = None;
    while first.is_none() {
        first = events.next_timeout(std::time::Duration::from_millis(1));
    }
    assert!(matches!(first, Some(TaskEvent::Progress(_))));
    future.cancel();
    within_long(move || events.for_each(drop));
    bench.assert_healthy();
}

#[test]
fn events_of_every_attempt_are_received() {
    let bench = Bench::with_workers(1);
    let blocker = bench.spinning();
    let options = TaskOptions::new().retry(Retry::times(2));
    let panic = bench.task::<&str, ()>("panic").with(options);
    let future = bench.pool.submit(&panic, ("again",)).unwrap();
    let events = future.events();
    blocker.cancel();
    let mut written = Vec::new();
    for event in events {
        if let TaskEvent::Stderr(bytes) = event {
            written.extend(bytes);
        }
    }
    let written = String::from_utf8(written).unwrap();
    assert_eq!(written.matches("again").count(), 3, "{written}");
}
