//! The time of a deterministic guest: it stands still, and moves on by what the guest sleeps.
//!
//! To sleep takes no time then. When a guest waits for several things at once, what is ready comes
//! first, and of the timers the earliest. Where it may also wait for the network or for standard
//! input, which have their own time, sleeping takes as long as it does elsewhere.

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

/// From 1970 to 2000: a time that no program takes for a clock that was never set.
const YEAR_2000: Duration = Duration::from_secs(946_684_800);

/// Where the monotonic clock begins, in nanoseconds. Not at zero, from which some programs
/// subtract.
const BEGINNING: u64 = 1_000_000_000;

/// The interface that waits for a time, of the version that `wasmtime_wasi` has.
const MONOTONIC_CLOCK: &str = "wasi:clocks/monotonic-clock@0.2.12";

/// A time that moves when somebody sleeps. Clones are of the same.
#[derive(Clone)]
pub(crate) struct VirtualTime {
    shared: Arc<Mutex<Moment>>,
    /// Whether sleeping takes its time all the same.
    takes_real_time: bool,
}

struct Moment {
    /// Nanoseconds of the monotonic clock.
    now: u64,
    /// Until when somebody sleeps, each as often as somebody does.
    sleepers: Vec<u64>,
}

/// What a guest waits for a time with.
struct Timer {
    time: VirtualTime,
    until: u64,
}

/// A place among those who sleep.
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

/// What programs for preview 1 ask of it beside.
#[cfg(feature = "preview1")]
impl VirtualTime {
    /// What the monotonic clock shows when the wall clock shows this many nanoseconds since 1970.
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

/// Has guests wait for their own time, if they have one.
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
