//! Outcomes are those of a pool, wherever a task ran.

use std::time::Duration;

use serde_json::{Value, json};
use wasmpool::{Pool, TaskErrorKind, TaskOptions};
use wasmpool_guests::{FACTORIZER, MISBEHAVING, TOUR};

use super::processes::{NatsServer, NodeProcess};
use super::{connect, kind};

#[test]
fn results_on_three_nodes_are_those_of_one_pool() {
    let server = NatsServer::start();
    let _nodes = ["a", "b", "c"].map(|name| NodeProcess::start(&server, name, &["--workers", "2"]));
    let cluster = connect(&server);
    let numbers = (2..2_002).chain(1_000_000_000_000..1_000_000_000_100);

    let module = cluster.load(FACTORIZER.path()).unwrap();
    let task = module.task::<(u64,), Vec<u64>>("factorize");
    let outcomes = cluster.map(&task, numbers.clone());
    let outcomes = outcomes.collect::<Result<Vec<_>, _>>().unwrap();

    let pool = Pool::builder().workers(2).build().unwrap();
    let module = pool.load(FACTORIZER.path()).unwrap();
    let task = module.task::<(u64,), Vec<u64>>("factorize").unwrap();
    let expected = pool.map(&task, numbers);
    assert_eq!(outcomes, expected.collect::<Result<Vec<_>, _>>().unwrap());
    assert_eq!(server.n_messages("WASMPOOL_TASKS"), 0);
}

#[test]
fn errors_and_reports_are_those_of_a_pool() {
    let server = NatsServer::start();
    let _node = NodeProcess::start(&server, "a", &["--workers", "2"]);
    let cluster = connect(&server);
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let pool = Pool::builder().workers(1).build().unwrap();
    let in_pool = pool.load(MISBEHAVING.path()).unwrap();

    let check = |name: &str, argument: Value| {
        let task = module.task::<Vec<Value>, Value>(name);
        let future = cluster.submit(&task, vec![argument.clone()]).unwrap();
        let error = future.wait().unwrap_err();
        let error = error.task_error().unwrap_or_else(|| panic!("{error:?}"));
        let task = in_pool.task::<Vec<Value>, Value>(name).unwrap();
        let expected = pool.submit(&task, vec![argument]).unwrap();
        let expected_error = expected.wait().unwrap_err();
        assert_eq!(error.kind(), expected_error.kind(), "{name}");
        assert_eq!(error.to_string(), expected_error.to_string(), "{name}");
        assert_eq!(error.code(), expected_error.code(), "{name}");
        assert_eq!(error.stderr(), expected_error.stderr(), "{name}");
        let (report, expected) = (future.report().unwrap(), expected.report().unwrap());
        assert_eq!(report.stderr, expected.stderr, "{name}");
        assert_eq!(report.attempts, expected.attempts, "{name}");
        assert_eq!(future.node(), Some("a"));
    };
    check("fail", json!("on purpose"));
    check("panic", json!("a message"));
    check("exit", json!(7));
    check("divide_by_zero", json!(0));
    check("recurse", json!(1_000_000_000));
    check("spin", json!("not a number"));

    let unknown = module.task::<(u64,), u64>("no_such_task");
    let unknown = cluster.submit(&unknown, (1,)).unwrap();
    assert_eq!(kind(unknown.wait()), TaskErrorKind::UnknownTask);
}

#[test]
fn values_of_all_kinds_travel_both_ways() {
    let server = NatsServer::start();
    let _node = NodeProcess::start(&server, "a", &["--workers", "1"]);
    let cluster = connect(&server);
    let module = cluster.load(TOUR.path()).unwrap();
    let shift = module.task::<(Value, (f64, f64)), Value>("shift");
    let point = json!({"x": 1.5, "y": -2.0});
    let moved = cluster.submit(&shift, (point, (1.0, 0.25))).unwrap();
    assert_eq!(moved.wait().unwrap(), json!({"x": 2.5, "y": -1.75}));
    let words = module.task::<(&str,), Value>("count_words");
    let words = cluster.submit(&words, ("a b a",)).unwrap();
    assert_eq!(words.wait().unwrap(), json!({"a": 2, "b": 1}));
    let bytes = serde_bytes::Bytes::new(b"\x00\xff");
    let echo = module.task::<(&serde_bytes::Bytes,), serde_bytes::ByteBuf>("echo");
    let echoed = cluster.submit(&echo, (bytes,)).unwrap();
    assert_eq!(echoed.wait().unwrap(), bytes);
}

#[test]
fn a_task_waits_for_a_node() {
    let server = NatsServer::start();
    let cluster = connect(&server);
    let module = cluster.load(FACTORIZER.path()).unwrap();
    let task = module.task::<(u64,), Vec<u64>>("factorize");
    let future = cluster.submit(&task, (360,)).unwrap();
    assert!(future.wait_timeout(Duration::ZERO).is_none());
    let _node = NodeProcess::start(&server, "a", &["--workers", "1"]);
    assert_eq!(future.wait().unwrap(), [2, 2, 2, 3, 3, 5]);
}

#[test]
fn timeouts_of_a_task_count_on_its_node() {
    let server = NatsServer::start();
    let cluster = connect(&server);
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let spin = module.task::<(u64,), u64>("spin");
    let late = spin.with(&TaskOptions::new().queue_timeout(Duration::from_nanos(1)));
    let late = cluster.submit(&late, (1,)).unwrap();
    let short = spin.with(&TaskOptions::new().task_timeout(Duration::from_millis(10)));
    let short = cluster.submit(&short, (1,)).unwrap();
    let _node = NodeProcess::start(&server, "a", &["--workers", "1"]);
    assert_eq!(kind(late.wait()), TaskErrorKind::QueueTimedOut);
    assert_eq!(kind(short.wait()), TaskErrorKind::TimedOut);
}
