//! What a cluster is doing: its nodes and its queues.

use async_nats::jetstream::consumer::pull;
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};

use crate::broker::Broker;
use crate::error::ConnectError;
use crate::names;
use crate::wire;

/// The nodes of a cluster and its queues, as [`Cluster::status`](crate::Cluster::status) found them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClusterStatus {
    /// The nodes that were heard of in the last 10 seconds, by name.
    pub nodes: Vec<NodeStatus>,
    /// The tenants that ever had tasks, by name.
    pub tenants: Vec<TenantStatus>,
    /// How many tasks the queue holds, running ones among them.
    pub tasks: u64,
    /// How many tasks the queue can hold; `None` if it has no limit.
    pub capacity: Option<u64>,
    /// How many outcomes wait for their callers.
    pub outcomes: u64,
}

/// A node, as it last said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeStatus {
    /// Its name.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// How many tasks it runs at once.
    pub workers: usize,
    /// How many tasks it runs now.
    pub running: usize,
    /// How many tasks ended with a result since it joined.
    pub succeeded: u64,
    /// How many tasks ended with an error since it joined.
    pub failed: u64,
}

/// The tasks of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct TenantStatus {
    /// Its name; `None` for tasks without a tenant.
    pub tenant: Option<String>,
    /// How many of its tasks wait for a node.
    pub queued: u64,
    /// How many of its tasks a node has taken and not ended. Some may wait there for a worker, for at
    /// most 0.1 seconds, or were given back and wait for another node.
    pub running: u64,
}

pub(crate) async fn of_cluster(broker: &Broker) -> Result<ClusterStatus, ConnectError> {
    let unusable = |name, problem: String| ConnectError::JetStream { name, problem };
    let of_tasks = |problem| unusable(names::TASKS, problem);
    let of_nodes = |problem| unusable(names::NODES, problem);

    // Asking for the keys would leave a consumer on the server each time.
    let prefix = format!("$KV.{}.", names::NODES);
    let subjects = broker.nodes.stream.info_with_subjects(format!("{prefix}>"));
    let subjects = subjects
        .await
        .map_err(|error| of_nodes(error.to_string()))?;
    let subjects = subjects.try_collect::<Vec<_>>().await;
    let subjects = subjects.map_err(|error| of_nodes(error.to_string()))?;
    let mut nodes = Vec::new();
    for (subject, _) in subjects {
        let id = subject.strip_prefix(&prefix).unwrap_or(&subject);
        let stored = broker.nodes.get(id).await;
        let stored = stored.map_err(|error| of_nodes(error.to_string()))?;
        // A node that has left meanwhile, or of another version, is not listed.
        nodes.extend(stored.and_then(|bytes| wire::decode::<NodeStatus>(&bytes).ok()));
    }
    nodes.sort_by(|one, other| one.name.cmp(&other.name));

    let mut tenants = Vec::new();
    let mut queues = broker.tasks.consumer_names();
    while let Some(token) = next(&mut queues).await.map_err(of_tasks)? {
        let queue = broker.tasks.get_consumer::<pull::Config>(&token).await;
        let queue = queue.map_err(|error| of_tasks(error.to_string()))?;
        let info = queue.cached_info();
        tenants.push(TenantStatus {
            tenant: names::tenant_name(&token),
            queued: info.num_pending,
            running: info.num_ack_pending as u64,
        });
    }
    tenants.sort_by(|one, other| one.tenant.cmp(&other.tenant));

    let tasks = broker.tasks.get_info().await;
    let tasks = tasks.map_err(|error| of_tasks(error.to_string()))?;
    let outcomes = broker.outcomes.get_info().await;
    let outcomes = outcomes.map_err(|error| unusable(names::OUTCOMES, error.to_string()))?;
    Ok(ClusterStatus {
        nodes,
        tenants,
        tasks: tasks.state.messages,
        capacity: u64::try_from(tasks.config.max_messages).ok(),
        outcomes: outcomes.state.messages,
    })
}

async fn next(
    names: &mut async_nats::jetstream::stream::ConsumerNames,
) -> Result<Option<String>, String> {
    names.try_next().await.map_err(|error| error.to_string())
}
