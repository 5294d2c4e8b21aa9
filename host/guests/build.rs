//! Builds the guests of `guest-tasks/` by a separate cargo call, for `wasm32-wasip2`, and the
//! programs also for `wasm32-wasip1`.
//!
//! The published package has no `guest-tasks/`; it has the guests in `wasm/`, built for its
//! release.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The guests to build.
const GUESTS: &[Guest] = &[
    Guest::named("articles"),
    Guest::named("awaiting"),
    Guest {
        package: "wasmpool-factorizer",
        ..Guest::named("factorizer")
    },
    Guest::named("fetching"),
    Guest::named("importer"),
    Guest::named("importer_async"),
    Guest::named("importer_sdk"),
    Guest {
        package: "wasmpool-kernels",
        ..Guest::named("kernels")
    },
    // Fails on purpose; its backtraces name source lines.
    Guest {
        profile: "guest-with-lines",
        flags: &[LARGE_STACK],
        ..Guest::named("misbehaving")
    },
    Guest::named("programs"),
    Guest {
        name: "programs_p1",
        target: PREVIEW_1,
        ..Guest::named("programs")
    },
    Guest::named("shapes"),
    Guest::named("teamwork"),
    Guest::named("tour"),
];

/// Compiler flags of the guests, beyond their profile: they unroll loops and inline functions. A
/// computing guest checks once per iteration and once per call whether it must stop, and this
/// check is most of the sandbox's cost. `docs/guests.md` describes them for users, in its section
/// on compiler flags.
///
/// Not `-unroll-count`, which unrolls more: it is meant for LLVM's own tests, and LLVM 22 compiles
/// the kernel `fannkuch` with it to an endless loop, natively too.
const FLAGS: &[&str] = &[
    "-Ctarget-feature=+simd128",
    // Unrolls vectorized loops, which LLVM does not do for WebAssembly.
    "-Cllvm-args=-force-vector-interleave=8",
    // Vectorizes the remainder of such loops too.
    "-Cllvm-args=-enable-epilogue-vectorization -epilogue-vectorization-force-VF=2",
    // Unrolls other loops with a single exit, up to a size.
    "-Cllvm-args=-unroll-runtime",
    "-Cllvm-args=-unroll-allow-partial -unroll-partial-threshold=300",
    // More than twice LLVM's default threshold for inlining.
    "-Cllvm-args=-inline-threshold=600",
    // Instead of 1 MiB: the whole memory of a small guest is then reset by overwriting, without a
    // system call. Rust puts the stack first, so an overflow leaves the memory, which traps, and
    // never overwrites data.
    "-Clink-arg=-zstack-size=65536",
];

/// For the guest that recurses endlessly on purpose, so that the host's limit ends it.
const LARGE_STACK: &str = "-Clink-arg=-zstack-size=1048576";

const PREVIEW_1: &str = "wasm32-wasip1";
const PREVIEW_2: &str = "wasm32-wasip2";

struct Guest {
    name: &'static str,
    /// The folder of its crate in `guest-tasks/`, and the name of the file that cargo makes.
    folder: &'static str,
    /// The name of its crate's package.
    package: &'static str,
    target: &'static str,
    profile: &'static str,
    /// Flags after [`FLAGS`]: of two that conflict, the linker uses the last.
    flags: &'static [&'static str],
}

impl Guest {
    const fn named(name: &'static str) -> Self {
        Self {
            name,
            folder: name,
            package: name,
            target: PREVIEW_2,
            profile: "guest",
            flags: &[],
        }
    }

    /// The path of its copy in the folder of the guests.
    fn path_in(&self, guests_dir: &Path) -> PathBuf {
        guests_dir.join(self.name).with_extension("wasm")
    }
}

fn main() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.join("../..");
    let out_dir = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let guests_dir = if root.join("guest-tasks").is_dir() {
        let guests_dir = target_dir(&out_dir).join("guests");
        build_all(&root, &guests_dir);
        guests_dir
    } else {
        println!("cargo::rerun-if-changed=wasm");
        package.join("wasm")
    };

    let mut consts = format!(
        "/// What the guests are compiled with, beyond `opt-level` 3, link-time optimization \
         and one codegen unit.\n\
         pub const RUSTFLAGS: &str = {:?};\n",
        FLAGS.join(" ")
    );
    let mut names = String::new();
    for guest in GUESTS {
        let Guest { name, folder, .. } = guest;
        let constant = name.to_uppercase();
        let path = guest.path_in(&guests_dir).display().to_string();
        writeln!(
            consts,
            "/// `guest-tasks/{folder}`.\n\
             pub const {constant}: Guest = Guest {{\n    \
                 name: {name:?}, wasm: include_bytes!({path:?}), path: {path:?},\n}};"
        )
        .expect("a String takes all");
        writeln!(names, "        $macro!({name});").expect("a String takes all");
    }
    let each = format!(
        "/// Calls a macro with the name of every guest: the tests use it to notice one \
         that no test names.\n\
         #[macro_export]\nmacro_rules! for_each_guest {{\n    \
         ($macro:ident) => {{\n{names}    }};\n}}\n"
    );
    fs::write(out_dir.join("guests.rs"), consts + &each).expect("OUT_DIR can be written");
}

/// Builds the guests and puts a copy of each into the folder.
fn build_all(root: &Path, guests_dir: &Path) {
    for input in ["guest-tasks", "wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    ensure_target(PREVIEW_1);
    ensure_target(PREVIEW_2);
    for guest in GUESTS {
        let built = build(root, &guests_dir.join("build"), guest);
        replace(&built, &guest.path_in(guests_dir));
    }
}

/// Builds one guest and returns its path.
fn build(root: &Path, build_dir: &Path, guest: &Guest) -> PathBuf {
    let Guest {
        folder,
        package,
        target,
        profile,
        flags,
        ..
    } = guest;
    let flags = FLAGS.iter().chain(*flags).map(ToString::to_string);
    let flags = flags.chain(path_flags(root, build_dir));
    let cargo = env::var_os("CARGO").expect("cargo sets CARGO");
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args(["build", "--package", package, "--target", target])
        .args(["--profile", profile, "--target-dir"])
        .arg(build_dir)
        // Overrides all other ways to set flags.
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            flags.collect::<Vec<_>>().join("\u{1F}"),
        );
    // The outer build's flags and wrappers are meant for the host.
    for variable in [
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
    ] {
        command.env_remove(variable);
    }
    let status = command.status().expect("cargo runs");
    assert!(
        status.success(),
        "building the guest `{package}` failed: {command:?}"
    );
    build_dir
        .join(target)
        .join(profile)
        .join(folder)
        .with_extension("wasm")
}

/// Flags that leave the folders of this machine out of what is compiled: panics and line tables name
/// source files, and two builds of the same sources are to be the same.
fn path_flags(root: &Path, build_dir: &Path) -> impl Iterator<Item = String> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = cargo_home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let sources = PathBuf::from(rustc(&["--print", "sysroot"])).join("lib/rustlib/src/rust");
    let version = rustc(&["--version", "--verbose"]);
    let commit = version
        .lines()
        .find_map(|line| line.strip_prefix("commit-hash: "));
    // Of two that fit, the compiler takes the last.
    [
        (Some(root.to_owned()), "/wasmpool".to_owned()),
        (Some(build_dir.to_owned()), "/target".to_owned()),
        (cargo_home, "/cargo".to_owned()),
        // Where the sources of the standard library are not installed, they have this name.
        (
            Some(sources),
            format!("/rustc/{}", commit.unwrap_or("unknown")),
        ),
    ]
    .into_iter()
    .filter_map(|(folder, name)| {
        // What does not exist yet occurs nowhere, or by the name that it is given here.
        let folder = folder?;
        let folder = folder.canonicalize().unwrap_or(folder);
        Some(format!("--remap-path-prefix={}={name}", folder.display()))
    })
}

/// Puts a copy of `built` at `copy`, in one step: another build may be reading it.
fn replace(built: &Path, copy: &Path) {
    let temporary = copy.with_extension(format!("{}.tmp", std::process::id()));
    fs::copy(built, &temporary).unwrap_or_else(|error| panic!("{}: {error}", built.display()));
    fs::rename(&temporary, copy).unwrap_or_else(|error| panic!("{}: {error}", copy.display()));
}

/// Checks that the toolchain can build for the target.
fn ensure_target(target: &str) {
    let installed =
        || Path::new(&rustc(&["--print", "target-libdir", "--target", target])).is_dir();
    if installed() {
        return;
    }
    let added = Command::new("rustup")
        .args(["target", "add", target])
        .status();
    assert!(
        added.is_ok_and(|status| status.success()) && installed(),
        "the guests need the Rust target {target}: run `rustup target add {target}`, or \
         install the package of your distribution that has it"
    );
}

/// What the compiler says of itself.
fn rustc(args: &[&str]) -> String {
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let output = Command::new(rustc).args(args).output();
    let output = output.expect("rustc runs").stdout;
    String::from_utf8_lossy(&output).trim().to_owned()
}

/// The target directory that this build script's own output lies in.
fn target_dir(out_dir: &Path) -> &Path {
    out_dir
        .ancestors()
        .find(|ancestor| ancestor.join("CACHEDIR.TAG").is_file())
        .unwrap_or(out_dir)
}
