//! The memory limit: the sum over all memories and tables of a task's store; and what the store
//! takes of the pool's memory budget.

use std::fmt;

use wasmtime::{ResourceLimiter, Result};

use crate::call::{MemoryAccount, NoRoom};
use crate::sync::Arc;

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
    /// The most that the guest asked for and that it can have.
    wanted: usize,
    /// Of a pool that has a budget.
    account: Option<Arc<MemoryAccount>>,
}

/// The guest asked for more memory than it may have.
#[derive(Debug)]
pub(super) struct MemoryLimitReached {
    pub(super) limit: usize,
    pub(super) wanted: usize,
}

/// The guest asked for more memory than the pool has left.
#[derive(Debug)]
pub(super) struct MemoryBudgetUsedUp {
    wanted: usize,
    left: NoRoom,
}

impl Limiter {
    pub(super) fn new(limit: usize, account: Option<Arc<MemoryAccount>>) -> Self {
        Self {
            limit,
            held: 0,
            wanted: 0,
            account,
        }
    }

    /// Sets the limit for what comes next. What is held stays.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Bytes held now, which is also the most that was ever held.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// The most that was ever asked for within the limit and the budget, also if others had used
    /// that up.
    pub(super) fn wanted(&self) -> usize {
        self.wanted
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
        if let Some(account) = &self.account
            && let Err(left) = account.hold(wanted)
        {
            // What is over the budget by itself no wait would help.
            if wanted <= left.budget {
                self.wanted = wanted;
            }
            return Err(MemoryBudgetUsedUp { wanted, left }.into());
        }
        self.held = wanted;
        self.wanted = self.wanted.max(wanted);
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

impl fmt::Display for MemoryBudgetUsedUp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NoRoom { budget, of_others } = self.left;
        write!(
            formatter,
            "wanted {} bytes of memory, but the pool's memory budget is {budget} bytes",
            self.wanted
        )?;
        match of_others {
            0 => Ok(()),
            of_others => write!(formatter, ", of which other tasks have {of_others}"),
        }
    }
}

impl std::error::Error for MemoryBudgetUsedUp {}
