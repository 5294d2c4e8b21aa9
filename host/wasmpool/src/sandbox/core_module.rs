//! Core modules: their imports, where a program begins, and the errors for modules that cannot be
//! used.
//!
//! Does not know what the functions of WASI do.

use wasmparser::{ExternalKind, Parser, Payload};
use wasmtime::{ExternType, InstancePre, Linker, Module, UnknownImportError};

use super::store::State;
use super::wasi::program::Start;
use crate::error::LoadError;

/// The modules from which programs for WASI preview 1 import, the current name first.
pub(super) const WASI: [&str; 2] = ["wasi_snapshot_preview1", "wasi_unstable"];

/// Whether the pool offers WASI preview 1.
const OFFERS_WASI: bool = cfg!(feature = "preview1");

/// The function of a program that the host calls.
const START: &str = "_start";

/// Checks before compiling that the core module `core` exports a function and imports nothing but
/// WASI.
pub(super) fn check(core: &[u8]) -> Result<(), LoadError> {
    let interface = Interface::read(core).map_err(|error| LoadError::Invalid(error.to_string()))?;
    if interface.wants_wasi && !OFFERS_WASI {
        return Err(no_wasi());
    }
    let imports = || format!("it imports `{}`", interface.foreign_imports.join("`, `"));
    let problem = match (interface.has_function, interface.foreign_imports.is_empty()) {
        (true, true) => return Ok(()),
        (false, true) => format!("it exports no `{START}`, and no other function"),
        (true, false) => imports(),
        (false, false) => format!("it exports no function, and {}", imports()),
    };
    Err(LoadError::CoreModule { problem })
}

/// Where the program begins. `None` if the module is no program.
pub(super) fn start(module: &Module) -> Result<Option<Start>, LoadError> {
    let is_start = |ty: &ExternType| matches!(ty, ExternType::Func(ty) if ty.params().len() + ty.results().len() == 0);
    match module.get_export_index(START) {
        Some(index) if module.get_export(START).is_some_and(|ty| is_start(&ty)) => {
            Ok(Some(Start::CoreModule(index)))
        }
        None => Ok(None),
        Some(_) => Err(LoadError::CoreModule {
            problem: format!("its `{START}` is not a function without parameters and results"),
        }),
    }
}

/// Links the module with the functions of the host.
pub(super) fn link(
    linker: &Linker<State>,
    module: &Module,
) -> Result<InstancePre<State>, LoadError> {
    linker.instantiate_pre(module).map_err(|error| {
        let problem = match error.downcast_ref::<UnknownImportError>() {
            // `check` did not see it: it was compiled ahead of time, or is from the cache of a
            // library with more features.
            Some(import) if !OFFERS_WASI && WASI.contains(&import.module()) => return no_wasi(),
            Some(import) => format!("it imports `{}.{}`", import.module(), import.name()),
            None => format!("{error:#}"),
        };
        LoadError::CoreModule { problem }
    })
}

fn no_wasi() -> LoadError {
    LoadError::MissingFeature {
        what: "programs for WASI preview 1",
        feature: "preview1",
    }
}

/// The imports and exports of a core module.
struct Interface {
    has_function: bool,
    wants_wasi: bool,
    /// Its imports beside WASI, as in `env.print`.
    foreign_imports: Vec<String>,
}

impl Interface {
    fn read(core: &[u8]) -> wasmparser::Result<Self> {
        let mut interface = Self {
            has_function: false,
            wants_wasi: false,
            foreign_imports: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(core) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        if WASI.contains(&import.module) {
                            interface.wants_wasi = true;
                        } else {
                            let name = format!("{}.{}", import.module, import.name);
                            interface.foreign_imports.push(name);
                        }
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        interface.has_function |= export?.kind == ExternalKind::Func;
                    }
                }
                _ => {}
            }
        }
        Ok(interface)
    }
}
