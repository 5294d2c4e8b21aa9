//! How soon a guest that is stopped is gone.

use std::thread;
use std::time::Duration;

use wasmpool::{Isolation, Pool, Task, TaskErrorKind, TaskModule, TaskOptions, TaskState, Value};

use crate::support::{self, median};

/// A guest that is stopped has run for so long: by then everybody else sleeps.
const RUNNING: Duration = Duration::from_millis(2);

const TIMEOUT: Duration = Duration::from_millis(5);

/// What keeps a guest busy for seconds: a prime to be tested, and milliseconds to be slept.
const PRIME: u64 = (1 << 61) - 1;
const MILLIS: u64 = 60_000;

/// How often each stop is measured in a round.
const TIMES: usize = 8;

/// What is done to one worker, over and over.
pub(crate) struct Stopping {
    pool: Pool,
    next: Task<(u64,), Vec<u64>>,
    rows: Vec<Row>,
}

/// A task that is always stopped, so that its result is never seen.
type Endless = Task<(u64,), Value>;

struct Row {
    stop: Stop,
    /// What the guest does that is stopped.
    guest: &'static str,
    task: Endless,
    argument: u64,
    seconds: Vec<f64>,
}

#[derive(Clone, Copy)]
enum Stop {
    Cancel,
    Timeout,
}

impl Stop {
    fn what_is_measured(self) -> &'static str {
        match self {
            Self::Cancel => "`cancel`, to the start of the next task",
            Self::Timeout => "`task_timeout`, how far it is overrun",
        }
    }

    /// The median that we want to stay below.
    fn target(self) -> Duration {
        match self {
            Self::Cancel => Duration::from_micros(100),
            Self::Timeout => Duration::from_millis(2),
        }
    }
}

impl Stopping {
    pub(crate) fn new() -> Self {
        let builder = Pool::builder().workers(1).isolation(Isolation::Worker);
        let pool = builder.build().expect("the settings are good");
        let load = |guest: wasmpool_guests::Guest| pool.load(guest.path());
        let plain = load(wasmpool_guests::FACTORIZER).expect("the guest is good");
        let with_lines = load(wasmpool_guests::MISBEHAVING).expect("the guest is good");
        let task = |module: &TaskModule, name| module.task(name).expect("the guest has it");
        // Where a guest has line tables, the backtrace of one that is stopped names lines.
        let guests = [
            ("it computes", task(&plain, "is_prime"), PRIME),
            (
                "it computes, with line tables",
                task(&with_lines, "spin"),
                PRIME,
            ),
            (
                "it sleeps, with line tables",
                task(&with_lines, "sleep"),
                MILLIS,
            ),
        ];
        let row = |stop, (guest, task, argument): &(&'static str, Endless, u64)| Row {
            stop,
            guest,
            task: match stop {
                Stop::Cancel => task.clone(),
                Stop::Timeout => task.with(TaskOptions::new().task_timeout(TIMEOUT)),
            },
            argument: *argument,
            seconds: Vec::new(),
        };
        let cancels = guests.iter().map(|guest| row(Stop::Cancel, guest));
        let timeouts = guests.iter().map(|guest| row(Stop::Timeout, guest));
        Self {
            rows: cancels.chain(timeouts).collect(),
            next: support::factorize(&pool),
            pool,
        }
    }

    pub(crate) fn measure(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        for row in &mut rows {
            for _ in 0..TIMES {
                let took = match row.stop {
                    Stop::Cancel => self.cancel(row),
                    Stop::Timeout => self.time_out(row),
                };
                row.seconds.push(took.as_secs_f64());
            }
        }
        self.rows = rows;
    }

    /// From the cancel to the start of the next task on the same worker.
    fn cancel(&self, row: &Row) -> Duration {
        let submitted = self.pool.submit(&row.task, (row.argument,));
        let stuck = submitted.expect("the pool is open");
        while stuck.state() == TaskState::Queued {
            thread::yield_now();
        }
        thread::sleep(RUNNING);
        // It is in the queue by the time of the cancel: what it waits is the time from there,
        // and the moment of its own submit.
        let next = self.pool.submit(&self.next, (360,));
        let next = next.expect("the pool is open");
        assert!(stuck.cancel());
        assert_eq!(next.wait().expect("it succeeds").len(), 6);
        next.report().expect("it has ended").queued
    }

    /// How much longer than its timeout a task runs.
    fn time_out(&self, row: &Row) -> Duration {
        let submitted = self.pool.submit(&row.task, (row.argument,));
        let stuck = submitted.expect("the pool is open");
        let error = stuck.wait().expect_err("its time is up before");
        assert_eq!(error.kind(), TaskErrorKind::TimedOut);
        stuck.report().expect("it has ended").ran - TIMEOUT
    }

    pub(crate) fn print(&self) {
        println!("| stopping a guest | | median | 9 of 10 within | target |");
        println!("|---|---|---:|---:|---:|");
        for row in &self.rows {
            let mut seconds = row.seconds.clone();
            seconds.sort_by(f64::total_cmp);
            let most = seconds[seconds.len() * 9 / 10];
            println!(
                "| {} | {} | {:.0} us | {:.0} us | {} us |",
                row.stop.what_is_measured(),
                row.guest,
                median(seconds.into_iter()) * 1e6,
                most * 1e6,
                row.stop.target().as_micros()
            );
        }
    }
}
