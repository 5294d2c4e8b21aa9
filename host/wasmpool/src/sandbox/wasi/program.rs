//! A run of a program: its arguments, environment and input, and the call that runs it.

use serde_bytes::ByteBuf;
use wasmtime::component::ComponentExportIndex;
use wasmtime::{Extern, ModuleExport, Store, format_err};
use wasmtime_wasi::I32Exit;

use crate::call::Output;
use crate::sandbox::instance::Live;
use crate::sandbox::store::State;
use crate::value;

/// The name of a program's task, and of the interface that programs export.
pub(crate) const NAME: &str = "wasi:cli/run";

/// How the versions of that interface begin.
pub(crate) const VERSIONS: [&str; 2] = ["0.2.", "0.3."];

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
    /// The arguments, the first of which is the program's name.
    pub(crate) arguments: Vec<String>,
    /// Variables in addition to the granted ones. They replace granted ones of the same name.
    pub(crate) environment: Vec<(String, String)>,
    /// Its standard input. `None` if none was set.
    pub(crate) stdin: Option<ByteBuf>,
}

impl Invocation {
    /// Decodes the arguments of a program's task.
    pub(crate) fn decode(arguments: &[u8]) -> Result<Self, String> {
        let (arguments, environment, stdin) = value::decode(arguments)?;
        Ok(Self {
            arguments,
            environment,
            stdin,
        })
    }
}

/// Runs the program that begins at `start`, and returns its exit code and its output.
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
