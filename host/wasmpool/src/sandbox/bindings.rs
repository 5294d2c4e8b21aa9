//! The contract `wasmpool:task` as Rust types. Generated code, which contains `unsafe`.
#![allow(unsafe_code, missing_docs, unreachable_pub, clippy::all)]

wasmtime::component::bindgen!({
    path: "wit",
    world: "wasmpool:task/worker@0.2.0",
    imports: {
        "wasmpool:task/children@0.2.0.wait": async | trappable,
        "wasmpool:task/children@0.2.0": trappable,
        "wasmpool:task/objects@0.2.0.[method]queue.put": async | trappable,
        "wasmpool:task/objects@0.2.0.[method]queue.get": async | trappable,
        "wasmpool:task/objects@0.2.0.[method]pipe-end.send": async | trappable,
        "wasmpool:task/objects@0.2.0.[method]pipe-end.receive": async | trappable,
        "wasmpool:task/objects@0.2.0.[method]lock.acquire": async | trappable,
        "wasmpool:task/objects@0.2.0.[method]semaphore.acquire": async | trappable,
        "wasmpool:task/objects@0.2.0.[method]event.wait": async | trappable,
        "wasmpool:task/objects@0.2.0.[method]condition.wait": async | trappable,
        "wasmpool:task/objects@0.2.0.[method]barrier.wait": async | trappable,
        "wasmpool:task/objects@0.2.0": trappable,
    },
    exports: { default: async },
    with: {
        "wasmpool:task/children@0.2.0.child": crate::sandbox::children::ChildResource,
        "wasmpool:task/objects@0.2.0.queue": crate::sandbox::objects::QueueHandle,
        "wasmpool:task/objects@0.2.0.pipe-end": crate::sandbox::objects::PipeEndHandle,
        "wasmpool:task/objects@0.2.0.hold": crate::sandbox::objects::HoldHandle,
        "wasmpool:task/objects@0.2.0.lock": crate::sandbox::objects::LockHandle,
        "wasmpool:task/objects@0.2.0.semaphore": crate::sandbox::objects::SemaphoreHandle,
        "wasmpool:task/objects@0.2.0.event": crate::sandbox::objects::EventHandle,
        "wasmpool:task/objects@0.2.0.condition": crate::sandbox::objects::ConditionHandle,
        "wasmpool:task/objects@0.2.0.barrier": crate::sandbox::objects::BarrierHandle,
        "wasmpool:task/objects@0.2.0.array": crate::sandbox::objects::ArrayHandle,
        "wasmpool:task/objects@0.2.0.dictionary": crate::sandbox::objects::DictionaryHandle,
    },
});
