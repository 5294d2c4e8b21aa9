//! What callers hold before they submit: modules, typed references to their tasks, and options.
//!
//! Knows what a sandbox has loaded. Knows no queue and no thread.

mod module;
mod options;

pub use module::{Task, TaskModule};
pub use options::{Priority, TaskOptions};
