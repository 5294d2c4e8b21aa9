//! The functions that a component exports, with their signatures.
//!
//! Does not know how they are called.

use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::types::{self, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

use super::abi::AsyncFunction;
use super::wasi::program::{self, Start};
use super::{EntryPoint, TaskInfo, module};
use crate::value::{Signature, Type, Uncallable, text};

/// What can be called in a module beside the tasks that it lists itself, and what cannot.
#[derive(Default)]
pub(super) struct Exports {
    pub(super) callable: Vec<(TaskInfo, EntryPoint)>,
    pub(super) uncallable: Vec<Uncallable>,
}

impl Exports {
    /// The exports of a core module that is a program.
    pub(super) fn of_program(start: Start) -> Self {
        let mut exports = Self::default();
        exports.add_program(start);
        exports
    }
}

/// The maximum length of the name of a field, a case, a flag or a parameter, in bytes. A value
/// refers to a name by a number of a byte or two, and its text has the name itself. So the maximum
/// bounds how much larger the text is. The longest names of WASI have 40 bytes.
const MAX_NAME: usize = 128;

/// The maximum size of all functions that a component exports, or imports from the embedder, and their
/// types, written out.
pub(super) const MAX_TYPES: Budget = Budget {
    types: 1 << 18,
    names: 4 << 20,
};

/// The remaining size for the types of a component. A component has its types as a graph, in which
/// a type that is used twice occurs once. Here types are trees: a component of some hundred bytes
/// can have a tree of a hundred thousand types.
pub(super) struct Budget {
    types: usize,
    /// Bytes of names. The name of a function includes the name of its interface.
    names: usize,
}

const TOO_LARGE: &str = "has too large a type, alone or together with the functions before it";

impl Budget {
    fn take_type(&mut self) -> Result<(), &'static str> {
        self.types = self.types.checked_sub(1).ok_or(TOO_LARGE)?;
        Ok(())
    }

    fn take_name(&mut self, name: &str) -> Result<String, &'static str> {
        if name.len() > MAX_NAME {
            return Err("has a type with a name of more than 128 bytes");
        }
        self.take(name)?;
        Ok(name.to_owned())
    }

    fn take(&mut self, name: &str) -> Result<(), &'static str> {
        self.names = self.names.checked_sub(name.len()).ok_or(TOO_LARGE)?;
        Ok(())
    }
}

/// Reads what `component` exports, except for the interface `contract`.
pub(super) fn read(engine: &Engine, component: &Component, contract: Option<&str>) -> Exports {
    let mut exports = Exports::default();
    let budget = &mut { MAX_TYPES };
    for (name, export) in component.component_type().exports(engine) {
        match export.ty {
            ComponentItem::ComponentFunc(function) => {
                let index = component.get_export_index(None, name);
                exports.add(name.to_owned(), &function, index, budget);
            }
            ComponentItem::ComponentInstance(instance) if Some(name) != contract => {
                let interface = component.get_export_index(None, name);
                if is_program(name, &instance, engine) {
                    let index = component.get_export_index(interface.as_ref(), "run");
                    let index = index.expect("the component has just named it");
                    exports.add_program(Start::Component(index));
                    continue;
                }
                for (function_name, export) in instance.exports(engine) {
                    let ComponentItem::ComponentFunc(function) = export.ty else {
                        continue;
                    };
                    let index = component.get_export_index(interface.as_ref(), function_name);
                    let name = format!("{name}#{function_name}");
                    exports.add(name, &function, index, budget);
                }
            }
            _ => {}
        }
    }
    exports
}

/// Whether an exported interface is that of a program.
fn is_program(name: &str, instance: &types::ComponentInstance, engine: &Engine) -> bool {
    let function = instance.exports(engine).find(|(name, _)| *name == "run");
    let signature = match function.map(|(_, export)| export.ty) {
        Some(ComponentItem::ComponentFunc(function)) => {
            signature(&function, Streams::Refused, &mut { MAX_TYPES })
        }
        _ => return false,
    };
    let run = Signature {
        params: Vec::new(),
        result: Some(Type::Result {
            ok: None,
            err: None,
        }),
    };
    module::interface(name) == program::NAME
        && program::VERSIONS
            .iter()
            .any(|version| module::version(name).starts_with(version))
        && signature == Ok(run)
}

impl Exports {
    fn add_program(&mut self, start: Start) {
        let info = TaskInfo {
            name: program::NAME.to_owned(),
            params: program::PARAMS.map(str::to_owned).into(),
            doc: String::new(),
            signature: None,
        };
        self.callable.push((info, EntryPoint::Program(start)));
    }

    fn add(
        &mut self,
        name: String,
        function: &types::ComponentFunc,
        index: Option<ComponentExportIndex>,
        budget: &mut Budget,
    ) {
        let signature = budget
            .take(&name)
            .map_err(|_| "its name is too long, alone or together with those before it".to_owned())
            .and_then(|()| signature(function, Streams::AsBytes, budget));
        match signature {
            Ok(signature) => {
                let params = signature.params.iter().map(|(name, _)| name.clone());
                let info = TaskInfo {
                    params: params.collect(),
                    doc: String::new(),
                    signature: Some(Arc::new(signature)),
                    name,
                };
                let index = index.expect("the component has just named it");
                let returns_stream = function.results().any(|ty| is_stream_of_bytes(&ty));
                let entry = if returns_stream {
                    EntryPoint::AsyncFunction(AsyncFunction::with_stream(index))
                } else if function.async_() {
                    let signature = info.signature.as_ref();
                    let result = signature.and_then(|signature| signature.result.as_ref());
                    EntryPoint::AsyncFunction(AsyncFunction::new(index, result))
                } else {
                    EntryPoint::Function(index)
                };
                self.callable.push((info, entry));
            }
            Err(reason) => self.uncallable.push(Uncallable {
                reason: of_a_resource(&name).unwrap_or(reason),
                // A component over the maximum size gets no more memory for names here.
                name: text::name(name),
            }),
        }
    }
}

/// The reason why a function of a resource cannot be called. None if `name` is another function.
fn of_a_resource(name: &str) -> Option<String> {
    let function = name.rsplit('#').next()?;
    let (what, resource) = if let Some(resource) = function.strip_prefix("[constructor]") {
        ("it makes", resource)
    } else {
        let method = function.strip_prefix("[method]")?;
        ("it is a method of", method.split('.').next()?)
    };
    let resource = text::name(resource);
    Some(format!(
        "{what} the resource `{resource}`, which lives only in its instance"
    ))
}

/// Whether streams of bytes may be parameters and results.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Streams {
    /// They are lists of bytes.
    AsBytes,
    Refused,
}

fn is_stream_of_bytes(ty: &types::Type) -> bool {
    matches!(ty, types::Type::Stream(stream) if stream.ty() == Some(types::Type::U8))
}

/// Reads a signature. The error says why the function cannot be called.
pub(super) fn signature(
    function: &types::ComponentFunc,
    streams: Streams,
    budget: &mut Budget,
) -> Result<Signature, String> {
    let type_of = |ty: &types::Type, budget: &mut Budget| match streams {
        Streams::AsBytes if is_stream_of_bytes(ty) => Ok(Type::List(Box::new(Type::U8))),
        _ => value_type(ty, budget),
    };
    let params = function.params().map(|(name, ty)| {
        let name = budget.take_name(name);
        let name = name.map_err(|reason| format!("a parameter {reason}"))?;
        let ty = type_of(&ty, budget);
        let ty = ty.map_err(|reason| format!("its parameter `{name}` {reason}"))?;
        Ok((name, ty))
    });
    let params = params.collect::<Result<_, String>>()?;
    let result = function.results().next();
    let result = result.map(|ty| type_of(&ty, budget));
    let result = result
        .transpose()
        .map_err(|reason| format!("its result {reason}"))?;
    Ok(Signature { params, result })
}

/// A type as plain data. The error says why values of the type cannot leave the sandbox.
fn value_type(ty: &types::Type, budget: &mut Budget) -> Result<Type, &'static str> {
    budget.take_type()?;
    let mut boxed = |ty: &types::Type| value_type(ty, budget).map(Box::new);
    Ok(match ty {
        types::Type::Bool => Type::Bool,
        types::Type::S8 => Type::S8,
        types::Type::U8 => Type::U8,
        types::Type::S16 => Type::S16,
        types::Type::U16 => Type::U16,
        types::Type::S32 => Type::S32,
        types::Type::U32 => Type::U32,
        types::Type::S64 => Type::S64,
        types::Type::U64 => Type::U64,
        types::Type::Float32 => Type::F32,
        types::Type::Float64 => Type::F64,
        types::Type::Char => Type::Char,
        types::Type::String => Type::String,
        types::Type::List(list) => Type::List(boxed(&list.ty())?),
        types::Type::Option(option) => Type::Option(boxed(&option.ty())?),
        types::Type::Tuple(tuple) => {
            let types = tuple.types().map(|ty| value_type(&ty, budget));
            Type::Tuple(types.collect::<Result<_, _>>()?)
        }
        types::Type::Record(record) => {
            let fields = record.fields().map(|field| {
                let name = budget.take_name(field.name)?;
                value_type(&field.ty, budget).map(|ty| (name, ty))
            });
            Type::Record(fields.collect::<Result<_, _>>()?)
        }
        types::Type::Variant(variant) => {
            let cases = variant.cases().map(|case| {
                let name = budget.take_name(case.name)?;
                let payload = case.ty.map(|ty| value_type(&ty, budget)).transpose();
                payload.map(|payload| (name, payload))
            });
            Type::Variant(cases.collect::<Result<_, _>>()?)
        }
        types::Type::Enum(names) => {
            let names = names.names().map(|name| budget.take_name(name));
            Type::Enum(names.collect::<Result<_, _>>()?)
        }
        types::Type::Flags(names) => {
            let names = names.names().map(|name| budget.take_name(name));
            Type::Flags(names.collect::<Result<_, _>>()?)
        }
        types::Type::Result(result) => {
            let mut optional = |ty: Option<types::Type>| ty.map(|ty| boxed(&ty)).transpose();
            Type::Result {
                ok: optional(result.ok())?,
                err: optional(result.err())?,
            }
        }
        types::Type::Own(_) | types::Type::Borrow(_) => {
            return Err("holds a resource, which lives only in its instance");
        }
        types::Type::Future(_) | types::Type::Stream(_) | types::Type::ErrorContext => {
            return Err("holds a future or a stream, which live only in their instance");
        }
        types::Type::Map(_) | types::Type::FixedLengthList(_) => {
            return Err("holds a type that is not supported yet");
        }
    })
}
