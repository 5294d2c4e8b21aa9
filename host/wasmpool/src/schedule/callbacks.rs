//! The thread for the callbacks of tasks that the watchdog settles: those whose time in the queue
//! is over, and those that were stopped and whose call has not ended.
//!
//! The watchdog does not run them itself: a callback that blocked it would delay every timeout of
//! the pool.

use super::work_item::JobRef;
use super::worker::Registry;
use crate::sync::channel::{self, Receiver, Sender};
use crate::sync::{Arc, thread};

/// Calls callbacks on a thread that is started for the first of them. The drop blocks until all
/// have been called.
pub(crate) struct CallbackThread<'a> {
    registry: &'a Arc<Registry>,
    /// `None` only in the drop: the thread ends when its sender is gone.
    sender: Option<Sender<JobRef>>,
    tasks: Receiver<JobRef>,
    thread: Option<thread::JoinHandle<()>>,
}

impl<'a> CallbackThread<'a> {
    pub(crate) fn new(registry: &'a Arc<Registry>) -> Self {
        let (sender, tasks) = channel::unbounded();
        Self {
            registry,
            sender: Some(sender),
            tasks,
            thread: None,
        }
    }

    /// Has the callbacks of `task` called, after those of earlier tasks. Does not block.
    pub(crate) fn call_back(&mut self, task: JobRef) {
        if self.thread.is_none() {
            // Where the system has no thread to give, the next task tries again.
            self.thread = self.start().ok();
        }
        let sender = self.sender.as_ref().expect("there until the drop");
        let sent = sender.send(task);
        sent.expect("`tasks` is a receiver");
    }

    fn start(&self) -> std::io::Result<thread::JoinHandle<()>> {
        let (registry, tasks) = (Arc::clone(self.registry), self.tasks.clone());
        thread::Builder::new()
            .name("wasmpool-callbacks".to_owned())
            .spawn(move || {
                // So that `submit` and `shutdown` do not block in a callback.
                registry.adopt_thread();
                call_back_all(&tasks);
            })
    }
}

fn call_back_all(tasks: &Receiver<JobRef>) {
    for task in tasks {
        task.call_back();
    }
}

impl Drop for CallbackThread<'_> {
    fn drop(&mut self) {
        drop(self.sender.take());
        match self.thread.take() {
            Some(thread) => thread.join().expect("callbacks' panics are contained"),
            // No thread was started. The watchdog has ended, so no timeout is delayed here.
            None => call_back_all(&self.tasks),
        }
    }
}
