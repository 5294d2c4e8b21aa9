//! `wasmpool man`: the help texts as manual pages.
//!
//! Does not know the commands: the pages are made from the definition of the command line.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_mangen::Man;

use crate::args::Args;
use crate::ending::{self, Ending, Problem, Result};

pub(crate) fn man(folder: Option<&Path>) -> Result<Ending> {
    // A page of `wasmpool help` would be empty.
    let command = Args::command().disable_help_subcommand(true);
    let Some(folder) = folder else {
        let mut page = Vec::new();
        let written = Man::new(command).render(&mut page);
        return ending::of_writing(written.and_then(|()| io::stdout().write_all(&page)));
    };
    fs::create_dir_all(folder)
        .and_then(|()| clap_mangen::generate_to(command, folder))
        .with_context(|| format!("cannot write the manual pages to `{}`", folder.display()))
        .map_err(Problem::Unusable)?;
    Ok(Ending::AllOk)
}
