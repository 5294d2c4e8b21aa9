//! The cost of what the host does for a guest: its functions, its files, a memory budget.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use wasmpool::{Access, Capabilities, HostCall, HostFunctions, HostResult, Pool, Task, TaskModule};
use wasmpool::{TaskOptions, Value};
use wasmpool_guests::{IMPORTER, PROGRAMS};

use super::times::of_times;
use crate::arms::{Arm, Factorizes as _, How, Site, Work, sandbox};
use crate::bench::{Bench, ratios};
use crate::failure::{Failure, check};
use crate::plan::Topic;
use crate::report::Question;
use crate::rounds::Contestant;
use crate::statistics::median;

const TOPIC: Topic = Topic::Host;

const FUNCTION: &str = "a function of the host, with an enum and a text";
const FILE: &str = "opening, reading 4 KiB of and closing a file";
const UNBOUNDED: &str = "a trivial task";
const BUDGETED: &str = "the same with a memory budget";

const FILE_SIZE: usize = 4 << 10;

/// Far more than the instances of all workers take.
const BUDGET: usize = 64 << 30;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    Debug,
    Info,
    Warning,
}

type Write = dyn Fn(&Level, &str);

/// What answers a guest, and native code.
fn write(level: &Level, message: &str) {
    black_box((level, message));
}

/// Somebody who calls a function, or reads a file, so many times.
trait Caller {
    fn call_function(&self, times: usize) -> Result<Duration, Failure>;
    fn read_file(&self, times: usize) -> Result<Duration, Failure>;
}

/// Native code, on the thread of the measurement.
struct Native {
    write: Box<Write>,
    file: PathBuf,
}

impl Caller for Native {
    fn call_function(&self, times: usize) -> Result<Duration, Failure> {
        let started = Instant::now();
        for _ in 0..times {
            black_box(&self.write)(&Level::Debug, black_box(""));
        }
        Ok(started.elapsed())
    }

    fn read_file(&self, times: usize) -> Result<Duration, Failure> {
        let mut buffer = vec![0; FILE_SIZE];
        let started = Instant::now();
        for _ in 0..times {
            File::open(&self.file)?.read_exact(&mut buffer)?;
        }
        Ok(started.elapsed())
    }
}

/// Guests, each of which calls or reads in a loop.
struct Guests {
    pool: Pool,
    write_often: Task<(u32,), ()>,
    programs: TaskModule,
    /// The right to read the folder of the file.
    rights: Capabilities,
}

impl Guests {
    fn start(arm: Arm, site: &Site, folder: &Path) -> Result<Self, Failure> {
        let echo = |_: &HostCall, (value,): (Value,)| HostResult::Ok(value);
        let mut functions = HostFunctions::new()
            .add(
                "acme:host/log@1.2.0#write",
                |_: &HostCall, (level, message): (Level, String)| {
                    write(&level, &message);
                    HostResult::Ok(())
                },
            )?
            .add(
                "acme:host/values@1.2.0#echo-several",
                |_: &HostCall, values: Vec<Value>| HostResult::Ok(values),
            )?;
        // The guest imports them too, and does not call them here.
        for name in [
            "clock@1.2.0#rest",
            "clock@1.2.0#block",
            "values@1.2.0#echo-shape",
            "values@1.2.0#echo-style",
            "values@1.2.0#echo-level",
            "values@1.2.0#echo-everything",
            "values@1.2.0#echo-maybe",
            "values@1.2.0#echo-outcome",
        ] {
            functions = functions.add(&format!("acme:host/{name}"), echo)?;
        }
        let builder = sandbox::builder(arm, site.workers).cache_folder(site.cache());
        let pool = builder.host_functions(functions).build()?;
        let importer = pool.load_bytes(IMPORTER.wasm)?;
        let granted = Capabilities::new().host_interface("acme:host/log")?;
        Ok(Self {
            write_often: importer.with_capabilities(granted).task("write-often")?,
            programs: pool.load_bytes(PROGRAMS.wasm)?,
            rights: Capabilities::new().dir(folder, "/data", Access::ReadOnly)?,
            pool,
        })
    }
}

impl Caller for Guests {
    fn call_function(&self, times: usize) -> Result<Duration, Failure> {
        let n_calls = u32::try_from(times).unwrap_or(u32::MAX);
        let started = Instant::now();
        self.pool.submit(&self.write_often, (n_calls,))?.wait()?;
        Ok(started.elapsed())
    }

    fn read_file(&self, times: usize) -> Result<Duration, Failure> {
        let mut command = self.programs.command()?;
        let (size, times) = (FILE_SIZE.to_string(), times.to_string());
        command.args(["reread", "/data/file", &size, &times]);
        command.options(TaskOptions::new().capabilities(self.rights.clone()));
        let started = Instant::now();
        let output = command.spawn(&self.pool)?.wait()?;
        let took = started.elapsed();
        let n_read = String::from_utf8_lossy(&output.stdout);
        check(&n_read.trim_end(), &times.as_str())?;
        Ok(took)
    }
}

pub(super) fn ask(bench: &mut Bench<'_>) -> Question {
    const ARMS: &[Arm] = &[Arm::Warm, Arm::Fresh];
    let stretch = bench.stretch();
    // Where the run has its own files: on a disk whose files are mostly in memory.
    let folder = bench.site.cache();
    let callers = bench.set_up(TOPIC, &[Arm::Native, Arm::Warm], |arm, site| {
        let file = folder.join("file");
        fs::create_dir_all(&folder)?;
        fs::write(&file, vec![b'x'; FILE_SIZE])?;
        let write = Box::new(write);
        let caller: Box<dyn Caller> = match arm {
            Arm::Native => Box::new(Native { write, file }),
            _ => Box::new(Guests::start(arm, site, &folder)?),
        };
        Ok(caller)
    });
    let unbounded = bench.set_up(TOPIC, ARMS, sandbox::Factorizer::new);
    let budgeted = bench.set_up(TOPIC, ARMS, |arm, site| {
        let builder = sandbox::builder(arm, site.workers).cache_folder(site.cache());
        sandbox::Factorizer::in_pool(builder.memory_budget(BUDGET).build()?)
    });
    let mut contestants = Vec::new();
    for (arm, caller) in &callers {
        let function = |times| caller.call_function(times);
        contestants.push(Contestant::repeated(FUNCTION, *arm, stretch, function));
        let file = |times| caller.read_file(times);
        contestants.push(Contestant::repeated(FILE, *arm, stretch, file));
    }
    for (subject, pools) in [(UNBOUNDED, &unbounded), (BUDGETED, &budgeted)] {
        for (arm, pool) in pools {
            contestants.push(Contestant::repeated(subject, *arm, stretch, move |times| {
                pool.factorize_checked(&Work::tiny(times), How::OneByOne)
            }));
        }
    }
    let samples = bench.play(TOPIC, contestants);
    let method = "A guest that calls a function of the host, and one that reads a file, many times in \
                 one task; native code does the same through a boxed closure and the standard \
                 library. The trivial task is that of the first question, one at a time.";
    let mut question = of_times(bench, TOPIC, method, &samples);
    for &arm in ARMS {
        let find = |subject| bench.findings.find(TOPIC.name(), subject, arm);
        if let (Some(with), Some(without)) = (find(BUDGETED), find(UNBOUNDED)) {
            let ratio = median(&ratios(with, without));
            let arm = arm.id();
            question.remarks.push(format!(
                "{arm}: a task in a pool with a memory budget takes {ratio:.2} times as long as in \
                 one without."
            ));
        }
    }
    question
}
