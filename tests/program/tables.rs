//! Inputs in tables: `--csv` and `--tsv`.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Run, run, run_with_input, start, tour};

const DIVIDE: [&str; 4] = ["-t", "divide", "--csv", "-i"];

/// Runs a task of the tour over tables that are files.
fn run_tables(flags: &[&str], tables: &[&str]) -> (Run, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut args = ["run", tour()].map(str::to_owned).to_vec();
    args.extend(flags.iter().map(|flag| flag.to_string()));
    for (index, table) in tables.iter().enumerate() {
        let file = folder.path().join(format!("{index}.csv"));
        fs::write(&file, table).unwrap();
        args.extend(["-i".to_owned(), file.to_str().unwrap().to_owned()]);
    }
    let args = args.iter().map(String::as_str).collect::<Vec<_>>();
    (run(&args), folder)
}

fn message(line: &Value) -> &str {
    line["error"]["message"].as_str().unwrap()
}

/// A component with `f: func(text: string, max-count: option<u32>, exact: bool) -> string`, which
/// returns the text, or `none` if there is no count.
fn typed(folder: &TempDir) -> String {
    let file = folder.path().join("typed.wat");
    let text = r#"(component
        (core module $module
            (memory (export "memory") 1)
            (data (i32.const 64) "none")
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
            (func (export "f") (param $text i32) (param $length i32)
                (param $has_count i32) (param $count i32) (param $exact i32) (result i32)
                (i32.store (i32.const 16)
                    (select (local.get $text) (i32.const 64) (local.get $has_count)))
                (i32.store (i32.const 20)
                    (select (local.get $length) (i32.const 4) (local.get $has_count)))
                (i32.const 16)))
        (core instance $core (instantiate $module))
        (alias core export $core "memory" (core memory $memory))
        (func $f (param "text" string) (param "max-count" (option u32)) (param "exact" bool)
            (result string)
            (canon lift (core func $core "f") (memory $memory)
                (realloc (core func $core "realloc"))))
        (export "f" (func $f)))"#;
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn a_row_is_a_call_whatever_the_order_of_the_columns() {
    let tables = [
        "dividend,divisor\n7,2\n\n9,3\n",
        "divisor,dividend\r\n2,8\r\n",
    ];
    let (run, _) = run_tables(&DIVIDE[..3], &tables);
    assert_eq!(
        run.assert_code(0).stdout,
        "{\"index\":0,\"input\":{\"dividend\":7,\"divisor\":2},\"output\":3}\n\
         {\"index\":1,\"input\":{\"dividend\":9,\"divisor\":3},\"output\":3}\n\
         {\"index\":2,\"input\":{\"divisor\":2,\"dividend\":8},\"output\":4}\n"
    );
}

#[test]
fn a_header_that_does_not_fit_is_one_error_before_anything_runs() {
    let wrong = "dividend,divider,note\n7,2,x\n";
    let problem = "does not fit `divide(dividend, divisor)`: no column for `divisor`; \
                   no parameter for the column `divider`, `note`";
    let (run, folder) = run_tables(&DIVIDE[..3], &["dividend,divisor\n7,2\n", wrong]);
    let file = folder.path().join("1.csv");
    run.assert_code(3)
        .assert_stderr(&format!("`{}` {problem}", file.display()));
    assert_eq!(run.stdout, "");
    // The inputs of the command line do not run either.
    let args = [&["run", tour(), "[7, 2]"], &DIVIDE[..], &["-"]].concat();
    let piped = run_with_input(&args, wrong);
    piped
        .assert_code(3)
        .assert_stderr(&format!("standard input {problem}"));
    assert_eq!(piped.stdout, "");
    let (empty, _) = run_tables(&DIVIDE[..3], &[""]);
    empty
        .assert_code(3)
        .assert_stderr("is empty: the first line");
}

#[test]
fn the_types_of_a_function_say_what_cells_are() {
    let folder = tempfile::tempdir().unwrap();
    let module = typed(&folder);
    let args = ["run", &module, "--no-cache", "--csv", "-i", "-"];
    // Text stays text, an empty cell is no count, and names may be in another case.
    let table = "Max Count,text,EXACT\n1,5,true\n,null,FALSE\n2,\"a, \"\"b\"\"\",True\n3,,false\n";
    let run = run_with_input(&args, table);
    let outputs = run.assert_code(0).lines();
    let outputs = outputs.iter().map(|line| &line["output"]);
    assert_eq!(outputs.collect::<Vec<_>>(), ["5", "none", "a, \"b\"", ""]);
    assert_eq!(
        run.lines()[1]["input"],
        json!({"Max Count": null, "text": "null", "EXACT": false})
    );
    // The column of an option may be missing, another one may not.
    let without = run_with_input(&args, "text,exact\na,true\n");
    assert_eq!(without.assert_code(0).lines()[0]["output"], "none");
    let missing = run_with_input(&args, "max-count\n1\n");
    missing
        .assert_code(3)
        .assert_stderr("no column for `text`, `exact`\n");
    let wrong = run_with_input(&args, "text,exact,max-count\na,true,many\na,1,2\n");
    let lines = wrong.assert_code(1).lines();
    assert_eq!(message(&lines[0]), "argument 2: expected u32, got \"many\"");
    assert_eq!(message(&lines[1]), "argument 3: expected bool, got \"1\"");
}

#[test]
fn without_types_a_cell_is_json_or_else_text() {
    let (run, _) = run_tables(
        &["-t", "shift", "--csv"],
        &["point,by\n\"{\"\"x\"\":1,\"\"y\"\":2}\",\"[1, 1]\"\n{},0\n"],
    );
    let lines = run.assert_code(1).lines();
    assert_eq!(lines[0]["output"], json!({"x": 2.0, "y": 3.0}));
    assert_eq!(lines[1]["error"]["kind"], "bad-arguments");
    let args = ["-t", "count_words", "--csv"];
    let (run, _) = run_tables(&args, &["text\na b\n5\n\"\"\"5\"\"\"\n\"x\ny\"\n"]);
    let lines = run.assert_code(1).lines();
    assert_eq!(lines[0]["output"], json!({"a": 1, "b": 1}));
    assert_eq!(lines[1]["error"]["kind"], "bad-arguments");
    assert_eq!(lines[2]["output"], json!({"5": 1}));
    assert_eq!(lines[3]["input"], json!({"text": "x\ny"}));
}

#[test]
fn tabs_separate_cells_and_quotes_are_characters() {
    let table = "text\n\"a\nb, c\n\"5\"\n";
    let (run, _) = run_tables(&["-t", "count_words", "--tsv"], &[table]);
    let inputs = run.assert_code(0).lines();
    let inputs = inputs.iter().map(|line| &line["input"]["text"]);
    assert_eq!(inputs.collect::<Vec<_>>(), ["\"a", "b, c", "5"]);
    let (run, _) = run_tables(&["-t", "divide", "--tsv"], &["divisor\tdividend\n2\t9\n"]);
    assert_eq!(run.assert_code(0).lines()[0]["output"], 4);
}

#[test]
fn a_row_that_is_no_call_is_its_own_error_with_its_line() {
    let table = "dividend,divisor\r\n7,2\r\n\r\n1\r\n1,2,3\r\n8,2\r\n";
    let (run, folder) = run_tables(&DIVIDE[..3], &[table]);
    let lines = run.assert_code(1).lines();
    let file = folder.path().join("0.csv");
    let problem = |line, cells| {
        let place = format!("`{}`, line {line}", file.display());
        format!("{place}: the row has {cells} cells, and the header 2")
    };
    assert_eq!(message(&lines[1]), problem(4, 1));
    assert_eq!(message(&lines[2]), problem(5, 3));
    assert_eq!(lines[2]["input"], json!(["1", "2", "3"]));
    assert_eq!(lines[3]["output"], 4);

    let mut child = start(&["run", tour(), "-t", "print", "--csv", "-i", "-"]);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"text\n\xFFa\nb\n").unwrap();
    drop(stdin);
    let run = Run::of(child.wait_with_output().unwrap());
    let lines = run.assert_code(1).lines();
    assert_eq!(message(&lines[0]), "line 2: column `text`: not UTF-8");
    assert_eq!(lines[1]["input"], json!({"text": "b"}));
}

#[test]
fn a_table_of_a_spreadsheet_may_begin_with_a_byte_order_mark() {
    let (run, _) = run_tables(&DIVIDE[..3], &["\u{feff}dividend,divisor\r\n7,2\r\n"]);
    assert_eq!(run.assert_code(0).lines()[0]["output"], 3);
    let (quoted, _) = run_tables(
        &DIVIDE[..3],
        &["\u{feff}\"dividend\",\"divisor\"\r\n7,2\r\n"],
    );
    assert_eq!(quoted.assert_code(0).lines()[0]["output"], 3);
    let mut child = start(&[&["run", tour()], &DIVIDE[..], &["-"]].concat());
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"\xFF\xFEd\0i\0v\0\n\0").unwrap();
    drop(stdin);
    let wide = Run::of(child.wait_with_output().unwrap());
    wide.assert_code(3)
        .assert_stderr("standard input is in UTF-16");
}

#[test]
fn a_chunk_does_not_wait_for_later_rows() {
    let args = [&["run", tour()], &DIVIDE[..], &["-", "--chunk", "100"]].concat();
    let mut child = start(&args);
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "dividend,divisor").unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    for dividend in [6, 10] {
        writeln!(stdin, "{dividend},2").unwrap();
        // Blocks for ever if the program waits for more.
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["output"], dividend / 2);
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
}

#[test]
fn any_chunk_size_gives_the_same_rows() {
    let rows = (1..500).map(|n| format!("{},{n}\n", n * 7));
    let table = format!("dividend,divisor\n{}", rows.collect::<String>());
    let (one_by_one, _) = run_tables(&DIVIDE[..3], &[&table]);
    assert_eq!(one_by_one.assert_code(0).lines().len(), 499);
    let (chunks, _) = run_tables(&[&DIVIDE[..3], &["--chunk", "64"]].concat(), &[&table]);
    assert_eq!(chunks.assert_code(0).stdout, one_by_one.stdout);
}

#[test]
fn tables_are_for_tasks_with_parameters() {
    let programs = wasmpool_guests::PROGRAMS.path().to_str().unwrap();
    for (module, task, problem) in [
        (programs, &[][..], "is a program"),
        (tour(), &["-t", "whereabouts"], "`whereabouts` has none"),
    ] {
        let args = [&["run", module, "--csv", "-i", "-"], task].concat();
        run(&args).assert_code(2).assert_stderr(problem);
    }
    for flags in [
        &["--csv", "--tsv"][..],
        &["--csv", "--null"],
        &["--tsv", "--null"],
    ] {
        let args = [&["run", tour(), "-i", "-", "-t", "divide"], flags].concat();
        run(&args).assert_code(2);
    }
    let alone = run(&["run", tour(), "-t", "divide", "--csv", "[7, 2]"]);
    alone.assert_code(2).assert_stderr("--input");
}
