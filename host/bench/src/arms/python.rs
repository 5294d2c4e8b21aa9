//! Python's process pools: one Python process with one pool, which gets orders and answers with
//! the times that it measured.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::arm::{Arm, Site};
use super::work::{Factorizes, How};
use crate::failure::Failure;

const PYTHON: &str = "python3";
const SCRIPT: &str = include_str!("python.py");

/// A Python process with a process pool, for one order at a time. Dropping it ends both.
pub(crate) struct Python(Mutex<Interpreter>);

struct Interpreter {
    child: Child,
    answers: BufReader<ChildStdout>,
}

/// Python's answer to an order.
#[derive(Deserialize)]
#[serde(untagged)]
enum Answer {
    Good { seconds: f64, result: Value },
    Bad { error: String },
}

impl Python {
    pub(crate) fn start(arm: Arm, site: &Site) -> Result<Self, Failure> {
        let mut child = command(arm, site)?
            .arg("serve")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Self(Mutex::new(Interpreter { child, answers })))
    }

    /// Sends an order. Returns the measured time and the order's result.
    pub(crate) fn order(&self, way: &str, what: &Value) -> Result<(Duration, Value), Failure> {
        let mut python = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = python.child.stdin.as_mut().expect("it is piped");
        let gone = |_| Failure::new("Python is gone");
        writeln!(orders, "{}", json!([way, what])).map_err(gone)?;
        let mut line = String::new();
        if python.answers.read_line(&mut line).map_err(gone)? == 0 {
            return Err(Failure::new("Python is gone"));
        }
        match serde_json::from_str(&line)? {
            Answer::Good { seconds, result } => Ok((Duration::from_secs_f64(seconds), result)),
            Answer::Bad { error } => Err(Failure(error)),
        }
    }
}

impl Drop for Interpreter {
    fn drop(&mut self) {
        // Closing its input ends it and its workers in order.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// The command that starts the script, without its arguments.
pub(crate) fn command(arm: Arm, site: &Site) -> Result<Command, Failure> {
    // A file, not a string: where Python spawns its workers instead of forking, they load it
    // again.
    let script: PathBuf = site.folder.join("python.py");
    if !script.exists() {
        fs::write(&script, SCRIPT)?;
    }
    let mut command = Command::new(PYTHON);
    command
        .arg(script)
        .arg(arm.id())
        .arg(site.workers.to_string());
    Ok(command)
}

/// Python's version, if it is installed and its process pools work.
pub(crate) fn version(site: &Site) -> Result<String, Failure> {
    let output = command(Arm::Python, site)?
        .arg("version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Failure(format!("`{PYTHON}` cannot be started here: {error}")))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = stderr.lines().last().unwrap_or("it says nothing");
        return Err(Failure(format!("`{PYTHON}` has no process pools: {last}")));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

impl Factorizes for Python {
    fn factorize(&self, numbers: &[u64], how: How) -> Result<(Duration, u64), Failure> {
        let way = match how {
            How::OneByOne => "one_by_one",
            How::Together => "together",
            How::Chunks => "chunks",
        };
        // Many equal numbers are sent as one number and a count.
        let what = match numbers {
            [first, rest @ ..] if rest.iter().all(|n| n == first) => {
                json!({"number": first, "times": numbers.len()})
            }
            numbers => json!({"numbers": numbers}),
        };
        let (took, digest) = self.order(way, &what)?;
        let digest = digest.as_u64();
        Ok((
            took,
            digest.ok_or_else(|| Failure::new("Python gave no digest"))?,
        ))
    }
}
