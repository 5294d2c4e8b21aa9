//! The targets of the project, and how they are computed from the findings.

use crate::arms::Arm;
use crate::bench::{Findings, ratios};
use crate::questions::{compute, subjects};
use crate::report::Target;
use crate::statistics::{geometric_mean, median};

/// A target of the project.
struct Goal {
    what: &'static str,
    wanted: Wanted,
    measured: Figure,
    remark: &'static str,
}

#[derive(Clone, Copy)]
enum Wanted {
    Least(f64),
    Most(f64),
}

/// One arm with one subject: the question, the subject, the arm.
type Place = (&'static str, &'static str, Arm);

#[derive(Clone, Copy)]
enum Figure {
    /// The ratio of the first to the second, the median over the rounds.
    Ratio(Place, Place),
    /// The median over the rounds, in multiples of a unit.
    Value(Place, f64),
    /// The geometric mean of the kernels' ratios of two arms.
    KernelsMean(Arm, Arm),
    KernelsWorst(Arm, Arm),
}

const DISPATCH: &str = "dispatch";
const START: &str = "start";
const WAITING: &str = "waiting";
const SHARING: &str = "sharing";
const CHILDREN: &str = "children";
const OBJECTS: &str = "objects";

const GOALS: &[Goal] = &[
    Goal {
        what: "a child that is a process / a child in a fresh instance",
        wanted: Wanted::Least(50.0),
        measured: Figure::Ratio(
            (CHILDREN, subjects::CHILD, Arm::PythonPool),
            (CHILDREN, subjects::CHILD, Arm::Fresh),
        ),
        remark: "the process is Python's `multiprocessing.Process`",
    },
    Goal {
        what: "`multiprocessing` / wasmpool: an item through a queue",
        wanted: Wanted::Least(10.0),
        measured: Figure::Ratio(
            (OBJECTS, subjects::ITEM, Arm::PythonPool),
            (OBJECTS, subjects::ITEM, Arm::Fresh),
        ),
        remark: "",
    },
    Goal {
        what: "the same: a lock that nobody else wants",
        wanted: Wanted::Least(1.0),
        measured: Figure::Ratio(
            (OBJECTS, subjects::LOCK, Arm::PythonPool),
            (OBJECTS, subjects::LOCK, Arm::Fresh),
        ),
        remark: "",
    },
    Goal {
        what: "the same: adding to a value",
        wanted: Wanted::Least(1.0),
        measured: Figure::Ratio(
            (OBJECTS, subjects::ADD, Arm::PythonPool),
            (OBJECTS, subjects::ADD, Arm::Fresh),
        ),
        remark: "",
    },
    Goal {
        what: "the same: a permit handed from task to task",
        wanted: Wanted::Least(3.0),
        measured: Figure::Ratio(
            (OBJECTS, subjects::HAND_OVER, Arm::PythonPool),
            (OBJECTS, subjects::HAND_OVER, Arm::Fresh),
        ),
        remark: "",
    },
    Goal {
        what: "the same: a call of a `Manager`'s proxy / of a session",
        wanted: Wanted::Least(20.0),
        measured: Figure::Ratio(
            (OBJECTS, subjects::SESSION, Arm::PythonPool),
            (OBJECTS, subjects::SESSION, Arm::Fresh),
        ),
        remark: "",
    },
    Goal {
        what: "a process for each task / a fresh instance for each task: latency",
        wanted: Wanted::Least(60.0),
        measured: Figure::Ratio(
            (DISPATCH, subjects::ONE_BY_ONE, Arm::Process),
            (DISPATCH, subjects::ONE_BY_ONE, Arm::Fresh),
        ),
        remark: "",
    },
    Goal {
        what: "the same: throughput with all workers",
        wanted: Wanted::Least(100.0),
        measured: Figure::Ratio(
            (DISPATCH, subjects::TOGETHER, Arm::Process),
            (DISPATCH, subjects::TOGETHER, Arm::Fresh),
        ),
        remark: "",
    },
    Goal {
        what: "the factorizer, wasm in warm instances / native threads: wall time",
        wanted: Wanted::Most(1.05),
        measured: Figure::Ratio(
            ("compute", subjects::COMPUTE_BATCH, Arm::Warm),
            ("compute", subjects::COMPUTE_BATCH, Arm::Native),
        ),
        remark: "",
    },
    Goal {
        what: "kernels with epoch checks, wasm / native: geometric mean",
        wanted: Wanted::Most(1.30),
        measured: Figure::KernelsMean(Arm::Warm, Arm::Native),
        remark: "",
    },
    Goal {
        what: "the same: the worst kernel",
        wanted: Wanted::Most(2.0),
        measured: Figure::KernelsWorst(Arm::Warm, Arm::Native),
        remark: "",
    },
    Goal {
        what: "kernels without epoch checks, wasm / native: geometric mean",
        wanted: Wanted::Most(1.15),
        measured: Figure::KernelsMean(Arm::Unchecked, Arm::Native),
        remark: "",
    },
    Goal {
        what: "a fresh instance of the factorizer, full cycle inside a worker, in microseconds",
        wanted: Wanted::Most(9.0),
        measured: Figure::Value((START, subjects::ONE, Arm::Fresh), 1e-6),
        remark: "memory is reset as a whole, the default",
    },
    Goal {
        what: "the same cycle, reset page by page",
        wanted: Wanted::Most(7.5),
        measured: Figure::Value((START, subjects::ONE, Arm::PageWise), 1e-6),
        remark: "not the default",
    },
    Goal {
        what: "compile / load from the cache",
        wanted: Wanted::Least(300.0),
        measured: Figure::Ratio(
            (START, subjects::COMPILE, Arm::Fresh),
            (START, subjects::LOAD, Arm::Fresh),
        ),
        remark: "",
    },
    Goal {
        what: "first result of Python's `ProcessPoolExecutor` / of `wasmpool run` with a cached \
               module",
        wanted: Wanted::Least(3.0),
        measured: Figure::Ratio(
            (START, subjects::NEW_PROGRAM, Arm::Python),
            (START, subjects::NEW_PROGRAM, Arm::Fresh),
        ),
        remark: "whole programs, from their start to their end",
    },
    Goal {
        what: "16 MiB round trip / three plain copies",
        wanted: Wanted::Most(1.5),
        measured: Figure::Ratio(
            ("payload", subjects::LARGEST, Arm::Warm),
            ("payload", subjects::LARGEST, Arm::Copies),
        ),
        remark: "copies into allocated memory",
    },
    Goal {
        what: "16 MiB through an exported function / through the contract",
        wanted: Wanted::Most(2.0),
        measured: Figure::Ratio(
            ("payload", subjects::LARGEST, Arm::Function),
            ("payload", subjects::LARGEST, Arm::Warm),
        ),
        remark: "",
    },
    Goal {
        what: "resident memory of an idle warm instance of the factorizer, in KiB",
        wanted: Wanted::Most(200.0),
        measured: Figure::Value(("memory", subjects::INSTANCE, Arm::Warm), 1024.0),
        remark: "",
    },
    Goal {
        what: "1,000 tasks that sleep for 1 s, on all workers, in seconds",
        wanted: Wanted::Most(1.2),
        measured: Figure::Value((WAITING, subjects::THOUSAND, Arm::Fresh), 1.0),
        remark: "",
    },
    Goal {
        what: "resident memory of a task that waits, in KiB",
        wanted: Wanted::Most(150.0),
        measured: Figure::Value((WAITING, subjects::EACH, Arm::Fresh), 1024.0),
        remark: "",
    },
    Goal {
        what: "context switches of an idle pool",
        wanted: Wanted::Most(0.0),
        measured: Figure::Value((WAITING, subjects::IDLE, Arm::Fresh), 1.0),
        remark: "",
    },
    Goal {
        what: "the same, of a pool whose tasks all sleep",
        wanted: Wanted::Most(0.0),
        measured: Figure::Value((WAITING, subjects::ALL_WAIT, Arm::Fresh), 1.0),
        remark: "",
    },
    Goal {
        what: "one worker, a small task beside a tenant that spins, in milliseconds: median",
        wanted: Wanted::Most(0.3),
        measured: Figure::Value((SHARING, subjects::ONE_WORKER[0], Arm::Fresh), 1e-3),
        remark: "",
    },
    Goal {
        what: "the same: 99th percentile",
        wanted: Wanted::Most(5.0),
        measured: Figure::Value((SHARING, subjects::ONE_WORKER[1], Arm::Fresh), 1e-3),
        remark: "",
    },
    Goal {
        what: "all workers, the same task: median",
        wanted: Wanted::Most(0.3),
        measured: Figure::Value((SHARING, subjects::ALL[0], Arm::Fresh), 1e-3),
        remark: "",
    },
    Goal {
        what: "the same: 99th percentile",
        wanted: Wanted::Most(5.0),
        measured: Figure::Value((SHARING, subjects::ALL[1], Arm::Fresh), 1e-3),
        remark: "",
    },
    Goal {
        what: "one worker, the same task beside a hostile tenant: median",
        wanted: Wanted::Most(0.3),
        measured: Figure::Value((SHARING, subjects::ONE_HOSTILE[0], Arm::Fresh), 1e-3),
        remark: "",
    },
    Goal {
        what: "the same: 99th percentile",
        wanted: Wanted::Most(5.0),
        measured: Figure::Value((SHARING, subjects::ONE_HOSTILE[1], Arm::Fresh), 1e-3),
        remark: "",
    },
    Goal {
        what: "all workers, the same: median",
        wanted: Wanted::Most(0.3),
        measured: Figure::Value((SHARING, subjects::ALL_HOSTILE[0], Arm::Fresh), 1e-3),
        remark: "",
    },
    Goal {
        what: "the same: 99th percentile",
        wanted: Wanted::Most(5.0),
        measured: Figure::Value((SHARING, subjects::ALL_HOSTILE[1], Arm::Fresh), 1e-3),
        remark: "",
    },
    Goal {
        what: "a tenant's first task behind 1,000,000 queued ones, in milliseconds",
        wanted: Wanted::Most(10.0),
        measured: Figure::Value((SHARING, subjects::MILLION, Arm::Fresh), 1e-3),
        remark: "its result, so more than its start",
    },
];

/// Compares the goals with the findings. Goals of questions that were not asked have no value.
pub(crate) fn compare(findings: &Findings) -> Vec<Target> {
    let compare = |goal: &Goal| {
        let measured = goal.measured.find(findings);
        Target {
            what: goal.what.to_owned(),
            wanted: goal.wanted.in_words(),
            measured,
            met: measured.map(|measured| goal.wanted.is_met(measured)),
            remark: match measured {
                Some(_) => goal.remark.to_owned(),
                None => "not measured in this run".to_owned(),
            },
        }
    };
    GOALS.iter().map(compare).collect()
}

impl Wanted {
    fn is_met(self, measured: f64) -> bool {
        match self {
            Self::Least(wanted) => measured >= wanted,
            Self::Most(wanted) => measured <= wanted,
        }
    }

    fn in_words(self) -> String {
        match self {
            Self::Least(wanted) => format!("at least {wanted}"),
            Self::Most(wanted) => format!("at most {wanted}"),
        }
    }
}

impl Figure {
    fn find(self, findings: &Findings) -> Option<f64> {
        let find = |(question, subject, arm): Place| findings.find(question, subject, arm);
        let of_kernels = |over, under| {
            let ratios = compute::kernel_ratios(findings, over, under);
            let ratios = ratios.into_iter().map(|(_, ratio)| ratio);
            Some(ratios.collect::<Vec<_>>()).filter(|ratios| !ratios.is_empty())
        };
        match self {
            Self::Ratio(over, under) => Some(median(&ratios(find(over)?, find(under)?))),
            Self::Value(place, unit) => Some(median(find(place)?) / unit),
            Self::KernelsMean(over, under) => {
                of_kernels(over, under).map(|ratios| geometric_mean(&ratios))
            }
            Self::KernelsWorst(over, under) => {
                of_kernels(over, under).map(|ratios| crate::statistics::max(&ratios))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Topic;
    use crate::rounds::Samples;

    fn findings(samples: &[(Place, [f64; 3])]) -> Findings {
        let mut findings = Findings::default();
        for ((question, subject, arm), values) in samples {
            let samples = Samples {
                subject: (*subject).to_owned(),
                arm: *arm,
                values: values.to_vec(),
            };
            findings.add(question, &[samples]);
        }
        findings
    }

    fn of<'a>(targets: &'a [Target], what: &str) -> &'a Target {
        let mut found = targets.iter().filter(|target| target.what.contains(what));
        found.next().unwrap()
    }

    #[test]
    fn a_run_without_findings_meets_and_misses_no_target() {
        let targets = compare(&Findings::default());
        assert_eq!(targets.len(), GOALS.len());
        assert!(targets.iter().all(|target| target.met.is_none()));
    }

    #[test]
    fn findings_are_compared_by_round() {
        let (process, fresh) = (
            (DISPATCH, subjects::ONE_BY_ONE, Arm::Process),
            (DISPATCH, subjects::ONE_BY_ONE, Arm::Fresh),
        );
        let findings = findings(&[
            (process, [59.0, 61.0, 700.0]),
            (fresh, [1.0, 1.0, 10.0]),
            ((START, subjects::ONE, Arm::Fresh), [15e-6; 3]),
            ((START, subjects::ONE, Arm::PageWise), [7e-6; 3]),
        ]);
        let targets = compare(&findings);
        let latency = of(&targets, "latency");
        assert_eq!((latency.measured, latency.met), (Some(61.0), Some(true)));
        let cycle = of(&targets, "full cycle");
        assert_eq!(
            (cycle.wanted.as_str(), cycle.met),
            ("at most 9", Some(false))
        );
        assert_eq!(of(&targets, "page by page").met, Some(true));
    }

    #[test]
    fn kernels_are_judged_together_and_the_worst_by_itself() {
        let warm = |kernel| ("compute", kernel, Arm::Warm);
        let native = |kernel| ("compute", kernel, Arm::Native);
        let findings = findings(&[
            (warm("sieve"), [1.0; 3]),
            (native("sieve"), [1.0; 3]),
            (warm("json"), [4.0; 3]),
            (native("json"), [1.0; 3]),
            // No kernel.
            (warm(subjects::COMPUTE_BATCH), [9.0; 3]),
            (native(subjects::COMPUTE_BATCH), [1.0; 3]),
        ]);
        let targets = compare(&findings);
        let mean = of(&targets, "with epoch checks").measured.unwrap();
        assert!((mean - 2.0).abs() < 1e-9, "{mean}");
        assert_eq!(of(&targets, "the worst").measured, Some(4.0));
        assert_eq!(of(&targets, "the factorizer, wasm").met, Some(false));
    }

    #[test]
    fn goals_name_questions_that_exist() {
        for goal in GOALS {
            let places = match goal.measured {
                Figure::Ratio(over, under) => vec![over, under],
                Figure::Value(place, _) => vec![place],
                Figure::KernelsMean(..) | Figure::KernelsWorst(..) => vec![],
            };
            for (question, ..) in places {
                assert!(Topic::ALL.iter().any(|topic| topic.name() == question));
            }
        }
    }
}
