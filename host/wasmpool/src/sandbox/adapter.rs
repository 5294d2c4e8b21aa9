//! From a core module for WASI preview 1 to a component, with the adapter that comes from the
//! makers of the engine.
//!
//! Knows nothing of how components are loaded.

use std::borrow::Cow;
use std::fmt::Display;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME as PREVIEW_1, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wasmparser::{Import, Imports, Parser, Payload, TypeRef};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::error::LoadError;

/// What turns a program for preview 1 into one for the component model.
const ADAPTER: &[u8] = WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER;

/// All that a wrapped program is made of, beside itself. To be bumped: the number at the end,
/// when the way changes in which it is made.
pub(super) const INGREDIENTS: [&[u8]; 3] = [ADAPTER, EXIT_WIT.as_bytes(), b"1"];

/// Wraps the program `core`, a core module, so that it is a component.
pub(super) fn wrap(core: &[u8]) -> Result<Vec<u8>, LoadError> {
    let Interface {
        has_start,
        foreign_imports,
    } = Interface::read(core).map_err(|error| LoadError::Invalid(error.to_string()))?;
    let imports = || format!("it imports `{}`", foreign_imports.join("`, `"));
    let problem = match (has_start, foreign_imports.is_empty()) {
        (true, true) => match encode(core) {
            Ok(component) => return Ok(component),
            Err(error) => format!("it cannot be wrapped: {error}"),
        },
        (false, true) => "it exports no `_start`".to_owned(),
        (true, false) => imports(),
        (false, false) => format!("it exports no `_start`, and {}", imports()),
    };
    Err(LoadError::CoreModule { problem })
}

/// The adapter's own `proc_exit` knows only success and failure. So the module's import of it
/// becomes an import of the function that takes the code, which has the same shape.
fn encode(core: &[u8]) -> Result<Vec<u8>, String> {
    let core = match told(with_exit_code(core))? {
        Some(mut core) => {
            let mut wit = Resolve::new();
            let package = told(wit.push_str("exit.wit", EXIT_WIT))?;
            let world = told(wit.select_world(&[package], None))?;
            let encoding = StringEncoding::UTF8;
            told(embed_component_metadata(&mut core, &wit, world, encoding))?;
            Cow::Owned(core)
        }
        None => Cow::Borrowed(core),
    };
    let encoder = told(ComponentEncoder::default().module(&core))?;
    told(told(encoder.adapter(PREVIEW_1, ADAPTER))?.encode())
}

/// An error in all of its words, of which these libraries have many.
fn told<T>(tried: Result<T, impl Display>) -> Result<T, String> {
    tried.map_err(|error| format!("{error:#}"))
}

/// The interface that takes exit codes, as the adapter has it.
const EXIT: &str = "wasi:cli/exit@0.2.12";
const EXIT_WIT: &str = "
    package wasmpool:adapter;

    world program {
        import wasi:cli/exit@0.2.12;
    }

    package wasi:cli@0.2.12 {
        interface exit {
            exit: func(status: result);
            exit-with-code: func(status-code: u8);
        }
    }
";

/// The same module with the other import, if it imports `proc_exit` at all.
fn with_exit_code(core: &[u8]) -> wasmparser::Result<Option<Vec<u8>>> {
    /// How the section of the imports begins, and an import of a function ends.
    const IMPORTS: u8 = 2;
    const FUNCTION: u8 = 0;

    let mut header = 0;
    for payload in Parser::new(0).parse_all(core) {
        let payload = payload?;
        let Payload::ImportSection(imports) = payload else {
            header = match &payload {
                Payload::Version { range, .. } => range.end,
                payload => payload.as_section().map_or(header, |(_, range)| range.end),
            };
            continue;
        };
        let section = imports.range();
        let mut content = Vec::with_capacity(section.len() + EXIT.len());
        write_number(&mut content, imports.count());
        let imports = imports.into_iter_with_offsets();
        let imports = imports.collect::<wasmparser::Result<Vec<_>>>()?;
        let starts = imports.iter().map(|(start, _)| *start);
        let ends = starts.skip(1).chain([section.end]).collect::<Vec<_>>();
        let mut is_found = false;
        for ((start, import), end) in imports.iter().zip(ends) {
            match import {
                Imports::Single(
                    _,
                    Import {
                        module,
                        name,
                        ty: TypeRef::Func(ty),
                    },
                ) if (*module, *name) == (PREVIEW_1, "proc_exit") => {
                    is_found = true;
                    for name in [EXIT, "exit-with-code"] {
                        write_number(
                            &mut content,
                            u32::try_from(name.len()).expect("it is short"),
                        );
                        content.extend(name.as_bytes());
                    }
                    content.push(FUNCTION);
                    write_number(&mut content, *ty);
                }
                _ => content.extend(&core[*start..end]),
            }
        }
        let Ok(size) = u32::try_from(content.len()) else {
            return Ok(None);
        };
        let mut changed = core[..header].to_owned();
        changed.push(IMPORTS);
        write_number(&mut changed, size);
        changed.extend(content);
        changed.extend(&core[section.end..]);
        return Ok(is_found.then_some(changed));
    }
    Ok(None)
}

/// Writes a number as WebAssembly has it: seven bits at a time (LEB128).
fn write_number(bytes: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// What a core module wants from outside and has to offer.
struct Interface {
    has_start: bool,
    /// What it imports beside preview 1, as in `env.print`.
    foreign_imports: Vec<String>,
}

impl Interface {
    fn read(core: &[u8]) -> wasmparser::Result<Self> {
        let mut interface = Self {
            has_start: false,
            foreign_imports: Vec::new(),
        };
        for payload in Parser::new(0).parse_all(core) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        if import.module != PREVIEW_1 {
                            let name = format!("{}.{}", import.module, import.name);
                            interface.foreign_imports.push(name);
                        }
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        interface.has_start |= export?.name == "_start";
                    }
                }
                _ => {}
            }
        }
        Ok(interface)
    }
}
