//! The report of a run: plain data, for the terminal, for JSON and for HTML.
//!
//! Does not know how it was measured, nor how it is shown.

use serde::{Deserialize, Serialize};

/// The results of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// When the run began, in UTC, as of RFC 3339.
    pub started: String,
    /// The duration of the run in seconds.
    pub took: f64,
    /// The number of rounds; medians are over them.
    pub rounds: usize,
    /// The machine and the software.
    pub machine: Machine,
    /// The arms that were compared.
    pub arms: Vec<Arm>,
    /// The questions with their answers.
    pub questions: Vec<Question>,
    /// The targets of the project, and whether they are met.
    pub targets: Vec<Target>,
    /// Limits of what the numbers mean.
    pub caveats: Vec<String>,
    /// Arms that returned a wrong result or gave up, which the tables leave out. Empty in a good
    /// run.
    #[serde(default)]
    pub failures: Vec<String>,
}

/// The machine and the software of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// The model name of the processor.
    pub processor: String,
    /// How many threads can run at once.
    pub parallelism: usize,
    /// The size of the memory in bytes.
    pub memory: u64,
    /// The operating system and its version.
    pub system: String,
    /// Whether swap space was in use.
    pub swap: bool,
    /// The load average over one minute, before the run and after it.
    pub load: [f64; 2],
    /// Names and versions of the software: wasmpool, wasmtime, rustc, Python.
    pub versions: Vec<(String, String)>,
    /// Settings that affect the results: how native code and guests were compiled, where the
    /// instances' memory came from and how it was reset, the limits.
    pub settings: Vec<(String, String)>,
}

/// One way to run a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Arm {
    /// Its id in the rows: `fresh`.
    pub id: String,
    /// Its name for readers: `wasmpool, a fresh instance for each task`.
    pub name: String,
    /// Why it did not take part; `None` if it did.
    pub skipped: Option<String>,
}

/// One question, with a table of answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Question {
    /// Its name in `--filter`: `dispatch`.
    pub id: String,
    /// The question as a title.
    pub title: String,
    /// How it was measured, as one paragraph.
    pub method: String,
    /// The unit of the values: `s`, `B`, `B/s`, `1/s`, or empty for a plain number.
    pub unit: String,
    /// Whether a larger value is better.
    pub more_is_better: bool,
    /// The answers. Rows of one subject are compared with each other by time or memory, even if
    /// the values are rates.
    pub rows: Vec<Row>,
    /// Summaries of the rows: geometric means, the worst, and what could not be measured.
    pub remarks: Vec<String>,
}

/// The value of one arm for one subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// The subject: a kernel's name, a size, a kind of stop.
    pub subject: String,
    /// The id of the [arm](Arm::id).
    pub arm: String,
    /// The median over the rounds.
    pub median: f64,
    /// The best value of the rounds.
    pub best: f64,
    /// A 95 % confidence interval of the median.
    pub interval: [f64; 2],
    /// The ratio to the arm that the question compares with, by round.
    pub ratio: Option<Ratio>,
}

/// How many times as much one arm took as another, over the rounds that both have.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ratio {
    /// The id of the [arm](Arm::id) that it is compared with.
    pub to: String,
    /// The median of the rounds' ratios.
    pub median: f64,
    /// The smallest of the rounds' ratios.
    pub min: f64,
    /// A 95 % confidence interval of the median.
    pub interval: [f64; 2],
}

/// A target of the project.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// The ratio, in words.
    pub what: String,
    /// The wanted value, in words: `at most 1.05`.
    pub wanted: String,
    /// The measured value, if there is one.
    pub measured: Option<f64>,
    /// Whether the target is met, if it was measured.
    pub met: Option<bool>,
    /// A remark, for example why it was not measured.
    pub remark: String,
}
