//! Whether compiled modules are kept on disk, as the pool tells it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Whether compiled modules are kept on disk. A cache that cannot be used costs time and nothing
/// else: modules are compiled anew by each process.
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
    /// Modules are taken from this folder, and the last one could not be kept there.
    NotWritable {
        /// The folder.
        folder: PathBuf,
        /// Why it could not.
        reason: String,
    },
    /// Nothing is taken from the folder and nothing is kept there.
    NotUsed {
        /// The folder; none if the user has no cache folder.
        folder: Option<PathBuf>,
        /// Why it is not used, and what to do about it.
        reason: String,
    },
}

impl CacheState {
    /// What is wrong with the cache, in one line; none if it works or was turned off.
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
