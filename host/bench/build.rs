//! Passes the compiler's version and flags to the crate, for its reports.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var_os("RUSTC").expect("cargo sets RUSTC");
    let output = Command::new(rustc).arg("--version").output();
    let version = output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    );
    let version = version.strip_prefix("rustc ").unwrap_or(&version);
    println!("cargo::rustc-env=BENCH_RUSTC={version}");

    let level = env::var("OPT_LEVEL").expect("cargo sets OPT_LEVEL");
    let target = env::var("TARGET").expect("cargo sets TARGET");
    // In the repository the profile sets the codegen units. Elsewhere the installed program's
    // profile does.
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-tasks");
    let units = match repository.is_dir() {
        true => "one codegen unit",
        false => "codegen units of the installed program",
    };
    println!("cargo::rustc-env=BENCH_NATIVE_FLAGS=opt-level {level} for {target}, {units}");
}
