//! The soak: tasks of all kinds at once, for as long as you like, on pools that are used in all ways.
//! Each accepted task settles once and as its kind may, and after the first minute the process
//! holds no more memory, threads, files and mappings than before.
//!
//! `WASMPOOL_SOAK` is its length in seconds; 8 by default, with the first third in the place of
//! the first minute. It takes longer where that is too short for `growth::ENOUGH_TASKS`.
//!
//! A soak has laps. In a lap threads submit and cancel, and other pools are made and dropped. At its
//! end all tasks come to theirs, the counts are compared, and the process is looked at.
//!
//! Only on Linux, which tells what a process holds. `tests/library/stress.rs` has the claims about
//! the ends of tasks for all systems.

#![cfg(target_os = "linux")]

#[path = "../library/footprint.rs"]
mod footprint;
mod growth;
mod load;
mod mix;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use wasmpool::{Isolation, Pool, Shutdown, TaskErrorKind as Kind, TenantLimits};

use crate::footprint::Footprint;
use crate::growth::{ENOUGH_TASKS, Growth, Sample};
use crate::load::{Loaded, cancel_at_random};
use crate::mix::Plan;

const MIB: usize = 1 << 20;

/// The length of a soak where nobody asks for another, in seconds.
const SHORT: f64 = 8.0;

/// The longest time for which growth does not count: what is used again is used for the first time.
const WARM_UP: Duration = Duration::from_secs(60);

/// The longest lap.
const LAP: Duration = Duration::from_secs(10);

/// The time between two pools that are dropped.
const BETWEEN_DROPS: Duration = Duration::from_millis(200);

/// Far longer than the system takes to clear a thread away that has ended.
const LINGERING: Duration = Duration::from_secs(5);

/// How many arenas glibc has for the memory of a process. By default threads have arenas of their own:
/// freed memory stays scattered over them, and that of the process grows for minutes although
/// nothing leaks. So the soak has a process of its own, with one arena.
const ARENAS: &str = "MALLOC_ARENA_MAX";

/// Determines the choices, but not the timing.
const SEED: u64 = 0x50AC;

/// The tenants of each pool; tasks of the last one have no name.
const TENANTS: [Option<&str>; 3] = [Some("one"), Some("other"), None];

#[test]
fn every_task_settles_once_and_nothing_is_left_behind() {
    if std::env::var(ARENAS).is_ok_and(|arenas| arenas == "1") {
        return soak();
    }
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "every_task_settles_once_and_nothing_is_left_behind",
            "--exact",
            "--nocapture",
        ])
        .env(ARENAS, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut has_run = false;
    for line in lines {
        let line = line.unwrap();
        has_run |= line.starts_with("test result: ok. 1 passed");
        println!("{line}");
    }
    assert!(child.wait().unwrap().success() && has_run);
}

fn soak() {
    let length = match std::env::var("WASMPOOL_SOAK") {
        Ok(seconds) => seconds.parse().expect("WASMPOOL_SOAK is in seconds"),
        Err(_) => SHORT,
    };
    let length = Duration::from_secs_f64(length);
    let mut soak = Soak::new();
    println!(
        "{:.0} s, of which {:.0} to warm up",
        length.as_secs_f64(),
        WARM_UP.min(length / 3).as_secs_f64()
    );
    let started = Instant::now();
    let mut samples = Vec::<Sample>::new();
    let has_enough = |samples: &[Sample]| match samples {
        [first, .., last] => last.tasks - first.tasks >= ENOUGH_TASKS && samples.len() >= 9,
        _ => false,
    };
    while started.elapsed() < length || !has_enough(&samples) {
        let busy = soak.lap(LAP.min(length / 20));
        let sample = soak.at_rest(samples.last());
        println!("{:6.1} s: {}", started.elapsed().as_secs_f64(), soak.ends());
        println!("          under load {busy}");
        println!("          at rest    {}", sample.footprint);
        if started.elapsed() >= WARM_UP.min(length / 3) && sample.tasks >= ENOUGH_TASKS / 3 {
            samples.push(sample);
        }
    }
    soak.pools.iter().for_each(Loaded::check_workers);
    let growth = Growth::of_all(&samples);
    growth.iter().for_each(|growth| println!("{growth}"));
    for growth in growth {
        assert!(growth.is_within_margin(), "{growth}");
    }
}

/// The pools that live as long as the soak.
struct Soak {
    pools: [Loaded; 2],
    rng: Rng,
    n_dropped: u64,
    /// Tasks of pools that were dropped.
    n_dropped_tasks: u64,
}

impl Soak {
    fn new() -> Self {
        // Few places for instances and for suspended tasks, so that all of them are used at once.
        let builder = || Pool::builder().workers(2).max_suspended(12);
        // Where several grow at once, one has no room.
        let fresh = builder().queue_capacity(200).memory_budget(40 * MIB);
        let warm = builder()
            .isolation(Isolation::Worker)
            .max_tasks_per_instance(50)
            .max_kept_memory(4 * MIB)
            .queue_capacity(100)
            .queue_capacity_bytes(10_000)
            .tenant_limits(TenantLimits::new().queue_capacity(60).max_running(4));
        let pools = [
            Loaded::new(fresh, &[Kind::MemoryBudget]),
            Loaded::new(warm, &[]),
        ];
        pools.iter().for_each(Loaded::fill);
        Self {
            pools,
            rng: Rng::with_seed(SEED),
            n_dropped: 0,
            n_dropped_tasks: 0,
        }
    }

    /// Loads all pools for `length`, and waits for the tasks. Returns what the process held shortly
    /// before the end.
    fn lap(&mut self, length: Duration) -> Footprint {
        let Self {
            pools,
            rng,
            n_dropped,
            n_dropped_tasks,
        } = self;
        let end = Instant::now() + length;
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for pool in pools.iter() {
                let (sender, doomed) = mpsc::channel();
                for tenant in TENANTS {
                    let (mut rng, sender, is_over) = (rng.fork(), sender.clone(), &is_over);
                    threads.push(scope.spawn(move || {
                        pool.submit_until(is_over, tenant, &sender, &mut rng);
                    }));
                }
                let mut rng = rng.fork();
                threads.push(scope.spawn(move || cancel_at_random(&doomed, &mut rng)));
            }
            // Also if a check fails here.
            let over = Over(&is_over);
            let busy = loop {
                thread::sleep(BETWEEN_DROPS.min(end.saturating_duration_since(Instant::now())));
                let busy = Footprint::now();
                *n_dropped_tasks += drop_in_the_midst(rng);
                *n_dropped += 1;
                if Instant::now() >= end {
                    break busy;
                }
            };
            drop(over);
            for thread in threads {
                thread.join().expect("its checks hold");
            }
            busy
        })
    }

    /// What has become of all tasks up to now.
    fn ends(&self) -> String {
        let mut accepted = self.n_dropped_tasks;
        let mut ends = BTreeMap::new();
        for pool in &self.pools {
            let stats = pool.pool.stats();
            accepted += stats.accepted;
            let succeeded = [("succeeded", stats.succeeded)];
            for (end, count) in succeeded.into_iter().chain(stats.failures) {
                *ends.entry(end).or_default() += count;
            }
        }
        let ends = ends
            .iter()
            .map(|(end, count): (_, &u64)| format!("{count} {end}"));
        format!(
            "{accepted} accepted, of which {} in {} pools that were dropped; {}",
            self.n_dropped_tasks,
            self.n_dropped,
            ends.collect::<Vec<_>>().join(", ")
        )
    }

    /// What the process holds when nothing is under way.
    fn at_rest(&self, former: Option<&Sample>) -> Sample {
        self.pools.iter().for_each(Loaded::check_at_rest);
        // Threads that have just ended are listed for a moment.
        let deadline = Instant::now() + LINGERING;
        let footprint = loop {
            let footprint = Footprint::now();
            let has_more =
                former.is_some_and(|former| footprint.threads > former.footprint.threads);
            if !has_more || Instant::now() >= deadline {
                break footprint;
            }
            thread::yield_now();
        };
        let tasks = self.pools.iter().map(Loaded::accepted).sum::<u64>();
        Sample {
            tasks: tasks + self.n_dropped_tasks,
            footprint,
        }
    }
}

/// Builds a pool, gives it tasks of all kinds, and drops it while they are under way. Returns how
/// many tasks it accepted.
fn drop_in_the_midst(rng: &mut Rng) -> u64 {
    let isolation = match rng.bool() {
        true => Isolation::Task,
        false => Isolation::Worker,
    };
    let builder = Pool::builder()
        .workers(rng.usize(1..3))
        .max_suspended(rng.usize(0..4))
        .queue_capacity(rng.usize(1..60))
        .isolation(isolation);
    let ends = [Kind::Cancelled, Kind::ShutDown];
    let pool = Loaded::new(builder, &ends);
    let submitted = (0..60).map_while(|_| pool.try_submit(Plan::random(rng)));
    let submitted = submitted.collect::<Vec<_>>();
    // Until one of them has ended, or until the moment has come: it may be behind endless ones.
    if let Some(task) = rng.choice(&submitted) {
        task.wait_timeout(Duration::from_millis(rng.u64(0..20)));
    }
    match rng.u32(0..3) {
        0 => drop(pool),
        how => {
            match how {
                1 => pool.pool.shutdown(Shutdown::Terminate),
                _ => drop(
                    pool.pool
                        .shutdown_timeout(Duration::from_millis(rng.u64(0..5))),
                ),
            }
            submitted.iter().for_each(|task| pool.settle(task));
            pool.check_at_rest();
        }
    }
    for task in &submitted {
        assert!(task.is_done());
        task.check(&ends);
    }
    submitted.len() as u64
}

/// Ends a lap when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
