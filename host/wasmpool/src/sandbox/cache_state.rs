//! Whether compiled modules are kept on disk, as the pool reports it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Whether compiled modules are kept on disk. If the cache cannot be used, each process compiles
/// modules anew; nothing else changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CacheState {
    /// The cache was turned off ([`PoolBuilder::no_cache`](crate::PoolBuilder::no_cache)).
    Off,
    /// Modules are kept in this folder.
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// Modules are read from this folder, but one could not be written to it, and since then none of
    /// its size was.
    NotWritable {
        /// The folder.
        folder: PathBuf,
        /// Why it could not.
        reason: String,
    },
    /// Modules are neither read from the folder nor written to it.
    NotUsed {
        /// The folder. `None` if the user has no cache folder.
        folder: Option<PathBuf>,
        /// Why it is not used, and what to do about it.
        reason: String,
    },
}

impl CacheState {
    /// What is wrong with the cache, in one line. `None` if it works or was turned off.
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Off | Self::InUse { .. } => None,
            Self::NotWritable { folder, reason } => Some(format!(
                "nothing is added to the cache `{}`: {reason}",
                folder.display()
            )),
            Self::NotUsed {
                folder: Some(folder),
                reason,
            } => Some(format!(
                "the cache `{}` is not used: {reason}",
                folder.display()
            )),
            Self::NotUsed {
                folder: None,
                reason,
            } => Some(format!("no cache is used: {reason}")),
        }
    }
}
