//! The arguments of `wasmpool new`.

use std::path::PathBuf;

use clap::ValueEnum;

/// Make a guest that builds and runs at once
///
/// It has one task, the prime factors of a number, to put yours in the place of, and a README with
/// the commands to build and run it.
#[derive(Debug, clap::Args)]
pub(crate) struct NewArgs {
    /// The folder to make; its last part is the name of the guest
    #[arg(value_name = "NAME")]
    pub(crate) folder: PathBuf,

    /// What to write the guest in
    #[arg(long, value_enum, value_name = "LANGUAGE", default_value_t = Language::Rust)]
    pub(crate) lang: Language,

    /// Where the SDK for Rust is, a folder or the URL of a git repository [default: the published
    /// crate `wasmpool-guest`; the source tree if this program was built in one]
    #[arg(long, value_name = "PATH")]
    pub(crate) sdk: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// Rust with the SDK: any serde types, progress, errors with codes
    Rust,
    /// Rust with wit-bindgen: typed functions, no SDK
    RustWit,
    /// C with clang
    C,
    /// Python with componentize-py
    Python,
    /// JavaScript with componentize-js
    #[value(alias = "js")]
    Javascript,
}
