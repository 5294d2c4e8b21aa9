//! From the bytes of a file to a module that is ready to be instantiated.
//!
//! Every step that can fail says what is wrong with the file and what to do about it.

use std::borrow::Cow;
use std::path::Path;

use wasmtime::Engine;
use wasmtime::component::{Component, InstancePre, Linker};

use super::adapter;
use super::bindings::WorkerIndices;
use super::cache::{CacheEntry, CacheFolder};
use super::exports::{self, Exports};
use super::store::State;
use crate::error::LoadError;

/// The package of the contract, and the interface that a guest exports.
const PACKAGE: &str = "wasmpool:task/";
const TASKS: &str = "wasmpool:task/tasks";

/// A component that is ready to be instantiated. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Compiled {
    pub(super) pre: InstancePre<State>,
    /// Where our own contract is, in a component that brings its own tasks.
    pub(super) contract: Option<WorkerIndices>,
}

impl Compiled {
    pub(super) fn engine(&self) -> &Engine {
        self.pre.engine()
    }
}

/// What was made of the bytes of a file.
pub(super) struct Loaded {
    pub(super) compiled: Compiled,
    pub(super) exports: Exports,
    /// Where more can be kept of it.
    pub(super) entry: Option<CacheEntry>,
}

/// Compiles a component, or takes it from the cache, and checks it against what the pool
/// offers and needs.
pub(super) fn load(
    engine: &Engine,
    linker: &Linker<State>,
    cache: &CacheFolder,
    bytes: &[u8],
) -> Result<Loaded, LoadError> {
    let binary = Binary::read(bytes)?;
    let entry = cache.entry(engine, &binary.parts());
    let cached = entry.as_ref().and_then(|entry| from_cache(engine, entry));
    let component = match cached {
        Some(component) => component,
        None => compile(engine, &binary.into_component()?, entry.as_ref())?,
    };
    let (compiled, exports) = link(engine, linker, &component)?;
    Ok(Loaded {
        compiled,
        exports,
        entry,
    })
}

/// Compiles a component to native code.
pub(super) fn precompile(engine: &Engine, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    let component = Binary::read(bytes)?.into_component()?;
    let component = compile(engine, &component, None)?;
    let code = component.serialize();
    code.map_err(|error| LoadError::Invalid(format!("{error:#}")))
}

/// Loads native code that was compiled ahead of time.
///
/// # Safety
///
/// The file must have been made by [`precompile`], and must not change while it is in use.
#[allow(unsafe_code)]
pub(super) unsafe fn load_precompiled(
    engine: &Engine,
    linker: &Linker<State>,
    path: &Path,
) -> Result<Loaded, LoadError> {
    // SAFETY: passed on to the caller.
    let component = unsafe { Component::deserialize_file(engine, path) };
    let component = component.map_err(|error| LoadError::Unfit(format!("{error:#}")))?;
    let (compiled, exports) = link(engine, linker, &component)?;
    Ok(Loaded {
        compiled,
        exports,
        entry: None,
    })
}

/// WebAssembly in its binary form.
enum Binary<'a> {
    Component(Cow<'a, [u8]>),
    /// Is wrapped to be a component.
    CoreModule(Cow<'a, [u8]>),
}

impl<'a> Binary<'a> {
    /// Takes the binary form or the text form, and nothing else.
    fn read(bytes: &'a [u8]) -> Result<Self, LoadError> {
        /// How every binary begins, and the two kinds of what follows: version and layer.
        const MAGIC: &[u8] = b"\0asm";
        const CORE_MODULE: &[u8] = &[1, 0, 0, 0];
        /// How a precompiled artefact begins.
        const ELF: &[u8] = b"\x7fELF";

        if bytes.starts_with(ELF) {
            return Err(LoadError::Precompiled);
        }
        let wasm = if bytes.starts_with(MAGIC) {
            Cow::Borrowed(bytes)
        } else {
            let text = std::str::from_utf8(bytes).map_err(|_| LoadError::NotWasm)?;
            if !text.trim_start().starts_with(['(', ';']) {
                return Err(LoadError::NotWasm);
            }
            let binary = wat::parse_str(text);
            Cow::Owned(binary.map_err(|error| LoadError::Invalid(error.to_string()))?)
        };
        Ok(match wasm[MAGIC.len()..].starts_with(CORE_MODULE) {
            true => Self::CoreModule(wasm),
            false => Self::Component(wasm),
        })
    }

    /// All that the component comes from.
    fn parts(&self) -> Vec<&[u8]> {
        match self {
            Self::Component(wasm) => vec![wasm],
            Self::CoreModule(wasm) => {
                let wasm: &[u8] = wasm;
                [wasm].into_iter().chain(adapter::INGREDIENTS).collect()
            }
        }
    }

    fn into_component(self) -> Result<Cow<'a, [u8]>, LoadError> {
        match self {
            Self::Component(wasm) => Ok(wasm),
            Self::CoreModule(wasm) => adapter::wrap(&wasm).map(Cow::Owned),
        }
    }
}

fn compile(
    engine: &Engine,
    wasm: &[u8],
    entry: Option<&CacheEntry>,
) -> Result<Component, LoadError> {
    let component = Component::from_binary(engine, wasm)
        .map_err(|error| LoadError::Invalid(format!("{error:#}")))?;
    if let Some(entry) = entry
        && let Ok(code) = component.serialize()
    {
        entry.keep_code(&code);
    }
    Ok(component)
}

#[allow(unsafe_code)]
fn from_cache(engine: &Engine, entry: &CacheEntry) -> Option<Component> {
    let code = entry.code()?;
    // SAFETY: `deserialize_file` asks for a file that holds what `Component::serialize` has
    // made, and that nobody changes. This is one of the pool's own cache: `CacheEntry` has put
    // it there by a rename, never writes to it again, and has just compared what is in it with
    // the checksum at its end. Who can change it all the same can write to the user's own cache
    // folder. That it fits this engine is checked by `deserialize_file` itself.
    unsafe { Component::deserialize_file(engine, code) }.ok()
}

/// Joins the component with what the pool offers.
fn link(
    engine: &Engine,
    linker: &Linker<State>,
    component: &Component,
) -> Result<(Compiled, Exports), LoadError> {
    let contract = contract(engine, component)?;
    let exports = exports::read(engine, component, contract.as_deref());
    if contract.is_none() && exports.callable.is_empty() {
        return Err(LoadError::NothingToCall {
            exports: export_names(engine, component),
            uncallable: exports.uncallable,
        });
    }
    let pre = linker.instantiate_pre(component).map_err(|error| {
        let imports = unknown_imports(engine, component);
        if imports.is_empty() {
            LoadError::WrongTypes(format!("{error:#}"))
        } else {
            LoadError::UnknownImport { imports }
        }
    })?;
    let contract = contract.map(|_| WorkerIndices::new(&pre)).transpose();
    let contract = contract.map_err(|error| LoadError::WrongTypes(format!("{error:#}")))?;
    Ok((Compiled { pre, contract }, exports))
}

/// The interface of our contract, by the name that the component exports it under.
fn contract(engine: &Engine, component: &Component) -> Result<Option<String>, LoadError> {
    let exports = export_names(engine, component);
    let mut ours = exports.iter().filter(|name| interface(name) == TASKS);
    match (ours.clone().find(|name| is_our_version(name)), ours.next()) {
        (Some(name), _) => Ok(Some(name.clone())),
        (None, Some(found)) => Err(LoadError::WorldVersion {
            found: found.clone(),
        }),
        (None, None) => Ok(None),
    }
}

fn export_names(engine: &Engine, component: &Component) -> Vec<String> {
    let component_type = component.component_type();
    let exports = component_type.exports(engine).map(|(name, _)| name);
    exports.map(str::to_owned).collect()
}

/// The imports that nobody here provides.
fn unknown_imports(engine: &Engine, component: &Component) -> Vec<String> {
    /// What `wasmtime_wasi` provides, all of it in version 0.2.
    const WASI: &[&str] = &[
        "wasi:cli/",
        "wasi:clocks/",
        "wasi:filesystem/",
        "wasi:io/",
        "wasi:random/",
        "wasi:sockets/",
    ];
    let is_known = |name: &str| {
        let is_wasi = WASI.iter().any(|package| name.starts_with(package));
        (is_wasi && version(name).starts_with("0.2."))
            || (name.starts_with(PACKAGE) && is_our_version(name))
    };
    component
        .component_type()
        .imports(engine)
        .map(|(name, _)| name)
        .filter(|name| !is_known(name))
        .map(str::to_owned)
        .collect()
}

/// An interface's name without its version.
pub(super) fn interface(name: &str) -> &str {
    name.split_once('@')
        .map_or(name, |(interface, _)| interface)
}

pub(super) fn version(name: &str) -> &str {
    name.split_once('@').map_or("", |(_, version)| version)
}

/// Before 1.0 a new minor version is another contract, a new patch is not.
fn is_our_version(name: &str) -> bool {
    version(name).starts_with("0.1.")
}
