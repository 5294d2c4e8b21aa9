//! Claims about sessions: `session.rs` and `sessions.rs`, and the queue and the watchdog around them.

use std::time::Duration;

use crate::check::check;
use crate::error::{SessionError, TaskError, TaskErrorKind};
use crate::future::TaskFuture;
use crate::registry::{Guest, RESULT, Registry};
use crate::schedule::{SessionLine, SessionSettings, SessionState};
use crate::sync::atomic::Ordering;
use crate::sync::{Arc, Mutex, lock};

/// A pool with one session at most, and that session.
fn begin(n_workers: usize, idle_timeout: Option<Duration>) -> (Arc<Registry>, Arc<SessionLine>) {
    let max = 1;
    let registry = Registry::with_sessions(n_workers, SessionSettings { max, idle_timeout });
    let session = registry.scheduler.sessions.begin();
    let session = session.expect("there is a place");
    (registry, session)
}

/// Submits a call without limits of its own, to an open pool.
fn submit(registry: &Registry, session: &Arc<SessionLine>, guest: Guest) -> TaskFuture<u8> {
    let submitted = registry.submit_to(session, guest, Registry::limits());
    submitted.expect("the queue is open")
}

/// How a call has ended, that must have ended by now.
fn end(call: &TaskFuture<u8>) -> Option<TaskErrorKind> {
    assert!(call.is_done(), "a call without an end");
    call.error().map(TaskError::kind)
}

/// The pool has ended: no call, no place and no session is left.
fn check_rest(registry: &Registry) {
    let stats = registry.stats();
    assert_eq!(stats.accepted, stats.finished, "{stats:?}");
    assert_eq!(registry.scheduler.sessions.n_live(), 0);
    // Refused for want of a place otherwise.
    let refused = registry.scheduler.sessions.begin().err();
    assert_eq!(refused, Some(SessionError::ShutDown));
    assert_eq!(registry.scheduler.queue.places.taken(), 0);
}

/// Calls of several threads run one at a time, each in the instance that the first has made.
pub fn calls_of_a_session_take_turns() {
    check(|| {
        let (registry, session) = begin(2, None);
        let call = || {
            let calls = [(); 2].map(|()| submit(&registry, &session, Guest::Alone));
            for call in &calls {
                assert_eq!(call.wait().expect("nobody stops it"), RESULT);
            }
        };
        registry.open(2, [&call, &call]);
        assert_eq!(registry.n_instances.load(Ordering::SeqCst), 1);
        check_rest(&registry);
    });
}

/// Calls that are cancelled wherever they are: those that wait behind them run or fail with the
/// session, and none is forgotten.
pub fn a_call_that_dies_passes_its_turn_on() {
    check(|| {
        let (registry, session) = begin(1, None);
        let calls = [Guest::Short, Guest::Pausing, Guest::Short, Guest::Short]
            .map(|guest| submit(&registry, &session, guest));
        let [first, second, third, last] = &calls;
        registry.open(
            1,
            [
                &|| {
                    first.cancel();
                },
                &|| {
                    second.cancel();
                    third.cancel();
                },
                &|| {
                    let _ = last.wait();
                },
            ],
        );
        for call in &calls[..3] {
            let end = end(call);
            let is_known = matches!(
                end,
                None | Some(TaskErrorKind::Cancelled | TaskErrorKind::SessionEnded)
            );
            assert!(is_known, "{end:?}");
        }
        // It fails only if a call before it was halted.
        let has_halted = !registry.halts.lock().unwrap().is_empty();
        let was_given_up = registry.n_given_up.load(Ordering::SeqCst) > 0;
        match end(last) {
            None => {}
            Some(TaskErrorKind::SessionEnded) => assert!(has_halted || was_given_up),
            other => panic!("{other:?}"),
        }
        check_rest(&registry);
    });
}

/// A call times out while others wait: all of them fail, and after a restart the next one runs in
/// an instance of its own.
pub fn a_session_that_was_ended_can_be_begun_anew() {
    check(|| {
        let (registry, session) = begin(2, None);
        let mut limits = Registry::limits();
        limits.task_timeout = Some(Duration::from_millis(2));
        let endless = registry.submit_to(&session, Guest::Endless, limits);
        let endless = endless.expect("the queue is open");
        let waiting = submit(&registry, &session, Guest::Short);
        registry.open(
            2,
            [&|| {
                let error = waiting.wait().expect_err("its session has ended");
                assert_eq!(error.kind(), TaskErrorKind::SessionEnded);
                assert_eq!(session.session_state(), SessionState::Ended);
                // The place may be with a call that was given up and comes back.
                while session.restart().is_err() {
                    crate::sync::thread::yield_now();
                }
                let next = submit(&registry, &session, Guest::Short);
                assert_eq!(next.wait().expect("nobody stops it"), RESULT);
            }],
        );
        assert_eq!(end(&endless), Some(TaskErrorKind::TimedOut));
        assert_eq!(registry.n_instances.load(Ordering::SeqCst), 2);
        check_rest(&registry);
    });
}

/// Restarts, a cancel and a new call race with each other. Each call has one end, and the session is
/// whole afterwards.
pub fn restarts_and_cancels_leave_the_session_whole() {
    check(|| {
        let (registry, session) = begin(2, None);
        let running = submit(&registry, &session, Guest::Waiting);
        let waiting = submit(&registry, &session, Guest::Short);
        registry.open(
            2,
            [
                &|| {
                    let _ = session.restart();
                },
                &|| {
                    running.cancel();
                },
                &|| {
                    let call = submit(&registry, &session, Guest::Short);
                    let _ = call.wait();
                },
                &|| {
                    let _ = (running.wait(), waiting.wait());
                },
            ],
        );
        let end = end(&running);
        let is_known = matches!(
            end,
            Some(TaskErrorKind::Cancelled | TaskErrorKind::SessionEnded)
        );
        assert!(is_known, "{end:?}");
        check_rest(&registry);
    });
}

/// A pool is terminated while a session is called, begun anew and closed. All calls have an end, and
/// the session has ended.
pub fn a_terminated_pool_ends_its_sessions() {
    check(|| {
        let (registry, session) = begin(2, None);
        let calls = Mutex::new(vec![
            submit(&registry, &session, Guest::Endless),
            submit(&registry, &session, Guest::Short),
        ]);
        let call = || {
            let submitted = registry.submit_to(&session, Guest::Waiting, Registry::limits());
            // It is refused once the pool is closed.
            lock(&calls).extend(submitted);
        };
        registry.open(
            2,
            [
                &|| registry.terminate(),
                &call,
                &|| {
                    let _ = session.restart();
                    call();
                },
                &|| session.close("it was closed"),
            ],
        );
        for call in lock(&calls).iter() {
            let end = end(call);
            let is_known = matches!(
                end,
                None | Some(
                    TaskErrorKind::Cancelled
                        | TaskErrorKind::ShutDown
                        | TaskErrorKind::SessionEnded
                )
            );
            assert!(is_known, "{end:?}");
        }
        assert_eq!(session.session_state(), SessionState::Ended);
        assert!(session.restart().is_err());
        check_rest(&registry);
    });
}

/// A closed pool runs the calls in the line, whichever of them are cancelled.
pub fn a_closed_pool_runs_the_calls_in_the_line() {
    check(|| {
        let (registry, session) = begin(2, None);
        let calls = [(); 3].map(|()| submit(&registry, &session, Guest::Short));
        let is_cancelled = Mutex::new(false);
        registry.open(
            1,
            [&|| registry.scheduler.close(), &|| {
                *lock(&is_cancelled) = calls[0].cancel();
            }],
        );
        let is_cancelled = lock(&is_cancelled).then_some(TaskErrorKind::Cancelled);
        assert_eq!(end(&calls[0]), is_cancelled);
        let was_given_up = registry.n_given_up.load(Ordering::SeqCst) > 0;
        for call in &calls[1..] {
            let end = end(call);
            // Cancelled while it ran, the first call may have cost the session its instance.
            assert!(end.is_none() || end == Some(TaskErrorKind::SessionEnded));
            assert!(end.is_none() || is_cancelled.is_some() || was_given_up);
        }
        check_rest(&registry);
    });
}

/// A call comes when the session's idle time is over: it runs, or is told that the session has ended.
pub fn an_idle_session_ends_or_serves() {
    check(|| {
        let (registry, session) = begin(1, Some(Duration::from_millis(2)));
        registry.open(
            1,
            [&|| {
                for _ in 0..2 {
                    let call = submit(&registry, &session, Guest::Short);
                    match call.wait().map_err(|error| error.kind()) {
                        Ok(result) => assert_eq!(result, RESULT),
                        Err(kind) => assert_eq!(kind, TaskErrorKind::SessionEnded),
                    }
                }
                // It ends without help.
                while session.session_state() != SessionState::Ended {
                    crate::sync::thread::yield_now();
                }
            }],
        );
        check_rest(&registry);
    });
}
