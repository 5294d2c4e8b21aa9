//! Shared by the tests: pools, and the tasks of the guests by name.

use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use wasmpool::{Pool, PoolBuilder, Task, TaskFuture, TaskModule, TaskOptions, TaskState};

/// Longer than any step takes on a busy machine. Only used as an upper bound.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// A pool with its guests loaded.
pub(crate) struct Bench {
    pub(crate) pool: Pool,
    pub(crate) factorizer: TaskModule,
    pub(crate) misbehaving: TaskModule,
}

impl Bench {
    pub(crate) fn new(builder: PoolBuilder) -> Self {
        let pool = builder.build().unwrap();
        Self {
            factorizer: pool.load(wasmpool_guests::FACTORIZER.path()).unwrap(),
            misbehaving: pool.load(wasmpool_guests::MISBEHAVING.path()).unwrap(),
            pool,
        }
    }

    pub(crate) fn with_workers(workers: usize) -> Self {
        Self::new(Pool::builder().workers(workers))
    }

    /// A task of the misbehaving guest.
    pub(crate) fn task<A: Serialize, Out>(&self, name: &str) -> Task<(A,), Out> {
        self.misbehaving.task(name).unwrap()
    }

    pub(crate) fn factorize(&self) -> Task<(u64,), Vec<u64>> {
        self.factorizer.task("factorize").unwrap()
    }

    /// Submits a task of the misbehaving guest.
    pub(crate) fn submit<A: Serialize, Out: DeserializeOwned>(
        &self,
        name: &str,
        argument: A,
    ) -> TaskFuture<Out> {
        self.pool.submit(&self.task(name), (argument,)).unwrap()
    }

    /// Runs a task of the misbehaving guest, which must succeed.
    pub(crate) fn call<A: Serialize, Out: DeserializeOwned>(&self, name: &str, argument: A) -> Out {
        self.submit(name, argument).wait().unwrap()
    }

    /// Submits a task that computes until it is stopped, and blocks until it runs.
    pub(crate) fn spinning(&self) -> TaskFuture<u64> {
        let patient = TaskOptions::new().queue_timeout(LONG);
        let spin = self.task::<u64, u64>("spin").with(patient);
        let future = self.pool.submit(&spin, (1,)).unwrap();
        wait_until_running(&future);
        future
    }

    /// Checks that every worker serves a task correctly, whatever the pool's timeouts.
    pub(crate) fn assert_healthy(&self) {
        let patient = TaskOptions::new().task_timeout(LONG).queue_timeout(LONG);
        let factorize = self.factorize().with(patient);
        let futures = (0..4 * self.pool.workers())
            .map(|_| self.pool.submit(&factorize, (360,)).unwrap())
            .collect::<Vec<_>>();
        for future in futures {
            assert_eq!(future.wait().unwrap(), [2, 2, 2, 3, 3, 5]);
        }
    }
}

/// Blocks until a task runs on a worker. Polls, since there is nothing to wait on.
pub(crate) fn wait_until_running<Out>(future: &TaskFuture<Out>) {
    let deadline = Instant::now() + LONG;
    while future.state() == TaskState::Queued {
        assert!(Instant::now() < deadline, "the task does not start");
        std::thread::yield_now();
    }
}

/// Blocks until a task waits in the host and holds no worker.
pub(crate) fn wait_until_suspended<Out>(future: &TaskFuture<Out>) {
    let deadline = Instant::now() + LONG;
    while future.state() != TaskState::Suspended {
        assert!(Instant::now() < deadline, "{:?}", future.state());
        std::thread::yield_now();
    }
}

/// Runs `action` on a thread of its own and fails if it hangs.
pub(crate) fn within_long<T: Send + 'static>(action: impl FnOnce() -> T + Send + 'static) -> T {
    within(LONG, action)
}

fn within<T: Send + 'static>(patience: Duration, action: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(action()));
    let ended = receiver.recv_timeout(patience);
    ended.expect("it came to an end")
}

/// Runs the body of a test in a process of its own, by starting this program again with only this
/// test. So threads, files and memory of other tests are not counted, and the test cannot affect
/// others.
pub(crate) fn in_own_process<Body: FnOnce() + Send + 'static>(body: Body) {
    const IS_ALONE: &str = "WASMPOOL_TEST_IS_ALONE";
    if std::env::var_os(IS_ALONE).is_some() {
        // A whole test has several steps.
        return within(10 * LONG, body);
    }
    // The form is `library::module::test::{{closure}}`. If it changed, no test would run below.
    let body = std::any::type_name::<Body>();
    let test = body.trim_start_matches("library::");
    let test = test.trim_end_matches("::{{closure}}");
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(IS_ALONE, "1")
        .output()
        .unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| {
        let text = String::from_utf8_lossy(&bytes);
        text.into_owned()
    });
    assert!(
        output.status.success() && stdout.contains("1 passed"),
        "`{test}` in a process of its own:\n{stdout}{stderr}"
    );
}

/// The ids of this process's threads whose name begins with `prefix`.
pub(crate) fn threads_named(prefix: &str) -> Vec<u32> {
    let mut threads = std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            // A thread may end between the listing and the reading.
            let name = std::fs::read_to_string(path.join("comm")).ok()?;
            let id = path.file_name()?.to_str()?.parse().ok()?;
            name.starts_with(prefix).then_some(id)
        })
        .collect::<Vec<_>>();
    threads.sort_unstable();
    threads
}

/// Marsaglia's xorshift. The seed determines the choices, but not the timing of a run.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }

    pub(crate) fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::try_from(self.below(from.len() as u64)).unwrap()]
    }

    pub(crate) fn millis(&mut self, bound: u64) -> Duration {
        Duration::from_millis(self.below(bound))
    }
}

/// Prints the seed if the test fails.
pub(crate) struct Seed(pub(crate) u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the seed was {}", self.0);
        }
    }
}
