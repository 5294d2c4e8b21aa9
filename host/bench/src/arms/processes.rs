//! A pool of native worker processes behind pipes: this program again, which reads calls from its
//! standard input and answers on its standard output, in MessagePack.
//!
//! Shows the cost of processes without Python. Each worker has a thread in the pool. Small waiting
//! calls are written together, so that the pool is fast. When a worker dies, its task fails and
//! the worker is replaced.

use std::io::Write as _;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use serde::de::DeserializeOwned;

use super::arm::Site;
use super::wire::{self, Call};
use super::work::{CHUNK, Factorizes, How, digest};
use super::worker;
use crate::failure::Failure;

/// The most calls that are written together.
const BATCH: usize = 16;

/// A larger message is written alone, so that the pool and the worker never both block in a write
/// with full pipes.
const SMALL: usize = 1 << 10;

/// One worker process. Dropping it kills the process.
pub(crate) struct Worker {
    child: Child,
    results: ChildStdout,
}

impl Worker {
    pub(crate) fn start(site: &Site) -> Result<Self, Failure> {
        let mut child = Command::new(&site.program)
            .args([worker::SUBCOMMAND, worker::SERVE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let results = child.stdout.take().expect("it is piped");
        Ok(Self { child, results })
    }

    /// Sends a call without waiting for its result.
    pub(crate) fn tell(&mut self, call: &Call<'_>) -> Result<(), Failure> {
        let mut message = Vec::new();
        wire::write(&mut message, call);
        self.send(&message)
    }

    /// Sends a call and waits for its result.
    pub(crate) fn call<Out: DeserializeOwned>(&mut self, call: &Call<'_>) -> Result<Out, Failure> {
        self.tell(call)?;
        decode(&self.receive()?)
    }

    /// Kills the process and waits for its end.
    pub(crate) fn kill(&mut self) {
        // Errors mean that the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    fn send(&mut self, messages: &[u8]) -> Result<(), Failure> {
        let calls = self.child.stdin.as_mut().expect("it is piped");
        Ok(calls.write_all(messages)?)
    }

    fn receive(&mut self) -> Result<Vec<u8>, Failure> {
        let mut message = Vec::new();
        wire::receive(&mut self.results, &mut message)?;
        Ok(message)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The pool. Dropping it ends the workers.
pub(crate) struct Workers {
    /// None only while it is dropped.
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

struct Job {
    message: Vec<u8>,
    result: Sender<Result<Vec<u8>, Failure>>,
}

/// The future result of a call.
pub(crate) struct Pending(Receiver<Result<Vec<u8>, Failure>>);

impl Workers {
    /// Starts the workers. Calls to a worker that cannot be started fail.
    pub(crate) fn start(site: &Site) -> Self {
        let (sender, jobs) = crossbeam_channel::unbounded::<Job>();
        let look_after = |_| {
            let (jobs, site) = (jobs.clone(), site.clone());
            thread::spawn(move || look_after_worker(&jobs, &site))
        };
        Self {
            threads: (0..site.workers).map(look_after).collect(),
            jobs: Some(sender),
        }
    }

    pub(crate) fn submit(&self, call: &Call<'_>) -> Pending {
        let mut message = Vec::new();
        wire::write(&mut message, call);
        let (result, pending) = crossbeam_channel::bounded(1);
        let jobs = self.jobs.as_ref().expect("it is not being dropped");
        jobs.send(Job { message, result })
            .expect("the threads hold the other side");
        Pending(pending)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            thread.join().expect("it does not panic");
        }
    }
}

impl Pending {
    pub(crate) fn wait<Out: DeserializeOwned>(self) -> Result<Out, Failure> {
        decode(&self.0.recv()??)
    }
}

/// The body of a worker's thread, until the pool is dropped.
fn look_after_worker(jobs: &Receiver<Job>, site: &Site) {
    let mut worker = Worker::start(site);
    let mut batch = Vec::new();
    while let Ok(first) = jobs.recv() {
        let mut is_small = first.message.len() <= SMALL;
        batch.push(first);
        while is_small
            && batch.len() < BATCH
            && let Ok(next) = jobs.try_recv()
        {
            is_small = next.message.len() <= SMALL;
            batch.push(next);
        }
        // A large call goes last, so the answers of those before it fit into the pipe.
        while !batch.is_empty() {
            let n_done = run_batch(&mut worker, &batch);
            let is_all = n_done == batch.len();
            batch.drain(..n_done);
            if !is_all {
                // Answers come in order: the first missing one was running, and those behind it
                // were not.
                let lost = batch.remove(0);
                let _ = lost.result.send(Err(Failure::new("its worker died")));
                worker = Worker::start(site);
            }
        }
    }
}

/// Sends the calls and passes the answers on. Returns how many were answered.
fn run_batch(worker: &mut Result<Worker, Failure>, batch: &[Job]) -> usize {
    let Ok(worker) = worker else {
        return 0;
    };
    let sent = match batch {
        [only] => worker.send(&only.message),
        batch => {
            let messages = batch.iter().map(|job| job.message.as_slice());
            worker.send(&messages.collect::<Vec<_>>().concat())
        }
    };
    if sent.is_err() {
        return 0;
    }
    let answered = batch.iter().map_while(|job| {
        let answer = worker.receive().ok()?;
        // The caller may have dropped the receiver.
        let _ = job.result.send(Ok(answer));
        Some(())
    });
    answered.count()
}

fn decode<Out: DeserializeOwned>(message: &[u8]) -> Result<Out, Failure> {
    Ok(rmp_serde::from_slice(message)?)
}

impl Factorizes for Workers {
    fn factorize(&self, numbers: &[u64], how: How) -> Result<(Duration, u64), Failure> {
        let factorize = |n: u64| self.submit(&Call::Factorize(n));
        let started = Instant::now();
        let mut results = Vec::<Vec<u64>>::with_capacity(numbers.len());
        match how {
            How::OneByOne => {
                for &n in numbers {
                    results.push(factorize(n).wait()?);
                }
            }
            How::Together => {
                let pending = numbers.iter().map(|&n| factorize(n));
                for pending in pending.collect::<Vec<_>>() {
                    results.push(pending.wait()?);
                }
            }
            How::Chunks => {
                let chunks = numbers.chunks(CHUNK);
                let pending = chunks.map(|chunk| self.submit(&Call::FactorizeMany(chunk.to_vec())));
                for pending in pending.collect::<Vec<_>>() {
                    results.extend(pending.wait::<Vec<_>>()?);
                }
            }
        }
        Ok((started.elapsed(), digest(results)))
    }
}
