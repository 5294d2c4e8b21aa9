//! Hands outcomes to the callers that listen, without storing them: a caller that is there has its
//! outcomes in memory, and one that is gone needs none.
//!
//! Outcomes that come while the caller confirms earlier ones go together in the next message.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::{Client, Request};
use tokio::sync::oneshot;

use crate::message::Body;
use crate::names::{self, TaskId};
use crate::wire;

/// How long a caller may take to confirm. Then the outcomes are stored for it.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(1);

/// How many bytes of outcomes are in a message, if it is more than one. Below the limit of any server,
/// which is 1 MiB by default.
const MESSAGE: usize = 256 << 10;

/// The outcomes on their way to callers.
pub(super) struct Answering {
    client: Client,
    /// What waits for its turn, by caller. A caller is here while a message to it is under way.
    waiting: Mutex<HashMap<String, Vec<Answer>>>,
}

struct Answer {
    number: u64,
    body: Body,
    /// Told when the caller has confirmed it; gets it back if the caller does not.
    handed_over: oneshot::Sender<Result<(), Body>>,
}

impl Answering {
    pub(super) fn new(client: Client) -> Self {
        Self {
            client,
            waiting: Mutex::default(),
        }
    }

    /// Hands an outcome to its caller. Returns it if the caller does not say that it has it; it may
    /// have it all the same.
    pub(super) async fn hand_over(self: &Arc<Self>, id: &TaskId, body: Body) -> Result<(), Body> {
        let (handed_over, is_handed_over) = oneshot::channel();
        let answer = Answer {
            number: id.number,
            body,
            handed_over,
        };
        match self.lock().entry(id.caller.clone()) {
            Entry::Occupied(mut waiting) => waiting.get_mut().push(answer),
            Entry::Vacant(place) => {
                place.insert(vec![answer]);
                tokio::spawn(Arc::clone(self).send_to(id.caller.clone()));
            }
        }
        let answered = is_handed_over.await;
        answered.expect("each answer is sent, and the thread lives as long as the node")
    }

    /// Sends what waits for a caller, until nothing does.
    async fn send_to(self: Arc<Self>, caller: String) {
        let subject = names::answers_to(&caller);
        while let Some(answers) = self.next_for(&caller) {
            let message = answers.iter().map(|answer| (answer.number, &answer.body));
            let message = wire::encode(&message.collect::<Vec<_>>());
            let request = Request::new()
                .payload(message.into())
                .timeout(Some(CONFIRM_TIMEOUT));
            let confirmed = self.client.send_request(subject.clone(), request).await;
            for answer in answers {
                let _ = answer.handed_over.send(match confirmed {
                    Ok(_) => Ok(()),
                    Err(_) => Err(answer.body),
                });
            }
        }
    }

    /// The outcomes of the next message to a caller. If there is none, the caller is not here any
    /// more.
    fn next_for(&self, caller: &str) -> Option<Vec<Answer>> {
        let mut waiting = self.lock();
        let answers = waiting.get_mut(caller)?;
        if answers.is_empty() {
            waiting.remove(caller);
            return None;
        }
        let mut n_bytes = 0;
        let fitting = answers.iter().take_while(|answer| {
            n_bytes += match &answer.body {
                Body::Here(bytes) => bytes.len(),
                Body::Stored(name) => name.len(),
            };
            n_bytes <= MESSAGE
        });
        let n_fitting = fitting.count().max(1);
        Some(answers.drain(..n_fitting).collect())
    }

    /// No code panics while it holds the lock.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Answer>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
