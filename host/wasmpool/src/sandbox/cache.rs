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
//! Whoever can write to the folder can run native code as this process. So the folder is used
//! only if nobody can but the effective user and root: each folder on the way to it, from the
//! root of the file system on, the folder itself, and each file in it belongs to one of the two
//! and is not writable by group or others (as the access lists of a file are, too, which show as
//! the rights of the group). A folder on the way may be writable if it is sticky, as `/tmp` is:
//! there nobody renames what is another's. Symbolic links on the way are followed once, and what
//! they lead to is checked and used. What is checked of a file is the file that is mapped.
//!
//! What was not used for longest goes when the folder is over its limit. A file's time of
//! modification says when it was used, to within a day.

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

/// How much of a file is read at once: so little that it stays in the processor's cache.
const PIECE: usize = 32 << 10;

/// How old the mark of the last use may be: a write a day for each entry.
const MARKED_EVERY: Duration = Duration::from_secs(24 * 60 * 60);

/// After this a file that was never renamed is of a process that has ended.
const LEFT_OVER_AFTER: Duration = Duration::from_secs(60 * 60);

/// How the names of files begin that are being written.
const TEMPORARY: &str = ".tmp";

/// How the size of the cache is bounded unless somebody says otherwise, in bytes.
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
    /// Bytes that the files may have.
    limit: u64,
    /// Told of what is wrong with the cache, once for each trouble.
    on_trouble: fn(&CacheState),
    /// The folder, or what is the matter with it. Made when it is first asked for.
    opened: OnceLock<Result<PathBuf, CacheState>>,
    /// Why the last file could not be written, if it could not.
    write_failure: Mutex<Option<String>>,
}

/// What is kept of one module.
pub(super) struct CacheEntry {
    cache: Arc<Shared>,
    name: String,
}

/// Compiled code in a file that was checked.
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

    /// The place of the module that is made of `parts`, compiled by `engine`. `None` where
    /// there is no cache.
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

    /// Whether it is used. Makes the folder, if that was not done yet.
    pub(crate) fn state(&self) -> CacheState {
        let folder = match self.0.opened() {
            Ok(folder) => folder.clone(),
            Err(state) => return state.clone(),
        };
        match lock(&self.0.write_failure).clone() {
            Some(reason) => CacheState::NotWritable { folder, reason },
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

    /// Opens a file of the cache, if there is one that nobody else can have written.
    fn open(&self, name: &str) -> Option<File> {
        let folder = self.opened().as_ref().ok()?;
        trust::open_own(&folder.join(name))
    }

    /// Best effort: without it the next process does the work again.
    fn write(&self, name: &str, content: &[u8]) {
        let Ok(folder) = self.opened() else {
            return;
        };
        if content.len().saturating_add(CHECKSUM_SIZE) as u64 > self.limit {
            return;
        }
        let failure = write_in_one_step(folder, name, content).err();
        let reason = failure.map(|error| error.to_string());
        let mut last = lock(&self.write_failure);
        let is_news = last.is_none() && reason.is_some();
        last.clone_from(&reason);
        drop(last);
        if is_news && let Some(reason) = reason {
            let folder = folder.clone();
            (self.on_trouble)(&CacheState::NotWritable { folder, reason });
        }
        // What cannot be deleted stays: the next process tries again.
        let _ = keep_within(folder, self.limit);
    }
}

impl CacheEntry {
    /// The compiled code, if it is there and undamaged.
    pub(super) fn code(&self) -> Option<CachedCode> {
        let mut file = self.cache.open(&self.file_name(CODE))?;
        read_whole(&mut file, |_| {})?;
        Some(CachedCode(file))
    }

    /// Keeps the compiled code.
    pub(super) fn keep_code(&self, code: &[u8]) {
        self.cache.write(&self.file_name(CODE), code);
    }

    /// What the component told of its tasks, encoded.
    pub(super) fn tasks(&self) -> Option<Vec<u8>> {
        let mut tasks = Vec::new();
        let mut file = self.cache.open(&self.file_name(TASKS))?;
        read_whole(&mut file, |piece| tasks.extend_from_slice(piece))?;
        Some(tasks)
    }

    /// Keeps what the component told of its tasks, encoded.
    pub(super) fn keep_tasks(&self, tasks: &[u8]) {
        self.cache.write(&self.file_name(TASKS), tasks);
    }

    fn file_name(&self, part: &str) -> String {
        format!("{}.{part}", self.name)
    }
}

impl CachedCode {
    /// A path that leads to this very file, whatever has its name by now. None where `/proc` is
    /// missing: there every module is compiled.
    pub(super) fn path(&self) -> Option<PathBuf> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        path.exists().then_some(path)
    }
}

/// Makes the folder if it is not there, for its owner alone, and checks who can write to it.
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

fn write_in_one_step(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let mut builder = tempfile::Builder::new();
    let mut file = builder.prefix(TEMPORARY).tempfile_in(folder)?;
    file.write_all(content)?;
    file.write_all(&XxHash3_128::oneshot(content).to_le_bytes())?;
    file.persist(folder.join(name))?;
    Ok(())
}

/// A file of the cache, as it lies there.
struct Lying {
    used: SystemTime,
    len: u64,
    path: PathBuf,
}

/// Deletes what was not used for longest until the files have no more than `limit` bytes, and
/// what processes that are gone have left half written. One that is mapped at the moment stays
/// what it is for those who have mapped it.
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
            files.push(Lying { used, len, path });
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

/// Whether a file has a name that the cache gives: nobody else's is deleted.
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
    // A mark from the future, of a clock that was wrong, is not believed either.
    let is_fresh = last_used(metadata).is_some_and(|used| {
        now.duration_since(used)
            .is_ok_and(|since| since < MARKED_EVERY)
    });
    if !is_fresh {
        // Of a folder that can only be read nothing is deleted.
        let _ = file.set_modified(now);
    }
}

/// Gives out what is in a file, piece by piece, and marks it as used. `None` if it is damaged,
/// which may show at its end only.
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
