//! Takes tasks from the queues of tenants, in turns, and only as many as there is room for.

use std::sync::Arc;
use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use futures_util::StreamExt as _;
use tokio::sync::oneshot;
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
        let n_wanted = tokio::select! {
            biased;
            // That its sender is gone means the same.
            _ = &mut stop => return,
            n_wanted = member.room.wanted() => n_wanted,
        };
        let queues = member.queues();
        let mut n_taken = 0;
        // A share for each tenant. Where others have no tasks, the next turn comes at once.
        let share = n_wanted.div_ceil(queues.len().max(1));
        for offset in 0..queues.len() {
            let index = (turn + offset) % queues.len();
            n_taken = take_some(member, &queues[index], share).await;
            if n_taken > 0 {
                turn = index + 1;
                break;
            }
        }
        if n_taken == 0 {
            tokio::select! {
                _ = &mut stop => return,
                _ = timeout(LOOK_AGAIN, member.wake.notified()) => {}
            }
        }
    }
}

/// Takes up to this many tasks, and starts them. Returns how many there were.
async fn take_some(member: &Arc<Member>, queue: &PullConsumer, n_wanted: usize) -> usize {
    let mut n_taken = 0;
    let taking = async {
        let fetched = queue.fetch().max_messages(n_wanted).messages().await;
        let Ok(mut fetched) = fetched else {
            return;
        };
        while let Some(Ok(message)) = fetched.next().await {
            n_taken += 1;
            let (member, place) = (Arc::clone(member), member.room.place());
            tokio::spawn(async move { attempt::attempt(&member, message, place).await });
        }
    };
    let _ = timeout(ANSWER, taking).await;
    n_taken
}
