//! The virtual time of a deterministic guest, which advances only while the guest sleeps.
//!
//! Sleeping takes no real time. If a guest waits for several things at once, those that are ready
//! come first, then the earliest timer. If it may also wait for the network or for standard input,
//! which take real time, sleeping takes real time as well.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource};
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
    /// The ends of all current sleeps. Equal ends occur several times.
    sleepers: Vec<u64>,
}

/// A timer of the guest.
struct Timer {
    time: VirtualTime,
    until: u64,
}

/// An entry in `sleepers`, removed on drop.
struct Sleeper<'a>(&'a Timer);

impl VirtualTime {
    pub(crate) fn new(takes_real_time: bool) -> Self {
        Self {
            shared: Arc::new(Mutex::new(Moment {
                now: BEGINNING,
                sleepers: Vec::new(),
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

    fn is_earliest(&self, until: u64) -> bool {
        let moment = lock(&self.shared);
        moment.sleepers.iter().all(|&other| until <= other)
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
        let now = self.time.now();
        if self.until <= now {
            return;
        }
        if self.time.takes_real_time {
            tokio::time::sleep(Duration::from_nanos(self.until - now)).await;
        } else {
            let sleeper = Sleeper::new(self);
            let mut has_let_others_go_first = false;
            poll_fn(|context| {
                if has_let_others_go_first && self.time.is_earliest(self.until) {
                    return Poll::Ready(());
                }
                has_let_others_go_first = true;
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
            drop(sleeper);
        }
        self.time.advance(self.until);
    }
}

impl<'a> Sleeper<'a> {
    fn new(timer: &'a Timer) -> Self {
        lock(&timer.time.shared).sleepers.push(timer.until);
        Self(timer)
    }
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let Timer { time, until } = self.0;
        let mut moment = lock(&time.shared);
        if let Some(place) = moment.sleepers.iter().position(|other| other == until) {
            moment.sleepers.swap_remove(place);
        }
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

impl State {
    fn timer(&mut self, timer: Timer) -> wasmtime::Result<Resource<DynPollable>> {
        let table = self.ctx().table;
        let timer = table.push(timer)?;
        subscribe(table, timer)
    }
}
