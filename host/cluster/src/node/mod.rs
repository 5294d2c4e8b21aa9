//! The node's side of a cluster: the pool of one machine, which runs the tasks of callers.

mod answers;
mod attempt;
mod callers;
mod fetch;
mod housekeeping;
mod member;
mod modules;
mod room;
mod running;
mod settings;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use wasmpool::Pool;

pub use settings::NodeSettings;

use self::member::Member;
use self::running::Stop;
use crate::connection::{self, Connection};
use crate::error::ConnectError;
use crate::names;
use crate::server::Server;

/// How long a node that leaves waits for its stopped tasks to be given back, and for its last
/// messages to be sent.
const GIVING_BACK: Duration = Duration::from_secs(10);

/// A node of a cluster: it runs the tasks of callers in its pool until it leaves.
///
/// It has one thread, for the connection; the pool has its workers. Dropping a node is leaving with a
/// deadline of zero.
pub struct Node {
    member: Arc<Member>,
    connection: Connection,
}

impl Node {
    /// Joins a pool to the cluster of a server. Makes the queue and the stores there if they are
    /// missing. Blocks until connected, for at most 10 seconds and some answers of the server.
    ///
    /// From then on the node takes a task for each worker of the pool that is free. While the server
    /// cannot be reached it goes on with what it has, and connects again by itself. Keep the pool for
    /// this: tasks of others take workers that the node counts on.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached, refuses the login, or has no JetStream.
    pub fn join(server: &Server, pool: Pool, settings: NodeSettings) -> Result<Self, ConnectError> {
        let name = settings.name.clone();
        let connection_name = name.as_deref().unwrap_or("wasmpool node").to_owned();
        let (member, connection) =
            connection::open(server, &connection_name, |broker, _, stop| {
                let inbox = broker.client.new_inbox();
                let id = inbox.rsplit('.').next().unwrap_or(&inbox).to_owned();
                let name = name.unwrap_or_else(|| format!("node-{}", &id[id.len() - 6..]));
                let member = Arc::new(Member::new(broker, pool, settings, id, name));
                let serving = serve(Arc::clone(&member), stop);
                (member, serving)
            })?;
        Ok(Self { member, connection })
    }

    /// The name of the node.
    pub fn name(&self) -> &str {
        &self.member.name
    }

    /// Leaves the cluster: takes no more tasks, and blocks until the running ones have ended, for at
    /// most `deadline`. Then stops the rest and gives it back to the cluster, where other nodes start
    /// it again. Returns how many tasks were given back.
    ///
    /// A task that is to run at most once cannot be given back: after the deadline it ends as
    /// [`ShutDown`](wasmpool::TaskErrorKind::ShutDown).
    pub fn leave(mut self, deadline: Duration) -> usize {
        self.member.set_deadline(deadline);
        self.connection.close();
        self.member.n_given_back()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.connection.close();
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Node")
            .field("name", &self.member.name)
            .finish_non_exhaustive()
    }
}

/// Runs tasks until it is told to stop, and then leaves.
async fn serve(member: Arc<Member>, stop: oneshot::Receiver<()>) {
    let serving = async {
        fetch::fetch(&member, stop).await;
        leave(&member).await;
    };
    tokio::select! {
        () = serving => {}
        () = housekeeping::keep_house(&member) => {}
    }
    let broker = &member.broker;
    let last = async {
        let _ = broker.nodes.delete(&member.id).await;
        // Whoever is idle takes what was given back.
        broker.tell(names::WAKE.to_owned(), Vec::new()).await;
        let _ = broker.client.flush().await;
    };
    let _ = timeout(GIVING_BACK, last).await;
}

async fn leave(member: &Member) {
    if timeout(member.deadline(), member.is_idle()).await.is_err() {
        for running in member.all_running() {
            running.stop_for(Stop::GivenBack);
        }
        let _ = timeout(GIVING_BACK, member.is_idle()).await;
    }
}
