//! What a component offers: its exported functions with their signatures.
//!
//! Knows nothing of how they are called.

use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::types::{self, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

use super::{Entry, TaskInfo, module, program};
use crate::signature::{Signature, Type, Uncallable};

/// What can be called in a component beside the tasks of our own contract, and what cannot.
#[derive(Default)]
pub(super) struct Exports {
    pub(super) callable: Vec<(TaskInfo, Entry)>,
    pub(super) uncallable: Vec<Uncallable>,
}

/// Reads what `component` exports, except for the interface `contract`.
pub(super) fn read(engine: &Engine, component: &Component, contract: Option<&str>) -> Exports {
    let mut exports = Exports::default();
    for (name, export) in component.component_type().exports(engine) {
        match export.ty {
            ComponentItem::ComponentFunc(function) => {
                let index = component.get_export_index(None, name);
                exports.add(name.to_owned(), &function, index);
            }
            ComponentItem::ComponentInstance(instance) if Some(name) != contract => {
                let interface = component.get_export_index(None, name);
                if is_program(name, &instance, engine) {
                    let index = component.get_export_index(interface.as_ref(), "run");
                    exports.add_program(index);
                    continue;
                }
                for (function_name, export) in instance.exports(engine) {
                    let ComponentItem::ComponentFunc(function) = export.ty else {
                        continue;
                    };
                    let index = component.get_export_index(interface.as_ref(), function_name);
                    exports.add(format!("{name}#{function_name}"), &function, index);
                }
            }
            _ => {}
        }
    }
    exports
}

/// Whether an interface is what makes a component a program.
fn is_program(name: &str, instance: &types::ComponentInstance, engine: &Engine) -> bool {
    let function = instance.exports(engine).find(|(name, _)| *name == "run");
    let signature = match function.map(|(_, export)| export.ty) {
        Some(ComponentItem::ComponentFunc(function)) => signature(&function),
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
        && module::version(name).starts_with("0.2.")
        && signature == Ok(run)
}

impl Exports {
    fn add_program(&mut self, index: Option<ComponentExportIndex>) {
        let info = TaskInfo {
            name: program::NAME.to_owned(),
            params: program::PARAMS.map(str::to_owned).into(),
            doc: String::new(),
            signature: None,
        };
        let index = index.expect("the component has just named it");
        self.callable.push((info, Entry::Program(index)));
    }

    fn add(
        &mut self,
        name: String,
        function: &types::ComponentFunc,
        index: Option<ComponentExportIndex>,
    ) {
        match signature(function) {
            Ok(signature) => {
                let params = signature.params.iter().map(|(name, _)| name.clone());
                let info = TaskInfo {
                    params: params.collect(),
                    doc: String::new(),
                    signature: Some(Arc::new(signature)),
                    name,
                };
                let index = index.expect("the component has just named it");
                self.callable.push((info, Entry::Function(index)));
            }
            Err(reason) => self.uncallable.push(Uncallable { name, reason }),
        }
    }
}

/// Reads a signature; says why where the function cannot be called.
fn signature(function: &types::ComponentFunc) -> Result<Signature, String> {
    if function.async_() {
        return Err("it is asynchronous".to_owned());
    }
    let params = function.params().map(|(name, ty)| {
        let ty = value_type(&ty).map_err(|reason| format!("its parameter `{name}` {reason}"))?;
        Ok((name.to_owned(), ty))
    });
    let params = params.collect::<Result<_, String>>()?;
    let result = function.results().next().map(|ty| value_type(&ty));
    let result = result
        .transpose()
        .map_err(|reason| format!("its result {reason}"))?;
    Ok(Signature { params, result })
}

/// A type as plain data; says why where it has values that cannot leave the sandbox.
fn value_type(ty: &types::Type) -> Result<Type, &'static str> {
    let boxed = |ty: &types::Type| value_type(ty).map(Box::new);
    let optional = |ty: Option<types::Type>| ty.map(|ty| boxed(&ty)).transpose();
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
            let types = tuple.types().map(|ty| value_type(&ty));
            Type::Tuple(types.collect::<Result<_, _>>()?)
        }
        types::Type::Record(record) => {
            let fields = record
                .fields()
                .map(|field| value_type(&field.ty).map(|ty| (field.name.to_owned(), ty)));
            Type::Record(fields.collect::<Result<_, _>>()?)
        }
        types::Type::Variant(variant) => {
            let cases = variant.cases().map(|case| {
                let payload = case.ty.map(|ty| value_type(&ty)).transpose();
                payload.map(|payload| (case.name.to_owned(), payload))
            });
            Type::Variant(cases.collect::<Result<_, _>>()?)
        }
        types::Type::Enum(names) => Type::Enum(names.names().map(str::to_owned).collect()),
        types::Type::Flags(names) => Type::Flags(names.names().map(str::to_owned).collect()),
        types::Type::Result(result) => Type::Result {
            ok: optional(result.ok())?,
            err: optional(result.err())?,
        },
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
