//! The Python process: started once, told what to run, and answering with its own times.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::{ECHOED, MIB};
use crate::support::Run;

/// From a path and not from a string: where Python starts its workers anew, and does not
/// fork them, they load the file again.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/rivals/python.py");

/// A Python process with a process pool. Dropping it ends both. Its arms share it.
pub(crate) struct Python(Mutex<Process>);

struct Process {
    child: Child,
    answers: BufReader<ChildStdout>,
}

impl Python {
    /// None where there is no `python3`.
    pub(crate) fn start(workers: usize) -> Option<Self> {
        let child = Command::new("python3")
            .arg(SCRIPT)
            .arg(workers.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.ok()?;
        Some(Self(Mutex::new(Process {
            answers: BufReader::new(child.stdout.take().expect("it is piped")),
            child,
        })))
    }

    /// Factorizes `n` in the given way of the script.
    pub(crate) fn factorize<'a>(&'a self, way: &'a str, n: u64) -> Run<'a> {
        let sum = factorizer::factorize(n).iter().sum::<u64>();
        Box::new(move |times| self.run(way, n, times, sum * u64::from(times)))
    }

    /// Sends a mebibyte there and back; the last one is looked at.
    pub(crate) fn echo(&self) -> Run<'_> {
        let sum = u64::from(ECHOED) * MIB as u64;
        Box::new(move |times| self.run("echo", MIB as u64, times, sum))
    }

    fn run(&self, way: &str, n: u64, times: u32, expected_sum: u64) -> Duration {
        let mut python = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = python.child.stdin.as_mut().expect("it is piped");
        writeln!(orders, "{way} {n} {times}").expect("Python listens");
        let mut answer = String::new();
        let read = python.answers.read_line(&mut answer);
        read.expect("Python answers in text");
        let (seconds, sum) = answer
            .trim_end()
            .split_once(' ')
            .expect("Python has not failed");
        assert_eq!(sum.parse(), Ok(expected_sum), "{way} {n}");
        Duration::from_secs_f64(seconds.parse().expect("it is a number"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Closes its input first.
        self.child.wait().expect("nobody else waits for it");
    }
}
