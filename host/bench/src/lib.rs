//! What isolation costs: wasmpool beside native threads, native processes and Python.

#![forbid(unsafe_code)]

mod html;
mod report;
pub mod units;

pub use html::html;
pub use report::{Arm, Machine, Question, Ratio, Report, Row, Target};
