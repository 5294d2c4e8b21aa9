//! What a worker thread runs tasks with: the instances that it makes, keeps and discards.

use std::cell::Cell as ThreadCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll};

use serde::{Deserialize, Serialize};

use super::active_call::{CallEnd, CallFuture};
use super::children::{RunningParent, Starter};
use super::job::Call;
use super::retry::Retry;
use super::scheduler::{Runner, Scheduler};
use super::trace;
use super::watchdog::WorkerId;
use super::work_item::{CallSpan, JobRef, Left, WorkItem};
use crate::call::{
    Admission, Control, Interrupt, Limits, MemoryBudget, MemoryOwner, Parent, Payload, TaskReport,
};
use crate::error::TaskError;
use crate::objects::Handed;
use crate::sandbox::{Caller, Ended, EnteredReactor, Instance, Module, Sandbox};
use crate::sync::{Arc, Instant, Mutex, MutexGuard, Weak, lock};

/// How many warm instances a worker keeps under [`Isolation::Worker`], each of a different
/// module: those that it used last.
pub(crate) const WARM_INSTANCES: usize = 4;

/// How much the tasks of a worker share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Isolation {
    /// Nothing: every task runs in a fresh instance, which costs some ten microseconds. Its memory
    /// may have been another task's before, and is then reset as
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
    /// The limits of tasks whose options set no others.
    pub(crate) limits: Limits,
    pub(crate) retry: Option<Retry>,
    pub(crate) isolation: Isolation,
    pub(crate) max_tasks_per_instance: Option<u64>,
    pub(crate) max_kept_memory: usize,
    /// Bytes that a shared object of the embedding program may hold.
    pub(crate) object_limit: usize,
    pub(crate) memory_budget: Option<Arc<MemoryBudget>>,
    /// The warm instances of each worker. Taken and put by the worker; and taken, to be dropped, by
    /// whoever needs their memory.
    pub(crate) warm: Box<[Mutex<WarmInstances>]>,
    /// One for each worker: the control blocks of the calls that it starts interrupt guests with it.
    /// Not the worker's own, since such a call may go on elsewhere after its thread has ended.
    pub(crate) interrupters: Box<[Arc<Interrupter>]>,
}

thread_local! {
    /// The registry that this thread works for. Set once, before its first task; compared, never
    /// dereferenced.
    static REGISTRY: ThreadCell<*const Registry> = const { ThreadCell::new(std::ptr::null()) };
}

impl Interrupt for Registry {
    fn interrupt(&self) {
        self.sandbox.interrupt();
    }

    fn see_to_stops(&self) {
        self.scheduler.watchdog.see_to_stops();
    }
}

impl MemoryOwner for Registry {
    fn drop_idle_instance(&self) -> bool {
        let idle = self.warm.iter().find_map(|warm| lock(warm).take_oldest());
        let was_there = idle.is_some();
        drop(idle);
        was_there
    }

    fn memory_came_back(&self) {
        self.scheduler.queue.look_again();
    }

    fn n_stuck(&self) -> usize {
        self.scheduler.watchdog.n_stuck()
    }
}

impl Registry {
    /// Makes this registry the owner of its memory budget.
    pub(crate) fn serve_memory_budget(self: &Arc<Self>) {
        if let Some(budget) = &self.memory_budget {
            let owner: Weak<Self> = Arc::downgrade(self);
            budget.set_owner(owner);
        }
    }

    /// Makes the calling thread one of this registry's own.
    pub(crate) fn adopt_thread(&self) {
        REGISTRY.with(|registry| registry.set(self));
    }

    /// Whether the calling thread is one of this registry's own, a worker or the thread for
    /// callbacks: it must not wait for the pool's threads.
    pub(crate) fn is_own_thread(&self) -> bool {
        REGISTRY.with(|registry| std::ptr::eq(registry.get(), self))
    }
}

/// Serves tasks until the queue is closed and empty, or the thread is given up.
pub(crate) fn run_worker(registry: &Arc<Registry>, id: WorkerId) {
    registry.adopt_thread();
    Sandbox::prepare_thread();
    let scheduler = &registry.scheduler;
    loop {
        let mut worker = Worker {
            registry,
            index: id.index,
            id,
            spare: None,
            entered: None,
        };
        let work = || scheduler.work(id, &mut worker);
        // A panic that comes this far has settled its task. The worker begins anew, without
        // the instances that it had: a pool keeps all its workers whatever happens.
        if catch_unwind(AssertUnwindSafe(work)).is_ok() || !scheduler.panicked(id) {
            return;
        }
    }
}

struct Worker<'a> {
    registry: &'a Arc<Registry>,
    index: usize,
    id: WorkerId,
    /// The future of a call that has ended, kept for its memory.
    spare: Option<CallFuture>,
    /// `Some` while guests may make timers and sockets on this thread.
    entered: Option<EnteredReactor<'a>>,
}

/// What guests are interrupted with. There is one for each worker, since each task counts a
/// reference to it. The reference to the registry is weak, so that a future that outlives the pool
/// does not keep the pool's memory.
pub(crate) struct Interrupter(Weak<Registry>);

impl Interrupter {
    pub(crate) fn for_workers(registry: &Weak<Registry>, n_workers: usize) -> Box<[Arc<Self>]> {
        let for_worker = |_| Arc::new(Self(Weak::clone(registry)));
        (0..n_workers).map(for_worker).collect()
    }
}

impl Interrupt for Interrupter {
    fn interrupt(&self) {
        if let Some(registry) = self.0.upgrade() {
            registry.interrupt();
        }
    }

    fn see_to_stops(&self) {
        if let Some(registry) = self.0.upgrade() {
            registry.see_to_stops();
        }
    }
}

impl Runner for Worker<'_> {
    fn interrupt(&self) -> Weak<dyn Interrupt> {
        let interrupter: Weak<Interrupter> =
            Arc::downgrade(&self.registry.interrupters[self.index]);
        interrupter
    }

    fn begin(
        &mut self,
        job: &JobRef,
        call: &mut Call<WorkItem>,
        started: Instant,
    ) -> (CallFuture, CallSpan) {
        let parent = RunningParent::of_call(self.registry, job, call);
        let Call {
            payload: work,
            control,
            attempt,
        } = call;
        let name = &work.module.tasks[work.task].name;
        let span = trace::call_span(&work.origin, name, job.tag(), self.index, *attempt);
        let admission = work.admission.take();
        let account = admission.and_then(Admission::into_account);
        let keeps = self.registry.isolation == Isolation::Worker && !work.wants_fresh_instance;
        let kept = match &mut work.turn {
            Some(turn) => {
                let kept = turn.begin();
                kept.iter().for_each(|kept| kept.resume());
                kept
            }
            None => {
                let kept = keeps.then(|| self.warm().take(&work.module)).flatten();
                kept.iter().for_each(|kept| kept.begin(account.clone()));
                kept
            }
        };
        let mut instance = kept.unwrap_or_else(|| {
            let module = Arc::clone(&work.module);
            let rights = work.capabilities.as_ref().unwrap_or(&module.capabilities);
            let rights = rights.clone();
            let sandbox = &self.registry.sandbox;
            let mut instance = sandbox.instance(module, rights, Arc::clone(control), account);
            if !keeps {
                instance.keep_to_one_task();
            }
            instance
        });
        if !work.module.host_functions.is_empty() {
            instance.set_caller(Arc::new(Caller {
                tasks: Arc::clone(&work.module.tasks),
                task: work.task,
                tag: job.shared_tag().map(Arc::clone),
                tenant: work.line.tenant.clone(),
                attempt: *attempt,
            }));
        }
        let of_task = TaskCall {
            control: Arc::clone(control),
            task: work.task,
            arguments: work.arguments.hand_out(),
            objects: work.objects.clone(),
            parent,
        };
        let future = if instance.initializer_to_run().is_some() {
            let registry = Arc::clone(self.registry);
            self.boxed(initialize_and_call(registry, instance, of_task, started))
        } else {
            control.set_deadline(control.limits().deadline(started));
            self.boxed(call_instance(instance, of_task, TaskReport::default()))
        };
        (future, span)
    }

    fn poll(
        &mut self,
        future: &mut CallFuture,
        span: &CallSpan,
        context: &mut Context<'_>,
    ) -> Poll<CallEnd> {
        // Left before code of the embedder runs, and not after each call: entering costs as much
        // as a small call.
        if self.entered.is_none() {
            self.entered = Some(self.registry.sandbox.reactor().enter());
        }
        let _entered = span.enter();
        future.poll(context)
    }

    fn wait_begins(&mut self) -> bool {
        self.registry.sandbox.reactor().start().is_ok()
    }

    fn ended(
        &mut self,
        future: CallFuture,
        span: CallSpan,
        left: &mut Left,
        error: Option<&TaskError>,
        report: &TaskReport,
        is_last: bool,
    ) {
        let is_worn = |instance: &Instance| !self.registry.keeps(instance);
        drop(left.take_if(|instance| is_worn(instance)));
        // The future has ended, and holds nothing.
        self.spare = Some(future);
        span.ended(error, report, is_last);
    }

    fn keep(&mut self, left: &mut Left) {
        if let Some(instance) = left {
            instance.keep();
            // It may hold less than its call was expected to need.
            if let Some(budget) = &self.registry.memory_budget {
                budget.notify();
            }
        }
    }

    fn before_callbacks(&mut self) {
        self.entered = None;
    }

    fn clear_away(&mut self, left: Left) {
        if let Some(mut instance) = left {
            instance.rest();
            let worn = self.warm().put(instance);
            drop(worn);
            // Whoever waits for memory finds the instance, and can drop it, from now on.
            if let Some(budget) = &self.registry.memory_budget {
                budget.notify();
            }
        }
    }
}

impl Worker<'_> {
    fn warm(&self) -> MutexGuard<'_, WarmInstances> {
        lock(&self.registry.warm[self.index])
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        // A thread that was given up has left the warm instances to its successor.
        if self.registry.scheduler.watchdog.is_current(self.id) {
            let warm = std::mem::take(&mut *self.warm());
            drop(warm);
        }
    }
}

impl Worker<'_> {
    /// Puts the future of a call into the memory of an earlier one, if it fits.
    fn boxed(&mut self, future: impl Future<Output = CallEnd> + Send + 'static) -> CallFuture {
        match self.spare.take() {
            Some(mut spare) => {
                spare.set(future);
                spare
            }
            None => CallFuture::new(future),
        }
    }
}

/// The task of a call, as its future has it.
struct TaskCall {
    control: Arc<Control>,
    task: usize,
    arguments: Payload,
    objects: Handed,
    /// `Some` if it may start tasks.
    parent: Option<Arc<RunningParent>>,
}

/// Initializes the instance, and then runs the task with the whole of its timeout.
async fn initialize_and_call(
    registry: Arc<Registry>,
    mut instance: Instance,
    call: TaskCall,
    started: Instant,
) -> CallEnd {
    let mut report = TaskReport::default();
    let watchdog = &registry.scheduler.watchdog;
    let initializer = instance.initializer_to_run();
    let initializer = initializer.expect("it was there");
    let limits = initializer.limits.over(&registry.limits);
    watchdog.set_deadline(&call.control, limits.deadline(started));
    let initialized = instance.initialize(&call.control, &limits).await;
    let task_started = Instant::now();
    report.initialized = task_started.duration_since(started);
    if let Err(error) = initialized {
        return CallEnd {
            outcome: Err(error),
            report,
            left: None,
        };
    }
    let deadline = call.control.limits().deadline(task_started);
    watchdog.set_deadline(&call.control, deadline);
    drop(registry);
    call_instance(instance, call, report).await
}

async fn call_instance(mut instance: Instance, call: TaskCall, mut report: TaskReport) -> CallEnd {
    let TaskCall {
        control,
        task,
        arguments,
        objects,
        parent,
    } = call;
    let starter = parent.as_ref().map(|parent| {
        let starter: Arc<dyn Parent> = Arc::new(Starter(Arc::clone(parent)));
        starter
    });
    let ended = instance.call(&control, task, arguments, objects, starter, &mut report);
    let Ended { outcome, is_clean } = ended.await;
    if let Some(parent) = parent {
        report.children = parent.end();
    }
    CallEnd {
        outcome,
        report,
        left: is_clean.then_some(instance),
    }
}

impl Registry {
    /// Whether an instance whose call has just returned cleanly serves another task.
    fn keeps(&self, instance: &Instance) -> bool {
        let is_worn = |max| instance.age() >= max;
        !instance.is_for_one_task()
            && !self.max_tasks_per_instance.is_some_and(is_worn)
            && instance.memory() <= self.max_kept_memory
    }
}

/// The instances that a worker keeps, the one used last at the end.
#[derive(Default)]
pub(crate) struct WarmInstances(Vec<Instance>);

impl WarmInstances {
    /// Takes the instance of a module out, if there is one: while it runs it is nowhere else.
    fn take(&mut self, module: &Arc<Module>) -> Option<Instance> {
        let is_of_module = |instance: &Instance| Arc::ptr_eq(instance.module(), module);
        let index = self.0.iter().position(is_of_module)?;
        Some(self.0.remove(index))
    }

    /// Keeps an instance, and returns the one used longest ago if there are too many.
    fn put(&mut self, instance: Instance) -> Option<Instance> {
        let is_full = self.0.len() == WARM_INSTANCES;
        let oldest = is_full.then(|| self.0.remove(0));
        self.0.push(instance);
        oldest
    }

    fn take_oldest(&mut self) -> Option<Instance> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }
}
