//! The arguments of `wasmpool run`.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use clap::ValueEnum;

use super::halt::{Halt, When, Why};
use super::module::CodeArgs;
use super::pool::{LimitsArgs, PoolArgs};
use super::time_limit;

/// The exit codes of the commands that run or list tasks.
pub(super) const EXIT_CODES: &str = "\
Exit codes:
    0  every task succeeded
    1  some task failed, or a line of the input is invalid
    2  the command line is invalid
    3  the module or the input cannot be used
  130  interrupted
With `--inherit-stdio` and no inputs, the exit code is that of the WASI program, or 1 if it did not
exit.";

const RUN_EXAMPLES: &str = "\
Examples:
  wasmpool run factorizer 360 97 18446744073709551615
  seq 1 100000 | wasmpool run factorizer --input -
  wasmpool run rules.wasm -t check '[\"a\", 1]' --timeout 200ms --memory 32MiB
  wasmpool run rules.wasm -t check --csv --input calls.csv --output results.jsonl --resume
  wasmpool run shapes.wasm --invoke 'area({x: 1.5, y: 2})'
  wasmpool run game.wasm -t play --session player --input -
  wasmpool run tool.wasm --input names.txt --dir /srv/data::/data:ro -- --sum /data/{}
  wasmpool run tool.wasm --input lines.txt --stdin -- --upper-case
  wasmpool run factorizer --input numbers.txt --cluster nats://10.0.0.1:4222";

/// Run a task over inputs, in parallel, each in a sandbox
///
/// Prints one line of JSON for each input, in their order:
/// `{"index":0,"input":360, "output":[2,2,2,3,3,5]}`, or with an `error` that has a `kind` and a
/// `message`.
///
/// A WASI program (a component that exports `wasi:cli/run`, or a core module for preview 1) runs
/// once for each input, which is text, or once without any. Its `output` is
/// `{"code":0,"stdout":"...","stderr":""}`; what is not UTF-8 is there as `stdout_base64` or
/// `stderr_base64`. A code other than 0 is an error of the kind `exited` with an `exit_code`.
#[derive(Debug, clap::Args)]
#[command(after_help = format!("{RUN_EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct RunArgs {
    /// A module (`.wasm` or `.wat`), or the name of an included one: `factorizer`
    pub(crate) module: String,

    /// The task's argument as JSON, or the JSON array of its arguments if it has several
    /// parameters. Anything that is not JSON is text
    #[arg(allow_negative_numbers = true)]
    pub(crate) inputs: Vec<String>,

    /// The arguments of a program. `{}` in them is replaced by the input; without `{}` the input
    /// is the last argument. For other tasks, more inputs
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) program_args: Vec<String>,

    /// Pass the input to the program as a line on standard input
    #[arg(long)]
    pub(crate) stdin: bool,

    /// Read more inputs from this file; `-` is standard input. May be given several times: the files
    /// are read one after the other. Each line is a JSON value, blank lines are skipped; for a
    /// program each line is text and may be empty. Files of JSON are in UTF-8
    #[arg(short, long, value_name = "FILE")]
    pub(crate) input: Vec<PathBuf>,

    /// In the files of inputs, each input ends with NUL and may have several lines: for the output
    /// of `find -print0`. With `--input`, `-0` is this option and not a number
    #[arg(short = '0', long, requires = "input")]
    pub(crate) null: bool,

    /// The files of inputs are tables: a row is a call, and the columns, in any order, are named
    /// like the task's parameters. A cell is what the parameter's type says; for tasks without
    /// types it is JSON, or else text
    #[arg(long, requires = "input", conflicts_with_all = ["null", "tsv"])]
    pub(crate) csv: bool,

    /// The same for tables with tabs between the cells, and no quotes around them
    #[arg(long, requires = "input", conflicts_with = "null")]
    pub(crate) tsv: bool,

    /// Call an exported function, written in WAVE: `--invoke 'factorize(360)'`
    #[arg(long, value_name = "CALL", conflicts_with_all = ["inputs", "input", "task"])]
    pub(crate) invoke: Vec<String>,

    /// The task; required if the module has several and none is named like the module
    #[arg(short, long, value_name = "NAME")]
    pub(crate) task: Option<String>,

    /// Keep an instance for each session. The value at this JSON pointer in an input, such as
    /// `/user/id`, names its session; `NAME` stands for `/NAME`. Inputs of one session run one at a
    /// time, in order, and find the state that earlier ones have left; other sessions run beside it.
    /// The task gets the input as it is; of `{"NAME": ..., "input": ...}` it gets the `input`
    #[arg(long, value_name = "POINTER", conflicts_with_all = ["invoke", "retries", "queue_bytes", "resume", "resume_failed"])]
    pub(crate) session: Option<String>,

    /// Refuse inputs of further sessions (`too-many-sessions`) while there are N [default: 1000]
    #[arg(long, value_name = "N", requires = "session")]
    pub(crate) max_sessions: Option<usize>,

    /// End a session that has had no input for longer; its next input begins a new one
    /// [default: sessions stay]
    #[arg(long, value_name = "DURATION", requires = "session", value_parser = time_limit)]
    pub(crate) session_idle: Option<Duration>,

    /// Begin a session anew, with a fresh instance, after an input that trapped or was stopped.
    /// Without this, further inputs of the session fail (`session-ended`)
    #[arg(long, requires = "session")]
    pub(crate) session_restart: bool,

    #[command(flatten)]
    pub(crate) pool: PoolArgs,

    /// How many tasks may wait in the host (for a sleep, a connection) beside those that run; a task
    /// beyond them keeps its worker while it waits [default: 32]
    #[arg(long, value_name = "N")]
    pub(crate) max_suspended: Option<usize>,

    #[command(flatten)]
    pub(crate) limits: LimitsArgs,

    /// Fail a task that waits longer for a worker
    #[arg(long, value_name = "DURATION", value_parser = time_limit)]
    pub(crate) queue_timeout: Option<Duration>,

    /// Read no more inputs while the queued arguments have this size, such as `64MiB`
    /// [default: no bound]
    #[arg(long, value_name = "SIZE")]
    pub(crate) queue_bytes: Option<ByteSize>,

    /// How long a task may run on after a stop request, to return early [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    pub(crate) grace: Option<Duration>,

    /// Whether tasks share instances
    #[arg(long, value_enum, value_name = "LEVEL", default_value_t = IsolationArg::Task)]
    pub(crate) isolation: IsolationArg,

    /// How memory is reset for the next task
    #[arg(long, value_enum, value_name = "WAY", default_value_t = MemoryResetArg::Whole)]
    pub(crate) memory_reset: MemoryResetArg,

    /// Replace an instance after N tasks; with `--isolation worker`
    #[arg(long, value_name = "N")]
    pub(crate) max_tasks_per_instance: Option<u64>,

    /// Retry a task that trapped or timed out, up to N times
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) retries: u32,

    /// Wait before a retry; the time doubles with each further retry [default: 0s]
    #[arg(long, value_name = "DURATION", requires = "retries", value_parser = humantime::parse_duration)]
    pub(crate) backoff: Option<Duration>,

    /// Hand N inputs at a time to a worker: for tasks that take microseconds
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) chunk: u16,

    /// Go on after failures. This is the default
    #[arg(long, conflicts_with_all = ["fail_fast", "max_failures", "halt"])]
    pub(crate) keep_going: bool,

    /// Stop the run at the first failure, with the tasks that run: as `--halt now,fail=1`
    #[arg(long, conflicts_with_all = ["max_failures", "halt"])]
    pub(crate) fail_fast: bool,

    /// Stop the run when N inputs have failed: as `--halt now,fail=N`
    #[arg(long, value_name = "N", conflicts_with = "halt")]
    pub(crate) max_failures: Option<NonZeroU64>,

    /// Stop the run when N tasks have ended like this: WHY is `fail`, `success` or `done`. WHEN is
    /// `now`, which also stops the tasks that run, or `soon`, which lets them end
    #[arg(long, value_name = "WHEN,WHY=N")]
    pub(crate) halt: Option<Halt>,

    /// Print each outcome as soon as its task has ended, in any order
    #[arg(long)]
    pub(crate) unordered: bool,

    /// Write the lines to this file, and none to standard output. A file that is there already is
    /// refused, unless it is empty or the run resumes it
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Go on where an earlier run was stopped or killed: skip the inputs whose outcomes are in the
    /// file of `--output`, failed or not. The inputs must be those of the earlier run
    #[arg(long, requires = "output")]
    pub(crate) resume: bool,

    /// The same, but run failed inputs again and replace their lines
    #[arg(long, requires = "output")]
    pub(crate) resume_failed: bool,

    /// Add each task's resource usage and output to its line, and the guest's backtrace to an
    /// error
    #[arg(long)]
    pub(crate) details: bool,

    /// Write a summary as JSON: counts, rate, latency quantiles, peak memory
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// Show no progress bar
    #[arg(long)]
    pub(crate) no_progress: bool,

    /// Print only errors of wasmpool itself on standard error
    #[arg(short, long)]
    pub(crate) quiet: bool,

    #[cfg(feature = "cluster")]
    #[command(flatten)]
    pub(crate) cluster: super::RunOnClusterArgs,

    #[command(flatten)]
    pub(crate) rights: RightsArgs,

    #[command(flatten)]
    pub(crate) code: CodeArgs,
}

impl RunArgs {
    /// When the run is stopped early.
    pub(crate) fn halt(&self) -> Halt {
        let first = self.fail_fast.then_some(NonZeroU64::MIN);
        match self.max_failures.or(first) {
            Some(count) => Halt::At {
                when: When::Now,
                why: Why::Fail,
                count,
            },
            None => self.halt.unwrap_or(Halt::Never),
        }
    }

    /// Reads `-0` behind the module as the option: to the parser it is a number, since inputs may
    /// be negative.
    pub(crate) fn find_null(&mut self) {
        if !self.input.is_empty() {
            let n_inputs = self.inputs.len();
            self.inputs.retain(|input| input != "-0");
            self.null |= self.inputs.len() < n_inputs;
        }
    }

    /// Whether there are or may be inputs.
    pub(crate) fn has_inputs(&self) -> bool {
        !self.inputs.is_empty() || !self.input.is_empty()
    }
}

/// The rights of a guest.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Rights (a guest has none but these)")]
pub(crate) struct RightsArgs {
    /// Grant access to a folder, under the name GUEST or its own; `:ro` at the end makes it
    /// read-only, and `:special` lets guests open the FIFOs and devices in it, which are refused
    /// otherwise. `:slow` is for a folder that waits for another machine and is on no file system
    /// of the network, which are known to be slow: guests then wait for it without a worker. A
    /// guest that may write can leave symbolic links there that lead out of the folder: guests do
    /// not follow them, but other programs do
    #[arg(long = "dir", value_name = "HOST[::GUEST][:ro][:special|:slow]")]
    pub(crate) dirs: Vec<String>,

    /// Set an environment variable; without a value, pass on that of this process
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(crate) env: Vec<String>,

    /// Grant TCP connections and HTTP requests to a name or address. Refused operations on the network and on folders
    /// are listed in the output line as `refused`
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) allow_net: Vec<String>,

    /// Let tasks start tasks of their module, and wait for them: at most 1,000 at once and 16 deep
    /// for each input. They end with the task that started them
    #[arg(long)]
    pub(crate) allow_tasks: bool,

    /// Let guests read standard input, and write directly to standard output and error. For
    /// debugging; a program without inputs then runs as if it were started natively
    #[arg(long)]
    pub(crate) inherit_stdio: bool,

    /// Make runs reproducible: the same input gives the same output and uses the same fuel. Random
    /// numbers come from this seed (default 0), clocks advance only when a guest sleeps, and
    /// numeric results are the same on all processors. Fuel is counted: `--details` prints it,
    /// `--fuel` limits it
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
    /// A warm instance for each worker; its memory stays from task to task
    Worker,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum MemoryResetArg {
    /// Reset the whole memory: safe on every machine
    Whole,
    /// Reset the pages that the kernel reports as written: faster for guests with much memory. The
    /// kernel can miss a page that is swapped out or being moved, which the next task can then
    /// read
    PageWise,
    /// Reset the whole memory, and overwrite up to 32 MiB of it in place: for large guests such as
    /// interpreters
    InPlace,
}

impl IsolationArg {
    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Worker => "worker",
        }
    }
}
