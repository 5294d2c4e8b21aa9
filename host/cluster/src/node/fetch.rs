//! Takes tasks from the queues of tenants, in turns, and only as many as there are free workers.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::PullConsumer;
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tokio::time::timeout;

use super::attempt;
use super::member::Member;

/// How long an idle node waits before it looks again, if nobody tells it of new tasks. Tasks of a
/// node that died come without a word.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long the server may take to answer. Tasks of a lost answer are delivered again.
const ANSWER: Duration = Duration::from_secs(2);

/// Fetches and starts tasks until it is told to stop. Then no task is on its way to this node.
pub(super) async fn fetch(member: &Arc<Member>, mut stop: oneshot::Receiver<()>) {
    // Whose turn is next.
    let mut turn = 0;
    loop {
        let permit = tokio::select! {
            biased;
            // That its sender is gone means the same.
            _ = &mut stop => return,
            permit = Arc::clone(&member.free).acquire_owned() => permit,
        };
        let Ok(permit) = permit else {
            unreachable!("nobody closes the semaphore");
        };
        let mut permits = vec![permit];
        let queues = member.queues();
        let mut n_taken = 0;
        for offset in 0..queues.len() {
            let index = (turn + offset) % queues.len();
            // A share for each tenant. Where others have no tasks, the next turn comes at once.
            let share = (permits.len() + member.free.available_permits()) / queues.len();
            while permits.len() < share
                && let Ok(permit) = Arc::clone(&member.free).try_acquire_owned()
            {
                permits.push(permit);
            }
            n_taken = take_some(member, &queues[index], &mut permits).await;
            if n_taken > 0 {
                turn = index + 1;
                break;
            }
        }
        drop(permits);
        if n_taken == 0 {
            tokio::select! {
                _ = &mut stop => return,
                _ = timeout(LOOK_AGAIN, member.wake.notified()) => {}
            }
        }
    }
}

/// Takes up to a task for each permit, and starts them. Returns how many there were.
async fn take_some(
    member: &Arc<Member>,
    queue: &PullConsumer,
    permits: &mut Vec<OwnedSemaphorePermit>,
) -> usize {
    let mut n_taken = 0;
    let taking = async {
        let fetched = queue.fetch().max_messages(permits.len()).messages().await;
        let Ok(mut fetched) = fetched else {
            return;
        };
        while let Some(Ok(message)) = fetched.next().await {
            n_taken += 1;
            match permits.pop() {
                Some(permit) => start(member, message, permit),
                // More than was asked for.
                None => return,
            }
        }
    };
    let _ = timeout(ANSWER, taking).await;
    n_taken
}

fn start(member: &Arc<Member>, message: Message, permit: OwnedSemaphorePermit) {
    let member = Arc::clone(member);
    tokio::spawn(async move {
        attempt::attempt(&member, message, permit).await;
    });
}
