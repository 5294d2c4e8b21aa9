//! Claims about tasks that wait for memory: `call/memory_budget.rs` and `queue.rs`.

use std::time::Duration;

use crate::check::check;
use crate::error::TaskErrorKind;
use crate::registry::{Guest, RESULT, Registry};
use crate::schedule::{AllTenantLimits, Blocking, TenantLimits};
use crate::sync::Arc;

/// With memory for one guest they run one after the other, though the instances of those that have
/// ended are kept. Nobody waits for ever.
pub fn tasks_that_wait_for_memory_all_end() {
    for n_guests in [1, 2] {
        check(move || {
            let registry = Registry::with_memory_for(n_guests, 2);
            let limits = Registry::limits();
            let futures = [Guest::Short, Guest::Failing, Guest::Short]
                .map(|guest| registry.submit(guest, limits, Blocking::Never).unwrap());
            registry.open(2, []);
            let [first, failing, last] = &futures;
            assert_eq!(first.wait().expect("it starts"), RESULT);
            assert!(failing.wait().is_err());
            assert_eq!(last.wait().expect("it starts"), RESULT);
        });
    }
}

/// A task that is pushed while a worker waits for memory is served too.
pub fn a_task_that_comes_later_waits_with_the_others() {
    check(|| {
        let registry = Registry::with_memory_for(1, 2);
        let limits = Registry::limits();
        let submit = || registry.submit(Guest::Short, limits, Blocking::Never);
        registry.open(
            2,
            [&|| {
                let futures = [submit(), submit(), submit()].map(Result::unwrap);
                for future in &futures {
                    assert_eq!(future.wait().expect("it starts"), RESULT);
                }
            }],
        );
    });
}

/// Calls that were suspended go on while a task waits for what they hold.
pub fn a_suspended_call_goes_on_while_others_wait_for_memory() {
    check(|| {
        let registry = Registry::with_memory_for(1, 2);
        let limits = Registry::limits();
        let futures = [Guest::Pausing, Guest::Short]
            .map(|guest| registry.submit(guest, limits, Blocking::Never).unwrap());
        registry.open(2, [&|| registry.end_pause()]);
        for future in &futures {
            assert_eq!(future.wait().expect("it comes to its end"), RESULT);
        }
    });
}

/// The task whose turn it is dies while it waits: by a cancel, or since its time is up.
pub fn a_task_that_waits_for_memory_can_be_cancelled() {
    check(|| {
        let registry = Registry::with_memory_for(1, 2);
        let limits = Registry::limits();
        let waiting = registry.submit(Guest::Waiting, limits, Blocking::Never);
        let next = registry.submit(Guest::Short, limits, Blocking::Never);
        let mut impatient = limits;
        impatient.queue_timeout = Some(Duration::from_millis(2));
        let last = registry.submit(Guest::Short, impatient, Blocking::Never);
        let [waiting, next, last] = [waiting, next, last].map(Result::unwrap);
        registry.open(
            2,
            [&|| {
                next.cancel();
                if let Err(error) = last.wait() {
                    assert_eq!(error.kind(), TaskErrorKind::QueueTimedOut);
                }
                waiting.cancel();
            }],
        );
    });
}

/// A pool that is terminated ends, also while its workers wait for memory.
pub fn a_terminated_pool_waits_for_no_memory() {
    check(|| {
        let registry = Registry::with_memory_for(1, 3);
        let limits = Registry::limits();
        let guests = [Guest::Waiting, Guest::Short, Guest::Short];
        let futures = guests.map(|guest| registry.submit(guest, limits, Blocking::Never).unwrap());
        let futures = Arc::new(futures);
        registry.open(3, [&|| registry.terminate()]);
        for future in &*futures {
            // One may have come to its end.
            let _outcome = future.wait();
        }
    });
}

/// What a call holds that blocks its thread is not waited for once the thread was given up.
pub fn a_stuck_call_does_not_keep_others_from_starting() {
    check(|| {
        let registry = Registry::with_memory_for(1, 1);
        let mut limits = Registry::limits();
        limits.task_timeout = Some(Duration::from_millis(3));
        let stuck = registry.submit(Guest::Stuck, limits, Blocking::Never);
        let short = registry.submit(Guest::Short, Registry::limits(), Blocking::Never);
        let [stuck, short] = [stuck, short].map(Result::unwrap);
        registry.open(
            1,
            [&|| {
                assert!(stuck.wait().is_err());
                assert_eq!(short.wait().expect("it starts"), RESULT);
                registry.unblock();
            }],
        );
    });
}

/// Running calls make room for each other while a task waits for memory, and for that one when there
/// is some.
pub fn tenants_take_turns_while_a_task_waits_for_memory() {
    check(|| {
        let registry = Registry::with_memory_for(2, 1);
        let limits = Registry::limits();
        let endless = ["a", "b"].map(|tenant| registry.submit_of(tenant, Guest::Endless, limits));
        let short = registry.submit_of("c", Guest::Short, limits);
        let [first, second] = &endless;
        registry.open(
            1,
            [&|| {
                // Whichever is cancelled has to have the worker for that.
                assert!(first.cancel());
                assert_eq!(short.wait().expect("it has its turn"), RESULT);
                assert!(second.cancel());
            }],
        );
        let stats = registry.stats();
        assert_eq!((stats.suspended, stats.finished), (0, 3), "{stats:?}");
    });
}

/// The task whose turn it is, which waits for memory, is cancelled: the one behind it has its turn.
pub fn a_cancelled_wait_for_memory_lets_others_have_their_turn() {
    check(|| {
        let registry = Registry::with_memory_for(1, 1);
        let limits = Registry::limits();
        let endless = registry.submit_of("a", Guest::Endless, limits);
        let next = registry.submit_of("b", Guest::Short, limits);
        registry.open(
            1,
            [&|| {
                next.cancel();
                let last = registry.submit_of("b", Guest::Short, limits);
                assert!(endless.cancel());
                assert_eq!(last.wait().expect("it has its turn"), RESULT);
            }],
        );
    });
}

/// A tenant whose tasks wait for memory runs no more than it may, and none of them is forgotten.
pub fn a_tenant_that_waits_for_memory_runs_no_more_than_it_may() {
    for n_guests in [1, 2] {
        check(move || {
            let mut tenants = AllTenantLimits::default();
            let one = TenantLimits::new().max_running(1);
            tenants.by_name.insert("a".into(), one);
            let registry = Registry::with_tenants_and_memory_for(n_guests, 2, tenants);
            let limits = Registry::limits();
            let alone = [(); 2].map(|()| registry.submit_of("a", Guest::Alone, limits));
            let short = [(); 2].map(|()| registry.submit_of("b", Guest::Short, limits));
            registry.open(2, []);
            for future in alone.iter().chain(&short) {
                assert_eq!(future.wait().expect("it has its turn"), RESULT);
            }
        });
    }
}
