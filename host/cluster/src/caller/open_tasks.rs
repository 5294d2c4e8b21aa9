//! The tasks of one caller that have not settled, and how they are published, cancelled and settled.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, OnceCell};
use tokio::time::{Instant, sleep, timeout};
use wasmpool::TaskErrorKind;

use super::open_task::{OpenTask, Settled, lock};
use crate::broker::{Broker, Refusal};
use crate::error::{RunError, SubmitErrorKind};
use crate::message::{Body, Lease, TaskMessage};
use crate::names::{self, TaskId};
use crate::wire;

/// How often a caller says that it is there.
pub(super) const LEASE_RENEWAL: Duration = Duration::from_secs(2);

/// For how long a caller repeats that it has cancelled a task: a node may not hear it at first.
const CANCEL_REPEATED: Duration = Duration::from_secs(30);

/// How long a submission waits for the server, unless its own timeout is shorter.
const SERVER_PATIENCE: Duration = Duration::from_secs(60);

/// The pause before a queue that could not be made is made again.
const AGAIN: Duration = Duration::from_millis(100);

/// A full queue says nothing when it has room again, so it is tried again after this time, or when
/// a task of this caller has ended.
const FULL_AGAIN: Duration = Duration::from_millis(50);

/// How long a submission waits while the queue is full.
#[derive(Debug, Clone, Copy)]
pub(super) enum Patience {
    Forever,
    Until(Instant),
    Never,
}

/// What the threads of a caller share.
pub(super) struct OpenTasks {
    pub(super) broker: Broker,
    pub(super) runtime: Handle,
    /// The name of this caller in subjects: random, and never used again.
    pub(super) caller: String,
    next_number: AtomicU64,
    open: Mutex<HashMap<u64, Arc<OpenTask>>>,
    /// The tasks that were cancelled lately, and when.
    cancelled: Mutex<Vec<(u64, Instant)>>,
    /// The tenants that this caller has made queues for.
    tenants: Mutex<HashMap<String, Arc<OnceCell<()>>>>,
    /// A task has ended: a full queue may have room.
    ended: Notify,
    /// The tenant that has new tasks, until the nodes are told.
    new_tasks: Mutex<Vec<String>>,
    told: Notify,
}

impl OpenTasks {
    pub(super) fn new(broker: Broker, runtime: Handle, caller: String) -> Self {
        Self {
            broker,
            runtime,
            caller,
            next_number: AtomicU64::new(0),
            open: Mutex::default(),
            cancelled: Mutex::default(),
            tenants: Mutex::default(),
            ended: Notify::new(),
            new_tasks: Mutex::default(),
            told: Notify::new(),
        }
    }

    /// A new task, which can be settled from now on.
    pub(super) fn open(&self, tenant: Option<&str>, is_at_most_once: bool) -> Arc<OpenTask> {
        let number = self.next_number.fetch_add(1, Ordering::Relaxed);
        let id = TaskId {
            caller: self.caller.clone(),
            number,
        };
        let task = Arc::new(OpenTask::new(
            id,
            names::tenant_token(tenant),
            is_at_most_once,
        ));
        lock(&self.open).insert(number, Arc::clone(&task));
        task
    }

    pub(super) fn find(&self, number: u64) -> Option<Arc<OpenTask>> {
        lock(&self.open).get(&number).map(Arc::clone)
    }

    pub(super) fn all(&self) -> Vec<Arc<OpenTask>> {
        lock(&self.open).values().map(Arc::clone).collect()
    }

    /// All of them, by the tokens of their tenants.
    pub(super) fn by_tenant(&self) -> HashMap<String, Vec<Arc<OpenTask>>> {
        let mut by_tenant: HashMap<String, Vec<_>> = HashMap::new();
        for task in self.all() {
            by_tenant.entry(task.tenant.clone()).or_default().push(task);
        }
        by_tenant
    }

    /// Settles a task with an outcome, if it has none yet.
    pub(super) fn settle(&self, task: &OpenTask, settled: Settled) -> bool {
        let is_first = task.settle(settled);
        self.forget(task);
        is_first
    }

    pub(super) fn forget(&self, task: &OpenTask) {
        lock(&self.open).remove(&task.id.number);
        self.ended.notify_waiters();
    }

    /// Stores the arguments where that is necessary, and the task in the queue.
    pub(super) async fn publish(
        &self,
        task: &OpenTask,
        message: TaskMessage,
        patience: Patience,
    ) -> Result<(), SubmitErrorKind> {
        let published = self.try_publish(task, message, patience).await;
        if let Err(kind) = &published {
            self.give_up(task, kind).await;
        }
        published
    }

    /// Leaves nothing of a task that cannot be stored.
    pub(super) async fn give_up(&self, task: &OpenTask, kind: &SubmitErrorKind) {
        self.forget(task);
        match kind {
            SubmitErrorKind::Unconfirmed(_) => self.withdraw(task).await,
            _ => self.delete_arguments(task).await,
        }
    }

    async fn try_publish(
        &self,
        task: &OpenTask,
        mut message: TaskMessage,
        patience: Patience,
    ) -> Result<(), SubmitErrorKind> {
        if let Body::Here(arguments) = message.arguments {
            let name = task.id.arguments();
            task.store_arguments();
            let packed = self.broker.payloads.pack(name, arguments.into_vec()).await;
            message.arguments = packed.map_err(SubmitErrorKind::Unconfirmed)?;
        }
        if matches!(message.arguments, Body::Here(_)) {
            task.take_arguments();
        }
        task.keep(wire::encode(&message).into());
        self.store(task, patience).await
    }

    /// Stores a task in the queue.
    pub(super) async fn store(
        &self,
        task: &OpenTask,
        patience: Patience,
    ) -> Result<(), SubmitErrorKind> {
        let deadline = || {
            let server = Instant::now() + SERVER_PATIENCE;
            match patience {
                Patience::Until(deadline) => deadline.min(server),
                Patience::Forever | Patience::Never => server,
            }
        };
        let queue = self.make_queue(&task.tenant, deadline()).await;
        queue.map_err(SubmitErrorKind::Unconfirmed)?;
        let (subject, key) = (task.id.subject(&task.tenant), task.id.key());
        loop {
            let ended = self.ended.notified();
            let published = self
                .broker
                .publish(&subject, &key, task.message(), Some(deadline()));
            match published.await {
                Ok(stored) => {
                    task.queued(stored.sequence);
                    break;
                }
                Err(Refusal::Unconfirmed(problem)) => {
                    return Err(SubmitErrorKind::Unconfirmed(problem));
                }
                Err(Refusal::Full) => match patience {
                    Patience::Never => return Err(SubmitErrorKind::Full),
                    Patience::Until(deadline) if Instant::now() >= deadline => {
                        return Err(SubmitErrorKind::Full);
                    }
                    // A task that was cancelled meanwhile is not wanted any more.
                    _ if task.settled().is_some() => return Ok(()),
                    _ => {
                        let _ = timeout(FULL_AGAIN, ended).await;
                    }
                },
            }
        }
        // It was cancelled before it was in the queue.
        if task.settled().is_some() {
            self.withdraw(task).await;
            return Ok(());
        }
        self.add_new(&task.tenant);
        self.told.notify_one();
        Ok(())
    }

    /// The nodes are to be told of new tasks of this tenant.
    fn add_new(&self, tenant: &str) {
        let mut new_tasks = lock(&self.new_tasks);
        if !new_tasks.iter().any(|known| known == tenant) {
            new_tasks.push(tenant.to_owned());
        }
    }

    /// The queues of the tenants are made again before tasks are stored there.
    pub(super) fn forget_queues(&self) {
        lock(&self.tenants).clear();
    }

    /// Makes the queue of a tenant, once.
    async fn make_queue(&self, tenant: &str, deadline: Instant) -> Result<(), String> {
        let queue = Arc::clone(lock(&self.tenants).entry(tenant.to_owned()).or_default());
        let made = queue.get_or_try_init(|| async {
            loop {
                match self.broker.queue_of(tenant).await {
                    Ok(_) => return Ok(()),
                    Err(problem) if Instant::now() >= deadline => return Err(problem),
                    // The server may be restarting.
                    Err(_) => sleep(AGAIN).await,
                }
            }
        });
        made.await.copied()
    }

    /// Cancels a task, if it has not settled. Returns whether it is cancelled now.
    pub(super) fn cancel(self: &Arc<Self>, task: &Arc<OpenTask>) -> bool {
        let error = RunError::of_pool(TaskErrorKind::Cancelled, "cancelled");
        if !task.fail(error) {
            let settled = task.settled().expect("otherwise it could have failed");
            return matches!(&settled.result, Err(error) if error.is_cancelled());
        }
        self.note_cancelled(task);
        let (tasks, task) = (Arc::clone(self), Arc::clone(task));
        self.runtime.spawn(async move {
            tasks.renew_lease().await;
            tasks.withdraw(&task).await;
        });
        true
    }

    /// The nodes are to be told that the task, which has settled, was cancelled.
    pub(super) fn note_cancelled(&self, task: &OpenTask) {
        self.forget(task);
        lock(&self.cancelled).push((task.id.number, Instant::now()));
    }

    /// Takes a task out of the queue, and deletes what is stored for it.
    pub(super) async fn withdraw(&self, task: &OpenTask) {
        let subject = task.id.subject(&task.tenant);
        self.broker.withdraw(&subject, task.sequence()).await;
        self.delete_arguments(task).await;
    }

    pub(super) async fn delete_arguments(&self, task: &OpenTask) {
        if task.take_arguments() {
            self.broker.payloads.delete(&task.id.arguments()).await;
        }
    }

    /// Tells the nodes that this caller is there, and what it has cancelled.
    pub(super) async fn renew_lease(&self) {
        let lease = {
            let mut cancelled = lock(&self.cancelled);
            cancelled.retain(|(_, since)| since.elapsed() < CANCEL_REPEATED);
            Lease {
                cancelled: cancelled.iter().map(|(number, _)| *number).collect(),
            }
        };
        let subject = names::lease(&self.caller);
        self.broker.tell(subject, wire::encode(&lease)).await;
    }

    /// Tells idle nodes of new tasks, until it is dropped. Many tasks are one message.
    pub(super) async fn tell_of_tasks(&self) {
        loop {
            self.told.notified().await;
            let tenants = std::mem::take(&mut *lock(&self.new_tasks));
            for tenant in tenants {
                let subject = names::WAKE.to_owned();
                self.broker.tell(subject, tenant.into_bytes()).await;
            }
        }
    }
}
