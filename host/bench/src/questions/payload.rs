//! How fast bytes go there and back.

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

/// What is sent: sixteen bytes, and up to a million times as many.
const SIZES: &[usize] = &[16, 1 << 10, 64 << 10, 1 << 20, 16 << 20];

/// What the last of them is called.
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

/// What all bytes are.
const BYTE: u8 = 0xAB;

/// What a subject is called.
fn subject(size: usize) -> String {
    match size {
        0..1024 => format!("{size} B"),
        1024..1_048_576 => format!("{} KiB", size >> 10),
        _ => format!("{} MiB", size >> 20),
    }
}

/// A guest without our SDK, that exports a function.
const FUNCTION: &str = include_str!("../arms/echo.wat");

type EchoTask<'a> = Task<(&'a Bytes,), ByteBuf>;

/// Who gives bytes back.
enum Echo<'a> {
    Threads(Threads),
    Sandbox(Rc<Pool>, Box<EchoTask<'a>>),
    Workers(Workers),
    Python(Python),
    Copies,
}

impl<'a> Echo<'a> {
    /// `warm` is the pool of the arms whose instances are warm, once there is one. They share
    /// it, and its worker's memory, so that what they differ in is their contract.
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

    /// Sends the bytes so many times. What comes back last is looked at.
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

/// Into memory that is there already, so that nothing but the copying is measured.
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

/// The result is read where it lies, as it is by those who care.
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
    // There is one task at a time. With more workers, each would come by its memory later.
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
                // Takes back the memory that the last arm's turn has made the allocator give up.
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
        method: "A task gives back the bytes that it was given, one task at a time on one \
                 worker; the value is how many of them were given back in a second, each counted \
                 once, after a first time in each turn that is not counted (Python has memory of \
                 its own, and none). wasmpool's result is read where it lies (`wait_as`); native \
                 threads copy the bytes once; three plain copies, into memory that is there \
                 already, are the least that the way in, through and out can cost. Ratios are of \
                 the time."
            .to_owned(),
        unit: "B/s".to_owned(),
        more_is_better: true,
        rows: rows(&samples, &shown),
        remarks: vec![
            "A process for each task takes no part: what a task is given is on its command line \
             there, which is too short."
                .to_owned(),
        ],
    }
}
