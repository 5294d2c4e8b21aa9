//! A run of a program: what it is given, and the one call into it.

use serde_bytes::ByteBuf;
use wasmtime::component::ComponentExportIndex;
use wasmtime::{Extern, ModuleExport, Store, format_err};
use wasmtime_wasi::I32Exit;

use crate::call::Output;
use crate::sandbox::instance::Live;
use crate::sandbox::store::State;
use crate::value;

/// The name of the task that a program is, and of the interface that makes it one.
pub(crate) const NAME: &str = "wasi:cli/run";

/// The names of its parameters.
pub(crate) const PARAMS: [&str; 3] = ["arguments", "environment", "stdin"];

/// Where a program begins.
#[derive(Clone, Copy)]
pub(crate) enum Start {
    /// At `run` of the interface `wasi:cli/run`.
    Component(ComponentExportIndex),
    /// At `_start`.
    CoreModule(ModuleExport),
}

/// What a program is started with.
pub(crate) struct Invocation {
    /// Its name comes first.
    pub(crate) arguments: Vec<String>,
    /// Beside the variables that were granted, or in their place.
    pub(crate) environment: Vec<(String, String)>,
    /// None if nothing was said of it.
    pub(crate) stdin: Option<ByteBuf>,
}

impl Invocation {
    /// Reads the arguments of the task that a program is.
    pub(crate) fn decode(arguments: &[u8]) -> Result<Self, String> {
        let (arguments, environment, stdin) = value::decode(arguments)?;
        Ok(Self {
            arguments,
            environment,
            stdin,
        })
    }
}

/// Runs the program that begins at `start`, and takes what it printed.
pub(crate) async fn run(
    store: &mut Store<State>,
    live: &Live,
    start: Start,
) -> wasmtime::Result<Output> {
    let returned = match (start, live) {
        (Start::Component(export), Live::Component { guest, .. }) => {
            let function = guest.get_func(&mut *store, export).ok_or_else(no_export)?;
            let function = function.typed::<(), (Result<(), ()>,)>(&*store)?;
            let returned = function.call_async(&mut *store, ()).await;
            returned.map(|(succeeded,)| if succeeded.is_ok() { 0 } else { 1 })
        }
        (Start::CoreModule(export), Live::CoreModule(guest)) => {
            let function = guest.get_module_export(&mut *store, &export);
            let function = function.and_then(Extern::into_func).ok_or_else(no_export)?;
            let function = function.typed::<(), ()>(&*store)?;
            let returned = function.call_async(&mut *store, ()).await;
            returned.map(|()| 0)
        }
        _ => return Err(no_export()),
    };
    let code = match returned {
        Ok(code) => code,
        Err(error) => match error.downcast_ref() {
            Some(I32Exit(code)) => *code,
            None => return Err(error),
        },
    };
    let (stdout, stderr) = store.data().output.take_whole();
    Ok(Output::new(code, stdout, stderr))
}

fn no_export() -> wasmtime::Error {
    format_err!("no such export")
}
