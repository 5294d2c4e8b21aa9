//! Children in a sandbox: through the host.

use std::sync::Arc;
use std::time::Duration;

use super::{Arguments, ChildError, Options, StartError, StartErrorKind};
use crate::__private::bindings::wasmpool::task0_2_0::children as host;
use crate::shared::Object;
use crate::shared::wasm::{nanos, references};

#[derive(Clone)]
pub(super) struct RawChild(Arc<host::Child>);

impl RawChild {
    pub(super) fn outcome(&self) -> Option<Result<Vec<u8>, ChildError>> {
        let outcome = self.0.outcome()?;
        Some(outcome.map_err(|failure| ChildError {
            kind: failure.kind,
            code: failure.code,
            message: failure.message,
        }))
    }

    /// The object at this place among those that came with the result.
    pub(super) fn received(&self, place: u32) -> Option<Object> {
        self.0.received(place).map(Object::from)
    }

    pub(super) fn cancel(&self) -> bool {
        self.0.cancel()
    }
}

pub(super) fn start(
    name: &str,
    arguments: Arguments,
    options: &Options,
) -> Result<RawChild, StartError> {
    let options = host::Options {
        module: options.module.clone(),
        timeout: options.timeout.map(nanos),
        memory: options.memory,
        tag: options.tag.clone(),
        outlives_parent: options.outlives_parent,
    };
    let started = host::start(
        name,
        &arguments.bytes,
        &references(&arguments.objects),
        &options,
    );
    started
        .map(|child| RawChild(Arc::new(child)))
        .map_err(|error| {
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
    let children = children.iter().map(|child| &*child.0).collect::<Vec<_>>();
    let waited = host::wait(&children, timeout.map(nanos));
    waited.map_err(|host::WaitError::NoPlace(message)| message)
}
