//! What happens in the pool, for those who trace it: the feature `tracing`.
//!
//! Without the feature the functions here do nothing, and [`Origin`] has no size. A subscriber
//! is the embedder's code: its panics end here, and cost no task its outcome.

pub(crate) use on_or_off::{
    Attempt, Origin, attempt, cache_trouble, module_loaded, pool_built, shut_down,
};

#[cfg(feature = "tracing")]
mod on_or_off {
    use std::time::Duration;

    use tracing::span::EnteredSpan;
    use tracing::{Span, debug, debug_span, info, warn};

    use crate::allocation::Allocation;
    use crate::cache_state::CacheState;
    use crate::contain::contain_panic;
    use crate::error::TaskError;
    use crate::pool::Shutdown;
    use crate::report::TaskReport;

    /// The span in which a task was submitted; none if the subscriber panicked.
    pub(crate) struct Origin(Option<Span>);

    impl Origin {
        pub(crate) fn here() -> Self {
            let mut span = None;
            contain_panic(|| span = Some(Span::current()));
            Self(span)
        }
    }

    impl Drop for Origin {
        fn drop(&mut self) {
            contain_panic(|| drop(self.0.take()));
        }
    }

    /// An attempt of a task, for as long as it runs on its worker.
    pub(crate) struct Attempt(Option<EnteredSpan>);

    pub(crate) fn attempt(
        origin: &Origin,
        task: &str,
        tag: Option<&str>,
        worker: usize,
        number: u32,
    ) -> Attempt {
        let mut entered = None;
        contain_panic(|| {
            let parent = origin.0.as_ref().and_then(Span::id);
            let span =
                debug_span!(parent: parent, "task", name = task, tag, worker, attempt = number);
            entered = Some(span.entered());
        });
        Attempt(entered)
    }

    impl Attempt {
        pub(crate) fn ended(self, error: Option<&TaskError>, report: &TaskReport, is_last: bool) {
            let (queued, ran) = (micros(report.queued), micros(report.ran));
            contain_panic(|| match error {
                None => debug!(queued_us = queued, ran_us = ran, "succeeded"),
                Some(error) => debug!(
                    queued_us = queued,
                    ran_us = ran,
                    kind = error.kind().name(),
                    error = %error,
                    is_last,
                    "failed"
                ),
            });
        }
    }

    impl Drop for Attempt {
        fn drop(&mut self) {
            contain_panic(|| drop(self.0.take()));
        }
    }

    pub(crate) fn pool_built(workers: usize, allocation: &Allocation) {
        contain_panic(|| {
            info!(workers, ?allocation, "pool built");
            if let Allocation::OnDemand { reason } = allocation {
                warn!(
                    reason,
                    "instances are slower: their memory cannot be reserved"
                );
            }
        });
    }

    pub(crate) fn cache_trouble(state: &CacheState) {
        if let Some(problem) = state.problem() {
            contain_panic(|| warn!("{problem}"));
        }
    }

    pub(crate) fn module_loaded(bytes: usize, tasks: usize, took: Duration) {
        contain_panic(|| info!(bytes, tasks, took_us = micros(took), "module loaded"));
    }

    pub(crate) fn shut_down(how: Shutdown) {
        contain_panic(|| info!(?how, "pool shut down"));
    }

    fn micros(duration: Duration) -> u64 {
        u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
    }
}

#[cfg(not(feature = "tracing"))]
mod on_or_off {
    use std::time::Duration;

    use crate::allocation::Allocation;
    use crate::cache_state::CacheState;
    use crate::error::TaskError;
    use crate::pool::Shutdown;
    use crate::report::TaskReport;

    pub(crate) struct Origin;

    impl Origin {
        pub(crate) fn here() -> Self {
            Self
        }
    }

    pub(crate) struct Attempt;

    pub(crate) fn attempt(_: &Origin, _: &str, _: Option<&str>, _: usize, _: u32) -> Attempt {
        Attempt
    }

    impl Attempt {
        pub(crate) fn ended(self, _: Option<&TaskError>, _: &TaskReport, _: bool) {}
    }

    pub(crate) fn pool_built(_: usize, _: &Allocation) {}

    pub(crate) fn cache_trouble(_: &CacheState) {}

    pub(crate) fn module_loaded(_: usize, _: usize, _: Duration) {}

    pub(crate) fn shut_down(_: Shutdown) {}
}
