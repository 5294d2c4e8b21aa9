//! The engine: how guests are compiled, and where their memory comes from.

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use super::address_space::{self, are_threads_few, has_room, of_threads, size, threads_remedy};
use super::limiter::MAX_ITEMS;
use crate::call::Allocation;

/// The settings of the sandbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EngineSettings {
    /// How many instances may exist at once, beside suspended ones.
    pub(crate) instances: u32,
    /// How many instances of calls that wait in the host may exist at once. There are fewer where
    /// the address space has no room for them.
    pub(crate) suspended: u32,
    /// How many instances of calls that have made room for others may exist beside them.
    pub(crate) preempted: u32,
    /// How many instances of sessions may exist beside them.
    pub(crate) sessions: u32,
    /// How many threads run guests, each of which needs a stack of its own.
    pub(crate) workers: u32,
    /// Bytes of stack for a guest's calls.
    pub(crate) stack: usize,
    /// Whether guests count their fuel.
    pub(crate) fuel: bool,
    /// Whether computing guests check the epoch, so that they can be stopped.
    pub(crate) epochs: bool,
    /// Whether backtraces name files and lines.
    pub(crate) backtrace_lines: bool,
    /// Whether numbers are the same on all processors.
    pub(crate) deterministic_numbers: bool,
    pub(crate) memory_reset: MemoryReset,
    /// Whether code is compiled for any processor of the architecture.
    pub(crate) baseline_processor: bool,
}

/// How the memory of an instance is reset for the next instance in the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MemoryReset {
    /// All of the memory that an instance had, whether it wrote to it or not. This is the default.
    ///
    /// The first 256 KiB of each memory are overwritten with their initial content. The rest is
    /// given back to the kernel, which maps the initial content again. The reset does not depend on
    /// which pages were written, so it leaves nothing of a task behind.
    ///
    /// It is fastest for a guest whose memory fits into the 256 KiB. That takes a stack smaller
    /// than the 1 MiB that compilers reserve: `-Clink-arg=-zstack-size=65536`. Each place for an
    /// instance keeps up to 256 KiB for each memory of its guest while it is idle.
    #[default]
    Whole,
    /// Only the pages that the kernel reports as written (`PAGEMAP_SCAN`, Linux 6.7). Faster for a
    /// guest that has much memory and writes little of it.
    ///
    /// The risk: the kernel does not report a written page that is swapped out or is being moved at
    /// that moment. Such a page is not reset, and the next task in the same place can read its
    /// content. Use it only for tasks that may see each other's data.
    ///
    /// If the kernel does not support it, or if swap space is in use when the pool is built, memory
    /// is reset as with [`Whole`](Self::Whole); [`Pool::allocation`] returns which reset is used.
    /// Swap space that is turned on later is not noticed, and no setting keeps the kernel from
    /// moving pages. Each place for an instance keeps up to 1 MiB for each memory.
    ///
    /// [`Pool::allocation`]: crate::Pool::allocation
    PageWise,
    /// As [`Whole`](Self::Whole), but up to 32 MiB of each memory are overwritten in place, and only
    /// the rest is given back to the kernel.
    ///
    /// For large guests that write here and there in much of their memory, such as interpreters with
    /// their standard library: no page of it is faulted in again, and all of it is copied. Which of
    /// the two costs less depends on the machine, so measure: with an interpreter of 20 MiB two
    /// workers once did 1.7 times the tasks of one, and no more than one with the other ways; at
    /// another time `Whole` did 1.4 times as many tasks. A small guest is reset as with `Whole`. Each
    /// place for an instance keeps up to 32 MiB for each memory of its guest while it is idle: a pool
    /// of few workers, and of few suspended tasks, is meant.
    InPlace,
}

/// Stack that host functions may use below the guest's.
const HOST_STACK: usize = 1 << 20;

/// Linear memories that a component may have. Every slot reserves 4 GiB of addresses for each, so
/// the limit is close to the 1 that compilers produce.
const MEMORIES_PER_COMPONENT: u32 = 4;

/// Tables that a component may have.
const TABLES_PER_COMPONENT: u32 = 32;

/// Memories reserved for each suspended call and for each session. A module that needs more is not
/// suspended and keeps its worker, and has no sessions.
pub(super) const MEMORIES_PER_SUSPENDED: u32 = 1;

/// The same for tables.
pub(super) const TABLES_PER_SUSPENDED: u32 = 8;

/// Elements that a table may have. A slot reserves addresses for them. A program of a hundred
/// thousand functions may have one element for each.
const TABLE_ELEMENTS: usize = 200_000;

/// Bytes for the bookkeeping of one core instance: a bound, not a reservation.
const INSTANCE_SIZE: usize = 4 << 20;

/// How much of a memory is overwritten in place when it is reset as a whole. The rest goes back to
/// the kernel, and costs a page fault per page when it is used again. This also bounds the memory
/// of an idle slot. The memory of a small guest fits into it. A larger guest pays for both parts,
/// so the figure is no larger than that.
const KEPT_WHOLE: usize = 256 << 10;

/// The same where large guests are meant: a Python interpreter with its library has some 20 MiB.
const KEPT_IN_PLACE: usize = 32 << 20;

/// The same for tables: 8,192 elements.
const KEPT_OF_TABLE: usize = 64 << 10;

/// How much of a memory, and of a table, is kept in place when it is reset page by page.
const KEPT_PAGE_WISE: usize = 1 << 20;

/// This machine, as the compiler names it.
#[cfg(target_os = "macos")]
const HOST: &str = match cfg!(target_arch = "aarch64") {
    true => "aarch64-apple-darwin",
    false => "x86_64-apple-darwin",
};
#[cfg(not(target_os = "macos"))]
const HOST: &str = match cfg!(target_arch = "aarch64") {
    true => "aarch64-unknown-linux-gnu",
    false => "x86_64-unknown-linux-gnu",
};

/// What a memory reserves by default, in bytes: as much as it can grow to. Code needs no bounds
/// checks then.
const FULL_RESERVATION: u64 = 4 << 30;

/// The guard behind such a memory: the engine's default.
const FULL_GUARD: u64 = 32 << 20;

/// What a memory reserves where addresses are few: it moves, and is copied, each time that it has
/// grown by so much.
const SMALL_RESERVATION: u64 = 64 << 20;

/// How much more a memory without a reservation takes than it needs, each time that it moves.
const STEP: u64 = 4 << 20;

/// The guard behind a memory whose accesses are checked: one check then does for several accesses
/// close to each other.
const SMALL_GUARD: u64 = 64 << 10;

/// What a memory without a reservation takes for a small guest, such as one in Rust: what it has at
/// the start, and the step.
const SMALL_MEMORY: u64 = (2 << 20) + STEP;

/// Bytes of addresses that are left to the host itself: to compile a module of some megabytes.
const FOR_HOST: usize = 512 << 20;

/// The least of that: to compile a small module.
const LEAST_FOR_HOST: usize = 128 << 20;

/// Threads beside the workers: those that load modules, watch, wake, and read and write.
const OTHER_THREADS: usize = 6;

/// An engine, and what it has room for.
pub(super) struct Built {
    pub(super) engine: Engine,
    pub(super) allocation: Allocation,
    /// How many instances of calls that wait there may be: mostly as many as were asked for.
    pub(super) suspended: u32,
}

/// Sets up an engine. Its memory is pooled if the machine allows that. Where it does not, the engine
/// reserves less: as much as there is room for, beside what the host needs.
pub(super) fn build(settings: EngineSettings) -> Result<Built, String> {
    let page_wise_reset = settings.memory_reset == MemoryReset::PageWise
        && PoolingAllocationConfig::is_pagemap_scan_available()
        && !is_swap_in_use();
    let limit = address_space::limit();
    let for_host = FOR_HOST + of_threads(n_threads(settings));
    let refusal = match pooled(settings, page_wise_reset) {
        // Without a limit there are far more addresses than an engine reserves.
        Ok(engine) if limit.is_none() || has_room(for_host) => {
            let allocation = Allocation::Pooled { page_wise_reset };
            let suspended = settings.suspended;
            return Ok(Built {
                engine,
                allocation,
                suspended,
            });
        }
        Ok(_) => "too little is left for the host".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    let reservations = [FULL_RESERVATION, SMALL_RESERVATION];
    let rung = reservations
        .into_iter()
        .find(|&reservation| fits(settings, reservation, for_host));
    if let Some(reservation) = rung {
        return on_demand(settings, reservation, settings, limit, &refusal);
    }
    let for_host = LEAST_FOR_HOST + of_threads(n_threads(settings));
    let mut fewer = settings;
    while fewer.suspended > 0 && !fits(fewer, 0, for_host) {
        fewer.suspended /= 2;
    }
    if fewer.suspended == 0 {
        // At least one call on each worker has room.
        let least = EngineSettings {
            instances: settings.workers,
            preempted: 0,
            ..fewer
        };
        if !fits(least, 0, for_host) {
            return Err(no_room(settings, limit));
        }
    }
    on_demand(fewer, 0, settings, limit, &refusal)
}

fn n_threads(settings: EngineSettings) -> usize {
    settings.workers as usize + OTHER_THREADS
}

/// An engine that reserves slots for all instances.
fn pooled(settings: EngineSettings, page_wise_reset: bool) -> wasmtime::Result<Engine> {
    let mut config = config(settings);
    let mut slots = slots(settings.instances, settings.kept(), page_wise_reset);
    if settings.memory_reset == MemoryReset::InPlace {
        slots.linear_memory_keep_resident(KEPT_IN_PLACE);
    }
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(slots));
    Engine::new(&config)
}

/// An engine that gets the memory of each instance from the system, and reserves so much for it.
/// `asked` is what the pool was to have room for.
fn on_demand(
    settings: EngineSettings,
    reservation: u64,
    asked: EngineSettings,
    limit: Option<u64>,
    refusal: &str,
) -> Result<Built, String> {
    let mut config = config(settings);
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    reserve(&mut config, reservation);
    let engine = Engine::new(&config).map_err(|error| format!("{error:#}"))?;
    let mut reason = match limit {
        Some(limit) => format!(
            "the address space of this process is limited to {} (`ulimit -v`), and memory for all \
             instances takes {}: raise the limit, or ask for fewer workers and suspended tasks",
            size(limit),
            size(pooled_size(asked)),
        ),
        None => format!(
            "{} of addresses cannot be reserved ({refusal}): ask for fewer workers and suspended \
             tasks",
            size(pooled_size(asked)),
        ),
    };
    if settings.suspended < asked.suspended {
        let n_suspended = match settings.suspended {
            0 => "none".to_owned(),
            suspended => suspended.to_string(),
        };
        reason = format!(
            "{reason}; of {} tasks that may be suspended at once there is room for {n_suspended}",
            asked.suspended
        );
    }
    Ok(Built {
        engine,
        allocation: Allocation::OnDemand {
            reason,
            reservation,
        },
        suspended: settings.suspended,
    })
}

/// Has memories on demand reserve so much.
fn reserve(config: &mut Config, reservation: u64) {
    if reservation < FULL_RESERVATION {
        config
            .memory_reservation(reservation)
            .memory_reservation_for_growth(reservation.max(STEP))
            .memory_guard_size(SMALL_GUARD);
    }
    if reservation == 0 {
        // Each of the compiler's threads would take addresses that are needed elsewhere.
        config.parallel_compilation(false);
    }
}

/// Whether there is room for all instances at once if each memory reserves so much, with their
/// stacks, beside `for_host` bytes for all else. It is taken, without being touched, and given back.
fn fits(settings: EngineSettings, reservation: u64, for_host: usize) -> bool {
    let guard = match reservation {
        FULL_RESERVATION => FULL_GUARD,
        _ => SMALL_GUARD,
    };
    let memory = reservation.max(SMALL_MEMORY);
    let mut config = config(settings);
    let mut slots = PoolingAllocationConfig::new();
    slots
        .total_memories(settings.places())
        .total_stacks(settings.places())
        .total_tables(1)
        .total_core_instances(1)
        .total_component_instances(1)
        .max_memory_size(usize::try_from(memory).unwrap_or(usize::MAX));
    config
        .allocation_strategy(InstanceAllocationStrategy::Pooling(slots))
        .memory_reservation(memory)
        // A memory of its own has one before it and one behind it.
        .memory_guard_size(2 * guard);
    let trial = Engine::new(&config);
    trial.is_ok() && has_room(for_host)
}

/// What an engine with pooled memory reserves for memories, in bytes.
fn pooled_size(settings: EngineSettings) -> u64 {
    let memories = n_memories(settings.instances, settings.kept());
    u64::from(memories) * (FULL_RESERVATION + FULL_GUARD)
}

/// The error where there is room for nothing.
fn no_room(settings: EngineSettings, limit: Option<u64>) -> String {
    let workers = settings.workers;
    match limit {
        Some(limit) => format!(
            "the address space of this process is limited to {} (`ulimit -v`), which is too little \
             for {workers} workers: raise the limit, or ask for fewer workers{}",
            size(limit),
            threads_remedy()
        ),
        None => {
            format!("the system has too little memory for {workers} workers: ask for fewer workers")
        }
    }
}

impl EngineSettings {
    /// How many instances may be kept beside those that run.
    ///
    /// A session keeps its instance between two calls, and the engine keeps the stack with it. So it
    /// takes the same as a suspended call.
    fn kept(self) -> u32 {
        let suspended = self.suspended.saturating_add(self.preempted);
        suspended.saturating_add(self.sessions)
    }

    /// How many instances there may be. One that is being reset still counts.
    fn places(self) -> u32 {
        let running = self.instances.saturating_add(1);
        running.saturating_add(self.kept())
    }
}

fn config(settings: EngineSettings) -> Config {
    let mut config = Config::new();
    config
        .epoch_interruption(settings.epochs)
        .consume_fuel(settings.fuel)
        .cranelift_nan_canonicalization(settings.deterministic_numbers)
        .relaxed_simd_deterministic(settings.deterministic_numbers)
        .max_wasm_stack(settings.stack)
        .async_stack_size(settings.stack + HOST_STACK)
        // Costs 0.2 µs per call, for concurrency within one store, which few components use.
        .concurrency_support(false)
        .wasm_backtrace_details(match settings.backtrace_lines {
            true => WasmBacktraceDetails::Enable,
            false => WasmBacktraceDetails::Disable,
        })
        // With one thread for each processor, which the compiler panics without.
        .parallel_compilation(!are_threads_few())
        // Only native debuggers use it, and it makes loading slower.
        .native_unwind_info(false);
    if settings.baseline_processor {
        // With a target that is named, the features of this processor are not looked at.
        config
            .target(HOST)
            .expect("it is the architecture that this very code was compiled for");
    }
    config
}

fn slots(instances: u32, suspended: u32, page_wise_reset: bool) -> PoolingAllocationConfig {
    // An instance that is being reset still occupies its slot.
    let slots = instances.saturating_add(1);
    let places = slots.saturating_add(suspended);
    let with_suspended = |of_one: u32, of_suspended: u32| {
        let of_running = slots.saturating_mul(of_one);
        of_running.saturating_add(suspended.saturating_mul(of_suspended))
    };
    let per_component = u32::try_from(MAX_ITEMS).expect("a small constant");
    let mut config = PoolingAllocationConfig::new();
    config
        .total_component_instances(places)
        .total_stacks(places)
        .total_core_instances(places.saturating_mul(per_component))
        .total_memories(n_memories(instances, suspended))
        .total_tables(with_suspended(TABLES_PER_COMPONENT, TABLES_PER_SUSPENDED))
        .max_core_instances_per_component(per_component)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        // A core module that is no component may have as many.
        .max_memories_per_module(MEMORIES_PER_COMPONENT)
        .max_tables_per_module(TABLES_PER_COMPONENT)
        .table_elements(TABLE_ELEMENTS)
        .max_component_instance_size(INSTANCE_SIZE)
        .max_core_instance_size(INSTANCE_SIZE)
        // An instance whose memory is kept as a whole gives nothing back to the kernel: alone it
        // needs no call of the kernel, in a batch it does.
        .decommit_batch_size(1);
    if page_wise_reset {
        config
            .pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(KEPT_PAGE_WISE)
            .table_keep_resident(KEPT_PAGE_WISE);
    } else {
        config
            .pagemap_scan(Enabled::No)
            .linear_memory_keep_resident(KEPT_WHOLE)
            .table_keep_resident(KEPT_OF_TABLE);
    }
    config
}

/// How many memories a pool of slots has.
fn n_memories(instances: u32, suspended: u32) -> u32 {
    let of_running = instances
        .saturating_add(1)
        .saturating_mul(MEMORIES_PER_COMPONENT);
    of_running.saturating_add(suspended.saturating_mul(MEMORIES_PER_SUSPENDED))
}

/// An engine for components of which several functions can be under way at once. A memory reserves
/// `reservation` bytes; by default as much as it can grow to.
///
/// Its memories and stacks come from the system one by one. A pool of them would have to have room
/// for all the stacks that the subtasks of all guests may need.
pub(super) fn concurrent(
    settings: EngineSettings,
    reservation: Option<u64>,
) -> Result<Engine, String> {
    let mut config = config(settings);
    config
        .concurrency_support(true)
        .allocation_strategy(InstanceAllocationStrategy::OnDemand);
    if let Some(reservation) = reservation {
        reserve(&mut config, reservation);
    }
    Engine::new(&config).map_err(|error| format!("{error:#}"))
}

/// Whether this machine may move memory to swap space. True if that is unknown.
fn is_swap_in_use() -> bool {
    // The file has one line of headings and one for each swap space.
    std::fs::read_to_string("/proc/swaps").map_or(true, |swaps| swaps.lines().count() > 1)
}
