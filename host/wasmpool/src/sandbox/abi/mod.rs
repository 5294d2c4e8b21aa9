//! Converts values between the wire form and a guest's memory, by the guest's own types.
//!
//! The wire form is MessagePack without names, which `value/typed` writes by the same signature.
//! Values are converted directly between it and the form of the canonical ABI, without a tree of
//! values in between: a list of bytes is one copy.
//!
//! This implements the traits that wasmtime's `derive` macros implement, which are public only for
//! these macros. wasmtime still does layouts, calls of the guest's allocator, and encodings of
//! text.

mod asynchronous;
mod imports;
mod lift;
mod lower;

use wasmtime::component::__internal::{CanonicalAbiInfo, InterfaceType};

use crate::value::Type;

pub(super) use asynchronous::{AsyncFunction, call_async};
pub(super) use imports::define;
pub(super) use lift::{Outcome, PayloadLimitReached, bounded};
pub(super) use lower::LoweredArguments;

fn size(abi: &CanonicalAbiInfo) -> usize {
    abi.size32 as usize
}

/// The size of one word of a set of `n_flags` flags, in bytes.
fn flags_word_size(n_flags: usize) -> usize {
    match n_flags {
        ..=8 => 1,
        9..=16 => 2,
        _ => 4,
    }
}

fn is_scalar(ty: &InterfaceType) -> bool {
    matches!(
        ty,
        InterfaceType::Bool
            | InterfaceType::Char
            | InterfaceType::S8
            | InterfaceType::U8
            | InterfaceType::S16
            | InterfaceType::U16
            | InterfaceType::S32
            | InterfaceType::U32
            | InterfaceType::S64
            | InterfaceType::U64
            | InterfaceType::Float32
            | InterfaceType::Float64
    )
}

/// How many core values a value of the type is, as the canonical ABI has it.
fn flat_count(ty: &Type) -> usize {
    let of = |ty: Option<&Type>| ty.map_or(0, flat_count);
    match ty {
        Type::String | Type::List(_) => 2,
        Type::Tuple(types) => types.iter().map(flat_count).sum(),
        Type::Record(fields) => fields.iter().map(|(_, ty)| flat_count(ty)).sum(),
        Type::Variant(cases) => {
            let payloads = cases.iter().map(|(_, ty)| of(ty.as_ref()));
            1 + payloads.max().unwrap_or(0)
        }
        Type::Option(inner) => 1 + flat_count(inner),
        Type::Result { ok, err } => 1 + of(ok.as_deref()).max(of(err.as_deref())),
        Type::Flags(names) => names.len().div_ceil(32),
        _ => 1,
    }
}
