//! Compiled code on disk, so that a module is compiled once for a machine and not once for
//! each process.
//!
//! An entry is named after the hash of the module and of all that its compilation depends
//! on. It is the code, which is mapped into memory from there, and beside it, of a component
//! that brings its own tasks, what it told of them. Each file ends with a digest of the rest.
//! It comes to its name by a rename, so that several processes may write at once and nobody
//! reads half a file. A file whose digest does not fit is taken for damaged, and made anew.
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

/// What is kept of one module.
pub(super) struct CacheEntry {
    path: PathBuf,
}

/// The parts of an entry, by the extensions of their files.
const CODE: &str = "cwasm";
const TASKS: &str = "tasks";

impl CacheFolder {
    /// The place of the module that is made of `parts`, compiled by `engine`. `None` where
    /// there is no cache.
    pub(super) fn entry(&self, engine: &Engine, parts: &[&[u8]]) -> Option<CacheEntry> {
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
        parts.iter().for_each(|part| key.write(part));
        let name = key.0.finalize().to_hex();
        Some(CacheEntry {
            path: folder.join(name.as_str()),
        })
    }
}

impl CacheEntry {
    /// The file with the compiled code, if there is one and it is undamaged.
    pub(super) fn code(&self) -> Option<PathBuf> {
        self.read(CODE)?;
        Some(self.path.with_extension(CODE))
    }

    /// Keeps the compiled code.
    pub(super) fn keep_code(&self, code: &[u8]) {
        self.write(CODE, code);
    }

    /// What the component told of its tasks, encoded.
    pub(super) fn tasks(&self) -> Option<Vec<u8>> {
        self.read(TASKS)
    }

    /// Keeps what the component told of its tasks, encoded.
    pub(super) fn keep_tasks(&self, tasks: &[u8]) {
        self.write(TASKS, tasks);
    }

    fn read(&self, part: &str) -> Option<Vec<u8>> {
        let mut bytes = fs::read(self.path.with_extension(part)).ok()?;
        let len = bytes.len().checked_sub(DIGEST_SIZE)?;
        let (content, digest) = bytes.split_at(len);
        if blake3::hash(content).as_bytes() != digest {
            return None;
        }
        bytes.truncate(len);
        Some(bytes)
    }

    /// Best effort: without it the next process does the work again.
    fn write(&self, part: &str, content: &[u8]) {
        let folder = self.path.parent().expect("an entry lies in a folder");
        let written = create_private(folder).and_then(|()| {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(content)?;
            file.write_all(blake3::hash(content).as_bytes())?;
            file.persist(self.path.with_extension(part))?;
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
