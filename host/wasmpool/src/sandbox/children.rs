//! The host functions with which a guest starts tasks, and the right to do so.

use std::fmt;
use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use wasmtime::component::Resource;

use super::Module;
use super::bindings::wasmpool::task0_2_0::children::{
    Failure, Host, HostChild, Options, StartError, WaitError,
};
use super::store::State;
use crate::call::{Child, ChildLimits, ChildRefused, ChildRequest, Control};

/// A child, as it lies in the table of its parent's store.
#[expect(unreachable_pub, reason = "the generated bindings export it")]
pub struct ChildResource(Arc<dyn Child>);

/// The right to start tasks.
#[derive(Clone, Default)]
pub(crate) struct TaskGrants {
    /// Whether the guest may start tasks of its own module.
    pub(crate) own: bool,
    /// Other modules, by the names that the guest uses.
    pub(crate) modules: Vec<(String, Arc<Module>)>,
    pub(crate) limits: ChildLimits,
}

impl TaskGrants {
    pub(crate) fn module(&self, name: &str) -> Option<Arc<Module>> {
        let mut modules = self.modules.iter();
        let (_, module) = modules.find(|(known, _)| known == name)?;
        Some(Arc::clone(module))
    }
}

impl fmt::Debug for TaskGrants {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let modules = self.modules.iter().map(|(name, _)| name);
        formatter
            .debug_struct("TaskGrants")
            .field("own", &self.own)
            .field("modules", &modules.collect::<Vec<_>>())
            .field("limits", &self.limits)
            .finish()
    }
}

impl Host for State {
    fn start(
        &mut self,
        name: String,
        arguments: Vec<u8>,
        options: Options,
    ) -> wasmtime::Result<Result<Resource<ChildResource>, StartError>> {
        let Some(parent) = &self.parent else {
            let message = "it has no right to start tasks; grant it with `Capabilities::tasks`, or \
                           with `--allow-tasks` of `wasmpool run`";
            let message = message.to_owned();
            return Ok(Err(StartError::NotAllowed(message)));
        };
        let started = parent.start(ChildRequest {
            module: options.module,
            task: name,
            arguments,
            timeout: options.timeout.map(Duration::from_nanos),
            memory: options
                .memory
                .map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
            tag: options.tag,
            outlives_parent: options.outlives_parent,
        });
        Ok(match started {
            Ok(child) => Ok(self.table.push(ChildResource(child))?),
            Err(refused) => Err(refused.into()),
        })
    }

    async fn wait(
        &mut self,
        children: Vec<Resource<ChildResource>>,
        timeout: Option<u64>,
    ) -> wasmtime::Result<Result<Vec<u32>, WaitError>> {
        let children = children.iter().map(|child| {
            let ChildResource(child) = self.table.get(child)?;
            Ok(Arc::clone(child))
        });
        let children = children.collect::<wasmtime::Result<Vec<_>>>()?;
        let timeout = timeout.map(Duration::from_nanos);
        Ok(wait(&self.control, &children, timeout).await)
    }
}

impl HostChild for State {
    fn outcome(
        &mut self,
        child: Resource<ChildResource>,
    ) -> wasmtime::Result<Option<Result<Vec<u8>, Failure>>> {
        let ChildResource(child) = self.table.get(&child)?;
        let outcome = child.outcome();
        Ok(outcome.map(|outcome| {
            outcome.map_err(|failure| Failure {
                kind: failure.kind,
                code: failure.code,
                message: failure.message,
            })
        }))
    }

    fn cancel(&mut self, child: Resource<ChildResource>) -> wasmtime::Result<bool> {
        let ChildResource(child) = self.table.get(&child)?;
        Ok(child.cancel())
    }

    fn drop(&mut self, child: Resource<ChildResource>) -> wasmtime::Result<()> {
        self.table.delete(child)?;
        Ok(())
    }
}

/// Waits until one of the children has ended, and returns the places of all that have.
async fn wait(
    control: &Control,
    children: &[Arc<dyn Child>],
    timeout: Option<Duration>,
) -> Result<Vec<u32>, WaitError> {
    if children.is_empty() {
        return Ok(Vec::new());
    }
    // Made at the first poll: most children have ended by then, or there is no timeout.
    let mut is_over = pin!(async {
        match timeout {
            Some(timeout) => tokio::time::sleep(timeout).await,
            None => pending().await,
        }
    });
    control.set_waits_for_tasks(true);
    let waited = poll_fn(|context| {
        let waker = context.waker();
        let ended = children.iter().zip(0..);
        let ended = ended.filter_map(|(child, place)| child.poll(waker).then_some(place));
        let ended = ended.collect::<Vec<_>>();
        if !ended.is_empty() || timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Poll::Ready(Ok(ended));
        }
        if control.is_wait_refused() {
            return Poll::Ready(Err(WaitError::NoPlace(
                "as many tasks wait as the pool has places for \
                 (`PoolBuilder::max_suspended`), or this one's module has too many memories or \
                 tables to wait"
                    .to_owned(),
            )));
        }
        is_over.as_mut().poll(context).map(|()| Ok(Vec::new()))
    });
    let waited = waited.await;
    control.set_waits_for_tasks(false);
    waited
}

impl From<ChildRefused> for StartError {
    fn from(refused: ChildRefused) -> Self {
        match refused {
            ChildRefused::NotAllowed(message) => Self::NotAllowed(message),
            ChildRefused::UnknownTask(message) => Self::UnknownTask(message),
            ChildRefused::BadArguments(message) => Self::BadArguments(message),
            ChildRefused::OverBudget(message) => Self::OverBudget(message),
            ChildRefused::ShutDown(message) => Self::ShutDown(message),
        }
    }
}
