//! The first request to end is enough, whatever a guest waits for.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::lease::Lease;
use crate::{Run, start, wasmpool};

fn programs() -> &'static str {
    wasmpool_guests::PROGRAMS.path().to_str().unwrap()
}

/// Starts a program on the only worker with the first input, which comes to its end, and then with
/// the other, which never does. Once `is_blocked` returns the program gets one SIGTERM.
fn check(flags: &[&str], words: &[&str], inputs: [&str; 2], is_blocked: impl FnOnce()) {
    let flags = [&["run", programs(), "-i", "-", "-w", "1"], flags, &["--"]].concat();
    let child = start(&[flags, words.to_vec()].concat());
    check_started(child, inputs, is_blocked);
}

fn check_started(mut child: Child, inputs: [&str; 2], is_blocked: impl FnOnce()) {
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{}\n{}", inputs[0], inputs[1]).unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"index\":0,"), "{line}");
    is_blocked();
    let killed = Command::new("kill").arg(child.id().to_string()).status();
    assert!(killed.unwrap().success());
    let run = Run::of(child.wait_with_output().unwrap());
    run.assert_code(130).assert_stderr("1 cancelled");
    drop(stdin);
}

#[test]
fn one_sigterm_is_enough_for_a_guest_that_computes_or_sleeps() {
    check(&[], &["{}"], ["args", "spin"], || ());
    check(&[], &["sleep", "{}"], ["0", "3600000"], || ());
}

#[test]
fn one_sigterm_is_enough_for_a_guest_that_waits_for_the_network() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    let flags = ["--allow-net", &address];
    let mut connection = None;
    // The first address is refused.
    let inputs = ["127.0.0.1:1", &address];
    check(&flags, &["connect", "{}"], inputs, || {
        connection = Some(silent.accept().unwrap());
    });
}

#[test]
fn one_sigterm_is_enough_for_a_guest_that_waits_for_a_disk() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["file", "other"] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let folder = folder.path().to_str().unwrap();
    for disk in ["", ":slow"] {
        let mut lease = Lease::take(format!("{folder}/other").as_ref());
        let grant = format!("{folder}::/data:ro{disk}");
        let inputs = ["file", "other"];
        check(&["--dir", &grant], &["read", "/data/{}"], inputs, || {
            lease.wait_until_asked_for();
        });
    }
}

/// A system whose name server never answers: its look-ups come to no end.
struct SilentNameServer(TempDir);

impl SilentNameServer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let silent = Self(folder);
        let source = r#"
            #include <fcntl.h>
            #include <stdlib.h>
            #include <unistd.h>
            int getaddrinfo(const char *name, const char *service, const void *hints, void **found) {
                close(creat(getenv("LOOKED_UP"), 0600));
                for (;;) pause();
            }
        "#;
        fs::write(silent.path("silent.c"), source).unwrap();
        let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
        let built = Command::new(compiler)
            .args(["-shared", "-fPIC", "-o"])
            .args([silent.path("silent.so"), silent.path("silent.c")])
            .status();
        assert!(built.unwrap().success());
        silent
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The program, with the right to look up names and an address.
    fn run(&self, flags: &[&str]) -> Command {
        let rights = ["--allow-net", "a.example:1", "--allow-net", "127.0.0.1:1"];
        let run = ["run", programs(), "-w", "1"];
        let mut command = wasmpool(&[&run, &rights, flags].concat());
        command
            .env("LD_PRELOAD", self.path("silent.so"))
            .env("LOOKED_UP", self.path("looked-up"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn wait_until_asked(&self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.path("looked-up").exists() {
            assert!(Instant::now() < deadline, "nobody asks");
            std::thread::yield_now();
        }
    }
}

#[test]
#[cfg(target_os = "linux")]
fn one_sigterm_is_enough_for_a_guest_that_waits_for_a_name_server() {
    let silent = SilentNameServer::new();
    let child = silent
        .run(&["-i", "-", "--", "lookup", "{}"])
        .spawn()
        .unwrap();
    check_started(child, ["127.0.0.1", "a.example"], || {
        silent.wait_until_asked()
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_guest_that_waits_for_a_name_server_times_out_and_the_next_one_runs() {
    let silent = SilentNameServer::new();
    let flags = ["-i", "-", "--timeout", "500ms", "--", "lookup", "{}"];
    let mut child = silent.run(&flags).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "a.example\n127.0.0.1").unwrap();
    drop(stdin);
    let run = Run::of(child.wait_with_output().unwrap());
    silent.wait_until_asked();
    let lines = run.lines();
    assert_eq!(lines[0]["error"]["kind"], "timed-out", "{}", run.stdout);
    assert_eq!(lines[1]["output"]["stdout"], json!("127.0.0.1\n"));
}
