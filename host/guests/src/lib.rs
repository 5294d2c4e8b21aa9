//! The guests of `guest-tasks/`, built to components by the build script.
//!
//! Knows their bytes and where copies of them lie (`target/guests/NAME.wasm`, or inside of the
//! published package); knows nothing of what they do.

#![forbid(unsafe_code)]

use std::path::Path;

/// A guest, built from source for this build or for the release of the published package.
#[derive(Debug, Clone, Copy)]
pub struct Guest {
    /// Its name, which is that of its crate.
    pub name: &'static str,
    /// The component.
    pub wasm: &'static [u8],
    path: &'static str,
}

impl Guest {
    /// Where a copy of the component lies, for programs that take a path.
    ///
    /// It is a path of the build. A program that is installed elsewhere uses the bytes.
    pub fn path(&self) -> &'static Path {
        Path::new(self.path)
    }
}

include!(concat!(env!("OUT_DIR"), "/guests.rs"));
