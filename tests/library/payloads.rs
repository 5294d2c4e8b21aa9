//! Large arguments and results: they arrive complete, and their tasks stop as cleanly as others.

use std::time::Duration;

use wasmpool::{Pool, Shutdown, TaskErrorKind as Kind, TaskFuture, TaskOptions};

use crate::support::{Bench, wait_until_running, within_long};

const LARGE: usize = 64 << 20;

/// Text in which no two MiB are equal.
fn large_text() -> String {
    let mebibyte = |letter| char::from(letter).to_string().repeat(1 << 20);
    (b'0'..).take(64).map(mebibyte).collect()
}

/// A running endless task with a large argument.
fn pondering(bench: &Bench, text: &str) -> TaskFuture<u64> {
    let future = bench.submit("ponder", text);
    wait_until_running(&future);
    future
}

/// Checks that the only worker returns a small text and a large one.
fn assert_echoes(bench: &Bench, text: &str) {
    assert_eq!(
        bench.call::<_, String>("echo", "still there"),
        "still there"
    );
    assert!(bench.call::<_, String>("echo", text) == text);
}

#[test]
fn sixty_four_mebibytes_make_a_round_trip() {
    let bench = Bench::with_workers(1);
    let text = large_text();
    assert_eq!(text.len(), LARGE);
    assert_echoes(&bench, &text);
}

#[test]
fn a_task_with_a_large_payload_is_cancelled_and_timed_out_cleanly() {
    let bench = Bench::with_workers(1);
    let text = large_text();
    assert!(pondering(&bench, &text).cancel());
    assert_echoes(&bench, &text);

    let short = TaskOptions::new().task_timeout(Duration::from_millis(30));
    let ponder = bench.task::<&str, u64>("ponder").with(short);
    let future = bench.pool.submit(&ponder, (&text,)).unwrap();
    assert_eq!(future.wait().unwrap_err().kind(), Kind::TimedOut);
    assert_echoes(&bench, &text);
}

#[test]
fn a_task_with_a_large_payload_is_stopped_at_any_point() {
    let bench = Bench::with_workers(1);
    let text = large_text();
    let echo = bench.task::<&str, String>("echo");
    let whole = bench.pool.submit(&echo, (&text,)).unwrap();
    whole.wait().unwrap();
    let way = whole.report().unwrap().ran;
    for sixths in 0..6 {
        let part = way * sixths / 6;
        let future = bench.pool.submit(&echo, (&text,)).unwrap();
        wait_until_running(&future);
        // The task may also end before that.
        drop(future.wait_timeout(part));
        let is_cancelled = future.cancel();
        match future.wait() {
            Ok(back) => assert!(!is_cancelled && back == text),
            Err(error) => assert!(is_cancelled && error.kind() == Kind::Cancelled, "{error}"),
        }

        let timed = echo.with(TaskOptions::new().task_timeout(part));
        let future = bench.pool.submit(&timed, (&text,)).unwrap();
        match future.wait() {
            Ok(back) => assert!(back == text),
            Err(error) => assert_eq!(error.kind(), Kind::TimedOut),
        }
    }
    assert_echoes(&bench, &text);
}

#[test]
fn a_pool_with_large_payloads_under_way_ends_cleanly() {
    let text = large_text();
    for ends_by_drop in [false, true] {
        let bench = Bench::new(Pool::builder().workers(2));
        let running = pondering(&bench, &text);
        let echoing = bench.submit::<_, String>("echo", &text);
        wait_until_running(&echoing);
        let queued = [(); 3].map(|()| bench.submit::<_, String>("echo", &text));
        within_long(move || {
            if !ends_by_drop {
                bench.pool.shutdown(Shutdown::Terminate);
            }
            drop(bench);
        });
        assert_eq!(running.wait().unwrap_err().kind(), Kind::ShutDown);
        // Each of these may also have ended just before.
        match echoing.wait() {
            Ok(back) => assert!(back == text),
            Err(error) => assert_eq!(error.kind(), Kind::ShutDown),
        }
        for future in queued {
            assert!(future.wait().is_ok() || future.is_cancelled());
        }
    }
}
