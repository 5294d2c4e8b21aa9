//! What is wrong with functions of the embedder: as they are offered, and as modules import them.

use std::fmt;

use crate::value::text;

/// Why a host function cannot be offered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostFunctionError {
    /// No component can import a function of that name.
    #[error(
        "`{name}` cannot be offered: {problem}; a name is as in `acme:host/log#write` or \
         `acme:host/log@1.2.0#write`"
    )]
    #[non_exhaustive]
    Name {
        /// What was given.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The function is in a package that the pool provides itself: of WASI, or of wasmpool.
    #[error(
        "`{name}` cannot be offered: the pool provides its package itself; take a package of your \
         own"
    )]
    #[non_exhaustive]
    Provided {
        /// What was given.
        name: String,
    },
    /// The function was added before.
    #[error("`{name}` is offered already")]
    #[non_exhaustive]
    Twice {
        /// What was given.
        name: String,
    },
}

/// An import that the pool's host function of its name does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnfitImport {
    /// The function, or an interface with it: `acme:host/log#write`.
    pub name: String,
    /// Its type in the module, as WIT has it. `None` if it cannot be written down.
    pub signature: Option<String>,
    /// What does not fit.
    pub problem: String,
}

impl fmt::Display for UnfitImport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}`", text::name(&self.name))?;
        if let Some(signature) = &self.signature {
            write!(formatter, ", imported as `{}`", text::name(signature))?;
        }
        write!(formatter, ": {}", self.problem)
    }
}
