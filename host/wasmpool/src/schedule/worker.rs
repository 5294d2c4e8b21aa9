//! What a worker thread runs tasks with: the instances that it makes, keeps and discards.

use std::borrow::Cow;
use std::cell::Cell as ThreadCell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};

use super::job::Call;
use super::retry::Retry;
use super::scheduler::{Runner, Scheduler};
use super::trace;
use super::work_item::{JobRef, WorkItem};
use crate::call::{Control, Interrupt, Limits, TaskReport};
use crate::error::TaskError;
use crate::sandbox::{CallContext, Driver, Ended, Instance, Module, Sandbox};
use crate::sync::{Arc, Instant, Weak};

/// How many warm instances a worker keeps under [`Isolation::Worker`], each of another
/// module: those that it used last.
pub(crate) const WARM_INSTANCES: usize = 4;

/// How much the tasks of a worker share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Isolation {
    /// Nothing: every task runs in a fresh instance, which costs some ten microseconds. Its memory
    /// was another task's before, and is made clean as
    /// [`memory_reset`](crate::PoolBuilder::memory_reset) says.
    #[default]
    Task,
    /// A worker keeps the instances of the last four modules it served, and a task finds in
    /// its module's globals and memory what earlier tasks on the same worker left there, as
    /// in a process pool. After anything but a clean return the instance is discarded.
    Worker,
}

/// What a pool's workers have in common.
pub(crate) struct Registry {
    pub(crate) scheduler: Scheduler,
    pub(crate) sandbox: Sandbox,
    /// What tasks may use whose options say nothing else.
    pub(crate) limits: Limits,
    pub(crate) retry: Option<Retry>,
    pub(crate) isolation: Isolation,
    pub(crate) max_tasks_per_instance: Option<u64>,
    pub(crate) max_kept_memory: usize,
}

thread_local! {
    /// The registry that this thread works for. Set once, before its first task; only compared.
    static REGISTRY: ThreadCell<*const Registry> = const { ThreadCell::new(std::ptr::null()) };
}

impl Interrupt for Registry {
    fn interrupt(&self) {
        self.sandbox.interrupt();
        self.scheduler.watchdog.see_to_stops();
    }
}

impl Registry {
    /// Makes the calling thread one of this registry's own.
    pub(crate) fn adopt_thread(&self) {
        REGISTRY.with(|registry| registry.set(self));
    }

    /// Whether the calling thread is one of this registry's own, a worker or the watchdog: it must
    /// not wait for them.
    pub(crate) fn is_own_thread(&self) -> bool {
        REGISTRY.with(|registry| std::ptr::eq(registry.get(), self))
    }
}

/// Serves tasks until the queue is closed and empty.
pub(crate) fn run_worker(registry: &Arc<Registry>, index: usize, driver: &Driver) {
    registry.adopt_thread();
    Sandbox::prepare_thread();
    loop {
        let mut worker = Worker {
            registry,
            index,
            driver,
            interrupt: Arc::new(Interrupter(Arc::downgrade(registry))),
            warm: WarmInstances::default(),
            left: None,
            traced: None,
        };
        let work = || registry.scheduler.work(index, &mut worker);
        // A panic that comes this far has settled its task. The worker begins anew, without
        // the instances that it had: a pool keeps all its workers whatever happens.
        if catch_unwind(AssertUnwindSafe(work)).is_ok() {
            return;
        }
    }
}

struct Worker<'a> {
    registry: &'a Registry,
    index: usize,
    driver: &'a Driver,
    /// What the control blocks of its tasks interrupt their guests with.
    interrupt: Arc<Interrupter>,
    warm: WarmInstances,
    /// The instance of the last task, if it serves another.
    left: Option<Instance>,
    /// The call that runs.
    traced: Option<trace::CallSpan>,
}

/// A worker's way to interrupt guests. Its own, since each task counts a reference to it; and
/// weak, so that a future that outlives the pool does not keep the pool's memory.
struct Interrupter(Weak<Registry>);

impl Interrupt for Interrupter {
    fn interrupt(&self) {
        if let Some(registry) = self.0.upgrade() {
            registry.interrupt();
        }
    }
}

impl Runner for Worker<'_> {
    fn interrupt(&self) -> Weak<dyn Interrupt> {
        let interrupt: Weak<Interrupter> = Arc::downgrade(&self.interrupt);
        interrupt
    }

    fn run(
        &mut self,
        job: &JobRef,
        call: &mut Call<WorkItem>,
        started: Instant,
        report: &mut TaskReport,
    ) -> Result<Vec<u8>, TaskError> {
        let Call {
            payload: work,
            control,
            attempt,
        } = call;
        let name = &work.module.tasks[work.task].name;
        let traced = trace::call_span(&work.origin, name, job.tag(), self.index, *attempt);
        self.traced = Some(traced);
        let (outcome, instance) = self.call(work, control, started, report);
        self.left = instance;
        outcome
    }

    fn ended(&mut self, error: Option<&TaskError>, report: &TaskReport, is_last: bool) {
        if let Some(traced) = self.traced.take() {
            traced.ended(error, report, is_last);
        }
    }

    fn clear_away(&mut self) {
        if let Some(instance) = self.left.take() {
            self.warm.put(instance);
        }
    }
}

impl Worker<'_> {
    /// Runs a call in an instance that is fit for it; gives the instance back if it may serve
    /// another.
    fn call(
        &mut self,
        work: &mut WorkItem,
        control: &Arc<Control>,
        started: Instant,
        report: &mut TaskReport,
    ) -> (Result<Vec<u8>, TaskError>, Option<Instance>) {
        let context = |deadline| CallContext {
            control: Arc::clone(control),
            deadline,
            worker: self.index,
        };
        let kept = match work.wants_fresh_instance {
            true => None,
            false => self.warm.take(&work.module),
        };
        let mut instance = kept.unwrap_or_else(|| {
            let module = Arc::clone(&work.module);
            let rights = work.capabilities.as_ref().unwrap_or(&module.capabilities);
            let rights = rights.clone();
            self.registry
                .sandbox
                .instance(module, rights, &work.limits, context(None))
        });
        let mut task_started = started;
        if let Some(initializer) = instance.initializer_to_run() {
            let limits = initializer.limits.over(&self.registry.limits);
            let deadline = limits.deadline(started);
            self.registry
                .scheduler
                .watchdog
                .begin(self.index, control, deadline);
            let initialized = instance.initialize(self.driver, context(deadline), &limits);
            self.registry.scheduler.watchdog.end(self.index);
            task_started = Instant::now();
            report.initialized = task_started.duration_since(started);
            if let Err(error) = initialized {
                return (Err(error), None);
            }
        }
        let arguments = match work.retry {
            None => Cow::from(mem::take(&mut work.arguments)),
            Some(_) => Cow::from(&work.arguments),
        };
        let deadline = work.limits.deadline(task_started);
        self.registry
            .scheduler
            .watchdog
            .begin(self.index, control, deadline);
        let Ended { outcome, is_clean } = instance.call(
            self.driver,
            context(deadline),
            work.task,
            arguments,
            &work.limits,
            report,
        );
        let keep = is_clean && !work.wants_fresh_instance && self.registry.keeps(&instance);
        (outcome, keep.then_some(instance))
    }
}

impl Registry {
    /// Whether an instance that has just come back in order serves another task.
    fn keeps(&self, instance: &Instance) -> bool {
        let is_worn = |max| instance.age() >= max;
        self.isolation == Isolation::Worker
            && !self.max_tasks_per_instance.is_some_and(is_worn)
            && instance.memory() <= self.max_kept_memory
    }
}

/// The instances that a worker keeps, the one used last at the end.
#[derive(Default)]
struct WarmInstances(Vec<Instance>);

impl WarmInstances {
    /// Takes the instance of a module out, if there is one: while it runs it is nowhere else.
    fn take(&mut self, module: &Arc<Module>) -> Option<Instance> {
        let is_of_module = |instance: &Instance| Arc::ptr_eq(instance.module(), module);
        let index = self.0.iter().position(is_of_module)?;
        Some(self.0.remove(index))
    }

    fn put(&mut self, instance: Instance) {
        if self.0.len() == WARM_INSTANCES {
            self.0.remove(0);
        }
        self.0.push(instance);
    }
}
