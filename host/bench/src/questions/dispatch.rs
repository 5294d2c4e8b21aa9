//! The cost of a trivial task.

use super::times::of_times;
use crate::arms::{Arm, CHUNK, How, Work, factorizer};
use crate::bench::Bench;
use crate::plan::Topic;
use crate::report::Question;
use crate::rounds::Contestant;

const TOPIC: Topic = Topic::Dispatch;

pub(crate) const ONE_BY_ONE: &str = "one at a time";
pub(crate) const TOGETHER: &str = "many at once";
const CHUNKS: &str = "many at once, in chunks";

const ARMS: &[Arm] = &[
    Arm::Native,
    Arm::Warm,
    Arm::Fresh,
    Arm::Unchecked,
    Arm::Processes,
    Arm::Process,
    Arm::Python,
    Arm::PythonPool,
];

pub(super) fn ask(bench: &mut Bench<'_>) -> Question {
    let arms = bench.set_up(TOPIC, ARMS, factorizer);
    let stretch = bench.stretch();
    let mut contestants = Vec::new();
    for (subject, how) in [
        (ONE_BY_ONE, How::OneByOne),
        (TOGETHER, How::Together),
        (CHUNKS, How::Chunks),
    ] {
        for (arm, factorizer) in &arms {
            if how == How::Chunks && *arm == Arm::Process {
                continue;
            }
            contestants.push(Contestant::repeated(subject, *arm, stretch, move |times| {
                factorizer.factorize_checked(&Work::tiny(times), how)
            }));
        }
    }
    let samples = bench.play(TOPIC, contestants);
    let method = format!(
        "The task factorizes 2, which is one division. One at a time: submit a task, wait for \
         its result, and submit the next; the time is the round trip. Many at once: submit \
         all, then wait for all, with {} workers; the time is the total divided by the number \
         of tasks. In chunks: {CHUNK} tasks in one message. Each task in a chunk of wasmpool \
         has a timeout and a report of its own; a chunk of the other arms is one call.",
        bench.site.workers
    );
    of_times(bench, TOPIC, method, &samples)
}
