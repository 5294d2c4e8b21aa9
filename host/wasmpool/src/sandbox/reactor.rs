//! The thread that wakes guests which wait in the host for a time or a socket.
//!
//! Guests run on worker threads, which drive no runtime. Timers and sockets belong to the runtime
//! that was entered when they were made. One thread of the pool drives that runtime. It starts when
//! a guest waits for the first time, so a pool whose guests only compute has none. It sleeps until
//! a timer or a socket is ready.
//!
//! The runtime also has the threads for files on slow disks, as many as are in use. They end after
//! ten seconds without work.

use std::panic::catch_unwind;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, EnterGuard, Handle, Runtime};
use tokio::sync::oneshot;

use super::address_space::check_descriptors;
use crate::sync::{Mutex, lock};

/// How many file operations on slow disks are under way at once. An NFS client has as many requests
/// under way with one server by default (`NFS4_DEF_SLOT_TABLE_SIZE` in Linux), so more threads would
/// only wait in the system instead of here.
const MAX_FILE_OPERATIONS: usize = 64;

/// How many descriptors the runtime takes: for `epoll`, for its wake-ups and for signals.
const DESCRIPTORS: usize = 5;

pub(crate) struct Reactor {
    handle: Handle,
    state: Mutex<State>,
}

/// While this guard exists, timers and sockets that are made on its thread belong to the reactor.
pub(crate) type EnteredReactor<'a> = EnterGuard<'a>;

enum State {
    /// No guest has waited yet.
    Idle(Runtime),
    Driven {
        /// Dropped to end the thread.
        stop: oneshot::Sender<()>,
        thread: JoinHandle<()>,
    },
    Stopped,
}

impl Reactor {
    pub(crate) fn new() -> std::io::Result<Self> {
        // Where they do not suffice for signals, the runtime panics and writes that to standard
        // error.
        check_descriptors(DESCRIPTORS)?;
        let build = || {
            Builder::new_current_thread()
                .enable_all()
                .max_blocking_threads(MAX_FILE_OPERATIONS)
                .thread_name("wasmpool-files")
                .build()
        };
        let panicked = |_| Err(std::io::Error::other("the runtime cannot be set up"));
        let runtime = catch_unwind(build).unwrap_or_else(panicked)?;
        Ok(Self {
            handle: runtime.handle().clone(),
            state: Mutex::new(State::Idle(runtime)),
        })
    }

    pub(crate) fn enter(&self) -> EnteredReactor<'_> {
        self.handle.enter()
    }

    /// Starts the thread, unless it was started before. To be called when a guest waits. Where the
    /// system has no thread to give, the next call tries again.
    pub(crate) fn start(&self) -> std::io::Result<()> {
        let mut state = lock(&self.state);
        if !matches!(*state, State::Idle(_)) {
            return Ok(());
        }
        let (stop, is_stopped) = oneshot::channel();
        let (lend, lent) = mpsc::channel::<Runtime>();
        let thread = thread::Builder::new()
            .name("wasmpool-reactor".to_owned())
            .spawn(move || {
                let runtime = lent.recv().expect("sent once the thread has started");
                // The sender is dropped to stop the thread, which is an error here.
                let _ = runtime.block_on(is_stopped);
                // Does not wait for the file operations of stopped guests, which may take long.
                runtime.shutdown_background();
            })?;
        if let State::Idle(runtime) = std::mem::replace(&mut *state, State::Driven { stop, thread })
        {
            let sent = lend.send(runtime);
            assert!(sent.is_ok(), "the thread waits for it");
        }
        Ok(())
    }

    /// Ends the thread, and blocks until it has ended. No guest may wait any more.
    pub(crate) fn stop(&self) {
        if let Some(thread) = self.end() {
            thread
                .join()
                .expect("the runtime catches panics of what it runs");
        }
    }

    /// Tells the thread to end, and returns it, if there is one.
    fn end(&self) -> Option<JoinHandle<()>> {
        match std::mem::replace(&mut *lock(&self.state), State::Stopped) {
            State::Idle(runtime) => {
                runtime.shutdown_background();
                None
            }
            State::Driven { stop, thread } => {
                drop(stop);
                Some(thread)
            }
            State::Stopped => None,
        }
    }
}

impl Drop for Reactor {
    fn drop(&mut self) {
        // The last handle of the pool may be dropped on a thread that was given up, which must not
        // block here.
        drop(self.end());
    }
}
