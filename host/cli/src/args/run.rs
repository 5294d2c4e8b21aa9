//! The arguments of `wasmpool run`.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::ValueEnum;

use super::module::CodeArgs;

/// The exit codes of the commands that run or look at tasks.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
    0  every task succeeded
    1  some task failed, or a line of the input is no input
    2  the command line makes no sense
    3  the module or the input cannot be used
  130  interrupted
A program that has the standard streams to itself (`--inherit-stdio`, no inputs) ends with its own
exit code, or with 1 if it came to none.";

const RUN_EXAMPLES: &str = "\
Examples:
  wasmpool run factorizer 360 97 18446744073709551615
  seq 1 100000 | wasmpool run factorizer --input -
  wasmpool run rules.wasm -t check '[\"a\", 1]' --timeout 200ms --memory 32MiB
  wasmpool run shapes.wasm --invoke 'area({x: 1.5, y: 2})'
  wasmpool run tool.wasm --input names.txt --dir /srv/data::/data:ro -- --sum /data/{}
  wasmpool run tool.wasm --input lines.txt --stdin -- --upper-case";

/// Run a task over inputs, in parallel, each in a sandbox
///
/// Prints one line of JSON for each input, in their order: `{"index":0,"input":360,
/// "output":[2,2,2,3,3,5]}`, or with an `error` that has a `kind` and a `message`.
///
/// A WASI program (a component that exports `wasi:cli/run`, or a core module for preview 1) runs
/// once for each input, which is text, or once without any. Its `output` is
/// `{"code":0,"stdout":"...","stderr":""}`; what is not UTF-8 is there as `stdout_base64` or
/// `stderr_base64`. A code other than 0 is an error of the kind `exited` with an `exit_code`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{RUN_EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct RunArgs {
    /// A component (`.wasm` or `.wat`), or the name of one that comes along: `factorizer`
    pub(crate) module: String,

    /// The task's argument as JSON; of a task with several parameters the JSON array of its
    /// arguments. What is not JSON is text
    #[arg(allow_negative_numbers = true)]
    pub(crate) inputs: Vec<String>,

    /// The arguments of a program. `{}` in them is the input; if it is nowhere, the input is one
    /// more argument at the end. Of other tasks, more inputs
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) program_args: Vec<String>,

    /// Give the input to the program on standard input, as a line
    #[arg(long)]
    pub(crate) stdin: bool,

    /// Read more inputs from this file, one JSON value a line, where blank lines are skipped; or, for
    /// a program, a line of text, which may be empty. `-` is standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Option<PathBuf>,

    /// Call an exported function, written in WAVE: `--invoke 'factorize(360)'`
    #[arg(long, value_name = "CALL", conflicts_with_all = ["inputs", "input", "task"])]
    pub(crate) invoke: Vec<String>,

    /// The task; needed where the module has several and none is named like the module
    #[arg(short, long, value_name = "NAME")]
    pub(crate) task: Option<String>,

    /// How many tasks run at once [default: the parallelism available to this process]
    #[arg(short, long, value_name = "N")]
    pub(crate) workers: Option<usize>,

    /// Stop a task that runs longer, such as `5s` or `200ms`
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) timeout: Option<Duration>,

    /// Give up a task that waits longer for a worker
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) queue_timeout: Option<Duration>,

    /// Let a task that is asked to stop go on for so long, to leave in order [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) grace: Option<Duration>,

    /// Stop a task that wants more memory, such as `64MiB` [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) memory: Option<ByteSize>,

    /// Stop a program that prints more, on both streams together, such as `1GiB` [default: 16MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) output_limit: Option<ByteSize>,

    /// Refuse arguments and results that are larger, and results of exported functions of which
    /// more than 16 times as much is made, and more than 64 MiB [default: 128MiB]
    #[arg(long, value_name = "SIZE")]
    pub(crate) payload: Option<ByteSize>,

    /// Stop a task that uses more fuel, about one unit an instruction [default: not counted]
    #[arg(long, value_name = "N")]
    pub(crate) fuel: Option<u64>,

    /// What tasks share: with `task` nothing, with `worker` the instance of their worker
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = IsolationArg::Task)]
    pub(crate) isolation: IsolationArg,

    /// How memory is made clean for the next task; see `PoolBuilder::memory_reset` for the risk of
    /// `page-wise`
    #[arg(long, value_enum, value_name = "WAY", default_value_t = MemoryResetArg::Whole)]
    pub(crate) memory_reset: MemoryResetArg,

    /// Replace an instance after so many tasks; with `--isolation worker`
    #[arg(long, value_name = "N")]
    pub(crate) max_tasks_per_instance: Option<u64>,

    /// Try a task again that trapped or timed out, up to so many times
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retries: u32,

    /// Wait before a task is tried again, twice as long before the next time [default: 0s]
    #[arg(long, value_name = "DURATION", requires = "retries", value_parser = humantime::parse_duration)]
    pub(crate) backoff: Option<Duration>,

    /// Hand inputs to the workers so many at a time: for tasks that take microseconds
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) chunk: u16,

    /// Stop everything at the first failure
    #[arg(long)]
    pub(crate) fail_fast: bool,

    /// Stop everything when so many inputs have failed
    #[arg(long, value_name = "N", conflicts_with = "fail_fast")]
    pub(crate) max_failures: Option<NonZeroU64>,

    /// Print each outcome as soon as it is there, in whatever order
    #[arg(long)]
    pub(crate) unordered: bool,

    /// Add to each line what the task cost and printed, and to an error where the guest was
    #[arg(long)]
    pub(crate) details: bool,

    /// Write a summary as JSON: counts, rate, latency quantiles, peak memory
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Show no progress bar
    #[arg(long)]
    pub(crate) no_progress: bool,

    /// Print nothing on standard error but errors of the program itself
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[command(flatten)]
    pub(crate) rights: RightsArgs,

    #[command(flatten)]
    pub(crate) code: CodeArgs,
}

impl RunArgs {
    /// Whether there are inputs, or may be.
    pub(crate) fn has_inputs(&self) -> bool {
        !self.inputs.is_empty() || self.input.is_some()
    }
}

/// What a guest may use of the host.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Rights (a guest has none but these)")]
pub(crate) struct RightsArgs {
    /// Grant a folder, under the name GUEST or its own; `:ro` at the end makes it read-only. A guest
    /// that may write can leave symbolic links there that lead out of it: no guest follows them,
    /// but other programs do
    #[arg(long = "dir", value_name = "HOST[::GUEST][:ro]")]
    pub(crate) dirs: Vec<String>,

    /// Set a variable; without a value, pass on the one from here
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,

    /// Grant TCP connections to a name or address. What is refused of the network is said in the
    /// line as `refused`
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) allow_net: Vec<String>,

    /// Let guests read standard input, and write to standard output and error at once. For
    /// debugging; a program without inputs then runs as if it were started by itself
    #[arg(long)]
    pub(crate) inherit_stdio: bool,

    /// Take random numbers from this seed (0 if there is none), move the clocks only by what a guest
    /// sleeps, have numbers come out the same on all processors, and count fuel: the same input
    /// gives the same output and uses the same fuel, of which `--details` tells and which `--fuel`
    /// limits
    #[arg(
        long,
        value_name = "SEED",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "0"
    )]
    pub(crate) deterministic: Option<u64>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum IsolationArg {
    /// A fresh instance for every task
    Task,
    /// A warm instance for every worker; its memory stays from task to task
    Worker,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum MemoryResetArg {
    /// All of it: nothing is left behind in any case
    Whole,
    /// The pages that the kernel says were written: faster for guests with much memory. It can miss
    /// a page that is swapped out or being moved, which the next task can read
    PageWise,
}

impl IsolationArg {
    /// As it is typed.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Worker => "worker",
        }
    }
}
