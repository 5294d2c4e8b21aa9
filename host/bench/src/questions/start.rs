//! The cost of starting: compiling, loading, starting an instance, a pool and a program.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use wasmpool::Pool;
use wasmpool_guests::FACTORIZER;

use super::times::of_times;
use crate::arms::{
    Arm, Factorizes as _, How, Site, TINY, Work, digest, factorizer, process, python, sandbox,
};
use crate::bench::Bench;
use crate::failure::{Failure, check};
use crate::plan::Topic;
use crate::report::Question;
use crate::rounds::{Contestant, clocked};

const TOPIC: Topic = Topic::Start;

pub(crate) const COMPILE: &str = "compile the factorizer";
pub(crate) const LOAD: &str = "load it from the cache";
pub(crate) const ONE: &str = "a place for one task: start, use, end";
const NEW_POOL: &str = "a new pool's first result";
pub(crate) const NEW_PROGRAM: &str = "a new program's first result";

pub(super) fn ask(bench: &mut Bench<'_>) -> Question {
    let site = bench.site.clone();
    let stretch = bench.stretch();
    let loaders = bench.set_up(TOPIC, &[Arm::Fresh], |arm, site| {
        let without_cache = sandbox::builder(arm, site.workers).no_cache().build()?;
        Ok((without_cache, sandbox::pool(arm, site)?))
    });
    let instances = bench.set_up(TOPIC, &[Arm::Fresh, Arm::PageWise], |arm, site| {
        sandbox::Factorizer::new(arm, &site.with_workers(1))
    });
    // Python starts these pools itself.
    let pythons = bench.set_up(
        TOPIC,
        &[Arm::Python, Arm::PythonPool],
        python::Python::start,
    );

    let mut contestants = Vec::new();
    for (arm, (without_cache, with_cache)) in &loaders {
        for (subject, pool) in [(COMPILE, without_cache), (LOAD, with_cache)] {
            contestants.push(Contestant::repeated(subject, *arm, stretch, |times| {
                (0..times).map(|_| load(pool)).sum()
            }));
        }
    }

    for (arm, instances) in &instances {
        contestants.push(Contestant::repeated(ONE, *arm, stretch, |times| {
            instances.factorize_checked(&Work::tiny(times), How::Chunks)
        }));
    }
    contestants.push(Contestant::repeated(ONE, Arm::Native, stretch, |times| {
        let started = Instant::now();
        for _ in 0..times {
            let thread = thread::spawn(|| ::factorizer::factorize(TINY));
            let factors = thread.join().map_err(|_| Failure::new("it panicked"))?;
            check(&factors, &vec![TINY])?;
        }
        Ok(started.elapsed())
    }));
    for arm in [Arm::Process, Arm::True] {
        if bench.missing.contains_key(&arm) {
            continue;
        }
        let site = &site;
        contestants.push(Contestant::repeated(ONE, arm, stretch, move |times| {
            let started = Instant::now();
            for _ in 0..times {
                match arm {
                    Arm::Process => check(&process::factorize(site, TINY)?, &vec![TINY])?,
                    _ => run(Command::new("true"))?,
                }
            }
            Ok(started.elapsed())
        }));
    }

    for arm in [
        Arm::Native,
        Arm::Warm,
        Arm::Fresh,
        Arm::Unchecked,
        Arm::Processes,
    ] {
        if bench.missing.contains_key(&arm) {
            continue;
        }
        let site = &site;
        contestants.push(Contestant::single(NEW_POOL, arm, move || {
            let work = Work::tiny(1);
            // The pool is dropped after the clock has stopped: its end is not counted.
            let (took, _pool) = clocked(|| {
                let pool = factorizer(arm, site)?;
                pool.factorize_checked(&work, How::OneByOne)?;
                Ok(pool)
            })?;
            Ok(took.as_secs_f64())
        }));
    }
    for (arm, python) in &pythons {
        contestants.push(Contestant::single(NEW_POOL, *arm, || {
            let (took, got) = python.order("cold", &json!(TINY))?;
            check(&got, &json!(digest([[TINY]])))?;
            Ok(took.as_secs_f64())
        }));
    }

    for arm in [Arm::Fresh, Arm::Process, Arm::Python, Arm::PythonPool] {
        if bench.missing.contains_key(&arm) {
            continue;
        }
        let site = &site;
        contestants.push(Contestant::single(NEW_PROGRAM, arm, move || {
            let (took, ()) = clocked(|| new_program(arm, site))?;
            Ok(took.as_secs_f64())
        }));
    }

    let samples = bench.play(TOPIC, contestants);
    let method = format!(
        "The factorizer is a component of {} KiB. Loading finds it in the cache by its hash, \
         checks its code, maps it and links it. A place for one task is an instance in \
         wasmpool, made, called and cleaned up by one worker; natively a thread, started and \
         joined; otherwise a process, started and waited for. A new pool has {} workers and a \
         cached module; its end is not counted. A new program runs from its start to its end \
         for one result: `wasmpool run factorizer 2` with a cached module, or a script for \
         Python.",
        FACTORIZER.wasm.len() >> 10,
        site.workers
    );
    of_times(bench, TOPIC, method, &samples)
}

/// Loads the factorizer, which is not held otherwise, so that it is loaded anew each time.
fn load(pool: &Pool) -> Result<Duration, Failure> {
    let (took, module) = clocked(|| Ok(pool.load_bytes(FACTORIZER.wasm)?))?;
    check(&module.tasks().is_empty(), &false)?;
    Ok(took)
}

fn new_program(arm: Arm, site: &Site) -> Result<(), Failure> {
    let command = match arm {
        Arm::Process => {
            return check(&process::factorize(site, TINY)?, &vec![TINY]);
        }
        Arm::Python | Arm::PythonPool => {
            let mut command = python::command(arm, site)?;
            command.arg("first");
            command
        }
        _ => {
            let mut command = Command::new(&site.program);
            command
                .args(["run", "factorizer", &TINY.to_string(), "--quiet"])
                .args(["--timeout", "60s", "--memory", "256MiB"])
                .args(["--workers", &site.workers.to_string()])
                .arg("--cache-folder")
                .arg(site.cache());
            command
        }
    };
    run(command)
}

/// Runs a program to its end.
fn run(mut command: Command) -> Result<(), Failure> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure(format!("{}: {}", output.status, said.trim())))
}
