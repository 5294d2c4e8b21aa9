//! The library, through its public API, on real guests.

mod asynchronous;
#[cfg(target_os = "linux")]
mod blocking;
mod cache;
mod children;
mod completion;
mod echo;
mod events;
mod examples;
mod failures;
mod footprint;
mod functions;
mod futures;
mod guests;
mod host_functions;
mod hostile;
mod hostile_types;
mod house;
mod http;
mod initializer;
mod isolation;
mod kernels;
#[cfg(target_os = "linux")]
mod lease;
mod limits;
mod loading;
mod map;
mod memory_budget;
mod options;
mod payloads;
mod preview1;
mod process;
mod programs;
mod queue;
mod retry;
mod rights;
mod sessions;
mod shared;
mod shutdown;
mod stats;
mod stopping;
mod stress;
mod support;
mod suspension;
mod tenants;
#[cfg(feature = "tracing")]
mod tracing;
mod traits;
mod uninterruptible;
mod wasi_3;
