//! What a guest's store holds on the host's side, and what the guest may ask of it.

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Instant;

use rustix::fs::FileType;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store, StoreContextMut, UpdateDeadline};
use wasmtime_wasi::filesystem::Dir;
use wasmtime_wasi::sockets::WasiSocketsView as _;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::bindings::wasmpool::task0_1_0::context;
use super::host::{Caller, FunctionName, HostCall, NotGranted};
use super::limiter::Limiter;
use super::objects::ObjectTable;
use super::wasi::Capabilities;
use super::wasi::captured::CapturedStreams;
use super::wasi::files::slow::SlowFiles;
use super::wasi::files::{self, Folders};
#[cfg(feature = "http")]
use super::wasi::http::Http;
use super::wasi::network::{Lookups, Names, Network};
use super::wasi::preview1;
use super::wasi::program::Invocation;
use super::wasi::refusals::Refusals;
use super::wasi::rights;
use super::wasi::time::VirtualTime;
use crate::call::{Control, Limits, MemoryAccount, Parent, Progress};

/// Handles (streams, pollables) that a guest may hold at once.
const MAX_HANDLES: usize = 10_000;

/// The same for a guest whose handles may be files and sockets: the process has a limit of its own
/// for these, often 1024, and other uses for them.
const MAX_OPEN_HANDLES: usize = 1_000;

/// The host's side of one store.
pub(super) struct State {
    pub(super) limiter: Limiter,
    pub(super) output: CapturedStreams,
    /// The control block of the call that runs in the store now.
    pub(super) control: Arc<Control>,
    /// The task whose call runs in the store, if its module imports functions of the embedder.
    pub(super) caller: Option<Arc<Caller>>,
    /// The call itself, if its guest may start tasks.
    pub(super) parent: Option<Arc<dyn Parent>>,
    /// The shared objects that the guest can reach.
    pub(super) objects: ObjectTable,
    rights: Capabilities,
    /// The virtual time of a deterministic guest.
    pub(super) time: Option<VirtualTime>,
    /// What the next program is started with. Taken when the context is made.
    program: Option<Invocation>,
    /// Made when the guest first uses WASI: many guests never do, and the context costs a tenth of
    /// what a fresh instance costs.
    wasi: Option<WasiCtx>,
    /// The same for a program for preview 1.
    preview1: preview1::Context,
    /// What the guest was refused in its folders, and of host functions, in the task that runs now.
    refusals: Refusals,
    /// Made with the context, or when the guest first looks a name up.
    network: OnceCell<Arc<Network>>,
    /// The look-ups of the pool, for a guest with rights to the network.
    lookups: Option<Arc<Lookups>>,
    /// Made when the guest first uses HTTP.
    #[cfg(feature = "http")]
    http: Option<Box<Http>>,
    pub(super) table: ResourceTable,
    /// The last field, so that it is dropped after all else that has files open.
    pub(super) slow_files: SlowFiles,
}

/// The error that halts a guest whose task must stop.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub(super) struct Stopped;

/// Makes the store of one instance.
pub(super) fn new(
    engine: &Engine,
    rights: Capabilities,
    limits: &Limits,
    control: Arc<Control>,
    lookups: &Arc<Lookups>,
    account: Option<Arc<MemoryAccount>>,
) -> Store<State> {
    let grants = rights.grants();
    let output = match grants {
        Some(grants) if grants.inherits_stdio => CapturedStreams::inherited(limits.output),
        _ => CapturedStreams::new(limits.output),
    };
    let max_handles = match grants {
        Some(grants) if !grants.dirs.is_empty() || !grants.net.is_empty() => MAX_OPEN_HANDLES,
        _ => MAX_HANDLES,
    };
    let has_network = grants.is_some_and(|grants| !grants.net.is_empty());
    let time = grants
        .filter(|grants| grants.seed.is_some())
        .map(|grants| VirtualTime::new(has_network || grants.inherits_stdio));
    let mut table = ResourceTable::new();
    table.set_max_capacity(max_handles);
    let state = State {
        limiter: Limiter::new(limits.memory, account),
        output,
        control,
        caller: None,
        parent: None,
        objects: ObjectTable::default(),
        rights,
        time,
        program: None,
        wasi: None,
        preview1: preview1::Context::new(max_handles),
        refusals: Refusals::default(),
        network: OnceCell::new(),
        lookups: has_network.then(|| Arc::clone(lookups)),
        #[cfg(feature = "http")]
        http: None,
        table,
        slow_files: SlowFiles::default(),
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limiter);
    // For the tables of the components themselves. Twice as many, so that a guest with too many
    // handles of the host meets the limit of `table` first, whose error says so.
    store.set_max_component_handles(2 * max_handles);
    // Of a guest that may have several calls under way: these, its streams and its futures.
    if let Some(under_way) = store.concurrent_resource_table() {
        under_way.set_max_capacity(MAX_HANDLES);
    }
    store.epoch_deadline_callback(look_at_stop_request);
    store
}

/// Sets a store up for what runs in it next.
pub(super) fn prepare(store: &mut Store<State>, limits: &Limits, control: &Arc<Control>) {
    let state = store.data_mut();
    state.output.begin(control);
    state.control = Arc::clone(control);
    state.refusals.take();
    state.limiter.set_limit(limits.memory);
    // Bounds what one call copies out of the guest. A guest has no more than its memory, so only
    // a guest that hands out the same bytes over and over meets this bound.
    store.set_hostcall_fuel(limits.memory);
    store.set_epoch_deadline(1);
    if let Some(fuel) = limits.fuel {
        store
            .set_fuel(fuel)
            .expect("a pool with a fuel limit has an engine that meters fuel");
    }
}

/// Whether the guest has something under way after its call: it has begun what it did not await.
pub(super) fn is_busy(store: &mut Store<State>) -> bool {
    let under_way = store.concurrent_resource_table();
    under_way.is_some_and(|under_way| !under_way.is_empty())
}

impl State {
    /// Has a program run next, which is started with this.
    pub(super) fn start_program(&mut self, program: Invocation, limits: &Limits) {
        self.output.keep_whole(limits.program_output);
        self.program = Some(program);
        // The contexts of what ran before, an initializer.
        self.wasi = None;
        self.preview1.forget();
    }

    /// WASI's context of a program for preview 1.
    #[cfg(feature = "preview1")]
    pub(super) fn preview1(&mut self) -> &mut wasmtime_wasi::p1::WasiP1Ctx {
        &mut self.preview1_with_directories().context
    }

    /// The same, with the directories that the program has open.
    #[cfg(feature = "preview1")]
    pub(super) fn preview1_with_directories(
        &mut self,
    ) -> &mut super::wasi::files::preview1::Preview1 {
        self.preview1.get_or_make(
            self.rights.grants(),
            &mut self.program,
            &self.output,
            self.time.as_ref(),
        )
    }

    /// The folders that the guest was granted.
    pub(super) fn folders(&self) -> Option<&Folders> {
        self.rights.grants().map(|grants| &grants.folders)
    }

    /// Notes that the guest wanted to open a special file.
    pub(super) fn refuse_file(&mut self, dir: &Dir, path: &str, kind: FileType) {
        let folders = self.rights.grants().map(|grants| &grants.folders);
        let refused = files::refusal(folders, dir, path, kind);
        self.refusals.add(refused);
    }

    /// What the function of this name is told about the call of the guest, which calls it. Refused if
    /// the guest has no grant, or runs no task: it lists its tasks.
    pub(super) fn host_call(&mut self, function: &FunctionName) -> Result<HostCall, NotGranted> {
        let granted = self.rights.grants();
        let is_granted = granted.is_some_and(|granted| granted.has_host_function(function));
        let name = || function.to_string();
        let Some(caller) = &self.caller else {
            return Err(NotGranted::WhileListing { name: name() });
        };
        if !is_granted {
            let name = name();
            self.refusals.add(format!("call `{name}`"));
            return Err(NotGranted::Function { name });
        }
        Ok(HostCall::new(Arc::clone(caller), Arc::clone(&self.control)))
    }

    /// What the guest was refused of the network, of files and of host functions in the task that has
    /// ended.
    pub(super) fn take_refused(&self) -> Vec<String> {
        let network = self.network.get();
        let mut refused = network.map_or_else(Vec::new, |network| network.take_refused());
        refused.extend_from_slice(self.refusals.as_slice());
        refused
    }

    /// What the guest has for HTTP, and the handles among which it has it.
    #[cfg(feature = "http")]
    pub(super) fn http_and_table(&mut self) -> (&mut Http, &mut ResourceTable) {
        let http = self.http.get_or_insert_with(|| {
            let network = network(&self.network, &self.rights, &self.lookups);
            Box::new(Http::new(Arc::clone(network), &mut self.table))
        });
        (http, &mut self.table)
    }

    /// Looks names up for the guest.
    pub(super) fn names(&mut self) -> Names<'_> {
        let network = Arc::clone(network(&self.network, &self.rights, &self.lookups));
        Names {
            sockets: self.sockets(),
            network,
        }
    }
}

fn network<'a>(
    network: &'a OnceCell<Arc<Network>>,
    rights: &Capabilities,
    lookups: &Option<Arc<Lookups>>,
) -> &'a Arc<Network> {
    network.get_or_init(|| {
        let granted = rights.grants().map_or(&[][..], |grants| &grants.net);
        // Without a grant nothing is looked up, so nothing is counted.
        let lookups = lookups.clone().unwrap_or_default();
        Arc::new(Network::new(granted, &lookups))
    })
}

/// Called at the guest's first check after the epoch has moved, for whichever call it was moved.
///
/// This cannot notice every stop: wasmtime sets the new deadline after the return, one tick
/// beyond whatever the epoch is by then. A stop that comes between the look here and that
/// moment has moved the epoch for nothing. So the watchdog goes on moving the epoch until the
/// task has ended.
fn look_at_stop_request(store: StoreContextMut<'_, State>) -> wasmtime::Result<UpdateDeadline> {
    let control = &store.data().control;
    if control.is_forced() {
        Err(Stopped.into())
    } else if control.begin_to_yield() {
        Ok(UpdateDeadline::Yield(1))
    } else {
        Ok(UpdateDeadline::Continue(1))
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        let wasi = self.wasi.get_or_insert_with(|| {
            rights::context(
                self.rights.grants(),
                self.program.take(),
                &self.output,
                self.time.as_ref(),
                || Arc::clone(network(&self.network, &self.rights, &self.lookups)),
            )
        });
        WasiCtxView {
            ctx: wasi,
            table: &mut self.table,
        }
    }
}

impl context::Host for State {
    fn is_stop_requested(&mut self) -> bool {
        // The moment of a stop is chance, so a deterministic guest does not see it.
        self.time.is_none() && self.control.stop_reason().is_some()
    }

    fn report_progress(&mut self, done: u64, total: Option<u64>) {
        self.control.report_progress(Progress { done, total });
    }

    fn worker(&mut self) -> u32 {
        if self.time.is_some() {
            return 0;
        }
        u32::try_from(self.control.worker()).unwrap_or(u32::MAX)
    }

    fn time_left(&mut self) -> Option<u64> {
        if self.time.is_some() {
            return None;
        }
        self.control.deadline().map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            u64::try_from(left.as_nanos()).unwrap_or(u64::MAX)
        })
    }
}
