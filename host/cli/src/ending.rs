//! How the program can end, and the exit code of each case.

use std::io;
use std::process::ExitCode;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Every task succeeded.
    AllOk,
    /// Some task failed, or an input was invalid.
    SomeFailed,
    /// The command line is invalid.
    Usage,
    /// The module or the input cannot be used.
    Unusable,
    /// The user interrupted it.
    Interrupted,
    /// The reader of the output has closed it.
    PipeClosed,
    /// The WASI program that had the standard streams exited with this code.
    Exited(u8),
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        // `--help` lists the same codes.
        Self::from(match ending {
            Ending::AllOk | Ending::PipeClosed => 0,
            Ending::SomeFailed => 1,
            Ending::Usage => 2,
            Ending::Unusable => 3,
            Ending::Interrupted => 130,
            Ending::Exited(code) => code,
        })
    }
}

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Problem {
    Usage(anyhow::Error),
    Unusable(anyhow::Error),
}

impl Problem {
    pub(crate) fn error(&self) -> &anyhow::Error {
        match self {
            Self::Usage(error) | Self::Unusable(error) => error,
        }
    }

    pub(crate) fn ending(&self) -> Ending {
        match self {
            Self::Usage(_) => Ending::Usage,
            Self::Unusable(_) => Ending::Unusable,
        }
    }
}

pub(crate) type Result<T> = std::result::Result<T, Problem>;

/// The ending of a command that only writes.
pub(crate) fn of_writing(written: io::Result<()>) -> Result<Ending> {
    match written {
        Ok(()) => Ok(Ending::AllOk),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ending::PipeClosed),
        Err(error) => Err(Problem::Unusable(
            anyhow::Error::new(error).context("cannot write to standard output"),
        )),
    }
}
