//! The cost of tasks that wait in the host.
//!
//! Each figure comes from a fresh process: this program again, which runs [`print_own`].

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use wasmpool::{Pool, PoolBuilder, Shutdown, Task, TaskFuture};
use wasmpool_guests::MISBEHAVING;

use super::memory::resident;
use crate::arms::{Arm, Site, process, sandbox, worker};
use crate::bench::Bench;
use crate::failure::{Failure, check};
use crate::plan::Topic;
use crate::report::Question;
use crate::rounds::{Contestant, Samples};
use crate::table::{Shown, rows};

const TOPIC: Topic = Topic::Waiting;

/// The ids of the other tables.
const WAITING_MEMORY: &str = "waiting-memory";
const WAKE_UPS: &str = "wake-ups";

const ARMS: &[Arm] = &[Arm::Warm, Arm::Fresh];

pub(crate) const EACH: &str = "a task that waits, in new memory";
const AGAIN: &str = "a task that waits, in memory that had a task before";
pub(crate) const IDLE: &str = "an idle pool";
pub(crate) const ALL_WAIT: &str = "a pool whose tasks all sleep for a minute";

/// What a round does.
struct Load {
    subject: &'static str,
    tasks: usize,
    sleep: Duration,
    /// For how long context switches are counted.
    watched: Duration,
}

const FULL: Load = Load {
    subject: THOUSAND,
    tasks: 1000,
    sleep: Duration::from_secs(1),
    watched: Duration::from_millis(500),
};
pub(crate) const THOUSAND: &str = "1,000 tasks that sleep for 1 s";

const QUICK: Load = Load {
    subject: "100 tasks that sleep for 200 ms",
    tasks: 100,
    sleep: Duration::from_millis(200),
    watched: Duration::from_millis(50),
};

/// How long a task sleeps while something else is measured.
const A_MINUTE_MS: u64 = 60_000;

pub(super) fn ask(bench: &mut Bench<'_>) -> Vec<Question> {
    let load = if bench.is_quick() { QUICK } else { FULL };
    let subjects = [load.subject, EACH, AGAIN, IDLE, ALL_WAIT];
    let site = bench.site.clone();
    let arms = ARMS.iter().filter(|arm| !bench.missing.contains_key(arm));
    let contestants = arms.map(|&arm| {
        let (site, load) = (&site, &load);
        Contestant::several(&subjects, arm, move || look(arm, site, load))
    });
    let contestants = contestants.collect();
    let samples = bench.play(TOPIC, contestants);
    bench.findings.add(TOPIC.name(), &samples);
    let table = |id: &str, title: &str, method, unit: &str, subjects: &[&str]| {
        let samples = samples.iter();
        let of_table = samples.filter(|samples| subjects.contains(&samples.subject.as_str()));
        Question {
            id: id.to_owned(),
            title: title.to_owned(),
            method,
            unit: unit.to_owned(),
            more_is_better: false,
            rows: rows(&of_table.cloned().collect::<Vec<Samples>>(), &SHOWN),
            remarks: Vec::new(),
        }
    };
    let (tasks, workers) = (load.tasks, site.workers);
    let one_by_one = tasks as f64 * load.sleep.as_secs_f64() / workers as f64;
    vec![
        table(
            TOPIC.name(),
            TOPIC.title(),
            format!(
                "All tasks are submitted at once to a pool of {workers} workers that has room for \
                 them beside its workers (`max_suspended`); the time is until the last one has \
                 ended. One by one on the workers they would take {one_by_one} s."
            ),
            "s",
            &[load.subject],
        ),
        table(
            WAITING_MEMORY,
            "How much memory does a task take that waits?",
            format!(
                "Resident memory (`Pss` on Linux) of a process while {tasks} tasks sleep in its \
                 pool, minus that after the pool's first task, for each task. The reset of a memory \
                 as a whole writes to its first 256 KiB, as far as it has them: they are resident \
                 from then on."
            ),
            "B",
            &[EACH, AGAIN],
        ),
        table(
            WAKE_UPS,
            "How often does a pool wake up when nothing happens?",
            format!(
                "Context switches of all threads of a process but its main one, in {} ms. {tasks} \
                 tasks sleep.",
                load.watched.as_millis()
            ),
            "",
            &[IDLE, ALL_WAIT],
        ),
    ]
}

const SHOWN: Shown<'_> = Shown {
    baseline: None,
    amount: None,
};

fn look(arm: Arm, site: &Site, load: &Load) -> Result<Vec<f64>, Failure> {
    let cache = site.cache();
    let cache = cache.to_str().ok_or_else(|| Failure::new("an odd path"))?;
    let numbers = [
        site.workers.to_string(),
        load.tasks.to_string(),
        load.sleep.as_millis().to_string(),
        load.watched.as_millis().to_string(),
    ];
    let mut args = vec![worker::WAITING, arm.id(), cache];
    args.extend(numbers.iter().map(String::as_str));
    process::numbers(site, &args)
}

/// Runs in a process of its own: prints a value for each subject.
pub(crate) fn print_own(args: &[&str]) -> Result<(), Failure> {
    let [arm, cache, workers, tasks, sleep_ms, watched_ms] = args else {
        return Err(Failure::new("which arm, and how many tasks?"));
    };
    let (tasks, sleep_ms) = (tasks.parse()?, sleep_ms.parse()?);
    let watched = Duration::from_millis(watched_ms.parse()?);
    let arm = Arm::with_id(arm).ok_or_else(|| Failure::new("no such arm"))?;
    let start = || {
        let builder = sandbox::builder(arm, workers.parse()?);
        Waiting::start(builder.cache_folder(Path::new(cache)), tasks)
    };
    let waiting = start()?;
    let idle = switches_in(watched)?;
    let started = Instant::now();
    for future in waiting.submit_all(sleep_ms)? {
        check(&future.wait()?, &sleep_ms)?;
    }
    let took = started.elapsed().as_secs_f64();
    drop(waiting);

    let waiting = start()?;
    let before = resident("self")?;
    let of_each = || Ok::<_, Failure>((resident("self")? - before) / tasks as f64);
    let asleep = waiting.submit_all(A_MINUTE_MS)?;
    waiting.wait_until_suspended(tasks);
    let each = of_each()?;
    let all_wait = switches_in(watched)?;
    for future in &asleep {
        future.cancel();
    }
    waiting.wait_until_suspended(0);
    let _again = waiting.submit_all(A_MINUTE_MS)?;
    waiting.wait_until_suspended(tasks);
    let again = of_each()?;
    waiting.pool.shutdown(Shutdown::Terminate);
    writeln!(io::stdout(), "{took} {each} {again} {idle} {all_wait}")?;
    Ok(())
}

/// A pool that has room for tasks that wait, and has had one.
struct Waiting {
    pool: Pool,
    sleep: Task<(u64,), u64>,
    tasks: usize,
}

impl Waiting {
    fn start(builder: PoolBuilder, tasks: usize) -> Result<Self, Failure> {
        let pool = builder.max_suspended(tasks).build()?;
        let sleep = sandbox::task(&pool, MISBEHAVING, "sleep")?;
        let waiting = Self { pool, sleep, tasks };
        // The first task starts what the pool starts when it is needed.
        check(&waiting.submit(1)?.wait()?, &1)?;
        Ok(waiting)
    }

    fn submit(&self, ms: u64) -> Result<TaskFuture<u64>, Failure> {
        Ok(self.pool.submit(&self.sleep, (ms,))?)
    }

    fn submit_all(&self, ms: u64) -> Result<Vec<TaskFuture<u64>>, Failure> {
        (0..self.tasks).map(|_| self.submit(ms)).collect()
    }

    fn wait_until_suspended(&self, tasks: usize) {
        while self.pool.stats().suspended != tasks as u64 {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// How many context switches all threads but the main one have made while the main one sleeps.
fn switches_in(time: Duration) -> Result<u64, Failure> {
    // The outcome of a task is known before its worker sleeps.
    thread::sleep(Duration::from_millis(20));
    let before = switches()?;
    thread::sleep(time);
    Ok(switches()?.saturating_sub(before))
}

fn switches() -> Result<u64, Failure> {
    const TASKS: &str = "/proc/self/task";
    let unreadable = |error| Failure(format!("context switches are read from `{TASKS}`: {error}"));
    let main = std::process::id().to_string();
    let mut sum = 0;
    for thread in fs::read_dir(TASKS).map_err(unreadable)? {
        let thread = thread.map_err(unreadable)?;
        if thread.file_name().to_str() == Some(&main) {
            continue;
        }
        let status = fs::read_to_string(thread.path().join("status")).map_err(unreadable)?;
        let counts = status.lines().filter_map(|line| {
            let (name, count) = line.split_once(':')?;
            name.ends_with("voluntary_ctxt_switches").then_some(count)
        });
        for count in counts {
            sum += count.trim().parse::<u64>()?;
        }
    }
    Ok(sum)
}
