//! The cost of tasks that tasks start.

use std::time::{Duration, Instant};

use serde_json::json;
use wasmpool::{Capabilities, Pool, Task};
use wasmpool_guests::TEAMWORK;

use super::times::of_times;
use crate::arms::{Arm, Site, python, sandbox};
use crate::bench::Bench;
use crate::failure::{Failure, check};
use crate::plan::Topic;
use crate::report::Question;
use crate::rounds::Contestant;

const TOPIC: Topic = Topic::Children;

pub(crate) const ONE_BY_ONE: &str = "a child: start, wait, result";
const TOGETHER: &str = "each of 64 children at once";

/// How many children are started at once.
const WIDTH: u64 = 64;

/// What children compute the square of.
const NUMBER: u64 = 3;

/// A pool with tasks that start tasks.
struct Parents {
    /// Kept for its workers.
    pool: Pool,
    one_by_one: Task<(u64, u64), u64>,
    together: Task<(u64, u64, u64), u64>,
}

impl Parents {
    fn start(arm: Arm, site: &Site) -> Result<Self, Failure> {
        let pool = sandbox::pool(arm, site)?;
        let module = pool.load_bytes(TEAMWORK.wasm)?;
        let module = module.with_capabilities(Capabilities::new().tasks());
        Ok(Self {
            one_by_one: module.task("add_squares")?,
            together: module.task("add_squares_at_once")?,
            pool,
        })
    }

    /// The time of a parent that starts so many children one after the other.
    fn one_by_one(&self, times: usize) -> Result<Duration, Failure> {
        let n_children = times as u64;
        let started = Instant::now();
        let sum = self.pool.submit(&self.one_by_one, (NUMBER, n_children))?;
        let sum = sum.wait()?;
        let took = started.elapsed();
        check(&sum, &(n_children * NUMBER * NUMBER))?;
        Ok(took)
    }

    /// The time of a parent that starts children at once, so many times.
    fn together(&self, times: usize) -> Result<Duration, Failure> {
        let n_times = times as u64;
        let started = Instant::now();
        let sum = self.pool.submit(&self.together, (NUMBER, WIDTH, n_times))?;
        let sum = sum.wait()?;
        let took = started.elapsed();
        check(&sum, &(n_times * WIDTH * NUMBER * NUMBER))?;
        // For each child.
        Ok(took / WIDTH as u32)
    }
}

pub(super) fn ask(bench: &mut Bench<'_>) -> Question {
    let stretch = bench.stretch();
    let parents = bench.set_up(TOPIC, &[Arm::Warm, Arm::Fresh], Parents::start);
    let pythons = bench.set_up(
        TOPIC,
        &[Arm::Python, Arm::PythonPool],
        python::Python::start,
    );
    let mut contestants = Vec::new();
    for (arm, parents) in &parents {
        let one_by_one = |times| parents.one_by_one(times);
        contestants.push(Contestant::repeated(ONE_BY_ONE, *arm, stretch, one_by_one));
        let together = |times| parents.together(times);
        contestants.push(Contestant::repeated(TOGETHER, *arm, stretch, together));
    }
    for (arm, python) in &pythons {
        let run = move |times: usize| {
            let what = json!({ "number": NUMBER, "times": times });
            let (took, sum) = python.order("children", &what)?;
            check(&sum, &json!(times as u64 * NUMBER * NUMBER))?;
            Ok(took)
        };
        contestants.push(Contestant::repeated(ONE_BY_ONE, *arm, stretch, run));
    }
    let samples = bench.play(TOPIC, contestants);
    let method = "A task that starts tasks and waits for their results. Each child squares a number. \
                 In `ProcessPoolExecutor`, the parent is a task with a pool of its own of one \
                 process, which has been started before. In the column of `multiprocessing`, each \
                 child is a `Process` that returns its result through a `Pipe`, since the workers \
                 of its `Pool` cannot have children.";
    of_times(bench, TOPIC, method, &samples)
}
