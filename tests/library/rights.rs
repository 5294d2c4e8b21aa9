//! Rights: each is absent by default, and confined where it was granted.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use wasmpool::{
    Access, Capabilities, Child, GrantError, Isolation, Output, Pool, TaskErrorKind, TaskModule,
    TaskOptions,
};

use crate::programs::{for_each_component, for_each_program};
use crate::support::{Bench, LONG};

fn pool() -> Pool {
    Pool::builder().workers(1).build().unwrap()
}

fn start(pool: &Pool, module: &TaskModule, rights: &Capabilities, arguments: &[&str]) -> Child {
    let mut command = module.command().unwrap();
    command.args(arguments.iter().copied());
    command.capabilities(rights.clone()).spawn(pool).unwrap()
}

fn run(pool: &Pool, module: &TaskModule, rights: &Capabilities, arguments: &[&str]) -> Output {
    start(pool, module, rights, arguments).wait().unwrap()
}

/// Checks that the program succeeded and printed this.
#[track_caller]
fn allowed(output: Output, printed: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), printed);
}

/// Checks that the program failed and did not print the secret.
#[track_caller]
fn refused(output: Output) {
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "it could: {stdout}");
    assert!(!stdout.contains("secret"), "{stdout}");
}

/// A granted folder `inside`, and a folder beside it that is not granted.
struct Tree {
    folder: tempfile::TempDir,
}

impl Tree {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("inside/sub")).unwrap();
        fs::create_dir(root.join("outside")).unwrap();
        fs::write(root.join("inside/file"), "open").unwrap();
        fs::write(root.join("outside/file"), "secret").unwrap();
        Self { folder }
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn inside(&self, name: &str) -> std::path::PathBuf {
        self.root().join("inside").join(name)
    }

    fn rights(&self, access: Access) -> Capabilities {
        let inside = self.root().join("inside");
        Capabilities::new().dir(inside, "/data", access).unwrap()
    }

    /// Checks that the folder outside is unchanged.
    #[track_caller]
    fn assert_untouched(&self) {
        let names = fs::read_dir(self.root().join("outside")).unwrap();
        assert_eq!(names.count(), 1);
        let secret = fs::read_to_string(self.root().join("outside/file")).unwrap();
        assert_eq!(secret, "secret");
        assert_eq!(fs::read_dir(self.root()).unwrap().count(), 2);
    }
}

#[test]
fn a_program_without_rights_has_no_access() {
    let (pool, tree) = (pool(), Tree::new());
    let nothing = Capabilities::new();
    let path = tree.inside("file");
    let path = path.to_str().unwrap();
    for_each_program(&pool, |name, module| {
        let run = |arguments: &[&str]| run(&pool, &module, &nothing, arguments);
        allowed(run(&["args"]), "program\nargs\n");
        allowed(run(&["env"]), "");
        allowed(run(&["cat"]), "");
        for arguments in [
            &["read", path][..],
            &["read", "/etc/passwd"],
            &["read", "file"],
            &["write", path, "x"],
            &["list", "/"],
            &["list", "."],
            &["mkdir", "/tmp/made"],
            &["connect", "127.0.0.1:9"],
            &["lookup", "localhost"],
            &["listen", "127.0.0.1:0"],
            &["udp", "127.0.0.1:0"],
        ] {
            refused(run(arguments));
        }
        if name == "programs" {
            let child = start(&pool, &module, &nothing, &["lookup", "example.org"]);
            child.wait().unwrap();
            assert_eq!(
                child.task().report().unwrap().refused,
                ["look up `example.org`"]
            );
        }
    });
    tree.assert_untouched();
}

#[test]
fn a_folder_can_be_read_and_written() {
    let pool = pool();
    for_each_program(&pool, |_, module| {
        let tree = Tree::new();
        let rights = tree.rights(Access::ReadWrite);
        let run = |arguments: &[&str]| run(&pool, &module, &rights, arguments);
        allowed(run(&["list", "/data"]), "file\nsub\n");
        allowed(run(&["read", "/data/file"]), "open");
        allowed(run(&["write", "/data/sub/new", "a"]), "");
        allowed(run(&["append", "/data/sub/new", "b"]), "");
        allowed(run(&["rename", "/data/sub/new", "/data/moved"]), "");
        allowed(run(&["link", "/data/moved", "/data/linked"]), "");
        allowed(run(&["symlink", "moved", "/data/symbolic"]), "");
        allowed(run(&["read", "/data/symbolic"]), "ab");
        allowed(run(&["read", "/data/sub/../moved"]), "ab");
        allowed(run(&["mkdir", "/data/made"]), "");
        allowed(run(&["remove", "/data/linked"]), "");
        allowed(
            run(&["list", "/data"]),
            "file\nmade\nmoved\nsub\nsymbolic\n",
        );
        assert_eq!(fs::read_to_string(tree.inside("moved")).unwrap(), "ab");
        // More than one call can write.
        let long = "x".repeat(50_000);
        allowed(run(&["write", "/data/long", &long]), "");
        for _ in 0..9 {
            allowed(run(&["append", "/data/long", &long]), "");
        }
        allowed(run(&["read", "/data/long"]), &long.repeat(10));
        tree.assert_untouched();
    });
}

#[test]
fn a_folder_that_is_read_only_stays_as_it_is() {
    let pool = pool();
    for_each_program(&pool, |_, module| {
        let tree = Tree::new();
        let rights = tree.rights(Access::ReadOnly);
        let run = |arguments: &[&str]| run(&pool, &module, &rights, arguments);
        allowed(run(&["read", "/data/file"]), "open");
        allowed(run(&["list", "/data"]), "file\nsub\n");
        for arguments in [
            &["write", "/data/file", "x"][..],
            &["write", "/data/new", "x"],
            &["write", "/data/sub/new", "x"],
            &["append", "/data/file", "x"],
            &["truncate", "/data/file"],
            &["mkdir", "/data/made"],
            &["remove", "/data/file"],
            &["rename", "/data/file", "/data/other"],
            &["link", "/data/file", "/data/other"],
            &["symlink", "file", "/data/other"],
        ] {
            refused(run(arguments));
        }
        assert_eq!(fs::read_to_string(tree.inside("file")).unwrap(), "open");
        assert_eq!(fs::read_dir(tree.inside("")).unwrap().count(), 2);
        assert_eq!(fs::read_dir(tree.inside("sub")).unwrap().count(), 0);
    });
}

#[test]
fn a_guest_cannot_leave_a_granted_folder() {
    let pool = pool();
    for_each_program(&pool, |_, module| {
        let tree = Tree::new();
        let outside = tree.root().join("outside");
        // Links made by the host.
        symlink("../outside", tree.inside("relative")).unwrap();
        symlink(&outside, tree.inside("absolute")).unwrap();
        symlink("../outside/file", tree.inside("file_outside")).unwrap();
        symlink("sub/../../outside/file", tree.inside("around")).unwrap();
        symlink("relative/file", tree.inside("chain")).unwrap();
        let absolute = outside.join("file");
        let absolute = absolute.to_str().unwrap();
        let rights = tree.rights(Access::ReadWrite);
        let run = |arguments: &[&str]| run(&pool, &module, &rights, arguments);
        for path in ["/data/file_outside", "/data/around", "/data/chain"] {
            refused(run(&["read", path]));
            refused(run(&["append", path, "x"]));
            refused(run(&["truncate", path]));
        }
        for path in [
            "/data/../outside/file",
            "/data/sub/../../outside/file",
            "/data/./../outside/file",
            "/data/relative/file",
            "/data/absolute/file",
            "/../outside/file",
            "../outside/file",
            "/etc/passwd",
            "/data/../../../../../../../../etc/passwd",
            absolute,
        ] {
            refused(run(&["read", path]));
            refused(run(&["append", path, "x"]));
            refused(run(&["rename", path, "/data/stolen"]));
            refused(run(&["rename", "/data/file", &format!("{path}.new")]));
            refused(run(&["link", path, "/data/stolen"]));
            refused(run(&["link", "/data/file", &format!("{path}.new")]));
        }
        for path in ["/data/relative", "/data/absolute", "/data/..", "/"] {
            refused(run(&["list", path]));
            refused(run(&["write", &format!("{path}/new"), "x"]));
            refused(run(&["mkdir", &format!("{path}/new")]));
            refused(run(&["symlink", "file", &format!("{path}/new")]));
            refused(run(&["remove", &format!("{path}/file")]));
        }
        // The guest cannot follow a link of its own either.
        let _ = run(&["symlink", "../outside/file", "/data/own"]);
        refused(run(&["read", "/data/own"]));
        let _ = run(&["symlink", absolute, "/data/own_absolute"]);
        refused(run(&["read", "/data/own_absolute"]));
        // Nor a link that is moved so that its target changes: from `sub` it stays inside.
        allowed(run(&["symlink", "../file", "/data/sub/up"]), "");
        allowed(run(&["read", "/data/sub/up"]), "open");
        allowed(run(&["rename", "/data/sub/up", "/data/up"]), "");
        refused(run(&["read", "/data/up"]));
        assert_eq!(fs::read_to_string(tree.inside("file")).unwrap(), "open");
        tree.assert_untouched();
    });
}

fn make_fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

#[test]
fn special_files_are_not_opened() {
    let pool = pool();
    for_each_program(&pool, |_, module| {
        let tree = Tree::new();
        make_fifo(&tree.inside("fifo"));
        make_fifo(&tree.inside("sub/fifo"));
        symlink("sub/fifo", tree.inside("link")).unwrap();
        symlink("link", tree.inside("sub/up")).unwrap();
        symlink("../link", tree.inside("sub/up_and_down")).unwrap();
        let _socket = UnixListener::bind(tree.inside("socket")).unwrap();
        let rights = tree.rights(Access::ReadWrite);
        let rights = rights.dir("/dev", "/dev", Access::ReadWrite).unwrap();
        for (path, kind) in [
            ("/data/fifo", "a FIFO"),
            ("/data/sub/../fifo", "a FIFO"),
            ("/data/sub/fifo", "a FIFO"),
            ("/data/link", "a FIFO"),
            ("/data/sub/up_and_down", "a FIFO"),
            ("/data/socket", "a socket"),
            ("/dev/null", "a character device"),
            ("/dev/tty", "a character device"),
            ("/dev/zero", "a character device"),
        ] {
            for arguments in [
                &["read", path][..],
                &["write", path, "x"],
                &["append", path, "x"],
                &["truncate", path],
            ] {
                let child = start(&pool, &module, &rights, arguments);
                let outcome = child.wait_timeout(LONG).expect("nobody waits for it");
                let output = outcome.unwrap();
                let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
                refused(output);
                assert!(stderr.contains("not permitted"), "{stderr}");
                let report = child.task().report().unwrap();
                assert_eq!(report.refused, [format!("open `{path}`, {kind}")]);
            }
        }
        // They are there all the same.
        let run = |arguments: &[&str]| run(&pool, &module, &rights, arguments);
        allowed(run(&["list", "/data/sub"]), "fifo\nup\nup_and_down\n");
        allowed(run(&["rename", "/data/fifo", "/data/sub/moved"]), "");
        allowed(run(&["remove", "/data/sub/moved"]), "");
        allowed(run(&["read", "/data/file"]), "open");
    });
}

#[test]
fn special_files_are_opened_where_they_were_granted() {
    let pool = pool();
    for_each_program(&pool, |_, module| {
        let tree = Tree::new();
        make_fifo(&tree.inside("fifo"));
        let rights = Capabilities::new();
        let rights = rights.dir_with_special_files("/dev", "/dev", Access::ReadWrite);
        let inside = tree.root().join("inside");
        let rights = rights.unwrap();
        let rights = rights.dir_with_special_files(inside, "/data", Access::ReadOnly);
        let rights = rights.unwrap();
        let start = |arguments: &[&str]| start(&pool, &module, &rights, arguments);
        let run = |arguments: &[&str]| run(&pool, &module, &rights, arguments);
        allowed(run(&["read", "/dev/null"]), "");
        allowed(run(&["write", "/dev/null", "x"]), "");
        allowed(run(&["append", "/dev/null", "x"]), "");
        allowed(run(&["reread", "/dev/zero", "1000", "3"]), "3\n");
        // It has no positions, at which WASI reads.
        let child = start(&["read", "/data/fifo"]);
        let outcome = child.wait_timeout(LONG).expect("nobody waits for it");
        refused(outcome.unwrap());
        assert!(child.task().report().unwrap().refused.is_empty());
        // The other right holds as well.
        refused(run(&["write", "/data/file", "x"]));
    });
}

#[test]
fn a_file_that_becomes_a_fifo_meanwhile_is_not_waited_for() {
    let bench = Bench::with_workers(1);
    for_each_program(&bench.pool, |_, module| {
        let tree = Tree::new();
        let (file, fifo) = (tree.inside("swapped"), tree.inside("fifo"));
        let (name, spare) = (tree.inside("sub/file"), tree.inside("spare"));
        fs::write(&file, "open").unwrap();
        make_fifo(&fifo);
        fs::hard_link(&file, &name).unwrap();
        let rights = tree.rights(Access::ReadWrite);
        let reads = ["reread", "/data/sub/file", "4", "20000"];
        let child = start(&bench.pool, &module, &rights, &reads);
        // One after the other takes its name.
        let mut swaps = 0;
        let output = loop {
            for original in [&fifo, &file] {
                fs::hard_link(original, &spare).unwrap();
                fs::rename(&spare, &name).unwrap();
            }
            swaps += 1;
            if let Some(outcome) = child.wait_timeout(Duration::ZERO) {
                break outcome.unwrap();
            }
        };
        let stdout = String::from_utf8(output.stdout).unwrap();
        let opened = stdout.trim().parse::<u32>().unwrap();
        assert!(
            swaps > 0 && opened > 0,
            "{swaps} swaps, opened {opened} times"
        );
    });
    bench.assert_healthy();
}

#[cfg(target_os = "linux")]
#[test]
fn a_guest_that_waits_for_a_slow_disk_keeps_no_worker() {
    let bench = Bench::with_workers(1);
    for_each_program(&bench.pool, |name, module| {
        let tree = Tree::new();
        let inside = tree.root().join("inside");
        let rights = Capabilities::new();
        let rights = rights.dir_on_slow_disk(inside, "/data", Access::ReadWrite);
        let rights = rights.unwrap();
        for arguments in [
            &["read", "/data/file"][..],
            &["append", "/data/file", ""],
            &["truncate", "/data/file"],
        ] {
            let lease = crate::lease::Lease::take(&tree.inside("file"));
            let child = start(&bench.pool, &module, &rights, arguments);
            crate::support::wait_until_suspended(child.task());
            // Others run meanwhile, on the only worker.
            bench.assert_healthy();
            // Another one that waits is stopped in time.
            let options = TaskOptions::new().task_timeout(Duration::from_millis(20));
            let mut command = module.command().unwrap();
            command.args(arguments.iter().copied());
            command.options(options.capabilities(rights.clone()));
            let late = command.spawn(&bench.pool).unwrap();
            let outcome = late.wait_timeout(LONG).expect("it is stopped");
            assert_eq!(outcome.unwrap_err().kind(), TaskErrorKind::TimedOut);
            drop(lease);
            let read = if arguments[0] == "read" { "open" } else { "" };
            allowed(child.wait().unwrap(), read);
            let report = child.task().report().unwrap();
            assert!(!report.suspended.is_zero(), "{name}: {report:?}");
            assert_eq!(
                bench.pool.stats().stuck,
                0,
                "{name}: no thread was given up"
            );
        }
    });
}

#[test]
fn a_slow_disk_has_all_that_others_have() {
    let pool = pool();
    for_each_program(&pool, |_, module| {
        let tree = Tree::new();
        let rights = Capabilities::new();
        let inside = tree.root().join("inside");
        let rights = rights.dir_on_slow_disk(inside, "/data", Access::ReadWrite);
        let rights = rights.unwrap();
        let rights = rights.dir_on_slow_disk(tree.inside("sub"), "/sub", Access::ReadOnly);
        let rights = rights.unwrap();
        let run = |arguments: &[&str]| run(&pool, &module, &rights, arguments);
        allowed(run(&["list", "/data"]), "file\nsub\n");
        allowed(run(&["read", "/data/file"]), "open");
        allowed(run(&["write", "/data/sub/new", "a"]), "");
        allowed(run(&["append", "/data/sub/new", "b"]), "");
        allowed(run(&["read", "/sub/new"]), "ab");
        allowed(run(&["rename", "/data/sub/new", "/data/moved"]), "");
        allowed(run(&["link", "/data/moved", "/data/linked"]), "");
        allowed(run(&["symlink", "linked", "/data/symbolic"]), "");
        allowed(run(&["reread", "/data/symbolic", "2", "1500"]), "1500\n");
        allowed(run(&["mkdir", "/data/made"]), "");
        allowed(run(&["list", "/data/made"]), "");
        allowed(run(&["truncate", "/data/moved"]), "");
        allowed(run(&["read", "/data/linked"]), "");
        allowed(run(&["remove", "/data/moved"]), "");
        refused(run(&["write", "/sub/new", "x"]));
        refused(run(&["read", "/data/../outside/file"]));
        refused(run(&["read", "/data/moved"]));
        make_fifo(&tree.inside("fifo"));
        let child = start(&pool, &module, &rights, &["read", "/data/fifo"]);
        refused(
            child
                .wait_timeout(LONG)
                .expect("nobody waits for it")
                .unwrap(),
        );
        let report = child.task().report().unwrap();
        assert_eq!(report.refused, ["open `/data/fifo`, a FIFO"]);
        tree.assert_untouched();
    });
}

#[test]
fn two_granted_folders_are_separate() {
    let pool = pool();
    for_each_program(&pool, |_, module| {
        let tree = Tree::new();
        let rights = tree.rights(Access::ReadOnly);
        let rights = rights.dir(tree.inside("sub"), "out", Access::ReadWrite);
        let rights = rights.unwrap();
        let run = |arguments: &[&str]| run(&pool, &module, &rights, arguments);
        allowed(run(&["write", "out/new", "x"]), "");
        allowed(run(&["read", "/data/sub/new"]), "x");
        refused(run(&["write", "/data/sub/new", "y"]));
        refused(run(&["rename", "/data/file", "out/file"]));
        refused(run(&["link", "/data/file", "out/file"]));
        refused(run(&["read", "out/../file"]));
    });
}

#[test]
fn the_folder_that_was_opened_is_granted() {
    let tree = Tree::new();
    let rights = tree.rights(Access::ReadOnly);
    fs::rename(tree.inside(""), tree.root().join("renamed")).unwrap();
    symlink("outside", tree.root().join("inside")).unwrap();
    let pool = pool();
    for_each_program(&pool, |_, module| {
        let output = run(&pool, &module, &rights, &["read", "/data/file"]);
        allowed(output, "open");
    });
}

#[test]
fn only_a_folder_can_be_granted() {
    let tree = Tree::new();
    for path in [tree.inside("file"), tree.inside("missing")] {
        let refused = Capabilities::new().dir(&path, "/data", Access::ReadOnly);
        let error = refused.unwrap_err();
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        assert!(matches!(error, GrantError::Dir { .. }));
    }
}

#[test]
fn the_environment_has_only_the_granted_variables() {
    let pool = pool();
    let rights = Capabilities::new().env("A", "granted").env("B", "granted");
    for_each_program(&pool, |_, module| {
        let module = module.with_capabilities(rights.clone());
        let mut command = module.command().unwrap();
        command.arg("env").env("B", "own").env("C", "own");
        let output = command.spawn(&pool).unwrap().wait().unwrap();
        allowed(output, "A=granted\nB=own\nC=own\n");
        // Rights of the command replace those of its module.
        let output = run(&pool, &module, &Capabilities::new(), &["env"]);
        allowed(output, "");
    });
}

#[test]
fn rights_apply_to_all_kinds_of_tasks() {
    let bench = Bench::new(Pool::builder().workers(1).isolation(Isolation::Worker));
    let rights = Capabilities::new().env("RIGHT", "granted");
    let plain = bench.task::<&str, String>("escape");
    let submit = |task: &_| bench.pool.submit(task, ("environment",)).unwrap();
    assert_eq!(submit(&plain).wait().unwrap(), "denied: no variable");
    // Rights of one reference: in an instance of its own, whatever the isolation.
    let granted = plain.with(TaskOptions::new().capabilities(rights.clone()));
    for _ in 0..2 {
        let future = submit(&granted);
        assert_eq!(future.wait().unwrap(), "RIGHT=granted");
        assert_eq!(future.report().unwrap().instance_age, 0);
    }
    // Rights of a module: its instances stay warm, and are not shared with the module without
    // them.
    let module = bench.misbehaving.with_capabilities(rights);
    let task = module.task::<(&str,), String>("escape").unwrap();
    for age in 0..2 {
        let future = submit(&task);
        assert_eq!(future.wait().unwrap(), "RIGHT=granted");
        assert_eq!(future.report().unwrap().instance_age, age);
    }
    assert_eq!(submit(&plain).wait().unwrap(), "denied: no variable");
}

/// An echo server for one connection.
fn answering_once() -> (u16, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).unwrap();
        write!(stream, "hello {heard}").unwrap();
    });
    (port, server)
}

// Preview 1 cannot connect, so these tests are for the later versions.

#[test]
fn a_granted_address_can_be_connected_to_and_no_other() {
    let pool = pool();
    for_each_component(&pool, |_, module| {
        let (port, server) = answering_once();
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        other.set_nonblocking(true).unwrap();
        let other_address = other.local_addr().unwrap().to_string();
        let granted = format!("127.0.0.1:{port}");
        let rights = Capabilities::new().net(&granted).unwrap();

        allowed(
            run(&pool, &module, &rights, &["connect", &granted]),
            "hello programs\n",
        );
        server.join().unwrap();
        let check = |arguments: &[&str], expected: &[&str]| {
            let child = start(&pool, &module, &rights, arguments);
            refused(child.wait().unwrap());
            assert_eq!(child.task().report().unwrap().refused, expected);
        };
        check(
            &["connect", &other_address],
            &[&format!("connect to {other_address}")],
        );
        check(
            &["connect", &format!("[::1]:{port}")],
            &[&format!("connect to [::1]:{port}")],
        );
        check(&["lookup", "localhost"], &["look up `localhost`"]);
        check(&["listen", "127.0.0.1:0"], &["bind to 127.0.0.1:0"]);
        // The program has a port by then, which the test does not know.
        let child = start(&pool, &module, &rights, &["listen", "0.0.0.0:0"]);
        refused(child.wait().unwrap());
        let listen = &child.task().report().unwrap().refused[0];
        assert!(listen.starts_with("listen on 0.0.0.0:"), "{listen}");
        check(&["udp", "127.0.0.1:0"], &[]);
        assert!(other.accept().is_err(), "nobody came");
    });
}

#[test]
fn a_granted_name_can_be_looked_up_and_connected_to() {
    let pool = pool();
    for_each_component(&pool, |_, module| {
        let (port, server) = answering_once();
        let rights = Capabilities::new()
            .net(&format!("LocalHost:{port}"))
            .unwrap();
        let output = run(&pool, &module, &rights, &["lookup", "localhost"]);
        let addresses = String::from_utf8(output.stdout).unwrap();
        assert!(
            addresses.lines().any(|address| address == "127.0.0.1"),
            "{addresses}"
        );
        // The address itself was not granted.
        refused(run(
            &pool,
            &module,
            &rights,
            &["connect", &format!("127.0.0.1:{port}")],
        ));
        let child = start(
            &pool,
            &module,
            &rights,
            &["connect", &format!("localhost:{}", port - 1)],
        );
        refused(child.wait().unwrap());
        assert!(!child.task().report().unwrap().refused.is_empty());
        let output = run(
            &pool,
            &module,
            &rights,
            &["connect", &format!("localhost:{port}")],
        );
        allowed(output, "hello programs\n");
        server.join().unwrap();
        let child = start(&pool, &module, &rights, &["lookup", "example.org"]);
        refused(child.wait().unwrap());
        assert_eq!(
            child.task().report().unwrap().refused,
            ["look up `example.org`"]
        );
    });
}

#[test]
fn a_program_that_waits_for_the_network_is_stopped() {
    let bench = Bench::with_workers(1);
    for_each_component(&bench.pool, |_, module| {
        // The system accepts the connection, and the server sends nothing.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = silent.local_addr().unwrap().to_string();
        let rights = Capabilities::new().net(&address).unwrap();
        // Enough time to connect.
        let options = TaskOptions::new().task_timeout(Duration::from_millis(500));
        let mut command = module.command().unwrap();
        command.args(["connect", &address]);
        command.options(options.capabilities(rights.clone()));
        let late = command.spawn(&bench.pool).unwrap();
        let outcome = late.wait_timeout(LONG).expect("it is stopped");
        assert_eq!(outcome.unwrap_err().kind(), TaskErrorKind::TimedOut);
        let waiting = start(&bench.pool, &module, &rights, &["connect", &address]);
        // The program is connected when the second connection is there.
        drop((silent.accept().unwrap(), silent.accept().unwrap()));
        waiting.kill();
        bench.assert_healthy();
    });
}

#[test]
fn a_deterministic_program_repeats_itself() {
    let pool = Pool::builder()
        .workers(2)
        .fuel_limit(u64::MAX)
        .build()
        .unwrap();
    for_each_program(&pool, |name, module| {
        let run = |rights: &Capabilities, arguments: &[&str]| {
            let child = start(&pool, &module, rights, arguments);
            let stdout = child.wait().unwrap().stdout;
            let fuel = child.task().report().unwrap().fuel.unwrap();
            (String::from_utf8(stdout).unwrap(), fuel)
        };
        let seed = |seed| Capabilities::new().deterministic(seed);
        let random = run(&seed(1), &["random"]);
        let clock = run(&seed(1), &["clock"]);
        assert!(random.1 > 0 && clock.1 > 0, "{name}");
        assert_eq!(clock.0, "946684800000000000 0\n", "{name}");
        for _ in 0..8 {
            assert_eq!(run(&seed(1), &["random"]), random, "{name}");
            assert_eq!(run(&seed(1), &["clock"]), clock, "{name}");
        }
        assert_ne!(run(&seed(2), &["random"]).0, random.0, "{name}");
        // Without determinism nothing repeats.
        let nothing = Capabilities::new();
        assert_ne!(
            run(&nothing, &["random"]).0,
            run(&nothing, &["random"]).0,
            "{name}"
        );
        assert_ne!(run(&nothing, &["clock"]).0, clock.0, "{name}");
    });
}

#[test]
fn a_deterministic_program_sleeps_in_its_own_time() {
    let pool = pool();
    for_each_program(&pool, |name, module| {
        let rights = Capabilities::new().deterministic(1);
        let a_day = 24 * 3_600_000_u64;
        let began = Instant::now();
        let output = run(&pool, &module, &rights, &["nap", &a_day.to_string()]);
        let slept = format!("{0} {0}\n", a_day * 1_000_000);
        assert_eq!(String::from_utf8(output.stdout).unwrap(), slept, "{name}");
        assert!(began.elapsed() < LONG);
    });
    // With a right that takes real time, sleeping takes real time.
    for_each_program(&pool, |_, module| {
        let rights = Capabilities::new().deterministic(1);
        let rights = rights.net("127.0.0.1:1").unwrap();
        let began = Instant::now();
        allowed(
            run(&pool, &module, &rights, &["nap", "50"]),
            "50000000 50000000\n",
        );
        assert!(began.elapsed() >= Duration::from_millis(50));
    });
}

#[test]
fn a_deterministic_guest_waits_for_the_earliest_of_its_timers() {
    let bench = Bench::with_workers(1);
    // The first timer fires after an hour.
    let rights = Capabilities::new().deterministic(1);
    let poll = bench.task::<u64, u64>("poll");
    let poll = poll.with(TaskOptions::new().capabilities(rights));
    let began = Instant::now();
    assert_eq!(
        bench.pool.submit(&poll, (100,)).unwrap().wait().unwrap(),
        100
    );
    assert!(began.elapsed() < LONG);
}

#[test]
fn a_deterministic_guest_sees_nothing_of_its_task() {
    let builder = Pool::builder().workers(2).task_timeout(LONG);
    let pool = builder.build().unwrap();
    let module = pool.load(wasmpool_guests::TOUR.path()).unwrap();
    type Told = std::collections::BTreeMap<String, wasmpool::Value>;
    let whereabouts = module.task::<(), Told>("whereabouts").unwrap();
    let rights = Capabilities::new().deterministic(1);
    let whereabouts = whereabouts.with(TaskOptions::new().capabilities(rights));
    // On any worker: both run some of these tasks.
    let futures = [(); 64].map(|()| pool.submit(&whereabouts, ()).unwrap());
    for future in futures {
        let told = future.wait().unwrap();
        assert_eq!(told["worker"], wasmpool::Value::Unsigned(0));
        assert_eq!(told["time_left_ms"], wasmpool::Value::Null);
        assert_eq!(told["is_stop_requested"], wasmpool::Value::Bool(false));
    }
}

#[test]
fn deterministic_numbers_are_bit_identical() {
    // Two NaNs with different signs and payloads, and their sum.
    let component = br#"(component
        (core module $m
            (func (export "sum") (param i32 i32) (result i32)
                (i32.reinterpret_f32 (f32.add
                    (f32.reinterpret_i32 (local.get 0)) (f32.reinterpret_i32 (local.get 1))))))
        (core instance $i (instantiate $m))
        (func (export "sum") (param "a" u32) (param "b" u32) (result u32)
            (canon lift (core func $i "sum"))))"#;
    let builder = Pool::builder().workers(1).no_cache();
    let pool = builder.deterministic_numbers().build().unwrap();
    let module = pool.load_bytes(component).unwrap();
    let sum = module.task::<(u32, u32), u32>("sum").unwrap();
    for (a, b) in [
        (0xFFC1_2345, 0x3F80_0000),
        (0x3F80_0000, 0x7FC5_4321),
        (0xFFC1_2345, 0x7FC5_4321),
        // Infinities of opposite sign.
        (0x7F80_0000, 0xFF80_0000),
    ] {
        let bits = pool.submit(&sum, (a, b)).unwrap().wait().unwrap();
        assert_eq!(bits, 0x7FC0_0000, "{a:x} + {b:x} = {bits:x}");
    }
}

#[test]
fn debug_output_of_rights_has_no_secrets() {
    let rights = Capabilities::new().env("PASSWORD", "hunter2");
    let text = format!("{rights:?}");
    assert!(
        text.contains("PASSWORD") && !text.contains("hunter2"),
        "{text}"
    );
}

#[test]
fn a_folder_stays_the_one_that_was_granted() {
    let tree = Tree::new();
    let root = tree.folder.path();
    let rights = Capabilities::new();
    let rights = rights.dir(root.join("inside"), "/data", Access::ReadOnly);
    // Another folder replaces it, and then a further one is granted.
    fs::rename(root.join("inside"), root.join("moved")).unwrap();
    symlink(root.join("outside"), root.join("inside")).unwrap();
    let rights = rights
        .unwrap()
        .dir(root.join("moved/sub"), "/sub", Access::ReadOnly);
    let rights = rights.unwrap();
    let pool = pool();
    for_each_program(&pool, |_, module| {
        allowed(
            run(&pool, &module, &rights, &["read", "/data/file"]),
            "open",
        );
    });
}
