//! `wasmpool list`: the tasks of a module.

use std::io::{self, BufWriter, Write};

use serde::{Serialize, Serializer};
use wasmpool::{Pool, Signature, TaskInfo, TaskModule, Uncallable, Value};

use crate::args::ListArgs;
use crate::ending::{self, Ending, Result};
use crate::module;
use crate::pool;
use crate::visible::{VisibleJson, printable};

pub(crate) fn list(args: &ListArgs) -> Result<Ending> {
    let pool = pool::with_cache(Pool::builder().workers(1), &args.code.cache)
        .build()
        .map_err(pool::problem)?;
    let module = module::load(&pool, &args.module, &args.code, module::spinner())?;
    if !args.code.trusted_cwasm {
        module::tell_of_cache(&pool);
    }
    let mut stdout = BufWriter::new(io::stdout().lock());
    let written = if args.json {
        serde_json::to_writer_pretty(VisibleJson(&mut stdout), &Listing::of(&module))
            .map_err(io::Error::from)
            .and_then(|()| writeln!(stdout))
    } else {
        print(&mut stdout, &module)
    };
    ending::of_writing(written.and_then(|()| stdout.flush()))
}

/// The list as JSON.
#[derive(Serialize)]
struct Listing<'a> {
    #[serde(serialize_with = "write_tasks")]
    tasks: &'a [TaskInfo],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    uncallable: &'a [Uncallable],
}

impl<'a> Listing<'a> {
    fn of(module: &'a TaskModule) -> Self {
        Self {
            tasks: module.tasks(),
            uncallable: module.uncallable(),
        }
    }
}

/// Writes one task after the other, so that the schemas of only one are in memory.
fn write_tasks<S: Serializer>(
    tasks: &[TaskInfo],
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(tasks.iter().map(|info| ListedTask {
        info,
        types: info.signature.as_deref().map(Types::of),
    }))
}

#[derive(Serialize)]
struct ListedTask<'a> {
    #[serde(flatten)]
    info: &'a TaskInfo,
    #[serde(flatten)]
    types: Option<Types>,
}

/// The types of an exported function: in WIT, and as JSON Schemas.
#[derive(Serialize)]
struct Types {
    signature: String,
    arguments_schema: Value,
    output_schema: Value,
}

impl Types {
    fn of(signature: &Signature) -> Self {
        Self {
            signature: signature.to_string(),
            arguments_schema: signature.arguments_schema(),
            output_schema: signature.output_schema(),
        }
    }
}

fn print(stdout: &mut impl Write, module: &TaskModule) -> io::Result<()> {
    for task in module.tasks() {
        let name = printable(&task.name);
        match &task.signature {
            Some(signature) => writeln!(stdout, "{name}: {}", printable(&signature.to_string()))?,
            None => writeln!(stdout, "{name}({})", printable(&task.params.join(", ")))?,
        }
        for line in task.doc.lines() {
            match line {
                "" => writeln!(stdout)?,
                line => writeln!(stdout, "    {}", printable(line))?,
            }
        }
    }
    for function in module.uncallable() {
        let (name, reason) = (printable(&function.name), printable(&function.reason));
        writeln!(stdout, "// {name} cannot be called: {reason}")?;
    }
    Ok(())
}
