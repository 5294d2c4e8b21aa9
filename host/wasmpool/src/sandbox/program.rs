//! A run of a program: what it is given, and the one call into it.

use serde_bytes::ByteBuf;
use wasmtime::component::{ComponentExportIndex, Instance as Guest};
use wasmtime::{Store, format_err};
use wasmtime_wasi::I32Exit;

use super::store::State;
use crate::output::Output;
use crate::value;

/// The name of the task that a program is, and of the interface that makes it one.
pub(super) const NAME: &str = "wasi:cli/run";

/// The names of its parameters.
pub(super) const PARAMS: [&str; 3] = ["arguments", "environment", "stdin"];

/// What a program is started with.
pub(super) struct Invocation {
    /// Its name comes first.
    pub(super) arguments: Vec<String>,
    /// Beside the variables that were granted, or in their place.
    pub(super) environment: Vec<(String, String)>,
    /// None if nothing was said of it.
    pub(super) stdin: Option<ByteBuf>,
}

impl Invocation {
    /// Reads the arguments of the task that a program is.
    pub(super) fn decode(arguments: &[u8]) -> Result<Self, String> {
        let (arguments, environment, stdin) = value::decode(arguments)?;
        Ok(Self {
            arguments,
            environment,
            stdin,
        })
    }
}

/// Runs the program that a component exports at `export`, and takes what it printed.
pub(super) async fn run(
    store: &mut Store<State>,
    guest: &Guest,
    export: ComponentExportIndex,
) -> wasmtime::Result<Output> {
    let function = guest.get_func(&mut *store, export);
    let function = function.ok_or_else(|| format_err!("no such export"))?;
    let function = function.typed::<(), (Result<(), ()>,)>(&*store)?;
    let code = match function.call_async(&mut *store, ()).await {
        Ok((Ok(()),)) => 0,
        Ok((Err(()),)) => 1,
        Err(error) => match error.downcast_ref() {
            Some(I32Exit(code)) => *code,
            None => return Err(error),
        },
    };
    let (stdout, stderr) = store.data().output.take_whole();
    Ok(Output::new(code, stdout, stderr))
}
