//! The memory limit: the sum over all memories and tables of a task's store.

use std::fmt;

use wasmtime::{ResourceLimiter, Result};

/// Bytes that a table element takes in the host.
const ELEMENT_SIZE: usize = size_of::<usize>();

/// How many core instances, memories and tables a store may hold. Far above what compilers
/// produce (a Rust component has 3 instances, a Python one 30); it bounds what the host
/// spends on their bookkeeping.
pub(super) const MAX_ITEMS: usize = 200;

/// Counts what a store holds, and refuses what is over the limit.
pub(super) struct Limiter {
    limit: usize,
    /// Only ever grows, as memories and tables do: what is held is also the peak.
    held: usize,
}

/// The guest asked for more memory than it may have.
#[derive(Debug)]
pub(super) struct MemoryLimitReached {
    pub(super) limit: usize,
    pub(super) wanted: usize,
}

impl Limiter {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, held: 0 }
    }

    /// Sets the limit for what comes next. What is held stays.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Bytes held now, which is also the most that was ever held.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    fn grow(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            // Over the guest's own maximum: refused as the specification says.
            return Ok(false);
        }
        let wanted = self.held.saturating_add(desired.saturating_sub(current));
        if wanted > self.limit {
            // An error, not a refusal: the guest would only fail in its own words, which
            // tell the caller nothing of the limit.
            let limit = self.limit;
            return Err(MemoryLimitReached { limit, wanted }.into());
        }
        self.held = wanted;
        Ok(true)
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        self.grow(current, desired, maximum)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> Result<bool> {
        self.grow(
            current.saturating_mul(ELEMENT_SIZE),
            desired.saturating_mul(ELEMENT_SIZE),
            maximum.map(|maximum| maximum.saturating_mul(ELEMENT_SIZE)),
        )
    }

    fn instances(&self) -> usize {
        MAX_ITEMS
    }

    fn memories(&self) -> usize {
        MAX_ITEMS
    }

    fn tables(&self) -> usize {
        MAX_ITEMS
    }
}

impl fmt::Display for MemoryLimitReached {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "wanted {} bytes of memory, over the limit of {}",
            self.wanted, self.limit
        )
    }
}

impl std::error::Error for MemoryLimitReached {}
