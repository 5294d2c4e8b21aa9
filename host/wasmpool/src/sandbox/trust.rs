//! Whether nobody but the effective user and root can have written a file or a folder.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// Rights to write of the group and of all others. An access list shows as the rights of the group.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// In such a folder everybody makes files, and nobody renames or deletes another's.
const STICKY: u32 = 0o1000;

/// Makes the folder if it is not there, for its owner alone; gives the way to it without links, on
/// which nobody else can put another folder in its place. What is wrong otherwise, and what to do
/// about it, is the error.
pub(super) fn own_folder(folder: &Path) -> Result<PathBuf, String> {
    let cannot = |error: io::Error| match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            format!("it is no folder, or below a file ({error}); name another one")
        }
        _ => format!("it cannot be made or entered: {error}"),
    };
    // Before anything is made: whose place it would be made in.
    let there = folder.ancestors().find(|folder| folder.exists());
    let there = there.map_or_else(|| folder.canonicalize(), Path::canonicalize);
    check_way(&there.map_err(cannot)?, folder)?;
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(folder).map_err(cannot)?;
    let folder = folder.canonicalize().map_err(cannot)?;
    check_way(&folder, &folder)?;
    Ok(folder)
}

/// Checks each folder on the way `there`, which has no links, and the last one, if that is the
/// folder that is `meant`, most strictly.
fn check_way(there: &Path, meant: &Path) -> Result<(), String> {
    for folder in there.ancestors() {
        let shown = folder.display();
        let metadata = fs::symlink_metadata(folder);
        let metadata =
            metadata.map_err(|error| format!("`{shown}` cannot be looked at: {error}"))?;
        if !is_own(&metadata) {
            return Err(format!(
                "`{shown}` belongs to another user ({}), who could put code there that runs as \
                 this one; name a folder of your own, or turn the cache off",
                metadata.uid()
            ));
        }
        let may_be_shared = folder != meant && metadata.mode() & STICKY != 0;
        if metadata.mode() & WRITABLE_BY_OTHERS != 0 && !may_be_shared {
            return Err(format!(
                "others can write to `{shown}`, and what they put there would run as this user; \
                 `chmod go-w {shown}`, or name another folder"
            ));
        }
    }
    Ok(())
}

/// Opens a file that nobody else can have written; none if it is not there, or is a link.
pub(super) fn open_own(path: &Path) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty()).ok()?);
    let metadata = file.metadata().ok()?;
    let is_trusted =
        metadata.is_file() && is_own(&metadata) && metadata.mode() & WRITABLE_BY_OTHERS == 0;
    is_trusted.then_some(file)
}

fn is_own(metadata: &Metadata) -> bool {
    const ROOT: u32 = 0;
    [ROOT, rustix::process::geteuid().as_raw()].contains(&metadata.uid())
}
