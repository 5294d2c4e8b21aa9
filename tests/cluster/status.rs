//! `wasmpool cluster status`, and what the commands say if there is no server.

use std::process::{Command, Output};

use serde_json::{Value, json};
use wasmpool::TaskOptions;
use wasmpool_guests::MISBEHAVING;

use super::processes::{NatsServer, NodeProcess};
use super::{connect, n_running, until};

fn wasmpool(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wasmpool"));
    command.args(args).output().unwrap()
}

#[test]
fn status_shows_nodes_and_queues() {
    let server = NatsServer::start();
    let _node = NodeProcess::start(&server, "a", &["--workers", "1"]);
    let cluster = connect(&server);
    let module = cluster.load(MISBEHAVING.path()).unwrap();
    let fail = module.task::<(&str,), ()>("fail");
    cluster.submit(&fail, ("",)).unwrap().wait().unwrap_err();
    let spin = module.task::<(u64,), u64>("spin");
    let spin = spin.with(&TaskOptions::new().tenant("team"));
    let _running = cluster.submit(&spin, (1,)).unwrap();
    let _queued = cluster.submit(&spin, (2,)).unwrap();
    until("the task runs", || n_running(&cluster) == 1);

    let url = server.url();
    let printed = wasmpool(&["cluster", "status", "--nats", &url, "--json"]);
    assert!(printed.status.success(), "{printed:?}");
    let status: Value = serde_json::from_slice(&printed.stdout).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let node = json!({
        "name": "a", "version": version, "workers": 1, "running": 1, "succeeded": 0, "failed": 1,
    });
    assert_eq!(status["nodes"], json!([node]));
    let nobody = json!({"tenant": null, "queued": 0, "running": 0});
    assert_eq!(status["tenants"][0], nobody);
    let team = &status["tenants"][1];
    assert_eq!(team["tenant"], "team");
    // The node may have taken the other task ahead, since the one before was short.
    let n_tasks = ["queued", "running"].map(|state| team[state].as_u64().unwrap());
    assert_eq!(n_tasks.iter().sum::<u64>(), 2);
    assert_eq!(status["tasks"], 2);
    assert_eq!(status["capacity"], 100_000);

    let printed = wasmpool(&["cluster", "status", "--nats", &url]);
    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(printed.contains("team"), "{printed}");
    assert!(printed.ends_with("2 tasks of at most 100000 in the queue, 0 outcomes not fetched\n"));
}

#[test]
fn a_server_that_is_not_there_is_named_without_its_password() {
    let url = "nats://user:secret@127.0.0.1:1";
    for args in [
        &["node", "--nats", url][..],
        &["cluster", "status", "--nats", url],
    ] {
        let ended = wasmpool(args);
        assert_eq!(ended.status.code(), Some(3), "{ended:?}");
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(said.contains("`nats://127.0.0.1:1`"), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}
