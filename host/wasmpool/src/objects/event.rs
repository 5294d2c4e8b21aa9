//! Events, conditions and barriers: what tasks tell each other.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::budget::{Charge, ObjectBudget};
use super::lock::Hold;
use super::monitor::{Lines, Monitor, State};
use crate::sync::Arc;
use crate::sync::atomic::{AtomicU8, Ordering};

/// A flag that many wait for.
#[derive(Clone)]
pub(crate) struct Event(Arc<Monitor<Flag>>);

struct Flag {
    is_set: bool,
    _charge: Charge,
}

impl State for Flag {
    const IN_ORDER: bool = false;

    fn wake(&mut self, lines: &mut Lines) {
        if self.is_set {
            lines.wake_all(0);
        }
    }
}

impl Event {
    pub(crate) fn new(budget: &Arc<ObjectBudget>) -> Result<Self, String> {
        Ok(Self(Arc::new(Monitor::new(Flag {
            is_set: false,
            _charge: budget.object()?,
        }))))
    }

    pub(crate) fn set(&self, is_set: bool) {
        self.0.change(|flag, _| flag.is_set = is_set);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.look(|flag| flag.is_set)
    }

    /// Waits until the flag is set.
    pub(crate) fn wait(&self) -> impl Future<Output = ()> + use<> {
        self.0.wait(0, |flag: &mut Flag| flag.is_set.then_some(()))
    }
}

/// A condition, which is waited for with a lock in hand.
#[derive(Clone)]
pub(crate) struct Condition(Arc<Monitor<Notices>>);

struct Notices {
    /// How many of those who wait have been notified and have not gone on yet: those who came first.
    given: usize,
    _charge: Charge,
}

impl State for Notices {
    fn wake(&mut self, lines: &mut Lines) {
        // Who was notified may have left: then the next one is. Nobody is notified in advance.
        self.given = self.given.min(lines.len(0));
        if self.given > 0 {
            lines.wake_first(0);
        }
    }
}

/// What was to be given back was no lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotALock;

impl Condition {
    pub(crate) fn new(budget: &Arc<ObjectBudget>) -> Result<Self, String> {
        Ok(Self(Arc::new(Monitor::new(Notices {
            given: 0,
            _charge: budget.object()?,
        }))))
    }

    /// Gives the lock back, waits to be notified or until `is_over`, and takes the lock again. Says
    /// whether it was notified. If this is dropped before it is ready, the lock is not held.
    pub(crate) async fn wait(
        &self,
        held: Hold,
        is_over: impl Future<Output = ()>,
    ) -> Result<(Hold, bool), NotALock> {
        let lock = held.lock().ok_or(NotALock)?;
        let is_notified = {
            let mut held = Some(held);
            let mut is_over = pin!(is_over);
            let mut notified = pin!(self.0.wait(0, |notices: &mut Notices| {
                notices.given = notices.given.checked_sub(1)?;
                Some(())
            }));
            poll_fn(|context| {
                if notified.as_mut().poll(context).is_ready() {
                    return Poll::Ready(true);
                }
                // It stands in the line by now: who takes the lock next can notify it.
                if let Some(held) = held.take() {
                    held.give_back();
                }
                is_over.as_mut().poll(context).map(|()| false)
            })
            .await
        };
        Ok((lock.acquire().await, is_notified))
    }

    /// Notifies so many of those who wait.
    pub(crate) fn notify(&self, waiters: usize) {
        self.0.change(|notices, lines| {
            notices.given = notices.given.saturating_add(waiters).min(lines.len(0));
        });
    }
}

/// A barrier, at which a number of parties wait for each other.
#[derive(Clone)]
pub(crate) struct Barrier(Arc<Monitor<Gathering>>);

struct Gathering {
    parties: u32,
    n_waiting: u32,
    is_broken: bool,
    /// How the round that gathers now ends.
    round: Arc<AtomicU8>,
    _charge: Charge,
}

const GATHERS: u8 = 0;
const IS_COMPLETE: u8 = 1;
const IS_BROKEN: u8 = 2;

/// Somebody has left the barrier before all were there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken;

impl State for Gathering {
    const IN_ORDER: bool = false;

    fn wake(&mut self, lines: &mut Lines) {
        // Nobody of this round: then those of an earlier one are still in the line.
        if self.n_waiting == 0 {
            lines.wake_all(0);
        }
    }
}

impl Gathering {
    /// The round ends, and another begins.
    fn end_round(&mut self, how: u8) {
        let round = std::mem::replace(&mut self.round, Arc::new(AtomicU8::new(GATHERS)));
        round.store(how, Ordering::SeqCst);
        self.n_waiting = 0;
    }

    fn break_round(&mut self) {
        self.is_broken = true;
        self.end_round(IS_BROKEN);
    }
}

/// A party that waits. If it leaves before the round has ended, the barrier is broken.
struct Arrived {
    monitor: Arc<Monitor<Gathering>>,
    round: Arc<AtomicU8>,
}

impl Drop for Arrived {
    fn drop(&mut self) {
        self.monitor.change(|gathering, _| {
            if Arc::ptr_eq(&gathering.round, &self.round) {
                gathering.break_round();
            }
        });
    }
}

impl Barrier {
    /// A barrier for so many parties; for one at the least.
    pub(crate) fn new(parties: u32, budget: &Arc<ObjectBudget>) -> Result<Self, String> {
        Ok(Self(Arc::new(Monitor::new(Gathering {
            parties: parties.max(1),
            n_waiting: 0,
            is_broken: false,
            round: Arc::new(AtomicU8::new(GATHERS)),
            _charge: budget.object()?,
        }))))
    }

    /// Waits until all parties are there. Returns 0 to the one that came last, 1 to the one before
    /// and so on.
    pub(crate) async fn wait(&self) -> Result<u32, Broken> {
        let (n_missing, round) = self.0.change(|gathering, _| {
            if gathering.is_broken {
                return Err(Broken);
            }
            let round = Arc::clone(&gathering.round);
            gathering.n_waiting += 1;
            let n_missing = gathering.parties - gathering.n_waiting;
            if n_missing == 0 {
                gathering.end_round(IS_COMPLETE);
            }
            Ok((n_missing, round))
        })?;
        if n_missing == 0 {
            return Ok(0);
        }
        let arrived = Arrived {
            monitor: Arc::clone(&self.0),
            round,
        };
        let round = Arc::clone(&arrived.round);
        let ended = self.0.wait(0, move |_: &mut Gathering| {
            match round.load(Ordering::SeqCst) {
                GATHERS => None,
                IS_COMPLETE => Some(Ok(())),
                _ => Some(Err(Broken)),
            }
        });
        ended.await.map(|()| n_missing)
    }

    /// Breaks the barrier.
    pub(crate) fn abort(&self) {
        self.0.change(|gathering, _| gathering.break_round());
    }

    /// Makes the barrier whole. Whoever waits is told that it was broken.
    pub(crate) fn reset(&self) {
        self.0.change(|gathering, _| {
            gathering.end_round(IS_BROKEN);
            gathering.is_broken = false;
        });
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.0.look(|gathering| gathering.is_broken)
    }
}
