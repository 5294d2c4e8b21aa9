//! Claims about the stop of one task: `control.rs`.

use std::time::Duration;

use crate::call::{Control, Interrupt, Limits, StopReason};
use crate::check::{check, prove, together};
use crate::registry::{self, Guest, Registry};
use crate::schedule::Blocking;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Arc, Weak};

/// Of several stops of a task the first decides the reason, and the task is forced to stop once.
pub fn the_first_reason_to_stop_counts() {
    struct Interrupts(AtomicU64);

    impl Interrupt for Interrupts {
        fn interrupt(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }

        fn see_to_stops(&self) {}
    }

    check(|| {
        let interrupts = Arc::new(Interrupts(AtomicU64::new(0)));
        let weak: Weak<Interrupts> = Arc::downgrade(&interrupts);
        let control = Control::new(weak, Limits::default());
        let stop = |reason| {
            control.stop(reason);
            let first = control.stop_reason();
            assert!(first.is_some());
            assert_eq!(control.stop_reason(), first);
        };
        together([
            &|| stop(StopReason::Cancelled),
            &|| stop(StopReason::TimedOut),
            &|| stop(StopReason::ShutDown),
            &|| {
                let before = control.stop_reason();
                let is_forced = control.is_forced();
                let after = control.stop_reason();
                assert!(before.is_none() || before == after);
                assert!(!is_forced || after.is_some(), "forced for no reason");
            },
        ]);
        assert!(control.is_forced());
        assert!(control.force_at().is_some());
        assert_eq!(interrupts.0.load(Ordering::SeqCst), 1);
    });
}

/// Of two reasons the first counts.
pub fn the_first_of_two_reasons_counts() {
    prove(|| {
        let control = registry::control_of_nobody();
        let stop = |reason| {
            control.stop(reason);
            let first = control.stop_reason();
            assert!(first.is_some());
            assert_eq!(control.stop_reason(), first);
        };
        together([&|| stop(StopReason::Cancelled), &|| {
            stop(StopReason::TimedOut);
        }]);
        assert!(control.is_forced());
    });
}

/// A guest that waits in the host sees the stop before it sleeps, or is woken.
pub fn a_waiting_guest_is_woken_by_the_stop() {
    prove(|| {
        let control = registry::control_of_nobody();
        together([&|| assert!(control.stop(StopReason::Cancelled)), &|| {
            registry::wait_for_force(&control);
        }]);
    });
}

/// A task with a grace period is stopped when the period is over: not earlier, and always.
pub fn a_stop_is_forced_when_the_grace_is_over() {
    for guest in [Guest::Endless, Guest::Waiting] {
        check(move || {
            let registry = Registry::new(1, 1);
            let mut limits = Registry::limits();
            limits.stop_grace = Duration::from_millis(3);
            let future = registry.submit(guest, limits, Blocking::Never).unwrap();
            registry.open(
                1,
                [&|| {
                    assert!(future.cancel());
                }],
            );
            let halts = registry.halts.lock().unwrap();
            for halt in halts.iter() {
                assert!(halt.at >= halt.force_at.expect("it was stopped"));
            }
        });
    }
}
