//! The published packages: their files from the rest of the repository.

use std::fs;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[track_caller]
fn check(copy: &str, source: &str) {
    let read = |path: &str| {
        fs::read_to_string(repository().join(path))
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    assert!(read(copy) == read(source), "`{copy}` is not `{source}`");
}

#[test]
fn packages_carry_the_contract() {
    for package in ["host/wasmpool", "guest-tasks/sdk"] {
        let files = |folder: &str| fs::read_dir(repository().join(folder)).unwrap().count();
        let source = "wit/teamwork";
        for folder in ["", "/deps"] {
            let (copy, source) = (
                format!("{package}/wit{folder}"),
                format!("{source}{folder}"),
            );
            assert_eq!(files(&copy), files(&source), "{copy}");
        }
        for file in ["children.wit", "objects.wit"] {
            let copy = format!("{package}/wit/{file}");
            check(&copy, &format!("wit/teamwork/{file}"));
        }
        check(&format!("{package}/wit/deps/task.wit"), "wit/task.wit");
    }
}

#[test]
fn the_guests_without_the_sdk_use_the_contract() {
    let folder = "guest-tasks/languages/teamwork/wit/deps";
    check(&format!("{folder}/task.wit"), "wit/task.wit");
    for file in ["children.wit", "objects.wit"] {
        let copy = format!("{folder}/teamwork/{file}");
        check(&copy, &format!("wit/teamwork/{file}"));
    }
}

#[test]
fn the_library_carries_the_pages_whose_examples_it_compiles() {
    for page in [
        "README.md",
        "docs/embedding.md",
        "docs/guests.md",
        "docs/python.md",
    ] {
        check(&format!("host/wasmpool/{page}"), page);
    }
}

#[test]
fn packages_carry_the_licences() {
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let (_, members) = manifest.split_once("members = [").unwrap();
    let (members, _) = members.split_once(']').unwrap();
    let mut published = 0;
    for member in members.split('"').skip(1).step_by(2) {
        let manifest = repository().join(member).join("Cargo.toml");
        if fs::read_to_string(manifest)
            .unwrap()
            .contains("\npublish = false\n")
        {
            continue;
        }
        published += 1;
        for licence in ["LICENSE-APACHE", "LICENSE-MIT"] {
            check(&format!("{member}/{licence}"), licence);
        }
    }
    assert_eq!(published, 9);
}

#[test]
fn the_guests_name_no_folder_of_the_machine_that_built_them() {
    let guests = wasmpool_guests::FACTORIZER.path().parent().unwrap();
    let home = std::env::home_dir().unwrap();
    let folders = [&repository().canonicalize().unwrap(), guests, &home]
        .map(|folder: &Path| format!("{}/", folder.display()));
    let folders = [&folders[..], &["/.cargo/".into(), "/.rustup/".into()]].concat();
    let mut looked_at = 0;
    for guest in fs::read_dir(guests).unwrap() {
        let guest = guest.unwrap().path();
        if guest
            .extension()
            .is_none_or(|extension| extension != "wasm")
        {
            continue;
        }
        looked_at += 1;
        let bytes = fs::read(&guest).unwrap();
        for folder in &folders {
            let place = bytes
                .windows(folder.len())
                .position(|part| part == folder.as_bytes());
            let context = place.map(|place| {
                let end = bytes.len().min(place + 100);
                String::from_utf8_lossy(&bytes[place..end])
            });
            assert_eq!(context, None, "{}", guest.display());
        }
    }
    assert!(looked_at > 0);
}

#[test]
fn the_kernel_factorize_divides_as_the_factorizer_does() {
    check(
        "guest-tasks/kernels/src/division.rs",
        "guest-tasks/factorizer/src/division.rs",
    );
}

#[test]
fn the_templates_of_new_are_the_guests_in_other_languages() {
    check("host/cli/templates/README.md", "guest-tasks/README.md");
    for (template, source) in [
        ("app.py", "python/app.py"),
        ("cargo-config.toml", ".cargo/config.toml"),
        ("factorize.c", "c/factorize.c"),
        ("factorize.js", "javascript/factorize.js"),
        ("factorize.wit", "factorize.wit"),
        ("package.json", "javascript/package.json"),
        ("rust-manifest.toml", "rust/Cargo.toml"),
        ("rust.rs", "rust/src/lib.rs"),
        ("sdk-manifest.toml", "sdk/Cargo.toml"),
        ("sdk.rs", "sdk/src/lib.rs"),
    ] {
        check(
            &format!("host/cli/templates/{template}"),
            &format!("guest-tasks/languages/{source}"),
        );
    }
}

#[test]
fn the_pages_name_the_oldest_rust() {
    let read = |file: &str| fs::read_to_string(repository().join(file)).unwrap();
    let manifest = read("Cargo.toml");
    let (_, version) = manifest.split_once("\nrust-version = \"").unwrap();
    let (version, _) = version.split_once('"').unwrap();
    for page in ["README.md", "CONTRIBUTING.md"] {
        let named = format!("[Rust](https://rustup.rs) {version} or later");
        assert!(read(page).contains(&named), "{page}: {named}");
    }
}
