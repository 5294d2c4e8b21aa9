//! `--cluster`: a run whose tasks are executed by the nodes of a cluster.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender};
use wasmpool::{TaskOptions, Value};
use wasmpool_cluster::{Cluster, ClusterTask};

use super::output::{Failure, Outcome};
use super::place::Place;
use super::reporter::{Reporter, Submission};
use super::retry;
use crate::args::RunArgs;
use crate::cluster::server;
use crate::ending::{Problem, Result};
use crate::module;
use crate::pool::with_limits;

/// How many inputs are in flight. Nodes may come later, so it does not depend on those that are
/// there; enough for some nodes with many workers each.
const UNDER_WAY: usize = 1024;

/// The nodes of a cluster.
pub(super) struct OnCluster {
    task: ClusterTask<Vec<serde_json::Value>, Value>,
    /// How many tasks ran at once on the nodes that were there at the beginning.
    workers: usize,
    /// `None` when the tasks are stopped.
    open: Mutex<Option<Open>>,
    /// Held while the cancelled tasks are taken out of the queue, which the program must not end before.
    finishing: Mutex<()>,
    /// Is closed when no more inputs are taken and the last task has ended.
    ended: Receiver<Infallible>,
}

struct Open {
    cluster: Arc<Cluster>,
    /// Each task that has not ended has a clone. `None` when no more inputs are taken.
    running: Option<Sender<Infallible>>,
}

impl OnCluster {
    /// Connects, and gives the module to the cluster.
    pub(super) fn connect(url: &str, task: &str, args: &RunArgs) -> Result<Self> {
        let wasm = module::read(&args.module)?;
        let server = server::at(url, &args.cluster.login);
        let cluster = Cluster::connect(&server).map_err(server::problem)?;
        let nodes = cluster.status().map_err(server::problem)?.nodes;
        if nodes.is_empty() && !args.quiet {
            // Standard error may be closed.
            let _ = writeln!(
                io::stderr(),
                "warning: the cluster has no nodes yet; tasks wait until one joins (`wasmpool node`)"
            );
        }
        let loaded = cluster.load_bytes(wasm.into_owned());
        let loaded = loaded.with_context(|| format!("cannot use the module `{}`", args.module));
        let task = loaded.map_err(Problem::Unusable)?.task(task);
        let task = match args.cluster.rights_of_node {
            true => task.with_rights_of_node(),
            false => task,
        };
        let task = match args.cluster.at_most_once {
            true => task.at_most_once(),
            false => task,
        };
        let (running, ended) = crossbeam_channel::bounded(0);
        Ok(Self {
            task: task.with(&options(args)),
            workers: nodes.iter().map(|node| node.workers).sum(),
            open: Mutex::new(Some(Open {
                cluster: Arc::new(cluster),
                running: Some(running),
            })),
            finishing: Mutex::default(),
            ended,
        })
    }
}

/// No code panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Place for OnCluster {
    fn workers(&self) -> usize {
        self.workers
    }

    fn n_under_way(&self) -> usize {
        UNDER_WAY
    }

    fn submit(&self, inputs: Vec<Submission>, reporter: &Reporter) -> bool {
        let open = lock(&self.open);
        let Some(Open {
            cluster,
            running: Some(running),
        }) = &*open
        else {
            return false;
        };
        let mut n_submitted = lock(&reporter.submitted);
        let (names, arguments): (Vec<_>, Vec<_>) = inputs
            .into_iter()
            .map(|(input, text, arguments)| ((input, text), arguments))
            .unzip();
        let futures = cluster.submit_all(&self.task, arguments);
        for ((input, text), future) in names.into_iter().zip(futures) {
            *n_submitted += 1;
            let (reporter, running) = (reporter.clone(), running.clone());
            future.on_done(move |future| {
                let outcome = match reporter.is_program {
                    true => Outcome::Program(future.wait_as().map_err(Failure::from)),
                    false => Outcome::Task(future.wait().map_err(Failure::from)),
                };
                let report = future.report().expect("a task that has ended has a report");
                reporter.report(input, &text, &outcome, report, future.node());
                drop(running);
            });
        }
        true
    }

    fn finish(&self) {
        let _finishing = lock(&self.finishing);
        let cluster = match &mut *lock(&self.open) {
            Some(open) => {
                open.running = None;
                Arc::clone(&open.cluster)
            }
            None => return,
        };
        // If the server does not answer, queued tasks run as well.
        let _ = cluster.cancel_queued();
        let _ = self.ended.recv();
    }

    fn stop(&self) {
        let open = lock(&self.open).take();
        if let Some(Open { cluster, .. }) = open {
            cluster.cancel_all();
        }
        drop(lock(&self.finishing));
    }
}

/// What the command line says of each task.
fn options(args: &RunArgs) -> TaskOptions {
    let mut options = with_limits!(TaskOptions::new(), &args.limits);
    if let Some(timeout) = args.queue_timeout {
        options = options.queue_timeout(timeout);
    }
    if let Some(retry) = retry(args) {
        options = options.retry(retry);
    }
    if let Some(tenant) = &args.cluster.tenant {
        options = options.tenant(tenant.as_str());
    }
    options
}
