//! The program `wasmpool`: runs the tasks of a WebAssembly module in a pool of sandboxes.

#![forbid(unsafe_code)]

mod args;
mod ending;
mod input;
mod interrupt;
mod list;
mod module;
mod output;
mod run;
mod tally;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use crate::args::{Args, Command};
use crate::ending::Ending;

fn main() -> ExitCode {
    let args = Args::parse();
    let ended = match args.command {
        Command::Run(args) => run::run(*args),
        Command::List(args) => list::list(&args),
        Command::Completions { shell } => {
            clap_complete::generate(
                shell,
                &mut Args::command(),
                "wasmpool",
                &mut std::io::stdout(),
            );
            Ok(Ending::AllOk)
        }
    };
    ended
        .unwrap_or_else(|problem| {
            eprintln!("error: {:#}", problem.error());
            problem.ending()
        })
        .into()
}
