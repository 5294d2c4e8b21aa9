//! A worker process of native code: this program once more, which gets calls over its
//! standard input and answers over its standard output.
//!
//! A message is its length, four bytes, and so many bytes of MessagePack.

use std::io::{Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};

use super::ECHO;
use crate::support::{Run, clocked};

/// The argument that makes a worker of this program.
pub(crate) const IS_WORKER: &str = "--worker";

#[derive(Serialize, Deserialize)]
enum Call<'a> {
    Factorize(u64),
    #[serde(borrow)]
    Echo(&'a Bytes),
}

/// What the worker does until its input ends.
pub(crate) fn work() {
    let (mut calls, mut results) = (std::io::stdin().lock(), std::io::stdout().lock());
    let (mut message, mut answer) = (Vec::new(), Vec::new());
    while receive(&mut calls, &mut message).is_ok() {
        match rmp_serde::from_slice(&message).expect("it is a call") {
            Call::Factorize(n) => write(&mut answer, &factorizer::factorize(n)),
            Call::Echo(bytes) => write(&mut answer, bytes),
        }
        results.write_all(&answer).expect("somebody listens");
        results.flush().expect("somebody listens");
    }
}

/// The side of the one who calls. Dropping it ends the worker.
struct Worker {
    child: Child,
    results: ChildStdout,
    message: Vec<u8>,
}

impl Worker {
    fn start() -> Self {
        let program = std::env::current_exe().expect("this program lies somewhere");
        let mut child = Command::new(program)
            .arg(IS_WORKER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program can be started");
        Self {
            results: child.stdout.take().expect("it is piped"),
            child,
            message: Vec::new(),
        }
    }

    fn call<Out: DeserializeOwned>(&mut self, call: &Call<'_>) -> Out {
        write(&mut self.message, call);
        let calls = self.child.stdin.as_mut().expect("it is piped");
        calls.write_all(&self.message).expect("it listens");
        receive(&mut self.results, &mut self.message).expect("it answers");
        rmp_serde::from_slice(&self.message).expect("it is what was asked for")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Closes the worker's input first.
        self.child.wait().expect("nobody else waits for it");
    }
}

/// Factorizes `n`, one call at a time.
pub(crate) fn round_trips(n: u64) -> Run<'static> {
    let mut worker = Worker::start();
    let expected = factorizer::factorize(n);
    clocked(move |times| {
        for _ in 0..times {
            assert_eq!(worker.call::<Vec<u64>>(&Call::Factorize(n)), expected);
        }
    })
}

/// Sends a mebibyte there and back.
pub(crate) fn echoes() -> Run<'static> {
    let mut worker = Worker::start();
    super::echoes(move || worker.call::<ByteBuf>(&Call::Echo(Bytes::new(&ECHO))))
}

/// Makes a message of a value.
fn write(message: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) {
    message.clear();
    message.extend([0; 4]);
    rmp_serde::encode::write(message, value).expect("a vector takes all");
    let length = u32::try_from(message.len() - 4).expect("it is not that long");
    message[..4].copy_from_slice(&length.to_le_bytes());
}

/// Reads the next message, without its length.
fn receive(from: &mut impl Read, message: &mut Vec<u8>) -> std::io::Result<()> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    message.resize(u32::from_le_bytes(length) as usize, 0);
    from.read_exact(message)
}
