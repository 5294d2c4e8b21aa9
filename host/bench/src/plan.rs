//! The plan of a run.

use std::path::PathBuf;

use crate::statistics::MIN_ROUNDS;

/// The plan of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Rounds of all arms: [`MIN_ROUNDS`](crate::MIN_ROUNDS) to [`MAX_ROUNDS`].
    pub rounds: usize,
    /// The amount of work in a round.
    pub pace: Pace,
    /// How many tasks run at once; at least 1.
    pub workers: usize,
    /// The questions, in the order of [`Topic::ALL`].
    pub topics: Vec<Topic>,
    /// The program `wasmpool`, which arms start again: it must call
    /// [`as_worker`](crate::as_worker) first.
    pub program: PathBuf,
}

/// The amount of work in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Little: with its default number of rounds all questions take about half a minute.
    Quick,
    /// Enough to see small differences: all questions take about three minutes.
    Full,
}

impl Pace {
    /// The default number of rounds: 12, or for quick runs the least that has an interval.
    pub fn rounds(self) -> usize {
        match self {
            Self::Quick => MIN_ROUNDS,
            Self::Full => 12,
        }
    }
}

/// The most rounds of a run.
pub const MAX_ROUNDS: usize = 1000;

/// A question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// The cost of a trivial task.
    Dispatch,
    /// The cost of computing.
    Compute,
    /// The cost of starting.
    Start,
    /// The cost of payloads.
    Payload,
    /// How soon a stopped task has ended.
    Stopping,
    /// How much memory workers and instances take.
    Memory,
    /// The cost of a crash to other tasks.
    Blast,
    /// The gain of more workers.
    Scaling,
    /// The cost of tasks that wait.
    Waiting,
    /// The cost of one tenant to another.
    Sharing,
    /// The cost of tasks that tasks start.
    Children,
    /// The cost of what tasks share.
    Objects,
    /// The cost of what the host does for a guest.
    Host,
    /// The user's own task; not in [`Topic::ALL`].
    Own,
}

impl Topic {
    /// All questions that need no task of the user.
    pub const ALL: &[Self] = &[
        Self::Dispatch,
        Self::Compute,
        Self::Start,
        Self::Payload,
        Self::Stopping,
        Self::Memory,
        Self::Blast,
        Self::Scaling,
        Self::Waiting,
        Self::Sharing,
        Self::Children,
        Self::Objects,
        Self::Host,
    ];

    /// Its name in `--filter`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dispatch => "dispatch",
            Self::Compute => "compute",
            Self::Start => "start",
            Self::Payload => "payload",
            Self::Stopping => "stopping",
            Self::Memory => "memory",
            Self::Blast => "blast",
            Self::Scaling => "scaling",
            Self::Waiting => "waiting",
            Self::Sharing => "sharing",
            Self::Children => "children",
            Self::Objects => "objects",
            Self::Host => "host",
            Self::Own => "own",
        }
    }

    /// The question with this name in `--filter`.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|topic| topic.name() == name)
    }

    /// The question as a title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Dispatch => "What does a trivial task cost?",
            Self::Compute => "What does computing cost?",
            Self::Start => "What does starting cost?",
            Self::Payload => "How fast do payloads make a round trip?",
            Self::Stopping => "How soon does a stopped task end?",
            Self::Memory => "How much memory does a worker take?",
            Self::Blast => "How many other tasks does a crash fail?",
            Self::Scaling => "How does throughput grow with workers?",
            Self::Waiting => "How long do many tasks take that wait?",
            Self::Sharing => "How long does a task wait for another tenant's?",
            Self::Children => "What does a task cost that a task starts?",
            Self::Objects => "What does it cost to share and to keep state?",
            Self::Host => "What does the host cost a guest?",
            Self::Own => "What does your own task cost?",
        }
    }
}
