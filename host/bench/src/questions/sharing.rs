//! The cost of one tenant of a pool to another.

use std::time::{Duration, Instant};

use wasmpool::{Pool, Shutdown, Task, TaskFuture, TaskOptions, Value};
use wasmpool_guests::{FACTORIZER, MISBEHAVING};

use super::times::of_times;
use crate::arms::{Arm, Site, TINY, sandbox};
use crate::bench::Bench;
use crate::failure::{Failure, check};
use crate::plan::Topic;
use crate::report::Question;
use crate::rounds::{Contestant, Samples};

const TOPIC: Topic = Topic::Sharing;

const ARMS: &[Arm] = &[Arm::Warm, Arm::Fresh];

/// How long a task of the other tenant computes: then its timeout ends it.
const SPIN_TIMEOUT: Duration = Duration::from_millis(50);

/// How many of those tasks the other tenant has queued, for each worker. They compute for longer
/// than the measurement takes.
const SPINNING: usize = 400;

const ALONE: [&str; 2] = [
    "one worker, alone: median",
    "one worker, alone: 99th percentile",
];
pub(crate) const ONE: [&str; 2] = [
    "one worker, beside a tenant that spins: median",
    "one worker, beside a tenant that spins: 99th percentile",
];
pub(crate) const ALL: [&str; 2] = [
    "all workers, beside a tenant that spins: median",
    "all workers, beside a tenant that spins: 99th percentile",
];
pub(crate) const MILLION: &str = "a tenant's first task, behind 1,000,000 queued ones of another";
const QUICK_FLOOD: &str = "a tenant's first task, behind 10,000 queued ones of another";

/// A pool with two tenants: one with small tasks, and one whose tasks spin.
struct Shared {
    pool: Pool,
    small: Task<(u64,), Vec<u64>>,
    spin: Task<(u64,), Value>,
}

impl Shared {
    fn start(arm: Arm, site: &Site, capacity: usize) -> Result<Self, Failure> {
        let builder = sandbox::builder(arm, site.workers);
        let builder = builder.cache_folder(site.cache()).queue_capacity(capacity);
        let pool = builder.build()?;
        Ok(Self {
            small: sandbox::task(&pool, FACTORIZER, "factorize")?,
            spin: sandbox::task(&pool, MISBEHAVING, "spin")?,
            pool,
        })
    }

    fn submit_spinning(
        &self,
        n_tasks: usize,
        options: TaskOptions,
    ) -> Result<Vec<TaskFuture<Value>>, Failure> {
        let spin = self.spin.clone().with(options.tenant("spins"));
        let submit = |_| Ok(self.pool.submit(&spin, (0,))?);
        (0..n_tasks).map(submit).collect()
    }

    /// The time that a small task of this tenant takes, in seconds.
    fn call(&self, tenant: &str) -> Result<f64, Failure> {
        let small = self.small.clone();
        let small = small.with(TaskOptions::new().tenant(tenant));
        let started = Instant::now();
        let factors = self.pool.submit(&small, (TINY,))?.wait()?;
        let took = started.elapsed();
        check(&factors, &vec![TINY])?;
        Ok(took.as_secs_f64())
    }

    /// The median and the 99th percentile of calls.
    fn calls(&self, n_calls: usize) -> Result<Vec<f64>, Failure> {
        let times = (0..n_calls).map(|_| self.call("small"));
        let mut times = times.collect::<Result<Vec<_>, _>>()?;
        times.sort_by(f64::total_cmp);
        let at = |percent: usize| times[(n_calls - 1) * percent / 100];
        Ok(vec![at(50), at(99)])
    }

    fn calls_beside_spinning(&self, n_calls: usize) -> Result<Vec<f64>, Failure> {
        let n_spinning = SPINNING * self.pool.workers();
        let limit = TaskOptions::new().task_timeout(SPIN_TIMEOUT);
        let spinning = Spinning(self.submit_spinning(n_spinning, limit)?);
        let times = self.calls(n_calls)?;
        if spinning.0.iter().all(TaskFuture::is_done) {
            return Err(Failure::new("the other tenant was done too early"));
        }
        Ok(times)
    }
}

/// Tasks that are cancelled at the end, and have ended then.
struct Spinning(Vec<TaskFuture<Value>>);

impl Drop for Spinning {
    fn drop(&mut self) {
        for future in &self.0 {
            future.cancel();
        }
        for future in &self.0 {
            let _ = future.wait();
        }
    }
}

pub(super) fn ask(bench: &mut Bench<'_>) -> Question {
    let (n_calls, n_queued, flood) = match bench.is_quick() {
        true => (200, 10_000, QUICK_FLOOD),
        false => (1000, 1_000_000, MILLION),
    };
    let start = |workers: Option<usize>, capacity| {
        move |arm, site: &Site| {
            let site = site.with_workers(workers.unwrap_or(site.workers));
            Shared::start(arm, &site, capacity)
        }
    };
    let ones = bench.set_up(TOPIC, ARMS, start(Some(1), SPINNING + 1));
    let capacity = SPINNING * bench.site.workers + 1;
    let alls = bench.set_up(TOPIC, ARMS, start(None, capacity));
    let mut contestants = Vec::new();
    for (arm, one) in &ones {
        contestants.push(Contestant::several(&ALONE, *arm, || one.calls(n_calls)));
        let beside = || one.calls_beside_spinning(n_calls);
        contestants.push(Contestant::several(&ONE, *arm, beside));
    }
    for (arm, all) in &alls {
        let beside = || all.calls_beside_spinning(n_calls);
        contestants.push(Contestant::several(&ALL, *arm, beside));
    }
    let mut samples = bench.play(TOPIC, contestants);
    samples.extend(behind_flood(bench, flood, n_queued));
    let method = format!(
        "The time of a small task from its submission to its result, over {n_calls} tasks, one \
         after another. The other tenant has {SPINNING} tasks for each worker in the queue, \
         which compute until their timeout of {} ms. First come, first served, each small task \
         would wait for all of them. Behind the flood, each round measures the first task of \
         a new tenant.",
        SPIN_TIMEOUT.as_millis()
    );
    of_times(bench, TOPIC, method, &samples)
}

/// By itself, since its pool computes all the time.
fn behind_flood(bench: &mut Bench<'_>, subject: &str, n_queued: usize) -> Vec<Samples> {
    let floods = bench.set_up(TOPIC, &[Arm::Fresh], |arm, site| {
        let shared = Shared::start(arm, site, n_queued + 1)?;
        let queued = shared.submit_spinning(n_queued, TaskOptions::new())?;
        Ok((shared, queued))
    });
    let contestants = floods.iter().map(|(arm, (shared, _))| {
        let mut n_tenants = 0;
        Contestant::single(subject, *arm, move || {
            n_tenants += 1;
            shared.call(&format!("newcomer {n_tenants}"))
        })
    });
    let samples = bench.play(TOPIC, contestants.collect());
    for (_, (shared, _)) in &floods {
        shared.pool.shutdown(Shutdown::Terminate);
    }
    samples
}
