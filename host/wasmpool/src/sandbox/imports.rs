//! The imports of a component that the pool does not provide. They are read from its bytes, so that
//! they are reported before the component is compiled, which may take seconds.

use wasmparser::{
    Chunk, ComponentAlias, ComponentExternalKind, ComponentImport, ComponentOuterAliasKind,
    ComponentType, ComponentTypeRef, InstanceTypeDeclaration, Parser, Payload,
};

use super::module::{PACKAGE, version};

/// The imports of `component` that the pool does not provide, by name. Empty if its bytes are
/// invalid: the compiler reports that.
pub(super) fn unknown(component: &[u8]) -> Vec<String> {
    let mut imports = Imports::default();
    match imports.read(component) {
        Ok(()) if imports.is_missing => imports.unknown,
        _ => Vec::new(),
    }
}

/// Whether the pool provides the import of that name, in a compatible version.
pub(super) fn is_known(name: &str) -> bool {
    /// The packages that `wasmtime_wasi` provides, in version 0.2.
    const WASI: &[&str] = &[
        "wasi:cli/",
        "wasi:clocks/",
        "wasi:filesystem/",
        "wasi:io/",
        "wasi:random/",
        "wasi:sockets/",
    ];
    let is_version = |start: &&str| version(name).starts_with(start);
    let is_wasi = WASI.iter().any(|package| name.starts_with(package));
    (is_wasi && version(name).starts_with("0.2."))
        || (name.starts_with(PACKAGE) && ["0.1.", "0.2."].iter().any(is_version))
}

#[derive(Default)]
struct Imports {
    /// For each type that the component has defined so far, whether it is an instance of nothing
    /// but types. Such an instance needs no provider.
    types: Vec<bool>,
    unknown: Vec<String>,
    /// Whether one of them needs a provider.
    is_missing: bool,
}

impl Imports {
    fn read(&mut self, component: &[u8]) -> wasmparser::Result<()> {
        let (mut parser, mut rest) = (Parser::new(0), component);
        while let Chunk::Parsed { consumed, payload } = parser.parse(rest, true)? {
            rest = &rest[consumed..];
            match payload {
                Payload::ModuleSection {
                    unchecked_range, ..
                }
                | Payload::ComponentSection {
                    unchecked_range, ..
                } => rest = rest.get(unchecked_range.len()..).unwrap_or_default(),
                Payload::ComponentTypeSection(types) => {
                    for ty in types {
                        self.types.push(holds_types_only(&ty?));
                    }
                }
                Payload::ComponentImportSection(imports) => {
                    for import in imports {
                        self.add(&import?);
                    }
                }
                Payload::ComponentAliasSection(aliases) => {
                    for alias in aliases {
                        if let ComponentAlias::InstanceExport {
                            kind: ComponentExternalKind::Type,
                            ..
                        }
                        | ComponentAlias::Outer {
                            kind: ComponentOuterAliasKind::Type,
                            ..
                        } = alias?
                        {
                            self.types.push(false);
                        }
                    }
                }
                Payload::ComponentExportSection(exports) => {
                    for export in exports {
                        if export?.kind == ComponentExternalKind::Type {
                            self.types.push(false);
                        }
                    }
                }
                Payload::End(_) => break,
                _ => {}
            }
        }
        Ok(())
    }

    fn add(&mut self, import: &ComponentImport<'_>) {
        let needs_nobody = match import.ty {
            ComponentTypeRef::Type(_) => {
                self.types.push(false);
                true
            }
            ComponentTypeRef::Instance(ty) => {
                usize::try_from(ty).is_ok_and(|ty| self.types.get(ty) == Some(&true))
            }
            _ => false,
        };
        if !is_known(import.name.name) {
            self.unknown.push(import.name.name.to_owned());
            self.is_missing |= !needs_nobody;
        }
    }
}

fn holds_types_only(ty: &ComponentType<'_>) -> bool {
    let ComponentType::Instance(declarations) = ty else {
        return false;
    };
    declarations.iter().all(|declaration| match declaration {
        InstanceTypeDeclaration::Export { ty, .. } => matches!(ty, ComponentTypeRef::Type(_)),
        _ => true,
    })
}
