//! The arguments of the commands for many machines.

use std::path::PathBuf;
use std::time::Duration;

use clap::Subcommand;

use super::pool::{CacheArgs, LimitsArgs, PoolArgs};
use super::run::RightsArgs;

const NODE_EXAMPLES: &str = "\
Examples:
  wasmpool node --nats nats://10.0.0.1:4222 --workers 16 --memory 128MiB
  wasmpool node --nats tls://nats.example.org --creds node.creds --allow-net 10.0.0.7:5432

SIGTERM and Ctrl-C: the node takes no more tasks, lets the running ones end until `--leave-timeout`,
and gives the rest back. A second signal ends it at once.

Exit codes:
    0  it has left
    2  the command line is invalid
    3  the server or the pool cannot be used
  130  it was ended at once";

/// Which NATS server, and how to log in to it.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// The NATS server with JetStream: `nats://HOST:PORT`, `tls://HOST:PORT`, or several with commas
    /// between them
    #[arg(long, value_name = "URL")]
    pub(crate) nats: String,

    /// Log in with this file of credentials
    #[arg(long, value_name = "FILE")]
    pub(crate) creds: Option<PathBuf>,

    /// Trust the certificates in this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca: Option<PathBuf>,

    /// Show the server this certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The key of the certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,

    /// How many tasks the queue of the cluster holds, if this is the first program that uses it
    /// [default: 100000]
    #[arg(long, value_name = "N")]
    pub(crate) queue_capacity: Option<u32>,
}

/// Run the tasks of a cluster on this machine
///
/// Tasks come over a NATS server with JetStream. They have no rights but those that are granted here,
/// and limits that are at most those that are set here.
#[derive(Debug, clap::Args)]
#[command(after_help = NODE_EXAMPLES)]
pub(crate) struct NodeArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,

    /// The name of the node in outcomes and in the status [default: `node-` and random letters]
    #[arg(long, value_name = "NODE")]
    pub(crate) name: Option<String>,

    #[command(flatten)]
    pub(crate) pool: PoolArgs,

    #[command(flatten)]
    pub(crate) limits: LimitsArgs,

    /// How long running tasks may take to end when the node leaves
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) leave_timeout: Duration,

    #[command(flatten)]
    pub(crate) cache: CacheArgs,

    #[command(flatten)]
    pub(crate) rights: RightsArgs,
}

/// Look at a cluster
#[derive(Debug, clap::Args)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    pub(crate) command: ClusterCommand,
}

// A comment on a variant would take the place of all of the help that its arguments have.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    Status(StatusArgs),
}

/// Show the nodes of a cluster, its queues and what runs
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) server: ServerArgs,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}
