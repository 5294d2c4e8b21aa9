//! Claims about deferred entries: `queue.rs`.

use std::sync::Mutex as Untracked;
use std::time::Duration;

use crate::check::{Gathering, check, together};
use crate::queueing::{Item, Names, sorted};
use crate::schedule::{Blocking, Queue};
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Arc, Instant};

/// Milliseconds that no test waits for.
const LATE: u64 = 1_000_000;

type Items = Queue<Arc<Item>>;

fn item(queue: &Items, name: usize) -> Arc<Item> {
    let permit = queue
        .places
        .reserve(Blocking::Never)
        .expect("there is room");
    Item::new(name, permit)
}

fn push(queue: &Items, name: usize) {
    let pushed = queue.push([item(queue, name)], 1);
    assert!(pushed.is_ok(), "the queue is open");
}

fn in_milliseconds(milliseconds: u64) -> Instant {
    Instant::now() + Duration::from_millis(milliseconds)
}

/// Each deferred entry is popped once, and not before its time unless the queue is closed. Then
/// there is no wait, also for entries that are deferred later.
pub fn a_deferred_entry_comes_once_and_not_early() {
    check(|| {
        let queue = Items::new(100, 2, 0);
        let is_closing = AtomicBool::new(false);
        let popped: Names = Untracked::default();
        // By name.
        let dues = [in_milliseconds(3), in_milliseconds(1), in_milliseconds(2)];
        let work = |worker| {
            while let Some(item) = queue.pop(worker) {
                let is_due = Instant::now() >= dues[item.name];
                assert!(is_due || is_closing.load(Ordering::SeqCst));
                popped.lock().unwrap().push(item.name);
            }
        };
        let items = [0, 1, 2].map(|name| item(&queue, name));
        let defer = |name: usize| {
            let deferred = queue.defer(Arc::clone(&items[name]), name, dues[name]);
            assert!(deferred.is_ok(), "nobody drains it");
        };
        together([
            // As a worker does, which then pops the next entry.
            &|| {
                defer(0);
                work(0);
            },
            &|| {
                defer(1);
                defer(2);
                work(1);
            },
            &|| {
                is_closing.store(true, Ordering::SeqCst);
                queue.close();
            },
        ]);
        assert_eq!(sorted(popped), [0, 1, 2]);
    });
}

/// A worker that sleeps when an entry is deferred wakes up when the entry is due, and for the
/// earlier of two.
pub fn a_sleeper_wakes_for_a_deferred_entry() {
    check(|| {
        let queue = Items::new(100, 1, 0);
        let dues = [in_milliseconds(5), in_milliseconds(2)];
        together([
            &|| {
                for _ in dues {
                    let item = queue.pop(0).expect("it is open");
                    assert!(Instant::now() >= dues[item.name]);
                }
            },
            &|| {
                for (name, due) in dues.into_iter().enumerate() {
                    assert!(queue.defer(item(&queue, name), 1, due).is_ok());
                }
            },
        ]);
    });
}

/// No worker sleeps past a deferred entry. Each of two workers blocks in what it takes until the
/// other one has something too, a deferred entry or another one.
pub fn no_worker_sleeps_past_a_deferred_entry() {
    check(|| {
        let queue = Items::new(100, 2, 0);
        let started = Gathering::new();
        let work = |worker| {
            assert!(queue.pop(worker).expect("it is open").take());
            started.come();
            started.wait_for(2);
        };
        together([&|| work(0), &|| work(1), &|| {
            let deferred = queue.defer(item(&queue, 1), 1, in_milliseconds(2));
            assert!(deferred.is_ok());
            push(&queue, 2);
        }]);
        assert_eq!(queue.places.taken(), 0);
    });
}

/// The same with two deferred entries, due at different times or at the same.
pub fn no_worker_sleeps_past_two_deferred_entries() {
    for waits in [[2, 2], [4, 2], [2, 4]] {
        check(move || {
            let queue = Items::new(100, 3, 0);
            let started = Gathering::new();
            let work = |worker| {
                assert!(queue.pop(worker).expect("it is open").take());
                started.come();
                started.wait_for(3);
            };
            together([&|| work(0), &|| work(1), &|| work(2), &|| {
                for wait in waits {
                    let deferred = queue.defer(item(&queue, 1), 1, in_milliseconds(wait));
                    assert!(deferred.is_ok());
                }
                push(&queue, 2);
            }]);
        });
    }
}

/// A drain takes deferred entries. An entry that is deferred after it is returned to the worker, so
/// it is not lost.
pub fn a_drain_takes_deferred_entries() {
    check(|| {
        let queue = Items::new(100, 2, 0);
        let out: Names = Untracked::default();
        let note = |item: &Arc<Item>| out.lock().unwrap().push(item.name);
        let items = [0, 1, 2, 3, 4].map(|name| item(&queue, name));
        let defer = |name: usize, wait| {
            if let Err(item) = queue.defer(Arc::clone(&items[name]), 1, in_milliseconds(wait)) {
                note(&item);
            }
        };
        let work = |worker: usize| {
            defer(worker, LATE);
            while let Some(item) = queue.pop(worker) {
                note(&item);
            }
        };
        defer(2, 1);
        defer(3, LATE);
        together([&|| work(0), &|| work(1), &|| {
            queue.close();
            queue.drain().iter().for_each(note);
        }]);
        defer(4, LATE);
        queue.drain().iter().for_each(note);
        assert!(queue.pop(0).is_none());
        assert_eq!(sorted(out), [0, 1, 2, 3, 4]);
    });
}
