//! What a run found out: plain data, for the terminal, for JSON and for HTML.
//!
//! Knows nothing of how it was measured, nor of how it is shown.

use serde::{Deserialize, Serialize};

/// Everything that one run found out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// When the run began, as RFC 3339 has it, in UTC.
    pub started: String,
    /// How long it took, in seconds.
    pub took: f64,
    /// Rounds, each of all arms, that the medians are over.
    pub rounds: usize,
    /// Where it ran, and with what.
    pub machine: Machine,
    /// What was compared.
    pub arms: Vec<Arm>,
    /// What was asked, and the answers.
    pub questions: Vec<Question>,
    /// Where the project wants to be, and where it is.
    pub targets: Vec<Target>,
    /// What a reader must know to not read too much into the numbers.
    pub caveats: Vec<String>,
    /// What went wrong: arms that gave a wrong result or gave up, which the tables leave out.
    /// Nothing in a good run.
    #[serde(default)]
    pub failures: Vec<String>,
}

/// Where and with what a run was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// The processor, in its maker's words.
    pub processor: String,
    /// How many threads can run at once.
    pub parallelism: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// The operating system and its version.
    pub system: String,
    /// Whether swap space was in use.
    pub swap: bool,
    /// The load average over one minute, before the run and after it.
    pub load: [f64; 2],
    /// Names and versions of the software: wasmpool, wasmtime, rustc, Python.
    pub versions: Vec<(String, String)>,
    /// Settings that matter: how native code and guests were compiled, where the instances'
    /// memory came from and how it was reset, the limits that were on.
    pub settings: Vec<(String, String)>,
}

/// One way to run a task.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Arm {
    /// What rows call it: `fresh`.
    pub id: String,
    /// What people call it: `wasmpool, a fresh instance for each task`.
    pub name: String,
    /// Why it did not take part, if it did not.
    pub skipped: Option<String>,
}

/// One question, with a table of answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Question {
    /// What `--filter` calls it: `dispatch`.
    pub id: String,
    /// What it asks, in a few words.
    pub title: String,
    /// How it was measured, in a paragraph.
    pub method: String,
    /// The unit of the values: `s`, `B`, `B/s`, `1/s`, or empty for a plain number.
    pub unit: String,
    /// Whether a larger value is better.
    pub more_is_better: bool,
    /// The answers. Rows of one subject are compared with each other, by the time or the memory
    /// that they take: also where the values say how much is done in a second.
    pub rows: Vec<Row>,
    /// What the rows come to: geometric means, the worst, and what could not be measured.
    pub remarks: Vec<String>,
}

/// What one arm did with one subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Row {
    /// What was done: a kernel's name, a size, a kind of stop.
    pub subject: String,
    /// The [arm](Arm::id) that did it.
    pub arm: String,
    /// The median over the rounds.
    pub median: f64,
    /// The best of the rounds.
    pub best: f64,
    /// A 95 % confidence interval of the median.
    pub interval: [f64; 2],
    /// How it compares with the arm that the question measures against, round by round.
    pub ratio: Option<Ratio>,
}

/// How many times as much one arm took as another one, over the rounds that both were in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ratio {
    /// The [arm](Arm::id) that it is compared with.
    pub to: String,
    /// The median of the rounds' ratios.
    pub median: f64,
    /// The smallest of the rounds' ratios.
    pub min: f64,
    /// A 95 % confidence interval of the median.
    pub interval: [f64; 2],
}

/// Where the project wants to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Target {
    /// The ratio, in words.
    pub what: String,
    /// What is wanted, in words: `at most 1.05`.
    pub wanted: String,
    /// What was measured, where it was.
    pub measured: Option<f64>,
    /// Whether that is good enough, where it was measured.
    pub met: Option<bool>,
    /// What there is to say about it: what it is where, why it was not measured.
    pub remark: String,
}
