//! The rate at which payloads make a round trip.

use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_bytes::{ByteBuf, Bytes};
use serde_json::json;
use wasmpool::{Pool, Task};

use crate::arms::native::Threads;
use crate::arms::processes::Workers;
use crate::arms::python::Python;
use crate::arms::wire::Call;
use crate::arms::{Arm, Site, sandbox};
use crate::bench::Bench;
use crate::failure::{Failure, check};
use crate::plan::Topic;
use crate::report::Question;
use crate::rounds::Contestant;
use crate::table::{Shown, rows};

const TOPIC: Topic = Topic::Payload;

/// The sizes of the payloads in bytes.
const SIZES: &[usize] = &[16, 1 << 10, 64 << 10, 1 << 20, 16 << 20];

/// The subject of the last size.
pub(crate) const LARGEST: &str = "16 MiB";

const ARMS: &[Arm] = &[
    Arm::Native,
    Arm::Warm,
    Arm::Fresh,
    Arm::Function,
    Arm::Processes,
    Arm::Python,
    Arm::PythonPool,
    Arm::Copies,
];

/// The value of all bytes.
const BYTE: u8 = 0xAB;

/// The name of a subject.
fn subject(size: usize) -> String {
    match size {
        0..1024 => format!("{size} B"),
        1024..1_048_576 => format!("{} KiB", size >> 10),
        _ => format!("{} MiB", size >> 20),
    }
}

/// A guest without the SDK that exports a function.
const FUNCTION: &str = include_str!("../arms/echo.wat");

type EchoTask<'a> = Task<(&'a Bytes,), ByteBuf>;

/// Returns the bytes that it gets.
enum Echo<'a> {
    Threads(Threads),
    Sandbox(Rc<Pool>, Box<EchoTask<'a>>),
    Workers(Workers),
    Python(Python),
    Copies,
}

impl<'a> Echo<'a> {
    /// `warm` is the pool of the arms with warm instances, once there is one. They share it and
    /// its worker's memory, so that only their contract differs.
    fn start(arm: Arm, site: &Site, warm: &mut Option<Rc<Pool>>) -> Result<Self, Failure> {
        Ok(match arm {
            Arm::Native => Self::Threads(Threads::start(site.workers)),
            Arm::Fresh | Arm::Warm | Arm::Function => {
                let pool = match (arm, warm) {
                    (Arm::Fresh, _) => Rc::new(sandbox::pool(arm, site)?),
                    (_, Some(pool)) => Rc::clone(pool),
                    (_, none) => Rc::clone(none.insert(Rc::new(sandbox::pool(arm, site)?))),
                };
                let echo = match arm {
                    Arm::Function => pool.load_bytes(FUNCTION.as_bytes())?.task("echo")?,
                    _ => sandbox::task(&pool, wasmpool_guests::TOUR, "echo")?,
                };
                Self::Sandbox(pool, Box::new(echo))
            }
            Arm::Processes => Self::Workers(Workers::start(site)),
            Arm::Python | Arm::PythonPool => Self::Python(Python::start(arm, site)?),
            _ => Self::Copies,
        })
    }

    /// Sends the bytes `times` times. Checks the last result.
    fn run(&self, data: &'a Arc<[u8]>, times: usize) -> Result<Duration, Failure> {
        match self {
            Self::Sandbox(pool, echo) => through_sandbox(pool, echo, data, times),
            Self::Python(python) => {
                let what = json!({"byte": BYTE, "size": data.len(), "times": times});
                let (took, is_same) = python.order("echoes", &what)?;
                check(&is_same, &json!(true))?;
                Ok(took)
            }
            Self::Threads(threads) => last_of(data, times, || {
                let data = Arc::clone(data);
                threads.submit(move || data.to_vec()).wait()
            }),
            Self::Workers(workers) => last_of(data, times, || {
                let echoed = workers.submit(&Call::Echo(Bytes::new(data)));
                Ok(echoed.wait::<ByteBuf>()?.into_vec())
            }),
            Self::Copies => copy_thrice(data, times),
        }
    }
}

/// Copies into memory that is allocated already, so that only the copying is measured.
fn copy_thrice(data: &[u8], times: usize) -> Result<Duration, Failure> {
    let [mut first, mut second, mut third] = [const { Vec::new() }; 3];
    for buffer in [&mut first, &mut second, &mut third] {
        buffer.resize(data.len(), 0);
    }
    let started = Instant::now();
    for _ in 0..times {
        first.copy_from_slice(black_box(data));
        second.copy_from_slice(black_box(&first));
        third.copy_from_slice(black_box(&second));
        black_box(&third);
    }
    let took = started.elapsed();
    check(&(third == data), &true)?;
    Ok(took)
}

/// Reads the result in place, as callers of large payloads do.
fn through_sandbox<'a>(
    pool: &Pool,
    echo: &EchoTask<'a>,
    data: &'a [u8],
    times: usize,
) -> Result<Duration, Failure> {
    let started = Instant::now();
    let mut last = None;
    for _ in 0..times {
        drop(last.take());
        let future = last.insert(pool.submit(echo, (Bytes::new(data),))?);
        check(&future.wait_as::<&Bytes>()?.len(), &data.len())?;
    }
    let took = started.elapsed();
    let is_same = match &last {
        Some(future) => **future.wait_as::<&Bytes>()? == *data,
        None => true,
    };
    check(&is_same, &true)?;
    Ok(took)
}

fn last_of(
    data: &[u8],
    times: usize,
    mut echo: impl FnMut() -> Result<Vec<u8>, Failure>,
) -> Result<Duration, Failure> {
    let started = Instant::now();
    let mut last = None;
    for _ in 0..times {
        drop(last.take());
        last = Some(echo()?);
    }
    let took = started.elapsed();
    check(&last.is_none_or(|last| last == data), &true)?;
    Ok(took)
}

pub(super) fn ask(bench: &mut Bench<'_>) -> Question {
    let data = SIZES.iter().map(|&size| Arc::from(vec![BYTE; size]));
    let data = data.collect::<Vec<Arc<[u8]>>>();
    // One task runs at a time. With more workers, each would first have to grow its memory.
    let mut warm = None;
    let arms = bench.set_up(TOPIC, ARMS, |arm, site| {
        Echo::start(arm, &site.with_workers(1), &mut warm)
    });
    let stretch = bench.stretch() / 2;
    let mut contestants = Vec::new();
    for data in &data {
        for (arm, echo) in &arms {
            let name = subject(data.len());
            let run = move |times| {
                // Restores memory that the allocator has released in the turn of the last arm.
                if !matches!(echo, Echo::Python(_)) {
                    echo.run(data, 1)?;
                }
                echo.run(data, times)
            };
            contestants.push(Contestant::repeated(name, *arm, stretch, run));
        }
    }
    let samples = bench.play(TOPIC, contestants);
    bench.findings.add(TOPIC.name(), &samples);
    let size_of = |name: &str| {
        let size = SIZES.iter().find(|size| subject(**size) == name);
        size.map_or(f64::NAN, |size| *size as f64)
    };
    let shown = Shown {
        baseline: Some(Arm::Warm),
        amount: Some(&size_of),
    };
    Question {
        id: TOPIC.name().to_owned(),
        title: TOPIC.title().to_owned(),
        method: "A task returns the bytes that it gets, one task at a time on one worker. The \
                 value is the number of returned bytes per second; the first task of a turn is not \
                 counted (except for Python). wasmpool's result is read in place (`wait_as`); \
                 native threads copy the bytes once. Three plain copies into allocated memory are \
                 the least cost of the way in, through and out. Ratios are of the time."
            .to_owned(),
        unit: "B/s".to_owned(),
        more_is_better: true,
        rows: rows(&samples, &shown),
        remarks: vec![
            "A process for each task takes no part: it gets its input on the command line, which \
             is too short."
                .to_owned(),
        ],
    }
}
