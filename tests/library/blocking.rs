//! Operations of the host that never end. The task's timeout holds, its worker goes on, and the
//! pool comes to its end.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use wasmpool::{Access, Capabilities, TaskErrorKind, TaskModule, TaskOptions};

use crate::lease::Lease;
use crate::support::{Bench, LONG, within_long};

/// Enough for all that comes before the operation.
const TIMEOUT: Duration = Duration::from_millis(500);

/// Runs a program that waits for ever, on the only worker.
fn check(bench: &Bench, module: &TaskModule, rights: Capabilities, arguments: &[&str]) {
    let options = TaskOptions::new().task_timeout(TIMEOUT);
    let mut command = module.command().unwrap();
    command.args(arguments.iter().copied());
    command.options(options.capabilities(rights));
    let child = command.spawn(&bench.pool).unwrap();
    let outcome = child.wait_timeout(LONG).expect("it is stopped");
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), TaskErrorKind::TimedOut, "{error}");
    let ran = child.task().report().unwrap().ran;
    assert!(ran >= TIMEOUT && ran < LONG, "{ran:?}");
    bench.assert_healthy();
}

#[test]
fn a_connection_that_is_never_accepted() {
    let bench = Bench::with_workers(1);
    let module = bench.pool.load(wasmpool_guests::PROGRAMS.path()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // One connection waits to be accepted, and there is no room for another.
    rustix::net::listen(&listener, 0).unwrap();
    let address = listener.local_addr().unwrap();
    let _first = TcpStream::connect(address).unwrap();
    let address = address.to_string();
    let rights = Capabilities::new().net(&address).unwrap();
    check(&bench, &module, rights, &["connect", &address]);
    assert_eq!(bench.pool.stats().stuck, 0);
    within_long(move || drop(bench));
}

#[test]
fn a_file_that_cannot_be_opened_for_long() {
    for guest in [
        wasmpool_guests::PROGRAMS,
        wasmpool_guests::PROGRAMS_P1,
        wasmpool_guests::AWAITING,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "").unwrap();
        let rights = Capabilities::new();
        let rights = rights.dir(folder.path(), "/data", Access::ReadOnly);
        let bench = Bench::with_workers(1);
        let module = bench.pool.load(guest.path()).unwrap();
        let mut lease = Lease::take(&path);
        check(&bench, &module, rights.unwrap(), &["read", "/data/file"]);
        lease.wait_until_asked_for();
        // The disk was taken for one that answers at once: the thread that opens the file is given
        // up, and nobody waits for it.
        assert_eq!(bench.pool.stats().stuck, 1, "{}", guest.name);
        within_long(move || drop(bench));
    }
}
