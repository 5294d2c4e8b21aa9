//! The machine and the software of a run.

use std::path::Path;

use sysinfo::System;
use wasmpool::{Allocation, Pool};

use crate::arms::{Arm, Site, sandbox};
use crate::bench::Bench;
use crate::failure::Failure;
use crate::report::Machine;

/// Describes the machine. Both loads are those before the run.
pub(crate) fn look(python: Option<&str>, bench: &Bench<'_>) -> Machine {
    // Facts that the machine does not report stay empty.
    let mut system = System::new().ok();
    if let Some(system) = &mut system {
        system.refresh_memory();
        system.refresh_cpu_all();
    }
    let cpu = system.as_ref().and_then(|system| system.cpus().first());
    let processor = cpu.map(|cpu| cpu.brand().trim().to_owned());
    let load = load();
    let mut versions = vec![
        ("wasmpool".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        ("wasmtime".to_owned(), wasmpool::WASMTIME_VERSION.to_owned()),
        ("rustc".to_owned(), env!("BENCH_RUSTC").to_owned()),
    ];
    versions.extend(python.map(|version| ("Python".to_owned(), version.to_owned())));
    Machine {
        processor: processor
            .filter(|brand| !brand.is_empty())
            .unwrap_or_else(|| "unknown".to_owned()),
        parallelism: parallelism(),
        memory: system.as_ref().map_or(0, System::total_memory),
        system: operating_system(),
        swap: system.is_some_and(|system| system.total_swap() > 0),
        load: [load, load],
        versions,
        settings: settings(bench),
    }
}

/// How many threads can run at once.
pub fn parallelism() -> usize {
    std::thread::available_parallelism().map_or(1, |parallelism| parallelism.get())
}

/// The load average over one minute.
pub(crate) fn load() -> f64 {
    System::load_average().map_or(0.0, |load| load.one)
}

fn operating_system() -> String {
    let name = System::long_os_version().unwrap_or_else(|_| std::env::consts::OS.to_owned());
    match System::kernel_version() {
        Ok(kernel) => format!("{name}, kernel {kernel}"),
        Err(_) => name,
    }
}

fn settings(bench: &Bench<'_>) -> Vec<(String, String)> {
    let settings = [
        (
            "compiled",
            format!(
                "native: {}; guests: opt-level 3, one codegen unit, link-time optimization, {}",
                env!("BENCH_NATIVE_FLAGS"),
                wasmpool_guests::RUSTFLAGS
            ),
        ),
        ("workers", bench.site.workers.to_string()),
        ("memory of instances", memory_of_instances(&bench.site)),
        (
            "limits of wasmpool's tasks",
            format!(
                "{} s of time, {} MiB of memory, and the defaults",
                sandbox::TASK_TIMEOUT.as_secs(),
                sandbox::MEMORY_LIMIT >> 20
            ),
        ),
        ("program", program_size(&bench.site.program)),
    ];
    settings
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
}

/// The start of a process of this program includes mapping it.
fn program_size(program: &Path) -> String {
    let size = std::fs::metadata(program).map_or(0, |metadata| metadata.len());
    format!(
        "{:.1} MiB, which a worker process maps",
        size as f64 / (1 << 20) as f64
    )
}

fn memory_of_instances(site: &Site) -> String {
    let pool = sandbox::pool(Arm::Fresh, &site.with_workers(1));
    pool.map_or_else(|failure: Failure| failure.0, |pool| allocation(&pool))
}

/// Where the memory of instances comes from, and how it is reset.
fn allocation(pool: &Pool) -> String {
    match pool.allocation() {
        Allocation::Pooled {
            page_wise_reset: true,
        } => "pooled, reset page by page (`PAGEMAP_SCAN`), which is not the default".to_owned(),
        Allocation::Pooled { .. } => "pooled, reset as a whole: the default".to_owned(),
        Allocation::OnDemand { reason, .. } => format!("on demand: {reason}"),
        // The library may add more ways.
        other => format!("{other:?}"),
    }
}
