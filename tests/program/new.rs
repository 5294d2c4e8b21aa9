//! `wasmpool new`: the guests that it creates build and run.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Run, run, wasmpool};

const LANGUAGES: [&str; 5] = ["rust", "rust-wit", "c", "python", "javascript"];

/// Runs `wasmpool new` in a folder.
fn new_in(folder: &Path, args: &[&str]) -> Run {
    let mut command = wasmpool(&["new"]);
    Run::of(command.args(args).current_dir(folder).output().unwrap())
}

/// Creates a guest, builds it, and runs its task. The guest is built in the target folder of the
/// other guests and with the same settings, so that its dependencies are compiled already.
#[track_caller]
fn check(language: &str, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    new_in(folder.path(), &[name, "--lang", language])
        .assert_code(0)
        .assert_stdout("cargo build --release");
    let guest = folder.path().join(name);
    // Uses the versions that are tested and downloaded already.
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::copy(repository.join("Cargo.lock"), guest.join("Cargo.lock")).unwrap();

    let build_dir = wasmpool_guests::FACTORIZER.path().with_file_name("build");
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .current_dir(&guest)
        .args(["build", "--offline", "--profile", "guest"])
        .args(["--config", "profile.guest.inherits='release'"])
        .env("CARGO_TARGET_DIR", &build_dir);
    for variable in [
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
    ] {
        command.env_remove(variable);
    }
    Run::of(command.output().unwrap()).assert_code(0);
    let file = format!("wasm32-wasip2/guest/{}.wasm", name.replace('-', "_"));
    let ran = run(&["run", build_dir.join(file).to_str().unwrap(), "360"]);
    assert_eq!(
        ran.assert_code(0).stdout,
        "{\"index\":0,\"input\":360,\"output\":[2,2,2,3,3,5]}\n"
    );
}

#[test]
fn a_new_guest_builds_and_runs() {
    check("rust", "my-rules");
}

#[test]
fn a_new_guest_without_the_sdk_builds_and_runs() {
    check("rust-wit", "typed_rules");
}

#[test]
fn a_new_guest_is_self_contained() {
    let folder = tempfile::tempdir().unwrap();
    for language in LANGUAGES {
        new_in(folder.path(), &[language, "--lang", language]).assert_code(0);
        let mut folders = vec![folder.path().join(language)];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap();
                assert!(!text.contains("../"), "{}: {text}", path.display());
            }
        }
        let readme = fs::read_to_string(folder.path().join(language).join("README.md")).unwrap();
        assert!(readme.starts_with(&format!("# {language}\n")), "{readme}");
        assert!(readme.contains("\nwasmpool run "), "{readme}");
    }
}

#[test]
fn a_guest_may_be_made_in_folders_that_do_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a/b/rules");
    run(&["new", path.to_str().unwrap()]).assert_code(0);
    let manifest = fs::read_to_string(path.join("Cargo.toml")).unwrap();
    assert!(manifest.contains("name = \"rules\""), "{manifest}");
}

#[test]
fn an_existing_folder_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rules"), "mine").unwrap();
    new_in(folder.path(), &["rules"])
        .assert_code(2)
        .assert_stderr("`rules` exists, and stays as it is");
    let kept = fs::read_to_string(folder.path().join("rules")).unwrap();
    assert_eq!(kept, "mine");
}

#[test]
fn a_name_that_no_crate_can_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["2fast", "two words", "fn", ".."] {
        new_in(folder.path(), &[name])
            .assert_code(2)
            .assert_stderr("cannot be the name of a guest");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_sdk_may_be_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    new_in(folder.path(), &["rules", "--sdk", "."])
        .assert_code(2)
        .assert_stderr("the SDK is not in `.`");
    new_in(
        folder.path(),
        &["rules", "--sdk", "https://example.org/sdk"],
    )
    .assert_code(0);
    let manifest = fs::read_to_string(folder.path().join("rules/Cargo.toml")).unwrap();
    assert!(
        manifest.contains("wasmpool-guest = { git = \"https://example.org/sdk\" }"),
        "{manifest}"
    );
    new_in(folder.path(), &["other", "--lang", "c", "--sdk", "."])
        .assert_code(2)
        .assert_stderr("C needs no `--sdk`");
}

/// The flags of guests occur in the build of ours, in the template and in `docs/guests.md`.
#[test]
fn guests_are_compiled_with_the_same_flags_everywhere() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for file in ["guest-tasks/languages/.cargo/config.toml", "docs/guests.md"] {
        let text = fs::read_to_string(repository.join(file)).unwrap();
        let (_, flags) = text.split_once("rustflags = [\n").unwrap();
        let (flags, _) = flags.split_once("\n]").unwrap();
        let flags = flags
            .lines()
            .map(|line| line.trim().trim_matches([',', '"']));
        assert_eq!(
            flags.collect::<Vec<_>>().join(" "),
            wasmpool_guests::RUSTFLAGS,
            "{file}"
        );
    }
}
