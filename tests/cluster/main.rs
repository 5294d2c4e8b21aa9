//! Many machines: a real NATS server, nodes as processes, and callers.

mod back_pressure;
mod callers;
mod deaths;
mod payloads;
mod processes;
mod results;
mod rights;
mod runs;
mod status;
mod stopping;

use std::time::{Duration, Instant};

use wasmpool::TaskErrorKind;
use wasmpool_cluster::{Cluster, RunError, Server};

use self::processes::NatsServer;

/// Longer than anything here takes on a busy machine. Only ever an upper bound.
const LONG: Duration = Duration::from_secs(120);

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(20);

fn connect(server: &NatsServer) -> Cluster {
    Cluster::connect(&Server::new(server.url())).unwrap()
}

/// Asks until it is so.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(started.elapsed() < LONG, "it is still not so: {what}");
        // Those who are asked about have the processor meanwhile.
        std::thread::sleep(PAUSE);
    }
}

/// How many tasks run on all nodes.
fn n_running(cluster: &Cluster) -> usize {
    let nodes = cluster.status().unwrap().nodes;
    nodes.iter().map(|node| node.running).sum()
}

/// The kind of an error of a pool.
#[track_caller]
fn kind<T: std::fmt::Debug>(outcome: Result<T, RunError>) -> TaskErrorKind {
    let error = outcome.unwrap_err();
    let of_pool = error.task_error();
    of_pool.unwrap_or_else(|| panic!("{error:?}")).kind()
}
