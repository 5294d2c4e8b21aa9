//! Opens files for programs for preview 1.
//!
//! Their files have numbers, which WASI's own implementation keeps to itself: it gives one out only
//! for what it has opened. So it opens a stand-in, and what was opened here takes the stand-in's
//! place. The stand-in for a directory is the directory that it was opened in, which the program has
//! anyway, and that for a file is `/dev/null`. To know which directory a program means by a number,
//! what is opened and closed is followed.

use std::collections::BTreeMap;
use std::mem;

use cap_primitives::fs::FollowSymlinks;
use rustix::fs::Timestamps;
use wasmtime::{Caller, Extern, Linker, bail};
use wasmtime_wasi::filesystem::{Descriptor, Dir, OpenMode};
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::{Errno, Error, Fd, Fdflags, Fstflags, Lookupflags, Oflags, Rights};
use wasmtime_wasi::p1::wasi_snapshot_preview1::{self as wasi, WasiSnapshotPreview1 as _};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Datetime, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags,
};
use wasmtime_wasi::{FsPerms, WasiView as _};
use wiggle::{GuestError, GuestMemory, GuestPtr};

use super::{Folders, MAX_PATH, OPENED_HERE, Request, slow};
use crate::sandbox::store::State;
use crate::sync::Arc;

/// The number of the first granted folder.
const FIRST_FOLDER: u32 = 3;

/// WASI's context of a program, and the directories that it has open.
pub(crate) struct Preview1 {
    pub(crate) context: WasiP1Ctx,
    directories: BTreeMap<u32, Dir>,
}

/// Puts the functions that open files into the place of WASI's own, and follows those that close
/// them.
pub(crate) fn add_to_linker(linker: &mut Linker<State>, module: &str) -> wasmtime::Result<()> {
    linker.func_wrap_async(module, "path_open", |mut caller, arguments: Opening| {
        Box::new(async move { Ok(path_open(&mut caller, arguments).await? as i32) })
    })?;
    linker.func_wrap_async(
        module,
        "path_filestat_set_times",
        |mut caller, arguments: SettingTimes| {
            Box::new(async move { path_filestat_set_times(&mut caller, arguments).await })
        },
    )?;
    linker.func_wrap_async(module, "fd_close", |mut caller, (fd,): (i32,)| {
        Box::new(async move {
            let (memory, state) = &mut parts(&mut caller)?;
            let opened = state.preview1_with_directories();
            let errno = wasi::fd_close(&mut opened.context, memory, fd).await?;
            if errno == Errno::Success as i32 {
                opened.directories.remove(&fd.cast_unsigned());
            }
            state.slow_files.close_unused().await;
            Ok(errno)
        })
    })?;
    linker.func_wrap_async(
        module,
        "fd_renumber",
        |mut caller, (from, to): (i32, i32)| {
            Box::new(async move {
                let (memory, state) = &mut parts(&mut caller)?;
                let opened = state.preview1_with_directories();
                let errno = wasi::fd_renumber(&mut opened.context, memory, from, to).await?;
                if errno == Errno::Success as i32 && from != to {
                    let (from, to) = (from.cast_unsigned(), to.cast_unsigned());
                    opened.directories.remove(&to);
                    if let Some(dir) = opened.directories.remove(&from) {
                        opened.directories.insert(to, dir);
                    }
                }
                state.slow_files.close_unused().await;
                Ok(errno)
            })
        },
    )?;
    Ok(())
}

/// The arguments of `path_open`: the directory, how links are followed, where the path lies and how
/// long it is, flags, rights, inherited rights, further flags, and where the number goes.
type Opening = (i32, i32, i32, i32, i32, i64, i64, i32, i32);

/// The arguments of `path_filestat_set_times`: the directory, how links are followed, where the
/// path lies and how long it is, two times, and what they are for.
type SettingTimes = (i32, i32, i32, i32, i64, i64, i32);

async fn path_open(
    caller: &mut Caller<'_, State>,
    (dir, lookup, path, length, oflags, rights, _, fdflags, number): Opening,
) -> wasmtime::Result<Errno> {
    let (mut memory, state) = parts(caller)?;
    let path = match read_path(&memory, path, length) {
        Ok(path) => path,
        Err(errno) => return Ok(errno),
    };
    let dir_number = dir.cast_unsigned();
    let opened = state.preview1_with_directories();
    let Some(dir) = opened.directories.get(&dir_number).cloned() else {
        return opened.no_directory(dir_number).await;
    };
    let (Ok(lookup), Ok(oflags), Ok(rights), Ok(fdflags)) = (
        Lookupflags::try_from(lookup),
        Oflags::try_from(oflags),
        Rights::try_from(rights),
        Fdflags::try_from(fdflags),
    ) else {
        return Ok(Errno::Inval);
    };
    let request = Request {
        path,
        follow: follow(lookup),
        open_flags: open_flags(oflags),
        flags: descriptor_flags(rights, fdflags),
    };
    let open = move |dir: &Dir| (super::open_at(dir, &request), request);
    let descriptor = match slow::run(&dir, open).await {
        (Ok(descriptor), _) => descriptor,
        (Err(denied), Request { path, .. }) => {
            return Ok(state.denied(&dir, &path, &denied).into());
        }
    };
    state.slow_files.opened(&descriptor);
    let Some(stand_ins) = state.folders().and_then(Folders::stand_ins).cloned() else {
        return Ok(Errno::Notsup);
    };
    let opened = state.preview1_with_directories();
    let given = opened.number(dir_number, &dir, descriptor, &stand_ins, fdflags);
    match given.await? {
        Ok(given)
            if memory
                .write(GuestPtr::new(number.cast_unsigned()), given)
                .is_err() =>
        {
            Ok(Errno::Fault)
        }
        Ok(_) => Ok(Errno::Success),
        Err(errno) => Ok(errno),
    }
}

async fn path_filestat_set_times(
    caller: &mut Caller<'_, State>,
    (dir, lookup, path, length, accessed, modified, what): SettingTimes,
) -> wasmtime::Result<i32> {
    let (mut memory, state) = parts(caller)?;
    let opened = state.preview1_with_directories();
    let flags = Lookupflags::try_from(lookup);
    if !flags.is_ok_and(|flags| flags.contains(Lookupflags::SYMLINK_FOLLOW)) {
        // That opens nothing.
        let (context, memory) = (&mut opened.context, &mut memory);
        context.set_hostcall_fuel(MAX_PATH);
        return wasi::path_filestat_set_times(
            context, memory, dir, lookup, path, length, accessed, modified, what,
        )
        .await;
    }
    let path = match read_path(&memory, path, length) {
        Ok(path) => path,
        Err(errno) => return Ok(errno as i32),
    };
    let Some(dir) = opened.directories.get(&dir.cast_unsigned()).cloned() else {
        let errno = opened.no_directory(dir.cast_unsigned()).await?;
        return Ok(errno as i32);
    };
    let Ok(what) = Fstflags::try_from(what) else {
        return Ok(Errno::Inval as i32);
    };
    let accessed = (accessed, Fstflags::ATIM, Fstflags::ATIM_NOW);
    let modified = (modified, Fstflags::MTIM, Fstflags::MTIM_NOW);
    let set = move |dir: &Dir| {
        let times = Timestamps {
            last_access: super::timestamp(given_time(what, accessed)?)?,
            last_modification: super::timestamp(given_time(what, modified)?)?,
        };
        super::set_times(dir, path.as_ref(), &times)
    };
    Ok(match slow::run(&dir, set).await {
        Ok(()) => Errno::Success as i32,
        Err(denied) => Errno::from(denied.code()) as i32,
    })
}

impl Preview1 {
    pub(crate) fn new(mut context: WasiP1Ctx, folders: Option<&Folders>) -> Self {
        // WASI gives the granted folders their numbers when it is first asked for anything.
        let _ = context.fd_prestat_get(&mut GuestMemory::Unshared(&mut []), Fd::from(FIRST_FOLDER));
        let folders = folders.map_or(&[][..], Folders::all).iter();
        let directories = (FIRST_FOLDER..).zip(folders.map(|(dir, _)| dir.clone()));
        let mut opened = Self {
            directories: directories.collect(),
            context,
        };
        // They are no stand-ins.
        for dir in opened.directories.clone().into_values() {
            *opened.descriptor(|it| is_dir(it, &dir)) = Descriptor::Dir(dir.clone());
        }
        opened
    }

    /// Has WASI give a number to what was opened in the directory `dir`.
    async fn number(
        &mut self,
        dir_number: u32,
        dir: &Dir,
        opened: Descriptor,
        stand_ins: &StandIns,
        flags: Fdflags,
    ) -> wasmtime::Result<Result<u32, Errno>> {
        let number = match &opened {
            Descriptor::Dir(_) => self.open_stand_in(dir_number, ".", flags).await,
            Descriptor::File(_) => {
                // WASI opens the stand-in in the directory of this number: so the one that has it
                // takes the place of the program's own meanwhile. It does not wait, so nothing
                // comes in between. When it ends, well or not, the program's own is put back.
                let replaced = mem::replace(
                    self.descriptor(|it| is_dir(it, dir)),
                    Descriptor::Dir(stand_ins.dir.clone()),
                );
                let number = self.open_stand_in(dir_number, stand_ins.file, flags).await;
                *self.descriptor(|it| is_dir(it, &stand_ins.dir)) = replaced;
                number
            }
        };
        let number = match number {
            Ok(number) => number,
            Err(error) => {
                // One that has no number is nobody's, and must not be taken for the next.
                if let Some(left) = self.find(is_stand_in) {
                    *left = opened;
                }
                return Ok(Err(error.downcast()?));
            }
        };
        if let Descriptor::Dir(dir) = &opened {
            self.directories.insert(number, dir.clone());
        }
        *self.descriptor(is_stand_in) = opened;
        Ok(Ok(number))
    }

    /// Has WASI open this in the directory of this number.
    async fn open_stand_in(
        &mut self,
        dir_number: u32,
        name: &str,
        flags: Fdflags,
    ) -> Result<u32, Error> {
        let length = u32::try_from(name.len()).expect("it is short");
        let mut name = name.as_bytes().to_owned();
        let name = &mut GuestMemory::Unshared(&mut name);
        self.context.set_hostcall_fuel(MAX_PATH);
        let number = self.context.path_open(
            name,
            Fd::from(dir_number),
            Lookupflags::empty(),
            GuestPtr::<str>::new((0, length)),
            Oflags::empty(),
            Rights::FD_READ,
            Rights::empty(),
            flags & (Fdflags::APPEND | Fdflags::NONBLOCK),
        );
        Ok(u32::from(number.await?))
    }

    /// The descriptor of WASI that is so, which is there.
    fn descriptor(&mut self, is_so: impl Fn(&Descriptor) -> bool) -> &mut Descriptor {
        let found = self.find(is_so);
        found.expect("a directory with a number has a descriptor, and so has a stand-in")
    }

    fn find(&mut self, is_so: impl Fn(&Descriptor) -> bool) -> Option<&mut Descriptor> {
        let table = self.context.ctx().table;
        let mut descriptors = table
            .iter_mut()
            .filter_map(|entry| entry.downcast_mut::<Descriptor>());
        descriptors.find(|descriptor| is_so(descriptor))
    }

    /// What a program is told that takes another number for one of a directory.
    async fn no_directory(&mut self, number: u32) -> wasmtime::Result<Errno> {
        let memory = &mut GuestMemory::Unshared(&mut []);
        match self.context.fd_fdstat_get(memory, Fd::from(number)).await {
            Ok(_) => Ok(Errno::Notdir),
            Err(error) => error.downcast(),
        }
    }
}

/// A directory of the host with a file in it that can be opened anywhere, and does nothing.
#[derive(Clone)]
pub(crate) struct StandIns {
    dir: Dir,
    file: &'static str,
}

impl StandIns {
    /// None on a system that has none of those that are known.
    pub(crate) fn open() -> Option<Self> {
        [("/dev", "null"), ("/proc/self", "status")]
            .into_iter()
            .find_map(|(folder, file)| {
                std::fs::File::open(format!("{folder}/{file}")).ok()?;
                let folder = std::fs::File::open(folder).ok()?;
                let dir = Dir::new(folder, FsPerms::ReadOnly, OpenMode::READ, true);
                Some(Self { dir, file })
            })
    }
}

fn is_dir(descriptor: &Descriptor, dir: &Dir) -> bool {
    matches!(descriptor, Descriptor::Dir(found) if Arc::ptr_eq(&found.dir, &dir.dir))
}

/// Whether WASI has opened it, and not we.
fn is_stand_in(descriptor: &Descriptor) -> bool {
    let mode = match descriptor {
        Descriptor::Dir(dir) => dir.open_mode,
        Descriptor::File(file) => file.open_mode,
    };
    !mode.contains(OPENED_HERE)
}

/// The memory of the program that calls, and the host's side of it.
fn parts<'a>(
    caller: &'a mut Caller<'_, State>,
) -> wasmtime::Result<(GuestMemory<'a>, &'a mut State)> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        bail!("missing required memory export");
    };
    let (memory, state) = memory.data_and_store_mut(caller);
    Ok((GuestMemory::Unshared(memory), state))
}

fn read_path(memory: &GuestMemory<'_>, path: i32, length: i32) -> Result<String, Errno> {
    let length = length.cast_unsigned();
    if usize::try_from(length).is_ok_and(|length| length > MAX_PATH) {
        return Err(Errno::Nametoolong);
    }
    let path = GuestPtr::<str>::new((path.cast_unsigned(), length));
    match memory.as_cow_str(path) {
        Ok(path) => Ok(path.into_owned()),
        Err(GuestError::InvalidUtf8(_)) => Err(Errno::Ilseq),
        Err(_) => Err(Errno::Fault),
    }
}

fn follow(flags: Lookupflags) -> FollowSymlinks {
    if flags.contains(Lookupflags::SYMLINK_FOLLOW) {
        FollowSymlinks::Yes
    } else {
        FollowSymlinks::No
    }
}

fn open_flags(flags: Oflags) -> OpenFlags {
    let mut open_flags = OpenFlags::empty();
    for (flag, open_flag) in [
        (Oflags::CREAT, OpenFlags::CREATE),
        (Oflags::DIRECTORY, OpenFlags::DIRECTORY),
        (Oflags::EXCL, OpenFlags::EXCLUSIVE),
        (Oflags::TRUNC, OpenFlags::TRUNCATE),
    ] {
        if flags.contains(flag) {
            open_flags |= open_flag;
        }
    }
    open_flags
}

fn descriptor_flags(rights: Rights, flags: Fdflags) -> DescriptorFlags {
    let mut descriptor_flags = DescriptorFlags::empty();
    for (is_set, flag) in [
        (rights.contains(Rights::FD_READ), DescriptorFlags::READ),
        (rights.contains(Rights::FD_WRITE), DescriptorFlags::WRITE),
        (
            flags.contains(Fdflags::SYNC),
            DescriptorFlags::FILE_INTEGRITY_SYNC,
        ),
        (
            flags.contains(Fdflags::DSYNC),
            DescriptorFlags::DATA_INTEGRITY_SYNC,
        ),
        (
            flags.contains(Fdflags::RSYNC),
            DescriptorFlags::REQUESTED_WRITE_SYNC,
        ),
    ] {
        if is_set {
            descriptor_flags |= flag;
        }
    }
    descriptor_flags
}

/// One of two times, by the flags that say that it is given or is now.
fn given_time(
    what: Fstflags,
    (nanoseconds, is_given, is_now): (i64, Fstflags, Fstflags),
) -> Result<NewTimestamp, ErrorCode> {
    match (what.contains(is_given), what.contains(is_now)) {
        (true, true) => Err(ErrorCode::Invalid),
        (false, true) => Ok(NewTimestamp::Now),
        (false, false) => Ok(NewTimestamp::NoChange),
        (true, false) => {
            let nanoseconds = nanoseconds.cast_unsigned();
            Ok(NewTimestamp::Timestamp(Datetime {
                seconds: nanoseconds / 1_000_000_000,
                nanoseconds: u32::try_from(nanoseconds % 1_000_000_000).expect("below 10^9"),
            }))
        }
    }
}
