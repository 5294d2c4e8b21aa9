//! `Cluster`: submitting tasks to many machines.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use wasmpool::{Arguments, IntoArguments};

use super::cancelling;
use super::future::ClusterFuture;
use super::map::ClusterMap;
use super::open_tasks::{LEASE_RENEWAL, OpenTasks, Patience};
use super::outcomes;
use super::recovery;
use super::submit;
use super::task::{ClusterModule, ClusterTask};
use crate::broker::TIDYING;
use crate::connection::{self, Connection};
use crate::error::{ConnectError, LoadError, SubmitError};
use crate::names;
use crate::server::Server;
use crate::status::{self, ClusterStatus};

/// How long the server may take to hear what is cancelled, and to clear up after a caller that leaves.
const CLEARING: Duration = Duration::from_secs(5);

/// A caller of a cluster: the counterpart of a [`Pool`](wasmpool::Pool) whose workers are on other
/// machines.
///
/// It has one thread, for the connection. Dropping it cancels the tasks that have not ended, and
/// blocks for at most 5 seconds, in which the server is told.
pub struct Cluster {
    tasks: Arc<OpenTasks>,
    connection: Connection,
}

impl Cluster {
    /// Connects to the server of a cluster. Makes the queue and the stores there if they are
    /// missing. Blocks until connected, for at most 10 seconds and some answers of the server.
    ///
    /// There may be no node yet: tasks wait for one.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, refuses the login, or has no JetStream.
    pub fn connect(server: &Server) -> Result<Self, ConnectError> {
        let (tasks, connection) = connection::open(server, "wasmpool", |broker, runtime, stop| {
            let inbox = broker.client.new_inbox();
            let caller = inbox.rsplit('.').next().unwrap_or(&inbox).to_owned();
            let tasks = Arc::new(OpenTasks::new(broker, runtime, caller));
            let serving = serve(Arc::clone(&tasks), stop);
            (tasks, serving)
        })?;
        Ok(Self { tasks, connection })
    }

    /// Gives the module in a file to the cluster. The module travels once: its bytes are not sent if
    /// the server has them. Blocks until the server has stored them.
    ///
    /// Nodes check the hash of the bytes, compile them and keep the code in their caches. They
    /// refuse native code.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or the server does not take it. That it is not a module shows when
    /// a task runs.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<ClusterModule, LoadError> {
        let path = path.as_ref();
        let wasm = std::fs::read(path).map_err(|source| LoadError::Read {
            path: path.to_owned(),
            source: Arc::new(source),
        })?;
        self.load_bytes(wasm)
    }

    /// As [`load`](Self::load), from memory.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn load_bytes(&self, wasm: impl Into<Vec<u8>>) -> Result<ClusterModule, LoadError> {
        let (broker, wasm) = (self.tasks.broker.clone(), wasm.into());
        let stored = connection::block_on(&self.tasks.runtime, async move {
            broker.store_module(&wasm).await
        });
        stored.map(ClusterModule::new).map_err(LoadError::Store)
    }

    /// Submits a task and returns its future. Blocks until the server has stored the task, and while
    /// the queue is full. A task that was accepted survives the end of any node and a restart of the
    /// server.
    ///
    /// # Errors
    ///
    /// If the arguments cannot be encoded, or the server does not confirm the task within a minute.
    /// The error returns the arguments.
    pub fn submit<Args: Arguments, Out>(
        &self,
        task: &ClusterTask<Args, Out>,
        arguments: Args,
    ) -> Result<ClusterFuture<Out>, SubmitError<Args>> {
        submit::submit(&self.tasks, task, arguments, Patience::Forever)
    }

    /// Submits a task if the queue has room for it. Blocks only until the server has answered.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit), and if the queue is full.
    pub fn try_submit<Args: Arguments, Out>(
        &self,
        task: &ClusterTask<Args, Out>,
        arguments: Args,
    ) -> Result<ClusterFuture<Out>, SubmitError<Args>> {
        submit::submit(&self.tasks, task, arguments, Patience::Never)
    }

    /// Submits a task; blocks for at most about `timeout` while the queue is full or the server does
    /// not answer.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit), and if the queue is still full after `timeout`.
    pub fn submit_timeout<Args: Arguments, Out>(
        &self,
        task: &ClusterTask<Args, Out>,
        arguments: Args,
        timeout: Duration,
    ) -> Result<ClusterFuture<Out>, SubmitError<Args>> {
        let patience = match Instant::now().checked_add(timeout) {
            Some(deadline) => Patience::Until(deadline),
            None => Patience::Forever,
        };
        submit::submit(&self.tasks, task, arguments, patience)
    }

    /// As [`submit`](Self::submit), but waits for the server without blocking, in any asynchronous
    /// runtime. If it is dropped before it is ready, the task may run nevertheless, and nobody sees
    /// its outcome.
    ///
    /// # Errors
    ///
    /// As [`submit`](Self::submit).
    pub async fn submit_async<Args: Arguments, Out>(
        &self,
        task: &ClusterTask<Args, Out>,
        arguments: Args,
    ) -> Result<ClusterFuture<Out>, SubmitError<Args>> {
        submit::submit_async(&self.tasks, task, arguments).await
    }

    /// Submits a task for each of the arguments, all at once and without waiting for the server.
    /// Does not block. While the queue is full, they wait for room in memory, without a bound. A task
    /// that the server does not accept ends as [`RunError::Submit`](crate::RunError::Submit).
    pub fn submit_all<Args: Arguments, Out>(
        &self,
        task: &ClusterTask<Args, Out>,
        arguments: impl IntoIterator<Item = Args>,
    ) -> Vec<ClusterFuture<Out>> {
        let arguments = arguments.into_iter();
        let begin = |arguments| submit::begin(&self.tasks, task, &arguments);
        arguments.map(begin).collect()
    }

    /// Runs `task` on each of `inputs` and yields the outcomes in the order of the inputs.
    ///
    /// An input is a tuple of the task's arguments, or its only argument. Inputs may be endless: up
    /// to 1,024 are submitted ahead of the outcomes that were taken. A failed task is an `Err` in
    /// its place and does not affect the others. This call does not block; `next` blocks until the
    /// next outcome is there. A full queue slows the map down.
    pub fn map<Args, Out, Inputs>(
        &self,
        task: &ClusterTask<Args, Out>,
        inputs: Inputs,
    ) -> ClusterMap<'_, Args, Out, Inputs::IntoIter>
    where
        Args: Arguments,
        Inputs: IntoIterator<Item: IntoArguments<Args>>,
    {
        ClusterMap::new(&self.tasks, task.clone(), inputs.into_iter())
    }

    /// Cancels the tasks of this caller that have not ended, queued and running. Threads that wait
    /// for them are woken at once. Tasks that are submitted later are not cancelled.
    ///
    /// Blocks until the nodes were told and the queue is cleared, for at most 5 seconds.
    pub fn cancel_all(&self) {
        let tasks = Arc::clone(&self.tasks);
        connection::block_on(&self.tasks.runtime, async move {
            let _ = timeout(CLEARING, cancelling::cancel(&tasks, tasks.all())).await;
        });
    }

    /// Cancels the tasks of this caller that no node has taken, and lets the others end.
    ///
    /// Blocks for some answers of the server, and for at most 5 seconds.
    ///
    /// # Errors
    ///
    /// If the server does not answer: then no task is cancelled.
    pub fn cancel_queued(&self) -> Result<(), ConnectError> {
        let tasks = Arc::clone(&self.tasks);
        connection::block_on(&self.tasks.runtime, async move {
            let cancelled = timeout(CLEARING, cancelling::cancel_queued(&tasks)).await;
            cancelled.unwrap_or_else(|_| Err("the server does not answer".to_owned()))
        })
        .map_err(|problem| ConnectError::JetStream {
            name: names::TASKS,
            problem,
        })
    }

    /// The nodes of the cluster and its queues. Blocks for some answers of the server.
    ///
    /// # Errors
    ///
    /// If the server does not answer.
    pub fn status(&self) -> Result<ClusterStatus, ConnectError> {
        let broker = self.tasks.broker.clone();
        connection::block_on(&self.tasks.runtime, async move {
            status::of_cluster(&broker).await
        })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.connection.close();
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cluster")
            .field("caller", &self.tasks.caller)
            .finish_non_exhaustive()
    }
}

/// Receives outcomes and renews the lease until it is told to stop, and then clears up.
async fn serve(tasks: Arc<OpenTasks>, stop: oneshot::Receiver<()>) {
    tokio::select! {
        _ = outcomes::receive(Arc::clone(&tasks)) => {}
        () = tasks.tell_of_tasks() => {}
        () = renew_lease(&tasks) => {}
        () = tidy(&tasks) => {}
        () = recovery::recover(&tasks) => {}
        // That its sender is gone means the same.
        _ = stop => {}
    }
    let _ = timeout(CLEARING, clear(&tasks)).await;
}

async fn renew_lease(tasks: &OpenTasks) {
    let mut renewal = interval(LEASE_RENEWAL);
    renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        renewal.tick().await;
        tasks.renew_lease().await;
    }
}

/// Keeps the queue of outcomes in order.
async fn tidy(tasks: &OpenTasks) {
    let mut ticks = interval(TIDYING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // If the server does not answer, next time is early enough.
        let _ = tasks.broker.delete_received(&tasks.caller).await;
    }
}

/// Cancels what has not ended, and leaves nothing on the server.
async fn clear(tasks: &OpenTasks) {
    let broker = &tasks.broker;
    // The nodes stop the running tasks, and drop those that are still queued.
    let departure = names::departure(&tasks.caller);
    broker.tell(departure, Vec::new()).await;
    let open = tasks.all();
    cancelling::settle(tasks, &open, "cancelled: the cluster was dropped");
    cancelling::withdraw(tasks, &open).await;
    outcomes::discard(tasks).await;
    let _ = broker.client.flush().await;
}
