//! Core modules that are no programs but export functions of numbers: their tasks, and how these
//! are called.
//!
//! The type of such a function says how many numbers it takes and returns, and of which kinds. It
//! says nothing about text or lists in memory, so these are not supported.

use std::sync::Arc;

use serde::Deserialize;
use wasmtime::{Extern, ExternType, FuncType, Instance, Module, Store, Val, ValType, format_err};

use super::exports::Exports;
use super::store::State;
use super::{EntryPoint, TaskInfo};
use crate::error::LoadError;
use crate::value::{self, Signature, Type, Uncallable};

/// The function that is called before all others, if the module exports it.
const INITIALIZE: &str = "_initialize";

/// Reads the functions of `module` that can be called.
pub(super) fn exports(module: &Module) -> Result<Exports, LoadError> {
    let mut exports = Exports::default();
    for export in module.exports() {
        let ExternType::Func(ty) = export.ty() else {
            continue;
        };
        let name = export.name();
        if name == INITIALIZE {
            continue;
        }
        match signature(&ty) {
            Some(signature) => {
                let info = TaskInfo {
                    name: name.to_owned(),
                    params: signature.params.iter().map(|p| p.0.clone()).collect(),
                    doc: String::new(),
                    signature: Some(Arc::new(signature)),
                };
                let export = module.get_export_index(name).expect("it has just told it");
                exports.callable.push((info, EntryPoint::Numbers(export)));
            }
            None => exports.uncallable.push(Uncallable {
                name: name.to_owned(),
                reason: "takes or returns values that are not numbers".to_owned(),
            }),
        }
    }
    if exports.callable.is_empty() {
        return Err(LoadError::CoreModule {
            problem: "it exports no `_start`, and no function of numbers".to_owned(),
        });
    }
    Ok(exports)
}

fn signature(ty: &FuncType) -> Option<Signature> {
    let params = ty.params().enumerate();
    let params = params.map(|(i, ty)| Some((format!("p{i}"), number(&ty)?)));
    let results = ty.results().map(|ty| number(&ty));
    let results = results.collect::<Option<Vec<_>>>()?;
    Some(Signature {
        params: params.collect::<Option<_>>()?,
        result: match <[Type; 1]>::try_from(results) {
            Ok([result]) => Some(result),
            Err(results) if results.is_empty() => None,
            Err(results) => Some(Type::Tuple(results)),
        },
    })
}

/// The type of a number. A core module does not say whether an integer is signed; most are.
fn number(ty: &ValType) -> Option<Type> {
    match ty {
        ValType::I32 => Some(Type::S32),
        ValType::I64 => Some(Type::S64),
        ValType::F32 => Some(Type::F32),
        ValType::F64 => Some(Type::F64),
        _ => None,
    }
}

/// Calls the module's `_initialize`, if it has one.
pub(super) async fn initialize(
    store: &mut Store<State>,
    instance: &Instance,
) -> wasmtime::Result<()> {
    match instance.get_typed_func::<(), ()>(&mut *store, INITIALIZE) {
        Ok(initialize) => initialize.call_async(store, ()).await,
        Err(_) => Ok(()),
    }
}

/// Calls a function with these arguments, and returns its result. Both are in wire form.
pub(super) async fn call(
    store: &mut Store<State>,
    instance: &Instance,
    export: wasmtime::ModuleExport,
    arguments: &[u8],
) -> wasmtime::Result<Vec<u8>> {
    let function = instance.get_module_export(&mut *store, &export);
    let function = function.and_then(Extern::into_func);
    let function = function.ok_or_else(|| format_err!("no such export"))?;
    let ty = function.ty(&*store);
    let given: Vec<Number> = value::decode(arguments).map_err(wasmtime::Error::msg)?;
    let arguments = ty.params().zip(given);
    let arguments = arguments.map(|(ty, number)| number.lower(&ty));
    let arguments = arguments.collect::<wasmtime::Result<Vec<_>>>()?;
    let mut results = vec![Val::I32(0); ty.results().len()];
    let called = function.call_async(store, &arguments, &mut results);
    called.await?;
    let encoded = match &*results {
        [] => value::encode(&()),
        [result] => encode(result),
        results => {
            let mut bytes = Vec::new();
            let n = u32::try_from(results.len())?;
            rmp::encode::write_array_len(&mut bytes, n)?;
            for result in results {
                bytes.extend(encode(result).map_err(wasmtime::Error::msg)?);
            }
            Ok(bytes)
        }
    };
    encoded.map_err(wasmtime::Error::msg)
}

/// A number in wire form.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Integer(i64),
    Float(f64),
}

impl Number {
    fn lower(self, ty: &ValType) -> wasmtime::Result<Val> {
        Ok(match (ty, self) {
            (ValType::I32, Self::Integer(number)) => Val::I32(i32::try_from(number)?),
            (ValType::I64, Self::Integer(number)) => Val::I64(number),
            // Exact, since the wire form was made from 32 bits.
            (ValType::F32, Self::Float(number)) => Val::F32((number as f32).to_bits()),
            (ValType::F64, Self::Float(number)) => Val::F64(number.to_bits()),
            (ty, _) => return Err(format_err!("an argument is not of the type {ty}")),
        })
    }
}

fn encode(result: &Val) -> Result<Vec<u8>, String> {
    match *result {
        Val::I32(number) => value::encode(&number),
        Val::I64(number) => value::encode(&number),
        Val::F32(bits) => value::encode(&f32::from_bits(bits)),
        Val::F64(bits) => value::encode(&f64::from_bits(bits)),
        _ => Err("a result is not a number".to_owned()),
    }
}
