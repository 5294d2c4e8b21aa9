//! Compiles in the folder of the SDK for guests, if the program is built in the repository.

use std::path::Path;

fn main() {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../guest-tasks/sdk");
    println!("cargo::rerun-if-changed=build.rs");
    if sdk.join("Cargo.toml").is_file() {
        println!("cargo::rustc-env=WASMPOOL_SDK_FOLDER={}", sdk.display());
    }
}
