//! Where the memory of a pool's instances comes from, as the pool reports it.

use serde::{Deserialize, Serialize};

/// Where the memory of instances comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Allocation {
    /// From slots that were reserved when the pool was built, which is faster.
    Pooled {
        /// Whether memory is reset page by page rather than as a whole; only if
        /// [`MemoryReset::PageWise`](crate::MemoryReset::PageWise) was chosen.
        page_wise_reset: bool,
    },
    /// From the operating system, for each instance anew: slots could not be reserved.
    OnDemand {
        /// Why slots could not be reserved.
        reason: String,
    },
}
