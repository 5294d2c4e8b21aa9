//! `wasmpool node`: runs the tasks of a cluster on this machine until it is told to leave.

use std::io::{self, Write as _};

use wasmpool::{Capabilities, Pool};
use wasmpool_cluster::{Node, NodeSettings};

use super::server;
use crate::args::NodeArgs;
use crate::ending::{Ending, Problem, Result};
use crate::interrupt::Interrupt;
use crate::module;
use crate::pool::{self, with_limits};
use crate::rights;
use crate::visible::printable;

pub(crate) fn node(args: &NodeArgs) -> Result<Ending> {
    let interrupt = Interrupt::install().map_err(Problem::Unusable)?;
    let capabilities = rights::granted(&args.rights)?.unwrap_or_default();
    let pool = build_pool(args)?;
    module::tell_of_allocation(&pool);
    let workers = pool.workers();
    let settings = settings(args, capabilities);
    let node = Node::join(&server::server(&args.server), pool, settings);
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
    let builder = Pool::builder().max_sessions(0);
    let builder = pool::with_settings(builder, &args.pool, &args.limits, &args.rights);
    let builder = pool::with_cache(builder, &args.cache);
    builder.build().map_err(pool::problem)
}

/// The limits of the pool are those that no task exceeds.
fn settings(args: &NodeArgs, capabilities: Capabilities) -> NodeSettings {
    let mut settings = NodeSettings::new().capabilities(capabilities);
    if let Some(name) = &args.name {
        settings = settings.name(name);
    }
    if let Some(size) = args.pool.payload {
        settings = settings.payload_limit(pool::bytes(size));
    }
    with_limits!(settings, &args.limits)
}
