//! What isolation costs: wasmpool beside native threads, native processes and Python.

#![forbid(unsafe_code)]

mod report;

pub use report::{Arm, Machine, Question, Ratio, Report, Row, Target};
