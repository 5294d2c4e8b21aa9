//! Concurrency primitives on top of shuttle, with the names of the library's room `sync`.
//!
//! Time is simulated by a thread. [`Instant`] counts from the start of the schedule. The clock's
//! thread knows the deadlines of all sleepers. Whenever the scheduler runs it, time advances to the
//! earliest deadline, and that sleeper is woken. So a deadline may pass at any moment, and always
//! passes in the end: a thread that sleeps with a deadline is no deadlock. A thread that sleeps
//! without one is woken only by other threads. How long the clock waits is drawn anew for each
//! schedule. Each read of the clock takes [`LOOK`], so that a thread that polls until a deadline
//! comes to an end.
//!
//! Spurious wake-ups are allowed for condition variables and parked threads. They would hide lost
//! wake-ups, so only every fourth schedule has them.
//!
//! Condition variables and parking are implemented here, with shuttle's mutex and condition
//! variable: shuttle's own have no timeout, and its parked threads have spurious wake-ups all the
//! time.

use std::cell::{Cell, RefCell};
use std::ops::{Deref, DerefMut};
use std::sync::PoisonError;
use std::time::Duration;

use shuttle::rand::{Rng as _, thread_rng};

pub(crate) use shuttle::sync::atomic;
pub(crate) use shuttle::sync::{Arc, Weak};

/// Takes the lock, also if an earlier holder panicked. Blocks while another thread has it.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    let guard = mutex.0.lock().unwrap_or_else(PoisonError::into_inner);
    MutexGuard { mutex, guard }
}

/// Blocks until `condvar` is signalled, until a spurious wake-up, or until the deadline, after
/// which the guard is returned as an error.
pub(crate) fn wait<'a, T>(
    condvar: &Condvar,
    guard: MutexGuard<'a, T>,
    deadline: Option<Instant>,
) -> Result<MutexGuard<'a, T>, MutexGuard<'a, T>> {
    if deadline.is_some_and(|deadline| deadline < Instant::now()) {
        return Err(guard);
    }
    let mutex = guard.mutex;
    // A signal at this point, without the lock, comes too early.
    pass();
    let sleeper = Arc::new(Sleeper::default());
    condvar.with(|sleepers| sleepers.push(Arc::clone(&sleeper)));
    drop(guard);
    sleeper.sleep(deadline);
    condvar.with(|sleepers| sleepers.retain(|other| !Arc::ptr_eq(other, &sleeper)));
    Ok(lock(mutex))
}

/// Lets the scheduler choose the next thread.
fn pass() {
    shuttle::thread::sleep(Duration::ZERO);
}

#[derive(Default)]
pub(crate) struct Mutex<T: ?Sized>(shuttle::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }
}

/// Shuttle's guard, and the mutex to lock again after a wait.
pub(crate) struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    guard: shuttle::sync::MutexGuard<'a, T>,
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

/// The sleepers, in the order of their arrival. The lock is held for one step at a time, so the
/// standard library's is used and never blocks.
#[derive(Default)]
pub(crate) struct Condvar(std::sync::Mutex<Vec<Arc<Sleeper>>>);

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Wakes one sleeper, chosen at random.
    pub(crate) fn notify_one(&self) {
        pass();
        let sleeper = self.with(|sleepers| match sleepers.len() {
            0 => None,
            1 => sleepers.pop(),
            n => Some(sleepers.swap_remove(thread_rng().gen_range(0..n))),
        });
        if let Some(sleeper) = sleeper {
            sleeper.wake();
        }
    }

    pub(crate) fn notify_all(&self) {
        pass();
        for sleeper in self.with(std::mem::take) {
            sleeper.wake();
        }
    }

    fn with<R>(&self, step: impl FnOnce(&mut Vec<Arc<Sleeper>>) -> R) -> R {
        step(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Written once. Unlike the standard library's, it does not block other threads while the first one
/// makes the value: the values here are made without a step of another thread.
pub(crate) struct OnceLock<T>(std::sync::OnceLock<T>);

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self(std::sync::OnceLock::new())
    }

    pub(crate) fn get(&self) -> Option<&T> {
        pass();
        self.0.get()
    }

    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        pass();
        self.0.set(value)
    }

    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        pass();
        self.0.get_or_init(make)
    }
}

/// A point in time, counted from the start of the schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(Duration);

/// How long a read of the clock takes.
const LOOK: Duration = Duration::from_micros(20);

impl Instant {
    pub(crate) fn now() -> Self {
        CLOCK.with_borrow_mut(|clock| {
            clock.now += LOOK;
            Self(clock.now)
        })
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Self::now().duration_since(*self)
    }

    pub(crate) fn duration_since(&self, earlier: Self) -> Duration {
        self.saturating_duration_since(earlier)
    }

    pub(crate) fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    pub(crate) fn checked_add(&self, duration: Duration) -> Option<Self> {
        self.0.checked_add(duration).map(Self)
    }
}

impl std::ops::Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0 + duration)
    }
}

thread_local! {
    /// All threads of a schedule run on one thread of the system, so this belongs to one schedule.
    static CLOCK: RefCell<Clock> = RefCell::default();

    /// Whether this schedule has spurious wake-ups.
    static IS_RESTLESS: Cell<bool> = const { Cell::new(false) };
}

#[derive(Default)]
struct Clock {
    now: Duration,
    alarms: Vec<Alarm>,
    n_alarms: u64,
    /// The sleeper of the clock's thread while there is no alarm.
    hand: Arc<Sleeper>,
    is_stopped: bool,
}

struct Alarm {
    at: Duration,
    number: u64,
    sleeper: Arc<Sleeper>,
}

/// Runs one schedule of `claim`, with a clock of its own.
pub(crate) fn with_clock(claim: impl FnOnce()) {
    CLOCK.set(Clock::default());
    let patience = [0, 2, 10, 50][thread_rng().gen_range(0..4)];
    IS_RESTLESS.set(thread_rng().gen_ratio(1, 4));
    let clock = thread::spawn(move || turn(patience));
    claim();
    let hand = CLOCK.with_borrow_mut(|clock| {
        clock.is_stopped = true;
        Arc::clone(&clock.hand)
    });
    hand.wake();
    clock.join().expect("the clock does not panic");
}

/// Runs one schedule of `claim` without a clock, for claims in which no thread sleeps with a
/// deadline. There are no spurious wake-ups.
pub(crate) fn without_clock(claim: impl FnOnce()) {
    CLOCK.set(Clock::default());
    IS_RESTLESS.set(false);
    claim();
}

/// The body of the clock's thread.
fn turn(patience: u32) {
    loop {
        let (has_alarms, is_stopped, hand) = CLOCK.with_borrow(|clock| {
            let hand = Arc::clone(&clock.hand);
            (!clock.alarms.is_empty(), clock.is_stopped, hand)
        });
        if is_stopped {
            return;
        }
        if !has_alarms {
            hand.sleep_soundly(None);
            continue;
        }
        for _ in 0..=patience {
            thread::yield_now();
        }
        let due = CLOCK.with_borrow_mut(|clock| {
            let alarms = clock.alarms.iter().enumerate();
            let (place, _) = alarms.min_by_key(|(_, alarm)| alarm.at)?;
            let due = clock.alarms.swap_remove(place);
            clock.now = clock.now.max(due.at);
            Some(due)
        });
        if let Some(due) = due {
            due.sleeper.ring(due.number);
        }
    }
}

/// An object on which a thread sleeps until it is woken. A wake-up that comes first is kept.
#[derive(Debug, Default)]
pub(crate) struct Sleeper {
    state: shuttle::sync::Mutex<SleeperState>,
    woken: shuttle::sync::Condvar,
}

#[derive(Debug, Default)]
struct SleeperState {
    has_token: bool,
    /// The number of the alarm that rang last; they are counted from 1.
    rung: u64,
}

impl Sleeper {
    fn sleep(self: &Arc<Self>, deadline: Option<Instant>) {
        if IS_RESTLESS.get() && thread_rng().gen_ratio(1, 8) {
            return pass();
        }
        self.sleep_soundly(deadline);
    }

    /// Sleeps until it is woken or the alarm rings, without spurious wake-ups.
    fn sleep_soundly(self: &Arc<Self>, deadline: Option<Instant>) {
        let alarm = deadline.map(|deadline| self.set_alarm(deadline));
        let mut state = self.lock();
        while !state.has_token && alarm != Some(state.rung) {
            state = self
                .woken
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.has_token = false;
        drop(state);
        if let Some(number) = alarm {
            CLOCK.with_borrow_mut(|clock| clock.alarms.retain(|alarm| alarm.number != number));
        }
    }

    fn set_alarm(self: &Arc<Self>, deadline: Instant) -> u64 {
        let (number, hand) = CLOCK.with_borrow_mut(|clock| {
            clock.n_alarms += 1;
            clock.alarms.push(Alarm {
                at: deadline.0,
                number: clock.n_alarms,
                sleeper: Arc::clone(self),
            });
            (clock.n_alarms, Arc::clone(&clock.hand))
        });
        hand.wake();
        number
    }

    fn wake(&self) {
        self.lock().has_token = true;
        self.woken.notify_one();
    }

    fn ring(&self, number: u64) {
        self.lock().rung = number;
        self.woken.notify_one();
    }

    fn lock(&self) -> shuttle::sync::MutexGuard<'_, SleeperState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) mod thread {
    //! Threads, which park as described in [`super`].

    use std::time::Duration;

    pub(crate) use shuttle::thread::{scope, spawn, yield_now};

    use super::{Arc, Instant, Sleeper};

    shuttle::thread_local! {
        static SELF: Thread = Thread(Arc::default());
    }

    #[derive(Debug, Clone)]
    pub(crate) struct Thread(Arc<Sleeper>);

    impl Thread {
        pub(crate) fn unpark(&self) {
            self.0.wake();
        }
    }

    pub(crate) fn current() -> Thread {
        SELF.with(Thread::clone)
    }

    pub(crate) fn park() {
        current().0.sleep(None);
    }

    pub(crate) fn park_timeout(patience: Duration) {
        current().0.sleep(Some(Instant::now() + patience));
    }

    /// A sleep: other threads may run first. Nothing else is known of its duration.
    pub(crate) fn sleep(_: Duration) {
        yield_now();
    }
}

pub(crate) mod channel {
    //! The part of crossbeam's channels that the library uses.

    use std::collections::VecDeque;

    use super::atomic::{AtomicBool, AtomicUsize, Ordering};
    use super::{Arc, Condvar, Instant, Mutex, lock, wait};

    pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
        bounded(usize::MAX)
    }

    pub(crate) fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
        let channel = Arc::new(Channel {
            capacity,
            messages: Mutex::new(VecDeque::new()),
            n_senders: AtomicUsize::new(1),
            has_receiver: AtomicBool::new(true),
            not_empty: Condvar::new(),
        });
        (Sender(Arc::clone(&channel)), Receiver(channel))
    }

    struct Channel<T> {
        capacity: usize,
        messages: Mutex<VecDeque<T>>,
        n_senders: AtomicUsize,
        has_receiver: AtomicBool,
        not_empty: Condvar,
    }

    pub(crate) struct Sender<T>(Arc<Channel<T>>);

    pub(crate) struct Receiver<T>(Arc<Channel<T>>);

    #[derive(Debug)]
    pub(crate) struct RecvError;

    #[derive(Debug)]
    pub(crate) struct TryRecvError;

    #[derive(Debug)]
    pub(crate) enum RecvTimeoutError {
        Timeout,
        Disconnected,
    }

    #[derive(Debug)]
    pub(crate) enum TrySendError<T> {
        Full(T),
        Disconnected(T),
    }

    impl<T> Sender<T> {
        /// For channels without bounds: it never blocks.
        pub(crate) fn send(&self, message: T) -> Result<(), TrySendError<T>> {
            self.try_send(message)
        }

        pub(crate) fn is_full(&self) -> bool {
            let n_messages = lock(&self.0.messages).len();
            // Items that no receiver is left for are dropped.
            n_messages == self.0.capacity && self.0.has_receiver.load(Ordering::SeqCst)
        }

        pub(crate) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
            let mut messages = lock(&self.0.messages);
            if !self.0.has_receiver.load(Ordering::SeqCst) {
                return Err(TrySendError::Disconnected(message));
            }
            if messages.len() == self.0.capacity {
                return Err(TrySendError::Full(message));
            }
            messages.push_back(message);
            drop(messages);
            self.0.not_empty.notify_one();
            Ok(())
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            self.0.n_senders.fetch_add(1, Ordering::SeqCst);
            Self(Arc::clone(&self.0))
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            if self.0.n_senders.fetch_sub(1, Ordering::SeqCst) == 1 {
                drop(lock(&self.0.messages));
                self.0.not_empty.notify_all();
            }
        }
    }

    impl<T> Receiver<T> {
        pub(crate) fn recv(&self) -> Result<T, RecvError> {
            self.receive(None).map_err(|_| RecvError)
        }

        pub(crate) fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
            self.receive(Some(deadline))
        }

        pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
            lock(&self.0.messages).pop_front().ok_or(TryRecvError)
        }

        pub(crate) fn len(&self) -> usize {
            lock(&self.0.messages).len()
        }

        fn receive(&self, deadline: Option<Instant>) -> Result<T, RecvTimeoutError> {
            let mut messages = lock(&self.0.messages);
            loop {
                if let Some(message) = messages.pop_front() {
                    return Ok(message);
                }
                if self.0.n_senders.load(Ordering::SeqCst) == 0 {
                    return Err(RecvTimeoutError::Disconnected);
                }
                messages = wait(&self.0.not_empty, messages, deadline)
                    .map_err(|_timed_out| RecvTimeoutError::Timeout)?;
            }
        }
    }

    impl<T> Drop for Receiver<T> {
        fn drop(&mut self) {
            self.0.has_receiver.store(false, Ordering::SeqCst);
        }
    }
}
