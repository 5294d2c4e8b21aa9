//! Claims about chunks and the local queues of workers: `queue.rs`.

use std::sync::Mutex as Untracked;

use crate::check::{Gathering, check, together};
use crate::queueing::{Item, Names, sorted};
use crate::schedule::{Blocking, Queue, ReserveError};
use crate::sync::Arc;

type Items = Queue<Arc<Item>>;

/// Takes places for a chunk of items and pushes it.
fn push<const N: usize>(queue: &Items, names: [usize; N]) -> Result<(), ReserveError> {
    let mut items = Vec::with_capacity(N);
    for name in names {
        let permit = queue.places.reserve(Blocking::Forever)?;
        items.push(Item::new(name, permit));
    }
    queue
        .push(items, names[0] % 3)
        .map_err(|_refused| ReserveError::Closed)
}

/// Each entry of the chunks of several submitters is popped once, whichever worker takes it from
/// whose local queue, and whenever the queue closes.
pub fn chunks_come_out_once() {
    check(|| {
        let queue = Items::new(100, 3, 0);
        let accepted: Names = Untracked::default();
        let popped: Names = Untracked::default();
        let submit = |names: [usize; 3]| {
            if push(&queue, names).is_ok() {
                accepted.lock().unwrap().extend(names);
            }
        };
        let work = |worker| {
            while let Some(item) = queue.pop(worker) {
                assert!(item.take());
                popped.lock().unwrap().push(item.name);
            }
        };
        together([
            &|| {
                submit([1, 2, 3]);
                submit([4, 5, 6]);
            },
            &|| submit([11, 12, 13]),
            &|| work(0),
            &|| work(1),
            &|| work(2),
            &|| queue.close(),
        ]);
        assert_eq!(queue.places.taken(), 0);
        assert!(queue.drain().is_empty());
        assert_eq!(sorted(popped), sorted(accepted));
    });
}

/// A worker that blocks in the first entry of its chunk delays none of the others, whether other
/// workers are polling, asleep or busy. Only the push wakes workers.
pub fn a_stuck_worker_delays_only_its_entry() {
    check(|| {
        let queue = Items::new(100, 3, 0);
        let served = Gathering::new();
        let (first, others) = (1, 3);
        let work = |worker| {
            while let Some(item) = queue.pop(worker) {
                assert!(item.take());
                if item.name == first {
                    served.wait_for(others);
                    queue.close();
                } else {
                    served.come();
                }
            }
        };
        together([
            &|| push(&queue, [first, 2, 3, 4]).expect("it is open"),
            &|| work(0),
            &|| work(1),
            &|| work(2),
        ]);
    });
}

/// Each of three workers takes an entry and blocks in it until all three have one: no entry waits
/// while a worker is idle, however the entries are split into chunks.
fn check_all_are_served(push_all: fn(&Items) -> Result<(), ReserveError>) {
    check(move || {
        let queue = Items::new(100, 3, 0);
        let started = Gathering::new();
        let work = |worker| {
            let item = queue.pop(worker).expect("it is open");
            assert!(item.take());
            started.come();
            started.wait_for(3);
        };
        together([
            &|| push_all(&queue).expect("it is open"),
            &|| work(0),
            &|| work(1),
            &|| work(2),
        ]);
        assert_eq!(queue.places.taken(), 0);
    });
}

/// See [`check_all_are_served`].
pub fn every_idle_worker_takes_entries_of_one_chunk() {
    check_all_are_served(|queue| push(queue, [1, 2, 3]));
}

/// See [`check_all_are_served`].
pub fn every_idle_worker_takes_entries_of_two_chunks() {
    check_all_are_served(|queue| {
        push(queue, [1, 2])?;
        push(queue, [3])
    });
}

/// The same with more workers than entries, and with workers that pop a second entry: four are
/// blocked at the end.
pub fn late_chunks_reach_workers_that_slept_through_the_first() {
    check(|| {
        let queue = Items::new(100, 4, 0);
        let started = Gathering::new();
        let work = |worker| {
            let item = queue.pop(worker).expect("it is open");
            assert!(item.take());
            if item.name == 1 {
                // A short entry: the worker pops again.
                let item = queue.pop(worker).expect("it is open");
                assert!(item.take());
            }
            started.come();
            started.wait_for(4);
        };
        together([
            &|| {
                push(&queue, [1, 2]).expect("it is open");
                push(&queue, [3, 4]).expect("it is open");
                push(&queue, [5]).expect("it is open");
            },
            &|| work(0),
            &|| work(1),
            &|| work(2),
            &|| work(3),
        ]);
    });
}

/// Each entry goes either to a drain or to a worker, also an entry in the local queue of a worker
/// that does not pop again.
pub fn a_drain_leaves_nothing_in_a_local_queue() {
    check(|| {
        let queue = Items::new(100, 2, 0);
        let out: Names = Untracked::default();
        let work = |worker| {
            if let Some(item) = queue.pop(worker) {
                out.lock().unwrap().push(item.name);
            }
        };
        let drain = || {
            let drained = queue.drain();
            let names = drained.iter().map(|item| item.name);
            out.lock().unwrap().extend(names);
        };
        push(&queue, [1, 2, 3]).expect("it is open");
        push(&queue, [4, 5]).expect("it is open");
        together([&|| work(0), &|| work(1), &|| {
            queue.close();
            drain();
        }]);
        drain();
        assert!((0..2).all(|worker| queue.pop(worker).is_none()));
        assert_eq!(sorted(out), [1, 2, 3, 4, 5]);
    });
}
