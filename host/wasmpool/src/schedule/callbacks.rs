//! The thread for the callbacks of tasks that the watchdog settles: those whose time in the queue
//! is over, those that were stopped and whose call has not ended, and calls whose session has ended.
//!
//! The watchdog does not run them itself: a callback that blocked it would delay every timeout of
//! the pool. For the same reason instances of idle sessions are dropped here: a large one may take
//! milliseconds.

use super::session::Kept;
use super::work_item::JobRef;
use super::worker::Registry;
use crate::sync::channel::{self, Receiver, Sender};
use crate::sync::{Arc, thread};

/// Calls callbacks on a thread that is started for the first of them. The drop blocks until all
/// have been called.
pub(crate) struct CallbackThread<'a> {
    registry: &'a Arc<Registry>,
    /// `None` only in the drop: the thread ends when its sender is gone.
    sender: Option<Sender<Chore>>,
    chores: Receiver<Chore>,
    thread: Option<thread::JoinHandle<()>>,
}

/// What the watchdog leaves to the thread.
enum Chore {
    CallBack(JobRef),
    Drop(Kept),
}

impl<'a> CallbackThread<'a> {
    pub(crate) fn new(registry: &'a Arc<Registry>) -> Self {
        let (sender, chores) = channel::unbounded();
        Self {
            registry,
            sender: Some(sender),
            chores,
            thread: None,
        }
    }

    /// Has the callbacks of `task` called, after those of earlier tasks. Does not block.
    pub(crate) fn call_back(&mut self, task: JobRef) {
        self.send(Chore::CallBack(task));
    }

    /// Has the instance of a session dropped. Does not block.
    pub(crate) fn drop_kept(&mut self, kept: Kept) {
        self.send(Chore::Drop(kept));
    }

    fn send(&mut self, chore: Chore) {
        if self.thread.is_none() {
            // Where the system has no thread to give, the next chore tries again.
            self.thread = self.start().ok();
        }
        let sender = self.sender.as_ref().expect("there until the drop");
        let sent = sender.send(chore);
        assert!(sent.is_ok(), "`chores` is a receiver");
    }

    fn start(&self) -> std::io::Result<thread::JoinHandle<()>> {
        let (registry, chores) = (Arc::clone(self.registry), self.chores.clone());
        thread::Builder::new()
            .name("wasmpool-callbacks".to_owned())
            .spawn(move || {
                // So that `submit` and `shutdown` do not block in a callback.
                registry.adopt_thread();
                do_all(&chores);
            })
    }
}

fn do_all(chores: &Receiver<Chore>) {
    for chore in chores {
        match chore {
            Chore::CallBack(task) => task.call_back(),
            Chore::Drop(kept) => drop(kept),
        }
    }
}

impl Drop for CallbackThread<'_> {
    fn drop(&mut self) {
        drop(self.sender.take());
        match self.thread.take() {
            Some(thread) => thread.join().expect("callbacks' panics are contained"),
            // No thread was started. The watchdog has ended, so no timeout is delayed here.
            None => do_all(&self.chores),
        }
    }
}
