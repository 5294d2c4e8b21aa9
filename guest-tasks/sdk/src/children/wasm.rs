//! Children in a sandbox: through the host.

use std::time::Duration;

use super::{ChildError, Options, StartError, StartErrorKind};
use crate::__private::bindings::wasmpool::task0_2_0::children as host;

pub(super) struct RawChild(host::Child);

impl RawChild {
    pub(super) fn outcome(&self) -> Option<Result<Vec<u8>, ChildError>> {
        let outcome = self.0.outcome()?;
        Some(outcome.map_err(|failure| ChildError {
            kind: failure.kind,
            code: failure.code,
            message: failure.message,
        }))
    }

    pub(super) fn cancel(&self) -> bool {
        self.0.cancel()
    }
}

pub(super) fn start(
    name: &str,
    arguments: Vec<u8>,
    options: &Options,
) -> Result<RawChild, StartError> {
    let options = host::Options {
        module: options.module.clone(),
        timeout: options.timeout.map(nanos),
        memory: options.memory,
        tag: options.tag.clone(),
        outlives_parent: options.outlives_parent,
    };
    let started = host::start(name, &arguments, &options);
    started.map(RawChild).map_err(|error| {
        let (kind, message) = match error {
            host::StartError::NotAllowed(message) => (StartErrorKind::NotAllowed, message),
            host::StartError::UnknownTask(message) => (StartErrorKind::UnknownTask, message),
            host::StartError::BadArguments(message) => (StartErrorKind::BadArguments, message),
            host::StartError::OverBudget(message) => (StartErrorKind::OverBudget, message),
            host::StartError::ShutDown(message) => (StartErrorKind::ShutDown, message),
        };
        StartError { kind, message }
    })
}

/// The error is a message.
pub(super) fn wait(children: &[&RawChild], timeout: Option<Duration>) -> Result<Vec<u32>, String> {
    let children = children.iter().map(|child| &child.0).collect::<Vec<_>>();
    let waited = host::wait(&children, timeout.map(nanos));
    waited.map_err(|host::WaitError::NoPlace(message)| message)
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
