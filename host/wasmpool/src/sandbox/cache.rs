//! Compiled code on disk, so that a module is compiled once for a machine and not once for
//! each process.
//!
//! An entry is named after the hash of the module and of all that its compilation depends
//! on. It is the code, which is mapped into memory from there, and beside it, of a component
//! that brings its own tasks, what it told of them. It comes to its name by a rename, so that
//! several processes may write at once and nobody reads half a file. Each file ends with a
//! checksum of the rest; one whose checksum does not fit is taken for damaged, and made anew.
//!
//! Names are made by a cryptographic hash, since whoever writes a module must not be able to
//! make it pass for another. Checksums are not: they are there for disks that fail.
//!
//! The folder is trusted as the program itself is: whoever can write to it can run native
//! code as its user. One that is made here is for its owner alone; one that was there is
//! taken as it is. Entries of older versions stay until somebody deletes them.

use std::fs::{self, File};
use std::hash::{Hash, Hasher};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy as _;
use twox_hash::XxHash3_128;
use wasmtime::Engine;

const CHECKSUM_SIZE: usize = size_of::<u128>();

/// How much of a file is read at once: so little that it stays in the processor's cache.
const PIECE: usize = 32 << 10;

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
        let path = self.path.with_extension(CODE);
        read_whole(&path, |_| {})?;
        Some(path)
    }

    /// Keeps the compiled code.
    pub(super) fn keep_code(&self, code: &[u8]) {
        self.write(CODE, code);
    }

    /// What the component told of its tasks, encoded.
    pub(super) fn tasks(&self) -> Option<Vec<u8>> {
        let mut tasks = Vec::new();
        let path = self.path.with_extension(TASKS);
        read_whole(&path, |piece| tasks.extend_from_slice(piece))?;
        Some(tasks)
    }

    /// Keeps what the component told of its tasks, encoded.
    pub(super) fn keep_tasks(&self, tasks: &[u8]) {
        self.write(TASKS, tasks);
    }

    /// Best effort: without it the next process does the work again.
    fn write(&self, part: &str, content: &[u8]) {
        let folder = self.path.parent().expect("an entry lies in a folder");
        let written = create_private(folder).and_then(|()| {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(content)?;
            file.write_all(&XxHash3_128::oneshot(content).to_le_bytes())?;
            file.persist(self.path.with_extension(part))?;
            Ok(())
        });
        // A full disk or a read-only folder costs time and nothing else.
        drop(written);
    }
}

/// Gives out what is in a file, piece by piece. `None` if it is damaged or not there, which may
/// show at its end only.
fn read_whole(path: &Path, mut take: impl FnMut(&[u8])) -> Option<()> {
    let mut file = File::open(path).ok()?;
    let len = file.metadata().ok()?.len();
    let mut content = (&mut file).take(len.checked_sub(CHECKSUM_SIZE as u64)?);
    let (mut checksum, mut piece) = (XxHash3_128::new(), vec![0; PIECE]);
    loop {
        match content.read(&mut piece).ok()? {
            0 => break,
            n => {
                checksum.write(&piece[..n]);
                take(&piece[..n]);
            }
        }
    }
    let mut expected = [0; CHECKSUM_SIZE];
    file.read_exact(&mut expected).ok()?;
    (checksum.finish_128().to_le_bytes() == expected).then_some(())
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
