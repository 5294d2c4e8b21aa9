//! The imports of a component that the pool does not provide. They are read from its bytes, so that
//! they are reported before the component is compiled, which may take seconds.

use std::rc::Rc;

use wasmparser::{
    Chunk, ComponentAlias, ComponentExternalKind, ComponentImport, ComponentOuterAliasKind,
    ComponentType, ComponentTypeRef, InstanceTypeDeclaration, Parser, Payload,
};

use super::host::{FunctionName, HostFunctions, InterfaceName};
use super::module::{PACKAGE, version};
use super::wasi::http;

/// The packages of WASI that the pool provides, and their versions.
const WASI: &[(&str, &[&str])] = &[
    ("wasi:cli/", &["0.2.", "0.3."]),
    ("wasi:clocks/", &["0.2.", "0.3."]),
    ("wasi:filesystem/", &["0.2.", "0.3."]),
    ("wasi:io/", &["0.2."]),
    ("wasi:random/", &["0.2.", "0.3."]),
    ("wasi:sockets/", &["0.2.", "0.3."]),
];

/// The imports of `component` that neither the pool nor its embedder provides, by name. Empty if its
/// bytes are invalid: the compiler reports that.
pub(super) fn unknown(component: &[u8], offered: &HostFunctions) -> Vec<String> {
    let mut imports = Imports {
        offered,
        types: Vec::new(),
        unknown: Vec::new(),
        is_missing: false,
        n_looked_up: 0,
    };
    match imports.read(component) {
        Ok(()) if imports.is_missing => imports.unknown,
        _ => Vec::new(),
    }
}

/// How many names are listed at most. The bytes come from strangers, and nobody has checked yet that
/// the names are distinct.
pub(super) const MAX_LISTED: usize = 1000;

/// How many functions are looked up at most. What is missing beyond that is found after the component
/// was compiled.
const MAX_LOOKED_UP: usize = 1 << 16;

/// Whether the pool provides the import of that name, in a compatible version.
pub(super) fn is_known(name: &str) -> bool {
    let of_package = |(package, versions): &(&str, &[&str])| {
        let is_version = |start: &&str| version(name).starts_with(start);
        name.starts_with(package) && versions.iter().any(is_version)
    };
    WASI.iter().chain(http::INTERFACES).any(of_package) || of_package(&(PACKAGE, &["0.1.", "0.2."]))
}

/// Whether the interface is in a package that the pool provides itself, in whichever version.
pub(super) fn is_reserved(interface: &str) -> bool {
    let mut packages = WASI
        .iter()
        .chain(http::INTERFACES)
        .map(|(package, _)| package);
    packages.any(|package| interface.starts_with(package)) || interface.starts_with("wasmpool:")
}

/// A type that the component has defined.
enum Known<'a> {
    /// An instance, by what it needs of its provider. Many imports may be of one type.
    Instance(Rc<Needs<'a>>),
    Other,
}

/// What an instance needs of its provider.
struct Needs<'a> {
    functions: Vec<&'a str>,
    /// Whether it needs more than functions. Types need no provider.
    needs_more: bool,
}

struct Imports<'a> {
    offered: &'a HostFunctions,
    /// The types that the component has defined so far.
    types: Vec<Known<'a>>,
    unknown: Vec<String>,
    /// Whether one of them needs a provider.
    is_missing: bool,
    /// How many functions were looked up.
    n_looked_up: usize,
}

impl<'a> Imports<'a> {
    fn read(&mut self, component: &'a [u8]) -> wasmparser::Result<()> {
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
                        self.types.push(Known::of(&ty?));
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
                            self.types.push(Known::Other);
                        }
                    }
                }
                Payload::ComponentExportSection(exports) => {
                    for export in exports {
                        if export?.kind == ComponentExternalKind::Type {
                            self.types.push(Known::Other);
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
        let name = import.name.name;
        let needs_nobody = match import.ty {
            ComponentTypeRef::Type(_) => {
                self.types.push(Known::Other);
                true
            }
            ComponentTypeRef::Instance(ty) => {
                let needs = match usize::try_from(ty).map(|ty| self.types.get(ty)) {
                    Ok(Some(Known::Instance(needs))) => Rc::clone(needs),
                    _ => Rc::new(Needs::unknown()),
                };
                if !is_known(name) && self.is_partly_offered(name, &needs) {
                    return;
                }
                needs.functions.is_empty() && !needs.needs_more
            }
            ComponentTypeRef::Func(_) if self.is_offered(None, name) => return,
            _ => false,
        };
        if !is_known(name) {
            self.list([name.to_owned()]);
            self.is_missing |= !needs_nobody;
        }
    }

    fn list(&mut self, unknown: impl IntoIterator<Item = String>) {
        let n_free = MAX_LISTED - self.unknown.len();
        self.unknown.extend(unknown.into_iter().take(n_free));
    }

    /// Whether the embedder offers functions of the interface. Those that it does not offer are then
    /// unknown. What is needed beside functions is reported when the component is linked.
    fn is_partly_offered(&mut self, interface: &str, needs: &Needs<'_>) -> bool {
        let is_offered = InterfaceName::parse(interface)
            .is_ok_and(|interface| self.offered.has_interface(&interface));
        if !is_offered {
            return false;
        }
        let n_more = MAX_LOOKED_UP.saturating_sub(self.n_looked_up);
        let functions = needs.functions.iter().take(n_more);
        self.n_looked_up += functions.len();
        let missing = functions.filter(|function| {
            // Those of a resource are reported with it.
            !function.starts_with('[') && !self.is_offered(Some(interface), function)
        });
        let missing = missing.map(|function| format!("{interface}#{function}"));
        let missing = missing.take(MAX_LISTED).collect::<Vec<_>>();
        self.is_missing |= !missing.is_empty();
        self.list(missing);
        true
    }

    fn is_offered(&self, interface: Option<&str>, function: &str) -> bool {
        let name = FunctionName::of_import(interface, function);
        name.is_ok_and(|name| self.offered.find(&name).is_some())
    }
}

impl<'a> Known<'a> {
    fn of(ty: &ComponentType<'a>) -> Self {
        let ComponentType::Instance(declarations) = ty else {
            return Self::Other;
        };
        let mut needs = Needs {
            functions: Vec::new(),
            needs_more: false,
        };
        for declaration in declarations {
            match declaration {
                InstanceTypeDeclaration::Export {
                    name,
                    ty: ComponentTypeRef::Func(_),
                } => needs.functions.push(name.name),
                InstanceTypeDeclaration::Export {
                    ty: ComponentTypeRef::Type(_),
                    ..
                } => {}
                InstanceTypeDeclaration::Export { .. } => needs.needs_more = true,
                _ => {}
            }
        }
        Self::Instance(Rc::new(needs))
    }
}

impl Needs<'_> {
    /// What an instance needs whose type is not known.
    fn unknown() -> Self {
        Self {
            functions: Vec::new(),
            needs_more: true,
        }
    }
}
