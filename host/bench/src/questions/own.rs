//! The cost of the user's own task, and of a command to compare with.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use wasmpool::{Pool, Task, TaskFuture, Value};

use crate::arms::native::Threads;
use crate::arms::{Arm, Site, sandbox};
use crate::bench::Bench;
use crate::failure::Failure;
use crate::plan::Topic;
use crate::report::Question;
use crate::rounds::Contestant;
use crate::table::{Shown, rows};

const TOPIC: Topic = Topic::Own;

const ONE_BY_ONE: &str = "one at a time";
const TOGETHER: &str = "all at once";

const ARMS: &[Arm] = &[Arm::Warm, Arm::Fresh, Arm::Unchecked];

/// A task of the user's own.
#[derive(Debug, Clone)]
pub struct OwnTask {
    /// The component.
    pub wasm: Vec<u8>,
    /// The name of the module for readers.
    pub module: String,
    /// The task's name.
    pub task: String,
    /// Its inputs: the arguments of each, and their original text.
    pub inputs: Vec<OwnInput>,
    /// A command that does the same natively, as typed: `./native {}`. An input replaces `{}` or,
    /// without `{}`, is its standard input. It must exit with 0; its output is ignored.
    pub against: Option<String>,
}

/// One input of a task.
#[derive(Debug, Clone)]
pub struct OwnInput {
    /// The original text.
    pub text: String,
    /// The arguments.
    pub arguments: Vec<serde_json::Value>,
}

/// Runs the inputs.
enum Runner {
    Sandbox(Box<Sandbox>),
    Command(Against, Threads),
}

struct Sandbox {
    pool: Pool,
    task: Task<Vec<serde_json::Value>, Value>,
}

/// The command, split into words.
#[derive(Clone)]
struct Against {
    words: Vec<String>,
}

impl Runner {
    fn start(arm: Arm, site: &Site, task: &OwnTask) -> Result<Self, Failure> {
        let pool = sandbox::pool(arm, site)?;
        let task = pool.load_bytes(&task.wasm)?.task(&task.task)?;
        Ok(Self::Sandbox(Box::new(Sandbox { pool, task })))
    }

    /// Runs all inputs `times` times, one after the other or all at once.
    fn run(
        &self,
        inputs: &[OwnInput],
        together: Together,
        times: usize,
    ) -> Result<Duration, Failure> {
        let started = Instant::now();
        for _ in 0..times {
            match (self, together) {
                (Self::Sandbox(sandbox), Together::No) => {
                    for input in inputs {
                        sandbox.submit(input)?.wait()?;
                    }
                }
                (Self::Sandbox(sandbox), Together::Yes) => {
                    let futures = inputs.iter().map(|input| sandbox.submit(input));
                    for future in futures.collect::<Result<Vec<_>, _>>()? {
                        future.wait()?;
                    }
                }
                (Self::Command(against, _), Together::No) => {
                    for input in inputs {
                        against.run(&input.text)?;
                    }
                }
                (Self::Command(against, threads), Together::Yes) => {
                    let submit = |input: &OwnInput| {
                        let (against, text) = (against.clone(), input.text.clone());
                        threads.submit(move || against.run(&text))
                    };
                    let pending = inputs.iter().map(submit).collect::<Vec<_>>();
                    for pending in pending {
                        pending.wait()??;
                    }
                }
            }
        }
        Ok(started.elapsed())
    }
}

impl Sandbox {
    fn submit(&self, input: &OwnInput) -> Result<TaskFuture<Value>, Failure> {
        Ok(self.pool.submit(&self.task, input.arguments.clone())?)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Together {
    No,
    Yes,
}

impl Against {
    fn parse(command: &str) -> Result<Self, Failure> {
        let words = shell_words::split(command)
            .map_err(|error| Failure(format!("`{command}` is not a command: {error}")))?;
        match words.is_empty() {
            true => Err(Failure::new("the command is empty")),
            false => Ok(Self { words }),
        }
    }

    /// Runs the command without a shell, and checks only its exit code.
    fn run(&self, input: &str) -> Result<(), Failure> {
        const PLACE: &str = "{}";
        let has_place = self.words.iter().any(|word| word.contains(PLACE));
        let words = self.words.iter().map(|word| word.replace(PLACE, input));
        let words = words.collect::<Vec<_>>();
        let of_command = |error: std::io::Error| Failure(format!("`{}`: {error}", words[0]));
        let mut child = Command::new(&words[0])
            .args(&words[1..])
            .stdin(match has_place {
                true => Stdio::null(),
                false => Stdio::piped(),
            })
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(of_command)?;
        if let Some(mut stdin) = child.stdin.take() {
            // The command may exit without reading its input.
            let _ = stdin.write_all(input.as_bytes());
            let _ = stdin.write_all(b"\n");
        }
        let status = child.wait().map_err(of_command)?;
        match status.success() {
            true => Ok(()),
            false => Err(Failure(format!("`{}` ended: {status}", words.join(" ")))),
        }
    }
}

/// Measures the task. Runs everything once before; an arm that fails then is reported and not
/// measured.
pub(crate) fn ask(bench: &mut Bench<'_>, task: &OwnTask) -> Result<Question, Failure> {
    let mut runners = Vec::new();
    for &arm in ARMS {
        if !bench.missing.contains_key(&arm) {
            runners.push((arm, Runner::start(arm, &bench.site, task)?));
        }
    }
    if let Some(command) = &task.against {
        let threads = Threads::start(bench.site.workers);
        runners.push((
            Arm::Command,
            Runner::Command(Against::parse(command)?, threads),
        ));
    }
    for (_, runner) in &runners {
        runner.run(&task.inputs, Together::No, 1)?;
    }
    let (stretch, n_inputs) = (bench.stretch(), task.inputs.len() as f64);
    let mut contestants = Vec::new();
    for (subject, together) in [(ONE_BY_ONE, Together::No), (TOGETHER, Together::Yes)] {
        for (arm, runner) in &runners {
            let run = move |times| {
                let took = runner.run(&task.inputs, together, times)?;
                Ok(took.div_f64(n_inputs))
            };
            contestants.push(Contestant::repeated(subject, *arm, stretch, run));
        }
    }
    let samples = bench.play(TOPIC, contestants);
    let shown = Shown {
        baseline: Some(Arm::Fresh),
        amount: None,
    };
    let mut remarks = vec!["The results of the task were not checked.".to_owned()];
    if let Some(command) = &task.against {
        remarks.push(format!(
            "The command `{command}` is started once for each input, which replaces `{{}}` or, \
             without `{{}}`, is its standard input. Only its exit code is checked."
        ));
    }
    Ok(Question {
        id: TOPIC.name().to_owned(),
        title: format!("What does `{}` of `{}` cost?", task.task, task.module),
        method: format!(
            "{} on {} workers: one at a time, or all submitted at once. The time is the total \
             divided by the number of inputs.",
            match task.inputs.len() {
                1 => "One input,".to_owned(),
                several => format!("{several} inputs,"),
            },
            bench.site.workers
        ),
        unit: "s".to_owned(),
        more_is_better: false,
        rows: rows(&samples, &shown),
        remarks,
    })
}
