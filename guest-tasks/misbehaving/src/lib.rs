//! One task for each way in which a guest can go wrong. Each has one argument, so that a command
//! line can call it. An argument that is not needed is returned or ignored.

/// Waiting for several things at once, which `std` cannot do without a socket. The interfaces are
/// written out here, since the component has them from the C library as well. Generated code, which
/// contains `unsafe`.
#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, missing_docs, clippy::all)]
mod wasi {
    wit_bindgen::generate!({
        inline: r#"
            package misbehaving:guest;

            world waiter {
                import wasi:io/poll@0.2.0;
                import wasi:clocks/monotonic-clock@0.2.0;
            }

            package wasi:io@0.2.0 {
                interface poll {
                    resource pollable {
                        ready: func() -> bool;
                        block: func();
                    }
                    poll: func(in: list<borrow<pollable>>) -> list<u32>;
                }
            }

            package wasi:clocks@0.2.0 {
                interface monotonic-clock {
                    use wasi:io/poll@0.2.0.{pollable};
                    type instant = u64;
                    type duration = u64;
                    now: func() -> instant;
                    resolution: func() -> duration;
                    subscribe-instant: func(when: instant) -> pollable;
                    subscribe-duration: func(when: duration) -> pollable;
                }
            }
        "#,
        generate_all,
    });
}

#[wasmpool_guest::tasks]
mod tasks {
    use std::hint::black_box;
    use std::io::Write as _;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use serde::ser::{Serialize, SerializeSeq as _, Serializer};
    use wasmpool_guest::{Failure, context};

    /// What `remember` leaves for `recall`, if both run in the same instance.
    static MEMORY: AtomicU64 = AtomicU64::new(0);

    /// Computes for ever.
    pub fn spin(n: u64) -> u64 {
        let mut counter = n;
        loop {
            counter = black_box(counter).wrapping_mul(6_364_136_223_846_793_005);
        }
    }

    /// Returns `n`, but panics if `n` ends in 500, and computes for ever if it ends in 999.
    pub fn now_and_then(n: u64) -> u64 {
        match n % 1000 {
            500 => panic!("{n} is not to its liking"),
            999 => spin(n),
            _ => n,
        }
    }

    /// Waits for `ms` milliseconds in the host, then returns them.
    pub fn sleep(ms: u64) -> u64 {
        std::thread::sleep(Duration::from_millis(ms));
        ms
    }

    /// Computes for some ten milliseconds and then waits in the host for one, `times` times.
    pub fn doze(times: u64) -> u64 {
        for _ in 0..times {
            let mut counter = times;
            for _ in 0..10_000_000 {
                counter = black_box(counter).wrapping_mul(6_364_136_223_846_793_005);
            }
            sleep(1);
        }
        times
    }

    /// Waits in the host for the first of `n` timers, none of which fires within an hour.
    pub fn poll(n: u64) -> u64 {
        #[cfg(target_arch = "wasm32")]
        {
            use crate::wasi::wasi::{clocks::monotonic_clock, io::poll};
            const HOUR: u64 = 3_600_000_000_000;
            let timers = (1..=n).map(|hours| monotonic_clock::subscribe_duration(hours * HOUR));
            let timers = timers.collect::<Vec<_>>();
            poll::poll(&timers.iter().collect::<Vec<_>>());
        }
        n
    }

    /// Computes for ever, and holds `text` meanwhile.
    pub fn ponder(text: &str) -> u64 {
        spin(black_box(text).len() as u64)
    }

    /// Returns `text`.
    pub fn echo(text: &str) -> String {
        text.to_owned()
    }

    /// Holds `mib` MiB of memory that was written to, then returns.
    pub fn allocate(mib: usize) -> usize {
        black_box(vec![0xAA_u8; mib << 20]).len() >> 20
    }

    /// Allocates `step_kib` KiB again and again, and never frees them.
    pub fn grow_without_end(step_kib: usize) {
        loop {
            std::mem::forget(black_box(vec![0xAA_u8; step_kib << 10]));
        }
    }

    /// Calls itself `n` levels deep.
    pub fn recurse(n: u64) -> u64 {
        fn descend(n: u64) -> u64 {
            if n == 0 {
                0
            } else {
                black_box(descend(black_box(n - 1))) + 1
            }
        }
        descend(n)
    }

    /// Panics with `message`.
    pub fn panic(message: String) {
        panic!("{message}");
    }

    /// Executes an `unreachable` instruction, and prints nothing.
    pub fn unreachable(n: u64) {
        black_box(n);
        #[cfg(target_arch = "wasm32")]
        core::arch::wasm32::unreachable();
        #[cfg(not(target_arch = "wasm32"))]
        std::process::abort();
    }

    /// Reads a byte outside of its memory, up to `n` bytes before the end of the address space.
    #[allow(unsafe_code)]
    pub fn out_of_bounds(n: usize) -> u8 {
        let address = black_box(usize::MAX - n % 4096);
        // SAFETY: none. This task breaks the rule on purpose; the sandbox ends it at the
        // instruction.
        unsafe { (address as *const u8).read_volatile() }
    }

    /// Divides `n` by zero with the bare instruction, without Rust's check, which would panic.
    #[allow(unsafe_code)]
    pub fn divide_by_zero(n: u32) -> u32 {
        let divisor = black_box(0);
        // SAFETY: none, as above. The false promise makes the compiler omit its check.
        black_box(n) / unsafe { std::num::NonZero::new_unchecked(divisor) }
    }

    /// Exits with `code`. Through WASI 0.2 the host learns only whether it was zero.
    pub fn exit(code: i32) {
        std::process::exit(code);
    }

    /// Writes `kib` KiB to standard output and as much to standard error; returns `kib`.
    pub fn flood(kib: usize) -> Result<usize, Failure> {
        let (mut stdout, mut stderr) = (std::io::stdout().lock(), std::io::stderr().lock());
        for index in 0..kib {
            let line = format!("{index:01023}\n");
            stdout.write_all(line.as_bytes())?;
            stderr.write_all(line.as_bytes())?;
        }
        stdout.flush()?;
        Ok(kib)
    }

    /// Returns `mib` MiB of bytes.
    pub fn huge_result(mib: usize) -> Bytes {
        Bytes(vec![0xAA; mib << 20])
    }

    /// Returns a result that is not valid MessagePack: it announces `n + 1` elements and has none.
    pub fn bad_bytes(n: u64) -> Announced {
        Announced(usize::try_from(n).unwrap_or(usize::MAX - 1) + 1)
    }

    /// Traps while the clock shows less than `unix_ms` milliseconds since 1970; then returns
    /// what it shows.
    pub fn trap_before(unix_ms: u64) -> u64 {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = clock.map_or(0, |clock| {
            u64::try_from(clock.as_millis()).unwrap_or(u64::MAX)
        });
        assert!(now >= unix_ms, "{} ms too early", unix_ms - now);
        now
    }

    /// Fails in the ordinary way, with `message` and the code `as-told`.
    pub fn fail(message: String) -> Result<(), Failure> {
        Err(Failure::new("as-told", message))
    }

    /// Returns an `Err` with `message` as an ordinary value.
    pub fn refuse(message: String) -> Verdict {
        Err(message)
    }

    /// Stores `value` in a global, and returns the previous value.
    pub fn remember(value: u64) -> u64 {
        MEMORY.swap(value, Ordering::Relaxed)
    }

    /// Returns what `remember` stored in this instance, plus `n`.
    pub fn recall(n: u64) -> u64 {
        MEMORY.load(Ordering::Relaxed) + n
    }

    /// Fills `kib` KiB of its memory with a mark, and returns the number of marks.
    pub fn plant(kib: usize) -> usize {
        let words = kib * 1024 / size_of::<u64>();
        let mut memory = Vec::with_capacity(words);
        memory.resize(words, mark());
        black_box(&mut memory);
        std::mem::forget(memory);
        words
    }

    /// Fills `kib` KiB of its stack with the mark, and returns the number of marks.
    pub fn plant_in_stack(kib: usize) -> usize {
        fn descend(kib: usize) -> usize {
            if kib == 0 {
                return 0;
            }
            let marks = black_box([mark(); 1024 / size_of::<u64>()]);
            let below = descend(kib - 1);
            black_box(&marks).len() + below
        }
        descend(kib)
    }

    /// Looks for marks in all of its memory, after growing it by `kib` KiB that nothing was written
    /// to. Returns the number of marks.
    #[allow(unsafe_code)]
    pub fn dig(kib: usize) -> usize {
        let fresh = Vec::<u64>::with_capacity(kib * 1024 / size_of::<u64>());
        #[cfg(target_arch = "wasm32")]
        let size = core::arch::wasm32::memory_size(0) << 16;
        #[cfg(not(target_arch = "wasm32"))]
        let size = 0;
        let mark = mark();
        let words = (size_of::<u64>()..size).step_by(size_of::<u64>());
        // SAFETY: every address below the size can be read. Its content may be uninitialized or
        // another task's, which is what this task looks for.
        let found =
            words.filter(|&address| unsafe { (address as *const u64).read_volatile() } == mark);
        let found = found.count();
        drop(fresh);
        found
    }

    /// The mark of `plant`, computed at each use so that the initial memory has no copy of it.
    fn mark() -> u64 {
        black_box(0x5EED_5EED_0000_0000_u64) | black_box(0x000A_11CE)
    }

    /// Tries to reach `what`: `file`, `environment`, `arguments`, `stdin`, `network` or
    /// `name-lookup`. Returns `denied: ...`, or what it reached.
    pub fn escape(what: &str) -> Result<String, Failure> {
        let denied = |error: std::io::Error| format!("denied: {error}");
        Ok(match what {
            "file" => std::fs::read_to_string("/etc/passwd").unwrap_or_else(denied),
            "environment" => match std::env::vars().next() {
                Some((name, value)) => format!("{name}={value}"),
                None => "denied: no variable".to_owned(),
            },
            "arguments" => match std::env::args().next() {
                Some(argument) => argument,
                None => "denied: no argument".to_owned(),
            },
            "stdin" => match std::io::read_to_string(std::io::stdin()) {
                Ok(text) if text.is_empty() => "denied: end of file".to_owned(),
                other => other.unwrap_or_else(denied),
            },
            "network" => match std::net::TcpStream::connect("127.0.0.1:9") {
                Ok(stream) => format!("{stream:?}"),
                Err(error) => denied(error),
            },
            "name-lookup" => match std::net::ToSocketAddrs::to_socket_addrs("localhost:9") {
                Ok(addresses) => format!("{:?}", addresses.collect::<Vec<_>>()),
                Err(error) => denied(error),
            },
            other => return Err(Failure::new("unknown", format!("no way out by `{other}`"))),
        })
    }

    /// Computes for ever and ignores requests to stop; `n` is ignored.
    pub fn ignore_stop(n: u64) -> u64 {
        let mut seen = n;
        loop {
            seen = seen.wrapping_add(u64::from(context::is_stop_requested()));
            context::report_progress(seen, None);
        }
    }

    /// Computes until it is asked to stop, then returns `n`.
    pub fn honour_stop(n: u64) -> u64 {
        while !context::is_stop_requested() {
            black_box(n);
        }
        n
    }

    /// A `Result` that is an ordinary value in both cases. A task fails with an `Err` only if its
    /// signature says `Result`, and this name hides the word.
    pub type Verdict = Result<u64, String>;

    /// Computes until it is asked to stop, then fails with `n` as its code.
    pub fn fail_when_stopped(n: u64) -> Result<u64, Failure> {
        while !context::is_stop_requested() {
            black_box(n);
        }
        Err(Failure::new(n.to_string(), "asked to stop"))
    }

    /// Bytes, written as MessagePack's own byte type.
    pub struct Bytes(Vec<u8>);

    impl Serialize for Bytes {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&self.0)
        }
    }

    /// A sequence with fewer elements than it announces.
    pub struct Announced(usize);

    impl Serialize for Announced {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_seq(Some(self.0))?.end()
        }
    }
}
