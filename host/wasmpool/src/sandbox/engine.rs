//! The engine: how guests are compiled, and where their memory comes from.

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use super::limiter::MAX_ITEMS;
use crate::call::Allocation;

/// What the sandbox must know before it can be set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EngineSettings {
    /// How many instances may live at once.
    pub(crate) instances: u32,
    /// How many more may be suspended.
    pub(crate) suspended: u32,
    /// Bytes of stack for a guest's calls.
    pub(crate) stack: usize,
    /// Whether guests count their fuel.
    pub(crate) fuel: bool,
    /// Whether computing guests look at the epoch, which stops them.
    pub(crate) epochs: bool,
    /// Whether backtraces name files and lines.
    pub(crate) backtrace_lines: bool,
    /// Whether numbers come out the same on all processors.
    pub(crate) deterministic_numbers: bool,
    pub(crate) memory_reset: MemoryReset,
}

/// How the memory of an instance is made clean for the next one in the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MemoryReset {
    /// All of the memory that an instance had, whatever it wrote. This is the default.
    ///
    /// The first 256 KiB of each memory are overwritten with what they held at first, and the
    /// rest is given back to the kernel, which hands it out as it was at first. Nothing is asked and
    /// nothing is assumed about which pages were written, so nothing of a task is left behind
    /// in any case.
    ///
    /// It is fastest for a guest whose memory fits into the 256 KiB, which takes a stack
    /// smaller than the 1 MiB that compilers reserve: `-Clink-arg=-zstack-size=65536`. Each
    /// place for an instance keeps up to 256 KiB for each memory of its guest while it is idle.
    #[default]
    Whole,
    /// Only the pages that the kernel says were written (`PAGEMAP_SCAN`, Linux 6.7): faster
    /// for a guest that has much memory and writes little of it.
    ///
    /// The risk: the kernel does not name a written page that is not in memory at the moment
    /// of asking, because it is swapped out or is just being moved to another place in memory.
    /// Such a page is not reset, and the next task in the same place can read what it holds.
    /// Only for tasks that may see each other's data.
    ///
    /// Where the kernel cannot do it, and where swap space is in use when the pool is built,
    /// memory is reset as with [`Whole`](Self::Whole); [`Pool::allocation`] tells which one is
    /// on. Swap space that is turned on under a running pool is not noticed, and no setting
    /// keeps the kernel from moving pages. Each place for an instance keeps up to 1 MiB for
    /// each memory.
    ///
    /// [`Pool::allocation`]: crate::Pool::allocation
    PageWise,
}

/// Stack that host functions may use below the guest's.
const HOST_STACK: usize = 1 << 20;

/// Linear memories that a component may have. Every slot reserves 4 GiB of addresses for
/// each, so this is kept near to what compilers produce, which is 1.
const MEMORIES_PER_COMPONENT: u32 = 4;

/// Tables that a component may have.
const TABLES_PER_COMPONENT: u32 = 32;

/// Memories that there are for each suspended call. A module that needs more keeps its worker.
pub(super) const MEMORIES_PER_SUSPENDED: u32 = 1;

/// The same for tables.
pub(super) const TABLES_PER_SUSPENDED: u32 = 8;

/// Elements that a table may have. A slot reserves their addresses, and a program of a hundred
/// thousand functions may have one for each.
const TABLE_ELEMENTS: usize = 200_000;

/// Bytes for the bookkeeping of one core instance: a bound, not a reservation.
const INSTANCE_SIZE: usize = 4 << 20;

/// How much of a memory is overwritten in place when it is reset as a whole: what lies beyond
/// goes back to the kernel, and costs a page fault each when it is used again. It bounds what an
/// idle slot holds on to. The memory of a small guest fits into it; a larger one has to pay for
/// both, so it is no larger than that.
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
    let slots = slots(settings.instances, settings.suspended, page_wise_reset);
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
        // Costs a fifth of a microsecond a call, for a concurrency inside of one store that
        // no task here has.
        .concurrency_support(false)
        .wasm_backtrace_details(match settings.backtrace_lines {
            true => WasmBacktraceDetails::Enable,
            false => WasmBacktraceDetails::Disable,
        })
        // Only native debuggers use it; registering it makes loading slower.
        .native_unwind_info(false);
    config
}

fn slots(instances: u32, suspended: u32, page_wise_reset: bool) -> PoolingAllocationConfig {
    // One that is being reset still takes its slot.
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
        // A core module alone may have as many.
        .max_memories_per_module(MEMORIES_PER_COMPONENT)
        .max_tables_per_module(TABLES_PER_COMPONENT)
        .table_elements(TABLE_ELEMENTS)
        .max_component_instance_size(INSTANCE_SIZE)
        .max_core_instance_size(INSTANCE_SIZE)
        // An instance whose memory fits into what is kept has nothing to give back to the kernel.
        // Alone it costs no call then, but a batch does.
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

/// Whether this machine may move memory out to swap space. Where that cannot be found out,
/// it may.
fn is_swap_in_use() -> bool {
    // The file has one line of headings and one for each swap space.
    std::fs::read_to_string("/proc/swaps").map_or(true, |swaps| swaps.lines().count() > 1)
}
