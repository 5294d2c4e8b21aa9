//! Programs for WASI preview 1: core modules with a `_start`, which use the host by functions of
//! numbers and pointers. Programs for the version before it (`wasi_unstable`) use the same
//! functions under another name.
//!
//! `wasmtime_wasi` has the functions. Three things are done here: exit codes, which may be any
//! number; waiting; and opening files, which never blocks the worker's thread.
//!
//! Without the feature `preview1`, `no_preview1.rs` replaces this file.

use std::time::Duration;

use wasmtime::{AsContextMut as _, Caller, Extern, Linker, bail};
use wasmtime_wasi::filesystem::WasiFilesystemCtx;
use wasmtime_wasi::p1::WasiP1Ctx;
use wasmtime_wasi::p1::types::{
    Clockid, Errno, Event, EventFdReadwrite, Eventrwflags, Eventtype, Subclockflags,
};
use wasmtime_wasi::p1::wasi_snapshot_preview1::WasiSnapshotPreview1 as _;
use wasmtime_wasi::{I32Exit, WasiView as _, p0, p1};
use wiggle::{GuestMemory, GuestPtr};

use super::capabilities::Grants;
use super::captured::CapturedStreams;
use super::files::{self, preview1::Preview1};
use super::program::Invocation;
use super::rights;
use super::time::VirtualTime;
use crate::sandbox::core_module::WASI;
use crate::sandbox::store::State;
use crate::sync::Instant;

/// The WASI context of a program, which is made when the program first uses it.
pub(crate) struct Context {
    made: Option<Box<Preview1>>,
    max_handles: usize,
}

impl Context {
    pub(crate) fn new(max_handles: usize) -> Self {
        Self {
            made: None,
            max_handles,
        }
    }

    pub(crate) fn forget(&mut self) {
        self.made = None;
    }

    pub(crate) fn get_or_make(
        &mut self,
        grants: Option<&Grants>,
        program: &mut Option<Invocation>,
        output: &CapturedStreams,
        time: Option<&VirtualTime>,
    ) -> &mut Preview1 {
        self.made.get_or_insert_with(|| {
            let mut context = rights::builder(grants, program.take(), output, time).build_p1();
            // Preview 1 cannot open connections.
            *context.ctx().ctx.filesystem() = rights::folders(grants);
            context.ctx().table.set_max_capacity(self.max_handles);
            Box::new(Preview1::new(context, grants.map(|grants| &grants.folders)))
        })
    }
}

/// Offers all of preview 1.
pub(crate) fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    p1::add_to_linker_async(linker, State::preview1)?;
    p0::add_to_linker_async(linker, State::preview1)?;
    linker.allow_shadowing(true);
    for wasi in WASI {
        // `wasmtime_wasi` accepts only codes below 126.
        linker.func_wrap(wasi, "proc_exit", |code: i32| -> wasmtime::Result<()> {
            Err(I32Exit(code).into())
        })?;
    }
    for wasi in WASI {
        files::preview1::add_to_linker(linker, wasi)?;
    }
    let [current, before] = WASI;
    linker.func_wrap_async(current, "poll_oneoff", |mut caller, (a, b, c, d)| {
        Box::new(async move {
            let (waiting, memory) = &mut Waiting::begin(&mut caller)?;
            if let Some(errno) = waiting.sleep(memory, &CURRENT, (a, b, c, d)) {
                return Ok(errno);
            }
            p1::wasi_snapshot_preview1::poll_oneoff(waiting.context, memory, a, b, c, d).await
        })
    })?;
    linker.func_wrap_async(before, "poll_oneoff", |mut caller, (a, b, c, d)| {
        Box::new(async move {
            let (waiting, memory) = &mut Waiting::begin(&mut caller)?;
            if let Some(errno) = waiting.sleep(memory, &BEFORE, (a, b, c, d)) {
                return Ok(errno);
            }
            p0::wasi_unstable::poll_oneoff(waiting.context, memory, a, b, c, d).await
        })
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// A guest's wait in `poll_oneoff`. If files may block the thread, `wasmtime_wasi` implements a
/// sleep by blocking the thread, and no stop ends that. So the context has no such folders during
/// the wait, and the guest waits like all others. Open files stay open.
struct Waiting<'a> {
    context: &'a mut WasiP1Ctx,
    folders: WasiFilesystemCtx,
    /// The virtual time of a deterministic guest.
    time: Option<VirtualTime>,
    /// Its sleep, if that takes real time.
    real_sleep: Option<RealSleep>,
}

struct RealSleep {
    began: Instant,
    duration: Duration,
    /// The time on the guest's clock afterwards.
    until: u64,
}

/// Offsets of the parts of a subscription, in bytes from its begin. At offset 0 is `userdata`,
/// which the event returns, and after it the kind of the subscription.
struct Layout {
    size: u32,
    clock: u32,
    timeout: u32,
    flags: u32,
}

const CURRENT: Layout = Layout {
    size: 48,
    clock: 16,
    timeout: 24,
    flags: 40,
};

const BEFORE: Layout = Layout {
    size: 56,
    clock: 24,
    timeout: 32,
    flags: 48,
};

/// A subscription to a time.
struct Timer {
    userdata: u64,
    until: u64,
}

impl<'a> Waiting<'a> {
    fn begin(caller: &'a mut Caller<'_, State>) -> wasmtime::Result<(Self, GuestMemory<'a>)> {
        let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
            bail!("missing required memory export");
        };
        let fuel = caller.as_context_mut().hostcall_fuel();
        let (memory, state) = memory.data_and_store_mut(caller);
        let time = state.time.clone();
        let context = state.preview1();
        context.set_hostcall_fuel(fuel);
        let folders = std::mem::take(context.ctx().ctx.filesystem());
        let waiting = Self {
            context,
            folders,
            time,
            real_sleep: None,
        };
        Ok((waiting, GuestMemory::Unshared(memory)))
    }

    /// Performs the sleep of a deterministic guest in its virtual time, and writes the events.
    /// `None` if this does not apply: the guest is not deterministic, its sleep takes real time, it
    /// waits for something else (files, which are always ready), or its arguments are invalid.
    fn sleep(
        &mut self,
        memory: &mut GuestMemory<'_>,
        layout: &Layout,
        (subscriptions, events, n_subscriptions, n_events): (i32, i32, i32, i32),
    ) -> Option<i32> {
        let time = self.time.as_ref()?;
        let began = time.now();
        let n_subscriptions = n_subscriptions.cast_unsigned();
        let timer = |memory: &GuestMemory<'_>, index| {
            layout.timer(memory, subscriptions.cast_unsigned(), index, began)
        };
        let mut earliest = None;
        for index in 0..n_subscriptions {
            match (timer(memory, index), &mut earliest) {
                (Some(timer), Some(earliest)) => *earliest = timer.until.min(*earliest),
                (Some(timer), None) => earliest = Some(timer.until),
                (None, _) if time.takes_real_time() => {}
                (None, _) => return None,
            }
        }
        let earliest = earliest?;
        if time.takes_real_time() {
            self.real_sleep = Some(RealSleep {
                began: Instant::now(),
                duration: Duration::from_nanos(earliest.saturating_sub(began)),
                until: earliest,
            });
            return None;
        }
        time.advance(earliest);
        let now = time.now();
        let mut n_due = 0;
        let mut tell = |memory: &mut GuestMemory<'_>| {
            for index in 0..n_subscriptions {
                let timer = timer(memory, index)?;
                if timer.until <= now {
                    let events = GuestPtr::<Event>::new(events.cast_unsigned());
                    let event = events.add(n_due).ok()?;
                    memory.write(event, timer.event()).ok()?;
                    n_due += 1;
                }
            }
            let told = GuestPtr::<u32>::new(n_events.cast_unsigned());
            memory.write(told, n_due).ok()
        };
        let errno = match tell(memory) {
            Some(()) => Errno::Success,
            None => Errno::Fault,
        };
        Some(errno as i32)
    }
}

impl Layout {
    /// Reads a subscription. `None` if it is not to a time of a clock that a deterministic guest
    /// has.
    fn timer(
        &self,
        memory: &GuestMemory<'_>,
        subscriptions: u32,
        index: u32,
        now: u64,
    ) -> Option<Timer> {
        let begin = index.checked_mul(self.size)?;
        let begin = subscriptions.checked_add(begin)?;
        let at = |offset: u32| begin.checked_add(offset);
        let userdata = memory.read(GuestPtr::<u64>::new(begin)).ok()?;
        let kind = memory.read(GuestPtr::<u8>::new(at(8)?)).ok()?;
        if kind != Eventtype::Clock as u8 {
            return None;
        }
        let clock: Clockid = memory.read(GuestPtr::new(at(self.clock)?)).ok()?;
        let timeout = memory.read(GuestPtr::<u64>::new(at(self.timeout)?)).ok()?;
        let flags: Subclockflags = memory.read(GuestPtr::new(at(self.flags)?)).ok()?;
        let is_absolute = flags.contains(Subclockflags::SUBSCRIPTION_CLOCK_ABSTIME);
        let until = match (clock, is_absolute) {
            (Clockid::Monotonic | Clockid::Realtime, false) => now.saturating_add(timeout),
            (Clockid::Monotonic, true) => timeout,
            (Clockid::Realtime, true) => VirtualTime::at_wall_time(timeout),
            _ => return None,
        };
        Some(Timer { userdata, until })
    }
}

impl Timer {
    fn event(&self) -> Event {
        Event {
            userdata: self.userdata,
            error: Errno::Success,
            type_: Eventtype::Clock,
            fd_readwrite: EventFdReadwrite {
                nbytes: 0,
                flags: Eventrwflags::empty(),
            },
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *self.context.ctx().ctx.filesystem() = std::mem::take(&mut self.folders);
        if let (Some(time), Some(sleep)) = (&self.time, &self.real_sleep)
            && sleep.began.elapsed() >= sleep.duration
        {
            time.advance(sleep.until);
        }
    }
}
