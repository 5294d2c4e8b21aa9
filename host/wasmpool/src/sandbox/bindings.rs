//! The contract `wasmpool:task` as Rust types. Generated code, which contains `unsafe`.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)]

wasmtime::component::bindgen!({
    path: "wit",
    world: "wasmpool:task/worker@0.2.0",
    imports: {
        "wasmpool:task/children@0.2.0.wait": async | trappable,
        "wasmpool:task/children@0.2.0": trappable,
    },
    exports: { default: async },
    with: {
        "wasmpool:task/children@0.2.0.child": crate::sandbox::children::ChildResource,
    },
});
