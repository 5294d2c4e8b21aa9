//! The caller's side of a cluster: submitting, and what callers hold afterwards.

mod cancelling;
mod cluster;
mod future;
mod map;
mod open_task;
mod open_tasks;
mod outcomes;
mod recovery;
mod submit;
mod task;

pub use cluster::Cluster;
pub use future::ClusterFuture;
pub use map::ClusterMap;
pub use task::{ClusterModule, ClusterTask};
