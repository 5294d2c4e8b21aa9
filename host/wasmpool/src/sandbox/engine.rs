//! The engine: how guests are compiled, where their memory comes from, and how all of them
//! are made to look at their stop requests.

use std::sync::Arc;

use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails,
};

use super::limiter::MAX_ITEMS;
use crate::control::Interrupt;

/// What the sandbox must know before it can be set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EngineSettings {
    /// How many instances may live at once.
    pub(crate) instances: u32,
    /// Bytes of stack for a guest's calls.
    pub(crate) stack: usize,
    /// Whether guests count their fuel.
    pub(crate) fuel: bool,
}

/// Where the memory of instances comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Allocation {
    /// From slots that were reserved when the pool was built: the fast way.
    Pooled,
    /// From the operating system for each instance, since the slots could not be reserved.
    OnDemand {
        /// Why they could not.
        reason: String,
    },
}

/// Stack that host functions may use below the guest's.
const HOST_STACK: usize = 1 << 20;

/// Linear memories that a component may have. Every slot reserves 4 GiB of addresses for
/// each, so this is kept near to what compilers produce, which is 1.
const MEMORIES_PER_COMPONENT: u32 = 4;

/// Tables that a component may have.
const TABLES_PER_COMPONENT: u32 = 32;

/// Bytes for the bookkeeping of one core instance: a bound, not a reservation.
const INSTANCE_SIZE: usize = 4 << 20;

/// Sets up an engine; with pooled memory if the machine allows that.
pub(super) fn build(settings: EngineSettings) -> Result<(Engine, Allocation), String> {
    let mut config = config(settings);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(slots(
        settings.instances,
    )));
    match Engine::new(&config) {
        Ok(engine) => Ok((engine, Allocation::Pooled)),
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
        .epoch_interruption(true)
        .consume_fuel(settings.fuel)
        .max_wasm_stack(settings.stack)
        .async_stack_size(settings.stack + HOST_STACK)
        // Costs a fifth of a microsecond a call, for a concurrency inside of one store that
        // no task here has.
        .concurrency_support(false)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        // Only native debuggers use it; registering it makes loading slower.
        .native_unwind_info(false);
    config
}

fn slots(instances: u32) -> PoolingAllocationConfig {
    let per_component = u32::try_from(MAX_ITEMS).expect("a small constant");
    let mut slots = PoolingAllocationConfig::new();
    slots
        .total_component_instances(instances)
        .total_stacks(instances)
        .total_core_instances(instances.saturating_mul(per_component))
        .total_memories(instances.saturating_mul(MEMORIES_PER_COMPONENT))
        .total_tables(instances.saturating_mul(TABLES_PER_COMPONENT))
        .max_core_instances_per_component(per_component)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_component_instance_size(INSTANCE_SIZE)
        .max_core_instance_size(INSTANCE_SIZE);
    slots
}

/// Moves the epoch: every running guest then calls back and looks whether it is meant.
pub(super) fn interrupt(engine: &Engine) -> Arc<dyn Interrupt> {
    Arc::new(Epoch(engine.clone()))
}

struct Epoch(Engine);

impl Interrupt for Epoch {
    fn interrupt(&self) {
        self.0.increment_epoch();
    }
}
