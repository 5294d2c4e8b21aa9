//! Opens files for components, by the functions of WASI 0.2.

use cap_primitives::fs::FollowSymlinks;
use rustix::fs::Timestamps;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::WasiView as _;
use wasmtime_wasi::filesystem::{Descriptor, Dir, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor as _, NewTimestamp, OpenFlags, PathFlags,
};

use super::{Denied, Request, slow};
use crate::sandbox::store::State;

/// The interfaces that open files, of the version that `wasmtime_wasi` has.
const PREOPENS: &str = "wasi:filesystem/preopens@0.2.12";
const TYPES: &str = "wasi:filesystem/types@0.2.12";

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
    type Store<'a> = StoreContextMut<'a, State>;

    linker.allow_shadowing(true);
    add_common(linker, PREOPENS, TYPES)?;
    let mut types = linker.instance(TYPES)?;
    types.func_wrap_async(
        "[method]descriptor.open-at",
        |mut store: Store<'_>, opening: Opening| {
            Box::new(async move { Ok((store.data_mut().open_at(opening).await?,)) })
        },
    )?;
    types.func_wrap_async(
        "[method]descriptor.set-times-at",
        |mut store: Store<'_>, setting: SettingTimes| {
            Box::new(async move { Ok((store.data_mut().set_times_at(setting).await?,)) })
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// What is the same in WASI 0.2 and 0.3: how the granted folders are listed, and descriptors closed.
pub(super) fn add_common(
    linker: &mut Linker<State>,
    preopens: &str,
    types: &str,
) -> wasmtime::Result<()> {
    linker.instance(preopens)?.func_wrap(
        "get-directories",
        |mut store: StoreContextMut<'_, State>, (): ()| Ok((store.data_mut().granted_folders()?,)),
    )?;
    let of_descriptors = ResourceType::host::<Descriptor>();
    let mut types = linker.instance(types)?;
    types.resource_async("descriptor", of_descriptors, |mut store, handle| {
        Box::new(async move { store.data_mut().close(Resource::new_own(handle)).await })
    })
}

impl State {
    fn granted_folders(&mut self) -> wasmtime::Result<Vec<(Resource<Descriptor>, String)>> {
        let folders = self.folders().map(|folders| folders.all().to_owned());
        let table = self.ctx().table;
        let folders = folders.unwrap_or_default().into_iter();
        folders
            .map(|(dir, name)| Ok((table.push(Descriptor::Dir(dir))?, name)))
            .collect()
    }

    pub(super) fn dir(
        &mut self,
        dir: &Resource<Descriptor>,
    ) -> wasmtime::Result<Result<Dir, ErrorCode>> {
        Ok(match self.ctx().table.get(dir)? {
            Descriptor::Dir(dir) => Ok(dir.clone()),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory),
        })
    }

    async fn open_at(
        &mut self,
        (dir, path_flags, path, open_flags, flags): Opening,
    ) -> wasmtime::Result<Result<Resource<Descriptor>, ErrorCode>> {
        let dir = match self.dir(&dir)? {
            Ok(dir) => dir,
            Err(code) => return Ok(Err(code)),
        };
        let request = Request {
            path,
            follow: follow(path_flags),
            open_flags,
            flags,
        };
        let open = move |dir: &Dir| (super::open_at(dir, &request), request);
        let (opened, request) = slow::run(&dir, open).await;
        self.answer_opening(opened, &dir, &request)
    }

    /// Gives the guest what was opened for its request, or the reason why it was not.
    pub(super) fn answer_opening(
        &mut self,
        opened: Result<Descriptor, Denied>,
        dir: &Dir,
        request: &Request,
    ) -> wasmtime::Result<Result<Resource<Descriptor>, ErrorCode>> {
        match opened {
            Ok(opened) => {
                self.slow_files.opened(&opened);
                Ok(Ok(self.ctx().table.push(opened)?))
            }
            Err(denied) => Ok(Err(self.denied(dir, &request.path, &denied))),
        }
    }

    async fn close(&mut self, descriptor: Resource<Descriptor>) -> wasmtime::Result<()> {
        self.ctx().table.delete(descriptor)?;
        self.slow_files.close_unused().await;
        Ok(())
    }

    async fn set_times_at(
        &mut self,
        (dir, path_flags, path, accessed, modified): SettingTimes,
    ) -> wasmtime::Result<Result<(), ErrorCode>> {
        if !path_flags.contains(PathFlags::SYMLINK_FOLLOW) {
            // That opens nothing.
            let mut filesystem = self.filesystem();
            let set = filesystem.set_times_at(dir, path_flags, path, accessed, modified);
            return match set.await {
                Ok(()) => Ok(Ok(())),
                Err(error) => Ok(Err(error.downcast()?)),
            };
        }
        let dir = match self.dir(&dir)? {
            Ok(dir) => dir,
            Err(code) => return Ok(Err(code)),
        };
        let set = move |dir: &Dir| {
            let times = Timestamps {
                last_access: super::timestamp(accessed)?,
                last_modification: super::timestamp(modified)?,
            };
            super::set_times(dir, path.as_ref(), &times)
        };
        let set = slow::run(&dir, set).await;
        Ok(set.map_err(|denied| denied.code()))
    }

    /// What a guest is told that may not open something. Notes it where that is for its rights.
    pub(super) fn denied(&mut self, dir: &Dir, path: &str, denied: &Denied) -> ErrorCode {
        if let Denied::Special(kind) = denied {
            self.refuse_file(dir, path, *kind);
        }
        denied.code()
    }
}

fn follow(flags: PathFlags) -> FollowSymlinks {
    if flags.contains(PathFlags::SYMLINK_FOLLOW) {
        FollowSymlinks::Yes
    } else {
        FollowSymlinks::No
    }
}
