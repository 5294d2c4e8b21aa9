//! Makes a module that can be instantiated from the bytes of a file.
//!
//! Every step that can fail says what is wrong with the file and what to do about it.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

use wasmparser::{Validator, WasmFeatures};
use wasmtime::component::{self, Component};
use wasmtime::{Engine, Precompiled};

use super::bindings::WorkerIndices;
use super::cache::{Cache, CacheEntry};
use super::engine::{MEMORIES_PER_SUSPENDED, TABLES_PER_SUSPENDED};
use super::engines::{Engines, Linked, Needs};
use super::exports::{self, Exports};
use super::host::{self, HostFunctions, HostImport};
use super::linkers::Linkers;
use super::store::State;
use super::{concurrency, core_module, imports, numbers};
use crate::error::LoadError;

/// The package of the contract, and the interface that a guest exports.
pub(super) const PACKAGE: &str = "wasmpool:task/";
const TASKS: &str = "wasmpool:task/tasks";

/// Bytes in a page of a linear memory.
const PAGE_SIZE: u64 = 64 << 10;

/// A module that is ready to be instantiated. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Compiled {
    Component {
        pre: component::InstancePre<State>,
        /// The exports of our contract, if the component has it.
        contract: Option<WorkerIndices>,
        /// The functions of the embedder that it imports.
        host_imports: Arc<[Arc<HostImport>]>,
    },
    /// A program for WASI preview 1, or functions of numbers.
    CoreModule(wasmtime::InstancePre<State>),
}

impl Compiled {
    pub(super) fn engine(&self) -> &Engine {
        match self {
            Self::Component { pre, .. } => pre.engine(),
            Self::CoreModule(pre) => pre.module().engine(),
        }
    }

    /// Whether an instance fits into the memories and tables that are reserved for a suspended
    /// call.
    pub(super) fn fits_suspended(&self) -> bool {
        let required = match self {
            Self::Component { pre, .. } => pre.component().resources_required(),
            Self::CoreModule(pre) => Some(pre.module().resources_required()),
        };
        required.is_some_and(|required| {
            required.num_memories <= MEMORIES_PER_SUSPENDED
                && required.num_tables <= TABLES_PER_SUSPENDED
        })
    }

    /// How many bytes an instance holds at least: its largest memory as it is at the start. Others
    /// are not counted.
    pub(super) fn initial_memory(&self) -> usize {
        let required = match self {
            Self::Component { pre, .. } => pre.component().resources_required(),
            Self::CoreModule(pre) => Some(pre.module().resources_required()),
        };
        // In pages.
        let pages = required.and_then(|required| required.max_initial_memory_size);
        let bytes = pages.unwrap_or(0).saturating_mul(PAGE_SIZE);
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }

    /// The functions of the embedder that it imports.
    pub(super) fn host_imports(&self) -> &[Arc<HostImport>] {
        match self {
            Self::Component { host_imports, .. } => host_imports,
            Self::CoreModule(_) => &[],
        }
    }

    pub(super) fn has_contract(&self) -> bool {
        matches!(
            self,
            Self::Component {
                contract: Some(_),
                ..
            }
        )
    }
}

/// A loaded module, before its own tasks are listed.
pub(super) struct Loaded {
    pub(super) compiled: Compiled,
    pub(super) exports: Exports,
    /// Its entry in the cache, if there is a cache.
    pub(super) entry: Option<CacheEntry>,
}

/// Compiles a module or takes it from the cache, then checks its imports and exports.
pub(super) fn load(engines: &Engines, cache: &Cache, bytes: &[u8]) -> Result<Loaded, LoadError> {
    let binary = Binary::read(bytes)?;
    let linked = engines.of(binary.needs())?;
    let engine = &linked.engine;
    let entry = cache.entry(engine, &[&binary.wasm]);
    let cached = entry
        .as_ref()
        .and_then(|entry| from_cache(engine, binary.kind, entry));
    let code = match cached {
        Some(code) => code,
        None => {
            let code = compile(linked, &binary)?;
            if let Some(entry) = &entry
                && let Ok(bytes) = code.serialize()
            {
                entry.keep_code(&bytes);
            }
            code
        }
    };
    let (compiled, exports) = link(linked, &code)?;
    Ok(Loaded {
        compiled,
        exports,
        entry,
    })
}

/// Compiles a module to native code.
pub(super) fn precompile(engines: &Engines, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
    let binary = Binary::read(bytes)?;
    let code = compile(engines.of(binary.needs())?, &binary)?;
    let bytes = code.serialize();
    bytes.map_err(|error| LoadError::Invalid(format!("{error:#}")))
}

/// Loads native code that was compiled ahead of time.
///
/// # Safety
///
/// The file must have been made by [`precompile`], and must not change while it is in use.
#[allow(unsafe_code)]
pub(super) unsafe fn load_precompiled(engines: &Engines, path: &Path) -> Result<Loaded, LoadError> {
    let unfit = |error: wasmtime::Error| LoadError::Unfit(format!("{error:#}"));
    let kind = match Engine::detect_precompiled_file(path).map_err(unfit)? {
        Some(Precompiled::Module) => Kind::CoreModule,
        // If it is neither, loading it as a component fails with the reason.
        Some(Precompiled::Component) | None => Kind::Component,
    };
    // SAFETY: passed on to the caller.
    let on = |linked: &Linked| unsafe { Code::deserialize(&linked.engine, kind, path) };
    let (linked, code) = match on(engines.plain()) {
        Ok(code) => (engines.plain(), code),
        // The code does not say for which of the engines it is.
        Err(error) => {
            let concurrent = engines.of(Needs::Concurrency).ok();
            let code = concurrent.and_then(|linked| Some((linked, on(linked).ok()?)));
            code.ok_or_else(|| unfit(error))?
        }
    };
    let (compiled, exports) = link(linked, &code)?;
    Ok(Loaded {
        compiled,
        exports,
        entry: None,
    })
}

/// The two kinds of WebAssembly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Component,
    CoreModule,
}

/// Native code.
enum Code {
    Component(Component),
    CoreModule(wasmtime::Module),
}

impl Code {
    fn compile(engine: &Engine, binary: &Binary<'_>) -> wasmtime::Result<Self> {
        Ok(match binary.kind {
            Kind::Component => Self::Component(Component::from_binary(engine, &binary.wasm)?),
            Kind::CoreModule => {
                Self::CoreModule(wasmtime::Module::from_binary(engine, &binary.wasm)?)
            }
        })
    }

    fn serialize(&self) -> wasmtime::Result<Vec<u8>> {
        match self {
            Self::Component(component) => component.serialize(),
            Self::CoreModule(module) => module.serialize(),
        }
    }

    /// # Safety
    ///
    /// The file must have been written by [`Code::serialize`], and must not change while it is in
    /// use.
    #[allow(unsafe_code)]
    unsafe fn deserialize(engine: &Engine, kind: Kind, path: &Path) -> wasmtime::Result<Self> {
        // SAFETY: passed on to the caller.
        unsafe {
            Ok(match kind {
                Kind::Component => Self::Component(Component::deserialize_file(engine, path)?),
                Kind::CoreModule => {
                    Self::CoreModule(wasmtime::Module::deserialize_file(engine, path)?)
                }
            })
        }
    }
}

/// WebAssembly in its binary form.
struct Binary<'a> {
    kind: Kind,
    wasm: Cow<'a, [u8]>,
}

impl<'a> Binary<'a> {
    /// Accepts the binary form and the text form.
    fn read(bytes: &'a [u8]) -> Result<Self, LoadError> {
        /// How every binary begins. Version and layer follow, which tell the two kinds apart.
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
            Cow::Owned(assemble(text)?)
        };
        let kind = match wasm[MAGIC.len()..].starts_with(CORE_MODULE) {
            true => Kind::CoreModule,
            false => Kind::Component,
        };
        Ok(Self { kind, wasm })
    }

    /// What it needs of its engine.
    fn needs(&self) -> Needs {
        match self.kind {
            Kind::Component if concurrency::is_used(&self.wasm) => Needs::Concurrency,
            _ => Needs::Plain,
        }
    }
}

/// Translates the text form to the binary form.
#[cfg(feature = "wat")]
fn assemble(text: &str) -> Result<Vec<u8>, LoadError> {
    wat::parse_str(text).map_err(|error| LoadError::Invalid(error.to_string()))
}

#[cfg(not(feature = "wat"))]
fn assemble(_: &str) -> Result<Vec<u8>, LoadError> {
    Err(LoadError::MissingFeature {
        what: "WebAssembly text",
        feature: "wat",
    })
}

/// Compiles a module. Missing imports are reported before, since compiling takes long.
fn compile(linked: &Linked, binary: &Binary<'_>) -> Result<Code, LoadError> {
    let offered = &linked.linkers.host_functions;
    match binary.kind {
        Kind::Component => {
            let imports = imports::unknown(&binary.wasm, offered);
            if !imports.is_empty() {
                return Err(unknown_import(imports, offered));
            }
        }
        Kind::CoreModule => core_module::check(&binary.wasm)?,
    }
    Code::compile(&linked.engine, binary).map_err(|error| {
        let message = format!("{error:#}");
        // A second validation tells invalid modules from unsupported ones.
        let mut validator = Validator::new_with_features(WasmFeatures::all());
        match validator.validate_all(&binary.wasm) {
            Ok(_) => LoadError::Unsupported(message),
            Err(_) => LoadError::Invalid(message),
        }
    })
}

#[allow(unsafe_code)]
fn from_cache(engine: &Engine, kind: Kind, entry: &CacheEntry) -> Option<Code> {
    let code = entry.code()?;
    // SAFETY: `deserialize` needs a file that `serialize` has written and that nobody changes. This
    // file is from the pool's own cache. `CacheEntry` put it there by a rename, never writes to it
    // again, and has just compared its content with its checksum. `CacheEntry` has also checked on
    // the opened file and the folders above it that only the user and root can write to them, and
    // the path leads to that opened file. wasmtime itself checks that the code fits this engine.
    unsafe { Code::deserialize(engine, kind, &code.path()?) }.ok()
}

/// Links a module with the functions of the host.
fn link(linked: &Linked, code: &Code) -> Result<(Compiled, Exports), LoadError> {
    match code {
        Code::Component(component) => link_component(linked, component),
        Code::CoreModule(module) => {
            let exports = match core_module::start(module)? {
                Some(start) => Exports::of_program(start),
                None => numbers::exports(module)?,
            };
            let pre = core_module::link(&linked.linkers.core_modules, module)?;
            Ok((Compiled::CoreModule(pre), exports))
        }
    }
}

fn link_component(
    linked: &Linked,
    component: &Component,
) -> Result<(Compiled, Exports), LoadError> {
    let engine = &linked.engine;
    let contract = contract(engine, component)?;
    let exports = exports::read(engine, component, contract.as_deref());
    if contract.is_none() && exports.callable.is_empty() {
        return Err(LoadError::NothingToCall {
            exports: export_names(engine, component),
            uncallable: exports.uncallable,
        });
    }
    let Linkers {
        components: linker,
        host_functions: offered,
        ..
    } = &linked.linkers;
    let (own_linker, host_imports) = host::link(engine, linker, offered, component)?.unzip();
    let linker = own_linker.as_ref().unwrap_or(linker);
    let pre = linker.instantiate_pre(component).map_err(|error| {
        let imports = unknown_imports(engine, component, offered);
        if imports.is_empty() {
            LoadError::WrongTypes(format!("{error:#}"))
        } else {
            unknown_import(imports, offered)
        }
    })?;
    let contract = contract.map(|_| WorkerIndices::new(&pre)).transpose();
    let contract = contract.map_err(|error| LoadError::WrongTypes(format!("{error:#}")))?;
    let compiled = Compiled::Component {
        pre,
        contract,
        host_imports: host_imports.unwrap_or_default().into(),
    };
    Ok((compiled, exports))
}

/// The name under which the component exports our contract, if it does.
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

/// The imports that neither the pool nor its embedder provides.
fn unknown_imports(engine: &Engine, component: &Component, offered: &HostFunctions) -> Vec<String> {
    let component_type = component.component_type();
    let imports = component_type.imports(engine).map(|(name, _)| name);
    let unknown = imports.filter(|name| {
        let is_function = |name| offered.find(&name).is_some();
        let is_offered = match host::InterfaceName::parse(name) {
            Ok(interface) => offered.has_interface(&interface),
            Err(_) => host::FunctionName::of_import(None, name).is_ok_and(is_function),
        };
        !imports::is_known(name) && !is_offered
    });
    unknown.map(str::to_owned).collect()
}

fn unknown_import(imports: Vec<String>, offered: &HostFunctions) -> LoadError {
    let of_http = |import: &String| import.starts_with("wasi:http/");
    if cfg!(not(feature = "http")) && imports.iter().any(of_http) {
        return LoadError::MissingFeature {
            what: "HTTP requests of guests",
            feature: "http",
        };
    }
    LoadError::UnknownImport {
        offered: offered.instead_of(&imports),
        imports,
    }
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
pub(super) fn is_our_version(name: &str) -> bool {
    version(name).starts_with("0.1.")
}
