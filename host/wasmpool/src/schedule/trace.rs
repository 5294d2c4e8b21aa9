//! What happens in the pool, for those who trace it: the feature `tracing`.
//!
//! Without the feature the functions here do nothing, and [`Origin`] has no size. A subscriber
//! is the embedder's code: its panics end here, and cost no task its outcome.

#![cfg_attr(
    not(feature = "tracing"),
    allow(unused_variables, reason = "there is nobody to tell")
)]

use std::time::Duration;

#[cfg(feature = "tracing")]
use tracing::{Span, debug, debug_span, info, span, warn};

use super::shutdown::Shutdown;
use crate::call::{Allocation, TaskReport};
use crate::error::TaskError;
use crate::sandbox::CacheState;
#[cfg(feature = "tracing")]
use crate::sync::contain_panic;

/// The span in which a task was submitted; none if the subscriber panicked.
pub(crate) struct Origin {
    #[cfg(feature = "tracing")]
    span: Option<Span>,
}

impl Origin {
    pub(crate) fn here() -> Self {
        #[cfg(feature = "tracing")]
        let mut span = None;
        #[cfg(feature = "tracing")]
        contain_panic(|| span = Some(Span::current()));
        Self {
            #[cfg(feature = "tracing")]
            span,
        }
    }
}

#[cfg(feature = "tracing")]
impl Drop for Origin {
    fn drop(&mut self) {
        contain_panic(|| drop(self.span.take()));
    }
}

/// The span of a call; none if the subscriber panicked.
pub(crate) struct CallSpan {
    #[cfg(feature = "tracing")]
    span: Option<Span>,
}

/// A call is polled: the span is entered until this is dropped.
pub(crate) struct Entered<'a> {
    #[cfg(feature = "tracing")]
    entered: Option<span::Entered<'a>>,
    #[cfg(not(feature = "tracing"))]
    _span: &'a CallSpan,
}

pub(crate) fn call_span(
    origin: &Origin,
    task: &str,
    tag: Option<&str>,
    worker: usize,
    attempt: u32,
) -> CallSpan {
    #[cfg(feature = "tracing")]
    let mut span = None;
    #[cfg(feature = "tracing")]
    contain_panic(|| {
        let parent = origin.span.as_ref().and_then(Span::id);
        span = Some(debug_span!(parent: parent, "task", name = task, tag, worker, attempt));
    });
    CallSpan {
        #[cfg(feature = "tracing")]
        span,
    }
}

impl CallSpan {
    pub(crate) fn enter(&self) -> Entered<'_> {
        #[cfg(feature = "tracing")]
        let mut entered = None;
        #[cfg(feature = "tracing")]
        contain_panic(|| entered = self.span.as_ref().map(Span::enter));
        Entered {
            #[cfg(feature = "tracing")]
            entered,
            #[cfg(not(feature = "tracing"))]
            _span: self,
        }
    }

    pub(crate) fn ended(self, error: Option<&TaskError>, report: &TaskReport, is_last: bool) {
        let _entered = self.enter();
        #[cfg(feature = "tracing")]
        contain_panic(|| {
            let (queued, ran) = (micros(report.queued), micros(report.ran));
            match error {
                None => debug!(queued_us = queued, ran_us = ran, "succeeded"),
                Some(error) => debug!(
                    queued_us = queued,
                    ran_us = ran,
                    kind = error.kind().name(),
                    error = %error,
                    is_last,
                    "failed"
                ),
            }
        });
    }
}

#[cfg(feature = "tracing")]
impl Drop for Entered<'_> {
    fn drop(&mut self) {
        contain_panic(|| drop(self.entered.take()));
    }
}

#[cfg(feature = "tracing")]
impl Drop for CallSpan {
    fn drop(&mut self) {
        contain_panic(|| drop(self.span.take()));
    }
}

pub(crate) fn worker_given_up(worker: usize) {
    #[cfg(feature = "tracing")]
    contain_panic(|| {
        warn!(
            worker,
            "a stopped task blocks its thread, which is replaced"
        )
    });
}

pub(crate) fn pool_built(workers: usize, allocation: &Allocation) {
    #[cfg(feature = "tracing")]
    contain_panic(|| {
        info!(workers, ?allocation, "pool built");
        if let Some(problem) = allocation.problem() {
            warn!("{problem}");
        }
    });
}

pub(crate) fn cache_trouble(state: &CacheState) {
    #[cfg(feature = "tracing")]
    if let Some(problem) = state.problem() {
        contain_panic(|| warn!("{problem}"));
    }
}

pub(crate) fn module_loaded(bytes: usize, tasks: usize, took: Duration) {
    #[cfg(feature = "tracing")]
    contain_panic(|| info!(bytes, tasks, took_us = micros(took), "module loaded"));
}

pub(crate) fn shut_down(how: Shutdown) {
    #[cfg(feature = "tracing")]
    contain_panic(|| info!(?how, "pool shut down"));
}

#[cfg(feature = "tracing")]
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
