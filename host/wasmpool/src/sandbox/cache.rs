//! Compiled code on disk, so that a module is compiled once for a machine and not once for
//! each process.
//!
//! An entry is named after the hash of the module and of all that its compilation depends
//! on, and begins with a digest of the code in it. It comes to its name by a rename, so
//! that several processes may write at once and nobody reads half a file. An entry whose
//! digest does not fit is taken for damaged, and compiled anew.
//!
//! The folder is trusted as the program itself is: whoever can write to it can run native
//! code as its user. One that is made here is for its owner alone; one that was there is
//! taken as it is. Entries of older versions stay until somebody deletes them.

use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use wasmtime::Engine;

const DIGEST_SIZE: usize = blake3::OUT_LEN;

/// Where compiled code is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum CacheFolder {
    /// In the user's cache folder, if the user has one.
    #[default]
    User,
    /// In this folder.
    At(PathBuf),
    /// Nowhere.
    Off,
}

/// The compiled code of one module.
pub(super) struct CacheEntry {
    path: PathBuf,
}

impl CacheFolder {
    /// The place of the module `wasm`, compiled by `engine`. `None` where there is no cache.
    pub(super) fn entry(&self, engine: &Engine, wasm: &[u8]) -> Option<CacheEntry> {
        let folder = match self {
            Self::User => etcetera::choose_base_strategy()
                .ok()?
                .cache_dir()
                .join("wasmpool"),
            Self::At(folder) => folder.clone(),
            Self::Off => return None,
        };
        let mut key = KeyHasher(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut key);
        key.write(wasm);
        let name = key.0.finalize().to_hex();
        Some(CacheEntry {
            path: folder.join(name.as_str()).with_extension("cwasm"),
        })
    }
}

impl CacheEntry {
    /// The compiled code, if there is an entry and it is undamaged.
    pub(super) fn read(&self) -> Option<Vec<u8>> {
        let mut bytes = fs::read(&self.path).ok()?;
        let (digest, code) = bytes.split_at_checked(DIGEST_SIZE)?;
        if blake3::hash(code).as_bytes() != digest {
            return None;
        }
        bytes.drain(..DIGEST_SIZE);
        Some(bytes)
    }

    /// Writes the entry. Best effort: without it the next process compiles again.
    pub(super) fn write(&self, code: &[u8]) {
        let folder = self.path.parent().expect("an entry lies in a folder");
        let written = create_private(folder).and_then(|()| {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(blake3::hash(code).as_bytes())?;
            file.write_all(code)?;
            file.persist(&self.path)?;
            Ok(())
        });
        // A full disk or a read-only folder costs time and nothing else.
        drop(written);
    }
}

/// Makes a folder that only its owner may enter, and leaves one alone that is there.
fn create_private(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Feeds what is hashable to a hash that is long enough to be a name.
struct KeyHasher(blake3::Hasher);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("the key is taken from the inner hash")
    }
}
