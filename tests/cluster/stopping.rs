//! Tasks that are cancelled, callers that go away, and nodes that leave.

use std::process::{Command, Stdio};

use wasmpool::TaskErrorKind;
use wasmpool_cluster::{Cluster, ClusterFuture, Server};
use wasmpool_guests::MISBEHAVING;

use super::processes::{NatsServer, NodeProcess};
use super::{connect, kind, n_running, until};

/// The variable that makes a caller of a process of this test.
const CALLER: &str = "WASMPOOL_TEST_CALLER";

#[test]
fn cancel_reaches_queued_and_running_tasks() {
    let server = NatsServer::start();
    let _node = NodeProcess::start(&server, "a", &["--workers", "1"]);
    let cluster = connect(&server);
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let spin = module.task::<(u64,), u64>("spin");
    let running = cluster.submit(&spin, (1,)).unwrap();
    until("the task runs", || n_running(&cluster) == 1);
    let queued = cluster.submit(&spin, (2,)).unwrap();

    assert!(queued.cancel());
    assert!(running.cancel());
    assert_eq!(kind(running.wait()), TaskErrorKind::Cancelled);
    assert_eq!(kind(queued.wait()), TaskErrorKind::Cancelled);
    // The only worker is free again.
    let echo = module.task::<(&str,), String>("echo");
    let next = cluster.submit(&echo, ("next",)).unwrap();
    assert_eq!(next.wait().unwrap(), "next");
    assert!(!next.cancel(), "it has ended with a result");
    until("nothing is left", || {
        server.n_messages("WASMPOOL_TASKS") == 0
    });
}

#[test]
fn a_caller_that_goes_away_takes_its_tasks_along() {
    let server = NatsServer::start();
    let _node = NodeProcess::start(&server, "a", &["--workers", "1"]);
    let observer = connect(&server);
    let caller = connect(&server);
    let module = caller.load(MISBEHAVING.path()).unwrap();
    let spin = module.task::<(u64,), u64>("spin");
    let futures = [1, 2, 3].map(|n| caller.submit(&spin, (n,)).unwrap());
    until("a task runs", || n_running(&observer) == 1);
    drop(caller);
    for future in futures {
        assert_eq!(kind(future.wait()), TaskErrorKind::Cancelled);
    }
    until("no task runs", || n_running(&observer) == 0);
    until("no task is queued", || {
        server.n_messages("WASMPOOL_TASKS") == 0
    });
}

/// The other process of `a_killed_caller_takes_its_tasks_along`: a caller that waits for ever.
#[test]
fn as_a_caller() {
    let Ok(url) = std::env::var(CALLER) else {
        return;
    };
    let cluster = Cluster::connect(&Server::new(url)).unwrap();
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let spin = module.task::<(u64,), u64>("spin");
    let futures = [1, 2].map(|n| cluster.submit(&spin, (n,)).unwrap());
    for future in futures {
        let _ = future.wait();
    }
}

#[test]
fn a_killed_caller_takes_its_tasks_along() {
    let server = NatsServer::start();
    let _node = NodeProcess::start(&server, "a", &["--workers", "1"]);
    let observer = connect(&server);
    let mut caller = Command::new(std::env::current_exe().unwrap());
    caller.args(["--exact", "stopping::as_a_caller"]);
    let caller = caller.env(CALLER, server.url()).stdout(Stdio::null());
    let mut caller = caller.spawn().unwrap();
    until("a task runs and one is queued", || {
        n_running(&observer) == 1 && server.n_messages("WASMPOOL_TASKS") == 2
    });
    caller.kill().unwrap();
    caller.wait().unwrap();
    until("no task runs", || n_running(&observer) == 0);
    until("no task is queued", || {
        server.n_messages("WASMPOOL_TASKS") == 0
    });
}

#[test]
fn a_node_that_leaves_gives_back_what_does_not_end_in_time() {
    let server = NatsServer::start();
    let cluster = connect(&server);
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let spin = module.task::<(u64,), u64>("spin");
    let future: ClusterFuture<u64> = cluster.submit(&spin, (1,)).unwrap();
    // More often than a task may bring its node down: a node that leaves was not brought down.
    for n in 0..4 {
        let settings = ["--workers", "1", "--leave-timeout", "0s"];
        let node = NodeProcess::start(&server, &format!("node-{n}"), &settings);
        until("the task runs", || n_running(&cluster) == 1);
        node.tell_to_leave();
        assert_eq!(node.left(), "left; 1 tasks were given back");
    }
    let _node = NodeProcess::start(&server, "last", &["--workers", "1"]);
    until("the task runs", || n_running(&cluster) == 1);
    assert!(!future.is_done());
}

#[test]
fn a_node_that_leaves_finishes_what_runs_and_takes_nothing_new() {
    let server = NatsServer::start();
    let cluster = connect(&server);
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let sleep = module.task::<(u64,), u64>("sleep");
    let running = cluster.submit(&sleep, (5_000,)).unwrap();
    let node = NodeProcess::start(&server, "first", &["--workers", "1"]);
    until("the task runs", || n_running(&cluster) == 1);
    let queued = cluster.submit(&sleep, (1,)).unwrap();
    node.tell_to_leave();
    assert_eq!(node.left(), "left; 0 tasks were given back");
    assert_eq!(running.wait().unwrap(), 5_000);
    assert_eq!(running.node(), Some("first"));
    assert!(!queued.is_done());
    let _node = NodeProcess::start(&server, "second", &["--workers", "1"]);
    assert_eq!(queued.wait().unwrap(), 1);
    assert_eq!(queued.node(), Some("second"));
}
