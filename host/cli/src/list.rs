//! `wasmpool list`: what a module has to offer.

use std::io::{self, Write};

use wasmpool::{Pool, TaskInfo};

use crate::args::ListArgs;
use crate::ending::{self, Ending, Result};
use crate::module::{self, printable};

pub(crate) fn list(args: &ListArgs) -> Result<Ending> {
    let pool = module::with_cache(Pool::builder().workers(1), &args.cache)
        .build()
        .map_err(module::pool_problem)?;
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
    ending::of_writing(written)
}

fn print(stdout: &mut impl Write, task: &TaskInfo) -> io::Result<()> {
    let (name, params) = (printable(&task.name), printable(&task.params.join(", ")));
    writeln!(stdout, "{name}({params})")?;
    task.doc.lines().try_for_each(|line| match line {
        "" => writeln!(stdout),
        line => writeln!(stdout, "    {}", printable(line)),
    })
}
