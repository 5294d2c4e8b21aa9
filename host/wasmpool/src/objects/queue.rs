//! Queues, and pipes made of two of them.

use std::collections::VecDeque;

use super::budget::{self, Charge, ObjectBudget};
use super::monitor::{Lines, Monitor, State, Waiting};
use crate::sync::Arc;

/// The lines of those who put items in, and of those who take them out.
const PUTTING: usize = 0;
const GETTING: usize = 1;

/// A queue of encoded items, first in, first out.
#[derive(Clone)]
pub(crate) struct Queue(Arc<Monitor<Items>>);

struct Items {
    items: VecDeque<Vec<u8>>,
    capacity: usize,
    is_closed: bool,
    charge: Charge,
}

/// Why an item was not put into a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PutRefused {
    Closed,
    /// With a message for people.
    OverBudget(String),
}

/// The queue is closed, and empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct QueueEnded;

impl State for Items {
    fn wake(&mut self, lines: &mut Lines) {
        if self.is_closed || self.items.len() < self.capacity {
            lines.wake_first(PUTTING);
        }
        if self.is_closed || !self.items.is_empty() {
            lines.wake_first(GETTING);
        }
    }
}

impl Queue {
    /// A queue for so many items; for one at the least.
    pub(crate) fn new(capacity: usize, budget: &Arc<ObjectBudget>) -> Result<Self, String> {
        Ok(Self(Arc::new(Monitor::new(Items {
            items: VecDeque::new(),
            capacity: capacity.max(1),
            is_closed: false,
            charge: budget.object()?,
        }))))
    }

    /// Puts an item in; waits while the queue is full.
    pub(crate) fn put(
        &self,
        item: Vec<u8>,
    ) -> impl Waiting<Output = Result<(), PutRefused>> + use<> {
        let mut item = Some(item);
        self.0.wait(PUTTING, move |queue: &mut Items| {
            if queue.is_closed {
                return Some(Err(PutRefused::Closed));
            }
            if queue.items.len() >= queue.capacity {
                return None;
            }
            let item = item.take()?;
            let charged = queue.charge.take(budget::item(item.len()));
            Some(charged.map_err(PutRefused::OverBudget).map(|()| {
                queue.items.push_back(item);
            }))
        })
    }

    /// Takes the oldest item; waits while there is none.
    pub(crate) fn get(&self) -> impl Waiting<Output = Result<Vec<u8>, QueueEnded>> + use<> {
        self.0
            .wait(GETTING, |queue: &mut Items| match queue.items.pop_front() {
                Some(item) => {
                    queue.charge.give_back(budget::item(item.len()));
                    Some(Ok(item))
                }
                None => queue.is_closed.then_some(Err(QueueEnded)),
            })
    }

    pub(crate) fn close(&self) {
        self.0.change(|queue, _| queue.is_closed = true);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.look(|queue| queue.is_closed)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.look(|queue| queue.items.len())
    }

    pub(crate) fn capacity(&self) -> usize {
        self.0.look(|queue| queue.capacity)
    }
}

/// One end of a pipe. Both directions are closed when its last handle is dropped.
#[derive(Clone)]
pub(crate) struct PipeEnd(Arc<Directions>);

struct Directions {
    out: Queue,
    back: Queue,
}

impl PipeEnd {
    /// Both ends of a pipe with room for so many items in each direction. It counts as two objects.
    pub(crate) fn pair(
        capacity: usize,
        budget: &Arc<ObjectBudget>,
    ) -> Result<(Self, Self), String> {
        let (out, back) = (Queue::new(capacity, budget)?, Queue::new(capacity, budget)?);
        let end = |out: &Queue, back: &Queue| {
            let (out, back) = (out.clone(), back.clone());
            Self(Arc::new(Directions { out, back }))
        };
        Ok((end(&out, &back), end(&back, &out)))
    }

    pub(crate) fn send(
        &self,
        item: Vec<u8>,
    ) -> impl Waiting<Output = Result<(), PutRefused>> + use<> {
        self.0.out.put(item)
    }

    pub(crate) fn receive(&self) -> impl Waiting<Output = Result<Vec<u8>, QueueEnded>> + use<> {
        self.0.back.get()
    }

    pub(crate) fn close(&self) {
        self.0.out.close();
        self.0.back.close();
    }
}

impl Drop for Directions {
    fn drop(&mut self) {
        self.out.close();
        self.back.close();
    }
}
