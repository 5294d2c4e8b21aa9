//! Replaces `http.rs` in a library without the feature `http`. Components that import `wasi:http`
//! are refused.

use wasmtime::component::Linker;

use crate::sandbox::store::State;

pub(crate) const INTERFACES: &[(&str, &[&str])] = &[];

pub(crate) fn add_to_linker(_: &mut Linker<State>) -> wasmtime::Result<()> {
    Ok(())
}

pub(crate) fn add_to_linker_3(_: &mut Linker<State>) -> wasmtime::Result<()> {
    Ok(())
}
