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
    /// From the operating system, for each instance anew: slots could not be reserved. A pool
    /// reserves as much as there is room for, beside what its threads and the compiler need.
    #[non_exhaustive]
    OnDemand {
        /// Why slots could not be reserved, and what to do about it.
        reason: String,
        /// Bytes of addresses that each memory reserves: 4 GiB, 64 MiB or 0. With less than 4 GiB
        /// guests check the bounds of each access, and a memory moves when it grows further.
        reservation: u64,
    },
}

/// What a memory reserves that never moves and whose bounds need no checks, in bytes.
const FULL_RESERVATION: u64 = 4 << 30;

impl Allocation {
    /// What is slower than it could be, and why, in one line. `None` if memory comes from slots.
    pub fn problem(&self) -> Option<String> {
        match self {
            Self::Pooled { .. } => None,
            Self::OnDemand {
                reason,
                reservation: FULL_RESERVATION..,
            } => Some(format!("tasks start more slowly: {reason}")),
            Self::OnDemand { reason, .. } => {
                Some(format!("tasks start and compute more slowly: {reason}"))
            }
        }
    }
}
