//! Everything at once and at random: each accepted task ends once, and the counters are right.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use wasmpool::{
    Arguments, Isolation, Pool, Priority, Shutdown, SubmitErrorKind, Task, TaskErrorKind as Kind,
    TaskFuture, TaskOptions, TaskState, Value,
};

use crate::support::{Bench, Random, Seed, within_long};

/// A task that was accepted.
struct Accepted {
    future: TaskFuture<Value>,
    /// How many times its callback ran.
    called: Arc<AtomicUsize>,
    /// What `cancel` returned, if it was called.
    cancelled: Option<bool>,
}

/// Submits a random task. Endless ones have a timeout.
fn submit_any(bench: &Bench, random: &mut Random) -> Result<TaskFuture<Value>, SubmitErrorKind> {
    let mut options = TaskOptions::new().priority(random.choose(&[
        Priority::High,
        Priority::Normal,
        Priority::Low,
    ]));
    if random.below(4) == 0 {
        options = options.queue_timeout(random.millis(5));
    }
    if random.below(8) == 0 {
        options = options.isolation(Isolation::Task);
    }
    if random.below(8) == 0 {
        options = options.stop_grace(random.millis(3));
    }
    let (name, argument) = random.choose(&[
        ("recall", 1),
        ("recall", 2),
        ("remember", 3),
        ("sleep", 0),
        ("sleep", 2),
        ("poll", 2),
        ("spin", 1),
        ("honour_stop", 1),
        ("ignore_stop", 1),
        ("unreachable", 1),
        ("exit", 1),
        ("panic", 0),
        ("fail", 0),
    ]);
    if ["poll", "spin", "honour_stop", "ignore_stop"].contains(&name) || random.below(8) == 0 {
        options = options.task_timeout(random.millis(4));
    }
    match name {
        "panic" | "fail" => {
            let task = bench.task::<_, Value>(name).with(options);
            submit(bench, &task, ("for some reason",), random)
        }
        _ => {
            let task = bench.task::<_, Value>(name).with(options);
            submit(bench, &task, (argument,), random)
        }
    }
}

/// Submits a task in one of the three ways.
fn submit<Args: Arguments>(
    bench: &Bench,
    task: &Task<Args, Value>,
    arguments: Args,
    random: &mut Random,
) -> Result<TaskFuture<Value>, SubmitErrorKind> {
    let submitted = match random.below(3) {
        0 => bench.pool.submit(task, arguments),
        1 => bench.pool.try_submit(task, arguments),
        _ => bench.pool.submit_timeout(task, arguments, random.millis(3)),
    };
    submitted.map_err(|refused| refused.kind().clone())
}

/// Submits and cancels until the pool is shut down.
fn submit_and_cancel(bench: &Bench, random: &mut Random) -> Vec<Accepted> {
    let mut all = Vec::<Accepted>::new();
    loop {
        match submit_any(bench, random) {
            Err(SubmitErrorKind::ShutDown) => return all,
            Err(refused) => assert_eq!(refused, SubmitErrorKind::Full),
            Ok(future) => {
                let called = Arc::new(AtomicUsize::new(0));
                let counter = Arc::clone(&called);
                future.on_done(move |future| {
                    assert!(future.is_done());
                    counter.fetch_add(1, Ordering::SeqCst);
                });
                all.push(Accepted {
                    future,
                    called,
                    cancelled: None,
                });
            }
        }
        if random.below(3) == 0 && !all.is_empty() {
            // Mostly one of the last tasks, which are queued or running.
            let back = 1 + random.below(8).min(all.len() as u64 - 1);
            let place = all.len() - usize::try_from(back).unwrap();
            let is_cancelled = all[place].future.cancel();
            all[place].cancelled = Some(is_cancelled);
        }
    }
}

fn check(seed: u64) {
    let _seed = Seed(seed);
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut builder = Pool::builder()
        .workers(random.choose(&[1, 2, 3]))
        .queue_capacity(random.choose(&[1, 8, 64]))
        .isolation(random.choose(&[Isolation::Task, Isolation::Worker]))
        .max_tasks_per_instance(random.choose(&[1, 3, 1_000]));
    if random.below(2) == 0 {
        builder = builder.stop_grace(random.millis(3));
    }
    let bench = Bench::new(builder);
    let n_tasks = 50 + random.below(200);
    let how = random.choose(&[0, 1, 2, 3, 4]);
    let patience = random.millis(5);

    let everybody = Barrier::new(4);
    let mut all = std::thread::scope(|scope| {
        let submitters = [1, 2, 3].map(|number| {
            let mut random = Random(random.below(1 << 60) + number);
            let (bench, everybody) = (&bench, &everybody);
            scope.spawn(move || {
                everybody.wait();
                submit_and_cancel(bench, &mut random)
            })
        });
        everybody.wait();
        while bench.pool.stats().accepted < n_tasks {
            std::thread::yield_now();
        }
        match how {
            0 => bench.pool.shutdown(Shutdown::Graceful),
            1 => bench.pool.shutdown(Shutdown::Cancel),
            2 => bench.pool.shutdown(Shutdown::Terminate),
            3 => drop(bench.pool.shutdown_timeout(patience)),
            _ => bench.pool.close(),
        }
        submitters.map(|submitter| submitter.join().unwrap())
    })
    .into_iter()
    .flatten()
    .collect::<Vec<_>>();
    bench.pool.shutdown(Shutdown::Graceful);
    let stats = bench.pool.stats();
    // Callbacks of expired tasks may still run on the pool's thread for callbacks.
    drop(bench);

    let mut ends = BTreeMap::<&str, u64>::new();
    for accepted in &mut all {
        let Accepted {
            future,
            called,
            cancelled,
        } = accepted;
        assert!(future.is_done() && future.state() == TaskState::Done);
        assert_eq!(called.load(Ordering::SeqCst), 1);
        let end = future.wait().map_err(|error| error.kind());
        if let Some(is_cancelled) = cancelled {
            assert_eq!(*is_cancelled, end == Err(Kind::Cancelled), "{end:?}");
        }
        let has_run = future.report().unwrap().worker.is_some();
        match end {
            Ok(_) | Err(Kind::Trap(_) | Kind::Exited(_) | Kind::Failed | Kind::TimedOut) => {
                assert!(has_run, "{end:?}");
            }
            Err(Kind::QueueTimedOut) => assert!(!has_run),
            Err(Kind::Cancelled | Kind::ShutDown) => (),
            Err(other) => panic!("{other:?}"),
        }
        *ends
            .entry(end.err().map_or("succeeded", Kind::name))
            .or_default() += 1;
    }
    let succeeded = ends.remove("succeeded").unwrap_or_default();
    assert_eq!(stats.accepted, all.len() as u64);
    assert_eq!(
        (stats.finished, stats.succeeded),
        (stats.accepted, succeeded)
    );
    assert_eq!(stats.failures.into_iter().collect::<BTreeMap<_, _>>(), ends);
}

#[test]
fn each_accepted_task_ends_once_and_is_counted() {
    for seed in 1..=20 {
        within_long(move || check(seed));
    }
}
