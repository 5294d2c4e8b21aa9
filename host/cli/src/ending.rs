//! How a run of the program can end, and the exit code of each.

use std::io;
use std::process::ExitCode;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Every task succeeded.
    AllOk,
    /// Some task failed, or an input was no input.
    SomeFailed,
    /// The command line asks for something that makes no sense.
    Usage,
    /// The module or the input cannot be used.
    Unusable,
    /// The user interrupted it.
    Interrupted,
    /// Nobody reads the output any more.
    PipeClosed,
    /// The program that ran in its place exited with this code.
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

/// Why the program could not do what it was asked to.
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

/// How a command ends that has nothing to do but write.
pub(crate) fn of_writing(written: io::Result<()>) -> Result<Ending> {
    match written {
        Ok(()) => Ok(Ending::AllOk),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Ending::PipeClosed),
        Err(error) => Err(Problem::Unusable(
            anyhow::Error::new(error).context("cannot write to standard output"),
        )),
    }
}
