//! Claims about tenants: `lanes.rs`, and how calls make room for others.

use crate::check::check;
use crate::error::TaskErrorKind;
use crate::registry::{Guest, RESULT, Registry};
use crate::schedule::{AllTenantLimits, TenantLimits};
use crate::sync::Arc;

/// A call that never ends makes room for the tasks of other tenants, however many calls do so.
pub fn an_endless_call_makes_room_for_other_tenants() {
    for n_workers in [1, 2] {
        check(move || {
            let registry = Registry::new(n_workers, 10);
            let limits = Registry::limits();
            let endless = [(); 2].map(|()| registry.submit_of("a", Guest::Endless, limits));
            registry.open(
                n_workers,
                [&|| {
                    for tenant in ["b", "c", "b"] {
                        let short = registry.submit_of(tenant, Guest::Short, limits);
                        assert_eq!(short.wait().expect("it has its turn"), RESULT);
                    }
                    assert!(endless.iter().all(|future| future.cancel()));
                }],
            );
            let stats = registry.stats();
            assert_eq!((stats.suspended, stats.finished), (0, 5), "{stats:?}");
        });
    }
}

/// A call that makes room is stopped as any other, also in that moment.
pub fn a_call_that_makes_room_is_stopped() {
    check(|| {
        let registry = Registry::new(1, 10);
        let limits = Registry::limits();
        let endless = ["a", "b"].map(|tenant| registry.submit_of(tenant, Guest::Endless, limits));
        let [first, second] = &endless;
        registry.open(
            1,
            [&|| assert!(first.cancel()), &|| assert!(second.cancel())],
        );
        for future in &endless {
            let error = future.wait().expect_err("it never ends by itself");
            assert_eq!(error.kind(), TaskErrorKind::Cancelled);
        }
        let stats = registry.stats();
        assert_eq!((stats.suspended, stats.finished), (0, 2), "{stats:?}");
    });
}

/// A pool that is terminated ends the calls that have made room.
pub fn a_termination_ends_calls_that_have_made_room() {
    check(|| {
        let registry = Registry::new(1, 10);
        let limits = Registry::limits();
        let endless = ["a", "b"].map(|tenant| registry.submit_of(tenant, Guest::Endless, limits));
        registry.open(1, [&|| registry.terminate()]);
        for future in &endless {
            let error = future.wait().expect_err("it never ends by itself");
            // Cancelled, if it was queued.
            assert!(matches!(
                error.kind(),
                TaskErrorKind::ShutDown | TaskErrorKind::Cancelled
            ));
        }
    });
}

/// A tenant has no more running than it may, and none of its tasks is forgotten for that.
pub fn a_tenant_runs_no_more_than_it_may() {
    check(|| {
        let mut tenants = AllTenantLimits::default();
        let one = TenantLimits::new().max_running(1);
        tenants.by_name.insert("a".into(), one);
        let registry = Registry::with_tenants(2, 10, 10, tenants);
        let limits = Registry::limits();
        let alone = [(); 3].map(|()| registry.submit_of("a", Guest::Alone, limits));
        let short = registry.submit_of("b", Guest::Short, limits);
        registry.open(
            2,
            [&|| {
                for future in &alone {
                    assert_eq!(future.wait().expect("it has its turn"), RESULT);
                }
                assert_eq!(short.wait().expect("it has its turn"), RESULT);
            }],
        );
    });
}

/// Where a tenant's places are taken, its submitters wait for one of its own.
pub fn a_submitter_gets_the_place_of_its_tenant() {
    check(|| {
        let tenants = AllTenantLimits {
            of_each: TenantLimits::new().queue_capacity(1),
            ..AllTenantLimits::default()
        };
        let registry = Registry::with_tenants(1, 10, 10, tenants);
        let name = Arc::<str>::from("a");
        let submit = || {
            let reserved = registry
                .scheduler
                .reserve(Some(&name), crate::schedule::Blocking::Forever);
            drop(reserved.expect("the queue is open"));
        };
        registry.open(1, [&submit, &submit, &submit]);
        assert_eq!(registry.scheduler.queue.places.taken(), 0);
    });
}
