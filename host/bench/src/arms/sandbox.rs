//! wasmpool itself, set up as users have it: with a timeout, a memory limit, reports and captured
//! output.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use wasmpool::{Isolation, MemoryReset, Pool, PoolBuilder, Task, TaskOptions};
use wasmpool_guests::Guest;

use super::arm::{Arm, Site};
use super::work::{CHUNK, Factorizes, How, digest};
use crate::failure::Failure;

/// Longer than any task here runs, and realistic for a user.
pub(crate) const TASK_TIMEOUT: Duration = Duration::from_secs(60);

/// Enough to echo 16 MiB.
pub(crate) const MEMORY_LIMIT: usize = 256 << 20;

/// The settings of an arm, except the cache folder.
pub(crate) fn builder(arm: Arm, workers: usize) -> PoolBuilder {
    let builder = Pool::builder()
        .workers(workers)
        .task_timeout(TASK_TIMEOUT)
        .memory_limit(MEMORY_LIMIT);
    match arm {
        Arm::Warm | Arm::Function => builder.isolation(Isolation::Worker),
        Arm::Unchecked => builder
            .isolation(Isolation::Worker)
            .uninterruptible_guests(),
        Arm::PageWise => builder
            .isolation(Isolation::Task)
            .memory_reset(MemoryReset::PageWise),
        _ => builder.isolation(Isolation::Task),
    }
}

/// A pool of this arm, with the cache of this run.
pub(crate) fn pool(arm: Arm, site: &Site) -> Result<Pool, Failure> {
    let builder = builder(arm, site.workers).cache_folder(site.cache());
    Ok(builder.build()?)
}

/// A task of a guest.
pub(crate) fn task<Args: wasmpool::Arguments, Out>(
    pool: &Pool,
    guest: Guest,
    name: &str,
) -> Result<Task<Args, Out>, Failure> {
    Ok(pool.load_bytes(guest.wasm)?.task(name)?)
}

/// A pool with the factorizer in it.
pub(crate) struct Factorizer {
    pub(crate) pool: Pool,
    pub(crate) factorize: Task<(u64,), Vec<u64>>,
    in_chunks: Task<(u64,), Vec<u64>>,
}

impl Factorizer {
    pub(crate) fn new(arm: Arm, site: &Site) -> Result<Self, Failure> {
        Self::in_pool(pool(arm, site)?)
    }

    pub(crate) fn in_pool(pool: Pool) -> Result<Self, Failure> {
        let factorize = task(&pool, wasmpool_guests::FACTORIZER, "factorize")?;
        let chunk = NonZeroUsize::new(CHUNK).expect("it is not zero");
        Ok(Self {
            in_chunks: factorize.with(TaskOptions::new().chunk_size(chunk)),
            factorize,
            pool,
        })
    }
}

impl Factorizes for Factorizer {
    fn factorize(&self, numbers: &[u64], how: How) -> Result<(Duration, u64), Failure> {
        let submit = |n: u64| self.pool.submit(&self.factorize, (n,));
        let started = Instant::now();
        let mut results = Vec::with_capacity(numbers.len());
        match how {
            How::OneByOne => {
                for &n in numbers {
                    results.push(submit(n)?.wait()?);
                }
            }
            How::Together => {
                let futures = numbers.iter().map(|&n| submit(n));
                for future in futures.collect::<Result<Vec<_>, _>>()? {
                    results.push(future.wait()?);
                }
            }
            How::Chunks => {
                for outcome in self.pool.map(&self.in_chunks, numbers.iter().copied()) {
                    results.push(outcome?);
                }
            }
        }
        Ok((started.elapsed(), digest(results)))
    }
}
