//! Calls in WAVE on the command line: `--invoke 'factorize(360)'`.

use anyhow::{Context as _, anyhow, bail};
use wasmpool::{Signature, TaskInfo, TaskModule};

use crate::ending::{Problem, Result};
use crate::input::{self, Input, Inputs};

/// The function of all the calls, and their arguments.
pub(crate) fn task_and_inputs<'a>(
    module: &'a TaskModule,
    calls: &[String],
) -> Result<(&'a TaskInfo, Inputs)> {
    parse(module, calls).map_err(Problem::Usage)
}

fn parse<'a>(module: &'a TaskModule, calls: &[String]) -> anyhow::Result<(&'a TaskInfo, Inputs)> {
    let called = calls.iter().map(|call| {
        let name = Signature::wave_name(call).with_context(|| in_call(call))?;
        module.find(name).with_context(|| in_call(call))
    });
    let called = called.collect::<anyhow::Result<Vec<_>>>()?;
    let task = called[0];
    if let Some(other) = called.iter().find(|other| other.name != task.name) {
        bail!(
            "all calls of a run must be of one function, not of `{}` and `{}`",
            task.name,
            other.name
        );
    }
    let signature = task.signature.as_ref().ok_or_else(|| {
        anyhow!(
            "`{}` is not an exported function, so its types are unknown: pass its arguments as JSON",
            task.name
        )
    })?;
    let inputs = calls.iter().map(|call| {
        let arguments = signature
            .wave_arguments(call)
            .with_context(|| in_call(call))?;
        let arguments = arguments.into_iter().map(serde_json::to_value);
        Ok(Input {
            text: input::quoted(call),
            arguments: Ok(arguments.collect::<serde_json::Result<_>>()?),
            file_bytes: 0,
        })
    });
    Ok((task, Inputs::of(inputs.collect::<anyhow::Result<_>>()?)))
}

/// Where an error is: a call, or as much of it as it takes to recognize it.
fn in_call(call: &str) -> String {
    let end = call.floor_char_boundary(100);
    let dots = if end < call.len() { "..." } else { "" };
    format!("in the call `{}{dots}`", &call[..end])
}
