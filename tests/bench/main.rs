//! The benchmark's report, as its readers meet it.

#[cfg(unix)]
mod browser;
mod page;
mod sample;
