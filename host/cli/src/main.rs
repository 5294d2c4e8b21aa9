//! The program `wasmpool`: runs the tasks of a WebAssembly module in a pool of sandboxes.

mod args;
mod bench;
#[cfg(feature = "cluster")]
mod cluster;
mod compile;
mod completions;
mod ending;
mod input;
mod interrupt;
mod list;
mod man;
mod module;
mod new;
mod pool;
mod rights;
mod run;
mod template;
mod visible;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    // Before anything else: `wasmpool bench` starts this program as a worker process.
    if let Some(code) = wasmpool_bench::as_worker(std::env::args_os()) {
        return code;
    }
    if let Some(code) = completions::as_completer(std::env::args_os()) {
        return code;
    }
    let args = Args::parse();
    let ended = match args.command {
        Command::Run(args) => run::run(*args),
        Command::List(args) => list::list(&args),
        Command::Compile(args) => compile::compile(&args),
        Command::Bench(args) => bench::bench(&args),
        Command::New(args) => new::new(&args),
        #[cfg(feature = "cluster")]
        Command::Node(args) => cluster::node(&args),
        #[cfg(feature = "cluster")]
        Command::Cluster(args) => cluster::cluster(&args),
        Command::Man { folder } => man::man(folder.as_deref()),
        Command::Completions { shell } => completions::completions(shell),
    };
    ended
        .unwrap_or_else(|problem| {
            // Standard error may be closed.
            let error = visible::printable_lines(&format!("{:#}", problem.error()));
            let _ = writeln!(io::stderr(), "error: {error}");
            problem.ending()
        })
        .into()
}
