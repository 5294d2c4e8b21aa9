//! This program as the worker of an arm, in a process of its own.
//!
//! A program looks for [`SUBCOMMAND`] before it does anything else, so that a worker process
//! starts fast; see [`as_worker`].

use std::ffi::OsString;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use crate::arms::native::Threads;
use crate::arms::wire::{self, Call};
use crate::arms::worker::{
    CRASH, CRASH_AMONG, FACTORIZE, MEMORY, SERVE, SLEEP, SPIN, SUBCOMMAND, WAITING,
};
use crate::failure::Failure;
use crate::questions::{memory, waiting};

/// Acts as the worker of an arm, if that is what this process was started for.
///
/// A program that calls [`run`](crate::run) must call this first, before it parses its arguments,
/// and exit with the returned code.
pub fn as_worker(mut args: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    if args.nth(1)? != SUBCOMMAND {
        return None;
    }
    let args = args.map(OsString::into_string);
    let args = args.collect::<Result<Vec<_>, _>>().unwrap_or_default();
    let args = args.iter().map(String::as_str).collect::<Vec<_>>();
    Some(match act(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "error: {SUBCOMMAND}: {problem}");
            ExitCode::FAILURE
        }
    })
}

fn act(args: &[&str]) -> Result<(), Failure> {
    match args {
        [SERVE] => serve(),
        [FACTORIZE, n] => {
            let factors = factorizer::factorize(n.parse()?);
            let factors = factors.iter().map(u64::to_string).collect::<Vec<_>>();
            writeln!(io::stdout(), "{}", factors.join(" "))?;
        }
        [SPIN] => spin(),
        [CRASH] => crash(),
        [SLEEP, ms] => thread::sleep(Duration::from_millis(ms.parse()?)),
        [CRASH_AMONG, n_tasks, crash, workers] => {
            crash_among(n_tasks.parse()?, crash.parse()?, workers.parse()?);
        }
        [MEMORY, rest @ ..] => memory::print_own(rest)?,
        [WAITING, rest @ ..] => waiting::print_own(rest)?,
        _ => return Err(Failure::new("it is for the program itself")),
    }
    Ok(())
}

/// Answers calls until the input ends or the output is closed.
fn serve() {
    let (mut calls, mut results) = (io::stdin().lock(), io::stdout().lock());
    let (mut message, mut answer) = (Vec::new(), Vec::new());
    while wire::receive(&mut calls, &mut message).is_ok() {
        let Ok(call) = rmp_serde::from_slice(&message) else {
            return;
        };
        match call {
            Call::Factorize(n) => wire::write(&mut answer, &factorizer::factorize(n)),
            Call::FactorizeMany(numbers) => {
                let results = numbers.into_iter().map(factorizer::factorize);
                wire::write(&mut answer, &results.collect::<Vec<_>>());
            }
            Call::Echo(bytes) => wire::write(&mut answer, bytes),
            Call::Sleep(ms) => {
                thread::sleep(Duration::from_millis(ms));
                wire::write(&mut answer, &ms);
            }
            Call::Spin => {
                spin();
                wire::write(&mut answer, &());
            }
            Call::Crash => crash(),
        }
        if results.write_all(&answer).is_err() || results.flush().is_err() {
            return;
        }
    }
}

/// Ends the process without a core dump, which would take longer than the measurement.
fn crash() -> ! {
    std::process::exit(101)
}

/// Computes for longer than any caller waits, but not for ever: the process that should kill this
/// one may be killed first.
fn spin() {
    let end = Instant::now() + Duration::from_secs(60);
    let mut counter = 1_u64;
    while Instant::now() < end {
        for _ in 0..1_000_000 {
            counter = black_box(counter).wrapping_mul(6_364_136_223_846_793_005);
        }
    }
}

fn crash_among(n_tasks: usize, crashing: usize, workers: usize) {
    let threads = Threads::start(workers);
    let task = |index: usize| {
        threads.submit(move || match index == crashing {
            true => crash(),
            false => factorizer::factorize(2),
        })
    };
    for pending in (0..n_tasks).map(task).collect::<Vec<_>>() {
        if pending.wait().is_ok() {
            let _ = writeln!(io::stdout(), "done");
        }
    }
}
