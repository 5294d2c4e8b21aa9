//! Load on one pool: threads that submit, cancels at random moments, and the count of how tasks
//! ended.
//!
//! Does not know what else is in the process.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use wasmpool::{
    Pool, PoolBuilder, Task, TaskError, TaskErrorKind as Kind, TaskFuture, TaskModule, Value,
};

use crate::mix::{Plan, Success};

/// Longer than any step takes on a busy machine. Only used as an upper bound.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// How many tasks of a submitter are under way before it waits for the first of them.
const WINDOW: usize = 48;

/// The most tasks of one flood, more than a queue holds.
const FLOOD: usize = 300;

/// How many tasks wait for their cancel at once.
const DOOMED: usize = 12;

/// A pool, and the count of what became of its tasks.
pub(crate) struct Loaded {
    pub(crate) pool: Pool,
    factorizer: TaskModule,
    misbehaving: TaskModule,
    /// Errors that every task may end with, beside those of its plan.
    always_possible: Vec<Kind>,
    tally: Tally,
}

#[derive(Default)]
struct Tally {
    accepted: AtomicU64,
    /// Tasks with a callback, and how many of those were called.
    watched: AtomicU64,
    called_back: Arc<AtomicU64>,
    /// How many tasks ended in which way: the names of kinds, and `succeeded`.
    ends: Mutex<BTreeMap<&'static str, u64>>,
}

/// A task that was accepted.
pub(crate) struct Accepted {
    plan: Plan,
    future: Arc<TaskFuture<Value>>,
}

pub(crate) type Doomed = Arc<TaskFuture<Value>>;

impl Loaded {
    pub(crate) fn new(builder: PoolBuilder, always_possible: &[Kind]) -> Self {
        let pool = builder.payload_limit(1 << 20).build().unwrap();
        Self {
            factorizer: pool.load(wasmpool_guests::FACTORIZER.path()).unwrap(),
            misbehaving: pool.load(wasmpool_guests::MISBEHAVING.path()).unwrap(),
            pool,
            always_possible: always_possible.to_vec(),
            tally: Tally::default(),
        }
    }

    /// Uses each place for a suspended task once.
    pub(crate) fn fill(&self) {
        let waiting = (0..2 * self.pool.max_suspended())
            .map_while(|_| self.try_submit(Plan::waiting(100)))
            .collect::<Vec<_>>();
        waiting.iter().for_each(|accepted| self.settle(accepted));
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.tally.accepted.load(Ordering::SeqCst)
    }

    /// Submits all kinds of tasks in all ways until `is_over`, then waits for those under way.
    pub(crate) fn submit_until(
        &self,
        is_over: &AtomicBool,
        tenant: Option<&str>,
        doomed: &Sender<Doomed>,
        rng: &mut Rng,
    ) {
        let of_tenant = |mut plan: Plan| {
            if let Some(tenant) = tenant {
                plan.options = plan.options.tenant(tenant);
            }
            plan
        };
        let mut under_way = VecDeque::new();
        while !is_over.load(Ordering::SeqCst) {
            match rng.u32(0..100) {
                0 | 3 => {
                    let flood = (0..FLOOD).map_while(|_| {
                        let plan = of_tenant(Plan::tiny(rng));
                        self.try_submit(plan)
                    });
                    under_way.extend(flood);
                }
                1 => self.map(of_tenant(Plan::tiny(rng)), rng),
                2 => self.submit_all(of_tenant(Plan::tiny(rng)), rng),
                _ => {
                    let accepted = self.submit(of_tenant(Plan::random(rng)), rng);
                    if let Some(accepted) = &accepted
                        && accepted.plan.is_cancelled
                    {
                        let sent = doomed.send(Arc::clone(&accepted.future));
                        sent.expect("it is received until no submitter is left");
                    }
                    under_way.extend(accepted);
                }
            }
            while under_way.len() > WINDOW {
                let oldest = under_way.pop_front().expect("there are more");
                self.settle(&oldest);
            }
        }
        under_way.iter().for_each(|accepted| self.settle(accepted));
    }

    /// Submits a task in one of the ways; `None` if the queue is full.
    fn submit(&self, plan: Plan, rng: &mut Rng) -> Option<Accepted> {
        let task = self.task(&plan);
        let arguments = (plan.argument,);
        let submitted = match rng.u32(0..3) {
            0 => return self.try_submit(plan),
            1 => {
                let patience = Duration::from_millis(rng.u64(0..3));
                self.pool.submit_timeout(&task, arguments, patience)
            }
            _ => self.pool.submit(&task, arguments),
        };
        match submitted {
            Ok(future) => Some(self.accept(plan, future)),
            Err(refused) => {
                assert!(refused.is_full(), "{refused}");
                None
            }
        }
    }

    /// Submits a task if the queue has room for it.
    pub(crate) fn try_submit(&self, plan: Plan) -> Option<Accepted> {
        match self.pool.try_submit(&self.task(&plan), (plan.argument,)) {
            Ok(future) => Some(self.accept(plan, future)),
            Err(refused) => {
                assert!(refused.is_full(), "{refused}");
                None
            }
        }
    }

    fn accept(&self, plan: Plan, future: TaskFuture<Value>) -> Accepted {
        self.tally.accepted.fetch_add(1, Ordering::SeqCst);
        self.tally.watched.fetch_add(1, Ordering::SeqCst);
        let called_back = Arc::clone(&self.tally.called_back);
        future.on_done(move |future| {
            assert!(future.is_done());
            called_back.fetch_add(1, Ordering::SeqCst);
        });
        let future = Arc::new(future);
        Accepted { plan, future }
    }

    fn submit_all(&self, plan: Plan, rng: &mut Rng) {
        let inputs = inputs(&plan, rng);
        let arguments = inputs.clone().map(|n| (n,));
        let submitted = self.pool.submit_all(&self.task(&plan), arguments);
        assert_eq!(submitted.len(), inputs.clone().count());
        for (n, future) in inputs.zip(submitted) {
            let future = future.expect("it waits for room");
            self.tally.accepted.fetch_add(1, Ordering::SeqCst);
            let factors = future.wait_timeout(LONG).expect("it ends");
            self.count_factors(n, factors.and_then(|_| future.wait_as()));
        }
    }

    fn map(&self, mut plan: Plan, rng: &mut Rng) {
        let inputs = inputs(&plan, rng);
        if let Some(chunk) = NonZeroUsize::new(rng.usize(0..20)) {
            plan.options = plan.options.chunk_size(chunk);
        }
        let task = self.factorizer.task::<(u64,), Vec<u64>>(plan.task);
        let task = task.unwrap().with(plan.options);
        let mut n_outcomes = 0;
        let mut count = |n, outcome| {
            n_outcomes += 1;
            self.tally.accepted.fetch_add(1, Ordering::SeqCst);
            self.count_factors(n, outcome);
        };
        if rng.bool() {
            let outcomes = self.pool.map(&task, inputs.clone()).timeout(LONG);
            for (n, outcome) in inputs.clone().zip(outcomes) {
                count(n, outcome);
            }
        } else {
            let outcomes = self.pool.map_unordered(&task, inputs.clone());
            for (index, outcome) in outcomes.timeout(LONG) {
                count(inputs.start + index as u64, outcome);
            }
        }
        assert_eq!(n_outcomes, inputs.count());
    }

    fn task(&self, plan: &Plan) -> Task<(u64,), Value> {
        let module = match plan.success {
            Success::Factors => &self.factorizer,
            Success::Never | Success::Unreadable | Success::Argument => &self.misbehaving,
        };
        module.task(plan.task).unwrap().with(plan.options.clone())
    }

    /// Waits for the end of a task, and checks and counts it.
    pub(crate) fn settle(&self, accepted: &Accepted) {
        self.count(accepted.check(&self.always_possible));
    }

    /// Counts a task that nobody stops.
    fn count_factors(&self, n: u64, outcome: Result<Vec<u64>, TaskError>) {
        match outcome {
            Ok(factors) => {
                assert_eq!(factors, factorizer::factorize(n));
                self.count("succeeded");
            }
            Err(error) => {
                assert!(self.always_possible.contains(&error.kind()), "{error}");
                self.count(error.kind().name());
            }
        }
    }

    fn count(&self, end: &'static str) {
        *self.tally.ends.lock().unwrap().entry(end).or_default() += 1;
    }

    /// Blocks until nothing is under way in the pool, and checks that its counts are right. Nobody
    /// may submit meanwhile.
    pub(crate) fn check_at_rest(&self) {
        let Tally {
            accepted,
            watched,
            called_back,
            ends,
        } = &self.tally;
        let count = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
        let deadline = Instant::now() + LONG;
        // What has ended for its caller may yet have to end for its worker.
        let stats = loop {
            let stats = self.pool.stats();
            let under_way = stats.queued + stats.running + stats.suspended;
            let held = stats.memory_in_use.unwrap_or_default();
            let is_at_rest = (under_way, held, stats.stuck) == (0, 0, 0)
                && count(called_back) >= count(watched)
                && stats.finished >= count(accepted);
            if is_at_rest {
                break stats;
            }
            assert!(
                Instant::now() < deadline,
                "{} accepted, {} of {} callbacks called, {stats:#?}",
                count(accepted),
                count(called_back),
                count(watched)
            );
            std::thread::yield_now();
        };
        let mut ends = ends.lock().unwrap().clone();
        let settled = ends.values().sum::<u64>();
        assert_eq!(
            (settled, stats.accepted),
            (count(accepted), count(accepted))
        );
        assert_eq!(count(called_back), count(watched));
        let succeeded = ends.remove("succeeded").unwrap_or_default();
        assert_eq!(stats.succeeded, succeeded);
        assert_eq!(
            stats.failures.iter().copied().collect::<BTreeMap<_, _>>(),
            ends
        );
    }

    /// Checks that every worker still computes a right result.
    pub(crate) fn check_workers(&self) {
        // A prime: to find that out takes some milliseconds.
        const PRIME: u64 = 999_999_999_989;
        let deadline = Instant::now() + LONG;
        let task = self.factorizer.task::<(u64,), Vec<u64>>("factorize");
        let task = task.unwrap();
        let mut has_worked = vec![false; self.pool.workers()];
        while has_worked.contains(&false) {
            assert!(Instant::now() < deadline, "{has_worked:?}");
            let futures = has_worked
                .iter()
                .map(|_| self.pool.submit(&task, (PRIME,)).unwrap())
                .collect::<Vec<_>>();
            for future in futures {
                let factors = future.wait_timeout(LONG).expect("it ends");
                assert_eq!(factors.unwrap(), [PRIME]);
                let worker = future.report().unwrap().worker;
                has_worked[worker.expect("it has run")] = true;
            }
        }
    }
}

impl Accepted {
    /// Waits for the end of the task, but not longer than that.
    pub(crate) fn wait_timeout(&self, timeout: Duration) {
        drop(self.future.wait_timeout(timeout));
    }

    pub(crate) fn is_done(&self) -> bool {
        self.future.is_done()
    }

    /// Waits for the end of the task, and checks that it is one of those in its plan, or one of
    /// the errors that are always possible. Returns the name of the end.
    pub(crate) fn check(&self, always_possible: &[Kind]) -> &'static str {
        let Self { plan, future } = self;
        let outcome = future.wait_timeout(LONG);
        assert!(outcome.is_some(), "{plan:?} is still {:?}", future.state());
        let attempts = future.report().expect("it has ended").attempts;
        let Some(kind) = future.error().map(TaskError::kind) else {
            match plan.success {
                Success::Never => panic!("{plan:?} has returned"),
                Success::Unreadable => {
                    let error = outcome.and_then(Result::err).map(|error| error.kind());
                    assert_eq!(error, Some(Kind::BadResult), "{plan:?}");
                }
                Success::Argument => {
                    assert_eq!(future.wait_as::<u64>().unwrap(), plan.argument, "{plan:?}");
                }
                Success::Factors => {
                    let factors = future.wait_as::<Vec<u64>>().unwrap();
                    assert_eq!(factors, factorizer::factorize(plan.argument), "{plan:?}");
                }
            }
            assert_eq!(attempts, 1, "{plan:?}");
            return "succeeded";
        };
        let mut possible = plan.errors.iter().chain(always_possible);
        assert!(
            possible.any(|possible| *possible == kind),
            "{kind}: {plan:?}"
        );
        let expected = match kind {
            Kind::QueueTimedOut => 0..=0,
            // It may end before it starts, or between two attempts.
            Kind::Cancelled => 0..=plan.attempts,
            // So does a shutdown end a task that is to be tried again.
            _ if always_possible.contains(&Kind::ShutDown) => 1..=plan.attempts,
            kind if plan.errors.first() == Some(&kind) => plan.attempts..=plan.attempts,
            _ => 1..=plan.attempts,
        };
        assert!(
            expected.contains(&attempts),
            "{kind} after {attempts}: {plan:?}"
        );
        kind.name()
    }
}

/// Some inputs, from the argument of the plan on.
fn inputs(plan: &Plan, rng: &mut Rng) -> std::ops::Range<u64> {
    plan.argument..plan.argument + rng.u64(1..100)
}

/// Cancels each of the tasks, at a random moment and in a random order, until nobody is left who
/// could send one.
pub(crate) fn cancel_at_random(doomed: &Receiver<Doomed>, rng: &mut Rng) {
    let cancel = |future: Doomed| {
        let is_cancelled = future.cancel();
        let error = future.error().map(TaskError::kind);
        assert_eq!(is_cancelled, error == Some(Kind::Cancelled), "{error:?}");
    };
    let mut waiting = Vec::new();
    loop {
        let patience = match waiting.is_empty() {
            true => LONG,
            false => Duration::from_micros(rng.u64(0..3_000)),
        };
        match doomed.recv_timeout(patience) {
            Ok(future) => waiting.push(future),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if waiting.is_empty() => {}
            Err(RecvTimeoutError::Timeout) => {
                cancel(waiting.swap_remove(rng.usize(..waiting.len())));
            }
        }
        if waiting.len() > DOOMED {
            cancel(waiting.swap_remove(rng.usize(..waiting.len())));
        }
    }
    waiting.into_iter().for_each(cancel);
}
