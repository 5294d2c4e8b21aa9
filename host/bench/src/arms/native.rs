//! Native threads: a minimal pool on a channel of closures.
//!
//! The lower bound of the cost: no isolation, no limits, no task can be stopped, and a crash ends
//! the process.

use std::hint::black_box;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::work::{CHUNK, Factorizes, How, digest};
use crate::failure::Failure;

type Job = Box<dyn FnOnce() + Send>;

/// A pool of threads. The drop blocks until they have finished all jobs.
pub(crate) struct Threads {
    /// `None` only during the drop.
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// The future result of a task.
pub(crate) struct Pending<T>(Receiver<T>);

impl Threads {
    pub(crate) fn start(workers: usize) -> Self {
        let (sender, jobs) = crossbeam_channel::unbounded::<Job>();
        let work = |_| {
            let jobs = jobs.clone();
            thread::spawn(move || jobs.iter().for_each(|job| job()))
        };
        Self {
            threads: (0..workers).map(work).collect(),
            jobs: Some(sender),
        }
    }

    pub(crate) fn submit<T: Send + 'static>(
        &self,
        run: impl FnOnce() -> T + Send + 'static,
    ) -> Pending<T> {
        let (sender, result) = crossbeam_channel::bounded(1);
        let job = Box::new(move || {
            // The caller may have dropped the receiver.
            let _ = sender.send(run());
        });
        let jobs = self.jobs.as_ref().expect("it is not being dropped");
        jobs.send(job).expect("the threads hold the other side");
        Pending(result)
    }
}

impl<T> Pending<T> {
    pub(crate) fn wait(self) -> Result<T, Failure> {
        Ok(self.0.recv()?)
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // The caller of a task that panicked has got an error.
            let _ = thread.join();
        }
    }
}

impl Factorizes for Threads {
    fn factorize(&self, numbers: &[u64], how: How) -> Result<(Duration, u64), Failure> {
        let factorize = |n: u64| self.submit(move || factorizer::factorize(black_box(n)));
        let started = Instant::now();
        let results = match how {
            How::OneByOne => {
                let results = numbers.iter().map(|&n| factorize(n).wait());
                results.collect::<Result<Vec<_>, _>>()?
            }
            How::Together => {
                let pending = numbers.iter().map(|&n| factorize(n));
                let pending = pending.collect::<Vec<_>>();
                let results = pending.into_iter().map(Pending::wait);
                results.collect::<Result<Vec<_>, _>>()?
            }
            How::Chunks => {
                let chunks = numbers.chunks(CHUNK).map(|chunk| {
                    let chunk = chunk.to_vec();
                    self.submit(move || {
                        let results = chunk
                            .into_iter()
                            .map(|n| factorizer::factorize(black_box(n)));
                        results.collect::<Vec<_>>()
                    })
                });
                let chunks = chunks.collect::<Vec<_>>();
                let results = chunks.into_iter().map(Pending::wait);
                let results = results.collect::<Result<Vec<_>, _>>()?;
                results.into_iter().flatten().collect()
            }
        };
        Ok((started.elapsed(), digest(results)))
    }
}
