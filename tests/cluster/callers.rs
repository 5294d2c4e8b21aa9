//! The ways to submit and to learn of the end, besides blocking for one task.

use std::sync::mpsc;
use std::time::Duration;

use wasmpool::TaskErrorKind;
use wasmpool_guests::{FACTORIZER, MISBEHAVING};

use super::processes::{NatsServer, NodeProcess};
use super::{LONG, connect, kind, n_running, until};

#[test]
fn tasks_are_submitted_and_awaited_in_any_runtime() {
    let server = NatsServer::start();
    let _node = NodeProcess::start(&server, "a", &["--workers", "2"]);
    let cluster = connect(&server);
    let module = cluster.load(FACTORIZER.path()).unwrap();
    let task = module.task::<(u64,), Vec<u64>>("factorize");
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let all = runtime.unwrap().block_on(async {
        let one = cluster.submit_async(&task, (360,)).await.unwrap();
        let other = cluster.submit_async(&task, (97,)).await.unwrap();
        [other.await.unwrap(), one.await.unwrap()]
    });
    assert_eq!(all, [vec![97], vec![2, 2, 2, 3, 3, 5]]);
}

#[test]
fn a_callback_hears_of_each_end_once() {
    let server = NatsServer::start();
    let _node = NodeProcess::start(&server, "a", &["--workers", "2"]);
    let cluster = connect(&server);
    let module = cluster.load(FACTORIZER.path()).unwrap();
    let task = module.task::<(u64,), Vec<u64>>("factorize");
    let (sender, ended) = mpsc::channel();
    let futures = cluster.submit_all(&task, (0..100).map(|n| (n + 2,)));
    for (index, future) in futures.iter().enumerate() {
        let sender = sender.clone();
        future.on_done(move |future| {
            let factors = future.wait().unwrap();
            sender.send((index, factors.iter().product())).unwrap();
            panic!("a panic of a callback is its own");
        });
    }
    drop(sender);
    let mut products = ended.iter().collect::<Vec<(usize, u64)>>();
    products.sort_unstable();
    assert!(
        products
            .into_iter()
            .eq((0..100).map(|index| (index, index as u64 + 2)))
    );
    // It has ended: the callback is called here.
    let (sender, ended) = mpsc::channel();
    futures[0].on_done(move |_| sender.send(()).unwrap());
    assert!(ended.try_recv().is_ok());
}

#[test]
fn a_callback_that_would_wait_for_its_own_thread_panics() {
    let server = NatsServer::start();
    let _node = NodeProcess::start(&server, "a", &["--workers", "2"]);
    let cluster = connect(&server);
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let sleep = module.task::<(u64,), u64>("sleep");
    let long = cluster.submit(&sleep, (3_600_000,)).unwrap();
    let short = cluster.submit(&sleep, (1,)).unwrap();
    let (sender, heard) = mpsc::channel();
    short.on_done(move |_| {
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| long.wait()));
        sender.send(waited.is_err()).unwrap();
    });
    assert!(heard.recv_timeout(LONG).unwrap());
}

#[test]
fn all_tasks_are_cancelled_or_only_those_that_wait() {
    let server = NatsServer::start();
    let _node = NodeProcess::start(&server, "a", &["--workers", "1"]);
    let cluster = connect(&server);
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let sleep = module.task::<(u64,), u64>("sleep");
    let running = cluster.submit(&sleep, (3_600_000,)).unwrap();
    until("the task runs", || n_running(&cluster) == 1);
    let queued = cluster.submit_all(&sleep, [(1,), (2,)]);
    until("both are queued", || {
        cluster.status().unwrap().tenants[0].queued == 2
    });

    cluster.cancel_queued().unwrap();
    for future in &queued {
        assert_eq!(kind(future.result().unwrap()), TaskErrorKind::Cancelled);
    }
    assert_eq!(server.n_messages("WASMPOOL_TASKS"), 1);
    assert!(running.wait_timeout(Duration::from_millis(1)).is_none());

    cluster.cancel_all();
    assert_eq!(kind(running.result().unwrap()), TaskErrorKind::Cancelled);
    until("the worker is free", || n_running(&cluster) == 0);
    assert_eq!(server.n_messages("WASMPOOL_TASKS"), 0);
    // What comes later is not cancelled.
    let later = cluster.submit(&sleep, (1,)).unwrap();
    assert!(later.wait().is_ok());
}
