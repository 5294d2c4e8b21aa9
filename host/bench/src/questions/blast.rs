//! The cost of a crash to other tasks.

use std::time::{Duration, Instant};

use serde_json::json;
use wasmpool::{Pool, Task, Value};

use crate::arms::processes::Workers;
use crate::arms::python::Python;
use crate::arms::wire::Call;
use crate::arms::{Arm, Site, TINY, digest, process, sandbox, worker};
use crate::bench::Bench;
use crate::failure::{Failure, check};
use crate::plan::Topic;
use crate::report::Question;
use crate::rounds::{Contestant, Samples};
use crate::table::{Shown, rows};

const TOPIC: Topic = Topic::Blast;

/// The id of the second table.
const RECOVERY: &str = "recovery";

const NEXT: &str = "from the crash to the next good result";

const TASKS: usize = 100;

/// The index of the task that crashes: half of the others have ended or are running by then.
const CRASHES: usize = 50;

const ARMS: &[Arm] = &[
    Arm::Native,
    Arm::Warm,
    Arm::Fresh,
    Arm::Unchecked,
    Arm::Processes,
    Arm::Process,
    Arm::Python,
    Arm::PythonPool,
];

/// The measured effect of a crash.
struct Blast {
    others_failed: usize,
    /// The time from when the outcomes are known to the next good result.
    recovery: Duration,
}

/// The arm that runs the tasks.
enum Crowd {
    Threads(Site),
    Sandbox(Box<Sandbox>),
    Workers(Workers),
    Process(Site),
    Python(Python),
}

struct Sandbox {
    pool: Pool,
    factorize: Task<(u64,), Vec<u64>>,
    crash: Task<(u64,), Value>,
}

impl Crowd {
    fn start(arm: Arm, site: &Site) -> Result<Self, Failure> {
        Ok(match arm {
            Arm::Native => Self::Threads(site.clone()),
            Arm::Processes => Self::Workers(Workers::start(site)),
            Arm::Process => Self::Process(site.clone()),
            Arm::Python | Arm::PythonPool => Self::Python(Python::start(arm, site)?),
            arm => {
                let pool = sandbox::pool(arm, site)?;
                Self::Sandbox(Box::new(Sandbox {
                    factorize: sandbox::task(&pool, wasmpool_guests::FACTORIZER, "factorize")?,
                    crash: sandbox::task(&pool, wasmpool_guests::MISBEHAVING, "unreachable")?,
                    pool,
                }))
            }
        })
    }

    fn blast(&self) -> Result<Blast, Failure> {
        match self {
            Self::Threads(site) => of_threads(site),
            Self::Sandbox(sandbox) => of_sandbox(sandbox),
            Self::Workers(workers) => of_workers(workers),
            Self::Process(site) => of_processes(site),
            Self::Python(python) => {
                let what = json!({"tasks": TASKS, "crash": CRASHES});
                let (recovery, got) = python.order("blast", &what)?;
                let (others_failed, got) = serde_json::from_value::<(usize, u64)>(got)?;
                check(&got, &digest([[TINY]]))?;
                Ok(Blast {
                    others_failed,
                    recovery,
                })
            }
        }
    }
}

fn of_sandbox(sandbox: &Sandbox) -> Result<Blast, Failure> {
    let Sandbox {
        pool,
        factorize,
        crash,
    } = sandbox;
    let mut others = Vec::new();
    let mut crashing = None;
    for index in 0..TASKS {
        match index {
            CRASHES => crashing = Some(pool.submit(crash, (0,))?),
            _ => others.push(pool.submit(factorize, (TINY,))?),
        }
    }
    let good = others
        .iter()
        .filter(|other| other.wait().is_ok_and(|factors| factors == [TINY]));
    let others_failed = others.len() - good.count();
    let crashed = crashing.is_some_and(|crashing| crashing.wait().is_err());
    let started = Instant::now();
    check(&crashed, &true)?;
    check(&pool.submit(factorize, (TINY,))?.wait()?, &vec![TINY])?;
    Ok(Blast {
        others_failed,
        recovery: started.elapsed(),
    })
}

fn of_workers(workers: &Workers) -> Result<Blast, Failure> {
    let submit = |index| match index {
        CRASHES => workers.submit(&Call::Crash),
        _ => workers.submit(&Call::Factorize(TINY)),
    };
    let pending = (0..TASKS).map(submit).collect::<Vec<_>>();
    let outcomes = pending.into_iter().map(|pending| {
        let factors = pending.wait::<Vec<u64>>();
        factors.is_ok_and(|factors| factors == [TINY])
    });
    let outcomes = outcomes.collect::<Vec<_>>();
    let started = Instant::now();
    check(&outcomes[CRASHES], &false)?;
    let factors = workers.submit(&Call::Factorize(TINY)).wait()?;
    check(&factors, &vec![TINY])?;
    let n_failed = outcomes.iter().filter(|is_good| !**is_good).count();
    Ok(Blast {
        others_failed: n_failed - 1,
        recovery: started.elapsed(),
    })
}

/// A crash ends the whole program, so this runs in a process of its own.
fn of_threads(site: &Site) -> Result<Blast, Failure> {
    let numbers = [TASKS, CRASHES, site.workers].map(|number| number.to_string());
    let [tasks, crashes, workers] = &numbers;
    let child = process::start(site, &[worker::CRASH_AMONG, tasks, crashes, workers])?;
    let output = child.wait_with_output()?;
    let started = Instant::now();
    check(&output.status.success(), &false)?;
    let n_done = String::from_utf8_lossy(&output.stdout).lines().count();
    check(&process::factorize(site, TINY)?, &vec![TINY])?;
    Ok(Blast {
        others_failed: TASKS - 1 - n_done,
        recovery: started.elapsed(),
    })
}

fn of_processes(site: &Site) -> Result<Blast, Failure> {
    let mut others_failed = 0;
    let (tiny, expected) = (TINY.to_string(), format!("{TINY}\n"));
    // As many at a time as there are workers.
    let indices = (0..TASKS).collect::<Vec<_>>();
    for indices in indices.chunks(site.workers) {
        let start = |&index: &usize| {
            let task = match index {
                CRASHES => &[worker::CRASH][..],
                _ => &[worker::FACTORIZE, &tiny],
            };
            Ok((index, process::start(site, task)?))
        };
        let children = indices.iter().map(start);
        for (index, child) in children.collect::<Result<Vec<_>, Failure>>()? {
            let is_good = child.wait_with_output()?.stdout == expected.as_bytes();
            others_failed += usize::from(index != CRASHES && !is_good);
        }
    }
    let started = Instant::now();
    check(&process::factorize(site, TINY)?, &vec![TINY])?;
    Ok(Blast {
        others_failed,
        recovery: started.elapsed(),
    })
}

/// One of a hundred tasks crashes in each arm. Each turn measures both: how many others failed,
/// and the time to the next good result.
pub(super) fn ask(bench: &mut Bench<'_>) -> Vec<Question> {
    let crowds = bench.set_up(TOPIC, ARMS, Crowd::start);
    let of_others = format!("others that failed, of {}", TASKS - 1);
    let subjects = [of_others.as_str(), NEXT];
    let contestants = crowds.iter().map(|(arm, crowd)| {
        Contestant::several(&subjects, *arm, || {
            let blast = crowd.blast()?;
            Ok(vec![
                blast.others_failed as f64,
                blast.recovery.as_secs_f64(),
            ])
        })
    });
    let samples = bench.play(TOPIC, contestants.collect());
    let (recovery, failed): (Vec<Samples>, Vec<Samples>) = samples
        .into_iter()
        .partition(|samples| samples.subject == NEXT);
    bench.findings.add(TOPIC.name(), &failed);
    bench.findings.add(RECOVERY, &recovery);

    let mut remarks = Vec::new();
    if !bench.missing.contains_key(&Arm::PythonPool) {
        remarks.push(
            "`multiprocessing.Pool` replaces the worker but never settles its task: waiting for it \
             blocks for ever."
                .to_owned(),
        );
    }
    vec![
        Question {
            id: TOPIC.name().to_owned(),
            title: TOPIC.title().to_owned(),
            method: format!(
                "{TASKS} tasks are submitted together. Number {CRASHES} crashes: it traps, or \
                 natively ends its process (without a core dump, which would take longer than \
                 everything else). The value is how many of the others fail with it."
            ),
            unit: String::new(),
            more_is_better: false,
            rows: rows(
                &failed,
                &Shown {
                    baseline: None,
                    amount: None,
                },
            ),
            remarks,
        },
        Question {
            id: RECOVERY.to_owned(),
            title: "How soon does the next task succeed after a crash?".to_owned(),
            method:
                "The time from when the outcomes of all those tasks are known to the next good \
                     result. With native threads the whole program is started again; a broken \
                     `ProcessPoolExecutor` is replaced by a new one."
                    .to_owned(),
            unit: "s".to_owned(),
            more_is_better: false,
            rows: rows(
                &recovery,
                &Shown {
                    baseline: Some(Arm::Fresh),
                    amount: None,
                },
            ),
            remarks: Vec::new(),
        },
    ]
}
