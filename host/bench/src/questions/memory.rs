//! The memory of a worker and of an instance.
//!
//! Each figure comes from a fresh process: this program again, which runs [`print_own`].

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use wasmpool::{Pool, TaskState, Value};

use crate::arms::native::Threads;
use crate::arms::processes::Worker;
use crate::arms::python::Python;
use crate::arms::wire::Call;
use crate::arms::{Arm, Site, TINY, process, sandbox, worker};
use crate::bench::Bench;
use crate::failure::{Failure, check};
use crate::plan::Topic;
use crate::report::Question;
use crate::rounds::Contestant;
use crate::table::{Shown, rows};

const TOPIC: Topic = Topic::Memory;

/// The number of threads and instances; figures are means over them.
const WORKERS: usize = 16;

/// The number of processes; each is measured by itself, so few suffice.
const PROCESSES: usize = 4;

/// How long a task sleeps while its memory is measured.
const SLEEP_MS: u64 = 60_000;

/// A prime that takes a worker some milliseconds to factorize, long enough for all workers to get
/// one.
const PRIME: u64 = 999_999_999_989;

const IDLE: &str = "an idle worker, before its first task";
const WORKED: &str = "an idle worker, after a task";
pub(crate) const INSTANCE: &str = "an idle instance of the factorizer";
const UNDER_WAY: &str = "a task under way, and its worker";

/// What is measured in one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// A worker before and after its first task.
    Resting,
    UnderWay,
}

impl What {
    fn id(self) -> &'static str {
        match self {
            Self::Resting => "resting",
            Self::UnderWay => "under-way",
        }
    }

    fn subjects(self, arm: Arm) -> &'static [&'static str] {
        match (self, arm) {
            (Self::Resting, Arm::Warm | Arm::Fresh) => &[IDLE, WORKED, INSTANCE],
            (Self::Resting, Arm::Process | Arm::Python | Arm::PythonPool) => &[],
            (Self::Resting, _) => &[IDLE, WORKED],
            // Python starts its workers when there is work, and slowly, so one process measures
            // both.
            (Self::UnderWay, Arm::Python | Arm::PythonPool) => &[WORKED, UNDER_WAY],
            (Self::UnderWay, _) => &[UNDER_WAY],
        }
    }
}

const ARMS: &[Arm] = &[
    Arm::Native,
    Arm::Warm,
    Arm::Fresh,
    Arm::Processes,
    Arm::Process,
    Arm::Python,
    Arm::PythonPool,
];

pub(super) fn ask(bench: &mut Bench<'_>) -> Question {
    let site = bench.site.with_workers(PROCESSES);
    let mut contestants = Vec::new();
    for what in [What::Resting, What::UnderWay] {
        for &arm in ARMS {
            let subjects = what.subjects(arm);
            if !subjects.is_empty() && !bench.missing.contains_key(&arm) {
                let site = &site;
                let look = move || look(what, arm, site);
                contestants.push(Contestant::several(subjects, arm, look));
            }
        }
    }
    let samples = bench.play(TOPIC, contestants);
    bench.findings.add(TOPIC.name(), &samples);
    let shown = Shown {
        baseline: Some(Arm::Fresh),
        amount: None,
    };
    Question {
        id: TOPIC.name().to_owned(),
        title: TOPIC.title().to_owned(),
        method: format!(
            "Resident memory of fresh processes, with a proportional share of shared pages \
             (`Pss` on Linux). Threads and instances: the memory of a process with {} workers \
             minus that of one with a single worker, per worker. Processes: the mean of \
             {PROCESSES}. The task was one factorization; a running task sleeps. Where memory is \
             reset page by page, wasmpool keeps the pages of an instance for the next one.",
            WORKERS + 1
        ),
        unit: "B".to_owned(),
        more_is_better: false,
        rows: rows(&samples, &shown),
        remarks: Vec::new(),
    }
}

/// Measures bytes per worker, for each of the subjects.
fn look(what: What, arm: Arm, site: &Site) -> Result<Vec<f64>, Failure> {
    match arm {
        Arm::Processes => of_workers(what, site),
        Arm::Process => of_processes(site),
        Arm::Python | Arm::PythonPool => of_python(arm, site),
        arm => {
            let cache = site.cache();
            let cache = cache.to_str().ok_or_else(|| Failure::new("an odd path"))?;
            let takes = |workers: usize| -> Result<Vec<f64>, Failure> {
                let workers = workers.to_string();
                let args = [worker::MEMORY, what.id(), arm.id(), &workers, cache];
                process::numbers(site, &args)
            };
            let (one, all) = (takes(1)?, takes(1 + WORKERS)?);
            let of_each = |(all, one)| (all - one) / WORKERS as f64;
            let mut values = all.iter().zip(&one).map(of_each).collect::<Vec<f64>>();
            if what == What::Resting {
                // The instance is the difference of a worker's memory after and before its task.
                values.push(values[1] - values[0]);
            }
            values.truncate(what.subjects(arm).len());
            Ok(values)
        }
    }
}

fn of_workers(what: What, site: &Site) -> Result<Vec<f64>, Failure> {
    let workers = (0..PROCESSES).map(|_| Worker::start(site));
    let mut workers = workers.collect::<Result<Vec<_>, _>>()?;
    for worker in &mut workers {
        // A worker that has answered is known to run, and is idle.
        check(&worker.call::<u64>(&Call::Sleep(0))?, &0)?;
    }
    if what == What::UnderWay {
        for worker in &mut workers {
            worker.tell(&Call::Sleep(SLEEP_MS))?;
        }
        return Ok(vec![mean_of(workers.iter().map(Worker::id))?]);
    }
    let idle = mean_of(workers.iter().map(Worker::id))?;
    for worker in &mut workers {
        check(&worker.call(&Call::Factorize(TINY))?, &vec![TINY])?;
    }
    Ok(vec![idle, mean_of(workers.iter().map(Worker::id))?])
}

fn of_processes(site: &Site) -> Result<Vec<f64>, Failure> {
    let ms = SLEEP_MS.to_string();
    let start = |_| process::start(site, &[worker::SLEEP, &ms]);
    let mut children = (0..PROCESSES).map(start).collect::<Result<Vec<_>, _>>()?;
    // They print nothing before they end, but start in much less time than this.
    thread::sleep(Duration::from_millis(50));
    let mean = mean_of(children.iter().map(std::process::Child::id));
    for child in &mut children {
        // Errors mean that the process has ended already.
        let _ = child.kill();
        let _ = child.wait();
    }
    Ok(vec![mean?])
}

fn of_python(arm: Arm, site: &Site) -> Result<Vec<f64>, Failure> {
    let python = Python::start(arm, site)?;
    let look = |(way, ms)| {
        let (_, pids) = python.order(way, &json!({"ms": ms}))?;
        let pids: Vec<u32> = serde_json::from_value(pids)?;
        check(&pids.len(), &PROCESSES)?;
        mean_of(pids.into_iter())
    };
    [("memory", 20), ("under_way", SLEEP_MS)]
        .into_iter()
        .map(look)
        .collect()
}

fn mean_of(pids: impl ExactSizeIterator<Item = u32>) -> Result<f64, Failure> {
    let n_pids = pids.len() as f64;
    let bytes = pids.map(|pid| resident(&pid.to_string()));
    Ok(bytes.sum::<Result<f64, _>>()? / n_pids)
}

/// The resident bytes of a process, with its share of shared pages.
pub(super) fn resident(pid: &str) -> Result<f64, Failure> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let rollup = fs::read_to_string(&path)
        .map_err(|error| Failure(format!("memory is read from `{path}`: {error}")))?;
    let kib = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
    let kib = kib.and_then(|kib| kib.trim().strip_suffix(" kB"));
    let kib = kib.ok_or_else(|| Failure(format!("`{path}` has no `Pss`")))?;
    Ok(kib.trim().parse::<f64>()? * 1024.0)
}

/// Runs in a process of its own: prints its resident bytes with an arm in it.
pub(crate) fn print_own(args: &[&str]) -> Result<(), Failure> {
    let [what, arm, workers, cache] = args else {
        return Err(Failure::new("which arm, and what of it?"));
    };
    let arm = Arm::with_id(arm).ok_or_else(|| Failure::new("no such arm"))?;
    let pool = Inside::start(arm, workers.parse()?, Path::new(cache))?;
    // The threads have started and sleep.
    thread::sleep(Duration::from_millis(20));
    let mut stdout = io::stdout().lock();
    if *what == What::UnderWay.id() {
        writeln!(stdout, "{}", pool.under_way()?)?;
    } else {
        let (idle, worked) = (resident("self")?, pool.after_work()?);
        writeln!(stdout, "{idle} {worked}")?;
    }
    Ok(())
}

/// An arm that runs in this process.
enum Inside {
    Threads(Threads, usize),
    Sandbox(Pool),
}

impl Inside {
    fn start(arm: Arm, workers: usize, cache: &Path) -> Result<Self, Failure> {
        if arm == Arm::Native {
            return Ok(Self::Threads(Threads::start(workers), workers));
        }
        let pool = sandbox::builder(arm, workers).cache_folder(cache);
        let pool = pool.build()?;
        // Loaded before measuring, since all workers share the code.
        sandbox::task::<(u64,), Value>(&pool, wasmpool_guests::FACTORIZER, "factorize")?;
        Ok(Self::Sandbox(pool))
    }

    /// Bytes after every worker has run a task.
    fn after_work(&self) -> Result<f64, Failure> {
        match self {
            Self::Threads(threads, workers) => {
                let all_there = Arc::new(Barrier::new(*workers));
                let pending = (0..*workers).map(|_| {
                    let all_there = Arc::clone(&all_there);
                    threads.submit(move || {
                        all_there.wait();
                        factorizer::factorize(TINY)
                    })
                });
                for pending in pending.collect::<Vec<_>>() {
                    check(&pending.wait()?, &vec![TINY])?;
                }
            }
            Self::Sandbox(pool) => {
                let factorize = sandbox::task::<(u64,), Vec<u64>>(
                    pool,
                    wasmpool_guests::FACTORIZER,
                    "factorize",
                )?;
                let mut seen = BTreeSet::new();
                let patience = Instant::now() + Duration::from_secs(20);
                while seen.len() < pool.workers() {
                    let submit = |_| pool.submit(&factorize, (PRIME,));
                    let futures = (0..pool.workers()).map(submit);
                    for future in futures.collect::<Result<Vec<_>, _>>()? {
                        check(&future.wait()?, &vec![PRIME])?;
                        seen.extend(future.report().and_then(|report| report.worker));
                    }
                    if Instant::now() > patience {
                        return Err(Failure::new("some worker never had a task"));
                    }
                }
            }
        }
        resident("self")
    }

    /// Bytes while every worker runs a task.
    fn under_way(&self) -> Result<f64, Failure> {
        match self {
            Self::Threads(threads, workers) => {
                // Holds all workers in a task until the memory is read.
                let all_there = Arc::new(Barrier::new(*workers + 1));
                let pending = (0..*workers).map(|_| {
                    let all_there = Arc::clone(&all_there);
                    threads.submit(move || {
                        all_there.wait();
                        all_there.wait();
                    })
                });
                let pending = pending.collect::<Vec<_>>();
                all_there.wait();
                let bytes = resident("self");
                all_there.wait();
                for pending in pending {
                    pending.wait()?;
                }
                bytes
            }
            Self::Sandbox(pool) => {
                let sleep =
                    sandbox::task::<(u64,), Value>(pool, wasmpool_guests::MISBEHAVING, "sleep")?;
                let submit = |_| pool.submit(&sleep, (SLEEP_MS,));
                let futures = (0..pool.workers()).map(submit);
                let futures = futures.collect::<Result<Vec<_>, _>>()?;
                while futures
                    .iter()
                    .any(|future| future.state() == TaskState::Queued)
                {
                    thread::yield_now();
                }
                // The state becomes `Running` before the instance is made.
                thread::sleep(Duration::from_millis(50));
                resident("self")
            }
        }
    }
}
