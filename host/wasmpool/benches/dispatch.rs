//! What it costs to run a task that does next to nothing, beside what else one could do.
//!
//! `cargo bench -p wasmpool` prints a table in Markdown. All arms take turns in each round,
//! so that what disturbs the machine disturbs all of them; a figure is the median of the
//! rounds, a ratio the median of the rounds' ratios. The pools have what their users have:
//! interruption, limits, timeouts, reports and captured output.

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::Duration;

use wasmpool::{Isolation, TaskOptions};
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use support::{Arm, Plan, clocked, mapped, median, round_trips};

mod support;

mod contract {
    #![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({ path: "../../wit", world: "worker" });
}

const PLAN: Plan = Plan {
    rounds: 25,
    stretch: Duration::from_millis(20),
};

/// The task: six small factors, found at once.
const N: u64 = 360;

fn main() {
    let plan = PLAN.or_just_once();
    let arms = [
        (
            "wasmtime alone: a call into a warm instance",
            clocked(bare_warm()),
        ),
        (
            "wasmtime alone: a fresh instance and a call",
            clocked(bare_fresh()),
        ),
        (
            "wasmpool, warm instance: `submit(...).wait()`",
            round_trips(Isolation::Worker, N),
        ),
        (
            "wasmpool, fresh instance: `submit(...).wait()`",
            round_trips(Isolation::Task, N),
        ),
        (
            "wasmpool, warm instances: one of many in `map`",
            mapped(Isolation::Worker, TaskOptions::new(), N),
        ),
        (
            "wasmpool, fresh instances: one of many in `map`",
            mapped(Isolation::Task, TaskOptions::new(), N),
        ),
        ("a thread, started and joined", clocked(threads)),
        (
            "a process (`true`), started and waited for",
            clocked(processes),
        ),
    ];
    let mut arms = arms.map(|(name, run)| Arm::new(name, plan, run));
    for _ in 0..plan.rounds {
        arms.iter_mut().for_each(Arm::measure);
    }

    println!("| a task that does next to nothing | time | a process takes |");
    println!("|---|---:|---:|");
    let process = arms.last().expect("there are arms");
    for arm in &arms {
        println!(
            "| {} | {:.2} us | {:.1} times as long |",
            arm.name,
            median(arm.seconds.iter().copied()) * 1e6,
            arm.runs_in_one_of(process),
        );
    }
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

fn bare_warm() -> impl FnMut(u32) {
    let (engine, pre) = bare();
    let mut store = Store::new(&engine, Host::new());
    let worker = pre.instantiate(&mut store).expect("there is memory");
    move |times| (0..times).for_each(|_| call(&worker, &mut store))
}

fn bare_fresh() -> impl FnMut(u32) {
    let (engine, pre) = bare();
    move |times| {
        for _ in 0..times {
            let mut store = Store::new(&engine, Host::new());
            let worker = pre.instantiate(&mut store).expect("there is memory");
            call(&worker, &mut store);
        }
    }
}
