//! The command line as typed: a file for each command with many flags.
//!
//! Does not know what the commands do. They read these structs.

mod bench;
#[cfg(feature = "cluster")]
mod cluster;
mod halt;
mod module;
mod new;
mod pool;
mod run;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use bench::BenchArgs;
#[cfg(feature = "cluster")]
pub(crate) use cluster::{
    ClusterArgs, ClusterCommand, LoginArgs, NodeArgs, RunOnClusterArgs, ServerArgs, StatusArgs,
};
pub(crate) use halt::{Halt, When, Why};
pub(crate) use module::{CodeArgs, CompileArgs, ListArgs};
pub(crate) use new::{Language, NewArgs};
pub(crate) use pool::{CacheArgs, LimitsArgs, PoolArgs};
pub(crate) use run::{IsolationArg, MemoryResetArg, RightsArgs, RunArgs};

use self::run::EXIT_CODES;

/// Runs the tasks of WebAssembly modules in a pool of sandboxes.
#[derive(Debug, Parser)]
#[command(name = "wasmpool", version = version(), after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

// A comment on a variant would take the place of all of the help that its arguments have.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Run(Box<RunArgs>),
    List(ListArgs),
    Compile(CompileArgs),
    Bench(Box<BenchArgs>),
    New(NewArgs),
    #[cfg(feature = "cluster")]
    Node(Box<NodeArgs>),
    #[cfg(feature = "cluster")]
    Cluster(ClusterArgs),
    /// Print a completion script for a shell
    ///
    /// In bash: `source <(wasmpool completions bash)`. The scripts for bash, zsh and fish complete
    /// the names of tasks as well. For these they ask the program, which loads the module, and gives
    /// up after a second where it is not in the cache.
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write manual pages
    Man {
        /// The folder for the pages of the program and of each command, created if missing
        /// [default: print the program's page to standard output]
        folder: Option<PathBuf>,
    },
}

/// A time limit as typed: not zero, which many tools take for no limit.
fn time_limit(text: &str) -> Result<Duration, String> {
    let limit = humantime::parse_duration(text).map_err(|problem| problem.to_string())?;
    match limit.is_zero() {
        true => Err("it leaves no time; without this option there is no limit".to_owned()),
        false => Ok(limit),
    }
}

fn version() -> String {
    format!(
        "{} (wasmtime {})",
        env!("CARGO_PKG_VERSION"),
        wasmpool::WASMTIME_VERSION
    )
}
