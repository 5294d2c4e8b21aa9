//! Compiled code on disk, so that a module is compiled once for a machine and not once for each
//! process.
//!
//! An entry is named by a hash of the module and of all that its compilation depends on. It
//! consists of the code, which is mapped into memory, and of the module's list of its own tasks, if
//! it has one. A file gets its name by a rename, so several processes may write at once and nobody
//! reads a partial file. Each file ends with a checksum of the rest. A file with a wrong checksum
//! counts as damaged, and is written anew.
//!
//! The hash for names is cryptographic, so that nobody can write a module that is taken for
//! another. The hash for checksums is not: it detects disks that fail.
//!
//! Whoever can write to the folder can run native code as this process. So the folder is used only
//! if none but the effective user and root can write to it. Each folder of its path from the root
//! of the file system, the folder itself and each file in it must belong to one of the two, and
//! must not be writable by group or others. (The access list of a file appears as the rights of the
//! group.) Folders above it may be writable if they are sticky, like `/tmp`, where nobody can
//! rename another user's files. Symbolic links in the path are resolved once, and the resolved path
//! is checked and used. A file is checked after it was opened, and what was opened is mapped.
//!
//! When the folder is over its limit, the least recently used files are deleted. The modification
//! time of a file says when it was last used, to within a day.

use std::fs::{File, Metadata};
use std::hash::{Hash, Hasher};
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use etcetera::BaseStrategy as _;
use twox_hash::XxHash3_128;
use wasmtime::Engine;

use super::cache_state::CacheState;
use super::trust;
use crate::sync::{Arc, Mutex, OnceLock, lock};

const CHECKSUM_SIZE: usize = size_of::<u128>();

/// How much of a file is read at once: little enough to stay in the processor's cache.
const PIECE: usize = 32 << 10;

/// How old a modification time may become before a use renews it: at most one write a day for each
/// entry.
const MARKED_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// After this time a file that was never renamed belongs to a process that has ended.
const LEFT_OVER_AFTER: Duration = Duration::from_secs(60 * 60);

/// How the names of files begin while they are written.
const TEMPORARY: &str = ".tmp";

/// The default limit for the size of the cache, in bytes.
pub(crate) const DEFAULT_CACHE_LIMIT: u64 = 1 << 30;

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

/// The cache of one pool.
#[derive(Clone)]
pub(crate) struct Cache(Arc<Shared>);

struct Shared {
    folder: CacheFolder,
    /// The limit for the size of all files, in bytes.
    limit: u64,
    /// Called with each problem of the cache once.
    on_trouble: fn(&CacheState),
    /// The folder, or the reason why it is not used. Opened at the first use.
    opened: OnceLock<Result<PathBuf, CacheState>>,
    /// The last failure to write, until a file that is not smaller was written: on a full disk there
    /// may be room for a list of tasks and none for code.
    write_failure: Mutex<Option<WriteFailure>>,
}

/// A file that could not be written.
struct WriteFailure {
    /// In bytes.
    size: usize,
    reason: String,
}

/// The entry of one module.
pub(super) struct CacheEntry {
    cache: Arc<Shared>,
    name: String,
}

/// An open file of compiled code, which was checked.
pub(super) struct CachedCode(File);

/// The parts of an entry, by the extensions of their files.
const CODE: &str = "cwasm";
const TASKS: &str = "tasks";

impl Cache {
    pub(crate) fn new(folder: CacheFolder, limit: u64, on_trouble: fn(&CacheState)) -> Self {
        Self(Arc::new(Shared {
            folder,
            limit,
            on_trouble,
            opened: OnceLock::new(),
            write_failure: Mutex::new(None),
        }))
    }

    /// The entry of the module that consists of `parts`, compiled by `engine`. `None` if there is
    /// no cache.
    pub(super) fn entry(&self, engine: &Engine, parts: &[&[u8]]) -> Option<CacheEntry> {
        self.0.opened().as_ref().ok()?;
        let mut key = KeyHasher(blake3::Hasher::new());
        engine.precompile_compatibility_hash().hash(&mut key);
        parts.iter().for_each(|part| key.write(part));
        Some(CacheEntry {
            cache: Arc::clone(&self.0),
            name: key.0.finalize().to_hex().to_string(),
        })
    }

    /// Whether the cache is used. Creates the folder, if that was not done before.
    pub(crate) fn state(&self) -> CacheState {
        let folder = match self.0.opened() {
            Ok(folder) => folder.clone(),
            Err(state) => return state.clone(),
        };
        match &*lock(&self.0.write_failure) {
            Some(failure) => CacheState::NotWritable {
                folder,
                reason: failure.reason.clone(),
            },
            None => CacheState::InUse { folder },
        }
    }
}

impl Shared {
    fn opened(&self) -> &Result<PathBuf, CacheState> {
        self.opened.get_or_init(|| {
            let opened = open(&self.folder);
            if let Err(state) = &opened {
                (self.on_trouble)(state);
            }
            opened
        })
    }

    /// Opens a file of the cache, if it exists and no other user can have written it.
    fn open(&self, name: &str) -> Option<File> {
        let folder = self.opened().as_ref().ok()?;
        trust::open_own(&folder.join(name))
    }

    /// Best effort: without the file the next process does the work again.
    fn write(&self, name: &str, content: &[u8]) {
        let Ok(folder) = self.opened() else {
            return;
        };
        if content.len().saturating_add(CHECKSUM_SIZE) as u64 > self.limit {
            return;
        }
        let size = content.len();
        let written = write_in_one_step(folder, name, content);
        let mut last = lock(&self.write_failure);
        let news = match written {
            Ok(()) => {
                last.take_if(|failure| failure.size <= size);
                None
            }
            Err(error) => {
                let reason = with_remedy(&error);
                let is_first = last.is_none();
                *last = Some(WriteFailure {
                    size,
                    reason: reason.clone(),
                });
                is_first.then_some(reason)
            }
        };
        drop(last);
        if let Some(reason) = news {
            let folder = folder.clone();
            (self.on_trouble)(&CacheState::NotWritable { folder, reason });
        }
        // A file that cannot be deleted stays; the next process tries again.
        let _ = keep_within(folder, self.limit);
    }
}

impl CacheEntry {
    /// The compiled code, if it is cached and undamaged.
    pub(super) fn code(&self) -> Option<CachedCode> {
        let mut file = self.cache.open(&self.file_name(CODE))?;
        read_whole(&mut file, |_| {})?;
        Some(CachedCode(file))
    }

    /// Caches the compiled code.
    pub(super) fn keep_code(&self, code: &[u8]) {
        self.cache.write(&self.file_name(CODE), code);
    }

    /// The encoded list of the tasks that the component lists itself.
    pub(super) fn tasks(&self) -> Option<Vec<u8>> {
        let mut tasks = Vec::new();
        let mut file = self.cache.open(&self.file_name(TASKS))?;
        read_whole(&mut file, |piece| tasks.extend_from_slice(piece))?;
        Some(tasks)
    }

    /// Caches the encoded list of the tasks that the component lists itself.
    pub(super) fn keep_tasks(&self, tasks: &[u8]) {
        self.cache.write(&self.file_name(TASKS), tasks);
    }

    fn file_name(&self, part: &str) -> String {
        format!("{}.{part}", self.name)
    }
}

impl CachedCode {
    /// A path to this open file, whatever file has its name by now. `None` without `/proc`, where
    /// every module is compiled.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        path.exists().then_some(path)
    }
}

/// Creates the folder if it does not exist, with rights for its owner only, and checks who can
/// write to it.
fn open(folder: &CacheFolder) -> Result<PathBuf, CacheState> {
    let folder = match folder {
        CacheFolder::User => etcetera::choose_base_strategy()
            .map(|strategy| strategy.cache_dir().join("wasmpool"))
            .map_err(|error| CacheState::NotUsed {
                folder: None,
                reason: format!("{error}; name a folder, or turn the cache off"),
            })?,
        CacheFolder::At(folder) => folder.clone(),
        CacheFolder::Off => return Err(CacheState::Off),
    };
    // The working folder may change.
    let absolute = std::path::absolute(&folder).unwrap_or(folder);
    trust::own_folder(&absolute).map_err(|reason| CacheState::NotUsed {
        folder: Some(absolute),
        reason,
    })
}

/// Why a file could not be written, and what to do about it where that is known.
fn with_remedy(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("{error}; make room, or name a folder on another disk")
        }
        _ => error.to_string(),
    }
}

fn write_in_one_step(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    let mut file = builder.prefix(TEMPORARY).tempfile_in(folder)?;
    file.write_all(content)?;
    file.write_all(&XxHash3_128::oneshot(content).to_le_bytes())?;
    file.persist(folder.join(name))?;
    Ok(())
}

/// A file in the cache's folder.
struct CachedFile {
    used: SystemTime,
    len: u64,
    path: PathBuf,
}

/// Deletes the least recently used files until the rest has no more than `limit` bytes, and
/// temporary files of processes that have ended. Processes that have mapped a deleted file keep its
/// content.
fn keep_within(folder: &Path, limit: u64) -> io::Result<()> {
    let now = SystemTime::now();
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        // Another process may have deleted it meanwhile.
        let Ok(metadata) = entry.metadata() else {
            continue;
        };
        let Some(used) = last_used(&metadata).filter(|_| metadata.is_file()) else {
            continue;
        };
        let path = entry.path();
        if name.starts_with(TEMPORARY) {
            let age = now.duration_since(used).unwrap_or_default();
            if age > LEFT_OVER_AFTER {
                let _ = std::fs::remove_file(path);
            }
        } else if is_entry(&name) {
            let len = metadata.len();
            files.push(CachedFile { used, len, path });
        }
    }
    let mut held: u64 = files.iter().map(|file| file.len).sum();
    files.sort_unstable_by_key(|file| file.used);
    for file in files {
        if held <= limit {
            break;
        }
        let _ = std::fs::remove_file(file.path);
        held -= file.len;
    }
    Ok(())
}

/// Whether the name of a file is one of the cache's. Other files are never deleted.
fn is_entry(name: &str) -> bool {
    let Some((hash, part)) = name.split_once('.') else {
        return false;
    };
    let is_hash = hash.len() == 2 * blake3::OUT_LEN && hash.bytes().all(|b| b.is_ascii_hexdigit());
    is_hash && (part == CODE || part == TASKS)
}

fn last_used(metadata: &Metadata) -> Option<SystemTime> {
    metadata.modified().ok()
}

/// Marks the file as used today.
fn mark_used(file: &File, metadata: &Metadata) {
    let now = SystemTime::now();
    // A time in the future, from a clock that was wrong, is renewed as well.
    let is_fresh = last_used(metadata).is_some_and(|used| {
        now.duration_since(used)
            .is_ok_and(|since| since < MARKED_EVERY)
    });
    if !is_fresh {
        // This fails in a read-only folder, where nothing is deleted anyway.
        let _ = file.set_modified(now);
    }
}

/// Passes the content of a file to `take`, piece by piece, and marks the file as used. `None` if
/// the file is damaged, which may be known only after the last piece.
fn read_whole(file: &mut File, mut take: impl FnMut(&[u8])) -> Option<()> {
    let metadata = file.metadata().ok()?;
    let len = metadata.len();
    let mut content = (&mut *file).take(len.checked_sub(CHECKSUM_SIZE as u64)?);
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
    (checksum.finish_128().to_le_bytes() == expected).then(|| mark_used(file, &metadata))
}

/// Feeds hashable values to a hash that is long enough to be a name.
struct KeyHasher(blake3::Hasher);

impl Hasher for KeyHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        unreachable!("the key is taken from the inner hash")
    }
}
