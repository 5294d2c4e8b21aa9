//! The functions that the host offers to guests, by the kind of module.

use wasmtime::component::HasSelf;
use wasmtime::{Engine, component};

use super::bindings::wasmpool::task0_1_0::context;
use super::bindings::wasmpool::task0_2_0::{children, objects};
use super::host::HostFunctions;
use super::store::State;
use super::wasi::{files, http, network, preview1, stdio, time};

/// The linkers with which modules are linked when they are loaded.
pub(super) struct Linkers {
    /// For components: WASI, and the interfaces of our contract.
    pub(super) components: component::Linker<State>,
    /// For core modules: WASI preview 1.
    pub(super) core_modules: wasmtime::Linker<State>,
    /// What the embedder offers beside. In neither of the linkers: a component that imports some of
    /// it gets a linker of its own.
    pub(super) host_functions: HostFunctions,
}

impl Linkers {
    pub(super) fn new(engine: &Engine, host_functions: HostFunctions) -> wasmtime::Result<Self> {
        let mut components = component::Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut components)?;
        files::preview2::add_to_linker(&mut components)?;
        network::add_to_linker(&mut components)?;
        http::add_to_linker(&mut components)?;
        time::add_to_linker(&mut components)?;
        context::add_to_linker::<_, HasSelf<State>>(&mut components, |state| state)?;
        children::add_to_linker::<_, HasSelf<State>>(&mut components, |state| state)?;
        objects::add_to_linker::<_, HasSelf<State>>(&mut components, |state| state)?;
        let mut core_modules = wasmtime::Linker::new(engine);
        preview1::add_to_linker(&mut core_modules)?;
        Ok(Self {
            components,
            core_modules,
            host_functions,
        })
    }

    /// The same for components that use the asynchronous part of the component model: with WASI 0.3.
    pub(super) fn with_concurrency(
        engine: &Engine,
        host_functions: HostFunctions,
    ) -> wasmtime::Result<Self> {
        let mut linkers = Self::new(engine, host_functions)?;
        let components = &mut linkers.components;
        wasmtime_wasi::p3::add_to_linker(components)?;
        files::preview3::add_to_linker(components)?;
        network::add_to_linker_3(components)?;
        http::add_to_linker_3(components)?;
        stdio::add_to_linker(components)?;
        time::add_to_linker_3(components)?;
        Ok(linkers)
    }
}
