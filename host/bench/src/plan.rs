//! What a run is to do.

use std::path::PathBuf;

use crate::statistics::MIN_ROUNDS;

/// What a run is to do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Rounds of all arms: [`MIN_ROUNDS`](crate::MIN_ROUNDS) to [`MAX_ROUNDS`].
    pub rounds: usize,
    /// How much is done in a round.
    pub pace: Pace,
    /// How many tasks run at once, at the least 1.
    pub workers: usize,
    /// What is asked, in the order of [`Topic::ALL`].
    pub topics: Vec<Topic>,
    /// The program `wasmpool`, which arms start once more: it must begin with
    /// [`as_worker`](crate::as_worker).
    pub program: PathBuf,
}

/// How much is done in a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Little: with its own number of rounds all questions in less than half a minute.
    Quick,
    /// Enough for small differences: all questions in about two minutes.
    Full,
}

impl Pace {
    /// The rounds that a run has, unless it is told: 12, and quick ones the least that there
    /// is an interval for.
    pub fn rounds(self) -> usize {
        match self {
            Self::Quick => MIN_ROUNDS,
            Self::Full => 12,
        }
    }
}

/// Rounds that a run may have.
pub const MAX_ROUNDS: usize = 1000;

/// A question, by the name that `--filter` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// What a task costs that does nothing.
    Dispatch,
    /// What computing costs.
    Compute,
    /// What it costs to begin.
    Start,
    /// What bytes cost.
    Payload,
    /// How soon a task that is stopped is gone.
    Stopping,
    /// How much memory workers and instances take.
    Memory,
    /// What a crash costs the others.
    Blast,
    /// What more workers bring.
    Scaling,
    /// The user's own task: not of [`Topic::ALL`].
    Own,
}

impl Topic {
    /// All that can be asked of any machine.
    pub const ALL: &[Self] = &[
        Self::Dispatch,
        Self::Compute,
        Self::Start,
        Self::Payload,
        Self::Stopping,
        Self::Memory,
        Self::Blast,
        Self::Scaling,
    ];

    /// What `--filter` calls it.
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
            Self::Own => "own",
        }
    }

    /// The question that `--filter` calls so.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|topic| topic.name() == name)
    }

    /// What it asks, in a few words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Dispatch => "What does a task cost that does next to nothing?",
            Self::Compute => "What does computing cost?",
            Self::Start => "What does it cost to begin?",
            Self::Payload => "How fast do bytes go there and back?",
            Self::Stopping => "How soon is a task gone that is stopped?",
            Self::Memory => "How much memory does a worker take?",
            Self::Blast => "What does a crash cost the others?",
            Self::Scaling => "What do more workers bring?",
            Self::Own => "What does your own task cost?",
        }
    }
}
