//! The library, through its public API, on real guests.

mod cache;
mod completion;
mod failures;
mod futures;
mod guests;
mod hostile;
mod isolation;
mod limits;
mod loading;
mod map;
mod options;
mod payloads;
mod process;
mod queue;
mod shutdown;
mod stats;
mod stopping;
mod stress;
mod support;
