//! The guests of `guest-tasks/`, built to components by the build script.
//!
//! Knows their bytes and where copies of them lie (`target/guests/NAME.wasm`); knows nothing
//! of what they do.

#![forbid(unsafe_code)]

use std::path::Path;

/// A guest, built from source for this build.
#[derive(Debug, Clone, Copy)]
pub struct Guest {
    /// The name of its crate.
    pub name: &'static str,
    /// The component.
    pub wasm: &'static [u8],
    path: &'static str,
}

impl Guest {
    /// Where a copy of the component lies, for programs that take a path.
    pub fn path(&self) -> &'static Path {
        Path::new(self.path)
    }
}

include!(concat!(env!("OUT_DIR"), "/guests.rs"));
