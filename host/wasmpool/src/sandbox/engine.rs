//! The engine: how guests are compiled, and where their memory comes from.

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails,
};

use super::limiter::MAX_ITEMS;
use crate::allocation::Allocation;

/// What the sandbox must know before it can be set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EngineSettings {
    /// How many instances may live at once.
    pub(crate) instances: u32,
    /// Bytes of stack for a guest's calls.
    pub(crate) stack: usize,
    /// Whether guests count their fuel.
    pub(crate) fuel: bool,
    /// Whether computing guests look at the epoch, which stops them.
    pub(crate) epochs: bool,
    /// Whether backtraces name files and lines.
    pub(crate) backtrace_lines: bool,
    pub(crate) memory_reset: MemoryReset,
}

/// How the memory of an instance is made clean for the next one in the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum MemoryReset {
    /// Page by page where that is safe, and otherwise as a whole. This is the default.
    ///
    /// Only the pages that the instance has written are overwritten with what they held at
    /// first, found by asking the kernel (`PAGEMAP_SCAN`, Linux 6.7). It makes a fresh
    /// instance several times cheaper, most of all with several workers.
    ///
    /// The kernel does not name a written page that is not in memory at that moment. So this
    /// is used only where no swap space is in use when the pool is built: do not turn swap
    /// on under a running pool. What is left is a page that the kernel is just moving to
    /// another place in memory, to join free space. That takes microseconds, no guest can
    /// bring it about, and we have not seen it in millions of such moves; who must exclude
    /// it takes [`Whole`](Self::Whole).
    #[default]
    Auto,
    /// As a whole: all of the instance's memory is given back to the kernel.
    Whole,
}

/// Stack that host functions may use below the guest's.
const HOST_STACK: usize = 1 << 20;

/// Linear memories that a component may have. Every slot reserves 4 GiB of addresses for
/// each, so this is kept near to what compilers produce, which is 1.
const MEMORIES_PER_COMPONENT: u32 = 4;

/// Tables that a component may have.
const TABLES_PER_COMPONENT: u32 = 32;

/// Elements that a table may have. A slot reserves their addresses, and a program of a hundred
/// thousand functions may have one for each.
const TABLE_ELEMENTS: usize = 200_000;

/// Bytes for the bookkeeping of one core instance: a bound, not a reservation.
const INSTANCE_SIZE: usize = 4 << 20;

/// How much of a memory, and of a table, is kept in place when it is reset page by page; what
/// an instance has written beyond it goes back to the kernel. It bounds what an idle slot
/// holds on to.
const KEPT_RESIDENT: usize = 1 << 20;

/// How many instances' memory is given back to the kernel in one go: each time all threads
/// are interrupted. Until then it is held, however large the instances were.
const DECOMMIT_BATCH: usize = 4;

/// Sets up an engine; with pooled memory if the machine allows that.
pub(super) fn build(settings: EngineSettings) -> Result<(Engine, Allocation), String> {
    let mut config = config(settings);
    let page_wise_reset = settings.memory_reset == MemoryReset::Auto
        && PoolingAllocationConfig::is_pagemap_scan_available()
        && !is_swap_in_use();
    let slots = slots(settings.instances, page_wise_reset);
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

fn slots(instances: u32, page_wise_reset: bool) -> PoolingAllocationConfig {
    // Page by page there is mostly nothing to give back, and a batch would bring nothing.
    let batch = if page_wise_reset { 1 } else { DECOMMIT_BATCH };
    // Memory that waits to be given back still takes its slot.
    let slots = instances.saturating_add(u32::try_from(batch).expect("a small constant"));
    let per_component = u32::try_from(MAX_ITEMS).expect("a small constant");
    let mut config = PoolingAllocationConfig::new();
    config
        .total_component_instances(slots)
        .total_stacks(slots)
        .total_core_instances(slots.saturating_mul(per_component))
        .total_memories(slots.saturating_mul(MEMORIES_PER_COMPONENT))
        .total_tables(slots.saturating_mul(TABLES_PER_COMPONENT))
        .max_core_instances_per_component(per_component)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .table_elements(TABLE_ELEMENTS)
        .max_component_instance_size(INSTANCE_SIZE)
        .max_core_instance_size(INSTANCE_SIZE)
        .decommit_batch_size(batch);
    if page_wise_reset {
        config
            .pagemap_scan(Enabled::Yes)
            .linear_memory_keep_resident(KEPT_RESIDENT)
            .table_keep_resident(KEPT_RESIDENT);
    }
    config
}

/// Whether this machine may move memory out to swap space. Where that cannot be found out,
/// it may.
fn is_swap_in_use() -> bool {
    // The file has one line of headings and one for each swap space.
    std::fs::read_to_string("/proc/swaps").map_or(true, |swaps| swaps.lines().count() > 1)
}
