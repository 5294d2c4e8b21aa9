//! How soon a stopped task has ended.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use wasmpool::{Pool, Task, TaskErrorKind, TaskFuture, TaskOptions, TaskState, Value};
use wasmpool_guests::MISBEHAVING;

use crate::arms::processes::Worker;
use crate::arms::python::Python;
use crate::arms::wire::Call;
use crate::arms::{Arm, Site, TINY, digest, process, sandbox, worker};
use crate::bench::Bench;
use crate::failure::{Failure, check};
use crate::plan::Topic;
use crate::report::Question;
use crate::rounds::Contestant;
use crate::statistics::median;
use crate::table::{Shown, rows};

const TOPIC: Topic = Topic::Stopping;

/// How long a task runs before it is cancelled: by then all other threads sleep.
const RUNNING: Duration = Duration::from_millis(2);

const TIMEOUT: Duration = Duration::from_millis(5);

/// How long a sleeping task would sleep; it is stopped long before.
const SLEEP_MS: u64 = 60_000;

/// How many of wasmpool's stops a round measures and takes the median of, since one takes only
/// microseconds.
const TIMES: usize = 5;

const ARMS: &[Arm] = &[
    Arm::Warm,
    Arm::Fresh,
    Arm::Unchecked,
    Arm::Processes,
    Arm::Process,
    Arm::Python,
    Arm::PythonPool,
];

/// What the stopped task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Compute,
    Sleep,
}

/// What stops the task, and when the clock ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The caller. The time is until the next task on the same worker has a result.
    Cancel,
    /// The timeout. The time is from the timeout until the caller knows.
    Timeout,
}

const STOPS: &[(&str, Stop, Does)] = &[
    (
        "cancel, it computes: to the next result",
        Stop::Cancel,
        Does::Compute,
    ),
    (
        "cancel, it sleeps: to the next result",
        Stop::Cancel,
        Does::Sleep,
    ),
    (
        "timeout, it computes: overrun by",
        Stop::Timeout,
        Does::Compute,
    ),
    ("timeout, it sleeps: overrun by", Stop::Timeout, Does::Sleep),
];

/// The arm whose task is stopped. It has one worker.
enum Victim {
    Sandbox(Box<Sandbox>),
    Worker(Site),
    Process(Site),
    Python(Python),
}

struct Sandbox {
    pool: Pool,
    next: Task<(u64,), Vec<u64>>,
    spin: Endless,
    sleep: Endless,
}

/// A task that is always stopped, so it has no result.
type Endless = Task<(u64,), Value>;

impl Victim {
    fn start(arm: Arm, site: &Site) -> Result<Self, Failure> {
        let site = site.with_workers(1);
        Ok(match arm {
            Arm::Processes => Self::Worker(site),
            Arm::Process => Self::Process(site),
            Arm::Python | Arm::PythonPool => Self::Python(Python::start(arm, &site)?),
            arm => {
                let pool = sandbox::pool(arm, &site)?;
                Self::Sandbox(Box::new(Sandbox {
                    next: sandbox::task(&pool, wasmpool_guests::FACTORIZER, "factorize")?,
                    spin: sandbox::task(&pool, MISBEHAVING, "spin")?,
                    sleep: sandbox::task(&pool, MISBEHAVING, "sleep")?,
                    pool,
                }))
            }
        })
    }

    fn stop(&self, stop: Stop, does: Does) -> Result<f64, Failure> {
        let took = match self {
            Self::Sandbox(sandbox) => {
                let once = |_| Ok(sandbox.stop(stop, does)?.as_secs_f64());
                let times = (0..TIMES).map(once).collect::<Result<Vec<_>, Failure>>()?;
                return Ok(median(&times));
            }
            Self::Worker(site) => stop_worker(site, stop, does)?,
            Self::Process(site) => stop_process(site, stop, does)?,
            Self::Python(python) => {
                let (runs, until) = match stop {
                    Stop::Cancel => (RUNNING, "result"),
                    Stop::Timeout => (TIMEOUT, "gone"),
                };
                let task = match does {
                    Does::Compute => "spin",
                    Does::Sleep => "sleep",
                };
                let runs = u64::try_from(runs.as_millis()).expect("a small constant");
                let what = json!({"task": task, "runs_ms": runs, "until": until});
                let (took, got) = python.order("stop", &what)?;
                check(&got, &json!(digest([[TINY]])))?;
                took
            }
        };
        Ok(took.as_secs_f64())
    }
}

impl Sandbox {
    fn stop(&self, stop: Stop, does: Does) -> Result<Duration, Failure> {
        let task = match does {
            Does::Compute => &self.spin,
            Does::Sleep => &self.sleep,
        };
        match stop {
            Stop::Cancel => self.cancel(task),
            Stop::Timeout => self.time_out(task),
        }
    }

    fn cancel(&self, task: &Endless) -> Result<Duration, Failure> {
        let stuck = self.pool.submit(task, (SLEEP_MS,))?;
        wait_until_it_runs(&stuck);
        thread::sleep(RUNNING);
        // This task waits in the queue when the other is cancelled.
        let next = self.pool.submit(&self.next, (TINY,))?;
        let started = Instant::now();
        stuck.cancel();
        check(&next.wait()?, &vec![TINY])?;
        Ok(started.elapsed())
    }

    fn time_out(&self, task: &Endless) -> Result<Duration, Failure> {
        let task = task.with(TaskOptions::new().task_timeout(TIMEOUT));
        let started = Instant::now();
        let stuck = self.pool.submit(&task, (SLEEP_MS,))?;
        let outcome = stuck.wait();
        let took = started.elapsed();
        let kind = outcome.err().map(|error| error.kind());
        check(&kind, &Some(TaskErrorKind::TimedOut))?;
        Ok(took.saturating_sub(TIMEOUT))
    }
}

fn wait_until_it_runs(stuck: &TaskFuture<Value>) {
    while stuck.state() == TaskState::Queued {
        thread::yield_now();
    }
}

/// Kills a worker process and starts a new one for the next task.
fn stop_worker(site: &Site, stop: Stop, does: Does) -> Result<Duration, Failure> {
    let mut worker = Worker::start(site)?;
    check(&worker.call(&Call::Factorize(TINY))?, &vec![TINY])?;
    worker.tell(&match does {
        Does::Compute => Call::Spin,
        Does::Sleep => Call::Sleep(SLEEP_MS),
    })?;
    if stop == Stop::Timeout {
        return Ok(kill_in_time(|| worker.kill()));
    }
    thread::sleep(RUNNING);
    let started = Instant::now();
    worker.kill();
    let mut worker = Worker::start(site)?;
    check(&worker.call(&Call::Factorize(TINY))?, &vec![TINY])?;
    Ok(started.elapsed())
}

/// Kills the process of a task; the next task has its own anyway.
fn stop_process(site: &Site, stop: Stop, does: Does) -> Result<Duration, Failure> {
    let sleep = SLEEP_MS.to_string();
    let task = match does {
        Does::Compute => &[worker::SPIN][..],
        Does::Sleep => &[worker::SLEEP, &sleep],
    };
    let mut child = process::start(site, task)?;
    let mut kill = || {
        // Errors mean that the process has ended already.
        let _ = child.kill();
        let _ = child.wait();
    };
    if stop == Stop::Timeout {
        return Ok(kill_in_time(kill));
    }
    thread::sleep(RUNNING);
    let started = Instant::now();
    kill();
    check(&process::factorize(site, TINY)?, &vec![TINY])?;
    Ok(started.elapsed())
}

/// Kills when the timeout is over. Returns how much later the process has ended.
fn kill_in_time(kill: impl FnOnce()) -> Duration {
    let started = Instant::now();
    thread::sleep(TIMEOUT);
    kill();
    started.elapsed().saturating_sub(TIMEOUT)
}

pub(super) fn ask(bench: &mut Bench<'_>) -> Question {
    let victims = bench.set_up(TOPIC, ARMS, Victim::start);
    let mut contestants = Vec::new();
    for &(subject, stop, does) in STOPS {
        for (arm, victim) in &victims {
            // Without checks a guest that computes cannot be stopped.
            if *arm == Arm::Unchecked && does == Does::Compute {
                continue;
            }
            contestants.push(Contestant::single(subject, *arm, move || {
                victim.stop(stop, does)
            }));
        }
    }
    let samples = bench.play(TOPIC, contestants);
    bench.findings.add(TOPIC.name(), &samples);
    let shown = Shown {
        baseline: Some(Arm::Fresh),
        amount: None,
    };
    let mut remarks = vec!["Native threads take no part: they cannot be stopped.".to_owned()];
    if !bench.missing.contains_key(&Arm::Unchecked) {
        remarks.push(
            "Without epoch checks a guest that sleeps can be stopped, and one that computes \
             cannot."
                .to_owned(),
        );
    }
    if !bench.missing.contains_key(&Arm::Python) {
        remarks.push(
            "Python's pools cannot stop a task that runs: their processes are killed, and a new \
             pool takes the next task."
                .to_owned(),
        );
    }
    Question {
        id: TOPIC.name().to_owned(),
        title: TOPIC.title().to_owned(),
        method: format!(
            "There is one worker. Cancel: the task has run for {} ms, and the next one waits; \
             the time is from the cancel to the next one's result. Timeout: the task may run \
             for {} ms; the time is from then until the caller knows of its end, or its process \
             has ended. Processes are killed, and a new one is started for the next task. A round \
             takes the median of {TIMES} of wasmpool's stops, which are short.",
            RUNNING.as_millis(),
            TIMEOUT.as_millis()
        ),
        unit: "s".to_owned(),
        more_is_better: false,
        rows: rows(&samples, &shown),
        remarks,
    }
}
