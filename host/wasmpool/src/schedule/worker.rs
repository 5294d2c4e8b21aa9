//! What a worker thread runs tasks with: the instances that it makes, keeps and discards.

use std::borrow::Cow;
use std::cell::Cell as ThreadCell;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::cell::Attempt;
use super::job::{Job, Queued};
use super::retry::Retry;
use super::scheduler::{Runner, Scheduler};
use super::trace;
use crate::call::{Control, Interrupt, Limits, TaskReport};
use crate::error::TaskError;
use crate::sandbox::{Driver, Ended, Instance, Module, Run, Sandbox};
use crate::sync::{Arc, Instant, Weak};

/// How many warm instances a worker keeps under [`Isolation::Worker`], each of another
/// module: those that it used last.
pub(crate) const WARM_INSTANCES: usize = 4;

/// How much the tasks of a worker share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
pub(crate) struct Shop {
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
    /// The shop that this thread works for. Set once, before its first task; only compared.
    static SHOP: ThreadCell<*const Shop> = const { ThreadCell::new(std::ptr::null()) };
}

impl Interrupt for Shop {
    fn interrupt(&self) {
        self.sandbox.interrupt();
        self.scheduler.watch.see_to_stops();
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
pub(crate) fn run_worker(shop: &Arc<Shop>, index: usize, driver: &Driver) {
    shop.adopt_thread();
    Sandbox::prepare_thread();
    loop {
        let mut worker = Worker {
            shop,
            index,
            driver,
            interrupt: Arc::new(Interrupter(Arc::downgrade(shop))),
            warm: WarmInstances::default(),
            left: None,
            traced: None,
        };
        let work = || shop.scheduler.work(index, &mut worker);
        // A panic that comes this far has settled its task. The worker begins anew, without
        // the instances that it had: a pool keeps all its workers whatever happens.
        if catch_unwind(AssertUnwindSafe(work)).is_ok() {
            return;
        }
    }
}

struct Worker<'a> {
    shop: &'a Shop,
    index: usize,
    driver: &'a Driver,
    /// What the control blocks of its tasks interrupt their guests with.
    interrupt: Arc<Interrupter>,
    warm: WarmInstances,
    /// The instance of the last task, if it serves another.
    left: Option<Instance>,
    /// The attempt that runs.
    traced: Option<trace::Attempt>,
}

/// A worker's way to interrupt guests. Its own, since each task counts a reference to it; and
/// weak, so that a future that outlives the pool does not keep the pool's memory.
struct Interrupter(Weak<Shop>);

impl Interrupt for Interrupter {
    fn interrupt(&self) {
        if let Some(shop) = self.0.upgrade() {
            shop.interrupt();
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
        task: &Queued,
        attempt: &mut Attempt<Job>,
        started: Instant,
        report: &mut TaskReport,
    ) -> Result<Vec<u8>, TaskError> {
        let Attempt {
            payload: job,
            control,
            number,
        } = attempt;
        let name = &job.module.tasks[job.task].name;
        let traced = trace::attempt(&job.origin, name, task.tag(), self.index, *number);
        self.traced = Some(traced);
        let (outcome, instance) = self.call(job, control, started, report);
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
    /// Runs a job in an instance that is fit for it; gives the instance back if it may serve
    /// another.
    fn call(
        &mut self,
        job: &mut Job,
        control: &Arc<Control>,
        started: Instant,
        report: &mut TaskReport,
    ) -> (Result<Vec<u8>, TaskError>, Option<Instance>) {
        let run = |deadline| Run {
            control: Arc::clone(control),
            deadline,
            worker: self.index,
        };
        let kept = match job.wants_fresh_instance {
            true => None,
            false => self.warm.take(&job.module),
        };
        let mut instance = kept.unwrap_or_else(|| {
            let module = Arc::clone(&job.module);
            let rights = job.capabilities.as_ref().unwrap_or(&module.capabilities);
            let rights = rights.clone();
            self.shop
                .sandbox
                .instance(module, rights, &job.limits, run(None))
        });
        let mut task_started = started;
        if let Some(initializer) = instance.initializer_to_run() {
            let limits = initializer.limits.over(&self.shop.limits);
            let deadline = limits.deadline(started);
            self.shop
                .scheduler
                .watch
                .begin(self.index, control, deadline);
            let initialized = instance.initialize(self.driver, run(deadline), &limits);
            self.shop.scheduler.watch.end(self.index);
            task_started = Instant::now();
            report.initialized = task_started.duration_since(started);
            if let Err(error) = initialized {
                return (Err(error), None);
            }
        }
        let arguments = match job.retry {
            None => Cow::from(mem::take(&mut job.arguments)),
            Some(_) => Cow::from(&job.arguments),
        };
        let deadline = job.limits.deadline(task_started);
        self.shop
            .scheduler
            .watch
            .begin(self.index, control, deadline);
        let Ended { outcome, is_clean } = instance.call(
            self.driver,
            run(deadline),
            job.task,
            arguments,
            &job.limits,
            report,
        );
        let keep = is_clean && !job.wants_fresh_instance && self.shop.keeps(&instance);
        (outcome, keep.then_some(instance))
    }
}

impl Shop {
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
