//! The arguments of the commands for many machines.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::Subcommand;

use super::run::RightsArgs;
use super::time_limit;

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

    /// How many tasks run at once [default: the parallelism available to this process]
    #[arg(short, long, value_name = "N")]
    pub(crate) workers: Option<usize>,

    /// Stop a task that runs longer, such as `5s` or `200ms` [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = time_limit)]
    pub(crate) timeout: Option<Duration>,

    /// Stop a task that computes longer [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = time_limit)]
    pub(crate) compute_timeout: Option<Duration>,

    /// Stop a task that wants more memory, such as `64MiB` [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<ByteSize>,

    /// Let all tasks hold so much memory together, such as `2GiB` [default: no bound]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory_budget: Option<ByteSize>,

    /// Stop a program that prints more, on both streams together [default: 16MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) output_limit: Option<ByteSize>,

    /// Refuse larger arguments and results [default: 128MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) payload: Option<ByteSize>,

    /// Stop a task that uses more fuel, about one unit per instruction [default: not counted]
    #[arg(long, value_name = "N")]
    pub(crate) fuel: Option<u64>,

    /// How long running tasks may take to end when the node leaves
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = humantime::parse_duration)]
    pub(crate) leave_timeout: Duration,

    /// Fail if loading a module takes longer, such as `10s` [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = time_limit)]
    pub(crate) load_timeout: Option<Duration>,

    /// Keep compiled modules in this folder [default: `wasmpool` in the user's cache folder]
    #[arg(long, value_name = "FOLDER", conflicts_with = "no_cache")]
    pub(crate) cache_folder: Option<PathBuf>,

    /// Keep no compiled modules
    #[arg(long)]
    pub(crate) no_cache: bool,

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
