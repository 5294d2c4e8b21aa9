//! The arguments of the commands that run tasks: what a task may use, and what a pool has.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;

use super::time_limit;

/// What one task may use.
#[derive(Debug, clap::Args)]
pub(crate) struct LimitsArgs {
    /// Stop a task that runs longer, such as `5s` or `200ms` [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = time_limit)]
    pub(crate) timeout: Option<Duration>,

    /// Stop a task that computes longer; time that it waits (for a sleep, a connection) is not
    /// counted [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = time_limit)]
    pub(crate) compute_timeout: Option<Duration>,

    /// Stop a task that wants more memory, such as `64MiB` [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<ByteSize>,

    /// Stop a program that prints more, on both streams together, such as `1GiB` [default: 16MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) output_limit: Option<ByteSize>,

    /// Stop a task that uses more fuel, about one unit per instruction [default: not counted]
    #[arg(long, value_name = "N")]
    pub(crate) fuel: Option<u64>,
}

/// What a pool has.
#[derive(Debug, clap::Args)]
pub(crate) struct PoolArgs {
    /// How many tasks run at once [default: the parallelism available to this process]
    #[arg(short, long, value_name = "N")]
    pub(crate) workers: Option<usize>,

    /// Let all tasks hold so much memory together, such as `2GiB`: tasks wait to start while it is
    /// used up, and fail that want more of it then [default: no bound]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory_budget: Option<ByteSize>,

    /// Refuse larger arguments and results. Decoded results of exported functions may take 16
    /// times as much, and at least 64 MiB [default: 128MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) payload: Option<ByteSize>,
}

/// Where compiled modules are kept, and how long it may take to load one.
#[derive(Debug, clap::Args)]
pub(crate) struct CacheArgs {
    /// Fail if loading a module takes longer, such as `10s` [default: no limit]
    #[arg(long, value_name = "DURATION", value_parser = time_limit)]
    pub(crate) load_timeout: Option<Duration>,

    /// Keep compiled modules in this folder [default: `wasmpool` in the user's cache folder]
    #[arg(long, value_name = "FOLDER", conflicts_with = "no_cache")]
    pub(crate) cache_folder: Option<PathBuf>,

    /// Keep at most this size of compiled modules; the least recently used are deleted [default:
    /// 1GiB]
    #[arg(long, value_name = "SIZE", conflicts_with = "no_cache")]
    pub(crate) cache_limit: Option<ByteSize>,

    /// Keep no compiled modules
    #[arg(long)]
    pub(crate) no_cache: bool,
}
