//! Claims about calls that wait for tasks which they have started: `scheduler.rs` and `lanes.rs`.

use crate::check::check;
use crate::registry::{Guest, RESULT, Registry};
use crate::schedule::{AllTenantLimits, Blocking, TenantLimits};

/// Calls that wait for their children leave the only worker to them.
pub fn parents_and_their_children_share_one_worker() {
    check(|| {
        let registry = Registry::new(1, 10);
        let limits = Registry::limits();
        let futures = [Guest::Parent, Guest::Parent]
            .map(|guest| registry.submit(guest, limits, Blocking::Never).unwrap());
        registry.open(1, []);
        for future in &futures {
            assert_eq!(future.wait().expect("its child has ended"), RESULT);
        }
        assert_eq!(registry.stats().finished, 4);
    });
}

/// A call without a place to wait in is told so. It does not keep the worker that its child needs.
pub fn a_call_that_cannot_leave_its_worker_does_not_wait_for_others() {
    check(|| {
        let registry = Registry::with_max_suspended(1, 10, 0);
        let limits = Registry::limits();
        let future = registry.submit(Guest::Parent, limits, Blocking::Never);
        registry.open(1, []);
        let error = future.unwrap().wait().expect_err("it could not wait");
        assert_eq!(error.message(), "no place to wait");
        assert_eq!(registry.stats().finished, 2);
    });
}

/// A call that waits for its child does not count as running, so a tenant of one running task can
/// run the child. When the call comes back, it counts again.
pub fn a_parent_lends_its_child_the_place_that_it_has_of_its_tenant() {
    check(|| {
        let tenants = AllTenantLimits {
            of_each: TenantLimits::new().max_running(1),
            ..AllTenantLimits::default()
        };
        let registry = Registry::with_tenants(2, 10, 10, tenants);
        let limits = Registry::limits();
        let futures = [Guest::Parent, Guest::Alone, Guest::Alone]
            .map(|guest| registry.submit(guest, limits, Blocking::Never).unwrap());
        registry.open(2, []);
        for future in &futures {
            assert_eq!(future.wait().expect("it ends by itself"), RESULT);
        }
        assert_eq!(registry.stats().finished, 4);
    });
}
