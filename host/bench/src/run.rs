//! A run from its beginning to its report.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use wasmpool::Allocation;

use crate::arms::{Arm, Site, python, sandbox};
use crate::bench::{Bench, Findings, Progress};
use crate::failure::Failure;
use crate::machine;
use crate::plan::{MAX_ROUNDS, Plan, Topic};
use crate::questions;
use crate::questions::own::{self, OwnTask};
use crate::report::{self, Question, Report};
use crate::statistics::MIN_ROUNDS;
use crate::targets;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// An invalid setting.
    #[error("`{setting}`: {problem}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The folder for compiled modules and scripts cannot be created.
    #[error("cannot create a temporary folder")]
    Folder(#[source] std::io::Error),
    /// The user's own task, or the command to compare with, cannot be run.
    #[error("{0}")]
    OwnTask(String),
}

/// Measures the questions of a plan, and reports its progress.
///
/// Blocks until it is done: about three minutes for all questions, or half a minute with
/// [`Pace::Quick`]. An arm that fails has no rows and is listed in the report's failures.
///
/// [`Pace::Quick`]: crate::Pace::Quick
///
/// # Errors
///
/// If a setting of the plan is invalid, or a temporary folder cannot be created.
pub fn run(plan: &Plan, progress: &mut dyn FnMut(Progress)) -> Result<Report, BenchError> {
    report(plan, progress, |bench| {
        let topics = Topic::ALL.iter();
        let wanted = topics.filter(|topic| plan.topics.contains(topic));
        let asked = wanted.flat_map(|topic| questions::ask(*topic, bench));
        Ok(asked.collect())
    })
}

/// Measures the user's own task, and a command to compare with.
///
/// Blocks and reports progress as [`run`] does; ignores the plan's topics.
///
/// # Errors
///
/// As [`run`], and if the task or the command fails.
pub fn run_own(
    plan: &Plan,
    task: &OwnTask,
    progress: &mut dyn FnMut(Progress),
) -> Result<Report, BenchError> {
    report(plan, progress, |bench| {
        let question = own::ask(bench, task);
        Ok(vec![
            question.map_err(|Failure(why)| BenchError::OwnTask(why))?,
        ])
    })
}

fn report(
    plan: &Plan,
    progress: &mut dyn FnMut(Progress),
    ask: impl FnOnce(&mut Bench<'_>) -> Result<Vec<Question>, BenchError>,
) -> Result<Report, BenchError> {
    check(plan)?;
    let (started, clock) = (SystemTime::now(), Instant::now());
    let folder = tempfile::tempdir().map_err(BenchError::Folder)?;
    let site = Site {
        workers: plan.workers,
        program: plan.program.clone(),
        folder: folder.path().to_owned(),
    };
    let python = python::version(&site);
    let mut bench = Bench {
        missing: missing(&python),
        site,
        pace: plan.pace,
        rounds: plan.rounds,
        progress,
        failures: Vec::new(),
        findings: Findings::default(),
    };
    let mut machine = machine::look(python.as_deref().ok(), &bench);
    let questions = ask(&mut bench)?;
    machine.load[1] = machine::load();
    let is_own = questions
        .iter()
        .any(|question| question.id == Topic::Own.name());
    Ok(Report {
        started: humantime::format_rfc3339_seconds(started).to_string(),
        took: clock.elapsed().as_secs_f64(),
        rounds: plan.rounds,
        arms: arms(&bench, &questions),
        targets: match is_own {
            true => Vec::new(),
            false => targets::compare(&bench.findings),
        },
        caveats: caveats(&machine),
        machine,
        questions,
        failures: bench.failures,
    })
}

fn check(plan: &Plan) -> Result<(), BenchError> {
    let refuse = |setting, problem| Err(BenchError::Setting { setting, problem });
    if !(MIN_ROUNDS..=MAX_ROUNDS).contains(&plan.rounds) {
        let rounds = plan.rounds;
        let problem = format!("{rounds} is out of range, which is {MIN_ROUNDS} to {MAX_ROUNDS}");
        return refuse("rounds", problem);
    }
    if plan.workers == 0 {
        return refuse("workers", "there must be one".to_owned());
    }
    Ok(())
}

/// The arms that do not take part in this run.
fn missing(python: &Result<String, Failure>) -> BTreeMap<Arm, String> {
    let mut missing = BTreeMap::new();
    if let Err(failure) = python {
        let pythons = Arm::ALL.iter().filter(|arm| arm.is_python());
        missing.extend(pythons.map(|arm| (*arm, failure.to_string())));
    }
    // Without support of the kernel, the arm would measure the default again.
    let page_wise = sandbox::builder(Arm::PageWise, 1).build();
    let is_page_wise = page_wise.is_ok_and(|pool| {
        matches!(
            pool.allocation(),
            Allocation::Pooled {
                page_wise_reset: true
            }
        )
    });
    if !is_page_wise {
        let why =
            "this machine resets memory as a whole: swap is in use, or there is no `PAGEMAP_SCAN`";
        missing.insert(Arm::PageWise, why.to_owned());
    }
    missing
}

/// The arms that are in the tables, and those that could not take part.
fn arms(bench: &Bench<'_>, questions: &[Question]) -> Vec<report::Arm> {
    let rows = || questions.iter().flat_map(|question| &question.rows);
    let takes_part = |arm: &Arm| rows().any(|row| row.arm == arm.id());
    let all = Arm::ALL.iter().chain(&[Arm::Command]);
    let arms = all.filter(|arm| takes_part(arm) || bench.missing.contains_key(arm));
    let arms = arms.map(|arm| report::Arm {
        id: arm.id().to_owned(),
        name: arm.name().to_owned(),
        skipped: bench.missing.get(arm).cloned(),
    });
    arms.collect()
}

fn caveats(machine: &report::Machine) -> Vec<String> {
    let mut caveats = vec![
        "Expect similar ratios on other machines, but other times.".to_owned(),
        "The interval is of the median: where intervals of two arms overlap, the arms may be \
         equally fast."
            .to_owned(),
        "wasmpool's arms have limits, epoch checks, reports and captured output, as users have \
         them. The other arms have none of these."
            .to_owned(),
        "The guests are compiled with flags that unroll loops, since a guest checks once per \
         iteration whether it must stop. Native code is compiled without these flags; with them \
         and with link-time optimization it is about 6 % faster."
            .to_owned(),
        "The native processes are this program again, which is larger than a minimal program; \
         the table of starts includes `true` for comparison."
            .to_owned(),
    ];
    let busiest = machine.load[0].max(machine.load[1]);
    if machine.load[0] > 0.5 * machine.parallelism as f64 {
        caveats.push(format!(
            "The machine was busy with other work: its load was {busiest:.1} on {} threads.",
            machine.parallelism
        ));
    }
    if cfg!(debug_assertions) {
        caveats.push(
            "This program was compiled with debug assertions: its figures are not meaningful."
                .to_owned(),
        );
    }
    caveats
}
