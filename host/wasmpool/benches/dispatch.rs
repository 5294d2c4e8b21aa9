//! What it costs to run a task that does next to nothing, beside what else one could do.
//!
//! `cargo bench -p wasmpool` prints a table in Markdown. All arms take turns in each round,
//! so that what disturbs the machine disturbs all of them; a figure is the median of the
//! rounds, a ratio the median of the rounds' ratios. The pools have what their users have:
//! interruption, limits, timeouts, reports and captured output.

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wasmpool::{Isolation, Pool, Task};
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

mod contract {
    #![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({ path: "../../wit", world: "worker" });
}

const ROUNDS: usize = 25;

/// How long an arm runs in a round, about.
const STRETCH: Duration = Duration::from_millis(20);

/// The task: six small factors, found at once.
const N: u64 = 360;

/// A way to run the task, so many times.
struct Arm {
    name: &'static str,
    run: Box<dyn FnMut(u32)>,
    /// Runs in a stretch.
    times: u32,
    /// Seconds for one run, round by round.
    seconds: Vec<f64>,
}

fn main() {
    // `cargo test --benches` starts benchmarks too, to see that they work.
    let rounds = if std::env::args().any(|arg| arg == "--bench") {
        ROUNDS
    } else {
        1
    };
    let mut arms = vec![
        Arm::new("wasmtime alone: a call into a warm instance", bare_warm()),
        Arm::new("wasmtime alone: a fresh instance and a call", bare_fresh()),
        Arm::new(
            "wasmpool, warm instance: `submit(...).wait()`",
            round_trips(Isolation::Worker),
        ),
        Arm::new(
            "wasmpool, fresh instance: `submit(...).wait()`",
            round_trips(Isolation::Task),
        ),
        Arm::new(
            "wasmpool, warm instances: one of many in `map`",
            mapped(Isolation::Worker),
        ),
        Arm::new(
            "wasmpool, fresh instances: one of many in `map`",
            mapped(Isolation::Task),
        ),
        Arm::new("a thread, started and joined", Box::new(threads)),
        Arm::new(
            "a process (`true`), started and waited for",
            Box::new(processes),
        ),
    ];
    for _ in 0..rounds {
        arms.iter_mut().for_each(Arm::measure);
    }

    println!("| a task that does next to nothing | time | a process takes |");
    println!("|---|---:|---:|");
    let process = arms.last().expect("there are arms").seconds.clone();
    for arm in &arms {
        let ratios = process
            .iter()
            .zip(&arm.seconds)
            .map(|(process, arm)| process / arm);
        let micros = median(arm.seconds.iter().copied()) * 1e6;
        println!(
            "| {} | {micros:.2} us | {:.1} times as long |",
            arm.name,
            median(ratios)
        );
    }
}

impl Arm {
    fn new(name: &'static str, mut run: Box<dyn FnMut(u32)>) -> Self {
        // Warm up, and find out how often fits into a stretch.
        let mut times = 1;
        loop {
            let started = Instant::now();
            run(times);
            if started.elapsed() >= STRETCH / 2 {
                break;
            }
            times *= 2;
        }
        Self {
            name,
            run,
            times,
            seconds: Vec::new(),
        }
    }

    fn measure(&mut self) {
        let started = Instant::now();
        (self.run)(self.times);
        self.seconds
            .push(started.elapsed().as_secs_f64() / f64::from(self.times));
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values = values.collect::<Vec<_>>();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn pool(isolation: Isolation) -> (Pool, Task<(u64,), Vec<u64>>) {
    let builder = Pool::builder()
        .isolation(isolation)
        .task_timeout(Duration::from_secs(10));
    let pool = builder.build().expect("the settings are good");
    let module = pool
        .load(wasmpool_guests::FACTORIZER.path())
        .expect("the guest is good");
    let task = module.task("factorize").expect("the guest has it");
    (pool, task)
}

fn round_trips(isolation: Isolation) -> Box<dyn FnMut(u32)> {
    let (pool, factorize) = pool(isolation);
    Box::new(move |times| {
        for _ in 0..times {
            let future = pool.submit(&factorize, (N,)).expect("the pool is open");
            assert_eq!(future.wait().expect("it succeeds").len(), 6);
        }
    })
}

fn mapped(isolation: Isolation) -> Box<dyn FnMut(u32)> {
    let (pool, factorize) = pool(isolation);
    Box::new(move |times| {
        let inputs = std::iter::repeat_n(N, times as usize);
        let done = pool
            .map(&factorize, inputs)
            .filter(|outcome| outcome.is_ok());
        assert_eq!(done.count(), times as usize);
    })
}

fn threads(times: u32) {
    for _ in 0..times {
        let thread = std::thread::spawn(|| factorizer::factorize(black_box(N)));
        assert_eq!(thread.join().expect("it succeeds").len(), 6);
    }
}

fn processes(times: u32) {
    for _ in 0..times {
        let status = Command::new("true").stdin(Stdio::null()).status();
        assert!(status.expect("there is such a program").success());
    }
}

/// What a store holds where there is nothing but wasmtime.
struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl Host {
    fn new() -> Self {
        Self {
            wasi: WasiCtx::builder().build(),
            table: ResourceTable::new(),
        }
    }
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl contract::wasmpool::task::context::Host for Host {
    fn is_stop_requested(&mut self) -> bool {
        false
    }

    fn report_progress(&mut self, _: u64, _: Option<u64>) {}

    fn worker(&mut self) -> u32 {
        0
    }

    fn time_left(&mut self) -> Option<u64> {
        None
    }
}

/// The default engine, without interruption or limits: the least that a call can cost.
fn bare() -> (Engine, contract::WorkerPre<Host>) {
    let engine = Engine::default();
    let component = Component::new(&engine, wasmpool_guests::FACTORIZER.wasm);
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_sync(&mut linker).expect("nothing is there yet");
    contract::wasmpool::task::context::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host)
        .expect("nothing is there yet");
    let pre = linker.instantiate_pre(&component.expect("the guest is good"));
    let pre = contract::WorkerPre::new(pre.expect("all imports are there"));
    (engine, pre.expect("it has our world"))
}

fn call(worker: &contract::Worker, store: &mut Store<Host>) {
    // The MessagePack of `[360]`.
    let arguments = [0x91, 0xCD, 0x01, 0x68];
    let result = worker
        .wasmpool_task_tasks()
        .call_call(store, "factorize", &arguments);
    assert_eq!(result.expect("no trap").expect("no failure").len(), 7);
}

fn bare_warm() -> Box<dyn FnMut(u32)> {
    let (engine, pre) = bare();
    let mut store = Store::new(&engine, Host::new());
    let worker = pre.instantiate(&mut store).expect("there is memory");
    Box::new(move |times| (0..times).for_each(|_| call(&worker, &mut store)))
}

fn bare_fresh() -> Box<dyn FnMut(u32)> {
    let (engine, pre) = bare();
    Box::new(move |times| {
        for _ in 0..times {
            let mut store = Store::new(&engine, Host::new());
            let worker = pre.instantiate(&mut store).expect("there is memory");
            call(&worker, &mut store);
        }
    })
}
