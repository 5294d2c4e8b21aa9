//! The contract `wasmpool:task` as Rust types. Generated code, which contains `unsafe`.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)]

wasmtime::component::bindgen!({
    path: "wit",
    world: "worker",
    exports: { default: async },
});
