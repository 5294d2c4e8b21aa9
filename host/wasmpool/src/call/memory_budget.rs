//! The memory budget of a pool: how much memory all its instances hold, and who may have more.
//!
//! Each instance has a [`MemoryAccount`], which is charged for what the instance holds and gives
//! it back when it is dropped. An account is opened before its call starts and charged at once
//! for what the call is expected to need: so calls that start at the same time do not count on
//! the same free memory. A call that would not find room waits in the queue.
//!
//! How nobody waits for ever: whoever finds no room sets `is_awaited`, looks once more, and then
//! sleeps; whoever gives memory back looks at `is_awaited` afterwards. Either the first sees the
//! memory that came back, or the second sees that somebody waits. Whoever wants memory drops idle
//! instances ([`make_room`](MemoryBudget::make_room)), so while no call is live there is room for
//! any call. Instances that a session keeps are not dropped: a call that finds no room and has
//! nothing else to wait for starts without having been charged.
//!
//! Knows neither instances nor the queue: the [`MemoryOwner`] does.

use crate::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use crate::sync::{Arc, OnceLock, Weak};

/// A call is expected to need at least one page.
const LEAST_NEED: usize = 64 << 10;

pub(crate) struct MemoryBudget {
    limit: usize,
    /// The sum of what the accounts are charged.
    used: AtomicUsize,
    /// Calls that have been admitted and have not ended; idle instances do not count.
    n_live: AtomicUsize,
    /// Idle instances that can be dropped. Raised before `n_live` is lowered for the same instance:
    /// whoever reads it after `n_live` misses none.
    n_idle: AtomicUsize,
    /// Whether a worker that found no room may sleep. Set by that worker, and reset by whoever
    /// wakes it.
    is_awaited: AtomicBool,
    /// Set once, before the first call.
    owner: OnceLock<Weak<dyn MemoryOwner>>,
}

/// The pool whose instances a budget is for.
pub(crate) trait MemoryOwner: Send + Sync {
    /// Drops an idle instance, if there is one. Says whether there was.
    fn drop_idle_instance(&self) -> bool;

    /// Makes the workers that found no room for a queued task look again.
    fn memory_came_back(&self);

    /// How many live calls may never end, since they block their threads.
    fn n_stuck(&self) -> usize;
}

/// What one instance takes of the budget, given back on drop.
pub(crate) struct MemoryAccount {
    budget: Arc<MemoryBudget>,
    /// Bytes. Written by whoever has the instance.
    charged: AtomicUsize,
    /// Who has the instance: [`MERGED`], [`LIVE`], [`IDLE`] or [`KEPT`]. Written by whoever has the
    /// instance.
    holder: AtomicU8,
}

/// There is no instance: the account was opened for a call that has another one.
const MERGED: u8 = 0;

/// A call has the instance.
const LIVE: u8 = 1;

/// Nobody has the instance, which can be dropped.
const IDLE: u8 = 2;

/// A session has the instance.
const KEPT: u8 = 3;

/// There is no room for what an instance wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom {
    pub(crate) budget: usize,
    /// Bytes that others hold, or are expected to need.
    pub(crate) of_others: usize,
}

/// The request of a queued task for memory, and its account once there was room.
pub(crate) struct Admission {
    budget: Arc<MemoryBudget>,
    account: Option<Arc<MemoryAccount>>,
}

impl MemoryBudget {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            used: AtomicUsize::new(0),
            n_live: AtomicUsize::new(0),
            n_idle: AtomicUsize::new(0),
            is_awaited: AtomicBool::new(false),
            owner: OnceLock::new(),
        })
    }

    pub(crate) fn set_owner(&self, owner: Weak<dyn MemoryOwner>) {
        let is_first = self.owner.set(owner).is_ok();
        debug_assert!(is_first, "a budget is one pool's");
    }

    /// Bytes that are charged now.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::SeqCst)
    }

    /// Opens an account for a call that is expected to need this many bytes. `None` if there is no
    /// room now: then the owner is told when memory has come back. Takes no lock.
    fn admit(self: &Arc<Self>, need: usize) -> Option<Arc<MemoryAccount>> {
        let need = need.max(LEAST_NEED).min(self.limit);
        if self.take(need) {
            return Some(self.open(need));
        }
        self.is_awaited.store(true, Ordering::SeqCst);
        if self.take(need) {
            return Some(self.open(need));
        }
        // What stuck calls and sessions hold may never come back. The call starts without having
        // been charged for anything, and fails if it finds no room.
        let n_live = self.n_live.load(Ordering::SeqCst);
        let is_hopeless = n_live <= self.owner().map_or(0, |owner| owner.n_stuck())
            && self.n_idle.load(Ordering::SeqCst) == 0;
        // Whoever is counted no longer has given its memory back before.
        is_hopeless.then(|| match self.take(need) {
            true => self.open(need),
            false => self.open(0),
        })
    }

    fn open(self: &Arc<Self>, charged: usize) -> Arc<MemoryAccount> {
        self.n_live.fetch_add(1, Ordering::SeqCst);
        Arc::new(MemoryAccount {
            budget: Arc::clone(self),
            charged: AtomicUsize::new(charged),
            holder: AtomicU8::new(LIVE),
        })
    }

    fn take(&self, bytes: usize) -> bool {
        let add = |used: usize| used.checked_add(bytes).filter(|used| *used <= self.limit);
        let taken = self
            .used
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
        taken.is_ok()
    }

    /// Drops an idle instance, if there is one. Says whether there was. Must not be called with a
    /// lock of the queue.
    pub(crate) fn make_room(&self) -> bool {
        self.owner().is_some_and(|owner| owner.drop_idle_instance())
    }

    /// Wakes those who found no room, if there are any: after memory came back, or an instance
    /// became idle. Must not be called with a lock of the queue.
    pub(crate) fn notify(&self) {
        if self.is_awaited.load(Ordering::SeqCst)
            && self.is_awaited.swap(false, Ordering::SeqCst)
            && let Some(owner) = self.owner()
        {
            owner.memory_came_back();
        }
    }

    fn owner(&self) -> Option<Arc<dyn MemoryOwner>> {
        self.owner.get()?.upgrade()
    }
}

impl MemoryAccount {
    /// Charges for an instance that wants to hold this many bytes, unless that much is charged
    /// already. Drops idle instances if there is no room otherwise.
    pub(crate) fn hold(&self, bytes: usize) -> Result<(), NoRoom> {
        let charged = self.charged.load(Ordering::Relaxed);
        let more = bytes.saturating_sub(charged);
        if more == 0 {
            return Ok(());
        }
        while !self.budget.take(more) {
            let is_possible = bytes <= self.budget.limit;
            if !is_possible || !self.budget.make_room() {
                return Err(NoRoom {
                    budget: self.budget.limit,
                    of_others: self.budget.used().saturating_sub(charged),
                });
            }
        }
        self.charged.store(charged + more, Ordering::Relaxed);
        Ok(())
    }

    /// A call begins in an idle instance, whose account this is. The account that was `opened` for
    /// the call is merged into it: the larger charge stays, the smaller one goes with `opened`.
    pub(crate) fn begin(&self, opened: &Self) {
        let charged = self.charged.load(Ordering::Relaxed);
        let of_call = opened.charged.load(Ordering::Relaxed);
        self.charged.store(charged.max(of_call), Ordering::Relaxed);
        opened
            .charged
            .store(charged.min(of_call), Ordering::Relaxed);
        // The call is counted since `opened` was.
        if self.holder.swap(LIVE, Ordering::Relaxed) == IDLE {
            self.budget.n_idle.fetch_sub(1, Ordering::SeqCst);
        }
        opened.holder.store(MERGED, Ordering::Relaxed);
    }

    /// A call begins in an instance that a session has kept, whose account this is.
    pub(crate) fn resume(&self) {
        self.holder.store(LIVE, Ordering::Relaxed);
        self.budget.n_live.fetch_add(1, Ordering::SeqCst);
    }

    /// The call has ended, and its instance, which holds this many bytes, is kept.
    /// [`notify`](MemoryBudget::notify) is to be called when others can drop the instance.
    pub(crate) fn rest(&self, held: usize) {
        if self.holder.load(Ordering::Relaxed) == LIVE {
            self.budget.n_idle.fetch_add(1, Ordering::SeqCst);
        }
        self.leave_call(held, IDLE);
    }

    /// The same for an instance that a session keeps: others cannot drop it.
    pub(crate) fn keep(&self, held: usize) {
        self.leave_call(held, KEPT);
    }

    fn leave_call(&self, held: usize, holder: u8) {
        let surplus = self
            .charged
            .swap(held, Ordering::Relaxed)
            .saturating_sub(held);
        self.budget.used.fetch_sub(surplus, Ordering::SeqCst);
        if self.holder.swap(holder, Ordering::Relaxed) == LIVE {
            self.budget.n_live.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Drop for MemoryAccount {
    fn drop(&mut self) {
        let charged = self.charged.load(Ordering::Relaxed);
        self.budget.used.fetch_sub(charged, Ordering::SeqCst);
        let count = match self.holder.load(Ordering::Relaxed) {
            LIVE => Some(&self.budget.n_live),
            IDLE => Some(&self.budget.n_idle),
            _ => None,
        };
        if let Some(count) = count {
            count.fetch_sub(1, Ordering::SeqCst);
        }
        self.budget.notify();
    }
}

impl Admission {
    pub(crate) fn new(budget: &Arc<MemoryBudget>) -> Self {
        Self {
            budget: Arc::clone(budget),
            account: None,
        }
    }

    /// Says whether the task, which is expected to need this many bytes, may start. Takes no lock.
    pub(crate) fn is_granted(&mut self, need: usize) -> bool {
        if self.account.is_none() {
            self.account = self.budget.admit(need);
        }
        self.account.is_some()
    }

    /// Has the task start now. If there is no room for what it is expected to need, it is charged
    /// for nothing, and fails when it finds no room for what it wants.
    pub(crate) fn grant_at_once(&mut self, need: usize) {
        if !self.is_granted(need) {
            self.account = Some(self.budget.open(0));
        }
    }

    /// The account that was opened when it was granted.
    pub(crate) fn into_account(mut self) -> Option<Arc<MemoryAccount>> {
        self.account.take()
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        // The task may have died while others waited behind it.
        if self.account.is_none() {
            self.budget.notify();
        }
    }
}
