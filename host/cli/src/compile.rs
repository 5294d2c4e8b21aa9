//! `wasmpool compile`: compiles a module to native code ahead of time.

#[cfg(unix)]
use std::fs::Permissions;
use std::io::{self, Write as _};
#[cfg(unix)]
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use wasmpool::Pool;

use crate::args::CompileArgs;
use crate::ending::{Ending, Problem, Result};
use crate::module;
use crate::pool;

pub(crate) fn compile(args: &CompileArgs) -> Result<Ending> {
    // Code fits only pools with the same settings of the compiler, which these are.
    let mut builder = Pool::builder().workers(1).no_cache();
    if args.deterministic {
        builder = builder.deterministic_numbers();
    }
    if args.fuel || args.deterministic {
        builder = builder.fuel_limit(u64::MAX);
    }
    if args.details {
        builder = builder.backtrace_lines();
    }
    let pool = builder.build().map_err(pool::problem)?;
    let code = pool
        .precompile(&module::read(&args.module)?)
        .with_context(|| format!("cannot compile the module `{}`", args.module))
        .map_err(Problem::Unusable)?;
    let output = args
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(&args.module).with_extension("cwasm"));
    write_in_one_step(&output, &code)
        .with_context(|| format!("cannot write `{}`", output.display()))
        .map_err(Problem::Unusable)?;
    Ok(Ending::AllOk)
}

/// Writes a file under a random name beside `path` and renames it: another process may be running
/// the old file, and nobody can have put a link at the random name.
fn write_in_one_step(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    // The usual mode of a new file, which the umask restricts.
    #[cfg(unix)]
    builder.permissions(Permissions::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(content)?;
    file.persist(path)?;
    Ok(())
}
