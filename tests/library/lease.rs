//! A file that nobody can open: a disk that does not answer, on any disk of Linux.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// Holds the lease on a file. Whoever opens the file waits until the lease is given back, or for as
/// long as `/proc/sys/fs/lease-break-time` says: 45 seconds.
pub(crate) struct Lease {
    holder: Child,
    told: ChildStdout,
}

impl Lease {
    pub(crate) fn take(path: &Path) -> Self {
        // A process of its own, since the system asks for a lease by a signal that ends others.
        let script = "import fcntl, signal, sys
signal.signal(signal.SIGIO, lambda *_: print('2', end='', flush=True))
file = open(sys.argv[1], 'r+')
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('1', end='', flush=True)
sys.stdin.read()";
        let mut command = Command::new("python3");
        command.args(["-c", script]).arg(path);
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        let told = holder.stdout.take().unwrap();
        let mut lease = Self { holder, told };
        lease.wait_for(b'1');
        lease
    }

    /// Blocks until somebody waits for the file.
    pub(crate) fn wait_until_asked_for(&mut self) {
        self.wait_for(b'2');
    }

    fn wait_for(&mut self, what: u8) {
        let mut told = [0];
        self.told.read_exact(&mut told).unwrap();
        assert_eq!(told, [what]);
    }
}

/// Gives the lease back.
impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        self.holder.wait().unwrap();
    }
}
