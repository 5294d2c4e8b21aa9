//! A report such as a run makes, and one with everything in it that could be odd.

use wasmpool_bench::{Arm, Machine, Question, Ratio, Report, Row, Target};

const ARMS: [(&str, &str, Option<&str>); 9] = [
    ("native", "native threads", None),
    ("warm", "wasmpool, warm instances", None),
    ("fresh", "wasmpool, a fresh instance for each task", None),
    ("trusted", "wasmpool, fresh, without epoch checks", None),
    ("processes", "a pool of native processes", None),
    ("process", "one native process for each task", None),
    ("python", "Python, ProcessPoolExecutor", None),
    ("mp-pool", "Python, multiprocessing.Pool", None),
    (
        "pypy",
        "PyPy, ProcessPoolExecutor",
        Some("no `pypy3` was found on the PATH"),
    ),
];

/// What a run on an ordinary machine might find.
pub(crate) fn report() -> Report {
    Report {
        started: "2026-03-14T15:09:26Z".to_owned(),
        took: 127.4,
        rounds: 12,
        machine: machine(),
        arms: ARMS
            .iter()
            .map(|(id, name, skipped)| Arm {
                id: (*id).to_owned(),
                name: (*name).to_owned(),
                skipped: skipped.map(str::to_owned),
            })
            .collect(),
        questions: vec![
            dispatch(),
            throughput(),
            compute(),
            start(),
            payload(),
            stopping(),
            memory(),
            scaling(),
        ],
        targets: targets(),
        failures: Vec::new(),
        caveats: vec![
            "Two cores were shared with other programs: the load before the run was 0.42."
                .to_owned(),
            "Python's figures include pickling, which its users pay as well.".to_owned(),
            "A process pool that was warmed up is compared with instances that were not."
                .to_owned(),
        ],
    }
}

/// What may come in from outside, at its worst.
pub(crate) fn hostile() -> Report {
    let evil = "<script>alert('&\"')</script>";
    let mut report = report();
    report.started = evil.to_owned();
    report.machine.processor = evil.to_owned();
    report
        .machine
        .versions
        .push(("Python".to_owned(), evil.to_owned()));
    report
        .machine
        .settings
        .push((evil.to_owned(), "</style>".to_owned()));
    report.arms.push(Arm {
        id: evil.to_owned(),
        name: format!("{evil} {}", "W".repeat(200)),
        skipped: Some(evil.to_owned()),
    });
    report.targets.push(Target {
        what: evil.to_owned(),
        wanted: evil.to_owned(),
        measured: Some(f64::NAN),
        met: None,
        remark: "https://example.com/x.js and ]]> and <!--".to_owned(),
    });
    report.questions.push(Question {
        id: "\" onload=\"alert(1)".to_owned(),
        title: evil.to_owned(),
        method: evil.to_owned(),
        unit: "<b>".to_owned(),
        more_is_better: true,
        rows: vec![
            row(evil, evil, f64::NAN),
            row(evil, "nobody introduced it", 0.0),
            row(
                evil,
                "日本語の名前がとても長い場合にはどうなるでしょうか、切り取られるはずです",
                -1.0,
            ),
            row(evil, "native", f64::INFINITY),
            row(
                "a subject without end ".repeat(20).as_str(),
                "native",
                1e-30,
            ),
            row("a subject without end ".repeat(20).as_str(), "warm", 1e30),
        ],
        remarks: vec![evil.to_owned(), String::new()],
    });
    report.questions.push(Question {
        id: String::new(),
        title: "Nothing came of this one".to_owned(),
        method: String::new(),
        unit: "s".to_owned(),
        more_is_better: false,
        rows: Vec::new(),
        remarks: vec!["It was left out by `--filter`.".to_owned()],
    });
    report.caveats.push(evil.to_owned());
    report
}

/// A run in which nothing was measured.
pub(crate) fn empty() -> Report {
    Report {
        started: String::new(),
        took: 0.0,
        rounds: 0,
        machine: Machine {
            versions: Vec::new(),
            settings: Vec::new(),
            ..machine()
        },
        arms: Vec::new(),
        questions: Vec::new(),
        targets: Vec::new(),
        failures: Vec::new(),
        caveats: Vec::new(),
    }
}

fn machine() -> Machine {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    };
    Machine {
        processor: "AMD EPYC 7B13 64-Core Processor".to_owned(),
        parallelism: 2,
        memory: 8_326_000_640,
        system: "Debian GNU/Linux 12 (bookworm), Linux 6.12.40-amd64".to_owned(),
        swap: false,
        load: [0.42, 1.97],
        versions: pairs(&[
            ("wasmpool", "0.1.0"),
            ("wasmtime", "48.0.8"),
            ("rustc", "1.95.0 (9fa2c3a60 2026-04-14)"),
            ("Python", "3.11.2"),
        ]),
        settings: pairs(&[
            (
                "native code",
                "-C opt-level=3, -C target-cpu=x86-64, lto, 1 codegen unit",
            ),
            (
                "guests",
                "wasm32-wasip2, -C opt-level=3, -C target-feature=+simd128, lto, 1 codegen unit",
            ),
            (
                "instances",
                "pooling allocator, copy-on-write images, reset by madvise",
            ),
            (
                "limits",
                "task_timeout 5 s, memory_limit 256 MiB, epoch checks on, reports on",
            ),
        ]),
    }
}

/// A row whose best and interval lie around its median.
fn row(subject: &str, arm: &str, median: f64) -> Row {
    Row {
        subject: subject.to_owned(),
        arm: arm.to_owned(),
        median,
        best: median * 0.94,
        interval: [median * 0.97, median * 1.06],
        ratio: None,
    }
}

/// Rows of one subject, each with its ratio to that of the arm `to`.
fn rows(subject: &str, to: &str, medians: &[(&str, f64)]) -> Vec<Row> {
    let of = medians.iter().find(|(arm, _)| *arm == to).map(|it| it.1);
    medians
        .iter()
        .map(|&(arm, median)| Row {
            ratio: of.filter(|_| arm != to).map(|of| {
                let ratio = median / of;
                Ratio {
                    to: to.to_owned(),
                    median: ratio,
                    min: ratio * 0.96,
                    interval: [ratio * 0.98, ratio * 1.03],
                }
            }),
            ..row(subject, arm, median)
        })
        .collect()
}

fn question(id: &str, title: &str, unit: &str, method: &str, rows: Vec<Row>) -> Question {
    Question {
        id: id.to_owned(),
        title: title.to_owned(),
        method: method.to_owned(),
        unit: unit.to_owned(),
        more_is_better: unit.ends_with("/s"),
        rows,
        remarks: Vec::new(),
    }
}

fn dispatch() -> Question {
    let mut rows_ = rows(
        "one in flight",
        "native",
        &[
            ("native", 6.1e-6),
            ("warm", 9.8e-6),
            ("fresh", 18.4e-6),
            ("trusted", 17.9e-6),
            ("processes", 31e-6),
            ("process", 1.34e-3),
            ("python", 187e-6),
            ("mp-pool", 121e-6),
        ],
    );
    rows_.extend(rows(
        "chunks of 64",
        "native",
        &[
            ("native", 0.31e-6),
            ("warm", 0.92e-6),
            ("fresh", 8.8e-6),
            ("python", 9.4e-6),
        ],
    ));
    Question {
        remarks: vec!["A fresh instance costs 12.3 µs more than a native thread, a process 218 times as much.".to_owned()],
        ..question(
            "dispatch",
            "Dispatch: latency",
            "s",
            "An empty task, submitted and waited for, one at a time. Each round runs for 100 ms with each arm; what is shown is the time for one task.",
            rows_,
        )
    }
}

fn throughput() -> Question {
    question(
        "throughput",
        "Dispatch: throughput",
        "1/s",
        "Empty tasks, 256 of them in flight, two workers.",
        rows(
            "pipelined",
            "native",
            &[
                ("native", 1.9e6),
                ("warm", 412e3),
                ("fresh", 98_400.0),
                ("processes", 61_200.0),
                ("process", 871.0),
                ("python", 8_730.0),
            ],
        ),
    )
}

fn compute() -> Question {
    let kernels = [
        ("factorizer", 0.212, [1.02, 1.03, 1.01]),
        ("sha256", 0.0121, [1.62, 1.64, 1.55]),
        ("sieve", 0.0084, [1.21, 1.22, 1.08]),
        ("matrix product", 0.0312, [1.34, 1.33, 1.12]),
        ("n-body", 0.0871, [1.04, 1.04, 1.01]),
        ("fannkuch", 0.112, [1.28, 1.29, 1.14]),
        ("word count", 0.0412, [1.41, 1.44, 1.31]),
    ];
    let mut all = Vec::new();
    for (kernel, native, [warm, fresh, trusted]) in kernels {
        all.extend(rows(
            kernel,
            "native",
            &[
                ("native", native),
                ("warm", native * warm),
                ("fresh", native * fresh),
                ("trusted", native * trusted),
            ],
        ));
    }
    Question {
        remarks: vec![
            "Geometric mean of warm over native: 1.26×; the worst is sha256 with 1.62×.".to_owned(),
            "Without epoch checks: 1.16×.".to_owned(),
        ],
        ..question(
            "compute",
            "Compute",
            "s",
            "Each kernel from one source, compiled natively and to WebAssembly with the same optimisations. Results are checked. One worker.",
            all,
        )
    }
}

fn start() -> Question {
    question(
        "start",
        "Start",
        "s",
        "From nothing to something that can take a task.",
        vec![
            row("compile the factorizer", "fresh", 0.412),
            row("load it from the cache", "fresh", 0.9e-3),
            row("an instance", "fresh", 7.2e-6),
            row("a process", "process", 0.84e-3),
            row("first result, cold", "fresh", 14.1e-3),
            row("first result, cold", "python", 61.2e-3),
        ],
    )
}

fn payload() -> Question {
    let mut all = Vec::new();
    for power in [4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24] {
        let bytes = f64::from(1 << power);
        let (number, unit) = match power / 10 {
            0 => (1 << power, "B"),
            1 => (1 << (power - 10), "KiB"),
            _ => (1 << (power - 20), "MiB"),
        };
        let subject = format!("{number} {unit}");
        let speed = |latency: f64, each: f64| bytes / (latency + bytes * each);
        all.extend(rows(
            &subject,
            "warm",
            &[
                ("native", speed(6e-6, 0.09e-9)),
                ("warm", speed(10e-6, 0.31e-9)),
                ("fresh", speed(18e-6, 0.33e-9)),
                ("processes", speed(31e-6, 1.1e-9)),
                ("process", speed(1.3e-3, 1.2e-9)),
                ("python", speed(187e-6, 1.9e-9)),
                ("mp-pool", speed(121e-6, 2.0e-9)),
            ],
        ));
    }
    question(
        "payload",
        "Payload",
        "B/s",
        "An argument of so many bytes that comes back as it is. What counts is its size once, not there and back.",
        all,
    )
}

fn stopping() -> Question {
    let mut all = rows(
        "cancel a spinning task, to the next result",
        "fresh",
        &[
            ("warm", 41e-6),
            ("fresh", 38e-6),
            ("processes", 1.9e-3),
            ("python", 71e-3),
        ],
    );
    all.extend(rows(
        "cancel a sleeping task, to the next result",
        "fresh",
        &[("warm", 29e-6), ("fresh", 27e-6), ("processes", 1.8e-3)],
    ));
    question(
        "stopping",
        "Stopping",
        "s",
        "From the call that stops a task to the next task's result on that worker. Process arms kill the process and start another one.",
        all,
    )
}

fn memory() -> Question {
    question(
        "memory",
        "Memory",
        "B",
        "Resident bytes that one more of it takes, over 32 of them.",
        rows(
            "idle",
            "warm",
            &[
                ("warm", 148.0 * 1024.0),
                ("processes", 1.9 * 1_048_576.0),
                ("python", 9.7 * 1_048_576.0),
            ],
        ),
    )
}

fn scaling() -> Question {
    let mut all = Vec::new();
    for (workers, native, fresh, processes) in [
        (1, 98.0, 96.0, 94.0),
        (2, 195.0, 190.0, 183.0),
        (4, 384.0, 366.0, 341.0),
        (8, 741.0, 702.0, 640.0),
    ] {
        let plural = if workers == 1 { "" } else { "s" };
        all.extend(rows(
            &format!("{workers} worker{plural}"),
            "native",
            &[
                ("native", native),
                ("fresh", fresh),
                ("processes", processes),
            ],
        ));
    }
    question(
        "scaling",
        "Scaling",
        "1/s",
        "The factorizer's input on more and more workers.",
        all,
    )
}

fn targets() -> Vec<Target> {
    let target = |what: &str, wanted: &str, measured, met, remark: &str| Target {
        what: what.to_owned(),
        wanted: wanted.to_owned(),
        measured,
        met,
        remark: remark.to_owned(),
    };
    vec![
        target(
            "process for each task / fresh instance for each task, latency",
            "at least 60",
            Some(72.8),
            Some(true),
            "",
        ),
        target(
            "the same, throughput with 2 workers",
            "at least 100",
            Some(112.9),
            Some(true),
            "",
        ),
        target(
            "factorizer, wasm warm / native threads, wall time",
            "at most 1.05",
            Some(1.02),
            Some(true),
            "",
        ),
        target(
            "kernels, wasm / native, geometric mean",
            "at most 1.30, the worst at most 2.0",
            Some(1.26),
            Some(true),
            "The worst is sha256 with 1.62.",
        ),
        target(
            "the same without epochs",
            "at most 1.15",
            Some(1.16),
            Some(false),
            "word count spends its time in the allocator.",
        ),
        target(
            "load from cache / compile",
            "at most 1/300",
            Some(1.0 / 457.0),
            Some(true),
            "",
        ),
        target(
            "16 MiB echo / three plain copies of it",
            "at most 1.5",
            None,
            None,
            "Left out by `--quick`.",
        ),
        target(
            "resident memory for an idle warm factorizer instance, KiB",
            "at most 200",
            Some(148.0),
            Some(true),
            "",
        ),
    ]
}
