//! The guests of `guest-tasks/`, built to components by the build script.
//!
//! Has their bytes and the paths of copies (`target/guests/NAME.wasm`, or inside of the published
//! package). Does not know what they do.

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
    /// The path of a copy of the component, for programs that take a path.
    ///
    /// The path is that of the build. An installed program must use the bytes instead.
    pub fn path(&self) -> &'static Path {
        Path::new(self.path)
    }
}

include!(concat!(env!("OUT_DIR"), "/guests.rs"));
