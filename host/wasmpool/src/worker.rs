//! What a worker thread does: take a task, run it, settle it, keep or discard its instance.

use std::any::Any;
use std::cell::Cell as ThreadCell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::cell::Settled;
use crate::control::Interrupt;
use crate::error::{TaskError, TaskErrorKind};
use crate::job::{Job, Queued};
use crate::queue::Queue;
use crate::report::TaskReport;
use crate::sandbox::{Driver, Ended, Instance, Run, Sandbox};
use crate::stats::Counters;
use crate::sync::{Arc, Instant};
use crate::watch::Watch;

/// How many warm instances a worker keeps under [`Isolation::Worker`], each of another
/// module: those that it used last.
pub(crate) const WARM_INSTANCES: usize = 4;

/// How much the tasks of a worker share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Isolation {
    /// Nothing: every task runs in a fresh instance, which costs some ten microseconds.
    #[default]
    Task,
    /// A worker keeps the instances of the last four modules it served, and a task finds in
    /// its module's globals and memory what earlier tasks on the same worker left there, as
    /// in a process pool. After anything but a clean return the instance is discarded.
    Worker,
}

/// What a pool's workers have in common.
pub(crate) struct Shop {
    pub(crate) queue: Queue<Queued>,
    pub(crate) watch: Watch,
    pub(crate) counters: Arc<Counters>,
    pub(crate) sandbox: Sandbox,
    pub(crate) isolation: Isolation,
    pub(crate) max_tasks_per_instance: Option<u64>,
}

thread_local! {
    /// The shop that this thread works for. Set once, before its first task; only compared.
    static SHOP: ThreadCell<*const Shop> = const { ThreadCell::new(std::ptr::null()) };
}

impl Interrupt for Shop {
    fn interrupt(&self) {
        self.sandbox.interrupt();
        self.watch.see_to_stops();
    }
}

impl Shop {
    /// Makes the calling thread one of this shop's own.
    pub(crate) fn adopt_thread(&self) {
        SHOP.with(|shop| shop.set(self));
    }

    /// Whether the calling thread is one of this shop's own, a worker or the watch: it must
    /// not wait for them.
    pub(crate) fn is_own_thread(&self) -> bool {
        SHOP.with(|shop| std::ptr::eq(shop.get(), self))
    }
}

/// Serves tasks until the queue is closed and empty.
pub(crate) fn work(shop: &Shop, worker: usize, driver: &Driver) {
    shop.adopt_thread();
    Sandbox::prepare_thread();
    let mut warm = WarmInstances::default();
    while let Some(task) = shop.queue.pop() {
        let started = Instant::now();
        if let Some(job) = task.start(worker, started) {
            run(shop, worker, driver, &mut warm, &task, job, started);
        }
    }
}

fn run(
    shop: &Shop,
    worker: usize,
    driver: &Driver,
    warm: &mut WarmInstances,
    task: &Queued,
    job: Job,
    started: Instant,
) {
    let Job {
        module,
        task: task_index,
        arguments,
        limits,
        wants_fresh_instance,
        permit,
    } = job;
    drop(permit);
    let control = task.control();
    let deadline = limits
        .task_timeout
        .and_then(|timeout| started.checked_add(timeout));
    shop.watch.begin(worker, control, deadline);

    let mut report = TaskReport {
        worker: Some(worker),
        queued: started.duration_since(task.submitted()),
        ..TaskReport::default()
    };
    let run = Run {
        control: Arc::clone(control),
        deadline,
        worker,
    };
    // A panic here is one of the host's own functions. It costs the task and its instance.
    let called = catch_unwind(AssertUnwindSafe(|| {
        let kept = if wants_fresh_instance {
            None
        } else {
            warm.take(module.id)
        };
        let mut instance =
            kept.unwrap_or_else(|| shop.sandbox.instance(module, &limits, run.clone()));
        let ended = instance.call(driver, run, task_index, &arguments, &limits, &mut report);
        (instance, ended)
    }));
    shop.watch.end(worker);
    report.ran = started.elapsed();
    let (outcome, instance) = match called {
        Ok((instance, Ended { outcome, is_clean })) => {
            let keep = is_clean && !wants_fresh_instance && shop.keeps(&instance);
            (outcome, Some((instance, keep)))
        }
        Err(panic) => (Err(host_panicked(&*panic)), None),
    };
    // First the caller gets its answer, then the instance is cleared away.
    task.settle(Settled { outcome, report });
    if let Some((instance, true)) = instance {
        warm.put(instance);
    }
}

impl Shop {
    /// Whether an instance that has just come back in order serves another task.
    fn keeps(&self, instance: &Instance) -> bool {
        let is_worn = |max| instance.age() >= max;
        self.isolation == Isolation::Worker && !self.max_tasks_per_instance.is_some_and(is_worn)
    }
}

fn host_panicked(panic: &(dyn Any + Send)) -> TaskError {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message");
    TaskError::new(
        TaskErrorKind::Internal,
        format!("a host function panicked: {text}"),
    )
}

/// The instances that a worker keeps, the one used last at the end.
#[derive(Default)]
struct WarmInstances(Vec<Instance>);

impl WarmInstances {
    /// Takes the instance of a module out, if there is one: while it runs it is nowhere else.
    fn take(&mut self, module: u64) -> Option<Instance> {
        let index = self
            .0
            .iter()
            .position(|instance| instance.module().id == module)?;
        Some(self.0.remove(index))
    }

    fn put(&mut self, instance: Instance) {
        if self.0.len() == WARM_INSTANCES {
            self.0.remove(0);
        }
        self.0.push(instance);
    }
}
