//! Slow disks: which file systems may keep a thread for long, and how guests wait for them.
//!
//! A file operation on a disk that does not answer ends when the system likes, whatever becomes of
//! the guest. So it has a thread of its own, one of the reactor's, and the guest is suspended. On
//! other disks that costs more than the operation itself, and they do without.

use std::fs;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::runtime::Handle;
use wasmtime_wasi::filesystem::{Descriptor, Dir};
use wasmtime_wasi::runtime::spawn_blocking;

use super::SLOW;
use crate::sync::{Arc, Mutex, lock};

/// File systems whose data is on another machine, or comes from another process of this one.
#[cfg(target_os = "linux")]
const SLOW_TYPES: [u32; 22] = [
    // From `linux/magic.h`.
    0x0000_6969, // NFS
    0x0000_517B, // SMB
    0xFF53_4D42, // CIFS
    0xFE53_4D42, // SMB2
    0x6573_5546, // FUSE, virtiofs
    0x0102_1997, // 9p
    0x00C3_6400, // Ceph
    0x5346_414F, // AFS
    0x6B41_4653, // AFS, as the kernel calls it
    0x7375_7245, // Coda
    0x0000_564C, // NCP
    0x0000_0187, // autofs
    0x7461_636F, // OCFS2
    // From `linux/gfs2_ondisk.h`.
    0x0116_1970, // GFS2
    // From `stat.c` of the GNU coreutils: Linux itself does not have these.
    0x0BD0_0BD0, // Lustre
    0x4750_4653, // GPFS
    0x1983_0326, // BeeGFS
    0xAAD7_AAEA, // PanFS
    0xBEEF_DEAD, // SNFS
    0x0131_11A8, // IBRIX
    0xBACB_ACBC, // VMware's shared folders
    0x7C7C_6673, // those of Parallels
];

/// Whether the file system of an open folder is known to be slow. One that does not say what it is
/// may be any.
#[cfg(target_os = "linux")]
pub(crate) fn is_slow(folder: impl AsFd) -> bool {
    rustix::fs::fstatfs(folder).map_or(true, |found| {
        // Magic numbers have 32 bits. In how many, and with which sign, they are told differs.
        SLOW_TYPES.contains(&(found.f_type as u32))
    })
}

/// Whether the file system of an open folder is slow: whether it is on another machine.
#[cfg(target_vendor = "apple")]
pub(crate) fn is_slow(folder: impl AsFd) -> bool {
    /// `MNT_LOCAL` of `sys/mount.h`.
    const IS_LOCAL: u32 = 0x1000;
    rustix::fs::fstatfs(folder).map_or(true, |found| found.f_flags & IS_LOCAL == 0)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
pub(crate) fn is_slow(_: impl AsFd) -> bool {
    false
}

/// Does in `dir` what may block: on this thread, or if the disk is slow on another one.
pub(super) async fn run<T: Send + 'static>(
    dir: &Dir,
    operation: impl FnOnce(&Dir) -> T + Send + 'static,
) -> T {
    if dir.open_mode.contains(SLOW) {
        // Where the system has no thread to give, the operation is still here.
        let operation = Arc::new(Mutex::new(Some(operation)));
        let (there, theirs) = (Arc::clone(&operation), dir.clone());
        let take = move || lock(&there).take();
        let begun = begin(|| spawn_blocking(move || take().map(|operation| operation(&theirs))));
        let done = match begun {
            Some(done) => done.await,
            // A later thread of the runtime finds nothing to do.
            None => lock(&operation).take().map(|operation| operation(dir)),
        };
        done.expect("the operation is taken once")
    } else {
        operation(dir)
    }
}

/// Has a thread of the runtime begin something. `None` if the system has no thread to give.
fn begin<T>(spawn: impl FnOnce() -> T) -> Option<T> {
    // The runtime panics then, if it has no thread that will do it later, and the panic is told on
    // standard error. To try a thread before would cost each operation tens of microseconds.
    catch_unwind(AssertUnwindSafe(spawn)).ok()
}

/// What a guest has open on slow disks.
///
/// To close a file may write what is not written yet, and take as long. So whoever else lets go of
/// it, the last one to do so is here.
#[derive(Default)]
pub(crate) struct SlowFiles {
    open: Vec<Arc<fs::File>>,
    /// Has the threads that close what is open at the end. There if anything was opened.
    runtime: Option<Handle>,
}

impl SlowFiles {
    /// Notes what was opened, if it is on a slow disk.
    pub(crate) fn opened(&mut self, opened: &Descriptor) {
        let (file, mode) = match opened {
            Descriptor::Dir(dir) => (&dir.dir, dir.open_mode),
            Descriptor::File(file) => (&file.file, file.open_mode),
        };
        if mode.contains(SLOW) {
            self.open.push(Arc::clone(file));
            self.runtime = Handle::try_current().ok();
        }
    }

    /// Closes what the guest has closed, and waits until that is done.
    pub(crate) async fn close_unused(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let is_unused = |file: &mut Arc<fs::File>| Arc::strong_count(file) == 1;
        let unused = self.open.extract_if(.., is_unused).collect::<Vec<_>>();
        if !unused.is_empty() {
            // What no thread closes is closed here.
            if let Some(closed) = begin(|| spawn_blocking(move || drop(unused))) {
                closed.await;
            }
        }
    }
}

impl Drop for SlowFiles {
    fn drop(&mut self) {
        let open = std::mem::take(&mut self.open);
        if let Some(runtime) = &self.runtime
            && !open.is_empty()
        {
            drop(begin(|| runtime.spawn_blocking(move || drop(open))));
        }
    }
}
