//! What callers and nodes send each other, as MessagePack.
//!
//! Does not know how it is sent.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use wasmpool::{Retry, TaskOptions, TaskReport};

use crate::error::RunError;
use crate::wire::{decode, encode};

/// A queued task.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TaskMessage {
    /// The hash of its module.
    pub(crate) module: String,
    pub(crate) task: String,
    pub(crate) wishes: Wishes,
    pub(crate) has_rights: bool,
    pub(crate) is_at_most_once: bool,
    pub(crate) arguments: Body,
}

/// Bytes of any length.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Body {
    Here(ByteBuf),
    /// The name under which the payload is stored.
    Stored(String),
}

/// What became of a task.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The name of the node that says so.
    pub(crate) node: String,
    pub(crate) report: TaskReport,
    /// The encoded result.
    pub(crate) result: Result<ByteBuf, RunError>,
}

/// Outcomes that a node hands to their caller, which confirms them with an empty message: the numbers
/// of the tasks, each with its encoded [`Outcome`].
pub(crate) type Answers = Vec<(u64, Body)>;

/// What a caller says while it is there.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The numbers of tasks that it has cancelled lately.
    pub(crate) cancelled: Vec<u64>,
}

/// The options of a task that a node heeds, under the names that [`TaskOptions`] has for serde.
/// Priorities, chunks and isolation are not among them: a node takes only as many tasks as run at
/// once, and how instances are shared is for the node to say.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Wishes {
    pub(crate) memory: Option<usize>,
    pub(crate) fuel: Option<u64>,
    pub(crate) program_output: Option<usize>,
    pub(crate) task_timeout: Option<Duration>,
    pub(crate) compute_timeout: Option<Duration>,
    pub(crate) queue_timeout: Option<Duration>,
    pub(crate) retry: Option<Retry>,
    pub(crate) tenant: Option<String>,
    pub(crate) tag: Option<String>,
}

impl From<&TaskOptions> for Wishes {
    fn from(options: &TaskOptions) -> Self {
        let bytes = encode(options);
        decode(&bytes).expect("the names and types are those of the options")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_from_the_options_of_a_task() {
        let options = TaskOptions::new()
            .memory_limit(1 << 20)
            .task_timeout(Duration::from_millis(1500))
            .retry(Retry::times(2))
            .tenant("team")
            .tag("blue");
        let wishes = Wishes::from(&options);
        assert_eq!(wishes.memory, Some(1 << 20));
        assert_eq!(wishes.task_timeout, Some(Duration::from_millis(1500)));
        assert_eq!(wishes.retry, Some(Retry::times(2)));
        assert_eq!(wishes.tenant.as_deref(), Some("team"));
        assert_eq!(wishes.tag.as_deref(), Some("blue"));
        assert_eq!(wishes.fuel, None);
    }
}
