//! The thread for the callbacks of tasks whose time in the queue is over.
//!
//! The watch settles such a task, and must wait for nobody's code: a callback that blocked it
//! would hold up every timeout of the pool.

use super::job::Queued;
use super::worker::Shop;
use crate::sync::channel::{self, Receiver, Sender};
use crate::sync::{Arc, thread};

/// Calls callbacks on a thread that is started for the first of them. On drop it blocks until
/// all have been called.
pub(crate) struct CallbackThread<'a> {
    shop: &'a Arc<Shop>,
    /// `None` only in the drop: it ends the thread.
    sender: Option<Sender<Queued>>,
    tasks: Receiver<Queued>,
    thread: Option<thread::JoinHandle<()>>,
}

impl<'a> CallbackThread<'a> {
    pub(crate) fn new(shop: &'a Arc<Shop>) -> Self {
        let (sender, tasks) = channel::unbounded();
        Self {
            shop,
            sender: Some(sender),
            tasks,
            thread: None,
        }
    }

    /// Has the callbacks of `task` called, after those that came before. Does not block.
    pub(crate) fn call_back(&mut self, task: Queued) {
        if self.thread.is_none() {
            // Where the system has no thread to give, the next task tries again.
            self.thread = self.start().ok();
        }
        let sender = self.sender.as_ref().expect("it is there until the drop");
        let sent = sender.send(task);
        sent.expect("one end for receiving is here");
    }

    fn start(&self) -> std::io::Result<thread::JoinHandle<()>> {
        let (shop, tasks) = (Arc::clone(self.shop), self.tasks.clone());
        thread::Builder::new()
            .name("wasmpool-callbacks".to_owned())
            .spawn(move || {
                // So that submit and shutdown do not block in them.
                shop.adopt_thread();
                call_back_all(&tasks);
            })
    }
}

fn call_back_all(tasks: &Receiver<Queued>) {
    for task in tasks {
        task.call_back();
    }
}

impl Drop for CallbackThread<'_> {
    fn drop(&mut self) {
        drop(self.sender.take());
        match self.thread.take() {
            Some(thread) => thread.join().expect("callbacks' panics are contained"),
            // There never was one, and the watch is over: nothing is held up any more.
            None => call_back_all(&self.tasks),
        }
    }
}
