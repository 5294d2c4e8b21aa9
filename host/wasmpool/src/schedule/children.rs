//! Tasks that running tasks start: their children.
//!
//! A child is a job like any other, one level deeper in the queue than its parent. Its places in the
//! queue are taken even if none is free: a parent that waits for a place would hold what its children
//! need. What bounds children is the budget of their family: all tasks that come from one task which
//! was submitted from outside.
//!
//! How no child outlives its parent: the parent's job has an observer that cancels the children when
//! the parent's task settles, and the call cancels them when it ends, since it may be tried again. A
//! child is written down once it is queued, under the lock of its parent. Either the parent's end
//! finds it there, or whoever writes it down finds that the parent has ended.

use std::collections::HashMap;
use std::task::Waker;
use std::time::Duration;

use super::job::{Call, Job, Settled};
use super::queue::Line;
use super::trace;
use super::work_item::{JobRef, WorkItem};
use super::worker::Registry;
use crate::call::{
    Child, ChildFailure, ChildLimits, ChildRefused, ChildRequest, ChildrenReport, Control, Limits,
    Parent, Payload,
};
use crate::error::TaskErrorKind;
use crate::objects::{Handed, ObjectBudget};
use crate::sandbox::{Capabilities, Module, TaskGrants};
use crate::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::sync::{Arc, Instant, Mutex, Weak, lock};
use crate::value::{self, Signature, Value, text};

const PARENT_HAS_ENDED: &str = "cancelled: the task that started it has ended";

/// What the tasks that come from one task have in common.
pub(crate) struct Family {
    limits: ChildLimits,
    n_alive: AtomicUsize,
    n_started: AtomicU64,
    objects: Arc<ObjectBudget>,
}

/// A running call that may start tasks.
pub(crate) struct RunningParent {
    registry: Weak<Registry>,
    job: Weak<Job<WorkItem>>,
    control: Arc<Control>,
    module: Arc<Module>,
    /// Its rights, if it has others than its module.
    capabilities: Option<Capabilities>,
    /// The line of its children.
    line: Line,
    family: Arc<Family>,
    children: Mutex<Children>,
}

#[derive(Default)]
struct Children {
    has_ended: bool,
    /// Those that have not ended and are to be cancelled when the parent ends.
    bound: HashMap<u64, JobRef>,
    report: ChildrenReport,
}

/// A child, as its parent's guest has it.
struct ChildHandle {
    job: JobRef,
    /// The type of its result, if it is an exported function.
    signature: Option<Arc<Signature>>,
    decoded_limit: usize,
}

impl Family {
    fn new(limits: ChildLimits) -> Self {
        Self {
            limits,
            n_alive: AtomicUsize::new(0),
            n_started: AtomicU64::new(0),
            objects: Arc::new(ObjectBudget::of_family(limits.objects, limits.object_bytes)),
        }
    }

    /// Counts a child in, at this depth, unless a limit is met.
    fn add(&self, depth: u32) -> Result<(), String> {
        let ChildLimits {
            alive,
            total,
            depth: max_depth,
            ..
        } = self.limits;
        if depth > max_depth {
            return Err(format!(
                "children may be nested {max_depth} deep, and this one would be deeper \
                 (`ChildLimits::depth`)"
            ));
        }
        let one_more = |n: usize| (n < alive).then(|| n + 1);
        let (set, fetch) = (Ordering::SeqCst, Ordering::SeqCst);
        if self.n_alive.fetch_update(set, fetch, one_more).is_err() {
            return Err(format!(
                "{alive} children are alive already, of this task and those that it comes from \
                 (`ChildLimits::alive`)"
            ));
        }
        let one_more = |n: u64| (n < total).then(|| n + 1);
        if self.n_started.fetch_update(set, fetch, one_more).is_err() {
            self.remove();
            return Err(format!(
                "{total} children were started already, of this task and those that it comes from \
                 (`ChildLimits::total`)"
            ));
        }
        Ok(())
    }

    fn remove(&self) {
        self.n_alive.fetch_sub(1, Ordering::SeqCst);
    }
}

impl RunningParent {
    /// The parent's side of a call, if its rights allow it to start tasks.
    pub(super) fn of_call(
        registry: &Arc<Registry>,
        job: &JobRef,
        call: &Call<WorkItem>,
    ) -> Option<Arc<Self>> {
        let work = &call.payload;
        let limits = rights(work.capabilities.as_ref(), &work.module)?.limits;
        let family = work.family.as_ref().map(Arc::clone);
        Some(Arc::new(Self {
            registry: Arc::downgrade(registry),
            job: Arc::downgrade(job),
            control: Arc::clone(&call.control),
            module: Arc::clone(&work.module),
            capabilities: work.capabilities.clone(),
            line: Line {
                depth: work.line.depth + 1,
                ..work.line.clone()
            },
            family: family.unwrap_or_else(|| Arc::new(Family::new(limits))),
            children: Mutex::default(),
        }))
    }

    /// The call has ended: its children are cancelled. Says what they used.
    pub(super) fn end(&self) -> Option<Box<ChildrenReport>> {
        let mut children = lock(&self.children);
        children.has_ended = true;
        let bound = std::mem::take(&mut children.bound);
        drop(children);
        for child in bound.into_values() {
            child.cancel(PARENT_HAS_ENDED);
        }
        let report = lock(&self.children).report;
        (report.started > 0).then(|| Box::new(report))
    }

    /// The module that a child is a task of.
    fn module(&self, name: Option<&str>) -> Result<Arc<Module>, ChildRefused> {
        let granted = rights(self.capabilities.as_ref(), &self.module);
        let module = granted.and_then(|granted| match name {
            None => granted.own.then(|| Arc::clone(&self.module)),
            Some(name) => granted.module(name),
        });
        module.ok_or_else(|| {
            ChildRefused::NotAllowed(match name {
                None => "it has no right to start tasks of its own module \
                         (`Capabilities::tasks`)"
                    .to_owned(),
                Some(name) => format!(
                    "it was granted no module `{}` (`Capabilities::tasks_of`)",
                    text::name(name)
                ),
            })
        })
    }

    fn limits(&self, request: &ChildRequest) -> Limits {
        let mut limits = *self.control.limits();
        let left = self.control.deadline().map(|deadline| {
            // A child without any time would not be told from one without a limit.
            let left = deadline.saturating_duration_since(Instant::now());
            left.max(Duration::from_nanos(1))
        });
        let timeouts = [request.timeout, limits.task_timeout, left];
        limits.task_timeout = timeouts.into_iter().flatten().min();
        limits.memory = request.memory.unwrap_or(limits.memory).min(limits.memory);
        limits
    }

    /// The child is cancelled when the parent ends: at once, if it has ended meanwhile.
    fn bind(&self, number: u64, child: &JobRef) {
        let mut children = lock(&self.children);
        if children.has_ended {
            drop(children);
            child.cancel(PARENT_HAS_ENDED);
        } else if child.settled().is_none() {
            // Whoever settles it takes it out afterwards.
            children.bound.insert(number, Arc::clone(child));
        }
    }

    /// The child has ended, or was not accepted.
    fn child_ended(&self, number: u64, child: Option<&Job<WorkItem>>) {
        self.family.remove();
        let mut children = lock(&self.children);
        let bound = children.bound.remove(&number);
        if let Some(Settled { outcome, report }) = child.and_then(Job::settled) {
            let of_child = ChildrenReport {
                // It was counted when it started.
                started: 0,
                failed: u64::from(outcome.is_err()),
                computed: report.computed,
                peak_memory: report.peak_memory,
            };
            children.report.add(&of_child);
            if let Some(of_its_children) = &report.children {
                children.report.add(of_its_children);
            }
        }
        drop(children);
        drop(bound);
    }
}

/// The parent's side, as the guest gets it.
pub(super) struct Starter(pub(super) Arc<RunningParent>);

impl Parent for Starter {
    fn start(&self, request: ChildRequest) -> Result<Arc<dyn Child>, ChildRefused> {
        let Self(parent) = self;
        let ended = || ChildRefused::ShutDown("its task has ended, or the pool".to_owned());
        let registry = parent.registry.upgrade().ok_or_else(ended)?;
        let module = parent.module(request.module.as_deref())?;
        if !registry.sandbox.owns(&module) {
            let message = "the module that it was granted belongs to another pool".to_owned();
            return Err(ChildRefused::NotAllowed(message));
        }
        let task = find(&module, &request.task)?;
        let signature = module.tasks[task].signature.as_ref().map(Arc::clone);
        let limits = parent.limits(&request);
        let arguments = encode(signature.as_deref(), request.arguments);
        let arguments = arguments.map_err(ChildRefused::BadArguments)?;
        limits
            .check_arguments(arguments.len())
            .map_err(ChildRefused::BadArguments)?;
        let is_own = Arc::ptr_eq(&module, &parent.module);
        let capabilities = match &parent.capabilities {
            // A module that was granted may have more rights than the parent.
            None if !is_own => Some(parent.module.capabilities.clone()),
            own => own.clone(),
        };
        parent
            .family
            .add(parent.line.depth)
            .map_err(ChildRefused::OverBudget)?;

        let scheduler = &registry.scheduler;
        let mut permit = scheduler.overdraw(parent.line.tenant.as_ref());
        permit.hold_bytes(arguments.len());
        let retry = registry.retry;
        let work = WorkItem {
            wants_fresh_instance: capabilities.is_some(),
            module,
            task,
            arguments: Payload::new(arguments, retry.is_some()),
            objects: request.objects,
            limits,
            capabilities,
            retry,
            line: parent.line.clone(),
            origin: trace::Origin::here(),
            permit: Some(permit),
            admission: None,
            family: Some(Arc::clone(&parent.family)),
            turn: None,
        };
        let tag = request.tag.map(Arc::from);
        let job = Arc::new(Job::new(work, tag, Arc::clone(&scheduler.counters)));

        let is_first = lock(&parent.children).report.started == 0;
        if is_first && let Some(job) = parent.job.upgrade() {
            let parent = Arc::clone(parent);
            job.observe(Box::new(move || drop(parent.end())));
        }
        let mut children = lock(&parent.children);
        if children.has_ended {
            drop(children);
            parent.family.remove();
            return Err(ended());
        }
        children.report.started += 1;
        let number = children.report.started;
        drop(children);
        let observer = {
            let (parent, job) = (Arc::clone(parent), Arc::downgrade(&job));
            move || parent.child_ended(number, job.upgrade().as_deref())
        };
        job.observe(Box::new(observer));
        let queued = [Arc::clone(&job)];
        let pushed = scheduler.push(queued, parent.line.clone(), limits.queue_timeout);
        if pushed.is_err() {
            parent.child_ended(number, None);
            return Err(ended());
        }
        if !request.outlives_parent {
            parent.bind(number, &job);
        }
        Ok(Arc::new(ChildHandle {
            job,
            signature,
            decoded_limit: limits.decoded(),
        }))
    }

    fn object_budget(&self) -> Arc<ObjectBudget> {
        Arc::clone(&self.0.family.objects)
    }
}

impl Child for ChildHandle {
    fn poll(&self, waker: &Waker) -> bool {
        self.job.poll(waker).is_some()
    }

    fn outcome(&self) -> Option<Result<Vec<u8>, ChildFailure>> {
        let settled = self.job.settled()?;
        Some(match &settled.outcome {
            Ok(result) => decode(self.signature.as_deref(), result, self.decoded_limit),
            Err(error) => Err(ChildFailure {
                kind: error.kind().to_string(),
                code: error.code().to_owned(),
                message: error.message().to_owned(),
            }),
        })
    }

    fn objects(&self) -> Handed {
        let settled = self.job.settled();
        let result = settled.and_then(|settled| settled.outcome.as_ref().ok());
        result
            .map(|result| result.objects.clone())
            .unwrap_or_default()
    }

    fn cancel(&self) -> bool {
        self.job.cancel("cancelled by the task that started it")
    }
}

/// What a call with these rights may start.
fn rights<'a>(own: Option<&'a Capabilities>, module: &'a Module) -> Option<&'a TaskGrants> {
    let rights = own.unwrap_or(&module.capabilities);
    rights.grants()?.tasks.as_ref()
}

fn find(module: &Module, name: &str) -> Result<usize, ChildRefused> {
    let place = module.tasks.iter().position(|task| task.name == name);
    let shown = text::name(name);
    match place {
        Some(task) if module.is_program(task) => Err(ChildRefused::BadArguments(format!(
            "`{shown}` is a program, which cannot be a child"
        ))),
        Some(task) => Ok(task),
        None => Err(ChildRefused::UnknownTask(format!(
            "the module has no task `{shown}`"
        ))),
    }
}

/// The arguments as the task takes them, from MessagePack.
fn encode(signature: Option<&Signature>, arguments: Vec<u8>) -> Result<Vec<u8>, String> {
    if signature.is_none() {
        return Ok(arguments);
    }
    let values = value::decode::<Vec<Value>>(&arguments)?;
    value::encode_arguments(signature, &values)
}

/// The result of a task as MessagePack.
fn decode(
    signature: Option<&Signature>,
    result: &[u8],
    limit: usize,
) -> Result<Vec<u8>, ChildFailure> {
    if signature.is_none() {
        return Ok(result.to_vec());
    }
    let decoded = value::decode_result::<Value>(signature, result, limit);
    let encoded = decoded.and_then(|value| value::encode(&value));
    encoded.map_err(|message| ChildFailure {
        kind: TaskErrorKind::BadResult.to_string(),
        code: String::new(),
        message,
    })
}
