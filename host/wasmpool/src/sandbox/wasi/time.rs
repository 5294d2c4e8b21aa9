//! The virtual time of a deterministic guest, which advances only while the guest sleeps.
//!
//! Sleeping takes no real time. If a guest waits for several things at once, those that are ready
//! come first, then the earliest timer. If it may also wait for the network or for standard input,
//! which take real time, sleeping takes real time as well.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Poll, Waker};
use std::time::Duration;

use wasmtime::StoreContextMut;
use wasmtime::component::{Accessor, Linker, Resource};
use wasmtime_wasi::clocks::WasiClocksView as _;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Host as _;
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiView as _};

use crate::sandbox::store::State;
use crate::sync::{Arc, Mutex, lock};

/// From 1970 to 2000. Programs may take an earlier time for a clock that was never set.
const YEAR_2000: Duration = Duration::from_secs(946_684_800);

/// The first time of the monotonic clock, in nanoseconds. Not zero, since some programs subtract
/// from it.
const BEGINNING: u64 = 1_000_000_000;

/// The interface of timers, in the version of `wasmtime_wasi`.
const MONOTONIC_CLOCK: &str = "wasi:clocks/monotonic-clock@0.2.12";

/// The same in WASI 0.3.
const MONOTONIC_CLOCK_3: &str = "wasi:clocks/monotonic-clock@0.3.0";

/// A time that advances when the guest sleeps. Clones share it.
#[derive(Clone)]
pub(crate) struct VirtualTime {
    shared: Arc<Mutex<Moment>>,
    /// Whether sleeping takes real time.
    takes_real_time: bool,
}

struct Moment {
    /// Nanoseconds of the monotonic clock.
    now: u64,
    /// All current sleeps.
    sleepers: Vec<Sleeper>,
    /// The number of the next one.
    next: u64,
}

struct Sleeper {
    number: u64,
    until: u64,
    waker: Waker,
}

/// A sleep of the guest, which ends when this is dropped.
struct Sleep<'a> {
    time: &'a VirtualTime,
    until: u64,
    /// Its number, once it has begun.
    number: Option<u64>,
}

/// A timer of the guest.
struct Timer {
    time: VirtualTime,
    until: u64,
}

impl VirtualTime {
    pub(crate) fn new(takes_real_time: bool) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Moment {
                now: BEGINNING,
                sleepers: Vec::new(),
                next: 0,
            })),
            takes_real_time,
        }
    }

    /// Nanoseconds of the monotonic clock.
    pub(crate) fn now(&self) -> u64 {
        lock(&self.shared).now
    }

    pub(crate) fn advance(&self, to: u64) {
        let mut moment = lock(&self.shared);
        moment.now = moment.now.max(to);
    }

    /// To be called when there is nothing that the guest could do but wait: the earliest sleep ends.
    pub(crate) fn pass(&self) {
        let mut moment = lock(&self.shared);
        let Some(earliest) = moment.sleepers.iter().map(|sleeper| sleeper.until).min() else {
            return;
        };
        moment.now = moment.now.max(earliest);
        let ended = moment.sleepers.iter().filter(|one| one.until == earliest);
        ended.for_each(|sleeper| sleeper.waker.wake_by_ref());
    }

    /// Sleeps until that time of the monotonic clock.
    async fn sleep(&self, until: u64) {
        let now = self.now();
        if until <= now {
            return;
        }
        if self.takes_real_time {
            tokio::time::sleep(Duration::from_nanos(until - now)).await;
            self.advance(until);
            return;
        }
        let mut sleep = Sleep {
            time: self,
            until,
            number: None,
        };
        poll_fn(|context| sleep.poll(context.waker())).await;
    }
}

/// What only programs for preview 1 need.
#[cfg(feature = "preview1")]
impl VirtualTime {
    /// The time of the monotonic clock when the wall clock shows this many nanoseconds since 1970.
    pub(crate) fn at_wall_time(nanoseconds: u64) -> u64 {
        let year_2000 = u64::try_from(YEAR_2000.as_nanos()).unwrap_or(u64::MAX);
        nanoseconds
            .saturating_sub(year_2000)
            .saturating_add(BEGINNING)
    }

    pub(crate) fn takes_real_time(&self) -> bool {
        self.takes_real_time
    }
}

#[async_trait::async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        self.time.sleep(self.until).await;
    }
}

impl Sleep<'_> {
    fn poll(&mut self, waker: &Waker) -> Poll<()> {
        let mut moment = lock(&self.time.shared);
        if self.until <= moment.now {
            return Poll::Ready(());
        }
        match self.number {
            Some(number) => {
                let mut sleepers = moment.sleepers.iter_mut();
                let sleeper = sleepers.find(|sleeper| sleeper.number == number);
                sleeper.expect("it has begun").waker.clone_from(waker);
            }
            None => {
                let number = moment.next;
                moment.next += 1;
                moment.sleepers.push(Sleeper {
                    number,
                    until: self.until,
                    waker: waker.clone(),
                });
                self.number = Some(number);
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        let mut moment = lock(&self.time.shared);
        moment
            .sleepers
            .retain(|sleeper| Some(sleeper.number) != self.number);
    }
}

impl HostMonotonicClock for VirtualTime {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.now()
    }
}

impl HostWallClock for VirtualTime {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        YEAR_2000 + Duration::from_nanos(self.now() - BEGINNING)
    }
}

/// Makes the timers of a deterministic guest use its virtual time.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    type Store<'a> = StoreContextMut<'a, State>;

    linker.allow_shadowing(true);
    let mut clock = linker.instance(MONOTONIC_CLOCK)?;
    clock.func_wrap(
        "subscribe-instant",
        |mut store: Store<'_>, (until,): (u64,)| {
            let state = store.data_mut();
            Ok((match state.time.clone() {
                Some(time) => state.timer(Timer { time, until })?,
                None => state.clocks().subscribe_instant(until)?,
            },))
        },
    )?;
    clock.func_wrap(
        "subscribe-duration",
        |mut store: Store<'_>, (duration,): (u64,)| {
            let state = store.data_mut();
            Ok((match state.time.clone() {
                Some(time) => {
                    let until = time.now().saturating_add(duration);
                    state.timer(Timer { time, until })?
                }
                None => state.clocks().subscribe_duration(duration)?,
            },))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The same for those of WASI 0.3.
pub(crate) fn add_to_linker_3(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    type Wait = Pin<Box<dyn Future<Output = wasmtime::Result<()>> + Send>>;

    /// Waits for the time that is so much later, or until that time.
    fn wait(accessor: &Accessor<State>, given: u64, is_relative: bool) -> Wait {
        let (time, now) = accessor.with(|mut store| {
            let state = store.data_mut();
            (state.time.clone(), state.clocks().now())
        });
        Box::pin(async move {
            let now = now?;
            let until = match is_relative {
                true => now.saturating_add(given),
                false => given,
            };
            match time {
                Some(time) => time.sleep(until).await,
                None if until <= now => {}
                None => tokio::time::sleep(Duration::from_nanos(until - now)).await,
            }
            Ok(())
        })
    }

    linker.allow_shadowing(true);
    let mut clock = linker.instance(MONOTONIC_CLOCK_3)?;
    for (name, is_relative) in [("wait-until", false), ("wait-for", true)] {
        clock.func_wrap_concurrent(name, move |accessor: &Accessor<State>, (given,): (u64,)| {
            wait(accessor, given, is_relative)
        })?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

impl State {
    fn timer(&mut self, timer: Timer) -> wasmtime::Result<Resource<DynPollable>> {
        let table = self.ctx().table;
        let timer = table.push(timer)?;
        subscribe(table, timer)
    }
}
