//! The limits of the tenants of a pool: their settings, and each tenant's own places in the queue.

use std::collections::HashMap;

use super::places::{Capacity, Places};
use crate::sync::{Arc, Mutex, lock};

/// The limits of one tenant: see [`PoolBuilder::tenant_limits`](crate::PoolBuilder::tenant_limits).
/// By default there are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "limits do nothing until a pool is built with them"]
pub struct TenantLimits {
    max_running: Option<usize>,
    queue_capacity: Option<usize>,
}

impl TenantLimits {
    /// No limits.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many of the tenant's tasks may have started and not ended, at least 1: those that
    /// compute and those that are [suspended](crate::TaskState::Suspended). Further ones wait in
    /// the queue, and tasks of other tenants come before them. A task that waits for
    /// [tasks which it has started](crate::Capabilities::tasks) does not count meanwhile. Default:
    /// no limit.
    pub fn max_running(mut self, tasks: usize) -> Self {
        self.max_running = Some(tasks);
        self
    }

    /// How many of the tenant's tasks may be queued, at least 1. When as many are, `submit` blocks,
    /// and `try_submit` fails with
    /// [`SubmitErrorKind::TenantFull`](crate::SubmitErrorKind::TenantFull). The pool's
    /// [`queue_capacity`](crate::PoolBuilder::queue_capacity) applies as well. Default: no limit.
    pub fn queue_capacity(mut self, tasks: usize) -> Self {
        self.queue_capacity = Some(tasks);
        self
    }

    /// What is wrong with these limits, if anything.
    fn problem(&self) -> Option<String> {
        let limits = [
            ("max_running", self.max_running),
            ("queue_capacity", self.queue_capacity),
        ];
        let zero = limits.iter().find(|(_, limit)| *limit == Some(0));
        zero.map(|(name, _)| format!("`{name}` is 0, and must be at least 1"))
    }
}

/// The limits of all tenants.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllTenantLimits {
    /// The limits of each tenant that has none of its own.
    pub(crate) of_each: TenantLimits,
    pub(crate) by_name: HashMap<Arc<str>, TenantLimits>,
}

impl AllTenantLimits {
    fn of(&self, name: Option<&Arc<str>>) -> TenantLimits {
        let own = name.and_then(|name| self.by_name.get(name));
        own.copied().unwrap_or(self.of_each)
    }

    /// What is wrong with these limits, if anything.
    pub(crate) fn problem(&self) -> Option<String> {
        if let Some(problem) = self.of_each.problem() {
            return Some(problem);
        }
        let mut by_name = self.by_name.iter();
        by_name.find_map(|(name, limits)| {
            let problem = limits.problem()?;
            Some(format!("of the tenant `{name}`: {problem}"))
        })
    }

    pub(super) fn max_running(&self, name: Option<&Arc<str>>) -> usize {
        self.of(name).max_running.unwrap_or(usize::MAX)
    }
}

/// The places in the queue of each tenant that has a bounded number of them.
#[derive(Default)]
pub(super) struct TenantPlaces {
    limits: AllTenantLimits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    places: HashMap<Option<Arc<str>>, Arc<Places>>,
    /// At this size, places that nobody uses are removed.
    clear_at: usize,
    is_closed: bool,
}

impl TenantPlaces {
    pub(super) fn new(limits: AllTenantLimits) -> Self {
        Self {
            limits,
            state: Mutex::default(),
        }
    }

    /// The places of a tenant, if they are bounded.
    pub(super) fn of(&self, tenant: Option<&Arc<str>>) -> Option<Arc<Places>> {
        let capacity = self.limits.of(tenant).queue_capacity?;
        let name = tenant.map(Arc::clone);
        let mut state = lock(&self.state);
        if let Some(places) = state.places.get(&name) {
            return Some(Arc::clone(places));
        }
        if state.places.len() >= state.clear_at {
            // Each permit, and each submitter that waits for one, has a reference.
            state
                .places
                .retain(|_, places| Arc::strong_count(places) > 1);
            state.clear_at = 64 + 2 * state.places.len();
        }
        let places = Arc::new(Places::new(Capacity::from(capacity)));
        if state.is_closed {
            places.close();
        }
        state.places.insert(name, Arc::clone(&places));
        Some(places)
    }

    /// Refuses submitters from now on, also those that wait.
    pub(super) fn close(&self) {
        let mut state = lock(&self.state);
        state.is_closed = true;
        let places = state.places.values().map(Arc::clone).collect::<Vec<_>>();
        drop(state);
        places.iter().for_each(|places| places.close());
    }
}
