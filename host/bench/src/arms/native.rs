//! Native threads: as plain a pool as there is, of a channel of closures.
//!
//! It is the floor: no isolation, no limits, nothing can be stopped, and a crash ends all.

use std::hint::black_box;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::work::{CHUNK, Factorizes, How, digest};
use crate::failure::Failure;

type Job = Box<dyn FnOnce() + Send>;

/// A pool of threads. Dropping it lets them finish.
pub(crate) struct Threads {
    /// None only while it is dropped.
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
}

/// What a task will give.
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
            // Nobody may be interested any more.
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
            // A task that panicked has been missed by who waited for it.
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
