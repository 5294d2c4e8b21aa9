//! `wasmpool node`: runs the tasks of a cluster on this machine until it is told to leave.

use std::io::{self, Write as _};

use bytesize::ByteSize;
use wasmpool::{Capabilities, Pool};
use wasmpool_cluster::{Node, NodeSettings};

use super::server;
use crate::args::NodeArgs;
use crate::ending::{Ending, Problem, Result};
use crate::interrupt::Interrupt;
use crate::module;
use crate::rights;
use crate::visible::printable;

pub(crate) fn node(args: &NodeArgs) -> Result<Ending> {
    let interrupt = Interrupt::install().map_err(Problem::Unusable)?;
    let capabilities = rights::granted(&args.rights)?.unwrap_or_default();
    let pool = build_pool(args)?;
    module::tell_of_allocation(&pool);
    let workers = pool.workers();
    let node = Node::join(
        &server::server(&args.server),
        pool,
        settings(args, capabilities),
    );
    let node = node.map_err(server::problem)?;
    // Standard error may be closed.
    let name = printable(node.name());
    let _ = writeln!(io::stderr(), "joined as `{name}` with {workers} workers");
    // Its sender lives as long as the program.
    let _ = interrupt.hear().recv();
    let _ = writeln!(io::stderr(), "`{name}` leaves when its tasks have ended");
    let n_given_back = node.leave(args.leave_timeout);
    let _ = writeln!(io::stderr(), "left; {n_given_back} tasks were given back");
    Ok(Ending::AllOk)
}

fn build_pool(args: &NodeArgs) -> Result<Pool> {
    let mut builder = Pool::builder().max_sessions(0);
    if let Some(workers) = args.workers {
        builder = builder.workers(workers);
    }
    if let Some(timeout) = args.timeout {
        builder = builder.task_timeout(timeout);
    }
    if let Some(timeout) = args.compute_timeout {
        builder = builder.compute_timeout(timeout);
    }
    if let Some(size) = args.memory {
        builder = builder.memory_limit(bytes(size));
    }
    if let Some(size) = args.memory_budget {
        builder = builder.memory_budget(bytes(size));
    }
    if let Some(size) = args.output_limit {
        builder = builder.program_output_limit(bytes(size));
    }
    if let Some(size) = args.payload {
        builder = builder.payload_limit(bytes(size));
    }
    let counts_fuel = args.rights.deterministic.is_some();
    if let Some(fuel) = args.fuel.or(counts_fuel.then_some(u64::MAX)) {
        builder = builder.fuel_limit(fuel);
    }
    if args.rights.deterministic.is_some() {
        builder = builder.deterministic_numbers();
    }
    if let Some(timeout) = args.load_timeout {
        builder = builder.load_timeout(timeout);
    }
    match &args.cache_folder {
        _ if args.no_cache => builder.no_cache(),
        Some(folder) => builder.cache_folder(folder),
        None => builder,
    }
    .build()
    .map_err(module::pool_problem)
}

/// The limits of the pool are those that no task exceeds.
fn settings(args: &NodeArgs, capabilities: Capabilities) -> NodeSettings {
    let mut settings = NodeSettings::new().capabilities(capabilities);
    if let Some(name) = &args.name {
        settings = settings.name(name);
    }
    if let Some(timeout) = args.timeout {
        settings = settings.task_timeout(timeout);
    }
    if let Some(timeout) = args.compute_timeout {
        settings = settings.compute_timeout(timeout);
    }
    if let Some(size) = args.memory {
        settings = settings.memory_limit(bytes(size));
    }
    if let Some(size) = args.output_limit {
        settings = settings.program_output_limit(bytes(size));
    }
    if let Some(size) = args.payload {
        settings = settings.payload_limit(bytes(size));
    }
    if let Some(fuel) = args.fuel {
        settings = settings.fuel_limit(fuel);
    }
    settings
}

fn bytes(size: ByteSize) -> usize {
    usize::try_from(size.as_u64()).unwrap_or(usize::MAX)
}
