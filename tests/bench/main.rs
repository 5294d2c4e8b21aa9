//! The benchmark's report, as its readers meet it.

mod page;
mod sample;
