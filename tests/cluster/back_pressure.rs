//! A full queue, and tenants that share the nodes.

use std::thread;
use std::time::Duration;

use wasmpool::TaskOptions;
use wasmpool_cluster::{Cluster, Server};
use wasmpool_guests::MISBEHAVING;

use super::connect;
use super::processes::{NatsServer, NodeProcess};

#[test]
fn a_full_queue_refuses_try_submit_and_makes_submit_wait() {
    let server = NatsServer::start();
    let cluster = Cluster::connect(&Server::new(server.url()).queue_capacity(2)).unwrap();
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let echo = module.task::<(&str,), String>("echo");
    let first = cluster.submit(&echo, ("first",)).unwrap();
    let second = cluster.try_submit(&echo, ("second",)).unwrap();

    let refused = cluster.try_submit(&echo, ("third",)).unwrap_err();
    assert!(refused.is_full(), "{refused:?}");
    assert_eq!(refused.into_arguments(), ("third",));
    let moment = Duration::from_millis(1);
    let refused = cluster.submit_timeout(&echo, ("third",), moment);
    assert!(refused.unwrap_err().is_full());

    thread::scope(|scope| {
        let third = scope.spawn(|| cluster.submit(&echo, ("third",)).unwrap().wait());
        let _node = NodeProcess::start(&server, "a", &["--workers", "1"]);
        assert_eq!(third.join().unwrap().unwrap(), "third");
    });
    assert_eq!(first.wait().unwrap(), "first");
    assert_eq!(second.wait().unwrap(), "second");
}

#[test]
fn a_tenant_with_many_tasks_does_not_hold_up_another() {
    let server = NatsServer::start();
    let cluster = connect(&server);
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let sleep = module.task::<(u64,), u64>("sleep");
    let of = |tenant: &str| sleep.with(&TaskOptions::new().tenant(tenant));
    let busy = (0..100).map(|_| cluster.submit(&of("busy.*"), (100,)).unwrap());
    let busy = busy.collect::<Vec<_>>();
    let modest = cluster.submit(&of("modest >"), (1,)).unwrap();
    let _node = NodeProcess::start(&server, "a", &["--workers", "1"]);
    assert_eq!(modest.wait().unwrap(), 1);
    // Those before it would take ten seconds.
    assert!(!busy.last().unwrap().is_done());
}
