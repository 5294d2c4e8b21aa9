//! How long tasks wait and run, as distributions, and how busy the workers are.
//!
//! Each worker records into histograms of its own. A reader swaps these for empty ones and adds
//! them to what was read before, so a worker never waits for longer than a swap.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::call::TaskReport;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Instant, Mutex, lock};

/// Significant decimal digits of every value.
const DIGITS: u8 = 2;

/// How a duration was distributed over the tasks that have run, to two significant digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Distribution {
    /// How many there were.
    pub count: u64,
    /// The shortest.
    pub min: Duration,
    /// The sum divided by the count.
    pub mean: Duration,
    /// Half of them were shorter.
    pub p50: Duration,
    /// Nine of ten were shorter.
    pub p90: Duration,
    /// All but one of a hundred were shorter.
    pub p99: Duration,
    /// All but one of a thousand were shorter.
    pub p999: Duration,
    /// The longest.
    pub max: Duration,
}

pub(crate) struct Timings {
    started: Instant,
    workers: Box<[WorkerTimes]>,
    /// What was taken from the workers by earlier readings.
    total: Mutex<Times>,
}

/// What a reading finds for all workers together.
pub(crate) struct Reading {
    pub(crate) uptime: Duration,
    pub(crate) queue_time: Distribution,
    pub(crate) run_time: Distribution,
    /// The share of all workers' time in which they ran tasks, 0 to 1.
    pub(crate) utilization: f64,
}

struct WorkerTimes {
    times: Mutex<Times>,
    /// When the worker began or went on with its call, in nanoseconds since the pool's start;
    /// [`IDLE`] if it has none. Written by the worker.
    busy_since: AtomicU64,
}

const IDLE: u64 = u64::MAX;

const RESIZES: &str = "a histogram without bounds resizes itself";

/// In nanoseconds.
struct Times {
    queued: Histogram<u64>,
    ran: Histogram<u64>,
    busy: u64,
}

impl Timings {
    pub(crate) fn new(n_workers: usize) -> Self {
        let worker = |_| WorkerTimes {
            times: Mutex::new(Times::new()),
            busy_since: AtomicU64::new(IDLE),
        };
        Self {
            started: Instant::now(),
            workers: (0..n_workers).map(worker).collect(),
            total: Mutex::new(Times::new()),
        }
    }

    /// The worker begins a call, or goes on with one.
    pub(crate) fn begin(&self, worker: usize, now: Instant) {
        let since = nanos(now.duration_since(self.started));
        self.workers[worker]
            .busy_since
            .store(since, Ordering::Relaxed);
    }

    /// The worker was busy for this long with a call that goes on later.
    pub(crate) fn pause(&self, worker: usize, busy: Duration) {
        self.add(worker, busy, None);
    }

    /// The worker was busy for this long with a call that has ended.
    pub(crate) fn end(&self, worker: usize, busy: Duration, report: &TaskReport) {
        self.add(worker, busy, Some(report));
    }

    /// A new thread is the worker from now on: ends the call of a thread that was given up.
    pub(crate) fn take_over(&self, worker: usize) {
        let since = self.workers[worker].busy_since.load(Ordering::Relaxed);
        if since != IDLE {
            let busy = nanos(self.started.elapsed()).saturating_sub(since);
            self.pause(worker, Duration::from_nanos(busy));
        }
    }

    fn add(&self, worker: usize, busy: Duration, report: Option<&TaskReport>) {
        let worker = &self.workers[worker];
        let mut times = lock(&worker.times);
        times.busy = times.busy.saturating_add(nanos(busy));
        if let Some(report) = report {
            times.record(report.queued, report.ran);
        }
        worker.busy_since.store(IDLE, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Reading {
        let mut total = lock(&self.total);
        let uptime = self.started.elapsed();
        let mut under_way = 0;
        for worker in &self.workers {
            let empty = Times::new();
            let mut times = lock(&worker.times);
            let recorded = std::mem::replace(&mut *times, empty);
            let since = worker.busy_since.load(Ordering::Relaxed);
            drop(times);
            if since != IDLE {
                under_way += nanos(uptime).saturating_sub(since);
            }
            total.add(&recorded);
        }
        let available = uptime.as_secs_f64() * self.workers.len() as f64;
        let busy = Duration::from_nanos(total.busy.saturating_add(under_way)).as_secs_f64();
        Reading {
            uptime,
            queue_time: Distribution::of(&total.queued),
            run_time: Distribution::of(&total.ran),
            utilization: (busy / available.max(f64::MIN_POSITIVE)).min(1.0),
        }
    }
}

impl Times {
    fn new() -> Self {
        let histogram = || Histogram::new(DIGITS).expect("two digits are allowed");
        Self {
            queued: histogram(),
            ran: histogram(),
            busy: 0,
        }
    }

    fn record(&mut self, queued: Duration, ran: Duration) {
        let (queued, ran) = (nanos(queued), nanos(ran));
        self.queued.record(queued).expect(RESIZES);
        self.ran.record(ran).expect(RESIZES);
    }

    fn add(&mut self, other: &Self) {
        for (to, from) in [
            (&mut self.queued, &other.queued),
            (&mut self.ran, &other.ran),
        ] {
            to.add(from).expect(RESIZES);
        }
        self.busy = self.busy.saturating_add(other.busy);
    }
}

impl Distribution {
    fn of(histogram: &Histogram<u64>) -> Self {
        let quantile = |share| Duration::from_nanos(histogram.value_at_quantile(share));
        if histogram.is_empty() {
            return Self::default();
        }
        Self {
            count: histogram.len(),
            min: Duration::from_nanos(histogram.min()),
            mean: Duration::from_nanos(histogram.mean() as u64),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: Duration::from_nanos(histogram.max()),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
