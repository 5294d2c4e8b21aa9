//! The pool: its settings and threads, the ways in (submit, map, commands, modules, sessions), and the way
//! out (shutdown).
//!
//! Connects the other rooms. Does not know how a task is scheduled or how a guest runs.

mod builder;
mod command;
mod handle;
mod loading;
mod map;
mod session;
pub(crate) mod shared;
mod submit;
mod threads;

pub use builder::PoolBuilder;
pub use command::{Child, Command};
pub use handle::{CutShort, Pool};
pub use loading::LoadFuture;
pub use map::{Map, MapStream, MapUnordered};
pub use session::Session;
