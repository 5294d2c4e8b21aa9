//! The engine: how guests are compiled, and where their memory comes from.

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use super::limiter::MAX_ITEMS;
use crate::call::Allocation;

/// The settings of the sandbox.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EngineSettings {
    /// How many instances may exist at once, beside suspended ones.
    pub(crate) instances: u32,
    /// How many suspended instances may exist at once.
    pub(crate) suspended: u32,
    /// How many instances of sessions may exist beside them.
    pub(crate) sessions: u32,
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

/// The same for tables: 8,192 elements.
const KEPT_OF_TABLE: usize = 64 << 10;

/// How much of a memory, and of a table, is kept in place when it is reset page by page.
const KEPT_PAGE_WISE: usize = 1 << 20;

/// Sets up an engine; with pooled memory if the machine allows that.
pub(super) fn build(settings: EngineSettings) -> Result<(Engine, Allocation), String> {
    let mut config = config(settings);
    let page_wise_reset = settings.memory_reset == MemoryReset::PageWise
        && PoolingAllocationConfig::is_pagemap_scan_available()
        && !is_swap_in_use();
    // A session keeps its instance between two calls, and the engine keeps the stack with it. So it
    // takes the same as a suspended call.
    let suspended = settings.suspended.saturating_add(settings.sessions);
    let slots = slots(settings.instances, suspended, page_wise_reset);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(slots));
    match Engine::new(&config) {
        Ok(engine) => Ok((engine, Allocation::Pooled { page_wise_reset })),
        // Some hosts limit the address space that a process may reserve.
        Err(error) => {
            let reason = format!("{error:#}");
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
            let engine = Engine::new(&config).map_err(|error| format!("{error:#}"))?;
            Ok((engine, Allocation::OnDemand { reason }))
        }
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
        // Costs 0.2 µs per call, for concurrency within one store, which no task here uses.
        .concurrency_support(false)
        .wasm_backtrace_details(match settings.backtrace_lines {
            true => WasmBacktraceDetails::Enable,
            false => WasmBacktraceDetails::Disable,
        })
        // Only native debuggers use it, and it makes loading slower.
        .native_unwind_info(false);
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
        .total_memories(with_suspended(
            MEMORIES_PER_COMPONENT,
            MEMORIES_PER_SUSPENDED,
        ))
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

/// Whether this machine may move memory to swap space. True if that is unknown.
fn is_swap_in_use() -> bool {
    // The file has one line of headings and one for each swap space.
    std::fs::read_to_string("/proc/swaps").map_or(true, |swaps| swaps.lines().count() > 1)
}
