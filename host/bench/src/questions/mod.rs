//! The questions, one file each.

use crate::bench::Bench;
use crate::plan::Topic;
use crate::report::Question;

mod blast;
mod children;
pub(crate) mod compute;
mod dispatch;
mod host;
pub(crate) mod memory;
mod objects;
pub(crate) mod own;
mod payload;
mod scaling;
mod sharing;
mod start;
mod stopping;
mod times;
pub(crate) mod waiting;

/// Subjects that targets refer to by name.
pub(crate) mod subjects {
    pub(crate) use super::children::ONE_BY_ONE as CHILD;
    pub(crate) use super::compute::BATCH as COMPUTE_BATCH;
    pub(crate) use super::dispatch::{ONE_BY_ONE, TOGETHER};
    pub(crate) use super::memory::INSTANCE;
    pub(crate) use super::objects::{ADD, HAND_OVER, ITEM, LOCK, SESSION};
    pub(crate) use super::payload::LARGEST;
    pub(crate) use super::sharing::{ALL, ALL_HOSTILE, MILLION, ONE as ONE_WORKER, ONE_HOSTILE};
    pub(crate) use super::start::{COMPILE, LOAD, NEW_PROGRAM, ONE};
    pub(crate) use super::waiting::{ALL_WAIT, EACH, IDLE, THOUSAND};
}

/// Measures one question. Some questions have more than one table.
pub(crate) fn ask(topic: Topic, bench: &mut Bench<'_>) -> Vec<Question> {
    match topic {
        Topic::Dispatch => vec![dispatch::ask(bench)],
        Topic::Compute => vec![compute::ask(bench)],
        Topic::Start => vec![start::ask(bench)],
        Topic::Payload => vec![payload::ask(bench)],
        Topic::Stopping => vec![stopping::ask(bench)],
        Topic::Memory => vec![memory::ask(bench)],
        Topic::Blast => blast::ask(bench),
        Topic::Scaling => vec![scaling::ask(bench)],
        Topic::Waiting => waiting::ask(bench),
        Topic::Sharing => vec![sharing::ask(bench)],
        Topic::Children => vec![children::ask(bench)],
        Topic::Objects => vec![objects::ask(bench)],
        Topic::Host => vec![host::ask(bench)],
        // Measured by `run_own`.
        Topic::Own => Vec::new(),
    }
}
