//! Tasks that start tasks and wait for them.

use std::time::Duration;

use wasmpool::{
    Capabilities, ChildLimits, Isolation, Pool, PoolBuilder, Shutdown, Task, TaskErrorKind as Kind,
    TaskFuture, TaskModule, TaskOptions, TenantLimits,
};

use crate::support::{LONG, wait_until_suspended, within_long};

/// A pool, and the guest whose tasks start tasks, with the right to do so.
pub(crate) struct Team {
    pub(crate) pool: Pool,
    pub(crate) module: TaskModule,
}

impl Team {
    pub(crate) fn new(builder: PoolBuilder) -> Self {
        Self::with_rights(builder, Capabilities::new().tasks())
    }

    pub(crate) fn with_rights(builder: PoolBuilder, rights: Capabilities) -> Self {
        let pool = builder.build().unwrap();
        let module = pool.load(wasmpool_guests::TEAMWORK.path()).unwrap();
        Self {
            module: module.with_capabilities(rights),
            pool,
        }
    }

    pub(crate) fn of_workers(workers: usize) -> Self {
        Self::new(Pool::builder().workers(workers))
    }

    pub(crate) fn task<Args: wasmpool::Arguments, Out>(&self, name: &str) -> Task<Args, Out> {
        self.module.task(name).unwrap()
    }

    pub(crate) fn submit<Args, Out>(&self, name: &str, arguments: Args) -> TaskFuture<Out>
    where
        Args: wasmpool::Arguments,
        Out: serde::de::DeserializeOwned,
    {
        self.pool.submit(&self.task(name), arguments).unwrap()
    }

    /// Runs a task, which must succeed.
    pub(crate) fn call<Args, Out>(&self, name: &str, arguments: Args) -> Out
    where
        Args: wasmpool::Arguments,
        Out: serde::de::DeserializeOwned + Send + 'static,
    {
        let future = self.submit::<Args, Out>(name, arguments);
        within_long(move || future.wait().unwrap())
    }

    /// Waits until no task is left in the pool.
    pub(crate) fn wait_until_empty(&self) {
        let deadline = std::time::Instant::now() + LONG;
        loop {
            let stats = self.pool.stats();
            if stats.queued + stats.running + stats.suspended == 0 {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "{stats:?}");
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_tree_of_tasks_needs_one_worker() {
    for isolation in [Isolation::Task, Isolation::Worker] {
        let team = Team::new(Pool::builder().workers(1).isolation(isolation));
        let n_tasks: u64 = team.call("tree", (5_u32, 1_u32));
        assert_eq!(n_tasks, 6);
        let n_tasks: u64 = team.call("tree", (5_u32, 3_u32));
        assert_eq!(n_tasks, 364);
        assert_eq!(team.pool.stats().accepted, 370);
    }
}

#[test]
fn few_parents_wait_at_once_in_a_wide_tree() {
    // Ten times as many tasks as places to wait in: breadth-first they would not do.
    let team = Team::new(Pool::builder().workers(2).max_suspended(12));
    let n_tasks: u64 = team.call("tree", (4_u32, 4_u32));
    assert_eq!(n_tasks, 341);
}

#[test]
fn a_map_keeps_the_order_and_goes_on_after_an_item_failed() {
    let team = Team::of_workers(2);
    let numbers = [3, u64::MAX, 1, 4];
    let expected = [Ok(9), Err("too-large".to_owned()), Ok(1), Ok(16)];
    for window in [1, 2, 64] {
        let squares: Vec<Result<u64, String>> = team.call("squares", (&numbers[..], window));
        assert_eq!(squares, expected, "a window of {window}");
    }
    let sum: u64 = team.call("sum_of_squares", (1_000_u64,));
    assert_eq!(sum, 333_833_500);
    let sum: u64 = team.call("add_squares", (3_u64, 20_u64));
    assert_eq!(sum, 180);
    let sum: u64 = team.call("add_squares_at_once", (3_u64, 10_u64, 2_u64));
    assert_eq!(sum, 180);
}

#[test]
fn the_error_of_a_child_is_a_value_for_its_parent() {
    let team = Team::of_workers(1);
    for (what, kind, code) in [
        ("fail", "failed", "too-large"),
        ("panic", "trap", ""),
        ("spin", "timed-out", ""),
        ("sleep", "timed-out", ""),
        ("allocate", "trap", ""),
        ("cancel", "cancelled", ""),
    ] {
        let end: [String; 2] = team.call("end_of", (what,));
        let kind = if what == "allocate" {
            end[0].as_str()
        } else {
            kind
        };
        assert_eq!(end, [kind, code], "{what}");
        if what == "allocate" {
            assert!(["trap", "memory-limit"].contains(&kind), "{kind}");
        }
    }
}

#[test]
fn children_are_had_in_the_order_of_their_ends() {
    let team = Team::of_workers(1);
    let order: Vec<usize> = team.call("order_of_ends", (&[1_200_u64, 600, 0][..],));
    assert_eq!(order, [2, 1, 0]);
    assert!(team.call::<_, bool>("is_impatient", ()));
    team.wait_until_empty();
}

#[test]
fn the_end_of_a_parent_cancels_its_children() {
    let team = Team::of_workers(2);
    // It returns, and leaves them behind.
    let future = team.submit::<_, u32>("leave_behind", (5_u32, false));
    assert_eq!(future.wait().unwrap(), 5);
    let report = *future.report().unwrap().children.clone().unwrap();
    assert_eq!((report.started, report.failed), (5, 5));
    team.wait_until_empty();
    // It times out.
    let wait_for_ever = team.task::<(u32,), ()>("wait_for_ever");
    let short = TaskOptions::new().task_timeout(Duration::from_millis(50));
    let future = team.pool.submit(&wait_for_ever.with(short), (3,)).unwrap();
    let error = within_long(move || future.wait().unwrap_err());
    assert_eq!(error.kind(), Kind::TimedOut);
    team.wait_until_empty();
    // It is cancelled.
    let future = team.pool.submit(&wait_for_ever, (3,)).unwrap();
    wait_until_suspended(&future);
    assert!(future.cancel());
    team.wait_until_empty();
    assert_eq!(team.pool.stats().accepted, 6 + 4 + 4);
}

#[test]
fn children_may_outlive_their_parent() {
    let team = Team::of_workers(1);
    let spin = team.task::<(u32, bool), u32>("leave_behind");
    let short = TaskOptions::new().task_timeout(Duration::from_secs(1));
    let future = team.pool.submit(&spin.with(short), (2, true)).unwrap();
    assert_eq!(future.wait().unwrap(), 2);
    team.wait_until_empty();
    let stats = team.pool.stats();
    // They have at most the time that was left to the parent.
    assert_eq!(stats.failures, [("timed-out", 2)], "{stats:?}");
}

#[test]
fn without_the_right_no_task_is_started() {
    let pool = || Pool::builder().workers(1);
    let team = Team::with_rights(pool(), Capabilities::new());
    let refusal: String = team.call("refusal_of", ("square",));
    assert!(refusal.contains("no right to start tasks"), "{refusal}");
    let team = Team::new(pool());
    let refusal: String = team.call("refusal_of", ("cube",));
    assert!(refusal.contains("no task `cube`"), "{refusal}");
}

#[test]
fn tasks_of_another_module_are_started_by_its_granted_name() {
    let pool = Pool::builder().workers(1).build().unwrap();
    let factorizer = pool.load(wasmpool_guests::FACTORIZER.path()).unwrap();
    let rights = Capabilities::new().tasks_of("math", &factorizer);
    let module = pool.load(wasmpool_guests::TEAMWORK.path()).unwrap();
    let module = module.with_capabilities(rights);
    let of_module = module
        .task::<(&str, &str, u64), Vec<u64>>("of_module")
        .unwrap();
    let call = |name| {
        pool.submit(&of_module, (name, "factorize", 360))
            .unwrap()
            .wait()
    };
    assert_eq!(call("math").unwrap(), [2, 2, 2, 3, 3, 5]);
    let error = call("physics").unwrap_err();
    assert!(error.message().contains("no module `physics`"), "{error}");
    // The right to another module's tasks is no right to its own.
    let refusal_of = module.task::<(&str,), String>("refusal_of").unwrap();
    let refusal = pool.submit(&refusal_of, ("spin",)).unwrap().wait().unwrap();
    assert!(refusal.contains("no right"), "{refusal}");
}

#[test]
fn a_child_has_no_more_rights_time_or_memory_than_its_parent() {
    let rights = Capabilities::new().tasks().env("KEY", "value");
    let team = Team::with_rights(Pool::builder().workers(1), rights);
    let variable: Option<String> = team.call("variable_of_child", ("KEY",));
    assert_eq!(variable.as_deref(), Some("value"));
    // The rights of one reference, not those of the module.
    let task = team.task::<(&str,), Option<String>>("variable_of_child");
    let task = task.with(TaskOptions::new().capabilities(Capabilities::new().tasks()));
    let variable = team.pool.submit(&task, ("KEY",)).unwrap().wait().unwrap();
    assert_eq!(variable, None);

    let end_of = team.task::<(&str,), [String; 2]>("end_of");
    let small = TaskOptions::new().memory_limit(8 << 20);
    let future = team
        .pool
        .submit(&end_of.with(small), ("allocate",))
        .unwrap();
    let [kind, _] = future.wait().unwrap();
    assert!(["trap", "memory-limit"].contains(&&*kind), "{kind}");
}

#[test]
fn a_family_meets_its_limits() {
    let limits = ChildLimits::new().alive(7).depth(3);
    let rights = Capabilities::new().tasks().child_limits(limits);
    let team = Team::with_rights(Pool::builder().workers(1), rights);
    let (n_started, error): (u64, String) = team.call("start_many", (60_000_u64,));
    assert_eq!(n_started, 7);
    assert!(error.contains("7 children are alive already"), "{error}");
    let error: String = team.call("dig", (0_u64,));
    assert!(error.starts_with("3: "), "{error}");
    assert!(error.contains("nested 3 deep"), "{error}");

    let limits = ChildLimits::new().total(20);
    let rights = Capabilities::new().tasks().child_limits(limits);
    let team = Team::with_rights(Pool::builder().workers(1), rights);
    let (n_started, error): (u64, String) = team.call("start_many", (0_u64,));
    assert_eq!(n_started, 20);
    assert!(
        error.contains("20 children were started already"),
        "{error}"
    );
    team.wait_until_empty();
}

#[test]
fn a_task_that_cannot_leave_its_worker_does_not_wait_for_children() {
    let team = Team::new(Pool::builder().workers(1).max_suspended(2));
    let future = team.submit::<_, String>("dig", (0_u64,));
    let error = within_long(move || future.wait().unwrap_err());
    assert!(error.message().contains("max_suspended"), "{error}");
    team.wait_until_empty();
}

#[test]
fn a_tenant_may_have_one_task_running_and_start_children() {
    let limits = TenantLimits::new().max_running(1);
    let team = Team::new(Pool::builder().workers(2).tenant("a", limits));
    let tree = team.task::<(u32, u32), u64>("tree");
    let tree = tree.with(TaskOptions::new().tenant("a"));
    let futures = [(); 4].map(|()| team.pool.submit(&tree, (3, 2)).unwrap());
    within_long(move || {
        for future in futures {
            assert_eq!(future.wait().unwrap(), 15);
        }
    });
}

#[test]
fn a_child_fails_where_its_parents_hold_all_memory() {
    let team = Team::new(Pool::builder().workers(2).memory_budget(512 << 10));
    let future = team.submit::<_, String>("dig", (0_u64,));
    let ended = within_long(move || future.wait());
    let error = ended.unwrap_err();
    assert!(error.message().contains("the child failed"), "{error}");
    team.wait_until_empty();
}

#[test]
fn a_graceful_shutdown_lets_a_tree_end_and_a_termination_ends_it() {
    let team = Team::of_workers(2);
    let future = team.submit::<_, u64>("tree", (6_u32, 2_u32));
    team.pool.shutdown(Shutdown::Graceful);
    assert_eq!(future.wait().unwrap(), 127);

    let team = Team::of_workers(2);
    let future = team.submit::<_, ()>("wait_for_ever", (10_u32,));
    wait_until_suspended(&future);
    let Team { pool, .. } = team;
    within_long(move || drop(pool));
    assert!(future.wait().is_err());
}

/// Ten thousand trees. Which of their tasks are stopped depends on time, what they do does not.
#[test]
fn random_trees_with_random_stops_come_to_their_ends_and_add_up() {
    for seed in 0..10_u64 {
        let isolation = [Isolation::Task, Isolation::Worker][seed as usize % 2];
        let builder = Pool::builder()
            .workers(1 + seed as usize % 3)
            .max_suspended([2, 8, 64][seed as usize % 3])
            .isolation(isolation)
            .task_timeout(Duration::from_millis(20))
            .tenant_limits(TenantLimits::new().max_running(1 + seed as usize % 4));
        let team = Team::new(builder);
        let grow = team.task::<(u64, u32), u64>("grow");
        let futures = (0..1_000_u64).map(|number| {
            let tenant = TaskOptions::new().tenant(["a", "b"][number as usize % 2]);
            let arguments = (seed * 1_000 + number, 3);
            let future = team.pool.submit(&grow.with(tenant), arguments).unwrap();
            if number % 16 == 0 {
                future.cancel();
            }
            future
        });
        let futures = futures.collect::<Vec<_>>();
        let n_good = within_long(move || {
            let outcomes = futures.iter().map(TaskFuture::wait);
            outcomes.flatten().count()
        });
        assert!(n_good > 100, "{n_good}");
        team.wait_until_empty();
        let stats = team.pool.stats();
        let n_failed = stats.failures.iter().map(|(_, n_tasks)| n_tasks);
        let n_ended = stats.succeeded + n_failed.sum::<u64>();
        assert_eq!(stats.accepted, n_ended, "{stats:?}");
        assert!(stats.accepted > 1_500, "{stats:?}");
        let Team { pool, module } = team;
        drop(module);
        within_long(move || drop(pool));
    }
}
