//! The command line as typed: a file for each command with many flags.
//!
//! Does not know what the commands do. They read these structs.

mod bench;
mod module;
mod new;
mod run;

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use bench::BenchArgs;
pub(crate) use module::{CodeArgs, CompileArgs, ListArgs};
pub(crate) use new::{Language, NewArgs};
pub(crate) use run::{IsolationArg, MemoryResetArg, RightsArgs, RunArgs};

use self::run::EXIT_CODES;

/// Runs the tasks of WebAssembly modules in a pool of sandboxes.
#[derive(Debug, Parser)]
#[command(name = "wasmpool", version = version(), after_help = EXIT_CODES, max_term_width = 100)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a task over inputs, in parallel, each in a sandbox
    Run(Box<RunArgs>),
    /// List the tasks of a module
    List(ListArgs),
    /// Compile a module to native code ahead of time
    Compile(CompileArgs),
    /// Measure the cost of isolation on this machine, compared with native threads, processes and
    /// Python
    Bench(Box<BenchArgs>),
    /// Create a guest that is ready to build and run
    New(NewArgs),
    /// Print a completion script for a shell
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

fn version() -> String {
    format!(
        "{} (wasmtime {})",
        env!("CARGO_PKG_VERSION"),
        wasmpool::WASMTIME_VERSION
    )
}
