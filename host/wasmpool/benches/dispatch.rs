//! Micro-benchmarks for who works on the pool: what it costs to hand a task over and to have its
//! result.
//!
//! `cargo bench -p wasmpool` runs them and compares with the run before. What isolation costs
//! beside processes and threads is what `wasmpool bench` measures.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use wasmpool::{Isolation, Pool, Task, TaskState, Value};

/// Tasks of a map, or of a submission of many.
const MANY: u64 = 1000;

/// The task: six small factors, found at once.
const N: u64 = 360;

const BOTH: [(&str, Isolation); 2] = [("warm", Isolation::Worker), ("fresh", Isolation::Task)];

/// A pool as its users have it: with limits, a timeout, reports and captured output.
fn pool(isolation: Isolation) -> (Pool, Task<(u64,), Vec<u64>>) {
    let builder = Pool::builder()
        .isolation(isolation)
        .task_timeout(Duration::from_secs(60));
    let pool = builder.build().expect("the settings are good");
    let module = pool.load(wasmpool_guests::FACTORIZER.path());
    let factorize = module.expect("the guest is good").task("factorize");
    (pool, factorize.expect("the guest has it"))
}

/// `submit(...).wait()`: there and back, with one task under way.
fn round_trips(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("submit and wait");
    for (name, isolation) in BOTH {
        let (pool, factorize) = pool(isolation);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let future = pool.submit(&factorize, (black_box(N),));
                future.expect("the pool is open").wait()
            });
        });
    }
}

/// `map`: many tasks under way, in chunks.
fn maps(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("map");
    group.throughput(Throughput::Elements(MANY));
    for (name, isolation) in BOTH {
        let (pool, factorize) = pool(isolation);
        group.bench_function(BenchmarkId::new(name, MANY), |bencher| {
            bencher.iter(|| {
                let outcomes = pool.map(&factorize, 0..black_box(MANY));
                assert_eq!(outcomes.filter(Result::is_ok).count() as u64, MANY);
            });
        });
    }
}

/// The queue and the cell alone: tasks that are submitted and cancelled, and never run, since
/// the only worker is busy.
fn submissions(criterion: &mut Criterion) {
    let pool = Pool::builder().workers(1).build();
    let pool = pool.expect("the settings are good");
    let load = |guest: wasmpool_guests::Guest| pool.load(guest.path());
    let module = load(wasmpool_guests::FACTORIZER).expect("the guest is good");
    let factorize: Task<(u64,), Vec<u64>> = module.task("factorize").expect("the guest has it");
    let module = load(wasmpool_guests::MISBEHAVING).expect("the guest is good");
    let sleep: Task<(u64,), Value> = module.task("sleep").expect("the guest has it");
    let busy = pool.submit(&sleep, (3_600_000,));
    let busy = busy.expect("the pool is open");
    while busy.state() == TaskState::Queued {
        std::thread::yield_now();
    }

    let mut group = criterion.benchmark_group("submit and cancel, queued");
    group.bench_function("submit", |bencher| {
        bencher.iter(|| {
            let future = pool.submit(&factorize, (black_box(N),));
            future.expect("the pool is open").cancel()
        });
    });
    const TOGETHER: u64 = 100;
    group.throughput(Throughput::Elements(TOGETHER));
    group.bench_function(BenchmarkId::new("submit_all", TOGETHER), |bencher| {
        bencher.iter(|| {
            let futures = pool.submit_all(&factorize, (0..TOGETHER).map(|n| (black_box(n),)));
            for future in futures {
                future.expect("the pool is open").cancel();
            }
        });
    });
    busy.cancel();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = round_trips, maps, submissions
}
criterion_main!(benches);
