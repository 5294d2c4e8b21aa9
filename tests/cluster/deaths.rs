//! Nodes are killed, the server is restarted, and nothing is lost or settled twice.

use wasmpool::Pool;
use wasmpool_cluster::{Cluster, RunError};
use wasmpool_guests::{FACTORIZER, MISBEHAVING};

use super::processes::{NatsServer, NodeProcess};
use super::{connect, until};

/// Numbers whose factors take some milliseconds, and those of a pool.
fn numbers() -> (Vec<u64>, Vec<Vec<u64>>) {
    let numbers = (100_000_000_000_000..100_000_000_001_500).collect::<Vec<_>>();
    let pool = Pool::builder().workers(2).build().unwrap();
    let module = pool.load(FACTORIZER.path()).unwrap();
    let task = module.task::<(u64,), Vec<u64>>("factorize").unwrap();
    let factors = pool.map(&task, numbers.iter().copied());
    let factors = factors.collect::<Result<Vec<_>, _>>().unwrap();
    (numbers, factors)
}

/// Runs all numbers, calls `strike` after each hundred, and compares with a pool.
fn check(server: &mut NatsServer, mut strike: impl FnMut(&mut NatsServer, usize)) -> Cluster {
    let (numbers, expected) = numbers();
    let cluster = connect(server);
    let module = cluster.load(FACTORIZER.path()).unwrap();
    let task = module.task::<(u64,), Vec<u64>>("factorize");
    let mut outcomes = Vec::new();
    for outcome in cluster.map(&task, numbers) {
        outcomes.push(outcome.unwrap());
        if outcomes.len() % 100 == 0 {
            strike(server, outcomes.len() / 100);
        }
    }
    assert_eq!(outcomes, expected);
    cluster
}

/// A task that ran twice has left no second outcome, and no task is left.
fn assert_nothing_is_left(cluster: &Cluster) {
    until("no task is left", || cluster.status().unwrap().tasks == 0);
    until("no outcome is left", || {
        cluster.status().unwrap().outcomes == 0
    });
}

#[test]
fn killed_nodes_lose_no_task() {
    let mut server = NatsServer::start();
    let node = |server: &NatsServer, n| {
        NodeProcess::start(server, &format!("node-{n}"), &["--workers", "2"])
    };
    let mut nodes = vec![node(&server, 0), node(&server, 1), node(&server, 2)];
    let cluster = check(&mut server, |server, n| {
        if n % 4 == 1 {
            nodes.remove(0).kill();
            nodes.push(node(server, n + 2));
        }
    });
    assert_nothing_is_left(&cluster);
}

#[test]
fn a_restarted_server_loses_no_task() {
    let mut server = NatsServer::start();
    let _nodes = ["a", "b"].map(|name| NodeProcess::start(&server, name, &["--workers", "2"]));
    let cluster = check(&mut server, |server, n| {
        if n % 5 == 1 {
            server.restart();
        }
    });
    assert_nothing_is_left(&cluster);
}

#[test]
fn a_killed_server_loses_no_task() {
    let mut server = NatsServer::start();
    let _nodes = ["a", "b"].map(|name| NodeProcess::start(&server, name, &["--workers", "2"]));
    check(&mut server, |server, n| {
        if n % 5 == 1 {
            server.kill_and_restart();
        }
    });
}

#[test]
fn tasks_that_a_killed_server_has_lost_are_stored_again() {
    let mut server = NatsServer::start();
    let cluster = connect(&server);
    let module = cluster.load(FACTORIZER.path()).unwrap();
    let task = module.task::<(u64,), Vec<u64>>("factorize");
    let futures = [6, 10, 14].map(|n| cluster.submit(&task, (n,)).unwrap());
    let once = cluster.submit(&task.at_most_once(), (22,)).unwrap();
    for sequence in [1, 3, 4] {
        server.lose_message("WASMPOOL_TASKS", sequence);
    }
    server.kill_and_restart();
    let _node = NodeProcess::start(&server, "a", &["--workers", "1"]);
    let factors = futures.map(|future| future.wait().unwrap());
    assert_eq!(factors, [[2, 3], [2, 5], [2, 7]]);
    // Nobody knows whether it has run.
    let error = once.wait().unwrap_err();
    assert!(matches!(error, RunError::ServerLost), "{error:?}");
}

/// Kills the nodes that run the only task, one after the other.
fn kill_nodes_that_run_it(server: &NatsServer, cluster: &Cluster, how_many: usize) {
    for n in 0..how_many {
        let node = NodeProcess::start(server, &format!("victim-{n}"), &["--workers", "1"]);
        until("the new node runs the task", || {
            let status = cluster.status().unwrap();
            let victim = status
                .nodes
                .iter()
                .find(|found| found.name == format!("victim-{n}"));
            victim.is_some_and(|victim| victim.running == 1)
        });
        node.kill();
    }
}

#[test]
fn a_task_that_brings_down_three_nodes_fails_with_a_kind_of_its_own() {
    let server = NatsServer::start();
    let cluster = connect(&server);
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let spin = module.task::<(u64,), u64>("spin");
    let future = cluster.submit(&spin, (1,)).unwrap();
    kill_nodes_that_run_it(&server, &cluster, 3);
    let _node = NodeProcess::start(&server, "survivor", &["--workers", "1"]);
    let error = future.wait().unwrap_err();
    assert!(
        matches!(error, RunError::NodesLost { deliveries: 3, .. }),
        "{error:?}"
    );
    // It is not tried again, and the node serves others.
    let echo = module.task::<(&str,), String>("echo");
    assert_eq!(
        cluster.submit(&echo, ("next",)).unwrap().wait().unwrap(),
        "next"
    );
    until("no task is queued", || {
        server.n_messages("WASMPOOL_TASKS") == 0
    });
}

#[test]
fn a_task_that_is_to_run_at_most_once_is_not_started_again() {
    let server = NatsServer::start();
    let cluster = connect(&server);
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let spin = module.task::<(u64,), u64>("spin").at_most_once();
    let future = cluster.submit(&spin, (1,)).unwrap();
    kill_nodes_that_run_it(&server, &cluster, 1);
    let _node = NodeProcess::start(&server, "survivor", &["--workers", "1"]);
    let error = future.wait().unwrap_err();
    assert!(matches!(error, RunError::NodeLost), "{error:?}");
}
