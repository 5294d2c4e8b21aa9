//! Claims about the listeners of a task: `events.rs`, as `job.rs` and `control.rs` use it.

use std::time::Duration;

use crate::call::{Limits, TaskEvents};
use crate::check::{check, together};
use crate::error::TaskErrorKind;
use crate::future::TaskFuture;
use crate::registry::{self, Guest, Registry};
use crate::schedule::{Counters, Job, Retry};
use crate::sync::Arc;

/// Checks that all listeners of a task see its end, while the pool is open and its workers have
/// nothing else to do.
fn check_listeners_see_the_end(
    guest: Guest,
    limits: fn() -> Limits,
    end: fn(&Registry, &TaskFuture<u8>),
) {
    check(move || {
        let registry = Registry::new(2, 10);
        let again = Retry::times(1).on([TaskErrorKind::Failed, TaskErrorKind::TimedOut]);
        let future = registry.submit_with_retry(guest, limits(), again);
        let from_the_start = std::sync::Mutex::new(Some(future.events()));
        registry.open(
            2,
            [
                &|| {
                    let events = from_the_start.lock().unwrap().take();
                    let n_heard = events.expect("one thread takes it").count();
                    let report = future.report().expect("the end was heard");
                    // Every attempt reports one event. The event of a cancelled attempt may find no
                    // listener any more.
                    let n_attempts = report.attempts as usize;
                    assert!(n_heard <= n_attempts);
                    assert!(n_heard == n_attempts || future.is_cancelled());
                },
                &|| {
                    let n_heard = future.events().count();
                    let report = future.report().expect("the end was heard");
                    assert!(n_heard <= report.attempts as usize);
                },
                &|| end(&registry, &future),
            ],
        );
    });
}

fn with_timeouts() -> Limits {
    let mut limits = Registry::limits();
    limits.task_timeout = Some(Duration::from_millis(2));
    limits.queue_timeout = Some(Duration::from_millis(1));
    limits
}

/// A task may succeed while a listener is added.
pub fn listeners_see_a_success() {
    check_listeners_see_the_end(Guest::Short, Registry::limits, |_, _| ());
}

/// A task is tried again. Nothing that is left of its first attempt delays the listeners.
pub fn listeners_see_the_end_of_a_second_attempt() {
    check_listeners_see_the_end(Guest::Failing, Registry::limits, |_, _| ());
    check_listeners_see_the_end(Guest::Endless, with_timeouts, |_, _| ());
}

/// The task is cancelled in the queue, between attempts, or while it runs.
pub fn listeners_see_a_cancel() {
    let cancel = |_: &Registry, future: &TaskFuture<u8>| {
        future.cancel();
    };
    check_listeners_see_the_end(Guest::Endless, Registry::limits, cancel);
    check_listeners_see_the_end(Guest::Failing, Registry::limits, cancel);
}

/// The pool is terminated.
pub fn listeners_see_a_termination() {
    check_listeners_see_the_end(Guest::Waiting, Registry::limits, |registry, _| {
        registry.terminate()
    });
}

/// A listener that is added while the task ends sees the end, and no listener is kept afterwards.
pub fn a_listener_added_at_the_end_sees_the_end() {
    check(|| {
        let counters: Arc<Counters> = Arc::default();
        counters.accept(1);
        let job = Job::new((), None, counters);
        let call = registry::start(&job).expect("it is queued");
        together([&|| registry::settle(&job, registry::success()), &|| {
            let (listener, events) = TaskEvents::channel();
            job.add_listener(listener);
            // Returns, since the task ends.
            assert_eq!(events.count(), 0);
        }]);
        drop(call);
    });
}
