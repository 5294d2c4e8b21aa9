//! `wasmpool compile`: a module to native code, ahead of time.

use std::fs;
use std::path::PathBuf;

use anyhow::Context as _;
use wasmpool::Pool;

use crate::args::CompileArgs;
use crate::ending::{Ending, Problem, Result};
use crate::module;

pub(crate) fn compile(args: &CompileArgs) -> Result<Ending> {
    // Code fits pools whose guests are compiled alike: these are the settings that tell.
    let mut builder = Pool::builder().workers(1).no_cache();
    if args.fuel {
        builder = builder.fuel_limit(u64::MAX);
    }
    if args.details {
        builder = builder.backtrace_lines();
    }
    let pool = builder.build().map_err(module::pool_problem)?;
    let code = pool
        .precompile(&module::read(&args.module)?)
        .with_context(|| format!("cannot compile the module `{}`", args.module))
        .map_err(Problem::Unusable)?;
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(&args.module).with_extension("cwasm"));
    // In one step: another process may be running what is there.
    let temporary = output.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&temporary, code)
        .and_then(|()| fs::rename(&temporary, &output))
        .with_context(|| format!("cannot write `{}`", output.display()))
        .map_err(Problem::Unusable)?;
    Ok(Ending::AllOk)
}
