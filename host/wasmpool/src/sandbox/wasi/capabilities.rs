//! The rights of a guest to the host. Without a grant it has none.
//!
//! Plain data, except for the folders, which are opened when they are granted. Does not know how
//! rights are enforced.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use super::files::Folders;
use super::rights::Opened;
use crate::call::ChildLimits;
use crate::sandbox::host::{FunctionName, InterfaceName};
use crate::sandbox::{Module, TaskGrants};
use crate::sync::Arc;

/// The rights of a guest to the host: folders, variables, addresses, host functions, tasks. None by
/// default.
///
/// They are given to a module
/// ([`TaskModule::with_capabilities`](crate::TaskModule::with_capabilities)), to the tasks of one
/// reference ([`TaskOptions::capabilities`](crate::TaskOptions::capabilities)) or to one
/// [`Command`](crate::Command). Cheap to clone.
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

/// Whether a guest may change the content of a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Access {
    /// It may read files and list folders.
    ReadOnly,
    /// It may also create, write, rename and delete them.
    ReadWrite,
}

/// Why a right cannot be granted.
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
    /// No component can import a host function, or an interface, of that name.
    #[error(
        "`{name}` cannot be granted: {problem}; a name is as in `acme:host/log#write`, and that of an \
         interface as in `acme:host/log`"
    )]
    HostFunction {
        /// What was given.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// The granted rights.
#[derive(Debug, Clone, Default)]
pub(crate) struct Grants {
    pub(crate) dirs: Vec<DirGrant>,
    /// The same folders, opened.
    pub(crate) folders: Folders,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) net: Vec<NetGrant>,
    pub(crate) inherits_stdio: bool,
    /// The seed of a deterministic guest.
    pub(crate) seed: Option<u64>,
    pub(crate) tasks: Option<TaskGrants>,
    pub(crate) host_functions: Vec<HostGrant>,
}

/// Functions of the embedder that a guest may call.
#[derive(Debug, Clone)]
pub(crate) enum HostGrant {
    Function(FunctionName),
    Interface(InterfaceName),
}

impl HostGrant {
    fn covers(&self, import: &FunctionName) -> bool {
        let interface = import.interface.as_ref();
        match self {
            Self::Interface(granted) => interface.is_some_and(|import| granted.covers(import)),
            Self::Function(granted) if granted.function != import.function => false,
            Self::Function(granted) => match (&granted.interface, interface) {
                (Some(granted), Some(import)) => granted.covers(import),
                (None, None) => true,
                _ => false,
            },
        }
    }
}

impl Grants {
    pub(crate) fn has_host_function(&self, import: &FunctionName) -> bool {
        self.host_functions.iter().any(|grant| grant.covers(import))
    }
}

/// A folder of the host, and the name under which the guest sees it.
#[derive(Debug, Clone)]
pub(crate) struct DirGrant {
    pub(crate) host: PathBuf,
    pub(crate) guest: String,
    pub(crate) access: Access,
    /// Whether the guest may open FIFOs, sockets and devices in it.
    pub(crate) has_special_files: bool,
    /// Whether file operations in it may take long, and get threads of their own.
    pub(crate) is_slow: bool,
    /// The folder, as it was opened when it was granted.
    pub(crate) opened: Opened,
}

/// As what a folder is granted.
#[derive(PartialEq)]
enum Kind {
    Usual,
    WithSpecialFiles,
    OnSlowDisk,
}

/// A host and a port to which a guest may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetGrant {
    pub(crate) host: Host,
    pub(crate) port: u16,
}

/// The host of a granted address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    Address(IpAddr),
    /// In lower case.
    Name(String),
}

impl Capabilities {
    /// No rights.
    pub fn new() -> Self {
        Self::default()
    }

    /// Grants the folder `host` and everything below it, under the name `guest`. The folder is
    /// opened now, and the guest gets the opened folder: renaming or replacing it later changes
    /// nothing.
    ///
    /// The guest cannot leave the folder: not by `..`, nor by absolute paths, nor by symbolic
    /// links, whoever made them. Existing hard links work, and may refer to files that have other
    /// names elsewhere.
    ///
    /// A guest that may write can create symbolic links in the folder that lead out of it, to
    /// `../../etc` for example. No guest can follow them, but a host program that reads the folder
    /// afterwards does. It should open files there without following links (`O_NOFOLLOW`, or
    /// `openat2` with `RESOLVE_BENEATH`).
    ///
    /// How much a guest writes is not bounded. Its open files count against this process's own
    /// limit (each instance may hold about a thousand handles).
    ///
    /// File operations run on the worker's own thread, unless the file system of the folder is known
    /// to be slow: one of the network (NFS, SMB, Ceph, 9p and others) or of another process (FUSE).
    /// There they run on threads for slow disks, and the guest is suspended until the disk has
    /// answered ([`TaskState::Suspended`](crate::TaskState::Suspended)): it holds no worker, and is
    /// stopped as any other that waits. This costs some 50 µs for each operation. A pool has up to
    /// 64 of these threads; more operations wait in line. An operation whose guest was stopped goes
    /// on until the disk has answered, so a dead disk can delay the operations on others.
    ///
    /// The file system is determined here, which blocks until the disk has answered. Another file
    /// system that is mounted below the folder is not noticed: see
    /// [`dir_on_slow_disk`](Self::dir_on_slow_disk). While an operation blocks on a disk that is not
    /// taken for slow, a stop ends the task but not the operation, which keeps the thread
    /// ([`PoolStats::stuck`](crate::PoolStats::stuck)). The same holds for links and renames from a
    /// folder that is not slow to one that is.
    ///
    /// Special files in the folder (FIFOs, sockets, devices) cannot be opened, not by links either.
    /// The guest gets `not-permitted`, and [`TaskReport::refused`](crate::TaskReport::refused)
    /// lists the file. The check does not open the file, with one exception: on systems other than
    /// Linux, a special file that replaces another file at that moment is opened, without waiting,
    /// and closed. [`dir_with_special_files`](Self::dir_with_special_files) grants them.
    ///
    /// # Errors
    ///
    /// If `host` is not a folder or cannot be opened.
    pub fn dir(
        self,
        host: impl AsRef<Path>,
        guest: impl Into<String>,
        access: Access,
    ) -> Result<Self, GrantError> {
        self.grant_dir(host.as_ref(), guest.into(), access, Kind::Usual)
    }

    /// As [`dir`](Self::dir), but the guest may also open special files in the folder: devices and
    /// FIFOs.
    ///
    /// This is for devices that are read and written like files, such as `/dev/zero` or a disk.
    /// Opening does not wait: a FIFO without a reader cannot be opened for writing. WASI reads and
    /// writes files at positions. FIFOs and terminals have no positions, so they can be opened but
    /// neither read nor written.
    ///
    /// What a device does when it is opened, read or written is not bounded, nor is the time that
    /// it takes.
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

    /// Grants TCP connections to `HOST:PORT`, where `HOST` is an address or a name. The guest may
    /// look a granted name up, and may then connect to each address in the answer for as long as
    /// its instance lives. It may also send HTTP requests to what is granted, with `https` too.
    ///
    /// An instance may have 16 look-ups at once, and all instances of a pool together 64; each
    /// look-up takes a thread. The look-ups of a guest that has ended count until the system has
    /// answered. Further look-ups fail as `temporary-resolver-failure`.
    ///
    /// Everything else is refused: other names and addresses, listening, UDP.
    /// [`TaskReport::refused`](crate::TaskReport::refused) lists what was refused.
    ///
    /// # Errors
    ///
    /// If `address` does not have the form `HOST:PORT`.
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
    /// error directly. This is for debugging, with one guest at a time: the output of several
    /// guests mixes.
    ///
    /// A program's [`Output`](crate::Output) is empty then. A write blocks the worker until the
    /// process's stream takes it.
    pub fn inherit_stdio(self) -> Self {
        self.change(|grants| grants.inherits_stdio = true)
    }

    /// Makes the guest deterministic. Random numbers come from `seed`. The clocks begin at the
    /// first second of the year 2000, and advance only while the guest sleeps, by the time that it
    /// sleeps. The guest sees the worker 0, no time limit and no request to stop, so a grace period
    /// is of no use to it.
    ///
    /// The same input then gives the same output and uses the same fuel, on every machine if the
    /// pool has [`deterministic_numbers`](crate::PoolBuilder::deterministic_numbers), whose
    /// documentation says what may differ without it. This holds for
    /// [`Isolation::Task`](crate::Isolation::Task): a warm instance keeps the time and the random
    /// numbers of its earlier tasks.
    ///
    /// Sleeping takes no real time. If the guest waits for several timers, the earliest fires
    /// first. A guest that checks the clock in a loop until it advances never ends: set a
    /// [`fuel_limit`](crate::PoolBuilder::fuel_limit), which is exact as well, or a timeout.
    ///
    /// Granted folders and addresses are input, too: the times of files, the order of entries and
    /// the content of answers are not made deterministic. For a guest with a right to connections
    /// or to standard input, which take real time, sleeping takes real time.
    pub fn deterministic(self, seed: u64) -> Self {
        self.change(|grants| grants.seed = Some(seed))
    }

    /// Lets the guest call one of the pool's
    /// [host functions](crate::PoolBuilder::host_functions): `acme:host/log#write`. Without a version
    /// the name is for all versions of the interface, with one for compatible versions.
    ///
    /// A guest that calls a host function without a grant ends as
    /// [`NotGranted`](crate::TaskErrorKind::NotGranted), unless what it passes is over the payload limit
    /// or breaks the rules of the component model, which is found first. A grant of a function that the pool does not
    /// have, or that the module does not import, has no effect.
    ///
    /// # Errors
    ///
    /// If it is no name of a function.
    pub fn host_function(self, name: &str) -> Result<Self, GrantError> {
        let function = FunctionName::parse(name).map_err(|problem| GrantError::HostFunction {
            name: name.to_owned(),
            problem,
        })?;
        Ok(self.change(|grants| grants.host_functions.push(HostGrant::Function(function))))
    }

    /// As [`host_function`](Self::host_function), for all functions of an interface:
    /// `acme:host/log`.
    ///
    /// # Errors
    ///
    /// If it is no name of an interface.
    pub fn host_interface(self, name: &str) -> Result<Self, GrantError> {
        let interface = InterfaceName::parse(name).map_err(|problem| GrantError::HostFunction {
            name: name.to_owned(),
            problem,
        })?;
        Ok(self.change(|grants| grants.host_functions.push(HostGrant::Interface(interface))))
    }

    /// Lets the guest start tasks of its own module: its children.
    ///
    /// A child is a task of the pool like any other. It has the tenant, the priority and the rights
    /// of the task that starts it, its parent; at most its memory limit; and at most the time that
    /// the parent has left. The parent can wait for it, and gets its result or its error. When the
    /// parent ends, in whichever way, its children are cancelled, except those that it has started
    /// as independent ones.
    ///
    /// A parent that waits is [suspended](crate::TaskState::Suspended), so a pool of one worker can
    /// run trees of tasks. Children come before other queued tasks of their tenant, the most deeply
    /// nested first, so few parents wait at once. Where
    /// [`max_suspended`](crate::PoolBuilder::max_suspended) tasks wait already, waiting fails with
    /// an error that the guest can handle. The queue's capacity does not hold children back;
    /// [`child_limits`](Self::child_limits) does. Of a tenant with
    /// [`max_running`](crate::TenantLimits::max_running), a task that waits for its children does
    /// not count as running. A child never waits for a
    /// [memory budget](crate::PoolBuilder::memory_budget): it fails where there is no memory.
    pub fn tasks(self) -> Self {
        self.change_tasks(|tasks| tasks.own = true)
    }

    /// The limits for the children of each task, with their children. No effect without a right to
    /// start [tasks](Self::tasks). Default: [`ChildLimits::new`].
    pub fn child_limits(self, limits: ChildLimits) -> Self {
        self.change_tasks(|tasks| tasks.limits = limits)
    }

    /// Lets the guest start tasks of the module, which it names so.
    pub(crate) fn with_tasks_of(self, name: String, module: Arc<Module>) -> Self {
        self.change_tasks(|tasks| {
            tasks.modules.retain(|(known, _)| *known != name);
            tasks.modules.push((name, module));
        })
    }

    fn change_tasks(self, change: impl FnOnce(&mut TaskGrants)) -> Self {
        self.change(|grants| change(grants.tasks.get_or_insert_default()))
    }

    /// The granted rights, if there are any.
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
            .field("tasks", &grants.tasks)
            .field("host_functions", &grants.host_functions)
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
