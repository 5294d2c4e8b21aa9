//! The arguments of the commands that look at one module, and of how its code is had.

use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;

/// List the tasks of a module
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// A component (`.wasm` or `.wat`), or the name of one that comes along: `factorizer`
    pub(crate) module: String,

    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) code: CodeArgs,
}

/// Compile a module to native code ahead of time
///
/// `wasmpool run --trusted-cwasm FILE` runs it, on machines of this kind, with this version of
/// wasmpool. It is checked no more than any other program: run only what you have compiled.
#[derive(Debug, clap::Args)]
pub(crate) struct CompileArgs {
    /// A component (`.wasm` or `.wat`), or the name of one that comes along: `factorizer`
    pub(crate) module: String,

    /// Where to write it [default: the module's name with `.cwasm` at its end]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Count instructions: for runs with `--fuel`, and only for these
    #[arg(long)]
    pub(crate) fuel: bool,

    /// Count instructions, and have numbers come out the same on all processors: for runs with
    /// `--deterministic`, and only for these
    #[arg(long)]
    pub(crate) deterministic: bool,

    /// Keep what tells files and lines: for runs with `--details`
    #[arg(long)]
    pub(crate) details: bool,
}

/// Where native code comes from, and where it is kept.
#[derive(Debug, clap::Args)]
pub(crate) struct CodeArgs {
    /// MODULE is native code that `wasmpool compile` has made, and that may do what you may do
    #[arg(long)]
    pub(crate) trusted_cwasm: bool,

    /// Give a module up that takes longer to be loaded, such as `10s` [default: no end]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) load_timeout: Option<Duration>,

    /// Keep compiled modules in this folder [default: `wasmpool` in the user's cache folder]
    #[arg(long, value_name = "FOLDER", conflicts_with = "no_cache")]
    pub(crate) cache_folder: Option<PathBuf>,

    /// Keep no more compiled modules than this; the least recently used go [default: 1GiB]
    #[arg(long, value_name = "SIZE", conflicts_with = "no_cache")]
    pub(crate) cache_limit: Option<ByteSize>,

    /// Keep no compiled modules
    #[arg(long)]
    pub(crate) no_cache: bool,
}
