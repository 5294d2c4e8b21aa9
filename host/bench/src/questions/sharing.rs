//! The cost of one tenant of a pool to another.

use std::time::{Duration, Instant};

use wasmpool::{Capabilities, Pool, Shutdown, Task, TaskFuture, TaskOptions, Value};
use wasmpool_guests::{FACTORIZER, MISBEHAVING, TEAMWORK};

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

/// How many of those tasks the other tenant has queued, for each worker: for longer than the
/// measurement takes.
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
pub(crate) const ONE_HOSTILE: [&str; 2] = [
    "one worker, beside a hostile tenant: median",
    "one worker, beside a hostile tenant: 99th percentile",
];
pub(crate) const ALL_HOSTILE: [&str; 2] = [
    "all workers, beside a hostile tenant: median",
    "all workers, beside a hostile tenant: 99th percentile",
];
pub(crate) const MILLION: &str = "a tenant's first task, behind 1,000,000 queued ones of another";
const QUICK_FLOOD: &str = "a tenant's first task, behind 10,000 queued ones of another";

/// What the other tenant's tasks do, with their arguments: computing without an end.
const SPINNING_TASKS: &[(&str, &[u64])] = &[("spin", &[0])];

/// The same, of a tenant that takes what it can: children, shared objects and their bytes, and
/// handles of other tasks.
const HOSTILE_TASKS: &[(&str, &[u64])] = &[
    ("start_many", &[1_000]),
    ("hoard", &[1 << 20, 1 << 16]),
    ("guess", &[1 << 30]),
];

/// A pool with two tenants: one with small tasks, and another.
struct Shared {
    pool: Pool,
    small: Task<(u64,), Vec<u64>>,
    spinning: Vec<Other>,
    hostile: Vec<Other>,
}

/// A task of the other tenant, and its arguments.
type Other = (Task<Vec<u64>, Value>, &'static [u64]);

impl Shared {
    fn start(arm: Arm, site: &Site, capacity: usize) -> Result<Self, Failure> {
        let builder = sandbox::builder(arm, site.workers);
        let builder = builder.cache_folder(site.cache()).queue_capacity(capacity);
        let pool = builder.build()?;
        let teamwork = pool.load_bytes(TEAMWORK.wasm)?;
        let teamwork = teamwork.with_capabilities(Capabilities::new().tasks());
        let misbehaving = pool.load_bytes(MISBEHAVING.wasm)?;
        let spinning = SPINNING_TASKS.iter();
        let spinning = spinning.map(|(name, args)| Ok((misbehaving.task(name)?, *args)));
        let hostile = HOSTILE_TASKS.iter();
        let hostile = hostile.map(|(name, args)| Ok((teamwork.task(name)?, *args)));
        Ok(Self {
            small: sandbox::task(&pool, FACTORIZER, "factorize")?,
            spinning: spinning.collect::<Result<_, Failure>>()?,
            hostile: hostile.collect::<Result<_, Failure>>()?,
            pool,
        })
    }

    /// Submits tasks of the other tenant.
    fn submit(
        &self,
        others: &[Other],
        n_tasks: usize,
        options: &TaskOptions,
    ) -> Result<Vec<TaskFuture<Value>>, Failure> {
        let options = options.clone().tenant("other");
        let others = others.iter().cycle().take(n_tasks);
        let submit = |(task, arguments): &Other| {
            let task = task.clone().with(options.clone());
            Ok(self.pool.submit(&task, arguments.to_vec())?)
        };
        others.map(submit).collect()
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

    fn calls_beside(&self, others: &[Other], n_calls: usize) -> Result<Vec<f64>, Failure> {
        let n_others = SPINNING * self.pool.workers();
        let limit = TaskOptions::new().task_timeout(SPIN_TIMEOUT);
        let others = Others(self.submit(others, n_others, &limit)?);
        let times = self.calls(n_calls)?;
        if others.0.iter().all(TaskFuture::is_done) {
            return Err(Failure::new("the other tenant was done too early"));
        }
        Ok(times)
    }
}

/// Tasks that are cancelled at the end, and have ended then.
struct Others(Vec<TaskFuture<Value>>);

impl Drop for Others {
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
        for (subjects, others) in [(&ONE, &one.spinning), (&ONE_HOSTILE, &one.hostile)] {
            let beside = move || one.calls_beside(others, n_calls);
            contestants.push(Contestant::several(subjects, *arm, beside));
        }
    }
    for (arm, all) in &alls {
        for (subjects, others) in [(&ALL, &all.spinning), (&ALL_HOSTILE, &all.hostile)] {
            let beside = move || all.calls_beside(others, n_calls);
            contestants.push(Contestant::several(subjects, *arm, beside));
        }
    }
    let mut samples = bench.play(TOPIC, contestants);
    samples.extend(behind_flood(bench, flood, n_queued));
    let method = format!(
        "The time of a small task from its submission to its result, over {n_calls} tasks, one \
         after another. The other tenant has {SPINNING} tasks for each worker in the queue, \
         which compute until their timeout of {} ms. First come, first served, each small task \
         would wait for all of them. The tasks of a hostile tenant start children without an \
         end, hoard queues full of bytes, or guess handles. Behind the flood, each round measures the first task of \
         a new tenant.",
        SPIN_TIMEOUT.as_millis()
    );
    of_times(bench, TOPIC, method, &samples)
}

/// By itself, since its pool computes all the time.
fn behind_flood(bench: &mut Bench<'_>, subject: &str, n_queued: usize) -> Vec<Samples> {
    let floods = bench.set_up(TOPIC, &[Arm::Fresh], |arm, site| {
        let shared = Shared::start(arm, site, n_queued + 1)?;
        let queued = shared.submit(&shared.spinning, n_queued, &TaskOptions::new())?;
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
