//! `wasmpool new`: writes a guest that is ready to build and run.
//!
//! The templates are the guests of `guest-tasks/languages`, and the commands come from
//! `guest-tasks/README.md`, so both are tested. `templates/` links to these files, for the
//! program's package; no file there is called `Cargo.toml`, since cargo would leave it out of the
//! package.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context as _, anyhow};

use crate::args::{Language, NewArgs};
use crate::ending::{self, Ending, Problem, Result};

macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../templates/", $name))
    };
}

const COMMANDS: &str = template!("README.md");
const WIT: (&str, &str) = ("factorize.wit", template!("factorize.wit"));
const CARGO_CONFIG: (&str, &str) = (".cargo/config.toml", template!("cargo-config.toml"));
const TOOLCHAIN: (&str, &str) = (
    "rust-toolchain.toml",
    "[toolchain]\nchannel = \"stable\"\ntargets = [\"wasm32-wasip2\"]\n",
);

/// The folder of the SDK when this program was built; `None` if it was built from its package.
const SDK: Option<&str> = option_env!("WASMPOOL_SDK_FOLDER");

impl Language {
    /// The heading of its section in the README of `guest-tasks`.
    fn heading(self) -> &'static str {
        match self {
            Self::Rust => "Rust with the SDK",
            Self::RustWit => "Rust with wit-bindgen",
            Self::C => "C",
            Self::Python => "Python",
            Self::Javascript => "JavaScript",
        }
    }

    /// The files of a guest, the source first.
    fn files(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Rust => &[
                ("src/lib.rs", template!("sdk.rs")),
                ("Cargo.toml", template!("sdk-manifest.toml")),
                (".gitignore", "/target\n"),
                CARGO_CONFIG,
                TOOLCHAIN,
            ],
            Self::RustWit => &[
                ("src/lib.rs", template!("rust.rs")),
                ("Cargo.toml", template!("rust-manifest.toml")),
                (".gitignore", "/target\n"),
                CARGO_CONFIG,
                TOOLCHAIN,
                WIT,
            ],
            Self::C => &[
                ("factorize.c", template!("factorize.c")),
                (".gitignore", "/*.wasm\n"),
                WIT,
            ],
            Self::Python => &[
                ("app.py", template!("app.py")),
                (".gitignore", "/.venv\n/*.wasm\n__pycache__\n"),
                WIT,
            ],
            Self::Javascript => &[
                ("factorize.js", template!("factorize.js")),
                ("package.json", template!("package.json")),
                (".gitignore", "/node_modules\n/*.wasm\n"),
                WIT,
            ],
        }
    }

    /// The rest of its section after the source: how to build and run it.
    fn instructions(self) -> &'static str {
        let heading = format!("\n### {}\n", self.heading());
        let (_, section) = COMMANDS.split_once(&heading).expect("it has one for each");
        let section = section.split("\n##").next().expect("split yields one");
        let (_, instructions) = section
            .split_once("\n```\n")
            .expect("it begins with the source");
        instructions.trim()
    }
}

pub(crate) fn new(args: &NewArgs) -> Result<Ending> {
    let folder = &args.folder;
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    check_name(&name).map_err(Problem::Usage)?;
    let sdk = match args.lang {
        Language::Rust => sdk_source(args.sdk.as_deref().or(SDK))?,
        _ if args.sdk.is_some() => {
            let heading = args.lang.heading();
            return Err(Problem::Usage(anyhow!("{heading} needs no `--sdk`")));
        }
        _ => String::new(),
    };

    // In the repository the WIT file is beside the folders of the languages.
    let adapt = |text: &str| text.replace("../factorize.wit", "factorize.wit");
    let instructions = adapt(args.lang.instructions()).replace(
        "release/factorize.wasm",
        &format!("release/{}.wasm", name.replace('-', "_")),
    );
    let mut files = vec![(
        "README.md",
        format!("# {name}\n\nA guest for `wasmpool`.\n\n{instructions}\n"),
    )];
    for &(path, text) in args.lang.files() {
        let mut text = adapt(text);
        if path == "Cargo.toml" {
            text = text
                .replace("name = \"factorize\"", &format!("name = \"{name}\""))
                .replace("{ path = \"../../sdk\" }", &sdk);
        }
        files.push((path, text));
    }
    write(folder, &files)?;

    let mut stdout = io::stdout().lock();
    ending::of_writing(say_what_is_next(&mut stdout, folder, &instructions))
}

/// Names that have another meaning for cargo or the compiler.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "wasmpool-guest",
    "wasmpool_guest",
    "where",
    "while",
    "wit-bindgen",
    "wit_bindgen",
    "yield",
];

/// Whether a crate can have that name.
fn check_name(name: &str) -> anyhow::Result<()> {
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if !is_name {
        return Err(anyhow!(
            "`{name}` cannot be the name of a guest: it takes letters, digits, `-` and `_`, the \
             first of them a letter"
        ));
    }
    if RESERVED.contains(&name) {
        return Err(anyhow!(
            "`{name}` cannot be the name of a guest: Rust has a meaning for it"
        ));
    }
    Ok(())
}

/// The dependency on the SDK in `Cargo.toml`: a folder, a git repository, or the published crate
/// of this program's version.
fn sdk_source(place: Option<&str>) -> Result<String> {
    let Some(place) = place else {
        return Ok(quoted(env!("CARGO_PKG_VERSION")));
    };
    if place.contains("://") {
        return Ok(format!("{{ git = {} }}", quoted(place)));
    }
    let folder = Path::new(place);
    // Reading the package's name distinguishes the SDK from other folders and from missing ones.
    let is_sdk = fs::read_to_string(folder.join("Cargo.toml"))
        .is_ok_and(|manifest| manifest.contains("name = \"wasmpool-guest\""));
    if !is_sdk {
        return Err(Problem::Usage(anyhow!(
            "the SDK is not in `{}`: say where `guest-tasks/sdk` of wasmpool's source is with \
             `--sdk PATH`, or where its git repository is with `--sdk URL`",
            folder.display()
        )));
    }
    let absolute = folder
        .canonicalize()
        .with_context(|| format!("cannot use the SDK in `{}`", folder.display()))
        .map_err(Problem::Unusable)?;
    let path = quoted(&absolute.to_string_lossy());
    Ok(format!("{{ path = {path} }}"))
}

/// A TOML string: JSON strings are valid TOML.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Creates the folder, which must not exist, and its files.
fn write(folder: &Path, files: &[(&str, String)]) -> Result<()> {
    let made = match folder.parent() {
        Some(parent) => fs::create_dir_all(parent).and_then(|()| fs::create_dir(folder)),
        None => fs::create_dir(folder),
    };
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Problem::Usage(anyhow!(
                "`{}` exists, and stays as it is: choose another name",
                folder.display()
            )));
        }
        made => made
            .with_context(|| format!("cannot make the folder `{}`", folder.display()))
            .map_err(Problem::Unusable)?,
    }
    for (path, text) in files {
        let path = folder.join(path);
        path.parent()
            .map_or(Ok(()), fs::create_dir_all)
            .and_then(|()| fs::write(&path, text))
            .with_context(|| format!("cannot write `{}`", path.display()))
            .map_err(Problem::Unusable)?;
    }
    Ok(())
}

/// Prints the commands of the README, with a `cd` first.
fn say_what_is_next(stdout: &mut impl Write, folder: &Path, instructions: &str) -> io::Result<()> {
    let folder = folder.display();
    writeln!(stdout, "created `{folder}`; see its README.md. Next:\n")?;
    writeln!(stdout, "    cd {folder}")?;
    for block in instructions.split("```sh\n").skip(1) {
        let commands = block.split("```").next().unwrap_or_default();
        for command in commands.lines() {
            writeln!(stdout, "    {command}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    /// The README shows exactly the files that `wasmpool new` writes.
    #[test]
    fn the_readme_shows_the_templates() {
        for language in Language::value_variants() {
            let (_, section) = COMMANDS
                .split_once(&format!("\n### {}\n", language.heading()))
                .unwrap();
            let (path, source) = language.files()[0];
            let shown = section.split("```").nth(1).unwrap();
            assert_eq!(shown.split_once('\n').unwrap().1, source, "{path}");
            assert!(language.instructions().contains("\nwasmpool run "));
        }
        assert!(COMMANDS.contains(WIT.1));
    }

    #[test]
    fn without_a_place_the_sdk_is_the_published_one_of_the_same_version() {
        let sdk = sdk_source(None).ok().unwrap();
        assert_eq!(sdk, format!("\"{}\"", env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn names_are_those_of_crates() {
        for name in ["a", "rules", "my-rules_2", "Rules"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in [
            "", "2fast", "-a", "ä", "a b", "a/b", "..", "fn", "test", "std",
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }
}
