//! A node grants what its own command line says, whatever a caller asks for.

use wasmpool::{Pool, TaskErrorKind, TaskOptions};
use wasmpool_cluster::RunError;
use wasmpool_guests::MISBEHAVING;

use super::processes::{NatsServer, NodeProcess};
use super::{connect, kind};

#[test]
fn a_node_grants_no_more_than_its_own_rights() {
    let server = NatsServer::start();
    let cluster = connect(&server);
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let escape = module.task::<(&str,), String>("escape");
    let check = |has_rights: bool, what: &'static str| {
        let escape = match has_rights {
            true => escape.with_rights_of_node(),
            false => escape.clone(),
        };
        cluster.submit(&escape, (what,)).unwrap().wait().unwrap()
    };

    let node = NodeProcess::start(&server, "strict", &["--workers", "1"]);
    for what in ["file", "environment", "network", "name-lookup"] {
        let reached = check(true, what);
        assert!(reached.starts_with("denied"), "{what}: {reached}");
    }
    node.tell_to_leave();
    node.left();

    let settings = ["--workers", "1", "--env", "HOME=/nowhere"];
    let _node = NodeProcess::start(&server, "generous", &settings);
    assert_eq!(check(true, "environment"), "HOME=/nowhere");
    // Rights that a task has not asked for it does not have.
    assert!(check(false, "environment").starts_with("denied"));
    for what in ["file", "network"] {
        let reached = check(true, what);
        assert!(reached.starts_with("denied"), "{what}: {reached}");
    }
}

#[test]
fn a_caller_does_not_raise_the_limits_of_a_node() {
    let server = NatsServer::start();
    let settings = ["--workers", "1", "--memory", "32MiB", "--timeout", "100ms"];
    let _node = NodeProcess::start(&server, "a", &settings);
    let cluster = connect(&server);
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let wishes = TaskOptions::new()
        .memory_limit(1 << 30)
        .task_timeout(super::LONG);
    let allocate = module.task::<(usize,), usize>("allocate").with(&wishes);
    let outcome = cluster.submit(&allocate, (64,)).unwrap().wait();
    assert_eq!(kind(outcome), TaskErrorKind::MemoryLimit);
    let spin = module.task::<(u64,), u64>("spin").with(&wishes);
    let outcome = cluster.submit(&spin, (1,)).unwrap().wait();
    assert_eq!(kind(outcome), TaskErrorKind::TimedOut);
}

#[test]
fn a_node_loads_no_native_code() {
    let server = NatsServer::start();
    let _node = NodeProcess::start(&server, "a", &["--workers", "1"]);
    let cluster = connect(&server);
    let pool = Pool::builder().workers(1).build().unwrap();
    let native = pool.precompile(MISBEHAVING.wasm).unwrap();
    let module = cluster.load_bytes(native).unwrap();
    let echo = module.task::<(&str,), String>("echo");
    let error = cluster.submit(&echo, ("",)).unwrap().wait().unwrap_err();
    let RunError::Module(problem) = error else {
        panic!("{error:?}");
    };
    assert!(problem.contains("compiled ahead of time"), "{problem}");
}
