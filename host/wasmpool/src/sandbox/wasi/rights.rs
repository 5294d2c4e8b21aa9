//! Makes the WASI context of an instance from its rights.
//!
//! Does not know when an instance begins or ends.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use rand_core::TryRng;
use rustix::fs::{Mode, OFlags};
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::p2::pipe::MemoryInputPipe;
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder};

use super::capabilities::Grants;
use super::captured::{CapturedStreams, Stream};
use super::files::slow::is_slow;
use super::network::Network;
use super::program::Invocation;
use super::time::VirtualTime;
use crate::sync::Arc;

/// How a folder is opened that is not read. On Linux this needs no right to the folder; on other
/// systems it needs the right to read it.
#[cfg(target_os = "linux")]
const UNREAD: OFlags = OFlags::PATH;
#[cfg(not(target_os = "linux"))]
const UNREAD: OFlags = OFlags::RDONLY;

/// An opened folder, which stays the same if its path changes. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Opened(Arc<OwnedFd>);

impl Opened {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = UNREAD | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self(Arc::new(opened)))
    }

    pub(super) fn is_slow(&self) -> bool {
        is_slow(&self.0)
    }

    /// A path to the folder. Without `/proc` it is `path`, by which the folder was opened, if that
    /// still leads to it.
    pub(super) fn path(&self, path: &Path) -> io::Result<PathBuf> {
        let of_process = PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        if of_process.exists() {
            return Ok(of_process);
        }
        let (opened, now) = (rustix::fs::fstat(&self.0)?, rustix::fs::stat(path)?);
        if (opened.st_dev, opened.st_ino) == (now.st_dev, now.st_ino) {
            Ok(path.to_owned())
        } else {
            Err(io::Error::other("another folder has taken its place"))
        }
    }
}

/// Makes the context of an instance. A guest without rights has its output, clocks and random
/// numbers. It has no folder, no variable, no argument, no network, and an empty standard input.
pub(crate) fn context(
    grants: Option<&Grants>,
    program: Option<Invocation>,
    output: &CapturedStreams,
    time: Option<&VirtualTime>,
    network: impl FnOnce() -> Arc<Network>,
) -> WasiCtx {
    let mut builder = builder(grants, program, output, time);
    if let Some(grants) = grants
        && !grants.net.is_empty()
    {
        network().open(&mut builder);
    }
    let mut context = builder.build();
    *context.filesystem() = folders(grants);
    context
}

pub(super) fn folders(grants: Option<&Grants>) -> WasiFilesystemCtx {
    grants.map_or_else(Default::default, |grants| grants.folders.context.clone())
}

/// The common part of contexts of both versions: all but folders and the network.
pub(super) fn builder(
    grants: Option<&Grants>,
    program: Option<Invocation>,
    output: &CapturedStreams,
    time: Option<&VirtualTime>,
) -> WasiCtxBuilder {
    let mut builder = WasiCtx::builder();
    builder
        .stdout(output.capture(Stream::Stdout))
        .stderr(output.capture(Stream::Stderr));
    let overridden = program
        .as_ref()
        .map_or(&[][..], |program| &program.environment);
    if let Some(grants) = grants {
        for (name, value) in &grants.environment {
            if overridden.iter().all(|(other, _)| other != name) {
                builder.env(name, value);
            }
        }
        if grants.inherits_stdio {
            builder.inherit_stdin();
        }
        if let Some(seed) = grants.seed {
            fix(&mut builder, seed);
        }
        if let Some(time) = time {
            builder.wall_clock(time.clone());
            builder.monotonic_clock(time.clone());
        }
    }
    if let Some(program) = program {
        builder.args(&program.arguments);
        builder.envs(&program.environment);
        if let Some(stdin) = program.stdin {
            builder.stdin(MemoryInputPipe::new(stdin.into_vec()));
        }
    }
    builder
}

/// Makes the random numbers of a guest follow from `seed`.
fn fix(builder: &mut WasiCtxBuilder, seed: u64) {
    let mut seeder = Seeded::new(seed, "insecure seed");
    let mut insecure_seed = [0; 16];
    seeder.0.fill(&mut insecure_seed);
    builder
        .secure_random(Seeded::new(seed, "random"))
        .insecure_random(Seeded::new(seed, "insecure random"))
        .insecure_random_seed(u128::from_le_bytes(insecure_seed));
}

/// Random numbers that follow from a seed. They are the output of a hash, which no later version
/// changes.
struct Seeded(blake3::OutputReader);

impl Seeded {
    fn new(seed: u64, purpose: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hasher.update(purpose.as_bytes());
        Self(hasher.finalize_xof())
    }

    fn next<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }
}

impl TryRng for Seeded {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_le_bytes(self.next()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_le_bytes(self.next()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}
