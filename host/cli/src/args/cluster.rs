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

/// How to log in to a NATS server.
#[derive(Debug, clap::Args)]
pub(crate) struct LoginArgs {
    /// Log in with this file of credentials
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) creds: Option<PathBuf>,

    /// Trust the certificates in this PEM file, and no others
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) tls_ca: Option<PathBuf>,

    /// Show the server this certificate, a PEM file
    #[arg(long, value_name = "FILE", requires_all = ["tls_key", "server"])]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The key of the certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
}

/// Which NATS server, and how to log in to it.
#[derive(Debug, clap::Args)]
pub(crate) struct ServerArgs {
    /// The NATS server with JetStream: `nats://HOST:PORT`, `tls://HOST:PORT`, or several with commas
    /// between them
    #[arg(id = "server", long = "nats", value_name = "URL")]
    pub(crate) nats: String,

    #[command(flatten)]
    pub(crate) login: LoginArgs,

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

/// A run on many machines.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Many machines")]
pub(crate) struct RunOnClusterArgs {
    /// Run the tasks on the nodes of the cluster at this NATS server: `nats://HOST:PORT` or
    /// `tls://HOST:PORT`. How many run at once, in what isolation and with what rights is for the
    /// nodes to say; limits can be lower than theirs. `--details` names the node of each task
    #[arg(id = "server", long = "cluster", value_name = "URL", conflicts_with_all = NOT_ON_A_CLUSTER)]
    pub(crate) server: Option<String>,

    #[command(flatten)]
    pub(crate) login: LoginArgs,

    /// Give the tasks the rights that their nodes grant; without this they have none
    #[arg(long, requires = "server")]
    pub(crate) rights_of_node: bool,

    /// Never start a task a second time: if its node goes away, it fails (`node-lost`)
    #[arg(long, requires = "server")]
    pub(crate) at_most_once: bool,

    /// Whose tasks they are: nodes take turns among tenants
    #[arg(long, value_name = "NAME", requires = "server")]
    pub(crate) tenant: Option<String>,
}

/// What a pool of this process has, and what a cluster has not.
const NOT_ON_A_CLUSTER: [&str; 18] = [
    "workers",
    "memory_budget",
    "payload",
    "isolation",
    "memory_reset",
    "max_tasks_per_instance",
    "max_suspended",
    "queue_bytes",
    "grace",
    "chunk",
    "session",
    "dirs",
    "env",
    "allow_net",
    "allow_tasks",
    "inherit_stdio",
    "deterministic",
    "trusted_cwasm",
];

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
