//! What a guest may use of the host: nothing, unless it is granted here.
//!
//! Plain data, but for the folders, which are opened when they are granted. Knows nothing of
//! how a guest is held to it.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::files::Folders;
use super::rights::Opened;
use crate::sync::Arc;

/// What a guest may use of the host: folders, variables, addresses. Nothing by default.
///
/// Given to a module ([`TaskModule::with_capabilities`](crate::TaskModule::with_capabilities)),
/// to the tasks of one reference ([`TaskOptions::capabilities`](crate::TaskOptions::capabilities))
/// or to one [`Command`](crate::Command). Cheap to clone.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wasmpool::{Access, Capabilities};
/// # let folder = std::env::temp_dir();
/// let rights = Capabilities::new()
///     .dir(folder, "/data", Access::ReadOnly)?
///     .env("LANG", "C")
///     .net("example.org:443")?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[must_use = "rights do nothing until a module, a task or a command gets them"]
pub struct Capabilities(Option<Arc<Grants>>);

/// Whether a guest may change what is in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// It may read files and list folders.
    ReadOnly,
    /// It may also create, write, rename and delete them.
    ReadWrite,
}

/// Why something cannot be granted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// The folder cannot be opened.
    #[error("cannot open the folder `{}`", path.display())]
    Dir {
        /// The folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The address has another form than `HOST:PORT`.
    #[error("`{address}` is no address: {problem}; write `HOST:PORT`, as in `example.org:443`")]
    Net {
        /// What was given.
        address: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// What was granted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grants {
    pub(crate) dirs: Vec<DirGrant>,
    /// The same folders, opened.
    pub(crate) folders: Folders,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) net: Vec<NetGrant>,
    pub(crate) inherits_stdio: bool,
    /// The seed of a guest that has nothing of chance and time.
    pub(crate) seed: Option<u64>,
}

/// A folder of the host, by the name that it has for the guest.
#[derive(Debug, Clone)]
pub(crate) struct DirGrant {
    pub(crate) host: PathBuf,
    pub(crate) guest: String,
    pub(crate) access: Access,
    /// Whether the guest may open FIFOs, sockets and devices in it.
    pub(crate) has_special_files: bool,
    /// Whether file operations in it may take long, and get threads of their own.
    pub(crate) is_slow: bool,
    /// What was there when it was granted.
    pub(crate) opened: Opened,
}

/// As what a folder is granted.
#[derive(PartialEq)]
enum Kind {
    Usual,
    WithSpecialFiles,
    OnSlowDisk,
}

/// Whom a guest may connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetGrant {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

/// A machine, as it was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Address(IpAddr),
    /// In lower case.
    Name(String),
}

impl Capabilities {
    /// Nothing at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Grants the folder `host`, and all that is below it, under the name `guest`. Opens it
    /// now, and the guest gets what was opened: who renames it or puts another one in its
    /// place changes nothing.
    ///
    /// The guest comes nowhere else: not by `..`, nor by absolute paths, nor by symbolic
    /// links, whoever made them. Hard links that are there already lead where they lead.
    ///
    /// A guest that may write can leave symbolic links in the folder that lead out of it, to
    /// `../../etc` for example. No guest follows them, but a host program that reads the folder
    /// afterwards does: open files there without following links (`O_NOFOLLOW`, or
    /// `openat2` with `RESOLVE_BENEATH`).
    ///
    /// Not bounded is how much a guest writes, and the files that it has open count against
    /// this process's own limit (each instance may hold about a thousand handles).
    ///
    /// File operations run on the worker's own thread. Where the file system of the folder is known
    /// to be slow, one of the network (NFS, SMB, Ceph, 9p and others) or of another process (FUSE),
    /// they run on threads for slow disks instead, and the guest is suspended until the disk has
    /// answered ([`TaskState::Suspended`](crate::TaskState::Suspended)): it keeps no worker, and
    /// stops take effect as for any other that waits. That costs some 50 µs for each operation. A
    /// pool has up to 64 of these threads; more operations wait in line. One that a guest was
    /// stopped in goes on until the disk has answered, so a dead disk can hold up the operations on
    /// others.
    ///
    /// The file system is looked at here, and that of another one mounted below the folder is not:
    /// see [`dir_on_slow_disk`](Self::dir_on_slow_disk). While an operation blocks on a disk that
    /// is not taken for slow, a stop ends the task and not the operation, which keeps the thread
    /// ([`PoolStats::stuck`](crate::PoolStats::stuck)). So do links and renames from a folder that
    /// is not slow to one that is. Blocks until the disk has answered.
    ///
    /// Special files in the folder (FIFOs, sockets, devices) cannot be opened, whatever links lead
    /// to them: the guest is told `not-permitted`, and the report says which, see
    /// [`TaskReport::refused`](crate::TaskReport::refused). They are not opened for a look either,
    /// except that on systems other than Linux one that takes the place of another file at that
    /// moment is opened, without waiting for it, and closed.
    /// [`dir_with_special_files`](Self::dir_with_special_files) grants them.
    ///
    /// # Errors
    ///
    /// If it is no folder, or cannot be opened.
    pub fn dir(
        self,
        host: impl AsRef<Path>,
        guest: impl Into<String>,
        access: Access,
    ) -> Result<Self, GrantError> {
        self.grant_dir(host.as_ref(), guest.into(), access, Kind::Usual)
    }

    /// As [`dir`](Self::dir), and the guest may open the special files that are in the folder:
    /// devices, and FIFOs.
    ///
    /// For devices that are read and written like files, such as `/dev/zero` or a disk. Opening
    /// does not wait: a FIFO that nobody reads cannot be opened for writing. Since WASI reads and
    /// writes files at positions, what has none, FIFOs and terminals, can be opened but neither
    /// read nor written.
    ///
    /// What a device does when it is opened, read or written is not bounded, nor how long it
    /// takes.
    ///
    /// # Errors
    ///
    /// As [`dir`](Self::dir).
    pub fn dir_with_special_files(
        self,
        host: impl AsRef<Path>,
        guest: impl Into<String>,
        access: Access,
    ) -> Result<Self, GrantError> {
        self.grant_dir(host.as_ref(), guest.into(), access, Kind::WithSpecialFiles)
    }

    /// As [`dir`](Self::dir), and the folder is on a slow disk, whatever its file system is: one
    /// on a disk of the network (a loop device, a disk by iSCSI), or one in which other file
    /// systems of the network are mounted.
    ///
    /// # Errors
    ///
    /// As [`dir`](Self::dir).
    pub fn dir_on_slow_disk(
        self,
        host: impl AsRef<Path>,
        guest: impl Into<String>,
        access: Access,
    ) -> Result<Self, GrantError> {
        self.grant_dir(host.as_ref(), guest.into(), access, Kind::OnSlowDisk)
    }

    fn grant_dir(
        self,
        path: &Path,
        guest: String,
        access: Access,
        kind: Kind,
    ) -> Result<Self, GrantError> {
        let mut grants = self.0.map_or_else(Grants::default, Arc::unwrap_or_clone);
        let failed = |source| GrantError::Dir {
            path: path.to_owned(),
            source,
        };
        let opened = Opened::open(path).map_err(failed)?;
        grants.dirs.push(DirGrant {
            host: path.to_owned(),
            guest,
            access,
            has_special_files: kind == Kind::WithSpecialFiles,
            is_slow: kind == Kind::OnSlowDisk || opened.is_slow(),
            opened,
        });
        grants.folders = Folders::open(&grants.dirs).map_err(failed)?;
        Ok(Self(Some(Arc::new(grants))))
    }

    /// Sets a variable of the guest's environment.
    pub fn env(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let name = name.into();
        self.change(|grants| {
            grants.environment.retain(|(other, _)| *other != name);
            grants.environment.push((name, value.into()));
        })
    }

    /// Grants TCP connections to `HOST:PORT`, where `HOST` is an address or a name. A name may
    /// be looked up, and then the guest may connect to each address that it was told, for as
    /// long as its instance lives.
    ///
    /// Up to 16 names are looked up at once by an instance, and up to 64 by all instances of a
    /// pool, which takes a thread each. Those of a guest that has ended count until the system has
    /// answered. Further ones fail as `temporary-resolver-failure`.
    ///
    /// Everything else is refused: other names and addresses, listening, UDP. What was
    /// refused is in the report, see [`TaskReport::refused`](crate::TaskReport::refused).
    ///
    /// # Errors
    ///
    /// If `address` has another form.
    pub fn net(self, address: &str) -> Result<Self, GrantError> {
        let failed = |problem| GrantError::Net {
            address: address.to_owned(),
            problem,
        };
        let (host, port) = address
            .rsplit_once(':')
            .ok_or_else(|| failed("it has no port"))?;
        let port = match port.parse() {
            Ok(0) | Err(_) => return Err(failed("its port is no number from 1 to 65535")),
            Ok(port) => port,
        };
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = match bare.unwrap_or(host).parse::<IpAddr>() {
            Ok(address) => Host::Address(address.to_canonical()),
            Err(_) if host.is_empty() => return Err(failed("it has no host")),
            Err(_) if host.contains([':', '/', '[', ']', ' ']) => {
                return Err(failed("its host is neither a name nor an address"));
            }
            Err(_) => Host::Name(host.to_ascii_lowercase()),
        };
        Ok(self.change(|grants| grants.net.push(NetGrant { host, port })))
    }

    /// Lets the guest read this process's standard input, and write to its standard output and
    /// error, as it goes. For debugging, and for one guest at a time: those of several mix.
    ///
    /// A program's [`Output`](crate::Output) is empty then. Writing blocks the worker for as
    /// long as nobody reads.
    pub fn inherit_stdio(self) -> Self {
        self.change(|grants| grants.inherits_stdio = true)
    }

    /// Takes chance and time from the guest: random numbers come from `seed`, the clocks begin at
    /// the first second of the year 2000 and move only when the guest sleeps, by what it sleeps.
    /// Of its task it sees the worker 0, no time left and no request to stop, so a grace period is
    /// of no use to it. The same input then gives the same output and uses the same fuel, on every
    /// machine if the pool has
    /// [`deterministic_numbers`](crate::PoolBuilder::deterministic_numbers), which says what may
    /// differ without. That is for [`Isolation::Task`](crate::Isolation::Task): a warm instance
    /// goes on with the time and the random numbers of the task before.
    ///
    /// To sleep takes no time, and of several timers that it waits for the earliest comes first.
    /// Who looks at the clock until it moves does so for ever: set a
    /// [`fuel_limit`](crate::PoolBuilder::fuel_limit), which is as exact, or a timeout.
    ///
    /// Granted folders and addresses are input, too: their times, their order and what comes
    /// from them are what they are. Since a connection and standard input take real time,
    /// sleeping takes real time for a guest that has a right to them.
    pub fn deterministic(self, seed: u64) -> Self {
        self.change(|grants| grants.seed = Some(seed))
    }

    /// What was granted, if anything was.
    pub(crate) fn grants(&self) -> Option<&Grants> {
        self.0.as_deref()
    }

    fn change(self, change: impl FnOnce(&mut Grants)) -> Self {
        let mut grants = self.0.map_or_else(Grants::default, Arc::unwrap_or_clone);
        change(&mut grants);
        Self(Some(Arc::new(grants)))
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nothing = Grants::default();
        let grants = self.grants().unwrap_or(&nothing);
        let names = grants.environment.iter().map(|(name, _)| name);
        formatter
            .debug_struct("Capabilities")
            .field("dirs", &grants.dirs)
            // Values may be secrets.
            .field("env", &names.collect::<Vec<_>>())
            .field("net", &grants.net)
            .field("inherits_stdio", &grants.inherits_stdio)
            .field("seed", &grants.seed)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(address: &str, expected: Result<(Host, u16), &str>) {
        let granted = Capabilities::new().net(address);
        match (granted, expected) {
            (Ok(granted), Ok((host, port))) => {
                assert_eq!(granted.grants().unwrap().net, [NetGrant { host, port }]);
            }
            (Err(error), Err(problem)) => {
                assert!(error.to_string().contains(problem), "{error}");
            }
            (granted, expected) => panic!("{address}: {granted:?}, not {expected:?}"),
        }
    }

    #[test]
    fn an_address_is_a_host_and_a_port() {
        let address = |text: &str| Host::Address(text.parse().unwrap());
        check("127.0.0.1:80", Ok((address("127.0.0.1"), 80)));
        check("[::1]:80", Ok((address("::1"), 80)));
        check(
            "Example.ORG:443",
            Ok((Host::Name("example.org".into()), 443)),
        );
        check("example.org", Err("it has no port"));
        check("example.org:http", Err("its port is no number"));
        check("example.org:0", Err("its port is no number"));
        check("example.org:65536", Err("its port is no number"));
        check(":80", Err("it has no host"));
        check(
            "http://example.org:80",
            Err("neither a name nor an address"),
        );
    }
}
