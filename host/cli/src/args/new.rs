//! The arguments of `wasmpool new`.

use std::path::PathBuf;

use clap::ValueEnum;

/// Make a guest that builds and runs at once
///
/// It has one task, the prime factors of a number, as an example to replace, and a README with the
/// commands to build and run it.
#[derive(Debug, clap::Args)]
pub(crate) struct NewArgs {
    /// The folder to create; its last component is the name of the guest
    #[arg(value_name = "NAME")]
    pub(crate) folder: PathBuf,

    /// The language of the guest
    #[arg(long, value_enum, value_name = "LANGUAGE", default_value_t = Language::Rust)]
    pub(crate) lang: Language,

    /// The SDK for Rust: a folder or the URL of a git repository [default: the published crate
    /// `wasmpool-guest`, or the source tree that this program was built in]
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
