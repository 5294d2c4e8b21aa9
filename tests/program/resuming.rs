//! Results in a file, and runs that go on where an earlier one was killed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{LONG, run, run_with_input, start, tour};

/// How many times a run is killed.
const KILLS: usize = 50;

/// How many inputs there are between two kills.
const SLICE: usize = 30;

/// Random numbers from a seed.
struct Random(u64);

impl Random {
    /// A number below `bound`.
    fn below(&mut self, bound: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// A folder with a file for results.
struct Folder {
    folder: TempDir,
    results: String,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let results = folder.path().join("results.jsonl");
        let results = results.to_str().unwrap().to_owned();
        Self { folder, results }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn read(&self) -> String {
        fs::read_to_string(&self.results).unwrap()
    }

    fn lines(&self) -> Vec<Value> {
        let content = self.read();
        let lines = content.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The indices of the lines, in their order.
    fn indices(&self) -> Vec<u64> {
        let lines = self.lines().into_iter();
        lines.map(|line| line["index"].as_u64().unwrap()).collect()
    }
}

fn n_lines(file: &Path) -> usize {
    let content = fs::read(file).unwrap_or_default();
    content.iter().filter(|byte| **byte == b'\n').count()
}

/// Starts a run, gives it these inputs and keeps it waiting for more. Kills it when its file has
/// so many lines.
fn kill_at(args: &[&str], inputs: &str, file: &Path, wanted: usize) {
    let mut child = start(args);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(inputs.as_bytes()).unwrap();
    let deadline = Instant::now() + LONG;
    while n_lines(file) < wanted {
        assert!(Instant::now() < deadline, "no {wanted} lines");
        thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Kills runs at random moments and compares the file with that of a run that nobody disturbed.
fn check_kills(seed: u64, flags: &[&str]) {
    let mut random = Random(seed);
    let inputs = (0..KILLS * SLICE).map(|n| match n % 13 {
        3 => "\"text\"\n".to_owned(),
        7 => "no JSON\n".to_owned(),
        _ => format!("{}\n", n * n * 1_009 + 7),
    });
    let inputs = inputs.collect::<Vec<_>>();
    let undisturbed = Folder::new();
    let args = [&["run", "factorizer", "-i", "-", "-w", "2"], flags].concat();
    let whole = [&args[..], &["-o", &undisturbed.results]].concat();
    let expected = run_with_input(&whole, &inputs.concat());
    assert_eq!(expected.assert_code(1).stdout, "");

    let folder = Folder::new();
    let file = Path::new(&folder.results);
    let args = [&args[..], &["--output", &folder.results, "--resume"]].concat();
    for slice in 0..KILLS {
        let wanted = slice * SLICE + random.below(SLICE);
        let n_given = wanted + random.below((slice + 1) * SLICE - wanted + 1);
        kill_at(&args, &inputs[..n_given].concat(), file, wanted);
        // A system that stops may leave the beginning of a line, too.
        if random.below(2) == 0 {
            let content = fs::read(file).unwrap();
            let torn = random.below(20.min(content.len() + 1));
            fs::write(file, &content[..content.len() - torn]).unwrap();
        }
    }
    let last = run_with_input(&args, &inputs.concat());
    last.assert_code(1);
    match flags.contains(&"--unordered") {
        false => assert_eq!(folder.read(), undisturbed.read(), "seed {seed}"),
        true => {
            let lines = |folder: &Folder| {
                let content = folder.read();
                let lines = content.lines().map(str::to_owned);
                lines.collect::<Vec<_>>()
            };
            let [mut own, mut expected] = [lines(&folder), lines(&undisturbed)];
            own.sort();
            expected.sort();
            assert_eq!(own, expected, "seed {seed}");
        }
    }
}

#[test]
fn a_run_that_is_killed_fifty_times_gives_the_file_of_one_that_is_not() {
    check_kills(1, &[]);
}

#[test]
fn so_does_one_whose_lines_are_in_the_order_of_completion() {
    check_kills(2, &["--unordered", "--chunk", "5"]);
}

#[test]
fn inputs_whose_outcomes_are_there_are_skipped() {
    let folder = Folder::new();
    let report = folder.path("report.json");
    let args = ["run", "factorizer", "-i", "-", "-o", &folder.results];
    let args = [&args[..], &["--report", report.to_str().unwrap()]].concat();
    let first = run_with_input(&args, "6\nx\n10\n");
    assert_eq!(first.assert_code(1).stdout, "");
    first.assert_stderr("3 tasks: 2 ok, 1 bad input in ");
    assert_eq!(
        folder.lines()[2],
        json!({"index": 2, "input": 10, "output": [2, 5]})
    );

    let resume = [&args[..], &["--resume"]].concat();
    let more = run_with_input(&resume, "6\nx\n10\n15\n");
    // Some outcome is a failure, although none of this run.
    more.assert_code(1)
        .assert_stderr("1 task: 1 ok in ")
        .assert_stderr("; 3 skipped, of which 1 failed\n");
    assert_eq!(folder.indices(), [0, 1, 2, 3]);
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let counts = ["tasks", "skipped", "skipped_failed"].map(|name| &report[name]);
    assert_eq!(counts, [1, 3, 1]);
}

#[test]
fn a_file_that_is_there_is_refused_unless_it_is_resumed() {
    let folder = Folder::new();
    let args = ["run", "factorizer", "6", "--output", &folder.results];
    // Whether it is missing or empty.
    run(&[&args[..], &["--resume"]].concat()).assert_code(0);
    fs::write(&folder.results, "").unwrap();
    run(&args).assert_code(0);
    let content = folder.read();
    let again = run(&args);
    again
        .assert_code(3)
        .assert_stderr("results.jsonl` is there already: `--resume` goes on with it");
    assert_eq!(folder.read(), content);
    for flag in ["--resume", "--resume-failed"] {
        let alone = run(&["run", "factorizer", "6", flag]);
        alone.assert_code(2).assert_stderr("--output");
    }
}

#[test]
fn other_inputs_than_those_of_the_earlier_run_are_refused() {
    let folder = Folder::new();
    let args = ["run", "factorizer", "-i", "-", "-o", &folder.results];
    run_with_input(&args, "6\n10\n15\n").assert_code(0);
    let content = folder.read();
    let resume = [&args[..], &["--resume"]].concat();
    for (inputs, problem) in [
        ("6\n11\n15\n", "the outcome of another input at index 1"),
        (
            "6\n10\n",
            "an outcome at index 2, and there are only 2 inputs",
        ),
        ("", "an outcome at index 2, and there are only 0 inputs"),
    ] {
        let other = run_with_input(&resume, inputs);
        other.assert_code(3).assert_stderr(problem);
        assert_eq!(folder.read(), content);
    }
}

#[test]
fn what_is_no_file_of_results_is_refused_as_it_is() {
    let folder = Folder::new();
    let content = "{\"index\":0,\"input\":6,\"output\":[2,3]}\nshopping list\n";
    fs::write(&folder.results, content).unwrap();
    let args = ["run", "factorizer", "6", "--resume", "-o", &folder.results];
    let refused = run(&args);
    refused
        .assert_code(3)
        .assert_stderr("results.jsonl`, line 2: not an outcome of `wasmpool run`");
    assert_eq!(folder.read(), content);
}

#[test]
fn failed_inputs_run_again_if_they_are_asked_for() {
    let programs = wasmpool_guests::PROGRAMS.path().to_str().unwrap();
    let folder = Folder::new();
    fs::write(folder.path("a"), "A").unwrap();
    let grant = format!("{}::/data:ro", folder.folder.path().display());
    for order in [&[][..], &["--unordered"]] {
        let _ = fs::remove_file(folder.path("b"));
        let _ = fs::remove_file(&folder.results);
        let args = [
            "run", programs, "/data/b", "/data/a", "/data/c", "--dir", &grant,
        ];
        let args = [&args[..], &["-o", &folder.results], order].concat();
        let with = |flags: &[&str]| run(&[&args[..], flags, &["--", "read"]].concat());
        let stdouts = || {
            let mut lines = folder.lines();
            lines.sort_by_key(|line| line["index"].as_u64());
            let lines = lines.iter();
            let stdouts = lines.map(|line| line["output"]["stdout"].as_str().unwrap().to_owned());
            stdouts.collect::<Vec<_>>()
        };
        with(&[]).assert_code(1);
        assert_eq!(stdouts(), ["", "A", ""]);
        fs::write(folder.path("b"), "B").unwrap();
        with(&["--resume"]).assert_code(1).assert_stderr("0 tasks");
        assert_eq!(stdouts(), ["", "A", ""]);
        let again = with(&["--resume-failed"]);
        again
            .assert_code(1)
            .assert_stderr("2 tasks: 1 ok, 1 exited in ")
            .assert_stderr("; 1 skipped\n");
        assert_eq!(stdouts(), ["B", "A", ""]);
        if order.is_empty() {
            assert_eq!(folder.indices(), [0, 1, 2]);
        }
    }
}

/// An interrupt leaves such a file: lines behind a task that was stopped.
#[cfg(unix)]
#[test]
fn lines_that_are_missing_come_in_their_place() {
    let folder = Folder::new();
    let args = [
        "run",
        "factorizer",
        "6",
        "10",
        "15",
        "21",
        "-o",
        &folder.results,
    ];
    run(&args).assert_code(0);
    let whole = folder.read();
    let lines = whole.split_inclusive('\n').collect::<Vec<_>>();
    // The results are in another place than where they seem to be.
    let file = folder.path("elsewhere");
    fs::write(&file, [lines[1], lines[3]].concat()).unwrap();
    fs::remove_file(&folder.results).unwrap();
    std::os::unix::fs::symlink(&file, &folder.results).unwrap();
    let unordered = run(&[&args[..], &["--resume", "--unordered", "-w", "1"]].concat());
    unordered
        .assert_code(0)
        .assert_stderr("2 tasks: 2 ok in ")
        .assert_stderr("; 2 skipped\n");
    // Nothing was replaced, so that the lines are where they were.
    assert_eq!(folder.indices(), [1, 3, 0, 2]);
    let ordered = run(&[&args[..], &["--resume"]].concat());
    ordered.assert_code(0).assert_stderr("; 4 skipped\n");
    assert_eq!(folder.read(), whole);
    assert!(fs::symlink_metadata(&folder.results).unwrap().is_symlink());
    assert_eq!(fs::read_to_string(&file).unwrap(), whole);
}

#[test]
fn two_runs_do_not_write_to_one_file() {
    let folder = Folder::new();
    let args = [
        "run",
        "factorizer",
        "-i",
        "-",
        "-o",
        &folder.results,
        "--resume",
    ];
    let mut child = start(&args);
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "6").unwrap();
    let deadline = Instant::now() + LONG;
    while n_lines(Path::new(&folder.results)) == 0 {
        assert!(Instant::now() < deadline, "no line");
        thread::yield_now();
    }
    let second = run(&["run", "factorizer", "6", "-o", &folder.results, "--resume"]);
    second
        .assert_code(3)
        .assert_stderr("another run is writing to `");
    drop(stdin);
    assert!(child.wait().unwrap().success());
    assert_eq!(folder.indices(), [0]);
}

#[cfg(target_os = "linux")]
#[test]
fn results_may_go_to_a_device() {
    let args = ["run", "factorizer", "6", "--output"];
    let stdout = run(&[&args[..], &["/dev/stdout"]].concat());
    let line = "{\"index\":0,\"input\":6,\"output\":[2,3]}\n";
    assert_eq!(stdout.assert_code(0).stdout, line);
    run(&[&args[..], &["/dev/null"]].concat()).assert_code(0);
    let resumed = run(&[&args[..], &["/dev/null", "--resume"]].concat());
    resumed.assert_code(3).assert_stderr("is no regular file");
    let full = run(&[&args[..], &["/dev/full"]].concat());
    full.assert_code(3)
        .assert_stderr("cannot write to the results `/dev/full`: No space left on device");
    let missing = run(&[&args[..], &["no/such/folder/results"]].concat());
    missing
        .assert_code(3)
        .assert_stderr("cannot write the results `no/such/folder/results`: No such file");
}

#[test]
fn lines_are_in_the_file_before_the_run_ends() {
    let folder = Folder::new();
    let args = [
        "run",
        tour(),
        "-t",
        "sum_to",
        "-i",
        "-",
        "-o",
        &folder.results,
    ];
    let mut child = start(&args);
    let mut stdin = child.stdin.take().unwrap();
    for n in 1..4 {
        writeln!(stdin, "{n}").unwrap();
        let deadline = Instant::now() + LONG;
        while n_lines(Path::new(&folder.results)) < n {
            assert!(Instant::now() < deadline, "no {n} lines");
            thread::yield_now();
        }
    }
    drop(stdin);
    let mut stdout = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut stdout)
        .unwrap();
    assert_eq!(stdout, "");
    assert!(child.wait().unwrap().success());
}

#[test]
fn rows_and_calls_are_resumed_like_other_inputs() {
    let folder = Folder::new();
    let table = [
        "run",
        tour(),
        "-t",
        "divide",
        "--csv",
        "-i",
        "-",
        "-o",
        &folder.results,
    ];
    run_with_input(&table, "dividend,divisor\n7,2\n").assert_code(0);
    let resume = [&table[..], &["--resume"]].concat();
    run_with_input(&resume, "dividend,divisor\n7,2\n8,2\n").assert_code(0);
    let outputs = folder
        .lines()
        .into_iter()
        .map(|line| line["output"].to_string());
    assert_eq!(
        outputs.collect::<BTreeSet<_>>(),
        ["3", "4"].map(str::to_owned).into()
    );
    fs::remove_file(&folder.results).unwrap();
    let shapes = wasmpool_guests::SHAPES.path().to_str().unwrap();
    let call = [
        "run",
        shapes,
        "-o",
        &folder.results,
        "--invoke",
        "area(circle(0))",
    ];
    run(&call).assert_code(0);
    let more = ["--resume", "--invoke", "area(rect((2, 3)))"];
    let more = run(&[&call[..], &more].concat());
    more.assert_code(0).assert_stderr("; 1 skipped");
    assert_eq!(folder.lines()[1]["output"], 6.0);
}

#[test]
fn a_program_with_inherited_streams_has_no_lines() {
    let programs = wasmpool_guests::PROGRAMS.path().to_str().unwrap();
    let folder = Folder::new();
    let args = [
        "run",
        programs,
        "--inherit-stdio",
        "-o",
        &folder.results,
        "--",
        "args",
    ];
    run(&args).assert_code(2).assert_stderr("`--output` is for");
    assert!(!Path::new(&folder.results).exists());
}
