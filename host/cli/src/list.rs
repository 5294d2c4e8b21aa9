//! `wasmpool list`: what a module has to offer.

use std::io::{self, Write};

use anyhow::Context as _;
use wasmpool::{Pool, TaskInfo};

use crate::args::ListArgs;
use crate::ending::{Ending, Problem, Result};
use crate::module;

pub(crate) fn list(args: &ListArgs) -> Result<Ending> {
    let pool = module::with_cache(Pool::builder().workers(1), &args.cache)
        .build()
        .context("cannot set up the pool")
        .map_err(Problem::Unusable)?;
    let module = module::load(&pool, &args.module)?;
    let mut stdout = io::stdout().lock();
    let written = if args.json {
        serde_json::to_writer_pretty(&mut stdout, module.tasks())
            .map_err(io::Error::from)
            .and_then(|()| writeln!(stdout))
    } else {
        module
            .tasks()
            .iter()
            .try_for_each(|task| print(&mut stdout, task))
    };
    match written {
        Ok(()) => Ok(Ending::AllOk),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ending::PipeClosed),
        Err(error) => Err(Problem::Unusable(
            anyhow::Error::new(error).context("cannot write to standard output"),
        )),
    }
}

fn print(stdout: &mut impl Write, task: &TaskInfo) -> io::Result<()> {
    writeln!(stdout, "{}({})", task.name, task.params.join(", "))?;
    task.doc.lines().try_for_each(|line| match line {
        "" => writeln!(stdout),
        line => writeln!(stdout, "    {line}"),
    })
}
