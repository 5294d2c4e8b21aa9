//! A thread with the connection to a server: all that is asynchronous runs there.
//!
//! Does not know what runs on it.

use std::cell::Cell;
use std::future::Future;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::broker::Broker;
use crate::error::ConnectError;
use crate::server::Server;

/// Values of a thousand levels are passed on by functions that call themselves.
const STACK: usize = 16 << 20;

thread_local! {
    /// Whether this is the thread of a connection.
    static IS_CONNECTION: Cell<bool> = const { Cell::new(false) };
}

/// A thread that runs a future until it is told to stop.
#[derive(Debug)]
pub(crate) struct Connection {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Connects, and starts what `serve` makes of the connection. The future of `serve` ends soon after
/// its receiver was told to stop.
pub(crate) fn open<T, Serving>(
    server: &Server,
    name: &str,
    serve: impl FnOnce(Broker, Handle, oneshot::Receiver<()>) -> (T, Serving) + Send + 'static,
) -> Result<(T, Connection), ConnectError>
where
    T: Send + 'static,
    Serving: Future<Output = ()>,
{
    let (server, name) = (server.clone(), name.to_owned());
    let (stop, stopped) = oneshot::channel();
    let (opened, is_open) = mpsc::channel();
    let cannot_start = |error| ConnectError::Thread(Arc::new(error));
    let run = move || {
        IS_CONNECTION.set(true);
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = opened.send(Err(cannot_start(error)));
                return;
            }
        };
        runtime.block_on(async {
            match Broker::connect(&server, &name).await {
                Ok(broker) => {
                    let (shared, serving) = serve(broker, runtime.handle().clone(), stopped);
                    let _ = opened.send(Ok(shared));
                    serving.await;
                }
                Err(error) => {
                    let _ = opened.send(Err(error));
                }
            }
        });
    };
    let thread = thread::Builder::new()
        .name("wasmpool-cluster".to_owned())
        .stack_size(STACK)
        .spawn(run)
        .map_err(cannot_start)?;
    let shared = is_open.recv().expect("the thread says how it went")?;
    let connection = Connection {
        stop: Some(stop),
        thread: Some(thread),
    };
    Ok((shared, connection))
}

/// Runs a future on the thread of a connection, and blocks until it has ended.
pub(crate) fn block_on<T: Send + 'static>(
    runtime: &Handle,
    future: impl Future<Output = T> + Send + 'static,
) -> T {
    assert_may_block();
    let (sender, ended) = mpsc::channel();
    runtime.spawn(async move {
        let _ = sender.send(future.await);
    });
    ended.recv().expect("the thread lives as long as its owner")
}

/// Panics on the thread of a connection, which would wait for itself.
#[track_caller]
pub(crate) fn assert_may_block() {
    assert!(
        !IS_CONNECTION.get(),
        "a callback of a cluster's future must not wait for a cluster"
    );
}

impl Connection {
    /// Tells the thread to stop, and blocks until it has. Does nothing the second time.
    pub(crate) fn close(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        self.join();
    }

    /// Blocks until the thread has ended by itself.
    pub(crate) fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic there was reported there.
            let _ = thread.join();
        }
    }
}
