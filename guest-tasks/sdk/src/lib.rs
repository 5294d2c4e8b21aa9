//! Exports Rust functions as tasks for [wasmpool](https://crates.io/crates/wasmpool).
//!
//! A guest is a library crate of type `cdylib` with one module marked [`tasks`]. Every `pub fn` of
//! that module is a task: callers see its name, the names of its parameters and its doc comment.
//! Parameters and results are any [serde] types. A complete guest:
//!
//! ```
//! #[wasmpool_guest::tasks]
//! mod tasks {
//!     use std::collections::BTreeMap;
//!     use wasmpool_guest::{Failure, context};
//!
//!     /// Counts the words of `text`.
//!     pub fn count_words(text: &str) -> BTreeMap<String, u64> {
//!         let mut counts = BTreeMap::new();
//!         for word in text.split_whitespace() {
//!             *counts.entry(word.to_lowercase()).or_default() += 1;
//!         }
//!         counts
//!     }
//!
//!     /// Divides `dividend` by `divisor`.
//!     pub fn divide(dividend: i64, divisor: i64) -> Result<i64, Failure> {
//!         dividend
//!             .checked_div(divisor)
//!             .ok_or_else(|| Failure::new("division-by-zero", "the divisor is zero"))
//!     }
//!
//!     /// Adds up the numbers, and reports its progress.
//!     pub fn sum(numbers: Vec<i64>) -> Result<i64, &'static str> {
//!         let mut sum = 0_i64;
//!         for (index, number) in numbers.iter().enumerate() {
//!             if context::is_stop_requested() {
//!                 return Err("stopped before the end");
//!             }
//!             sum = sum.checked_add(*number).ok_or("the sum does not fit")?;
//!             context::report_progress(index as u64 + 1, Some(numbers.len() as u64));
//!         }
//!         Ok(sum)
//!     }
//! }
//!
//! assert_eq!(tasks::divide(7, 2), Ok(3)); // still an ordinary function
//! ```
//!
//! with this `Cargo.toml`:
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib"]
//!
//! [dependencies]
//! wasmpool-guest = "0.1"
//! ```
//!
//! Build it with `cargo build --release --target wasm32-wasip2`, and run it with
//! `wasmpool run target/wasm32-wasip2/release/NAME.wasm -t count_words '"to be or not"'`.
//!
//! # What a task may do
//!
//! - Return a value, or a `Result` whose error becomes the task's failure: its
//!   [`Display`](std::fmt::Display) text is the message, and a [`Failure`] also has a code. The
//!   macro looks for the word `Result` in the signature; a path such as `io::Result<T>` is fine.
//! - Panic, run out of memory, loop for ever: this fails only the one call. The caller gets the
//!   panic's message and the end of standard error.
//! - Print: standard output and standard error are captured up to a limit and are part of the
//!   task's report.
//! - Keep state in statics. Under the default isolation each call has a fresh instance without
//!   earlier state; with one instance per worker a call sees the state of earlier calls on the
//!   same worker.
//!
//! - Start other tasks, and wait for them: see [`children`].
//! - Share queues, locks, values and other objects with them: see [`shared`].
//!
//! A task has no files, no network, no environment, no arguments and no children unless the pool
//! grants them.
//!
//! Compiled for other targets than WebAssembly, the module is unchanged, so an ordinary
//! `cargo test` tests the tasks; [`context`] then returns defaults.

// The tests of this crate use `tasks`, whose code names it.
#[cfg(test)]
extern crate self as wasmpool_guest;

/// Makes typed stubs for functions of the embedding program, from WIT.
///
/// It makes a module of this name, with a module for each interface that the world imports. The WIT
/// is a file or a folder, such as `path: "wit"`, relative to the `Cargo.toml` of the guest, or it is
/// `inline`; further options are those of `wit_bindgen::generate!`. Each function is one of the host: the embedding
/// program offers it (`HostFunctions`) and grants it (`Capabilities::host_function`). A call without
/// a grant ends the task.
///
/// ```
/// wasmpool_guest::host_functions! {
///     mod host {
///         inline: "
///             package acme:host;
///             interface log { write: func(message: string); }
///             world tasks { import log; }
///         ",
///     }
/// }
///
/// #[wasmpool_guest::tasks]
/// mod tasks {
///     pub fn greet(name: &str) {
///         crate::host::acme::host::log::write(&format!("hello, {name}"));
///     }
/// }
/// # fn main() {}
/// ```
///
/// Imports that a guest never calls are left out of its component. Compiled for other targets than
/// WebAssembly, the functions panic.
#[macro_export]
macro_rules! host_functions {
    ($visibility:vis mod $name:ident { $($options:tt)* }) => {
        // Generated code, which contains `unsafe`.
        #[allow(unsafe_code, missing_docs, unreachable_pub, dead_code, clippy::all)]
        $visibility mod $name {
            $crate::__private::wit_bindgen::generate!({
                runtime_path: "wasmpool_guest::__private::wit_bindgen::rt",
                generate_all,
                $($options)*
            });
        }
    };
}

#[doc(hidden)]
pub mod __private;
pub mod children;
pub mod context;
mod failure;
pub mod shared;

pub use failure::Failure;
/// Exports every `pub fn` of a module as a task.
///
/// Applies to an inline module, once per guest. Functions that are not `pub`, types and imports
/// are unchanged. A task has concrete parameter and return types. Each parameter has a plain name
/// and implements [`serde::Deserialize`] (borrowed `&str` and `&[u8]` are read in place); the
/// result implements [`serde::Serialize`].
///
/// `tasks(children)` makes each task startable by the others: see [`children`]. Then each parameter
/// implements [`serde::Serialize`] as well, and the module has, beside each task, a module of the
/// same name.
///
/// See the [crate's documentation](crate) for a complete guest.
pub use wasmpool_guest_macros::tasks;
