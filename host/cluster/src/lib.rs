//! Many machines for [`wasmpool`]: the same tasks over NATS JetStream.
//!
//! A [`Cluster`] takes tasks as a [`Pool`](wasmpool::Pool) does. A [`Node`] joins the pool of a
//! machine to the cluster and runs them. Between them is a NATS server with JetStream, which has the
//! queue, the modules and the outcomes:
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use wasmpool_cluster::{Cluster, Server};
//!
//! let cluster = Cluster::connect(&Server::new("nats://10.0.0.1:4222"))?;
//! let module = cluster.load("factorizer.wasm")?;
//! let factorize = module.task::<(u64,), Vec<u64>>("factorize");
//!
//! let future = cluster.submit(&factorize, (360,))?;
//! assert_eq!(future.wait()?, [2, 2, 2, 3, 3, 5]);
//!
//! let all = cluster.map(&factorize, 2..10).collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(all[6], [2, 2, 2]);
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! - A task that was accepted is stored by the server. It is lost neither with a node nor
//!   with an orderly restart of the server.
//! - A task settles exactly once for its caller. It may *run* more than once: a node that goes away
//!   is noticed within 5 seconds, and its tasks are delivered to other nodes. A task that must not
//!   run twice is submitted [at most once](ClusterTask::at_most_once).
//! - A task whose nodes went away three times is not tried a fourth time:
//!   [`RunError::NodesLost`].
//! - Cancelling a task stops it on whatever node it runs. The tasks of a caller that went away are
//!   dropped after 15 seconds.
//! - Payloads over half of the server's message limit are kept in its object store and deleted when
//!   their task has ended.
//! - A node grants no right that its own settings do not grant, and loads no native code.
//!
//! The page `docs/cluster.md` in the repository has the setup, the failures and the trust.
//!
//! # Blocking
//!
//! All functions block unless they say otherwise, and must not be called on the threads of an
//! asynchronous runtime.

mod broker;
mod caller;
mod connection;
mod error;
mod message;
mod names;
mod node;
mod object_store;
mod payloads;
mod server;
mod status;
mod transcode;
mod wire;

pub use caller::{Cluster, ClusterFuture, ClusterMap, ClusterModule, ClusterTask};
pub use error::{ConnectError, LoadError, RunError, SubmitError, SubmitErrorKind};
pub use node::{Node, NodeSettings};
pub use server::Server;
pub use status::{ClusterStatus, NodeStatus, TenantStatus};
