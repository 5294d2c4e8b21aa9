//! The commands for many machines: `wasmpool node` and `wasmpool cluster`.

mod node;
pub(crate) mod server;
mod status;

use crate::args::{ClusterArgs, ClusterCommand};
use crate::ending::{Ending, Result};

pub(crate) use self::node::node;

pub(crate) fn cluster(args: &ClusterArgs) -> Result<Ending> {
    match &args.command {
        ClusterCommand::Status(args) => status::status(args),
    }
}
