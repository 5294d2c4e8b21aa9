//! The arguments of the commands that use one module, and of where its code comes from.

use std::path::PathBuf;

use super::pool::CacheArgs;

/// List the tasks of a module
#[derive(Debug, clap::Args)]
pub(crate) struct ListArgs {
    /// A module (`.wasm` or `.wat`), or the name of an included one: `factorizer`
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
/// wasmpool. It is native code and runs unchecked: run only what you have compiled.
#[derive(Debug, clap::Args)]
pub(crate) struct CompileArgs {
    /// A module (`.wasm` or `.wat`), or the name of an included one: `factorizer`
    pub(crate) module: String,

    /// The file to write [default: the module's name with the extension `.cwasm`]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Count instructions: for runs with `--fuel` only
    #[arg(long)]
    pub(crate) fuel: bool,

    /// Count instructions, and make numeric results the same on all processors: for runs with
    /// `--deterministic` only
    #[arg(long)]
    pub(crate) deterministic: bool,

    /// Keep files and lines for backtraces: for runs with `--details`
    #[arg(long)]
    pub(crate) details: bool,
}

/// Where native code comes from.
#[derive(Debug, clap::Args)]
pub(crate) struct CodeArgs {
    /// MODULE is trusted native code, made by `wasmpool compile`: it runs unchecked, with your
    /// rights
    #[arg(long)]
    pub(crate) trusted_cwasm: bool,

    #[command(flatten)]
    pub(crate) cache: CacheArgs,
}
