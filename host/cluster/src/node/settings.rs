//! What a node grants to the tasks of others.

use std::time::Duration;

use wasmpool::{Capabilities, TaskOptions};

use crate::message::Wishes;

/// The name, the rights and the limits of a [`Node`](super::Node).
///
/// Limits are those that a task cannot raise; set them to the limits of the pool. A task that asks
/// for nothing has the pool's.
#[derive(Debug, Clone)]
#[must_use = "settings do nothing until a node is made with them"]
pub struct NodeSettings {
    pub(super) name: Option<String>,
    pub(super) capabilities: Capabilities,
    pub(super) payload_limit: usize,
    memory_limit: usize,
    program_output_limit: usize,
    fuel_limit: Option<u64>,
    task_timeout: Option<Duration>,
    compute_timeout: Option<Duration>,
}

impl Default for NodeSettings {
    fn default() -> Self {
        Self::new()
    }
}

impl NodeSettings {
    /// No rights, and the default limits of a pool.
    pub fn new() -> Self {
        Self {
            name: None,
            capabilities: Capabilities::new(),
            payload_limit: 128 << 20,
            memory_limit: 256 << 20,
            program_output_limit: 16 << 20,
            fuel_limit: None,
            task_timeout: None,
            compute_timeout: None,
        }
    }

    /// The name of the node in outcomes and in the status. Default: `node-` and random letters.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The rights of tasks that were submitted
    /// [with the rights of the node](crate::ClusterTask::with_rights_of_node), whoever submits them.
    /// Other tasks have none. Default: none.
    pub fn capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }

    /// The most memory of a task, in bytes. Default: 256 MiB, the pool's default.
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// The most bytes that a program may print. Default: 16 MiB, the pool's default.
    pub fn program_output_limit(mut self, bytes: usize) -> Self {
        self.program_output_limit = bytes;
        self
    }

    /// The most fuel of a task. Default: no limit.
    pub fn fuel_limit(mut self, fuel: u64) -> Self {
        self.fuel_limit = Some(fuel);
        self
    }

    /// How long a task may run at most. Default: no limit.
    pub fn task_timeout(mut self, timeout: Duration) -> Self {
        self.task_timeout = Some(timeout);
        self
    }

    /// How long a task may compute at most. Default: no limit.
    pub fn compute_timeout(mut self, timeout: Duration) -> Self {
        self.compute_timeout = Some(timeout);
        self
    }

    /// The most bytes of the stored arguments of a task. Default: 128 MiB, the pool's default.
    pub fn payload_limit(mut self, bytes: usize) -> Self {
        self.payload_limit = bytes;
        self
    }

    /// What a caller wishes, within the limits of the node.
    pub(super) fn options(&self, wishes: &Wishes) -> TaskOptions {
        let mut options = TaskOptions::new();
        if let Some(bytes) = wishes.memory {
            options = options.memory_limit(bytes.min(self.memory_limit));
        }
        if let Some(bytes) = wishes.program_output {
            options = options.program_output_limit(bytes.min(self.program_output_limit));
        }
        if let Some(fuel) = within(wishes.fuel, self.fuel_limit) {
            options = options.fuel_limit(fuel);
        }
        if let Some(timeout) = within(wishes.task_timeout, self.task_timeout) {
            options = options.task_timeout(timeout);
        }
        if let Some(timeout) = within(wishes.compute_timeout, self.compute_timeout) {
            options = options.compute_timeout(timeout);
        }
        if let Some(retry) = wishes.retry {
            options = options.retry(retry);
        }
        if let Some(tag) = &wishes.tag {
            options = options.tag(tag.as_str());
        }
        options
    }
}

/// The wish, but no more than the limit; `None` without a wish.
fn within<T: Ord + Copy>(wish: Option<T>, limit: Option<T>) -> Option<T> {
    let wish = wish?;
    Some(limit.map_or(wish, |limit| wish.min(limit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_lowers_the_limits_of_a_node_and_does_not_raise_them() {
        let settings = NodeSettings::new()
            .memory_limit(100)
            .task_timeout(Duration::from_secs(10));
        let options = |memory, seconds| {
            let wishes = Wishes {
                memory: Some(memory),
                task_timeout: Some(Duration::from_secs(seconds)),
                ..Default::default()
            };
            let granted = Wishes::from(&settings.options(&wishes));
            (
                granted.memory.unwrap(),
                granted.task_timeout.unwrap().as_secs(),
            )
        };
        assert_eq!(options(50, 5), (50, 5));
        assert_eq!(options(1 << 40, 1 << 40), (100, 10));
        let nothing = Wishes::from(&settings.options(&Wishes::default()));
        assert_eq!((nothing.memory, nothing.task_timeout), (None, None));
    }
}
