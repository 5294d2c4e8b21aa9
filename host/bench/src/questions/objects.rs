//! The cost of what tasks share, and of sessions.

use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_bytes::ByteBuf;
use serde_json::json;
use wasmpool::shared::{Lock, Queue, Semaphore, Value};
use wasmpool::{Arguments, Capabilities, Pool, Session, TaskModule};
use wasmpool_guests::TEAMWORK;

use super::times::of_times;
use crate::arms::{Arm, Site, python, sandbox};
use crate::bench::Bench;
use crate::failure::{Failure, check};
use crate::plan::Topic;
use crate::report::Question;
use crate::rounds::Contestant;

const TOPIC: Topic = Topic::Objects;

pub(crate) const ITEM: &str = "an item through a queue, from task to task";
const LARGE_ITEM: &str = "the same, 1 MiB";
pub(crate) const LOCK: &str = "a lock, taken and given back";
pub(crate) const ADD: &str = "adding to a value in one step";
pub(crate) const HAND_OVER: &str = "a permit, handed from task to task";
const COUNT: &str = "a step of two tasks that count under one lock";
pub(crate) const SESSION: &str = "a call that finds its state";

/// The capacity of queues: of small items, and of large ones.
const CAPACITY: usize = 1_000;
const LARGE_CAPACITY: usize = 4;
const LARGE: u64 = 1 << 20;

/// A pool whose tasks share objects with each other.
struct Sharers {
    pool: Pool,
    module: TaskModule,
    session: Session,
}

impl Sharers {
    fn start(arm: Arm, site: &Site) -> Result<Self, Failure> {
        let pool = sandbox::pool(arm, site)?;
        let module = pool.load_bytes(TEAMWORK.wasm)?;
        let module = module.with_capabilities(Capabilities::new().tasks());
        Ok(Self {
            session: module.session(&pool)?,
            module,
            pool,
        })
    }

    /// The time of tasks that run at once, one for each of the arguments, and their results.
    fn together<Args: Arguments + Send + Sync + 'static, Out: DeserializeOwned>(
        &self,
        name: &str,
        arguments: Vec<Args>,
    ) -> Result<(Duration, Vec<Out>), Failure> {
        let task = self.module.task::<Args, Out>(name)?;
        let started = Instant::now();
        let futures = arguments.into_iter();
        let futures = futures.map(|arguments| self.pool.submit(&task, arguments));
        let futures = futures.collect::<Result<Vec<_>, _>>()?;
        let results = futures.iter().map(|future| future.wait());
        let results = results.collect::<Result<Vec<_>, _>>()?;
        Ok((started.elapsed(), results))
    }

    fn item(&self, times: usize) -> Result<Duration, Failure> {
        let n_items = times as u64;
        let arguments = vec![(n_items, CAPACITY)];
        let (took, sums) = self.together::<_, u64>("through_queue", arguments)?;
        check(&sums, &vec![n_items * (n_items - 1) / 2])?;
        Ok(took)
    }

    fn large_item(&self, times: usize) -> Result<Duration, Failure> {
        type Arguments = (Queue<ByteBuf>, u64, u64);
        let n_items = times as u64;
        let queue = self.pool.queue::<ByteBuf>(LARGE_CAPACITY);
        let produce = self.module.task::<Arguments, ()>("produce_bytes")?;
        let consume = self
            .module
            .task::<(Queue<ByteBuf>, u64), u64>("consume_bytes")?;
        let started = Instant::now();
        let consumed = self.pool.submit(&consume, (queue.clone(), n_items))?;
        let produced = self.pool.submit(&produce, (queue, n_items, LARGE))?;
        produced.wait()?;
        check(&consumed.wait()?, &(n_items * LARGE))?;
        Ok(started.elapsed())
    }

    fn lock(&self, times: usize) -> Result<Duration, Failure> {
        let arguments = vec![(self.pool.lock(), times as u64)];
        let (took, _) = self.together::<(Lock, u64), ()>("lock_often", arguments)?;
        Ok(took)
    }

    fn add(&self, times: usize) -> Result<Duration, Failure> {
        let value = self.pool.value(0_i64);
        let arguments = vec![(value.clone(), times as u64)];
        let (took, _) = self.together::<(Value<i64>, u64), ()>("add_often", arguments)?;
        check(&value.load(), &(times as i64))?;
        Ok(took)
    }

    fn hand_over(&self, times: usize) -> Result<Duration, Failure> {
        type Arguments = (Semaphore, Semaphore, u64);
        let (one, other) = (self.pool.semaphore(1), self.pool.semaphore(0));
        let arguments = vec![
            (one.clone(), other.clone(), times as u64),
            (other.clone(), one.clone(), times as u64),
        ];
        let (took, _) = self.together::<Arguments, ()>("hand_over", arguments)?;
        check(&(one.available(), other.available()), &(1, 0))?;
        // There and back.
        Ok(took / 2)
    }

    fn count(&self, times: usize) -> Result<Duration, Failure> {
        type Arguments = (Lock, Value<i64>, u64);
        let (lock, value) = (self.pool.lock(), self.pool.value(0_i64));
        let n_steps = (times / 2) as u64;
        let arguments = (0..2).map(|_| (lock.clone(), value.clone(), n_steps));
        let (took, _) = self.together::<Arguments, ()>("count_with_lock", arguments.collect())?;
        check(&value.load(), &(2 * n_steps as i64))?;
        Ok(took)
    }

    fn session(&self, times: usize) -> Result<Duration, Failure> {
        let square = self.module.task::<(u64,), u64>("square")?;
        let started = Instant::now();
        for _ in 0..times {
            check(&self.session.submit(&square, (3,))?.wait()?, &9)?;
        }
        Ok(started.elapsed())
    }
}

pub(super) fn ask(bench: &mut Bench<'_>) -> Question {
    let stretch = bench.stretch();
    let sharers = bench.set_up(TOPIC, &[Arm::Fresh], Sharers::start);
    let pythons = bench.set_up(TOPIC, &[Arm::PythonPool], python::Python::start);
    type Run = fn(&Sharers, usize) -> Result<Duration, Failure>;
    let subjects = [
        (
            ITEM,
            json!({ "kind": "through_queue", "capacity": CAPACITY }),
            Sharers::item as Run,
        ),
        (
            LARGE_ITEM,
            json!({ "kind": "through_queue", "capacity": LARGE_CAPACITY, "size": LARGE }),
            Sharers::large_item,
        ),
        (LOCK, json!({ "kind": "lock_often" }), Sharers::lock),
        (ADD, json!({ "kind": "add_often" }), Sharers::add),
        (
            HAND_OVER,
            json!({ "kind": "hand_over" }),
            Sharers::hand_over,
        ),
        (COUNT, json!({ "kind": "count_together" }), Sharers::count),
        (SESSION, json!({ "kind": "call_manager" }), Sharers::session),
    ];
    let mut contestants = Vec::new();
    for (subject, what, run) in &subjects {
        for (arm, sharers) in &sharers {
            // Two tasks share the steps.
            let run = move |times: usize| run(sharers, times.next_multiple_of(2));
            contestants.push(Contestant::repeated(*subject, *arm, stretch, run));
        }
        for (arm, python) in &pythons {
            let run = move |times: usize| {
                let mut what = what.clone();
                let times = times.next_multiple_of(2);
                what["times"] = json!(times);
                let (took, n_done) = python.order("objects", &what)?;
                check(&n_done, &json!(times))?;
                Ok(took)
            };
            contestants.push(Contestant::repeated(*subject, *arm, stretch, run));
        }
    }
    let samples = bench.play(TOPIC, contestants);
    let method = "The same program with tasks of wasmpool and with processes of `multiprocessing` \
                 (`Queue`, `Lock`, `Value` with its lock, `Semaphore`, a `dict` of a `Manager`). \
                 Small items are numbers. A permit goes to and fro between two semaphores, each \
                 way counted once. Of the two tasks that count, each takes the lock, adds 1 to a \
                 value and gives the lock back: wasmpool hands a lock over in the order of the \
                 line, while a process may take the same lock several times in a row. The state \
                 of a call is a session's instance, and the `Manager`'s process.";
    of_times(bench, TOPIC, method, &samples)
}
