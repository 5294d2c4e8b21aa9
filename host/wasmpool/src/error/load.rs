//! Why a module could not be loaded.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::host_function::UnfitImport;
use super::reference::did_you_mean;
use super::task::TaskError;
use crate::value::Uncallable;
use crate::value::text::{self, Listed};

/// Why a module could not be loaded. Cheap to clone: several threads may wait for one load.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file could not be read.
    #[error("cannot read `{}`", path.display())]
    #[non_exhaustive]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: Arc<std::io::Error>,
    },
    /// The bytes are neither WebAssembly nor its text form.
    #[error(
        "not WebAssembly: neither a binary nor the text form; build a guest with \
         `cargo build --release --target wasm32-wasip2`"
    )]
    NotWasm,
    /// The module is one that the library can load only with a feature that it was built without.
    #[error("this build of wasmpool has no support for {what}: enable the feature `{feature}`")]
    #[non_exhaustive]
    MissingFeature {
        /// What the module is.
        what: &'static str,
        /// The feature.
        feature: &'static str,
    },
    /// The bytes are native code that was compiled ahead of time.
    #[error(
        "compiled ahead of time: such a file is native code, which is loaded only when it is \
         named as trusted (`--trusted-cwasm`, `Pool::load_precompiled`); or load the `.wasm` that \
         it was made from"
    )]
    Precompiled,
    /// The file was not compiled for this pool: it is not native code, or was compiled by another
    /// version or with other settings.
    #[error(
        "not compiled for this pool: {}; compile it anew, with the pool's own settings",
        text::message(.0)
    )]
    Unfit(String),
    /// The module is a core module, and neither a program for WASI preview 1 nor one that exports
    /// functions of numbers.
    #[error(
        "a core module that cannot be used: {}; build it for `wasm32-wasip2`, or turn it into a \
         component with `wasm-tools component new`, which can take text and lists too",
        text::message(problem)
    )]
    #[non_exhaustive]
    CoreModule {
        /// What it lacks, or what it imports besides `wasi_snapshot_preview1`.
        problem: String,
    },
    /// The bytes start like WebAssembly but are not valid.
    #[error("not valid WebAssembly: {}", text::message(.0))]
    Invalid(String),
    /// The module is valid but needs a WebAssembly feature that pools do not support:
    ///
    /// - shared memories and atomic instructions: a guest is one thread;
    /// - garbage-collected types, and exceptions, which the engine implements with them: a
    ///   collector is native code that works on a guest's data in each sandbox, and few WASI
    ///   modules need one so far;
    /// - more than 4 memories or 32 tables: address space is reserved for each instance;
    /// - unfinished proposals.
    ///
    /// Multiple memories, 64-bit memories, tail calls, SIMD and typed function references are
    /// supported. A module may have no memory.
    #[error("needs a WebAssembly feature that is not supported: {}", text::message(.0))]
    Unsupported(String),
    /// The component exports nothing that can be called as a task.
    #[error("nothing to call: {}", exports_hint(exports, uncallable))]
    #[non_exhaustive]
    NothingToCall {
        /// What it exports instead.
        exports: Vec<String>,
        /// The functions among it, and why they cannot be called.
        uncallable: Vec<Uncallable>,
    },
    /// The component exports the world `wasmpool:task/worker` in a version that this pool does not
    /// support.
    #[error(
        "made for `{}`, while this pool speaks `wasmpool:task/tasks@0.1.0`: rebuild the guest \
         against that version of the contract",
        text::name(found)
    )]
    #[non_exhaustive]
    WorldVersion {
        /// The interface that it exports.
        found: String,
    },
    /// The component imports interfaces, or functions of them, that neither the pool provides nor the
    /// embedding program ([`PoolBuilder::host_functions`](crate::PoolBuilder::host_functions)).
    #[error(
        "it imports what the pool does not offer: {}; {}a guest gets `wasmpool:task/context` \
         and WASI 0.2 (`wasi:cli`, `clocks`, `filesystem`, `io`, `random`, `sockets`)",
        Listed(imports),
        offered_instead(imports, offered)
    )]
    #[non_exhaustive]
    UnknownImport {
        /// These imports.
        imports: Vec<String>,
        /// The host functions that the pool has in the same interfaces, or else all that it has.
        offered: Vec<String>,
    },
    /// The pool has the host functions that the component imports, with other types. All of them are
    /// listed.
    #[error("it does not fit the pool's host functions: {}", each(imports))]
    #[non_exhaustive]
    HostFunctions {
        /// These functions.
        imports: Vec<UnfitImport>,
    },
    /// The component exports or imports the interfaces of `wasmpool:task` with other types.
    #[error("its types do not fit the contract `wasmpool:task@0.1.0`: {}", text::message(.0))]
    WrongTypes(String),
    /// Calling the component's `list` function for its tasks failed.
    #[error("it could not be asked for its tasks: {0}")]
    List(TaskError),
    /// Loading took longer than the pool's [`load_timeout`](crate::PoolBuilder::load_timeout).
    #[error(
        "not loaded within {timeout:?}: allow more time (`load_timeout`, `--load-timeout`), or \
         compile the module ahead of time (`wasmpool compile`, `Pool::precompile`)"
    )]
    #[non_exhaustive]
    TimedOut {
        /// The timeout.
        timeout: Duration,
    },
    /// The pool was dropped while the module was being loaded.
    #[error("the pool was dropped while the module was being loaded")]
    ShutDown,
    /// A thread to load the module could not be started.
    #[error(
        "a thread to load it cannot be started; raise the limit of threads (`ulimit -u`, or \
         `pids.max` of the container), or ask for fewer workers"
    )]
    Thread(#[source] Arc<std::io::Error>),
}

/// What the pool has instead of the imports, if it has host functions.
fn offered_instead(imports: &[String], offered: &[String]) -> String {
    match imports.first() {
        Some(import) if !offered.is_empty() => {
            let start = did_you_mean(import, offered, "the pool has");
            format!("{start} the host functions {}; ", Listed(offered))
        }
        _ => String::new(),
    }
}

fn each(imports: &[UnfitImport]) -> String {
    /// How many are told.
    const TOLD: usize = 16;

    let told = imports.iter().take(TOLD).map(UnfitImport::to_string);
    let mut told = told.collect::<Vec<_>>().join("; ");
    if imports.len() > TOLD {
        told += &format!("; and {} more", imports.len() - TOLD);
    }
    text::message(told)
}

fn exports_hint(exports: &[String], uncallable: &[Uncallable]) -> String {
    /// How many reasons are given.
    const REASONS: usize = 8;

    if exports.is_empty() {
        return "the component exports nothing at all".to_owned();
    }
    if uncallable.is_empty() {
        return format!(
            "the component exports no function, only {}; write a guest with the crate \
             `wasmpool-guest`, or export functions",
            Listed(exports)
        );
    }
    let reasons = uncallable.iter().take(REASONS);
    let reasons =
        reasons.map(|function| format!("`{}`: {}", text::name(&function.name), function.reason));
    let mut reasons = reasons.collect::<Vec<_>>().join(", ");
    if uncallable.len() > REASONS {
        reasons += &format!(" and {} more", uncallable.len() - REASONS);
    }
    format!("no function that the component exports can be a task ({reasons})")
}

#[cfg(test)]
mod tests {
    use super::LoadError;

    #[test]
    fn a_missing_feature_is_named() {
        let error = LoadError::MissingFeature {
            what: "WebAssembly text",
            feature: "wat",
        };
        assert_eq!(
            error.to_string(),
            "this build of wasmpool has no support for WebAssembly text: enable the feature `wat`"
        );
    }
}
