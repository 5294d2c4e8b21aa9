//! The first request to end is enough, whatever a guest waits for.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::process::Command;

use crate::lease::Lease;
use crate::{Run, start};

fn programs() -> &'static str {
    wasmpool_guests::PROGRAMS.path().to_str().unwrap()
}

/// Starts a program on the only worker with the first input, which comes to its end, and then with
/// the other, which never does. Once `is_blocked` returns the program gets one SIGTERM.
fn check(flags: &[&str], words: &[&str], inputs: [&str; 2], is_blocked: impl FnOnce()) {
    let flags = [&["run", programs(), "-i", "-", "-w", "1"], flags, &["--"]].concat();
    let mut child = start(&[flags, words.to_vec()].concat());
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
