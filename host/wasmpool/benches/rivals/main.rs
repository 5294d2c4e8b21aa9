//! What dispatching and stopping a task costs, beside a process pool and a worker process.
//!
//! `cargo bench -p wasmpool` prints two tables in Markdown. In each round all arms take
//! turns, so that what disturbs the machine disturbs all of them; a time is the median of
//! the rounds, a ratio the median of the rounds' ratios. All arms run the same tasks on as
//! many workers, and what comes out is compared with what the function itself gives here.
//!
//! The rivals are `ProcessPoolExecutor` of `python3`, whose pool is as warm as ours and
//! whose times are taken inside of Python, and one worker process of native code behind a
//! pipe, which shows what a process costs without Python.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use serde_bytes::{ByteBuf, Bytes};
use wasmpool::{Isolation, Pool, TaskOptions};

use python::Python;
use stopping::Stopping;
use support::{Arm, Plan, Run, clocked, mapped, median, round_trips};

mod native;
mod python;
mod stopping;
#[path = "../support/mod.rs"]
mod support;

const PLAN: Plan = Plan {
    rounds: 25,
    stretch: Duration::from_millis(100),
};

/// A task of next to nothing: six small factors, found at once.
const TINY: u64 = 360;

/// A task of some microseconds: a prime, for which five hundred divisors are tried.
const SMALL: u64 = 1_000_003;

/// What Python's `map` is told to put into a chunk, which is one call there.
const CHUNK: NonZeroUsize = NonZeroUsize::new(64).expect("it is not zero");

/// What is sent there and back.
const MIB: usize = 1 << 20;
const ECHOED: u8 = 0xAB;
static ECHO: [u8; MIB] = [ECHOED; MIB];

/// A rival's way to run a task, and ours, each with the ratio that we want to reach.
struct Contest<'a> {
    what: &'static str,
    /// None where there is no Python.
    rival: Option<Arm<'a>>,
    ours: Vec<(Arm<'a>, Option<f64>)>,
}

fn main() {
    if std::env::args().any(|arg| arg == native::IS_WORKER) {
        return native::work();
    }
    let plan = PLAN.or_just_once();
    let n_workers = support::pool(Isolation::Task).workers();
    let python = Python::start(n_workers);
    let mut contests = contests(plan, python.as_ref());
    let mut stopping = Stopping::new();
    for _ in 0..plan.rounds {
        contests.iter_mut().for_each(Contest::measure);
        stopping.measure();
    }

    println!("| task | rival | takes | wasmpool | takes | ratio | target |");
    println!("|---|---|---:|---|---:|---:|---:|");
    contests.iter().for_each(Contest::print);
    if python.is_none() {
        println!("\n`python3` cannot be started here: its times and ratios are left out.");
    }
    println!();
    stopping.print();
}

fn contests<'a>(plan: Plan, python: Option<&'a Python>) -> Vec<Contest<'a>> {
    let of_python = |name, way, n| {
        let run = python?.factorize(way, n);
        Some(Arm::new(name, plan, run))
    };
    let ours = |name, run, target| (Arm::new(name, plan, run), target);
    let automatic = TaskOptions::new;
    let by_64 = || TaskOptions::new().chunk_size(CHUNK);
    let (fresh, warm) = (Isolation::Task, Isolation::Worker);
    let by_submit = |what, n| Contest {
        what,
        rival: of_python("Python: `submit`", "submit", n),
        ours: vec![
            ours("`submit`, fresh", submitted(fresh, n), Some(10.0)),
            ours("`submit`, warm", submitted(warm, n), Some(50.0)),
            ours("`submit_all`, warm", submitted_together(warm, n), None),
        ],
    };
    let by_map = |what, n| Contest {
        what,
        rival: of_python("Python: `map(chunksize=64)`", "map", n),
        ours: vec![
            ours("`map`, fresh", mapped(fresh, automatic(), n), None),
            ours("`map`, warm", mapped(warm, automatic(), n), Some(40.0)),
            ours("`map` by 64, warm", mapped(warm, by_64(), n), Some(40.0)),
            ours("`map`, 64 in a task, warm", mapped_lists(n), None),
        ],
    };
    vec![
        by_submit("one of many, 360", TINY),
        by_submit("one of many, 1000003", SMALL),
        by_map("one of many, 360", TINY),
        by_map("one of many, 1000003", SMALL),
        Contest {
            what: "one at a time, 360",
            rival: of_python("Python: `submit(...).result()`", "round_trip", TINY),
            ours: vec![
                ours(
                    "`submit(...).wait()`, fresh",
                    round_trips(fresh, TINY),
                    None,
                ),
                ours("`submit(...).wait()`, warm", round_trips(warm, TINY), None),
            ],
        },
        Contest {
            what: "one at a time, 360",
            rival: Some(Arm::new(
                "native process, pipe",
                plan,
                native::round_trips(TINY),
            )),
            ours: vec![ours(
                "`submit(...).wait()`, warm",
                round_trips(warm, TINY),
                Some(1.0),
            )],
        },
        Contest {
            what: "1 MiB there and back",
            rival: python.map(|python| Arm::new("Python", plan, python.echo())),
            ours: vec![ours("warm", our_echoes(), Some(50.0))],
        },
        Contest {
            what: "1 MiB there and back",
            rival: Some(Arm::new("native process, pipe", plan, native::echoes())),
            ours: vec![ours("warm", our_echoes(), None)],
        },
        Contest {
            what: "a new pool's first result",
            rival: of_python("Python", "cold", TINY),
            ours: vec![ours("module cached", cold_starts(TINY), None)],
        },
    ]
}

impl Contest<'_> {
    fn measure(&mut self) {
        let ours = self.ours.iter_mut().map(|(arm, _)| arm);
        self.rival.iter_mut().chain(ours).for_each(Arm::measure);
    }

    fn print(&self) {
        let rival = self.rival.as_ref();
        let (rival_name, rival_time) =
            rival.map_or(("", String::new()), |rival| (rival.name, time(rival)));
        for (arm, target) in &self.ours {
            let ratio = rival.map(|rival| arm.runs_in_one_of(rival));
            println!(
                "| {} | {rival_name} | {rival_time} | {} | {} | {} | {} |",
                self.what,
                arm.name,
                time(arm),
                ratio.map_or(String::new(), |ratio| format!("{ratio:.1}")),
                target.map_or(String::new(), |target| target.to_string()),
            );
        }
    }
}

fn time(arm: &Arm<'_>) -> String {
    let seconds = median(arm.seconds.iter().copied());
    if seconds < 1e-3 {
        format!("{:.2} us", seconds * 1e6)
    } else {
        format!("{:.2} ms", seconds * 1e3)
    }
}

/// Factorizes `n`: submits all, then waits for all.
fn submitted(isolation: Isolation, n: u64) -> Run<'static> {
    let pool = support::pool(isolation);
    let factorize = support::factorize(&pool);
    let expected = factorizer::factorize(n);
    clocked(move |times| {
        let submit = |_| pool.submit(&factorize, (n,)).expect("the pool is open");
        for future in (0..times).map(submit).collect::<Vec<_>>() {
            assert_eq!(future.wait().expect("it succeeds"), expected);
        }
    })
}

/// Factorizes `n`, a chunk in each task: what a chunk is for Python.
fn mapped_lists(n: u64) -> Run<'static> {
    let pool = support::pool(Isolation::Worker);
    let module = pool.load(wasmpool_guests::FACTORIZER.path());
    let module = module.expect("the guest is good");
    let factorize_many = module.task::<(Vec<u64>,), Vec<(u64, Vec<u64>)>>("factorize_many");
    let factorize_many = factorize_many.expect("the guest has it");
    let expected = (n, factorizer::factorize(n));
    clocked(move |times| {
        let numbers = vec![n; times as usize];
        let lists = numbers.chunks(CHUNK.get()).map(<[u64]>::to_vec);
        let results = pool.map(&factorize_many, lists);
        let results = results.flat_map(|outcome| outcome.expect("it succeeds"));
        let n_good = results.filter(|result| *result == expected).count();
        assert_eq!(n_good, times as usize);
    })
}

/// Sends a mebibyte there and back, one at a time, and reads it where it lies.
fn our_echoes() -> Run<'static> {
    let pool = support::pool(Isolation::Worker);
    let module = pool.load(wasmpool_guests::TOUR.path());
    let module = module.expect("the guest is good");
    let echo = module.task::<(&Bytes,), ByteBuf>("echo");
    let echo = echo.expect("the guest has it");
    Box::new(move |times| {
        let started = Instant::now();
        let mut last = None;
        for _ in 0..times {
            let future = pool.submit(&echo, (Bytes::new(&ECHO),));
            let future = last.insert(future.expect("the pool is open"));
            let echoed = future.wait_as::<&Bytes>().expect("it succeeds");
            assert_eq!(echoed.len(), MIB);
        }
        let took = started.elapsed();
        let echoed = last.as_ref().map(|future| future.wait_as::<&Bytes>());
        assert!(echoed.is_none_or(|echoed| *echoed.expect("it succeeds") == ECHO[..]));
        took
    })
}

/// Factorizes `n`: submits all together, then waits for all.
fn submitted_together(isolation: Isolation, n: u64) -> Run<'static> {
    let pool = support::pool(isolation);
    let factorize = support::factorize(&pool);
    let expected = factorizer::factorize(n);
    clocked(move |times| {
        for future in pool.submit_all(&factorize, (0..times).map(|_| (n,))) {
            let future = future.expect("the pool is open");
            assert_eq!(future.wait().expect("it succeeds"), expected);
        }
    })
}

/// Calls `echo`, and looks at what came last when the time is taken.
fn echoes(mut echo: impl FnMut() -> ByteBuf + 'static) -> Run<'static> {
    Box::new(move |times| {
        let started = Instant::now();
        let mut echoed = ByteBuf::new();
        for _ in 0..times {
            echoed = echo();
        }
        let took = started.elapsed();
        assert_eq!(*echoed, ECHO);
        took
    })
}

/// From nothing to the first result; the pool's end is not counted.
fn cold_starts(n: u64) -> Run<'static> {
    Box::new(move |times| {
        let mut took = Duration::ZERO;
        for _ in 0..times {
            let started = Instant::now();
            let pool = Pool::new().expect("the settings are good");
            let future = pool.submit(&support::factorize(&pool), (n,));
            let factors = future.expect("the pool is open").wait();
            took += started.elapsed();
            assert_eq!(factors.expect("it succeeds"), factorizer::factorize(n));
        }
        took
    })
}
