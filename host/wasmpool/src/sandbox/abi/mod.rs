//! Between the wire form of values and a guest's memory, along the guest's own types.
//!
//! The wire form is what jobs carry: MessagePack without names, written by `value/typed` along the
//! same signature. Values go from there straight to where the canonical ABI wants them, and
//! back, with no tree of values in between: a list of bytes is one copy.
//!
//! This implements the traits that wasmtime's own `derive` macros implement, which are public
//! for their sake only. What can be left to wasmtime is: layouts, calls of the guest's
//! allocator, encodings of text.

mod lift;
mod lower;

use wasmtime::component::__internal::{CanonicalAbiInfo, InterfaceType};

pub(super) use lift::{Outcome, PayloadLimitReached, bounded};
pub(super) use lower::LoweredArguments;

fn size(abi: &CanonicalAbiInfo) -> usize {
    abi.size32 as usize
}

/// Bytes of a word of a set of so many flags.
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
