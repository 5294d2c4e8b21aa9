//! What callers hold before they submit: modules, typed references to their tasks, and options.
//!
//! Knows the modules of the sandbox. Does not know the queue or the threads.

mod module;
mod options;

pub use module::{Task, TaskModule};
pub use options::{Priority, TaskOptions};
