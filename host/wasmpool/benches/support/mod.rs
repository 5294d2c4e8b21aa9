//! What the benchmarks share: arms that take turns, and ways to run tasks.

use std::time::{Duration, Instant};

use wasmpool::{Isolation, Pool, Task, TaskOptions};

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// How long an arm runs in a round: half of it at the least.
    pub(crate) stretch: Duration,
}

impl Plan {
    /// This plan under `cargo bench`. `cargo test --benches` starts benchmarks too, to see
    /// that they work: one round then, and of everything once.
    pub(crate) fn or_just_once(self) -> Self {
        if std::env::args().any(|arg| arg == "--bench") {
            return self;
        }
        Self {
            rounds: 1,
            stretch: Duration::ZERO,
        }
    }
}

/// Runs something so many times and says how long that took.
pub(crate) type Run<'a> = Box<dyn FnMut(u32) -> Duration + 'a>;

/// A way to run a task.
pub(crate) struct Arm<'a> {
    pub(crate) name: &'static str,
    run: Run<'a>,
    /// Runs in a stretch.
    times: u32,
    /// Seconds for one run, round by round.
    pub(crate) seconds: Vec<f64>,
}

impl<'a> Arm<'a> {
    pub(crate) fn new(name: &'static str, plan: Plan, mut run: Run<'a>) -> Self {
        // Warm up, and find out how often fits into a stretch.
        let mut times = 1;
        while run(times) < plan.stretch / 2 {
            times *= 2;
        }
        Self {
            name,
            run,
            times,
            seconds: Vec::new(),
        }
    }

    pub(crate) fn measure(&mut self) {
        let took = (self.run)(self.times);
        self.seconds
            .push(took.as_secs_f64() / f64::from(self.times));
    }

    /// How often this arm has run in the time in which `other` ran once.
    pub(crate) fn runs_in_one_of(&self, other: &Arm<'_>) -> f64 {
        let rounds = other.seconds.iter().zip(&self.seconds);
        median(rounds.map(|(other, this)| other / this))
    }
}

/// Takes the time of what does not take its own.
pub(crate) fn clocked<'a>(mut run: impl FnMut(u32) + 'a) -> Run<'a> {
    Box::new(move |times| {
        let started = Instant::now();
        run(times);
        started.elapsed()
    })
}

pub(crate) fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values = values.collect::<Vec<_>>();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A pool as its users have it: limits, a timeout, reports and captured output.
pub(crate) fn pool(isolation: Isolation) -> Pool {
    let builder = Pool::builder()
        .isolation(isolation)
        .task_timeout(Duration::from_secs(10));
    builder.build().expect("the settings are good")
}

pub(crate) fn factorize(pool: &Pool) -> Task<(u64,), Vec<u64>> {
    let module = pool.load(wasmpool_guests::FACTORIZER.path());
    let module = module.expect("the guest is good");
    module.task("factorize").expect("the guest has it")
}

/// Factorizes `n`, one task at a time.
pub(crate) fn round_trips(isolation: Isolation, n: u64) -> Run<'static> {
    let pool = pool(isolation);
    let factorize = factorize(&pool);
    let expected = factorizer::factorize(n);
    clocked(move |times| {
        for _ in 0..times {
            let future = pool.submit(&factorize, (n,)).expect("the pool is open");
            assert_eq!(future.wait().expect("it succeeds"), expected);
        }
    })
}

/// Factorizes `n`, the outcomes of one `map`.
pub(crate) fn mapped(isolation: Isolation, options: TaskOptions, n: u64) -> Run<'static> {
    let pool = pool(isolation);
    let factorize = factorize(&pool).with(options);
    let expected = factorizer::factorize(n);
    clocked(move |times| {
        let inputs = std::iter::repeat_n(n, times as usize);
        let good = pool
            .map(&factorize, inputs)
            .filter(|outcome| outcome.as_ref().is_ok_and(|factors| *factors == expected));
        assert_eq!(good.count(), times as usize);
    })
}
