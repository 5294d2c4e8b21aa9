//! Where inputs come from: several files, byte order marks, inputs that end with NUL.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Run, run, run_with_input, start, tour};

/// A folder of files.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and returns its path.
    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }
}

fn programs() -> &'static str {
    wasmpool_guests::PROGRAMS.path().to_str().unwrap()
}

/// The text in UTF-16, with a byte order mark.
fn utf_16(text: &str, to_bytes: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    units.flat_map(to_bytes).collect()
}

fn inputs(run: &Run) -> Vec<Value> {
    let lines = run.lines();
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["index"], index);
    }
    lines
        .into_iter()
        .map(|line| line["input"].clone())
        .collect()
}

#[test]
fn a_byte_order_mark_of_utf_8_is_no_part_of_the_input() {
    let folder = Folder::new();
    let marked = folder.file("marked", "\u{feff}6\r\n10\n");
    let blank = folder.file("blank", "\u{feff}\r\n15\n");
    let run = run(&["run", "factorizer", "-i", &marked, "-i", &blank]);
    assert_eq!(run.assert_code(0).lines()[0]["output"], json!([2, 3]));
    assert_eq!(inputs(&run), [json!(6), json!(10), json!(15)]);
    // Also in the middle of a pipe.
    let piped = run_with_input(&["run", "factorizer", "-i", "-"], "\u{feff}6\n");
    assert_eq!(inputs(piped.assert_code(0)), [json!(6)]);
    // Only at the beginning.
    let later = run_with_input(&["run", "factorizer", "-i", "-"], "6\n\u{feff}7\n");
    assert_eq!(
        later.assert_code(1).lines()[1]["error"]["kind"],
        "bad-input"
    );
}

#[test]
fn text_for_a_program_keeps_its_bytes() {
    let folder = Folder::new();
    for text in ["\u{feff}a\n".as_bytes(), b"\xFF\xFEa\n"] {
        let file = folder.file("text", text);
        let run = run(&["run", programs(), "-i", &file, "--stdin", "--", "cat"]);
        let output = &run.assert_code(0).lines()[0]["output"];
        match std::str::from_utf8(text) {
            Ok(text) => assert_eq!(output["stdout"], text),
            Err(_) => assert_eq!(output["stdout_base64"], "//5hCg=="),
        }
    }
}

#[test]
fn utf_16_is_refused_with_the_remedy_before_anything_runs() {
    let folder = Folder::new();
    let good = folder.file("good", "6\n");
    let remedy = "is in UTF-16 and not in UTF-8: convert it with `iconv -f UTF-16 -t UTF-8`";
    for encoded in [
        utf_16("6\n7\n", u16::to_le_bytes),
        utf_16("6\n7\n", u16::to_be_bytes),
    ] {
        let file = folder.file("wide", &encoded);
        let run = run(&["run", "factorizer", "-i", &good, "-i", &file]);
        run.assert_code(3)
            .assert_stderr(&format!("the input `{file}` {remedy}"));
        assert_eq!(run.stdout, "");

        let mut child = start(&["run", "factorizer", "-i", "-"]);
        let mut stdin = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut stdin, &encoded).unwrap();
        drop(stdin);
        let piped = Run::of(child.wait_with_output().unwrap());
        piped.assert_code(3).assert_stderr(&format!(
            "reading the input failed: standard input {remedy}"
        ));
        assert_eq!(piped.stdout, "");
    }
}

#[test]
fn several_files_follow_one_another() {
    let folder = Folder::new();
    // The last line of a file ends with the file.
    let first = folder.file("a.jsonl", "6\n\n7");
    let second = folder.file("b.jsonl", "8\n");
    let empty = folder.file("empty.jsonl", "");
    let args = [
        "run",
        "factorizer",
        "5",
        "-i",
        &first,
        "-i",
        &empty,
        "--input",
        "-",
    ];
    let args = [&args[..], &["-i", &second, "-i", &first]].concat();
    for chunk in ["1", "3", "100"] {
        let args = [&args[..], &["--chunk", chunk]].concat();
        let run = run_with_input(&args, "100\n");
        let expected = [5, 6, 7, 100, 8, 6, 7].map(|n| json!(n));
        assert_eq!(inputs(run.assert_code(0)), expected);
    }
}

#[test]
fn errors_name_the_file_and_the_line() {
    let folder = Folder::new();
    let first = folder.file("a.jsonl", "[7, 2]\n[1]\n");
    let second = folder.file("b.jsonl", "\n\n[7, 2\n");
    let args = [
        "run",
        tour(),
        "-t",
        "divide",
        "-i",
        &first,
        "-i",
        &second,
        "-i",
        "-",
    ];
    let lines = run_with_input(&args, "[1, 1]\n7\n").assert_code(1).lines();
    let message = |index: usize| lines[index]["error"]["message"].as_str().unwrap();
    let wrong = format!("`{first}`, line 2: the task takes 2 arguments, not 1");
    assert_eq!(message(1), wrong);
    let torn = format!("`{second}`, line 3, column 5: not JSON: EOF");
    assert!(message(2).starts_with(&torn), "{}", message(2));
    assert!(
        message(4).starts_with("standard input, line 2: "),
        "{}",
        message(4)
    );
    // The only one needs no name.
    let lines = run_with_input(
        &args[..4]
            .iter()
            .chain(&["-i", "-"])
            .copied()
            .collect::<Vec<_>>(),
        "7\n",
    );
    let message = &lines.assert_code(1).lines()[0]["error"]["message"];
    assert!(
        message.as_str().unwrap().starts_with("line 1: "),
        "{message}"
    );
}

#[test]
fn a_missing_file_is_refused_before_anything_runs() {
    let folder = Folder::new();
    let good = folder.file("good", "6\n");
    let missing = folder.path("missing");
    let missing = missing.to_str().unwrap();
    let run = run(&["run", "factorizer", "5", "-i", &good, "-i", missing]);
    run.assert_code(3)
        .assert_stderr(&format!("cannot read the input `{missing}`: No such file"));
    assert_eq!(run.stdout, "");
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_inputs_before_it_run() {
    let folder = Folder::new();
    let good = folder.file("good", "6\n");
    let no_file = folder.0.path().to_str().unwrap();
    let run = run(&["run", "factorizer", "-i", &good, "-i", no_file, "-i", &good]);
    run.assert_code(3)
        .assert_stderr(&format!("reading the input failed: `{no_file}`: "));
    assert_eq!(inputs(&run), [json!(6)]);
}

#[test]
fn names_of_files_that_a_shell_has_listed_are_warned_of() {
    let folder = Folder::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| folder.file(name, "6\n"));
    let args = ["run", tour(), "-t", "count_words", "--input", &a, &b, &c];
    let run = run(&args);
    run.assert_stderr(&format!(
        "warning: the input `{b}` (and 1 more) is taken as text"
    ));
    assert_eq!(run.stderr.matches("warning").count(), 1);
    let quiet = self::run(&[&args[..], &["--quiet"]].concat());
    assert_eq!(quiet.stderr, "");
    let other = self::run(&["run", tour(), "-t", "count_words", &b]);
    assert!(!other.stderr.contains("warning"), "{}", other.stderr);
}

#[test]
fn inputs_that_end_with_nul_may_have_several_lines() {
    for flag in ["-0", "--null"] {
        let args = ["run", programs(), "-i", "-", flag, "--", "count", "{}"];
        let run = run_with_input(&args, "a b\r\nc\0\0 d\n\0e");
        let expected = ["a b\r\nc", "", " d\n", "e"].map(|text| json!(text));
        assert_eq!(inputs(run.assert_code(0)), expected);
    }
    let args = ["run", tour(), "-t", "divide", "-i", "-", "--null"];
    let run = run_with_input(&args, "[7,\n 2]\0\n\0[8, 2]\n\0\n[1,\n2\0");
    let lines = run.assert_code(1).lines();
    // A line of output for each, and blank ones do not count.
    assert_eq!(
        (&lines[0]["output"], &lines[1]["output"]),
        (&json!(3), &json!(4))
    );
    let message = lines[2]["error"]["message"].as_str().unwrap();
    assert!(
        message.starts_with("item 4, line 3, column 1: not JSON"),
        "{message}"
    );
    let alone = self::run(&["run", "factorizer", "--null", "6"]);
    alone.assert_code(2).assert_stderr("--input");
    // Without a file it is a number, as are its neighbours.
    let number = self::run(&["run", tour(), "-t", "sum_to", "-0", "-1"]);
    assert_eq!(inputs(&number), [json!(-0.0), json!(-1)]);
}

#[test]
fn names_of_files_that_find_prints_are_inputs() {
    let folder = Folder::new();
    for name in ["one", "two\nlines", "three words"] {
        folder.file(name, "x");
    }
    let find = |action: &str| {
        let mut find = std::process::Command::new("find");
        find.arg(folder.0.path()).args(["-type", "f", action]);
        find.output().unwrap().stdout
    };
    let names = String::from_utf8(find("-print0")).unwrap();
    let grant = format!("{}::/data:ro", folder.0.path().display());
    let args = ["run", programs(), "-0", "-i", "-", "--dir", &grant];
    let root = Path::new("/data");
    let named = names.replace(folder.0.path().to_str().unwrap(), root.to_str().unwrap());
    let run = run_with_input(&[&args[..], &["--", "read"]].concat(), &named);
    for line in run.assert_code(0).lines() {
        assert_eq!(line["output"]["stdout"], "x");
    }
    assert_eq!(run.lines().len(), 3);
}
