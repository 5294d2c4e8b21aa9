//! Sessions: instances that keep their state, one call at a time, and how they end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use wasmpool::{
    Capabilities, Fault, Isolation, Pool, PoolBuilder, Session, SessionError, SessionState,
    Shutdown, SubmitErrorKind, TaskErrorKind as Kind, TaskFuture, TaskOptions, TaskState,
};

use crate::support::{
    Bench, LONG, Random, Seed, in_own_process, threads_named, wait_until_running,
    wait_until_suspended, within_long,
};

const MIB: usize = 1 << 20;

/// Far longer than any test takes.
const HOUR: u64 = 3_600_000;

impl Bench {
    fn session(&self) -> Session {
        self.misbehaving.session(&self.pool).unwrap()
    }
}

/// Submits a call of a task of the misbehaving guest.
fn submit<A: serde::Serialize, Out>(
    bench: &Bench,
    session: &Session,
    name: &str,
    argument: A,
) -> TaskFuture<Out> {
    let submitted = session.submit(&bench.task(name), (argument,));
    submitted.unwrap()
}

/// What the session remembers.
fn recall(bench: &Bench, session: &Session) -> Result<u64, Kind> {
    let recalled = submit::<u64, u64>(bench, session, "recall", 0).wait();
    recalled.map_err(|error| error.kind())
}

fn remember(bench: &Bench, session: &Session, value: u64) -> u64 {
    submit::<u64, u64>(bench, session, "remember", value)
        .wait()
        .unwrap()
}

fn kind<Out: serde::de::DeserializeOwned + std::fmt::Debug>(future: &TaskFuture<Out>) -> Kind {
    future.wait().unwrap_err().kind()
}

/// Blocks until the condition holds. Polls, since there is nothing to wait on.
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn wait_until_ended(session: &Session) {
    wait_until("it ends", || session.state() == SessionState::Ended);
}

#[test]
fn a_session_keeps_its_state_from_call_to_call_on_any_worker() {
    let bench = Bench::with_workers(3);
    let session = bench.session();
    assert_eq!(session.state(), SessionState::Idle);
    let calls = (1..=300)
        .map(|value| submit::<u64, u64>(&bench, &session, "remember", value))
        .collect::<Vec<_>>();
    for (before, call) in calls.iter().enumerate() {
        assert_eq!(call.wait().unwrap(), before as u64);
        assert_eq!(call.report().unwrap().instance_age, before as u64);
    }
    assert_eq!(recall(&bench, &session), Ok(300));
    assert_eq!(session.state(), SessionState::Idle);
    assert!(session.error().is_none());
}

#[test]
fn no_other_session_and_no_task_sees_the_state_of_a_session() {
    for isolation in [Isolation::Task, Isolation::Worker] {
        let bench = Bench::new(Pool::builder().workers(2).isolation(isolation));
        let sessions = [(); 3].map(|()| bench.session());
        for round in 0..20 {
            for (number, session) in (1..).zip(&sessions) {
                let before = if round == 0 { 0 } else { number };
                assert_eq!(remember(&bench, session, number), before);
            }
            assert_eq!(bench.call::<_, u64>("recall", 0), 0);
        }
    }
}

#[test]
fn calls_of_a_session_run_one_at_a_time_in_order() {
    let bench = Bench::with_workers(3);
    let session = bench.session();
    // Some wait in the host: their worker is free then, and the session is not.
    let calls = (0..50)
        .map(|number| submit::<_, u64>(&bench, &session, "sleep", number % 3))
        .collect::<Vec<_>>();
    let is_active =
        |call: &&TaskFuture<u64>| matches!(call.state(), TaskState::Running | TaskState::Suspended);
    while !calls.iter().all(TaskFuture::is_done) {
        // From the end: a call that ends meanwhile makes room for a later one, which was counted.
        assert!(calls.iter().rev().filter(is_active).count() <= 1);
        let last_done = calls.iter().rposition(TaskFuture::is_done);
        let n_done = last_done.map_or(0, |last| last + 1);
        assert!(calls[..n_done].iter().all(TaskFuture::is_done));
    }
}

#[test]
fn a_session_with_a_long_line_holds_up_nobody() {
    let bench = Bench::with_workers(1);
    let session = bench.session();
    let blocker = bench.spinning();
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |future: &TaskFuture<u64>, what: &'static str| {
        let order = Arc::clone(&order);
        future.on_done(move |_| order.lock().unwrap().push(what));
    };
    let calls = (0..50)
        .map(|_| submit::<u64, u64>(&bench, &session, "recall", 0))
        .collect::<Vec<_>>();
    calls.iter().for_each(|call| note(call, "call"));
    let plain = bench.submit::<u64, u64>("recall", 0);
    note(&plain, "plain");
    assert_eq!(bench.pool.queued(), 51, "calls in the line are queued");
    assert_eq!(session.state(), SessionState::Busy);
    blocker.cancel();
    bench.pool.shutdown(Shutdown::Graceful);
    let order = order.lock().unwrap();
    let place = order.iter().position(|what| *what == "plain");
    assert_eq!((place, order.len()), (Some(1), 51));
}

#[test]
fn each_call_has_its_own_timeout_from_its_start() {
    let bench = Bench::with_workers(1);
    let session = bench.session();
    let slow = submit::<u64, u64>(&bench, &session, "sleep", 3_000);
    // It waits longer than it may run.
    let limited = TaskOptions::new().task_timeout(Duration::from_secs(2));
    let quick = bench.task::<u64, u64>("remember").with(limited);
    let quick = session.submit(&quick, (3,)).unwrap();
    assert_eq!((slow.wait().unwrap(), quick.wait().unwrap()), (3_000, 0));
    let limited = TaskOptions::new().task_timeout(Duration::from_millis(5));
    let stuck = bench.task::<u64, u64>("spin").with(limited);
    let stuck = session.submit(&stuck, (3,)).unwrap();
    assert_eq!(kind(&stuck), Kind::TimedOut);
    let computing = TaskOptions::new().compute_timeout(Duration::from_millis(20));
    session.restart().unwrap();
    let stuck = bench.task::<u64, u64>("spin").with(computing);
    assert_eq!(kind(&session.submit(&stuck, (3,)).unwrap()), Kind::TimedOut);
}

#[test]
fn a_call_that_ends_in_the_line_costs_the_session_nothing() {
    let bench = Bench::with_workers(1);
    let session = bench.session();
    assert_eq!(remember(&bench, &session, 7), 0);
    let sleeping = submit::<u64, u64>(&bench, &session, "sleep", HOUR);
    wait_until_suspended(&sleeping);
    let options = TaskOptions::new().queue_timeout(Duration::from_millis(5));
    let late = bench.task::<u64, u64>("remember").with(options.clone());
    let late = session.submit(&late, (1,)).unwrap();
    let cancelled = submit::<u64, u64>(&bench, &session, "remember", 2);
    assert_eq!(kind(&late), Kind::QueueTimedOut, "the line is full of time");
    assert!(cancelled.cancel());
    // A call that has its turn and is still queued.
    sleeping.cancel();
    wait_until_ended(&session);
    session.restart().unwrap();
    let blocker = bench.spinning();
    let first = submit::<u64, u64>(&bench, &session, "remember", 3);
    let second = session
        .submit(&bench.task::<u64, u64>("remember").with(options), (4,))
        .unwrap();
    let third = submit::<u64, u64>(&bench, &session, "remember", 5);
    assert!(first.cancel());
    assert_eq!(kind(&second), Kind::QueueTimedOut);
    blocker.cancel();
    assert_eq!(third.wait().unwrap(), 0);
    assert_eq!(recall(&bench, &session), Ok(5));
    assert_eq!(bench.pool.queued(), 0);
}

/// Makes a call of `name` end as `expected`, and checks what becomes of the session.
fn check_failure<A: serde::Serialize>(name: &str, argument: A, expected: &str) {
    let bench = Bench::new(Pool::builder().workers(2).memory_limit(16 * MIB));
    let session = bench.session();
    assert_eq!(remember(&bench, &session, 7), 0);
    let options = TaskOptions::new().task_timeout(match name {
        "spin" | "sleep" => Duration::from_millis(5),
        _ => LONG,
    });
    // Others of its line are there when it fails.
    let blocker = submit::<u64, u64>(&bench, &session, "sleep", 30);
    let failing = bench.task::<A, serde::de::IgnoredAny>(name).with(options);
    let failing = session.submit(&failing, (argument,)).unwrap();
    let waiting = [1, 2].map(|value| submit::<u64, u64>(&bench, &session, "remember", value));
    assert_eq!(blocker.wait().unwrap(), 30);
    let cause = failing.wait().unwrap_err();
    assert_eq!(cause.kind().name(), expected, "{cause}");
    assert_eq!(session.state(), SessionState::Ended, "`{name}`");
    let late = submit::<u64, u64>(&bench, &session, "remember", 3);
    for call in waiting.iter().chain([&late]) {
        let error = call.wait().unwrap_err();
        assert_eq!(error.kind(), Kind::SessionEnded, "{error}");
        assert_eq!(error.cause().unwrap().kind(), cause.kind());
        let message = format!("the session has ended: its call of `{name}` failed: {cause}");
        assert_eq!(error.message(), message);
        assert_eq!(error.fault(), Fault::Caller);
        assert!(!error.is_cancelled() && !error.is_timeout() && !error.is_limit());
        assert_eq!(call.report().unwrap().worker, None, "it never ran");
    }
    assert_eq!(session.error().unwrap().kind(), Kind::SessionEnded);
    assert_eq!(bench.pool.stats().sessions, 0);
    session.restart().unwrap();
    assert_eq!(session.state(), SessionState::Idle);
    assert!(session.error().is_none());
    assert_eq!(remember(&bench, &session, 4), 0, "it begins anew");
    assert_eq!(recall(&bench, &session), Ok(4));
    assert_eq!(bench.pool.stats().sessions, 1);
    bench.assert_healthy();
}

#[test]
fn after_a_failure_the_next_calls_are_told_and_the_session_can_be_begun_anew() {
    check_failure("panic", "on purpose", "trap");
    check_failure("unreachable", 1, "trap");
    check_failure("exit", 3, "exited");
    check_failure("recurse", u64::MAX, "stack-exhausted");
    check_failure("grow_without_end", 512, "memory-limit");
    check_failure("spin", 1, "timed-out");
    check_failure("sleep", HOUR, "timed-out");
}

#[test]
fn an_error_that_the_guest_returns_does_not_end_the_session() {
    let bench = Bench::with_workers(1);
    let session = bench.session();
    remember(&bench, &session, 7);
    let failed = submit::<_, ()>(&bench, &session, "fail", "politely");
    assert_eq!(kind(&failed), Kind::Failed);
    // Arguments that the guest cannot read.
    let bad = submit::<_, u64>(&bench, &session, "recall", "no number");
    assert_eq!(kind(&bad), Kind::BadArguments);
    assert_eq!(recall(&bench, &session), Ok(7));
}

#[test]
fn a_call_that_is_cancelled_while_it_runs_ends_the_session() {
    let bench = Bench::with_workers(1);
    for name in ["spin", "sleep"] {
        let session = bench.session();
        remember(&bench, &session, 7);
        let running = submit::<u64, u64>(&bench, &session, name, HOUR);
        let waiting = submit::<u64, u64>(&bench, &session, "recall", 0);
        wait_until_running(&running);
        assert!(running.cancel());
        let error = waiting.wait().unwrap_err();
        assert_eq!(error.kind(), Kind::SessionEnded);
        assert_eq!(error.cause().unwrap().kind(), Kind::Cancelled, "{error}");
        assert_eq!(recall(&bench, &session), Err(Kind::SessionEnded));
    }
}

#[test]
fn a_guest_that_returns_in_its_grace_keeps_its_session() {
    let bench = Bench::new(Pool::builder().workers(1).stop_grace(LONG));
    let session = bench.session();
    remember(&bench, &session, 7);
    let polite = submit::<u64, u64>(&bench, &session, "honour_stop", 1);
    wait_until_running(&polite);
    assert!(polite.cancel());
    assert_eq!(recall(&bench, &session), Ok(7));
}

#[test]
fn the_initializer_runs_once_before_the_first_call_and_after_a_restart() {
    let bench = Bench::with_workers(2);
    let first = bench.task::<u64, u64>("remember");
    let module = bench.misbehaving.with_initializer(&first, (100,)).unwrap();
    let session = module.session(&bench.pool).unwrap();
    for _ in 0..2 {
        assert_eq!(remember(&bench, &session, 7), 100);
        assert_eq!(remember(&bench, &session, 8), 7);
        let next = submit::<u64, u64>(&bench, &session, "recall", 0);
        assert_eq!(next.wait().unwrap(), 8);
        assert_eq!(next.report().unwrap().initialized, Duration::ZERO);
        session.restart().unwrap();
    }
}

#[test]
fn an_initializer_that_fails_ends_the_session() {
    let bench = Bench::with_workers(1);
    let panic = bench.misbehaving.task::<(&str,), ()>("panic").unwrap();
    let module = bench.misbehaving.with_initializer(&panic, ("no",)).unwrap();
    let session = module.session(&bench.pool).unwrap();
    assert_eq!(recall(&bench, &session), Err(Kind::InitializerFailed));
    assert_eq!(recall(&bench, &session), Err(Kind::SessionEnded));
    bench.assert_healthy();
}

#[test]
fn a_thousand_idle_sessions_hold_no_worker() {
    let bench = Bench::new(Pool::builder().workers(2).max_sessions(1000));
    let sessions = (0..1000).map(|_| bench.session()).collect::<Vec<_>>();
    for (number, session) in (1..).zip(&sessions) {
        assert_eq!(remember(&bench, session, number), 0);
    }
    let stats = bench.pool.stats();
    let active = (stats.sessions, stats.running, stats.suspended, stats.queued);
    assert_eq!(active, (1000, 0, 0, 0));
    // Tasks, and as many suspended ones as there may be, find room beside them.
    bench.assert_healthy();
    let sleeping = [(); 40].map(|()| bench.submit::<u64, u64>("sleep", 20));
    for future in &sleeping {
        assert_eq!(future.wait().unwrap(), 20);
    }
    for (number, session) in (1..).zip(&sessions) {
        assert_eq!(recall(&bench, session), Ok(number));
    }
    drop(sessions);
    assert_eq!(bench.pool.stats().sessions, 0);
}

#[test]
fn idle_sessions_add_no_thread() {
    in_own_process(|| {
        let builder = Pool::builder().workers(2).max_sessions(100);
        let bench = Bench::new(builder.session_idle_timeout(LONG));
        bench.assert_healthy();
        let before = threads_named("wasmpool-");
        let sessions = (0..100).map(|_| bench.session()).collect::<Vec<_>>();
        for session in &sessions {
            remember(&bench, session, 1);
        }
        // A thread that loaded the modules may have ended since.
        let now = threads_named("wasmpool-");
        assert!(
            now.iter().all(|thread| before.contains(thread)),
            "{before:?}, then {now:?}"
        );
    });
}

#[test]
fn a_session_too_many_is_refused_until_another_has_ended() {
    let bench = Bench::new(Pool::builder().workers(1).max_sessions(2));
    let [first, second] = [(); 2].map(|()| bench.session());
    let refused = || bench.misbehaving.session(&bench.pool).unwrap_err();
    let error = refused();
    assert!(
        matches!(error, SessionError::TooMany { max: 2, .. }),
        "{error}"
    );
    let message =
        "the pool has all of its 2 sessions: end one, or raise `PoolBuilder::max_sessions`";
    assert_eq!(error.to_string(), message);
    // One that has ended has no place, and needs one to begin anew.
    submit::<_, ()>(&bench, &first, "panic", "now")
        .wait()
        .unwrap_err();
    let third = bench.session();
    assert!(first.restart().is_err());
    drop(third);
    first.restart().unwrap();
    // One that is live has its place already.
    first.restart().unwrap();
    second.restart().unwrap();
    refused();
    second.close();
    drop(bench.session());
    drop(bench.session());
    assert_eq!(recall(&bench, &first), Ok(0));
    let none = Bench::new(Pool::builder().workers(1).max_sessions(0));
    none.misbehaving.session(&none.pool).unwrap_err();
    let error = Pool::builder().max_sessions(65_536).build().unwrap_err();
    assert!(error.to_string().starts_with("max_sessions: "), "{error}");
}

#[test]
fn close_ends_a_session_after_its_calls() {
    let bench = Bench::new(Pool::builder().workers(1).max_sessions(1));
    let session = bench.session();
    let blocker = bench.spinning();
    let calls = [1, 2, 3].map(|value| submit::<u64, u64>(&bench, &session, "remember", value));
    session.close();
    assert_eq!(session.state(), SessionState::Busy);
    let late = submit::<u64, u64>(&bench, &session, "remember", 4);
    let error = late.wait().unwrap_err();
    assert_eq!(error.kind(), Kind::SessionEnded);
    assert_eq!(error.message(), "the session has ended: it was closed");
    assert!(error.cause().is_none());
    blocker.cancel();
    assert_eq!(calls.map(|call| call.wait().unwrap()), [0, 1, 2]);
    wait_until_ended(&session);
    wait_until("its place is free", || {
        bench.misbehaving.session(&bench.pool).is_ok()
    });
    session.close();
    session.restart().unwrap();
    assert_eq!(recall(&bench, &session), Ok(0));
    session.close();
    assert_eq!(session.state(), SessionState::Ended, "it was idle");
}

#[test]
fn the_drop_of_the_last_handle_ends_a_session_after_its_calls() {
    let bench = Bench::new(Pool::builder().workers(1).max_sessions(1));
    let session = bench.session();
    let clone = session.clone();
    let blocker = bench.spinning();
    let calls = [1, 2, 3].map(|value| submit::<u64, u64>(&bench, &session, "remember", value));
    drop(session);
    assert_eq!(clone.state(), SessionState::Busy);
    drop(clone);
    blocker.cancel();
    assert_eq!(calls.map(|call| call.wait().unwrap()), [0, 1, 2]);
    wait_until("its place is free", || {
        bench.misbehaving.session(&bench.pool).is_ok()
    });
    assert_eq!(bench.pool.stats().sessions, 0);
}

#[test]
fn a_session_ends_after_its_idle_time_and_not_while_it_has_calls() {
    let idle = Duration::from_millis(20);
    let builder = Pool::builder().workers(1).max_sessions(2);
    let bench = Bench::new(builder.session_idle_timeout(idle));
    let unused = bench.session();
    let session = bench.session();
    let slow = submit::<u64, u64>(&bench, &session, "sleep", 100);
    let next = submit::<u64, u64>(&bench, &session, "remember", 1);
    assert_eq!((slow.wait().unwrap(), next.wait().unwrap()), (100, 0));
    for session in [&unused, &session] {
        wait_until_ended(session);
        let error = session.error().unwrap();
        let message = "the session has ended: it was idle for longer than 20ms";
        assert_eq!(error.message(), message);
        assert_eq!(recall(&bench, session), Err(Kind::SessionEnded));
    }
    wait_until("its place is free", || session.restart().is_ok());
    assert_eq!(recall(&bench, &session), Ok(0));
    wait_until_ended(&session);
    assert_eq!(bench.pool.stats().sessions, 0);
    bench.assert_healthy();
}

/// A pool with a session whose one call sleeps while another waits.
fn sleeping_session(builder: PoolBuilder) -> (Bench, Session, [TaskFuture<u64>; 2]) {
    let bench = Bench::new(builder);
    let session = bench.session();
    let calls = [("sleep", 100), ("recall", 0)]
        .map(|(name, argument)| submit::<u64, u64>(&bench, &session, name, argument));
    wait_until_suspended(&calls[0]);
    (bench, session, calls)
}

#[test]
fn a_shutdown_ends_sessions_and_hangs_nothing() {
    for (how, expected) in [
        (Shutdown::Graceful, [None, None]),
        (Shutdown::Cancel, [None, Some(Kind::Cancelled)]),
        (
            Shutdown::Terminate,
            [Some(Kind::ShutDown), Some(Kind::Cancelled)],
        ),
    ] {
        let (bench, session, calls) = sleeping_session(Pool::builder().workers(1));
        let idle = bench.session();
        remember(&bench, &idle, 1);
        within_long(move || {
            bench.pool.shutdown(how);
            let ends = calls.map(|call| call.wait().err().map(|error| error.kind()));
            assert_eq!(ends, expected, "{how:?}");
            for session in [&session, &idle] {
                assert_eq!(session.state(), SessionState::Ended);
                let task = bench.task::<u64, u64>("recall");
                let refused = session.submit(&task, (0,)).unwrap_err();
                assert!(refused.is_shut_down());
                assert_eq!(session.restart(), Err(SessionError::ShutDown));
            }
            let error = bench.misbehaving.session(&bench.pool).unwrap_err();
            assert_eq!(error, SessionError::ShutDown);
            assert_eq!(bench.pool.stats().sessions, 0);
        });
    }
}

#[test]
fn a_closed_pool_still_runs_the_calls_in_the_line() {
    let bench = Bench::with_workers(1);
    let session = bench.session();
    let blocker = bench.spinning();
    let calls = [1, 2, 3].map(|value| submit::<u64, u64>(&bench, &session, "remember", value));
    bench.pool.close();
    let task = bench.task::<u64, u64>("recall");
    assert!(session.submit(&task, (0,)).unwrap_err().is_shut_down());
    assert!(calls[0].cancel(), "the others do not go with it");
    blocker.cancel();
    within_long(move || {
        bench.pool.shutdown(Shutdown::Graceful);
        let ends = calls.map(|call| call.wait().map_err(|error| error.kind()));
        assert_eq!(ends, [Err(Kind::Cancelled), Ok(0), Ok(2)]);
    });
}

#[test]
fn a_session_does_not_keep_its_pool_alive() {
    let (bench, session, calls) = sleeping_session(Pool::builder().workers(2));
    let task = bench.task::<u64, u64>("recall");
    within_long(move || {
        drop(bench);
        assert!(calls.iter().all(TaskFuture::is_cancelled));
        let refused = session.submit(&task, (5,)).unwrap_err();
        assert!(refused.is_shut_down());
        assert_eq!(refused.into_arguments(), (5,));
        assert_eq!(session.state(), SessionState::Ended);
        assert_eq!(session.restart(), Err(SessionError::ShutDown));
        session.close();
    });
}

#[test]
fn a_call_that_waits_in_the_host_keeps_its_session_and_no_worker() {
    let bench = Bench::with_workers(1);
    let session = bench.session();
    remember(&bench, &session, 7);
    let sleeping = submit::<u64, u64>(&bench, &session, "sleep", 200);
    let next = submit::<u64, u64>(&bench, &session, "recall", 0);
    wait_until_suspended(&sleeping);
    bench.assert_healthy();
    assert_eq!(next.state(), TaskState::Queued);
    assert_eq!((sleeping.wait().unwrap(), next.wait().unwrap()), (200, 7));
}

#[test]
fn restart_stops_the_running_call_and_fails_those_that_wait() {
    let bench = Bench::new(Pool::builder().workers(1).max_sessions(1));
    let session = bench.session();
    remember(&bench, &session, 7);
    for name in ["spin", "sleep"] {
        let running = submit::<u64, u64>(&bench, &session, name, HOUR);
        wait_until_running(&running);
        let waiting = submit::<u64, u64>(&bench, &session, "recall", 0);
        session.restart().unwrap();
        let after = submit::<u64, u64>(&bench, &session, "remember", 1);
        assert_eq!(kind(&running), Kind::Cancelled);
        let error = waiting.wait().unwrap_err();
        assert_eq!(error.kind(), Kind::SessionEnded);
        assert_eq!(error.message(), "the session has ended: it was restarted");
        assert_eq!(after.wait().unwrap(), 0);
    }
    // A call that has its turn and has not started.
    let blocker = bench.spinning();
    let queued = submit::<u64, u64>(&bench, &session, "remember", 2);
    session.restart().unwrap();
    assert_eq!(kind(&queued), Kind::SessionEnded);
    blocker.cancel();
    assert_eq!(recall(&bench, &session), Ok(0));
}

#[test]
fn a_guest_that_cannot_be_stopped_does_not_hold_up_its_session() {
    /// A prime that takes more than a second.
    const LARGE_PRIME: u64 = (1 << 61) - 1;
    let builder = Pool::builder().workers(1).uninterruptible_guests();
    let bench = Bench::new(builder.max_sessions(2));
    let session = bench.factorizer.session(&bench.pool).unwrap();
    let timeout = TaskOptions::new().task_timeout(Duration::from_millis(1));
    let stuck = session.submit(&bench.factorize().with(timeout), (LARGE_PRIME,));
    let waiting = session.submit(&bench.factorize(), (360,)).unwrap();
    assert_eq!(kind(&stuck.unwrap()), Kind::TimedOut);
    let error = waiting.wait().unwrap_err();
    assert_eq!(error.kind(), Kind::SessionEnded);
    assert_eq!(error.cause().unwrap().kind(), Kind::TimedOut);
    // The blocked guest keeps its place, and the session needs another one.
    let restarted = session.restart();
    if bench.pool.stats().stuck > 0 {
        restarted.unwrap();
        let next = session.submit(&bench.factorize(), (360,)).unwrap();
        assert_eq!(next.wait().unwrap(), [2, 2, 2, 3, 3, 5]);
    }
    // A running call whose session was begun anew.
    let running = session.submit(&bench.factorize(), (LARGE_PRIME,)).unwrap();
    let after = session.submit(&bench.factorize(), (6,)).unwrap();
    wait_until_running(&running);
    session.restart().unwrap();
    assert_eq!(kind(&running), Kind::Cancelled);
    assert_eq!(kind(&after), Kind::SessionEnded);
    within_long(move || {
        wait_until("it comes back", || bench.pool.stats().stuck == 0);
        let six = session.submit(&bench.factorize(), (6,)).unwrap();
        match six.wait() {
            Ok(factors) => assert_eq!(factors, [2, 3]),
            // There was no place while both guests were blocked.
            Err(error) => {
                assert_eq!(error.kind(), Kind::SessionEnded);
                session.restart().unwrap();
                let six = session.submit(&bench.factorize(), (6,)).unwrap();
                assert_eq!(six.wait().unwrap(), [2, 3]);
            }
        }
    });
}

#[test]
fn calls_in_the_line_hold_places_in_the_queue() {
    let bench = Bench::new(Pool::builder().workers(1).queue_capacity(3));
    let session = bench.session();
    let sleeping = submit::<u64, u64>(&bench, &session, "sleep", HOUR);
    wait_until_suspended(&sleeping);
    let task = bench.task::<u64, u64>("recall");
    let calls = [1, 2, 3].map(|n| session.try_submit(&task, (n,)).unwrap());
    let refused = session.try_submit(&task, (4,)).unwrap_err();
    assert!(refused.is_full());
    assert_eq!(refused.into_arguments(), (4,));
    let patience = Duration::from_millis(1);
    let refused = session.submit_timeout(&task, (4,), patience).unwrap_err();
    assert!(refused.is_full());
    assert!(bench.pool.try_submit(&task, (4,)).unwrap_err().is_full());
    // A place that comes back goes to a submitter that waits.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| session.submit(&task, (4,)).unwrap());
        assert!(calls[1].cancel());
        let call = waiting.join().unwrap();
        assert_eq!(call.state(), TaskState::Queued);
    });
    sleeping.cancel();
    wait_until("all have failed", || bench.pool.queued() == 0);
    assert!(calls.iter().all(TaskFuture::is_done));
}

#[test]
fn async_code_awaits_room_and_calls() {
    let bench = Bench::new(Pool::builder().workers(1).queue_capacity(1));
    let session = bench.session();
    let task = bench.task::<u64, u64>("remember");
    pollster(async {
        for value in 1..50 {
            let call = session.submit_async(&task, (value,)).await.unwrap();
            assert_eq!(call.await.unwrap(), value - 1);
        }
    });
}

/// A minimal executor: polls on this thread, which sleeps meanwhile.
fn pollster<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut context = std::task::Context::from_waker(&waker);
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn tasks_that_cannot_be_calls_of_the_session_are_refused() {
    let bench = Bench::with_workers(1);
    let session = bench.session();
    let other = Bench::with_workers(1);
    let refused = session.submit(&bench.factorize(), (6,)).unwrap_err();
    let message = "`factorize` belongs to another module than the session";
    assert_eq!(refused.to_string(), message);
    assert!(matches!(
        refused.kind(),
        SubmitErrorKind::UnfitForSession(_)
    ));
    let rights = TaskOptions::new().capabilities(Capabilities::new());
    let with_rights = bench.task::<u64, u64>("recall").with(rights);
    let refused = session.submit(&with_rights, (6,)).unwrap_err();
    assert!(refused.to_string().contains("rights of its own"));
    let foreign = other.task::<u64, u64>("recall");
    let refused = session.submit(&foreign, (6,)).unwrap_err();
    assert_eq!(refused.kind(), &SubmitErrorKind::ForeignTask);
    let error = bench.misbehaving.session(&other.pool).unwrap_err();
    assert_eq!(error, SessionError::ForeignModule);
    // A module that needs more memories than a place has.
    let large = r#"(module (memory 1) (memory 1) (func (export "one") (result i32) i32.const 1))"#;
    let large = bench.pool.load_bytes(large.as_bytes()).unwrap();
    let error = large.session(&bench.pool).unwrap_err();
    assert_eq!(error, SessionError::TooLarge);
    assert_eq!(bench.pool.stats().sessions, 1);
    assert_eq!(recall(&bench, &session), Ok(0));
}

#[test]
fn a_session_has_the_rights_of_its_module() {
    let bench = Bench::with_workers(1);
    let rights = Capabilities::new().env("HOME", "/nowhere");
    let module = bench.misbehaving.with_capabilities(rights);
    let session = module.session(&bench.pool).unwrap();
    for _ in 0..2 {
        let escape = submit::<_, String>(&bench, &session, "escape", "environment");
        assert_eq!(escape.wait().unwrap(), "HOME=/nowhere");
    }
}

#[test]
fn a_core_module_keeps_its_globals_in_a_session() {
    let bench = Bench::with_workers(2);
    let counter = r#"(module (global $n (mut i32) (i32.const 0))
        (func (export "add") (param i32) (result i32)
            (global.set $n (i32.add (global.get $n) (local.get 0)))
            (global.get $n)))"#;
    let counter = bench.pool.load_bytes(counter.as_bytes()).unwrap();
    let add = counter.task::<(i32,), i32>("add").unwrap();
    let session = counter.session(&bench.pool).unwrap();
    let sums = [1, 2, 3].map(|n| session.submit(&add, (n,)).unwrap());
    assert_eq!(sums.map(|sum| sum.wait().unwrap()), [1, 3, 6]);
}

#[test]
fn a_session_is_not_dropped_for_memory_and_its_calls_do_not_wait_for_any() {
    let bench = Bench::new(Pool::builder().workers(1).memory_budget(16 * MIB));
    let session = bench.session();
    remember(&bench, &session, 7);
    let in_use = || bench.pool.stats().memory_in_use.unwrap();
    let held = in_use();
    assert!(held > 0, "an idle session is charged");
    // Another task needs what is left, and no more.
    let error = bench.submit::<_, u64>("allocate", 15).wait().unwrap_err();
    assert_eq!(error.kind(), Kind::MemoryBudget);
    assert_eq!(recall(&bench, &session), Ok(7));
    // All of the budget is one session's.
    let allocate = submit::<_, u64>(&bench, &session, "allocate", 12);
    assert_eq!(allocate.wait().unwrap(), 12);
    let greedy = submit::<_, u64>(&bench, &session, "allocate", 64);
    assert_eq!(kind(&greedy), Kind::MemoryBudget);
    session.restart().unwrap();
    let step = submit::<_, ()>(&bench, &session, "grow_without_end", 64);
    assert_eq!(kind(&step), Kind::MemoryBudget);
    wait_until("it gave back what it held", || in_use() == 0);
}

#[test]
fn where_only_sessions_hold_memory_other_tasks_do_not_wait_for_ever() {
    let roomy = Bench::new(Pool::builder().workers(1).memory_budget(64 * MIB));
    let session = roomy.session();
    remember(&roomy, &session, 7);
    let held = roomy.pool.stats().memory_in_use.unwrap();
    for isolation in [Isolation::Task, Isolation::Worker] {
        let builder = Pool::builder().workers(1).isolation(isolation);
        let bench = Bench::new(builder.memory_budget(held));
        let session = bench.session();
        remember(&bench, &session, 7);
        within_long(move || {
            let error = bench.submit::<u64, u64>("recall", 0).wait().unwrap_err();
            assert_eq!(error.kind(), Kind::MemoryBudget, "{error}");
            assert_eq!(recall(&bench, &session), Ok(7));
            drop(session);
            assert_eq!(bench.call::<_, u64>("recall", 0), 0);
        });
    }
}

#[test]
fn callbacks_of_calls_that_fail_with_their_session_may_submit() {
    let bench = Arc::new(Bench::with_workers(1));
    let session = bench.session();
    let sleeping = submit::<u64, u64>(&bench, &session, "sleep", HOUR);
    wait_until_suspended(&sleeping);
    let (sender, receiver) = mpsc::channel();
    for number in 0..3 {
        let waiting = submit::<u64, u64>(&bench, &session, "recall", 0);
        let (sender, session) = (sender.clone(), session.clone());
        let task = bench.task::<u64, u64>("recall");
        waiting.on_done(move |waiting| {
            assert_eq!(waiting.error().unwrap().kind(), Kind::SessionEnded);
            if number == 0 {
                session.restart().unwrap();
            }
            let next = session.submit(&task, (number,)).unwrap();
            sender.send(next).unwrap();
        });
    }
    sleeping.cancel();
    for number in 0..3 {
        let next = receiver.recv_timeout(LONG).unwrap();
        assert_eq!(next.wait().unwrap(), number);
    }
}

/// One thread of the stress: calls, cancels, restarts and closes sessions at random.
fn harass(bench: &Bench, sessions: &[Session], random: &mut Random) -> Vec<TaskFuture<u64>> {
    let mut calls: Vec<TaskFuture<u64>> = Vec::new();
    for _ in 0..150 {
        let session = &sessions[usize::try_from(random.below(sessions.len() as u64)).unwrap()];
        let (name, argument) = random.choose(&[
            ("remember", 1),
            ("recall", 1),
            ("sleep", 0),
            ("sleep", 1),
            ("spin", 1),
            ("honour_stop", 1),
            ("unreachable", 1),
        ]);
        let mut options = TaskOptions::new();
        if matches!(name, "spin" | "honour_stop") || random.below(8) == 0 {
            options = options.task_timeout(random.millis(3));
        }
        if random.below(6) == 0 {
            options = options.queue_timeout(random.millis(3));
        }
        let task = bench.task::<u64, u64>(name).with(options);
        let submitted = match random.below(3) {
            0 => session.try_submit(&task, (argument,)),
            _ => session.submit(&task, (argument,)),
        };
        match submitted {
            Ok(call) => calls.push(call),
            Err(refused) if refused.is_full() => {}
            Err(refused) => {
                assert!(refused.is_shut_down(), "{refused}");
                return calls;
            }
        }
        match random.below(10) {
            0..=2 => {
                // One of the last, which are queued or running.
                let back = usize::try_from(random.below(4)).unwrap();
                calls.iter().rev().nth(back).map(TaskFuture::cancel);
            }
            3 | 4 => drop(session.restart()),
            5 if random.below(4) == 0 => session.close(),
            _ => {}
        }
    }
    calls
}

fn stress(seed: u64) {
    let _seed = Seed(seed);
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut builder = Pool::builder()
        .workers(random.choose(&[1, 2, 3]))
        .queue_capacity(random.choose(&[2, 16, 1024]))
        .max_suspended(random.choose(&[0, 1, 32]))
        .max_sessions(3);
    if random.below(2) == 0 {
        builder = builder.session_idle_timeout(random.millis(3));
    }
    if random.below(2) == 0 {
        builder = builder.stop_grace(random.millis(3));
    }
    let bench = Bench::new(builder);
    let sessions = [(); 3].map(|()| bench.session());
    let how = random.choose(&[0, 1, 2, 3, 4]);
    let calls = std::thread::scope(|scope| {
        let threads = [1, 2, 3].map(|number| {
            let mut random = Random(random.below(1 << 60) + number);
            let (bench, sessions) = (&bench, &sessions);
            scope.spawn(move || harass(bench, sessions, &mut random))
        });
        if how > 1 {
            // Where the queue is small and the machine busy, most calls are refused.
            let is_over = || threads.iter().all(|thread| thread.is_finished());
            while bench.pool.stats().accepted < 100 && !is_over() {
                std::thread::yield_now();
            }
        }
        match how {
            2 => bench.pool.shutdown(Shutdown::Graceful),
            3 => bench.pool.shutdown(Shutdown::Cancel),
            4 => bench.pool.shutdown(Shutdown::Terminate),
            _ => {}
        }
        threads.map(|thread| thread.join().unwrap())
    });
    // Each call has one end, which comes without help.
    for call in calls.iter().flatten() {
        let end = call.wait().map_err(|error| error.kind());
        match end {
            Ok(_)
            | Err(
                Kind::Trap(_)
                | Kind::TimedOut
                | Kind::QueueTimedOut
                | Kind::Cancelled
                | Kind::ShutDown
                | Kind::SessionEnded,
            ) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
    if how < 2 {
        // No session is broken: each can be begun anew, and has fresh state.
        for session in &sessions {
            wait_until("there is a place", || session.restart().is_ok());
            let recalled = recall(&bench, session);
            // It may have been idle for too long meanwhile.
            assert!(matches!(recalled, Ok(0) | Err(Kind::SessionEnded)));
        }
        bench.assert_healthy();
    }
    drop(sessions);
    bench.pool.shutdown(Shutdown::Graceful);
    let stats = bench.pool.stats();
    assert_eq!((stats.sessions, stats.accepted), (0, stats.finished));
    assert_eq!(bench.pool.queued(), 0);
}

#[test]
fn random_calls_cancels_and_restarts_leave_every_session_whole() {
    for seed in 1..=20 {
        within_long(move || stress(seed));
    }
}

#[test]
fn many_threads_share_a_session_and_no_call_is_lost() {
    let bench = Bench::with_workers(2);
    let session = bench.session();
    let total = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..250 {
                    let call = submit::<u64, u64>(&bench, &session, "recall", 1);
                    total.fetch_add(
                        usize::try_from(call.wait().unwrap()).unwrap(),
                        Ordering::SeqCst,
                    );
                }
            });
        }
    });
    assert_eq!(total.load(Ordering::SeqCst), 1000);
    let last = submit::<u64, u64>(&bench, &session, "recall", 0);
    last.wait().unwrap();
    assert_eq!(last.report().unwrap().instance_age, 1000);
}
