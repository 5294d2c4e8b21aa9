//! The mix: random tasks of every kind, and how each of them may end.
//!
//! Does not know pools: who submits, waits and cancels is in `load.rs`.

use std::time::Duration;

use fastrand::Rng;
use wasmpool::{Isolation, Priority, Retry, TaskErrorKind as Kind, TaskOptions, TrapCode};

/// Longer than any soak: a task that waits for so long has to be stopped.
const FOR_EVER: u64 = 24 * 3_600_000;

/// Enough for a guest and a few MiB of its own.
const MEMORY: usize = 16 << 20;

/// A task that is submitted, and how it may end.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) task: &'static str,
    pub(crate) argument: u64,
    pub(crate) options: TaskOptions,
    pub(crate) success: Success,
    /// The errors that it may end with.
    pub(crate) errors: Vec<Kind>,
    /// How many attempts it has if it ends with the first of `errors`.
    pub(crate) attempts: u32,
    /// Whether it is cancelled, at some moment.
    pub(crate) is_cancelled: bool,
}

/// The result of a task that returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Success {
    Never,
    /// Bytes that the caller cannot decode.
    Unreadable,
    /// Its argument.
    Argument,
    /// The prime factors of its argument.
    Factors,
}

/// Tasks that fail by themselves.
const CRASHERS: [(&str, u64, Kind); 8] = [
    ("unreachable", 1, Kind::Trap(TrapCode::Unreachable)),
    ("now_and_then", 500, Kind::Trap(TrapCode::Unreachable)),
    ("out_of_bounds", 7, Kind::Trap(TrapCode::MemoryOutOfBounds)),
    ("divide_by_zero", 7, Kind::Trap(TrapCode::DivisionByZero)),
    ("exit", 3, Kind::Exited(1)),
    ("recurse", 1_000_000_000, Kind::StackExhausted),
    ("grow_without_end", 512, Kind::MemoryLimit),
    ("huge_result", 2, Kind::OutputLimit),
];

impl Plan {
    fn new(task: &'static str, argument: u64, success: Success) -> Self {
        Self {
            task,
            argument,
            options: TaskOptions::new().memory_limit(MEMORY),
            success,
            errors: Vec::new(),
            attempts: 1,
            is_cancelled: false,
        }
    }

    /// A task that takes microseconds.
    pub(crate) fn tiny(rng: &mut Rng) -> Self {
        Self::new("factorize", rng.u64(2..10_000), Success::Factors)
    }

    /// A task that waits in the host for so many milliseconds.
    pub(crate) fn waiting(millis: u64) -> Self {
        Self::new("sleep", millis, Success::Argument)
    }

    /// A task of any kind, with any options.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let mut plan = match rng.u32(0..100) {
            0..50 => Self::tiny(rng),
            50..65 => Self::sleeper(rng),
            65..75 => Self::spinner(rng),
            75..90 => Self::crasher(rng),
            90..94 => Self::retried(rng),
            94 => Self::new("bad_bytes", 1, Success::Unreadable),
            95..98 => Self::new("allocate", rng.u64(1..8), Success::Argument),
            _ => Self::new("flood", rng.u64(1..64), Success::Argument),
        };
        let priorities = [Priority::High, Priority::Normal, Priority::Low];
        if let Some(priority) = rng.choice(priorities) {
            plan.options = plan.options.priority(priority);
        }
        if rng.u32(0..8) == 0 {
            plan.options = plan.options.queue_timeout(millis(rng, 0..3));
            plan.errors.push(Kind::QueueTimedOut);
        }
        if rng.u32(0..8) == 0 {
            plan.options = plan.options.isolation(Isolation::Task);
        }
        if rng.u32(0..8) == 0 {
            plan.is_cancelled = true;
        }
        if plan.is_cancelled {
            plan.errors.push(Kind::Cancelled);
        }
        plan
    }

    fn sleeper(rng: &mut Rng) -> Self {
        match rng.u32(0..4) {
            0 => Self::new("poll", 3, Success::Never).stopped(rng),
            1 => Self::new("sleep", FOR_EVER, Success::Never).stopped(rng),
            _ => Self::waiting(rng.u64(0..8)),
        }
    }

    fn spinner(rng: &mut Rng) -> Self {
        let mut plan = match rng.u32(0..4) {
            0 => Self::new("honour_stop", 1, Success::Argument),
            1 => Self::new("ignore_stop", 1, Success::Never),
            _ => Self::new("spin", 1, Success::Never),
        };
        if rng.bool() {
            plan.options = plan.options.stop_grace(millis(rng, 0..3));
        }
        plan.stopped(rng)
    }

    /// Stopped by one of two timeouts, or by a cancel.
    fn stopped(mut self, rng: &mut Rng) -> Self {
        let timeout = millis(rng, 1..5);
        // What waits in the host does not compute.
        let computes = !["poll", "sleep"].contains(&self.task);
        match rng.u32(0..3) {
            0 => self.is_cancelled = true,
            1 if computes => {
                self.options = self.options.compute_timeout(timeout);
                self.errors.push(Kind::TimedOut);
            }
            _ => {
                self.options = self.options.task_timeout(timeout);
                self.errors.push(Kind::TimedOut);
            }
        }
        self
    }

    fn crasher(rng: &mut Rng) -> Self {
        let (task, argument, kind) = *rng.choice(&CRASHERS).expect("there are some");
        let mut plan = Self::new(task, argument, Success::Never);
        plan.errors.push(kind);
        plan
    }

    fn retried(rng: &mut Rng) -> Self {
        let mut plan = Self::new("unreachable", 1, Success::Never);
        plan.errors.push(Kind::Trap(TrapCode::Unreachable));
        let retries = rng.u32(1..3);
        let retry = Retry::times(retries).backoff(millis(rng, 0..3));
        plan.options = plan.options.retry(retry);
        plan.attempts = 1 + retries;
        plan
    }
}

fn millis(rng: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(rng.u64(range))
}
