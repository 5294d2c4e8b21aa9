//! Which entry of the queue is next, and which running entry must make room for it: by priority, by
//! the shares of tenants, by order.
//!
//! Plain data under the queue's lock. Callers pass the time; only [`Lanes::place`] reads the clock,
//! when a tenant joins others.
//!
//! - Lanes are priorities: the highest lane that has an entry comes first, unless a lower lane was
//!   passed over [`PATIENCE`] times.
//! - Within a lane tenants share the workers by time: the tenant whose entries have held workers
//!   for the least time comes first. That is fair queueing with equal weights and virtual time, as
//!   in Linux's former scheduler CFS. A tenant that joins, or comes back, starts with the least
//!   time of the active tenants, less [`CREDIT`]: time that it did not use is not saved up.
//! - Within a tenant entries that came back come first, then new entries: those at the greatest
//!   depth first, and in order of arrival at the same depth.
//! - A new entry that has no memory keeps its turn: no new entry of its lane or of a lower one is
//!   taken before it, and none of a higher lane once its own was passed over [`PATIENCE`] times.
//!   Entries that came back have their memory, and are taken.
//!
//! Time is counted only while there are two tenants or more. A tenant without entries is forgotten
//! when its time is no more than that of a tenant that joins, or when there are many.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use super::queue::QueueEntry;
use super::tenants::AllTenantLimits;
use crate::call::MemoryBudget;
use crate::sync::{Arc, Instant};

/// How many lanes there are; the first has the highest priority.
pub(crate) const LANES: usize = 3;

/// A lane that was passed over this many times has its turn.
const PATIENCE: u32 = 8;

/// A running call makes room once its tenant has had this much more time than a tenant that waits.
/// So two tenants that always compute take turns of about twice this time.
const GRANULARITY: Duration = Duration::from_millis(1);

/// How long a call runs, at least, before it makes room for an entry of a higher lane.
const SLICE: Duration = Duration::from_millis(1);

/// A tenant that joins, or comes back, starts with this much less time than the others. Larger than
/// [`GRANULARITY`], so that a tenant which seldom has a task does not wait for a running call.
const CREDIT: Duration = Duration::from_millis(4);

/// A call that has not made room this long after it was asked is not expected to any more: it waits
/// on its worker, or must not leave it. Then another call may be asked.
const ASK_PATIENCE: Duration = Duration::from_millis(10);

/// How far the clock advances, at least, between two searches for tenants to forget.
const FORGET_EVERY: Duration = Duration::from_millis(10);

/// Fewer tenants are not worth forgetting.
const FORGET_AT_LEAST: usize = 64;

/// The tenant of the entries without a name.
const UNNAMED: usize = 0;

/// The line that an entry waits in.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) lane: usize,
    pub(crate) tenant: Option<Arc<str>>,
    /// 0 for an entry that comes from outside, and one more than that of the entry which it comes
    /// from for any other. The deepest ones come first: so a tree of entries is taken depth-first,
    /// and few of the entries that wait for others are out at the same time.
    pub(crate) depth: u32,
}

impl From<usize> for Line {
    /// The line without a tenant.
    fn from(lane: usize) -> Self {
        Self {
            lane,
            tenant: None,
            depth: 0,
        }
    }
}

/// How an entry leaves the worker that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leave {
    /// It still counts as started.
    Stays,
    /// It waits for other entries, and does not count as started meanwhile: they may need its place
    /// among the entries that its tenant may have running.
    GivesUpPlace,
}

/// An entry that was taken, and from where.
pub(super) struct Taken<T> {
    pub(super) entry: T,
    pub(super) place: Place,
    /// What is left of its chunk.
    pub(super) followers: VecDeque<T>,
    /// Whether the entry had come back.
    pub(super) was_out: bool,
}

/// The line of an entry, by the number of its tenant: valid while the tenant has entries.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) lane: usize,
    pub(super) tenant: usize,
}

/// Which call must make room, and when to look again.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Preemption {
    /// The worker whose call must yield.
    pub(super) worker: Option<usize>,
    /// When a call may have to make room, if nothing changes until then.
    pub(super) again_at: Option<Instant>,
}

pub(super) struct Lanes<T> {
    lanes: [Lane; LANES],
    /// By number. Numbers that are not in use are in `free`.
    tenants: Vec<Tenant<T>>,
    free: Vec<usize>,
    by_name: HashMap<Arc<str>, usize>,
    limits: AllTenantLimits,
    /// The entry that each worker holds.
    workers: Box<[Option<Held>]>,
    /// How many tenants are known: those that have entries, or whose time is not forgotten yet.
    n_known: usize,
    /// The least time of the active tenants: a tenant that joins starts from here. In nanoseconds,
    /// like all times of tenants. Never goes back.
    clock: u64,
    /// The clock at which to look for tenants to forget.
    forget_at: u64,
    /// The number of named tenants at which to look for tenants to forget.
    forget_at_size: usize,
    /// How many new entries wait.
    n_queued: usize,
    /// New entries of this lane and of lower ones cannot be taken, since the entry whose turn it is
    /// waits for memory; [`LANES`] if no entry is known to. Set by `take`; reset by `take` and by
    /// `forget_shortage`.
    short_from: usize,
}

/// One priority.
#[derive(Default)]
struct Lane {
    /// The tenants that may have an entry here, by their time. Each at most once. An element may be
    /// out of date: the time has grown, or no entry is left.
    by_time: BinaryHeap<Reverse<(u64, usize)>>,
    /// How many tenants have an entry here that can be taken.
    n_ready: usize,
    /// How many workers hold entries of this lane.
    n_held: usize,
    /// How often an entry of a higher lane was taken while one waited here.
    passed_over: u32,
    /// The tenant whose first new entry here was found to have no memory. The tenant keeps its
    /// turn.
    waits_for_memory: Option<usize>,
}

struct Tenant<T> {
    name: Option<Arc<str>>,
    /// Whether the tenant counts in `n_known`.
    is_known: bool,
    /// For how long its entries have held workers, as far as that was counted.
    time: u64,
    /// Workers that hold one of its entries.
    n_held: usize,
    /// Its entries that were taken and have not ended, whether workers hold them or they are out.
    n_started: usize,
    max_running: usize,
    /// Its entries that were put aside until they are due.
    n_deferred: usize,
    lines: [TenantLine<T>; LANES],
}

/// The entries of a tenant in a lane.
struct TenantLine<T> {
    /// Each entry with the number of entries of its chunk behind it. The number is too large where
    /// some of them were cleared away: then a few entries behind the chunk count as part of it.
    queue: VecDeque<(T, usize)>,
    /// The new entries of a depth above 0, by their depth. No element is empty.
    nested: BTreeMap<u32, VecDeque<T>>,
    /// The entries that came back.
    resumed: VecDeque<T>,
    /// Those of them that had given up their place.
    returning: VecDeque<T>,
    /// Whether it has an entry that can be taken.
    is_ready: bool,
    /// Whether the tenant is in the lane's `by_time`.
    is_in_heap: bool,
}

/// What a worker has taken.
#[derive(Clone, Copy)]
struct Held {
    place: Place,
    /// When the worker took it, or later: the clock is not read while nobody else wants the worker.
    since: Option<Instant>,
    /// The moment up to which its time was counted; `None` while time is not counted.
    counted_to: Option<Instant>,
    /// When the call was asked to make room.
    asked_at: Option<Instant>,
    /// How the entry has left the worker, if it will come back.
    leaves: Option<Leave>,
}

impl<T> Lanes<T> {
    pub(super) fn new(n_workers: usize, limits: AllTenantLimits) -> Self {
        let unnamed = Tenant::new(None, limits.max_running(None));
        Self {
            lanes: std::array::from_fn(|_| Lane::default()),
            tenants: vec![unnamed],
            free: Vec::new(),
            by_name: HashMap::new(),
            limits,
            workers: vec![None; n_workers].into(),
            n_known: 0,
            clock: 0,
            forget_at: 0,
            forget_at_size: FORGET_AT_LEAST,
            n_queued: 0,
            short_from: LANES,
        }
    }

    /// How many new entries wait.
    pub(super) fn n_queued(&self) -> usize {
        self.n_queued
    }

    /// The highest lane with an entry that can be taken.
    pub(super) fn highest(&self) -> Option<usize> {
        self.lanes.iter().position(|lane| lane.n_ready > 0)
    }

    /// Whether the new entry whose turn it is waits for memory, as far as is known.
    pub(super) fn is_short_of_memory(&self) -> bool {
        self.short_from < LANES
    }

    /// There may be memory again.
    pub(super) fn forget_shortage(&mut self) {
        self.short_from = LANES;
    }

    /// Whether there are several tenants, which share the workers: entries are then taken one by
    /// one.
    pub(super) fn is_shared(&self) -> bool {
        self.n_known > 1
    }

    /// Puts the entries of a chunk behind the others of their line.
    pub(super) fn push(&mut self, chunk: impl ExactSizeIterator<Item = T>, line: &Line) {
        let n_pushed = chunk.len();
        if n_pushed == 0 {
            return;
        }
        let place = self.place(line);
        let of_tenant = self.line_mut(place);
        for (entry, n_followers) in chunk.zip((0..n_pushed).rev()) {
            of_tenant.add(entry, n_followers, line.depth);
        }
        self.n_queued += n_pushed;
        self.update(place);
    }

    /// Puts back an entry of depth 0 that was taken and not started, with the number of entries of
    /// its chunk behind it.
    pub(super) fn push_front(&mut self, entry: T, n_followers: usize, place: Place) {
        self.line_mut(place).queue.push_front((entry, n_followers));
        self.n_queued += 1;
        self.update(place);
    }

    /// Puts back an entry that was out, in front of the new entries of its line.
    pub(super) fn resume(&mut self, entry: T, line: &Line, left: Leave) {
        let place = self.place(line);
        let line = self.line_mut(place);
        match left {
            Leave::Stays => line.resumed.push_back(entry),
            Leave::GivesUpPlace => line.returning.push_back(entry),
        }
        self.update(place);
    }

    /// An entry of the line is put aside.
    pub(super) fn defer(&mut self, line: &Line) -> Place {
        let place = self.place(line);
        self.tenants[place.tenant].n_deferred += 1;
        place
    }

    /// An entry that was put aside comes back.
    pub(super) fn admit(&mut self, entry: T, place: Place, depth: u32) {
        self.forget_deferred(place);
        self.line_mut(place).add(entry, 0, depth);
        self.n_queued += 1;
        self.update(place);
    }

    /// An entry that was put aside does not come back.
    pub(super) fn forget_deferred(&mut self, place: Place) {
        self.tenants[place.tenant].n_deferred -= 1;
    }

    /// The worker no longer holds the entry that it took: the entry has ended, or has left the
    /// worker. `now` is needed while the workers are [shared](Self::is_shared).
    pub(super) fn release(&mut self, worker: usize, now: Option<Instant>) {
        let Some(held) = &mut self.workers[worker] else {
            return;
        };
        if let Some(now) = now {
            held.count_time(&mut self.tenants, now);
        }
        let Held { place, leaves, .. } = *held;
        self.workers[worker] = None;
        self.lanes[place.lane].n_held -= 1;
        let tenant = &mut self.tenants[place.tenant];
        tenant.n_held -= 1;
        if leaves != Some(Leave::Stays) {
            let was_full = tenant.n_started >= tenant.max_running;
            tenant.n_started -= 1;
            if was_full {
                self.update_all(place.tenant);
            }
        }
    }

    /// The entry that the worker holds leaves it, and will come back.
    pub(super) fn leave(&mut self, worker: usize, how: Leave) {
        if let Some(held) = &mut self.workers[worker] {
            held.leaves = Some(how);
        }
    }

    /// Takes the entry whose turn it is, for this worker. If that is a new entry for which the
    /// budget has no memory, takes an entry that came back instead.
    pub(super) fn take(
        &mut self,
        worker: usize,
        now: Option<Instant>,
        budget: Option<&Arc<MemoryBudget>>,
    ) -> Option<Taken<T>>
    where
        T: QueueEntry,
    {
        let is_due = |lane: &Lane| lane.n_ready > 0 && lane.passed_over >= PATIENCE;
        let due = self.lanes.iter().position(is_due);
        let Some(mut lane) = due.or(self.highest()) else {
            self.forget_shortage();
            return None;
        };
        let mut number = self.turn(lane)?;
        let line = &self.tenants[number].lines[lane];
        let is_short = match (budget, line.next_new()) {
            (Some(budget), Some(entry)) if !line.has_returned() => !entry.has_memory(budget),
            _ => false,
        };
        if is_short {
            self.lanes[lane].waits_for_memory = Some(number);
            self.short_from = due.map_or(lane, |_| 0);
            (lane, number) = self.first_that_came_back()?;
        } else {
            for lower in &mut self.lanes[lane + 1..] {
                if lower.n_ready > 0 {
                    lower.passed_over += 1;
                }
            }
            self.lanes[lane].passed_over = 0;
        }
        let is_shared = self.is_shared();
        if is_shared {
            self.clock = self.clock.max(self.tenants[number].time);
            if self.clock >= self.forget_at {
                self.forget(self.clock.saturating_sub(nanos(CREDIT)));
            }
        }
        let tenant = &mut self.tenants[number];
        let line = &mut tenant.lines[lane];
        let (entry, followers, origin) = match line.take_returned() {
            Some((entry, left)) => (entry, VecDeque::new(), Some(left)),
            None => {
                let (entry, n_followers) = line.take_new()?;
                self.lanes[lane].waits_for_memory = None;
                self.short_from = LANES;
                // Shares and bounds do not reach the entries in a worker's local queue.
                let is_bounded = tenant.max_running < usize::MAX || budget.is_some();
                let n_followers = match is_shared || is_bounded {
                    true => 0,
                    false => n_followers.min(line.queue.len()),
                };
                let followers = match n_followers {
                    // Draining nothing costs as much as the rest of this.
                    0 => VecDeque::new(),
                    _ => {
                        let followers = line.queue.drain(..n_followers);
                        followers.map(|(entry, _)| entry).collect()
                    }
                };
                self.n_queued -= 1 + n_followers;
                (entry, followers, None)
            }
        };
        let place = Place {
            lane,
            tenant: number,
        };
        self.hold(worker, place, origin == Some(Leave::Stays), now);
        Some(Taken {
            entry,
            place,
            followers,
            was_out: origin.is_some(),
        })
    }

    /// The worker holds an entry of this line from now on: a new one, or one that was out and still
    /// counted as started.
    pub(super) fn hold(
        &mut self,
        worker: usize,
        place: Place,
        was_out: bool,
        now: Option<Instant>,
    ) {
        self.workers[worker] = Some(Held {
            place,
            since: now,
            counted_to: now,
            asked_at: None,
            leaves: None,
        });
        self.lanes[place.lane].n_held += 1;
        let tenant = &mut self.tenants[place.tenant];
        tenant.n_held += 1;
        if !was_out {
            tenant.n_started += 1;
        }
        if tenant.n_started >= tenant.max_running {
            self.update_all(place.tenant);
        } else {
            self.update(place);
        }
    }

    /// Whether a running call may have to make room for an entry of this lane.
    pub(super) fn may_preempt(&self, lane: usize) -> bool {
        self.is_shared() || self.lanes[lane + 1..].iter().any(|lower| lower.n_held > 0)
    }

    /// Which running call must make room for the entries that wait. For use while no worker is
    /// free. Names each call once.
    pub(super) fn preempt(&mut self, now: Instant) -> Preemption {
        if self.is_shared() {
            self.count_all(now);
        }
        let waiting = self.waiting(now);
        let mut preemption = Preemption::default();
        let mut worst = None;
        for worker in 0..self.workers.len() {
            let Some(held) = &mut self.workers[worker] else {
                continue;
            };
            if let Some(asked_at) = held.asked_at {
                let lost_at = asked_at + ASK_PATIENCE;
                if lost_at > now {
                    preemption.wait_for(lost_at);
                }
                continue;
            }
            let since = *held.since.get_or_insert(now);
            let Place { lane, tenant } = held.place;
            let has_higher = waiting[..lane].iter().flatten().any(Option::is_some);
            let mut others = waiting[lane].into_iter().flatten();
            let due = if has_higher {
                Some(since + SLICE)
            } else {
                let other = others.find(|other| *other != tenant);
                other.and_then(|other| self.due(tenant, other, now))
            };
            match due {
                Some(due) if due <= now => {
                    let claim = (lane, self.tenants[tenant].time, worker);
                    worst = worst.max(Some(claim));
                }
                Some(due) => preemption.wait_for(due),
                None => {}
            }
        }
        if let Some((_, _, worker)) = worst {
            if let Some(held) = &mut self.workers[worker] {
                held.asked_at = Some(now);
            }
            preemption.worker = Some(worker);
        }
        preemption
    }

    /// The tenants that come first and second in each lane, as far as they have entries for which
    /// no call was asked to make room yet. The second one counts if the first is the tenant that
    /// runs.
    fn waiting(&mut self, now: Instant) -> [[Option<usize>; 2]; LANES] {
        let held = self.workers.iter().flatten();
        let asked = held.filter_map(|held| held.asked_at);
        let mut n_asked = asked.filter(|at| *at + ASK_PATIENCE > now).count();
        std::array::from_fn(|lane| {
            let is_short = lane >= self.short_from;
            let first_two = match is_short {
                true => self.first_two_that_came_back(lane),
                false => self.first_two(lane),
            };
            first_two.map(|tenant| {
                let line = &self.tenants[tenant?].lines[lane];
                let n_new = if is_short { 0 } else { line.n_new() };
                let n_waiting = line.resumed.len() + line.returning.len() + n_new;
                let n_open = n_waiting.saturating_sub(n_asked);
                n_asked = n_asked.saturating_sub(n_waiting);
                tenant.filter(|_| n_open > 0)
            })
        })
    }

    /// The tenants with the least and the second least time in the lane.
    fn first_two(&mut self, lane: usize) -> [Option<usize>; 2] {
        let first = self.first(lane);
        let by_time = &mut self.lanes[lane].by_time;
        if by_time.len() < 2 {
            return [first, None];
        }
        let top = by_time.pop();
        let second = self.first(lane);
        self.lanes[lane].by_time.extend(top);
        [first, second]
    }

    /// The same for tenants that have entries which came back. Looks at all tenants that have
    /// entries in the lane.
    fn first_two_that_came_back(&self, lane: usize) -> [Option<usize>; 2] {
        let numbers = self.lanes[lane].by_time.iter();
        let numbers = numbers.map(|Reverse((_, number))| *number);
        let came_back = numbers.filter(|number| {
            let tenant = &self.tenants[*number];
            let line = &tenant.lines[lane];
            !line.resumed.is_empty() || tenant.has_room() && !line.returning.is_empty()
        });
        let by_time = |number: &usize| (self.tenants[*number].time, *number);
        let first = came_back.clone().min_by_key(by_time);
        let others = came_back.filter(|number| Some(*number) != first);
        [first, others.min_by_key(by_time)]
    }

    /// The lane and the tenant of the first of the entries that came back.
    fn first_that_came_back(&self) -> Option<(usize, usize)> {
        (0..LANES).find_map(|lane| {
            let [first, _] = self.first_two_that_came_back(lane);
            Some((lane, first?))
        })
    }

    /// When a running call of `tenant` must make room for one of `other`, if ever.
    fn due(&self, tenant: usize, other: usize, now: Instant) -> Option<Instant> {
        let (runs, waits) = (&self.tenants[tenant], &self.tenants[other]);
        let mark = waits.time.saturating_add(nanos(GRANULARITY));
        if runs.time >= mark {
            return Some(now);
        }
        // By how much faster the time of `runs` grows than that of `waits`.
        let more = runs.n_held.checked_sub(waits.n_held)?;
        let wait = (mark - runs.time).checked_div(u64::try_from(more).ok()?)?;
        now.checked_add(Duration::from_nanos(wait))
    }

    /// The tenant whose entry is taken next from the lane.
    fn turn(&mut self, lane: usize) -> Option<usize> {
        // `waits_for_memory` may be out of date: then that tenant has nothing here, or its number
        // is another tenant's now, which comes first once.
        let is_ready = |number: &usize| self.tenants[*number].lines[lane].is_ready;
        let waiting = self.lanes[lane].waits_for_memory.filter(is_ready);
        waiting.or_else(|| self.first(lane))
    }

    /// The tenant with the least time in the lane.
    fn first(&mut self, lane: usize) -> Option<usize> {
        let by_time = &mut self.lanes[lane].by_time;
        loop {
            let Reverse((time, number)) = *by_time.peek()?;
            let tenant = &mut self.tenants[number];
            let line = &mut tenant.lines[lane];
            if line.is_ready && tenant.time == time {
                return Some(number);
            }
            by_time.pop();
            line.is_in_heap = line.is_ready;
            if line.is_ready {
                by_time.push(Reverse((tenant.time, number)));
            }
        }
    }

    /// Counts the time of all entries that workers hold.
    fn count_all(&mut self, now: Instant) {
        for held in self.workers.iter_mut().flatten() {
            held.count_time(&mut self.tenants, now);
        }
    }

    /// Moves the clock on to the least time of the tenants that have a worker or want one.
    fn set_clock(&mut self) {
        let waiting: [_; LANES] = std::array::from_fn(|lane| self.first(lane));
        let running = self.workers.iter().flatten().map(|held| held.place.tenant);
        let active = waiting.into_iter().flatten().chain(running);
        let least = active.map(|number| self.tenants[number].time).min();
        self.clock = self.clock.max(least.unwrap_or(0));
    }

    /// The place of a line that is about to get an entry.
    fn place(&mut self, line: &Line) -> Place {
        let number = match &line.tenant {
            None => UNNAMED,
            Some(name) => match self.by_name.get(name) {
                Some(number) => *number,
                None => self.add(name),
            },
        };
        if !self.tenants[number].is_known {
            self.tenants[number].is_known = true;
            self.n_known += 1;
        }
        if self.is_shared() && !self.tenants[number].is_active() {
            self.count_all(Instant::now());
            self.set_clock();
            let least = self.clock.saturating_sub(nanos(CREDIT));
            let tenant = &mut self.tenants[number];
            tenant.time = tenant.time.max(least);
        }
        Place {
            lane: line.lane,
            tenant: number,
        }
    }

    fn add(&mut self, name: &Arc<str>) -> usize {
        if self.by_name.len() >= self.forget_at_size {
            // Tenants with the most time stay: they would gain most by being forgotten.
            let idle = self.tenants.iter().filter(|tenant| tenant.is_idle());
            let mut times = idle.map(|tenant| tenant.time).collect::<Vec<_>>();
            let middle = times.len() / 2;
            if middle > 0 {
                self.forget(*times.select_nth_unstable(middle).1);
            }
            self.forget_at_size = FORGET_AT_LEAST.max(2 * self.by_name.len());
        }
        let name = Arc::clone(name);
        let tenant = Tenant::new(Some(&name), self.limits.max_running(Some(&name)));
        let number = match self.free.pop() {
            Some(number) => {
                self.tenants[number] = tenant;
                number
            }
            None => {
                self.tenants.push(tenant);
                self.tenants.len() - 1
            }
        };
        self.by_name.insert(name, number);
        number
    }

    /// Forgets the tenants that have no entries, and have had no more time than this.
    fn forget(&mut self, time: u64) {
        for (number, tenant) in self.tenants.iter_mut().enumerate() {
            if tenant.is_idle() && tenant.time <= time {
                tenant.is_known = false;
                self.n_known -= 1;
                for line in &mut tenant.lines {
                    line.is_in_heap = false;
                }
                if let Some(name) = tenant.name.take() {
                    self.by_name.remove(&name);
                    self.free.push(number);
                }
            }
        }
        for lane in &mut self.lanes {
            let is_known = |number: usize| self.tenants[number].is_known;
            lane.by_time
                .retain(|Reverse((_, number))| is_known(*number));
        }
        if !self.is_shared() {
            for held in self.workers.iter_mut().flatten() {
                held.counted_to = None;
            }
        }
        let n_known = u64::try_from(self.n_known).unwrap_or(u64::MAX);
        let pause = nanos(FORGET_EVERY).max(n_known.saturating_mul(1_000));
        self.forget_at = self.clock.saturating_add(pause);
    }

    /// Notes whether the line has an entry that can be taken, after a change of the line.
    fn update(&mut self, place: Place) {
        let Place {
            lane,
            tenant: number,
        } = place;
        let tenant = &mut self.tenants[number];
        let has_room = tenant.has_room();
        let line = &mut tenant.lines[lane];
        let is_ready =
            !line.resumed.is_empty() || has_room && (line.has_new() || !line.returning.is_empty());
        if is_ready != line.is_ready {
            line.is_ready = is_ready;
            let n_ready = &mut self.lanes[lane].n_ready;
            *n_ready = if is_ready { *n_ready + 1 } else { *n_ready - 1 };
        }
        if is_ready && !line.is_in_heap {
            line.is_in_heap = true;
            let by_time = &mut self.lanes[lane].by_time;
            by_time.push(Reverse((tenant.time, number)));
        }
    }

    fn update_all(&mut self, tenant: usize) {
        for lane in 0..LANES {
            self.update(Place { lane, tenant });
        }
    }

    fn line_mut(&mut self, place: Place) -> &mut TenantLine<T> {
        &mut self.tenants[place.tenant].lines[place.lane]
    }

    /// Takes all new entries out, and leaves those that came back.
    pub(super) fn drain(&mut self) -> Vec<T> {
        let mut drained = Vec::with_capacity(self.n_queued);
        // In order of priority.
        for lane in 0..LANES {
            for tenant in 0..self.tenants.len() {
                let place = Place { lane, tenant };
                let line = self.line_mut(place);
                let nested = std::mem::take(&mut line.nested);
                drained.extend(nested.into_values().rev().flatten());
                let queue = std::mem::take(&mut line.queue);
                drained.extend(queue.into_iter().map(|(entry, _)| entry));
                self.update(place);
            }
        }
        self.n_queued = 0;
        drained
    }

    /// Drops the new entries that are not wanted.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&T) -> bool) {
        self.n_queued = 0;
        for tenant in 0..self.tenants.len() {
            for line in &mut self.tenants[tenant].lines {
                line.queue.retain(|(entry, _)| is_wanted(entry));
                line.nested.retain(|_, entries| {
                    entries.retain(&is_wanted);
                    !entries.is_empty()
                });
                self.n_queued += line.n_new();
            }
            self.update_all(tenant);
        }
    }
}

impl<T> Tenant<T> {
    fn new(name: Option<&Arc<str>>, max_running: usize) -> Self {
        Self {
            name: name.map(Arc::clone),
            is_known: false,
            time: 0,
            n_held: 0,
            n_started: 0,
            max_running,
            n_deferred: 0,
            lines: std::array::from_fn(|_| TenantLine {
                queue: VecDeque::new(),
                nested: BTreeMap::new(),
                resumed: VecDeque::new(),
                returning: VecDeque::new(),
                is_ready: false,
                is_in_heap: false,
            }),
        }
    }

    /// Whether another of its entries may be started.
    fn has_room(&self) -> bool {
        self.n_started < self.max_running
    }

    /// Whether it has a worker, or wants one.
    fn is_active(&self) -> bool {
        self.n_held > 0 || self.lines.iter().any(|line| line.is_ready)
    }

    /// Whether the tenant is known only for its time: it has no entries anywhere.
    fn is_idle(&self) -> bool {
        let is_empty = |line: &TenantLine<T>| !line.has_new() && !line.has_returned();
        self.is_known
            && self.n_started == 0
            && self.n_deferred == 0
            && self.lines.iter().all(is_empty)
    }
}

impl<T> TenantLine<T> {
    /// Puts a new entry behind the others of its depth.
    fn add(&mut self, entry: T, n_followers: usize, depth: u32) {
        match depth {
            0 => self.queue.push_back((entry, n_followers)),
            _ => self.nested.entry(depth).or_default().push_back(entry),
        }
    }

    fn has_new(&self) -> bool {
        !self.queue.is_empty() || !self.nested.is_empty()
    }

    fn n_new(&self) -> usize {
        let nested = self.nested.values().map(VecDeque::len);
        self.queue.len() + nested.sum::<usize>()
    }

    /// The new entry that is next.
    fn next_new(&self) -> Option<&T> {
        match self.nested.last_key_value() {
            Some((_, deepest)) => deepest.front(),
            None => self.queue.front().map(|(entry, _)| entry),
        }
    }

    /// Takes it, with the number of entries of its chunk behind it.
    fn take_new(&mut self) -> Option<(T, usize)> {
        let Some(mut deepest) = self.nested.last_entry() else {
            return self.queue.pop_front();
        };
        let entry = deepest.get_mut().pop_front()?;
        if deepest.get().is_empty() {
            deepest.remove();
        }
        Some((entry, 0))
    }

    fn has_returned(&self) -> bool {
        !self.resumed.is_empty() || !self.returning.is_empty()
    }

    /// Takes the first of the entries that came back, and says how it had left.
    fn take_returned(&mut self) -> Option<(T, Leave)> {
        let resumed = self.resumed.pop_front();
        let resumed = resumed.map(|entry| (entry, Leave::Stays));
        resumed.or_else(|| Some((self.returning.pop_front()?, Leave::GivesUpPlace)))
    }
}

impl Held {
    /// Counts the time up to `now`, from where it was last counted.
    fn count_time<T>(&mut self, tenants: &mut [Tenant<T>], now: Instant) {
        let since = self.counted_to.unwrap_or(now);
        // Who read the clock first may come second.
        self.counted_to = Some(now.max(since));
        let elapsed = nanos(now.saturating_duration_since(since));
        let time = &mut tenants[self.place.tenant].time;
        *time = time.saturating_add(elapsed);
    }
}

impl Preemption {
    fn wait_for(&mut self, moment: Instant) {
        let again_at = self.again_at.map_or(moment, |at| at.min(moment));
        self.again_at = Some(again_at);
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::tenants::TenantLimits;

    const NORMAL: usize = 1;

    /// Lanes with a clock that only the test moves.
    struct Bench {
        lanes: Lanes<&'static str>,
        now: Instant,
        names: [Arc<str>; 2],
    }

    impl Bench {
        fn new(n_workers: usize) -> Self {
            Self::with_limits(n_workers, AllTenantLimits::default())
        }

        fn with_limits(n_workers: usize, limits: AllTenantLimits) -> Self {
            Self {
                lanes: Lanes::new(n_workers, limits),
                now: Instant::now(),
                names: ["a".into(), "b".into()],
            }
        }

        /// An entry belongs to the tenant with whose name it begins.
        fn push(&mut self, lane: usize, entries: &[&'static str]) {
            for entry in entries {
                let tenant = self.names.iter().find(|name| entry.starts_with(&***name));
                let tenant = tenant.map(Arc::clone);
                let line = Line {
                    tenant,
                    ..Line::from(lane)
                };
                self.lanes.push([*entry].into_iter(), &line);
            }
        }

        /// The worker has held its entry for this long, and takes another one.
        fn pop_after(&mut self, worker: usize, millis: u64) -> &'static str {
            self.now += Duration::from_millis(millis);
            self.lanes.release(worker, Some(self.now));
            let budget = MemoryBudget::new(1);
            let taken = self.lanes.take(worker, Some(self.now), Some(&budget));
            taken.map_or("", |taken| taken.entry)
        }

        fn preempt_after(&mut self, millis: u64) -> Preemption {
            self.now += Duration::from_millis(millis);
            self.lanes.preempt(self.now)
        }
    }

    #[test]
    fn tenants_share_by_the_time_that_they_have_had() {
        let mut bench = Bench::new(1);
        bench.push(NORMAL, &["a1", "a2", "a3", "a4", "b1", "b2", "b3", "b4"]);
        assert_eq!(bench.pop_after(0, 0), "a1");
        let order = [4, 1, 1, 1, 5, 0].map(|millis| bench.pop_after(0, millis));
        assert_eq!(order, ["b1", "b2", "b3", "b4", "a2", "a3"]);
    }

    #[test]
    fn a_tenant_that_comes_is_owed_no_more_than_its_credit() {
        let mut bench = Bench::new(1);
        bench.push(NORMAL, &["a1", "a2", "a3", "a4", "b1"]);
        assert_eq!(bench.pop_after(0, 0), "a1");
        assert_eq!(bench.pop_after(0, 1), "b1");
        let order = [1, 500, 500].map(|millis| bench.pop_after(0, millis));
        assert_eq!(order, ["a2", "a3", "a4"]);
        bench.push(NORMAL, &["b2", "b3", "b4"]);
        let order = [500, 3, 3, 0].map(|millis| bench.pop_after(0, millis));
        assert_eq!(order, ["b2", "b3", "b4", ""]);
    }

    #[test]
    fn who_runs_makes_room_when_its_tenant_has_had_more() {
        let mut bench = Bench::new(2);
        bench.push(NORMAL, &["a1", "a2", "a3"]);
        bench.pop_after(0, 0);
        bench.pop_after(1, 0);
        assert_eq!(bench.preempt_after(50), Preemption::default());
        // Tenant b starts level with a, and ahead by the credit.
        bench.push(NORMAL, &["b1", "b2"]);
        let asked = [bench.preempt_after(5).worker, bench.preempt_after(0).worker];
        assert_eq!(asked, [Some(1), Some(0)]);
        assert_eq!(bench.preempt_after(0).worker, None, "each is named once");
        assert_eq!(bench.pop_after(0, 0), "b1");
        assert_eq!(bench.pop_after(1, 0), "b2");
        // Both workers run entries of b, so the time of b grows twice as fast.
        let Preemption { worker, again_at } = bench.preempt_after(0);
        assert_eq!(worker, None);
        let wait = again_at.unwrap() - bench.now;
        bench.now += wait;
        assert!(bench.preempt_after(0).worker.is_some(), "after {wait:?}");
    }

    #[test]
    fn who_runs_makes_room_also_while_more_of_its_tenant_wait() {
        let mut bench = Bench::new(1);
        bench.push(NORMAL, &["a1", "a2", "b1", "b2"]);
        assert_eq!(bench.pop_after(0, 0), "a1");
        assert_eq!(bench.pop_after(0, 1), "b1");
        assert_eq!(bench.pop_after(0, 2), "a2");
        bench.push(NORMAL, &["a3"]);
        // The tenant that runs has the least time, and makes room after two milliseconds more.
        let Preemption { worker, again_at } = bench.preempt_after(0);
        assert_eq!(worker, None);
        assert_eq!(again_at.unwrap() - bench.now, Duration::from_millis(2));
        assert_eq!(bench.preempt_after(2).worker, Some(0));
    }

    #[test]
    fn who_does_not_make_room_is_not_waited_for() {
        let mut bench = Bench::new(2);
        bench.push(NORMAL, &["a1", "a2"]);
        bench.pop_after(0, 0);
        bench.pop_after(1, 0);
        bench.push(NORMAL, &["b1"]);
        let first = bench.preempt_after(10).worker;
        assert!(first.is_some());
        let Preemption { worker, again_at } = bench.preempt_after(0);
        assert_eq!(worker, None, "one is enough for one");
        bench.now = again_at.unwrap();
        let second = bench.preempt_after(0).worker;
        assert!(second.is_some() && second != first);
    }

    #[test]
    fn a_lower_priority_makes_room_after_a_slice() {
        let mut bench = Bench::new(1);
        bench.push(2, &["low"]);
        bench.pop_after(0, 0);
        bench.push(0, &["high"]);
        assert!(bench.lanes.may_preempt(0));
        let Preemption { worker, again_at } = bench.preempt_after(0);
        assert_eq!((worker, again_at), (None, Some(bench.now + SLICE)));
        assert_eq!(bench.preempt_after(1).worker, Some(0));
    }

    #[test]
    fn within_a_tenant_nobody_makes_room() {
        let mut bench = Bench::new(1);
        bench.push(NORMAL, &["a1", "a2", "b1"]);
        assert_eq!(bench.pop_after(0, 0), "a1");
        assert_eq!(bench.pop_after(0, 20), "b1");
        assert_eq!(bench.pop_after(0, 0), "a2");
        bench.push(NORMAL, &["a3"]);
        assert_eq!(bench.preempt_after(100), Preemption::default());
    }

    #[test]
    fn a_tenant_has_no_more_running_than_it_may() {
        let mut limits = AllTenantLimits::default();
        let two = TenantLimits::new().max_running(2);
        limits.by_name.insert("a".into(), two);
        let mut bench = Bench::with_limits(4, limits);
        bench.push(NORMAL, &["a1", "a2", "a3", "b1"]);
        let taken = [0, 1, 2, 3].map(|worker| bench.pop_after(worker, 0));
        assert_eq!(taken, ["a1", "a2", "b1", ""]);
        assert_eq!(bench.lanes.highest(), None);
        // An entry that is out has not ended.
        bench.lanes.leave(0, Leave::Stays);
        assert_eq!(bench.pop_after(0, 0), "");
        let line = Line {
            tenant: Some(Arc::clone(&bench.names[0])),
            ..Line::from(NORMAL)
        };
        bench.lanes.resume("a1", &line, Leave::Stays);
        assert_eq!(bench.pop_after(3, 0), "a1");
        assert_eq!(bench.pop_after(3, 0), "a3");
    }

    #[test]
    fn an_entry_that_gave_up_its_place_waits_for_one() {
        let mut limits = AllTenantLimits::default();
        let one = TenantLimits::new().max_running(1);
        limits.by_name.insert("a".into(), one);
        let mut bench = Bench::with_limits(2, limits);
        bench.push(NORMAL, &["a1", "a2"]);
        assert_eq!(bench.pop_after(0, 0), "a1");
        // It waits for a2, which can start meanwhile.
        bench.lanes.leave(0, Leave::GivesUpPlace);
        assert_eq!(bench.pop_after(0, 0), "a2");
        let line = Line {
            tenant: Some(Arc::clone(&bench.names[0])),
            ..Line::from(NORMAL)
        };
        bench.lanes.resume("a1", &line, Leave::GivesUpPlace);
        assert_eq!(bench.pop_after(1, 0), "");
        assert_eq!(bench.pop_after(0, 0), "a1");
    }

    #[test]
    fn the_deepest_entries_come_first_and_in_order() {
        let mut bench = Bench::new(1);
        let line = |depth| Line {
            depth,
            ..Line::from(NORMAL)
        };
        for (entry, depth) in [("0a", 0), ("1a", 1), ("2a", 2), ("1b", 1), ("2b", 2)] {
            bench.lanes.push([entry].into_iter(), &line(depth));
        }
        assert_eq!(bench.lanes.n_queued(), 5);
        assert_eq!(bench.pop_after(0, 0), "2a");
        let place = bench.lanes.defer(&line(2));
        bench.lanes.admit("2c", place, 2);
        bench.lanes.leave(0, Leave::Stays);
        bench.lanes.release(0, Some(bench.now));
        bench.lanes.resume("2a", &line(2), Leave::Stays);
        let order = [(); 4].map(|()| bench.pop_after(0, 0));
        assert_eq!(order, ["2a", "2b", "2c", "1a"]);
        bench.lanes.retain(|entry| *entry != "1b");
        assert_eq!(bench.lanes.drain(), ["0a"]);
    }

    #[test]
    fn an_entry_without_memory_keeps_its_turn() {
        let mut bench = Bench::new(1);
        bench.push(NORMAL, &["a1", "b1"]);
        assert_eq!(bench.pop_after(0, 0), "a1");
        assert_eq!(bench.pop_after(0, 10), "b1");
        bench.push(NORMAL, &["a2!", "b2"]);
        assert_eq!(bench.pop_after(0, 20), "");
        assert!(bench.lanes.is_short_of_memory());
        // An entry of a tenant that has had less time.
        bench.push(NORMAL, &["other"]);
        assert_eq!(bench.pop_after(0, 0), "");
        bench.push(0, &["a0"]);
        assert_eq!(bench.pop_after(0, 0), "a0", "a higher lane comes first");
        assert_eq!(bench.pop_after(0, 0), "");
    }

    #[test]
    fn higher_lanes_wait_too_for_an_entry_that_was_passed_over_often() {
        let mut bench = Bench::new(1);
        bench.push(2, &["low!"]);
        for _ in 0..PATIENCE {
            bench.push(0, &["high"]);
            assert_eq!(bench.pop_after(0, 0), "high");
        }
        bench.push(0, &["high"]);
        assert_eq!(bench.pop_after(0, 0), "");
        assert_eq!(bench.lanes.drain(), ["high", "low!"]);
        assert_eq!(bench.pop_after(0, 0), "");
        assert!(!bench.lanes.is_short_of_memory());
    }

    #[test]
    fn who_came_back_goes_on_while_others_wait_for_memory() {
        let mut bench = Bench::new(1);
        bench.push(NORMAL, &["b1", "a1!"]);
        assert_eq!(bench.pop_after(0, 0), "b1");
        bench.lanes.leave(0, Leave::Stays);
        assert_eq!(bench.pop_after(0, 0), "");
        let name = Arc::clone(&bench.names[1]);
        let line = Line {
            tenant: Some(name),
            ..Line::from(NORMAL)
        };
        bench.lanes.resume("b1", &line, Leave::Stays);
        assert_eq!(bench.pop_after(0, 0), "b1");
        assert!(bench.lanes.is_short_of_memory());
    }

    #[test]
    fn nobody_makes_room_for_an_entry_without_memory() {
        let mut bench = Bench::new(1);
        bench.push(NORMAL, &["b1"]);
        assert_eq!(bench.pop_after(0, 0), "b1");
        bench.push(NORMAL, &["a1!"]);
        assert_eq!(bench.preempt_after(20).worker, Some(0));
        // b1 makes room, and is taken again since a1 has no memory.
        let name = Arc::clone(&bench.names[1]);
        let line = Line {
            tenant: Some(name),
            ..Line::from(NORMAL)
        };
        bench.lanes.leave(0, Leave::Stays);
        bench.lanes.resume("b1", &line, Leave::Stays);
        assert_eq!(bench.pop_after(0, 0), "b1");
        assert_eq!(bench.preempt_after(20), Preemption::default());
        bench.push(0, &["a0"]);
        assert_eq!(bench.preempt_after(1).worker, Some(0), "for a higher lane");
        assert_eq!(bench.pop_after(0, 0), "a0");
        bench.lanes.forget_shortage();
        assert_eq!(bench.preempt_after(20), Preemption::default(), "its own");
    }

    #[test]
    fn a_tenant_whose_entry_waits_for_memory_has_started_nothing() {
        let mut limits = AllTenantLimits::default();
        let one = TenantLimits::new().max_running(1);
        limits.by_name.insert("a".into(), one);
        let mut bench = Bench::with_limits(2, limits);
        bench.push(NORMAL, &["a1!"]);
        assert_eq!(bench.pop_after(0, 0), "");
        bench.push(0, &["a0", "a2"]);
        assert_eq!(bench.pop_after(0, 0), "a0");
        assert_eq!(bench.pop_after(1, 0), "");
        // The tenant of a1 is at its limit: a1 cannot be taken, and b1 does not wait for it.
        bench.push(NORMAL, &["b1"]);
        assert_eq!(bench.pop_after(1, 0), "b1");
    }

    #[test]
    fn tenants_that_have_nothing_are_forgotten() {
        let mut bench = Bench::new(1);
        // Miri takes minutes for more.
        let n_tenants = if cfg!(miri) { 600 } else { 10_000 };
        for number in 0..n_tenants {
            let line = Line {
                tenant: Some(format!("tenant {number}").into()),
                ..Line::from(NORMAL)
            };
            bench.lanes.push(["entry"].into_iter(), &line);
            assert_eq!(bench.pop_after(0, 1), "entry");
        }
        assert!(bench.lanes.tenants.len() < 300);
        let heap = &bench.lanes.lanes[NORMAL].by_time;
        assert!(heap.len() < 300, "{}", heap.len());
    }

    #[test]
    fn who_is_alone_again_shares_with_nobody() {
        let mut bench = Bench::new(1);
        bench.push(NORMAL, &["b1"]);
        assert_eq!(bench.pop_after(0, 0), "b1");
        for _ in 0..100 {
            bench.push(NORMAL, &["a"]);
            assert_eq!(bench.pop_after(0, 1), "a");
        }
        assert!(!bench.lanes.is_shared());
    }
}
