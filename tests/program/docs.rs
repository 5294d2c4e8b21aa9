//! Checks that the program prints what the README and the pages show.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Run;

/// A separator between the outputs of two commands, which no command prints.
const BETWEEN: &str = "=== next command ===";

/// As a line it stands for any number of lines, including none. Within a line it stands for any
/// text.
const ANYTHING: &str = "...";

/// A command of a page, and its standard output as the page shows it.
struct Shown {
    line_number: usize,
    command: String,
    output: Vec<String>,
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The blocks of the language `console`, each as its commands.
fn console_blocks(page: &str) -> Vec<Vec<Shown>> {
    let mut blocks = Vec::new();
    let mut lines = (1..).zip(page.lines());
    while let Some((line_number, line)) = lines.next() {
        if line != "```console" {
            continue;
        }
        let mut block = Vec::<Shown>::new();
        for (line_number, line) in lines.by_ref().take_while(|(_, line)| *line != "```") {
            if let Some(command) = line.strip_prefix("$ ") {
                block.push(Shown {
                    line_number,
                    command: command.to_owned(),
                    output: Vec::new(),
                });
            } else if let Some(shown) = block.last_mut() {
                shown.output.push(line.to_owned());
            } else {
                panic!("line {line_number} is before the first command");
            }
        }
        assert!(!block.is_empty(), "line {line_number}: no command");
        blocks.push(block);
    }
    blocks
}

/// Whether the lines match those that are shown.
fn fits(shown: &[String], lines: &[&str]) -> bool {
    match shown {
        [] => lines.is_empty(),
        [first, rest @ ..] if first == ANYTHING => {
            (0..=lines.len()).any(|skipped| fits(rest, &lines[skipped..]))
        }
        [first, rest @ ..] => match lines {
            [line, lines @ ..] => line_fits(first, line) && fits(rest, lines),
            [] => false,
        },
    }
}

fn line_fits(shown: &str, line: &str) -> bool {
    match shown.split_once(ANYTHING) {
        Some((before, after)) => {
            let rest = line.strip_prefix(before);
            rest.is_some_and(|rest| rest.ends_with(after))
        }
        None => shown == line,
    }
}

/// Runs the commands of a block in one shell, so that an alias also applies to later commands, and
/// compares their output.
fn check_block(page: &str, block: &[Shown]) {
    let program = Path::new(env!("CARGO_BIN_EXE_wasmpool"));
    // The pages name the default paths of guests.
    let guests = super::misbehaving().strip_suffix("misbehaving.wasm");
    let guests = guests.expect("a guest is named after its crate");
    let commands = block
        .iter()
        .map(|shown| shown.command.replace("target/guests/", guests));
    let script = commands.collect::<Vec<_>>();
    let script = script.join(&format!("\necho '{BETWEEN}'\n"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("script");
    // The shell reads a file line by line, so that an alias applies to the lines after it.
    fs::write(&file, format!("shopt -s expand_aliases\n{script}\n")).unwrap();

    let path = env::var_os("PATH").unwrap_or_default();
    let programs = program.parent().unwrap().to_owned();
    let path = env::join_paths([programs].into_iter().chain(env::split_paths(&path))).unwrap();
    let mut bash = Command::new("bash");
    bash.arg(&file).current_dir(repository()).env("PATH", path);
    let run = Run::of(bash.stdin(Stdio::null()).output().unwrap());

    let printed = run.stdout.lines().collect::<Vec<_>>();
    let printed = printed.split(|line| *line == BETWEEN).collect::<Vec<_>>();
    assert_eq!(printed.len(), block.len(), "{page}: {}", run.stderr);
    for (shown, printed) in block.iter().zip(printed) {
        assert!(
            fits(&shown.output, printed),
            "{page}:{}: `{}` prints\n{}\nand not\n{}\n{}",
            shown.line_number,
            shown.command,
            printed.join("\n"),
            shown.output.join("\n"),
            run.stderr
        );
    }
}

#[test]
fn commands_print_what_the_pages_show() {
    let mut pages = vec![repository().join("README.md")];
    let docs = fs::read_dir(repository().join("docs")).unwrap();
    let docs = docs.map(|entry| entry.unwrap().path());
    pages.extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    let mut n_commands = 0;
    for path in pages {
        let name = path.file_name().unwrap().to_string_lossy();
        for block in console_blocks(&fs::read_to_string(&path).unwrap()) {
            check_block(&name, &block);
            n_commands += block.len();
        }
    }
    assert!(n_commands > 0, "no page shows a command");
}

#[test]
fn dots_stand_for_lines_or_text_and_nothing_else_does() {
    let check = |shown: &[&str], lines: &[&str], expected: bool| {
        let owned = shown.iter().map(|&line| line.to_owned());
        let owned = owned.collect::<Vec<_>>();
        assert_eq!(fits(&owned, lines), expected, "{shown:?}, {lines:?}");
    };
    check(&[], &[], true);
    check(&[], &["a"], false);
    check(&["a"], &[], false);
    check(&["a"], &["a"], true);
    check(&["a"], &["b"], false);
    check(&["a"], &["a", "b"], false);
    check(&["a", "..."], &["a"], true);
    check(&["a", "..."], &["a", "b", "c"], true);
    check(&["a", "...", "c"], &["a", "b", "b", "c"], true);
    check(&["a", "...", "c"], &["a", "b"], false);
    check(&["..."], &[], true);
    check(&["a ... c"], &["a b c"], true);
    check(&["a ... c"], &["a b d"], false);
    check(&["ab...bc"], &["abc"], false);
}

#[test]
fn blocks_of_a_page_are_its_commands_with_their_output() {
    let page = "text\n```sh\n$ not this\n```\n```console\n$ one\n1\n2\n$ two\n```\nmore\n";
    let blocks = console_blocks(page);
    let blocks = blocks.iter().map(|block| {
        let shown = block.iter();
        let shown = shown.map(|shown| (shown.line_number, &*shown.command, shown.output.len()));
        shown.collect::<Vec<_>>()
    });
    assert_eq!(blocks.collect::<Vec<_>>(), [[(6, "one", 2), (9, "two", 0)]]);
}
