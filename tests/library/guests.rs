//! Every guest, and every task of the misbehaving guest, has a test.

use std::collections::BTreeMap;

use serde_bytes::{ByteBuf, Bytes};

use crate::support::Bench;

/// The tasks of the misbehaving guest, each with the file that has its test.
const MISBEHAVING_TASKS: &[(&str, &str)] = &[
    ("spin", include_str!("stopping.rs")),
    ("now_and_then", include_str!("examples.rs")),
    ("sleep", include_str!("stopping.rs")),
    ("doze", include_str!("tenants.rs")),
    ("poll", include_str!("stopping.rs")),
    ("ponder", include_str!("payloads.rs")),
    ("echo", include_str!("payloads.rs")),
    ("allocate", include_str!("limits.rs")),
    ("grow_without_end", include_str!("failures.rs")),
    ("recurse", include_str!("failures.rs")),
    ("panic", include_str!("failures.rs")),
    ("unreachable", include_str!("failures.rs")),
    ("out_of_bounds", include_str!("failures.rs")),
    ("divide_by_zero", include_str!("failures.rs")),
    ("exit", include_str!("failures.rs")),
    ("flood", include_str!("limits.rs")),
    ("huge_result", include_str!("limits.rs")),
    ("bad_bytes", include_str!("failures.rs")),
    ("fail", include_str!("failures.rs")),
    ("refuse", include_str!("failures.rs")),
    ("remember", include_str!("isolation.rs")),
    ("recall", include_str!("isolation.rs")),
    ("trap_before", include_str!("retry.rs")),
    ("plant", include_str!("isolation.rs")),
    ("plant_in_stack", include_str!("isolation.rs")),
    ("dig", include_str!("isolation.rs")),
    ("escape", include_str!("isolation.rs")),
    ("ignore_stop", include_str!("stopping.rs")),
    ("fail_when_stopped", include_str!("retry.rs")),
    ("honour_stop", include_str!("stopping.rs")),
];

/// One function for each guest: the macro below calls it, so that a guest without one is a
/// compile error here.
mod named {
    use super::*;

    pub(super) fn articles(bench: &Bench) {
        let module = bench.pool.load(wasmpool_guests::ARTICLES.path()).unwrap();
        // Each of them has a test of its own in the guest, and runs in the example of that name.
        let programs = include_str!("../../host/wasmpool/examples/articles.rs");
        for task in module.tasks() {
            let name = format!("(\"{}\")", task.name);
            assert!(programs.contains(&name), "no program runs `{name}`");
        }
    }

    pub(super) fn awaiting(bench: &Bench) {
        let module = bench.pool.load(wasmpool_guests::AWAITING.path()).unwrap();
        assert_eq!(module.program().unwrap().name, "wasi:cli/run");
        let tests = include_str!("asynchronous.rs");
        for task in module.tasks() {
            if let Some((_, name)) = task.name.split_once('#') {
                assert!(
                    tests.contains(&format!("\"{name}\"")),
                    "no test for `{name}`"
                );
            }
        }
    }

    pub(super) fn factorizer(bench: &Bench) {
        let names = ["factorize", "factorize_many", "is_prime"];
        let tasks = bench.factorizer.tasks().iter().map(|task| &*task.name);
        assert_eq!(tasks.collect::<Vec<_>>(), names);
    }

    pub(super) fn fetching(bench: &Bench) {
        let module = bench.pool.load(wasmpool_guests::FETCHING.path()).unwrap();
        assert_eq!(module.program().unwrap().name, "wasi:cli/run");
    }

    pub(super) fn importer(bench: &Bench) {
        let path = wasmpool_guests::IMPORTER.path();
        let refused = bench.pool.load(path).unwrap_err();
        assert!(refused.to_string().contains("`acme:host/clock@1.2.0`"));
    }

    pub(super) fn importer_async(bench: &Bench) {
        let path = wasmpool_guests::IMPORTER_ASYNC.path();
        let refused = bench.pool.load(path).unwrap_err();
        assert!(refused.to_string().contains("`acme:host/remote@1.0.0`"));
    }

    pub(super) fn importer_sdk(bench: &Bench) {
        let path = wasmpool_guests::IMPORTER_SDK.path();
        let refused = bench.pool.load(path).unwrap_err();
        assert!(refused.to_string().contains("`acme:host/accounts@1.2.0`"));
    }

    pub(super) fn kernels(bench: &Bench) {
        let module = bench.pool.load(wasmpool_guests::KERNELS.path()).unwrap();
        let tasks = module.tasks().iter().map(|task| (&*task.name, &*task.doc));
        let natively = kernels::KERNELS
            .iter()
            .map(|kernel| (kernel.name, kernel.doc));
        assert!(tasks.eq(natively));
    }

    pub(super) fn misbehaving(bench: &Bench) {
        let tasks = bench.misbehaving.tasks();
        for task in tasks {
            let row = MISBEHAVING_TASKS
                .iter()
                .find(|(name, _)| *name == task.name);
            let (name, test) = row.unwrap_or_else(|| panic!("no test for `{}`", task.name));
            assert!(
                test.contains(&format!("\"{name}\"")),
                "no test for `{name}`"
            );
            assert_eq!(
                task.params.len(),
                1,
                "`{name}` can be driven by one argument"
            );
            assert!(!task.doc.is_empty(), "`{name}` says what it does");
        }
        assert_eq!(tasks.len(), MISBEHAVING_TASKS.len());
    }

    pub(super) fn programs(bench: &Bench) {
        let module = bench.pool.load(wasmpool_guests::PROGRAMS.path()).unwrap();
        assert_eq!(module.program().unwrap().name, "wasi:cli/run");
    }

    pub(super) fn programs_p1(bench: &Bench) {
        let path = wasmpool_guests::PROGRAMS_P1.path();
        let module = bench.pool.load(path).unwrap();
        assert_eq!(module.program().unwrap().name, "wasi:cli/run");
    }

    pub(super) fn shapes(bench: &Bench) {
        let module = bench.pool.load(wasmpool_guests::SHAPES.path()).unwrap();
        assert!(module.tasks()[0].signature.is_some());
    }

    pub(super) fn teamwork(bench: &Bench) {
        let module = bench.pool.load(wasmpool_guests::TEAMWORK.path()).unwrap();
        let tests = concat!(include_str!("children.rs"), include_str!("shared.rs"));
        for task in module.tasks() {
            // Tasks that only others start are named in the guest.
            let guest = include_str!("../../guest-tasks/teamwork/src/lib.rs");
            let (name, start) = (&task.name, format!("{}::", task.name));
            let is_named = tests.contains(&format!("\"{name}\"")) || guest.contains(&start);
            assert!(is_named, "no test for `{name}`");
        }
    }

    pub(super) fn tour(bench: &Bench) {
        let module = bench.pool.load(wasmpool_guests::TOUR.path()).unwrap();
        assert!(module.tasks().iter().any(|task| task.name == "whereabouts"));
    }
}

#[test]
fn every_guest_is_named_by_a_test() {
    let bench = Bench::with_workers(1);
    macro_rules! check {
        ($guest:ident) => {
            named::$guest(&bench);
        };
    }
    wasmpool_guests::for_each_guest!(check);
}

#[test]
fn a_guest_lists_the_parameters_and_docs_of_its_tasks() {
    let bench = Bench::with_workers(1);
    let factorize = bench.factorize();
    assert_eq!(factorize.info().params, ["n"]);
    assert!(factorize.info().doc.starts_with("The prime factors of `n`"));
}

#[test]
fn a_chunk_of_numbers_is_one_task() {
    let bench = Bench::with_workers(1);
    let many = bench
        .factorizer
        .task::<(Vec<u64>,), Vec<(u64, Vec<u64>)>>("factorize_many")
        .unwrap();
    let factors = bench.pool.submit(&many, (vec![0, 97, 12],)).unwrap();
    let expected = [(0, vec![]), (97, vec![97]), (12, vec![2, 2, 3])];
    assert_eq!(factors.wait().unwrap(), expected);
    let is_prime = bench.factorizer.task::<(u64,), bool>("is_prime").unwrap();
    let primes = (0..30_u64).zip(bench.pool.map(&is_prime, 0..30_u64));
    let primes = primes.filter(|(_, is_prime)| *is_prime.as_ref().unwrap());
    let primes = primes.map(|(n, _)| n).collect::<Vec<_>>();
    assert_eq!(primes, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
}

#[test]
fn arguments_and_results_are_any_serde_types() {
    #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    struct Point {
        x: f64,
        y: f64,
    }
    let bench = Bench::with_workers(2);
    let pool = &bench.pool;
    let tour = pool.load(wasmpool_guests::TOUR.path()).unwrap();

    let shift = tour.task::<(Point, (f64, f64)), Point>("shift").unwrap();
    let moved = pool
        .submit(&shift, (Point { x: 1.0, y: 2.0 }, (0.5, -2.0)))
        .unwrap();
    assert_eq!(moved.wait().unwrap(), Point { x: 1.5, y: 0.0 });

    let words = tour
        .task::<(&str,), BTreeMap<String, u64>>("count_words")
        .unwrap();
    let counts = pool
        .submit(&words, ("to be or not to be",))
        .unwrap()
        .wait()
        .unwrap();
    assert_eq!((counts["to"], counts["or"]), (2, 1));

    let divide = tour.task::<(i64, i64), i64>("divide").unwrap();
    assert_eq!(
        pool.submit(&divide, (i64::MIN, 1)).unwrap().wait().unwrap(),
        i64::MIN
    );
    let error = pool.submit(&divide, (1, 0)).unwrap().wait().unwrap_err();
    assert_eq!((error.code(), error.message()), ("undefined", "1 / 0"));

    let parse = tour.task::<(&str,), Vec<i64>>("parse_numbers").unwrap();
    assert_eq!(
        pool.submit(&parse, ("1\n-2",)).unwrap().wait().unwrap(),
        [1, -2]
    );
    let error = pool.submit(&parse, ("one",)).unwrap().wait().unwrap_err();
    assert_eq!(
        (error.code(), error.message()),
        ("", "invalid digit found in string")
    );

    let echo = tour.task::<(&Bytes,), ByteBuf>("echo").unwrap();
    let bytes = Bytes::new(&[0, 0x7F, 0x80, 0xFF]);
    let echoed = pool.submit(&echo, (bytes,)).unwrap().wait().unwrap();
    assert_eq!(echoed, *bytes);

    let print = tour.task::<(&str,), ()>("print").unwrap();
    let printed = pool.submit(&print, ("hello",)).unwrap();
    printed.wait().unwrap();
    assert_eq!(printed.report().unwrap().stdout.text(), "hello\n");
}

#[test]
fn a_task_reference_is_checked_when_it_is_made() {
    let bench = Bench::with_workers(1);
    let unknown = bench
        .factorizer
        .task::<(u64,), u64>("factorise")
        .unwrap_err();
    assert_eq!(
        unknown.to_string(),
        "the module has no task `factorise`; did you mean `factorize`? It has `factorize`, \
         `factorize_many`, `is_prime`"
    );
    let arity = bench
        .factorizer
        .task::<(u64, u64), u64>("factorize")
        .unwrap_err();
    assert_eq!(
        arity.to_string(),
        "the task `factorize` has 1 parameters, and the reference 2 arguments"
    );
}

#[test]
fn a_wrong_number_of_arguments_is_reported_by_the_guest() {
    let bench = Bench::with_workers(1);
    let any = bench
        .factorizer
        .task::<Vec<u64>, Vec<u64>>("factorize")
        .unwrap();
    let error = bench
        .pool
        .submit(&any, vec![1, 2])
        .unwrap()
        .wait()
        .unwrap_err();
    assert_eq!(error.message(), "it takes one argument (`n`), not 2");
    assert_eq!(
        bench.pool.submit(&any, vec![6]).unwrap().wait().unwrap(),
        [2, 3]
    );
}
