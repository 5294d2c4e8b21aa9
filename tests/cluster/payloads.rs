//! Payloads that are too large for a message, and what is left of them.

use serde_bytes::ByteBuf;
use wasmpool::TaskErrorKind;
use wasmpool_guests::{MISBEHAVING, TOUR};

use super::processes::{NatsServer, NodeProcess};
use super::{connect, kind, n_running, until};

/// The stream under the object store of payloads.
const STORE: &str = "OBJ_wasmpool-payloads";

#[test]
fn large_arguments_and_results_arrive_and_leave_the_store_empty() {
    let server = NatsServer::start();
    let _nodes = ["a", "b"].map(|name| NodeProcess::start(&server, name, &["--workers", "1"]));
    let cluster = connect(&server);
    let module = cluster.load(TOUR.path()).unwrap();
    let echo = module.task::<(ByteBuf,), ByteBuf>("echo");
    for mib in [1, 3, 16] {
        let bytes = ByteBuf::from(vec![mib; usize::from(mib) << 20]);
        let futures = [1, 2].map(|_| cluster.submit(&echo, (bytes.clone(),)).unwrap());
        for future in futures {
            assert!(future.wait().unwrap() == bytes, "{mib} MiB");
        }
        assert_eq!(server.n_messages(STORE), 0, "{mib} MiB");
    }
}

#[test]
fn large_arguments_of_a_failed_or_cancelled_task_are_deleted() {
    let server = NatsServer::start();
    let cluster = connect(&server);
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let text = "x".repeat(2 << 20);
    let ponder = module.task::<(&str,), u64>("ponder");
    let queued = cluster.submit(&ponder, (&text,)).unwrap();
    assert!(server.n_messages(STORE) > 0, "they are stored");
    assert!(queued.cancel());
    until("those of a queued task are deleted", || {
        server.n_messages(STORE) == 0
    });

    let _node = NodeProcess::start(&server, "a", &["--workers", "1"]);
    let running = cluster.submit(&ponder, (&text,)).unwrap();
    until("the task runs", || n_running(&cluster) == 1);
    assert!(running.cancel());
    until("those of a running task are deleted", || {
        server.n_messages(STORE) == 0
    });

    let fail = module.task::<(&str,), ()>("fail");
    let failed = cluster.submit(&fail, (&text,)).unwrap();
    assert_eq!(kind(failed.wait()), TaskErrorKind::Failed);
    assert_eq!(server.n_messages(STORE), 0);
}

#[test]
fn a_large_result_that_nobody_wants_is_deleted() {
    let server = NatsServer::start();
    let _node = NodeProcess::start(&server, "a", &["--workers", "1"]);
    let cluster = connect(&server);
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let huge = module.task::<(usize,), ByteBuf>("huge_result");
    drop(cluster.submit(&huge, (4,)).unwrap());
    until("its task has ended", || {
        let nodes = cluster.status().unwrap().nodes;
        nodes.iter().any(|node| node.succeeded == 1)
    });
    until("it is deleted", || {
        let status = cluster.status().unwrap();
        status.outcomes == 0 && server.n_messages(STORE) == 0
    });
}
