//! Write a Rust function, export it as a task for [wasmpool](https://crates.io/crates/wasmpool).
//!
//! A guest is a library crate of type `cdylib` with one module marked [`tasks`]. Every
//! `pub fn` of that module is a task: its name, the names of its parameters and its doc
//! comment are what callers see. Parameters and results are any [serde] types. Here is the
//! whole of such a crate:
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
//!     /// Adds up the numbers, and says how far it is.
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
//! - Return a value, or a `Result` whose error side becomes the task's own failure: its
//!   [`Display`](std::fmt::Display) text is the message, and a [`Failure`] has a code too.
//!   The macro sees the word `Result`, so write it in the signature, aliased or not
//!   (`io::Result<T>` is fine).
//! - Panic, run out of memory, never end: that fails the one call. The panic's message and
//!   whatever went to standard error reach the caller.
//! - Print: standard output and standard error are captured, bounded, and attached to the
//!   task's report.
//! - Keep state in statics. Under the default isolation each call starts from a fresh
//!   instance and finds none; with one instance per worker it finds what an earlier call on
//!   the same worker left.
//!
//! It has no files, no network, no environment and no arguments unless the pool grants them.
//!
//! Compiled for anything but WebAssembly the module stays as it is written, so tasks are
//! tested with an ordinary `cargo test`; [`context`] then answers that nobody is waiting.

#[doc(hidden)]
pub mod __private;
pub mod context;
mod failure;

pub use failure::Failure;
/// Exports every `pub fn` of a module as a task.
///
/// Goes on an inline module, once per guest. Functions that are not `pub`, types and
/// imports stay what they are. A task has concrete parameter and return types; each
/// parameter has a plain name and implements [`serde::Deserialize`] (borrowed `&str` and
/// `&[u8]` are read in place), the result implements [`serde::Serialize`].
///
/// See the [crate's documentation](crate) for a whole guest.
pub use wasmpool_guest_macros::tasks;
