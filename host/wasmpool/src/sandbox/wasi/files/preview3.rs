//! Opens files for components, by the functions of WASI 0.3.

use cap_primitives::fs::FollowSymlinks;
use rustix::fs::Timestamps;
use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime_wasi::filesystem::{Descriptor, Dir, WasiFilesystem, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;
use wasmtime_wasi::p2::bindings::filesystem::types as preview2;
use wasmtime_wasi::p3::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptorWithStore as _, NewTimestamp, OpenFlags, PathFlags,
};

use super::preview2::add_common;
use super::{Request, slow};
use crate::sandbox::store::State;

/// The interfaces that open files, of the version that `wasmtime_wasi` has.
const PREOPENS: &str = "wasi:filesystem/preopens@0.3.0";
const TYPES: &str = "wasi:filesystem/types@0.3.0";

type Opening = (
    Resource<Descriptor>,
    PathFlags,
    String,
    OpenFlags,
    DescriptorFlags,
);
type SettingTimes = (
    Resource<Descriptor>,
    PathFlags,
    String,
    NewTimestamp,
    NewTimestamp,
);

/// Puts the functions that open and close files into the place of WASI's own.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    add_common(linker, PREOPENS, TYPES)?;
    let mut types = linker.instance(TYPES)?;
    types.func_wrap_concurrent(
        "[method]descriptor.open-at",
        |accessor: &Accessor<State>, opening: Opening| {
            Box::pin(async move { Ok((open_at(accessor, opening).await?,)) })
        },
    )?;
    types.func_wrap_concurrent(
        "[method]descriptor.set-times-at",
        |accessor: &Accessor<State>, setting: SettingTimes| {
            Box::pin(async move { Ok((set_times_at(accessor, setting).await?,)) })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

async fn open_at(
    accessor: &Accessor<State>,
    (dir, path_flags, path, open_flags, flags): Opening,
) -> wasmtime::Result<Result<Resource<Descriptor>, ErrorCode>> {
    let dir = match accessor.with(|mut store| store.data_mut().dir(&dir))? {
        Ok(dir) => dir,
        Err(code) => return Ok(Err(from_preview2(code))),
    };
    let request = Request {
        path,
        follow: match path_flags.contains(PathFlags::SYMLINK_FOLLOW) {
            true => FollowSymlinks::Yes,
            false => FollowSymlinks::No,
        },
        open_flags: in_preview2(open_flags),
        flags: flags_in_preview2(flags),
    };
    let open = move |dir: &Dir| (super::open_at(dir, &request), request);
    let (opened, request) = slow::run(&dir, open).await;
    let opened =
        accessor.with(|mut store| store.data_mut().answer_opening(opened, &dir, &request))?;
    Ok(opened.map_err(from_preview2))
}

async fn set_times_at(
    accessor: &Accessor<State>,
    (dir, path_flags, path, accessed, modified): SettingTimes,
) -> wasmtime::Result<Result<(), ErrorCode>> {
    if !path_flags.contains(PathFlags::SYMLINK_FOLLOW) {
        // That opens nothing.
        let accessor = accessor.with_getter::<WasiFilesystem>(State::filesystem);
        let set =
            WasiFilesystem::set_times_at(&accessor, dir, path_flags, path, accessed, modified);
        return match set.await {
            Ok(()) => Ok(Ok(())),
            Err(error) => Ok(Err(error.downcast()?)),
        };
    }
    let dir = match accessor.with(|mut store| store.data_mut().dir(&dir))? {
        Ok(dir) => dir,
        Err(code) => return Ok(Err(from_preview2(code))),
    };
    let set = move |dir: &Dir| {
        let times = Timestamps {
            last_access: super::timestamp(time_in_preview2(accessed)?)?,
            last_modification: super::timestamp(time_in_preview2(modified)?)?,
        };
        super::set_times(dir, path.as_ref(), &times)
    };
    let set = slow::run(&dir, set).await;
    Ok(set.map_err(|denied| from_preview2(denied.code())))
}

fn in_preview2(open_flags: OpenFlags) -> preview2::OpenFlags {
    let same = [
        (OpenFlags::CREATE, preview2::OpenFlags::CREATE),
        (OpenFlags::DIRECTORY, preview2::OpenFlags::DIRECTORY),
        (OpenFlags::EXCLUSIVE, preview2::OpenFlags::EXCLUSIVE),
        (OpenFlags::TRUNCATE, preview2::OpenFlags::TRUNCATE),
    ];
    let set = same.iter().filter(|(flag, _)| open_flags.contains(*flag));
    set.fold(preview2::OpenFlags::empty(), |set, (_, flag)| set | *flag)
}

fn flags_in_preview2(flags: DescriptorFlags) -> preview2::DescriptorFlags {
    use preview2::DescriptorFlags as Same;
    let same = [
        (DescriptorFlags::READ, Same::READ),
        (DescriptorFlags::WRITE, Same::WRITE),
        (
            DescriptorFlags::FILE_INTEGRITY_SYNC,
            Same::FILE_INTEGRITY_SYNC,
        ),
        (
            DescriptorFlags::DATA_INTEGRITY_SYNC,
            Same::DATA_INTEGRITY_SYNC,
        ),
        (
            DescriptorFlags::REQUESTED_WRITE_SYNC,
            Same::REQUESTED_WRITE_SYNC,
        ),
        (DescriptorFlags::MUTATE_DIRECTORY, Same::MUTATE_DIRECTORY),
    ];
    let set = same.iter().filter(|(flag, _)| flags.contains(*flag));
    set.fold(Same::empty(), |set, (_, flag)| set | *flag)
}

/// Times before 1970 are none that can be set, as in WASI 0.2.
fn time_in_preview2(given: NewTimestamp) -> Result<preview2::NewTimestamp, preview2::ErrorCode> {
    Ok(match given {
        NewTimestamp::NoChange => preview2::NewTimestamp::NoChange,
        NewTimestamp::Now => preview2::NewTimestamp::Now,
        NewTimestamp::Timestamp(given) => preview2::NewTimestamp::Timestamp(Datetime {
            seconds: u64::try_from(given.seconds).map_err(|_| preview2::ErrorCode::Overflow)?,
            nanoseconds: given.nanoseconds,
        }),
    })
}

fn from_preview2(code: preview2::ErrorCode) -> ErrorCode {
    use preview2::ErrorCode as Code;
    match code {
        Code::Access => ErrorCode::Access,
        // Nothing waits in WASI 0.3 without being asynchronous.
        Code::WouldBlock => ErrorCode::Other(Some("would block".to_owned())),
        Code::Already => ErrorCode::Already,
        Code::BadDescriptor => ErrorCode::BadDescriptor,
        Code::Busy => ErrorCode::Busy,
        Code::Deadlock => ErrorCode::Deadlock,
        Code::Quota => ErrorCode::Quota,
        Code::Exist => ErrorCode::Exist,
        Code::FileTooLarge => ErrorCode::FileTooLarge,
        Code::IllegalByteSequence => ErrorCode::IllegalByteSequence,
        Code::InProgress => ErrorCode::InProgress,
        Code::Interrupted => ErrorCode::Interrupted,
        Code::Invalid => ErrorCode::Invalid,
        Code::Io => ErrorCode::Io,
        Code::IsDirectory => ErrorCode::IsDirectory,
        Code::Loop => ErrorCode::Loop,
        Code::TooManyLinks => ErrorCode::TooManyLinks,
        Code::MessageSize => ErrorCode::MessageSize,
        Code::NameTooLong => ErrorCode::NameTooLong,
        Code::NoDevice => ErrorCode::NoDevice,
        Code::NoEntry => ErrorCode::NoEntry,
        Code::NoLock => ErrorCode::NoLock,
        Code::InsufficientMemory => ErrorCode::InsufficientMemory,
        Code::InsufficientSpace => ErrorCode::InsufficientSpace,
        Code::NotDirectory => ErrorCode::NotDirectory,
        Code::NotEmpty => ErrorCode::NotEmpty,
        Code::NotRecoverable => ErrorCode::NotRecoverable,
        Code::Unsupported => ErrorCode::Unsupported,
        Code::NoTty => ErrorCode::NoTty,
        Code::NoSuchDevice => ErrorCode::NoSuchDevice,
        Code::Overflow => ErrorCode::Overflow,
        Code::NotPermitted => ErrorCode::NotPermitted,
        Code::Pipe => ErrorCode::Pipe,
        Code::ReadOnly => ErrorCode::ReadOnly,
        Code::InvalidSeek => ErrorCode::InvalidSeek,
        Code::TextFileBusy => ErrorCode::TextFileBusy,
        Code::CrossDevice => ErrorCode::CrossDevice,
    }
}
