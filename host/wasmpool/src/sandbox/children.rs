//! The host functions with which a guest starts tasks, and the right to do so.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use wasmtime::component::Resource;

use super::Module;
use super::bindings::wasmpool::task0_2_0::children::{
    Failure, Host, HostChild, Options, StartError,
};
use super::bindings::wasmpool::task0_2_0::objects::{Object, ObjectRef, WaitError};
use super::store::State;
use super::waiting::wait_for;
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
        objects: Vec<ObjectRef>,
        options: Options,
    ) -> wasmtime::Result<Result<Resource<ChildResource>, StartError>> {
        let Some(parent) = &self.parent else {
            let message = "it has no right to start tasks; grant it with `Capabilities::tasks`, or \
                           with `--allow-tasks` of `wasmpool run`";
            let message = message.to_owned();
            return Ok(Err(StartError::NotAllowed(message)));
        };
        let objects = self.hand_out(&objects)?;
        let started = parent.start(ChildRequest {
            module: options.module,
            task: name,
            arguments,
            objects,
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

    fn received(
        &mut self,
        child: Resource<ChildResource>,
        place: u32,
    ) -> wasmtime::Result<Option<Object>> {
        let ChildResource(child) = self.table.get(&child)?;
        let object = child.objects().get(place).cloned();
        object.map(|object| self.hand_in(object)).transpose()
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
    let ended = poll_fn(|context| {
        let waker = context.waker();
        let ended = children.iter().zip(0..);
        let ended = ended.filter_map(|(child, place)| child.poll(waker).then_some(place));
        let ended = ended.collect::<Vec<_>>();
        match ended.is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(ended),
        }
    });
    let waited = wait_for(control, None, timeout, ended).await;
    waited.map(Option::unwrap_or_default)
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
