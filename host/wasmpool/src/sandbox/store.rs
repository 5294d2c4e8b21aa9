//! What a guest's store holds on the host's side, and what the guest may ask of it.

use std::sync::Arc;
use std::time::Instant;

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::bindings::wasmpool::task::context;
use super::limiter::Limiter;
use super::output::{Output, Stream};
use crate::control::Control;
use crate::events::Progress;
use crate::limits::Limits;

/// Handles (streams, pollables, files) that a guest may hold at once.
const MAX_HANDLES: usize = 10_000;

/// The host's side of one store.
pub(super) struct State {
    pub(super) limiter: Limiter,
    pub(super) output: Output,
    /// The task that runs in the store now.
    pub(super) run: Run,
    wasi: WasiCtx,
    table: ResourceTable,
}

/// What is of one task, and changes from call to call.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) control: Arc<Control>,
    /// When the task's time is up.
    pub(crate) deadline: Option<Instant>,
    /// The index of the worker that runs it.
    pub(crate) worker: usize,
}

/// What the epoch callback answers when the task must stop.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub(super) struct Stopped;

/// Makes the store of one instance.
pub(super) fn new(engine: &Engine, limits: &Limits, run: Run) -> Store<State> {
    let output = Output::new(limits.output);
    // Nothing is granted: no folder, no variable, no argument, no network, an empty standard
    // input. Clocks and random numbers are there.
    let wasi = WasiCtx::builder()
        .stdout(output.capture(Stream::Stdout))
        .stderr(output.capture(Stream::Stderr))
        .build();
    let mut table = ResourceTable::new();
    table.set_max_capacity(MAX_HANDLES);
    let state = State {
        limiter: Limiter::new(limits.memory),
        output,
        run,
        wasi,
        table,
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    store.set_max_component_handles(MAX_HANDLES);
    // Bounds what one call copies out of the guest. A guest has no more than its memory, so
    // this only meets one that hands out the same bytes over and over.
    store.set_hostcall_fuel(limits.memory);
    store.epoch_deadline_callback(look_at_stop_request);
    store
}

/// Sets a store up for what runs in it next.
pub(super) fn prepare(store: &mut Store<State>, limits: &Limits, run: Run) {
    let state = store.data_mut();
    state.output.begin(&run.control);
    state.run = run;
    state.limiter.set_limit(limits.memory);
    store.set_epoch_deadline(1);
    if let Some(fuel) = limits.fuel {
        store
            .set_fuel(fuel)
            .expect("a pool with a fuel limit has an engine that meters fuel");
    }
}

/// Called at the first check after the epoch has moved, whomever that was meant for.
///
/// What this cannot do is notice every stop: the new deadline is set by wasmtime after the
/// return, one tick beyond whatever the epoch is by then. A stop that comes between the look
/// here and that moment has moved the epoch for nothing. Whoever stops a task therefore goes
/// on moving the epoch until the task has ended (`Watch`).
fn look_at_stop_request(store: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    if store.data().run.control.is_forced() {
        Err(Stopped.into())
    } else {
        Ok(UpdateDeadline::Continue(1))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl context::Host for State {
    fn is_stop_requested(&mut self) -> bool {
        self.run.control.stop_reason().is_some()
    }

    fn report_progress(&mut self, done: u64, total: Option<u64>) {
        self.run.control.report_progress(Progress { done, total });
    }

    fn worker(&mut self) -> u32 {
        u32::try_from(self.run.worker).unwrap_or(u32::MAX)
    }

    fn time_left(&mut self) -> Option<u64> {
        self.run.deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)
        })
    }
}
