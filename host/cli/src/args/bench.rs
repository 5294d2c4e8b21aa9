//! The arguments of `wasmpool bench`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use wasmpool_bench::{MAX_ROUNDS, MIN_ROUNDS, Topic};

const AFTER_HELP: &str = "\
Examples:
  wasmpool bench --quick
  wasmpool bench --filter dispatch,memory --json report.json
  wasmpool bench --module rules.wasm --task check --input '[\"a\", 1]' --against './check {}'

Exit codes:
    0  everything was measured, and every result was right
    1  some arm gave a wrong result or gave up
    2  the command line is invalid
    3  the module or a file cannot be used";

/// Measure what isolation costs here, beside native threads, processes and Python
///
/// All arms do the same work and alternate in rounds; results are checked. Prints a table for each
/// question, and whether the project's targets are met.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct BenchArgs {
    /// Ask only these questions, separated by commas
    #[arg(
        long,
        value_name = "QUESTION",
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(Topic::ALL.iter().map(|topic| topic.name())),
    )]
    pub(crate) filter: Vec<String>,

    /// Do less work in fewer rounds: half a minute in total instead of three minutes
    #[arg(long)]
    pub(crate) quick: bool,

    /// How many rounds to measure; figures are medians over them [default: 12, with --quick 6]
    #[arg(long, value_name = "N", value_parser = rounds)]
    pub(crate) rounds: Option<usize>,

    /// How many tasks run at once [default: the parallelism available to this process]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) workers: Option<u16>,

    /// List the questions
    #[arg(long)]
    pub(crate) list: bool,

    /// Write the report as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,

    /// Write the report as a self-contained HTML page
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,

    /// Write the report as Markdown. If the file has the lines `<!-- wasmpool bench: begin -->`
    /// and `<!-- wasmpool bench: end -->`, only the text between them is replaced
    #[arg(long, value_name = "FILE")]
    pub(crate) markdown: Option<PathBuf>,

    /// Measure a task of this module: a component, or the name of an included one
    #[arg(
        long,
        value_name = "MODULE",
        requires = "input",
        conflicts_with = "filter"
    )]
    pub(crate) module: Option<String>,

    /// The task; required if the module has several and none is named like the module
    #[arg(short, long, value_name = "NAME", requires = "module")]
    pub(crate) task: Option<String>,

    /// An input of the task, as for `wasmpool run`; may be given several times
    #[arg(
        short,
        long,
        value_name = "JSON",
        num_args = 1..,
        requires = "module",
        allow_negative_numbers = true
    )]
    pub(crate) input: Vec<String>,

    /// A command that does the same natively. It is started once for each input, which replaces
    /// `{}` or, without `{}`, is its standard input. It must exit with 0; its output is ignored
    #[arg(long, value_name = "COMMAND", requires = "module")]
    pub(crate) against: Option<String>,

    /// Show no progress bar
    #[arg(long)]
    pub(crate) no_progress: bool,
}

fn rounds(text: &str) -> Result<usize, String> {
    let rounds = text.parse::<usize>().map_err(|error| error.to_string())?;
    match (MIN_ROUNDS..=MAX_ROUNDS).contains(&rounds) {
        true => Ok(rounds),
        false => Err(format!("not in {MIN_ROUNDS}..={MAX_ROUNDS}")),
    }
}
