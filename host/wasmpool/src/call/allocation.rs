//! Where the memory of a pool's instances comes from, as the pool tells it.

use serde::{Deserialize, Serialize};

/// Where the memory of instances comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Allocation {
    /// From slots that were reserved when the pool was built: the fast way.
    Pooled {
        /// Whether memory is reset page by page rather than as a whole. Only where
        /// [`MemoryReset::PageWise`](crate::MemoryReset::PageWise) was asked for, which says
        /// what it risks.
        page_wise_reset: bool,
    },
    /// From the operating system for each instance, since the slots could not be reserved.
    OnDemand {
        /// Why they could not.
        reason: String,
    },
}
