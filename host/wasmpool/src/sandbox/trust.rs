//! Checks that only the effective user and root can have written a file or a folder.

use std::fs::{self, DirBuilder, File, Metadata};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

/// The rights of the group and of others to write. The rights of an access list appear as those of
/// the group.
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// In a folder with this bit, users can create files but cannot rename or delete those of others.
const STICKY: u32 = 0o1000;

/// Creates the folder if it does not exist, with rights for its owner only. Returns its path
/// without symbolic links, on which no other user can put another folder in its place. The error
/// says what is wrong and what to do about it.
pub(super) fn own_folder(folder: &Path) -> Result<PathBuf, String> {
    let cannot = |error: io::Error| match error.kind() {
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            format!("it is not a folder, or is below a file ({error}); name another one")
        }
        _ => format!("it cannot be made or entered: {error}"),
    };
    // Checks the folder in which it would be created, before anything is created.
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

/// Checks each folder of the path `there`, which has no symbolic links. The check of the folder
/// `meant` itself is the strictest.
fn check_way(there: &Path, meant: &Path) -> Result<(), String> {
    for folder in there.ancestors() {
        let shown = folder.display();
        let metadata = fs::symlink_metadata(folder);
        let metadata = metadata.map_err(|error| format!("`{shown}` cannot be checked: {error}"))?;
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

/// Opens a file that no other user can have written. `None` if it does not exist, is a symbolic
/// link, or others can write to it.
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
