//! Opens files for guests, and never waits for what is opened.
//!
//! WASI's own functions open whatever a name leads to: a FIFO keeps the thread until somebody
//! opens the other end, and a device may act on being opened. Here special files are refused unless
//! the folder was granted with them. What is looked at is what is opened: a name may lead
//! elsewhere a moment later.
//!
//! Knows nothing of how a guest asks for it.

#[cfg(feature = "preview1")]
pub(crate) mod preview1;
pub(crate) mod preview2;
pub(crate) mod preview3;
pub(crate) mod slow;

use std::fmt;
use std::fs;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::BorrowedFd;
use std::path::Path;

use cap_primitives::fs::{FollowSymlinks, OpenOptions, OpenOptionsExt as _};
#[cfg(target_os = "linux")]
use rustix::fs::{AtFlags, Mode};
use rustix::fs::{FileType, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;
#[cfg(target_os = "linux")]
use rustix::path::DecInt;
use wasmtime_wasi::filesystem::{
    Descriptor, Dir, File, OpenMode, WasiFilesystemCtx, WasiFilesystemCtxView,
};
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags,
};
use wasmtime_wasi::{FsPerms, ResourceTable, WasiCtx};

#[cfg(feature = "preview1")]
use self::preview1::StandIns;
use super::capabilities::{Access, DirGrant};
use crate::sync::Arc;

/// Whether special files may be opened in a directory, among the bits of the mode that it was
/// opened with. WASI looks at its own bits and leaves the others as they are.
const SPECIAL_FILES: OpenMode = OpenMode::from_bits_retain(1 << 8);

/// What was opened here, and not by WASI's own functions. A bit of the same mode.
const OPENED_HERE: OpenMode = OpenMode::from_bits_retain(1 << 9);

/// Whether a directory is on a slow disk, or a file; as above.
const SLOW: OpenMode = OpenMode::from_bits_retain(1 << 10);

/// As long as paths get.
const MAX_PATH: usize = 4096;

/// What a guest wants to open, and how.
struct Request {
    path: String,
    follow: FollowSymlinks,
    open_flags: OpenFlags,
    flags: DescriptorFlags,
}

/// Why something is not opened.
#[derive(Debug)]
enum Denied {
    Code(ErrorCode),
    /// It is there, of this kind, and may not be opened.
    Special(FileType),
}

/// How a file is opened, as the system has it.
#[derive(Clone, Copy)]
struct How {
    reads: bool,
    writes: bool,
    creates: bool,
    /// It must not be there yet.
    is_exclusive: bool,
    truncates: bool,
    follow: FollowSymlinks,
}

/// What a kind of file is called, if it is special: neither a regular file nor a directory.
fn special(kind: FileType) -> Option<&'static str> {
    match kind {
        FileType::Fifo => Some("a FIFO"),
        FileType::Socket => Some("a socket"),
        FileType::CharacterDevice => Some("a character device"),
        FileType::BlockDevice => Some("a block device"),
        FileType::RegularFile | FileType::Directory | FileType::Symlink => None,
        FileType::Unknown => Some("a file of an unknown kind"),
    }
}

impl From<ErrorCode> for Denied {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

impl From<io::Error> for Denied {
    fn from(error: io::Error) -> Self {
        Self::Code(ErrorCode::from(&error))
    }
}

impl Denied {
    /// What the guest is told.
    fn code(&self) -> ErrorCode {
        match self {
            Self::Code(code) => *code,
            Self::Special(_) => ErrorCode::NotPermitted,
        }
    }
}

/// Folders that were granted, opened. Clones are of the same.
#[derive(Clone, Default)]
pub(crate) struct Folders {
    /// As WASI has them.
    pub(crate) context: WasiFilesystemCtx,
    /// The same by their names, with what else was granted with them.
    all: Vec<(Dir, String)>,
    #[cfg(feature = "preview1")]
    stand_ins: Option<StandIns>,
}

impl Folders {
    pub(crate) fn open(grants: &[DirGrant]) -> io::Result<Self> {
        let mut builder = WasiCtx::builder();
        let failed = |error: wasmtime::Error| error.downcast().unwrap_or_else(io::Error::other);
        for grant in grants {
            let permissions = match grant.access {
                Access::ReadOnly => FsPerms::ReadOnly,
                Access::ReadWrite => FsPerms::ReadWrite,
            };
            // File operations run on the worker's own thread, except where they may take long. The
            // other way, a pool of threads for them, costs two context switches each, and leaves an
            // operation behind that goes on after its task was stopped.
            builder.allow_blocking_current_thread(!grant.is_slow);
            // WASI's context takes paths only, and cannot be added to.
            let path = grant.opened.path(&grant.host)?;
            let opened = builder.preopened_dir(path, &grant.guest, permissions);
            opened.map_err(failed)?;
        }
        let mut context = std::mem::take(builder.build().filesystem());
        let mut table = ResourceTable::new();
        let mut view = WasiFilesystemCtxView {
            ctx: &mut context,
            table: &mut table,
        };
        let opened = view.get_directories().map_err(failed)?;
        let opened = opened.into_iter().zip(grants).map(|((dir, name), grant)| {
            let Ok(Descriptor::Dir(mut dir)) = table.delete(dir) else {
                unreachable!("it was put there as a directory");
            };
            dir.open_mode |= OPENED_HERE;
            dir.open_mode.set(SPECIAL_FILES, grant.has_special_files);
            dir.open_mode.set(SLOW, grant.is_slow);
            (dir, name)
        });
        Ok(Self {
            all: opened.collect(),
            context,
            #[cfg(feature = "preview1")]
            stand_ins: StandIns::open(),
        })
    }

    /// The folders by their names, in the order in which they were granted.
    fn all(&self) -> &[(Dir, String)] {
        &self.all
    }

    /// The name of `dir`, if it was granted itself.
    fn name(&self, dir: &Dir) -> Option<&str> {
        let mut all = self.all.iter();
        let found = all.find(|(granted, _)| Arc::ptr_eq(&granted.dir, &dir.dir));
        found.map(|(_, name)| name.as_str())
    }

    #[cfg(feature = "preview1")]
    fn stand_ins(&self) -> Option<&StandIns> {
        self.stand_ins.as_ref()
    }
}

impl fmt::Debug for Folders {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Folders").finish_non_exhaustive()
    }
}

/// What the report says of a special file that the guest wanted to open in `dir`.
pub(crate) fn refusal(folders: Option<&Folders>, dir: &Dir, path: &str, kind: FileType) -> String {
    // What is opened below a granted folder has no name of its own.
    let folder = folders.and_then(|folders| folders.name(dir));
    let folder = folder.unwrap_or_default();
    let separator = if folder.is_empty() || folder.ends_with('/') {
        ""
    } else {
        "/"
    };
    let path = &path[..path.floor_char_boundary(MAX_PATH)];
    let kind = special(kind).unwrap_or("special");
    format!("open `{folder}{separator}{path}`, {kind}")
}

/// Opens what a guest asks for in `dir`.
fn open_at(dir: &Dir, request: &Request) -> Result<Descriptor, Denied> {
    let Request {
        path,
        follow,
        open_flags,
        flags,
    } = request;
    let how = How {
        // What is not to be written is opened for reading: the system wants one of both.
        reads: flags.contains(DescriptorFlags::READ) || !flags.contains(DescriptorFlags::WRITE),
        writes: flags.contains(DescriptorFlags::WRITE)
            || open_flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE),
        creates: open_flags.contains(OpenFlags::CREATE),
        is_exclusive: open_flags.contains(OpenFlags::CREATE | OpenFlags::EXCLUSIVE),
        truncates: open_flags.contains(OpenFlags::TRUNCATE),
        follow: *follow,
    };
    let sync = DescriptorFlags::FILE_INTEGRITY_SYNC
        | DescriptorFlags::DATA_INTEGRITY_SYNC
        | DescriptorFlags::REQUESTED_WRITE_SYNC;
    if flags.intersects(sync) {
        return Err(ErrorCode::Unsupported.into());
    }
    let wants_directory = open_flags.contains(OpenFlags::DIRECTORY);
    let others = OpenFlags::CREATE | OpenFlags::EXCLUSIVE | OpenFlags::TRUNCATE;
    if wants_directory && open_flags.intersects(others) {
        return Err(ErrorCode::Invalid.into());
    }
    if how.writes && dir.perms.write_not_permitted() {
        return Err(ErrorCode::NotPermitted.into());
    }
    let mut mode = OPENED_HERE | (dir.open_mode & (SPECIAL_FILES | SLOW));
    mode.set(OpenMode::READ, how.reads);
    mode.set(OpenMode::WRITE, how.writes);
    let may_be_special = mode.contains(SPECIAL_FILES);
    let is_fast = !mode.contains(SLOW);
    let (opened, is_directory) = open(&dir.dir, path.as_ref(), how, may_be_special)?;
    if is_directory {
        Ok(Descriptor::Dir(Dir::new(opened, dir.perms, mode, is_fast)))
    } else if wants_directory {
        Err(ErrorCode::NotDirectory.into())
    } else {
        Ok(Descriptor::File(File::new(
            opened, dir.perms, mode, is_fast,
        )))
    }
}

/// Opens a file or a directory, and says whether it is a directory. Does not wait for it.
fn open(
    dir: &fs::File,
    path: &Path,
    how: How,
    may_be_special: bool,
) -> Result<(fs::File, bool), Denied> {
    let permit = |kind| match special(kind) {
        Some(_) if !may_be_special => Err(Denied::Special(kind)),
        _ => Ok(()),
    };
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    // What is not there yet becomes a regular file.
    if !how.is_exclusive {
        match Found::look(dir, path, how.follow) {
            Ok(Found {
                kind: FileType::Symlink,
                ..
            }) => {
                return Err(io::Error::from(Errno::LOOP).into());
            }
            Ok(Found {
                kind: FileType::Directory,
                ..
            }) => {
                if how.writes {
                    return Err(ErrorCode::IsDirectory.into());
                }
                // By its name: the system may have to mount it first.
                flags |= OFlags::DIRECTORY;
            }
            Ok(found) => {
                permit(found.kind)?;
                if let Some(opened) = found.open(how) {
                    return Ok((opened?, false));
                }
            }
            Err(error) if how.creates && error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    // What is there by now may be special all the same, and these flags keep that from waiting.
    let mut options = OpenOptions::new();
    options
        .read(how.reads)
        .write(how.writes)
        .truncate(how.truncates)
        .create(how.creates)
        .create_new(how.is_exclusive)
        ._cap_fs_ext_follow(how.follow)
        .custom_flags(flags.bits().cast_signed());
    let opened = cap_primitives::fs::open(dir, path, &options)?;
    let kind = kind(&opened)?;
    permit(kind)?;
    Ok((opened, kind == FileType::Directory))
}

/// Sets the times of what a name leads to, links followed.
fn set_times(dir: &Dir, path: &Path, times: &Timestamps) -> Result<(), Denied> {
    if dir.perms.write_not_permitted() {
        return Err(ErrorCode::NotPermitted.into());
    }
    let found = Found::look(&dir.dir, path, FollowSymlinks::Yes)?;
    if let Some(set) = found.set_times(times) {
        return Ok(set?);
    }
    // Some access is needed, whichever there is.
    let open = |writes: bool| {
        let how = How {
            reads: !writes,
            writes,
            creates: false,
            is_exclusive: false,
            truncates: false,
            follow: FollowSymlinks::Yes,
        };
        open(&dir.dir, path, how, true)
    };
    let opened = match open(true) {
        Err(Denied::Code(ErrorCode::Access | ErrorCode::IsDirectory)) => open(false),
        opened => opened,
    };
    rustix::fs::futimens(opened?.0, times).map_err(io::Error::from)?;
    Ok(())
}

fn kind(file: &fs::File) -> io::Result<FileType> {
    let found = rustix::fs::fstat(file)?;
    Ok(FileType::from_raw_mode(found.st_mode))
}

/// What a name leads to, which is not opened yet.
struct Found {
    kind: FileType,
    #[cfg(target_os = "linux")]
    file: fs::File,
}

#[cfg(target_os = "linux")]
impl Found {
    fn look(dir: &fs::File, path: &Path, follow: FollowSymlinks) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            ._cap_fs_ext_follow(follow)
            .custom_flags(OFlags::PATH.bits().cast_signed());
        let file = cap_primitives::fs::open(dir, path, &options)?;
        let kind = kind(&file)?;
        Ok(Self { kind, file })
    }

    /// Opens what was found, wherever its name leads by now. `None` where there is no `/proc`.
    fn open(&self, how: How) -> Option<io::Result<fs::File>> {
        let (folder, name) = self.in_proc()?;
        let mut flags = OFlags::CLOEXEC;
        flags |= match (how.reads, how.writes) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            (_, false) => OFlags::RDONLY,
        };
        flags.set(OFlags::TRUNC, how.truncates);
        let is_special = special(self.kind).is_some();
        flags.set(OFlags::NONBLOCK | OFlags::NOCTTY, is_special);
        let opened = rustix::fs::openat(folder, name, flags, Mode::empty());
        Some(opened.map(fs::File::from).map_err(io::Error::from))
    }

    /// Sets the times of what was found. `None` where there is no `/proc`.
    fn set_times(&self, times: &Timestamps) -> Option<io::Result<()>> {
        let (folder, name) = self.in_proc()?;
        let set = rustix::fs::utimensat(folder, name, times, AtFlags::empty());
        Some(set.map_err(io::Error::from))
    }

    /// The link of the system that leads to what was found.
    fn in_proc(&self) -> Option<(BorrowedFd<'static>, DecInt)> {
        let folder = rustix_linux_procfs::proc_self_fd().ok()?;
        Some((folder, DecInt::from_fd(&self.file)))
    }
}

/// Elsewhere a file is looked at by its name, and once more when it is open.
#[cfg(not(target_os = "linux"))]
impl Found {
    fn look(dir: &fs::File, path: &Path, follow: FollowSymlinks) -> io::Result<Self> {
        use cap_primitives::fs::MetadataExt as _;
        let found = cap_primitives::fs::stat(dir, path, follow)?;
        let kind = FileType::from_raw_mode(found.mode().try_into().unwrap_or_default());
        Ok(Self { kind })
    }

    fn open(&self, _: How) -> Option<io::Result<fs::File>> {
        None
    }

    fn set_times(&self, _: &Timestamps) -> Option<io::Result<()>> {
        None
    }
}

/// The time that a guest gives, in the form of the system.
fn timestamp(given: NewTimestamp) -> Result<Timespec, ErrorCode> {
    let time = |tv_sec, tv_nsec| Timespec { tv_sec, tv_nsec };
    match given {
        NewTimestamp::NoChange => Ok(time(0, UTIME_OMIT)),
        NewTimestamp::Now => Ok(time(0, UTIME_NOW)),
        NewTimestamp::Timestamp(given) if given.nanoseconds >= 1_000_000_000 => {
            Err(ErrorCode::Invalid)
        }
        NewTimestamp::Timestamp(given) => {
            let seconds = given.seconds.try_into().map_err(|_| ErrorCode::Overflow)?;
            Ok(time(seconds, given.nanoseconds.into()))
        }
    }
}
