//! The cost of computing: the same source, compiled for the sandbox and natively.

use std::hint::black_box;
use std::time::{Duration, Instant};

use wasmpool::{Pool, Task};

use crate::arms::native::Threads;
use crate::arms::{self, Arm, How, Site, Work, sandbox};
use crate::bench::{Bench, Findings, ratios};
use crate::failure::{Failure, check};
use crate::kernels::{self, Kernel};
use crate::plan::Topic;
use crate::report::Question;
use crate::rounds::Contestant;
use crate::statistics::{geometric_mean, median};
use crate::table::{Shown, rows};

const TOPIC: Topic = Topic::Compute;

/// The subject that all arms have.
pub(crate) const BATCH: &str = "factorizer, the article's numbers";

/// Numbers of the batch: Python takes half a second for them.
const NUMBERS: usize = 64;

const BATCH_ARMS: &[Arm] = &[
    Arm::Native,
    Arm::Warm,
    Arm::Fresh,
    Arm::Unchecked,
    Arm::Processes,
    Arm::Process,
    Arm::Python,
];

const KERNEL_ARMS: &[Arm] = &[Arm::Native, Arm::Warm, Arm::Unchecked, Arm::Fresh];

/// Runs kernels, one after the other on one worker.
enum Runner {
    Threads(Threads),
    Sandbox(Pool),
}

/// A kernel that is ready to run.
enum Ready<'a> {
    Threads(&'a Threads),
    Sandbox(&'a Pool, Box<Task<(u64,), u64>>),
}

impl Runner {
    fn start(arm: Arm, site: &Site) -> Result<Self, Failure> {
        Ok(match arm {
            Arm::Native => Self::Threads(Threads::start(1)),
            arm => Self::Sandbox(sandbox::pool(arm, &site.with_workers(1))?),
        })
    }

    fn ready(&self, kernel: Kernel) -> Result<Ready<'_>, Failure> {
        Ok(match self {
            Self::Threads(threads) => Ready::Threads(threads),
            Self::Sandbox(pool) => {
                let task = sandbox::task(pool, kernels::GUEST, kernel.name)?;
                Ready::Sandbox(pool, Box::new(task))
            }
        })
    }
}

impl Ready<'_> {
    fn run(&self, kernel: Kernel, times: usize, expected: u64) -> Result<Duration, Failure> {
        let started = Instant::now();
        for _ in 0..times {
            let sum = match self {
                Self::Threads(threads) => threads
                    .submit(move || (kernel.run)(black_box(kernel.size)))
                    .wait()?,
                Self::Sandbox(pool, task) => pool.submit(task, (kernel.size,))?.wait()?,
            };
            check(&sum, &expected)?;
        }
        Ok(started.elapsed())
    }
}

pub(super) fn ask(bench: &mut Bench<'_>) -> Question {
    let quick = bench.is_quick();
    // Python's batches would be most of a quick run.
    let batch_arms = match BATCH_ARMS {
        [but_python @ .., Arm::Python] if quick => but_python,
        all => all,
    };
    let batchers = bench.set_up(TOPIC, batch_arms, arms::factorizer);
    let kernel_arms = match KERNEL_ARMS {
        [but_fresh @ .., Arm::Fresh] if quick => but_fresh,
        all => all,
    };
    let runners = bench.set_up(TOPIC, kernel_arms, Runner::start);
    let work = Work::new(kernels::article_numbers(NUMBERS));
    // A kernel takes some milliseconds; a quick run needs it only once.
    let stretch = bench.stretch() / 2;

    let mut contestants = Vec::new();
    for (arm, batcher) in &batchers {
        let work = &work;
        contestants.push(Contestant::repeated(BATCH, *arm, stretch, move |times| {
            let batch = |_| batcher.factorize_checked(work, How::Together);
            (0..times).map(batch).sum()
        }));
    }
    for kernel in kernels::all() {
        let expected = (kernel.run)(kernel.size);
        for (arm, runner) in &runners {
            let mut ready = None;
            contestants.push(Contestant::repeated(
                kernel.name,
                *arm,
                stretch,
                move |times| {
                    let ready = match &ready {
                        Some(ready) => ready,
                        None => ready.insert(runner.ready(kernel)?),
                    };
                    ready.run(kernel, times, expected)
                },
            ));
        }
    }
    let samples = bench.play(TOPIC, contestants);
    bench.findings.add(TOPIC.name(), &samples);

    let shown = Shown {
        baseline: Some(Arm::Native),
        amount: None,
    };
    let mut remarks = remarks(&bench.findings);
    if quick && !bench.missing.contains_key(&Arm::Python) {
        remarks.push(
            "Python, which takes half a second for a batch, is left out with `--quick`.".into(),
        );
    }
    Question {
        id: TOPIC.name().to_owned(),
        title: TOPIC.title().to_owned(),
        method: format!(
            "The batch is {NUMBERS} numbers from {} in steps of 2, each a task, on {} workers; \
             the time is that of the whole batch. A kernel runs repeatedly on one worker; it makes \
             its own input and returns a checksum, which is compared with that of native code. \
             Native code and guests are compiled from the same source with the same level of \
             optimization. Python computes in Python, so its batch says more about the language \
             than about processes.",
            work.numbers[0], bench.site.workers
        ),
        unit: "s".to_owned(),
        more_is_better: false,
        rows: rows(&samples, &shown),
        remarks,
    }
}

/// The summary of the kernels.
fn remarks(findings: &Findings) -> Vec<String> {
    let pairs = [
        (Arm::Warm, Arm::Native, "wasm with epoch checks / native"),
        (
            Arm::Unchecked,
            Arm::Native,
            "wasm without epoch checks / native: the sandbox alone",
        ),
        (
            Arm::Warm,
            Arm::Unchecked,
            "wasm with epoch checks / without: being stoppable alone",
        ),
    ];
    let remark = |(over, under, words): (Arm, Arm, &str)| {
        let ratios = kernel_ratios(findings, over, under);
        let worst = ratios.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let of_all = ratios.iter().map(|(_, ratio)| *ratio).collect::<Vec<_>>();
        Some(format!(
            "{words}: geometric mean of {} kernels {:.2}, worst {:.2} ({})",
            of_all.len(),
            geometric_mean(&of_all),
            worst.1,
            worst.0
        ))
    };
    pairs.into_iter().filter_map(remark).collect()
}

/// For each kernel the median over the rounds of the ratio of two arms.
pub(crate) fn kernel_ratios(findings: &Findings, over: Arm, under: Arm) -> Vec<(String, f64)> {
    let kernels = findings.subjects(TOPIC.name(), over).into_iter();
    let kernels = kernels.filter(|subject| *subject != BATCH);
    let ratio = |kernel: &str| {
        let over = findings.find(TOPIC.name(), kernel, over)?;
        let under = findings.find(TOPIC.name(), kernel, under)?;
        Some((kernel.to_owned(), median(&ratios(over, under))))
    };
    kernels.filter_map(ratio).collect()
}
