//! What the parts of a node share.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::message::Acker;
use tokio::sync::Notify;
use wasmpool::Pool;

use super::answers::Answering;
use super::callers::Callers;
use super::modules::Modules;
use super::room::Room;
use super::running::Running;
use super::settings::NodeSettings;
use crate::broker::Broker;
use crate::names::TaskId;
use crate::status::NodeStatus;

pub(super) struct Member {
    pub(super) broker: Broker,
    pub(super) pool: Pool,
    pub(super) settings: NodeSettings,
    /// Its name in the store of nodes, which no other node has.
    pub(super) id: String,
    pub(super) name: String,
    pub(super) callers: Callers,
    pub(super) answering: Arc<Answering>,
    pub(super) modules: Modules,
    pub(super) room: Arc<Room>,
    /// There may be new tasks.
    pub(super) wake: Notify,
    /// The queues of the tenants, by their tokens.
    queues: Mutex<BTreeMap<String, PullConsumer>>,
    running: Mutex<HashMap<TaskId, Arc<Running>>>,
    /// A task has ended.
    ended: Notify,
    deadline: Mutex<Duration>,
    n_succeeded: AtomicU64,
    n_failed: AtomicU64,
    n_given_back: AtomicUsize,
}

impl Member {
    pub(super) fn new(
        broker: Broker,
        pool: Pool,
        settings: NodeSettings,
        id: String,
        name: String,
    ) -> Self {
        Self {
            room: Arc::new(Room::new(pool.workers())),
            answering: Arc::new(Answering::new(broker.client.clone())),
            broker,
            pool,
            settings,
            id,
            name,
            callers: Callers::default(),
            modules: Modules::default(),
            wake: Notify::new(),
            queues: Mutex::default(),
            running: Mutex::default(),
            ended: Notify::new(),
            deadline: Mutex::default(),
            n_succeeded: AtomicU64::new(0),
            n_failed: AtomicU64::new(0),
            n_given_back: AtomicUsize::new(0),
        }
    }

    /// Takes a task that was delivered. `None` if it runs here already: then this delivery counts as
    /// the running one's.
    pub(super) fn take(&self, id: TaskId, acker: Acker) -> Option<Arc<Running>> {
        let mut running = lock(&self.running);
        if let Some(same) = running.get(&id) {
            same.adopt(acker);
            return None;
        }
        let task = Arc::new(Running::new(id.clone(), acker));
        running.insert(id, Arc::clone(&task));
        Some(task)
    }

    /// A task that was taken has ended.
    pub(super) fn end(&self, task: &Running) {
        lock(&self.running).remove(&task.id);
        self.ended.notify_waiters();
    }

    pub(super) fn all_running(&self) -> Vec<Arc<Running>> {
        lock(&self.running).values().map(Arc::clone).collect()
    }

    /// Ends when no task runs.
    pub(super) async fn is_idle(&self) {
        loop {
            let ended = self.ended.notified();
            tokio::pin!(ended);
            // From now on it hears of ends.
            ended.as_mut().enable();
            if lock(&self.running).is_empty() {
                return;
            }
            ended.await;
        }
    }

    /// The queues of all known tenants, in a fixed order.
    pub(super) fn queues(&self) -> Vec<PullConsumer> {
        lock(&self.queues).values().cloned().collect()
    }

    pub(super) fn tenants(&self) -> Vec<String> {
        lock(&self.queues).keys().cloned().collect()
    }

    pub(super) fn knows_tenant(&self, token: &str) -> bool {
        lock(&self.queues).contains_key(token)
    }

    pub(super) fn add_tenant(&self, token: String, queue: PullConsumer) {
        lock(&self.queues).insert(token, queue);
    }

    pub(super) fn set_deadline(&self, deadline: Duration) {
        *lock(&self.deadline) = deadline;
    }

    pub(super) fn deadline(&self) -> Duration {
        *lock(&self.deadline)
    }

    pub(super) fn count_outcome(&self, is_success: bool) {
        let counter = match is_success {
            true => &self.n_succeeded,
            false => &self.n_failed,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_given_back(&self) {
        self.n_given_back.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn n_given_back(&self) -> usize {
        self.n_given_back.load(Ordering::Relaxed)
    }

    pub(super) fn status(&self) -> NodeStatus {
        NodeStatus {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            workers: self.pool.workers(),
            running: self.room.n_busy(),
            succeeded: self.n_succeeded.load(Ordering::Relaxed),
            failed: self.n_failed.load(Ordering::Relaxed),
        }
    }
}

/// No code panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
